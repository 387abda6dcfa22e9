/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kernel mode setting, as compat.h does it: one interface from the DRM of Linux 5.1 (CentOS 8.1)
 * on, and with compat/early.h for that of 4.10 (CentOS 7.4).
 */
#ifndef LODGE_COMPAT_DISPLAY_H
#define LODGE_COMPAT_DISPLAY_H

#include <linux/dma-mapping.h>
#include <linux/hrtimer.h>
#include <linux/pci.h>
#include <linux/virtio_gpu.h>

#include "compat/config.h"

#ifndef LODGE_HAVE_DRM_DAMAGE
#include "compat/early.h"
#else
#include <drm/drm_atomic.h>
#include <drm/drm_atomic_helper.h>
#include <drm/drm_crtc.h>
#include <drm/drm_damage_helper.h>
#include <drm/drm_drv.h>
#include <drm/drm_edid.h>
#include <drm/drm_fb_helper.h>
#include <drm/drm_file.h>
#include <drm/drm_fourcc.h>
#include <drm/drm_framebuffer.h>
#include <drm/drm_gem.h>
#include <drm/drm_gem_framebuffer_helper.h>
#include <drm/drm_ioctl.h>
#include <drm/drm_modeset_helper.h>
#include <drm/drm_plane_helper.h>
#include <drm/drm_probe_helper.h>
#include <drm/drm_property.h>
#include <drm/drm_rect.h>
#include <drm/drm_vblank.h>
#endif
#ifdef LODGE_HAVE_DRM_SHMEM
#include <drm/drm_gem_shmem_helper.h>
#else
#include <linux/dma-buf.h>
#ifdef LODGE_HAVE_DRM_DAMAGE
#include <drm/drm_prime.h>
#endif
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

#include "compat/buffer.h"

/* What a commit is called. */
#ifdef LODGE_HAVE_ATOMIC_COMMIT
#define drm_atomic_state     drm_atomic_commit
#define drm_atomic_state_put drm_atomic_commit_put
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
#define LODGE_PLANE_ASYNC_UPDATE(name, function) __maybe_unused LODGE_PLANE_OLD(name, function)
#endif

#ifdef LODGE_HAVE_ASYNC_CHECK_FLIP
#define LODGE_PLANE_ASYNC_CHECK(name, function)                                             \
	static int name(struct drm_plane *plane, struct drm_atomic_state *state, bool flip) \
	{                                                                                   \
		return function(plane, drm_atomic_get_new_plane_state(state, plane));       \
	}
#else
#define LODGE_PLANE_ASYNC_CHECK(name, function) __maybe_unused LODGE_PLANE_CHECK(name, function)
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

/*
 * LODGE_CRTC_ENABLE as LODGE_CRTC, for what starts a CRTC. LODGE_MODE_VALID: says whether a mode
 * can be shown; a CRTC is asked, or a connector. The others are members of tables, with a comma.
 */
#ifdef LODGE_HAVE_DRM_DAMAGE
#define LODGE_CRTC_ENABLE(name, function) LODGE_CRTC(name, function)
#define LODGE_CRTC_ENABLE_OPS(name)	  .atomic_enable = (name),
#define LODGE_MODE_VALID(name, function)                                      \
	static enum drm_mode_status name(struct drm_crtc *crtc,               \
					 const struct drm_display_mode *mode) \
	{                                                                     \
		return function(mode);                                        \
	}
#define LODGE_CRTC_VALID_OPS(name) .mode_valid = (name),
#define LODGE_CONNECTOR_VALID_OPS(name)
#define LODGE_CRTC_PROPERTY_OPS
#define LODGE_PLANE_PROPERTY_OPS
#define LODGE_CONNECTOR_PROPERTY_OPS
#define LODGE_MODE_CONFIG_OPS
#define LODGE_ASYNC_OPS(check)	       .atomic_async_check = (check),
#define LODGE_ASYNC_UPDATE_OPS(update) .atomic_async_update = (update),
#else
#define LODGE_CRTC_ENABLE(name, function)       \
	static void name(struct drm_crtc *crtc) \
	{                                       \
		function(crtc);                 \
	}
#define LODGE_CRTC_ENABLE_OPS(name) .enable = (name),
#define LODGE_MODE_VALID(name, function)                                  \
	static enum drm_mode_status name(struct drm_connector *connector, \
					 struct drm_display_mode *mode)   \
	{                                                                 \
		return function(mode);                                    \
	}
#define LODGE_CRTC_VALID_OPS(name)
#define LODGE_CONNECTOR_VALID_OPS(name) .mode_valid = (name),
#define LODGE_CRTC_PROPERTY_OPS		.set_property = drm_atomic_helper_crtc_set_property,
#define LODGE_PLANE_PROPERTY_OPS	.set_property = drm_atomic_helper_plane_set_property,
#define LODGE_CONNECTOR_PROPERTY_OPS              \
	.dpms = drm_atomic_helper_connector_dpms, \
	.set_property = drm_atomic_helper_connector_set_property,
#define LODGE_MODE_CONFIG_OPS .output_poll_changed = lodge_early_console_changed,
/* Cursors are part of commits like all else. */
#define LODGE_ASYNC_OPS(check)
#define LODGE_ASYNC_UPDATE_OPS(update)
#endif

#ifdef LODGE_HAVE_GEM_PLANE_PREPARE
#define lodge_gem_prepare_fb drm_gem_plane_helper_prepare_fb
#else
#define lodge_gem_prepare_fb drm_gem_fb_prepare_fb
#endif

/*
 * Who makes the picture of the kernel's console: a function of the driver's, or one of a table that
 * the console has for itself, which is replaced. LODGE_CONSOLE_OPS is the driver's;
 * LODGE_CONSOLE_MAKERS defines a table.
 */
#ifdef DRM_FBDEV_SHMEM_DRIVER_OPS
#define LODGE_CONSOLE_OPS(probe)	  .fbdev_probe = (probe),
#define LODGE_CONSOLE_MAKERS(name, probe) static struct lodge_console_makers name
struct lodge_console_makers {
};
#else
#ifdef LODGE_HAVE_DRM_DAMAGE
#define LODGE_CONSOLE_OPS(probe)
#else
#define LODGE_CONSOLE_OPS(probe) .lastclose = lodge_early_console_restore,
#endif
#define LODGE_CONSOLE_MAKERS(name, probe) \
	static struct lodge_console_makers name = { .fb_probe = (probe) }
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
#ifdef LODGE_HAVE_DRM_DAMAGE
#define LODGE_RELEASE_OPS .release = lodge_drm_release,
#else
#define LODGE_RELEASE_OPS .unload = lodge_drm_unload,
#endif
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
#ifdef LODGE_HAVE_DRM_DAMAGE
static inline void lodge_drm_unplug(struct drm_device *drm)
{
#ifndef LODGE_HAVE_DRM_SHMEM
	drm_dev_get(drm);
#endif
	drm_dev_unplug(drm);
}

/* What drm_mode_config_helper_suspend() keeps for a resume that does not come. */
static inline void lodge_drm_forget_suspended(struct drm_device *drm)
{
	if (drm->mode_config.suspend_state)
		drm_atomic_state_put(drm->mode_config.suspend_state);
	drm->mode_config.suspend_state = NULL;
}
#endif

/*
 * Vblanks: CRTCs are asked for them, or the driver is. LODGE_VBLANKS defines for the latter what
 * LODGE_DRIVER_VBLANK_OPS has, out of the former's functions.
 */
#if defined(LODGE_HAVE_CRTC_TIMESTAMP)
#define LODGE_VBLANKS(enable, disable, timestamp) struct lodge_no_vblanks
#define LODGE_CRTC_VBLANK_OPS(enable, disable, timestamp) \
	.enable_vblank = (enable), .disable_vblank = (disable), .get_vblank_timestamp = (timestamp),
#define LODGE_DRIVER_VBLANK_OPS
#elif defined(LODGE_HAVE_DRM_DAMAGE)
#define LODGE_VBLANKS(enable, disable, timestamp)                                                \
	static bool driver_vblank_timestamp(struct drm_device *drm, unsigned int pipe,           \
					    int *max_error, ktime_t *time, bool in_interrupt)    \
	{                                                                                        \
		return timestamp(drm_crtc_from_index(drm, pipe), max_error, time, in_interrupt); \
	}
#define LODGE_CRTC_VBLANK_OPS(enable, disable, timestamp) \
	.enable_vblank = (enable), .disable_vblank = (disable),
#define LODGE_DRIVER_VBLANK_OPS .get_vblank_timestamp = driver_vblank_timestamp,
#else
#define LODGE_VBLANKS(enable, disable, timestamp)                                         \
	static int driver_enable_vblank(struct drm_device *drm, unsigned int pipe)        \
	{                                                                                 \
		return enable(drm_crtc_from_index(drm, pipe));                            \
	}                                                                                 \
	static void driver_disable_vblank(struct drm_device *drm, unsigned int pipe)      \
	{                                                                                 \
		disable(drm_crtc_from_index(drm, pipe));                                  \
	}                                                                                 \
	static int driver_vblank_timestamp(struct drm_device *drm, unsigned int pipe,     \
					   int *max_error, struct timeval *time,          \
					   unsigned int flags)                            \
	{                                                                                 \
		ktime_t exact;                                                            \
		bool known = timestamp(drm_crtc_from_index(drm, pipe), max_error, &exact, \
				       flags & DRM_CALLED_FROM_VBLIRQ);                   \
		*time = ktime_to_timeval(exact);                                          \
		return known;                                                             \
	}
#define LODGE_CRTC_VBLANK_OPS(enable, disable, timestamp)
#define LODGE_DRIVER_VBLANK_OPS                                                         \
	.enable_vblank = driver_enable_vblank, .disable_vblank = driver_disable_vblank, \
	.get_vblank_timestamp = driver_vblank_timestamp,                                \
	.get_vblank_counter = drm_vblank_no_hw_counter,
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
#elif !defined(LODGE_HAVE_DRM_DAMAGE)
	return lodge_take_framebuffer(pci, driver->name);
#elif defined(LODGE_HAVE_PCI_FRAMEBUFFERS_OF_BAR)
	return drm_fb_helper_remove_conflicting_pci_framebuffers(pci, 0, driver->name);
#else
	return drm_fb_helper_remove_conflicting_pci_framebuffers(pci, driver->name);
#endif
}

/* The console of a device that is registered. A kernel may have two ways, of which the newer one
 * wants what the older one brings itself. */
static inline void lodge_console_setup(struct drm_device *drm,
				       const struct lodge_console_makers *makers)
{
#if !defined(LODGE_HAVE_DRM_DAMAGE)
	lodge_early_console_create(drm, makers);
#elif defined(LODGE_HAVE_FBDEV_SHMEM)
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
#elif !defined(LODGE_HAVE_DRM_DAMAGE)
	return lodge_early_console_make(helper, sizes);
#else
	return kernels->fb_probe(helper, sizes);
#endif
}

/* Where the console that is being made has a table of its own: ours is in its place, with all of
 * the kernel's but fb_probe, and *ret_kernels the kernel's. That one is the same for all devices.
 */
static inline void lodge_console_take_makers(struct drm_device *drm,
					     struct lodge_console_makers *ours,
					     const struct lodge_console_makers **ret_kernels)
{
#if defined(LODGE_HAVE_DRM_DAMAGE) && !defined(DRM_FBDEV_SHMEM_DRIVER_OPS)
	struct drm_fb_helper *helper = drm->fb_helper;
	struct lodge_console_makers mixed;

	if (!helper || helper->fb || !helper->funcs || helper->funcs == ours)
		return;
	*ret_kernels = helper->funcs;
	mixed = *helper->funcs;
	mixed.fb_probe = ours->fb_probe;
	*ours = mixed;
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

#endif
