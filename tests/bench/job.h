/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The timed jobs of the benchmarks: what a guest does, counted and timed by the guest's own clock.
 */
#ifndef LODGE_TESTS_BENCH_JOB_H
#define LODGE_TESTS_BENCH_JOB_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct job_result {
	uint64_t count; /* of the row's unit */
	double seconds;
};

struct job {
	const char *name;
	const char *unit; /* "bytes", or what is counted: a file, a request */
	/* path: the folder, the device, or seconds. A negative errno on failure. */
	int (*run)(const char *path, struct job_result *ret_result);
};

/* The job of that name, or NULL; tables end with a row without a name. */
const struct job *job_find(const struct job *table, const char *name);

extern const struct job fs_jobs[];
extern const struct job blk_jobs[];
extern const struct job rpc_jobs[]; /* need no path */
extern const struct job display_jobs[]; /* the script wants seconds */
extern const struct job clock_jobs[]; /* clock.samples wants seconds */

/* rpcports.c's part of rpc_jobs. */
int rpc_ports_round_trips(const char *path, struct job_result *ret_result);

/* memjobs.c's part of it. */
int memory_touch(const char *path, struct job_result *ret_result);

/* Makes the files that fs_jobs read, unless they are there. */
int fs_prepare(const char *dir);

/* Writes back and forgets what this kernel caches; needs root. */
void drop_caches(void);

static inline double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* A pseudo-random number (xorshift64*), the same sequence in every run from the same seed. */
static inline uint64_t next_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dull;
}

#endif
