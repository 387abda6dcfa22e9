/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fields of GuestRPC arguments: "key=value" and a NUL each (protocol/spec/rpc.md).
 *
 * Readers point into the caller's buffer and copy nothing. A builder grows its own buffer; an
 * error in between is kept and comes out at the end.
 */
#ifndef LODGE_LIB_FIELDS_H
#define LODGE_LIB_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 0, or -EBADMSG: an entry without '=', with a bad key, or the last one without its NUL. */
int fields_check(const char *fields, size_t len);
/* The first value of @key, NUL-terminated, or NULL. @fields has passed fields_check(). */
const char *fields_get(const char *fields, size_t len, const char *key);
/* The next value of @key from *@at on (0 first), which moves behind it; NULL: no more. */
const char *fields_next(const char *fields, size_t len, const char *key, size_t *at);
/* A decimal number without sign or blanks, at most @max. -ENOENT where the field is missing,
 * -EINVAL where it is no such number. */
int fields_number(const char *fields, size_t len, const char *key, uint64_t max,
		  uint64_t *ret_number);

struct fields_builder {
	char *bytes;
	size_t len, room;
	size_t max; /* bytes; beyond it: -EMSGSIZE */
	int error;
};

#define FIELDS_BUILDER(limit) ((struct fields_builder){ .max = (limit) })

/* @key must be a valid key; @value must have no NUL inside. */
void fields_add(struct fields_builder *builder, const char *key, const char *value);
void fields_addf(struct fields_builder *builder, const char *key, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The same of bytes as they are, without key or NUL: "1 ", "lodge.exec ". */
void fields_raw(struct fields_builder *builder, const char *text);
/* 0 or the first error (-ENOMEM, -EMSGSIZE, -EINVAL). */
int fields_done(const struct fields_builder *builder);
void fields_free(struct fields_builder *builder);

#endif
