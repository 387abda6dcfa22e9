// SPDX-License-Identifier: GPL-2.0-or-later
// Keys and pointers between givers and sinks: who gets what, who holds what, and what is released.
#include <check.h>
#include <errno.h>
#include <linux/input-event-codes.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/input/input.h"
#include "tests/unit/unit.h"

struct fake {
	struct input_sink sink;
	bool ready;
	int downs[KEY_CNT]; /* pressed minus released */
	unsigned int events, syncs;
	int x, y, dx, dy, wheel_x, wheel_y;
};

static struct input *input;
static struct fake fakes[2]; /* [0]: relative, as PS/2; [1]: absolute, as virtio */
static struct input_giver *alice, *bob;
static unsigned int changes;

static bool fake_ready(void *opaque)
{
	return ((struct fake *)opaque)->ready;
}

static void fake_key(void *opaque, uint16_t code, bool down)
{
	struct fake *fake = opaque;

	fake->downs[code] += down ? 1 : -1;
	ck_assert_int_ge(fake->downs[code], 0);
	ck_assert_int_le(fake->downs[code], 1);
	fake->events++;
}

static void fake_point(void *opaque, uint16_t x, uint16_t y)
{
	struct fake *fake = opaque;

	fake->x = x;
	fake->y = y;
	fake->events++;
}

static void fake_move(void *opaque, int32_t dx, int32_t dy)
{
	struct fake *fake = opaque;

	fake->dx += dx;
	fake->dy += dy;
	fake->events++;
}

static void fake_wheel(void *opaque, int32_t dx, int32_t dy)
{
	struct fake *fake = opaque;

	fake->wheel_x += dx;
	fake->wheel_y += dy;
	fake->events++;
}

static void fake_sync(void *opaque)
{
	((struct fake *)opaque)->syncs++;
}

static const struct input_sink_ops relative_ops = {
	.ready = fake_ready,
	.key = fake_key,
	.button = fake_key,
	.move = fake_move,
	.wheel = fake_wheel,
	.sync = fake_sync,
};

static const struct input_sink_ops absolute_ops = {
	.ready = fake_ready,
	.key = fake_key,
	.button = fake_key,
	.point = fake_point,
	.wheel = fake_wheel,
	.sync = fake_sync,
};

static void on_change(void *opaque)
{
	(*(unsigned int *)opaque)++;
}

static void setup(void)
{
	memset(fakes, 0, sizeof(fakes));
	changes = 0;
	ck_assert_int_eq(input_create(&input), 0);
	for (int i = 0; i < 2; i++) {
		fakes[i].sink = (struct input_sink){
			.rank = i == 0 ? INPUT_RANK_PS2 : INPUT_RANK_VIRTIO,
			.ops = i == 0 ? &relative_ops : &absolute_ops,
			.opaque = &fakes[i],
		};
		fakes[i].ready = true;
		input_add_sink(input, &fakes[i].sink);
	}
	alice = input_giver_create(input);
	bob = input_giver_create(input);
	ck_assert(alice && bob);
	input_listen(input, on_change, &changes);
}

static void teardown(void)
{
	input_giver_destroy(alice);
	input_giver_destroy(bob);
	input_remove_sink(input, &fakes[0].sink);
	input_remove_sink(input, &fakes[1].sink);
	for (int i = 0; i < 2; i++)
		for (int code = 0; code < KEY_CNT; code++)
			ck_assert_int_eq(fakes[i].downs[code], 0);
	input_destroy(input);
}

START_TEST(the_best_ready_sink_gets_it)
{
	ck_assert_int_eq(input_key(alice, KEY_A, true), 0);
	ck_assert_int_eq(fakes[1].downs[KEY_A], 1);
	ck_assert_uint_eq(fakes[0].events, 0);
	ck_assert_uint_eq(fakes[1].syncs, 1);
	fakes[1].ready = false;
	ck_assert_int_eq(input_key(alice, KEY_B, true), 0);
	/* What was down at the other one was released there. */
	ck_assert_int_eq(fakes[1].downs[KEY_A], 0);
	ck_assert_int_eq(fakes[0].downs[KEY_B], 1);
	/* Its own release finds nothing to do. */
	ck_assert_int_eq(input_key(alice, KEY_A, false), 0);
	ck_assert_uint_eq(fakes[0].events, 1);
}
END_TEST

START_TEST(nobody_ready_holds_nothing)
{
	fakes[0].ready = fakes[1].ready = false;
	ck_assert_int_eq(input_key(alice, KEY_LEFTSHIFT, true), 0);
	input_point(alice, 1, 1, 10, 10);
	input_move(alice, 1, 1);
	input_wheel(alice, 120, 0);
	fakes[0].ready = true;
	ck_assert_int_eq(input_key(alice, KEY_A, true), 0);
	ck_assert_int_eq(fakes[0].downs[KEY_LEFTSHIFT], 0);
	ck_assert_int_eq(fakes[0].downs[KEY_A], 1);
	ck_assert_uint_eq(fakes[0].events, 1);
}
END_TEST

START_TEST(a_key_is_down_while_anybody_holds_it)
{
	(void)input_key(alice, KEY_LEFTCTRL, true);
	(void)input_key(alice, KEY_LEFTCTRL, true);
	(void)input_key(bob, KEY_LEFTCTRL, true);
	ck_assert_uint_eq(fakes[1].events, 1);
	(void)input_key(alice, KEY_LEFTCTRL, false);
	(void)input_key(alice, KEY_LEFTCTRL, false);
	ck_assert_int_eq(fakes[1].downs[KEY_LEFTCTRL], 1);
	input_giver_destroy(bob);
	bob = NULL;
	ck_assert_int_eq(fakes[1].downs[KEY_LEFTCTRL], 0);
	ck_assert_uint_eq(fakes[1].events, 2);
}
END_TEST

START_TEST(release_lets_go_of_keys_and_buttons)
{
	for (uint16_t code = KEY_ESC; code <= KEY_MICMUTE; code++)
		ck_assert_int_eq(input_key(alice, code, true), 0);
	for (uint16_t code = BTN_LEFT; code <= BTN_EXTRA; code++)
		ck_assert_int_eq(input_button(alice, code, true), 0);
	(void)input_key(bob, KEY_A, true);
	input_release(alice);
	for (int code = 0; code < KEY_CNT; code++)
		ck_assert_int_eq(fakes[1].downs[code], code == KEY_A);
	ck_assert_uint_eq(fakes[1].events, 2 * (KEY_MICMUTE + 5) - 1);
}
END_TEST

START_TEST(a_thousand_changes_of_sink_leave_nothing_down)
{
	for (int i = 0; i < 1000; i++) {
		(void)input_key(alice, KEY_LEFTSHIFT, true);
		(void)input_button(alice, BTN_LEFT, true);
		fakes[1].ready = i % 2;
		input_sink_changed(input, &fakes[1].sink, 0);
		ck_assert_int_eq(fakes[0].downs[KEY_LEFTSHIFT] + fakes[1].downs[KEY_LEFTSHIFT], 0);
		ck_assert_int_eq(fakes[0].downs[BTN_LEFT] + fakes[1].downs[BTN_LEFT], 0);
	}
	ck_assert_uint_ge(changes, 1000);
}
END_TEST

START_TEST(codes_that_nobody_has_are_refused)
{
	static const uint16_t keys[] = { 0, KEY_MICMUTE + 1, BTN_LEFT, KEY_CNT, 0xffff };
	static const uint16_t buttons[] = { 0, KEY_A, BTN_LEFT - 1, BTN_EXTRA + 1, 0xffff };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		ck_assert_int_eq(input_key(alice, keys[i], true), -EINVAL);
	for (size_t i = 0; i < sizeof(buttons) / sizeof(buttons[0]); i++)
		ck_assert_int_eq(input_button(alice, buttons[i], true), -EINVAL);
	ck_assert_uint_eq(fakes[0].events + fakes[1].events, 0);
}
END_TEST

/* The two ways in which guests divide: libinput cuts, the evdev driver of old X servers rounds. */
START_TEST(every_pixel_is_the_same_pixel_again)
{
	static const uint32_t widths[] = { 1, 2, 320, 1001, 1920, 4096, 7680, 16384 };

	for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
		uint32_t width = widths[i];

		for (uint32_t x = 0; x < width; x++) {
			input_point(alice, x, x, width, width);
			ck_assert_int_eq((uint64_t)fakes[1].x * width / (INPUT_POINT_MAX + 1), x);
			ck_assert_int_eq(
				((uint64_t)fakes[1].x * (width - 1) + INPUT_POINT_MAX / 2) /
					INPUT_POINT_MAX,
				x);
			ck_assert_int_eq(fakes[1].x, fakes[1].y);
		}
	}
	/* Outside is the edge. */
	input_point(alice, UINT32_MAX, 7, 100, 0);
	ck_assert_int_eq((uint64_t)fakes[1].x * 100 / (INPUT_POINT_MAX + 1), 99);
	ck_assert_int_eq(fakes[1].y, 0);
}
END_TEST

START_TEST(place_or_movement)
{
	ck_assert(input_is_absolute(input));
	input_move(alice, 5, 6);
	ck_assert_uint_eq(fakes[0].events + fakes[1].events, 0);
	fakes[1].ready = false;
	ck_assert(!input_is_absolute(input));
	input_move(alice, 5, -6);
	input_point(alice, 1, 1, 10, 10);
	input_wheel(alice, -120, 30);
	ck_assert_int_eq(fakes[0].dx, 5);
	ck_assert_int_eq(fakes[0].dy, -6);
	ck_assert_int_eq(fakes[0].wheel_x, -120);
	ck_assert_int_eq(fakes[0].wheel_y, 30);
	ck_assert_uint_eq(fakes[0].events, 2);
}
END_TEST

START_TEST(leds_are_those_of_who_gets_the_keys)
{
	input_sink_changed(input, &fakes[0].sink, 1u << LED_NUML);
	input_sink_changed(input, &fakes[1].sink, 1u << LED_CAPSL);
	ck_assert_uint_eq(changes, 2);
	ck_assert_uint_eq(input_leds(input), 1u << LED_CAPSL);
	fakes[1].ready = false;
	ck_assert_uint_eq(input_leds(input), 1u << LED_NUML);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("input_core");
	TCase *tcase = tcase_create("input");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, the_best_ready_sink_gets_it);
	tcase_add_test(tcase, nobody_ready_holds_nothing);
	tcase_add_test(tcase, a_key_is_down_while_anybody_holds_it);
	tcase_add_test(tcase, release_lets_go_of_keys_and_buttons);
	tcase_add_test(tcase, a_thousand_changes_of_sink_leave_nothing_down);
	tcase_add_test(tcase, codes_that_nobody_has_are_refused);
	tcase_add_test(tcase, every_pixel_is_the_same_pixel_again);
	tcase_add_test(tcase, place_or_movement);
	tcase_add_test(tcase, leds_are_those_of_who_gets_the_keys);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
