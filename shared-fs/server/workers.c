// SPDX-License-Identifier: GPL-2.0-or-later
/* The pool for requests that may block. */
#include "shared-fs/server/workers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "protocol/lib/thread.h"

static void run_job(struct job *job, struct scratch *scratch)
{
	const struct request_mode mode = { .may_block = true, .epoch = job->epoch };
	struct request req;
	uint32_t written;

	fs_request_in_mode(&req, job->queue->fs, scratch, job->iov, job->n_out, job->out_len,
			   job->n_in, job->in_len, &mode, &written);
	queue_complete(job->queue, job->head, written);
}

static void *worker(void *arg)
{
	struct workers *workers = arg;
	struct scratch *scratch = mmap(NULL, sizeof(*scratch), PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	pthread_mutex_lock(&workers->lock);
	while (scratch != MAP_FAILED) {
		struct job job;

		while (!workers->n_jobs && !workers->ending) {
			workers->n_waiting++;
			pthread_cond_wait(&workers->more, &workers->lock);
			workers->n_waiting--;
		}
		if (!workers->n_jobs)
			break;
		job = workers->jobs[workers->first];
		workers->first = (workers->first + 1) % JOBS_MAX;
		workers->n_jobs--;
		workers->n_running++;
		pthread_mutex_unlock(&workers->lock);
		run_job(&job, scratch);
		pthread_mutex_lock(&workers->lock);
		workers->n_running--;
		pthread_cond_signal(&workers->idle);
	}
	pthread_mutex_unlock(&workers->lock);
	if (scratch != MAP_FAILED)
		munmap(scratch, sizeof(*scratch));
	return NULL;
}

int workers_init(struct workers *workers)
{
	memset(workers, 0, sizeof(*workers));
	workers->jobs = calloc(JOBS_MAX, sizeof(*workers->jobs));
	if (!workers->jobs)
		return -ENOMEM;
	pthread_mutex_init(&workers->lock, NULL);
	pthread_cond_init(&workers->more, NULL);
	pthread_cond_init(&workers->idle, NULL);
	return 0;
}

void workers_fini(struct workers *workers)
{
	pthread_mutex_lock(&workers->lock);
	workers->ending = true;
	pthread_cond_broadcast(&workers->more);
	pthread_mutex_unlock(&workers->lock);
	for (unsigned int i = 0; i < workers->n_threads; i++)
		pthread_join(workers->threads[i], NULL);
	pthread_cond_destroy(&workers->more);
	pthread_cond_destroy(&workers->idle);
	pthread_mutex_destroy(&workers->lock);
	free(workers->jobs);
}

int workers_submit(struct workers *workers, struct queue *queue, const struct chain *chain)
{
	unsigned int n_iov = chain->n_out + chain->n_in;
	struct job *job;
	int ret = -EAGAIN;

	if (n_iov > JOB_IOV_MAX)
		return -EAGAIN;
	pthread_mutex_lock(&workers->lock);
	if (workers->n_jobs == JOBS_MAX)
		goto out;
	if (workers->n_waiting <= workers->n_jobs && workers->n_threads < WORKERS_MAX &&
	    !thread_start(&workers->threads[workers->n_threads], SERVER_STACK_SIZE, 0, worker,
			  workers))
		workers->n_threads++;
	if (!workers->n_threads)
		goto out;
	job = &workers->jobs[(workers->first + workers->n_jobs) % JOBS_MAX];
	job->queue = queue;
	job->epoch = queue->epoch;
	job->head = chain->head;
	job->n_out = chain->n_out;
	job->n_in = chain->n_in;
	job->out_len = chain->out_len;
	job->in_len = chain->in_len;
	memcpy(job->iov, chain->iov, n_iov * sizeof(job->iov[0]));
	workers->n_jobs++;
	pthread_cond_signal(&workers->more);
	ret = 0;
out:
	pthread_mutex_unlock(&workers->lock);
	return ret;
}

void workers_drain(struct workers *workers)
{
	pthread_mutex_lock(&workers->lock);
	while (workers->n_jobs || workers->n_running)
		pthread_cond_wait(&workers->idle, &workers->lock);
	pthread_mutex_unlock(&workers->lock);
}
