// SPDX-License-Identifier: GPL-2.0-or-later
// What the monitor and X say, until one of them, or the user, has enough.
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <xcb/xcb.h>
#include <xcb/xinput.h>

#include "host-vmm/view/view.h"
#include "protocol/lib/fd.h"

#define EVENT_TYPE_MASK 0x7f /* the highest bit: SendEvent made it */

struct window *view_window(struct view *view, xcb_window_t id)
{
	for (unsigned int i = 0; i < view->n_heads; i++)
		if (view->windows[i].id == id && id != 0)
			return &view->windows[i];
	return NULL;
}

/* ---- from the monitor ---- */

static void on_hello(void *opaque, const struct link_hello *hello)
{
	struct view *view = opaque;
	uint32_t all = (uint32_t)((1ull << hello->heads) - 1), wanted = view->options->heads;
	const struct lodge_display_attach attach = {
		.version = htole32(LODGE_DISPLAY_VERSION),
		.heads = htole32(wanted != 0 ? wanted : all),
	};

	if (wanted & ~all) {
		fprintf(stderr,
			"lodge-view: there is no screen %d: this VM has %u; [display] heads gives "
			"it more\n",
			32 - __builtin_clz(wanted), hello->heads);
		view->status = EX_USAGE;
		view->quit = true;
		return;
	}
	view->n_heads = hello->heads;
	view->memory_max = hello->memory_max;
	snprintf(view->name, sizeof(view->name), "%s",
		 view->options->name ? view->options->name : hello->name);
	for (unsigned int i = 0; i < view->n_heads; i++) {
		/* Without a word which, only heads that are on, and the first one. */
		if (wanted != 0 ? !(wanted >> i & 1) : i > 0)
			continue;
		window_open(&view->windows[i], view, i);
		/* A head that is off goes on. */
		if (i > 0)
			view->windows[i].sized = view->windows[i].resize_due = true;
	}
	link_send(view->link, LODGE_DISPLAY_ATTACH, 0, &attach, sizeof(attach));
}

static void on_frame(void *opaque, unsigned int head, const struct link_frame *frame, int fd)
{
	struct view *view = opaque;
	struct window *window = &view->windows[head];
	autofd memory = fd;

	if (!window->id && frame->source != LODGE_DISPLAY_NONE && !window->dismissed)
		window_open(window, view, head);
	if (window->id)
		window_frame(window, frame, fd_steal(&memory));
}

static void tell_shown(struct view *view, unsigned int head, uint32_t serial)
{
	const struct lodge_display_shown shown = { .serial = htole32(serial) };

	link_send(view->link, LODGE_DISPLAY_SHOWN, head, &shown, sizeof(shown));
}

static void on_damage(void *opaque, unsigned int head, uint32_t serial,
		      const struct link_rect *rects, unsigned int n_rects)
{
	struct view *view = opaque;
	struct window *window = &view->windows[head];

	if (!window->id || picture_damage(&window->picture, serial, rects, n_rects))
		tell_shown(view, head, serial);
}

static void on_cursor(void *opaque, unsigned int head, const struct link_cursor *cursor)
{
	struct view *view = opaque;

	if (view->windows[head].id)
		window_cursor(&view->windows[head], cursor);
}

static void on_input(void *opaque, bool absolute, uint32_t leds)
{
	struct view *view = opaque;

	view->leds = leds;
	/* A grabbed pointer is another thing then. */
	if (view->absolute != absolute)
		keyboard_ungrab(view);
	view->absolute = absolute;
	for (unsigned int i = 0; i < view->n_heads; i++) {
		if (!view->windows[i].id)
			continue;
		window_show_cursor(&view->windows[i]);
		window_title(&view->windows[i]);
	}
}

static const struct link_ops link_ops = {
	.hello = on_hello,
	.frame = on_frame,
	.damage = on_damage,
	.cursor = on_cursor,
	.input = on_input,
};

/* ---- from X ---- */

/* The first head's window is the view's; another one switches its head off. */
static void close_head(struct view *view, struct window *window)
{
	const struct lodge_display_resize off = { 0 };

	if (window->head == 0) {
		view->quit = true;
		return;
	}
	if (view->grab == window)
		keyboard_ungrab(view);
	if (view->focus == window)
		keyboard_focus(view, window, false);
	view->pointer.due = false;
	link_send(view->link, LODGE_DISPLAY_RESIZE, window->head, &off, sizeof(off));
	window_close(window);
	window->dismissed = true;
}

static void on_completion(struct view *view, const xcb_shm_completion_event_t *event)
{
	uint32_t serial;

	/* What was drawn into a pixmap names that. */
	for (unsigned int i = 0; i < view->n_heads; i++) {
		struct window *window = &view->windows[i];

		if (window->id && window->picture.segment == event->shmseg &&
		    picture_completed(&window->picture, &serial))
			tell_shown(view, i, serial);
	}
}

static void on_generic(struct view *view, const xcb_ge_generic_event_t *event)
{
	if (event->extension == view->screen.xinput_opcode &&
	    event->event_type == XCB_INPUT_RAW_MOTION)
		pointer_raw(view, event);
}

static void on_button(struct view *view, const xcb_button_press_event_t *event, bool down)
{
	struct window *window = view_window(view, event->event);

	if (!window)
		return;
	pointer_moved(view, window, event->event_x, event->event_y);
	pointer_button(view, window, event->detail, down);
}

static void on_key(struct view *view, const xcb_key_press_event_t *event, bool down)
{
	struct window *window = view_window(view, event->event);

	if (window)
		keyboard_key(view, window, event->detail, down);
}

static void on_focus(struct view *view, const xcb_focus_in_event_t *event, bool in)
{
	struct window *window = view_window(view, event->event);

	/* The pointer's place has no say, and a grab of ours is no loss. */
	if (!window || event->detail == XCB_NOTIFY_DETAIL_POINTER ||
	    (view->grab && event->mode != XCB_NOTIFY_MODE_NORMAL))
		return;
	keyboard_focus(view, window, in);
	if (!in && view->grab == window)
		keyboard_ungrab(view);
}

static void on_expose(struct view *view, const xcb_expose_event_t *event)
{
	struct window *window = view_window(view, event->window);

	if (window)
		picture_expose(&window->picture, event->x, event->y, event->width, event->height);
}

static void on_client_message(struct view *view, const xcb_client_message_event_t *event)
{
	const struct screen_atoms *atoms = &view->screen.atoms;
	struct window *window = view_window(view, event->window);
	xcb_client_message_event_t answer = *event;

	if (!window || event->type != atoms->wm_protocols)
		return;
	if (event->data.data32[0] == atoms->wm_delete_window) {
		close_head(view, window);
	} else if (event->data.data32[0] == atoms->wm_ping) {
		/* EWMH 1.5: alive is who sends it back. */
		answer.window = view->screen.root->root;
		xcb_send_event(view->screen.x, 0, answer.window,
			       XCB_EVENT_MASK_SUBSTRUCTURE_REDIRECT |
				       XCB_EVENT_MASK_SUBSTRUCTURE_NOTIFY,
			       (const char *)&answer);
	}
}

static void on_property(struct view *view, const xcb_property_notify_event_t *event)
{
	struct window *window = view_window(view, event->window);

	if (window && event->atom == view->screen.atoms.wm_state)
		window_state_changed(window);
}

/* Those of extensions, whose numbers the server chooses. */
static void on_extension(struct view *view, const xcb_generic_event_t *event)
{
	const uint8_t type = event->response_type & EVENT_TYPE_MASK;

	if (view->screen.shm && type == view->screen.shm_event)
		on_completion(view, (const void *)event);
	if (!view->screen.randr || type != view->screen.randr_event)
		return;
	screen_read_monitors(&view->screen);
	for (unsigned int i = 0; i < view->n_heads; i++)
		if (view->windows[i].id)
			window_measure(&view->windows[i]);
}

static void on_event(struct view *view, const xcb_generic_event_t *event)
{
	const void *data = event;
	struct window *window;

	switch (event->response_type & EVENT_TYPE_MASK) {
	case XCB_KEY_PRESS:
	case XCB_KEY_RELEASE:
		on_key(view, data, (event->response_type & EVENT_TYPE_MASK) == XCB_KEY_PRESS);
		break;
	case XCB_BUTTON_PRESS:
	case XCB_BUTTON_RELEASE:
		on_button(view, data, (event->response_type & EVENT_TYPE_MASK) == XCB_BUTTON_PRESS);
		break;
	case XCB_MOTION_NOTIFY:
		window = view_window(view, ((const xcb_motion_notify_event_t *)data)->event);
		if (window)
			pointer_moved(view, window,
				      ((const xcb_motion_notify_event_t *)data)->event_x,
				      ((const xcb_motion_notify_event_t *)data)->event_y);
		break;
	case XCB_FOCUS_IN:
	case XCB_FOCUS_OUT:
		on_focus(view, data, (event->response_type & EVENT_TYPE_MASK) == XCB_FOCUS_IN);
		break;
	case XCB_EXPOSE:
		on_expose(view, data);
		break;
	case XCB_CONFIGURE_NOTIFY:
		window = view_window(view, ((const xcb_configure_notify_event_t *)data)->window);
		if (window)
			window_configured(window, data);
		break;
	case XCB_PROPERTY_NOTIFY:
		on_property(view, data);
		break;
	case XCB_MAPPING_NOTIFY:
		screen_read_keys(&view->screen);
		break;
	case XCB_CLIENT_MESSAGE:
		on_client_message(view, data);
		break;
	case XCB_GE_GENERIC:
		on_generic(view, data);
		break;
	default:
		on_extension(view, event);
	}
}

/* ---- the loop ---- */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

/* Milliseconds until something must be looked at; -1: never. */
static int check_times(struct view *view)
{
	int64_t now = 0, left = -1;

	for (unsigned int i = 0; i < view->n_heads; i++) {
		struct window *window = &view->windows[i];

		if (!window->id || window->follow_until == 0)
			continue;
		if (now == 0)
			now = now_ms();
		window_check_time(window, now);
		if (window->follow_until != 0 && (left < 0 || window->follow_until - now < left))
			left = window->follow_until - now;
	}
	return (int)left;
}

static void take_events(struct view *view)
{
	xcb_generic_event_t *event;

	while (!view->quit && (event = xcb_poll_for_event(view->screen.x))) {
		on_event(view, event);
		free(event);
	}
	for (unsigned int i = 0; i < view->n_heads; i++)
		if (view->windows[i].id)
			window_tell_size(&view->windows[i]);
	if (!link_is_slow(view->link))
		pointer_flush(view);
}

/* Waits for something new to do, unless there is. 1: the monitor has said something, 0: not; a
 * negative errno from the link. */
static int wait_for_more(struct view *view)
{
	struct pollfd fds[2] = {
		{ .fd = xcb_get_file_descriptor(view->screen.x), .events = POLLIN },
		{ .fd = link_fd(view->link), .events = POLLIN },
	};
	int timeout = check_times(view), waiting = link_flush(view->link);
	xcb_generic_event_t *event;

	if (waiting < 0)
		return waiting;
	if (waiting > 0)
		fds[1].events |= POLLOUT;
	xcb_flush(view->screen.x);
	/* Answers and full sockets may have brought events along. */
	event = xcb_poll_for_queued_event(view->screen.x);
	if (event) {
		on_event(view, event);
		free(event);
		timeout = 0;
	}
	if (poll(fds, 2, timeout) < 0 && errno != EINTR)
		return -errno;
	return (fds[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0;
}

static int end_of_link(struct view *view, int error)
{
	if (error == -EPIPE && view->n_heads == 0) {
		fprintf(stderr,
			"lodge-view: %s: closed at once: the VM has just ended, or as many windows "
			"as may be look at it already; close one\n",
			view->options->socket);
		return EX_UNAVAILABLE;
	}
	if (error == -EPIPE) {
		for (unsigned int i = 0; i < view->n_heads; i++)
			if (view->windows[i].id)
				window_close(&view->windows[i]);
		printf("%s has ended\n", view->name);
		return EX_OK;
	}
	fprintf(stderr, "lodge-view: %s: %s\n", view->options->socket,
		error == -ENOBUFS ? "the monitor has not read for too long"
				  : "this is no display's socket of a version that I know");
	return EX_PROTOCOL;
}

static int serve(struct view *view)
{
	int ret = 0;

	while (!view->quit) {
		take_events(view);
		if (xcb_connection_has_error(view->screen.x)) {
			fprintf(stderr, "lodge-view: the X server is gone; the VM goes on\n");
			return EX_UNAVAILABLE;
		}
		if (!view->quit)
			ret = wait_for_more(view);
		if (ret > 0)
			ret = link_read(view->link);
		if (ret < 0)
			return end_of_link(view, ret);
	}
	if (view->n_heads > 0)
		keyboard_release(view);
	(void)link_flush(view->link);
	return view->status;
}

/* What people look for in a window, and what works, but not as they may expect. */
static void explain(const struct view *view)
{
	const struct view_options *options = view->options;

	if (options->host_key != 0 && isatty(STDOUT_FILENO))
		printf("%s and " KEYBOARD_COMMANDS "\n", options->host_key_name);
	if (view->screen.other_rules)
		fprintf(stderr, "lodge-view: this X server numbers keys in a way of its own; some "
				"may be others in the guest\n");
	if (options->host_key != 0 && !screen_has_key(&view->screen, options->host_key))
		fprintf(stderr,
			"lodge-view: this keyboard has no %s; choose another one by --host-key\n",
			options->host_key_name);
}

/* Nothing that the monitor says has been read before. */
static int serve_confined(struct view *view)
{
	int ret = view->options->confined ? view_confine() : 0;

	if (ret < 0)
		fprintf(stderr, "lodge-view: runs without its sandbox: %s\n", strerror(-ret));
	return serve(view);
}

static int run(struct view *view)
{
	const struct view_options *options = view->options;
	char message[SCREEN_MESSAGE_MAX];
	int ret = screen_open(&view->screen, options->display, message), status = EX_NOINPUT;

	if (ret < 0) {
		fprintf(stderr,
			"lodge-view: %s; start it in a desktop session or with --display, or use "
			"'lodge screenshot' and 'lodge keys'\n",
			message);
		return EX_UNAVAILABLE;
	}
	explain(view);
	ret = link_open(options->socket, &link_ops, view, &view->link);
	if (ret < 0)
		fprintf(stderr, "lodge-view: %s: %s; does the VM run, and has it a display?\n",
			options->socket, strerror(-ret));
	else
		status = serve_confined(view);
	link_close(view->link);
	screen_close(&view->screen);
	return status;
}

int view_run(const struct view_options *options)
{
	struct view *view = calloc(1, sizeof(*view));
	int status;

	if (!view)
		return EX_OSERR;
	view->options = options;
	view->shooter = options->name ? view_start_shooter(options->name) : -1;
	status = run(view);
	fd_close(&view->shooter);
	free(view);
	return status;
}
