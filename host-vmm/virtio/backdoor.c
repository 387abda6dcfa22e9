// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The backdoor's virtio device, ID 63 (protocol/spec/backdoor.md): requests with their replies in
 * the same chain, and what the host says by itself in the event queue's buffers.
 *
 * A frame is copied out of its chain once and checked there. What waits for the guest waits in
 * frame_door.c, within its limits; the service's threads ring the event queue's doorbell, so that
 * both queues are served on the loop alone.
 */
#include <lodge/backdoor.h>

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/backdoor/backdoor.h"
#include "host-vmm/backdoor/frame_door.h"
#include "host-vmm/clock/clock.h"
#include "host-vmm/conf/vmconf.h"
#include "host-vmm/machine.h"
#include "host-vmm/memory.h"
#include "host-vmm/virtio/backdoor_balloon.h"
#include "host-vmm/virtio/backdoor_device.h"
#include "host-vmm/virtio/models.h"
#include "host-vmm/virtio/virtio.h"

#define BACKDOOR_CLASS	    0x078000 /* PCI: other communication controller */
#define REQUEST_QUEUE_SIZE  1024 /* a MiB each way of a guest whose free pages lie apart */
#define EVENT_QUEUE_SIZE    64
#define BALLOON_QUEUE_SIZE  16
#define BACKDOOR_IOV_MAX    1024 /* a MiB each way in scattered pages, and some */
#define CHAIN_BATCH	    64u /* until the loop's other devices have their turn */
#define BYTES_BATCH	    (4u << 20)
#define EVENT_BATCH	    64u
#define SMALL_PAYLOAD_BYTES 4096u

struct virtio_backdoor {
	struct virtio_model model;
	struct frame_door door;
	struct backdoor_balloon *balloon;
	struct log_ratelimit log_limit;
	struct iovec iov[BACKDOOR_IOV_MAX];
	unsigned char small[SMALL_PAYLOAD_BYTES]; /* most payloads fit */
};

static const uint16_t queue_sizes[LODGE_BACKDOOR_QUEUES] = {
	[LODGE_BACKDOOR_QUEUE_REQUEST] = REQUEST_QUEUE_SIZE,
	[LODGE_BACKDOOR_QUEUE_EVENT] = EVENT_QUEUE_SIZE,
	[LODGE_BACKDOOR_QUEUE_BALLOON] = BALLOON_QUEUE_SIZE,
};

static struct virtio_backdoor *backdoor_of(struct virtio_device *vdev)
{
	return (struct virtio_backdoor *)vdev->device;
}

/* ---- the request queue ---- */

static int read_header(const struct virtq_chain *chain, struct frame *ret_frame)
{
	unsigned char header[LODGE_RPC_HEADER_SIZE];
	int ret;

	if (memory_iov_read(chain->iov, chain->n_out, 0, header, sizeof(header)) != sizeof(header))
		return -EBADMSG;
	ret = frame_parse(header, FRAMES_FROM_GUEST, ret_frame);
	if (ret < 0)
		return ret;
	if (chain->out_len != sizeof(header) + (size_t)ret_frame->size)
		return -EBADMSG;
	if (ret_frame->type == LODGE_RPC_REQUEST &&
	    chain->in_len < sizeof(header) + (size_t)ret_frame->reply_max)
		return -EBADMSG;
	return 0;
}

static uint32_t write_reply(const struct virtq_chain *chain, const struct frame *request,
			    const struct rpc_reply *reply)
{
	struct frame frame = frame_door_reply_header(request, reply);
	const struct iovec *in = chain->iov + chain->n_out;
	unsigned char header[LODGE_RPC_HEADER_SIZE];

	frame_build(&frame, header);
	(void)memory_iov_write(in, chain->n_in, 0, header, sizeof(header));
	(void)memory_iov_write(in, chain->n_in, sizeof(header), reply->bytes, reply->len);
	return (uint32_t)(sizeof(header) + reply->len);
}

/* Bytes written to the chain. */
static uint32_t serve(struct virtio_backdoor *backdoor, const struct virtq_chain *chain)
{
	unsigned char *large = NULL, *payload = backdoor->small;
	struct rpc_reply reply;
	struct frame frame;
	uint32_t written = 0;

	if (read_header(chain, &frame) < 0) {
		log_ratelimited(&backdoor->log_limit, LOG_LEVEL_WARN,
				"%s: a malformed frame was dropped", backdoor->model.device.name);
		return 0;
	}
	if (frame.size > sizeof(backdoor->small))
		payload = large = malloc(frame.size);
	if (!payload)
		return 0;
	(void)memory_iov_read(chain->iov, chain->n_out, LODGE_RPC_HEADER_SIZE, payload, frame.size);
	if (frame_door_take(&backdoor->door, &frame, payload, &reply)) {
		written = write_reply(chain, &frame, &reply);
		rpc_reply_free(&reply);
	}
	free(large);
	return written;
}

static void kick_request(struct virtio_backdoor *backdoor, struct virtqueue *vq)
{
	struct virtq_chain chain = { .iov = backdoor->iov, .iov_max = BACKDOOR_IOV_MAX };
	unsigned int served = 0;
	size_t bytes = 0;
	int ret;

	do {
		virtqueue_disable_kicks(vq);
		while ((ret = virtqueue_pop(vq, &chain)) > 0) {
			bytes += chain.out_len;
			virtqueue_push(vq, chain.head, serve(backdoor, &chain));
			if (++served == CHAIN_BATCH || bytes > BYTES_BATCH) {
				virtqueue_kick(vq);
				virtqueue_notify(vq);
				return;
			}
		}
	} while (ret == 0 && virtqueue_enable_kicks(vq));
	virtqueue_notify(vq);
}

/* ---- the event queue ---- */

static void fill(struct virtio_backdoor *backdoor, struct virtqueue *vq,
		 const struct virtq_chain *chain, const struct frame_out *out)
{
	if (chain->in_len < out->len) {
		virtqueue_break(vq, "an event buffer is smaller than event_size");
		return;
	}
	(void)memory_iov_write(chain->iov + chain->n_out, chain->n_in, 0, out->bytes, out->len);
	virtqueue_push(vq, chain->head, (uint32_t)out->len);
	(void)backdoor;
}

static void kick_event(struct virtio_backdoor *backdoor, struct virtqueue *vq)
{
	struct virtq_chain chain = { .iov = backdoor->iov, .iov_max = BACKDOOR_IOV_MAX };
	unsigned int sent = 0;

	/* While no buffers are missing, no kick is needed for more. */
	virtqueue_disable_kicks(vq);
	while (frame_door_waiting(&backdoor->door) > 0) {
		struct frame_out *out;
		int ret;

		if (sent++ == EVENT_BATCH) {
			virtqueue_kick(vq);
			break;
		}
		ret = virtqueue_pop(vq, &chain);
		if (ret == 0 && virtqueue_enable_kicks(vq))
			continue;
		if (ret <= 0)
			break;
		/* No buffer at all: the next one, then. */
		if (chain.left_out) {
			virtqueue_push(vq, chain.head, 0);
			continue;
		}
		out = frame_door_next(&backdoor->door);
		if (!out) {
			virtqueue_unpop(vq);
			break;
		}
		fill(backdoor, vq, &chain, out);
		free(out);
	}
	virtqueue_notify(vq);
}

/* From any thread, with the service's lock held. */
static void wake(void *opaque)
{
	struct virtio_backdoor *backdoor = opaque;

	virtqueue_kick(&backdoor->model.vdev.queues[LODGE_BACKDOOR_QUEUE_EVENT]);
}

/* ---- the device ---- */

static void backdoor_kick(struct virtio_device *vdev, struct virtqueue *vq)
{
	if (vq->index == LODGE_BACKDOOR_QUEUE_REQUEST)
		kick_request(backdoor_of(vdev), vq);
	else if (vq->index == LODGE_BACKDOOR_QUEUE_BALLOON)
		backdoor_balloon_kick(backdoor_of(vdev)->balloon, vq);
	else
		kick_event(backdoor_of(vdev), vq);
}

static uint64_t backdoor_features(struct virtio_device *vdev)
{
	return vdev->device->machine->config->balloon ? 1ull << LODGE_BACKDOOR_F_BALLOON : 0;
}

static void backdoor_config_read(struct virtio_device *vdev, size_t offset, void *data, size_t len)
{
	const struct lodge_backdoor_config config = {
		.payload_max = htole32(LODGE_RPC_PAYLOAD_MAX),
		.sessions_max = htole32(LODGE_RPC_SESSIONS_MAX),
		.event_size = htole32(LODGE_BACKDOOR_EVENT_SIZE),
		.balloon_target = htole32(backdoor_balloon_target(backdoor_of(vdev)->balloon)),
	};

	if (offset < sizeof(config))
		memcpy(data, (const uint8_t *)&config + offset,
		       len < sizeof(config) - offset ? len : sizeof(config) - offset);
}

static int backdoor_start(struct virtio_device *vdev)
{
	(void)vdev;
	return 0;
}

static void backdoor_stop(struct virtio_device *vdev)
{
	backdoor_balloon_stop(backdoor_of(vdev)->balloon,
			      &vdev->queues[LODGE_BACKDOOR_QUEUE_BALLOON]);
}

static void backdoor_reset(struct virtio_device *vdev)
{
	frame_door_reset(&backdoor_of(vdev)->door);
	backdoor_balloon_reset(backdoor_of(vdev)->balloon);
}

static int backdoor_save(struct virtio_device *vdev, struct state *state)
{
	int ret = frame_door_save(&backdoor_of(vdev)->door, state);

	return ret < 0 ? ret : backdoor_balloon_save(backdoor_of(vdev)->balloon, state);
}

static int backdoor_load(struct virtio_device *vdev, struct state *state)
{
	int ret = frame_door_load(&backdoor_of(vdev)->door, state);

	return ret < 0 ? ret : backdoor_balloon_load(backdoor_of(vdev)->balloon, state);
}

/* The shared memory region: the clock page. Where it cannot be placed the guest reads zeroes, which
 * are no clock page. */
static void backdoor_shm_placed(struct virtio_device *vdev, bool enabled, uint64_t gpa)
{
	struct virtio_backdoor *backdoor = backdoor_of(vdev);
	int ret = clock_place(vdev->device->machine, enabled, gpa);

	if (ret < 0)
		log_ratelimited(&backdoor->log_limit, LOG_LEVEL_WARN,
				"%s: no clock page at 0x%llx: %s", vdev->device->name,
				(unsigned long long)gpa, strerror(-ret));
}

static const struct virtio_ops backdoor_ops = {
	.id = LODGE_BACKDOOR_VIRTIO_ID,
	.class_code = BACKDOOR_CLASS,
	.features = backdoor_features,
	.config_read = backdoor_config_read,
	.start = backdoor_start,
	.stop = backdoor_stop,
	.reset = backdoor_reset,
	.kick = backdoor_kick,
	.shm_placed = backdoor_shm_placed,
	.save = backdoor_save,
	.load = backdoor_load,
};

struct backdoor_balloon *virtio_backdoor_balloon(struct machine *machine)
{
	for (size_t i = 0; machine->config->balloon && i < machine->n_devices; i++)
		if (machine->devices[i]->type == &virtio_backdoor_type)
			return ((struct virtio_backdoor *)machine->devices[i])->balloon;
	return NULL;
}

/* ---- life ---- */

static size_t backdoor_count(const struct vm_config *config)
{
	return config->backdoor_device ? 1 : 0;
}

static void backdoor_destroy(struct device *device)
{
	struct virtio_backdoor *backdoor = (struct virtio_backdoor *)device;

	virtio_model_destroy(device);
	backdoor_balloon_destroy(backdoor->balloon);
	frame_door_destroy(&backdoor->door);
}

static int backdoor_create(struct device *device)
{
	struct virtio_backdoor *backdoor = (struct virtio_backdoor *)device;
	struct virtio_device *vdev = &backdoor->model.vdev;
	int ret;

	vdev->ops = &backdoor_ops;
	vdev->loop = device->machine->loop;
	vdev->n_queues = LODGE_BACKDOOR_QUEUES;
	vdev->queue_sizes = queue_sizes;
	vdev->shm_size = device->machine->clock ? LODGE_VMCLOCK_SIZE : 0;
	ret = frame_door_create(&backdoor->door, device->machine->backdoor, RPC_DOOR_VIRTIO,
				LODGE_RPC_SESSIONS_MAX, wake, backdoor, device->name);
	if (ret < 0) {
		log_error("%s: no memory", device->name);
		return ret;
	}
	ret = backdoor_balloon_create(vdev, &backdoor->balloon);
	if (ret < 0)
		log_error("%s: no memory", device->name);
	else
		ret = virtio_model_register(&backdoor->model);
	if (ret < 0) {
		backdoor_balloon_destroy(backdoor->balloon);
		frame_door_destroy(&backdoor->door);
	}
	return ret;
}

const struct device_type virtio_backdoor_type = {
	.name = "virtio-backdoor",
	.help = "the tools' door for guests with our module",
	.size = sizeof(struct virtio_backdoor),
	.count = backdoor_count,
	.create = backdoor_create,
	.reset = virtio_model_reset,
	.destroy = backdoor_destroy,
	.save = virtio_model_save,
	.load = virtio_model_load,
};
