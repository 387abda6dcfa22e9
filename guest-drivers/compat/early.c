// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mode setting with the DRM of CentOS 7.4, but for its console: functions that later ones have.
 */
#include <linux/kernel.h>
#include <linux/slab.h>

#include "compat/display.h"

#ifndef LODGE_HAVE_DRM_DAMAGE

void drm_atomic_helper_wait_for_flip_done(struct drm_device *drm, struct drm_atomic_state *state)
{
	struct drm_crtc_state *crtc_state;
	struct drm_crtc_commit *commit;
	struct drm_crtc *crtc;
	int i;

	for_each_crtc_in_state(state, crtc, crtc_state, i) {
		commit = state->crtcs[i].commit;
		if (commit && !wait_for_completion_timeout(&commit->flip_done, 10 * HZ))
			dev_err(drm->dev, "crtc %d: a flip does not end\n", crtc->base.id);
	}
}

int drm_atomic_helper_check_plane_state(struct drm_plane_state *state,
					const struct drm_crtc_state *crtc_state, int min_scale,
					int max_scale, bool can_position, bool can_update_disabled)
{
	struct drm_rect clip = {};

	if (crtc_state->enable) {
		clip.x2 = crtc_state->adjusted_mode.hdisplay;
		clip.y2 = crtc_state->adjusted_mode.vdisplay;
	}
	return drm_plane_helper_check_state(state, &clip, min_scale, max_scale, can_position,
					    can_update_disabled);
}

void drm_atomic_helper_damage_iter_init(struct drm_atomic_helper_damage_iter *iter,
					const struct drm_plane_state *old,
					const struct drm_plane_state *state)
{
	struct lodge_early *early = lodge_early_of(state->plane->dev);

	iter->rect = (struct drm_rect){
		.x1 = state->src.x1 >> 16,
		.y1 = state->src.y1 >> 16,
		.x2 = state->src.x2 >> 16,
		.y2 = state->src.y2 >> 16,
	};
	iter->is_some = true;
	if (old->fb == state->fb && early->dirty_fb == state->fb)
		iter->is_some = drm_rect_intersect(&iter->rect, &early->dirty);
}

static struct drm_rect unite_clips(const struct drm_framebuffer *fb,
				   const struct drm_clip_rect *clips, unsigned int n)
{
	struct drm_rect all = { .x2 = fb->width, .y2 = fb->height };
	unsigned int i;

	if (!n)
		return all;
	all = (struct drm_rect){ clips[0].x1, clips[0].y1, clips[0].x2, clips[0].y2 };
	for (i = 1; i < n; i++) {
		all.x1 = min_t(int, all.x1, clips[i].x1);
		all.y1 = min_t(int, all.y1, clips[i].y1);
		all.x2 = max_t(int, all.x2, clips[i].x2);
		all.y2 = max_t(int, all.y2, clips[i].y2);
	}
	return all;
}

/* A commit of the planes that show it, as they are. */
static int commit_again(struct drm_framebuffer *fb)
{
	struct drm_device *drm = fb->dev;
	struct drm_atomic_state *state = drm_atomic_state_alloc(drm);
	struct drm_plane_state *plane_state;
	struct drm_plane *plane;
	bool is_shown = false;
	int err = 0;

	if (!state)
		return -ENOMEM;
	state->acquire_ctx = drm->mode_config.acquire_ctx;
	drm_for_each_plane(plane, drm) {
		if (plane->state->fb != fb)
			continue;
		is_shown = true;
		plane_state = drm_atomic_get_plane_state(state, plane);
		err = PTR_ERR_OR_ZERO(plane_state);
		if (err)
			break;
	}
	if (!err && is_shown)
		err = drm_atomic_commit(state);
	drm_atomic_state_put(state);
	return err;
}

int drm_atomic_helper_dirtyfb(struct drm_framebuffer *fb, struct drm_file *file, unsigned int flags,
			      unsigned int color, struct drm_clip_rect *clips, unsigned int n)
{
	struct lodge_early *early = lodge_early_of(fb->dev);
	int err;

	drm_modeset_lock_all(fb->dev);
	early->dirty = unite_clips(fb, clips, n);
	early->dirty_fb = fb;
	err = commit_again(fb);
	early->dirty_fb = NULL;
	drm_modeset_unlock_all(fb->dev);
	return err;
}

void drm_gem_fb_destroy(struct drm_framebuffer *fb)
{
	struct drm_gem_object *object = *lodge_fb_object(fb);

	if (object)
		drm_gem_object_put(object);
	drm_framebuffer_cleanup(fb);
	kfree(fb);
}

int drm_gem_fb_create_handle(struct drm_framebuffer *fb, struct drm_file *file,
			     unsigned int *handle)
{
	return drm_gem_handle_create(file, *lodge_fb_object(fb), handle);
}

int lodge_dumb_map_offset(struct drm_file *file, struct drm_device *drm, u32 handle,
			  u64 *ret_offset)
{
	struct drm_gem_object *object = drm_gem_object_lookup(file, handle);
	int err = 0;

	if (!object)
		return -ENOENT;
	if (object->import_attach)
		err = -EINVAL;
	else
		*ret_offset = drm_vma_node_offset_addr(&object->vma_node);
	drm_gem_object_put(object);
	return err;
}

static struct drm_framebuffer *refuse_framebuffer(LODGE_FB_PARAMETERS)
{
	return ERR_PTR(-ENODEV);
}

static int refuse_check(struct drm_device *drm, struct drm_atomic_state *state)
{
	return -ENODEV;
}

/* Of a device that is gone, which programs still have open. */
static const struct drm_mode_config_funcs refusing = {
	.fb_create = refuse_framebuffer,
	.atomic_check = refuse_check,
	.atomic_commit = drm_atomic_helper_commit,
};

void drm_atomic_helper_shutdown(struct drm_device *drm)
{
	if (drm_crtc_force_disable_all(drm))
		dev_err(drm->dev, "screens do not go dark\n");
	drm_modeset_lock_all(drm);
	drm->mode_config.funcs = &refusing;
	drm_modeset_unlock_all(drm);
}

void lodge_drm_unplug(struct drm_device *drm)
{
	lodge_early_console_destroy(drm);
}

int drm_mode_config_helper_suspend(struct drm_device *drm)
{
	struct lodge_early *early = lodge_early_of(drm);
	struct drm_atomic_state *state;

	drm_fb_helper_set_suspend_unlocked(early->console, true);
	state = drm_atomic_helper_suspend(drm);
	if (IS_ERR(state)) {
		drm_fb_helper_set_suspend_unlocked(early->console, false);
		return PTR_ERR(state);
	}
	early->suspended = state;
	return 0;
}

int drm_mode_config_helper_resume(struct drm_device *drm)
{
	struct lodge_early *early = lodge_early_of(drm);
	struct drm_atomic_state *state = early->suspended;
	int err;

	if (!state)
		return -EINVAL;
	early->suspended = NULL;
	err = drm_atomic_helper_resume(drm, state);
	drm_atomic_state_put(state);
	drm_fb_helper_set_suspend_unlocked(early->console, false);
	return err;
}

void lodge_drm_forget_suspended(struct drm_device *drm)
{
	struct lodge_early *early = lodge_early_of(drm);

	if (early->suspended)
		drm_atomic_state_put(early->suspended);
	early->suspended = NULL;
}

int lodge_take_framebuffer(struct pci_dev *pci, const char *name)
{
	bool primary = pci->resource[PCI_ROM_RESOURCE].flags & IORESOURCE_ROM_SHADOW;
	struct apertures_struct *apertures = alloc_apertures(1);
	int err;

	if (!apertures)
		return -ENOMEM;
	apertures->ranges[0].base = pci_resource_start(pci, 0);
	apertures->ranges[0].size = pci_resource_len(pci, 0);
	err = drm_fb_helper_remove_conflicting_framebuffers(apertures, name, primary);
	kfree(apertures);
	return err;
}

#endif
