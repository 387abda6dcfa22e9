// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtio-balloon: the guest gives pages back (virtio 1.2 section 5.5), on request by inflating, and
 * on its own by reporting what is free.
 *
 * Page numbers are the guest's word: they are read once, in small batches, sorted, joined into
 * ranges, and given to memory_discard(), which knows what is RAM. A page that a driver names
 * wrongly costs that guest its contents and nobody else anything. Discarding takes time, so the
 * balloon has a loop of its own.
 *
 * Queue numbers: section 5.5.2 numbers the reporting queue 4, Linux and QEMU count the queues that
 * are there, which makes it 3. We have both, and either one serves.
 */
#include "host-vmm/virtio/balloon.h"

#include <endian.h>
#include <errno.h>
#include <linux/virtio_ids.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/conf/vmconf.h"
#include "host-vmm/loop.h"
#include "host-vmm/machine.h"
#include "host-vmm/memory.h"
#include "host-vmm/state.h"
#include "host-vmm/virtio/models.h"
#include "host-vmm/virtio/virtio.h"
#include "protocol/lib/log.h"

#define BALLOON_CLASS	   0x00ff00 /* PCI: legacy device of no class, as its peers' */
#define BALLOON_QUEUE_SIZE 128
#define BALLOON_IOV_MAX	   64 /* Linux reports 32 ranges in a chain */
#define PFN_BATCH	   256u /* Linux's VIRTIO_BALLOON_ARRAY_PFNS_MAX */
#define PFNS_MAX	   4096u /* of one chain; what is beyond stays with the guest */
#define CHAIN_BATCH	   16u
#define PAGE_BYTES	   (1ull << VIRTIO_BALLOON_PFN_SHIFT)

enum {
	QUEUE_INFLATE = 0,
	QUEUE_DEFLATE = 1,
	QUEUE_STATS = 2,
	N_QUEUES = 5,
};

struct virtio_balloon {
	struct virtio_model model;
	struct log_ratelimit log_limit;
	struct iovec iov[BALLOON_IOV_MAX];
	uint32_t target, actual, poison; /* configuration space; atomic, the first two in pages */
	uint64_t reported; /* bytes; atomic */

	bool running, stats_wanted; /* atomic */
	bool stats_held; /* the guest's buffer waits here until somebody asks */
	uint16_t stats_head;
	pthread_mutex_t stats_lock;
	uint64_t stats[VIRTIO_BALLOON_S_NR]; /* under stats_lock, as the next */
	uint64_t told;
};

static struct virtio_balloon *balloon_of(struct virtio_device *vdev)
{
	return (struct virtio_balloon *)vdev->device;
}

/* ---- inflating ---- */

static void discard(struct virtio_balloon *balloon, uint64_t first_pfn, uint64_t count)
{
	uint64_t gpa = first_pfn << VIRTIO_BALLOON_PFN_SHIFT;
	int ret = memory_discard(balloon->model.device.machine->memory, gpa, count * PAGE_BYTES);

	if (ret < 0)
		log_ratelimited(&balloon->log_limit, LOG_LEVEL_WARN,
				"%s: %llu pages at 0x%llx are not given back: %s",
				balloon->model.device.name, (unsigned long long)count,
				(unsigned long long)gpa, strerror(-ret));
}

static int compare_pfns(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void discard_batch(struct virtio_balloon *balloon, uint32_t *pfns, size_t count)
{
	size_t start = 0;

	for (size_t i = 0; i < count; i++)
		pfns[i] = le32toh(pfns[i]);
	qsort(pfns, count, sizeof(pfns[0]), compare_pfns);
	for (size_t i = 1; i <= count; i++) {
		/* A page named twice is in the range already. */
		if (i < count && pfns[i] - pfns[i - 1] <= 1)
			continue;
		discard(balloon, pfns[start], (uint64_t)pfns[i - 1] - pfns[start] + 1);
		start = i;
	}
}

static void inflate(struct virtio_balloon *balloon, const struct virtq_chain *chain)
{
	uint32_t pfns[PFN_BATCH];
	size_t total = chain->out_len / sizeof(pfns[0]);

	if (total > PFNS_MAX)
		total = PFNS_MAX;
	for (size_t done = 0; done < total;) {
		size_t count = total - done < PFN_BATCH ? total - done : PFN_BATCH;

		(void)memory_iov_read(chain->iov, chain->n_out, done * sizeof(pfns[0]), pfns,
				      count * sizeof(pfns[0]));
		discard_batch(balloon, pfns, count);
		done += count;
	}
}

/* ---- free page reporting ---- */

static bool find_gpa(const struct memory *memory, const void *host, uint64_t *ret_gpa)
{
	const struct memory_region *regions;
	size_t count;

	regions = memory_regions(memory, &count);
	for (size_t i = 0; i < count; i++) {
		uint64_t offset = (uint64_t)((const char *)host - (const char *)regions[i].host);

		if (host >= regions[i].host && offset < regions[i].size) {
			*ret_gpa = regions[i].gpa + offset;
			return true;
		}
	}
	return false;
}

static void report(struct virtio_balloon *balloon, const struct virtq_chain *chain)
{
	const struct memory *memory = balloon->model.device.machine->memory;
	const struct iovec *ranges = chain->iov + chain->n_out;

	/* Section 5.5.6.7: with a poison value the pages must keep it, and ours come back zero. */
	if (__atomic_load_n(&balloon->poison, __ATOMIC_RELAXED) != 0)
		return;
	for (unsigned int i = 0; i < chain->n_in; i++) {
		uint64_t gpa;

		if (!find_gpa(memory, ranges[i].iov_base, &gpa))
			continue;
		if (memory_discard(memory, gpa, ranges[i].iov_len) == 0)
			__atomic_add_fetch(&balloon->reported, ranges[i].iov_len, __ATOMIC_RELAXED);
	}
}

/* ---- statistics ---- */

static void take_stats(struct virtio_balloon *balloon, const struct virtq_chain *chain)
{
	struct virtio_balloon_stat stats[2 * VIRTIO_BALLOON_S_NR];
	size_t len =
		memory_iov_read(chain->iov, chain->n_out, 0, stats,
				chain->out_len < sizeof(stats) ? chain->out_len : sizeof(stats));

	pthread_mutex_lock(&balloon->stats_lock);
	memset(balloon->stats, 0xff, sizeof(balloon->stats));
	for (size_t i = 0; i < len / sizeof(stats[0]); i++) {
		uint16_t tag = le16toh(stats[i].tag);

		if (tag < VIRTIO_BALLOON_S_NR)
			balloon->stats[tag] = le64toh(stats[i].val);
	}
	balloon->told++;
	pthread_mutex_unlock(&balloon->stats_lock);
}

/* Giving the buffer back asks for a new one. */
static void ask_for_stats(struct virtio_balloon *balloon)
{
	struct virtqueue *vq = &balloon->model.vdev.queues[QUEUE_STATS];

	if (!balloon->stats_held)
		return;
	balloon->stats_held = false;
	virtqueue_push(vq, balloon->stats_head, 0);
	virtqueue_notify(vq);
}

/* ---- the device ---- */

static bool is_stats(struct virtio_device *vdev, const struct virtqueue *vq)
{
	return vq->index == QUEUE_STATS && virtio_has_feature(vdev, VIRTIO_BALLOON_F_STATS_VQ);
}

static void serve(struct virtio_balloon *balloon, struct virtqueue *vq,
		  const struct virtq_chain *chain)
{
	struct virtio_device *vdev = &balloon->model.vdev;

	if (is_stats(vdev, vq)) {
		/* One is held at a time. */
		ask_for_stats(balloon);
		take_stats(balloon, chain);
		balloon->stats_held = true;
		balloon->stats_head = chain->head;
		return;
	}
	if (vq->index == QUEUE_INFLATE)
		inflate(balloon, chain);
	else if (vq->index != QUEUE_DEFLATE && virtio_has_feature(vdev, VIRTIO_BALLOON_F_REPORTING))
		report(balloon, chain);
	virtqueue_push(vq, chain->head, 0);
}

static void balloon_kick(struct virtio_device *vdev, struct virtqueue *vq)
{
	struct virtio_balloon *balloon = balloon_of(vdev);
	struct virtq_chain chain = { .iov = balloon->iov, .iov_max = BALLOON_IOV_MAX };
	unsigned int served = 0;
	int ret;

	if (is_stats(vdev, vq) &&
	    __atomic_exchange_n(&balloon->stats_wanted, false, __ATOMIC_RELAXED))
		ask_for_stats(balloon);
	do {
		virtqueue_disable_kicks(vq);
		while ((ret = virtqueue_pop(vq, &chain)) > 0) {
			serve(balloon, vq, &chain);
			if (++served == CHAIN_BATCH) {
				virtqueue_kick(vq);
				virtqueue_notify(vq);
				return;
			}
		}
	} while (ret == 0 && virtqueue_enable_kicks(vq));
	virtqueue_notify(vq);
}

static uint64_t balloon_features(struct virtio_device *vdev)
{
	(void)vdev;
	return 1ull << VIRTIO_BALLOON_F_STATS_VQ | 1ull << VIRTIO_BALLOON_F_DEFLATE_ON_OOM |
	       1ull << VIRTIO_BALLOON_F_PAGE_POISON | 1ull << VIRTIO_BALLOON_F_REPORTING;
}

static void balloon_config_read(struct virtio_device *vdev, size_t offset, void *data, size_t len)
{
	const struct virtio_balloon *balloon = balloon_of(vdev);
	const struct virtio_balloon_config config = {
		.num_pages = htole32(__atomic_load_n(&balloon->target, __ATOMIC_RELAXED)),
		.actual = htole32(__atomic_load_n(&balloon->actual, __ATOMIC_RELAXED)),
		.poison_val = htole32(__atomic_load_n(&balloon->poison, __ATOMIC_RELAXED)),
	};

	if (offset < sizeof(config))
		memcpy(data, (const uint8_t *)&config + offset,
		       len < sizeof(config) - offset ? len : sizeof(config) - offset);
}

static void balloon_config_written(struct virtio_device *vdev, size_t offset, const void *data,
				   size_t len)
{
	struct virtio_balloon *balloon = balloon_of(vdev);
	uint32_t value;

	if (len != sizeof(value))
		return;
	memcpy(&value, data, sizeof(value));
	if (offset == offsetof(struct virtio_balloon_config, actual))
		__atomic_store_n(&balloon->actual, le32toh(value), __ATOMIC_RELAXED);
	else if (offset == offsetof(struct virtio_balloon_config, poison_val))
		__atomic_store_n(&balloon->poison, le32toh(value), __ATOMIC_RELAXED);
}

static int balloon_start(struct virtio_device *vdev)
{
	__atomic_store_n(&balloon_of(vdev)->running, true, __ATOMIC_RELAXED);
	return 0;
}

static void balloon_stop(struct virtio_device *vdev)
{
	struct virtio_balloon *balloon = balloon_of(vdev);

	/* Popped again when the device goes on. */
	if (balloon->stats_held)
		virtqueue_unpop(&vdev->queues[QUEUE_STATS]);
	balloon->stats_held = false;
	__atomic_store_n(&balloon->running, false, __ATOMIC_RELAXED);
}

/* The target is the host's and stays. */
static void balloon_reset(struct virtio_device *vdev)
{
	struct virtio_balloon *balloon = balloon_of(vdev);

	__atomic_store_n(&balloon->actual, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&balloon->poison, 0, __ATOMIC_RELAXED);
	pthread_mutex_lock(&balloon->stats_lock);
	memset(balloon->stats, 0xff, sizeof(balloon->stats));
	pthread_mutex_unlock(&balloon->stats_lock);
}

static int balloon_save(struct virtio_device *vdev, struct state *state)
{
	const struct virtio_balloon *balloon = balloon_of(vdev);

	state_put_u32(state, balloon->target);
	state_put_u32(state, balloon->actual);
	state_put_u32(state, balloon->poison);
	return state_error(state);
}

static int balloon_load(struct virtio_device *vdev, struct state *state)
{
	struct virtio_balloon *balloon = balloon_of(vdev);

	balloon->target = state_get_u32(state);
	balloon->actual = state_get_u32(state);
	balloon->poison = state_get_u32(state);
	return state_error(state);
}

static const struct virtio_ops balloon_ops = {
	.id = VIRTIO_ID_BALLOON,
	.class_code = BALLOON_CLASS,
	.features = balloon_features,
	.config_read = balloon_config_read,
	.config_written = balloon_config_written,
	.start = balloon_start,
	.stop = balloon_stop,
	.reset = balloon_reset,
	.kick = balloon_kick,
	.save = balloon_save,
	.load = balloon_load,
};

/* ---- what the host asks ---- */

static struct virtio_balloon *find_balloon(struct machine *machine)
{
	for (size_t i = 0; i < machine->n_devices; i++)
		if (machine->devices[i]->type == &virtio_balloon_type)
			return (struct virtio_balloon *)machine->devices[i];
	return NULL;
}

int balloon_set_target(struct machine *machine, uint64_t bytes)
{
	struct virtio_balloon *balloon = find_balloon(machine);
	uint32_t pages;

	if (!balloon)
		return -ENODEV;
	if (bytes >= memory_size(machine->memory) || bytes / PAGE_BYTES > UINT32_MAX)
		return -ERANGE;
	pages = (uint32_t)(bytes / PAGE_BYTES);
	/* Said again to a guest that took memory back by itself: it may have it to give now. */
	if (__atomic_exchange_n(&balloon->target, pages, __ATOMIC_RELAXED) != pages ||
	    __atomic_load_n(&balloon->actual, __ATOMIC_RELAXED) != pages)
		virtio_config_changed(&balloon->model.vdev);
	return 0;
}

int balloon_get_info(struct machine *machine, struct balloon_info *ret_info)
{
	struct virtio_balloon *balloon = find_balloon(machine);

	if (!balloon)
		return -ENODEV;
	pthread_mutex_lock(&balloon->stats_lock);
	memcpy(ret_info->stats, balloon->stats, sizeof(balloon->stats));
	ret_info->told = balloon->told;
	pthread_mutex_unlock(&balloon->stats_lock);
	/* The loop gives the guest its buffer back, which asks for new ones. */
	__atomic_store_n(&balloon->stats_wanted, true, __ATOMIC_RELAXED);
	virtqueue_kick(&balloon->model.vdev.queues[QUEUE_STATS]);
	ret_info->driver = __atomic_load_n(&balloon->running, __ATOMIC_RELAXED);
	ret_info->target = __atomic_load_n(&balloon->target, __ATOMIC_RELAXED) * PAGE_BYTES;
	ret_info->actual = __atomic_load_n(&balloon->actual, __ATOMIC_RELAXED) * PAGE_BYTES;
	ret_info->reported = __atomic_load_n(&balloon->reported, __ATOMIC_RELAXED);
	return 0;
}

/* ---- life ---- */

static size_t balloon_count(const struct vm_config *config)
{
	return config->balloon ? 1 : 0;
}

static void balloon_destroy(struct device *device)
{
	struct virtio_balloon *balloon = (struct virtio_balloon *)device;

	virtio_model_destroy(device);
	loop_destroy(balloon->model.vdev.loop);
	pthread_mutex_destroy(&balloon->stats_lock);
}

static int balloon_create(struct device *device)
{
	struct virtio_balloon *balloon = (struct virtio_balloon *)device;
	struct virtio_device *vdev = &balloon->model.vdev;
	int ret;

	pthread_mutex_init(&balloon->stats_lock, NULL);
	memset(balloon->stats, 0xff, sizeof(balloon->stats));
	vdev->ops = &balloon_ops;
	vdev->n_queues = N_QUEUES;
	vdev->queue_size = BALLOON_QUEUE_SIZE;
	ret = loop_create("balloon", &vdev->loop);
	if (ret < 0)
		log_error("%s: cannot start its thread: %s", device->name, strerror(-ret));
	else
		ret = virtio_model_register(&balloon->model);
	if (ret < 0)
		balloon_destroy(device);
	return ret;
}

const struct device_type virtio_balloon_type = {
	.name = "virtio-balloon",
	.help = "memory that the guest gives back",
	.size = sizeof(struct virtio_balloon),
	.count = balloon_count,
	.create = balloon_create,
	.reset = virtio_model_reset,
	.destroy = balloon_destroy,
	.save = virtio_model_save,
	.load = virtio_model_load,
};
