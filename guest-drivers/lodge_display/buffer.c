// SPDX-License-Identifier: GPL-2.0-only
/*
 * Framebuffers. Each is a resource of the device over pages of a buffer in guest memory: a blob,
 * where the device has those, else a picture as wide as the framebuffer's lines are long, so that
 * any pitch and offset will do.
 */
#include <linux/dma-mapping.h>
#include <linux/kernel.h>
#include <linux/slab.h>

#include "lodge_display/lodge_display.h"

u32 lodge_format(u32 fourcc)
{
	/* DRM names the bytes of a little-endian word, virtio-gpu as they lie in memory. */
	static const struct {
		u32 fourcc, format;
	} formats[] = {
		{ DRM_FORMAT_XRGB8888, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM },
		{ DRM_FORMAT_ARGB8888, VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM },
		{ DRM_FORMAT_XBGR8888, VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(formats); i++) {
		if (formats[i].fourcc == fourcc)
			return formats[i].format;
	}
	return 0;
}

/* Blobs know no format; what shows them says it. */
static struct lodge_call *blob_call(struct lodge_resource *resource)
{
	struct lodge_call *call = lodge_call_create(VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB,
						    sizeof(call->command.request.create_blob), 0);
	struct virtio_gpu_resource_create_blob *request;

	if (!call)
		return NULL;
	request = &call->command.request.create_blob;
	request->resource_id = cpu_to_le32(resource->id);
	request->blob_mem = cpu_to_le32(VIRTIO_GPU_BLOB_MEM_GUEST);
	request->blob_flags = cpu_to_le32(VIRTIO_GPU_BLOB_FLAG_USE_SHAREABLE);
	request->size = cpu_to_le64(resource->object->size);
	return call;
}

static struct lodge_call *picture_call(struct lodge_resource *resource)
{
	struct lodge_call *call = lodge_call_create(VIRTIO_GPU_CMD_RESOURCE_CREATE_2D,
						    sizeof(call->command.request.create_2d), 0);
	struct virtio_gpu_resource_create_2d *request;

	if (!call)
		return NULL;
	request = &call->command.request.create_2d;
	request->resource_id = cpu_to_le32(resource->id);
	request->format = cpu_to_le32(resource->format);
	request->width = cpu_to_le32(resource->width);
	request->height = cpu_to_le32(resource->height);
	return call;
}

static struct lodge_call *attach_call(struct lodge_resource *resource)
{
	struct lodge_call *call = lodge_call_create(VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING,
						    sizeof(call->command.request.attach_backing),
						    0);

	if (call)
		call->command.request.attach_backing.resource_id = cpu_to_le32(resource->id);
	return call;
}

/* Entries go behind a blob's creation, and behind a command of their own for a picture. */
static int add_entries(struct lodge_resource *resource, struct lodge_call *call)
{
	union lodge_request *request = &call->command.request;
	bool mapped = resource->mapped || resource->object->import_attach;
	u32 n;
	int err;

	err = lodge_call_add_entries(call, resource->table, mapped, &n);
	if (err)
		return err;
	if (resource->display->has_blob)
		request->create_blob.nr_entries = cpu_to_le32(n);
	else
		request->attach_backing.nr_entries = cpu_to_le32(n);
	return 0;
}

/* Tells the device of a resource. Both calls are on their way before the first is waited for. */
static int tell_device(struct lodge_resource *resource)
{
	struct lodge_display *display = resource->display;
	struct lodge_call *calls[2] = { NULL, NULL };
	unsigned int n = display->has_blob ? 1 : 2, i, posted;
	int err = -ENOMEM;

	calls[0] = display->has_blob ? blob_call(resource) : picture_call(resource);
	if (n > 1)
		calls[1] = attach_call(resource);
	if (!calls[0] || !calls[n - 1])
		goto put_calls;
	err = add_entries(resource, calls[n - 1]);
	if (err)
		goto put_calls;
	for (posted = 0; posted < n && !err; posted++)
		err = lodge_call_post(display, calls[posted]);
	for (i = 0; i < posted; i++) {
		int answer = lodge_call_wait(display, calls[i]);

		err = err ? err : answer;
	}
put_calls:
	for (i = 0; i < n; i++) {
		if (calls[i])
			lodge_call_put(calls[i]);
	}
	return err;
}

static void resource_free(struct lodge_resource *resource)
{
	struct drm_gem_object *object = resource->object;

	if (!object->import_attach) {
		if (resource->mapped)
			dma_unmap_sgtable(resource->display->drm->dev, resource->table,
					  DMA_TO_DEVICE, 0);
		sg_free_table(resource->table);
		kfree(resource->table);
		lodge_buffer_unpin(object);
	}
	drm_gem_object_put(object);
	kfree(resource);
}

void lodge_resources_reap(struct work_struct *work)
{
	struct lodge_display *display = container_of(work, struct lodge_display, reap);
	struct lodge_resource *resource, *next;
	LIST_HEAD(dead);

	spin_lock_irq(&display->dead_lock);
	list_splice_init(&display->dead, &dead);
	spin_unlock_irq(&display->dead_lock);
	list_for_each_entry_safe(resource, next, &dead, link)
		resource_free(resource);
}

static void destroyed(struct lodge_command *command)
{
	struct lodge_resource *resource = command->owner;
	struct lodge_display *display = resource->display;
	unsigned long flags;

	spin_lock_irqsave(&display->dead_lock, flags);
	list_add_tail(&resource->link, &display->dead);
	spin_unlock_irqrestore(&display->dead_lock, flags);
	schedule_work(&display->reap);
}

/* The pages stay where they are until the device has forgotten them. */
static void resource_destroy(struct lodge_resource *resource)
{
	struct lodge_display *display = resource->display;
	struct lodge_command *command = &resource->destroy;

	mutex_lock(&display->resources_lock);
	list_del_init(&resource->link);
	mutex_unlock(&display->resources_lock);
	lodge_command_init(command, VIRTIO_GPU_CMD_RESOURCE_UNREF, sizeof(command->request.unref));
	command->request.unref.resource_id = cpu_to_le32(resource->id);
	command->done = destroyed;
	command->owner = resource;
	if (lodge_commands_post(display, LODGE_RING_CONTROL, command, 1))
		resource_free(resource);
}

static int import_pages(struct lodge_resource *resource)
{
	struct lodge_display *display = resource->display;

	/* The buffer is mapped for the PCI function, whose translation a device with the quirk
	 * does not go through. */
	if (virtio_has_dma_quirk(display->vdev) && device_iommu_mapped(display->drm->dev))
		return -EOPNOTSUPP;
	resource->table = lodge_import_table(resource->object);
	return resource->table ? 0 : -EOPNOTSUPP;
}

static int own_pages(struct lodge_resource *resource)
{
	struct lodge_display *display = resource->display;
	int err;

	err = lodge_buffer_pin(resource->object);
	if (err)
		return err;
	resource->table = lodge_buffer_table(resource->object);
	if (IS_ERR(resource->table)) {
		err = PTR_ERR(resource->table);
		goto unpin;
	}
	if (!virtio_has_dma_quirk(display->vdev)) {
		err = dma_map_sgtable(display->drm->dev, resource->table, DMA_TO_DEVICE, 0);
		if (err)
			goto free_table;
		resource->mapped = true;
	}
	return 0;
free_table:
	sg_free_table(resource->table);
	kfree(resource->table);
unpin:
	lodge_buffer_unpin(resource->object);
	return err;
}

static int resource_create(struct lodge_display *display, struct drm_framebuffer *fb,
			   struct lodge_resource **ret_resource)
{
	struct lodge_resource *resource = kzalloc(sizeof(*resource), GFP_KERNEL);
	int err;

	if (!resource)
		return -ENOMEM;
	resource->display = display;
	resource->object = *lodge_fb_object(fb);
	resource->id = atomic_inc_return(&display->resource_ids);
	resource->format = lodge_format(lodge_fb_fourcc(fb));
	resource->width = fb->pitches[0] / lodge_fb_cpp(fb);
	resource->height = fb->height;
	err = resource->object->import_attach ? import_pages(resource) : own_pages(resource);
	if (err) {
		kfree(resource);
		return err;
	}
	drm_gem_object_get(resource->object);
	mutex_lock(&display->resources_lock);
	err = tell_device(resource);
	list_add_tail(&resource->link, &display->resources);
	mutex_unlock(&display->resources_lock);
	/* The device may have heard half of it. */
	if (err)
		resource_destroy(resource);
	else
		*ret_resource = resource;
	return err;
}

void lodge_resources_again(struct lodge_display *display)
{
	struct lodge_resource *resource;

	list_for_each_entry(resource, &display->resources, link) {
		int err = tell_device(resource);

		if (err)
			dev_err_ratelimited(&display->vdev->dev, "a picture is lost, error %d\n",
					    err);
	}
}

static void framebuffer_destroy(struct drm_framebuffer *base)
{
	struct lodge_framebuffer *fb = lodge_framebuffer_of(base);

	if (fb->resource)
		resource_destroy(fb->resource);
	drm_gem_fb_destroy(base);
}

static const struct drm_framebuffer_funcs framebuffer_funcs = {
	.destroy = framebuffer_destroy,
	.create_handle = drm_gem_fb_create_handle,
	.dirty = drm_atomic_helper_dirtyfb,
};

struct drm_framebuffer *lodge_framebuffer_create(LODGE_FB_PARAMETERS)
{
	struct lodge_display *display = drm->dev_private;
	struct lodge_framebuffer *fb;
	int err;

	if (!lodge_format(request->pixel_format) || request->pitches[0] % 4)
		return ERR_PTR(-EINVAL);
	fb = kzalloc(sizeof(*fb), GFP_KERNEL);
	if (!fb)
		return ERR_PTR(-ENOMEM);
	err = lodge_fb_init(&fb->base, &framebuffer_funcs);
	if (err) {
		kfree(fb);
		return ERR_PTR(err);
	}
	err = resource_create(display, &fb->base, &fb->resource);
	if (err) {
		drm_framebuffer_put(&fb->base);
		return ERR_PTR(err);
	}
	return &fb->base;
}
