/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of virtio-gpu share (virtio 1.2 section 5.7): gpu.c is the device, gpu_control.c
 * its commands, gpu_resource.c what they name, gpu_scanout.c what is shown, gpu_cursor.c pointers,
 * gpu_state.c save and load.
 *
 * Pixels stay in the guest's pages: a resource is a list of them, a transfer notes what changed, a
 * flush tells the display, which reads the pages when somebody looks.
 *
 * All of it runs on the display's loop, but for config_read, which sees atomics and constants only.
 */
#ifndef LODGE_VMM_VIRTIO_GPU_PRIVATE_H
#define LODGE_VMM_VIRTIO_GPU_PRIVATE_H

#include <linux/virtio_gpu.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host-vmm/display/display.h"
#include "host-vmm/virtio/virtio.h"
#include "protocol/lib/log.h"

#define GPU_QUEUE_CONTROL 0u
#define GPU_QUEUE_CURSOR  1u
#define GPU_QUEUES	  2u
#define GPU_QUEUE_SIZE	  256u

/* Ours: more than any desktop keeps, and a bound for one that is hostile. */
#define GPU_RESOURCES_MAX 4096u
/* Bytes of all resources, in units of [display] memory: front and back buffers of all heads, the
 * console's, and both sizes while a mode changes. */
#define GPU_MEMORY_TIMES 8u
#define GPU_ENTRY_BYTES	 4096u /* of memory for each stretch of backing that may be kept */
#define GPU_BUCKETS	 256u
#define GPU_DAMAGE_MAX	 16u /* rectangles that one resource remembers */

#define GPU_CURSOR_SIDE	  LODGE_DISPLAY_CURSOR_MAX /* section 5.7.6.10: 64x64 */
#define GPU_CURSOR_PIXELS (GPU_CURSOR_SIDE * GPU_CURSOR_SIDE)

struct state;
struct vga;
struct virtio_gpu;

/* Contiguous in the resource and in the guest's memory; it ends where the next one starts. */
struct gpu_stretch {
	uint64_t start; /* offset in the resource */
	uint64_t gpa;
};

struct gpu_resource {
	struct gpu_resource *next; /* of its bucket */
	struct virtio_gpu *gpu;
	uint32_t id; /* never 0 */
	bool blob;
	enum display_format format; /* of 2D resources, as width and height */
	bool alpha; /* the format's fourth byte means something */
	uint32_t width, height; /* pixels */
	uint64_t size; /* bytes */

	bool backed;
	struct gpu_stretch *stretches;
	uint32_t n_stretches;
	uint64_t backed_size; /* bytes, where the last stretch ends */
	uint32_t hint; /* the stretch read last */

	uint32_t n_damage; /* transferred, not flushed */
	struct display_rect damage[GPU_DAMAGE_MAX];
};

/* Which part of which resource a head shows. */
struct gpu_view {
	uint32_t resource_id; /* 0: off */
	struct gpu_resource *resource; /* NULL: off */
	struct display_rect rect; /* of the resource's picture */
	/* How the picture lies in the resource. */
	uint32_t width, height, stride;
	uint64_t offset;
	enum display_format format;
};

struct gpu_scanout {
	struct gpu_view view;

	uint32_t cursor_width, cursor_height; /* 0: none */
	uint32_t hot_x, hot_y, cursor_x, cursor_y;
	uint32_t cursor[GPU_CURSOR_PIXELS]; /* ARGB */
};

/* A flush whose answer waits until it is shown. */
struct gpu_wait {
	struct virtio_gpu *gpu;
	struct gpu_wait *next_free;
	unsigned int left; /* heads to come; 0: free */
	uint16_t head; /* of the chain */
	uint32_t written;
};

struct virtio_gpu {
	struct virtio_model model;
	struct display *display; /* the machine's */
	struct vga *vga; /* the same PCI function, behind BAR 0 */
	unsigned int n_scanouts;
	struct gpu_scanout *scanouts;
	uint32_t events; /* atomic: virtio_gpu_config.events_read */
	bool asked; /* since the event was raised, the driver asked what heads should be */
	bool late; /* and that changed afterwards */

	struct gpu_resource *buckets[GPU_BUCKETS];
	uint32_t n_resources;
	uint64_t bytes, stretches; /* of all resources */

	struct gpu_wait waits[GPU_QUEUE_SIZE];
	struct gpu_wait *free_wait;

	struct log_ratelimit log_limit;
	struct iovec iov[VIRTQUEUE_CHAIN_MAX];
};

union gpu_command {
	struct virtio_gpu_ctrl_hdr header;
	struct virtio_gpu_resource_create_2d create_2d;
	struct virtio_gpu_resource_create_blob create_blob;
	struct virtio_gpu_resource_unref unref;
	struct virtio_gpu_resource_attach_backing attach;
	struct virtio_gpu_resource_detach_backing detach;
	struct virtio_gpu_set_scanout set_scanout;
	struct virtio_gpu_set_scanout_blob set_scanout_blob;
	struct virtio_gpu_transfer_to_host_2d transfer;
	struct virtio_gpu_resource_flush flush;
	struct virtio_gpu_cmd_get_edid get_edid;
	struct virtio_gpu_update_cursor cursor;
};

union gpu_response {
	struct virtio_gpu_ctrl_hdr header;
	struct virtio_gpu_resp_display_info display_info;
	struct virtio_gpu_resp_edid edid;
};

/* A command while it is served. */
struct gpu_request {
	struct virtio_gpu *gpu;
	const struct virtq_chain *chain;
	union gpu_command command; /* as it came: little-endian; zeroes behind its end */
	unsigned int cost; /* in commands of the usual length */
	uint32_t flushed; /* bit N: a fenced flush reached head N */
	const char *why; /* of a refusal */

	union gpu_response *response; /* its header is the dispatcher's */
	size_t response_len; /* of the header, unless the command answers more */
};

/* For "return gpu_refuse(...)" of a function that serves a command. */
static inline uint32_t gpu_refuse(struct gpu_request *request, uint32_t code, const char *why)
{
	request->why = why;
	return code;
}

/* ---- gpu_control.c ---- */

/* Serves what the chain brings; the answer is in request->response. A refusal is logged. */
void gpu_serve(struct gpu_request *request, unsigned int queue);

/* ---- gpu_resource.c: commands answer a VIRTIO_GPU_RESP_ ---- */

uint32_t gpu_resource_create_2d(struct gpu_request *request);
uint32_t gpu_resource_create_blob(struct gpu_request *request);
uint32_t gpu_resource_unref(struct gpu_request *request);
uint32_t gpu_resource_attach(struct gpu_request *request);
uint32_t gpu_resource_detach(struct gpu_request *request);

/* NULL: there is none. */
struct gpu_resource *gpu_resource_find(struct virtio_gpu *gpu, uint32_t id);
void gpu_resource_free_all(struct virtio_gpu *gpu);
/* [offset, offset + len) of the resource, from the guest's pages. -EFAULT beyond its backing. */
int gpu_resource_read(struct gpu_resource *resource, uint64_t offset, void *to, size_t len);
/* False: a format that virtio does not have. */
bool gpu_format(uint32_t virtio_format, enum display_format *ret_format, bool *ret_alpha);

/* For gpu_state.c. -ENOSPC beyond the limits, -EEXIST, -EINVAL, -ENOMEM. */
int gpu_resource_add(struct virtio_gpu *gpu, const struct gpu_resource *like,
		     struct gpu_resource **ret_resource);
/* Appends @len bytes at @gpa. -EFAULT: no RAM; -ENOSPC, -ENOMEM. */
int gpu_resource_append(struct gpu_resource *resource, uint64_t gpa, uint64_t len);

/* ---- gpu_scanout.c ---- */

uint32_t gpu_get_display_info(struct gpu_request *request);
uint32_t gpu_get_edid(struct gpu_request *request);
uint32_t gpu_set_scanout(struct gpu_request *request);
uint32_t gpu_set_scanout_blob(struct gpu_request *request);
uint32_t gpu_transfer(struct gpu_request *request);
uint32_t gpu_flush(struct gpu_request *request);

/* Heads that show it go off. */
void gpu_scanout_forget(struct virtio_gpu *gpu, const struct gpu_resource *resource);
/* Takes all pictures and cursors off. */
void gpu_scanout_reset(struct virtio_gpu *gpu);
/* -EINVAL: rectangle or picture lie beyond the resource, or are more than the display takes; the
 * head is as it was. */
int gpu_scanout_show(struct virtio_gpu *gpu, unsigned int head, const struct gpu_view *view);

/* ---- gpu_cursor.c ---- */

uint32_t gpu_update_cursor(struct gpu_request *request);
uint32_t gpu_move_cursor(struct gpu_request *request);
/* Tells the display what the scanout's fields say. */
void gpu_cursor_show(struct virtio_gpu *gpu, unsigned int head);

/* ---- gpu_state.c: virtio_ops ---- */

int gpu_save(struct virtio_device *vdev, struct state *state);
int gpu_load(struct virtio_device *vdev, struct state *state);

#endif
