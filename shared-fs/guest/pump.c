// SPDX-License-Identifier: GPL-2.0-or-later
/* The pump's threads. */
#include "shared-fs/guest/pump.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "protocol/lib/fd.h"
#include "protocol/lib/log.h"
#include "protocol/lib/thread.h"
#include "shared-fs/guest/message.h"

#define PAGE 4096u
/* WRITE's data, behind 80 bytes of headers, begins with a page. */
#define REQUEST_OFFSET \
	(PAGE - (uint32_t)(sizeof(struct fuse_in_header) + sizeof(struct fuse_write_in)))
/* What a request leaves of its slot for a small reply. */
#define REPLY_LEAST (4 * PAGE)
#define STACK_SIZE  (256u << 10)
/* Requests under way that one program makes which waits for each: what it closes, and what it does
 * next. */
#define BUSY_FEW 2
/* After so many requests it is thought over where the workers run. */
#define WINDOW 64

/* A request whose reply comes by read(2). */
struct waiting {
	uint64_t unique; /* 0: free */
	int fuse_fd; /* the descriptor that it was read from, which wants its reply, too */
};

struct worker {
	struct pump *pump;
	pthread_t thread;
	uint32_t slot;
	int fuse_fd;
	uint8_t *memory;
};

struct pump {
	struct pump_config config;
	int over_fd; /* eventfd: the end, for everybody */
	int result;
	bool over;
	int idle; /* workers that wait for a request; atomic */
	unsigned int taken; /* requests; atomic */
	unsigned int crowded; /* of the last WINDOW, how many were one of many; atomic */
	cpu_set_t cpus; /* that the workers may run on; none: not known */
	bool together; /* they run on one of them; under lock */
	pthread_mutex_t lock; /* of what follows */
	uint32_t n_workers;
	uint32_t workers_max;
	struct worker workers[LODGE_FS_SLOTS_MAX];
	pthread_t returner;
	struct waiting waiting[LODGE_FS_MESSAGES_MAX];
	struct log_ratelimit bad_replies;
	struct log_ratelimit failures;
};

static bool is_over(struct pump *pump)
{
	return __atomic_load_n(&pump->over, __ATOMIC_ACQUIRE);
}

static void end(struct pump *pump, int result)
{
	const uint64_t one = 1;

	pthread_mutex_lock(&pump->lock);
	if (!pump->over)
		pump->result = result;
	__atomic_store_n(&pump->over, true, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&pump->lock);
	if (write(pump->over_fd, &one, sizeof(one)) < 0)
		return; /* full: it was said already */
}

static bool device_is_gone(int error)
{
	return error == -ENODEV || error == -ECONNRESET;
}

/* The kernel has no use for a reply whose request was aborted. */
static void answer_error(int fuse_fd, uint64_t unique, int error)
{
	struct fuse_out_header header = message_error(unique, error);

	if (write(fuse_fd, &header, sizeof(header)) < 0)
		return;
}

/* What the device wrote, to the kernel; EIO instead where that makes no sense. */
static void answer(struct pump *pump, int fuse_fd, uint64_t unique, const void *reply, size_t size)
{
	bool good = message_is_reply(unique, reply, size);

	if (good && (write(fuse_fd, reply, size) == (ssize_t)size || errno != EINVAL))
		return;
	log_ratelimited(&pump->bad_replies, LOG_LEVEL_WARN,
			"the host's reply of %zu bytes to request %llu makes no sense", size,
			(unsigned long long)unique);
	answer_error(fuse_fd, unique, -EIO);
}

static void device_failed(struct pump *pump, int error)
{
	if (device_is_gone(error))
		end(pump, error);
	else
		log_ratelimited(&pump->failures, LOG_LEVEL_WARN,
				"the device does not take a request: %s", strerror(-error));
}

static int send_small(const struct pump *pump, const void *message, size_t size)
{
	return write(pump->config.device.fd, message, size) == (ssize_t)size ? 0 : -errno;
}

static void send_quiet(struct pump *pump, const uint8_t *message, size_t size)
{
	uint64_t part[LODGE_FS_MESSAGE_MAX / sizeof(uint64_t)];
	struct fuse_in_header header;
	struct message_cut cut;
	int err = 0;
	size_t n;

	memcpy(&header, message, sizeof(header));
	if (size <= sizeof(part)) {
		err = send_small(pump, message, size);
	} else if (header.opcode == FUSE_BATCH_FORGET && message_cut_begin(&cut, message, size)) {
		while (!err && (n = message_cut_next(&cut, part, sizeof(part))))
			err = send_small(pump, part, n);
	}
	if (err)
		device_failed(pump, err);
}

static struct waiting *find_waiting(struct pump *pump, uint64_t unique)
{
	for (size_t i = 0; i < LODGE_FS_MESSAGES_MAX; i++) {
		if (pump->waiting[i].unique == unique)
			return &pump->waiting[i];
	}
	return NULL;
}

static void send_waiting(struct worker *worker, const uint8_t *message, size_t size)
{
	struct pump *pump = worker->pump;
	struct fuse_in_header header;
	struct waiting *waiting;
	int err = -ENOLCK;

	memcpy(&header, message, sizeof(header));
	pthread_mutex_lock(&pump->lock);
	waiting = find_waiting(pump, 0);
	if (waiting)
		*waiting = (struct waiting){ header.unique, worker->fuse_fd };
	pthread_mutex_unlock(&pump->lock);
	if (waiting)
		err = send_small(pump, message, size);
	if (!err)
		return;
	if (waiting) {
		pthread_mutex_lock(&pump->lock);
		waiting->unique = 0;
		pthread_mutex_unlock(&pump->lock);
		device_failed(pump, err);
	}
	answer_error(worker->fuse_fd, header.unique, device_is_gone(err) ? -EIO : -ENOLCK);
}

static void exchange(struct worker *worker, size_t size)
{
	struct pump *pump = worker->pump;
	const uint32_t slot_size = pump->config.slot_size;
	uint32_t end_of_request = REQUEST_OFFSET + (uint32_t)size;
	struct lodge_fs_exchange x = {
		.slot = worker->slot,
		.request_offset = REQUEST_OFFSET,
		.request_size = (uint32_t)size,
		/* READ's data, behind 16 bytes of header, begins with a page. */
		.reply_offset = (end_of_request + PAGE - 1) / PAGE * PAGE + PAGE -
				(uint32_t)sizeof(struct fuse_out_header),
	};
	struct fuse_in_header header;
	int err;

	memcpy(&header, worker->memory + REQUEST_OFFSET, sizeof(header));
	x.reply_max = message_reply_room(worker->memory + REQUEST_OFFSET, size,
					 slot_size - x.reply_offset);
	err = pump->config.device.exchange(pump->config.device.opaque, &x);
	if (!err) {
		/* The device is done with the slot: what is checked is what is sent. */
		answer(pump, worker->fuse_fd, header.unique, worker->memory + x.reply_offset,
		       x.reply_size < x.reply_max ? x.reply_size : x.reply_max);
		return;
	}
	device_failed(pump, err);
	answer_error(worker->fuse_fd, header.unique, -EIO);
}

static void handle(struct worker *worker, size_t size)
{
	const uint8_t *message = worker->memory + REQUEST_OFFSET;
	struct fuse_in_header header;

	if (!message_is_request(message, size))
		return;
	memcpy(&header, message, sizeof(header));
	switch (message_route(&header)) {
	case MESSAGE_QUIET:
		send_quiet(worker->pump, message, size);
		break;

	case MESSAGE_WAITING:
		send_waiting(worker, message, size);
		break;
	case MESSAGE_EXCHANGED:
		exchange(worker, size);
		break;
	}
}

/*
 * Workers that take turns wake up on processors that have gone idle meanwhile, each of which has to
 * be interrupted and, in a virtual machine, to be run again by the host: for requests that follow
 * one another that takes longer than all the rest. Those are served on one processor, the one that
 * served the last. Requests that come many at a time have all.
 */
static void place_workers(struct pump *pump, bool together)
{
	int cpu = sched_getcpu();
	cpu_set_t one;

	if (cpu < 0 || cpu >= CPU_SETSIZE)
		return;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	pthread_mutex_lock(&pump->lock);
	if (pump->together != together) {
		pump->together = together;
		/* Whoever may not be moved stays where it is. A new one runs where its maker does.
		 */
		for (uint32_t i = 0; i < pump->n_workers; i++)
			pthread_setaffinity_np(pump->workers[i].thread, sizeof(one),
					       together ? &one : &pump->cpus);
	}
	pthread_mutex_unlock(&pump->lock);
}

static void count_request(struct pump *pump)
{
	int idle = __atomic_load_n(&pump->idle, __ATOMIC_RELAXED);
	uint32_t workers = __atomic_load_n(&pump->n_workers, __ATOMIC_RELAXED);
	unsigned int crowded;

	if ((int)workers - idle > BUSY_FEW)
		__atomic_add_fetch(&pump->crowded, 1, __ATOMIC_RELAXED);
	if (__atomic_add_fetch(&pump->taken, 1, __ATOMIC_RELAXED) % WINDOW)
		return;
	crowded = __atomic_exchange_n(&pump->crowded, 0, __ATOMIC_RELAXED);
	if (CPU_COUNT(&pump->cpus) > 1)
		place_workers(pump, crowded < WINDOW / 4);
}

static void *work(void *arg);

/* All are busy: one more. Where there is no memory for it, those that are there do. */
static int add_worker(struct pump *pump)
{
	struct worker *worker;
	int err = 0;

	pthread_mutex_lock(&pump->lock);
	if (pump->n_workers == pump->workers_max || pump->over)
		goto unlock;
	worker = &pump->workers[pump->n_workers];
	worker->pump = pump;
	worker->slot = pump->n_workers;
	err = pump->config.device.map(pump->config.device.opaque, worker->slot,
				      pump->config.slot_size, &worker->memory);
	if (err)
		goto no_more;
	worker->fuse_fd = pump->n_workers && pump->config.clone
				  ? pump->config.clone(pump->config.fuse_fd)
				  : -1;
	if (worker->fuse_fd < 0)
		worker->fuse_fd = pump->config.fuse_fd;
	err = thread_start(&worker->thread, STACK_SIZE, 0, work, worker);
	if (!err) {
		__atomic_add_fetch(&pump->n_workers, 1, __ATOMIC_RELAXED);
		goto unlock;
	}
	if (worker->fuse_fd != pump->config.fuse_fd)
		close(worker->fuse_fd);
no_more:
	pump->workers_max = pump->n_workers;
unlock:
	pthread_mutex_unlock(&pump->lock);
	return err;
}

static void *work(void *arg)
{
	struct worker *worker = arg;
	struct pump *pump = worker->pump;
	const size_t room = pump->config.slot_size - REQUEST_OFFSET - REPLY_LEAST;

	while (!is_over(pump)) {
		ssize_t n;

		__atomic_add_fetch(&pump->idle, 1, __ATOMIC_RELAXED);
		n = read(worker->fuse_fd, worker->memory + REQUEST_OFFSET, room);
		if (!__atomic_sub_fetch(&pump->idle, 1, __ATOMIC_RELAXED) && n > 0)
			add_worker(pump);
		if (n > 0)
			count_request(pump);
		if (n > 0)
			handle(worker, (size_t)n);
		else if (!n || errno == ENODEV)
			end(pump, 0);
		else if (errno != EINTR && errno != EAGAIN && errno != ENOENT)
			end(pump, -errno);
	}
	return NULL;
}

/* One reply that came by read(2). */
static int bring_back(struct pump *pump)
{
	uint64_t reply[LODGE_FS_MESSAGE_MAX / sizeof(uint64_t)];
	struct fuse_out_header header;
	struct waiting found = { 0 };
	struct waiting *waiting;
	ssize_t n = read(pump->config.device.fd, reply, sizeof(reply));

	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -errno;
	memset(&header, 0, sizeof(header));
	memcpy(&header, reply, (size_t)n < sizeof(header) ? (size_t)n : sizeof(header));
	pthread_mutex_lock(&pump->lock);
	waiting = header.unique ? find_waiting(pump, header.unique) : NULL;
	if (waiting) {
		found = *waiting;
		waiting->unique = 0;
	}
	pthread_mutex_unlock(&pump->lock);
	if (waiting)
		answer(pump, found.fuse_fd, found.unique, reply, (size_t)n);
	else
		log_ratelimited(&pump->bad_replies, LOG_LEVEL_WARN,
				"the host answers request %llu, which nobody made",
				(unsigned long long)header.unique);
	return 0;
}

static void *return_replies(void *arg)
{
	struct pump *pump = arg;
	struct pollfd fds[] = { { .fd = pump->config.device.fd, .events = POLLIN },
				{ .fd = pump->over_fd, .events = POLLIN } };

	while (!is_over(pump)) {
		int err = 0;

		if (poll(fds, 2, -1) > 0 && fds[0].revents)
			err = bring_back(pump);
		if (err)
			end(pump, err);
	}
	return NULL;
}

int pump_start(const struct pump_config *config, struct pump **ret_pump)
{
	struct pump *pump = calloc(1, sizeof(*pump));
	int err;

	if (!pump)
		return -ENOMEM;
	pump->config = *config;
	pump->workers_max = config->slots < LODGE_FS_SLOTS_MAX ? config->slots : LODGE_FS_SLOTS_MAX;
	pthread_mutex_init(&pump->lock, NULL);
	if (sched_getaffinity(0, sizeof(pump->cpus), &pump->cpus))
		CPU_ZERO(&pump->cpus);
	pump->over_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = pump->over_fd < 0 ? -errno : 0;
	if (!err)
		err = thread_start(&pump->returner, STACK_SIZE, 0, return_replies, pump);
	if (err)
		goto free_pump;
	err = add_worker(pump);
	if (err) {
		end(pump, err);
		pthread_join(pump->returner, NULL);
		goto free_pump;
	}
	*ret_pump = pump;
	return 0;
free_pump:
	fd_close(&pump->over_fd);
	pthread_mutex_destroy(&pump->lock);
	free(pump);
	return err;
}

int pump_over_fd(const struct pump *pump)
{
	return pump->over_fd;
}

int pump_result(const struct pump *pump)
{
	/* It is written before. */
	return __atomic_load_n(&pump->over, __ATOMIC_ACQUIRE) ? pump->result : 0;
}

void pump_destroy(struct pump *pump)
{
	pthread_join(pump->returner, NULL);
	/* Nobody starts another once it is over. */
	for (uint32_t i = 0; i < pump->n_workers; i++)
		pthread_join(pump->workers[i].thread, NULL);
	for (uint32_t i = 0; i < pump->n_workers; i++) {
		if (pump->workers[i].fuse_fd != pump->config.fuse_fd)
			close(pump->workers[i].fuse_fd);
	}
	fd_close(&pump->over_fd);
	pthread_mutex_destroy(&pump->lock);
	free(pump);
}
