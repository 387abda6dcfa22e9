// SPDX-License-Identifier: GPL-2.0-or-later
// The VGA's registers, its planes bit by bit against a model, and its graphics modes dot by dot.
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"
#include "tests/unit/vga_rig.h"

#define WINDOW	     0xa0000u
#define CGA	     0xb8000u
#define SEQ	     0x3c4
#define GFX	     0x3ce
#define CRTC	     0x3d4
#define ADDRESS_MASK 0x1ffu /* of what the model of planes knows */

static struct vga_rig rig;
static uint32_t random_state;

static uint8_t any(void)
{
	random_state = random_state * 1103515245 + 12345;
	return (uint8_t)(random_state >> 16);
}

static void setup(void)
{
	random_state = 7;
	vga_rig_create(&rig);
}

static void teardown(void)
{
	vga_rig_destroy(&rig);
}

/* ---- registers ---- */

START_TEST(registers_keep_their_bits)
{
	static const uint8_t seq[8] = { 0x03, 0x3d, 0x0f, 0x3f, 0x0e, 0, 0, 0xff };
	static const uint8_t gfx[9] = { 0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff };

	for (uint8_t i = 0; i < 8; i++) {
		vga_rig_set(&rig, SEQ, i, 0xff);
		ck_assert_uint_eq(vga_rig_reg(&rig, SEQ, i), seq[i]);
	}
	for (uint8_t i = 0; i < 9; i++) {
		vga_rig_set(&rig, GFX, i, 0xff);
		ck_assert_uint_eq(vga_rig_reg(&rig, GFX, i), gfx[i]);
	}
	/* The CRTC's first eight are locked at power-on, but for a bit of the line compare. */
	vga_rig_set(&rig, CRTC, 0, 0x11);
	ck_assert_uint_eq(vga_rig_reg(&rig, CRTC, 0), 0x5f);
	vga_rig_set(&rig, CRTC, 7, 0x00);
	ck_assert_uint_eq(vga_rig_reg(&rig, CRTC, 7), 0x0f);
	vga_rig_set(&rig, CRTC, 0x11, 0x0e);
	for (uint8_t i = 0; i < 25; i++) {
		vga_rig_set(&rig, CRTC, i, 0x5a ^ i);
		ck_assert_uint_eq(vga_rig_reg(&rig, CRTC, i), 0x5a ^ i);
		if (i == 0x11)
			vga_rig_set(&rig, CRTC, i, 0);
	}
	ck_assert_uint_eq(vga_rig_reg(&rig, CRTC, 25), 0xff);
	vga_rig_attr(&rig, 0x10, 0xff);
	vga_rig_out(&rig, 0x3c0, 0x30, 1);
	ck_assert_uint_eq(vga_rig_in(&rig, 0x3c1, 1), 0xef);
	ck_assert_uint_eq(vga_rig_in(&rig, 0x3cc, 1), 0x67);
}
END_TEST

START_TEST(monochrome_moves_ports)
{
	vga_rig_out(&rig, 0x3c2, 0x66, 1);
	ck_assert_uint_eq(vga_rig_in(&rig, 0x3d4, 1), 0xff);
	ck_assert_uint_eq(vga_rig_in(&rig, 0x3da, 1), 0xff);
	ck_assert_uint_eq(vga_rig_reg(&rig, 0x3b4, 0x12), 0x8f);
	vga_rig_out(&rig, 0x3c2, 0x67, 1);
	ck_assert_uint_eq(vga_rig_in(&rig, 0x3b4, 1), 0xff);
	ck_assert_uint_eq(vga_rig_reg(&rig, CRTC, 0x12), 0x8f);
}
END_TEST

START_TEST(retrace_comes_and_goes)
{
	unsigned int changes = 0;
	uint32_t last = 0;

	while (changes < 4) {
		uint32_t now = vga_rig_in(&rig, 0x3da, 1);

		ck_assert_uint_eq(now & ~9u, 0);
		/* No retrace while the display is on. */
		ck_assert(!(now & 8) || now & 1);
		changes += (now & 8) != (last & 8);
		last = now;
	}
}
END_TEST

/* ---- planes ---- */

static struct {
	uint8_t planes[4][ADDRESS_MASK + 1], latches[4];
	uint8_t set, enable, compare, rotate, logic, map, mode, care, bits, write;
} model;

static bool bit(uint8_t byte, unsigned int at)
{
	return byte >> at & 1;
}

static bool model_bit(unsigned int plane, unsigned int at, uint8_t value)
{
	bool latch = bit(model.latches[plane], at);
	bool turned = bit(value, (at + model.rotate) % 8);
	bool masked = bit(model.bits, at), out;

	switch (model.mode & 3) {
	case 0:
		out = bit(model.enable, plane) ? bit(model.set, plane) : turned;
		break;
	case 1:
		return latch;
	case 2:
		out = bit(value, plane);
		break;
	default:
		out = bit(model.set, plane);
		masked = masked && turned;
	}
	if (model.logic == 1)
		out = out && latch;
	else if (model.logic == 2)
		out = out || latch;
	else if (model.logic == 3)
		out = out != latch;
	return masked ? out : latch;
}

static void model_write(uint32_t at, uint8_t value)
{
	for (unsigned int plane = 0; plane < 4; plane++) {
		uint8_t byte = 0;

		for (unsigned int i = 0; i < 8; i++)
			byte |= (uint8_t)(model_bit(plane, i, value) << i);
		if (bit(model.write, plane))
			model.planes[plane][at] = byte;
	}
}

static uint8_t model_read(uint32_t at)
{
	uint8_t same = 0;

	for (unsigned int plane = 0; plane < 4; plane++)
		model.latches[plane] = model.planes[plane][at];
	if (!(model.mode & 8))
		return model.latches[model.map];
	for (unsigned int i = 0; i < 8; i++) {
		bool all = true;

		for (unsigned int plane = 0; plane < 4; plane++)
			all = all && (!bit(model.care, plane) ||
				      bit(model.latches[plane], i) == bit(model.compare, plane));
		same |= (uint8_t)(all << i);
	}
	return same;
}

static void any_registers(void)
{
	vga_rig_set(&rig, GFX, 0, model.set = any() & 15);
	vga_rig_set(&rig, GFX, 1, model.enable = any() & 15);
	vga_rig_set(&rig, GFX, 2, model.compare = any() & 15);
	model.rotate = any() & 7;
	model.logic = any() & 3;
	vga_rig_set(&rig, GFX, 3, (uint8_t)(model.rotate | model.logic << 3));
	vga_rig_set(&rig, GFX, 4, model.map = any() & 3);
	vga_rig_set(&rig, GFX, 5, model.mode = any() & 0xb);
	vga_rig_set(&rig, GFX, 7, model.care = any() & 15);
	vga_rig_set(&rig, GFX, 8, model.bits = any());
	vga_rig_set(&rig, SEQ, 2, model.write = any() & 15);
}

static void clear_planes(void)
{
	memset(&model, 0, sizeof(model));
	vga_rig_set(&rig, SEQ, 2, 15);
	for (uint32_t at = 0; at <= ADDRESS_MASK; at += 8)
		vga_rig_put(&rig, WINDOW + at, 0, 8);
}

START_TEST(write_and_read_modes)
{
	vga_rig_set_mode(&rig, &vga_rig_mode12);
	clear_planes();
	for (unsigned int i = 0; i < 200000; i++) {
		uint32_t at = (any() | any() << 8) & ADDRESS_MASK;
		uint8_t value = any();

		if (i % 8 == 0)
			any_registers();
		if (any() & 1) {
			vga_rig_put(&rig, WINDOW + at, value, 1);
			model_write(at, value);
		} else {
			ck_assert_uint_eq(vga_rig_get(&rig, WINDOW + at, 1), model_read(at));
		}
	}
}
END_TEST

START_TEST(wide_accesses_are_bytes_in_turn)
{
	vga_rig_set_mode(&rig, &vga_rig_mode13);
	vga_rig_put(&rig, WINDOW + 3, 0x1122334455667788, 8);
	for (unsigned int i = 0; i < 8; i++)
		ck_assert_uint_eq(vga_rig_get(&rig, WINDOW + 3 + i, 1), 0x88 - 0x11 * i);
	ck_assert_uint_eq(vga_rig_get(&rig, WINDOW + 4, 4), 0x44556677);
	/* Across the window's end, and outside of it. */
	vga_rig_put(&rig, WINDOW + 0xfffe, 0xaabbccdd, 4);
	ck_assert_uint_eq(vga_rig_get(&rig, WINDOW + 0xfffe, 4), 0xffffccdd);
	ck_assert_uint_eq(vga_rig_get(&rig, CGA, 4), 0xffffffff);
	ck_assert_uint_eq(vga_rig_get(&rig, WINDOW - 2, 2), 0xffff);
	ck_assert_uint_eq(vga_rig_get(&rig, WINDOW + 0x1fffc, 8), UINT64_MAX);
}
END_TEST

START_TEST(odd_even_pairs)
{
	/* Text mode: pairs of planes 0 and 1, map masks and read maps permitting. */
	vga_rig_put(&rig, CGA + 10, 0x1234, 2);
	ck_assert_uint_eq(vga_rig_get(&rig, CGA + 10, 2), 0x1234);
	vga_rig_set(&rig, SEQ, 2, 1);
	vga_rig_put(&rig, CGA + 10, 0xffff, 2);
	ck_assert_uint_eq(vga_rig_get(&rig, CGA + 10, 2), 0x12ff);
	vga_rig_set(&rig, SEQ, 2, 2);
	vga_rig_put(&rig, CGA + 10, 0x5555, 2);
	ck_assert_uint_eq(vga_rig_get(&rig, CGA + 10, 2), 0x55ff);
	/* Planes 2 and 3, by the read map's high bit: the font is in 2. */
	vga_rig_set(&rig, GFX, 4, 2);
	ck_assert_uint_eq(vga_rig_get(&rig, CGA + 2 * 32 * 'A' + 14, 2), 0x00fe);
}
END_TEST

/* ---- pictures ---- */

static void compare(unsigned int width, unsigned int height,
		    uint32_t (*expected)(unsigned int x, unsigned int y))
{
	struct display_shot shot = vga_rig_shoot(&rig, width, height);
	unsigned int wrong = 0;

	for (unsigned int y = 0; y < height; y++)
		for (unsigned int x = 0; x < width; x++)
			wrong += (shot.pixels[y * width + x] & 0xffffff) != expected(x, y);
	free(shot.pixels);
	ck_assert_uint_eq(wrong, 0);
}

static uint8_t plane_bytes[4][38400];

static uint32_t expect_planar(unsigned int x, unsigned int y)
{
	unsigned int at = y * 80 + x / 8, colour = 0;

	for (unsigned int plane = 0; plane < 4; plane++)
		colour |= (unsigned int)bit(plane_bytes[plane][at], 7 - x % 8) << plane;
	return vga_rig_colours[colour];
}

START_TEST(mode_12h)
{
	vga_rig_set_mode(&rig, &vga_rig_mode12);
	for (unsigned int plane = 0; plane < 4; plane++) {
		vga_rig_set(&rig, SEQ, 2, (uint8_t)(1 << plane));
		for (unsigned int i = 0; i < sizeof(plane_bytes[0]); i++) {
			plane_bytes[plane][i] = any();
			vga_rig_put(&rig, WINDOW + i, plane_bytes[plane][i], 1);
		}
	}
	compare(640, 480, expect_planar);
}
END_TEST

static uint8_t bytes[64000];

/* Palette entry n is n in red, twice n in green, 63 - n in blue, of 6 bits each. */
static uint32_t expect_bytes(unsigned int x, unsigned int y)
{
	uint32_t at = bytes[y / 2 * 320 + x / 2], parts[3];

	parts[0] = at & 63;
	parts[1] = 2 * at & 63;
	parts[2] = (63 - at) & 63;
	for (unsigned int i = 0; i < 3; i++)
		parts[i] = parts[i] << 2 | parts[i] >> 4;
	return parts[0] << 16 | parts[1] << 8 | parts[2];
}

START_TEST(mode_13h)
{
	vga_rig_set_mode(&rig, &vga_rig_mode13);
	for (unsigned int i = 0; i < 256; i++)
		vga_rig_colour(&rig, (uint8_t)i, (uint8_t)i, (uint8_t)(2 * i), (uint8_t)(63 - i));
	for (unsigned int i = 0; i < sizeof(bytes); i++) {
		bytes[i] = any();
		vga_rig_put(&rig, WINDOW + i, bytes[i], 1);
	}
	compare(640, 400, expect_bytes);
}
END_TEST

static uint8_t cga[0x4000];

/* Even lines in the first 8 KiB, odd ones in the second; palette 1, bright. */
static uint32_t expect_cga_pairs(unsigned int x, unsigned int y)
{
	static const uint32_t colours[4] = { 0x000000, 0x55ffff, 0xff55ff, 0xffffff };
	unsigned int line = y / 2, dot = x / 2;
	uint8_t byte = cga[line % 2 * 0x2000 + line / 2 * 80 + dot / 4];

	return colours[byte >> (6 - dot % 4 * 2) & 3];
}

static uint32_t expect_cga_dots(unsigned int x, unsigned int y)
{
	unsigned int line = y / 2;
	uint8_t byte = cga[line % 2 * 0x2000 + line / 2 * 80 + x / 8];

	return bit(byte, 7 - x % 8) ? 0xffffff : 0;
}

static void fill_cga(void)
{
	/* What CGA's numbers 0x10 to 0x17 stand for, bright colours. */
	for (unsigned int i = 0; i < 8; i++)
		vga_rig_colour(&rig, (uint8_t)(0x10 + i), i & 4 ? 0x3f : 0x15, i & 2 ? 0x3f : 0x15,
			       i & 1 ? 0x3f : 0x15);
	for (unsigned int i = 0; i < sizeof(cga); i++) {
		cga[i] = any();
		vga_rig_put(&rig, CGA + i, cga[i], 1);
		ck_assert_uint_eq(vga_rig_get(&rig, CGA + i, 1), cga[i]);
	}
}

START_TEST(mode_4)
{
	vga_rig_set_mode(&rig, &vga_rig_mode4);
	fill_cga();
	compare(640, 400, expect_cga_pairs);
}
END_TEST

START_TEST(mode_6)
{
	vga_rig_set_mode(&rig, &vga_rig_mode6);
	fill_cga();
	compare(640, 400, expect_cga_dots);
}
END_TEST

/* Every port and address with every size, in modes that come and go. */
START_TEST(t53_sweep)
{
	static const uint16_t ports[] = { 0x3b4, 0x3b5, 0x3ba, 0x3c0, 0x3c1, 0x3c2, 0x3c3, 0x3c4,
					  0x3c5, 0x3c6, 0x3c7, 0x3c8, 0x3c9, 0x3ca, 0x3cc, 0x3ce,
					  0x3cf, 0x3d4, 0x3d5, 0x3da, 0x1ce, 0x1cf, 0x1d0, 0x1d1 };
	struct display_shot shot;

	for (unsigned int i = 0; i < 300000; i++) {
		uint16_t port = ports[any() % (sizeof(ports) / sizeof(ports[0]))];
		unsigned int size = 1u << any() % 4;
		uint64_t at = WINDOW - 8 + ((any() | any() << 8 | any() << 16) & 0x2000f);
		uint32_t value = any() | (uint32_t)any() << 8;

		if (i % 3)
			vga_rig_out(&rig, port, value, size > 4 ? 4 : size);
		else
			vga_rig_put(&rig, at, value * 0x100010001ull, size);
		(void)vga_rig_in(&rig, port, size > 4 ? 4 : size);
		(void)vga_rig_get(&rig, at, size);
		if (i % 5000 == 0 && display_shoot(rig.rig.machine.display, 0, &shot) == 0)
			free(shot.pixels);
	}
	vga_reset(rig.vga);
	shot = vga_rig_shoot(&rig, 720, 400);
	free(shot.pixels);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("vga_graphics");
	TCase *tcase = tcase_create("graphics");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, registers_keep_their_bits);
	tcase_add_test(tcase, monochrome_moves_ports);
	tcase_add_test(tcase, retrace_comes_and_goes);
	tcase_add_test(tcase, write_and_read_modes);
	tcase_add_test(tcase, wide_accesses_are_bytes_in_turn);
	tcase_add_test(tcase, odd_even_pairs);
	tcase_add_test(tcase, mode_12h);
	tcase_add_test(tcase, mode_13h);
	tcase_add_test(tcase, mode_4);
	tcase_add_test(tcase, mode_6);
	tcase_add_test(tcase, t53_sweep);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
