// SPDX-License-Identifier: GPL-2.0-or-later
// virtio-gpu's cursor queue: a pointer's picture for each head, copied when it is set, and its
// place.
#include <endian.h>
#include <string.h>

#include "host-vmm/virtio/gpu_private.h"

#define PIXEL_BYTES 4u

void gpu_cursor_show(struct virtio_gpu *gpu, unsigned int head)
{
	const struct gpu_scanout *scanout = &gpu->scanouts[head];

	(void)display_set_cursor(gpu->display, head, scanout->cursor_width, scanout->cursor_height,
				 scanout->hot_x, scanout->hot_y,
				 scanout->cursor_width ? scanout->cursor : NULL);
	display_move_cursor(gpu->display, head, scanout->cursor_x, scanout->cursor_y);
}

/* From the bytes of @format to ARGB. */
static uint32_t to_argb(const uint8_t *pixel, enum display_format format, bool alpha)
{
	uint32_t a, r, g, b;

	switch (format) {
	case DISPLAY_XRGB8888:
		a = pixel[0], r = pixel[1], g = pixel[2], b = pixel[3];
		break;
	case DISPLAY_RGBX8888:
		r = pixel[0], g = pixel[1], b = pixel[2], a = pixel[3];
		break;
	case DISPLAY_XBGR8888:
		a = pixel[0], b = pixel[1], g = pixel[2], r = pixel[3];
		break;
	default:
		b = pixel[0], g = pixel[1], r = pixel[2], a = pixel[3];
		break;
	}
	return (alpha ? a : 0xffu) << 24 | r << 16 | g << 8 | b;
}

static uint32_t take_picture(struct gpu_request *request, struct gpu_scanout *scanout,
			     struct gpu_resource *resource)
{
	uint8_t bytes[GPU_CURSOR_PIXELS * PIXEL_BYTES];
	/* A blob tells nothing of itself; a cursor's size is the specification's. */
	uint32_t width = resource->blob ? GPU_CURSOR_SIDE : resource->width;
	uint32_t height = resource->blob ? GPU_CURSOR_SIDE : resource->height;
	enum display_format format = resource->blob ? DISPLAY_BGRX8888 : resource->format;
	bool alpha = resource->blob || resource->alpha;

	if (width > GPU_CURSOR_SIDE || height > GPU_CURSOR_SIDE)
		return gpu_refuse(request, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
				  "larger than 64x64");
	if (gpu_resource_read(resource, 0, bytes, (size_t)width * height * PIXEL_BYTES) < 0)
		return gpu_refuse(request, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
				  "fewer bytes than the cursor has");
	for (uint32_t i = 0; i < width * height; i++)
		scanout->cursor[i] = to_argb(bytes + (size_t)i * PIXEL_BYTES, format, alpha);
	scanout->cursor_width = width;
	scanout->cursor_height = height;
	return VIRTIO_GPU_RESP_OK_NODATA;
}

static uint32_t below(uint32_t value, uint32_t limit)
{
	return value < limit ? value : limit - 1;
}

uint32_t gpu_update_cursor(struct gpu_request *request)
{
	const struct virtio_gpu_update_cursor *update = &request->command.cursor;
	uint32_t head = le32toh(update->pos.scanout_id), id = le32toh(update->resource_id);
	struct virtio_gpu *gpu = request->gpu;
	struct gpu_resource *resource = gpu_resource_find(gpu, id);
	struct gpu_scanout *scanout;

	if (head >= gpu->n_scanouts)
		return gpu_refuse(request, VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID, "no such head");
	if (id != 0 && !resource)
		return gpu_refuse(request, VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID,
				  "no such resource");
	scanout = &gpu->scanouts[head];
	if (!resource) {
		scanout->cursor_width = scanout->cursor_height = 0;
		scanout->hot_x = scanout->hot_y = 0;
	} else {
		uint32_t code = take_picture(request, scanout, resource);

		if (code != VIRTIO_GPU_RESP_OK_NODATA)
			return code;
		scanout->hot_x = below(le32toh(update->hot_x), scanout->cursor_width);
		scanout->hot_y = below(le32toh(update->hot_y), scanout->cursor_height);
	}
	scanout->cursor_x = le32toh(update->pos.x);
	scanout->cursor_y = le32toh(update->pos.y);
	gpu_cursor_show(gpu, head);
	return VIRTIO_GPU_RESP_OK_NODATA;
}

uint32_t gpu_move_cursor(struct gpu_request *request)
{
	const struct virtio_gpu_cursor_pos *pos = &request->command.cursor.pos;
	uint32_t head = le32toh(pos->scanout_id);
	struct virtio_gpu *gpu = request->gpu;

	if (head >= gpu->n_scanouts)
		return gpu_refuse(request, VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID, "no such head");
	gpu->scanouts[head].cursor_x = le32toh(pos->x);
	gpu->scanouts[head].cursor_y = le32toh(pos->y);
	display_move_cursor(gpu->display, head, gpu->scanouts[head].cursor_x,
			    gpu->scanouts[head].cursor_y);
	return VIRTIO_GPU_RESP_OK_NODATA;
}
