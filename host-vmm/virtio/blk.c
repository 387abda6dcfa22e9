// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtio-blk: disks from raw files and block devices (virtio 1.2 section 5.2).
 *
 * Every disk has a loop of its own. A kick takes all chains that are there, one system call sends
 * them to the kernel, and one interrupt tells of all that completed by then.
 */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>

#include "host-vmm/conf/vmconf.h"
#include "host-vmm/loop.h"
#include "host-vmm/machine.h"
#include "host-vmm/memory.h"
#include "host-vmm/virtio/blk_private.h"
#include "host-vmm/virtio/models.h"

#define BLK_CLASS 0x018000 /* PCI: other mass storage controller */

_Static_assert(sizeof(((struct virtio_blk *)0)->serial) == VIRTIO_BLK_ID_BYTES, "section 5.2.6");

static struct virtio_blk *blk_of(struct virtio_device *vdev)
{
	return (struct virtio_blk *)vdev->device;
}

/* ---- requests ---- */

static struct blk_request *take_request(struct virtio_blk *blk, struct virtqueue *vq)
{
	struct blk_request *request = blk->free;

	if (request)
		blk->free = request->next_free;
	else if (blk->n_used < blk->n_requests)
		request = &blk->requests[blk->n_used++];
	else
		return NULL;
	blk->in_flight++;
	request->blk = blk;
	request->vq = vq;
	return request;
}

static void put_request(struct blk_request *request)
{
	struct virtio_blk *blk = request->blk;

	/* The one used last is taken first, so that few are ever touched. */
	request->next_free = blk->free;
	blk->free = request;
	blk->in_flight--;
}

void blk_finish(struct blk_request *request, uint8_t status)
{
	(void)memory_iov_write(&request->status, 1, 0, &status, sizeof(status));
	virtqueue_push(request->vq, request->head, request->written + sizeof(status));
	put_request(request);
}

static void notify_all(struct virtio_blk *blk)
{
	struct virtio_device *vdev = &blk->model.vdev;

	for (unsigned int i = 0; i < vdev->n_queues; i++)
		virtqueue_notify(&vdev->queues[i]);
}

/* False when the ring is empty, or no longer to be served. */
static bool begin_one(struct virtio_blk *blk, struct virtqueue *vq)
{
	struct blk_request *request = take_request(blk, vq);
	struct virtq_chain chain;

	/* As many as the queues are long, so that only a broken ring gets us here. */
	if (!request)
		return false;
	chain = (struct virtq_chain){ .iov = request->iovs,
				      .iov_max = BLK_IOV_MAX,
				      .may_leave_out = true };
	if (virtqueue_pop(vq, &chain) <= 0) {
		put_request(request);
		return false;
	}
	if (blk_request_begin(request, &chain) < 0) {
		virtqueue_break(vq, "request without header or status byte");
		put_request(request);
		return false;
	}
	return true;
}

static void blk_kick(struct virtio_device *vdev, struct virtqueue *vq)
{
	struct virtio_blk *blk = blk_of(vdev);
	unsigned int begun = 0;

	do {
		virtqueue_disable_kicks(vq);
		while (begin_one(blk, vq)) {
			/* A queue's length, and the others have their turn. */
			if (++begun == BLK_QUEUE_SIZE) {
				virtqueue_kick(vq);
				goto out;
			}
		}
	} while (virtqueue_enable_kicks(vq));
out:
	blk_engine_flush(blk);
	notify_all(blk);
}

static void completions(void *opaque, uint32_t epoll_events)
{
	struct virtio_blk *blk = opaque;

	(void)epoll_events;
	blk_engine_flush(blk);
	notify_all(blk);
}

/* ---- the device ---- */

static uint64_t blk_features(struct virtio_device *vdev)
{
	const struct virtio_blk *blk = blk_of(vdev);
	uint64_t features = 1ull << VIRTIO_BLK_F_SEG_MAX | 1ull << VIRTIO_BLK_F_BLK_SIZE |
			    1ull << VIRTIO_BLK_F_TOPOLOGY | 1ull << VIRTIO_BLK_F_FLUSH;

	if (vdev->n_queues > 1)
		features |= 1ull << VIRTIO_BLK_F_MQ;
	if (blk->image.read_only)
		return features | 1ull << VIRTIO_BLK_F_RO;
	return features | 1ull << VIRTIO_BLK_F_DISCARD | 1ull << VIRTIO_BLK_F_WRITE_ZEROES;
}

static uint8_t exponent(uint32_t ratio)
{
	return ratio > 1 ? (uint8_t)(31 - __builtin_clz(ratio)) : 0;
}

static void blk_config_read(struct virtio_device *vdev, size_t offset, void *data, size_t len)
{
	const struct blk_image *image = &blk_of(vdev)->image;
	const uint32_t block_sectors = image->block_size / BLK_SECTOR;
	const struct virtio_blk_config config = {
		.capacity = htole64(image->sectors),
		.seg_max = htole32(BLK_SEG_MAX),
		.blk_size = htole32(image->block_size),
		.physical_block_exp = exponent(image->physical_block / image->block_size),
		.min_io_size = htole16(1),
		.num_queues = htole16((uint16_t)vdev->n_queues),
		.max_discard_sectors = htole32(BLK_RANGE_MAX & ~(block_sectors - 1)),
		.max_discard_seg = htole32(1),
		.discard_sector_alignment =
			htole32((image->physical_block > image->block_size ? image->physical_block
									   : image->block_size) /
				BLK_SECTOR),
		.max_write_zeroes_sectors = htole32(BLK_RANGE_MAX & ~(block_sectors - 1)),
		.max_write_zeroes_seg = htole32(1),
		.write_zeroes_may_unmap = 1,
	};

	if (offset < sizeof(config))
		memcpy(data, (const uint8_t *)&config + offset,
		       len < sizeof(config) - offset ? len : sizeof(config) - offset);
}

static int blk_start(struct virtio_device *vdev)
{
	struct virtio_blk *blk = blk_of(vdev);

	blk->writethrough = !virtio_has_feature(vdev, VIRTIO_BLK_F_FLUSH);
	return 0;
}

static void blk_stop(struct virtio_device *vdev)
{
	blk_engine_drain(blk_of(vdev));
}

static const struct virtio_ops blk_ops = {
	.id = VIRTIO_ID_BLOCK,
	.class_code = BLK_CLASS,
	.features = blk_features,
	.config_read = blk_config_read,
	.start = blk_start,
	.stop = blk_stop,
	.kick = blk_kick,
};

/* ---- life ---- */

static size_t blk_count(const struct vm_config *config)
{
	return config->n_disks;
}

static int make_requests(struct virtio_blk *blk)
{
	blk->n_requests = (size_t)BLK_QUEUE_SIZE * blk->model.vdev.n_queues;
	blk->requests = calloc(blk->n_requests, sizeof(*blk->requests));
	if (!blk->requests)
		return -ENOMEM;
	blk->zeroes = mmap(NULL, BLK_ZEROES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (blk->zeroes == MAP_FAILED) {
		blk->zeroes = NULL;
		return -errno;
	}
	return 0;
}

struct opening {
	struct virtio_blk *blk;
	int ret;
};

static void open_here(void *opaque)
{
	struct opening *opening = opaque;
	struct virtio_blk *blk = opening->blk;

	blk_engine_open(blk);
	if (blk->has_ring)
		opening->ret = loop_add(blk->model.vdev.loop, blk->ring.ring_fd, EPOLLIN,
					completions, blk, &blk->ring_source);
}

static void close_here(void *opaque)
{
	blk_engine_close(opaque);
}

static void free_blk(struct virtio_blk *blk)
{
	if (blk->model.vdev.loop)
		loop_call(blk->model.vdev.loop, close_here, blk);
	loop_destroy(blk->model.vdev.loop);
	blk->model.vdev.loop = NULL;
	free(blk->requests);
	if (blk->zeroes)
		munmap(blk->zeroes, BLK_ZEROES);
	blk_image_close(&blk->image);
}

static int bring_up(struct virtio_blk *blk, const struct vm_disk *disk)
{
	struct opening opening = { .blk = blk };
	char name[16];
	int ret = make_requests(blk);

	if (ret < 0)
		return ret;
	snprintf(name, sizeof(name), "disk-%.10s", disk->name);
	ret = loop_create(name, &blk->model.vdev.loop);
	if (ret < 0)
		return ret;
	loop_call(blk->model.vdev.loop, open_here, &opening);
	return opening.ret;
}

static int blk_create(struct device *device)
{
	struct virtio_blk *blk = (struct virtio_blk *)device;
	const struct vm_config *config = device->machine->config;
	const struct vm_disk *disk = &config->disks[device->index];
	const char *serial = disk->serial ? disk->serial : disk->name;
	int ret;

	memcpy(blk->serial, serial, strnlen(serial, sizeof(blk->serial)));
	blk->model.vdev.ops = &blk_ops;
	blk->model.vdev.n_queues = config->cpus < BLK_QUEUES_MAX ? config->cpus : BLK_QUEUES_MAX;
	blk->model.vdev.queue_size = BLK_QUEUE_SIZE;
	ret = blk_image_open(&blk->image, disk, config->dir, device->name);
	if (ret < 0)
		return ret;
	ret = bring_up(blk, disk);
	if (ret < 0)
		log_error("%s: cannot be set up: %s", device->name, strerror(-ret));
	else
		ret = virtio_model_register(&blk->model);
	if (ret < 0)
		free_blk(blk);
	return ret;
}

static void blk_destroy(struct device *device)
{
	virtio_model_destroy(device);
	free_blk((struct virtio_blk *)device);
}

const struct device_type virtio_blk_type = {
	.name = "virtio-blk",
	.help = "a disk: raw file or block device",
	.size = sizeof(struct virtio_blk),
	.count = blk_count,
	.create = blk_create,
	.reset = virtio_model_reset,
	.destroy = blk_destroy,
	.save = virtio_model_save,
	.load = virtio_model_load,
};
