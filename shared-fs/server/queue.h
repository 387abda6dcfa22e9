/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A virtqueue and the thread that serves it.
 *
 * The thread takes a request, runs it and gives the reply back; what may block goes to the workers,
 * which give it back themselves. It sleeps in epoll_wait(2) on the front end's eventfd, edge
 * triggered: a wake-up costs one system call, the eventfd is never read.
 *
 * Signals are saved where nobody waits: the completion of a FORGET is in the used ring at once, but
 * its interrupt is left to the next one's, for QUIET_MS at most. The high priority queue (0)
 * carries FORGETs alone: there, too, the driver's notifications are suppressed while they flow.
 * (RELEASE would be another, but Linux' virtio-fs driver waits for it.)
 *
 * struct queue lies in memory that outlives the process (shared.h): the next server finds what was
 * set up, and in the record what is to be done again (queue_recover).
 *
 * Locking: fields are set by the vhost-user thread while the queue's thread does not run
 * (queue_stop, queue_start); used_lock guards the used side of the ring.
 */
#ifndef LODGE_FSD_QUEUE_H
#define LODGE_FSD_QUEUE_H

#include <pthread.h>

#include "shared-fs/server/request.h"
#include "shared-fs/server/vring.h"

struct workers;

struct queue_record {
	struct vring_record ring;
	struct journal journal; /* of the queue's thread */
};

struct queue {
	unsigned int index;
	struct fs *fs;
	const struct guest_memory *memory;
	struct workers *workers;
	struct log_ratelimit broken_log;
	struct split_ring ring;
	struct vhost_user_vring_addr addr;
	bool have_addr;
	bool have_kick;
	bool enabled;
	bool running;
	bool broken; /* atomic: the ring broke the rules; until the front end stops the queue */
	bool resumed; /* another server was at work on it */
	bool stopping; /* atomic */
	uint32_t epoch; /* of fs, when the last request was taken */
	int kick_fd;
	int call_fd; /* guarded by used_lock */
	int err_fd;
	int epoll_fd;
	int stop_fd; /* eventfd */
	struct queue_record *record;
	pthread_mutex_t used_lock;
	pthread_t thread;
	struct scratch *scratch; /* of this process, as is all from epoll_fd on */
	struct chain *chain;
};

void queue_init(struct queue *queue, unsigned int index, struct fs *fs,
		const struct guest_memory *memory, struct workers *workers,
		struct queue_record *record);
void queue_fini(struct queue *queue);
/* Starts the thread if everything that it needs is there. 0 also if not. */
int queue_start(struct queue *queue);
/* In a new server, before queue_start: what the old one's process had is gone. */
void queue_recover(struct queue *queue);
/* Ends the thread; its jobs may still be with the workers. */
void queue_stop(struct queue *queue);
/* Of a stopped queue: it may be started again, with nothing of its past. */
void queue_revive(struct queue *queue);
/* Gives a chain back and signals: for workers. */
void queue_complete(struct queue *queue, uint16_t head, uint32_t written);
void queue_set_call(struct queue *queue, int fd);

#endif
