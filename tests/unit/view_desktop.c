// SPDX-License-Identifier: GPL-2.0-or-later
// lodge-view and the desktop that it is on: monitors, the window manager's word, video memory that
// is too small, what the host's pointer looks like, screenshots, and what it may still do itself.
#include <check.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sysexits.h>
#include <unistd.h>
#include <xcb/randr.h>
#include <xcb/xcbext.h>
#include <xcb/xfixes.h>

#include "tests/unit/unit.h"
#include "tests/unit/view_rig.h"

#define SMALL (4ull << 20) /* bytes of video memory */

static struct view_rig rig;
static pid_t view;

static void setup(void)
{
	view_create_small(&rig, 1, true, SMALL);
	view = 0;
}

static void teardown(void)
{
	if (view > 0) {
		kill(view, SIGKILL);
		(void)view_wait(view);
	}
	view_destroy(&rig);
}

static xcb_window_t start_as(const char *name, bool confined, enum lodge_display_source source,
			     uint32_t width, uint32_t height)
{
	xcb_window_t window;

	view_show(&rig, 0, source, width, height, 1);
	view = name ? view_spawn_as(&rig, name, confined) : view_spawn(&rig, NULL);
	window = view_find(&rig, "card");
	view_wait_size(&rig, window, width, height);
	view_wait_picture(&rig, window, 0, 0, 0, 1);
	return window;
}

static xcb_window_t start(enum lodge_display_source source, uint32_t width, uint32_t height)
{
	return start_as(NULL, false, source, width, height);
}

static struct display_want wanted(void)
{
	struct display_head_state state;

	ck_assert_int_eq(display_state(rig.display, 0, &state), 0);
	return state.want;
}

/* ---- sizes ---- */

/* Whether the pointer, moved to (@x, @y) of the window, is there in the guest. */
static bool points_at(xcb_window_t window, int x, int y, const struct display_want *want,
		      uint32_t guest_x, uint32_t guest_y)
{
	unsigned int before = rig.events.points;

	view_point(&rig, window, x - 1, y);
	view_point(&rig, window, x, y);
	view_wait_for(rig.events.points > before);
	return (uint32_t)rig.events.x * want->width / 32768 == guest_x &&
	       (uint32_t)rig.events.y * want->height / 32768 == guest_y;
}

START_TEST(more_than_the_memory_holds)
{
	xcb_window_t window = start(LODGE_DISPLAY_GPU, 640, 480);
	struct display_want want;

	view_set_size(&rig, window, 1600, 1000);
	view_wait_for(wanted().width * wanted().height * 4 > SMALL * 99 / 100);
	want = wanted();
	ck_assert_uint_le(want.width * want.height * 4, SMALL);
	/* The aspect, to a pixel. */
	ck_assert_int_le(labs((long)want.width * 1000 - (long)want.height * 1600), 1600);
	(void)view_find(&rig, "card: more than the video memory holds");
	view_show(&rig, 0, LODGE_DISPLAY_GPU, want.width, want.height, 2);
	/* It is scaled at once: the window's last pixel is the guest's. */
	view_wait_for(points_at(window, 1599, 999, &want, want.width - 1, want.height - 1));
	view_set_size(&rig, window, 801, 601);
	view_wait_for(wanted().width == 801 && wanted().height == 601);
	view_show(&rig, 0, LODGE_DISPLAY_GPU, 801, 601, 3);
	view_wait_picture(&rig, window, 0, 0, 0, 1);
	(void)view_find(&rig, "card - Lodge");
}
END_TEST

START_TEST(sizes_keep_to_the_least)
{
	xcb_window_t window = start(LODGE_DISPLAY_GPU, 640, 480);
	xcb_get_property_reply_t *hints;
	const int32_t *words;

	view_set_size(&rig, window, 100, 50);
	view_wait_for(wanted().width == LODGE_DISPLAY_WIDTH_MIN &&
		      wanted().height == LODGE_DISPLAY_HEIGHT_MIN);
	/* ICCCM 4.1.2.3: flags, four of old, then the least size. */
	hints = xcb_get_property_reply(rig.x,
				       xcb_get_property(rig.x, 0, window, XCB_ATOM_WM_NORMAL_HINTS,
							XCB_ATOM_WM_SIZE_HINTS, 0, 18),
				       NULL);
	ck_assert_int_ge(xcb_get_property_value_length(hints), 7 * 4);
	words = xcb_get_property_value(hints);
	ck_assert_int_eq(words[0], 1 << 4);
	ck_assert_int_eq(words[5], LODGE_DISPLAY_WIDTH_MIN);
	ck_assert_int_eq(words[6], LODGE_DISPLAY_HEIGHT_MIN);
	free(hints);
}
END_TEST

START_TEST(a_screen_that_there_is_not)
{
	view = view_spawn(&rig, "2");
	ck_assert_int_eq(view_wait(view), EX_USAGE);
	view = view_spawn(&rig, "3");
	ck_assert_int_eq(view_wait(view), EX_USAGE);
	view = 0;
}
END_TEST

START_TEST(two_views_of_two_sizes)
{
	xcb_window_t first = start(LODGE_DISPLAY_GPU, 400, 300), second;
	pid_t other;

	view_set_size(&rig, first, 800, 600);
	view_wait_for(wanted().width == 800);
	view_show(&rig, 0, LODGE_DISPLAY_GPU, 800, 600, 2);
	view_wait_picture(&rig, first, 0, 0, 0, 1);
	xcb_unmap_window(rig.x, first);
	xcb_flush(rig.x);
	other = view_spawn(&rig, NULL);
	second = view_find(&rig, "card");
	ck_assert_uint_ne(first, second);
	view_wait_size(&rig, second, 800, 600);
	/* The last word counts, and the other window shows all of it in the room that it has. */
	view_set_size(&rig, second, 400, 300);
	view_wait_for(wanted().width == 400);
	view_show(&rig, 0, LODGE_DISPLAY_GPU, 400, 300, 3);
	view_wait_picture(&rig, second, 0, 0, 0, 1);
	xcb_unmap_window(rig.x, second);
	xcb_map_window(rig.x, first);
	xcb_flush(rig.x);
	view_wait_picture(&rig, first, 0, 0, 0, 2);
	kill(other, SIGKILL);
	ck_assert_int_eq(view_wait(other), 128 + SIGKILL);
}
END_TEST

/* ---- monitors ---- */

/* The library's own function sends a length that is wrong. */
static void set_monitor(const char *name, int x, uint32_t width_mm, uint32_t height_mm)
{
	struct {
		uint8_t major, minor;
		uint16_t length; /* both are the library's to set, as is major */
		xcb_window_t root;
		xcb_randr_monitor_info_t info;
	} request = {
		.minor = XCB_RANDR_SET_MONITOR,
		.root = rig.root->root,
		.info = {
			.name = view_atom(&rig, name),
			.x = (int16_t)x,
			.width = 800,
			.height = 1200,
			.width_in_millimeters = width_mm,
			.height_in_millimeters = height_mm,
		},
	};
	const xcb_protocol_request_t how = {
		.count = 1,
		.ext = &xcb_randr_id,
		.opcode = XCB_RANDR_SET_MONITOR,
		.isvoid = 1,
	};
	/* Two before it are the library's own. */
	struct iovec parts[3] = { [2] = { &request, sizeof(request) } };
	xcb_void_cookie_t cookie;

	free(xcb_randr_query_version_reply(rig.x, xcb_randr_query_version(rig.x, 1, 5), NULL));
	cookie.sequence = xcb_send_request(rig.x, XCB_REQUEST_CHECKED, parts + 2, &how);
	ck_assert_ptr_null(xcb_request_check(rig.x, cookie));
	ck_assert_int_eq(xcb_connection_has_error(rig.x), 0);
}

static void forget_monitor(const char *name)
{
	xcb_randr_delete_monitor(rig.x, rig.root->root, view_atom(&rig, name));
	xcb_flush(rig.x);
}

/* As a window manager says it. */
static void say_place(xcb_window_t window, int x, int y, uint16_t width, uint16_t height)
{
	const xcb_configure_notify_event_t event = {
		.response_type = XCB_CONFIGURE_NOTIFY,
		.event = window,
		.window = window,
		.x = (int16_t)x,
		.y = (int16_t)y,
		.width = width,
		.height = height,
	};

	xcb_send_event(rig.x, 0, window, XCB_EVENT_MASK_STRUCTURE_NOTIFY, (const char *)&event);
	xcb_flush(rig.x);
}

START_TEST(pixels_have_the_size_of_their_monitors)
{
	xcb_window_t window;

	set_monitor("left", 0, 200, 300);
	set_monitor("right", 800, 400, 600);
	window = start(LODGE_DISPLAY_GPU, 400, 300);
	view_set_size(&rig, window, 640, 480);
	view_wait_for(wanted().width == 640);
	ck_assert_uint_eq(wanted().width_mm, 160);
	ck_assert_uint_eq(wanted().height_mm, 120);
	say_place(window, 900, 10, 640, 480);
	view_wait_for(wanted().width_mm == 320 && wanted().height_mm == 240);
	say_place(window, 5, 10, 640, 480);
	view_wait_for(wanted().width_mm == 160 && wanted().height_mm == 120);
	forget_monitor("left");
	forget_monitor("right");
}
END_TEST

START_TEST(a_window_without_a_size_of_its_own_tells_how_fine_it_is)
{
	xcb_window_t window;

	set_monitor("left", 0, 200, 300);
	set_monitor("right", 800, 400, 600);
	window = start(LODGE_DISPLAY_GPU, 640, 480);
	view_wait_for(wanted().width_mm == 256 && wanted().height_mm == 192);
	say_place(window, 900, 10, 640, 480);
	view_wait_for(wanted().width_mm == 512 && wanted().height_mm == 384);
	ck_assert_uint_eq(wanted().width, 1024);
	ck_assert_uint_eq(wanted().height, 768);
	forget_monitor("left");
	forget_monitor("right");
}
END_TEST

static void set_resources(const char *text)
{
	xcb_change_property(rig.x, XCB_PROP_MODE_REPLACE, rig.root->root, XCB_ATOM_RESOURCE_MANAGER,
			    XCB_ATOM_STRING, 8, (uint32_t)strlen(text), text);
	xcb_flush(rig.x);
}

START_TEST(a_monitor_that_does_not_say_has_the_desktops_scale)
{
	xcb_window_t window;

	set_monitor("left", 0, 0, 0);
	set_resources("*foreground:\tblack\nXft.dpi:\t192\n");
	window = start(LODGE_DISPLAY_GPU, 400, 300);
	view_set_size(&rig, window, 960, 768);
	view_wait_for(wanted().width == 960);
	/* 192 pixels are an inch. */
	ck_assert_uint_eq(wanted().width_mm, 127);
	ck_assert_uint_eq(wanted().height_mm, 101);
	set_resources("");
	forget_monitor("left");
}
END_TEST

/* ---- the window manager ---- */

/* The next message of @type to the root. */
static xcb_client_message_event_t next_message(xcb_atom_t type)
{
	xcb_client_message_event_t found = { 0 };

	xcb_flush(rig.x);
	for (int tries = 0; found.type != type; tries++) {
		xcb_generic_event_t *event = xcb_poll_for_event(rig.x);

		ck_assert_msg(tries < 10000, "no message to the root");
		if (!event)
			(void)poll(NULL, 0, 2);
		else if ((event->response_type & 0x7f) == XCB_CLIENT_MESSAGE)
			found = *(const xcb_client_message_event_t *)(const void *)event;
		free(event);
	}
	return found;
}

/* What the window manager is asked to do with a state: the first word. */
static uint32_t next_state_asked(void)
{
	return next_message(view_atom(&rig, "_NET_WM_STATE")).data.data32[0];
}

static void host_and(uint16_t code)
{
	view_key(&rig, KEY_RIGHTCTRL, true);
	view_key(&rig, code, true);
	view_key(&rig, code, false);
	view_key(&rig, KEY_RIGHTCTRL, false);
}

START_TEST(the_whole_screen_and_back_whoever_asked)
{
	xcb_window_t window = start(LODGE_DISPLAY_GPU, 640, 480);
	const xcb_atom_t state = view_atom(&rig, "_NET_WM_STATE");
	const xcb_atom_t full = view_atom(&rig, "_NET_WM_STATE_FULLSCREEN");

	xcb_change_window_attributes(rig.x, rig.root->root, XCB_CW_EVENT_MASK,
				     &(uint32_t){ XCB_EVENT_MASK_SUBSTRUCTURE_NOTIFY });
	view_focus(&rig, window);
	host_and(KEY_F);
	ck_assert_uint_eq(next_state_asked(), 1);
	host_and(KEY_F);
	ck_assert_uint_eq(next_state_asked(), 0);
	/* By a key of the window manager's. */
	xcb_change_property(rig.x, XCB_PROP_MODE_REPLACE, window, state, XCB_ATOM_ATOM, 32, 1,
			    &full);
	xcb_flush(rig.x);
	view_set_size(&rig, window, 1000, 700);
	view_wait_for(wanted().width == 1000);
	host_and(KEY_F);
	ck_assert_uint_eq(next_state_asked(), 0);
}
END_TEST

START_TEST(it_answers_that_it_is_alive)
{
	xcb_window_t window = start(LODGE_DISPLAY_GPU, 640, 480);
	const xcb_atom_t ping = view_atom(&rig, "_NET_WM_PING");
	const xcb_client_message_event_t message = {
		.response_type = XCB_CLIENT_MESSAGE,
		.format = 32,
		.window = window,
		.type = view_atom(&rig, "WM_PROTOCOLS"),
		.data.data32 = { ping, 4711, window },
	};
	xcb_client_message_event_t answer;

	xcb_change_window_attributes(rig.x, rig.root->root, XCB_CW_EVENT_MASK,
				     &(uint32_t){ XCB_EVENT_MASK_SUBSTRUCTURE_NOTIFY });
	xcb_send_event(rig.x, 0, window, 0, (const char *)&message);
	answer = next_message(view_atom(&rig, "WM_PROTOCOLS"));
	ck_assert_uint_eq(answer.window, rig.root->root);
	ck_assert_uint_eq(answer.data.data32[0], ping);
	ck_assert_uint_eq(answer.data.data32[1], 4711);
	ck_assert_uint_eq(answer.data.data32[2], window);
}
END_TEST

START_TEST(the_title_tells_locks)
{
	(void)start(LODGE_DISPLAY_GPU, 640, 480);
	input_sink_changed(rig.input, &rig.sink, 1u << LED_NUML);
	input_sink_changed(rig.input, &rig.sink, 1u << LED_NUML | 1u << LED_CAPSL);
	(void)view_find(&rig, "card [Caps Lock]");
	input_sink_changed(rig.input, &rig.sink, 1u << LED_SCROLLL | 1u << LED_CAPSL);
	(void)view_find(&rig, "card [Caps Lock, Scroll Lock]");
	input_sink_changed(rig.input, &rig.sink, 1u << LED_NUML);
	(void)view_find(&rig, "card - Lodge");
}
END_TEST

START_TEST(the_title_tells_what_goes_with_the_host_key)
{
	xcb_window_t window = start(LODGE_DISPLAY_GPU, 640, 480);

	view_focus(&rig, window);
	view_key(&rig, KEY_RIGHTCTRL, true);
	(void)view_find(&rig, "card: F full screen, G grab, D Ctrl-Alt-Del");
	view_key(&rig, KEY_RIGHTCTRL, false);
	(void)view_find(&rig, "card: keyboard grabbed, Control_R lets go");
	view_key(&rig, KEY_RIGHTCTRL, true);
	view_key(&rig, KEY_RIGHTCTRL, false);
	(void)view_find(&rig, "card - Lodge");
}
END_TEST

/* ---- the pointer ---- */

static void cursor_size(uint32_t size[2])
{
	xcb_xfixes_get_cursor_image_reply_t *reply =
		xcb_xfixes_get_cursor_image_reply(rig.x, xcb_xfixes_get_cursor_image(rig.x), NULL);

	size[0] = reply ? reply->width : 0;
	size[1] = reply ? reply->height : 0;
	free(reply);
}

static bool cursor_is(uint32_t width, uint32_t height)
{
	uint32_t size[2];

	cursor_size(size);
	return size[0] == width && size[1] == height;
}

START_TEST(the_pointer_is_always_seen)
{
	static uint32_t argb[24 * 16];
	xcb_window_t window = start(LODGE_DISPLAY_TEXT, 720, 400);
	uint32_t plain[2], size[2];

	free(xcb_xfixes_query_version_reply(rig.x, xcb_xfixes_query_version(rig.x, 4, 0), NULL));
	view_point(&rig, window, 1500, 1100);
	cursor_size(plain);
	/* On a text mode: the host's, as outside. */
	view_point(&rig, window, 100, 100);
	view_wait_for(rig.events.points > 0);
	cursor_size(size);
	ck_assert(size[0] == plain[0] && size[1] == plain[1]);
	/* A guest that shows none. */
	view_show(&rig, 0, LODGE_DISPLAY_GPU, 640, 480, 2);
	view_wait_for(cursor_is(5, 5));
	memset(argb, 0xff, sizeof(argb));
	display_set_cursor(rig.display, 0, 24, 16, 1, 1, argb);
	view_wait_for(cursor_is(24, 16));
	display_set_cursor(rig.display, 0, 0, 0, 0, 0, NULL);
	view_wait_for(cursor_is(5, 5));
}
END_TEST

/* ---- what it may ---- */

/* The line of /proc/PID/status that begins so. */
static void check_status(pid_t pid, const char *wanted_line)
{
	char path[64], line[128];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "r");
	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file))
		found = found || strcmp(line, wanted_line) == 0;
	fclose(file);
	ck_assert_msg(found, "no line: %s", wanted_line);
}

START_TEST(it_works_in_its_sandbox)
{
	xcb_window_t window = start_as("card", true, LODGE_DISPLAY_VGA, 640, 400);

	check_status(view, "Seccomp:\t2\n");
	check_status(view, "NoNewPrivs:\t1\n");
	view_set_size(&rig, window, 1280, 800);
	view_wait_picture(&rig, window, 0, 0, 0, 2);
	for (uint32_t i = 0; i < 20; i++) {
		view_show(&rig, 0, LODGE_DISPLAY_GPU, 700 + 7 * i, 500 + 5 * i, i);
		view_set_size(&rig, window, 700 + 7 * i, 500 + 5 * i);
	}
	view_wait_picture(&rig, window, 0, 0, 0, 1);
	view_focus(&rig, window);
	host_and(KEY_G);
	(void)view_find(&rig, "card: keyboard grabbed");
	host_and(KEY_Q);
	ck_assert_int_eq(view_wait(view), EX_OK);
	view = 0;
}
END_TEST

/* A `lodge` that keeps what it was told. */
static void make_command(void)
{
	char path[128], *old = getenv("PATH"), *now;
	FILE *file;

	snprintf(path, sizeof(path), "%s/lodge", rig.folder);
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	fputs("#!/bin/sh\nprintf '%s ' \"$@\" >>\"$HOME/said\"\n: >\"$4\"\n", file);
	fclose(file);
	ck_assert_int_eq(chmod(path, 0700), 0);
	ck_assert_int_ge(asprintf(&now, "%s:%s", rig.folder, old), 0);
	setenv("PATH", now, 1);
	setenv("HOME", rig.folder, 1);
	free(now);
}

static size_t files_like(const char *name, glob_t *found)
{
	char pattern[160];

	snprintf(pattern, sizeof(pattern), "%s/%s", rig.folder, name);
	memset(found, 0, sizeof(*found));
	(void)glob(pattern, 0, NULL, found);
	return found->gl_pathc;
}

static size_t n_like(const char *name)
{
	glob_t found;
	size_t n = files_like(name, &found);

	globfree(&found);
	return n;
}

START_TEST(the_host_key_and_s_shoot)
{
	char said[512] = "", expected[512];
	xcb_window_t window;
	glob_t found;
	FILE *file;

	make_command();
	window = start_as("card", true, LODGE_DISPLAY_GPU, 640, 480);
	view_focus(&rig, window);
	host_and(KEY_S);
	view_wait_for(n_like("lodge-card-*.png") == 1);
	(void)files_like("lodge-card-*.png", &found);
	snprintf(expected, sizeof(expected), "screenshot --head=1 card %s ", found.gl_pathv[0]);
	globfree(&found);
	file = fopen(n_like("said") == 1 ? strcat(strcpy(said, rig.folder), "/said") : "/dev/null",
		     "r");
	ck_assert_ptr_nonnull(file);
	said[fread(said, 1, sizeof(said) - 1, file)] = 0;
	fclose(file);
	ck_assert_str_eq(said, expected);
	/* Two within a second are two files. */
	host_and(KEY_S);
	host_and(KEY_S);
	view_wait_for(n_like("lodge-card-*.png") == 3);
	ck_assert_uint_eq(rig.events.downs[KEY_S], 0);
	for (size_t i = files_like("*", &found); i-- > 0;)
		if (!strstr(found.gl_pathv[i], "display.sock"))
			unlink(found.gl_pathv[i]);
	globfree(&found);
}
END_TEST

int main(int argc, char **argv)
{
	const TTest *const tests[] = {
		more_than_the_memory_holds,
		sizes_keep_to_the_least,
		a_screen_that_there_is_not,
		two_views_of_two_sizes,
		pixels_have_the_size_of_their_monitors,
		a_window_without_a_size_of_its_own_tells_how_fine_it_is,
		a_monitor_that_does_not_say_has_the_desktops_scale,
		the_whole_screen_and_back_whoever_asked,
		it_answers_that_it_is_alive,
		the_title_tells_locks,
		the_title_tells_what_goes_with_the_host_key,
		the_pointer_is_always_seen,
		it_works_in_its_sandbox,
		the_host_key_and_s_shoot,
	};
	Suite *suite;
	TCase *tcase;
	int status;

	if (view_is_child(argc, argv, &status))
		return status;
	suite = suite_create("view_desktop");
	tcase = tcase_create("desktop");
	tcase_set_timeout(tcase, 60);
	tcase_add_unchecked_fixture(tcase, view_start_x, view_stop_x);
	tcase_add_checked_fixture(tcase, setup, teardown);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(tcase, tests[i]);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
