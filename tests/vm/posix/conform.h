/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of fs-conform share. A case is a function; it works in the current folder, which
 * is empty and its own, and calls the macros below. The first check that fails ends it.
 */
#ifndef LODGE_TESTS_CONFORM_H
#define LODGE_TESTS_CONFORM_H

#include <errno.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

struct conform {
	jmp_buf end;
	const char *skipped; /* why */
	char failure[512];
	long many; /* files for the case of a full folder */
};

struct conform_case {
	const char *name;
	void (*run)(struct conform *c);
};

extern const struct conform_case conform_names[];
extern const struct conform_case conform_rare[]; /* run only where they are named */
extern const struct conform_case conform_data[];
extern const struct conform_case conform_attrs[];
extern const struct conform_case conform_refusals[];
extern const struct conform_case conform_stamps[];
extern const struct conform_case conform_users[];

void conform_fail(struct conform *c, const char *file, int line, const char *what)
	__attribute__((noreturn));
void conform_skip(struct conform *c, const char *why) __attribute__((noreturn));

#define check(condition)                                                 \
	do {                                                             \
		if (!(condition))                                        \
			conform_fail(c, __FILE__, __LINE__, #condition); \
	} while (0)

/* The call succeeds (does not return -1). */
#define good(call)                                                  \
	do {                                                        \
		if ((call) == -1)                                   \
			conform_fail(c, __FILE__, __LINE__, #call); \
	} while (0)

/* The call returns -1 with this errno. */
#define fails(number, call)                                                                      \
	do {                                                                                     \
		errno = 0;                                                                       \
		if ((call) != -1 || errno != (number))                                           \
			conform_fail(c, __FILE__, __LINE__, #call " should fail with " #number); \
	} while (0)

#define skip(why) conform_skip(c, why)

/* A child with these ids and no other groups, in which it returns 0. */
pid_t user_begin(uid_t uid, gid_t gid);
/* Its exit status. */
int user_end(pid_t child);

/* The errno with which the call returns -1 to such a user, or 0. */
#define user_error(uid, gid, call)                   \
	({                                           \
		pid_t child_ = user_begin(uid, gid); \
		if (!child_)                         \
			_exit((call) ? errno : 0);   \
		user_end(child_);                    \
	})

/* A new file with this content, closed. */
void put_file(struct conform *c, const char *name, const char *text);
/* Its content is this text. */
void is_file(struct conform *c, const char *name, const char *text);

#endif
