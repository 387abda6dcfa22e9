// SPDX-License-Identifier: GPL-2.0-or-later
// The PS/2 keyboard and mouse: what keys and movements become on their way to a guest.
#include <check.h>
#include <linux/input-event-codes.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/devices/legacy.h"
#include "host-vmm/devices/ps2.h"
#include "host-vmm/input/input.h"
#include "host-vmm/layout.h"
#include "tests/unit/unit.h"
#include "tests/unit/vmm_rig.h"

#define KBD  LAYOUT_PORT_I8042
#define KBDC (LAYOUT_PORT_I8042 + 4)

static struct vmm_rig rig;
static struct device *device;
static struct input_giver *giver;

static void setup(void)
{
	vmm_rig_create(&rig, "none");
	ck_assert_int_eq(input_create(&rig.machine.input), 0);
	device = vmm_rig_add(&rig, &i8042_type);
	giver = input_giver_create(rig.machine.input);
}

static void teardown(void)
{
	input_giver_destroy(giver);
	vmm_rig_remove(device);
	input_destroy(rig.machine.input);
	vmm_rig_destroy(&rig);
}

static void out(unsigned int port, uint8_t value)
{
	vmm_rig_out(&rig, port, value);
}

static bool waits(void)
{
	return vmm_rig_in(&rig, KBDC) & 1;
}

static void expect_bytes(const uint8_t *bytes, size_t n, bool mouse)
{
	for (size_t i = 0; i < n; i++) {
		ck_assert_uint_eq(vmm_rig_in(&rig, KBDC) & 0x21, mouse ? 0x21 : 0x01);
		ck_assert_uint_eq(vmm_rig_in(&rig, KBD), bytes[i]);
	}
}

#define expect(...)                                              \
	do {                                                     \
		const uint8_t expected[] = { __VA_ARGS__ };      \
		expect_bytes(expected, sizeof(expected), false); \
		ck_assert_msg(!waits(), "more than that came");  \
	} while (0)
#define expect_mouse(...)                                       \
	do {                                                    \
		const uint8_t expected[] = { __VA_ARGS__ };     \
		expect_bytes(expected, sizeof(expected), true); \
		ck_assert_msg(!waits(), "more than that came"); \
	} while (0)

/* And more may come. */
#define expect_first_mouse(...)                                 \
	do {                                                    \
		const uint8_t expected[] = { __VA_ARGS__ };     \
		expect_bytes(expected, sizeof(expected), true); \
	} while (0)

static void configure(uint8_t value)
{
	out(KBDC, 0x60);
	out(KBD, value);
}

static void key(uint16_t code, bool down)
{
	ck_assert_int_eq(input_key(giver, code, down), 0);
}

START_TEST(translated_keys)
{
	configure(0x45);
	/* Linux names keys by set 1. */
	for (uint16_t code = KEY_ESC; code <= KEY_KPDOT; code++) {
		key(code, true);
		ck_assert(vmm_rig_line(&rig, 1));
		expect((uint8_t)code);
		ck_assert(!vmm_rig_line(&rig, 1));
		key(code, false);
		expect((uint8_t)(code | 0x80));
	}
	key(KEY_RIGHTCTRL, true);
	expect(0xe0, 0x1d);
	key(KEY_RIGHTCTRL, false);
	expect(0xe0, 0x9d);
	key(KEY_F12, true);
	expect(0x58);
	key(KEY_F12, false);
	expect(0xd8);
	key(KEY_PAUSE, true);
	expect(0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5);
	key(KEY_PAUSE, false);
	ck_assert(!waits());
	key(KEY_SYSRQ, true);
	expect(0xe0, 0x2a, 0xe0, 0x37);
	key(KEY_SYSRQ, false);
	expect(0xe0, 0xb7, 0xe0, 0xaa);
}
END_TEST

START_TEST(set_2_as_it_is)
{
	configure(0x05);
	key(KEY_A, true);
	key(KEY_A, false);
	expect(0x1c, 0xf0, 0x1c);
	key(KEY_F7, true);
	key(KEY_F7, false);
	expect(0x83, 0xf0, 0x83);
	key(KEY_UP, true);
	key(KEY_UP, false);
	expect(0xe0, 0x75, 0xe0, 0xf0, 0x75);
	key(KEY_PAUSE, true);
	expect(0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77);
	key(KEY_PAUSE, false);
	key(KEY_SYSRQ, true);
	key(KEY_SYSRQ, false);
	expect(0xe0, 0x12, 0xe0, 0x7c, 0xe0, 0xf0, 0x7c, 0xe0, 0xf0, 0x12);
	key(KEY_LEFTALT, true);
	expect(0x11);
	key(KEY_SYSRQ, true);
	key(KEY_SYSRQ, false);
	expect(0x84, 0xf0, 0x84);
	key(KEY_LEFTALT, false);
	expect(0xf0, 0x11);
	key(KEY_LEFTCTRL, true);
	key(KEY_PAUSE, true);
	key(KEY_PAUSE, false);
	key(KEY_LEFTCTRL, false);
	expect(0x14, 0xe0, 0x7e, 0xe0, 0xf0, 0x7e, 0xf0, 0x14);
}
END_TEST

START_TEST(set_1_by_itself)
{
	configure(0x05);
	out(KBD, 0xf0);
	expect(0xfa);
	out(KBD, 0x01);
	expect(0xfa);
	key(KEY_LEFTMETA, true);
	key(KEY_LEFTMETA, false);
	expect(0xe0, 0x5b, 0xe0, 0xdb);
	/* There is no set 3. */
	out(KBD, 0xf0);
	expect(0xfa);
	out(KBD, 0x03);
	expect(0xfe);
}
END_TEST

/* The keys of a board of 105, and a place in either set for each of them. */
START_TEST(each_of_105_keys_has_codes_of_its_own)
{
	static const uint16_t more[] = {
		KEY_F11,   KEY_F12,	KEY_102ND,    KEY_KPENTER,   KEY_RIGHTCTRL, KEY_KPSLASH,
		KEY_SYSRQ, KEY_HOME,	KEY_RIGHTALT, KEY_UP,	     KEY_PAGEUP,    KEY_LEFT,
		KEY_RIGHT, KEY_END,	KEY_DOWN,     KEY_PAGEDOWN,  KEY_INSERT,    KEY_DELETE,
		KEY_PAUSE, KEY_COMPOSE, KEY_LEFTMETA, KEY_RIGHTMETA,
	};
	const unsigned int n = KEY_KPDOT + sizeof(more) / sizeof(more[0]);
	uint8_t seen[128][16];

	ck_assert_uint_eq(n, 105);
	for (int set = 0; set < 2; set++) {
		configure(set ? 0x45 : 0x05);
		memset(seen, 0, sizeof(seen));
		for (unsigned int i = 0; i < n; i++) {
			uint16_t code = i < KEY_KPDOT ? (uint16_t)(i + 1) : more[i - KEY_KPDOT];
			unsigned int len = 0;

			key(code, true);
			while (waits() && len < 16)
				seen[i][len++] = vmm_rig_in(&rig, KBD);
			ck_assert_uint_gt(len, 0);
			for (unsigned int j = 0; j < i; j++)
				ck_assert_int_ne(memcmp(seen[i], seen[j], 16), 0);
			key(code, false);
			while (waits())
				(void)vmm_rig_in(&rig, KBD);
		}
	}
}
END_TEST

START_TEST(a_guest_that_slept_has_no_stuck_key)
{
	int down[128] = { 0 };
	unsigned int bytes = 0;

	configure(0x45);
	for (int i = 0; i < 500; i++)
		for (uint16_t code = KEY_ESC; code <= KEY_KPDOT; code++)
			key(code, (code + i) % 3 == 0);
	for (uint16_t code = KEY_ESC; code <= KEY_KPDOT; code++)
		key(code, false);
	while (waits()) {
		uint8_t byte = vmm_rig_in(&rig, KBD);

		down[byte & 0x7f] += byte & 0x80 ? -1 : 1;
		ck_assert_int_ge(down[byte & 0x7f], 0);
		ck_assert_uint_lt(bytes++, 1000);
	}
	for (int i = 0; i < 128; i++)
		ck_assert_int_eq(down[i], 0);
	ck_assert_uint_gt(bytes, 0);
}
END_TEST

START_TEST(leds_come_back)
{
	configure(0x45);
	out(KBD, 0xed);
	out(KBD, 0x04);
	expect(0xfa, 0xfa);
	ck_assert_uint_eq(input_leds(rig.machine.input), 1u << LED_CAPSL);
}
END_TEST

START_TEST(a_keyboard_that_is_off_gets_nothing)
{
	configure(0x45);
	key(KEY_A, true);
	expect(KEY_A);
	out(KBD, 0xf5);
	expect(0xfa);
	key(KEY_A, false);
	key(KEY_B, true);
	ck_assert(!waits());
	out(KBD, 0xf4);
	expect(0xfa);
	key(KEY_B, false);
	key(KEY_C, true);
	expect(KEY_C);
}
END_TEST

START_TEST(what_was_held_is_released_after_a_restore)
{
	configure(0x45);
	key(KEY_LEFTALT, true);
	expect(KEY_LEFTALT);
	ck_assert_int_eq(vmm_rig_save_and_load(device), 0);
	expect(KEY_LEFTALT | 0x80);
}
END_TEST

/* ---- mouse ---- */

static void to_mouse(uint8_t byte)
{
	out(KBDC, 0xd4);
	out(KBD, byte);
}

static void start_mouse(const uint8_t *rates, size_t n)
{
	configure(0x47);
	out(KBDC, 0xa8);
	for (size_t i = 0; i < n; i++) {
		to_mouse(0xf3);
		expect_mouse(0xfa);
		to_mouse(rates[i]);
		expect_mouse(0xfa);
	}
	ck_assert(!input_is_absolute(rig.machine.input));
	to_mouse(0xf4);
	expect_mouse(0xfa);
}

START_TEST(the_mouse_tells_movement_and_buttons)
{
	start_mouse(NULL, 0);
	input_move(giver, 5, 3);
	ck_assert(vmm_rig_line(&rig, 12));
	expect_mouse(0x28, 5, (uint8_t)-3);
	input_move(giver, -5, -3);
	expect_mouse(0x18, (uint8_t)-5, 3);
	(void)input_button(giver, BTN_LEFT, true);
	expect_mouse(0x09, 0, 0);
	(void)input_button(giver, BTN_LEFT, false);
	(void)input_button(giver, BTN_RIGHT, true);
	(void)input_button(giver, BTN_RIGHT, false);
	(void)input_button(giver, BTN_MIDDLE, true);
	(void)input_button(giver, BTN_MIDDLE, false);
	expect_mouse(0x08, 0, 0, 0x0a, 0, 0, 0x08, 0, 0, 0x0c, 0, 0, 0x08, 0, 0);
	/* It has no wheel that way. */
	input_wheel(giver, 0, 120);
	ck_assert(!waits());
}
END_TEST

START_TEST(movement_adds_up)
{
	start_mouse(NULL, 0);
	for (int i = 0; i < 1000; i++)
		input_move(giver, 1, 0);
	/* The first was on its way at once; the rest is told by as few packets as hold it. */
	expect_mouse(0x08, 1, 0, 0x08, 255, 0, 0x08, 255, 0, 0x08, 255, 0, 0x08, 234, 0);
	for (int i = 0; i < 100; i++)
		input_move(giver, INT32_MAX, INT32_MIN);
	for (int i = 0; i < 3 * 400 && waits(); i++)
		(void)vmm_rig_in(&rig, KBD);
	ck_assert(waits());
}
END_TEST

START_TEST(wheel_and_five_buttons)
{
	static const uint8_t rates[] = { 200, 100, 80, 200, 200, 80 };

	start_mouse(rates, sizeof(rates));
	input_wheel(giver, 0, 120);
	expect_mouse(0x08, 0, 0, 0x0f);
	input_wheel(giver, 0, -240);
	expect_mouse(0x08, 0, 0, 0x02);
	input_wheel(giver, 0, 60);
	ck_assert(!waits());
	input_wheel(giver, 0, 60);
	expect_mouse(0x08, 0, 0, 0x0f);
	(void)input_button(giver, BTN_SIDE, true);
	expect_mouse(0x08, 0, 0, 0x10);
	(void)input_button(giver, BTN_EXTRA, true);
	expect_mouse(0x08, 0, 0, 0x30);
	input_release(giver);
	expect_mouse(0x08, 0, 0, 0x20, 0x08, 0, 0, 0x00);
}
END_TEST

START_TEST(the_mouse_tells_how_it_is_set)
{
	static const uint8_t rates[] = { 40 };

	start_mouse(rates, sizeof(rates));
	to_mouse(0xe8);
	expect_mouse(0xfa);
	to_mouse(0);
	expect_mouse(0xfa);
	to_mouse(0xe7);
	expect_mouse(0xfa);
	(void)input_button(giver, BTN_LEFT, true);
	expect_mouse(0x09, 0, 0);
	to_mouse(0xe9);
	expect_mouse(0xfa, 0x34, 0, 40);
	(void)input_button(giver, BTN_LEFT, false);
	expect_mouse(0x08, 0, 0);
	to_mouse(0xf0);
	expect_mouse(0xfa);
	/* Defaults: off, a stream, 4 counts a millimetre, 100 packets a second, 1 to 1. */
	to_mouse(0xf6);
	expect_mouse(0xfa);
	to_mouse(0xe9);
	expect_mouse(0xfa, 0x00, 2, 100);
	to_mouse(0xf4);
	expect_mouse(0xfa);
	input_move(giver, 1, 0);
	expect_mouse(0x08, 1, 0);
}
END_TEST

START_TEST(clicks_that_wait_leave_room_for_answers)
{
	start_mouse(NULL, 0);
	for (int i = 0; i < 500; i++)
		(void)input_button(giver, BTN_LEFT, i % 2 == 0);
	to_mouse(0xf2);
	/* Whole packets, of which the last ones may be lost, and the answer. */
	for (int i = 0; i < 100 && (vmm_rig_in(&rig, KBDC) & 1); i++) {
		uint8_t byte = vmm_rig_in(&rig, KBD);

		if (byte == 0xfa)
			break;
		ck_assert_uint_eq(byte & 0xfe, 0x08);
		expect_first_mouse(0, 0);
	}
	expect_first_mouse(0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("vmm_ps2");
	TCase *tcase = tcase_create("ps2");

	tcase_set_timeout(tcase, 30);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, translated_keys);
	tcase_add_test(tcase, set_2_as_it_is);
	tcase_add_test(tcase, set_1_by_itself);
	tcase_add_test(tcase, each_of_105_keys_has_codes_of_its_own);
	tcase_add_test(tcase, a_guest_that_slept_has_no_stuck_key);
	tcase_add_test(tcase, leds_come_back);
	tcase_add_test(tcase, a_keyboard_that_is_off_gets_nothing);
	tcase_add_test(tcase, what_was_held_is_released_after_a_restore);
	tcase_add_test(tcase, the_mouse_tells_movement_and_buttons);
	tcase_add_test(tcase, movement_adds_up);
	tcase_add_test(tcase, wheel_and_five_buttons);
	tcase_add_test(tcase, the_mouse_tells_how_it_is_set);
	tcase_add_test(tcase, clicks_that_wait_leave_room_for_answers);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
