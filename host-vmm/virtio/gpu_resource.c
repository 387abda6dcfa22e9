// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtio-gpu's resources: pictures and blobs by their numbers, and the guest's pages behind them.
 *
 * A driver lists the pages of a picture one by one, thousands of them, though most follow one
 * another: they are merged into stretches. Reading goes forward through a picture, so the stretch
 * read last, or the one behind it, is nearly always the right one.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "host-vmm/machine.h"
#include "host-vmm/memory.h"
#include "host-vmm/virtio/gpu_private.h"

#define PIXEL_BYTES   4u /* of every format that virtio-gpu has */
#define ENTRIES_READ  64u /* at once */
#define ENTRIES_UNIT  256u /* that cost as much as a command */
#define FIRST_ROOM    16u
#define STRETCHES_MAX (UINT32_MAX / 4)

/* Named by the bytes in memory, lowest first, as ours are. */
static const struct {
	uint32_t virtio;
	enum display_format format;
	bool alpha;
} formats[] = {
	{ VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, DISPLAY_BGRX8888, true },
	{ VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, DISPLAY_BGRX8888, false },
	{ VIRTIO_GPU_FORMAT_A8R8G8B8_UNORM, DISPLAY_XRGB8888, true },
	{ VIRTIO_GPU_FORMAT_X8R8G8B8_UNORM, DISPLAY_XRGB8888, false },
	{ VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM, DISPLAY_RGBX8888, true },
	{ VIRTIO_GPU_FORMAT_X8B8G8R8_UNORM, DISPLAY_XBGR8888, false },
	{ VIRTIO_GPU_FORMAT_A8B8G8R8_UNORM, DISPLAY_XBGR8888, true },
	{ VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM, DISPLAY_RGBX8888, false },
};

bool gpu_format(uint32_t virtio_format, enum display_format *ret_format, bool *ret_alpha)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		if (formats[i].virtio != virtio_format)
			continue;
		*ret_format = formats[i].format;
		*ret_alpha = formats[i].alpha;
		return true;
	}
	return false;
}

/* ---- the table ---- */

static struct gpu_resource **bucket(struct virtio_gpu *gpu, uint32_t id)
{
	return &gpu->buckets[id % GPU_BUCKETS];
}

struct gpu_resource *gpu_resource_find(struct virtio_gpu *gpu, uint32_t id)
{
	struct gpu_resource *resource = *bucket(gpu, id);

	while (resource && resource->id != id)
		resource = resource->next;
	return resource;
}

static uint64_t memory_limit(const struct virtio_gpu *gpu)
{
	return display_memory(gpu->display) * GPU_MEMORY_TIMES;
}

int gpu_resource_add(struct virtio_gpu *gpu, const struct gpu_resource *like,
		     struct gpu_resource **ret_resource)
{
	struct gpu_resource **first = bucket(gpu, like->id), *resource;

	if (like->id == 0 || like->size == 0)
		return -EINVAL;
	if (gpu_resource_find(gpu, like->id))
		return -EEXIST;
	if (gpu->n_resources >= GPU_RESOURCES_MAX || like->size > memory_limit(gpu) ||
	    gpu->bytes > memory_limit(gpu) - like->size)
		return -ENOSPC;
	resource = calloc(1, sizeof(*resource));
	if (!resource)
		return -ENOMEM;
	resource->gpu = gpu;
	resource->id = like->id;
	resource->blob = like->blob;
	resource->format = like->format;
	resource->alpha = like->alpha;
	resource->width = like->width;
	resource->height = like->height;
	resource->size = like->size;
	resource->next = *first;
	*first = resource;
	gpu->n_resources++;
	gpu->bytes += resource->size;
	*ret_resource = resource;
	return 0;
}

static void drop_backing(struct gpu_resource *resource)
{
	resource->gpu->stretches -= resource->n_stretches;
	free(resource->stretches);
	resource->stretches = NULL;
	resource->n_stretches = 0;
	resource->backed_size = 0;
	resource->hint = 0;
	resource->backed = false;
}

static void remove_resource(struct gpu_resource *resource)
{
	struct virtio_gpu *gpu = resource->gpu;
	struct gpu_resource **link = bucket(gpu, resource->id);

	while (*link != resource)
		link = &(*link)->next;
	*link = resource->next;
	drop_backing(resource);
	gpu->n_resources--;
	gpu->bytes -= resource->size;
	free(resource);
}

void gpu_resource_free_all(struct virtio_gpu *gpu)
{
	for (unsigned int i = 0; i < GPU_BUCKETS; i++)
		while (gpu->buckets[i])
			remove_resource(gpu->buckets[i]);
}

/* ---- backing ---- */

static const struct memory *memory_of(const struct gpu_resource *resource)
{
	return resource->gpu->model.device.machine->memory;
}

static int add_stretch(struct gpu_resource *resource, uint64_t gpa)
{
	struct virtio_gpu *gpu = resource->gpu;
	uint32_t n = resource->n_stretches;

	if (gpu->stretches >= memory_limit(gpu) / GPU_ENTRY_BYTES || n >= STRETCHES_MAX)
		return -ENOSPC;
	/* Doubled whenever it is full: n is a power of two then. */
	if (n == 0 || (n >= FIRST_ROOM && (n & (n - 1)) == 0)) {
		size_t room = n == 0 ? FIRST_ROOM : 2 * (size_t)n;
		struct gpu_stretch *grown =
			realloc(resource->stretches, room * sizeof(*resource->stretches));

		if (!grown)
			return -ENOMEM;
		resource->stretches = grown;
	}
	resource->stretches[n] = (struct gpu_stretch){ .start = resource->backed_size, .gpa = gpa };
	resource->n_stretches++;
	gpu->stretches++;
	return 0;
}

int gpu_resource_append(struct gpu_resource *resource, uint64_t gpa, uint64_t len)
{
	struct iovec iov;
	int ret = 0;

	if (len == 0)
		return 0;
	if (memory_iov(memory_of(resource), gpa, len, &iov) < 0)
		return -EFAULT;
	if (resource->n_stretches > 0) {
		const struct gpu_stretch *last = &resource->stretches[resource->n_stretches - 1];

		if (last->gpa + (resource->backed_size - last->start) == gpa) {
			resource->backed_size += len;
			return 0;
		}
	}
	ret = add_stretch(resource, gpa);
	if (ret == 0)
		resource->backed_size += len;
	return ret;
}

static uint64_t stretch_end(const struct gpu_resource *resource, uint32_t index)
{
	return index + 1 < resource->n_stretches ? resource->stretches[index + 1].start
						 : resource->backed_size;
}

/* The stretch that holds @offset, which lies below backed_size. */
static uint32_t find_stretch(const struct gpu_resource *resource, uint64_t offset)
{
	uint32_t low = resource->hint, high = resource->n_stretches;

	for (unsigned int tries = 0; tries < 2 && low < high; tries++, low++)
		if (offset >= resource->stretches[low].start && offset < stretch_end(resource, low))
			return low;
	low = 0;
	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (offset >= resource->stretches[middle].start)
			low = middle;
		else
			high = middle;
	}
	return low;
}

int gpu_resource_read(struct gpu_resource *resource, uint64_t offset, void *to, size_t len)
{
	uint8_t *at = to;

	if (len > resource->backed_size || offset > resource->backed_size - len)
		return -EFAULT;
	while (len > 0) {
		uint32_t index = find_stretch(resource, offset);
		const struct gpu_stretch *stretch = &resource->stretches[index];
		uint64_t within = offset - stretch->start;
		uint64_t left = stretch_end(resource, index) - offset;
		size_t part = len < left ? len : (size_t)left;
		int ret = memory_read(memory_of(resource), stretch->gpa + within, at, part);

		if (ret < 0)
			return ret;
		resource->hint = index;
		at += part;
		offset += part;
		len -= part;
	}
	return 0;
}

/* ---- commands ---- */

static uint32_t refuse_errno(struct gpu_request *request, int ret)
{
	switch (ret) {
	case -EFAULT:
		return gpu_refuse(request, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
				  "backing outside memory");
	case -EEXIST:
		return gpu_refuse(request, VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID,
				  "the id is in use");
	case -EINVAL:
		return gpu_refuse(request, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
				  "id or size is 0");
	default:
		return gpu_refuse(request, VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY,
				  "more resources, bytes or pages than [display] memory allows");
	}
}

static uint32_t no_such_resource(struct gpu_request *request)
{
	return gpu_refuse(request, VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID, "no such resource");
}

/* The @n entries that follow @offset bytes of the command. */
static uint32_t take_backing(struct gpu_request *request, struct gpu_resource *resource,
			     size_t offset, uint32_t n)
{
	const struct virtq_chain *chain = request->chain;
	struct virtio_gpu_mem_entry entries[ENTRIES_READ];

	if (n > memory_limit(request->gpu) / GPU_ENTRY_BYTES)
		return refuse_errno(request, -ENOSPC);
	if (chain->out_len < offset || (chain->out_len - offset) / sizeof(entries[0]) < n)
		return gpu_refuse(request, VIRTIO_GPU_RESP_ERR_UNSPEC,
				  "fewer entries than it says");
	request->cost += n / ENTRIES_UNIT;
	while (n > 0) {
		uint32_t part = n < ENTRIES_READ ? n : ENTRIES_READ;
		size_t len = part * sizeof(entries[0]);

		if (memory_iov_read(chain->iov, chain->n_out, offset, entries, len) < len)
			return gpu_refuse(request, VIRTIO_GPU_RESP_ERR_UNSPEC, "entries end early");
		for (uint32_t i = 0; i < part; i++) {
			int ret = gpu_resource_append(resource, le64toh(entries[i].addr),
						      le32toh(entries[i].length));

			if (ret < 0) {
				drop_backing(resource);
				return refuse_errno(request, ret);
			}
		}
		offset += len;
		n -= part;
	}
	resource->backed = true;
	return VIRTIO_GPU_RESP_OK_NODATA;
}

uint32_t gpu_resource_create_2d(struct gpu_request *request)
{
	const struct virtio_gpu_resource_create_2d *create = &request->command.create_2d;
	struct gpu_resource like = {
		.id = le32toh(create->resource_id),
		.width = le32toh(create->width),
		.height = le32toh(create->height),
	};
	struct gpu_resource *resource;
	int ret;

	if (!gpu_format(le32toh(create->format), &like.format, &like.alpha))
		return gpu_refuse(request, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER, "unknown format");
	if (like.width == 0 || like.height == 0 || like.width > LODGE_DISPLAY_SIDE_MAX ||
	    like.height > LODGE_DISPLAY_SIDE_MAX)
		return gpu_refuse(request, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER, "size");
	like.size = (uint64_t)like.width * like.height * PIXEL_BYTES;
	ret = gpu_resource_add(request->gpu, &like, &resource);
	return ret < 0 ? refuse_errno(request, ret) : VIRTIO_GPU_RESP_OK_NODATA;
}

uint32_t gpu_resource_create_blob(struct gpu_request *request)
{
	const struct virtio_gpu_resource_create_blob *create = &request->command.create_blob;
	struct gpu_resource like = {
		.id = le32toh(create->resource_id),
		.blob = true,
		.size = le64toh(create->size),
	};
	struct gpu_resource *resource;
	uint32_t code;
	int ret;

	if (!virtio_has_feature(&request->gpu->model.vdev, VIRTIO_GPU_F_RESOURCE_BLOB))
		return gpu_refuse(request, VIRTIO_GPU_RESP_ERR_UNSPEC, "not negotiated");
	if (le32toh(create->blob_mem) != VIRTIO_GPU_BLOB_MEM_GUEST || create->blob_id != 0)
		return gpu_refuse(request, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
				  "blobs lie in the guest's memory only");
	ret = gpu_resource_add(request->gpu, &like, &resource);
	if (ret < 0)
		return refuse_errno(request, ret);
	if (create->nr_entries == 0)
		return VIRTIO_GPU_RESP_OK_NODATA;
	code = take_backing(request, resource, sizeof(*create), le32toh(create->nr_entries));
	if (code != VIRTIO_GPU_RESP_OK_NODATA)
		remove_resource(resource);
	return code;
}

uint32_t gpu_resource_unref(struct gpu_request *request)
{
	struct gpu_resource *resource =
		gpu_resource_find(request->gpu, le32toh(request->command.unref.resource_id));

	if (!resource)
		return no_such_resource(request);
	gpu_scanout_forget(request->gpu, resource);
	remove_resource(resource);
	return VIRTIO_GPU_RESP_OK_NODATA;
}

uint32_t gpu_resource_attach(struct gpu_request *request)
{
	const struct virtio_gpu_resource_attach_backing *attach = &request->command.attach;
	struct gpu_resource *resource =
		gpu_resource_find(request->gpu, le32toh(attach->resource_id));

	if (!resource)
		return no_such_resource(request);
	if (resource->backed)
		return gpu_refuse(request, VIRTIO_GPU_RESP_ERR_UNSPEC, "it has backing");
	return take_backing(request, resource, sizeof(*attach), le32toh(attach->nr_entries));
}

uint32_t gpu_resource_detach(struct gpu_request *request)
{
	struct gpu_resource *resource =
		gpu_resource_find(request->gpu, le32toh(request->command.detach.resource_id));

	if (!resource)
		return no_such_resource(request);
	if (!resource->backed)
		return gpu_refuse(request, VIRTIO_GPU_RESP_ERR_UNSPEC, "it has no backing");
	drop_backing(resource);
	return VIRTIO_GPU_RESP_OK_NODATA;
}
