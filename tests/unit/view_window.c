// SPDX-License-Identifier: GPL-2.0-or-later
// lodge-view: what its windows show, what they ask for, and what hands do in them.
#include <check.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>
#include <xcb/xfixes.h>

#include "host-vmm/display/server.h"
#include "protocol/lib/fd.h"
#include "tests/unit/unit.h"
#include "tests/unit/view_rig.h"

static struct view_rig rig;
static pid_t view;

static void setup(void)
{
	view_create(&rig, 2, true);
	view = 0;
}

static void setup_relative(void)
{
	view_create(&rig, 1, false);
	view = 0;
}

static void end_view(void)
{
	if (view > 0) {
		kill(view, SIGKILL);
		(void)view_wait(view);
	}
	view = 0;
}

static void teardown(void)
{
	end_view();
	view_destroy(&rig);
}

static xcb_window_t start_with(enum lodge_display_source source, uint32_t width, uint32_t height)
{
	xcb_window_t window;

	view_show(&rig, 0, source, width, height, 1);
	view = view_spawn(&rig, NULL);
	window = view_find(&rig, "card");
	view_wait_size(&rig, window, width, height);
	view_wait_picture(&rig, window, 0, 0, 0, 1);
	return window;
}

static struct display_want want_of(unsigned int head)
{
	struct display_head_state state;

	ck_assert_int_eq(display_state(rig.display, head, &state), 0);
	return state.want;
}

static uint64_t copied(void)
{
	struct display_head_state state;

	ck_assert_int_eq(display_state(rig.display, 0, &state), 0);
	return state.copied_bytes;
}

/* ---- pictures ---- */

START_TEST(pictures_are_exact)
{
	xcb_window_t window = start_with(LODGE_DISPLAY_GPU, 801, 603);
	uint64_t before = copied();

	view_paint(&rig, 0, &(struct display_rect){ 101, 53, 77, 31 }, 2);
	view_wait_picture(&rig, window, 0, 0, 0, 1);
	/* Each damaged pixel once. */
	ck_assert_uint_eq(copied() - before, 77 * 31 * 4);
	for (uint32_t i = 0; i < 40; i++)
		view_paint(&rig, 0, &(struct display_rect){ 17 * i, 11 * i, 60, 40 }, 3 + i);
	view_wait_picture(&rig, window, 0, 0, 0, 1);
}
END_TEST

START_TEST(the_window_takes_the_size_of_what_it_shows)
{
	static const uint32_t sizes[][2] = { { 720, 400 }, { 640, 480 }, { 1024, 768 } };
	xcb_window_t window = start_with(LODGE_DISPLAY_TEXT, 720, 400);

	for (uint32_t i = 0; i < 3; i++) {
		view_show(&rig, 0, LODGE_DISPLAY_VGA, sizes[i][0], sizes[i][1], 10 + i);
		view_wait_size(&rig, window, sizes[i][0], sizes[i][1]);
		view_wait_picture(&rig, window, 0, 0, 0, 1);
	}
}
END_TEST

/* As a guest that follows does. */
START_TEST(the_guest_is_asked_for_the_windows_size)
{
	xcb_window_t window = start_with(LODGE_DISPLAY_GPU, 800, 600);

	for (uint32_t i = 0; i < 30; i++) {
		uint32_t width = 321 + 37 * i, height = 201 + 29 * i;

		view_set_size(&rig, window, width, height);
		view_wait_for(want_of(0).width == width && want_of(0).height == height);
		view_show(&rig, 0, LODGE_DISPLAY_GPU, width, height, 100 + i);
		view_wait_picture(&rig, window, 0, 0, 0, 1);
	}
}
END_TEST

START_TEST(what_does_not_follow_is_scaled)
{
	xcb_window_t window = start_with(LODGE_DISPLAY_VGA, 640, 400);

	view_set_size(&rig, window, 1280, 1000);
	view_wait_picture(&rig, window, 0, 0, 100, 2);
	view_paint(&rig, 0, &(struct display_rect){ 0, 0, 33, 1 }, 7);
	view_paint(&rig, 0, &(struct display_rect){ 630, 390, 10, 10 }, 7);
	view_wait_picture(&rig, window, 0, 0, 100, 2);
	(void)view_find(&rig, "card (1): scaled");
	/* A guest that could follow is waited for, and scaled when it does not. */
	view_show(&rig, 0, LODGE_DISPLAY_GPU, 640, 500, 8);
	view_wait_picture(&rig, window, 0, 0, 0, 1);
	view_wait_picture(&rig, window, 0, 0, 0, 2);
}
END_TEST

/* For a moment, by another window: X keeps nothing of what is below. */
static void cover_a_part(void)
{
	xcb_window_t cover = xcb_generate_id(rig.x);

	xcb_create_window(rig.x, XCB_COPY_FROM_PARENT, cover, rig.root->root, 100, 50, 333, 222, 0,
			  XCB_WINDOW_CLASS_INPUT_OUTPUT, XCB_COPY_FROM_PARENT, XCB_CW_BACK_PIXEL,
			  &rig.root->white_pixel);
	xcb_map_window(rig.x, cover);
	xcb_destroy_window(rig.x, cover);
}

START_TEST(what_was_covered_is_drawn_again)
{
	xcb_window_t window = start_with(LODGE_DISPLAY_VGA, 640, 400);

	cover_a_part();
	view_wait_picture(&rig, window, 0, 0, 0, 1);
	view_set_size(&rig, window, 1280, 1000);
	view_wait_picture(&rig, window, 0, 0, 100, 2);
	cover_a_part();
	view_wait_picture(&rig, window, 0, 0, 100, 2);
}
END_TEST

START_TEST(a_head_that_goes_off_is_black)
{
	xcb_window_t window;

	(void)start_with(LODGE_DISPLAY_GPU, 640, 480);
	view_show(&rig, 1, LODGE_DISPLAY_GPU, 400, 300, 5);
	window = view_find(&rig, "card (2)");
	view_wait_picture(&rig, window, 1, 0, 0, 1);
	view_show(&rig, 1, LODGE_DISPLAY_NONE, 0, 0, 0);
	ck_assert_uint_eq(view_find(&rig, "card (2): no picture"), window);
	view_wait_picture(&rig, window, 1, 0, 0, 1);
}
END_TEST

START_TEST(the_cursor_is_the_guests)
{
	static uint32_t argb[32 * 32];
	xcb_window_t window = start_with(LODGE_DISPLAY_GPU, 640, 480);
	xcb_xfixes_get_cursor_image_reply_t *reply = NULL;
	bool same = false;

	for (uint32_t i = 0; i < 32 * 32; i++)
		argb[i] = i % 3 == 0 ? 0 : 0xff000000 | view_card(9, i, i);
	free(xcb_xfixes_query_version_reply(rig.x, xcb_xfixes_query_version(rig.x, 4, 0), NULL));
	view_point(&rig, window, 100, 100);
	display_set_cursor(rig.display, 0, 32, 32, 3, 5, argb);
	for (int tries = 0; !same; tries++) {
		ck_assert_msg(tries < 2000, "the cursor does not come");
		(void)poll(NULL, 0, 5);
		free(reply);
		reply = xcb_xfixes_get_cursor_image_reply(rig.x, xcb_xfixes_get_cursor_image(rig.x),
							  NULL);
		ck_assert_ptr_nonnull(reply);
		same = reply->width == 32 && reply->height == 32 && reply->xhot == 3 &&
		       reply->yhot == 5 &&
		       memcmp(xcb_xfixes_get_cursor_image_cursor_image(reply), argb,
			      sizeof(argb)) == 0;
	}
	free(reply);
}
END_TEST

/* Pixels are sent; a picture that does not follow stays as it is, in the corner. */
START_TEST(a_server_far_away)
{
	xcb_window_t window = start_with(LODGE_DISPLAY_VGA, 801, 603);

	view_paint(&rig, 0, &(struct display_rect){ 700, 501, 99, 77 }, 2);
	view_wait_picture(&rig, window, 0, 0, 0, 1);
	view_set_size(&rig, window, 1000, 800);
	view_wait_size(&rig, window, 1000, 800);
	view_paint(&rig, 0, &(struct display_rect){ 1, 1, 800, 600 }, 3);
	view_wait_picture(&rig, window, 0, 0, 0, 1);
}
END_TEST

/* ---- coming and going ---- */

START_TEST(two_views_and_one_that_dies)
{
	xcb_window_t first = start_with(LODGE_DISPLAY_GPU, 800, 600), second;
	pid_t other;

	xcb_unmap_window(rig.x, first);
	xcb_flush(rig.x);
	other = view_spawn(&rig, NULL);
	second = view_find(&rig, "card");
	ck_assert_uint_ne(first, second);
	view_wait_size(&rig, second, 800, 600);
	xcb_map_window(rig.x, first);
	xcb_flush(rig.x);
	for (uint32_t i = 0; i < 100; i++) {
		view_paint(&rig, 0, &(struct display_rect){ 0, 0, 800, 600 }, 20 + i);
		if (i == 50)
			kill(other, SIGKILL);
	}
	view_wait_picture(&rig, first, 0, 0, 0, 1);
	ck_assert_int_eq(view_wait(other), 128 + SIGKILL);
}
END_TEST

static void ask_to_close(xcb_window_t window)
{
	const xcb_client_message_event_t message = {
		.response_type = XCB_CLIENT_MESSAGE,
		.format = 32,
		.window = window,
		.type = view_atom(&rig, "WM_PROTOCOLS"),
		.data.data32 = { view_atom(&rig, "WM_DELETE_WINDOW") },
	};

	xcb_send_event(rig.x, 0, window, 0, (const char *)&message);
	xcb_flush(rig.x);
}

START_TEST(a_second_head_is_switched_on_and_off)
{
	xcb_window_t window;

	ck_assert_int_eq(display_resize(rig.display, 1, 0, 0, 0, 0), 0);
	view_wait_for(!want_of(1).enabled);
	view_show(&rig, 0, LODGE_DISPLAY_GPU, 640, 480, 1);
	view = view_spawn(&rig, "3");
	window = view_find(&rig, "card (2): no picture");
	view_wait_for(want_of(1).enabled);
	view_show(&rig, 1, LODGE_DISPLAY_GPU, want_of(1).width, want_of(1).height, 4);
	view_wait_picture(&rig, window, 1, 0, 0, 1);
	ask_to_close(window);
	view_wait_for(!want_of(1).enabled);
	window = view_find(&rig, "card (1)");
	ask_to_close(window);
	ck_assert_int_eq(view_wait(view), EX_OK);
	view = 0;
	ck_assert(want_of(0).enabled);
}
END_TEST

START_TEST(the_vm_goes_on_without_x)
{
	(void)start_with(LODGE_DISPLAY_GPU, 640, 480);
	view_stop_x();
	ck_assert_int_eq(view_wait(view), EX_UNAVAILABLE);
	view = 0;
	view_paint(&rig, 0, &(struct display_rect){ 0, 0, 640, 480 }, 9);
	view = view_spawn(&rig, NULL);
	ck_assert_int_eq(view_wait(view), EX_UNAVAILABLE);
	view = 0;
	ck_assert(want_of(0).enabled);
}
END_TEST

START_TEST(the_view_ends_with_the_vm)
{
	(void)start_with(LODGE_DISPLAY_GPU, 640, 480);
	display_server_stop(rig.server);
	rig.server = NULL;
	ck_assert_int_eq(view_wait(view), EX_OK);
	view = 0;
}
END_TEST

/* What the next view says on stderr, and how it ends. */
static int end_of_view(char *said, size_t len)
{
	int ends[2], stderr_was = dup(STDERR_FILENO), status;
	ssize_t n;

	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	status = view_wait(view_spawn(&rig, NULL));
	dup2(stderr_was, STDERR_FILENO);
	close(stderr_was);
	close(ends[1]);
	n = read(ends[0], said, len - 1);
	close(ends[0]);
	said[n > 0 ? n : 0] = 0;
	return status;
}

START_TEST(one_too_many_says_so)
{
	int others[DISPLAY_WINDOWS_MAX];
	char said[512];

	for (int i = 0; i < DISPLAY_WINDOWS_MAX; i++) {
		others[i] = unix_connect(rig.socket);
		ck_assert_int_ge(others[i], 0);
	}
	ck_assert_int_eq(end_of_view(said, sizeof(said)), EX_UNAVAILABLE);
	ck_assert_msg(strstr(said, rig.socket) && strstr(said, "windows"), "said '%s'", said);
	for (int i = 0; i < DISPLAY_WINDOWS_MAX; i++)
		close(others[i]);
}
END_TEST

/* A monitor that somebody has taken over, in a process of its own: it ends when it has spoken. */
static void speak_falsely(int listener)
{
	const struct {
		struct lodge_display_header header;
		struct lodge_display_hello body;
	} hello = { { sizeof(hello.body), LODGE_DISPLAY_HELLO, 0 }, { 1, 1, 1 << 20, "false" } };
	const struct {
		struct lodge_display_header header;
		struct lodge_display_frame body;
	} frame = { { sizeof(frame.body), LODGE_DISPLAY_FRAME, 0 },
		    { 640, 480, 640 * 4, LODGE_DISPLAY_GPU, 0, 0 } };
	int window = accept(listener, NULL, NULL), memory = memfd_create("open", MFD_CLOEXEC);

	if (ftruncate(memory, 640 * 480 * 4) || fd_send(window, &hello, sizeof(hello), NULL, 0))
		_exit(1);
	_exit(fd_send(window, &frame, sizeof(frame), &memory, 1) != 0);
}

/* Memory without a seal may shrink, which X or the view might not survive. */
START_TEST(memory_that_may_shrink_is_not_shown)
{
	const int listener = unix_listen(strcat(rig.socket, ".2"), 1);
	const pid_t monitor = fork();
	char said[512];

	if (monitor == 0)
		speak_falsely(listener);
	ck_assert_int_eq(end_of_view(said, sizeof(said)), EX_OK);
	ck_assert_int_eq(view_wait(monitor), 0);
	ck_assert_msg(strstr(said, "screen 1: its memory cannot be mapped"), "said '%s'", said);
	unlink(rig.socket);
	close(listener);
}
END_TEST

START_TEST(closing_is_a_good_end)
{
	xcb_window_t window = start_with(LODGE_DISPLAY_GPU, 640, 480);

	view_focus(&rig, window);
	view_key(&rig, KEY_RIGHTCTRL, true);
	view_key(&rig, KEY_Q, true);
	ck_assert_int_eq(view_wait(view), EX_OK);
	view_key(&rig, KEY_Q, false);
	view_key(&rig, KEY_RIGHTCTRL, false);
	view = 0;
	ck_assert_uint_eq(view_n_down(&rig), 0);
}
END_TEST

static unsigned long switches_of(pid_t pid)
{
	char path[64], line[128];
	unsigned long count = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "r");
	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "voluntary_ctxt_switches: %lu", &count) == 1)
			break;
	fclose(file);
	return count;
}

START_TEST(nothing_runs_while_nothing_changes)
{
	unsigned long before, now;

	(void)start_with(LODGE_DISPLAY_GPU, 640, 480);
	/* It settles first: the last answers of X are taken. */
	before = switches_of(view);
	for (int tries = 0; tries < 100; tries++) {
		(void)poll(NULL, 0, 20);
		now = switches_of(view);
		if (now == before)
			break;
		before = now;
	}
	(void)poll(NULL, 0, 1500);
	ck_assert_uint_eq(switches_of(view), before);
}
END_TEST

/* ---- hands ---- */

START_TEST(every_key_arrives_once)
{
	xcb_window_t window = start_with(LODGE_DISPLAY_GPU, 640, 480);

	view_focus(&rig, window);
	for (uint16_t code = KEY_ESC; code <= KEY_COMPOSE; code++) {
		if (code == KEY_RIGHTCTRL)
			continue;
		view_key(&rig, code, true);
		view_key(&rig, code, false);
	}
	view_wait_for(rig.events.ups[KEY_COMPOSE] == 1);
	for (uint16_t code = KEY_ESC; code <= KEY_COMPOSE; code++) {
		ck_assert_msg(rig.events.downs[code] == (code != KEY_RIGHTCTRL) &&
				      rig.events.ups[code] == (code != KEY_RIGHTCTRL),
			      "key %u: %u times down, %u times up", code, rig.events.downs[code],
			      rig.events.ups[code]);
	}
	ck_assert_uint_eq(view_n_down(&rig), 0);
}
END_TEST

START_TEST(a_thousand_focus_flips_leave_nothing_down)
{
	xcb_window_t window = start_with(LODGE_DISPLAY_GPU, 640, 480);
	static const uint16_t modifiers[] = { KEY_LEFTSHIFT, KEY_LEFTCTRL, KEY_LEFTALT,
					      KEY_LEFTMETA };

	for (unsigned int i = 0; i < 1000; i++) {
		uint16_t code = modifiers[i % 4];

		view_focus(&rig, window);
		view_key(&rig, code, true);
		view_wait_for(rig.events.downs[code] == i / 4 + 1);
		view_focus(&rig, rig.root->root);
		view_wait_for(view_n_down(&rig) == 0);
		view_key(&rig, code, false);
	}
}
END_TEST

START_TEST(the_host_key_is_kept)
{
	xcb_window_t window = start_with(LODGE_DISPLAY_GPU, 640, 480);

	view_focus(&rig, window);
	view_key(&rig, KEY_RIGHTCTRL, true);
	view_key(&rig, KEY_D, true);
	view_key(&rig, KEY_D, false);
	view_key(&rig, KEY_RIGHTCTRL, false);
	view_wait_for(rig.events.ups[KEY_LEFTCTRL] == 1);
	ck_assert_uint_eq(rig.events.downs[KEY_DELETE], 1);
	ck_assert_uint_eq(rig.events.downs[KEY_LEFTALT], 1);
	/* Alone it grabs, and lets go. */
	view_key(&rig, KEY_RIGHTCTRL, true);
	view_key(&rig, KEY_RIGHTCTRL, false);
	(void)view_find(&rig, "card (1): keyboard grabbed");
	view_key(&rig, KEY_A, true);
	view_wait_for(rig.events.downs[KEY_A] == 1);
	view_key(&rig, KEY_RIGHTCTRL, true);
	view_key(&rig, KEY_RIGHTCTRL, false);
	view_wait_for(view_n_down(&rig) == 0);
	view_key(&rig, KEY_A, false);
	ck_assert_uint_eq(rig.events.downs[KEY_RIGHTCTRL], 0);
}
END_TEST

START_TEST(the_pointer_is_on_the_same_pixel)
{
	xcb_window_t window = start_with(LODGE_DISPLAY_GPU, 640, 480);
	static const uint16_t codes[] = { BTN_LEFT, BTN_MIDDLE, BTN_RIGHT, BTN_SIDE, BTN_EXTRA };
	static const uint8_t buttons[] = { 1, 2, 3, 8, 9 };

	for (int i = 1; i < 40; i++) {
		view_point(&rig, window, 16 * i, 12 * i - 1);
		view_wait_for(rig.events.x * 640 / 32768 == 16 * i &&
			      rig.events.y * 480 / 32768 == 12 * i - 1);
	}
	for (int i = 0; i < 5; i++) {
		view_button(&rig, buttons[i], true);
		view_button(&rig, buttons[i], false);
		view_wait_for(rig.events.ups[codes[i]] == 1 && rig.events.downs[codes[i]] == 1);
	}
	for (uint8_t button = 4; button <= 7; button++) {
		for (int i = 0; i < button; i++) {
			view_button(&rig, button, true);
			view_button(&rig, button, false);
		}
	}
	view_wait_for(rig.events.wheel_y == 4 * 120 - 5 * 120);
	view_wait_for(rig.events.wheel_x == 7 * 120 - 6 * 120);
}
END_TEST

START_TEST(a_mouse_is_grabbed_by_a_click)
{
	xcb_window_t window = start_with(LODGE_DISPLAY_VGA, 640, 480);

	view_focus(&rig, window);
	view_point(&rig, window, 320, 240);
	view_button(&rig, 1, true);
	view_button(&rig, 1, false);
	(void)view_find(&rig, "card: keyboard grabbed");
	view_move(&rig, 7, -5);
	view_wait_for(rig.events.dx == 7 && rig.events.dy == -5);
	/* Beyond the edges of the host's screen. */
	for (int i = 0; i < 20; i++)
		view_move(&rig, -100, 0);
	view_wait_for(rig.events.dx == 7 - 2000);
	view_button(&rig, 3, true);
	view_button(&rig, 3, false);
	view_wait_for(rig.events.ups[BTN_RIGHT] == 1);
	ck_assert_uint_eq(rig.events.downs[BTN_LEFT], 0);
	view_key(&rig, KEY_RIGHTCTRL, true);
	view_key(&rig, KEY_RIGHTCTRL, false);
	view_wait_for(view_n_down(&rig) == 0);
}
END_TEST

static void add(Suite *suite, const char *name, void (*start)(void), void (*set)(void),
		const TTest *const *tests, size_t n)
{
	TCase *tcase = tcase_create(name);

	tcase_set_timeout(tcase, 60);
	tcase_add_unchecked_fixture(tcase, start, view_stop_x);
	tcase_add_checked_fixture(tcase, set, teardown);
	for (size_t i = 0; i < n; i++)
		tcase_add_test(tcase, tests[i]);
	suite_add_tcase(suite, tcase);
}

int main(int argc, char **argv)
{
	const TTest *const pictures[] = {
		pictures_are_exact,
		the_window_takes_the_size_of_what_it_shows,
		the_guest_is_asked_for_the_windows_size,
		what_does_not_follow_is_scaled,
		what_was_covered_is_drawn_again,
		a_head_that_goes_off_is_black,
		the_cursor_is_the_guests,
		two_views_and_one_that_dies,
		the_view_ends_with_the_vm,
		a_second_head_is_switched_on_and_off,
		one_too_many_says_so,
		memory_that_may_shrink_is_not_shown,
		closing_is_a_good_end,
		nothing_runs_while_nothing_changes,
	};
	const TTest *const hands[] = {
		every_key_arrives_once,
		a_thousand_focus_flips_leave_nothing_down,
		the_host_key_is_kept,
		the_pointer_is_on_the_same_pixel,
	};
	const TTest *const others[] = { a_mouse_is_grabbed_by_a_click, the_vm_goes_on_without_x,
					a_server_far_away };
	Suite *suite;
	int status;

	if (view_is_child(argc, argv, &status))
		return status;
	suite = suite_create("view_window");
	add(suite, "pictures", view_start_x, setup, pictures,
	    sizeof(pictures) / sizeof(pictures[0]));
	add(suite, "hands", view_start_x, setup, hands, sizeof(hands) / sizeof(hands[0]));
	add(suite, "mouse", view_start_x, setup_relative, others, 1);
	add(suite, "gone", view_start_x, setup, others + 1, 1);
	add(suite, "plain", view_start_plain_x, setup, others + 2, 1);
	return unit_run(suite);
}
