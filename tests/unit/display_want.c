// SPDX-License-Identifier: GPL-2.0-or-later
// What heads should be: limits, places, and the pace at which the guest is told.
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "tests/unit/display_rig.h"
#include "tests/unit/unit.h"

static struct display *display;
static unsigned int told;
static struct display_want last;

static void changed(void *opaque)
{
	(void)opaque;
	told++;
	display_get_want(display, 0, &last);
}

static void set_up(void)
{
	display = rig_display(3);
	told = 0;
	display_listen(display, changed, NULL);
}

static void tear_down(void)
{
	rig_end(display);
}

START_TEST(all_heads_are_on_side_by_side_at_first)
{
	struct display_want want;

	for (unsigned int i = 0; i < 3; i++) {
		display_get_want(display, i, &want);
		ck_assert(want.enabled);
		ck_assert_uint_eq(want.width, 1024);
		ck_assert_uint_eq(want.height, 768);
		ck_assert_uint_eq(want.width_mm, 271); /* 1024 / 96 * 25.4 */
		ck_assert_uint_eq(want.height_mm, 203);
		ck_assert_uint_eq(want.x, 1024 * i);
		ck_assert_uint_eq(want.y, 0);
	}
	display_get_want(display, 3, &want);
	ck_assert(!want.enabled);
	ck_assert_uint_eq(told, 0);
}
END_TEST

START_TEST(one_word_is_told_at_once)
{
	struct display_want want;

	ck_assert_int_eq(display_resize(display, 0, 1001, 701, 0, 0), 0);
	ck_assert_uint_eq(told, 1);
	ck_assert_uint_eq(last.width, 1001);
	ck_assert_uint_eq(last.height, 701);
	ck_assert_int_eq(display_resize(display, 1, 640, 480, 300, 200), 0);
	rig_advance(200);
	ck_assert_uint_eq(told, 2);
	display_get_want(display, 1, &want);
	ck_assert_uint_eq(want.x, 1001);
	ck_assert_uint_eq(want.width_mm, 300);
	ck_assert_uint_eq(want.height_mm, 200);
	/* Off, and the next one moves up. */
	ck_assert_int_eq(display_resize(display, 1, 0, 0, 0, 0), 0);
	rig_advance(200);
	display_get_want(display, 1, &want);
	ck_assert(!want.enabled);
	display_get_want(display, 2, &want);
	ck_assert_uint_eq(want.x, 1001);
	ck_assert(!rig_timer_on());
}
END_TEST

/* T45: 10,000 sizes. */
START_TEST(a_storm_is_told_ten_times_a_second_and_ends_at_the_last)
{
	uint32_t width = 0, height = 0;

	srand(3);
	for (unsigned int i = 0; i < 10000; i++) {
		width = 320 + (uint32_t)rand() % 1000;
		height = 200 + (uint32_t)rand() % 800;
		ck_assert_int_eq(display_resize(display, 0, width, height, 0, 0), 0);
		rig_advance(0.1);
	}
	ck_assert_uint_ge(told, 10);
	ck_assert_uint_le(told, 11);
	rig_advance(101);
	ck_assert_uint_le(told, 12);
	ck_assert_uint_eq(last.width, width);
	ck_assert_uint_eq(last.height, height);
	ck_assert(!rig_timer_on());
}
END_TEST

START_TEST(a_size_that_is_said_again_is_told_again)
{
	ck_assert_int_eq(display_resize(display, 0, 800, 600, 0, 0), 0);
	rig_advance(200);
	/* The guest's user may have taken another one meanwhile. */
	ck_assert_int_eq(display_resize(display, 0, 800, 600, 0, 0), 0);
	ck_assert_uint_eq(told, 2);
}
END_TEST

static bool is_plugged(unsigned int head)
{
	struct display_want want;

	display_get_want(display, head, &want);
	return want.enabled;
}

START_TEST(a_head_is_plugged_in_anew)
{
	struct rig_guest guest = { .width = 1024, .height = 768 };
	struct rig_viewer viewer = { .display = display };

	ck_assert_int_eq(rig_show(display, 0, DISPLAY_LAYER_GPU, &guest), 0);
	rig_look(display, &viewer, 1);
	ck_assert_int_eq(display_resize(display, 0, 1001, 701, 0, 0), 0);
	rig_advance(200);
	told = 0;
	display_replug(display);
	ck_assert_uint_eq(told, 1);
	ck_assert(!is_plugged(0));
	ck_assert(is_plugged(1) && is_plugged(2)); /* they show nothing that should be otherwise */
	/* It stays away until the guest has seen it, and windows keep what they have. */
	rig_advance(1000);
	ck_assert(!is_plugged(0));
	viewer.frames = 0;
	display_set_picture(display, 0, DISPLAY_LAYER_GPU, NULL);
	rig_advance(101);
	ck_assert(is_plugged(0));
	ck_assert_uint_eq(told, 2);
	ck_assert_uint_eq(last.width, 1001);
	rig_advance(500);
	ck_assert_uint_eq(viewer.frames, 0);
	guest.width = 1001;
	guest.height = 701;
	ck_assert_int_eq(rig_show(display, 0, DISPLAY_LAYER_GPU, &guest), 0);
	rig_advance(100);
	ck_assert_uint_eq(viewer.frames, 1);
	ck_assert_uint_eq(viewer.view.width, 1001);
	/* All is as it should be. */
	display_replug(display);
	ck_assert(is_plugged(0));
	rig_advance(10000);
	ck_assert_uint_eq(told, 2);
	ck_assert(!rig_timer_on());
	rig_leave(display, &viewer);
}
END_TEST

START_TEST(a_guest_that_does_not_care_is_asked_once)
{
	struct rig_guest guest = { .width = 640, .height = 480 };

	/* The VGA's modes are nobody's to plug. */
	ck_assert_int_eq(rig_show(display, 0, DISPLAY_LAYER_VGA, &guest), 0);
	display_replug(display);
	ck_assert(is_plugged(0));
	ck_assert_int_eq(rig_show(display, 0, DISPLAY_LAYER_GPU, &guest), 0);
	display_replug(display);
	ck_assert(!is_plugged(0));
	/* Another size meanwhile. */
	rig_advance(500);
	ck_assert_int_eq(display_resize(display, 0, 905, 655, 0, 0), 0);
	rig_advance(200);
	ck_assert(!is_plugged(0));
	rig_advance(2000);
	ck_assert(is_plugged(0));
	ck_assert_uint_eq(last.width, 905);
	display_replug(display);
	ck_assert(!is_plugged(0));
	rig_advance(2200);
	ck_assert(is_plugged(0));
	for (unsigned int i = 0; i < 100; i++) {
		display_replug(display);
		ck_assert(is_plugged(0));
	}
	ck_assert(!rig_timer_on());
	/* A head that is off stays off. */
	ck_assert_int_eq(rig_show(display, 1, DISPLAY_LAYER_GPU, &guest), 0);
	ck_assert_int_eq(display_resize(display, 1, 0, 0, 0, 0), 0);
	rig_advance(200);
	display_replug(display);
	rig_advance(5000);
	ck_assert(!is_plugged(1));
}
END_TEST

START_TEST(a_measure_changes_no_pixels)
{
	static const uint32_t nothing[][4] = {
		{ 0, 600, 100, 100 },	  { 800, 0, 100, 100 },
		{ 800, 600, 0, 100 },	  { 800, 600, 100, 0 },
		{ 1, 1, UINT32_MAX, 10 }, { 1024, 768, 271, 203 }, /* as it is */
	};

	for (size_t i = 0; i < sizeof(nothing) / sizeof(nothing[0]); i++)
		display_measure(display, 0, nothing[i][0], nothing[i][1], nothing[i][2],
				nothing[i][3]);
	rig_advance(200);
	ck_assert_uint_eq(told, 0);
	display_measure(display, 0, 800, 600, 100, 100);
	rig_advance(200);
	ck_assert_uint_eq(told, 1);
	ck_assert_uint_eq(last.width, 1024);
	ck_assert_uint_eq(last.height, 768);
	ck_assert_uint_eq(last.width_mm, 128);
	ck_assert_uint_eq(last.height_mm, 128);
	for (uint32_t i = 0; i < 10000; i++)
		display_measure(display, 0, 1 + i, 1 + 2 * i, UINT16_MAX - i, 1 + i);
	rig_advance(200);
	ck_assert_uint_le(told, 3);
	/* One that is off has none. */
	ck_assert_int_eq(display_resize(display, 1, 0, 0, 0, 0), 0);
	display_measure(display, 1, 800, 600, 100, 100);
}
END_TEST

/* T45 */
START_TEST(sizes_that_no_head_can_have_are_refused)
{
	static const struct {
		unsigned int head;
		uint32_t width, height;
		int ret;
	} rows[] = {
		{ 0, 0, 0, -EINVAL }, /* the first head is always on */
		{ 1, 0, 0x600, -EINVAL },
		{ 0, 1, 1, -EINVAL },
		{ 0, 319, 200, -EINVAL },
		{ 0, 320, 199, -EINVAL },
		{ 0, 320, 200, 0 },
		{ 0, 65535, 65535, -E2BIG },
		{ 0, UINT32_MAX, 1, -EINVAL },
		{ 0, UINT32_MAX, UINT32_MAX, -E2BIG },
		{ 0, 46341, 46341, -E2BIG },
		{ 0, 16384, 16384, -E2BIG },
		{ 0, 16385, 200, -E2BIG },
		{ 0, 16384, 200, 0 },
		{ 3, 800, 600, -ENOENT },
		{ 4000, 800, 600, -ENOENT },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ck_assert_int_eq(
			display_resize(display, rows[i].head, rows[i].width, rows[i].height, 0, 0),
			rows[i].ret);
}
END_TEST

START_TEST(all_pictures_together_fit_the_memory)
{
	struct display_want want;
	struct display *small;

	/* 64 MiB: 4096 x 3500 is 55 of them, the two others have 6. */
	ck_assert_int_eq(display_resize(display, 0, 4096, 3500, 0, 0), 0);
	ck_assert_int_eq(display_resize(display, 1, 1920, 1080, 0, 0), -E2BIG);
	ck_assert_int_eq(display_resize(display, 2, 0, 0, 0, 0), 0);
	ck_assert_int_eq(display_resize(display, 1, 1920, 1080, 0, 0), 0);
	/* What does not fit at the start is off. */
	ck_assert_int_eq(display_create(16, 16 << 20, &small), 0);
	display_get_want(small, 4, &want);
	ck_assert(want.enabled);
	display_get_want(small, 5, &want);
	ck_assert(!want.enabled);
	display_destroy(small);
	ck_assert_int_eq(display_create(0, 16 << 20, &small), -EINVAL);
	ck_assert_int_eq(display_create(17, 16 << 20, &small), -EINVAL);
}
END_TEST

/* Whatever was asked of the guest: its copies of one picture are bounded, too. */
START_TEST(a_guest_cannot_show_more_than_twice_the_memory)
{
	struct rig_guest whole = { .width = 4096, .height = 4096, .seed = 1 };
	struct rig_guest other = { .width = 64, .height = 64, .seed = 2 };

	ck_assert_int_eq(rig_show(display, 0, DISPLAY_LAYER_GPU, &whole), 0);
	ck_assert_int_eq(rig_show(display, 1, DISPLAY_LAYER_GPU, &whole), 0);
	ck_assert_int_eq(rig_show(display, 2, DISPLAY_LAYER_GPU, &other), -EINVAL);
	/* In place of what is there, or once that went. */
	ck_assert_int_eq(rig_show(display, 1, DISPLAY_LAYER_GPU, &whole), 0);
	ck_assert_int_eq(rig_show(display, 1, DISPLAY_LAYER_GPU, &other), 0);
	ck_assert_int_eq(rig_show(display, 2, DISPLAY_LAYER_GPU, &other), 0);
	ck_assert_int_eq(rig_show(display, 2, DISPLAY_LAYER_GPU, &whole), -EINVAL);
	ck_assert_int_eq(display_set_picture(display, 0, DISPLAY_LAYER_GPU, NULL), 0);
	ck_assert_int_eq(rig_show(display, 2, DISPLAY_LAYER_GPU, &whole), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("display_want");
	TCase *tests = tcase_create("want");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, all_heads_are_on_side_by_side_at_first);
	tcase_add_test(tests, one_word_is_told_at_once);
	tcase_add_test(tests, a_storm_is_told_ten_times_a_second_and_ends_at_the_last);
	tcase_add_test(tests, a_size_that_is_said_again_is_told_again);
	tcase_add_test(tests, a_head_is_plugged_in_anew);
	tcase_add_test(tests, a_guest_that_does_not_care_is_asked_once);
	tcase_add_test(tests, a_measure_changes_no_pixels);
	tcase_add_test(tests, sizes_that_no_head_can_have_are_refused);
	tcase_add_test(tests, all_pictures_together_fit_the_memory);
	tcase_add_test(tests, a_guest_cannot_show_more_than_twice_the_memory);
	suite_add_tcase(suite, tests);
	return unit_run(suite);
}
