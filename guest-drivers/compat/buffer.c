// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffers in shared memory, for kernels whose DRM has none (before 5.3), and framebuffers over
 * buffers. A buffer's pages come with their first use and stay until it goes. Programs map the file
 * that the pages are of, not the buffer: cached, as all their memory.
 */
#include <linux/file.h>
#include <linux/kernel.h>
#include <linux/mutex.h>
#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "compat/display.h"

#ifndef LODGE_HAVE_DRM_SHMEM

struct buffer {
	struct drm_gem_object base;
	struct mutex lock;
	struct page **pages;
	void *address; /* in the kernel, or NULL */
	struct sg_table *imported;
};

const struct vm_operations_struct lodge_buffer_vm_ops = {
	.open = drm_gem_vm_open,
	.close = drm_gem_vm_close,
};

static struct buffer *buffer_of(struct drm_gem_object *object)
{
	return container_of(object, struct buffer, base);
}

static struct buffer *make_buffer(void)
{
	struct buffer *buffer = kzalloc(sizeof(*buffer), GFP_KERNEL);

	if (buffer)
		mutex_init(&buffer->lock);
	return buffer;
}

static unsigned int n_pages(const struct buffer *buffer)
{
	return buffer->base.size >> PAGE_SHIFT;
}

int lodge_buffer_pin(struct drm_gem_object *object)
{
	struct buffer *buffer = buffer_of(object);
	struct page **pages;
	int err = 0;

	mutex_lock(&buffer->lock);
	if (!buffer->pages) {
		pages = drm_gem_get_pages(object);
		if (IS_ERR(pages))
			err = PTR_ERR(pages);
		else
			buffer->pages = pages;
	}
	mutex_unlock(&buffer->lock);
	return err;
}

struct sg_table *lodge_buffer_table(struct drm_gem_object *object)
{
	struct buffer *buffer = buffer_of(object);

	return drm_prime_pages_to_sg(buffer->pages, n_pages(buffer));
}

struct sg_table *lodge_import_table(struct drm_gem_object *object)
{
	return buffer_of(object)->imported;
}

struct drm_gem_object *lodge_buffer_create(struct drm_device *drm, size_t size)
{
	struct buffer *buffer = make_buffer();
	int err;

	if (!buffer)
		return ERR_PTR(-ENOMEM);
	err = drm_gem_object_init(drm, &buffer->base, PAGE_ALIGN(size));
	if (err)
		goto free_buffer;
	err = drm_gem_create_mmap_offset(&buffer->base);
	if (err)
		goto release_object;
	/* Pages that stay are not to be those that can be moved. */
	mapping_set_gfp_mask(buffer->base.filp->f_mapping,
			     GFP_HIGHUSER | __GFP_NORETRY | __GFP_NOWARN);
	return &buffer->base;
release_object:
	drm_gem_object_release(&buffer->base);
free_buffer:
	kfree(buffer);
	return ERR_PTR(err);
}

void lodge_buffer_free(struct drm_gem_object *object)
{
	struct buffer *buffer = buffer_of(object);

	if (buffer->address)
		vunmap(buffer->address);
	if (object->import_attach)
		drm_prime_gem_destroy(object, buffer->imported);
	else if (buffer->pages)
		drm_gem_put_pages(object, buffer->pages, true, true);
	drm_gem_object_release(object);
	kfree(buffer);
}

int lodge_dumb_create(struct drm_file *file, struct drm_device *drm,
		      struct drm_mode_create_dumb *request)
{
	struct drm_gem_object *object;
	int err;

	request->pitch = DIV_ROUND_UP((u64)request->width * request->bpp, 8);
	request->size = PAGE_ALIGN((u64)request->pitch * request->height);
	object = lodge_buffer_create(drm, request->size);
	if (IS_ERR(object))
		return PTR_ERR(object);
	err = drm_gem_handle_create(file, object, &request->handle);
	drm_gem_object_put(object);
	return err;
}

/* Maps the file of the pages. */
static int map_file(struct drm_gem_object *object, struct vm_area_struct *vma)
{
	int err;

	if (!object->filp)
		return -ENODEV;
	err = object->filp->f_op->mmap(object->filp, vma);
	if (err)
		return err;
	fput(vma->vm_file);
	vma->vm_file = get_file(object->filp);
	return 0;
}

int lodge_buffer_mmap(struct file *file, struct vm_area_struct *vma)
{
	unsigned long flags = vma->vm_flags;
	struct drm_gem_object *object;
	int err;

	/* It knows who may map what, and leaves a reference to it. */
	err = drm_gem_mmap(file, vma);
	if (err)
		return err;
	object = vma->vm_private_data;
	vma->vm_private_data = NULL;
	vma->vm_ops = NULL;
	vma->vm_flags = flags | VM_DONTEXPAND;
	vma->vm_page_prot = vm_get_page_prot(vma->vm_flags);
	vma->vm_pgoff = 0;
	err = map_file(object, vma);
	drm_gem_object_put(object);
	return err;
}

int lodge_prime_mmap(struct drm_gem_object *object, struct vm_area_struct *vma)
{
	if (object->size < vma->vm_end - vma->vm_start ||
	    vma->vm_pgoff > (object->size - (vma->vm_end - vma->vm_start)) >> PAGE_SHIFT)
		return -EINVAL;
	return map_file(object, vma);
}

struct drm_gem_object *lodge_prime_import(struct drm_device *drm,
					  struct dma_buf_attachment *attachment,
					  struct sg_table *table)
{
	struct buffer *buffer = make_buffer();

	if (!buffer)
		return ERR_PTR(-ENOMEM);
	drm_gem_private_object_init(drm, &buffer->base, PAGE_ALIGN(attachment->dmabuf->size));
	buffer->imported = table;
	return &buffer->base;
}

void *lodge_buffer_vmap(struct drm_gem_object *object)
{
	struct buffer *buffer = buffer_of(object);
	void *address;

	if (object->import_attach || lodge_buffer_pin(object))
		return NULL;
	mutex_lock(&buffer->lock);
	if (!buffer->address)
		buffer->address = vmap(buffer->pages, n_pages(buffer), VM_MAP, PAGE_KERNEL);
	address = buffer->address;
	mutex_unlock(&buffer->lock);
	return address;
}

void lodge_buffer_vunmap(struct drm_gem_object *object, void *address)
{
}

#endif

#ifndef LODGE_HAVE_FB_INIT

static struct drm_gem_object *lodge_request_object(struct drm_device *drm, struct drm_file *file,
						   const struct drm_mode_fb_cmd2 *request)
{
#ifndef LODGE_HAVE_DRM_DAMAGE
	if (!file) {
		struct drm_gem_object *object = lodge_early_of(drm)->console_object;

		drm_gem_object_get(object);
		return object;
	}
#endif
	return drm_gem_object_lookup(file, request->handles[0]);
}

int lodge_fb_init_old(struct drm_device *drm, struct drm_framebuffer *fb, struct drm_file *file,
		      const struct drm_mode_fb_cmd2 *request,
		      const struct drm_framebuffer_funcs *funcs)
{
	struct drm_gem_object *object = lodge_request_object(drm, file, request);
	u64 line, size;
	int err;

	if (!object)
		return -ENOENT;
	drm_helper_mode_fill_fb_struct(drm, fb, request);
	line = (u64)fb->width * lodge_fb_cpp(fb);
	size = fb->offsets[0] + (u64)(fb->height - 1) * fb->pitches[0] + line;
	err = size <= object->size ? drm_framebuffer_init(drm, fb, funcs) : -EINVAL;
	if (err)
		drm_gem_object_put(object);
	else
		*lodge_fb_object(fb) = object;
	return err;
}

#endif
