/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads for requests that may block: fsync, fallocate, copies, waits for locks. They are made
 * when first needed. A job keeps pointers into guest memory: workers_drain() before that goes away.
 */
#ifndef LODGE_FSD_WORKERS_H
#define LODGE_FSD_WORKERS_H

#include <pthread.h>

#include "shared-fs/server/queue.h"

#define WORKERS_MAX 8
#define JOBS_MAX    64
#define JOB_IOV_MAX 8 /* the requests in question are a header, a struct, and a short reply */

struct job {
	struct queue *queue;
	uint32_t epoch;
	uint16_t head;
	uint16_t n_out;
	uint16_t n_in;
	uint32_t out_len;
	uint32_t in_len;
	struct iovec iov[JOB_IOV_MAX];
};

struct workers {
	pthread_mutex_t lock;
	pthread_cond_t more; /* a job is in the ring, or the end */
	pthread_cond_t idle; /* a job was done */
	bool ending;
	unsigned int n_threads;
	unsigned int n_waiting; /* threads that wait for a job */
	unsigned int n_running;
	unsigned int first;
	unsigned int n_jobs;
	pthread_t threads[WORKERS_MAX];
	struct job *jobs; /* ring of JOBS_MAX */
};

int workers_init(struct workers *workers);
void workers_fini(struct workers *workers);
/* -EAGAIN where it has to be run by the caller. */
int workers_submit(struct workers *workers, struct queue *queue, const struct chain *chain);
/* Waits until no job is left. New ones must not come meanwhile. */
void workers_drain(struct workers *workers);

#define SERVER_STACK_SIZE (256u << 10) /* of the server's threads, which touch some 12 KiB */

#endif
