// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzzes the balloon's queue of the backdoor: requests of any bytes in buffers of any length,
 * ranges near the ends of RAM, statistics, resets and targets of the host's between them.
 *
 * The input is a list of operations of 16 bytes: what, count, 16 bits, 32 bits, 64 bits. At the end
 * the host counts no more in the balloon than there is, and after a reset nothing.
 */
#include <endian.h>
#include <linux/virtio_config.h>
#include <lodge/backdoor.h>
#include <lodge/balloon.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/backdoor/backdoor.h"
#include "host-vmm/memory.h"
#include "host-vmm/virtio/backdoor_balloon.h"
#include "host-vmm/virtio/balloon.h"
#include "host-vmm/virtio/models.h"
#include "host-vmm/virtio/virtio.h"
#include "protocol/lib/log.h"
#include "tests/unit/virtio_rig.h"

#define OP_BYTES 16u
#define OPS_MAX	 128u
#define RING	 0x100000ull
#define OUT	 0x200000ull
#define IN	 0x210000ull
#define SIZE	 16

struct op {
	uint8_t what, count;
	uint16_t small;
	uint32_t medium;
	uint64_t large;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct rig rig;
static struct device *devices[1];
static struct rig_driver driver;
static struct rig_ring ring;

static void bring_up_driver(void)
{
	(void)rig_negotiate(&driver, 1ull << VIRTIO_F_VERSION_1 | 1ull << LODGE_BACKDOOR_F_BALLOON);
	rig_queue(&ring, &driver, LODGE_BACKDOOR_QUEUE_BALLOON, RING, SIZE);
	rig_driver_ok(&driver);
}

static void bring_up_machine(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	rig.config.backdoor_device = rig.config.balloon = true;
	rig_create(&rig);
	if (!rig_add_device(&rig, &backdoor_type, 0))
		abort();
	devices[0] = rig_add_device(&rig, &virtio_backdoor_type, 0);
	if (!devices[0])
		abort();
	rig.machine.devices = devices;
	rig.machine.n_devices = 1;
	rig_probe(&rig, 1, &driver);
}

static void put(uint64_t gpa, const void *bytes, size_t len)
{
	(void)memory_write(rig.machine.memory, gpa, bytes, len);
}

/* What is written there lies in RAM, near its end, or far away: ends are where mistakes are. */
static uint64_t address_of(const struct op *op)
{
	switch (op->small >> 8 & 3) {
	case 0:
		return op->large % RIG_MEMORY & ~0xfffull;
	case 1:
		return RIG_MEMORY - (op->large & 0xf) * 4096;
	case 2:
		return UINT64_MAX - (op->large & 0xffff);
	default:
		return op->large;
	}
}

static void put_range(const struct op *op)
{
	const struct lodge_balloon_range range = {
		.address = htole64(address_of(op)),
		.pages = htole32(op->small & 0x8000 ? op->medium : op->medium & 0xff),
		.reserved = htole32(op->small & 0x4000 ? op->medium : 0),
	};

	put(OUT + sizeof(struct lodge_balloon_request) + sizeof(range) * op->count, &range,
	    sizeof(range));
}

static void ask(const struct op *op)
{
	const struct lodge_balloon_request request = {
		.op = htole16(op->what >> 4),
		.count = htole16(op->count),
		.reserved = htole32(op->small & 0x10 ? op->medium : 0),
	};
	uint32_t each = op->what >> 4 == LODGE_BALLOON_STATS ? 8 : 16;
	uint32_t len = (uint32_t)sizeof(request) + op->count * each;

	put(OUT, &request, sizeof(request));
	if (op->small & 1)
		len = op->medium & 0x3fff;
	rig_add(&ring,
		(struct rig_buffer[]){ { OUT, len, false },
				       { op->small & 2 ? op->large : IN,
					 op->small & 4 ? op->medium >> 16 : 8, true } },
		op->small & 8 ? 1 : 2);
	rig_kick(&ring);
	rig_settle(rig.machine.loop);
	while (rig_used(&ring) > 0 && rig_used(&ring) <= SIZE && rig_take(&ring, NULL, NULL))
		;
}

static void operate(const struct op *op)
{
	struct balloon_info info;

	switch (op->what & 7) {
	case 0:
	case 1:
	case 2:
		put_range(op);
		break;
	case 3:
	case 4:
		ask(op);
		break;
	case 5:
		(void)backdoor_balloon_set(&rig.machine, op->large);
		(void)backdoor_balloon_get(&rig.machine, &info);
		break;
	case 6:
		put(OUT + (op->small & 0x1fff), &op->large, sizeof(op->large));
		break;
	default:
		bring_up_driver();
	}
}

static void check(uint64_t most)
{
	struct balloon_info info;

	rig_settle(rig.machine.loop);
	if (backdoor_balloon_get(&rig.machine, &info) || info.actual > most)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!devices[0])
		bring_up_machine();
	bring_up_driver();
	for (size_t at = 0; at + OP_BYTES <= size && at < OPS_MAX * OP_BYTES; at += OP_BYTES) {
		struct op op = { .what = data[at], .count = data[at + 1] };

		memcpy(&op.small, data + at + 2, sizeof(op.small));
		memcpy(&op.medium, data + at + 4, sizeof(op.medium));
		memcpy(&op.large, data + at + 8, sizeof(op.large));
		operate(&op);
	}
	check(RIG_MEMORY);
	bring_up_driver();
	check(0);
	return 0;
}
