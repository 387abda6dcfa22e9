// SPDX-License-Identifier: GPL-2.0-or-later
// A machine without KVM, and a small virtio driver: what device models are tested with.
#include "tests/unit/virtio_rig.h"

#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host-vmm/clock/clock.h"
#include "host-vmm/bus.h"
#include "host-vmm/devices/pci_private.h"
#include "host-vmm/irq.h"
#include "host-vmm/layout.h"
#include "host-vmm/loop.h"
#include "host-vmm/memory.h"

#define must(call)                                                                    \
	do {                                                                          \
		int must_ret = (call);                                                \
		if (must_ret < 0) {                                                   \
			fprintf(stderr, "rig: %s: %s\n", #call, strerror(-must_ret)); \
			abort();                                                      \
		}                                                                     \
	} while (0)

/* ---- what machine.c does in the monitor ---- */

void machine_request(struct machine *machine, enum machine_event event)
{
	((struct rig *)machine)->requested = event;
}

int clock_place(const struct machine *machine, bool enabled, uint64_t gpa)
{
	/* The rig's first member. */
	struct rig *rig = (struct rig *)(uintptr_t)machine;

	rig->clock_gpa = enabled ? gpa : 0;
	return 0;
}

void machine_set_guest_status(struct machine *machine, int status)
{
	pthread_mutex_lock(&machine->event_lock);
	if (machine->guest_status < 0)
		machine->guest_status = status;
	pthread_mutex_unlock(&machine->event_lock);
}

void rig_create(struct rig *rig)
{
	struct machine *machine = &rig->machine;

	if (!rig->config.dir)
		rig->config.dir = (char *)"/tmp";
	if (!rig->config.cpus)
		rig->config.cpus = 1;
	machine->config = &rig->config;
	machine->kvm_fd = -1;
	machine->vm_fd = -1;
	machine->event_fd = -1;
	machine->guest_status = -1;
	machine->pci_mmio64 = layout_pci_mmio64(39, &machine->pci_mmio64_size);
	pthread_mutex_init(&machine->event_lock, NULL);
	must(memory_create(RIG_MEMORY, MEMORY_SHARED, &machine->memory));
	must(bus_create("ports", 0x10000, &machine->ports));
	must(bus_create("mmio", 0, &machine->mmio));
	must(irq_create(-1, &machine->irq));
	must(loop_create("rig", &machine->loop));
	must(pci_bus_create(machine, &machine->pci));
}

void rig_destroy(struct rig *rig)
{
	struct machine *machine = &rig->machine;

	pci_bus_destroy(machine->pci);
	loop_destroy(machine->loop);
	irq_destroy(machine->irq);
	bus_destroy(machine->mmio);
	bus_destroy(machine->ports);
	memory_destroy(machine->memory);
	pthread_mutex_destroy(&machine->event_lock);
}

void rig_fill(struct rig *rig, uint64_t gpa, size_t len, uint8_t byte)
{
	uint8_t *bytes = malloc(len);

	memset(bytes, byte, len);
	must(memory_write(rig->machine.memory, gpa, bytes, len));
	free(bytes);
}

bool rig_is_all(struct rig *rig, uint64_t gpa, size_t len, uint8_t byte)
{
	uint8_t *bytes = malloc(len);
	bool all = true;

	must(memory_read(rig->machine.memory, gpa, bytes, len));
	for (size_t i = 0; i < len; i++)
		all = all && bytes[i] == byte;
	free(bytes);
	return all;
}

struct device *rig_add_device(struct rig *rig, const struct device_type *type, size_t index)
{
	struct device *device = calloc(1, type->size);

	device->type = type;
	device->machine = &rig->machine;
	device->index = index;
	snprintf(device->name, sizeof(device->name), "%s.%zu", type->name, index);
	if (type->create(device) < 0) {
		free(device);
		return NULL;
	}
	must(pci_bus_assign(rig->machine.pci));
	return device;
}

void rig_remove_device(struct device *device)
{
	device->type->destroy(device);
	free(device);
}

/* ---- PCI ---- */

uint32_t rig_config_read(struct rig *rig, unsigned int slot, unsigned int offset, unsigned int size)
{
	return (uint32_t)bus_read(rig->machine.mmio, LAYOUT_ECAM + (slot << 15) + offset, size);
}

void rig_config_write(struct rig *rig, unsigned int slot, unsigned int offset, uint32_t value,
		      unsigned int size)
{
	bus_write(rig->machine.mmio, LAYOUT_ECAM + (slot << 15) + offset, value, size);
}

static uint64_t bar_base(struct rig *rig, unsigned int slot, unsigned int bar)
{
	uint32_t value = rig_config_read(rig, slot, PCI_BASE_ADDRESS_0 + 4 * bar, 4);

	return value & (value & 1 ? ~3u : ~15u);
}

void rig_probe(struct rig *rig, unsigned int slot, struct rig_driver *driver)
{
	unsigned int at = rig_config_read(rig, slot, PCI_CAPABILITY_LIST, 1);

	*driver = (struct rig_driver){ .rig = rig, .slot = slot };
	/* All ones where the slot is empty. */
	for (; at != 0 && at != 0xff; at = rig_config_read(rig, slot, at + 1, 1)) {
		unsigned int type = rig_config_read(rig, slot, at + 3, 1);
		uint64_t address = rig_config_read(rig, slot, at + 8, 4);

		if (rig_config_read(rig, slot, at, 1) != PCI_CAP_ID_VNDR)
			continue;
		address += bar_base(rig, slot, rig_config_read(rig, slot, at + 4, 1));
		if (type == VIRTIO_PCI_CAP_COMMON_CFG)
			driver->common = address;
		else if (type == VIRTIO_PCI_CAP_ISR_CFG)
			driver->isr = address;
		else if (type == VIRTIO_PCI_CAP_DEVICE_CFG)
			driver->config = address;
		else if (type == VIRTIO_PCI_CAP_NOTIFY_CFG) {
			driver->doorbells = address;
			driver->doorbell_stride = rig_config_read(rig, slot, at + 16, 4);
		}
	}
}

uint64_t rig_read(struct rig_driver *driver, unsigned int offset, unsigned int size)
{
	return bus_read(driver->rig->machine.mmio, driver->common + offset, size);
}

void rig_write(struct rig_driver *driver, unsigned int offset, uint64_t value, unsigned int size)
{
	bus_write(driver->rig->machine.mmio, driver->common + offset, value, size);
}

uint64_t rig_config(struct rig_driver *driver, unsigned int offset, unsigned int size)
{
	return bus_read(driver->rig->machine.mmio, driver->config + offset, size);
}

uint8_t rig_status(struct rig_driver *driver)
{
	return (uint8_t)rig_read(driver, VIRTIO_PCI_COMMON_STATUS, 1);
}

uint64_t rig_offered(struct rig_driver *driver)
{
	uint64_t features;

	rig_write(driver, VIRTIO_PCI_COMMON_DFSELECT, 0, 4);
	features = rig_read(driver, VIRTIO_PCI_COMMON_DF, 4);
	rig_write(driver, VIRTIO_PCI_COMMON_DFSELECT, 1, 4);
	return features | rig_read(driver, VIRTIO_PCI_COMMON_DF, 4) << 32;
}

bool rig_negotiate(struct rig_driver *driver, uint64_t features)
{
	rig_write(driver, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	rig_write(driver, VIRTIO_PCI_COMMON_STATUS, 1, 1);
	rig_write(driver, VIRTIO_PCI_COMMON_STATUS, 3, 1);
	rig_write(driver, VIRTIO_PCI_COMMON_GFSELECT, 0, 4);
	rig_write(driver, VIRTIO_PCI_COMMON_GF, (uint32_t)features, 4);
	rig_write(driver, VIRTIO_PCI_COMMON_GFSELECT, 1, 4);
	rig_write(driver, VIRTIO_PCI_COMMON_GF, (uint32_t)(features >> 32), 4);
	rig_write(driver, VIRTIO_PCI_COMMON_STATUS, 3 | VIRTIO_CONFIG_S_FEATURES_OK, 1);
	rig_write(driver, VIRTIO_PCI_COMMON_MSIX, 0, 2);
	return rig_status(driver) & VIRTIO_CONFIG_S_FEATURES_OK;
}

void rig_driver_ok(struct rig_driver *driver)
{
	rig_write(driver, VIRTIO_PCI_COMMON_STATUS,
		  3 | VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK, 1);
}

bool rig_raised(struct rig_driver *driver, unsigned int vector)
{
	struct pci_function *function = driver->rig->machine.pci->slots[driver->slot];
	struct irq_msi *msi = pci_msix_message(function, vector);
	uint64_t count;

	return msi && read(irq_msi_fd(msi), &count, sizeof(count)) == sizeof(count);
}

/* ---- rings ---- */

uint16_t rig_load16(struct rig *rig, uint64_t address)
{
	uint16_t value;

	must(memory_read(rig->machine.memory, address, &value, sizeof(value)));
	return value;
}

void rig_store16(struct rig *rig, uint64_t address, uint16_t value)
{
	must(memory_write(rig->machine.memory, address, &value, sizeof(value)));
}

void rig_ring_init(struct rig_ring *ring, struct rig *rig, uint64_t address, uint16_t size)
{
	static const uint8_t zeroes[65536];

	*ring = (struct rig_ring){
		.rig = rig,
		.size = size,
		.desc = address,
		.avail = address + 16ull * size,
		.used = address + ((16ull * size + 6 + 2ull * size + 3) & ~3ull),
	};
	must(memory_write(rig->machine.memory, address, zeroes,
			  ring->used + 6 + 8ull * size - address));
}

void rig_queue(struct rig_ring *ring, struct rig_driver *driver, uint16_t index, uint64_t address,
	       uint16_t size)
{
	rig_ring_init(ring, driver->rig, address, size);
	ring->driver = driver;
	ring->index = index;
	rig_write(driver, VIRTIO_PCI_COMMON_Q_SELECT, index, 2);
	rig_write(driver, VIRTIO_PCI_COMMON_Q_SIZE, size, 2);
	rig_write(driver, VIRTIO_PCI_COMMON_Q_MSIX, index + 1, 2);
	rig_write(driver, VIRTIO_PCI_COMMON_Q_DESCLO, ring->desc, 4);
	rig_write(driver, VIRTIO_PCI_COMMON_Q_AVAILLO, ring->avail, 4);
	rig_write(driver, VIRTIO_PCI_COMMON_Q_USEDLO, ring->used, 4);
	rig_write(driver, VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
}

void rig_desc(struct rig_ring *ring, uint16_t at, uint64_t address, uint32_t len, uint16_t flags,
	      uint16_t next)
{
	struct vring_desc desc = { .addr = address, .len = len, .flags = flags, .next = next };

	must(memory_write(ring->rig->machine.memory, ring->desc + 16ull * at, &desc, sizeof(desc)));
}

void rig_offer(struct rig_ring *ring, uint16_t head)
{
	rig_store16(ring->rig, ring->avail + 4 + 2ull * (ring->avail_idx % ring->size), head);
	ring->avail_idx++;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	rig_store16(ring->rig, ring->avail + 2, ring->avail_idx);
}

uint16_t rig_add(struct rig_ring *ring, const struct rig_buffer *buffers, size_t count)
{
	uint16_t head = ring->next_desc;

	for (size_t i = 0; i < count; i++) {
		uint16_t at = ring->next_desc, next = (uint16_t)((at + 1) % ring->size);
		uint16_t flags = buffers[i].writable ? VRING_DESC_F_WRITE : 0;

		if (i + 1 < count)
			flags |= VRING_DESC_F_NEXT;
		rig_desc(ring, at, buffers[i].address, buffers[i].len, flags, next);
		ring->next_desc = next;
	}
	rig_offer(ring, head);
	return head;
}

void rig_kick(struct rig_ring *ring)
{
	struct rig_driver *driver = ring->driver;

	bus_write(driver->rig->machine.ports,
		  driver->doorbells + (uint64_t)ring->index * driver->doorbell_stride, ring->index,
		  2);
}

uint16_t rig_used(struct rig_ring *ring)
{
	return (uint16_t)(rig_load16(ring->rig, ring->used + 2) - ring->used_idx);
}

bool rig_take(struct rig_ring *ring, uint32_t *ret_id, uint32_t *ret_len)
{
	uint32_t element[2];
	unsigned int waited = 0;

	/* Polled, for a device may rightly raise no interrupt; the pause only yields. */
	while (rig_used(ring) == 0) {
		if (waited++ == 6000)
			return false;
		(void)poll(NULL, 0, waited < 1000 ? 0 : 1);
	}
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	must(memory_read(ring->rig->machine.memory,
			 ring->used + 4 + 8ull * (ring->used_idx % ring->size), element,
			 sizeof(element)));
	ring->used_idx++;
	if (ret_id)
		*ret_id = element[0];
	if (ret_len)
		*ret_len = element[1];
	return true;
}

static void nothing(void *opaque)
{
	(void)opaque;
}

void rig_settle(struct loop *loop)
{
	/* Doorbells that rang before are fetched by the time of the second call. */
	loop_call(loop, nothing, NULL);
	loop_call(loop, nothing, NULL);
	loop_call(loop, nothing, NULL);
}

/* The rig's machine has no vCPUs to ask. */
uint64_t machine_unresolved_faults(struct machine *machine)
{
	(void)machine;
	return 0;
}
