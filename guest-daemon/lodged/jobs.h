/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Work that may take long, done by a child of lodged: what it writes comes back in one piece.
 */
#ifndef LODGE_GUEST_JOBS_H
#define LODGE_GUEST_JOBS_H

#include <stddef.h>

struct children;
struct job;

#define JOB_SECONDS 10 /* then it is killed: -ETIMEDOUT */

/* Runs in the child, with nothing of lodged's open but @out; returns its exit status. */
typedef int (*job_fn)(void *opaque, int out);
/* @bytes are the job's. @error: -ETIMEDOUT, -EMSGSIZE, -EIO where @fn did not return 0. */
typedef void (*job_done_fn)(void *opaque, const char *bytes, size_t len, int error);

/* NULL where no child can be made, and @done has got the error. */
struct job *job_start(struct children *children, job_fn fn, void *fn_opaque, size_t max,
		      job_done_fn done, void *opaque);
/* @done does not run. NULL is fine. */
void job_cancel(struct job *job);

/* For children of lodged, first thing behind fork(): default signals, none blocked, dead when
 * lodged dies. */
void child_begin(void);
/* Closes every descriptor from @first on but @keep (or -1). */
void child_close_from(int first, int keep);

#endif
