/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads for requests that may block, in two pools: fsync, fallocate, copies, waits for locks; and
 * all that is asked of another machine, which may not answer for long. Neither keeps the other
 * waiting. Threads are made when first needed. A job keeps pointers into guest memory:
 * workers_drain() before that goes away.
 */
#ifndef LODGE_FSD_WORKERS_H
#define LODGE_FSD_WORKERS_H

#include <pthread.h>

#include "shared-fs/server/queue.h"

#define WORKERS_MAX 64 /* threads of the pool for remote shares */
#define JOBS_MAX    VRING_SIZE_MAX

struct job {
	struct queue *queue;
	uint32_t epoch;
	uint16_t head;
	bool again; /* another server may have done it */
	uint32_t n_out;
	uint32_t n_in;
	uint32_t out_len;
	uint32_t in_len;
	struct iovec *iov; /* the job's own */
};

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t more; /* a job is in the ring, or the end */
	pthread_cond_t idle; /* a job was done */
	bool ending;
	bool is_remote; /* constant: its threads wait for other machines */
	unsigned int threads_max;
	unsigned int n_threads;
	unsigned int n_waiting; /* threads that wait for a job */
	unsigned int n_running;
	unsigned int first;
	unsigned int n_jobs;
	pthread_t threads[WORKERS_MAX];
	struct job *jobs; /* ring of JOBS_MAX; NULL: there was none yet */
};

struct workers {
	struct pool local;
	struct pool remote;
};

void workers_init(struct workers *workers);
void workers_fini(struct workers *workers);
/* -EAGAIN where it has to be run by the caller. @again: another server may have done it. */
int workers_submit(struct workers *workers, bool remote, struct queue *queue,
		   const struct chain *chain, bool again);
/* Waits until no job is left. New ones must not come meanwhile. */
void workers_drain(struct workers *workers);

#define SERVER_STACK_SIZE (256u << 10) /* of the server's threads, which touch some 12 KiB */

#endif
