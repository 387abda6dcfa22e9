// SPDX-License-Identifier: GPL-2.0-or-later
// The device contract for models that are a virtio device and nothing more.
#include <string.h>

#include "host-vmm/virtio/virtio.h"
#include "protocol/lib/log.h"

static struct virtio_device *vdev_of(struct device *device)
{
	return &((struct virtio_model *)device)->vdev;
}

int virtio_model_register(struct virtio_model *model)
{
	int ret;

	model->vdev.device = &model->device;
	ret = virtio_device_register(&model->vdev);
	if (ret < 0)
		log_error("%s: does not fit on the PCI bus (%s): configure fewer devices",
			  model->device.name, strerror(-ret));
	return ret;
}

void virtio_model_destroy(struct device *device)
{
	virtio_device_unregister(vdev_of(device));
}

void virtio_model_reset(struct device *device)
{
	virtio_device_reset(vdev_of(device));
}

int virtio_model_save(struct device *device, struct state *state)
{
	return virtio_device_save(vdev_of(device), state);
}

int virtio_model_load(struct device *device, struct state *state)
{
	return virtio_device_load(vdev_of(device), state);
}
