// SPDX-License-Identifier: GPL-2.0-only
/*
 * One virtio-gpu device while it is bound: from its start to its stop, through suspend, and its
 * reset when it asks for one.
 */
#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/kernel.h>
#include <linux/slab.h>

#include "lodge_display/lodge_display.h"

/* A device that breaks again and again costs no more than this. */
#define RENEW_DELAY (1 * HZ)

static u32 read_config(struct virtio_device *vdev, unsigned int offset)
{
	__le32 value = 0;

	vdev->config->get(vdev, offset, &value, sizeof(value));
	return le32_to_cpu(value);
}

static void write_config(struct virtio_device *vdev, unsigned int offset, u32 value)
{
	__le32 raw = cpu_to_le32(value);

	vdev->config->set(vdev, offset, &raw, sizeof(raw));
}

/* virtio 1.2 section 5.7.4: what is asked for after the event was cleared is new enough. */
static void change_work(struct work_struct *work)
{
	struct lodge_display *display = container_of(work, struct lodge_display, change);
	struct virtio_device *vdev = display->vdev;
	u32 events = read_config(vdev, offsetof(struct virtio_gpu_config, events_read));

	if (!(events & VIRTIO_GPU_EVENT_DISPLAY))
		return;
	write_config(vdev, offsetof(struct virtio_gpu_config, events_clear),
		     VIRTIO_GPU_EVENT_DISPLAY);
	if (lodge_wants_update(display))
		drm_kms_helper_hotplug_event(display->drm);
}

static void renew_work(struct work_struct *work)
{
	struct lodge_display *display =
		container_of(to_delayed_work(work), struct lodge_display, renew);
	struct virtio_device *vdev = display->vdev;
	int err = 0;

	/* Whoever unbinds or suspends the device holds its lock, and may wait for this work. */
	if (!device_trylock(&vdev->dev)) {
		schedule_delayed_work(&display->renew, HZ / 10);
		return;
	}
	if (!display->frozen) {
		dev_warn_ratelimited(&vdev->dev, "the device is broken; resetting it\n");
		err = lodge_virtio_renew(vdev);
		if (err)
			dev_err_ratelimited(&vdev->dev,
					    "no reset, error %d; bind the driver again\n", err);
	}
	device_unlock(&vdev->dev);
}

void lodge_display_broken(struct lodge_display *display)
{
	WRITE_ONCE(display->silent, true);
	schedule_delayed_work(&display->renew, RENEW_DELAY);
}

/* What the device says is not looked at any more. */
static void stop_listening(struct lodge_display *display)
{
	cancel_delayed_work_sync(&display->renew);
	cancel_work_sync(&display->change);
}

/* As DRM's own, but that a frame's end is waited for by those alone who wait for it. */
static void commit_tail(struct drm_atomic_state *state)
{
	struct drm_device *drm = state->dev;

	drm_atomic_helper_commit_modeset_disables(drm, state);
	drm_atomic_helper_commit_modeset_enables(drm, state);
	drm_atomic_helper_commit_planes(drm, state, 0);
	drm_atomic_helper_commit_hw_done(state);
	drm_atomic_helper_wait_for_flip_done(drm, state);
	drm_atomic_helper_cleanup_planes(drm, state);
}

static const struct drm_mode_config_helper_funcs mode_config_helper_funcs = {
	.atomic_commit_tail = commit_tail,
};

static const struct drm_mode_config_funcs mode_config_funcs = {
	.fb_create = lodge_framebuffer_create,
	.atomic_check = drm_atomic_helper_check,
	.atomic_commit = drm_atomic_helper_commit,
	LODGE_MODE_CONFIG_OPS
};

static int create_heads(struct lodge_display *display)
{
	struct drm_device *drm = display->drm;
	struct drm_mode_config *config = &drm->mode_config;
	unsigned int i;
	int err;

	/* What is taken first is given back last: the mode configuration's end looks at them. */
	for (i = 0; i < display->n_heads; i++) {
		display->heads[i] = drmm_kzalloc(drm, sizeof(*display->heads[i]), GFP_KERNEL);
		if (!display->heads[i])
			return -ENOMEM;
	}
	err = drmm_mode_config_init(drm);
	if (err)
		return err;
	config->funcs = &mode_config_funcs;
	/* Some kernels want a table that they could write to, and do not. */
	config->helper_private = (struct drm_mode_config_helper_funcs *)&mode_config_helper_funcs;
	config->min_width = config->min_height = 1;
	config->max_width = config->max_height = LODGE_SIDE_MAX;
	config->cursor_width = config->cursor_height = LODGE_CURSOR_SIDE;
	config->preferred_depth = 24;
	err = drm_mode_create_suggested_offset_properties(drm);
	/* As other drivers of virtual screens have it: desktops know it by its name. */
	display->mode_update = drm_property_create_range(drm, DRM_MODE_PROP_IMMUTABLE,
							 "hotplug_mode_update", 0, 1);
	if (!display->mode_update)
		err = -ENOMEM;
	for (i = 0; i < display->n_heads && !err; i++)
		err = lodge_head_create(display, i);
	if (err)
		return err;
	/* Timestamps are exact enough for it. */
	drm->vblank_disable_immediate = true;
	lodge_allow_vblanks(drm);
	err = drm_vblank_init(drm, display->n_heads);
	if (!err)
		drm_mode_config_reset(drm);
	return err;
}

static int configure(struct lodge_display *display)
{
	struct virtio_device *vdev = display->vdev;
	u32 heads = read_config(vdev, offsetof(struct virtio_gpu_config, num_scanouts));

	if (!heads) {
		dev_err(&vdev->dev, "the device has no scanout\n");
		return -EINVAL;
	}
	display->n_heads = min_t(u32, heads, VIRTIO_GPU_MAX_SCANOUTS);
	display->has_edid = virtio_has_feature(vdev, VIRTIO_GPU_F_EDID);
	display->has_blob = virtio_has_feature(vdev, VIRTIO_GPU_F_RESOURCE_BLOB);
	return 0;
}

static void put_device_of(struct drm_device *drm, void *vdev)
{
	put_device(&((struct virtio_device *)vdev)->dev);
}

static int make_display(struct drm_device *drm, struct virtio_device *vdev,
			struct lodge_display **ret_display)
{
	struct lodge_display *display = drmm_kzalloc(drm, sizeof(*display), GFP_KERNEL);
	int err;

	if (!display)
		return -ENOMEM;
	/* Programs may keep the card open for longer than the device is there. */
	get_device(&vdev->dev);
	err = drmm_add_action_or_reset(drm, put_device_of, vdev);
	if (err)
		return err;
	/* An entry's length has 32 bits. Whoever maps a buffer for the function believes in 64 KiB
	 * otherwise. */
	if (drm->dev->dma_parms)
		dma_set_max_seg_size(drm->dev, UINT_MAX);
	display->drm = drm;
	display->vdev = vdev;
	drm->dev_private = display;
	mutex_init(&display->resources_lock);
	INIT_LIST_HEAD(&display->resources);
	spin_lock_init(&display->dead_lock);
	INIT_LIST_HEAD(&display->dead);
	mutex_init(&display->wants_lock);
	INIT_WORK(&display->reap, lodge_resources_reap);
	INIT_WORK(&display->change, change_work);
	INIT_DELAYED_WORK(&display->renew, renew_work);
	lodge_rings_init(display);
	*ret_display = display;
	return configure(display);
}

/* The firmware's picture, or the boot loader's, has been in this device's memory. */
static int take_over(struct drm_device *drm)
{
	struct pci_dev *pci = dev_is_pci(drm->dev) ? to_pci_dev(drm->dev) : NULL;

	if (!pci || pci->class >> 8 != PCI_CLASS_DISPLAY_VGA)
		return 0;
	return lodge_take_aperture(pci, &lodge_drm_driver);
}

static int start_display(struct lodge_display *display)
{
	struct drm_device *drm = display->drm;
	int err;

	err = create_heads(display);
	if (err)
		return err;
	err = take_over(drm);
	if (err)
		return err;
	err = lodge_rings_start(display);
	if (err)
		return err;
	lodge_wants_update(display);
	err = drm_dev_register(drm, 0);
	if (err)
		goto stop_rings;
	lodge_console_create(display);
	return 0;
stop_rings:
	lodge_rings_stop(display);
	stop_listening(display);
	flush_work(&display->reap);
	return err;
}

int lodge_display_create(struct virtio_device *vdev, struct lodge_display **ret_display)
{
	struct lodge_display *display;
	struct drm_device *drm;
	int err;

	/* Of the PCI function, as programs know graphics cards. */
	drm = lodge_drm_alloc(&lodge_drm_driver, vdev->dev.parent);
	if (IS_ERR(drm))
		return PTR_ERR(drm);
	err = make_display(drm, vdev, &display);
	if (err)
		goto put_drm;
	vdev->priv = display;
	err = start_display(display);
	if (err)
		goto forget;
	*ret_display = display;
	return 0;
forget:
	vdev->priv = NULL;
put_drm:
	drm_dev_put(drm);
	return err;
}

void lodge_display_destroy(struct lodge_display *display)
{
	struct drm_device *drm = display->drm;
	struct virtio_device *vdev = display->vdev;

	display->frozen = true;
	stop_listening(display);
	lodge_drm_unplug(drm);
	drm_atomic_helper_shutdown(drm);
	/* It has the whole of the DRM device, where the device did not come back from a suspend. */
	lodge_drm_forget_suspended(drm);
	lodge_rings_stop(display);
	/* Its last interrupt may have come in between. */
	stop_listening(display);
	flush_work(&display->reap);
	vdev->priv = NULL;
	/* Programs that have it open still have it, and framebuffers that no device knows. */
	drm_dev_put(drm);
}

int lodge_display_freeze(struct lodge_display *display)
{
	int err;

	display->frozen = true;
	cancel_work_sync(&display->change);
	err = drm_mode_config_helper_suspend(display->drm);
	if (err) {
		display->frozen = false;
		return err;
	}
	lodge_rings_stop(display);
	flush_work(&display->reap);
	return 0;
}

int lodge_display_restore(struct lodge_display *display)
{
	unsigned int i;
	int err;

	/* Programs run while a device that broke is reset: none of their pictures comes between. */
	mutex_lock(&display->resources_lock);
	err = lodge_rings_start(display);
	if (!err)
		lodge_resources_again(display);
	mutex_unlock(&display->resources_lock);
	if (err)
		return err;
	display->frozen = false;
	for (i = 0; i < display->n_heads; i++)
		display->heads[i]->stale = true;
	err = drm_mode_config_helper_resume(display->drm);
	if (lodge_wants_update(display))
		drm_kms_helper_hotplug_event(display->drm);
	return err;
}
