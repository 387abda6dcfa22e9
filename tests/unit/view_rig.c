// SPDX-License-Identifier: GPL-2.0-or-later
// lodge-view between an X server and a display, with no VM.
#include "tests/unit/view_rig.h"

#include <check.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xcb/xtest.h>

#include "host-vmm/display/server.h"
#include "host-vmm/loop.h"
#include "host-vmm/view/view.h"

#define X_NAME	     "LODGE_TEST_X" /* the X server's name, for the children of this process */
#define VM_NAME	     "LODGE_TEST_VM" /* set: what such a child calls the VM */
#define CONFINED     "LODGE_TEST_CONFINED" /* set: such a child has its sandbox */
#define CHILD_WORD   "--as-lodge-view"
#define MEMORY	     (64ull << 20)
#define KEYCODE_BASE 8

static pid_t x_server;

/* ---- X ---- */

static void start_x(bool plain)
{
	char name[16] = ":", digit;
	size_t len = 1;
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	x_server = fork();
	if (x_server == 0) {
		char number[16];

		close(fds[0]);
		snprintf(number, sizeof(number), "%d", fds[1]);
		execlp("Xvfb", "Xvfb", "-displayfd", number, "-screen", "0", "1600x1200x24",
		       "-noreset", "-nolisten", "tcp", plain ? "-extension" : (char *)NULL,
		       "MIT-SHM", "-extension", "RENDER", (char *)NULL);
		_exit(127);
	}
	close(fds[1]);
	while (len + 1 < sizeof(name) && read(fds[0], &digit, 1) == 1 && digit != '\n')
		name[len++] = digit;
	name[len] = 0;
	close(fds[0]);
	ck_assert_msg(len > 1, "Xvfb (package xvfb) does not start");
	setenv(X_NAME, name, 1);
}

void view_start_x(void)
{
	start_x(false);
}

void view_start_plain_x(void)
{
	start_x(true);
}

void view_stop_x(void)
{
	kill(x_server, SIGTERM);
	(void)waitpid(x_server, NULL, 0);
}

/* ---- the guest ---- */

static void sink_key(void *opaque, uint16_t code, bool down)
{
	struct view_events *events = &((struct view_rig *)opaque)->events;

	pthread_mutex_lock(&events->lock);
	(down ? events->downs : events->ups)[code]++;
	events->n_down += down ? 1 : -1u;
	pthread_mutex_unlock(&events->lock);
}

static void sink_point(void *opaque, uint16_t x, uint16_t y)
{
	struct view_events *events = &((struct view_rig *)opaque)->events;

	pthread_mutex_lock(&events->lock);
	events->x = x;
	events->y = y;
	events->points++;
	pthread_mutex_unlock(&events->lock);
}

static void sink_move(void *opaque, int32_t dx, int32_t dy)
{
	struct view_events *events = &((struct view_rig *)opaque)->events;

	pthread_mutex_lock(&events->lock);
	events->dx += dx;
	events->dy += dy;
	pthread_mutex_unlock(&events->lock);
}

static void sink_wheel(void *opaque, int32_t dx, int32_t dy)
{
	struct view_events *events = &((struct view_rig *)opaque)->events;

	pthread_mutex_lock(&events->lock);
	events->wheel_x += dx;
	events->wheel_y += dy;
	pthread_mutex_unlock(&events->lock);
}

static const struct input_sink_ops absolute_sink = {
	.key = sink_key,
	.button = sink_key,
	.point = sink_point,
	.wheel = sink_wheel,
};

static const struct input_sink_ops relative_sink = {
	.key = sink_key,
	.button = sink_key,
	.move = sink_move,
	.wheel = sink_wheel,
};

unsigned int view_n_down(struct view_rig *rig)
{
	unsigned int n;

	pthread_mutex_lock(&rig->events.lock);
	n = rig->events.n_down;
	pthread_mutex_unlock(&rig->events.lock);
	return n;
}

static int guest_read(void *opaque, uint64_t offset, void *to, size_t len)
{
	const struct view_guest *guest = opaque;

	memcpy(to, (const char *)guest->pixels + offset, len);
	return 0;
}

static const struct display_source_ops guest_ops = { .read = guest_read };

uint32_t view_card(uint32_t seed, uint32_t x, uint32_t y)
{
	uint32_t mixed = (x * 2654435761u) ^ (y * 2246822519u) ^ (seed * 3266489917u);

	return (mixed ^ mixed >> 15) & 0xffffff;
}

struct call {
	struct view_rig *rig;
	unsigned int head;
	enum lodge_display_source source;
	struct display_rect rect;
	uint32_t seed;
};

static void paint(struct view_guest *guest, const struct display_rect *rect, uint32_t seed)
{
	for (uint32_t y = rect->y; y < rect->y + rect->height; y++)
		for (uint32_t x = rect->x; x < rect->x + rect->width; x++)
			guest->pixels[y * guest->width + x] = view_card(seed, x, y);
}

static enum display_layer layer_of(enum lodge_display_source source)
{
	return source == LODGE_DISPLAY_GPU ? DISPLAY_LAYER_GPU : DISPLAY_LAYER_VGA;
}

static void show_on_loop(void *opaque)
{
	const struct call *call = opaque;
	struct view_guest *guest = &call->rig->guests[call->head];
	const struct display_picture picture = {
		.width = call->rect.width,
		.height = call->rect.height,
		.stride = call->rect.width * 4,
		.format = DISPLAY_BGRX8888,
		.source = call->source,
		.ops = &guest_ops,
		.opaque = guest,
	};

	if (guest->source != LODGE_DISPLAY_NONE && guest->source != call->source)
		(void)display_set_picture(call->rig->display, call->head, layer_of(guest->source),
					  NULL);
	guest->width = call->rect.width;
	guest->height = call->rect.height;
	guest->source = call->source;
	if (call->source == LODGE_DISPLAY_NONE)
		return;
	paint(guest, &call->rect, call->seed);
	ck_assert_int_eq(display_set_picture(call->rig->display, call->head, layer_of(call->source),
					     &picture),
			 0);
}

void view_show(struct view_rig *rig, unsigned int head, enum lodge_display_source source,
	       uint32_t width, uint32_t height, uint32_t seed)
{
	struct call call = { rig, head, source, { 0, 0, width, height }, seed };

	loop_call(display_loop(rig->display), show_on_loop, &call);
}

static void paint_on_loop(void *opaque)
{
	const struct call *call = opaque;
	struct view_guest *guest = &call->rig->guests[call->head];

	paint(guest, &call->rect, call->seed);
	display_damage(call->rig->display, call->head, layer_of(guest->source), &call->rect);
}

void view_paint(struct view_rig *rig, unsigned int head, const struct display_rect *rect,
		uint32_t seed)
{
	struct call call = { rig, head, 0, *rect, seed };

	loop_call(display_loop(rig->display), paint_on_loop, &call);
}

/* ---- life ---- */

void view_create(struct view_rig *rig, unsigned int heads, bool absolute)
{
	view_create_small(rig, heads, absolute, MEMORY);
}

void view_create_small(struct view_rig *rig, unsigned int heads, bool absolute, uint64_t memory)
{
	int number = 0;

	memset(rig, 0, sizeof(*rig));
	pthread_mutex_init(&rig->events.lock, NULL);
	strcpy(rig->folder, "/tmp/lodge-view-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(rig->folder));
	snprintf(rig->socket, sizeof(rig->socket), "%s/display.sock", rig->folder);
	ck_assert_int_eq(display_create(heads, memory, &rig->display), 0);
	ck_assert_int_eq(input_create(&rig->input), 0);
	rig->sink = (struct input_sink){ .ops = absolute ? &absolute_sink : &relative_sink,
					 .opaque = rig };
	input_add_sink(rig->input, &rig->sink);
	ck_assert_int_eq(
		display_server_start(rig->display, rig->input, "card", rig->socket, &rig->server),
		0);
	rig->x = xcb_connect(getenv(X_NAME), &number);
	ck_assert_int_eq(xcb_connection_has_error(rig->x), 0);
	rig->root = xcb_setup_roots_iterator(xcb_get_setup(rig->x)).data;
}

void view_destroy(struct view_rig *rig)
{
	display_server_stop(rig->server);
	input_remove_sink(rig->input, &rig->sink);
	input_destroy(rig->input);
	display_destroy(rig->display);
	/* What a server has not read of a client that goes may be lost: a key stayed down. */
	free(xcb_get_input_focus_reply(rig->x, xcb_get_input_focus(rig->x), NULL));
	xcb_disconnect(rig->x);
	rmdir(rig->folder);
	pthread_mutex_destroy(&rig->events.lock);
}

pid_t view_spawn_as(struct view_rig *rig, const char *name, bool confined)
{
	pid_t pid;

	setenv(VM_NAME, name, 1);
	if (confined) {
		/* A search for leaks is another process, and not among what is left. */
		setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
		setenv(CONFINED, "1", 1);
	}
	pid = view_spawn(rig, NULL);
	unsetenv(VM_NAME);
	unsetenv(CONFINED);
	unsetenv("ASAN_OPTIONS");
	return pid;
}

pid_t view_spawn(struct view_rig *rig, const char *option)
{
	pid_t pid = fork();

	if (pid == 0) {
		execl("/proc/self/exe", "lodge-view", CHILD_WORD, rig->socket, option,
		      (char *)NULL);
		_exit(127);
	}
	ck_assert_int_gt(pid, 0);
	return pid;
}

bool view_is_child(int argc, char **argv, int *ret_status)
{
	struct view_options options = {
		.display = getenv(X_NAME),
		.host_key = 0xffe4,
		.host_key_name = "Control_R",
		.name = getenv(VM_NAME),
		.confined = getenv(CONFINED) != NULL,
	};

	if (argc < 3 || strcmp(argv[1], CHILD_WORD) != 0)
		return false;
	options.socket = argv[2];
	if (argc > 3)
		options.heads = (uint32_t)strtoul(argv[3], NULL, 0);
	*ret_status = view_run(&options);
	return true;
}

int view_wait(pid_t pid)
{
	int status = 0;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* ---- windows ---- */

static bool has_title(struct view_rig *rig, xcb_window_t window, const char *title)
{
	xcb_get_property_reply_t *name = xcb_get_property_reply(
		rig->x,
		xcb_get_property(rig->x, 0, window, XCB_ATOM_WM_NAME, XCB_ATOM_STRING, 0, 64),
		NULL);
	xcb_get_window_attributes_reply_t *attributes = xcb_get_window_attributes_reply(
		rig->x, xcb_get_window_attributes(rig->x, window), NULL);
	bool has = name && attributes && attributes->map_state == XCB_MAP_STATE_VIEWABLE &&
		   (size_t)xcb_get_property_value_length(name) >= strlen(title) &&
		   memcmp(xcb_get_property_value(name), title, strlen(title)) == 0;

	free(name);
	free(attributes);
	return has;
}

static xcb_window_t find_now(struct view_rig *rig, const char *title)
{
	xcb_query_tree_reply_t *tree =
		xcb_query_tree_reply(rig->x, xcb_query_tree(rig->x, rig->root->root), NULL);
	xcb_window_t found = 0;

	ck_assert_ptr_nonnull(tree);
	for (int i = 0; i < xcb_query_tree_children_length(tree); i++)
		if (has_title(rig, xcb_query_tree_children(tree)[i], title))
			found = xcb_query_tree_children(tree)[i];
	free(tree);
	return found;
}

xcb_window_t view_find(struct view_rig *rig, const char *title)
{
	xcb_window_t window;

	view_wait_for((window = find_now(rig, title)) != 0);
	return window;
}

static bool has_size(struct view_rig *rig, xcb_window_t window, uint32_t width, uint32_t height)
{
	xcb_get_geometry_reply_t *reply =
		xcb_get_geometry_reply(rig->x, xcb_get_geometry(rig->x, window), NULL);
	bool has = reply && reply->width == width && reply->height == height;

	free(reply);
	return has;
}

void view_wait_size(struct view_rig *rig, xcb_window_t window, uint32_t width, uint32_t height)
{
	view_wait_for(has_size(rig, window, width, height));
}

void view_set_size(struct view_rig *rig, xcb_window_t window, uint32_t width, uint32_t height)
{
	const uint32_t size[] = { width, height };

	xcb_configure_window(rig->x, window, XCB_CONFIG_WINDOW_WIDTH | XCB_CONFIG_WINDOW_HEIGHT,
			     size);
	xcb_flush(rig->x);
}

static uint32_t expected(const struct view_guest *guest, uint32_t x, uint32_t y, uint32_t left,
			 uint32_t top, uint32_t zoom)
{
	if (x < left || y < top || (x - left) / zoom >= guest->width ||
	    (y - top) / zoom >= guest->height)
		return 0;
	return guest->pixels[(y - top) / zoom * guest->width + (x - left) / zoom];
}

static bool shows(struct view_rig *rig, xcb_window_t window, unsigned int head, uint32_t left,
		  uint32_t top, uint32_t zoom)
{
	xcb_get_geometry_reply_t *size =
		xcb_get_geometry_reply(rig->x, xcb_get_geometry(rig->x, window), NULL);
	xcb_get_image_reply_t *image;
	const uint32_t *pixels;
	bool same;

	ck_assert_ptr_nonnull(size);
	image = xcb_get_image_reply(rig->x,
				    xcb_get_image(rig->x, XCB_IMAGE_FORMAT_Z_PIXMAP, window, 0, 0,
						  size->width, size->height, ~0u),
				    NULL);
	same = image != NULL;
	pixels = image ? (const uint32_t *)xcb_get_image_data(image) : NULL;
	for (uint32_t y = 0; same && y < size->height; y++)
		for (uint32_t x = 0; same && x < size->width; x++)
			same = (pixels[y * size->width + x] & 0xffffff) ==
			       expected(&rig->guests[head], x, y, left, top, zoom);
	free(image);
	free(size);
	return same;
}

void view_wait_picture(struct view_rig *rig, xcb_window_t window, unsigned int head, uint32_t x,
		       uint32_t y, uint32_t zoom)
{
	view_wait_for(shows(rig, window, head, x, y, zoom));
}

xcb_atom_t view_atom(struct view_rig *rig, const char *name)
{
	xcb_intern_atom_reply_t *reply = xcb_intern_atom_reply(
		rig->x, xcb_intern_atom(rig->x, 0, (uint16_t)strlen(name), name), NULL);
	xcb_atom_t atom;

	ck_assert_ptr_nonnull(reply);
	atom = reply->atom;
	free(reply);
	return atom;
}

/* ---- hands ---- */

void view_focus(struct view_rig *rig, xcb_window_t window)
{
	xcb_set_input_focus(rig->x, XCB_INPUT_FOCUS_POINTER_ROOT, window, XCB_CURRENT_TIME);
	xcb_flush(rig->x);
}

static void fake(struct view_rig *rig, uint8_t type, uint8_t detail, xcb_window_t root, int x,
		 int y)
{
	xcb_test_fake_input(rig->x, type, detail, XCB_CURRENT_TIME, root, (int16_t)x, (int16_t)y,
			    0);
	xcb_flush(rig->x);
}

void view_key(struct view_rig *rig, uint16_t code, bool down)
{
	fake(rig, down ? XCB_KEY_PRESS : XCB_KEY_RELEASE, (uint8_t)(code + KEYCODE_BASE), 0, 0, 0);
}

void view_button(struct view_rig *rig, uint8_t button, bool down)
{
	fake(rig, down ? XCB_BUTTON_PRESS : XCB_BUTTON_RELEASE, button, 0, 0, 0);
}

void view_point(struct view_rig *rig, xcb_window_t window, int x, int y)
{
	xcb_translate_coordinates_reply_t *reply = xcb_translate_coordinates_reply(
		rig->x,
		xcb_translate_coordinates(rig->x, window, rig->root->root, (int16_t)x, (int16_t)y),
		NULL);

	ck_assert_ptr_nonnull(reply);
	fake(rig, XCB_MOTION_NOTIFY, 0, rig->root->root, reply->dst_x, reply->dst_y);
	free(reply);
}

void view_move(struct view_rig *rig, int dx, int dy)
{
	fake(rig, XCB_MOTION_NOTIFY, 1, 0, dx, dy);
}
