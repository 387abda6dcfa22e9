/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A seccomp filter made of a table of system calls, without a compiler of rules at run time: what
 * is listed is allowed or kills the process, and everything else gives an errno.
 *
 * A filter is on its maker's stack; nothing is allocated. Not for several threads at once.
 */
#ifndef LODGE_SECCOMP_FILTER_H
#define LODGE_SECCOMP_FILTER_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECCOMP_FILTER_MAX 512 /* instructions; a condition takes 9, a call somewhat above 2 */
#define SECCOMP_CALLS_MAX  192 /* without a condition */

enum seccomp_verdict {
	SECCOMP_ALLOW = 1,
	SECCOMP_KILL = 2, /* the whole process, by SIGSYS */
};

struct seccomp_call {
	uint32_t number;
	uint32_t action; /* SECCOMP_RET_... of <linux/seccomp.h> */
};

struct seccomp_filter {
	struct sock_filter code[SECCOMP_FILTER_MAX];
	size_t len;
	struct seccomp_call calls[SECCOMP_CALLS_MAX];
	size_t n_calls;
	bool full; /* something did not fit */
};

/* Of tables; @why is for who reads them. */
struct seccomp_row {
	long call;
	const char *why;
};

/* Calls of another architecture (x32 and i386 on x86-64) kill. */
void seccomp_filter_begin(struct seccomp_filter *filter);

/* @call is a number of <sys/syscall.h>. Once for each. */
void seccomp_filter_add(struct seccomp_filter *filter, long call, enum seccomp_verdict verdict);
void seccomp_filter_add_rows(struct seccomp_filter *filter, enum seccomp_verdict verdict,
			     const struct seccomp_row *rows, size_t n);
/* Kills at what no library does for its comfort: running programs, taking over processes or the
 * kernel, changing what paths mean, getting privileges. */
void seccomp_filter_add_attacks(struct seccomp_filter *filter);

/*
 * Allows @call where argument @arg (0 to 5), masked by @mask, is @value. Several conditions for one
 * call are alternatives. The earlier a condition is added, the cheaper it is.
 */
void seccomp_filter_add_if(struct seccomp_filter *filter, long call, unsigned int arg,
			   uint64_t mask, uint64_t value);

/*
 * Binds all threads of the process for good: what was not added fails with @error (a positive
 * errno). -E2BIG where something did not fit, -EBUSY where another thread has a filter of its own,
 * or the errno of prctl(2) and seccomp(2); but for PR_SET_NO_NEW_PRIVS nothing is changed then.
 */
int seccomp_filter_enter(struct seccomp_filter *filter, int error);

#endif
