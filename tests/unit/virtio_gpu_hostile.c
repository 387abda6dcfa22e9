// SPDX-License-Identifier: GPL-2.0-or-later
// virtio-gpu as a hostile driver uses it (T45 to T48): sizes, rectangles, backing, cursors, limits,
// commands cut off anywhere. Each gets its error, and the device goes on.
#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host-vmm/loop.h"
#include "host-vmm/memory.h"
#include "protocol/lib/log.h"
#include "tests/unit/unit.h"
#include "tests/unit/virtio_gpu_rig.h"

#define OK	  VIRTIO_GPU_RESP_OK_NODATA
#define PARAMETER VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER
#define RESOURCE  VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID
#define SCANOUT	  VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID
#define NO_MEMORY VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY
#define UNSPEC	  VIRTIO_GPU_RESP_ERR_UNSPEC
#define BGRX	  VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM
#define BGRA	  VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM
/* The device's own, gpu_private.h. */
#define RESOURCES_MAX 4096u
#define MEMORY_LIMIT  (8 * GPU_MEMORY)
#define N(array)      (sizeof(array) / sizeof((array)[0]))

static struct gpu_rig gpu;

static void setup(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	gpu_rig_create(&gpu);
	gpu_rig_start(&gpu);
}

/* Whatever was sent, the device takes the next driver. */
static void teardown(void)
{
	ck_assert_uint_eq(rig_status(&gpu.driver), 0xf);
	gpu_rig_start(&gpu);
	ck_assert_uint_eq(gpu_rig_create_2d(&gpu, 1, BGRX, 800, 600), OK);
	gpu_rig_destroy(&gpu);
}

static struct virtio_gpu_rect rect(uint32_t x, uint32_t y, uint32_t width, uint32_t height)
{
	return (struct virtio_gpu_rect){ x, y, width, height };
}

static void backed(uint32_t id, uint32_t width, uint32_t height)
{
	struct virtio_gpu_mem_entry all = { GPU_PAGES, width * height * 4, 0 };

	ck_assert_uint_eq(gpu_rig_create_2d(&gpu, id, BGRX, width, height), OK);
	ck_assert_uint_eq(gpu_rig_attach(&gpu, id, &all, 1), OK);
}

static void unref(uint32_t id)
{
	ck_assert_uint_eq(gpu_rig_plain(&gpu, VIRTIO_GPU_CMD_RESOURCE_UNREF, id), OK);
}

START_TEST(t45_sizes)
{
	static const struct {
		uint32_t width, height, code;
	} sizes[] = {
		{ 0, 0, PARAMETER },
		{ 0, 600, PARAMETER },
		{ 600, 0, PARAMETER },
		{ 1, 1, OK },
		{ 65535, 65535, PARAMETER },
		{ 0xffffffff, 1, PARAMETER },
		{ 1, 0xffffffff, PARAMETER },
		{ 0xffffffff, 0xffffffff, PARAMETER },
		{ 46341, 46341, PARAMETER },
		{ 0x40000001, 1, PARAMETER },
		{ 0x10001, 0x10001, PARAMETER },
		{ 16385, 1, PARAMETER },
		{ 16384, 16384, NO_MEMORY },
		{ 16384, 1, OK },
		{ 16384, 2048, OK }, /* all that there is, but for what others have */
	};
	static const uint32_t formats[] = { 0, 5, 66, 69, 120, 122, 133, 135, 255, 0xffffffff };

	for (size_t i = 0; i < N(sizes); i++) {
		ck_assert_uint_eq(gpu_rig_create_2d(&gpu, 5, BGRX, sizes[i].width, sizes[i].height),
				  sizes[i].code);
		if (sizes[i].code == OK)
			unref(5);
	}
	for (size_t i = 0; i < N(formats); i++)
		ck_assert_uint_eq(gpu_rig_create_2d(&gpu, 5, formats[i], 8, 8), PARAMETER);
	ck_assert_uint_eq(gpu_rig_create_2d(&gpu, 0, BGRX, 8, 8), PARAMETER);
	ck_assert_uint_eq(gpu_rig_create_2d(&gpu, 5, BGRX, 8, 8), OK);
	ck_assert_uint_eq(gpu_rig_create_2d(&gpu, 5, BGRX, 8, 8), RESOURCE);
	ck_assert_uint_eq(gpu_rig_create_2d(&gpu, 0xffffffff, BGRX, 8, 8), OK);
	/* A picture that is more than [display] memory: nobody shows it. */
	ck_assert_uint_eq(gpu_rig_create_2d(&gpu, 6, BGRX, 4096, 4096), OK);
	ck_assert_uint_eq(gpu_rig_scanout(&gpu, 0, 6, rect(0, 0, 4096, 4096)), PARAMETER);
	ck_assert(!gpu.display.heads[0].set);
	/* 4,000 heads. */
	for (uint32_t head = GPU_HEADS; head < 4000; head += 17)
		ck_assert_uint_eq(gpu_rig_scanout(&gpu, head, 5, rect(0, 0, 8, 8)), SCANOUT);
	ck_assert_uint_eq(gpu_rig_scanout(&gpu, 0xffffffff, 0, rect(0, 0, 0, 0)), SCANOUT);
}
END_TEST

/* A mode set each, of any size, over the one before, which goes while it is shown or when it is
 * not. */
START_TEST(t45_storm)
{
	unsigned int shown = 0;

	srand(5);
	for (uint32_t i = 0; i < 10000; i++) {
		const uint32_t id = 1 + i % 2, width = (uint32_t)rand() % 4096,
			       height = (uint32_t)rand() % 2048;
		const struct virtio_gpu_rect all = rect(0, 0, width, height);
		struct virtio_gpu_mem_entry pages = { GPU_PAGES, width * height * 4, 0 };
		uint32_t code;

		(void)gpu_rig_plain(&gpu, VIRTIO_GPU_CMD_RESOURCE_UNREF, id);
		code = gpu_rig_create_2d(&gpu, id, BGRX, width, height);
		ck_assert_uint_eq(code, width && height ? OK : PARAMETER);
		(void)gpu_rig_attach(&gpu, id, &pages, 1);
		code = gpu_rig_scanout(&gpu, i % GPU_HEADS, id, all);
		if (code == OK) {
			const struct display_picture *picture =
				&gpu.display.heads[i % GPU_HEADS].picture;

			shown++;
			ck_assert_uint_eq(picture->width, width);
			ck_assert_uint_eq(picture->height, height);
		}
		(void)gpu_rig_transfer(&gpu, id, all, 0);
		(void)gpu_rig_flush(&gpu, id, all);
		gpu_rig_show(&gpu, i % GPU_HEADS);
		gpu.display.heads[i % GPU_HEADS].n_damage = 0;
	}
	ck_assert_uint_ge(shown, 1000);
}
END_TEST

static const struct virtio_gpu_rect bad_rects[] = {
	{ 0, 0, 101, 1 },
	{ 0, 0, 1, 51 },
	{ 100, 0, 1, 1 },
	{ 0, 50, 1, 1 },
	{ 1, 0, 100, 1 },
	{ 0xffffffff, 0, 2, 1 },
	{ 0, 0xffffffff, 1, 2 },
	{ 1, 1, 0xffffffff, 0xffffffff },
	{ 0x80000000, 0, 0x80000000, 1 },
	{ 0xfffffff0, 0xfffffff0, 0x20, 0x20 },
	{ 0, 0, 0x80000001, 0x80000001 },
};

START_TEST(t47_rectangles)
{
	backed(5, 100, 50);
	ck_assert_uint_eq(gpu_rig_scanout(&gpu, 0, 5, rect(0, 0, 100, 50)), OK);
	for (size_t i = 0; i < N(bad_rects); i++) {
		uint64_t offset = (bad_rects[i].y * 100ull + bad_rects[i].x) * 4;

		ck_assert_uint_eq(gpu_rig_scanout(&gpu, 1, 5, bad_rects[i]), PARAMETER);
		ck_assert_uint_eq(gpu_rig_flush(&gpu, 5, bad_rects[i]), PARAMETER);
		ck_assert_uint_eq(gpu_rig_transfer(&gpu, 5, bad_rects[i], offset), PARAMETER);
	}
	ck_assert_uint_eq(gpu_rig_scanout(&gpu, 1, 5, rect(0, 0, 0, 5)), PARAMETER);
	ck_assert_uint_eq(gpu_rig_scanout(&gpu, 1, 5, rect(0, 0, 5, 0)), PARAMETER);
	ck_assert(!gpu.display.heads[1].set);
	ck_assert(gpu.display.heads[0].set);
	/* Empty ones do nothing. */
	ck_assert_uint_eq(gpu_rig_transfer(&gpu, 5, rect(100, 50, 0, 0), 0), OK);
	ck_assert_uint_eq(gpu_rig_flush(&gpu, 5, rect(100, 50, 0, 0)), OK);
	ck_assert_uint_eq(gpu.display.heads[0].n_damage, 0);
	/* The fake display checks each rectangle that it gets. */
	for (uint32_t i = 0; i < 20000; i++) {
		struct virtio_gpu_rect any =
			rect(rand() % 110, rand() % 60, rand() % 110, rand() % 60);

		gpu_rig_transfer(&gpu, 5, any, (any.y * 100ull + any.x) * 4);
		if (i % 3 == 0)
			gpu_rig_flush(&gpu, 5, any);
	}
	ck_assert_uint_eq(gpu_rig_flush(&gpu, 6, rect(0, 0, 1, 1)), RESOURCE);
	ck_assert_uint_eq(gpu_rig_transfer(&gpu, 6, rect(0, 0, 1, 1), 0), RESOURCE);
	ck_assert_uint_eq(gpu_rig_scanout(&gpu, 0, 6, rect(0, 0, 1, 1)), RESOURCE);
}
END_TEST

START_TEST(t48_offsets_and_strides)
{
	static const uint64_t offsets[] = { 1, 4, 399, 401, 1ull << 32, 1ull << 63, ~0ull };
	static const struct {
		uint32_t width, height, stride, offset, code;
	} pictures[] = {
		{ 64, 64, 256, 0, OK },
		{ 64, 64, 255, 0, PARAMETER },
		{ 64, 64, 257, 0, PARAMETER },
		{ 64, 63, 257, 0, OK },
		{ 64, 64, 256, 1, PARAMETER },
		{ 64, 64, 0, 0, PARAMETER },
		{ 64, 64, 1, 0, PARAMETER },
		{ 64, 64, 0x7fffffff, 0, PARAMETER },
		{ 64, 2, 0xffffffff, 0, PARAMETER },
		{ 64, 64, 256, 0xffffffff, PARAMETER },
		{ 64, 0xffffffff, 256, 0, PARAMETER },
		{ 0xffffffff, 64, 256, 0, PARAMETER },
		{ 0xffffffff, 0xffffffff, 0xfffffffc, 0xffffffff, PARAMETER },
		{ 0x40000001, 1, 4, 0, PARAMETER },
		{ 1, 1, 4, 16380, OK },
		{ 1, 1, 4, 16381, PARAMETER },
	};
	struct virtio_gpu_set_scanout_blob show = {
		.hdr.type = VIRTIO_GPU_CMD_SET_SCANOUT_BLOB,
		.resource_id = 9,
		.format = BGRX,
	};
	struct virtio_gpu_mem_entry page = { GPU_PAGES, 16384, 0 };

	backed(5, 100, 50);
	for (size_t i = 0; i < N(offsets); i++)
		ck_assert_uint_eq(gpu_rig_transfer(&gpu, 5, rect(0, 1, 10, 10), offsets[i]),
				  PARAMETER);
	ck_assert_uint_eq(gpu_rig_blob(&gpu, 9, 16384, &page, 1), OK);
	for (size_t i = 0; i < N(pictures); i++) {
		show.width = pictures[i].width;
		show.height = pictures[i].height;
		show.strides[0] = pictures[i].stride;
		show.offsets[0] = pictures[i].offset;
		show.r = rect(0, 0, 1, 1);
		ck_assert_uint_eq(gpu_rig_command(&gpu, &show, sizeof(show), NULL, 0),
				  pictures[i].code);
	}
	/* A flush of what no picture has. */
	for (size_t i = 0; i < N(bad_rects); i++)
		ck_assert_uint_eq(gpu_rig_flush(&gpu, 9, bad_rects[i]), PARAMETER);
	show.scanout_id = 2;
	ck_assert_uint_eq(gpu_rig_command(&gpu, &show, sizeof(show), NULL, 0), SCANOUT);
	show.scanout_id = 0;
	show.format = 5;
	ck_assert_uint_eq(gpu_rig_command(&gpu, &show, sizeof(show), NULL, 0), PARAMETER);
	show.resource_id = 5;
	ck_assert_uint_eq(gpu_rig_command(&gpu, &show, sizeof(show), NULL, 0), RESOURCE);
	ck_assert_uint_eq(gpu_rig_blob(&gpu, 10, 0, NULL, 0), PARAMETER);
	ck_assert_uint_eq(gpu_rig_blob(&gpu, 10, ~0ull, NULL, 0), NO_MEMORY);
	ck_assert_uint_eq(gpu_rig_blob(&gpu, 9, 4096, &page, 1), RESOURCE);
}
END_TEST

START_TEST(t46_cursors)
{
	static const struct {
		uint32_t width, height, bytes, code;
	} cases[] = {
		{ 64, 64, 10, PARAMETER },
		{ 64, 64, 64 * 64 * 4 - 1, PARAMETER },
		{ 64, 64, 0, PARAMETER },
		{ 65, 64, 65 * 64 * 4, PARAMETER },
		{ 1, 16384, 1, PARAMETER },
		{ 64, 64, 64 * 64 * 4, OK },
		{ 1, 1, 4, OK },
	};
	struct virtio_gpu_update_cursor update = {
		.hdr.type = VIRTIO_GPU_CMD_UPDATE_CURSOR,
		.resource_id = 3,
		.hot_x = 0xffffffff,
		.hot_y = 64,
	};
	struct virtio_gpu_mem_entry entry = { GPU_PAGES, 0, 0 };

	for (size_t i = 0; i < N(cases); i++) {
		entry.length = cases[i].bytes;
		ck_assert_uint_eq(gpu_rig_create_2d(&gpu, 3, BGRA, cases[i].width, cases[i].height),
				  OK);
		ck_assert_uint_eq(gpu_rig_attach(&gpu, 3, &entry, 1), OK);
		ck_assert_uint_eq(gpu_rig_cursor(&gpu, &update), cases[i].code);
		unref(3);
	}
	ck_assert_uint_eq(gpu_rig_cursor(&gpu, &update), RESOURCE);
	ck_assert_uint_eq(gpu_rig_create_2d(&gpu, 3, BGRA, 0, 0), PARAMETER);
	ck_assert_uint_eq(gpu_rig_create_2d(&gpu, 3, BGRA, 1, 65535), PARAMETER);
	/* A blob of fewer bytes than 64x64 pixels. */
	entry.length = 4096;
	ck_assert_uint_eq(gpu_rig_blob(&gpu, 3, 4096, &entry, 1), OK);
	ck_assert_uint_eq(gpu_rig_cursor(&gpu, &update), PARAMETER);
	update.pos.scanout_id = GPU_HEADS;
	ck_assert_uint_eq(gpu_rig_cursor(&gpu, &update), SCANOUT);
	update.hdr.type = VIRTIO_GPU_CMD_MOVE_CURSOR;
	ck_assert_uint_eq(gpu_rig_cursor(&gpu, &update), SCANOUT);
	update.pos.scanout_id = 0;
	update.pos.x = update.pos.y = 0xffffffff;
	ck_assert_uint_eq(gpu_rig_cursor(&gpu, &update), OK);
	/* Each queue has its own commands. */
	ck_assert_uint_eq(gpu_rig_command(&gpu, &update, sizeof(update), NULL, 0), UNSPEC);
	update.hdr.type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO;
	ck_assert_uint_eq(gpu_rig_cursor(&gpu, &update), UNSPEC);
}
END_TEST

START_TEST(backing)
{
	static const struct {
		uint64_t address;
		uint32_t len;
	} outside[] = {
		{ RIG_MEMORY, 4096 },	  { RIG_MEMORY - 4095, 4096 }, { ~0ull, 1 },
		{ ~0ull - 4095, 4096 },	  { 0, 0xffffffff },	       { 0xfee00000, 4096 },
		{ 0x100000000ull, 4096 }, { 1ull << 63, 4096 },
	};
	struct virtio_gpu_mem_entry entries[3] = { { GPU_PAGES, 4096, 0 }, { GPU_PAGES, 0, 0 } };
	struct virtio_gpu_resource_attach_backing lie = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING, .resource_id = 5
	};
	static const uint32_t lies[] = { 1, 2, 1024, 0x10000000, 0x7fffffff, 0xffffffff };

	ck_assert_uint_eq(gpu_rig_create_2d(&gpu, 5, BGRX, 100, 50), OK);
	for (size_t i = 0; i < N(outside); i++) {
		entries[2].addr = outside[i].address;
		entries[2].length = outside[i].len;
		ck_assert_uint_eq(gpu_rig_attach(&gpu, 5, entries, 3), PARAMETER);
	}
	for (size_t i = 0; i < N(lies); i++) {
		uint32_t code;

		lie.nr_entries = lies[i];
		code = gpu_rig_command(&gpu, &lie, sizeof(lie), NULL, 0);
		ck_assert(code == UNSPEC || code == NO_MEMORY);
	}
	ck_assert_uint_eq(gpu_rig_plain(&gpu, VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING, 5), UNSPEC);
	ck_assert_uint_eq(gpu_rig_transfer(&gpu, 5, rect(0, 0, 1, 1), 0), UNSPEC);
	ck_assert_uint_eq(gpu_rig_attach(&gpu, 5, entries, 2), OK);
	ck_assert_uint_eq(gpu_rig_attach(&gpu, 5, entries, 2), UNSPEC);
	ck_assert_uint_eq(gpu_rig_attach(&gpu, 6, entries, 2), RESOURCE);
	ck_assert_uint_eq(gpu_rig_plain(&gpu, VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING, 6), RESOURCE);
	ck_assert_uint_eq(gpu_rig_plain(&gpu, VIRTIO_GPU_CMD_RESOURCE_UNREF, 6), RESOURCE);
	ck_assert_uint_eq(gpu_rig_plain(&gpu, VIRTIO_GPU_CMD_RESOURCE_UNREF, 0), RESOURCE);
	/* A blob whose entries are bad leaves no blob. */
	ck_assert_uint_eq(gpu_rig_blob(&gpu, 7, 4096, entries + 2, 1), PARAMETER);
	ck_assert_uint_eq(gpu_rig_blob(&gpu, 7, 4096, entries, 1), OK);
}
END_TEST

START_TEST(limits)
{
	const uint32_t many = 65536, stretches = MEMORY_LIMIT / 4096;
	struct virtio_gpu_mem_entry *entries = calloc(many, sizeof(*entries));
	uint32_t id, taken = 0;

	for (id = 1; id <= RESOURCES_MAX; id++)
		ck_assert_uint_eq(gpu_rig_create_2d(&gpu, id, BGRX, 1, 1), OK);
	for (; id <= RESOURCES_MAX + 1000; id++)
		ck_assert_uint_eq(gpu_rig_create_2d(&gpu, id, BGRX, 1, 1), NO_MEMORY);
	unref(17);
	ck_assert_uint_eq(gpu_rig_create_2d(&gpu, id, BGRX, 1, 1), OK);
	gpu_rig_start(&gpu);
	/* Bytes of all of them. */
	for (id = 1; id <= 8; id++)
		ck_assert_uint_eq(gpu_rig_create_2d(&gpu, id, BGRX, 2048, 2048), OK);
	ck_assert_uint_eq(gpu_rig_create_2d(&gpu, id, BGRX, 1, 1), NO_MEMORY);
	unref(1);
	/* Stretches of backing: bytes that never follow one another. */
	for (uint32_t i = 0; i < many; i++)
		entries[i] = (struct virtio_gpu_mem_entry){ GPU_PAGES + i * 2, 1, 0 };
	for (id = 100; id < 110; id++) {
		uint32_t n = stretches - taken < 20000 ? stretches - taken : 20000;

		ck_assert_uint_eq(gpu_rig_create_2d(&gpu, id, BGRX, 8, 8), OK);
		ck_assert_uint_eq(gpu_rig_attach(&gpu, id, entries, n), OK);
		taken += n;
	}
	ck_assert_uint_eq(taken, stretches);
	ck_assert_uint_eq(gpu_rig_create_2d(&gpu, id, BGRX, 8, 8), OK);
	ck_assert_uint_eq(gpu_rig_attach(&gpu, id, entries, 1), NO_MEMORY);
	ck_assert_uint_eq(gpu_rig_attach(&gpu, id, entries, many), NO_MEMORY);
	unref(100);
	ck_assert_uint_eq(gpu_rig_attach(&gpu, id, entries, 1), OK);
	free(entries);
}
END_TEST

static uint16_t endless_head;
static unsigned int endless_moves;

static void move_again(void)
{
	endless_moves++;
	rig_offer(&gpu.cursor, endless_head);
}

static void stop_moving(void *opaque)
{
	(void)opaque;
	gpu.display.moved = NULL;
}

static void take_a_turn(void *opaque)
{
	*(unsigned int *)opaque = endless_moves;
}

/* One that has the next command there before the last one is answered: others have their turns. */
START_TEST(t47_a_guest_that_never_stops)
{
	const struct virtio_gpu_update_cursor move = { .hdr.type = VIRTIO_GPU_CMD_MOVE_CURSOR };
	unsigned int seen = 0;

	endless_moves = 0;
	endless_head = gpu.cursor.next_desc;
	gpu.display.moved = move_again;
	ck_assert_uint_eq(gpu_rig_cursor(&gpu, &move), OK);
	while (seen < 10000)
		loop_call(gpu.display.loop, take_a_turn, &seen);
	loop_call(gpu.display.loop, stop_moving, NULL);
}
END_TEST

START_TEST(refusals_are_logged_but_not_all)
{
	const int log = memfd_create("log", MFD_CLOEXEC), was = dup(STDERR_FILENO);
	static char said[1 << 20];
	unsigned int lines = 0;

	ck_assert_int_eq(dup2(log, STDERR_FILENO), STDERR_FILENO);
	log_set_level(LOG_LEVEL_WARN);
	for (unsigned int i = 0; i < 5000; i++)
		ck_assert_uint_eq(gpu_rig_create_2d(&gpu, 5, BGRX, 0, 600), PARAMETER);
	log_set_level(LOG_LEVEL_ERROR);
	dup2(was, STDERR_FILENO);
	ck_assert_int_ge(pread(log, said, sizeof(said) - 1, 0), 0);
	close(was);
	close(log);
	for (const char *at = said; (at = strstr(at, "refused: ")); at++)
		lines++;
	ck_assert_uint_ge(lines, 1);
	ck_assert_uint_le(lines, 100);
}
END_TEST

static bool scribbling;

/* Small words more often than not, into commands and what follows them. */
static void *scribble(void *opaque)
{
	unsigned int seed = 7;

	while (__atomic_load_n(&scribbling, __ATOMIC_ACQUIRE)) {
		const uint32_t any = (uint32_t)rand_r(&seed);
		const uint32_t word = any % 8 ? any % 64 : any << 1;

		(void)memory_write(opaque, GPU_COMMAND + (any >> 8) % 24 * sizeof(word), &word,
				   sizeof(word));
	}
	return NULL;
}

/* Another processor of the guest's writes over each command while it is read: whatever is done is
 * of one reading. The fake display and ASan look at what comes of it. */
START_TEST(commands_change_while_they_are_read)
{
	struct virtio_gpu_mem_entry entries[4] = { { GPU_PAGES, 4096, 0 },
						   { GPU_PAGES + 8192, 4096, 0 },
						   { GPU_PAGES + 4096, 4096, 0 },
						   { GPU_PAGES + 65536, 65536, 0 } };
	const struct virtio_gpu_rect all = rect(0, 0, 32, 32);
	const struct virtio_gpu_update_cursor move = { .hdr.type = VIRTIO_GPU_CMD_UPDATE_CURSOR,
						       .resource_id = 6 };
	pthread_t scribbler;

	gpu.display.refuse_waits = true; /* nobody shows frames here */
	scribbling = true;
	ck_assert_int_eq(pthread_create(&scribbler, NULL, scribble, gpu.rig.machine.memory), 0);
	for (uint32_t i = 0; i < 2000; i++) {
		const uint32_t id = 1 + i % 8;

		(void)gpu_rig_create_2d(&gpu, id, BGRA, 32, 32);
		(void)gpu_rig_attach(&gpu, id, entries, N(entries));
		(void)gpu_rig_blob(&gpu, 60 - id, 8192, entries, 2);
		(void)gpu_rig_scanout(&gpu, i % GPU_HEADS, id, all);
		(void)gpu_rig_transfer(&gpu, id, all, 0);
		(void)gpu_rig_flush(&gpu, id, all);
		(void)gpu_rig_cursor(&gpu, &move);
		(void)gpu_rig_plain(&gpu, VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING, id);
		(void)gpu_rig_plain(&gpu, VIRTIO_GPU_CMD_RESOURCE_UNREF, 8 - id);
		gpu.display.heads[i % GPU_HEADS].n_damage = 0;
	}
	__atomic_store_n(&scribbling, false, __ATOMIC_RELEASE);
	pthread_join(scribbler, NULL);
}
END_TEST

static const uint32_t types[] = {
	VIRTIO_GPU_CMD_GET_DISPLAY_INFO,
	VIRTIO_GPU_CMD_RESOURCE_CREATE_2D,
	VIRTIO_GPU_CMD_RESOURCE_UNREF,
	VIRTIO_GPU_CMD_SET_SCANOUT,
	VIRTIO_GPU_CMD_RESOURCE_FLUSH,
	VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D,
	VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING,
	VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING,
	VIRTIO_GPU_CMD_GET_CAPSET_INFO,
	VIRTIO_GPU_CMD_GET_CAPSET,
	VIRTIO_GPU_CMD_GET_EDID,
	VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID,
	VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB,
	VIRTIO_GPU_CMD_SET_SCANOUT_BLOB,
	VIRTIO_GPU_CMD_CTX_CREATE,
	VIRTIO_GPU_CMD_UPDATE_CURSOR,
	VIRTIO_GPU_RESP_OK_NODATA,
	0,
	0xffffffff,
};

START_TEST(cut_off_anywhere)
{
	uint8_t command[128] = { 0 }, answer[1200];
	struct virtio_gpu_ctrl_hdr header;

	for (size_t i = 0; i < N(types); i++) {
		memcpy(command, &types[i], sizeof(types[i]));
		for (size_t len = 0; len < sizeof(command); len++)
			gpu_rig_command(&gpu, command, len, NULL, 0);
		/* Room for a part of the answer, or for none. */
		for (size_t room = 0; room < 40; room++)
			gpu_rig_command(&gpu, command, sizeof(command), answer, room);
		gpu_rig_command(&gpu, command, sizeof(command), answer, sizeof(answer));
	}
	memset(command, 0xff, sizeof(command));
	for (size_t i = 0; i < N(types); i++) {
		memcpy(command, &types[i], sizeof(types[i]));
		gpu_rig_command(&gpu, command, sizeof(command), answer, sizeof(answer));
		memcpy(&header, answer, sizeof(header));
		ck_assert(types[i] == VIRTIO_GPU_CMD_GET_DISPLAY_INFO || header.type >= UNSPEC);
		ck_assert_uint_eq(header.flags, VIRTIO_GPU_FLAG_FENCE);
		ck_assert_uint_eq(header.fence_id, ~0ull);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("virtio_gpu_hostile");
	TCase *tcase = tcase_create("gpu");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, t45_sizes);
	tcase_add_test(tcase, t45_storm);
	tcase_add_test(tcase, t46_cursors);
	tcase_add_test(tcase, t47_rectangles);
	tcase_add_test(tcase, t47_a_guest_that_never_stops);
	tcase_add_test(tcase, t48_offsets_and_strides);
	tcase_add_test(tcase, backing);
	tcase_add_test(tcase, limits);
	tcase_add_test(tcase, refusals_are_logged_but_not_all);
	tcase_add_test(tcase, cut_off_anywhere);
	tcase_add_test(tcase, commands_change_while_they_are_read);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
