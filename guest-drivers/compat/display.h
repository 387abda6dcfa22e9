/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kernel mode setting, as compat.h does it: one interface from the first kernel that has shmem
 * buffers and managed DRM devices (5.9) on.
 */
#ifndef LODGE_COMPAT_DISPLAY_H
#define LODGE_COMPAT_DISPLAY_H

#include <linux/hrtimer.h>
#include <linux/pci.h>
#include <linux/virtio_gpu.h>

#include <drm/drm_atomic.h>
#include <drm/drm_atomic_helper.h>
#include <drm/drm_drv.h>
#include <drm/drm_fb_helper.h>
#include <drm/drm_framebuffer.h>
#include <drm/drm_gem_framebuffer_helper.h>
#include <drm/drm_gem_shmem_helper.h>
#include <drm/drm_managed.h>
#include <drm/drm_plane_helper.h>

#include "compat/config.h"

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

#ifdef LODGE_HAVE_FB_CREATE_INFO
#define LODGE_FB_PARAMETERS                                                                \
	struct drm_device *drm, struct drm_file *file, const struct drm_format_info *info, \
		const struct drm_mode_fb_cmd2 *request
#define lodge_fb_init(fb, funcs) drm_gem_fb_init_with_funcs(drm, fb, file, info, request, funcs)
#else
#define LODGE_FB_PARAMETERS \
	struct drm_device *drm, struct drm_file *file, const struct drm_mode_fb_cmd2 *request
#define lodge_fb_init(fb, funcs) drm_gem_fb_init_with_funcs(drm, fb, file, request, funcs)
#endif

#ifdef LODGE_HAVE_GEM_PLANE_PREPARE
#define lodge_gem_prepare_fb drm_gem_plane_helper_prepare_fb
#else
#define lodge_gem_prepare_fb drm_gem_fb_prepare_fb
#endif

/* What a drm_driver says of its buffers, of its console and of its age: with a comma. */
#if defined(LODGE_HAVE_SHMEM_IMPORT_NO_MAP)
#define LODGE_BUFFER_OPS                                                  \
	.gem_prime_import_sg_table = drm_gem_shmem_prime_import_sg_table, \
	.dumb_create = drm_gem_shmem_dumb_create,
#elif defined(LODGE_HAVE_SHMEM_CREATE_CACHED)
#define LODGE_BUFFER_OPS \
	DRM_GEM_SHMEM_DRIVER_OPS, .gem_create_object = drm_gem_shmem_create_object_cached,
#else
#define LODGE_BUFFER_OPS DRM_GEM_SHMEM_DRIVER_OPS,
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

/* Some kernels want a driver that they could write to, and do not. */
static inline struct drm_device *lodge_drm_alloc(const struct drm_driver *driver,
						 struct device *parent)
{
	return drm_dev_alloc((struct drm_driver *)driver, parent);
}

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

#endif
