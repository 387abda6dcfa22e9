/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A machine without KVM, and a small virtio driver: what device models are tested with.
 *
 * The rig has memory, buses, PCI and a loop. KVM being absent, messages never leave their eventfds,
 * so a test sees an interrupt as a readable irq_msi_fd(). The driver finds capabilities, negotiates
 * and fills rings by the same registers and bytes that a guest would use.
 */
#ifndef LODGE_TESTS_VIRTIO_RIG_H
#define LODGE_TESTS_VIRTIO_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host-vmm/conf/vmconf.h"
#include "host-vmm/device.h"
#include "host-vmm/machine.h"

#define RIG_MEMORY (64ull << 20)

struct rig {
	struct machine machine;
	struct vm_config config;
	int requested; /* last machine_request() */
	uint64_t clock_gpa; /* last clock_place(); 0: nowhere */
};

/* Fill in config first. */
void rig_create(struct rig *rig);
void rig_destroy(struct rig *rig);
/* Guest memory, all of one byte. */
void rig_fill(struct rig *rig, uint64_t gpa, size_t len, uint8_t byte);
bool rig_is_all(struct rig *rig, uint64_t gpa, size_t len, uint8_t byte);
/* Creates an instance of @type as the machine does. NULL where create() failed. */
struct device *rig_add_device(struct rig *rig, const struct device_type *type, size_t index);
void rig_remove_device(struct device *device);

/* Configuration space of function 0 of @slot, by ECAM. */
uint32_t rig_config_read(struct rig *rig, unsigned int slot, unsigned int offset,
			 unsigned int size);
void rig_config_write(struct rig *rig, unsigned int slot, unsigned int offset, uint32_t value,
		      unsigned int size);

struct rig_driver {
	struct rig *rig;
	unsigned int slot;
	uint64_t common, isr, config, doorbells; /* addresses; doorbells is a port */
	uint32_t doorbell_stride;
};

/* Finds the capabilities; after pci_bus_assign(). */
void rig_probe(struct rig *rig, unsigned int slot, struct rig_driver *driver);
uint64_t rig_read(struct rig_driver *driver, unsigned int offset, unsigned int size);
void rig_write(struct rig_driver *driver, unsigned int offset, uint64_t value, unsigned int size);
uint64_t rig_config(struct rig_driver *driver, unsigned int offset, unsigned int size);
uint8_t rig_status(struct rig_driver *driver);
/* Reset, ACKNOWLEDGE, DRIVER, features, FEATURES_OK: false if they were refused. */
bool rig_negotiate(struct rig_driver *driver, uint64_t features);
uint64_t rig_offered(struct rig_driver *driver);
void rig_driver_ok(struct rig_driver *driver);

struct rig_ring {
	struct rig *rig;
	struct rig_driver *driver; /* NULL for a ring without a device */
	uint16_t index, size;
	uint64_t desc, avail, used; /* guest-physical */
	uint16_t next_desc, avail_idx, used_idx;
};

/* Places a ring at @address (4 KiB aligned, needs 64 KiB at most) and clears it. */
void rig_ring_init(struct rig_ring *ring, struct rig *rig, uint64_t address, uint16_t size);
/* The same, and sets up queue @index of the device with vector @index + 1. */
void rig_queue(struct rig_ring *ring, struct rig_driver *driver, uint16_t index, uint64_t address,
	       uint16_t size);
void rig_desc(struct rig_ring *ring, uint16_t at, uint64_t address, uint32_t len, uint16_t flags,
	      uint16_t next);
/* Makes @head available. */
void rig_offer(struct rig_ring *ring, uint16_t head);

struct rig_buffer {
	uint64_t address;
	uint32_t len;
	bool writable;
};

/* Chains the buffers from the next free descriptors and makes them available: the head. */
uint16_t rig_add(struct rig_ring *ring, const struct rig_buffer *buffers, size_t count);
void rig_kick(struct rig_ring *ring);
/* Number of used elements that the driver has not taken. */
uint16_t rig_used(struct rig_ring *ring);
/* Waits (5 s at most) until one is there and takes it: false on timeout. */
bool rig_take(struct rig_ring *ring, uint32_t *ret_id, uint32_t *ret_len);
uint16_t rig_load16(struct rig *rig, uint64_t address);
void rig_store16(struct rig *rig, uint64_t address, uint16_t value);
/* Whether vector @vector was raised since the last call. */
bool rig_raised(struct rig_driver *driver, unsigned int vector);
/* Waits until the device's loop has nothing left to do. */
void rig_settle(struct loop *loop);

#endif
