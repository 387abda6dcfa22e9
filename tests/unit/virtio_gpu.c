// SPDX-License-Identifier: GPL-2.0-or-later
// virtio-gpu as a good driver uses it: what heads should be, pictures, blobs, damage, fences,
// cursors, save and load.
#include <check.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/bus.h"
#include "host-vmm/display/edid.h"
#include "host-vmm/loop.h"
#include "host-vmm/memory.h"
#include "host-vmm/state.h"
#include "tests/unit/unit.h"
#include "tests/unit/virtio_gpu_rig.h"

#define OK     VIRTIO_GPU_RESP_OK_NODATA
#define BGRX   VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM
#define BGRA   VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM
#define WIDTH  101u
#define HEIGHT 67u
#define STRIDE (WIDTH * 4)
#define BYTES  (STRIDE * HEIGHT)
#define PAGES  ((BYTES + 4095) / 4096)

static struct gpu_rig gpu;

static void setup(void)
{
	gpu_rig_create(&gpu);
	gpu_rig_start(&gpu);
}

static void teardown(void)
{
	gpu_rig_destroy(&gpu);
}

static struct virtio_gpu_rect rect(uint32_t x, uint32_t y, uint32_t width, uint32_t height)
{
	return (struct virtio_gpu_rect){ x, y, width, height };
}

/* Pages of a picture, none behind its neighbour. */
static void scattered(struct virtio_gpu_mem_entry *entries)
{
	for (uint32_t i = 0; i < PAGES; i++)
		entries[i] = (struct virtio_gpu_mem_entry){ GPU_PAGES + (PAGES - 1 - i) * 8192ull,
							    4096, 0 };
}

/* A picture of WIDTH x HEIGHT with backing, whose bytes tell their place. */
static void picture(uint32_t id)
{
	struct virtio_gpu_mem_entry entries[PAGES];

	scattered(entries);
	for (uint32_t i = 0; i < PAGES; i++) {
		uint32_t words[1024];

		for (uint32_t j = 0; j < 1024; j++)
			words[j] = i * 1024 + j;
		ck_assert_int_eq(memory_write(gpu.rig.machine.memory, entries[i].addr, words, 4096),
				 0);
	}
	ck_assert_uint_eq(gpu_rig_create_2d(&gpu, id, BGRX, WIDTH, HEIGHT), OK);
	ck_assert_uint_eq(gpu_rig_attach(&gpu, id, entries, PAGES), OK);
}

START_TEST(identity)
{
	ck_assert_uint_eq(rig_config_read(&gpu.rig, GPU_SLOT, 0, 4), 0x10501af4);
	ck_assert_uint_eq(rig_config_read(&gpu.rig, GPU_SLOT, 9, 2), 0x0000);
	ck_assert_uint_eq(rig_config_read(&gpu.rig, GPU_SLOT, 11, 1), 0x03);
	/* BAR 0 is the VGA's: memory of 32 bits, prefetchable. BAR 4 has the doorbells' ports. */
	ck_assert_uint_eq(rig_config_read(&gpu.rig, GPU_SLOT, 0x10, 4) & 0xf, 0x8);
	rig_config_write(&gpu.rig, GPU_SLOT, 0x10, 0xffffffff, 4);
	ck_assert_uint_eq(rig_config_read(&gpu.rig, GPU_SLOT, 0x10, 4),
			  (uint32_t) ~(GPU_MEMORY - 1) | 8);
	ck_assert_uint_eq(rig_config_read(&gpu.rig, GPU_SLOT, 0x20, 4) & 3, 1);
	ck_assert_uint_eq(rig_config(&gpu.driver, 8, 4), GPU_HEADS);
	ck_assert_uint_eq(rig_config(&gpu.driver, 12, 4), 0);
	ck_assert(rig_offered(&gpu.driver) & 1ull << VIRTIO_GPU_F_EDID);
	ck_assert(rig_offered(&gpu.driver) & 1ull << VIRTIO_GPU_F_RESOURCE_BLOB);
	ck_assert(!(rig_offered(&gpu.driver) &
		    (1ull << VIRTIO_GPU_F_VIRGL | 1ull << VIRTIO_GPU_F_RESOURCE_UUID)));
}
END_TEST

static void change(void *opaque)
{
	struct display *display = opaque;

	display->wants[1] = (struct display_want){ true, 640, 480, 0, 0, 1001, 0 };
	display->changed(display->changed_opaque);
}

START_TEST(what_heads_should_be)
{
	const struct virtio_gpu_ctrl_hdr ask = { .type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO };
	struct virtio_gpu_resp_display_info info;

	ck_assert_uint_eq(gpu_rig_command(&gpu, &ask, sizeof(ask), &info, sizeof(info)),
			  VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	ck_assert_uint_eq(info.pmodes[0].enabled, 1);
	ck_assert_uint_eq(info.pmodes[0].r.width, 1001);
	ck_assert_uint_eq(info.pmodes[0].r.height, 701);
	ck_assert_uint_eq(info.pmodes[1].enabled, 0);

	ck_assert_uint_eq(rig_config(&gpu.driver, 0, 4), 0);
	(void)rig_raised(&gpu.driver, 0);
	loop_call(gpu.display.loop, change, &gpu.display);
	ck_assert(rig_raised(&gpu.driver, 0));
	ck_assert_uint_eq(rig_config(&gpu.driver, 0, 4), VIRTIO_GPU_EVENT_DISPLAY);
	/* What is not events_clear changes nothing. */
	bus_write(gpu.rig.machine.mmio, gpu.driver.config, ~0u, 4);
	bus_write(gpu.rig.machine.mmio, gpu.driver.config + 4, 1, 1);
	ck_assert_uint_eq(rig_config(&gpu.driver, 0, 4), VIRTIO_GPU_EVENT_DISPLAY);
	bus_write(gpu.rig.machine.mmio, gpu.driver.config + 4, VIRTIO_GPU_EVENT_DISPLAY, 4);
	ck_assert_uint_eq(rig_config(&gpu.driver, 0, 4), 0);

	ck_assert_uint_eq(gpu_rig_command(&gpu, &ask, sizeof(ask), &info, sizeof(info)),
			  VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	ck_assert_uint_eq(info.pmodes[1].enabled, 1);
	ck_assert_uint_eq(info.pmodes[1].r.x, 1001);
	ck_assert_uint_eq(info.pmodes[1].r.width, 640);

	/* What changes between the driver's question and its clearing of the event is told again.
	 */
	loop_call(gpu.display.loop, change, &gpu.display);
	(void)gpu_rig_command(&gpu, &ask, sizeof(ask), &info, sizeof(info));
	loop_call(gpu.display.loop, change, &gpu.display);
	(void)rig_raised(&gpu.driver, 0);
	bus_write(gpu.rig.machine.mmio, gpu.driver.config + 4, VIRTIO_GPU_EVENT_DISPLAY, 4);
	ck_assert(rig_raised(&gpu.driver, 0));
	ck_assert_uint_eq(rig_config(&gpu.driver, 0, 4), VIRTIO_GPU_EVENT_DISPLAY);
	(void)gpu_rig_command(&gpu, &ask, sizeof(ask), &info, sizeof(info));
	bus_write(gpu.rig.machine.mmio, gpu.driver.config + 4, VIRTIO_GPU_EVENT_DISPLAY, 4);
	ck_assert(!rig_raised(&gpu.driver, 0));
	ck_assert_uint_eq(rig_config(&gpu.driver, 0, 4), 0);
}
END_TEST

START_TEST(edid)
{
	struct virtio_gpu_cmd_get_edid ask = { .hdr.type = VIRTIO_GPU_CMD_GET_EDID };
	struct edid_monitor monitor = { 0, 1001, 701, 265, 185 };
	struct virtio_gpu_resp_edid answer;
	uint8_t wanted[EDID_BYTES_MAX];

	ck_assert_uint_eq(gpu_rig_command(&gpu, &ask, sizeof(ask), &answer, sizeof(answer)),
			  VIRTIO_GPU_RESP_OK_EDID);
	ck_assert_uint_eq(answer.size, edid_make(&monitor, wanted));
	ck_assert_mem_eq(answer.edid, wanted, answer.size);
	ask.scanout = GPU_HEADS;
	ck_assert_uint_eq(gpu_rig_command(&gpu, &ask, sizeof(ask), NULL, 0),
			  VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID);
}
END_TEST

START_TEST(picture_stays_in_guest_memory)
{
	const struct fake_head *head = &gpu.display.heads[0];
	uint32_t words[WIDTH * HEIGHT];

	picture(7);
	ck_assert_uint_eq(gpu_rig_scanout(&gpu, 0, 7, rect(0, 0, WIDTH, HEIGHT)), OK);
	ck_assert(head->set);
	ck_assert_uint_eq(head->picture.width, WIDTH);
	ck_assert_uint_eq(head->picture.height, HEIGHT);
	ck_assert_uint_eq(head->picture.stride, STRIDE);
	ck_assert_uint_eq(head->picture.offset, 0);
	ck_assert_int_eq(head->picture.format, DISPLAY_BGRX8888);
	ck_assert_int_eq(head->picture.source, LODGE_DISPLAY_GPU);
	/* All of it at once, each line, and backwards. */
	ck_assert_int_eq(head->picture.ops->read(head->picture.opaque, 0, words, BYTES), 0);
	for (uint32_t i = 0; i < WIDTH * HEIGHT; i++)
		ck_assert_uint_eq(words[i], i);
	for (uint32_t y = HEIGHT; y-- > 0;) {
		ck_assert_int_eq(
			head->picture.ops->read(head->picture.opaque, y * STRIDE, words, STRIDE),
			0);
		ck_assert_uint_eq(words[0], y * WIDTH);
		ck_assert_uint_eq(words[WIDTH - 1], y * WIDTH + WIDTH - 1);
	}
	ck_assert_int_eq(head->picture.ops->read(head->picture.opaque, PAGES * 4096 - 3, words, 4),
			 -EFAULT);
	ck_assert_int_eq(head->picture.ops->read(head->picture.opaque, UINT64_MAX, words, 4),
			 -EFAULT);
	/* Said again, it is no news. */
	ck_assert_uint_eq(gpu_rig_scanout(&gpu, 0, 7, rect(0, 0, WIDTH, HEIGHT)), OK);
	ck_assert_uint_eq(head->sets, 1);
	/* A part of it, on the other head: what X does with one picture for all. */
	ck_assert_uint_eq(gpu_rig_scanout(&gpu, 1, 7, rect(51, 3, 50, 64)), OK);
	head = &gpu.display.heads[1];
	ck_assert_uint_eq(head->picture.offset, 3 * STRIDE + 51 * 4);
	ck_assert_uint_eq(head->picture.width, 50);
	ck_assert_uint_eq(head->picture.x, 51);
	/* Without its backing nothing can be read, and nothing happens. */
	ck_assert_uint_eq(gpu_rig_plain(&gpu, VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING, 7), OK);
	ck_assert_int_eq(head->picture.ops->read(head->picture.opaque, 0, words, 4), -EFAULT);
	/* Unreferenced, it goes off both. */
	ck_assert_uint_eq(gpu_rig_plain(&gpu, VIRTIO_GPU_CMD_RESOURCE_UNREF, 7), OK);
	ck_assert(!gpu.display.heads[0].set);
	ck_assert(!gpu.display.heads[1].set);
	picture(7);
	ck_assert_uint_eq(gpu_rig_scanout(&gpu, 0, 7, rect(0, 0, WIDTH, HEIGHT)), OK);
	ck_assert_uint_eq(gpu_rig_scanout(&gpu, 0, 0, rect(0, 0, 0, 0)), OK);
	ck_assert(!gpu.display.heads[0].set);
}
END_TEST

static void is_damaged(unsigned int head, unsigned int index, uint32_t x, uint32_t y,
		       uint32_t width, uint32_t height)
{
	const struct display_rect *got = &gpu.display.heads[head].damage[index];

	ck_assert_uint_lt(index, gpu.display.heads[head].n_damage);
	ck_assert_uint_eq(got->x, x);
	ck_assert_uint_eq(got->y, y);
	ck_assert_uint_eq(got->width, width);
	ck_assert_uint_eq(got->height, height);
}

START_TEST(damage_is_what_was_transferred_and_flushed)
{
	struct fake_head *head = &gpu.display.heads[0];

	picture(7);
	ck_assert_uint_eq(gpu_rig_scanout(&gpu, 0, 7, rect(0, 0, 60, HEIGHT)), OK);
	ck_assert_uint_eq(gpu_rig_scanout(&gpu, 1, 7, rect(60, 0, 41, HEIGHT)), OK);
	ck_assert_uint_eq(gpu_rig_flush(&gpu, 7, rect(0, 0, WIDTH, HEIGHT)), OK);
	ck_assert_uint_eq(head->n_damage, 0);
	ck_assert_uint_eq(gpu_rig_transfer(&gpu, 7, rect(50, 2, 20, 5), 2 * STRIDE + 50 * 4), OK);
	ck_assert_uint_eq(head->n_damage, 0);
	ck_assert_uint_eq(gpu_rig_flush(&gpu, 7, rect(0, 0, WIDTH, HEIGHT)), OK);
	is_damaged(0, 0, 50, 2, 10, 5);
	is_damaged(1, 0, 0, 2, 10, 5);
	ck_assert_uint_eq(gpu_rig_flush(&gpu, 7, rect(0, 0, WIDTH, HEIGHT)), OK);
	ck_assert_uint_eq(head->n_damage, 1);
	/* What a flush leaves out waits for the next. */
	ck_assert_uint_eq(gpu_rig_transfer(&gpu, 7, rect(0, 0, 10, 10), 0), OK);
	ck_assert_uint_eq(gpu_rig_flush(&gpu, 7, rect(0, 0, 10, 4)), OK);
	is_damaged(0, 1, 0, 0, 10, 4);
	ck_assert_uint_eq(gpu_rig_flush(&gpu, 7, rect(0, 4, 10, 6)), OK);
	is_damaged(0, 2, 0, 4, 10, 6);
	/* Older drivers' offset is 0, whatever the rectangle. */
	ck_assert_uint_eq(gpu_rig_flush(&gpu, 7, rect(0, 0, 60, HEIGHT)), OK);
	head->n_damage = 0;
	ck_assert_uint_eq(gpu_rig_transfer(&gpu, 7, rect(3, 3, 1, 1), 0), OK);
	ck_assert_uint_eq(gpu_rig_transfer(&gpu, 7, rect(3, 3, 1, 1), 4),
			  VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	ck_assert_uint_eq(gpu_rig_flush(&gpu, 7, rect(0, 0, 60, HEIGHT)), OK);
	is_damaged(0, 0, 3, 3, 1, 1);
	/* More than it remembers: one that holds them all. */
	head->n_damage = 0;
	for (uint32_t i = 0; i < 40; i++)
		ck_assert_uint_eq(gpu_rig_transfer(&gpu, 7, rect(i, i, 2, 1), i * (STRIDE + 4)),
				  OK);
	ck_assert_uint_eq(gpu_rig_flush(&gpu, 7, rect(0, 0, WIDTH, HEIGHT)), OK);
	ck_assert_uint_le(head->n_damage, 16);
	is_damaged(0, 0, 0, 0, 34, 33);
}
END_TEST

START_TEST(blobs)
{
	struct virtio_gpu_set_scanout_blob show = {
		.hdr.type = VIRTIO_GPU_CMD_SET_SCANOUT_BLOB,
		.r = rect(0, 0, WIDTH, HEIGHT),
		.resource_id = 9,
		.width = WIDTH,
		.height = HEIGHT,
		.format = BGRX,
		.strides = { STRIDE },
	};
	const struct fake_head *head = &gpu.display.heads[0];
	struct virtio_gpu_mem_entry entries[PAGES];

	scattered(entries);
	ck_assert_uint_eq(gpu_rig_blob(&gpu, 9, PAGES * 4096, entries, PAGES), OK);
	ck_assert_uint_eq(gpu_rig_command(&gpu, &show, sizeof(show), NULL, 0), OK);
	ck_assert_uint_eq(head->picture.stride, STRIDE);
	/* No transfer: a flush is all. The one that Linux sends for cursors does nothing. */
	ck_assert_uint_eq(gpu_rig_transfer(&gpu, 9, rect(0, 0, 64, 64), 0), OK);
	ck_assert_uint_eq(gpu_rig_flush(&gpu, 9, rect(1, 2, 3, 4)), OK);
	is_damaged(0, 0, 1, 2, 3, 4);
	/* The last byte of the blob, and one more. */
	show.offsets[0] = PAGES * 4096 - BYTES;
	ck_assert_uint_eq(gpu_rig_command(&gpu, &show, sizeof(show), NULL, 0), OK);
	ck_assert_uint_eq(head->picture.offset, PAGES * 4096 - BYTES);
	show.offsets[0]++;
	ck_assert_uint_eq(gpu_rig_command(&gpu, &show, sizeof(show), NULL, 0),
			  VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	ck_assert_uint_eq(gpu_rig_scanout(&gpu, 0, 9, rect(0, 0, 1, 1)),
			  VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	show.resource_id = 0;
	ck_assert_uint_eq(gpu_rig_command(&gpu, &show, sizeof(show), NULL, 0), OK);
	ck_assert(!head->set);
}
END_TEST

START_TEST(fences)
{
	struct virtio_gpu_resource_flush flush = {
		.hdr = { .type = VIRTIO_GPU_CMD_RESOURCE_FLUSH,
			 .flags = VIRTIO_GPU_FLAG_FENCE,
			 .fence_id = GPU_FENCE,
			 .ctx_id = 5 },
		.r = rect(0, 0, WIDTH, HEIGHT),
		.resource_id = 7,
	};
	struct virtio_gpu_ctrl_hdr ask = flush.hdr, answer;

	/* Every other command answers at once, with its fence. */
	ask.type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO;
	gpu_rig_command(&gpu, &ask, sizeof(ask), &answer, sizeof(answer));
	ck_assert_uint_eq(answer.flags, VIRTIO_GPU_FLAG_FENCE);
	ck_assert_uint_eq(answer.fence_id, GPU_FENCE);
	ck_assert_uint_eq(answer.ctx_id, 5);
	picture(7);
	/* Seen by nobody: nothing to wait for. */
	ck_assert_uint_eq(gpu_rig_command(&gpu, &flush, sizeof(flush), NULL, 0), OK);
	ck_assert_uint_eq(gpu_rig_scanout(&gpu, 0, 7, rect(0, 0, WIDTH, HEIGHT)), OK);
	ck_assert_uint_eq(gpu_rig_scanout(&gpu, 1, 7, rect(0, 0, WIDTH, HEIGHT)), OK);
	gpu_rig_offer(&gpu, &flush, sizeof(flush));
	gpu_rig_settle(&gpu);
	ck_assert_uint_eq(rig_used(&gpu.control), 0);
	ck_assert_uint_eq(gpu.display.n_waits, 2);
	/* Others overtake it. */
	ck_assert_uint_eq(gpu_rig_flush(&gpu, 7, rect(0, 0, 1, 1)), OK);
	gpu_rig_show(&gpu, 0);
	ck_assert_uint_eq(rig_used(&gpu.control), 0);
	(void)rig_raised(&gpu.driver, 1);
	gpu_rig_show(&gpu, 1);
	ck_assert(rig_take(&gpu.control, NULL, NULL));
	ck_assert(rig_raised(&gpu.driver, 1));
	/* The display has too many: at once. */
	gpu.display.refuse_waits = true;
	ck_assert_uint_eq(gpu_rig_command(&gpu, &flush, sizeof(flush), &answer, sizeof(answer)),
			  OK);
	ck_assert_uint_eq(answer.fence_id, GPU_FENCE);
	gpu.display.refuse_waits = false;
	/* A reset meanwhile: nothing is left that waits. */
	for (int i = 0; i < 5; i++)
		gpu_rig_offer(&gpu, &flush, sizeof(flush));
	gpu_rig_settle(&gpu);
	ck_assert_uint_eq(gpu.display.n_waits, 10);
	rig_write(&gpu.driver, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	ck_assert_uint_eq(gpu.display.n_waits, 0);
	ck_assert(!gpu.display.heads[0].set);
	gpu_rig_start(&gpu);
	picture(7);
}
END_TEST

START_TEST(cursor)
{
	struct virtio_gpu_update_cursor update = {
		.hdr.type = VIRTIO_GPU_CMD_UPDATE_CURSOR,
		.pos = { 1, 30, 40, 0 },
		.resource_id = 3,
		.hot_x = 5,
		.hot_y = 6,
	};
	const struct fake_head *head = &gpu.display.heads[1];
	struct virtio_gpu_mem_entry page = { GPU_PAGES, 64 * 64 * 4, 0 };
	const uint8_t pixel[4] = { 0x11, 0x22, 0x33, 0x44 };
	static const struct {
		uint32_t format, argb;
	} cases[] = {
		{ BGRA, 0x44332211 },
		{ BGRX, 0xff332211 },
		{ VIRTIO_GPU_FORMAT_A8R8G8B8_UNORM, 0x11223344 },
		{ VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM, 0x44112233 },
		{ VIRTIO_GPU_FORMAT_A8B8G8R8_UNORM, 0x11443322 },
		{ VIRTIO_GPU_FORMAT_X8B8G8R8_UNORM, 0xff443322 },
	};

	ck_assert_int_eq(memory_write(gpu.rig.machine.memory, GPU_PAGES, pixel, 4), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_assert_uint_eq(gpu_rig_create_2d(&gpu, 3, cases[i].format, 64, 64), OK);
		ck_assert_uint_eq(gpu_rig_attach(&gpu, 3, &page, 1), OK);
		ck_assert_uint_eq(gpu_rig_cursor(&gpu, &update), OK);
		ck_assert_uint_eq(head->cursor[0], cases[i].argb);
		ck_assert_uint_eq(gpu_rig_plain(&gpu, VIRTIO_GPU_CMD_RESOURCE_UNREF, 3), OK);
	}
	ck_assert_uint_eq(head->cursor_width, 64);
	ck_assert_uint_eq(head->hot_x, 5);
	ck_assert_uint_eq(head->y, 40);
	update.hdr.type = VIRTIO_GPU_CMD_MOVE_CURSOR;
	update.pos.x = 31;
	ck_assert_uint_eq(gpu_rig_cursor(&gpu, &update), OK);
	ck_assert_uint_eq(head->x, 31);
	update.hdr.type = VIRTIO_GPU_CMD_UPDATE_CURSOR;
	update.resource_id = 0;
	ck_assert_uint_eq(gpu_rig_cursor(&gpu, &update), OK);
	ck_assert_uint_eq(head->cursor_width, 0);
	/* A blob is one of 64x64. */
	ck_assert_uint_eq(gpu_rig_blob(&gpu, 3, 64 * 64 * 4, &page, 1), OK);
	update.resource_id = 3;
	ck_assert_uint_eq(gpu_rig_cursor(&gpu, &update), OK);
	ck_assert_uint_eq(head->cursor[0], 0x44332211);
}
END_TEST

START_TEST(saved_and_loaded)
{
	struct virtio_gpu_update_cursor update = {
		.hdr.type = VIRTIO_GPU_CMD_UPDATE_CURSOR,
		.pos = { 1, 30, 40, 0 },
		.resource_id = 3,
		.hot_x = 5,
	};
	struct virtio_gpu_mem_entry page = { GPU_PAGES + 0x100000, 64 * 64 * 4, 0 };
	const struct device_type *type = gpu.device->type;
	struct fake_head *head = &gpu.display.heads[0];
	struct state state = { 0 }, cut;
	uint32_t words[WIDTH];

	picture(7);
	ck_assert_uint_eq(gpu_rig_scanout(&gpu, 0, 7, rect(1, 2, 90, 60)), OK);
	ck_assert_uint_eq(gpu_rig_create_2d(&gpu, 3, BGRA, 64, 64), OK);
	ck_assert_uint_eq(gpu_rig_attach(&gpu, 3, &page, 1), OK);
	ck_assert_uint_eq(gpu_rig_cursor(&gpu, &update), OK);
	ck_assert_int_eq(type->save(gpu.device, &state), 0);
	ck_assert(head->set);

	type->reset(gpu.device);
	ck_assert_uint_eq(gpu.display.vga_resets, 1);
	ck_assert_uint_ge(gpu.display.releases, 1);
	ck_assert(!head->set);
	ck_assert_uint_eq(gpu.display.heads[1].cursor_width, 0);
	/* Cut anywhere: refused, and nothing is shown. */
	for (size_t len = 0; len < state.len; len += len < 600 || len + 600 > state.len ? 1 : 97) {
		state_read_from(&cut, state.bytes, len);
		ck_assert_int_eq(type->load(gpu.device, &cut), -EBADMSG);
	}
	type->reset(gpu.device);
	ck_assert(!head->set);

	state_read_from(&cut, state.bytes, state.len);
	ck_assert_int_eq(type->load(gpu.device, &cut), 0);
	ck_assert(head->set);
	ck_assert_uint_eq(head->picture.width, 90);
	ck_assert_int_eq(
		head->picture.ops->read(head->picture.opaque, head->picture.offset, words, STRIDE),
		0);
	ck_assert_uint_eq(words[0], 2 * WIDTH + 1);
	ck_assert_uint_eq(gpu.display.heads[1].cursor_width, 64);
	ck_assert_uint_eq(gpu.display.heads[1].hot_x, 5);
	/* It goes on where it was. */
	ck_assert_uint_eq(gpu_rig_transfer(&gpu, 7, rect(0, 0, 5, 5), 0), OK);
	ck_assert_uint_eq(gpu_rig_flush(&gpu, 7, rect(0, 0, 5, 5)), OK);
	is_damaged(0, 0, 0, 0, 4, 3);
	ck_assert_uint_eq(gpu_rig_create_2d(&gpu, 7, BGRX, 1, 1),
			  VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	state_finish(&state);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("virtio_gpu");
	TCase *tcase = tcase_create("gpu");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, identity);
	tcase_add_test(tcase, what_heads_should_be);
	tcase_add_test(tcase, edid);
	tcase_add_test(tcase, picture_stays_in_guest_memory);
	tcase_add_test(tcase, damage_is_what_was_transferred_and_flushed);
	tcase_add_test(tcase, blobs);
	tcase_add_test(tcase, fences);
	tcase_add_test(tcase, cursor);
	tcase_add_test(tcase, saved_and_loaded);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
