// SPDX-License-Identifier: GPL-2.0-or-later
// The VGA's text modes, dot by dot, against a renderer of a few lines that knows what was written.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/display/viewer.h"
#include "host-vmm/loop.h"
#include "host-vmm/state.h"
#include "tests/unit/blind_viewer.h"
#include "tests/unit/unit.h"
#include "tests/unit/vga_rig.h"

#define TEXT	  0xb8000u
#define FONT	  0xa0000u
#define CELLS_MAX 4000u

static struct vga_rig rig;

/* What the test wrote. */
static struct {
	unsigned int columns, rows, cell, scans;
	uint8_t text[CELLS_MAX], attr[CELLS_MAX];
	uint8_t font[2][256][32];
	bool line_graphics, blink;
	unsigned int underline; /* scan; 0: none */
	unsigned int stretch;
} screen;

static unsigned int random_state;

static uint8_t any(void)
{
	random_state = random_state * 1103515245 + 12345;
	return (uint8_t)(random_state >> 16);
}

/* Fonts are loaded as every program does it: plane 2 alone, one byte after another. */
static void load_font(unsigned int which, uint32_t at)
{
	vga_rig_set(&rig, 0x3c4, 2, 4);
	vga_rig_set(&rig, 0x3c4, 4, 6);
	vga_rig_set(&rig, 0x3ce, 5, 0);
	vga_rig_set(&rig, 0x3ce, 6, 4);
	for (unsigned int i = 0; i < 256 * 32; i++) {
		uint8_t byte = any();

		screen.font[which][i / 32][i % 32] = byte;
		vga_rig_put(&rig, FONT + at + i, byte, 1);
	}
	vga_rig_set(&rig, 0x3c4, 2, 3);
	vga_rig_set(&rig, 0x3c4, 4, 2);
	vga_rig_set(&rig, 0x3ce, 5, 0x10);
	vga_rig_set(&rig, 0x3ce, 6, 0x0e);
}

static void write_cell(unsigned int cell, uint8_t character, uint8_t attr)
{
	screen.text[cell] = character;
	screen.attr[cell] = attr;
	vga_rig_put(&rig, TEXT + 2 * cell, character | attr << 8, 2);
}

static void fill(void)
{
	for (unsigned int i = 0; i < CELLS_MAX; i++)
		write_cell(i, any(), any());
}

static void setup(void)
{
	memset(&screen, 0, sizeof(screen));
	screen.columns = 80;
	screen.rows = 25;
	screen.cell = 9;
	screen.scans = 16;
	screen.stretch = 1;
	screen.line_graphics = screen.blink = true;
	random_state = 1;
	vga_rig_create(&rig);
	vga_rig_set(&rig, 0x3d4, 0xa, 0x20);
}

static void teardown(void)
{
	vga_rig_destroy(&rig);
}

static uint32_t expected(unsigned int x, unsigned int y)
{
	unsigned int cell, column = x / screen.stretch % screen.cell;
	uint8_t character, attr, bits;
	bool ink;

	cell = y / screen.scans * screen.columns + x / screen.stretch / screen.cell;
	character = screen.text[cell];
	attr = screen.attr[cell];
	bits = screen.font[attr >> 3 & 1][character][y % screen.scans];
	if (column < 8)
		ink = bits & 0x80 >> column;
	else
		ink = screen.line_graphics && character >= 0xc0 && character <= 0xdf && bits & 1;
	if (screen.underline && y % screen.scans == screen.underline && (attr & 0x77) == 1)
		ink = true;
	if (ink)
		return vga_rig_colours[attr & 0xf];
	return vga_rig_colours[screen.blink ? attr >> 4 & 7 : attr >> 4];
}

static void compare(void)
{
	unsigned int width = screen.columns * screen.cell * screen.stretch;
	unsigned int height = screen.rows * screen.scans, wrong = 0;
	struct display_shot shot = vga_rig_shoot(&rig, width, height);

	for (unsigned int y = 0; y < height; y++)
		for (unsigned int x = 0; x < width; x++)
			wrong += (shot.pixels[y * width + x] & 0xffffff) != expected(x, y);
	ck_assert_uint_eq(wrong, 0);
	free(shot.pixels);
}

/* The font that the machine has at power-on, read back. */
static void read_font(void)
{
	vga_rig_set(&rig, 0x3ce, 4, 2);
	vga_rig_set(&rig, 0x3ce, 5, 0);
	vga_rig_set(&rig, 0x3ce, 6, 4);
	vga_rig_set(&rig, 0x3c4, 4, 6);
	for (unsigned int i = 0; i < 256 * 32; i++)
		screen.font[0][i / 32][i % 32] = (uint8_t)vga_rig_get(&rig, FONT + i, 1);
	memcpy(screen.font[1], screen.font[0], sizeof(screen.font[0]));
	vga_rig_set(&rig, 0x3ce, 4, 0);
	vga_rig_set(&rig, 0x3ce, 5, 0x10);
	vga_rig_set(&rig, 0x3ce, 6, 0x0e);
	vga_rig_set(&rig, 0x3c4, 4, 2);
}

START_TEST(power_on)
{
	static const uint8_t letter[] = { 0x00, 0x00, 0x10, 0x38, 0x6c, 0xc6, 0xc6, 0xfe,
					  0xc6, 0xc6, 0xc6, 0xc6, 0x00, 0x00, 0x00, 0x00 };
	struct display_head_state state;

	memset(screen.text, ' ', sizeof(screen.text));
	memset(screen.attr, 7, sizeof(screen.attr));
	ck_assert_uint_eq(vga_rig_get(&rig, TEXT + 4000, 4), 0x07200720);
	compare();
	read_font();
	ck_assert_int_eq(memcmp(screen.font[0]['A'], letter, 16), 0);
	/* Every character but the blanks has a shape; a full block has all dots. */
	for (unsigned int i = 0; i < 256; i++) {
		static const uint8_t nothing[32];
		bool blank = i == 0 || i == ' ' || i == 0xff;

		ck_assert_int_eq(memcmp(screen.font[0][i], nothing, 32) == 0, blank);
	}
	for (unsigned int scan = 0; scan < 16; scan++)
		ck_assert_uint_eq(screen.font[0][0xdb][scan], 0xff);
	for (unsigned int i = 0; i < 256; i++)
		write_cell(i, (uint8_t)i, (uint8_t)(i % 15 + 1));
	compare();
	ck_assert_int_eq(display_state(rig.rig.machine.display, 0, &state), 0);
	ck_assert_int_eq(state.source, LODGE_DISPLAY_TEXT);
}
END_TEST

START_TEST(all_attributes)
{
	load_font(0, 0);
	memcpy(screen.font[1], screen.font[0], sizeof(screen.font[0]));
	fill();
	compare();
	/* Sixteen papers, and a ninth dot that is always paper. */
	vga_rig_attr(&rig, 0x10, 0x00);
	screen.blink = screen.line_graphics = false;
	compare();
	vga_rig_attr(&rig, 0x10, 0x0c);
	screen.blink = screen.line_graphics = true;
	compare();
}
END_TEST

START_TEST(two_fonts)
{
	load_font(0, 0x4000);
	load_font(1, 0xe000);
	fill();
	/* Bit 3 of attributes chooses: font 1 where it is clear, 7 where it is set. */
	vga_rig_set(&rig, 0x3c4, 3, 0x2d);
	compare();
}
END_TEST

START_TEST(fifty_lines_of_eight_dots)
{
	load_font(0, 0);
	memcpy(screen.font[1], screen.font[0], sizeof(screen.font[0]));
	fill();
	vga_rig_set(&rig, 0x3d4, 9, 0x47);
	vga_rig_set(&rig, 0x3c4, 1, 1);
	screen.rows = 50;
	screen.scans = 8;
	screen.cell = 8;
	compare();
}
END_TEST

START_TEST(forty_columns)
{
	load_font(0, 0);
	memcpy(screen.font[1], screen.font[0], sizeof(screen.font[0]));
	fill();
	vga_rig_set(&rig, 0x3d4, 0x11, 0);
	vga_rig_set(&rig, 0x3d4, 1, 39);
	vga_rig_set(&rig, 0x3d4, 0x13, 20);
	vga_rig_set(&rig, 0x3c4, 1, 8);
	screen.columns = 40;
	screen.stretch = 2;
	compare();
}
END_TEST

START_TEST(scrolled_by_the_start_address)
{
	load_font(0, 0);
	memcpy(screen.font[1], screen.font[0], sizeof(screen.font[0]));
	fill();
	compare();
	vga_rig_set(&rig, 0x3d4, 0xc, 1);
	vga_rig_set(&rig, 0x3d4, 0xd, 0xe0); /* six lines on */
	memmove(screen.text, screen.text + 480, CELLS_MAX - 480);
	memmove(screen.attr, screen.attr + 480, CELLS_MAX - 480);
	compare();
}
END_TEST

START_TEST(split_screen)
{
	load_font(0, 0);
	memcpy(screen.font[1], screen.font[0], sizeof(screen.font[0]));
	fill();
	vga_rig_set(&rig, 0x3d4, 0xc, 0x03);
	vga_rig_set(&rig, 0x3d4, 0xd, 0x20); /* ten lines on */
	/* The line compare is 10 bits in three registers: 159, the last line of ten rows. */
	vga_rig_set(&rig, 0x3d4, 0x18, 159);
	vga_rig_set(&rig, 0x3d4, 7, 0x0f);
	vga_rig_set(&rig, 0x3d4, 9, 0x0f);
	{
		uint8_t text[800], attr[800];

		memcpy(text, screen.text + 800, 800);
		memcpy(attr, screen.attr + 800, 800);
		memmove(screen.text + 800, screen.text, 1200);
		memmove(screen.attr + 800, screen.attr, 1200);
		memcpy(screen.text, text, 800);
		memcpy(screen.attr, attr, 800);
	}
	compare();
}
END_TEST

START_TEST(cursor)
{
	struct display_shot shot;
	unsigned int wrong = 0;

	for (unsigned int i = 0; i < 2000; i++)
		write_cell(i, ' ', 0x1e);
	vga_rig_set(&rig, 0x3d4, 0xe, (12 * 80 + 34) >> 8);
	vga_rig_set(&rig, 0x3d4, 0xf, (12 * 80 + 34) & 0xff);
	vga_rig_set(&rig, 0x3d4, 0xa, 0x0d);
	vga_rig_set(&rig, 0x3d4, 0xb, 0x0e);
	shot = vga_rig_shoot(&rig, 720, 400);
	for (unsigned int y = 0; y < 400; y++)
		for (unsigned int x = 0; x < 720; x++) {
			bool inside = x / 9 == 34 && y / 16 == 12 && y % 16 >= 13 && y % 16 <= 14;

			wrong += (shot.pixels[y * 720 + x] & 0xffffff) !=
				 vga_rig_colours[inside ? 14 : 1];
		}
	ck_assert_uint_eq(wrong, 0);
	free(shot.pixels);
}
END_TEST

START_TEST(underlined)
{
	load_font(0, 0);
	memcpy(screen.font[1], screen.font[0], sizeof(screen.font[0]));
	fill();
	for (unsigned int i = 0; i < 2000; i += 3)
		write_cell(i, (uint8_t)i, i & 1 ? 0x01 : 0x09);
	compare();
	vga_rig_set(&rig, 0x3d4, 0x14, 0x0d);
	screen.underline = 0x0d;
	compare();
}
END_TEST

START_TEST(palette_and_blanking)
{
	struct display_shot shot;

	for (unsigned int i = 0; i < 2000; i++)
		write_cell(i, 0xdb, 0x04);
	vga_rig_colour(&rig, 4, 0x3f, 0x01, 0x20);
	shot = vga_rig_shoot(&rig, 720, 400);
	ck_assert_uint_eq(shot.pixels[1000] & 0xffffff, 0xff0482);
	free(shot.pixels);
	vga_rig_out(&rig, 0x3c7, 4, 1);
	ck_assert_uint_eq(vga_rig_in(&rig, 0x3c7, 1), 3);
	ck_assert_uint_eq(vga_rig_in(&rig, 0x3c9, 1), 0x3f);
	ck_assert_uint_eq(vga_rig_in(&rig, 0x3c9, 1), 0x01);
	ck_assert_uint_eq(vga_rig_in(&rig, 0x3c9, 1), 0x20);
	/* Index 4 through another palette register, and through the mask. */
	vga_rig_attr(&rig, 4, 2);
	shot = vga_rig_shoot(&rig, 720, 400);
	ck_assert_uint_eq(shot.pixels[1000] & 0xffffff, 0x00aa00);
	free(shot.pixels);
	vga_rig_out(&rig, 0x3c6, 1, 1);
	shot = vga_rig_shoot(&rig, 720, 400);
	ck_assert_uint_eq(shot.pixels[1000] & 0xffffff, 0);
	free(shot.pixels);
	vga_rig_out(&rig, 0x3c6, 0xff, 1);
	/* Both ways to blank. */
	(void)vga_rig_in(&rig, 0x3da, 1);
	vga_rig_out(&rig, 0x3c0, 0, 1);
	shot = vga_rig_shoot(&rig, 720, 400);
	ck_assert_uint_eq(shot.pixels[1000] & 0xffffff, 0);
	free(shot.pixels);
	vga_rig_attr(&rig, 4, 2);
	vga_rig_set(&rig, 0x3c4, 1, 0x20);
	shot = vga_rig_shoot(&rig, 720, 400);
	ck_assert_uint_eq(shot.pixels[1000] & 0xffffff, 0);
	free(shot.pixels);
}
END_TEST

/* ---- what windows are told ---- */

static struct {
	struct display_rect last;
	uint32_t serial;
	unsigned int count;
} told; /* atomic count */

static void damage(void *opaque, unsigned int head, uint32_t serial,
		   const struct display_rect *rects, unsigned int n_rects)
{
	(void)opaque;
	(void)head;
	told.last = rects[n_rects - 1];
	told.serial = serial;
	__atomic_add_fetch(&told.count, 1, __ATOMIC_SEQ_CST);
}

static const struct display_viewer_ops viewer_ops = {
	.ready = blind_ready,
	.frame = blind_frame,
	.damage = damage,
	.cursor = blind_cursor,
	.cursor_at = blind_cursor_at,
};
static struct display_viewer viewer;

static void attach(void *opaque)
{
	viewer = (struct display_viewer){ .ops = &viewer_ops, .heads = 1 };
	display_attach(opaque, &viewer);
}

static void show(void *opaque)
{
	display_shown(opaque, &viewer, 0, told.serial);
}

static void detach(void *opaque)
{
	display_detach(opaque, &viewer);
}

/* Waits for one more frame than @count. */
static void wait_told(unsigned int count)
{
	struct display *display = rig.rig.machine.display;

	while (__atomic_load_n(&told.count, __ATOMIC_SEQ_CST) <= count)
		loop_call(display_loop(display), show, display);
	loop_call(display_loop(display), show, display);
}

START_TEST(damage_is_the_lines_that_changed)
{
	struct display *display = rig.rig.machine.display;

	memset(&told, 0, sizeof(told));
	loop_call(display_loop(display), attach, display);
	wait_told(0);
	/* What is left of the start may be told first. */
	for (uint8_t i = 0; i < 10 && told.last.height == 400; i++) {
		unsigned int count = told.count;

		write_cell(7 * 80 + 3, 'a' + i, 0x70);
		wait_told(count);
	}
	/* A bit of damage stands for 64 characters. */
	ck_assert_uint_eq(told.last.y, 6 * 16);
	ck_assert_uint_eq(told.last.height, 2 * 16);
	loop_call(display_loop(display), detach, display);
}
END_TEST

START_TEST(saved_and_loaded)
{
	struct state state = { 0 }, from;
	struct vga_rig other;
	struct display_shot shot;

	load_font(0, 0);
	memcpy(screen.font[1], screen.font[0], sizeof(screen.font[0]));
	fill();
	ck_assert_int_eq(vga_save(rig.vga, &state), 0);
	vga_rig_create(&other);
	state_read_from(&from, state.bytes, state.len);
	ck_assert_int_eq(vga_load(other.vga, &from), 0);
	shot = vga_rig_shoot(&other, 720, 400);
	for (unsigned int i = 0; i < 720 * 400; i++)
		ck_assert_uint_eq(shot.pixels[i] & 0xffffff, expected(i % 720, i / 720));
	free(shot.pixels);
	/* Cut anywhere, it is refused, and the machine lives. */
	for (size_t len = 0; len < state.len; len += len < 1100 ? 1 : 997) {
		state_read_from(&from, state.bytes, len);
		ck_assert_int_eq(vga_load(other.vga, &from), -EBADMSG);
	}
	vga_reset(other.vga);
	shot = vga_rig_shoot(&other, 720, 400);
	ck_assert_uint_eq(shot.pixels[100] & 0xffffff, 0);
	free(shot.pixels);
	vga_rig_destroy(&other);
	state_finish(&state);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("vga_text");
	TCase *tcase = tcase_create("text");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, power_on);
	tcase_add_test(tcase, all_attributes);
	tcase_add_test(tcase, two_fonts);
	tcase_add_test(tcase, fifty_lines_of_eight_dots);
	tcase_add_test(tcase, forty_columns);
	tcase_add_test(tcase, scrolled_by_the_start_address);
	tcase_add_test(tcase, split_screen);
	tcase_add_test(tcase, cursor);
	tcase_add_test(tcase, underlined);
	tcase_add_test(tcase, palette_and_blanking);
	tcase_add_test(tcase, damage_is_the_lines_that_changed);
	tcase_add_test(tcase, saved_and_loaded);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
