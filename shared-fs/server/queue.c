// SPDX-License-Identifier: GPL-2.0-or-later
/* The loop that serves one virtqueue. */
#include "shared-fs/server/queue.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "protocol/lib/fd.h"
#include "protocol/lib/thread.h"
#include "shared-fs/server/dax_buffer.h"
#include "shared-fs/server/workers.h"

#define QUIET_MS     50 /* how long a completion that nobody waits for may go without a signal */
#define SIGNAL_BATCH 8 /* replies at most that wait for a common signal */
#define TRIES_MAX    2 /* of a request whose server died */

/* What a round of serving gave back. */
struct batch {
	unsigned int quiet; /* nobody waits for these */
	unsigned int urgent; /* signalled already */
};

static void signal_eventfd(int fd)
{
	uint64_t one = 1;

	if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
		return; /* full: it is signalled already */
}

static void signal_driver(struct queue *queue)
{
	pthread_mutex_lock(&queue->used_lock);
	if (vring_signal_wanted(&queue->ring))
		signal_eventfd(queue->call_fd);
	pthread_mutex_unlock(&queue->used_lock);
}

static void give_back(struct queue *queue, uint16_t head, uint32_t written)
{
	pthread_mutex_lock(&queue->used_lock);
	vring_push(&queue->ring, head, written);
	pthread_mutex_unlock(&queue->used_lock);
}

void queue_complete(struct queue *queue, uint16_t head, uint32_t written)
{
	pthread_mutex_lock(&queue->used_lock);
	vring_push(&queue->ring, head, written);
	if (vring_signal_wanted(&queue->ring))
		signal_eventfd(queue->call_fd);
	pthread_mutex_unlock(&queue->used_lock);
}

/* False where the caller has to run it. */
static bool hand_over(struct queue *queue, const struct chain *chain, enum request_result to,
		      bool again)
{
	struct vring_slot *slot = &queue->record->ring.slots[chain->head];
	bool remote = to == REQUEST_DEFER_REMOTE;

	if (chain->buffers)
		return false;
	/* Before the worker begins, which may end the process. */
	__atomic_store_n(&slot->remote, remote, __ATOMIC_RELEASE);
	if (!workers_submit(queue->workers, remote, queue, chain, again && remote))
		return true;
	__atomic_store_n(&slot->remote, false, __ATOMIC_RELEASE);
	return false;
}

static enum request_result run_chain(struct queue *queue, struct chain *chain, bool again)
{
	const struct vring_slot *slot = &queue->record->ring.slots[chain->head];
	struct request_mode mode = {
		/* It may be another request's by now. */
		.journal = again && slot->remote ? NULL : &queue->record->journal,
		.again = again,
		.epoch = queue->epoch,
	};
	enum request_result result;
	struct request req;
	uint32_t written;

	if (!again)
		journal_begin(mode.journal, slot->order);
	result = fs_request_in_mode(&req, queue->fs, queue->scratch, chain->iov, chain->n_out,
				    chain->out_len, chain->n_in, chain->in_len, &mode, &written);
	if (result == REQUEST_DEFER || result == REQUEST_DEFER_REMOTE) {
		if (hand_over(queue, chain, result, again))
			return REQUEST_DEFER;
		mode.may_block = true;
		result = fs_request_in_mode(&req, queue->fs, queue->scratch, chain->iov,
					    chain->n_out, chain->out_len, chain->n_in,
					    chain->in_len, &mode, &written);
	}
	dax_buffers_finish(queue->memory->dax, chain->buffers);
	give_back(queue, chain->head, written);
	return result;
}

/* One chain that a dead server had taken. What killed it twice is not tried a third time. */
static int run_again(struct queue *queue, uint16_t head)
{
	struct vring_slot *slot = &queue->record->ring.slots[head];
	struct chain *chain = queue->chain;
	bool begun = slot->remote || slot->order == queue->record->journal.order;
	int ret;

	if (slot->state == VRING_DONE) {
		queue_complete(queue, head, slot->written);
		return 0;
	}
	ret = vring_fetch(&queue->ring, queue->memory, head, chain);
	if (ret)
		return ret;
	if (slot->tries++ < TRIES_MAX) {
		run_chain(queue, chain, begun);
		return 0;
	}
	log_error("queue %u: a request ended the server %d times; it gets an error", queue->index,
		  TRIES_MAX + 1);
	queue_complete(queue, head, fs_refuse(chain->iov, chain->n_out, chain->n_in, -EIO));
	dax_buffers_finish(NULL, chain->buffers);
	return 0;
}

/* The head of the oldest chain taken after @order, -1: none. */
static int next_taken(const struct queue *queue, uint64_t order)
{
	const struct vring_slot *slots = queue->record->ring.slots;
	int next = -1;

	for (int i = 0; i < queue->ring.size; i++) {
		if (slots[i].state != VRING_FREE && slots[i].order > order &&
		    (next < 0 || slots[i].order < slots[next].order))
			next = i;
	}
	return next;
}

/*
 * What the last server had taken, in order; but first the one that its queue's thread was at, while
 * the journal tells of it.
 */
static int serve_again(struct queue *queue)
{
	uint64_t first = queue->record->journal.order;
	int head = first ? next_taken(queue, first - 1) : -1;
	uint64_t order = 0;
	int ret = 0;

	if (head >= 0 && queue->record->ring.slots[head].order == first)
		ret = run_again(queue, (uint16_t)head);
	while (!ret && (head = next_taken(queue, order)) >= 0) {
		order = queue->record->ring.slots[head].order;
		if (order != first)
			ret = run_again(queue, (uint16_t)head);
	}
	signal_driver(queue);
	queue->resumed = false;
	return ret;
}

/* Serves what is in the ring, or fails with -EPROTO. */
static int serve(struct queue *queue, struct batch *ret_batch)
{
	unsigned int unsignalled = 0;

	*ret_batch = (struct batch){ 0 };
	for (;;) {
		int ret;

		/* In this order: queue_stop() has another one begin after it has said so. */
		queue->epoch = __atomic_load_n(&queue->fs->epoch, __ATOMIC_ACQUIRE);
		if (__atomic_load_n(&queue->stopping, __ATOMIC_ACQUIRE))
			break;
		ret = vring_pop(&queue->ring, queue->memory, queue->chain);

		if (ret < 0)
			return ret;
		if (!ret)
			break;
		switch (run_chain(queue, queue->chain, false)) {
		case REQUEST_DONE:
			ret_batch->urgent++;
			unsignalled++;
			break;

		case REQUEST_NO_REPLY:
			ret_batch->quiet++;
			break;
		case REQUEST_DEFER:
		case REQUEST_DEFER_REMOTE:
			break;
		}
		if (unsignalled == SIGNAL_BATCH) {
			signal_driver(queue);
			unsignalled = 0;
		}
	}
	if (unsignalled)
		signal_driver(queue);
	return 0;
}

static void mark_broken(struct queue *queue)
{
	log_ratelimited(&queue->broken_log, LOG_LEVEL_ERROR,
			"queue %u: the guest's ring is malformed; it is stopped until it is reset",
			queue->index);
	__atomic_store_n(&queue->broken, true, __ATOMIC_RELEASE);
	signal_eventfd(queue->err_fd);
}

/* How many requests may wait where none is urgent. Another machine keeps a file until the guest has
 * forgotten it: remote.c waits for that. */
static uint16_t laziness(const struct queue *queue)
{
	if (queue->index || __atomic_load_n(&queue->fs->has_remote, __ATOMIC_ACQUIRE))
		return 1;
	return queue->ring.size / 4;
}

static void *queue_thread(void *arg)
{
	struct queue *queue = arg;
	unsigned int quiet = 0; /* given back, not signalled yet */
	struct epoll_event event;

	if (queue->resumed && serve_again(queue))
		mark_broken(queue);
	while (!queue->broken && !__atomic_load_n(&queue->stopping, __ATOMIC_ACQUIRE)) {
		uint16_t lazy = laziness(queue);
		struct batch batch;

		if (serve(queue, &batch)) {
			mark_broken(queue);
			break;
		}
		quiet = batch.urgent ? 0 : quiet + batch.quiet;
		/* QUIET_MS without anything new, or the driver may be short of descriptors. */
		if (quiet && (!batch.quiet || quiet >= queue->ring.size / 2)) {
			signal_driver(queue);
			quiet = 0;
		}
		if (quiet && lazy > 1)
			vring_arm(&queue->ring, lazy);
		else if (vring_arm(&queue->ring, 1))
			continue;
		epoll_wait(queue->epoll_fd, &event, 1, quiet ? QUIET_MS : -1);
	}
	return NULL;
}

void queue_init(struct queue *queue, unsigned int index, struct fs *fs,
		const struct guest_memory *memory, struct workers *workers,
		struct queue_record *record)
{
	*queue = (struct queue){
		.index = index,
		.fs = fs,
		.memory = memory,
		.workers = workers,
		.record = record,
		.ring.record = &record->ring,
		.kick_fd = -1,
		.call_fd = -1,
		.err_fd = -1,
		.epoll_fd = -1,
		.stop_fd = -1,
	};
	pthread_mutex_init(&queue->used_lock, NULL);
}

void queue_fini(struct queue *queue)
{
	queue_stop(queue);
	fd_close(&queue->kick_fd);
	fd_close(&queue->call_fd);
	fd_close(&queue->err_fd);
	pthread_mutex_destroy(&queue->used_lock);
}

void queue_recover(struct queue *queue)
{
	pthread_mutex_init(&queue->used_lock, NULL);
	queue->resumed = (queue->resumed || queue->running) && !queue->broken;
	queue->running = false;
	queue->epoll_fd = -1;
	queue->stop_fd = -1;
	queue->scratch = NULL;
	queue->chain = NULL;
}

void queue_revive(struct queue *queue)
{
	/* Else everything that was taken has been given back. */
	bool stale = queue->broken || queue->resumed;

	queue->resumed = false;
	queue->broken = false;
	if (stale)
		memset(queue->record, 0, sizeof(*queue->record));
}

static void release(struct queue *queue)
{
	fd_close(&queue->epoll_fd);
	fd_close(&queue->stop_fd);
	if (queue->scratch)
		munmap(queue->scratch, sizeof(*queue->scratch));
	if (queue->chain)
		munmap(queue->chain, sizeof(*queue->chain));
	queue->scratch = NULL;
	queue->chain = NULL;
}

/* Pages that are not touched cost nothing, which calloc(3) does not promise. */
static void *zeroed_pages(size_t size)
{
	void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return pages == MAP_FAILED ? NULL : pages;
}

static int prepare(struct queue *queue)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };

	queue->scratch = zeroed_pages(sizeof(*queue->scratch));
	queue->chain = zeroed_pages(sizeof(*queue->chain));
	if (!queue->scratch || !queue->chain)
		return -ENOMEM;
	queue->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	queue->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (queue->epoll_fd < 0 || queue->stop_fd < 0 ||
	    epoll_ctl(queue->epoll_fd, EPOLL_CTL_ADD, queue->stop_fd, &event))
		return -errno;
	if (queue->kick_fd >= 0 &&
	    epoll_ctl(queue->epoll_fd, EPOLL_CTL_ADD, queue->kick_fd, &event))
		return -errno;
	return queue->resumed ? vring_resume(&queue->ring, queue->memory, &queue->addr)
			      : vring_setup(&queue->ring, queue->memory, &queue->addr);
}

int queue_start(struct queue *queue)
{
	int ret;

	if (queue->running || queue->broken || !queue->have_addr || !queue->have_kick ||
	    !queue->enabled)
		return 0;
	__atomic_store_n(&queue->stopping, false, __ATOMIC_RELEASE);
	queue->epoch = __atomic_load_n(&queue->fs->epoch, __ATOMIC_ACQUIRE);
	ret = prepare(queue);
	if (!ret)
		ret = thread_start(&queue->thread, SERVER_STACK_SIZE, 0, queue_thread, queue);
	if (ret)
		release(queue);
	else
		queue->running = true;
	return ret;
}

void queue_stop(struct queue *queue)
{
	if (!queue->running)
		return;
	__atomic_store_n(&queue->stopping, true, __ATOMIC_RELEASE);
	/* A wait for a lock ends here, which the thread itself may be at: its caller sees EINTR. */
	__atomic_add_fetch(&queue->fs->epoch, 1, __ATOMIC_ACQ_REL);
	signal_eventfd(queue->stop_fd);
	pthread_join(queue->thread, NULL);
	queue->running = false;
	release(queue);
}

void queue_set_call(struct queue *queue, int fd)
{
	pthread_mutex_lock(&queue->used_lock);
	fd_close(&queue->call_fd);
	queue->call_fd = fd;
	/* What was given back before has gone without a signal. */
	signal_eventfd(queue->running ? fd : -1);
	pthread_mutex_unlock(&queue->used_lock);
}
