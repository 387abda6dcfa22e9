// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtio-gpu, 2D (virtio 1.2 section 5.7): configuration space, the two queues, flushes that wait
 * until they are shown, and the life of the device and of the VGA that shares its PCI function.
 */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/conf/vmconf.h"
#include "host-vmm/devices/vga.h"
#include "host-vmm/loop.h"
#include "host-vmm/machine.h"
#include "host-vmm/memory.h"
#include "host-vmm/virtio/gpu_private.h"
#include "host-vmm/virtio/models.h"

#define GPU_CLASS 0x030000 /* PCI: VGA compatible display controller */
/* Cost of commands until the loop's other sources have their turn. */
#define GPU_BATCH 256u

static struct virtio_gpu *gpu_of(struct virtio_device *vdev)
{
	return (struct virtio_gpu *)vdev->device;
}

/* ---- configuration space ---- */

static uint64_t gpu_features(struct virtio_device *vdev)
{
	(void)vdev;
	return 1ull << VIRTIO_GPU_F_EDID | 1ull << VIRTIO_GPU_F_RESOURCE_BLOB;
}

static void gpu_config_read(struct virtio_device *vdev, size_t offset, void *data, size_t len)
{
	const struct virtio_gpu *gpu = gpu_of(vdev);
	const struct virtio_gpu_config config = {
		.events_read = htole32(__atomic_load_n(&gpu->events, __ATOMIC_RELAXED)),
		.num_scanouts = htole32(gpu->n_scanouts),
	};

	if (offset < sizeof(config))
		memcpy(data, (const uint8_t *)&config + offset,
		       len < sizeof(config) - offset ? len : sizeof(config) - offset);
}

static void raise_display_event(struct virtio_gpu *gpu)
{
	uint32_t before =
		__atomic_fetch_or(&gpu->events, VIRTIO_GPU_EVENT_DISPLAY, __ATOMIC_RELAXED);

	gpu->late = before & VIRTIO_GPU_EVENT_DISPLAY && (gpu->late || gpu->asked);
	gpu->asked = gpu->late;
	virtio_config_changed(&gpu->model.vdev);
}

/* Linux' driver asks what heads should be, and clears the event afterwards: what changed in between
 * would be lost with it. */
static void gpu_config_written(struct virtio_device *vdev, size_t offset, const void *data,
			       size_t len)
{
	struct virtio_gpu *gpu = gpu_of(vdev);
	uint32_t value;

	if (len != sizeof(value) || offset != offsetof(struct virtio_gpu_config, events_clear))
		return;
	memcpy(&value, data, sizeof(value));
	__atomic_and_fetch(&gpu->events, ~le32toh(value), __ATOMIC_RELAXED);
	if (le32toh(value) & VIRTIO_GPU_EVENT_DISPLAY && gpu->late)
		raise_display_event(gpu);
}

static void want_changed(void *opaque)
{
	raise_display_event(opaque);
}

/* ---- flushes that wait ---- */

static void wait_done(struct gpu_wait *wait)
{
	struct virtio_gpu *gpu = wait->gpu;

	virtqueue_push(&gpu->model.vdev.queues[GPU_QUEUE_CONTROL], wait->head, wait->written);
	wait->left = 0;
	wait->next_free = gpu->free_wait;
	gpu->free_wait = wait;
}

static void shown(void *opaque)
{
	struct gpu_wait *wait = opaque;

	if (--wait->left > 0)
		return;
	wait_done(wait);
	virtqueue_notify(&wait->gpu->model.vdev.queues[GPU_QUEUE_CONTROL]);
}

/* False: nothing to wait for. */
static bool wait_shown(struct virtio_gpu *gpu, uint32_t heads, uint16_t head, uint32_t written)
{
	struct gpu_wait *wait = gpu->free_wait;

	if (heads == 0 || !wait)
		return false;
	wait->head = head;
	wait->written = written;
	for (unsigned int i = 0; i < gpu->n_scanouts; i++)
		if (heads >> i & 1 && display_when_shown(gpu->display, i, shown, wait) == 0)
			wait->left++;
	if (wait->left == 0)
		return false;
	gpu->free_wait = wait->next_free;
	return true;
}

static void end_waits(struct virtio_gpu *gpu)
{
	for (unsigned int i = 0; i < GPU_QUEUE_SIZE; i++) {
		if (gpu->waits[i].left == 0)
			continue;
		display_forget(gpu->display, &gpu->waits[i]);
		wait_done(&gpu->waits[i]);
	}
	virtqueue_notify(&gpu->model.vdev.queues[GPU_QUEUE_CONTROL]);
}

/* ---- queues ---- */

static unsigned int serve(struct virtio_gpu *gpu, struct virtqueue *vq,
			  const struct virtq_chain *chain)
{
	union gpu_response response;
	struct gpu_request request = {
		.gpu = gpu, .chain = chain, .cost = 1, .response = &response
	};
	uint32_t written;

	gpu_serve(&request, vq->index);
	written = (uint32_t)memory_iov_write(chain->iov + chain->n_out, chain->n_in, 0, &response,
					     request.response_len);
	if (!wait_shown(gpu, request.flushed, chain->head, written))
		virtqueue_push(vq, chain->head, written);
	return request.cost;
}

static void gpu_kick(struct virtio_device *vdev, struct virtqueue *vq)
{
	struct virtio_gpu *gpu = gpu_of(vdev);
	struct virtq_chain chain = { .iov = gpu->iov, .iov_max = VIRTQUEUE_CHAIN_MAX };
	unsigned int cost = 0;
	int ret;

	do {
		virtqueue_disable_kicks(vq);
		while ((ret = virtqueue_pop(vq, &chain)) > 0) {
			cost += serve(gpu, vq, &chain);
			if (cost >= GPU_BATCH) {
				virtqueue_kick(vq);
				virtqueue_notify(vq);
				return;
			}
		}
	} while (ret == 0 && virtqueue_enable_kicks(vq));
	virtqueue_notify(vq);
}

/* ---- life ---- */

static int gpu_start(struct virtio_device *vdev)
{
	(void)vdev;
	return 0;
}

static void gpu_stop(struct virtio_device *vdev)
{
	end_waits(gpu_of(vdev));
}

static void gpu_reset(struct virtio_device *vdev)
{
	struct virtio_gpu *gpu = gpu_of(vdev);

	gpu_scanout_reset(gpu);
	gpu_resource_free_all(gpu);
	display_release_layer(gpu->display, DISPLAY_LAYER_GPU);
	__atomic_store_n(&gpu->events, 0, __ATOMIC_RELAXED);
	gpu->asked = gpu->late = false;
}

static const struct virtio_ops gpu_ops = {
	.id = VIRTIO_ID_GPU,
	.class_code = GPU_CLASS,
	.features = gpu_features,
	.config_read = gpu_config_read,
	.config_written = gpu_config_written,
	.start = gpu_start,
	.stop = gpu_stop,
	.reset = gpu_reset,
	.kick = gpu_kick,
	.save = gpu_save,
	.load = gpu_load,
};

static size_t gpu_count(const struct vm_config *config)
{
	return config->heads > 0 ? 1 : 0;
}

static void listen_here(void *opaque)
{
	struct virtio_gpu *gpu = opaque;

	display_listen(gpu->display, want_changed, gpu);
}

static void unlisten_here(void *opaque)
{
	struct virtio_gpu *gpu = opaque;

	display_listen(gpu->display, NULL, NULL);
}

static void gpu_destroy(struct device *device)
{
	struct virtio_gpu *gpu = (struct virtio_gpu *)device;

	loop_call(gpu->model.vdev.loop, unlisten_here, gpu);
	virtio_model_destroy(device);
	vga_destroy(gpu->vga);
	free(gpu->scanouts);
}

static int gpu_create(struct device *device)
{
	struct virtio_gpu *gpu = (struct virtio_gpu *)device;
	struct virtio_device *vdev = &gpu->model.vdev;
	int ret;

	gpu->display = device->machine->display;
	gpu->n_scanouts = display_heads(gpu->display);
	gpu->scanouts = calloc(gpu->n_scanouts, sizeof(*gpu->scanouts));
	if (!gpu->scanouts) {
		log_error("%s: out of memory", device->name);
		return -ENOMEM;
	}
	for (unsigned int i = 0; i < GPU_QUEUE_SIZE; i++) {
		gpu->waits[i].gpu = gpu;
		gpu->waits[i].next_free = gpu->free_wait;
		gpu->free_wait = &gpu->waits[i];
	}
	vdev->ops = &gpu_ops;
	vdev->loop = display_loop(gpu->display);
	vdev->n_queues = GPU_QUEUES;
	vdev->queue_size = GPU_QUEUE_SIZE;
	ret = vga_create(device->machine, gpu->display, &gpu->vga);
	if (ret < 0) {
		log_error("%s: cannot have a VGA: %s; say [display] heads=0", device->name,
			  strerror(-ret));
		goto fail;
	}
	vga_bar(gpu->vga, &vdev->own_bar);
	ret = virtio_model_register(&gpu->model);
	if (ret < 0)
		goto fail;
	loop_call(vdev->loop, listen_here, gpu);
	return 0;

fail:
	vga_destroy(gpu->vga);
	free(gpu->scanouts);
	return ret;
}

static void gpu_device_reset(struct device *device)
{
	virtio_model_reset(device);
	vga_reset(((struct virtio_gpu *)device)->vga);
}

static int gpu_device_save(struct device *device, struct state *state)
{
	int ret = virtio_model_save(device, state);

	return ret < 0 ? ret : vga_save(((struct virtio_gpu *)device)->vga, state);
}

static int gpu_device_load(struct device *device, struct state *state)
{
	int ret = virtio_model_load(device, state);

	return ret < 0 ? ret : vga_load(((struct virtio_gpu *)device)->vga, state);
}

const struct device_type virtio_gpu_type = {
	.name = "virtio-gpu",
	.help = "the guest's screens",
	.size = sizeof(struct virtio_gpu),
	.count = gpu_count,
	.create = gpu_create,
	.reset = gpu_device_reset,
	.destroy = gpu_destroy,
	.save = gpu_device_save,
	.load = gpu_device_load,
};
