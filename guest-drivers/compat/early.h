/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The DRM of Linux 4.10, which CentOS 7.4 has: what compat/display.h has of later ones, made of
 * what is there. Its headers do not stand alone, so that no probe sees what they have; it is told
 * here.
 */
#ifndef LODGE_COMPAT_EARLY_H
#define LODGE_COMPAT_EARLY_H

#include <drm/drmP.h>
#include <drm/drm_atomic.h>
#include <drm/drm_atomic_helper.h>
#include <drm/drm_crtc.h>
#include <drm/drm_crtc_helper.h>
#include <drm/drm_edid.h>
#include <drm/drm_fb_helper.h>
#include <drm/drm_fourcc.h>
#include <drm/drm_gem.h>
#include <drm/drm_modeset_helper.h>
#include <drm/drm_plane_helper.h>
#include <drm/drm_rect.h>

#define LODGE_HAVE_DRM_DRIVER_DATE 1
#define LODGE_HAVE_DRM_IRQ_ENABLED 1
#define LODGE_HAVE_DRIVER_PRIME	   1

/* virtio 1.2 section 5.7.6.8 */
#define VIRTIO_GPU_F_EDID	1
#define VIRTIO_GPU_CMD_GET_EDID 0x010a
#define VIRTIO_GPU_RESP_OK_EDID 0x1104

struct virtio_gpu_cmd_get_edid {
	struct virtio_gpu_ctrl_hdr hdr;
	__le32 scanout;
	__le32 padding;
};

struct virtio_gpu_resp_edid {
	struct virtio_gpu_ctrl_hdr hdr;
	__le32 size;
	__le32 padding;
	__u8 edid[1024];
};

/* Other names. */
#define drm_gem_object_get		   drm_gem_object_reference
#define drm_gem_object_put		   drm_gem_object_unreference_unlocked
#define drm_framebuffer_put		   drm_framebuffer_unreference
#define drm_connector_attach_encoder	   drm_mode_connector_attach_encoder
#define drm_connector_update_edid_property drm_mode_connector_update_edid_property
#define drm_connector_attach_edid_property(connector)  \
	drm_object_attach_property(&(connector)->base, \
				   (connector)->dev->mode_config.edid_property, 0)
#define drm_universal_plane_init(drm, plane, crtcs, funcs, formats, n, modifiers, type, name) \
	drm_universal_plane_init(drm, plane, crtcs, funcs, formats, n, type, name)
#define drm_helper_mode_fill_fb_struct(drm, fb, request) drm_helper_mode_fill_fb_struct(fb, request)
#define drm_plane_enable_fb_damage_clips(plane)

/* What this DRM keeps of a device for us, beside managed things. */
struct lodge_early {
	struct drm_fb_helper *console;
	struct drm_gem_object *console_object; /* of the framebuffer that is being made for it */
	struct drm_atomic_state *suspended;
	/* While fb is told to be dirty: all that is. Under all modeset locks. */
	struct drm_framebuffer *dirty_fb;
	struct drm_rect dirty;
};

struct lodge_early *lodge_early_of(struct drm_device *drm);
int lodge_drm_unload(struct drm_device *drm);
void drm_dev_put(struct drm_device *drm);
/* The console goes, and no program gets another picture. */
void lodge_drm_unplug(struct drm_device *drm);
void drm_atomic_helper_shutdown(struct drm_device *drm);
int drm_mode_config_helper_suspend(struct drm_device *drm);
int drm_mode_config_helper_resume(struct drm_device *drm);
/* What the former keeps for a resume that does not come. */
void lodge_drm_forget_suspended(struct drm_device *drm);
void drm_atomic_helper_wait_for_flip_done(struct drm_device *drm, struct drm_atomic_state *state);
int drm_atomic_helper_check_plane_state(struct drm_plane_state *state,
					const struct drm_crtc_state *crtc_state, int min_scale,
					int max_scale, bool can_position, bool can_update_disabled);
int drm_atomic_helper_dirtyfb(struct drm_framebuffer *fb, struct drm_file *file, unsigned int flags,
			      unsigned int color, struct drm_clip_rect *clips, unsigned int n);
void drm_gem_fb_destroy(struct drm_framebuffer *fb);
int drm_gem_fb_create_handle(struct drm_framebuffer *fb, struct drm_file *file,
			     unsigned int *handle);
int lodge_dumb_map_offset(struct drm_file *file, struct drm_device *drm, u32 handle,
			  u64 *ret_offset);
int lodge_take_framebuffer(struct pci_dev *pci, const char *name);

/* The console: it is made, its picture is made, screens changed, the last program is gone. */
void lodge_early_console_create(struct drm_device *drm, const struct drm_fb_helper_funcs *makers);
int lodge_early_console_make(struct drm_fb_helper *helper,
			     struct drm_fb_helper_surface_size *sizes);
void lodge_early_console_destroy(struct drm_device *drm);
void lodge_early_console_changed(struct drm_device *drm);
void lodge_early_console_restore(struct drm_device *drm);

struct lodge_drm_fb {
	struct drm_framebuffer base;
	struct drm_gem_object *object;
};

static inline struct drm_gem_object **lodge_fb_object(struct drm_framebuffer *fb)
{
	return &container_of(fb, struct lodge_drm_fb, base)->object;
}

#define lodge_fb_fourcc(fb) ((fb)->pixel_format)
#define lodge_fb_cpp(fb)    ((fb)->bits_per_pixel / 8)

struct drm_atomic_helper_damage_iter {
	struct drm_rect rect;
	bool is_some;
};

void drm_atomic_helper_damage_iter_init(struct drm_atomic_helper_damage_iter *iter,
					const struct drm_plane_state *old,
					const struct drm_plane_state *state);
#define drm_atomic_for_each_plane_damage(iter, to) \
	for (; (iter)->is_some && (*(to) = (iter)->rect, true); (iter)->is_some = false)

static inline int drm_gem_fb_prepare_fb(struct drm_plane *plane, struct drm_plane_state *state)
{
	return 0;
}

static inline struct drm_crtc *drm_crtc_from_index(struct drm_device *drm, unsigned int index)
{
	struct drm_crtc *crtc;

	drm_for_each_crtc(crtc, drm) {
		if (drm_crtc_index(crtc) == index)
			return crtc;
	}
	return NULL;
}

#endif
