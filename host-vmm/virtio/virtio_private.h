/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the two halves of the virtio PCI transport share: virtio_device.c runs a device's life,
 * virtio_pci.c its registers.
 *
 * Locking: struct virtio_pci's lock is held by vCPU and main threads around register accesses and
 * around loop_call() to the device's loop. The loop's thread never takes it; what both sides touch
 * is atomic and marked so.
 */
#ifndef LODGE_VMM_VIRTIO_PRIVATE_H
#define LODGE_VMM_VIRTIO_PRIVATE_H

#include <pthread.h>

#include "host-vmm/virtio/virtio.h"
#include "protocol/lib/log.h"

struct virtio_doorbell {
	struct virtio_device *vdev;
	struct virtqueue *vq;
	struct loop_source *source; /* the loop's thread */
};

struct virtio_pci {
	struct virtio_device *vdev;
	struct pci_function function;
	unsigned int doorbells_bar; /* 0, or 4 behind a BAR of the model's own */
	unsigned int cfg_capability; /* offset of VIRTIO_PCI_CAP_PCI_CFG */
	struct virtio_doorbell doorbells[VIRTIO_QUEUES_MAX];
	struct log_ratelimit log_limit;

	pthread_mutex_t lock;
	/* Registers, under lock unless said: */
	uint32_t device_feature_select, driver_feature_select;
	uint64_t device_features; /* constant */
	uint64_t driver_features; /* as written so far */
	uint16_t queue_select;
	uint16_t queue_vectors[VIRTIO_QUEUES_MAX];
	uint16_t config_vector; /* atomic */
	uint8_t status; /* atomic: the loop sets NEEDS_RESET */
	uint8_t generation; /* atomic */
	uint8_t isr; /* atomic */
};

/* virtio_device.c; all under lock. */
void virtio_status_write(struct virtio_pci *pci, uint8_t value);
void virtio_queue_enable(struct virtio_pci *pci, struct virtqueue *vq);
/* A vector that the function lacks becomes VIRTIO_MSI_NO_VECTOR. */
void virtio_set_config_vector(struct virtio_pci *pci, uint16_t vector);
void virtio_set_queue_vector(struct virtio_pci *pci, struct virtqueue *vq, uint16_t vector);
void virtio_config_write(struct virtio_pci *pci, size_t offset, const void *data, size_t len);
/* For pci_function.msix_changed; takes the lock. */
void virtio_msix_changed(struct pci_function *function, unsigned int vector);

/* virtio_pci.c: the function with its BARs and capabilities. */
int virtio_pci_create(struct virtio_pci *pci);
void virtio_pci_destroy(struct virtio_pci *pci);

static inline struct virtio_pci *virtio_pci_of(struct pci_function *function)
{
	return (struct virtio_pci *)((char *)function - offsetof(struct virtio_pci, function));
}

#endif
