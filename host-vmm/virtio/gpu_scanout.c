// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtio-gpu's scanouts: what each head should be, which part of which resource it shows, and what
 * of it changed.
 *
 * A transfer copies nothing: the display reads the guest's pages when it shows them. So the bytes
 * of a picture must lie where its size says, line behind line, which is what a transfer's offset
 * tells; and damage is what was both transferred and flushed. A blob has no transfers: a flush is
 * all of its damage.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "host-vmm/display/edid.h"
#include "host-vmm/virtio/gpu_private.h"

/* ---- rectangles ---- */

static struct display_rect rect_of(const struct virtio_gpu_rect *rect)
{
	return (struct display_rect){
		.x = le32toh(rect->x),
		.y = le32toh(rect->y),
		.width = le32toh(rect->width),
		.height = le32toh(rect->height),
	};
}

static bool rect_within(const struct display_rect *rect, uint32_t width, uint32_t height)
{
	return rect->width <= width && rect->x <= width - rect->width && rect->height <= height &&
	       rect->y <= height - rect->height;
}

/* Of rectangles whose ends do not wrap. False: nothing is in both. */
static bool rect_common(const struct display_rect *a, const struct display_rect *b,
			struct display_rect *ret_common)
{
	uint32_t left = a->x > b->x ? a->x : b->x, top = a->y > b->y ? a->y : b->y;
	uint32_t right = a->x + a->width < b->x + b->width ? a->x + a->width : b->x + b->width;
	uint32_t bottom = a->y + a->height < b->y + b->height ? a->y + a->height : b->y + b->height;

	if (left >= right || top >= bottom)
		return false;
	*ret_common = (struct display_rect){ left, top, right - left, bottom - top };
	return true;
}

static void rect_extend(struct display_rect *rect, const struct display_rect *with)
{
	uint32_t right = rect->x + rect->width, bottom = rect->y + rect->height;

	if (with->x + with->width > right)
		right = with->x + with->width;
	if (with->y + with->height > bottom)
		bottom = with->y + with->height;
	if (with->x < rect->x)
		rect->x = with->x;
	if (with->y < rect->y)
		rect->y = with->y;
	rect->width = right - rect->x;
	rect->height = bottom - rect->y;
}

/* ---- what heads should be ---- */

uint32_t gpu_get_display_info(struct gpu_request *request)
{
	struct virtio_gpu_resp_display_info *info = &request->response->display_info;
	struct virtio_gpu *gpu = request->gpu;

	memset(info, 0, sizeof(*info));
	gpu->asked = true;
	for (unsigned int i = 0; i < gpu->n_scanouts; i++) {
		struct display_want want;

		display_get_want(gpu->display, i, &want);
		if (!want.enabled)
			continue;
		info->pmodes[i].r = (struct virtio_gpu_rect){
			.x = htole32(want.x),
			.y = htole32(want.y),
			.width = htole32(want.width),
			.height = htole32(want.height),
		};
		info->pmodes[i].enabled = htole32(1);
	}
	request->response_len = sizeof(*info);
	return VIRTIO_GPU_RESP_OK_DISPLAY_INFO;
}

uint32_t gpu_get_edid(struct gpu_request *request)
{
	struct virtio_gpu_resp_edid *response = &request->response->edid;
	uint32_t head = le32toh(request->command.get_edid.scanout);
	struct virtio_gpu *gpu = request->gpu;
	struct edid_monitor monitor = { .head = head };
	struct display_want want;

	if (head >= gpu->n_scanouts)
		return gpu_refuse(request, VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID, "no such head");
	gpu->asked = true;
	display_get_want(gpu->display, head, &want);
	monitor.width = want.width;
	monitor.height = want.height;
	monitor.width_mm = want.width_mm;
	monitor.height_mm = want.height_mm;
	memset(response, 0, sizeof(*response));
	response->size = htole32((uint32_t)edid_make(&monitor, response->edid));
	request->response_len = sizeof(*response);
	return VIRTIO_GPU_RESP_OK_EDID;
}

/* ---- what heads show ---- */

static int read_picture(void *opaque, uint64_t offset, void *to, size_t len)
{
	return gpu_resource_read(opaque, offset, to, len);
}

static const struct display_source_ops source_ops = { .read = read_picture };

static bool view_valid(const struct gpu_view *view)
{
	uint64_t line = (uint64_t)view->width * display_format_bytes(view->format);
	uint64_t size = view->resource->size;

	if (view->rect.width == 0 || view->rect.height == 0 ||
	    view->rect.width > LODGE_DISPLAY_SIDE_MAX ||
	    view->rect.height > LODGE_DISPLAY_SIDE_MAX ||
	    !rect_within(&view->rect, view->width, view->height))
		return false;
	/* Below 2^64: each factor has 32 bits. */
	return view->stride >= line && view->offset <= size &&
	       (uint64_t)(view->height - 1) * view->stride + line <= size - view->offset;
}

static void turn_off(struct virtio_gpu *gpu, unsigned int head)
{
	gpu->scanouts[head].view = (struct gpu_view){ 0 };
	(void)display_set_picture(gpu->display, head, DISPLAY_LAYER_GPU, NULL);
}

int gpu_scanout_show(struct virtio_gpu *gpu, unsigned int head, const struct gpu_view *view)
{
	const struct display_rect *rect = &view->rect;
	struct display_picture picture = {
		.width = rect->width,
		.height = rect->height,
		.stride = view->stride,
		.offset = view->offset + (uint64_t)rect->y * view->stride +
			  (uint64_t)rect->x * display_format_bytes(view->format),
		.format = view->format,
		.source = LODGE_DISPLAY_GPU,
		.x = rect->x,
		.y = rect->y,
		.ops = &source_ops,
		.opaque = view->resource,
	};
	struct display_want want;
	int ret;

	if (!view_valid(view))
		return -EINVAL;
	/* Heads that have a picture each tell no place: where they should be is as good. */
	if (rect->width == view->width && rect->height == view->height) {
		display_get_want(gpu->display, head, &want);
		picture.x = want.x;
		picture.y = want.y;
	}
	ret = display_set_picture(gpu->display, head, DISPLAY_LAYER_GPU, &picture);
	if (ret == 0)
		gpu->scanouts[head].view = *view;
	return ret;
}

static bool same_view(const struct gpu_view *a, const struct gpu_view *b)
{
	return a->resource == b->resource && memcmp(&a->rect, &b->rect, sizeof(a->rect)) == 0 &&
	       a->width == b->width && a->height == b->height && a->stride == b->stride &&
	       a->offset == b->offset && a->format == b->format;
}

static uint32_t set_view(struct gpu_request *request, uint32_t head, const struct gpu_view *next)
{
	/* Older drivers say it before each flush: no reason to copy all. */
	if (same_view(&request->gpu->scanouts[head].view, next))
		return VIRTIO_GPU_RESP_OK_NODATA;
	if (gpu_scanout_show(request->gpu, head, next) < 0)
		return gpu_refuse(request, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
				  "beyond the resource, or more than [display] memory holds");
	return VIRTIO_GPU_RESP_OK_NODATA;
}

/* True: done, *ret_code is the answer. */
static bool nothing_to_show(struct gpu_request *request, uint32_t head, uint32_t id,
			    uint32_t *ret_code)
{
	if (head >= request->gpu->n_scanouts) {
		*ret_code =
			gpu_refuse(request, VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID, "no such head");
		return true;
	}
	if (id == 0) {
		turn_off(request->gpu, head);
		*ret_code = VIRTIO_GPU_RESP_OK_NODATA;
		return true;
	}
	return false;
}

uint32_t gpu_set_scanout(struct gpu_request *request)
{
	const struct virtio_gpu_set_scanout *set = &request->command.set_scanout;
	uint32_t head = le32toh(set->scanout_id), id = le32toh(set->resource_id), code;
	struct gpu_resource *resource = gpu_resource_find(request->gpu, id);
	struct gpu_view next = { .resource_id = id,
				 .resource = resource,
				 .rect = rect_of(&set->r) };

	if (nothing_to_show(request, head, id, &code))
		return code;
	if (!resource)
		return gpu_refuse(request, VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID,
				  "no such resource");
	if (resource->blob)
		return gpu_refuse(request, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
				  "a blob has no size of its own");
	next.width = resource->width;
	next.height = resource->height;
	next.format = resource->format;
	next.stride = resource->width * display_format_bytes(resource->format);
	return set_view(request, head, &next);
}

uint32_t gpu_set_scanout_blob(struct gpu_request *request)
{
	const struct virtio_gpu_set_scanout_blob *set = &request->command.set_scanout_blob;
	uint32_t head = le32toh(set->scanout_id), id = le32toh(set->resource_id), code;
	struct gpu_resource *resource = gpu_resource_find(request->gpu, id);
	struct gpu_view next = {
		.resource_id = id,
		.resource = resource,
		.rect = rect_of(&set->r),
		.width = le32toh(set->width),
		.height = le32toh(set->height),
		.stride = le32toh(set->strides[0]),
		.offset = le32toh(set->offsets[0]),
	};
	bool alpha;

	if (nothing_to_show(request, head, id, &code))
		return code;
	if (!resource || !resource->blob)
		return gpu_refuse(request, VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID, "no such blob");
	if (!gpu_format(le32toh(set->format), &next.format, &alpha))
		return gpu_refuse(request, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER, "unknown format");
	return set_view(request, head, &next);
}

void gpu_scanout_forget(struct virtio_gpu *gpu, const struct gpu_resource *resource)
{
	for (unsigned int i = 0; i < gpu->n_scanouts; i++)
		if (gpu->scanouts[i].view.resource == resource)
			turn_off(gpu, i);
}

void gpu_scanout_reset(struct virtio_gpu *gpu)
{
	for (unsigned int i = 0; i < gpu->n_scanouts; i++) {
		if (gpu->scanouts[i].view.resource)
			turn_off(gpu, i);
		memset(&gpu->scanouts[i], 0, sizeof(gpu->scanouts[i]));
		gpu_cursor_show(gpu, i);
	}
}

/* ---- what changed ---- */

static void note_damage(struct gpu_resource *resource, const struct display_rect *rect)
{
	if (resource->n_damage == GPU_DAMAGE_MAX) {
		for (unsigned int i = 1; i < GPU_DAMAGE_MAX; i++)
			rect_extend(&resource->damage[0], &resource->damage[i]);
		rect_extend(&resource->damage[0], rect);
		resource->n_damage = 1;
		return;
	}
	resource->damage[resource->n_damage++] = *rect;
}

uint32_t gpu_transfer(struct gpu_request *request)
{
	const struct virtio_gpu_transfer_to_host_2d *transfer = &request->command.transfer;
	struct gpu_resource *resource =
		gpu_resource_find(request->gpu, le32toh(transfer->resource_id));
	const struct display_rect rect = rect_of(&transfer->r);
	uint64_t offset = le64toh(transfer->offset), linear;

	if (!resource)
		return gpu_refuse(request, VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID,
				  "no such resource");
	/* Linux sends one for a cursor that is a blob, too. */
	if (resource->blob)
		return VIRTIO_GPU_RESP_OK_NODATA;
	if (!resource->backed)
		return gpu_refuse(request, VIRTIO_GPU_RESP_ERR_UNSPEC, "it has no backing");
	if (!rect_within(&rect, resource->width, resource->height))
		return gpu_refuse(request, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
				  "rectangle beyond the resource");
	linear = ((uint64_t)rect.y * resource->width + rect.x) *
		 display_format_bytes(resource->format);
	/* Linux before 5.4 says 0 for every rectangle, and means the linear one. */
	if (offset != linear && offset != 0)
		return gpu_refuse(request, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
				  "the offset is not the rectangle's place in the picture");
	if (rect.width > 0 && rect.height > 0)
		note_damage(resource, &rect);
	return VIRTIO_GPU_RESP_OK_NODATA;
}

static void damage_heads(struct virtio_gpu *gpu, const struct gpu_resource *resource,
			 const struct display_rect *rect)
{
	for (unsigned int i = 0; i < gpu->n_scanouts; i++) {
		const struct gpu_view *view = &gpu->scanouts[i].view;
		struct display_rect common;

		if (view->resource != resource || !rect_common(rect, &view->rect, &common))
			continue;
		common.x -= view->rect.x;
		common.y -= view->rect.y;
		display_damage(gpu->display, i, DISPLAY_LAYER_GPU, &common);
	}
}

/* What was transferred and lies in @flushed; it stays noted where it lies outside, too. */
static void flush_transferred(struct virtio_gpu *gpu, struct gpu_resource *resource,
			      const struct display_rect *flushed)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < resource->n_damage; i++) {
		const struct display_rect rect = resource->damage[i];
		struct display_rect common = { 0 };

		if (rect_common(&rect, flushed, &common))
			damage_heads(gpu, resource, &common);
		if (common.width != rect.width || common.height != rect.height)
			resource->damage[kept++] = rect;
	}
	resource->n_damage = kept;
}

/* Of a blob, whose rectangle nothing bounds but the pictures it is shown as. */
static bool blob_flush_valid(const struct virtio_gpu *gpu, const struct gpu_resource *resource,
			     const struct display_rect *rect)
{
	for (unsigned int i = 0; i < gpu->n_scanouts; i++) {
		const struct gpu_view *view = &gpu->scanouts[i].view;

		if (view->resource == resource && !rect_within(rect, view->width, view->height))
			return false;
	}
	return true;
}

uint32_t gpu_flush(struct gpu_request *request)
{
	const struct virtio_gpu_resource_flush *flush = &request->command.flush;
	struct virtio_gpu *gpu = request->gpu;
	struct gpu_resource *resource = gpu_resource_find(gpu, le32toh(flush->resource_id));
	const struct display_rect rect = rect_of(&flush->r);

	if (!resource)
		return gpu_refuse(request, VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID,
				  "no such resource");
	if (resource->blob ? !blob_flush_valid(gpu, resource, &rect)
			   : !rect_within(&rect, resource->width, resource->height))
		return gpu_refuse(request, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
				  "rectangle beyond the resource");
	if (resource->blob)
		damage_heads(gpu, resource, &rect);
	else
		flush_transferred(gpu, resource, &rect);
	for (unsigned int i = 0; i < gpu->n_scanouts; i++)
		if (gpu->scanouts[i].view.resource == resource)
			request->flushed |= 1u << i;
	return VIRTIO_GPU_RESP_OK_NODATA;
}
