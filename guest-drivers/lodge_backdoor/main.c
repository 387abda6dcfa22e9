// SPDX-License-Identifier: GPL-2.0-only
/*
 * lodge_backdoor: the driver of Lodge's virtio device for RPC between guest and host.
 * protocol/spec/backdoor.md has the device, door.h the parts of this module.
 */
#include <linux/module.h>
#include <linux/virtio.h>

#include "compat/compat.h"
#include "lodge_backdoor/door.h"

static int probe(struct virtio_device *vdev)
{
	struct lodge_door *door;
	int err;

	if (!virtio_has_feature(vdev, VIRTIO_F_VERSION_1)) {
		dev_err(&vdev->dev, "not a virtio 1.0 device\n");
		return -ENODEV;
	}
	err = lodge_door_create(vdev, &door);
	if (err)
		return err;
	vdev->priv = door;
	err = lodge_door_start(door);
	if (err)
		goto destroy_door;
	err = lodge_file_register(door);
	if (err)
		goto stop_door;
	lodge_clients_add_door(door);
	return 0;
stop_door:
	lodge_door_stop(door, -ENODEV);
	cancel_delayed_work_sync(&door->renew);
destroy_door:
	vdev->priv = NULL;
	lodge_door_destroy(door);
	return err;
}

static void remove(struct virtio_device *vdev)
{
	struct lodge_door *door = vdev->priv;

	lodge_door_stop(door, -ENODEV);
	cancel_delayed_work_sync(&door->renew);
	lodge_clients_remove_door(door);
	lodge_file_unregister(door);
	vdev->priv = NULL;
	lodge_door_destroy(door);
}

static void config_changed(struct virtio_device *vdev)
{
	struct lodge_door *door = vdev->priv;

	if (!door)
		return;
	if (vdev->config->get_status(vdev) & VIRTIO_CONFIG_S_NEEDS_RESET)
		lodge_door_renew(door);
	else if (door->live)
		schedule_work(&door->changed);
}

#ifdef CONFIG_PM_SLEEP
static int freeze(struct virtio_device *vdev)
{
	lodge_door_freeze(vdev->priv);
	return 0;
}

static int restore(struct virtio_device *vdev)
{
	return lodge_door_restore(vdev->priv);
}
#endif

static const struct virtio_device_id ids[] = {
	{ LODGE_BACKDOOR_VIRTIO_ID, VIRTIO_DEV_ANY_ID },
	{ 0 },
};
MODULE_DEVICE_TABLE(virtio, ids);

static const unsigned int features[] = { LODGE_BACKDOOR_F_BALLOON };

static struct virtio_driver lodge_backdoor_driver = {
	.driver.name = KBUILD_MODNAME,
	.driver.owner = THIS_MODULE,
	.id_table = ids,
	.feature_table = features,
	.feature_table_size = ARRAY_SIZE(features),
	.probe = probe,
	.remove = remove,
	.config_changed = config_changed,
#ifdef CONFIG_PM_SLEEP
	.freeze = freeze,
	.restore = restore,
#endif
};
module_virtio_driver(lodge_backdoor_driver);

MODULE_DESCRIPTION("Lodge's backdoor: /dev/lodge");
MODULE_AUTHOR("The Lodge maintainers");
MODULE_LICENSE("GPL v2");
MODULE_VERSION(LODGE_VERSION);
