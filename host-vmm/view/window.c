// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A head's window, and who decides its size.
 *
 * At first the window is as large as the guest's picture, text modes and all. From the moment when
 * a person, or the window manager, gives it a size, that size is what the guest should have: it is
 * told, and its old picture stays in the corner as it is until it follows. A picture that does not
 * follow, because its source cannot or does not in VIEW_FOLLOW_MS, is scaled.
 */
#include <endian.h>
#include <limits.h>
#include <linux/input-event-codes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host-vmm/view/view.h"

#define FIRST_WIDTH  720 /* a VGA's text mode */
#define FIRST_HEIGHT 400

/* ICCCM 4.1.2.3, WM_SIZE_HINTS */
struct size_hints {
	uint32_t flags;
	int32_t pad[4];
	int32_t min_width, min_height, max_width, max_height;
	int32_t width_inc, height_inc;
	int32_t aspects[4];
	int32_t base_width, base_height, gravity;
};
#define HINT_MIN_SIZE 0x10u
#define HINT_INPUT    1u /* ICCCM 4.1.2.4, WM_HINTS */
#define PIXEL_BYTES   4u
#define SHRINK_STEPS  4096u
#define STATES_MAX    64 /* atoms of _NET_WM_STATE, of which EWMH 1.5 has 13 */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

static void set_text(struct window *window, xcb_atom_t property, xcb_atom_t type, const char *text)
{
	xcb_change_property(window->view->screen.x, XCB_PROP_MODE_REPLACE, window->id, property,
			    type, 8, (uint32_t)strlen(text), text);
}

static const char *state_of(const struct window *window)
{
	if (window->view->host_down && window->view->focus == window)
		return ": " KEYBOARD_COMMANDS;
	if (window->view->grab == window)
		return ": keyboard grabbed";
	if (window->picture.frame.source == LODGE_DISPLAY_NONE)
		return ": no picture";
	if (window->too_large)
		return ": more than the video memory holds";
	if (window->picture.pixmap)
		return ": scaled";
	return "";
}

/* Num Lock is on in most guests, and no surprise. */
static const char *locks_of(const struct view *view)
{
	const bool caps = view->leds >> LED_CAPSL & 1, scroll = view->leds >> LED_SCROLLL & 1;

	if (caps && scroll)
		return " [Caps Lock, Scroll Lock]";
	return caps ? " [Caps Lock]" : scroll ? " [Scroll Lock]" : "";
}

void window_title(struct window *window)
{
	const struct screen_atoms *atoms = &window->view->screen.atoms;
	struct view *view = window->view;
	char number[16] = "", hint[64] = "", title[256];

	if (view->n_heads > 1)
		snprintf(number, sizeof(number), " (%u)", window->head + 1);
	if (view->grab == window && view->options->host_key != 0 && !view->host_down)
		snprintf(hint, sizeof(hint), ", %s lets go", view->options->host_key_name);
	snprintf(title, sizeof(title), "%s%s%s%s%s - Lodge", view->name, number, state_of(window),
		 hint, locks_of(view));
	set_text(window, atoms->wm_name, atoms->utf8_string, title);
	set_text(window, atoms->wm_icon_name, atoms->utf8_string, title);
	set_text(window, XCB_ATOM_WM_NAME, XCB_ATOM_STRING, title);
}

static void set_properties(struct window *window)
{
	struct screen *screen = &window->view->screen;
	static const char class[] = "lodge-view\0Lodge";
	const struct size_hints hints = {
		.flags = HINT_MIN_SIZE,
		.min_width = LODGE_DISPLAY_WIDTH_MIN,
		.min_height = LODGE_DISPLAY_HEIGHT_MIN,
	};
	const xcb_atom_t protocols[] = { screen->atoms.wm_delete_window, screen->atoms.wm_ping };
	/* ICCCM 4.1.2.4: flags, input, and seven that the flags leave out. */
	const uint32_t wm_hints[9] = { HINT_INPUT, 1 };
	const uint32_t pid = (uint32_t)getpid();
	char machine[HOST_NAME_MAX + 1] = "";

	xcb_change_property(screen->x, XCB_PROP_MODE_REPLACE, window->id, XCB_ATOM_WM_NORMAL_HINTS,
			    XCB_ATOM_WM_SIZE_HINTS, 32, sizeof(hints) / 4, &hints);
	xcb_change_property(screen->x, XCB_PROP_MODE_REPLACE, window->id,
			    screen->atoms.wm_protocols, XCB_ATOM_ATOM, 32,
			    sizeof(protocols) / sizeof(protocols[0]), protocols);
	xcb_change_property(screen->x, XCB_PROP_MODE_REPLACE, window->id, XCB_ATOM_WM_HINTS,
			    XCB_ATOM_WM_HINTS, 32, sizeof(wm_hints) / 4, wm_hints);
	/* Whose process the PID is of. */
	if (gethostname(machine, sizeof(machine) - 1) == 0)
		set_text(window, XCB_ATOM_WM_CLIENT_MACHINE, XCB_ATOM_STRING, machine);
	xcb_change_property(screen->x, XCB_PROP_MODE_REPLACE, window->id, XCB_ATOM_WM_CLASS,
			    XCB_ATOM_STRING, 8, sizeof(class), class);
	xcb_change_property(screen->x, XCB_PROP_MODE_REPLACE, window->id, screen->atoms.wm_pid,
			    XCB_ATOM_CARDINAL, 32, 1, &pid);
	if (window->fullscreen)
		xcb_change_property(screen->x, XCB_PROP_MODE_REPLACE, window->id,
				    screen->atoms.wm_state, XCB_ATOM_ATOM, 32, 1,
				    &screen->atoms.wm_state_fullscreen);
}

void window_open(struct window *window, struct view *view, unsigned int head)
{
	struct screen *screen = &view->screen;
	const uint32_t values[] = {
		screen->root->black_pixel,
		XCB_GRAVITY_NORTH_WEST,
		XCB_EVENT_MASK_EXPOSURE | XCB_EVENT_MASK_STRUCTURE_NOTIFY |
			XCB_EVENT_MASK_FOCUS_CHANGE | XCB_EVENT_MASK_KEY_PRESS |
			XCB_EVENT_MASK_KEY_RELEASE | XCB_EVENT_MASK_BUTTON_PRESS |
			XCB_EVENT_MASK_BUTTON_RELEASE | XCB_EVENT_MASK_POINTER_MOTION |
			XCB_EVENT_MASK_PROPERTY_CHANGE,
	};

	*window = (struct window){
		.view = view,
		.head = head,
		.id = xcb_generate_id(screen->x),
		.width = FIRST_WIDTH,
		.height = FIRST_HEIGHT,
		.fullscreen = view->options->fullscreen,
	};
	xcb_create_window(screen->x, XCB_COPY_FROM_PARENT, window->id, screen->root->root, 0, 0,
			  FIRST_WIDTH, FIRST_HEIGHT, 0, XCB_WINDOW_CLASS_INPUT_OUTPUT,
			  screen->visual,
			  XCB_CW_BACK_PIXEL | XCB_CW_BIT_GRAVITY | XCB_CW_EVENT_MASK, values);
	picture_init(&window->picture, screen, window->id);
	(void)picture_place(&window->picture, FIRST_WIDTH, FIRST_HEIGHT, false);
	set_properties(window);
	window_title(window);
	window_show_cursor(window);
	xcb_map_window(screen->x, window->id);
}

void window_close(struct window *window)
{
	xcb_connection_t *x = window->view->screen.x;

	if (!window->id)
		return;
	picture_finish(&window->picture);
	if (window->cursor)
		xcb_free_cursor(x, window->cursor);
	xcb_destroy_window(x, window->id);
	window->id = 0;
}

/* ---- size ---- */

static void ask_for_size(struct window *window, uint32_t width, uint32_t height)
{
	const struct screen_monitor *monitor =
		screen_monitor_at(&window->view->screen, window->root_x, window->root_y);
	uint32_t size[2];

	size[0] = width < monitor->width ? width : monitor->width;
	size[1] = height < monitor->height ? height : monitor->height;
	if (size[0] < LODGE_DISPLAY_WIDTH_MIN)
		size[0] = LODGE_DISPLAY_WIDTH_MIN;
	if (size[1] < LODGE_DISPLAY_HEIGHT_MIN)
		size[1] = LODGE_DISPLAY_HEIGHT_MIN;
	memcpy(window->asks[window->next_ask++ % VIEW_ASKS], size, sizeof(size));
	xcb_configure_window(window->view->screen.x, window->id,
			     XCB_CONFIG_WINDOW_WIDTH | XCB_CONFIG_WINDOW_HEIGHT, size);
}

/* One that we gave it ourselves, or had it before we asked. */
static bool is_asked(const struct window *window, uint32_t width, uint32_t height)
{
	for (unsigned int i = 0; i < VIEW_ASKS; i++)
		if (window->asks[i][0] == width && window->asks[i][1] == height)
			return true;
	return width == FIRST_WIDTH && height == FIRST_HEIGHT;
}

static bool fits(const struct window *window)
{
	return window->picture.frame.width == window->width &&
	       window->picture.frame.height == window->height;
}

/* Decides what becomes of a frame that has another size than its window. A frame that @is_new has
 * no pixels: they come as damage, and until then what is seen may stay. */
static void place(struct window *window, bool may_wait, bool is_new)
{
	bool scale = false, moved;

	window->follow_until = 0;
	if (!fits(window) && window->picture.frame.source != LODGE_DISPLAY_NONE) {
		scale = window->too_large ||
			!(may_wait && window->picture.frame.source == LODGE_DISPLAY_GPU);
		if (!scale)
			window->follow_until = now_ms() + VIEW_FOLLOW_MS;
	}
	moved = picture_place(&window->picture, window->width, window->height, scale);
	if (is_new)
		picture_clear_around(&window->picture);
	else if (moved)
		picture_draw(&window->picture);
	window_title(window);
}

void window_frame(struct window *window, const struct link_frame *frame, int fd)
{
	bool had_none = window->picture.frame.source == LODGE_DISPLAY_NONE;
	int ret = picture_set_frame(&window->picture, frame, fd);

	if (ret < 0)
		fprintf(stderr,
			"lodge-view: screen %u: its memory cannot be mapped: %s; it is black until "
			"the guest sets another mode\n",
			window->head + 1, strerror(-ret));
	if (window->picture.frame.source == LODGE_DISPLAY_NONE) {
		window_show_cursor(window);
		place(window, false, true);
		return;
	}
	window_show_cursor(window);
	window_measure(window);
	if (!window->sized && !window->fullscreen && !fits(window))
		ask_for_size(window, frame->width, frame->height);
	/* A guest whose driver comes up has not heard of the size when it makes its first frame. */
	place(window,
	      !window->sized || had_none || window->follow_until != 0 ||
		      frame->source == LODGE_DISPLAY_GPU,
	      true);
}

void window_configured(struct window *window, const xcb_configure_notify_event_t *event)
{
	/* Only what the window manager makes itself is relative to the root. */
	if (event->response_type & 0x80) {
		window->root_x = event->x;
		window->root_y = event->y;
		window_measure(window);
	}
	if (event->width == window->width && event->height == window->height)
		return;
	window->width = event->width;
	window->height = event->height;
	if (!window->sized &&
	    (window->fullscreen || !is_asked(window, event->width, event->height)))
		window->sized = true;
	if (window->sized)
		window->resize_due = true;
	place(window, true, false);
}

static void measure(const struct window *window, const uint32_t pixels[2], uint32_t mm[2])
{
	screen_measure(&window->view->screen, window->root_x + (int)window->width / 2,
		       window->root_y + (int)window->height / 2, pixels[0], pixels[1], &mm[0],
		       &mm[1]);
}

/* Of a window that asks for no size: how large the guest's own is. */
static void tell_measure(struct window *window, const uint32_t size[2], const uint32_t mm[2])
{
	const struct lodge_display_measure body = {
		.width = htole32(size[0]),
		.height = htole32(size[1]),
		.width_mm = htole32(mm[0]),
		.height_mm = htole32(mm[1]),
	};

	memcpy(window->told_mm, mm, sizeof(window->told_mm));
	link_send(window->view->link, LODGE_DISPLAY_MEASURE, window->head, &body, sizeof(body));
}

/* On another monitor the same pixels have another size. */
void window_measure(struct window *window)
{
	const bool sized = window->told[0] != 0;
	const uint32_t own[2] = { window->picture.frame.width, window->picture.frame.height };
	uint32_t mm[2];

	if (!sized && window->picture.frame.source != LODGE_DISPLAY_GPU)
		return;
	measure(window, sized ? window->told : own, mm);
	if (memcmp(mm, window->told_mm, sizeof(mm)) == 0)
		return;
	if (sized)
		window->resize_due = true;
	else
		tell_measure(window, own, mm);
}

/* Pixels that the other heads leave of the video memory, as far as this view sees them. */
static uint64_t room_for(const struct window *window)
{
	const struct view *view = window->view;
	uint64_t pixels = view->memory_max / PIXEL_BYTES, taken;

	for (unsigned int i = 0; i < view->n_heads; i++) {
		const struct window *other = &view->windows[i];

		if (other == window || !other->id)
			continue;
		taken = (uint64_t)other->told[0] * other->told[1];
		if (taken == 0)
			taken = (uint64_t)other->picture.frame.width * other->picture.frame.height;
		pixels -= taken < pixels ? taken : pixels;
	}
	return pixels;
}

static uint32_t at_least(uint32_t value, uint32_t least)
{
	return value > least ? value : least;
}

/* The largest size of the same aspect that has room; the least one where none has. */
static void shrink(uint32_t size[2], uint64_t pixels)
{
	uint64_t width = size[0], height = size[1], low = 0, high = SHRINK_STEPS;

	while (low + 1 < high) {
		uint64_t step = (low + high) / 2;

		if ((width * step / SHRINK_STEPS) * (height * step / SHRINK_STEPS) <= pixels)
			low = step;
		else
			high = step;
	}
	size[0] = (uint32_t)(width * low / SHRINK_STEPS);
	size[1] = (uint32_t)(height * low / SHRINK_STEPS);
	/* What is very long becomes less so. */
	if (size[1] < LODGE_DISPLAY_HEIGHT_MIN && size[0] > pixels / LODGE_DISPLAY_HEIGHT_MIN)
		size[0] = (uint32_t)(pixels / LODGE_DISPLAY_HEIGHT_MIN);
	if (size[0] < LODGE_DISPLAY_WIDTH_MIN && size[1] > pixels / LODGE_DISPLAY_WIDTH_MIN)
		size[1] = (uint32_t)(pixels / LODGE_DISPLAY_WIDTH_MIN);
	size[0] = at_least(size[0], LODGE_DISPLAY_WIDTH_MIN);
	size[1] = at_least(size[1], LODGE_DISPLAY_HEIGHT_MIN);
}

/* The window's size, as far as the guest can have it. */
static void choose_size(struct window *window, uint32_t size[2])
{
	uint64_t pixels = room_for(window);
	bool had = window->too_large;

	size[0] = at_least(window->width, LODGE_DISPLAY_WIDTH_MIN);
	size[1] = at_least(window->height, LODGE_DISPLAY_HEIGHT_MIN);
	window->too_large = (uint64_t)size[0] * size[1] > pixels;
	if (window->too_large)
		shrink(size, pixels);
	if (window->too_large && !had)
		fprintf(stderr,
			"lodge-view: screen %u: %ux%u is more than [display] memory of %llu MiB "
			"holds; the guest is asked for %ux%u. 'lodge set' can give it more\n",
			window->head + 1, window->width, window->height,
			(unsigned long long)window->view->memory_max >> 20, size[0], size[1]);
	if (window->too_large != had)
		window_title(window);
}

void window_tell_size(struct window *window)
{
	struct lodge_display_resize resize;

	if (!window->resize_due)
		return;
	window->resize_due = false;
	choose_size(window, window->told);
	measure(window, window->told, window->told_mm);
	resize = (struct lodge_display_resize){
		.width = htole32(window->told[0]),
		.height = htole32(window->told[1]),
		.width_mm = htole32(window->told_mm[0]),
		.height_mm = htole32(window->told_mm[1]),
	};
	link_send(window->view->link, LODGE_DISPLAY_RESIZE, window->head, &resize, sizeof(resize));
}

void window_check_time(struct window *window, int64_t now)
{
	if (window->follow_until != 0 && now >= window->follow_until)
		place(window, false, false);
}

void window_set_fullscreen(struct window *window, bool on)
{
	struct screen *screen = &window->view->screen;
	const xcb_client_message_event_t message = {
		.response_type = XCB_CLIENT_MESSAGE,
		.format = 32,
		.window = window->id,
		.type = screen->atoms.wm_state,
		/* _NET_WM_STATE_ADD or _REMOVE; by a program, not by a pager */
		.data.data32 = { on ? 1 : 0, screen->atoms.wm_state_fullscreen, 0, 1, 0 },
	};

	window->fullscreen = on;
	xcb_send_event(screen->x, 0, screen->root->root,
		       XCB_EVENT_MASK_SUBSTRUCTURE_REDIRECT | XCB_EVENT_MASK_SUBSTRUCTURE_NOTIFY,
		       (const char *)&message);
}

/* Also by keys of the window manager's own. */
void window_state_changed(struct window *window)
{
	const struct screen *screen = &window->view->screen;
	xcb_get_property_reply_t *reply = xcb_get_property_reply(
		screen->x,
		xcb_get_property(screen->x, 0, window->id, screen->atoms.wm_state, XCB_ATOM_ATOM, 0,
				 STATES_MAX),
		NULL);
	int n = reply ? xcb_get_property_value_length(reply) / (int)sizeof(xcb_atom_t) : 0;

	window->fullscreen = false;
	for (int i = 0; i < n; i++)
		if (((const xcb_atom_t *)xcb_get_property_value(reply))[i] ==
		    screen->atoms.wm_state_fullscreen)
			window->fullscreen = true;
	free(reply);
}

/* ---- cursor ---- */

/*
 * A guest that shows no cursor may draw one of its own, which the host's must not double, or have
 * no use for one, and then people still want to know where their pointer is: a dot serves both. A
 * text mode has none of its own.
 */
static xcb_cursor_t choose_cursor(const struct window *window)
{
	const enum lodge_display_source source = window->picture.frame.source;

	/* A pointer that is not the guest's is the host's to show. */
	if (!window->view->absolute)
		return XCB_NONE;
	if (window->cursor)
		return window->cursor;
	if (source == LODGE_DISPLAY_NONE || source == LODGE_DISPLAY_TEXT)
		return XCB_NONE;
	return window->view->screen.dot_cursor;
}

void window_show_cursor(struct window *window)
{
	const uint32_t cursor = choose_cursor(window);

	xcb_change_window_attributes(window->view->screen.x, window->id, XCB_CW_CURSOR, &cursor);
}

void window_cursor(struct window *window, const struct link_cursor *cursor)
{
	struct screen *screen = &window->view->screen;
	xcb_cursor_t before = window->cursor;

	window->cursor = screen_make_cursor(screen, cursor->width, cursor->height, cursor->hot_x,
					    cursor->hot_y, cursor->pixels);
	window_show_cursor(window);
	if (before)
		xcb_free_cursor(screen->x, before);
}
