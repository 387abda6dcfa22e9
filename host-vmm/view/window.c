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
#include <stdio.h>
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
	if (window->view->grab == window)
		return ": keyboard grabbed";
	if (window->picture.frame.source == LODGE_DISPLAY_NONE)
		return ": no picture";
	if (window->picture.pixmap)
		return ": scaled";
	return "";
}

void window_title(struct window *window)
{
	const struct screen_atoms *atoms = &window->view->screen.atoms;
	struct view *view = window->view;
	char number[16] = "", hint[64] = "", title[256];

	if (view->n_heads > 1)
		snprintf(number, sizeof(number), " (%u)", window->head + 1);
	if (view->grab == window && view->options->host_key != 0)
		snprintf(hint, sizeof(hint), ", %s lets go", view->options->host_key_name);
	snprintf(title, sizeof(title), "%s%s%s%s - Lodge", view->name, number, state_of(window),
		 hint);
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
	const uint32_t pid = (uint32_t)getpid();

	xcb_change_property(screen->x, XCB_PROP_MODE_REPLACE, window->id, XCB_ATOM_WM_NORMAL_HINTS,
			    XCB_ATOM_WM_SIZE_HINTS, 32, sizeof(hints) / 4, &hints);
	xcb_change_property(screen->x, XCB_PROP_MODE_REPLACE, window->id,
			    screen->atoms.wm_protocols, XCB_ATOM_ATOM, 32, 1,
			    &screen->atoms.wm_delete_window);
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
			XCB_EVENT_MASK_BUTTON_RELEASE | XCB_EVENT_MASK_POINTER_MOTION,
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
	uint32_t most_width, most_height;
	uint32_t size[2];

	screen_monitor(&window->view->screen, window->root_x, window->root_y, &most_width,
		       &most_height);
	size[0] = width < most_width ? width : most_width;
	size[1] = height < most_height ? height : most_height;
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
		scale = !(may_wait && window->picture.frame.source == LODGE_DISPLAY_GPU);
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

	if (picture_set_frame(&window->picture, frame, fd) < 0)
		fprintf(stderr, "lodge-view: head %u: its memory cannot be mapped\n", window->head);
	if (window->picture.frame.source == LODGE_DISPLAY_NONE) {
		place(window, false, true);
		return;
	}
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

void window_tell_size(struct window *window)
{
	struct screen *screen = &window->view->screen;
	struct lodge_display_resize resize;
	uint32_t width = window->width, height = window->height, width_mm, height_mm;

	if (!window->resize_due)
		return;
	window->resize_due = false;
	if (width < LODGE_DISPLAY_WIDTH_MIN)
		width = LODGE_DISPLAY_WIDTH_MIN;
	if (height < LODGE_DISPLAY_HEIGHT_MIN)
		height = LODGE_DISPLAY_HEIGHT_MIN;
	screen_measure(screen, window->root_x + (int)width / 2, window->root_y + (int)height / 2,
		       width, height, &width_mm, &height_mm);
	resize = (struct lodge_display_resize){
		.width = htole32(width),
		.height = htole32(height),
		.width_mm = htole32(width_mm),
		.height_mm = htole32(height_mm),
		.scale = htole32(screen->scale),
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

/* ---- cursor ---- */

void window_show_cursor(struct window *window)
{
	struct screen *screen = &window->view->screen;
	uint32_t cursor = window->cursor ? window->cursor : screen->no_cursor;

	/* A pointer that is not the guest's is the host's to show. */
	if (!window->view->absolute)
		cursor = XCB_NONE;
	xcb_change_window_attributes(screen->x, window->id, XCB_CW_CURSOR, &cursor);
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
