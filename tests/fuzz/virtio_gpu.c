// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzzes the queues of virtio-gpu: sequences of commands from a hostile driver, on a machine whose
 * display is the real one, with a viewer that looks at every head.
 *
 * The input is a list of operations of 24 bytes: what, resource, head, flags, and five numbers,
 * which are small ones more often than not, so that commands meet what earlier ones made.
 */
#include <linux/virtio_gpu.h>
#include <linux/virtio_ring.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/device.h"
#include "host-vmm/devices/pci.h"
#include "host-vmm/display/private.h"
#include "host-vmm/input/input.h"
#include "host-vmm/loop.h"
#include "host-vmm/memory.h"
#include "host-vmm/state.h"
#include "host-vmm/virtio/models.h"
#include "protocol/lib/log.h"
#include "tests/unit/blind_viewer.h"
#include "tests/unit/virtio_rig.h"

#define HEADS	 3u
#define MEMORY	 (2ull << 20) /* less than a machine has: the VGA clears it at each reset */
#define RING(i)	 (0x100000ull + 0x10000ull * (i))
#define COMMAND	 0x200000ull /* a page for each operation */
#define ANSWER	 0x400000ull
#define PIXELS	 0x1000000ull
#define OPS_MAX	 64u
#define OP_BYTES 24u

struct op {
	uint8_t what, id, head, flags;
	uint32_t n[5];
};
_Static_assert(sizeof(struct op) == OP_BYTES, "op");

union command {
	struct virtio_gpu_ctrl_hdr hdr;
	struct virtio_gpu_resource_create_2d create;
	struct virtio_gpu_resource_create_blob blob;
	struct virtio_gpu_resource_unref unref;
	struct virtio_gpu_resource_attach_backing attach;
	struct virtio_gpu_set_scanout scanout;
	struct virtio_gpu_set_scanout_blob scanout_blob;
	struct virtio_gpu_transfer_to_host_2d transfer;
	struct virtio_gpu_resource_flush flush;
	struct virtio_gpu_cmd_get_edid edid;
	struct virtio_gpu_update_cursor cursor;
	uint8_t bytes[256];
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct rig rig;
static struct device *device;
static struct display_viewer viewer;

/* ---- a viewer that shows all at once ---- */

static void damage(void *opaque, unsigned int head, uint32_t serial,
		   const struct display_rect *rects, unsigned int n_rects)
{
	(void)opaque;
	(void)head;
	(void)serial;
	for (unsigned int i = 0; i < n_rects; i++)
		if (rects[i].width == 0 || rects[i].height == 0)
			abort();
}

static const struct display_viewer_ops viewer_ops = {
	.ready = blind_ready,
	.frame = blind_frame,
	.damage = damage,
	.cursor = blind_cursor,
	.cursor_at = blind_cursor_at,
};

static void attach_here(void *opaque)
{
	(void)opaque;
	display_attach(rig.machine.display, &viewer);
}

static void bring_up_machine(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	rig.config.heads = HEADS;
	rig.config.display_memory = MEMORY;
	rig_create(&rig);
	if (display_create(HEADS, MEMORY, &rig.machine.display) < 0 ||
	    input_create(&rig.machine.input) < 0)
		abort();
	device = rig_add_device(&rig, &virtio_gpu_type, 0);
	if (!device)
		abort();
	rig.machine.devices = &device;
	rig.machine.n_devices = 1;
	viewer = (struct display_viewer){ .ops = &viewer_ops, .heads = (1u << HEADS) - 1 };
	loop_call(display_loop(rig.machine.display), attach_here, NULL);
}

/* ---- commands ---- */

static uint32_t shaped(uint32_t n)
{
	switch (n >> 29) {
	case 0:
	case 1:
	case 2:
		return n & 0xff;
	case 3:
	case 4:
		return n & 0x7ff;
	case 5:
		return n & 0xffff;
	case 6:
		return n & 0xfff000;
	default:
		return n;
	}
}

/* Some of the 16 formats around those that there are. */
static uint32_t format_of(const struct op *op)
{
	static const uint32_t formats[8] = { 1, 2, 3, 4, 67, 68, 121, 134 };

	return op->flags & 0x80 ? op->n[4] : formats[op->flags >> 4 & 7];
}

static struct virtio_gpu_rect rect_of(const struct op *op)
{
	return (struct virtio_gpu_rect){ shaped(op->n[0]), shaped(op->n[1]), shaped(op->n[2]),
					 shaped(op->n[3]) };
}

/* Entries behind @at: so many pages, each where a number says. */
static size_t put_entries(const struct op *op, uint8_t *at, uint32_t n)
{
	size_t len = 0;

	for (uint32_t i = 0; i < n && i < 8; i++) {
		struct virtio_gpu_mem_entry entry = {
			.addr = PIXELS + (uint64_t)shaped(op->n[2]) * (i + 1),
			.length = shaped(op->n[3]),
		};

		if (op->flags & 4 && i == 3)
			entry.addr = (uint64_t)op->n[1] << 32 | op->n[2];
		memcpy(at + len, &entry, sizeof(entry));
		len += sizeof(entry);
	}
	return len;
}

static const uint32_t types[] = {
	VIRTIO_GPU_CMD_GET_DISPLAY_INFO,
	VIRTIO_GPU_CMD_RESOURCE_CREATE_2D,
	VIRTIO_GPU_CMD_RESOURCE_UNREF,
	VIRTIO_GPU_CMD_SET_SCANOUT,
	VIRTIO_GPU_CMD_RESOURCE_FLUSH,
	VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D,
	VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING,
	VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING,
	VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB,
	VIRTIO_GPU_CMD_SET_SCANOUT_BLOB,
	VIRTIO_GPU_CMD_GET_EDID,
	VIRTIO_GPU_CMD_UPDATE_CURSOR,
	VIRTIO_GPU_CMD_MOVE_CURSOR,
	VIRTIO_GPU_CMD_GET_CAPSET_INFO,
};
#define N_TYPES (sizeof(types) / sizeof(types[0]))

static size_t make_command(const struct op *op, union command *command)
{
	uint32_t id = op->id % 8, head = op->head % (HEADS + 1);

	memset(command, 0, sizeof(*command));
	command->hdr.type = types[op->what % N_TYPES];
	command->hdr.flags = op->flags & 1;
	switch (command->hdr.type) {
	case VIRTIO_GPU_CMD_RESOURCE_CREATE_2D:
		command->create.resource_id = id;
		command->create.format = format_of(op);
		command->create.width = shaped(op->n[0]);
		command->create.height = shaped(op->n[1]);
		return sizeof(command->create);
	case VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB:
		command->blob.resource_id = id;
		command->blob.blob_mem = op->flags & 8 ? op->n[4] : VIRTIO_GPU_BLOB_MEM_GUEST;
		command->blob.size = op->flags & 2 ? (uint64_t)op->n[0] << 32 : shaped(op->n[0]);
		command->blob.nr_entries = op->n[4] % 9;
		return sizeof(command->blob) + put_entries(op,
							   command->bytes + sizeof(command->blob),
							   command->blob.nr_entries);
	case VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING:
		command->attach.resource_id = id;
		command->attach.nr_entries = op->flags & 2 ? op->n[0] : op->n[0] % 9;
		return sizeof(command->attach) +
		       put_entries(op, command->bytes + sizeof(command->attach),
				   command->attach.nr_entries);
	case VIRTIO_GPU_CMD_SET_SCANOUT:
		command->scanout.r = rect_of(op);
		command->scanout.scanout_id = head;
		command->scanout.resource_id = id;
		return sizeof(command->scanout);
	case VIRTIO_GPU_CMD_SET_SCANOUT_BLOB:
		command->scanout_blob.r = rect_of(op);
		command->scanout_blob.scanout_id = head;
		command->scanout_blob.resource_id = id;
		command->scanout_blob.width = shaped(op->n[4] << 3);
		command->scanout_blob.height = shaped(op->n[4] << 7);
		command->scanout_blob.format = format_of(op);
		command->scanout_blob.strides[0] = shaped(op->n[4]);
		command->scanout_blob.offsets[0] = shaped(op->n[4] << 11);
		return sizeof(command->scanout_blob);
	case VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D:
		command->transfer.r = rect_of(op);
		command->transfer.offset = op->flags & 2 ? op->n[4] : 0;
		command->transfer.resource_id = id;
		return sizeof(command->transfer);
	case VIRTIO_GPU_CMD_RESOURCE_FLUSH:
		command->flush.r = rect_of(op);
		command->flush.resource_id = id;
		return sizeof(command->flush);
	case VIRTIO_GPU_CMD_GET_EDID:
		command->edid.scanout = head;
		return sizeof(command->edid);
	case VIRTIO_GPU_CMD_UPDATE_CURSOR:
	case VIRTIO_GPU_CMD_MOVE_CURSOR:
		command->cursor.pos.scanout_id = head;
		command->cursor.pos.x = shaped(op->n[0]);
		command->cursor.resource_id = id;
		command->cursor.hot_x = shaped(op->n[2]);
		return sizeof(command->cursor);
	default:
		command->unref.resource_id = id;
		return sizeof(command->unref);
	}
}

static void send_command(struct rig_ring *rings, const struct op *op, unsigned int index)
{
	uint64_t at = COMMAND + index * 0x1000ull;
	union command command;
	size_t len = make_command(op, &command);
	bool is_cursor = command.hdr.type >= VIRTIO_GPU_CMD_UPDATE_CURSOR;
	struct rig_buffer buffers[2];

	/* Cut short now and then, and sent to the wrong queue. */
	if (op->head & 0x80)
		len = op->n[4] % (len + 1);
	if (op->head & 0x40)
		is_cursor = !is_cursor;
	(void)memory_write(rig.machine.memory, at, &command, len);
	buffers[0] = (struct rig_buffer){ at, (uint32_t)len, false };
	buffers[1] = (struct rig_buffer){ ANSWER + index * 0x1000ull,
					  op->head & 0x20 ? op->n[4] % 64 : 2048, true };
	rig_add(&rings[is_cursor], buffers, op->head & 0x10 ? 1 : 2);
	rig_kick(&rings[is_cursor]);
}

static void save_and_load(const struct op *op)
{
	struct state state = { 0 }, reader;

	if (device->type->save(device, &state) < 0 || state.len == 0)
		abort();
	/* The one byte that is not as it was may be refused, and must not be believed. */
	if (op->flags & 1)
		state.bytes[op->n[0] % state.len] ^= (uint8_t)op->n[1];
	state_read_from(&reader, state.bytes, op->flags & 2 ? op->n[2] % state.len : state.len);
	(void)device->type->load(device, &reader);
	state_finish(&state);
}

static void shoot(unsigned int head)
{
	struct display_shot shot = { 0 };

	if (display_shoot(rig.machine.display, head, &shot) == 0)
		free(shot.pixels);
}

static void start_driver(struct rig_driver *driver, struct rig_ring *rings)
{
	/* Without the event index, that each kick is one. */
	(void)rig_negotiate(driver, rig_offered(driver) & ~(1ull << VIRTIO_RING_F_EVENT_IDX));
	for (uint16_t i = 0; i < 2; i++)
		rig_queue(&rings[i], driver, i, RING(i), 256);
	rig_driver_ok(driver);
}

static void operate(struct rig_driver *driver, struct rig_ring *rings, const struct op *op,
		    unsigned int index)
{
	if (op->what < 0xe0) {
		send_command(rings, op, index);
		return;
	}
	switch (op->what & 7) {
	case 0:
		shoot(op->head % (HEADS + 1));
		break;
	case 1:
		(void)display_resize(rig.machine.display, op->head % (HEADS + 1), shaped(op->n[0]),
				     shaped(op->n[1]), shaped(op->n[2]), shaped(op->n[3]));
		break;
	case 2:
		save_and_load(op);
		break;
	case 3:
		device->type->reset(device);
		start_driver(driver, rings);
		break;
	case 4: /* under a command that may not have been read */
		(void)memory_write(rig.machine.memory,
				   COMMAND + (op->n[0] % OPS_MAX) * 0x1000 + op->n[1] % 128,
				   &op->n[2], 4);
		break;
	default:
		rig_settle(display_loop(rig.machine.display));
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rig_driver driver;
	struct rig_ring rings[2];

	if (!device)
		bring_up_machine();
	rig_probe(&rig, 1, &driver);
	start_driver(&driver, rings);
	for (unsigned int i = 0; i < OPS_MAX && (i + 1) * OP_BYTES <= size; i++) {
		struct op op;

		memcpy(&op, data + i * OP_BYTES, sizeof(op));
		operate(&driver, rings, &op, i);
	}
	rig_settle(display_loop(rig.machine.display));
	device->type->reset(device);
	(void)pci_bus_assign(rig.machine.pci);
	return 0;
}
