// SPDX-License-Identifier: GPL-2.0-only
/*
 * lodge_display: virtio-gpu's screens for kernels without a good driver for them, and at the pace
 * of the host's window. lodge_display.h has the parts of this module.
 */
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>

#include "lodge_display/lodge_display.h"

LODGE_FILE_OPS(file_operations);

LODGE_VBLANKS(lodge_pace_enable_vblank, lodge_pace_disable_vblank, lodge_pace_timestamp);

const struct drm_driver lodge_drm_driver = {
	.driver_features = DRIVER_MODESET | DRIVER_GEM | DRIVER_ATOMIC | LODGE_DRIVER_PRIME |
			   LODGE_CURSOR_HOTSPOT,
	.fops = &file_operations,
	.name = KBUILD_MODNAME,
	.desc = "Lodge display",
	.major = 1,
	.minor = 0,
	LODGE_DRIVER_DATE LODGE_RELEASE_OPS LODGE_BUFFER_OPS LODGE_CONSOLE_OPS(lodge_console_probe)
		LODGE_DRIVER_VBLANK_OPS
};

static int probe(struct virtio_device *vdev)
{
	struct lodge_display *display;

	if (!virtio_has_feature(vdev, VIRTIO_F_VERSION_1)) {
		dev_err(&vdev->dev, "not a virtio 1.0 device\n");
		return -ENODEV;
	}
	return lodge_display_create(vdev, &display);
}

static void remove(struct virtio_device *vdev)
{
	lodge_display_destroy(vdev->priv);
}

static void config_changed(struct virtio_device *vdev)
{
	struct lodge_display *display = vdev->priv;

	if (!display || display->frozen)
		return;
	if (vdev->config->get_status(vdev) & VIRTIO_CONFIG_S_NEEDS_RESET)
		lodge_display_broken(display);
	else
		schedule_work(&display->change);
}

#ifdef CONFIG_PM_SLEEP
static int freeze(struct virtio_device *vdev)
{
	return lodge_display_freeze(vdev->priv);
}

static int restore(struct virtio_device *vdev)
{
	return lodge_display_restore(vdev->priv);
}
#endif

static const struct virtio_device_id ids[] = {
	{ VIRTIO_ID_GPU, VIRTIO_DEV_ANY_ID },
	{ 0 },
};
MODULE_DEVICE_TABLE(virtio, ids);

static const unsigned int features[] = {
	VIRTIO_GPU_F_EDID,
	VIRTIO_GPU_F_RESOURCE_BLOB,
};

static struct virtio_driver lodge_display_driver = {
	.driver.name = KBUILD_MODNAME,
	.driver.owner = THIS_MODULE,
	.feature_table = features,
	.feature_table_size = ARRAY_SIZE(features),
	.id_table = ids,
	.probe = probe,
	.remove = remove,
	.config_changed = config_changed,
#ifdef CONFIG_PM_SLEEP
	.freeze = freeze,
	.restore = restore,
#endif
};

module_virtio_driver(lodge_display_driver);

MODULE_DESCRIPTION("Lodge's screens: mode setting for virtio-gpu");
MODULE_AUTHOR("The Lodge maintainers");
MODULE_LICENSE("GPL v2");
MODULE_VERSION(LODGE_VERSION);
