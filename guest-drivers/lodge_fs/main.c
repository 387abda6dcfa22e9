// SPDX-License-Identifier: GPL-2.0-only
/*
 * lodge_fs: virtio-fs devices for kernels without virtiofs. lodge_fs.h has the parts of this
 * module.
 */
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>

#include "compat/compat.h"
#include "lodge_fs/lodge_fs.h"

static bool take = !IS_ENABLED(CONFIG_VIRTIO_FS);
module_param(take, bool, 0644);
MODULE_PARM_DESC(take, "drive virtio-fs devices (default: if the kernel has no virtiofs)");

static int probe(struct virtio_device *vdev)
{
	struct lodge_fs *fs;

	if (!take)
		return -ENODEV;
	if (!virtio_has_feature(vdev, VIRTIO_F_VERSION_1)) {
		dev_err(&vdev->dev, "not a virtio 1.0 device\n");
		return -ENODEV;
	}
	return lodge_fs_create(vdev, &fs);
}

static void remove(struct virtio_device *vdev)
{
	lodge_fs_destroy(vdev->priv);
}

static void config_changed(struct virtio_device *vdev)
{
	struct lodge_fs *fs = vdev->priv;

	/* Of a virtio-fs device nothing changes but that it is broken. */
	if (fs && vdev->config->get_status(vdev) & VIRTIO_CONFIG_S_NEEDS_RESET)
		lodge_fs_broken(fs);
}

#ifdef CONFIG_PM_SLEEP
/* The file may have been opened since suspend_begins(). */
static int freeze(struct virtio_device *vdev)
{
	return lodge_fs_suspend(vdev->priv);
}

static int restore(struct virtio_device *vdev)
{
	return lodge_fs_resume(vdev->priv);
}
#endif

static const struct virtio_device_id ids[] = {
	{ LODGE_FS_VIRTIO_ID, VIRTIO_DEV_ANY_ID },
	{ 0 },
};
MODULE_DEVICE_TABLE(virtio, ids);

static struct virtio_driver lodge_fs_driver = {
	.driver.name = KBUILD_MODNAME,
	.driver.owner = THIS_MODULE,
	.id_table = ids,
	.probe = probe,
	.remove = remove,
	.config_changed = config_changed,
#ifdef CONFIG_PM_SLEEP
	.freeze = freeze,
	.restore = restore,
#endif
};

static int begin_driver(void)
{
	return register_virtio_driver(&lodge_fs_driver);
}

static void end_driver(void)
{
	unregister_virtio_driver(&lodge_fs_driver);
}

/* Begun in this order, ended in the other. */
static const struct {
	int (*begin)(void);
	void (*end)(void);
} parts[] = {
	{ lodge_fs_events_begin, lodge_fs_events_end },
	{ lodge_fs_suspend_begin, lodge_fs_suspend_end },
	{ begin_driver, end_driver },
};

static int __init lodge_fs_init(void)
{
	size_t i;
	int err;

	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		err = parts[i].begin();
		if (err)
			goto undo;
	}
	return 0;
undo:
	while (i--)
		parts[i].end();
	return err;
}

static void __exit lodge_fs_exit(void)
{
	size_t i = ARRAY_SIZE(parts);

	while (i--)
		parts[i].end();
}

module_init(lodge_fs_init);
module_exit(lodge_fs_exit);

MODULE_DESCRIPTION("Lodge's shared folders for kernels without virtiofs: /dev/lodge-fs");
MODULE_AUTHOR("The Lodge maintainers");
MODULE_LICENSE("GPL v2");
MODULE_VERSION(LODGE_VERSION);
