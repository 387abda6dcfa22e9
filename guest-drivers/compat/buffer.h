/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Buffers and framebuffers, as compat/display.h does it, which includes this: the kernel's shmem
 * buffers, or those of compat/buffer.c where it has none.
 */
#ifndef LODGE_COMPAT_BUFFER_H
#define LODGE_COMPAT_BUFFER_H

/* Where there are two, the plain one wants a lock held. */
#ifdef LODGE_HAVE_GEM_PUT_UNLOCKED
#define drm_gem_object_put drm_gem_object_put_unlocked
#endif

#ifdef LODGE_HAVE_DRM_DAMAGE
static inline struct drm_gem_object **lodge_fb_object(struct drm_framebuffer *fb)
{
	return &fb->obj[0];
}

#define lodge_fb_fourcc(fb) ((fb)->format->format)
#define lodge_fb_cpp(fb)    ((fb)->format->cpp[0])

struct lodge_drm_fb {
	struct drm_framebuffer base;
};
#endif

#if defined(LODGE_HAVE_FB_CREATE_INFO)
#define LODGE_FB_PARAMETERS                                                                \
	struct drm_device *drm, struct drm_file *file, const struct drm_format_info *info, \
		const struct drm_mode_fb_cmd2 *request
#define lodge_fb_init(fb, funcs) drm_gem_fb_init_with_funcs(drm, fb, file, info, request, funcs)
#else
#define LODGE_FB_PARAMETERS \
	struct drm_device *drm, struct drm_file *file, const struct drm_mode_fb_cmd2 *request
#ifdef LODGE_HAVE_FB_INIT
#define lodge_fb_init(fb, funcs) drm_gem_fb_init_with_funcs(drm, fb, file, request, funcs)
#else
#define lodge_fb_init(fb, funcs) lodge_fb_init_old(drm, fb, file, request, funcs)
/* For formats of one plane. */
int lodge_fb_init_old(struct drm_device *drm, struct drm_framebuffer *fb, struct drm_file *file,
		      const struct drm_mode_fb_cmd2 *request,
		      const struct drm_framebuffer_funcs *funcs);
#endif
#endif

/* What a drm_driver says of its buffers, with a comma; LODGE_FILE_OPS is what programs open. */
#if defined(LODGE_HAVE_SHMEM_IMPORT_NO_MAP)
#define LODGE_BUFFER_OPS                                                  \
	.gem_prime_import_sg_table = drm_gem_shmem_prime_import_sg_table, \
	.dumb_create = drm_gem_shmem_dumb_create,
#elif defined(LODGE_HAVE_SHMEM_CREATE_CACHED)
#define LODGE_BUFFER_OPS \
	DRM_GEM_SHMEM_DRIVER_OPS, .gem_create_object = drm_gem_shmem_create_object_cached,
#elif defined(LODGE_HAVE_DRM_SHMEM)
#define LODGE_BUFFER_OPS DRM_GEM_SHMEM_DRIVER_OPS,
#else
#define LODGE_BUFFER_OPS                                                                      \
	.gem_free_object_unlocked = lodge_buffer_free, .gem_vm_ops = &lodge_buffer_vm_ops,    \
	.dumb_create = lodge_dumb_create, .prime_handle_to_fd = drm_gem_prime_handle_to_fd,   \
	.prime_fd_to_handle = drm_gem_prime_fd_to_handle,                                     \
	.gem_prime_export = drm_gem_prime_export, .gem_prime_import = drm_gem_prime_import,   \
	.gem_prime_pin = lodge_buffer_pin, .gem_prime_get_sg_table = lodge_buffer_table,      \
	.gem_prime_import_sg_table = lodge_prime_import, .gem_prime_vmap = lodge_buffer_vmap, \
	.gem_prime_vunmap = lodge_buffer_vunmap, .gem_prime_mmap = lodge_prime_mmap,          \
	LODGE_DUMB_OPS
#endif

/* How programs map dumb buffers and end them, where that is not the same for all drivers. */
#ifdef LODGE_HAVE_DRM_DAMAGE
#define LODGE_DUMB_OPS
#else
#define LODGE_DUMB_OPS \
	.dumb_map_offset = lodge_dumb_map_offset, .dumb_destroy = drm_gem_dumb_destroy,
#endif

#ifdef LODGE_HAVE_DRM_SHMEM
#define LODGE_FILE_OPS(name) DEFINE_DRM_GEM_FOPS(name)
#else
#define LODGE_FILE_OPS(name)                         \
	static const struct file_operations name = { \
		.owner = THIS_MODULE,                \
		.open = drm_open,                    \
		.release = drm_release,              \
		.unlocked_ioctl = drm_ioctl,         \
		.compat_ioctl = drm_compat_ioctl,    \
		.poll = drm_poll,                    \
		.read = drm_read,                    \
		.llseek = noop_llseek,               \
		.mmap = lodge_buffer_mmap,           \
	}
#endif

/* Some kernels want to hear that buffers are shared with other drivers. */
#ifdef LODGE_HAVE_DRIVER_PRIME
#define LODGE_DRIVER_PRIME DRIVER_PRIME
#else
#define LODGE_DRIVER_PRIME 0
#endif

#ifdef LODGE_HAVE_DRM_SHMEM
#ifdef LODGE_HAVE_SHMEM_OF_GEM
#define lodge_shmem(object) (object)
#else
#define lodge_shmem(object) to_drm_gem_shmem_obj(object)
#endif

/* Keeps the pages of a buffer that is not imported. */
static inline int lodge_buffer_pin(struct drm_gem_object *object)
{
	return drm_gem_shmem_pin(lodge_shmem(object));
}

static inline void lodge_buffer_unpin(struct drm_gem_object *object)
{
	drm_gem_shmem_unpin(lodge_shmem(object));
}

/* The pages of a buffer that is pinned: the caller's to free. */
static inline struct sg_table *lodge_buffer_table(struct drm_gem_object *object)
{
	return drm_gem_shmem_get_sg_table(lodge_shmem(object));
}

/* The pages of a buffer that is imported, mapped for the device: the buffer's. */
static inline struct sg_table *lodge_import_table(struct drm_gem_object *object)
{
	return to_drm_gem_shmem_obj(object)->sgt;
}
#else
/* Keeps the pages of a buffer that is not imported, until it goes. */
int lodge_buffer_pin(struct drm_gem_object *object);
static inline void lodge_buffer_unpin(struct drm_gem_object *object)
{
}
struct sg_table *lodge_buffer_table(struct drm_gem_object *object);
struct sg_table *lodge_import_table(struct drm_gem_object *object);

/* Of the driver and of what programs open. */
extern const struct vm_operations_struct lodge_buffer_vm_ops;
struct drm_gem_object *lodge_buffer_create(struct drm_device *drm, size_t size);
void lodge_buffer_free(struct drm_gem_object *object);
int lodge_buffer_mmap(struct file *file, struct vm_area_struct *vma);
void *lodge_buffer_vmap(struct drm_gem_object *object);
void lodge_buffer_vunmap(struct drm_gem_object *object, void *address);
int lodge_dumb_create(struct drm_file *file, struct drm_device *drm,
		      struct drm_mode_create_dumb *request);
int lodge_prime_mmap(struct drm_gem_object *object, struct vm_area_struct *vma);
struct drm_gem_object *lodge_prime_import(struct drm_device *drm,
					  struct dma_buf_attachment *attachment,
					  struct sg_table *table);
#endif

#endif
