// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzzes the registers of a machine's virtio devices: configuration space by both doors, BARs,
 * MSI-X, doorbells, rings, with the models of console, rng, balloon and backdoor behind them.
 *
 * The input is a list of operations of 12 bytes: what, slot, 16-bit offset, 64-bit value. One
 * operation does a driver's whole set-up, so that inputs get behind negotiation.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/backdoor/backdoor.h"
#include "host-vmm/bus.h"
#include "host-vmm/devices/pci.h"
#include "host-vmm/layout.h"
#include "host-vmm/memory.h"
#include "host-vmm/virtio/models.h"
#include "host-vmm/virtio/virtio.h"
#include "protocol/lib/log.h"
#include "tests/unit/virtio_rig.h"

#define DEVICES	 5u
#define RINGS	 0x100000ull
#define OP_BYTES 12u
#define OPS_MAX	 256u

struct op {
	uint8_t what;
	uint8_t slot;
	uint16_t offset;
	uint64_t value;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct rig rig;
static struct device *devices[DEVICES]; /* on PCI */
static struct vm_port ports[] = {
	{ .name = (char *)"console", .backend = (char *)"none" },
	{ .name = (char *)"org.lodge.run.stdout", .backend = (char *)"none" },
	{ .name = (char *)"org.lodge.run.status", .backend = (char *)"run-status" },
	{ .name = (char *)"org.lodge.tools.0", .backend = (char *)"tools" },
};

static void bring_up_machine(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	rig.config.rng = rig.config.balloon = rig.config.backdoor_device = true;
	rig.config.ports = ports;
	rig.config.n_ports = sizeof(ports) / sizeof(ports[0]);
	rig_create(&rig);
	if (!rig_add_device(&rig, &backdoor_type, 0))
		abort();
	devices[0] = rig_add_device(&rig, &virtio_console_type, 0);
	devices[1] = rig_add_device(&rig, &virtio_console_type, 1);
	devices[2] = rig_add_device(&rig, &virtio_rng_type, 0);
	devices[3] = rig_add_device(&rig, &virtio_balloon_type, 0);
	devices[4] = rig_add_device(&rig, &virtio_backdoor_type, 0);
	for (size_t i = 0; i < DEVICES; i++)
		if (!devices[i])
			abort();
	rig.machine.devices = devices;
	rig.machine.n_devices = DEVICES;
}

static void set_up_driver(unsigned int slot, uint64_t value)
{
	struct rig_driver driver;
	struct rig_ring ring;

	rig_probe(&rig, slot, &driver);
	if (!driver.common)
		return;
	(void)rig_negotiate(&driver, rig_offered(&driver) & ~(value >> 32));
	for (uint16_t i = 0; i < 6; i++)
		rig_queue(&ring, &driver, i, RINGS + 0x10000ull * i,
			  (uint16_t)(1u << (value >> (4 * i) & 7)));
	rig_driver_ok(&driver);
}

static uint64_t bar_address(unsigned int slot, unsigned int bar)
{
	uint32_t base = rig_config_read(&rig, slot, 0x10 + 4 * bar, 4);

	return base & (base & 1 ? ~3u : ~15u);
}

static void operate(const struct op *op)
{
	struct machine *machine = &rig.machine;
	unsigned int slot = op->slot % (DEVICES + 2), size = 1u << (op->what >> 4 & 3);
	uint64_t ecam = LAYOUT_ECAM + (slot << 15) + (op->offset & 0xfff);
	unsigned int bar = op->what >> 6 & 1 ? 1 : 2;

	switch (op->what & 15) {
	case 0:
		(void)bus_read(machine->mmio, ecam, size);
		break;
	case 1:
		bus_write(machine->mmio, ecam, op->value, size);
		break;
	case 2:
		bus_write(machine->ports, 0xcf8, 0x80000000u | slot << 11 | (op->offset & 0xfc), 4);
		bus_write(machine->ports, 0xcfc + (op->offset & 3), op->value, size > 4 ? 4 : size);
		break;
	case 3:
		(void)bus_read(machine->ports, 0xcf8 + (op->offset & 7), size);
		break;
	case 4:
		(void)bus_read(machine->mmio, bar_address(slot, bar) + (op->offset & 0xfff), size);
		break;
	case 5:
	case 6:
		bus_write(machine->mmio, bar_address(slot, bar) + (op->offset & 0xfff), op->value,
			  size);
		break;
	case 7:
	case 8:
		bus_write(machine->ports, bar_address(slot, 0) + (op->offset & 0x3f), op->value, 2);
		break;
	case 9:
		set_up_driver(slot, op->value);
		break;
	case 10:
	case 11:
	case 12: /* a word of a ring or beside it */
		(void)memory_write(machine->memory,
				   RINGS + (uint64_t)(op->slot % 6) * 0x10000 + op->offset,
				   &op->value, size);
		break;
	case 13: /* a descriptor's worth of data in low memory */
		(void)memory_write(machine->memory, op->offset, &op->value, 8);
		break;
	case 14:
		(void)pci_bus_assign(machine->pci);
		break;
	case 15:
		virtio_model_reset(devices[op->slot % DEVICES]);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!devices[0])
		bring_up_machine();
	for (size_t at = 0; at + OP_BYTES <= size && at < OPS_MAX * OP_BYTES; at += OP_BYTES) {
		struct op op = { .what = data[at], .slot = data[at + 1] };

		memcpy(&op.offset, data + at + 2, sizeof(op.offset));
		memcpy(&op.value, data + at + 4, sizeof(op.value));
		operate(&op);
	}
	rig_settle(rig.machine.loop);
	for (size_t i = 0; i < DEVICES; i++)
		virtio_model_reset(devices[i]);
	(void)memory_discard(rig.machine.memory, 0, RIG_MEMORY);
	if (pci_bus_assign(rig.machine.pci) < 0)
		abort();
	return 0;
}
