// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtio-gpu's state: resources with their backing, scanouts, cursors. What was transferred and not
 * flushed is not in it: a picture that is loaded is new to the display in whole.
 */
#include <errno.h>
#include <string.h>

#include "host-vmm/state.h"
#include "host-vmm/virtio/gpu_private.h"

static void put_resource(const struct gpu_resource *resource, struct state *state)
{
	state_put_u32(state, resource->id);
	state_put_u8(state, resource->blob);
	state_put_u8(state, (uint8_t)resource->format);
	state_put_u8(state, resource->alpha);
	state_put_u32(state, resource->width);
	state_put_u32(state, resource->height);
	state_put_u64(state, resource->size);
	state_put_u8(state, resource->backed);
	state_put_u32(state, resource->n_stretches);
	for (uint32_t i = 0; i < resource->n_stretches; i++) {
		uint64_t end = i + 1 < resource->n_stretches ? resource->stretches[i + 1].start
							     : resource->backed_size;

		state_put_u64(state, resource->stretches[i].gpa);
		state_put_u64(state, end - resource->stretches[i].start);
	}
}

static void put_scanout(const struct gpu_scanout *scanout, struct state *state)
{
	state_put_u32(state, scanout->view.resource_id);
	state_put_u32(state, scanout->view.rect.x);
	state_put_u32(state, scanout->view.rect.y);
	state_put_u32(state, scanout->view.rect.width);
	state_put_u32(state, scanout->view.rect.height);
	state_put_u32(state, scanout->view.width);
	state_put_u32(state, scanout->view.height);
	state_put_u32(state, scanout->view.stride);
	state_put_u64(state, scanout->view.offset);
	state_put_u8(state, (uint8_t)scanout->view.format);
	state_put_u32(state, scanout->cursor_width);
	state_put_u32(state, scanout->cursor_height);
	state_put_u32(state, scanout->hot_x);
	state_put_u32(state, scanout->hot_y);
	state_put_u32(state, scanout->cursor_x);
	state_put_u32(state, scanout->cursor_y);
	for (uint32_t i = 0; i < scanout->cursor_width * scanout->cursor_height; i++)
		state_put_u32(state, scanout->cursor[i]);
}

int gpu_save(struct virtio_device *vdev, struct state *state)
{
	const struct virtio_gpu *gpu = (const struct virtio_gpu *)vdev->device;

	state_put_u32(state, __atomic_load_n(&gpu->events, __ATOMIC_RELAXED));
	state_put_u32(state, gpu->n_resources);
	for (unsigned int i = 0; i < GPU_BUCKETS; i++)
		for (const struct gpu_resource *at = gpu->buckets[i]; at; at = at->next)
			put_resource(at, state);
	state_put_u32(state, gpu->n_scanouts);
	for (unsigned int i = 0; i < gpu->n_scanouts; i++)
		put_scanout(&gpu->scanouts[i], state);
	return state_error(state);
}

/* Formats of our own numbering, all of 4 bytes. */
static bool format_valid(uint8_t format)
{
	return format >= DISPLAY_BGRX8888 && format <= DISPLAY_XBGR8888;
}

static bool shape_valid(const struct gpu_resource *like)
{
	if (like->blob)
		return true;
	return format_valid((uint8_t)like->format) && like->width > 0 && like->height > 0 &&
	       like->width <= LODGE_DISPLAY_SIDE_MAX && like->height <= LODGE_DISPLAY_SIDE_MAX &&
	       like->size ==
		       (uint64_t)like->width * like->height * display_format_bytes(like->format);
}

static int get_resource(struct virtio_gpu *gpu, struct state *state)
{
	struct gpu_resource like = { .id = state_get_u32(state) }, *resource;
	uint32_t n;
	bool backed;

	like.blob = state_get_u8(state) != 0;
	like.format = state_get_u8(state);
	like.alpha = state_get_u8(state) != 0;
	like.width = state_get_u32(state);
	like.height = state_get_u32(state);
	like.size = state_get_u64(state);
	backed = state_get_u8(state) != 0;
	n = state_get_u32(state);
	if (state_error(state) < 0 || !shape_valid(&like) ||
	    gpu_resource_add(gpu, &like, &resource) < 0)
		return -EBADMSG;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t gpa = state_get_u64(state), len = state_get_u64(state);

		if (state_error(state) < 0 || gpu_resource_append(resource, gpa, len) < 0)
			return -EBADMSG;
	}
	resource->backed = backed;
	return n > 0 && !backed ? -EBADMSG : 0;
}

static int get_cursor(struct gpu_scanout *scanout, struct state *state)
{
	uint32_t width = state_get_u32(state), height = state_get_u32(state);

	scanout->hot_x = state_get_u32(state);
	scanout->hot_y = state_get_u32(state);
	scanout->cursor_x = state_get_u32(state);
	scanout->cursor_y = state_get_u32(state);
	if (width > GPU_CURSOR_SIDE || height > GPU_CURSOR_SIDE || (width == 0) != (height == 0) ||
	    scanout->hot_x >= (width ? width : 1) || scanout->hot_y >= (height ? height : 1))
		return -EBADMSG;
	for (uint32_t i = 0; i < width * height; i++)
		scanout->cursor[i] = state_get_u32(state);
	scanout->cursor_width = width;
	scanout->cursor_height = height;
	return state_error(state);
}

static int get_scanout(struct virtio_gpu *gpu, unsigned int head, struct state *state)
{
	struct gpu_view view = { .resource_id = state_get_u32(state) };
	uint8_t format;
	int ret;

	view.rect.x = state_get_u32(state);
	view.rect.y = state_get_u32(state);
	view.rect.width = state_get_u32(state);
	view.rect.height = state_get_u32(state);
	view.width = state_get_u32(state);
	view.height = state_get_u32(state);
	view.stride = state_get_u32(state);
	view.offset = state_get_u64(state);
	format = state_get_u8(state);
	ret = get_cursor(&gpu->scanouts[head], state);
	if (ret < 0)
		return ret;
	gpu_cursor_show(gpu, head);
	if (view.resource_id == 0)
		return 0;
	view.resource = gpu_resource_find(gpu, view.resource_id);
	if (!view.resource || !format_valid(format))
		return -EBADMSG;
	view.format = format;
	return gpu_scanout_show(gpu, head, &view) < 0 ? -EBADMSG : 0;
}

/* What a failure leaves half made goes at the reset that follows it. */
int gpu_load(struct virtio_device *vdev, struct state *state)
{
	struct virtio_gpu *gpu = (struct virtio_gpu *)vdev->device;
	uint32_t n;
	int ret = 0;

	__atomic_store_n(&gpu->events, state_get_u32(state), __ATOMIC_RELAXED);
	n = state_get_u32(state);
	if (n > GPU_RESOURCES_MAX)
		return -EBADMSG;
	for (uint32_t i = 0; i < n && ret == 0; i++)
		ret = get_resource(gpu, state);
	if (ret < 0)
		return ret;
	if (state_get_u32(state) != gpu->n_scanouts)
		return -EBADMSG;
	for (unsigned int i = 0; i < gpu->n_scanouts && ret == 0; i++)
		ret = get_scanout(gpu, i, state);
	return ret < 0 ? ret : state_error(state);
}
