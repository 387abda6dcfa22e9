// SPDX-License-Identifier: GPL-2.0-or-later
// "key=value" lists of GuestRPC: bounded reading, building.
#include "protocol/lib/fields.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lodge/rpc.h>

static bool key_byte(char byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '-';
}

/* Length of the key at @entry, which is followed by '='; 0 where there is none. */
static size_t key_length(const char *entry, size_t len)
{
	size_t at = 0;

	while (at < len && at <= LODGE_RPC_KEY_MAX && key_byte(entry[at]))
		at++;
	return at < len && at <= LODGE_RPC_KEY_MAX && entry[at] == '=' ? at : 0;
}

int fields_check(const char *fields, size_t len)
{
	size_t at = 0;

	while (at < len) {
		const char *end = memchr(fields + at, '\0', len - at);

		if (!end || key_length(fields + at, (size_t)(end - fields) - at) == 0)
			return -EBADMSG;
		at = (size_t)(end - fields) + 1;
	}
	return 0;
}

const char *fields_next(const char *fields, size_t len, const char *key, size_t *at)
{
	size_t key_len = strlen(key);

	while (*at < len) {
		const char *entry = fields + *at;
		size_t room = len - *at, entry_len = strnlen(entry, room);

		*at += entry_len < room ? entry_len + 1 : entry_len;
		if (entry_len < room && entry_len > key_len && entry[key_len] == '=' &&
		    memcmp(entry, key, key_len) == 0)
			return entry + key_len + 1;
	}
	return NULL;
}

const char *fields_get(const char *fields, size_t len, const char *key)
{
	size_t at = 0;

	return fields_next(fields, len, key, &at);
}

int fields_number(const char *fields, size_t len, const char *key, uint64_t max,
		  uint64_t *ret_number)
{
	const char *text = fields_get(fields, len, key);
	uint64_t number = 0;

	if (!text)
		return -ENOENT;
	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		unsigned int digit = (unsigned char)*text - '0';

		if (digit > 9 || number > (UINT64_MAX - digit) / 10)
			return -EINVAL;
		number = number * 10 + digit;
	}
	if (number > max)
		return -EINVAL;
	*ret_number = number;
	return 0;
}

static void append(struct fields_builder *builder, const char *bytes, size_t len)
{
	if (builder->error)
		return;
	if (len > builder->max || builder->len > builder->max - len) {
		builder->error = -EMSGSIZE;
		return;
	}
	if (builder->len + len > builder->room) {
		size_t room = (builder->len + len) * 2;
		char *grown = realloc(builder->bytes, room);

		if (!grown) {
			builder->error = -ENOMEM;
			return;
		}
		builder->bytes = grown;
		builder->room = room;
	}
	memcpy(builder->bytes + builder->len, bytes, len);
	builder->len += len;
}

void fields_add(struct fields_builder *builder, const char *key, const char *value)
{
	append(builder, key, strlen(key));
	append(builder, "=", 1);
	append(builder, value, strlen(value) + 1);
}

void fields_addf(struct fields_builder *builder, const char *key, const char *format, ...)
{
	char *value = NULL;
	va_list args;
	int len;

	va_start(args, format);
	len = vasprintf(&value, format, args);
	va_end(args);
	if (len < 0) {
		if (!builder->error)
			builder->error = -ENOMEM;
		return;
	}
	fields_add(builder, key, value);
	free(value);
}

void fields_raw(struct fields_builder *builder, const char *text)
{
	append(builder, text, strlen(text));
}

int fields_done(const struct fields_builder *builder)
{
	return builder->error;
}

void fields_free(struct fields_builder *builder)
{
	free(builder->bytes);
	*builder = FIELDS_BUILDER(builder->max);
}
