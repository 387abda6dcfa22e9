// SPDX-License-Identifier: GPL-2.0-or-later
/* The pools for requests that may block. */
#include "shared-fs/server/workers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "protocol/lib/thread.h"
#include "shared-fs/server/closer.h"

#define LOCAL_MAX 8 /* threads */

static void run_job(struct job *job, struct scratch *scratch)
{
	const struct request_mode mode = { .may_block = true,
					   .again = job->again,
					   .epoch = job->epoch };
	struct request req;
	uint32_t written;

	fs_request_in_mode(&req, job->queue->fs, scratch, job->iov, job->n_out, job->out_len,
			   job->n_in, job->in_len, &mode, &written);
	queue_complete(job->queue, job->head, written);
	free(job->iov);
}

static void *worker(void *arg)
{
	struct pool *pool = arg;
	struct scratch *scratch = mmap(NULL, sizeof(*scratch), PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pool->is_remote)
		closer_may_wait();
	pthread_mutex_lock(&pool->lock);
	while (scratch != MAP_FAILED) {
		struct job job;

		while (!pool->n_jobs && !pool->ending) {
			pool->n_waiting++;
			pthread_cond_wait(&pool->more, &pool->lock);
			pool->n_waiting--;
		}
		if (!pool->n_jobs)
			break;
		job = pool->jobs[pool->first];
		pool->first = (pool->first + 1) % JOBS_MAX;
		pool->n_jobs--;
		pool->n_running++;
		pthread_mutex_unlock(&pool->lock);
		run_job(&job, scratch);
		pthread_mutex_lock(&pool->lock);
		pool->n_running--;
		pthread_cond_signal(&pool->idle);
	}
	pthread_mutex_unlock(&pool->lock);
	if (scratch != MAP_FAILED)
		munmap(scratch, sizeof(*scratch));
	return NULL;
}

static void pool_init(struct pool *pool, unsigned int threads_max)
{
	memset(pool, 0, sizeof(*pool));
	pool->threads_max = threads_max;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->more, NULL);
	pthread_cond_init(&pool->idle, NULL);
}

static void pool_fini(struct pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->ending = true;
	pthread_cond_broadcast(&pool->more);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned int i = 0; i < pool->n_threads; i++)
		pthread_join(pool->threads[i], NULL);
	pthread_cond_destroy(&pool->more);
	pthread_cond_destroy(&pool->idle);
	pthread_mutex_destroy(&pool->lock);
	free(pool->jobs);
}

/* With the lock: there is a ring with room, and a thread. */
static bool is_ready_locked(struct pool *pool)
{
	if (!pool->jobs)
		pool->jobs = calloc(JOBS_MAX, sizeof(*pool->jobs));
	if (!pool->jobs || pool->n_jobs == JOBS_MAX)
		return false;
	if (pool->n_waiting <= pool->n_jobs && pool->n_threads < pool->threads_max &&
	    !thread_start(&pool->threads[pool->n_threads], SERVER_STACK_SIZE, 0, worker, pool))
		pool->n_threads++;
	return pool->n_threads;
}

/* 0, and the job's iov belongs to the pool; or -EAGAIN. */
static int pool_submit(struct pool *pool, const struct job *job)
{
	int ret = -EAGAIN;

	pthread_mutex_lock(&pool->lock);
	if (is_ready_locked(pool)) {
		pool->jobs[(pool->first + pool->n_jobs) % JOBS_MAX] = *job;
		pool->n_jobs++;
		pthread_cond_signal(&pool->more);
		ret = 0;
	}
	pthread_mutex_unlock(&pool->lock);
	return ret;
}

static void pool_drain(struct pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	while (pool->n_jobs || pool->n_running)
		pthread_cond_wait(&pool->idle, &pool->lock);
	pthread_mutex_unlock(&pool->lock);
}

void workers_init(struct workers *workers)
{
	pool_init(&workers->local, LOCAL_MAX);
	pool_init(&workers->remote, WORKERS_MAX);
	workers->remote.is_remote = true;
}

void workers_fini(struct workers *workers)
{
	pool_fini(&workers->local);
	pool_fini(&workers->remote);
}

int workers_submit(struct workers *workers, bool remote, struct queue *queue,
		   const struct chain *chain, bool again)
{
	size_t n_iov = (size_t)chain->n_out + chain->n_in;
	struct job job = { .queue = queue,
			   .epoch = queue->epoch,
			   .head = chain->head,
			   .again = again,
			   .n_out = chain->n_out,
			   .n_in = chain->n_in,
			   .out_len = chain->out_len,
			   .in_len = chain->in_len,
			   .iov = calloc(n_iov, sizeof(*job.iov)) };
	int ret;

	if (!job.iov)
		return -EAGAIN;
	memcpy(job.iov, chain->iov, n_iov * sizeof(*job.iov));
	ret = pool_submit(remote ? &workers->remote : &workers->local, &job);
	if (ret)
		free(job.iov);
	return ret;
}

void workers_drain(struct workers *workers)
{
	pool_drain(&workers->local);
	pool_drain(&workers->remote);
}
