// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The balloon's queue of the backdoor.
 *
 * A request is copied whole and checked; then its ranges are given back a piece at a time, so that
 * the machine's other devices have their turn between them. Each range is taken whole or refused,
 * by balloon_pages.h; what is refused is counted for the guest and logged, not more than now and
 * then. The guest's statistics stay here until somebody asks for new ones.
 */
#include "host-vmm/virtio/backdoor_balloon.h"

#include <lodge/backdoor.h>
#include <lodge/balloon.h>

#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/conf/vmconf.h"
#include "host-vmm/machine.h"
#include "host-vmm/memory.h"
#include "host-vmm/state.h"
#include "host-vmm/virtio/backdoor_device.h"
#include "host-vmm/virtio/balloon.h"
#include "host-vmm/virtio/balloon_pages.h"
#include "host-vmm/virtio/virtio.h"
#include "protocol/lib/log.h"

#define IOV_MAX_HERE 64u
#define TURN_BYTES   (64ull << 20) /* given back until other devices have their turn */
#define TURN_CHAINS  16u
#define LOOK_PART    512u /* of a range's bytes: what it costs to look at its bits, in those */
#define PAGE_BYTES   (1ull << LODGE_BALLOON_PAGE_SHIFT)

/* The request at work: a copy. */
struct job {
	bool active;
	struct virtq_chain chain;
	struct iovec iov[IOV_MAX_HERE];
	unsigned int op, count, at, refused;
	uint64_t done; /* bytes of the range at work that were given back */
	struct lodge_balloon_range ranges[LODGE_BALLOON_ELEMENTS_MAX];
};

struct backdoor_balloon {
	struct virtio_device *vdev;
	struct log_ratelimit log_limit;
	struct balloon_pages *pages; /* from the first request on */
	struct job job;
	uint32_t target; /* pages; atomic */
	uint64_t actual, reported; /* bytes; atomic */

	bool stats_wanted; /* atomic */
	bool stats_held;
	struct virtq_chain stats_chain;
	struct iovec stats_iov[IOV_MAX_HERE];
	pthread_mutex_t lock; /* of what follows */
	bool driver;
	uint64_t stats[VIRTIO_BALLOON_S_NR];
	uint64_t told;
};

static struct machine *machine_of(const struct backdoor_balloon *balloon)
{
	return balloon->vdev->device->machine;
}

uint32_t backdoor_balloon_target(const struct backdoor_balloon *balloon)
{
	return __atomic_load_n(&balloon->target, __ATOMIC_RELAXED);
}

static void complain(struct backdoor_balloon *balloon, const char *what, uint64_t gpa, uint64_t len,
		     int error)
{
	log_ratelimited(&balloon->log_limit, LOG_LEVEL_WARN,
			"%s: %s of %llu bytes at 0x%llx is refused: %s",
			balloon->vdev->device->name, what, (unsigned long long)len,
			(unsigned long long)gpa,
			error == -EEXIST   ? "it is in the balloon already"
			: error == -ENOENT ? "it is not in the balloon"
			: error == -EFAULT ? "it is not the guest's memory"
					   : strerror(-error));
}

static void answer(struct virtqueue *vq, const struct virtq_chain *chain, uint32_t target,
		   unsigned int refused)
{
	const struct lodge_balloon_reply reply = {
		.refused = htole16((uint16_t)refused),
		.target = htole32(target),
	};
	size_t written =
		memory_iov_write(chain->iov + chain->n_out, chain->n_in, 0, &reply, sizeof(reply));

	virtqueue_push(vq, chain->head, (uint32_t)written);
}

/* ---- statistics ---- */

static void take_stats(struct backdoor_balloon *balloon, const struct virtq_chain *chain,
		       unsigned int count)
{
	static const struct {
		unsigned int from, to;
	} places[] = {
		{ LODGE_BALLOON_STAT_TOTAL, VIRTIO_BALLOON_S_MEMTOT },
		{ LODGE_BALLOON_STAT_FREE, VIRTIO_BALLOON_S_MEMFREE },
		{ LODGE_BALLOON_STAT_AVAILABLE, VIRTIO_BALLOON_S_AVAIL },
		{ LODGE_BALLOON_STAT_CACHED, VIRTIO_BALLOON_S_CACHES },
		{ LODGE_BALLOON_STAT_SWAP_IN, VIRTIO_BALLOON_S_SWAP_IN },
		{ LODGE_BALLOON_STAT_SWAP_OUT, VIRTIO_BALLOON_S_SWAP_OUT },
		{ LODGE_BALLOON_STAT_MAJOR, VIRTIO_BALLOON_S_MAJFLT },
		{ LODGE_BALLOON_STAT_MINOR, VIRTIO_BALLOON_S_MINFLT },
	};
	uint64_t values[LODGE_BALLOON_STATS_MAX];

	memset(values, 0xff, sizeof(values));
	if (count > LODGE_BALLOON_STATS_MAX)
		count = LODGE_BALLOON_STATS_MAX;
	(void)memory_iov_read(chain->iov, chain->n_out, sizeof(struct lodge_balloon_request),
			      values, count * sizeof(values[0]));
	pthread_mutex_lock(&balloon->lock);
	memset(balloon->stats, 0xff, sizeof(balloon->stats));
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		balloon->stats[places[i].to] = le64toh(values[places[i].from]);
	balloon->driver = true;
	balloon->told++;
	pthread_mutex_unlock(&balloon->lock);
}

/* Giving the chain back asks for the next statistics. */
static void release_stats(struct backdoor_balloon *balloon, struct virtqueue *vq)
{
	if (!balloon->stats_held)
		return;
	balloon->stats_held = false;
	answer(vq, &balloon->stats_chain, backdoor_balloon_target(balloon), 0);
	virtqueue_notify(vq);
}

/* The module goes: it wants back what is held, and this. */
static void end_stats(struct backdoor_balloon *balloon, struct virtqueue *vq)
{
	pthread_mutex_lock(&balloon->lock);
	balloon->driver = false;
	memset(balloon->stats, 0xff, sizeof(balloon->stats));
	pthread_mutex_unlock(&balloon->lock);
	answer(vq, &balloon->job.chain, backdoor_balloon_target(balloon), 0);
}

static void hold_stats(struct backdoor_balloon *balloon, struct virtqueue *vq)
{
	struct job *job = &balloon->job;

	/* One is held at a time. */
	release_stats(balloon, vq);
	if (job->count == 0) {
		end_stats(balloon, vq);
		job->active = false;
		return;
	}
	take_stats(balloon, &job->chain, job->count);
	balloon->stats_chain = job->chain;
	memcpy(balloon->stats_iov, job->iov, sizeof(job->iov));
	balloon->stats_chain.iov = balloon->stats_iov;
	balloon->stats_held = true;
	job->active = false;
}

/* ---- ranges ---- */

static void give_back(struct backdoor_balloon *balloon, uint64_t gpa, uint64_t len)
{
	int ret = memory_discard(machine_of(balloon)->memory, gpa, len);

	if (ret < 0)
		log_ratelimited(&balloon->log_limit, LOG_LEVEL_WARN,
				"%s: %llu bytes at 0x%llx are not given back: %s",
				balloon->vdev->device->name, (unsigned long long)len,
				(unsigned long long)gpa, strerror(-ret));
	else if (balloon->job.op == LODGE_BALLOON_REPORT)
		__atomic_add_fetch(&balloon->reported, len, __ATOMIC_RELAXED);
}

/* 0, or why the range is refused. */
static int check_range(struct backdoor_balloon *balloon, const struct lodge_balloon_range *range,
		       uint64_t gpa, uint64_t len)
{
	if (range->reserved)
		return -EINVAL;
	switch (balloon->job.op) {
	case LODGE_BALLOON_INFLATE:
		return balloon_pages_put(balloon->pages, gpa, len);
	case LODGE_BALLOON_DEFLATE:
		return balloon_pages_take(balloon->pages, gpa, len);
	default:
		return balloon_pages_check(balloon->pages, gpa, len);
	}
}

/* Does up to @left bytes of the range at work, and goes to the next one behind its end: the bytes
 * that it did, or what looking at it was worth. */
static uint64_t work_on_range(struct backdoor_balloon *balloon, uint64_t left)
{
	static const char *const what[] = {
		[LODGE_BALLOON_INFLATE] = "inflating",
		[LODGE_BALLOON_DEFLATE] = "deflating",
		[LODGE_BALLOON_REPORT] = "reporting",
	};
	struct job *job = &balloon->job;
	const struct lodge_balloon_range *range = &job->ranges[job->at];
	uint64_t gpa = le64toh(range->address), len = le32toh(range->pages) * PAGE_BYTES, part;
	uint64_t looked = len / LOOK_PART + PAGE_BYTES;

	if (job->done == 0) {
		int ret = check_range(balloon, range, gpa, len);

		if (ret < 0) {
			complain(balloon, what[job->op], gpa, len, ret);
			job->refused++;
		}
		if (ret < 0 || job->op == LODGE_BALLOON_DEFLATE) {
			job->at++;
			return looked < left ? looked : left;
		}
	}
	part = len - job->done < left ? len - job->done : left;
	give_back(balloon, gpa + job->done, part);
	job->done += part;
	if (job->done == len) {
		job->done = 0;
		job->at++;
	}
	return part;
}

/* Whether the request is done; it is answered then. */
static bool work(struct backdoor_balloon *balloon, struct virtqueue *vq, uint64_t *left)
{
	struct job *job = &balloon->job;

	while (job->at<job->count && * left> 0)
		*left -= work_on_range(balloon, *left);
	__atomic_store_n(&balloon->actual, balloon_pages_bytes(balloon->pages), __ATOMIC_RELAXED);
	if (job->at < job->count)
		return false;
	answer(vq, &job->chain, backdoor_balloon_target(balloon), job->refused);
	job->active = false;
	return true;
}

/* ---- requests ---- */

static int read_request(struct job *job)
{
	struct lodge_balloon_request request;
	size_t size;

	if (memory_iov_read(job->chain.iov, job->chain.n_out, 0, &request, sizeof(request)) !=
	    sizeof(request))
		return -EBADMSG;
	job->op = le16toh(request.op);
	job->count = le16toh(request.count);
	job->at = job->refused = 0;
	job->done = 0;
	if (request.reserved || job->count > LODGE_BALLOON_ELEMENTS_MAX ||
	    job->chain.in_len < sizeof(struct lodge_balloon_reply))
		return -EBADMSG;
	switch (job->op) {
	case LODGE_BALLOON_STATS:
		size = job->count * sizeof(__le64);
		break;
	case LODGE_BALLOON_INFLATE:
	case LODGE_BALLOON_DEFLATE:
	case LODGE_BALLOON_REPORT:
		size = job->count * sizeof(job->ranges[0]);
		(void)memory_iov_read(job->chain.iov, job->chain.n_out, sizeof(request),
				      job->ranges, size);
		break;
	default:
		return -EBADMSG;
	}
	return job->chain.out_len == sizeof(request) + size ? 0 : -EBADMSG;
}

static void begin(struct backdoor_balloon *balloon, struct virtqueue *vq)
{
	struct job *job = &balloon->job;
	int ret = read_request(job);

	if (ret == 0 && !balloon->pages && job->op != LODGE_BALLOON_STATS)
		ret = balloon_pages_create(machine_of(balloon)->memory, &balloon->pages);
	if (ret < 0) {
		log_ratelimited(&balloon->log_limit, LOG_LEVEL_WARN,
				"%s: a request of the balloon's was dropped: %s",
				balloon->vdev->device->name,
				ret == -ENOMEM ? "out of memory" : "it is malformed");
		virtqueue_push(vq, job->chain.head, 0);
		return;
	}
	job->active = true;
	if (job->op == LODGE_BALLOON_STATS)
		hold_stats(balloon, vq);
}

void backdoor_balloon_kick(struct backdoor_balloon *balloon, struct virtqueue *vq)
{
	struct job *job = &balloon->job;
	uint64_t left = TURN_BYTES;
	unsigned int served = 0;
	int ret;

	if (__atomic_exchange_n(&balloon->stats_wanted, false, __ATOMIC_RELAXED))
		release_stats(balloon, vq);
	do {
		virtqueue_disable_kicks(vq);
		for (;;) {
			if (job->active && !work(balloon, vq, &left))
				goto next_turn;
			if (served++ == TURN_CHAINS)
				goto next_turn;
			job->chain =
				(struct virtq_chain){ .iov = job->iov, .iov_max = IOV_MAX_HERE };
			ret = virtqueue_pop(vq, &job->chain);
			if (ret <= 0)
				break;
			begin(balloon, vq);
		}
	} while (ret == 0 && virtqueue_enable_kicks(vq));
	virtqueue_notify(vq);
	return;
next_turn:
	virtqueue_kick(vq);
	virtqueue_notify(vq);
}

/* ---- the device's life ---- */

void backdoor_balloon_stop(struct backdoor_balloon *balloon, struct virtqueue *vq)
{
	/* What is half done is finished, so that it need not be saved. Reports are an offer, and
	 * may name all of memory again and again. */
	if (balloon->job.active && !vq->broken) {
		uint64_t left = UINT64_MAX;

		if (balloon->job.op == LODGE_BALLOON_REPORT)
			balloon->job.at = balloon->job.count;
		(void)work(balloon, vq, &left);
		virtqueue_notify(vq);
	}
	balloon->job.active = false;
	/* Popped again when the device goes on. What was popped after it is answered. */
	if (balloon->stats_held)
		release_stats(balloon, vq);
}

void backdoor_balloon_reset(struct backdoor_balloon *balloon)
{
	if (balloon->pages)
		balloon_pages_clear(balloon->pages);
	__atomic_store_n(&balloon->actual, 0, __ATOMIC_RELAXED);
	pthread_mutex_lock(&balloon->lock);
	balloon->driver = false;
	memset(balloon->stats, 0xff, sizeof(balloon->stats));
	pthread_mutex_unlock(&balloon->lock);
}

int backdoor_balloon_save(const struct backdoor_balloon *balloon, struct state *state)
{
	state_put_u32(state, backdoor_balloon_target(balloon));
	state_put_u8(state, balloon->pages ? 1 : 0);
	return balloon->pages ? balloon_pages_save(balloon->pages, state) : state_error(state);
}

int backdoor_balloon_load(struct backdoor_balloon *balloon, struct state *state)
{
	int ret = 0;

	__atomic_store_n(&balloon->target, state_get_u32(state), __ATOMIC_RELAXED);
	if (state_get_u8(state) == 0)
		return state_error(state);
	if (!balloon->pages)
		ret = balloon_pages_create(machine_of(balloon)->memory, &balloon->pages);
	if (ret == 0)
		ret = balloon_pages_load(balloon->pages, state);
	if (ret == 0)
		__atomic_store_n(&balloon->actual, balloon_pages_bytes(balloon->pages),
				 __ATOMIC_RELAXED);
	return ret;
}

int backdoor_balloon_create(struct virtio_device *vdev, struct backdoor_balloon **ret_balloon)
{
	struct backdoor_balloon *balloon = calloc(1, sizeof(*balloon));

	if (!balloon)
		return -ENOMEM;
	balloon->vdev = vdev;
	memset(balloon->stats, 0xff, sizeof(balloon->stats));
	pthread_mutex_init(&balloon->lock, NULL);
	*ret_balloon = balloon;
	return 0;
}

void backdoor_balloon_destroy(struct backdoor_balloon *balloon)
{
	if (!balloon)
		return;
	balloon_pages_destroy(balloon->pages);
	pthread_mutex_destroy(&balloon->lock);
	free(balloon);
}

/* ---- what the host asks ---- */

int backdoor_balloon_set(struct machine *machine, uint64_t bytes)
{
	struct backdoor_balloon *balloon = virtio_backdoor_balloon(machine);
	uint32_t pages = (uint32_t)(bytes / PAGE_BYTES);

	if (!balloon)
		return -ENODEV;
	if (bytes >= memory_size(machine->memory) || bytes / PAGE_BYTES > UINT32_MAX)
		return -ERANGE;
	if (__atomic_exchange_n(&balloon->target, pages, __ATOMIC_RELAXED) != pages)
		virtio_config_changed(balloon->vdev);
	return 0;
}

int backdoor_balloon_get(struct machine *machine, struct balloon_info *ret_info)
{
	struct backdoor_balloon *balloon = virtio_backdoor_balloon(machine);

	if (!balloon)
		return -ENODEV;
	pthread_mutex_lock(&balloon->lock);
	memcpy(ret_info->stats, balloon->stats, sizeof(balloon->stats));
	ret_info->told = balloon->told;
	ret_info->driver = balloon->driver;
	pthread_mutex_unlock(&balloon->lock);
	__atomic_store_n(&balloon->stats_wanted, true, __ATOMIC_RELAXED);
	virtqueue_kick(&balloon->vdev->queues[LODGE_BACKDOOR_QUEUE_BALLOON]);
	ret_info->target = backdoor_balloon_target(balloon) * PAGE_BYTES;
	ret_info->actual = __atomic_load_n(&balloon->actual, __ATOMIC_RELAXED);
	ret_info->reported = __atomic_load_n(&balloon->reported, __ATOMIC_RELAXED);
	return 0;
}
