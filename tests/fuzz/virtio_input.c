// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzzes the keyboard and the tablet: a driver that sets up and resets as it likes, gives buffers
 * of any kind, writes into its rings and selects configuration, while hands press and move.
 *
 * The input is a list of operations of 8 bytes: what, device, 16 bits, 32 bits. At the end nothing
 * may be held, and the queues hold what they can.
 */
#include <linux/virtio_pci.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/bus.h"
#include "host-vmm/input/input.h"
#include "host-vmm/memory.h"
#include "host-vmm/virtio/models.h"
#include "host-vmm/virtio/virtio.h"
#include "protocol/lib/log.h"
#include "tests/unit/virtio_rig.h"

#define OP_BYTES 8u
#define OPS_MAX	 256u
#define RINGS	 0x100000ull
#define RING	 0x10000ull
#define BUFFERS	 0x200000ull

struct op {
	uint8_t what, device;
	uint16_t small;
	uint32_t large;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct rig rig;
static struct device *devices[2];
static struct rig_driver drivers[2];
static struct rig_ring rings[2][2];
static struct input_giver *giver;

static void bring_up_machine(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	rig.config.heads = 1;
	rig_create(&rig);
	if (input_create(&rig.machine.input) < 0)
		abort();
	for (unsigned int i = 0; i < 2; i++) {
		devices[i] = rig_add_device(&rig, &virtio_input_type, i);
		if (!devices[i])
			abort();
		rig_probe(&rig, i + 1, &drivers[i]);
	}
	giver = input_giver_create(rig.machine.input);
	if (!giver)
		abort();
}

static void set_up(unsigned int at, uint32_t value)
{
	(void)rig_negotiate(&drivers[at], rig_offered(&drivers[at]) & ~((uint64_t)value << 20));
	for (uint16_t i = 0; i < 2; i++)
		rig_queue(&rings[at][i], &drivers[at], i, RINGS + RING * (2 * at + i),
			  (uint16_t)(1u << (value >> (4 * i) & 7)));
	rig_driver_ok(&drivers[at]);
}

static void give_buffer(struct rig_ring *ring, const struct op *op)
{
	struct rig_buffer buffers[3];
	unsigned int n = 1 + op->small % 3;

	if (!ring->driver)
		return;
	for (unsigned int i = 0; i < n; i++)
		buffers[i] = (struct rig_buffer){
			.address = BUFFERS + (op->large >> 8 & 0xfff) + 64 * i,
			.len = op->large >> (4 * i) & 15,
			.writable = op->small >> (4 + i) & 1,
		};
	rig_add(ring, buffers, n);
}

static void operate(const struct op *op)
{
	unsigned int at = op->device & 1;
	struct rig_ring *ring = &rings[at][op->device >> 1 & 1];

	switch (op->what % 12) {
	case 0:
		set_up(at, op->large);
		break;
	case 1:
		rig_write(&drivers[at], VIRTIO_PCI_COMMON_STATUS, op->small & 0xff, 1);
		break;
	case 2:
	case 3:
		give_buffer(ring, op);
		break;
	case 4:
		if (ring->driver)
			rig_kick(ring);
		break;
	case 5:
		bus_write(rig.machine.mmio, drivers[at].config + op->small % 140, op->large, 2);
		(void)rig_config(&drivers[at], op->large % 140, 4);
		break;
	case 6: /* a word of a ring, or of what a buffer holds */
		(void)memory_write(rig.machine.memory,
				   (op->device & 4 ? BUFFERS : RINGS + RING * (op->device & 3)) +
					   op->small % 0x1000,
				   &op->large, 4);
		break;
	case 7:
		(void)input_key(giver, op->small, op->large & 1);
		break;
	case 8:
		(void)input_button(giver, (uint16_t)(BTN_LEFT + op->small % 8), op->large & 1);
		break;
	case 9:
		input_point(giver, op->small, op->large & 0xffff, op->large >> 16, op->large >> 16);
		break;
	case 10:
		input_wheel(giver, (int16_t)op->small, (int32_t)op->large);
		break;
	case 11:
		for (uint16_t i = 0; i < 400; i++)
			(void)input_key(giver, (uint16_t)(1 + (op->small + i) % 248), i & 1);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!devices[0])
		bring_up_machine();
	for (size_t at = 0; at + OP_BYTES <= size && at < OPS_MAX * OP_BYTES; at += OP_BYTES) {
		struct op op = { .what = data[at], .device = data[at + 1] };

		memcpy(&op.small, data + at + 2, sizeof(op.small));
		memcpy(&op.large, data + at + 4, sizeof(op.large));
		operate(&op);
	}
	input_release(giver);
	for (unsigned int i = 0; i < 2; i++) {
		rig_settle(rig.machine.loop);
		virtio_model_reset(devices[i]);
		memset(rings[i], 0, sizeof(rings[i]));
	}
	if (input_takes_keys(rig.machine.input))
		abort();
	return 0;
}
