// SPDX-License-Identifier: GPL-2.0-only
// The transport of fake devices: rings in this kernel's memory, and a thread that is their device.
#include "fake.h"

#include <linux/device.h>
#include <linux/err.h>
#include <linux/io.h>
#include <linux/kthread.h>
#include <linux/slab.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

static struct fake *fake_of(struct virtio_device *vdev)
{
	return container_of(vdev, struct fake, vdev);
}

/* ---- the device's side of the rings ---- */

void fake_push(struct fake *fake, unsigned int queue, u32 head, u32 len)
{
	struct vring *vring = (struct vring *)virtqueue_get_vring(fake->vqs[queue]);
	u16 idx = le16_to_cpu((__force __le16)vring->used->idx);
	struct vring_used_elem *elem = &vring->used->ring[idx % FAKE_RING_SIZE];

	elem->id = (__force __virtio32)cpu_to_le32(head);
	elem->len = (__force __virtio32)cpu_to_le32(len);
	smp_wmb();
	vring->used->idx = (__force __virtio16)cpu_to_le16(idx + 1);
}

bool fake_pop(struct fake *fake, unsigned int queue, u16 *ret_head)
{
	const struct vring *vring = virtqueue_get_vring(fake->vqs[queue]);
	u16 seen = fake->seen[queue];

	if (seen == le16_to_cpu((__force __le16)vring->avail->idx))
		return false;
	smp_rmb();
	*ret_head = le16_to_cpu((__force __le16)vring->avail->ring[seen % FAKE_RING_SIZE]);
	fake->seen[queue] = seen + 1;
	return true;
}

void *fake_find(struct fake *fake, unsigned int queue, u16 head, bool write, u32 least,
		u32 *ret_len)
{
	const struct vring_desc *table = virtqueue_get_vring(fake->vqs[queue])->desc;
	const struct vring_desc *desc = &table[head];
	u16 flags = le16_to_cpu((__force __le16)desc->flags);
	u32 len;

	if (flags & VRING_DESC_F_INDIRECT)
		desc = table = phys_to_virt(le64_to_cpu((__force __le64)desc->addr));
	for (;; desc = &table[le16_to_cpu((__force __le16)desc->next)]) {
		flags = le16_to_cpu((__force __le16)desc->flags);
		len = le32_to_cpu((__force __le32)desc->len);
		if (!(flags & VRING_DESC_F_WRITE) == !write && len >= least)
			break;
		if (!(flags & VRING_DESC_F_NEXT))
			return NULL;
	}
	if (ret_len)
		*ret_len = len;
	return phys_to_virt(le64_to_cpu((__force __le64)desc->addr));
}

void fake_change(struct fake *fake)
{
	virtio_config_changed(&fake->vdev);
}

void fake_want_reset(struct fake *fake)
{
	WRITE_ONCE(fake->status, READ_ONCE(fake->status) | VIRTIO_CONFIG_S_NEEDS_RESET);
	virtio_config_changed(&fake->vdev);
}

int fake_sleep_for_good(struct fake *fake)
{
	int err;

	device_lock(&fake->vdev.dev);
	err = virtio_device_freeze(&fake->vdev);
	if (!err) {
		fake->lame = true;
		err = virtio_device_restore(&fake->vdev) ? 0 : -EBADE;
	}
	device_unlock(&fake->vdev.dev);
	return err;
}

static int device_thread(void *opaque)
{
	struct fake *fake = opaque;
	unsigned int i;

	while (!kthread_should_stop()) {
		wait_event_interruptible_timeout(fake->wake, fake->kicked || kthread_should_stop(),
						 fake->type->period);
		mutex_lock(&fake->lock);
		fake->kicked = false;
		if (fake->vqs[0] && READ_ONCE(fake->status) & VIRTIO_CONFIG_S_DRIVER_OK) {
			fake->type->work(fake);
			for (i = 0; i < fake->type->queues && fake->vqs[i]; i++)
				vring_interrupt(0, fake->vqs[i]);
		}
		mutex_unlock(&fake->lock);
	}
	return 0;
}

/* ---- the driver's side ---- */

static void get(struct virtio_device *vdev, unsigned int offset, void *to, unsigned int len)
{
	fake_of(vdev)->type->get(fake_of(vdev), offset, to, len);
}

static void set(struct virtio_device *vdev, unsigned int offset, const void *from, unsigned int len)
{
	struct fake *fake = fake_of(vdev);

	if (fake->type->set)
		fake->type->set(fake, offset, from, len);
}

static u8 get_status(struct virtio_device *vdev)
{
	return READ_ONCE(fake_of(vdev)->status);
}

static void set_status(struct virtio_device *vdev, u8 status)
{
	WRITE_ONCE(fake_of(vdev)->status, status);
}

static void reset(struct virtio_device *vdev)
{
	struct fake *fake = fake_of(vdev);

	mutex_lock(&fake->lock);
	WRITE_ONCE(fake->status, 0);
	fake->type->reset(fake);
	mutex_unlock(&fake->lock);
}

static bool notify(struct virtqueue *vq)
{
	struct fake *fake = fake_of(vq->vdev);

	fake->kicked = true;
	wake_up(&fake->wake);
	return true;
}

static void del_vqs(struct virtio_device *vdev)
{
	struct fake *fake = fake_of(vdev);
	unsigned int i;

	mutex_lock(&fake->lock);
	for (i = 0; i < fake->type->queues; i++) {
		if (fake->vqs[i])
			vring_del_virtqueue(fake->vqs[i]);
		fake->vqs[i] = NULL;
	}
	mutex_unlock(&fake->lock);
}

static int find_vqs(struct virtio_device *vdev, unsigned int n, struct virtqueue **vqs,
		    vq_callback_t **callbacks, const char *const *names, const bool *ctx,
		    struct irq_affinity *desc)
{
	struct fake *fake = fake_of(vdev);
	struct virtqueue *made[FAKE_QUEUES_MAX] = {};
	unsigned int i;

	if (fake->lame)
		return -EIO;
	for (i = 0; i < n && i < fake->type->queues; i++) {
		made[i] = vring_create_virtqueue(i, FAKE_RING_SIZE, SMP_CACHE_BYTES, vdev, true,
						 false, false, notify, callbacks[i], names[i]);
		if (!made[i])
			return -ENOMEM;
		vqs[i] = made[i];
	}
	mutex_lock(&fake->lock);
	memcpy(fake->vqs, made, sizeof(made));
	memset(fake->seen, 0, sizeof(fake->seen));
	mutex_unlock(&fake->lock);
	return 0;
}

static u64 get_features(struct virtio_device *vdev)
{
	return BIT_ULL(VIRTIO_F_VERSION_1) | BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC) |
	       fake_of(vdev)->features;
}

static int finalize_features(struct virtio_device *vdev)
{
	vring_transport_features(vdev);
	return 0;
}

static const struct virtio_config_ops ops = {
	.get = get,
	.set = set,
	.get_status = get_status,
	.set_status = set_status,
	.reset = reset,
	.find_vqs = find_vqs,
	.del_vqs = del_vqs,
	.get_features = get_features,
	.finalize_features = finalize_features,
};

/* ---- life ---- */

static void release(struct device *device)
{
	kfree(container_of(device, struct fake, vdev.dev));
}

int fake_begin(struct fake *fake, const struct fake_type *type, u64 features)
{
	int err;

	mutex_init(&fake->lock);
	init_waitqueue_head(&fake->wake);
	fake->type = type;
	fake->features = features;
	fake->parent = root_device_register(type->name);
	if (IS_ERR(fake->parent)) {
		err = PTR_ERR(fake->parent);
		kfree(fake);
		return err;
	}
	fake->vdev.dev.parent = fake->parent;
	fake->vdev.dev.release = release;
	fake->vdev.id.device = type->id;
	fake->vdev.id.vendor = 0x1af4;
	fake->vdev.config = &ops;
	fake->thread = kthread_run(device_thread, fake, "%s", type->name);
	if (IS_ERR(fake->thread)) {
		err = PTR_ERR(fake->thread);
		root_device_unregister(fake->parent);
		kfree(fake);
		return err;
	}
	err = register_virtio_device(&fake->vdev);
	if (err) {
		kthread_stop(fake->thread);
		root_device_unregister(fake->parent);
		put_device(&fake->vdev.dev);
	}
	return err;
}

void fake_end(struct fake *fake)
{
	struct device *parent = fake->parent;

	get_device(&fake->vdev.dev);
	unregister_virtio_device(&fake->vdev);
	kthread_stop(fake->thread);
	put_device(&fake->vdev.dev);
	root_device_unregister(parent);
}
