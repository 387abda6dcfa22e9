/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One kernel interface for all our modules, from 3.10 on: what a kernel lacks by compat/config.h,
 * which compat/probe writes, is made here of what it has. No other file asks what the kernel has.
 */
#ifndef LODGE_COMPAT_H
#define LODGE_COMPAT_H

#include <linux/compat.h>
#include <linux/cpumask.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <linux/vmalloc.h>

#include "compat/config.h"

#ifndef GFP_KERNEL_ACCOUNT
#define GFP_KERNEL_ACCOUNT GFP_KERNEL
#endif

/* virtio 1.2 section 2.1, DEVICE_NEEDS_RESET */
#ifndef VIRTIO_CONFIG_S_NEEDS_RESET
#define VIRTIO_CONFIG_S_NEEDS_RESET 0x40
#endif

#ifndef LODGE_HAVE_KVMALLOC
static inline void *kvmalloc(size_t size, gfp_t flags)
{
	void *memory =
		kmalloc(size, size > PAGE_SIZE ? flags | __GFP_NORETRY | __GFP_NOWARN : flags);

	return memory || size <= PAGE_SIZE ? memory : vmalloc(size);
}
#endif

#ifndef LODGE_HAVE_POLL_T
typedef unsigned int __poll_t;
#define EPOLLIN	    POLLIN
#define EPOLLOUT    POLLOUT
#define EPOLLERR    POLLERR
#define EPOLLHUP    POLLHUP
#define EPOLLRDNORM POLLRDNORM
#define EPOLLWRNORM POLLWRNORM
#endif

/* For 32-bit programs, of ioctls whose argument points to what is the same for them. */
#ifndef LODGE_HAVE_COMPAT_PTR_IOCTL
#ifdef CONFIG_COMPAT
static inline long compat_ptr_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	return file->f_op->unlocked_ioctl(file, command, (unsigned long)compat_ptr(argument));
}
#else
#define compat_ptr_ioctl NULL
#endif
#endif

#ifndef LODGE_HAVE_VIRTIO_DEVICE_READY
static inline void virtio_device_ready(struct virtio_device *vdev)
{
	vdev->config->set_status(vdev, vdev->config->get_status(vdev) | VIRTIO_CONFIG_S_DRIVER_OK);
}
#endif

#ifndef LODGE_HAVE_VIRTIO_RESET_DEVICE
static inline void virtio_reset_device(struct virtio_device *vdev)
{
	vdev->config->reset(vdev);
}
#endif

/* Finds queues 0 to @n - 1. @callbacks and @names have @n each. Negative errno, no queue. */
static inline int lodge_find_vqs(struct virtio_device *vdev, unsigned int n,
				 struct virtqueue **ret_vqs, vq_callback_t **callbacks,
				 const char **names)
{
#if defined(LODGE_HAVE_VIRTQUEUE_INFO)
	struct virtqueue_info info[8] = {};
	unsigned int i;

	if (n > ARRAY_SIZE(info))
		return -EINVAL;
	for (i = 0; i < n; i++) {
		info[i].name = names[i];
		info[i].callback = callbacks[i];
	}
	return virtio_find_vqs(vdev, n, ret_vqs, info, NULL);
#elif defined(LODGE_HAVE_FIND_VQS_AFFINITY)
	return virtio_find_vqs(vdev, n, ret_vqs, callbacks, names, NULL);
#else
	return vdev->config->find_vqs(vdev, n, ret_vqs, callbacks, names);
#endif
}

/* Asks for the interrupts of @vq on one of @cpus, which are not none; NULL: anywhere again, which
 * old kernels want to hear before a queue is deleted. Those before 4.20 take one, and older ones
 * leave it to irqbalance. */
static inline void lodge_vq_set_affinity(struct virtqueue *vq, const struct cpumask *cpus)
{
#ifdef LODGE_HAVE_VIRTQUEUE_CPUMASK
	virtqueue_set_affinity(vq, cpus);
#else
	virtqueue_set_affinity(vq, cpus ? (int)cpumask_first(cpus) : -1);
#endif
}

/*
 * Resets a device that is bound and agrees on the same features again: the caller makes its queues
 * and calls virtio_device_ready(). What the virtio core does before it calls probe(), virtio 1.2
 * section 3.1.1. -EIO: the device refuses them.
 */
static inline int lodge_virtio_restart(struct virtio_device *vdev)
{
	u8 status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;

	virtio_reset_device(vdev);
	vdev->config->set_status(vdev, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	vdev->config->set_status(vdev, status);
	if (vdev->config->finalize_features(vdev))
		return -EIO;
	status |= VIRTIO_CONFIG_S_FEATURES_OK;
	vdev->config->set_status(vdev, status);
	return vdev->config->get_status(vdev) & VIRTIO_CONFIG_S_FEATURES_OK ? 0 : -EIO;
}

/*
 * Resets a device that is bound, and starts it again: freeze() and restore() of its driver run. The
 * caller holds the device's lock. -EOPNOTSUPP: not with this kernel, nothing was done.
 */
static inline int lodge_virtio_renew(struct virtio_device *vdev)
{
#ifdef LODGE_HAVE_VIRTIO_FREEZE
	int err = virtio_device_freeze(vdev);

	return err ? err : virtio_device_restore(vdev);
#else
	return -EOPNOTSUPP;
#endif
}

#endif
