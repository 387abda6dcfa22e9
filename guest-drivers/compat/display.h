/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kernel mode setting, as compat.h does it: one interface from the DRM of Linux 5.1 (CentOS 8.1)
 * on.
 */
#ifndef LODGE_COMPAT_DISPLAY_H
#define LODGE_COMPAT_DISPLAY_H

#include <linux/dma-mapping.h>
#include <linux/hrtimer.h>
#include <linux/pci.h>
#include <linux/virtio_gpu.h>

#include <drm/drm_atomic.h>
#include <drm/drm_atomic_helper.h>
#include <drm/drm_drv.h>
#include <drm/drm_fb_helper.h>
#include <drm/drm_framebuffer.h>
#include <drm/drm_gem_framebuffer_helper.h>
#include <drm/drm_plane_helper.h>

#include "compat/config.h"

#ifdef LODGE_HAVE_DRM_SHMEM
#include <drm/drm_gem_shmem_helper.h>
#else
#include <linux/dma-buf.h>

#include <drm/drm_file.h>
#include <drm/drm_gem.h>
#include <drm/drm_ioctl.h>
#include <drm/drm_prime.h>
#endif
#ifdef LODGE_HAVE_DRM_MANAGED
#include <drm/drm_managed.h>
#endif
#ifdef LODGE_HAVE_LINUX_APERTURE
#include <linux/aperture.h>
#endif
#ifdef LODGE_HAVE_DRM_APERTURE
#include <drm/drm_aperture.h>
#endif
#if defined(LODGE_HAVE_FBDEV_SHMEM)
#include <drm/drm_fbdev_shmem.h>
#elif defined(LODGE_HAVE_CLIENTS_SETUP)
#include <drm/clients/drm_client_setup.h>
#include <drm/drm_fbdev_shmem.h>
#elif defined(LODGE_HAVE_CLIENT_SETUP)
#include <drm/drm_client_setup.h>
#include <drm/drm_fbdev_shmem.h>
#elif defined(LODGE_HAVE_FBDEV_GENERIC_HEADER)
#include <drm/drm_fbdev_generic.h>
#endif
#ifdef LODGE_HAVE_GEM_PLANE_PREPARE
#include <drm/drm_gem_atomic_helper.h>
#endif

/* What a commit is called. */
#ifdef LODGE_HAVE_ATOMIC_COMMIT
#define drm_atomic_state drm_atomic_commit
#endif

#ifndef DRM_PLANE_NO_SCALING
#define DRM_PLANE_NO_SCALING DRM_PLANE_HELPER_NO_SCALING
#endif

/* virtio 1.2 sections 5.7.3 and 5.7.6.8 */
#ifndef LODGE_HAVE_VIRTIO_GPU_BLOB
#define VIRTIO_GPU_F_RESOURCE_BLOB	    3
#define VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB 0x010c
#define VIRTIO_GPU_CMD_SET_SCANOUT_BLOB	    0x010d
#define VIRTIO_GPU_BLOB_MEM_GUEST	    1
#define VIRTIO_GPU_BLOB_FLAG_USE_SHAREABLE  2

struct virtio_gpu_resource_create_blob {
	struct virtio_gpu_ctrl_hdr hdr;
	__le32 resource_id;
	__le32 blob_mem;
	__le32 blob_flags;
	__le32 nr_entries;
	__le64 blob_id;
	__le64 size;
};

struct virtio_gpu_set_scanout_blob {
	struct virtio_gpu_ctrl_hdr hdr;
	struct virtio_gpu_rect r;
	__le32 scanout_id;
	__le32 resource_id;
	__le32 width;
	__le32 height;
	__le32 format;
	__le32 padding;
	__le32 strides[4];
	__le32 offsets[4];
};
#endif

/*
 * Each defines NAME, a callback of a plane that hands on one of the plane's states: LODGE_PLANE_OLD
 * the one before the commit, the others the new one. LODGE_CRTC: a callback of a CRTC that hands on
 * nothing but it.
 */
#ifdef LODGE_HAVE_PLANE_WHOLE_STATE
#define LODGE_PLANE_OLD(name, function)                                           \
	static void name(struct drm_plane *plane, struct drm_atomic_state *state) \
	{                                                                         \
		function(plane, drm_atomic_get_old_plane_state(state, plane));    \
	}
#define LODGE_PLANE_CHECK(name, function)                                             \
	static int name(struct drm_plane *plane, struct drm_atomic_state *state)      \
	{                                                                             \
		return function(plane, drm_atomic_get_new_plane_state(state, plane)); \
	}
#define LODGE_PLANE_ASYNC_UPDATE(name, function)                                  \
	static void name(struct drm_plane *plane, struct drm_atomic_state *state) \
	{                                                                         \
		function(plane, drm_atomic_get_new_plane_state(state, plane));    \
	}
#else
#define LODGE_PLANE_OLD(name, function)                                          \
	static void name(struct drm_plane *plane, struct drm_plane_state *state) \
	{                                                                        \
		function(plane, state);                                          \
	}
#define LODGE_PLANE_CHECK(name, function)                                       \
	static int name(struct drm_plane *plane, struct drm_plane_state *state) \
	{                                                                       \
		return function(plane, state);                                  \
	}
#define LODGE_PLANE_ASYNC_UPDATE(name, function) LODGE_PLANE_OLD(name, function)
#endif

#ifdef LODGE_HAVE_ASYNC_CHECK_FLIP
#define LODGE_PLANE_ASYNC_CHECK(name, function)                                             \
	static int name(struct drm_plane *plane, struct drm_atomic_state *state, bool flip) \
	{                                                                                   \
		return function(plane, drm_atomic_get_new_plane_state(state, plane));       \
	}
#else
#define LODGE_PLANE_ASYNC_CHECK(name, function) LODGE_PLANE_CHECK(name, function)
#endif

#ifdef LODGE_HAVE_CRTC_WHOLE_STATE
#define LODGE_CRTC(name, function)                                              \
	static void name(struct drm_crtc *crtc, struct drm_atomic_state *state) \
	{                                                                       \
		function(crtc);                                                 \
	}
#else
#define LODGE_CRTC(name, function)                                            \
	static void name(struct drm_crtc *crtc, struct drm_crtc_state *state) \
	{                                                                     \
		function(crtc);                                               \
	}
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

#ifdef LODGE_HAVE_GEM_PLANE_PREPARE
#define lodge_gem_prepare_fb drm_gem_plane_helper_prepare_fb
#else
#define lodge_gem_prepare_fb drm_gem_fb_prepare_fb
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
	.gem_prime_vunmap = lodge_buffer_vunmap, .gem_prime_mmap = lodge_prime_mmap,
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

/*
 * Who makes the picture of the kernel's console: a function of the driver's, or one of a table that
 * the console has for itself, which is replaced. LODGE_CONSOLE_OPS is the driver's;
 * LODGE_CONSOLE_MAKERS defines a table.
 */
#ifdef DRM_FBDEV_SHMEM_DRIVER_OPS
#define LODGE_CONSOLE_OPS(probe)	  .fbdev_probe = (probe),
#define LODGE_CONSOLE_MAKERS(name, probe) static const struct lodge_console_makers name
struct lodge_console_makers {
};
#else
#define LODGE_CONSOLE_OPS(probe)
#define LODGE_CONSOLE_MAKERS(name, probe) \
	static const struct lodge_console_makers name = { .fb_probe = (probe) }
#define lodge_console_makers drm_fb_helper_funcs
#endif

#ifdef LODGE_HAVE_DRM_DRIVER_DATE
#define LODGE_DRIVER_DATE .date = "0",
#else
#define LODGE_DRIVER_DATE
#endif

#ifdef LODGE_HAVE_CURSOR_HOTSPOT
#define LODGE_CURSOR_HOTSPOT DRIVER_CURSOR_HOTSPOT
#else
#define LODGE_CURSOR_HOTSPOT 0
#endif

/*
 * Devices that give back what they have when their last user is gone. LODGE_RELEASE_OPS is the
 * driver's part of it, with a comma.
 */
#ifdef LODGE_HAVE_DRM_MANAGED
#define LODGE_RELEASE_OPS
/* Some kernels want a driver that they could write to, and do not. */
static inline struct drm_device *lodge_drm_alloc(const struct drm_driver *driver,
						 struct device *parent)
{
	return drm_dev_alloc((struct drm_driver *)driver, parent);
}
#else
#define LODGE_RELEASE_OPS	 .release = lodge_drm_release,
#define drmm_add_action_or_reset lodge_drmm_add_action
typedef void (*drmres_release_t)(struct drm_device *drm, void *data);
/* Calls @release in the end, at once where there is no memory for that: -ENOMEM. */
int lodge_drmm_add_action(struct drm_device *drm, drmres_release_t release, void *data);
void *drmm_kzalloc(struct drm_device *drm, size_t size, gfp_t flags);
int drmm_mode_config_init(struct drm_device *drm);
struct drm_device *lodge_drm_alloc(const struct drm_driver *driver, struct device *parent);
void lodge_drm_release(struct drm_device *drm);
#endif

/* Nobody gets at the device any more but who has it open. The caller keeps his reference, which DRM
 * without shmem buffers drops here. */
static inline void lodge_drm_unplug(struct drm_device *drm)
{
#ifndef LODGE_HAVE_DRM_SHMEM
	drm_dev_get(drm);
#endif
	drm_dev_unplug(drm);
}

/*
 * When the last vblank was: CRTCs are asked, or the driver is. LODGE_TIMESTAMP defines NAME for the
 * latter out of the former's FUNCTION.
 */
#ifdef LODGE_HAVE_CRTC_TIMESTAMP
#define LODGE_TIMESTAMP(name, function)	   struct lodge_no_##name
#define LODGE_CRTC_TIMESTAMP_OPS(function) .get_vblank_timestamp = (function),
#define LODGE_DRIVER_TIMESTAMP_OPS(function)
#else
#define LODGE_TIMESTAMP(name, function)                                                            \
	static bool name(struct drm_device *drm, unsigned int pipe, int *max_error, ktime_t *time, \
			 bool in_interrupt)                                                        \
	{                                                                                          \
		return function(drm_crtc_from_index(drm, pipe), max_error, time, in_interrupt);    \
	}
#define LODGE_CRTC_TIMESTAMP_OPS(function)
#define LODGE_DRIVER_TIMESTAMP_OPS(function) .get_vblank_timestamp = (function),
#endif

/* Where there are two, the plain one wants a lock held. */
#ifdef LODGE_HAVE_GEM_PUT_UNLOCKED
#define drm_gem_object_put drm_gem_object_put_unlocked
#endif

#ifndef LODGE_HAVE_DMA_SGTABLE
static inline int dma_map_sgtable(struct device *device, struct sg_table *table,
				  enum dma_data_direction direction, unsigned long attrs)
{
	int n = dma_map_sg(device, table->sgl, table->orig_nents, direction);

	if (n <= 0)
		return -EINVAL;
	table->nents = n;
	return 0;
}

static inline void dma_unmap_sgtable(struct device *device, struct sg_table *table,
				     enum dma_data_direction direction, unsigned long attrs)
{
	dma_unmap_sg(device, table->sgl, table->orig_nents, direction);
}
#endif

#ifndef LODGE_HAVE_DEVICE_IOMMU_MAPPED
static inline bool device_iommu_mapped(struct device *device)
{
	return device->iommu_group;
}
#endif

/* Does the device address memory past what translates addresses for its bus? */
#ifndef LODGE_HAVE_VIRTIO_DMA_QUIRK
#define virtio_has_dma_quirk virtio_has_iommu_quirk
#endif

static inline s32 lodge_hot_x(const struct drm_plane_state *state)
{
#ifdef LODGE_HAVE_CURSOR_HOTSPOT
	return state->hotspot_x;
#else
	return state->fb ? state->fb->hot_x : 0;
#endif
}

static inline s32 lodge_hot_y(const struct drm_plane_state *state)
{
#ifdef LODGE_HAVE_CURSOR_HOTSPOT
	return state->hotspot_y;
#else
	return state->fb ? state->fb->hot_y : 0;
#endif
}

static inline void lodge_copy_hotspot(struct drm_plane_state *to,
				      const struct drm_plane_state *from)
{
#ifdef LODGE_HAVE_CURSOR_HOTSPOT
	to->hotspot_x = from->hotspot_x;
	to->hotspot_y = from->hotspot_y;
#endif
}

static inline void lodge_timer_setup(struct hrtimer *timer,
				     enum hrtimer_restart (*function)(struct hrtimer *))
{
#ifdef LODGE_HAVE_HRTIMER_SETUP
	hrtimer_setup(timer, function, CLOCK_MONOTONIC, HRTIMER_MODE_ABS);
#else
	hrtimer_init(timer, CLOCK_MONOTONIC, HRTIMER_MODE_ABS);
	timer->function = function;
#endif
}

/* Whoever shows the firmware's frame buffer in the device's memory ends that. */
static inline int lodge_take_aperture(struct pci_dev *pci, const struct drm_driver *driver)
{
#if defined(LODGE_HAVE_LINUX_APERTURE)
	return aperture_remove_conflicting_pci_devices(pci, driver->name);
#elif defined(LODGE_HAVE_DRM_APERTURE)
	return drm_aperture_remove_conflicting_pci_framebuffers(pci, driver);
#elif defined(LODGE_HAVE_PCI_FRAMEBUFFERS_OF_BAR)
	return drm_fb_helper_remove_conflicting_pci_framebuffers(pci, 0, driver->name);
#else
	return drm_fb_helper_remove_conflicting_pci_framebuffers(pci, driver->name);
#endif
}

/* The console of a device that is registered. A kernel may have two ways, of which the newer one
 * wants what the older one brings itself. */
static inline void lodge_console_setup(struct drm_device *drm)
{
#if defined(LODGE_HAVE_FBDEV_SHMEM)
	drm_fbdev_shmem_setup(drm, 32);
#elif defined(LODGE_HAVE_CLIENTS_SETUP) || defined(LODGE_HAVE_CLIENT_SETUP)
	drm_client_setup(drm, NULL);
#else
	drm_fbdev_generic_setup(drm, 32);
#endif
}

/* Makes the picture, as the kernel would have by itself. */
static inline int lodge_console_make(const struct lodge_console_makers *kernels,
				     struct drm_fb_helper *helper,
				     struct drm_fb_helper_surface_size *sizes)
{
#ifdef DRM_FBDEV_SHMEM_DRIVER_OPS
	return drm_fbdev_shmem_driver_fbdev_probe(helper, sizes);
#else
	return kernels->fb_probe(helper, sizes);
#endif
}

/* Where the console that is being made has a table of its own: ours is in its place, and
 * *ret_kernels the kernel's. */
static inline void lodge_console_take_makers(struct drm_device *drm,
					     const struct lodge_console_makers *ours,
					     const struct lodge_console_makers **ret_kernels)
{
#ifndef DRM_FBDEV_SHMEM_DRIVER_OPS
	struct drm_fb_helper *helper = drm->fb_helper;

	if (!helper || helper->fb || !helper->funcs || helper->funcs == ours)
		return;
	*ret_kernels = helper->funcs;
	helper->funcs = ours;
#endif
}

/* Vblanks come without an interrupt of the DRM core's. */
static inline void lodge_allow_vblanks(struct drm_device *drm)
{
#ifdef LODGE_HAVE_DRM_IRQ_ENABLED
	drm->irq_enabled = true;
#endif
}

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
