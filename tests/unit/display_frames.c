// SPDX-License-Identifier: GPL-2.0-or-later
// The display: what is copied and when, what viewers are told, who waits how long.
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/display_rig.h"
#include "tests/unit/unit.h"

static struct display *display;
static struct rig_guest guest;
static struct rig_viewer alice, bob;

static void set_up(void)
{
	display = rig_display(2);
	guest = (struct rig_guest){ .width = 641, .height = 479, .seed = 1 };
	alice = bob = (struct rig_viewer){ 0 };
}

static void tear_down(void)
{
	rig_end(display);
}

static void damage(uint32_t x, uint32_t y, uint32_t width, uint32_t height)
{
	const struct display_rect rect = { x, y, width, height };

	display_damage(display, 0, DISPLAY_LAYER_GPU, &rect);
}

static struct display_head_state state_of(unsigned int head)
{
	struct display_head_state state;

	ck_assert_int_eq(display_state(display, head, &state), 0);
	return state;
}

static void show(void)
{
	ck_assert_int_eq(rig_show(display, 0, DISPLAY_LAYER_GPU, &guest), 0);
}

START_TEST(nobody_looks_and_nothing_runs)
{
	show();
	for (unsigned int i = 0; i < 1000; i++)
		damage(i, i, 10, 10);
	ck_assert(!rig_timer_on());
	ck_assert_uint_eq(guest.read_bytes, 0);
	ck_assert_uint_eq(state_of(0).width, 641);
	ck_assert_int_eq(state_of(0).source, LODGE_DISPLAY_GPU);
}
END_TEST

START_TEST(who_comes_sees_all_of_it_and_then_what_changes)
{
	show();
	rig_look(display, &alice, 1);
	rig_advance(1);
	ck_assert_uint_eq(alice.frames, 1);
	ck_assert_uint_eq(alice.damages, 1);
	ck_assert_uint_eq(alice.view.stride, 2624); /* of whole lines of 64 bytes */
	ck_assert(rig_sees(&alice, &guest));
	ck_assert_uint_eq(guest.read_bytes, 641 * 479 * 4);
	/* Nothing changes: nothing runs. */
	rig_advance(1000);
	ck_assert(!rig_timer_on());
	ck_assert_uint_eq(alice.damages, 1);

	guest.read_bytes = 0;
	damage(10, 20, 30, 40);
	damage(10, 20, 30, 40);
	damage(15, 25, 5, 5);
	rig_advance(1);
	ck_assert_uint_eq(alice.damages, 2);
	ck_assert_uint_eq(alice.rects, 1);
	ck_assert_uint_eq(guest.read_bytes, 30 * 40 * 4);
	ck_assert_uint_eq(state_of(0).windows, 1);
	ck_assert_uint_eq(state_of(0).frames, 2);
	ck_assert_uint_eq(state_of(0).copied_bytes, 641 * 479 * 4 + 30 * 40 * 4);
	rig_leave(display, &alice);
	ck_assert(!rig_timer_on());
}
END_TEST

/* T47: edges that wrap, lie outside, are empty; and a million of them. */
START_TEST(damage_of_any_kind_is_bounded)
{
	show();
	rig_look(display, &alice, 1);
	rig_advance(20);
	guest.read_bytes = 0;
	damage(0, 0, 0, 10);
	damage(641, 0, 10, 10);
	damage(0, 479, 10, 10);
	damage(UINT32_MAX, UINT32_MAX, 1, 1);
	damage(UINT32_MAX - 3, 0, 8, 8);
	ck_assert(!rig_timer_on());
	damage(640, 478, UINT32_MAX, UINT32_MAX);
	rig_advance(20);
	ck_assert_uint_eq(alice.damaged, 1);
	ck_assert_uint_eq(guest.read_bytes, 4);

	srand(1);
	guest.seed++;
	for (unsigned int i = 0; i < 1000000; i++)
		damage((uint32_t)rand() % 700, (uint32_t)rand() % 500, 3, 3);
	rig_advance(1);
	ck_assert_uint_le(alice.rects, LODGE_DISPLAY_RECTS_MAX);
	ck_assert_uint_le(guest.read_bytes, 4 + 641 * 479 * 4);
	rig_leave(display, &alice);
}
END_TEST

START_TEST(rectangles_do_not_overlap_and_cover_what_was_damaged)
{
	static uint8_t want[479][641];

	show();
	rig_look(display, &alice, 1);
	srand(2);
	for (unsigned int round = 0; round < 200; round++) {
		uint64_t damaged = 0;

		rig_advance(20);
		memset(want, 0, sizeof(want));
		guest.read_bytes = 0;
		for (int n = rand() % 60; n >= 0; n--) {
			uint32_t x = (uint32_t)rand() % 641, y = (uint32_t)rand() % 479;
			uint32_t width = 1 + (uint32_t)rand() % 20,
				 height = 1 + (uint32_t)rand() % 20;

			damage(x, y, width, height);
			for (uint32_t i = y; i < y + height && i < 479; i++)
				for (uint32_t j = x; j < x + width && j < 641; j++)
					want[i][j] = 1;
		}
		for (size_t i = 0; i < sizeof(want); i++)
			damaged += want[i / 641][i % 641];
		rig_advance(20);
		ck_assert_uint_ge(alice.damaged, damaged);
		/* Each pixel of them was copied once. */
		ck_assert_uint_eq(guest.read_bytes, alice.damaged * 4);
	}
	rig_leave(display, &alice);
}
END_TEST

START_TEST(frames_keep_the_pace)
{
	show();
	rig_look(display, &alice, 1);
	rig_advance(100);
	alice.damages = 0;
	for (unsigned int i = 0; i < 1000; i++) {
		damage(i % 600, 0, 5, 5);
		rig_advance(1);
	}
	ck_assert_uint_ge(alice.damages, 58);
	ck_assert_uint_le(alice.damages, 61);

	/* Pixels that were told of stay until they are shown, or for 100 ms. */
	alice.lazy = true;
	damage(0, 0, 5, 5);
	rig_advance(20);
	alice.damages = 0;
	damage(9, 9, 5, 5);
	rig_advance(60);
	ck_assert_uint_eq(alice.damages, 0);
	display_shown(display, &alice.viewer, 0, alice.serial - 1); /* an older one */
	display_shown(display, &alice.viewer, 0, alice.serial + 1);
	rig_advance(10);
	ck_assert_uint_eq(alice.damages, 0);
	display_shown(display, &alice.viewer, 0, alice.serial);
	rig_advance(1);
	ck_assert_uint_eq(alice.damages, 1);
	damage(0, 0, 5, 5);
	rig_advance(95);
	ck_assert_uint_eq(alice.damages, 1);
	rig_advance(10);
	ck_assert_uint_eq(alice.damages, 2);
	rig_leave(display, &alice);
}
END_TEST

START_TEST(a_window_that_dies_in_a_frame_holds_up_nobody)
{
	show();
	alice.lazy = true;
	rig_look(display, &alice, 1);
	rig_look(display, &bob, 1);
	rig_advance(20);
	damage(0, 0, 5, 5);
	rig_advance(1);
	bob.damages = 0;
	rig_leave(display, &alice);
	rig_advance(20);
	ck_assert_uint_eq(bob.damages, 1);
	rig_leave(display, &bob);
}
END_TEST

START_TEST(a_viewer_that_is_stuck_costs_nothing_and_catches_up)
{
	struct rig_guest other = { .width = 400, .height = 300, .seed = 7 };

	show();
	rig_look(display, &alice, 1);
	rig_look(display, &bob, 1);
	rig_advance(20);
	bob.stuck = true;
	alice.damages = bob.damages = 0;
	for (unsigned int i = 0; i < 10; i++) {
		damage(0, i, 5, 5);
		rig_advance(17);
	}
	ck_assert_uint_eq(alice.damages, 10); /* not held up */
	ck_assert_int_eq(rig_show(display, 0, DISPLAY_LAYER_GPU, &other), 0);
	rig_advance(20);
	ck_assert(rig_sees(&alice, &other));
	ck_assert_uint_eq(bob.damages, 0);
	bob.stuck = false;
	bob.lazy = true;
	display_viewer_ready(display, &bob.viewer);
	ck_assert_uint_eq(bob.frames, 2);
	ck_assert_uint_eq(bob.damaged, 400 * 300);
	ck_assert(rig_sees(&bob, &other));
	/* Those pixels stay until it has shown them, too. */
	damage(0, 0, 5, 5);
	rig_advance(50);
	ck_assert_uint_eq(bob.damages, 1);
	display_shown(display, &bob.viewer, 0, bob.serial);
	rig_advance(1);
	ck_assert_uint_eq(bob.damages, 2);
	rig_leave(display, &alice);
	rig_leave(display, &bob);
}
END_TEST

START_TEST(modes_get_memory_of_their_own)
{
	struct rig_guest old = guest, larger = { .width = 1001, .height = 701, .seed = 3 };
	struct rig_viewer before;

	show();
	rig_look(display, &alice, 1);
	rig_advance(20);
	before = alice;
	before.view.fd = dup(alice.view.fd);
	old = guest;
	ck_assert_int_eq(rig_show(display, 0, DISPLAY_LAYER_GPU, &larger), 0);
	rig_advance(20);
	ck_assert_uint_eq(alice.frames, 2);
	ck_assert(rig_sees(&alice, &larger));
	/* Who still has the old one mapped reads what was there. */
	ck_assert(rig_sees(&before, &old));
	close(before.view.fd);
	/* A flip: other memory of the guest's, the same size. */
	larger.seed++;
	ck_assert_int_eq(rig_show(display, 0, DISPLAY_LAYER_GPU, &larger), 0);
	rig_advance(20);
	ck_assert_uint_eq(alice.frames, 2);
	ck_assert(rig_sees(&alice, &larger));
	ck_assert_uint_eq(state_of(0).mode_sets, 2);
	rig_leave(display, &alice);
}
END_TEST

START_TEST(nobody_can_shrink_or_write_the_memory)
{
	void *map;

	show();
	rig_look(display, &alice, 1);
	rig_advance(1);
	ck_assert_int_ne(ftruncate(alice.view.fd, 0), 0);
	ck_assert_int_ne(ftruncate(alice.view.fd, 1 << 30), 0);
	ck_assert_int_ne(fcntl(alice.view.fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, alice.view.fd, 0);
	ck_assert_ptr_eq(map, MAP_FAILED);
	rig_leave(display, &alice);
}
END_TEST

START_TEST(a_moment_without_a_picture_is_not_seen)
{
	show();
	rig_look(display, &alice, 1);
	rig_advance(20);
	ck_assert_int_eq(display_set_picture(display, 0, DISPLAY_LAYER_GPU, NULL), 0);
	ck_assert_int_eq(state_of(0).source, LODGE_DISPLAY_NONE);
	rig_advance(40);
	ck_assert_uint_eq(alice.frames, 1);
	show();
	rig_advance(20);
	ck_assert_uint_eq(alice.frames, 1);
	ck_assert_int_eq(display_set_picture(display, 0, DISPLAY_LAYER_GPU, NULL), 0);
	rig_advance(60);
	ck_assert_uint_eq(alice.frames, 2);
	ck_assert_int_eq(alice.view.fd, -1);
	ck_assert_uint_eq(alice.view.width, 0);
	ck_assert(!rig_timer_on());
	/* And who comes now is told, too. */
	rig_look(display, &bob, 1);
	rig_advance(20);
	ck_assert_uint_eq(bob.frames, 1);
	ck_assert_int_eq(bob.view.source, LODGE_DISPLAY_NONE);
	ck_assert_uint_eq(bob.damages, 0);
	rig_leave(display, &alice);
	rig_leave(display, &bob);
}
END_TEST

START_TEST(the_highest_layer_is_seen)
{
	struct rig_guest vga = { .width = 720, .height = 400, .seed = 9 };

	rig_look(display, &alice, 1);
	ck_assert_int_eq(rig_show(display, 0, DISPLAY_LAYER_VGA, &vga), 0);
	rig_advance(20);
	ck_assert(rig_sees(&alice, &vga));
	show();
	rig_advance(20);
	ck_assert(rig_sees(&alice, &guest));
	/* What is below may change as it likes. */
	vga.width = 640;
	vga.stride = 0;
	alice.frames = alice.damages = 0;
	ck_assert_int_eq(rig_show(display, 0, DISPLAY_LAYER_VGA, &vga), 0);
	display_damage(display, 0, DISPLAY_LAYER_VGA, &(struct display_rect){ 0, 0, 9, 9 });
	rig_advance(20);
	ck_assert_uint_eq(alice.frames + alice.damages, 0);
	/* Off, while its driver is there, is off. */
	ck_assert_int_eq(display_set_picture(display, 0, DISPLAY_LAYER_GPU, NULL), 0);
	rig_advance(60);
	ck_assert_uint_eq(alice.view.width, 0);
	display_release_layer(display, DISPLAY_LAYER_GPU);
	rig_advance(60);
	ck_assert(rig_sees(&alice, &vga));
	rig_leave(display, &alice);
}
END_TEST

static void find_damage(struct rig_guest *vga)
{
	if (vga->refreshes % 2)
		display_damage(display, 0, DISPLAY_LAYER_VGA, &(struct display_rect){ 0, 0, 9, 9 });
}

static void find_mode(struct rig_guest *vga)
{
	vga->width = 320 + vga->refreshes * 7 % 300;
	vga->height = 200 + vga->refreshes * 3 % 200;
	vga->stride = 0;
	ck_assert_int_eq(rig_show(display, 0, DISPLAY_LAYER_VGA, vga), 0);
	display_damage(display, 0, DISPLAY_LAYER_VGA, &(struct display_rect){ 0, 0, 9999, 9999 });
}

START_TEST(a_source_is_asked_for_damage_only_while_somebody_looks)
{
	struct rig_guest vga = { .width = 640, .height = 400, .on_refresh = find_damage };

	ck_assert_int_eq(rig_show(display, 0, DISPLAY_LAYER_VGA, &vga), 0);
	rig_advance(1000);
	ck_assert_uint_eq(vga.refreshes, 0);
	rig_look(display, &alice, 1);
	rig_advance(1000);
	ck_assert_uint_ge(vga.refreshes, 58);
	ck_assert_uint_le(vga.refreshes, 61);
	ck_assert_uint_ge(alice.damages, 28);
	/* One that finds another mode each time. */
	vga.on_refresh = find_mode;
	alice.frames = 0;
	rig_advance(1000);
	ck_assert_uint_ge(alice.frames, 20);
	vga.on_refresh = find_damage;
	rig_advance(40);
	ck_assert(rig_sees(&alice, &vga));
	rig_leave(display, &alice);
	ck_assert(!rig_timer_on());
}
END_TEST

START_TEST(memory_that_cannot_be_read_is_black)
{
	show();
	rig_look(display, &alice, 1);
	rig_advance(20);
	guest.fails = true;
	damage(0, 0, 641, 479);
	rig_advance(20);
	ck_assert(rig_sees(&alice, &guest));
	rig_leave(display, &alice);
}
END_TEST

/* T45 */
START_TEST(pictures_of_no_size_are_refused)
{
	static const struct {
		uint32_t width, height;
	} sizes[] = {
		{ 0, 0 },	  { 0, 0x600 },	    { 65535, 65535 }, { UINT32_MAX, 1 },
		{ 46341, 46341 }, { 16384, 16384 }, { 16385, 1 },
	};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct rig_guest bad = { .width = sizes[i].width, .height = sizes[i].height };

		bad.stride = 4;
		ck_assert_int_eq(rig_show(display, 0, DISPLAY_LAYER_GPU, &bad), -EINVAL);
	}
	ck_assert_int_eq(rig_show(display, 2, DISPLAY_LAYER_GPU, &guest), -EINVAL);
	ck_assert_int_eq(rig_show(display, 0, DISPLAY_LAYERS, &guest), -EINVAL);
	guest = (struct rig_guest){ .width = 1, .height = 1 };
	show();
	rig_look(display, &alice, 1);
	rig_advance(1);
	ck_assert(rig_sees(&alice, &guest));
	rig_leave(display, &alice);
}
END_TEST

static unsigned int dones;

static void done(void *opaque)
{
	(void)opaque;
	dones++;
}

static void done_again(void *opaque)
{
	dones++;
	ck_assert_int_eq(display_when_shown(display, 0, done_again, opaque), 0);
}

START_TEST(flips_keep_the_pace_of_who_looks)
{
	show();
	dones = 0;
	/* Nobody looks: 60 a second. */
	ck_assert_int_eq(display_when_shown(display, 0, done_again, &guest), 0);
	ck_assert_uint_eq(dones, 0);
	rig_advance(1000);
	ck_assert_uint_ge(dones, 58);
	ck_assert_uint_le(dones, 61);
	display_forget(display, &guest);
	dones = 0;
	rig_advance(100);
	ck_assert_uint_eq(dones, 0);
	ck_assert(!rig_timer_on());

	/* Somebody looks: when it has shown what is damaged, and not when it never does. */
	rig_look(display, &alice, 1);
	rig_advance(50);
	alice.lazy = true;
	damage(0, 0, 9, 9);
	ck_assert_int_eq(display_when_shown(display, 0, done, NULL), 0);
	rig_advance(50);
	ck_assert_uint_eq(dones, 0);
	display_shown(display, &alice.viewer, 0, alice.serial);
	rig_advance(1);
	ck_assert_uint_eq(dones, 1);
	damage(0, 0, 9, 9);
	ck_assert_int_eq(display_when_shown(display, 0, done, NULL), 0);
	rig_advance(LODGE_DISPLAY_SHOWN_MS + 1);
	ck_assert_uint_eq(dones, 2);
	/* One that is gone is not waited for. */
	damage(0, 0, 9, 9);
	ck_assert_int_eq(display_when_shown(display, 0, done, NULL), 0);
	rig_leave(display, &alice);
	rig_advance(20);
	ck_assert_uint_eq(dones, 3);
}
END_TEST

START_TEST(not_all_may_wait)
{
	unsigned int taken = 0;

	show();
	dones = 0;
	while (!display_when_shown(display, 0, done, NULL))
		ck_assert_uint_le(++taken, 1000);
	ck_assert_int_eq(display_when_shown(display, 0, done, NULL), -EAGAIN);
	ck_assert_int_eq(display_when_shown(display, 9, done, NULL), -EINVAL);
	rig_advance(20);
	ck_assert_uint_eq(dones, taken);
	ck_assert_int_eq(display_when_shown(display, 0, done, NULL), 0);
	display_forget(display, NULL);
}
END_TEST

/* T46 */
START_TEST(cursors_of_any_kind)
{
	static uint32_t argb[LODGE_DISPLAY_CURSOR_MAX * LODGE_DISPLAY_CURSOR_MAX];

	show();
	rig_look(display, &alice, 1);
	rig_advance(50);
	ck_assert_int_eq(display_set_cursor(display, 0, 1, 65535, 0, 0, argb), -EINVAL);
	ck_assert_int_eq(display_set_cursor(display, 0, 65, 64, 0, 0, argb), -EINVAL);
	ck_assert_int_eq(display_set_cursor(display, 0, 0, 64, 0, 0, argb), -EINVAL);
	ck_assert_int_eq(display_set_cursor(display, 0, 64, 64, 64, 0, argb), -EINVAL);
	ck_assert_int_eq(display_set_cursor(display, 0, 64, 64, 0, 0, NULL), -EINVAL);
	ck_assert_int_eq(display_set_cursor(display, 2, 64, 64, 0, 0, argb), -EINVAL);
	alice.cursors = alice.moves = 0;
	for (unsigned int i = 0; i < 1000000; i++) {
		if (i % 1000 == 0) {
			ck_assert_int_eq(display_set_cursor(display, 0, 64, 64, 3, 4, argb), 0);
			rig_advance(1);
		}
		display_move_cursor(display, 0, i, 2 * i);
	}
	rig_advance(20);
	ck_assert_uint_le(alice.cursors, 64);
	ck_assert_uint_le(alice.moves, 64);
	ck_assert_uint_eq(alice.cursor_x, 999999);
	ck_assert_uint_eq(alice.cursor.hot_y, 4);
	ck_assert_int_eq(display_set_cursor(display, 0, 0, 0, 0, 0, NULL), 0);
	rig_advance(20);
	ck_assert_uint_eq(alice.cursor.width, 0);
	rig_leave(display, &alice);
}
END_TEST

START_TEST(a_shot_is_of_now_with_the_cursor_in_it)
{
	const uint32_t argb[4] = { 0xff112233, 0x80400000, 0x00000000, 0xffffffff };
	struct display_shot shot;
	uint32_t below;

	ck_assert_int_eq(display_shoot(display, 0, &shot), -ENODATA);
	ck_assert_int_eq(display_shoot(display, 2, &shot), -ENOENT);
	show();
	ck_assert_int_eq(display_set_cursor(display, 0, 2, 2, 1, 1, argb), 0);
	display_move_cursor(display, 0, 10, 20);
	ck_assert_int_eq(display_shoot(display, 0, &shot), 0);
	ck_assert_uint_eq(shot.width, 641);
	ck_assert_uint_eq(shot.pixels[0], rig_pixel(1, 0, 0));
	ck_assert_uint_eq(shot.pixels[20 * 641 + 10], 0x112233);
	ck_assert_uint_eq(shot.pixels[21 * 641 + 10], rig_pixel(1, 10, 21));
	ck_assert_uint_eq(shot.pixels[21 * 641 + 11], 0xffffff);
	below = rig_pixel(1, 11, 20);
	ck_assert_uint_eq(shot.pixels[20 * 641 + 11] & 255, ((below & 255) * 127 + 127) / 255);
	free(shot.pixels);
	/* It may hang out, on each side. */
	display_move_cursor(display, 0, (uint32_t)-1, (uint32_t)-1);
	ck_assert_int_eq(display_shoot(display, 0, &shot), 0);
	ck_assert_uint_eq(shot.pixels[0], 0xffffff);
	free(shot.pixels);
	display_move_cursor(display, 0, 640, 478);
	ck_assert_int_eq(display_shoot(display, 0, &shot), 0);
	ck_assert_uint_eq(shot.pixels[478 * 641 + 640], 0x112233);
	free(shot.pixels);
	ck_assert(!rig_timer_on());
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("display_frames");
	TCase *frames = tcase_create("frames"), *rest = tcase_create("rest");

	tcase_add_checked_fixture(frames, set_up, tear_down);
	tcase_add_test(frames, nobody_looks_and_nothing_runs);
	tcase_add_test(frames, who_comes_sees_all_of_it_and_then_what_changes);
	tcase_add_test(frames, damage_of_any_kind_is_bounded);
	tcase_add_test(frames, rectangles_do_not_overlap_and_cover_what_was_damaged);
	tcase_add_test(frames, frames_keep_the_pace);
	tcase_add_test(frames, a_window_that_dies_in_a_frame_holds_up_nobody);
	tcase_add_test(frames, a_viewer_that_is_stuck_costs_nothing_and_catches_up);
	tcase_set_timeout(frames, 60);
	suite_add_tcase(suite, frames);
	tcase_add_checked_fixture(rest, set_up, tear_down);
	tcase_add_test(rest, modes_get_memory_of_their_own);
	tcase_add_test(rest, nobody_can_shrink_or_write_the_memory);
	tcase_add_test(rest, a_moment_without_a_picture_is_not_seen);
	tcase_add_test(rest, the_highest_layer_is_seen);
	tcase_add_test(rest, a_source_is_asked_for_damage_only_while_somebody_looks);
	tcase_add_test(rest, memory_that_cannot_be_read_is_black);
	tcase_add_test(rest, pictures_of_no_size_are_refused);
	tcase_add_test(rest, flips_keep_the_pace_of_who_looks);
	tcase_add_test(rest, not_all_may_wait);
	tcase_add_test(rest, cursors_of_any_kind);
	tcase_add_test(rest, a_shot_is_of_now_with_the_cursor_in_it);
	tcase_set_timeout(rest, 60);
	suite_add_tcase(suite, rest);
	return unit_run(suite);
}
