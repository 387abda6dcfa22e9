// SPDX-License-Identifier: GPL-2.0-or-later
// Bochs VBE: modes of all depths dot by dot, panning, banks, and sizes that cannot be (T45).
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/state.h"
#include "tests/unit/unit.h"
#include "tests/unit/vga_rig.h"

enum { ID, XRES, YRES, BPP, ENABLE, BANK, VIRT_WIDTH, VIRT_HEIGHT, X, Y, MEMORY };
#define ENABLED 0x01
#define GETCAPS 0x02
#define DAC8	0x20
#define LFB	0x40
#define NOCLEAR 0x80
#define WINDOW	0xa0000u

static struct vga_rig rig;
static uint32_t random_state;

static uint8_t any(void)
{
	random_state = random_state * 1103515245 + 12345;
	return (uint8_t)(random_state >> 16);
}

static void setup(void)
{
	random_state = 3;
	vga_rig_create(&rig);
}

static void teardown(void)
{
	vga_rig_destroy(&rig);
}

/* As drivers do it. */
static void set_mode(uint16_t width, uint16_t height, uint16_t bpp)
{
	vga_rig_vbe(&rig, ENABLE, 0);
	vga_rig_vbe(&rig, XRES, width);
	vga_rig_vbe(&rig, YRES, height);
	vga_rig_vbe(&rig, BPP, bpp);
	vga_rig_vbe(&rig, ENABLE, ENABLED | LFB);
}

static bool is_on(void)
{
	return vga_rig_vbe_reg(&rig, ENABLE) & ENABLED;
}

static uint8_t picture[16 << 20];

static void fill(uint64_t len)
{
	for (uint64_t i = 0; i < len; i++)
		picture[i] = any();
	for (uint64_t i = 0; i < len; i += 8) {
		uint64_t value;

		memcpy(&value, picture + i, 8);
		vga_rig_put(&rig, rig.lfb + i, value, 8);
	}
}

static uint32_t widen(uint32_t value, unsigned int bits)
{
	return value << (8 - bits) | value >> (2 * bits - 8);
}

/* The dot whose first byte is at @at. */
static uint32_t expected(uint64_t at, unsigned int bpp)
{
	uint32_t low = picture[at] | (uint32_t)picture[at + 1] << 8;

	switch (bpp) {
	case 8:
		return 0x010101u * widen(picture[at] >> 2, 6);
	case 15:
		return widen(low >> 10 & 31, 5) << 16 | widen(low >> 5 & 31, 5) << 8 |
		       widen(low & 31, 5);
	case 16:
		return widen(low >> 11, 5) << 16 | widen(low >> 5 & 63, 6) << 8 |
		       widen(low & 31, 5);
	default:
		return low | (uint32_t)picture[at + 2] << 16;
	}
}

static void compare(unsigned int width, unsigned int height, unsigned int bpp, uint64_t start,
		    uint64_t pitch)
{
	struct display_shot shot = vga_rig_shoot(&rig, width, height);
	unsigned int wrong = 0;

	for (unsigned int y = 0; y < height; y++)
		for (unsigned int x = 0; x < width; x++)
			wrong += (shot.pixels[y * width + x] & 0xffffff) !=
				 expected(start + y * pitch + (uint64_t)x * ((bpp + 7) / 8), bpp);
	free(shot.pixels);
	ck_assert_msg(wrong == 0, "%ux%u, %u bits: %u dots are wrong", width, height, bpp, wrong);
}

START_TEST(is_found)
{
	ck_assert_uint_eq(vga_rig_vbe_reg(&rig, ID), 0xb0c5);
	for (uint16_t id = 0xb0bf; id <= 0xb0c6; id++) {
		vga_rig_vbe(&rig, ID, id);
		ck_assert_uint_eq(vga_rig_vbe_reg(&rig, ID) == id, id >= 0xb0c0 && id <= 0xb0c5);
	}
	ck_assert_uint_eq(vga_rig_vbe_reg(&rig, MEMORY), VGA_RIG_MEMORY >> 16);
	vga_rig_vbe(&rig, ENABLE, GETCAPS);
	ck_assert_uint_eq(vga_rig_vbe_reg(&rig, XRES), LODGE_DISPLAY_SIDE_MAX);
	ck_assert_uint_eq(vga_rig_vbe_reg(&rig, YRES), LODGE_DISPLAY_SIDE_MAX);
	ck_assert_uint_eq(vga_rig_vbe_reg(&rig, BPP), 32);
	vga_rig_vbe(&rig, ENABLE, 0);
	ck_assert_uint_eq(vga_rig_vbe_reg(&rig, XRES), 0);
	ck_assert_uint_eq(vga_rig_vbe_reg(&rig, 11), 0);
	/* The data port on an even address, too. */
	vga_rig_out(&rig, 0x1ce, XRES, 2);
	vga_rig_out(&rig, 0x1d0, 800, 2);
	ck_assert_uint_eq(vga_rig_in(&rig, 0x1d0, 2), 800);
	ck_assert_uint_eq(vga_rig_in(&rig, 0x1ce, 2), XRES);
}
END_TEST

START_TEST(all_depths)
{
	static const uint16_t depths[] = { 8, 15, 16, 24, 32 };
	static const struct {
		uint16_t width, height;
	} sizes[] = { { 640, 480 }, { 1001, 701 }, { 1, 1 }, { 3, 1000 }, { 2000, 3 } };

	for (unsigned int i = 0; i < 256; i++)
		vga_rig_colour(&rig, (uint8_t)i, (uint8_t)(i / 4), (uint8_t)(i / 4),
			       (uint8_t)(i / 4));
	fill(4 << 20);
	for (unsigned int i = 0; i < 5; i++)
		for (unsigned int j = 0; j < 5; j++) {
			uint16_t bytes = (depths[i] + 7) / 8;

			vga_rig_vbe(&rig, ENABLE, 0);
			vga_rig_vbe(&rig, XRES, sizes[j].width);
			vga_rig_vbe(&rig, YRES, sizes[j].height);
			vga_rig_vbe(&rig, BPP, depths[i]);
			vga_rig_vbe(&rig, ENABLE, ENABLED | LFB | NOCLEAR);
			ck_assert(is_on());
			compare(sizes[j].width, sizes[j].height, depths[i], 0,
				(uint64_t)sizes[j].width * bytes);
		}
	vga_rig_vbe(&rig, ENABLE, 0);
	free(vga_rig_shoot(&rig, 720, 400).pixels);
}
END_TEST

START_TEST(eight_bits_of_colour)
{
	struct display_shot shot;

	set_mode(640, 480, 8);
	vga_rig_vbe(&rig, ENABLE, ENABLED | LFB | DAC8);
	vga_rig_colour(&rig, 0, 0xfe, 0x81, 0x03);
	shot = vga_rig_shoot(&rig, 640, 480);
	ck_assert_uint_eq(shot.pixels[77] & 0xffffff, 0xfe8103);
	free(shot.pixels);
}
END_TEST

START_TEST(panned)
{
	set_mode(640, 480, 32);
	fill(8 << 20);
	vga_rig_vbe(&rig, VIRT_WIDTH, 1000);
	ck_assert_uint_eq(vga_rig_vbe_reg(&rig, VIRT_HEIGHT), VGA_RIG_MEMORY / 4000);
	vga_rig_vbe(&rig, X, 123);
	vga_rig_vbe(&rig, Y, 456);
	/* The timer tells the display; its size does not tell when. */
	for (int i = 0; i < 5000; i++) {
		struct display_shot shot = vga_rig_shoot(&rig, 640, 480);
		bool there = (shot.pixels[0] & 0xffffff) == expected(4 * 456123, 32);

		free(shot.pixels);
		if (there)
			break;
	}
	compare(640, 480, 32, 4 * 456123, 4000);
	/* Beyond the memory's end: stays. */
	vga_rig_vbe(&rig, Y, VGA_RIG_MEMORY / 4000 - 479);
	ck_assert_uint_eq(vga_rig_vbe_reg(&rig, Y), 456);
	/* Up to its last line. */
	vga_rig_vbe(&rig, X, 0);
	vga_rig_vbe(&rig, Y, VGA_RIG_MEMORY / 4000 - 480);
	ck_assert_uint_eq(vga_rig_vbe_reg(&rig, Y), VGA_RIG_MEMORY / 4000 - 480);
}
END_TEST

/* A guest that never stops flipping between two pages: both come to be seen. */
START_TEST(flipped_pages_are_shown)
{
	bool seen[2] = { false };

	set_mode(320, 200, 32);
	for (uint32_t i = 0; i < 320 * 200 * 2; i++)
		vga_rig_put(&rig, rig.lfb + 4 * i, i < 320 * 200 ? 0x111111 : 0x222222, 4);
	free(vga_rig_shoot(&rig, 320, 200).pixels);
	while (!seen[0] || !seen[1]) {
		struct display_shot shot;

		for (uint16_t i = 0; i < 100; i++)
			vga_rig_vbe(&rig, Y, i % 2 * 200);
		vga_rig_vbe(&rig, Y, any() % 2 * 200);
		ck_assert_int_eq(display_shoot(rig.rig.machine.display, 0, &shot), 0);
		seen[(shot.pixels[0] & 0xffffff) == 0x222222] = true;
		free(shot.pixels);
	}
}
END_TEST

START_TEST(banks)
{
	set_mode(1024, 768, 32);
	for (uint32_t bank = 0; bank < VGA_RIG_MEMORY >> 16; bank++) {
		vga_rig_vbe(&rig, BANK, (uint16_t)bank);
		ck_assert_uint_eq(vga_rig_vbe_reg(&rig, BANK), bank);
		vga_rig_put(&rig, WINDOW + 0xfffc, 0x12340000u + bank, 4);
		ck_assert_uint_eq(vga_rig_get(&rig, rig.lfb + bank * 0x10000u + 0xfffc, 4),
				  0x12340000u + bank);
	}
	vga_rig_vbe(&rig, BANK, VGA_RIG_MEMORY >> 16);
	ck_assert_uint_eq(vga_rig_vbe_reg(&rig, BANK), (VGA_RIG_MEMORY >> 16) - 1);
	vga_rig_vbe(&rig, BANK, 0xffff);
	ck_assert_uint_eq(vga_rig_vbe_reg(&rig, BANK), (VGA_RIG_MEMORY >> 16) - 1);
}
END_TEST

START_TEST(sixteen_colours)
{
	struct display_shot shot;

	set_mode(800, 600, 4);
	vga_rig_set(&rig, 0x3c4, 2, 5);
	vga_rig_set(&rig, 0x3ce, 5, 0);
	vga_rig_put(&rig, WINDOW + 599 * 100 + 99, 0x01, 1);
	shot = vga_rig_shoot(&rig, 800, 600);
	ck_assert_uint_eq(shot.pixels[800 * 600 - 1] & 0xffffff, vga_rig_colours[5]);
	ck_assert_uint_eq(shot.pixels[800 * 600 - 2] & 0xffffff, 0);
	free(shot.pixels);
}
END_TEST

START_TEST(clears_unless_told_not_to)
{
	set_mode(640, 480, 32);
	vga_rig_put(&rig, rig.lfb + 1000, 0x55, 1);
	vga_rig_put(&rig, rig.lfb + 640 * 480 * 4, 0x66, 1);
	vga_rig_vbe(&rig, ENABLE, 0);
	vga_rig_vbe(&rig, ENABLE, ENABLED | LFB | NOCLEAR);
	ck_assert_uint_eq(vga_rig_get(&rig, rig.lfb + 1000, 1), 0x55);
	vga_rig_vbe(&rig, ENABLE, 0);
	vga_rig_vbe(&rig, ENABLE, ENABLED | LFB);
	ck_assert_uint_eq(vga_rig_get(&rig, rig.lfb + 1000, 1), 0);
	ck_assert_uint_eq(vga_rig_get(&rig, rig.lfb + 640 * 480 * 4, 1), 0x66);
}
END_TEST

START_TEST(t45_sizes)
{
	static const struct {
		uint16_t width, height, bpp;
		bool on;
	} modes[] = {
		{ 0, 0, 32, false },	     { 0, 600, 32, false },
		{ 800, 0, 32, false },	     { 1, 1, 32, true },
		{ 65535, 65535, 32, false }, { 65535, 1, 8, false },
		{ 1, 65535, 8, false },	     { 46341, 46341, 32, false },
		{ 16384, 16384, 32, false }, { 16384, 16384, 8, false },
		{ 16384, 256, 32, true },    { 16384, 257, 32, false },
		{ 2048, 2048, 32, true },    { 2049, 2048, 32, false },
		{ 16384, 1024, 8, true },    { 16384, 1025, 8, false },
		{ 640, 480, 32, true },
	};

	for (unsigned int i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		vga_reset(rig.vga);
		set_mode(modes[i].width, modes[i].height, modes[i].bpp);
		ck_assert_msg(is_on() == modes[i].on, "%ux%u, %u bits", modes[i].width,
			      modes[i].height, modes[i].bpp);
	}
}
END_TEST

START_TEST(t45_depths_and_pitches)
{
	static const uint16_t depths[] = { 1, 2, 7, 9, 17, 25, 31, 33, 255, 65535 };

	set_mode(640, 480, 32);
	for (unsigned int i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
		vga_rig_vbe(&rig, BPP, depths[i]);
		ck_assert_uint_eq(vga_rig_vbe_reg(&rig, BPP), 32);
	}
	/* 0 is what the first version had: 8. */
	vga_rig_vbe(&rig, BPP, 0);
	ck_assert_uint_eq(vga_rig_vbe_reg(&rig, BPP), 8);
	vga_rig_vbe(&rig, BPP, 32);
	vga_rig_vbe(&rig, VIRT_WIDTH, 0);
	vga_rig_vbe(&rig, VIRT_WIDTH, 1);
	vga_rig_vbe(&rig, VIRT_WIDTH, 639);
	vga_rig_vbe(&rig, VIRT_WIDTH, 65535);
	ck_assert_uint_eq(vga_rig_vbe_reg(&rig, VIRT_WIDTH), 640);
	vga_rig_vbe(&rig, X, 65535);
	vga_rig_vbe(&rig, Y, 65535);
	ck_assert_uint_eq(vga_rig_vbe_reg(&rig, X), 0);
	ck_assert_uint_eq(vga_rig_vbe_reg(&rig, Y), 0);
	/* While it is on, larger ones come with longer lines, or not at all. */
	vga_rig_vbe(&rig, XRES, 1280);
	ck_assert_uint_eq(vga_rig_vbe_reg(&rig, VIRT_WIDTH), 1280);
	vga_rig_vbe(&rig, YRES, 65535);
	ck_assert_uint_eq(vga_rig_vbe_reg(&rig, YRES), 480);
	free(vga_rig_shoot(&rig, 1280, 480).pixels);
}
END_TEST

/* 10,000 mode sets while pictures are taken: what windows see last is the last one. */
START_TEST(t45_storm)
{
	struct display *display = rig.rig.machine.display;
	struct display_shot shot;

	for (unsigned int i = 0; i < 10000; i++) {
		set_mode((uint16_t)(1 + (any() | any() << 8) % 2000),
			 (uint16_t)(1 + (any() | any() << 8) % 1500), i % 2 ? 32 : 16);
		if (i % 100 == 0 && display_shoot(display, 0, &shot) == 0)
			free(shot.pixels);
	}
	set_mode(1001, 701, 32);
	free(vga_rig_shoot(&rig, 1001, 701).pixels);
}
END_TEST

START_TEST(saved_and_loaded)
{
	struct state state = { 0 }, from;
	struct vga_rig other;

	set_mode(800, 600, 32);
	fill(800 * 600 * 4);
	vga_rig_put(&rig, rig.lfb + VGA_RIG_MEMORY - 1, 0x77, 1);
	ck_assert_int_eq(vga_save(rig.vga, &state), 0);
	/* Pages of zeroes are left out. */
	ck_assert_uint_lt(state.len, 800 * 600 * 4 + (64 << 10));
	vga_rig_destroy(&rig);
	vga_rig_create(&rig);
	state_read_from(&from, state.bytes, state.len);
	ck_assert_int_eq(vga_load(rig.vga, &from), 0);
	compare(800, 600, 32, 0, 3200);
	ck_assert_uint_eq(vga_rig_get(&rig, rig.lfb + VGA_RIG_MEMORY - 1, 1), 0x77);
	/* One that says that its mode is larger than memory. */
	vga_rig_create(&other);
	for (size_t i = 0; i < 1200 && i < state.len; i++) {
		uint8_t was = state.bytes[i];

		state.bytes[i] = 0xff;
		state_read_from(&from, state.bytes, state.len < 100000 ? state.len : 100000);
		(void)vga_load(other.vga, &from);
		state.bytes[i] = was;
	}
	vga_rig_destroy(&other);
	state_finish(&state);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("vga_vbe");
	TCase *tcase = tcase_create("vbe");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, is_found);
	tcase_add_test(tcase, all_depths);
	tcase_add_test(tcase, eight_bits_of_colour);
	tcase_add_test(tcase, panned);
	tcase_add_test(tcase, flipped_pages_are_shown);
	tcase_add_test(tcase, banks);
	tcase_add_test(tcase, sixteen_colours);
	tcase_add_test(tcase, clears_unless_told_not_to);
	tcase_add_test(tcase, t45_sizes);
	tcase_add_test(tcase, t45_depths_and_pitches);
	tcase_add_test(tcase, t45_storm);
	tcase_add_test(tcase, saved_and_loaded);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
