// SPDX-License-Identifier: GPL-2.0-or-later
// A virtio-gpu on a machine without KVM, its driver, and a display that writes down what it is
// told.
#include "tests/unit/virtio_gpu_rig.h"

#include <check.h>
#include <errno.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/devices/pci.h"
#include "host-vmm/devices/vga.h"
#include "host-vmm/loop.h"
#include "host-vmm/memory.h"
#include "host-vmm/state.h"
#include "host-vmm/virtio/models.h"

#define RING(i)	    (0x100000ull + 0x10000ull * (i))
#define COMMAND_MAX 0x200000ull
#define ANSWER	    0x500000ull
#define QUEUE_SIZE  64

/* ---- the display ---- */

unsigned int display_format_bytes(enum display_format format)
{
	(void)format;
	return 4;
}

struct loop *display_loop(struct display *display)
{
	return display->loop;
}

unsigned int display_heads(const struct display *display)
{
	(void)display;
	return GPU_HEADS;
}

uint64_t display_memory(const struct display *display)
{
	(void)display;
	return GPU_MEMORY;
}

int display_set_picture(struct display *display, unsigned int head, enum display_layer layer,
			const struct display_picture *picture)
{
	struct fake_head *fake = &display->heads[head];

	ck_assert_uint_lt(head, GPU_HEADS);
	ck_assert_int_eq(layer, DISPLAY_LAYER_GPU);
	if (picture && (uint64_t)picture->width * picture->height * 4 > GPU_MEMORY)
		return -EINVAL;
	fake->sets++;
	fake->set = picture != NULL;
	if (picture)
		fake->picture = *picture;
	fake->n_damage = 0;
	return 0;
}

void display_release_layer(struct display *display, enum display_layer layer)
{
	ck_assert_int_eq(layer, DISPLAY_LAYER_GPU);
	display->releases++;
	for (unsigned int i = 0; i < GPU_HEADS; i++)
		display->heads[i].set = false;
}

void display_damage(struct display *display, unsigned int head, enum display_layer layer,
		    const struct display_rect *rect)
{
	struct fake_head *fake = &display->heads[head];

	ck_assert_int_eq(layer, DISPLAY_LAYER_GPU);
	ck_assert(fake->set);
	ck_assert_uint_gt(rect->width, 0);
	ck_assert_uint_gt(rect->height, 0);
	ck_assert_uint_le((uint64_t)rect->x + rect->width, fake->picture.width);
	ck_assert_uint_le((uint64_t)rect->y + rect->height, fake->picture.height);
	if (fake->n_damage < GPU_FAKE_MAX)
		fake->damage[fake->n_damage++] = *rect;
}

int display_when_shown(struct display *display, unsigned int head, void (*done)(void *opaque),
		       void *opaque)
{
	if (display->refuse_waits || display->n_waits == GPU_FAKE_MAX)
		return -EAGAIN;
	display->waits[display->n_waits].head = head;
	display->waits[display->n_waits].done = done;
	display->waits[display->n_waits++].opaque = opaque;
	return 0;
}

void display_forget(struct display *display, void *opaque)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < display->n_waits; i++)
		if (display->waits[i].opaque != opaque)
			display->waits[kept++] = display->waits[i];
	display->n_waits = kept;
}

int display_set_cursor(struct display *display, unsigned int head, uint32_t width, uint32_t height,
		       uint32_t hot_x, uint32_t hot_y, const uint32_t *argb)
{
	struct fake_head *fake = &display->heads[head];

	ck_assert_uint_le(width, 64);
	ck_assert_uint_le(height, 64);
	ck_assert(width == 0 || (hot_x < width && hot_y < height));
	fake->cursor_width = width;
	fake->cursor_height = height;
	fake->hot_x = hot_x;
	fake->hot_y = hot_y;
	if (width)
		memcpy(fake->cursor, argb, sizeof(*argb) * width * height);
	return 0;
}

void display_move_cursor(struct display *display, unsigned int head, uint32_t x, uint32_t y)
{
	display->heads[head].x = x;
	display->heads[head].y = y;
	if (display->moved)
		display->moved();
}

void display_listen(struct display *display, void (*changed)(void *opaque), void *opaque)
{
	display->changed = changed;
	display->changed_opaque = opaque;
}

void display_get_want(struct display *display, unsigned int head, struct display_want *ret_want)
{
	*ret_want = display->wants[head];
}

/* ---- the VGA ---- */

static uint64_t nothing_read(void *opaque, uint64_t offset, unsigned int size)
{
	(void)opaque;
	(void)offset;
	(void)size;
	return 0;
}

static void nothing_written(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	(void)opaque;
	(void)offset;
	(void)value;
	(void)size;
}

int vga_create(struct machine *machine, struct display *display, struct vga **ret_vga)
{
	(void)machine;
	*ret_vga = (struct vga *)display;
	return 0;
}

void vga_destroy(struct vga *vga)
{
	(void)vga;
}

void vga_bar(struct vga *vga, struct pci_bar *ret_bar)
{
	static const struct io_ops ops = { .read = nothing_read, .write = nothing_written };

	*ret_bar = (struct pci_bar){
		.kind = PCI_BAR_MEM32_PREFETCH,
		.region = { .name = "vga", .size = GPU_MEMORY, .ops = &ops, .opaque = vga },
	};
}

void vga_reset(struct vga *vga)
{
	((struct display *)vga)->vga_resets++;
}

int vga_save(struct vga *vga, struct state *state)
{
	(void)vga;
	state_put_u32(state, 0x564741);
	return state_error(state);
}

int vga_load(struct vga *vga, struct state *state)
{
	(void)vga;
	return state_get_u32(state) == 0x564741 ? 0 : -EBADMSG;
}

/* ---- the machine ---- */

struct show_call {
	struct display *display;
	unsigned int head;
};

static void show_here(void *opaque)
{
	struct show_call *call = opaque;
	struct display *display = call->display;
	unsigned int at = 0;

	while (at < display->n_waits) {
		void (*done)(void *opaque) = display->waits[at].done;
		void *of = display->waits[at].opaque;

		if (display->waits[at].head != call->head) {
			at++;
			continue;
		}
		display->waits[at] = display->waits[--display->n_waits];
		done(of);
	}
}

void gpu_rig_show(struct gpu_rig *gpu, unsigned int head)
{
	struct show_call call = { &gpu->display, head };

	loop_call(gpu->display.loop, show_here, &call);
}

void gpu_rig_create(struct gpu_rig *gpu)
{
	memset(gpu, 0, sizeof(*gpu));
	gpu->rig.config.heads = GPU_HEADS;
	gpu->rig.config.display_memory = GPU_MEMORY;
	rig_create(&gpu->rig);
	ck_assert_int_eq(loop_create("display", &gpu->display.loop), 0);
	gpu->display.wants[0] = (struct display_want){ true, 1001, 701, 265, 185, 0, 0 };
	gpu->rig.machine.display = &gpu->display;
	ck_assert_uint_eq(virtio_gpu_type.count(&gpu->rig.config), 1);
	gpu->device = rig_add_device(&gpu->rig, &virtio_gpu_type, 0);
	ck_assert_ptr_nonnull(gpu->device);
	rig_probe(&gpu->rig, GPU_SLOT, &gpu->driver);
}

void gpu_rig_destroy(struct gpu_rig *gpu)
{
	rig_remove_device(gpu->device);
	ck_assert_uint_eq(gpu->display.n_waits, 0);
	ck_assert_ptr_null(gpu->display.changed);
	for (unsigned int i = 0; i < GPU_HEADS; i++)
		ck_assert(!gpu->display.heads[i].set);
	loop_destroy(gpu->display.loop);
	rig_destroy(&gpu->rig);
}

void gpu_rig_start(struct gpu_rig *gpu)
{
	/* Without the event index, each answer is an interrupt. */
	ck_assert(rig_negotiate(&gpu->driver,
				rig_offered(&gpu->driver) & ~(1ull << VIRTIO_RING_F_EVENT_IDX)));
	rig_queue(&gpu->control, &gpu->driver, 0, RING(0), QUEUE_SIZE);
	rig_queue(&gpu->cursor, &gpu->driver, 1, RING(1), QUEUE_SIZE);
	rig_driver_ok(&gpu->driver);
	ck_assert_uint_eq(rig_status(&gpu->driver), 0xf);
}

void gpu_rig_settle(struct gpu_rig *gpu)
{
	rig_settle(gpu->display.loop);
}

/* ---- the driver ---- */

static void offer(struct gpu_rig *gpu, struct rig_ring *ring, const void *command, size_t len,
		  size_t answer_len)
{
	const uint8_t dirt[sizeof(struct virtio_gpu_resp_edid)] = { 0 };
	struct rig_buffer buffers[2] = {
		{ GPU_COMMAND, (uint32_t)len, false },
		{ ANSWER, (uint32_t)answer_len, true },
	};

	ck_assert_uint_le(len, COMMAND_MAX);
	ck_assert_int_eq(memory_write(gpu->rig.machine.memory, GPU_COMMAND, command, len), 0);
	ck_assert_int_eq(memory_write(gpu->rig.machine.memory, ANSWER, dirt, sizeof(dirt)), 0);
	rig_add(ring, buffers, answer_len ? 2 : 1);
	rig_kick(ring);
}

uint32_t gpu_rig_command(struct gpu_rig *gpu, const void *command, size_t len, void *answer,
			 size_t answer_len)
{
	struct virtio_gpu_ctrl_hdr header = { 0 };
	size_t room = answer ? answer_len : sizeof(header);
	uint32_t written;

	offer(gpu, &gpu->control, command, len, room);
	ck_assert(rig_take(&gpu->control, NULL, &written));
	ck_assert_uint_le(written, room);
	if (answer)
		ck_assert_int_eq(memory_read(gpu->rig.machine.memory, ANSWER, answer, room), 0);
	if (written < sizeof(header))
		return GPU_NO_ANSWER;
	ck_assert_int_eq(memory_read(gpu->rig.machine.memory, ANSWER, &header, sizeof(header)), 0);
	return header.type;
}

void gpu_rig_offer(struct gpu_rig *gpu, const void *command, size_t len)
{
	offer(gpu, &gpu->control, command, len, sizeof(struct virtio_gpu_ctrl_hdr));
}

uint32_t gpu_rig_cursor(struct gpu_rig *gpu, const struct virtio_gpu_update_cursor *command)
{
	struct virtio_gpu_ctrl_hdr header;

	offer(gpu, &gpu->cursor, command, sizeof(*command), sizeof(header));
	ck_assert(rig_take(&gpu->cursor, NULL, NULL));
	ck_assert_int_eq(memory_read(gpu->rig.machine.memory, ANSWER, &header, sizeof(header)), 0);
	return header.type;
}

uint32_t gpu_rig_create_2d(struct gpu_rig *gpu, uint32_t id, uint32_t format, uint32_t width,
			   uint32_t height)
{
	const struct virtio_gpu_resource_create_2d command = {
		{ .type = VIRTIO_GPU_CMD_RESOURCE_CREATE_2D }, id, format, width, height
	};

	return gpu_rig_command(gpu, &command, sizeof(command), NULL, 0);
}

static uint32_t with_entries(struct gpu_rig *gpu, const void *command, size_t len,
			     const struct virtio_gpu_mem_entry *entries, uint32_t n)
{
	size_t whole = len + n * sizeof(*entries);
	uint8_t *bytes = malloc(whole);
	uint32_t type;

	memcpy(bytes, command, len);
	if (n)
		memcpy(bytes + len, entries, n * sizeof(*entries));
	type = gpu_rig_command(gpu, bytes, whole, NULL, 0);
	free(bytes);
	return type;
}

uint32_t gpu_rig_attach(struct gpu_rig *gpu, uint32_t id,
			const struct virtio_gpu_mem_entry *entries, uint32_t n)
{
	const struct virtio_gpu_resource_attach_backing command = {
		{ .type = VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING }, id, n
	};

	return with_entries(gpu, &command, sizeof(command), entries, n);
}

uint32_t gpu_rig_blob(struct gpu_rig *gpu, uint32_t id, uint64_t size,
		      const struct virtio_gpu_mem_entry *entries, uint32_t n)
{
	const struct virtio_gpu_resource_create_blob command = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB,
		.resource_id = id,
		.blob_mem = VIRTIO_GPU_BLOB_MEM_GUEST,
		.blob_flags = VIRTIO_GPU_BLOB_FLAG_USE_SHAREABLE,
		.nr_entries = n,
		.size = size,
	};

	return with_entries(gpu, &command, sizeof(command), entries, n);
}

uint32_t gpu_rig_scanout(struct gpu_rig *gpu, uint32_t head, uint32_t id,
			 struct virtio_gpu_rect rect)
{
	const struct virtio_gpu_set_scanout command = {
		{ .type = VIRTIO_GPU_CMD_SET_SCANOUT }, rect, head, id
	};

	return gpu_rig_command(gpu, &command, sizeof(command), NULL, 0);
}

uint32_t gpu_rig_transfer(struct gpu_rig *gpu, uint32_t id, struct virtio_gpu_rect rect,
			  uint64_t offset)
{
	const struct virtio_gpu_transfer_to_host_2d command = {
		{ .type = VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D }, rect, offset, id, 0
	};

	return gpu_rig_command(gpu, &command, sizeof(command), NULL, 0);
}

uint32_t gpu_rig_flush(struct gpu_rig *gpu, uint32_t id, struct virtio_gpu_rect rect)
{
	const struct virtio_gpu_resource_flush command = {
		{ .type = VIRTIO_GPU_CMD_RESOURCE_FLUSH }, rect, id, 0
	};

	return gpu_rig_command(gpu, &command, sizeof(command), NULL, 0);
}

uint32_t gpu_rig_plain(struct gpu_rig *gpu, uint32_t type, uint32_t id)
{
	const struct virtio_gpu_resource_unref command = { { .type = type }, id, 0 };

	return gpu_rig_command(gpu, &command, sizeof(command), NULL, 0);
}
