/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a virtio device model gives, and what the PCI transport (virtio_pci.c) does for it.
 *
 * The transport runs the registers of virtio 1.2 section 4.1 (modern only), negotiation, queues,
 * doorbells (an I/O BAR, where a kick costs the least; ioeventfd each), MSI-X, reset at any time.
 * A device model embeds struct virtio_device, fills its const part and calls
 * virtio_device_register().
 *
 * Threads: start, stop, reset, kick, config_written, vectors_changed, save and load run on the
 * device's loop; features and config_read on a vCPU's thread, so config_read must only copy what
 * the device keeps under its own lock, or constants. The transport holds a lock of its own around
 * all of them but kick, so none of them may wait for a vCPU.
 */
#ifndef LODGE_VMM_VIRTIO_H
#define LODGE_VMM_VIRTIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host-vmm/device.h"
#include "host-vmm/devices/pci.h"
#include "host-vmm/virtio/queue.h"

struct loop;
struct virtio_device;

#define VIRTIO_QUEUES_MAX 64

struct virtio_ops {
	uint16_t id; /* VIRTIO_ID_* of <linux/virtio_ids.h> */
	uint32_t class_code; /* PCI class, 24 bits */
	/* features() alone says whether INDIRECT_DESC and EVENT_IDX are offered (vhost-user). */
	bool no_ring_features;

	/* Device features offered, beside VERSION_1, INDIRECT_DESC and EVENT_IDX, which the
	 * transport offers for all (unless no_ring_features is set). NULL: none. Constant from
	 * register on. */
	uint64_t (*features)(struct virtio_device *vdev);

	/* [offset, offset + len) of device configuration space. Beyond its end: zeroes, dropped. */
	void (*config_read)(struct virtio_device *vdev, size_t offset, void *data, size_t len);
	void (*config_written)(struct virtio_device *vdev, size_t offset, const void *data,
			       size_t len);

	/* DRIVER_OK: queues are enabled, features are final. An error sets DEVICE_NEEDS_RESET. */
	int (*start)(struct virtio_device *vdev);
	/* Reset, save, or destroy. No request is in flight and no guest memory is touched once it
	 * returned. Only called after a start() that succeeded. */
	void (*stop)(struct virtio_device *vdev);
	/* Power-on state of what the model keeps across stop() and start(), which frame a save as
	 * well as a reset. Behind stop(). May be NULL. */
	void (*reset)(struct virtio_device *vdev);
	/* The doorbell of @vq rang; also called once for each enabled queue behind start(). A queue
	 * that is broken when it returns fails the device. NULL for a device whose queues are
	 * served by another process (vhost-user): it takes kick_fd and the vector's eventfd in
	 * start() instead. */
	void (*kick)(struct virtio_device *vdev, struct virtqueue *vq);
	/* A vector was masked, unmasked or re-routed while running. May be NULL. */
	void (*vectors_changed)(struct virtio_device *vdev);

	/* The guest has put the shared memory region at @gpa, or taken it away. Any thread, the
	 * mutex of configuration space is held: it may not wait for a loop. */
	void (*shm_placed)(struct virtio_device *vdev, bool enabled, uint64_t gpa);

	/* Of the device's own, beside what the transport saves. NULL: none. */
	int (*save)(struct virtio_device *vdev, struct state *state);
	int (*load)(struct virtio_device *vdev, struct state *state);
};

struct virtio_device {
	/* Filled by the device model before virtio_device_register(): */
	struct device *device;
	const struct virtio_ops *ops;
	struct loop *loop; /* the machine's, or one of its own */
	unsigned int n_queues; /* 1 to VIRTIO_QUEUES_MAX */
	uint16_t queue_size; /* max_size of all queues, or, where not 0, of queue i: */
	const uint16_t *queue_sizes;
	/* Shared memory region 0 (section 2.10): bytes, a power of two; 0: the device has none. Its
	 * memory is the model's, which puts it where shm_placed says. */
	uint64_t shm_size;
	/* BAR 0 is the model's own (a VGA's memory), of 32 bits; the doorbells, whose place that
	 * is, lie in BAR 4, and shm_size is 0. PCI_BAR_NONE: the model has none. */
	struct pci_bar own_bar;

	/* The transport's; the model reads them from start() on: */
	uint64_t driver_features; /* what was negotiated */
	struct virtqueue queues[VIRTIO_QUEUES_MAX];
	bool running; /* between start and stop */
	struct virtio_pci *transport;
};

/* Takes a PCI slot, messages and doorbells. Negative errno, nothing taken; does not log. Zeroed
 * @vdev but for what the model fills. */
int virtio_device_register(struct virtio_device *vdev);
/* Stops it if it runs. Fine for one that is not registered. */
void virtio_device_unregister(struct virtio_device *vdev);
/* For device_type.reset. */
void virtio_device_reset(struct virtio_device *vdev);
/* For device_type.save and load: requests in flight are waited for, then the device goes on. load
 * needs the guest's memory in place. */
int virtio_device_save(struct virtio_device *vdev, struct state *state);
int virtio_device_load(struct virtio_device *vdev, struct state *state);

/*
 * First member of an instance whose device_type uses the functions below: they are the whole of
 * reset, save and load for most models, and of destroy for those that hold nothing else.
 */
struct virtio_model {
	struct device device;
	struct virtio_device vdev;
};

/* Fills in vdev.device and registers; logs one line when it fails. */
int virtio_model_register(struct virtio_model *model);
void virtio_model_destroy(struct device *device);
void virtio_model_reset(struct device *device);
int virtio_model_save(struct device *device, struct state *state);
int virtio_model_load(struct device *device, struct state *state);

/* Configuration space changed: bumps its generation and raises the configuration interrupt. Any
 * thread. */
void virtio_config_changed(struct virtio_device *vdev);
/* A queue is broken or the device cannot go on: sets DEVICE_NEEDS_RESET, logs a rate-limited line
 * with @why, stops this device and nothing else. Loop thread. */
void virtio_device_fail(struct virtio_device *vdev, const char *why);

static inline bool virtio_has_feature(const struct virtio_device *vdev, unsigned int bit)
{
	return vdev->driver_features >> bit & 1;
}

#endif
