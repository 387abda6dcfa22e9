// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's text console with the DRM of CentOS 7.4: it draws in a copy, and what it drew is
 * copied into the buffer that is shown, soon.
 */
#include <linux/fb.h>
#include <linux/kernel.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "compat/display.h"

#ifndef LODGE_HAVE_DRM_DAMAGE

#define DEPTH 24
#define BPP   32

struct console {
	struct drm_fb_helper helper;
	struct drm_gem_object *object;
	void *copy, *shown;
	struct fb_ops ops;
	struct fb_deferred_io deferred;
	const struct drm_framebuffer_funcs *kernels;
	struct drm_framebuffer_funcs funcs; /* as the framebuffer's own, with another dirty() */
};

static struct console *console_of(struct drm_fb_helper *helper)
{
	return container_of(helper, struct console, helper);
}

static int dirty(struct drm_framebuffer *fb, struct drm_file *file, unsigned int flags,
		 unsigned int color, struct drm_clip_rect *clips, unsigned int n)
{
	const struct console *console =
		container_of((struct drm_framebuffer_funcs *)fb->funcs, struct console, funcs);
	unsigned int i, y;

	for (i = 0; i < n; i++) {
		unsigned int x1 = min_t(u32, clips[i].x1, fb->width);
		unsigned int x2 = min_t(u32, clips[i].x2, fb->width);
		unsigned int y2 = min_t(u32, clips[i].y2, fb->height);

		for (y = clips[i].y1; y < y2 && x1 < x2; y++) {
			size_t offset = (size_t)y * fb->pitches[0] + x1 * (BPP / 8);

			memcpy(console->shown + offset, console->copy + offset,
			       (x2 - x1) * (BPP / 8));
		}
	}
	return console->kernels->dirty(fb, file, flags, color, clips, n);
}

static const struct fb_ops ops = {
	.owner = THIS_MODULE,
	DRM_FB_HELPER_DEFAULT_OPS,
	.fb_read = drm_fb_helper_sys_read,
	.fb_write = drm_fb_helper_sys_write,
	.fb_fillrect = drm_fb_helper_sys_fillrect,
	.fb_copyarea = drm_fb_helper_sys_copyarea,
	.fb_imageblit = drm_fb_helper_sys_imageblit,
};

static int make_framebuffer(struct console *console, const struct drm_fb_helper_surface_size *sizes)
{
	struct drm_device *drm = console->helper.dev;
	struct lodge_early *early = lodge_early_of(drm);
	struct drm_mode_fb_cmd2 request = {
		.width = sizes->surface_width,
		.height = sizes->surface_height,
		.pixel_format = DRM_FORMAT_XRGB8888,
		.pitches[0] = sizes->surface_width * (BPP / 8),
	};
	size_t size = PAGE_ALIGN((size_t)request.pitches[0] * request.height);
	struct drm_gem_object *object = lodge_buffer_create(drm, size);
	struct drm_framebuffer *fb;

	if (IS_ERR(object))
		return PTR_ERR(object);
	console->object = object;
	console->copy = vzalloc(size);
	console->shown = lodge_buffer_vmap(object);
	if (!console->copy || !console->shown)
		return -ENOMEM;
	early->console_object = object;
	fb = drm->mode_config.funcs->fb_create(drm, NULL, &request);
	early->console_object = NULL;
	if (IS_ERR(fb))
		return PTR_ERR(fb);
	console->kernels = fb->funcs;
	console->funcs = *fb->funcs;
	console->funcs.dirty = dirty;
	fb->funcs = &console->funcs;
	console->helper.fb = fb;
	return 0;
}

/* What could be made is given back with the console. */
int lodge_early_console_make(struct drm_fb_helper *helper, struct drm_fb_helper_surface_size *sizes)
{
	struct console *console = console_of(helper);
	struct drm_framebuffer *fb;
	struct fb_info *info;
	int err;

	err = make_framebuffer(console, sizes);
	if (err)
		return err;
	fb = helper->fb;
	info = drm_fb_helper_alloc_fbi(helper);
	if (IS_ERR(info))
		return PTR_ERR(info);
	info->par = helper;
	strlcpy(info->fix.id, "lodge_display", sizeof(info->fix.id));
	info->flags = FBINFO_DEFAULT;
	console->ops = ops;
	info->fbops = &console->ops;
	info->screen_base = console->copy;
	info->screen_size = fb->pitches[0] * fb->height;
	drm_fb_helper_fill_fix(info, fb->pitches[0], DEPTH);
	drm_fb_helper_fill_var(info, helper, sizes->fb_width, sizes->fb_height);
	info->fix.smem_len = info->screen_size;
	console->deferred.delay = HZ / 20;
	console->deferred.deferred_io = drm_fb_helper_deferred_io;
	info->fbdefio = &console->deferred;
	fb_deferred_io_init(info);
	return 0;
}

void lodge_early_console_destroy(struct drm_device *drm)
{
	struct drm_fb_helper *helper = lodge_early_of(drm)->console;
	struct console *console;

	if (!helper)
		return;
	lodge_early_of(drm)->console = NULL;
	console = console_of(helper);
	if (helper->fbdev) {
		if (!list_empty(&helper->kernel_fb_list))
			drm_fb_helper_unregister_fbi(helper);
		if (helper->fbdev->fbdefio)
			fb_deferred_io_cleanup(helper->fbdev);
	}
	drm_fb_helper_fini(helper);
	drm_fb_helper_release_fbi(helper);
	if (helper->fb) {
		helper->fb->funcs = console->kernels;
		drm_framebuffer_remove(helper->fb);
	}
	if (console->object)
		drm_gem_object_put(console->object);
	vfree(console->copy);
	kfree(console);
}

void lodge_early_console_create(struct drm_device *drm, const struct drm_fb_helper_funcs *makers)
{
	struct console *console = kzalloc(sizeof(*console), GFP_KERNEL);
	struct drm_fb_helper *helper = &console->helper;
	int err = -ENOMEM;

	if (!console)
		goto failed;
	drm_fb_helper_prepare(drm, helper, makers);
	err = drm_fb_helper_init(drm, helper, drm->mode_config.num_crtc,
				 drm->mode_config.num_connector);
	if (err) {
		kfree(console);
		goto failed;
	}
	lodge_early_of(drm)->console = helper;
	err = drm_fb_helper_single_add_all_connectors(helper);
	if (!err)
		err = drm_fb_helper_initial_config(helper, BPP);
	if (!err)
		return;
	lodge_early_console_destroy(drm);
failed:
	dev_err(drm->dev, "no console, error %d\n", err);
}

void lodge_early_console_changed(struct drm_device *drm)
{
	struct drm_fb_helper *helper = lodge_early_of(drm)->console;

	if (helper && helper->fbdev)
		drm_fb_helper_hotplug_event(helper);
}

void lodge_early_console_restore(struct drm_device *drm)
{
	struct drm_fb_helper *helper = lodge_early_of(drm)->console;

	if (helper && helper->fbdev)
		drm_fb_helper_restore_fbdev_mode_unlocked(helper);
}

#endif
