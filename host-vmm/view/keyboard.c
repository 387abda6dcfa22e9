// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Keys, from X to the guest: by their place on the board, not by what is printed on them.
 *
 * The host key is kept from the guest: with another key it is a command, and alone it grabs the
 * keyboard or lets it go.
 */
#include <endian.h>
#include <linux/input-event-codes.h>
#include <stdlib.h>

#include "host-vmm/view/view.h"

#define X_KEYCODE_OFFSET 8 /* of the rules "evdev": X keycode = KEY_ + 8 */

static void send_key(struct view *view, struct window *window, uint32_t code, bool down)
{
	const struct lodge_display_key key = { .code = htole32(code), .down = htole32(down) };

	pointer_flush(view);
	link_send(view->link, LODGE_DISPLAY_KEY, window->head, &key, sizeof(key));
}

void keyboard_release(struct view *view)
{
	view->host_down = view->host_used = false;
	pointer_flush(view);
	link_send(view->link, LODGE_DISPLAY_RELEASE, 0, NULL, 0);
}

static bool grab_keys(struct screen *screen, struct window *window)
{
	xcb_grab_keyboard_reply_t *reply = xcb_grab_keyboard_reply(
		screen->x,
		xcb_grab_keyboard(screen->x, 1, window->id, XCB_CURRENT_TIME, XCB_GRAB_MODE_ASYNC,
				  XCB_GRAB_MODE_ASYNC),
		NULL);
	bool grabbed = reply && reply->status == XCB_GRAB_STATUS_SUCCESS;

	free(reply);
	return grabbed;
}

/* Owner events would bring each raw movement twice: by the grab and by the root. */
static bool grab_pointer(struct screen *screen, struct window *window)
{
	xcb_grab_pointer_reply_t *reply = xcb_grab_pointer_reply(
		screen->x,
		xcb_grab_pointer(screen->x, 0, window->id,
				 XCB_EVENT_MASK_BUTTON_PRESS | XCB_EVENT_MASK_BUTTON_RELEASE |
					 XCB_EVENT_MASK_POINTER_MOTION,
				 XCB_GRAB_MODE_ASYNC, XCB_GRAB_MODE_ASYNC, window->id,
				 screen->no_cursor, XCB_CURRENT_TIME),
		NULL);
	bool grabbed = reply && reply->status == XCB_GRAB_STATUS_SUCCESS;

	free(reply);
	return grabbed;
}

/* Another program may have them: then nothing is grabbed, and the next try may do. */
void keyboard_grab(struct view *view, struct window *window)
{
	struct screen *screen = &view->screen;

	if (view->grab || !grab_keys(screen, window))
		return;
	if (!view->absolute && !grab_pointer(screen, window)) {
		xcb_ungrab_keyboard(screen->x, XCB_CURRENT_TIME);
		return;
	}
	view->grab = window;
	if (!view->absolute)
		pointer_watch_raw(view, true);
	window_title(window);
}

void keyboard_ungrab(struct view *view)
{
	struct window *window = view->grab;

	if (!window)
		return;
	view->grab = NULL;
	pointer_watch_raw(view, false);
	xcb_ungrab_pointer(view->screen.x, XCB_CURRENT_TIME);
	xcb_ungrab_keyboard(view->screen.x, XCB_CURRENT_TIME);
	keyboard_release(view);
	window_title(window);
}

/* ---- commands of the host key ---- */

static void toggle_grab(struct view *view, struct window *window)
{
	if (view->grab)
		keyboard_ungrab(view);
	else
		keyboard_grab(view, window);
}

static void toggle_fullscreen(struct view *view, struct window *window)
{
	(void)view;
	window_set_fullscreen(window, !window->fullscreen);
}

static void ctrl_alt_del(struct view *view, struct window *window)
{
	static const uint16_t keys[] = { KEY_LEFTCTRL, KEY_LEFTALT, KEY_DELETE };

	for (int i = 0; i < 3; i++)
		send_key(view, window, keys[i], true);
	for (int i = 3; i-- > 0;)
		send_key(view, window, keys[i], false);
}

static void shoot(struct view *view, struct window *window)
{
	view_shoot(view, window);
}

static void quit(struct view *view, struct window *window)
{
	(void)window;
	view->quit = true;
}

static const struct {
	xcb_keysym_t
		keysym; /* Latin letters: their code, in lower case (X11 protocol, appendix A) */
	void (*run)(struct view *view, struct window *window);
} commands[] = {
	{ 'd', ctrl_alt_del }, { 'f', toggle_fullscreen }, { 'g', toggle_grab }, { 'q', quit },
	{ 's', shoot },
};

static void command(struct view *view, struct window *window, xcb_keysym_t keysym)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (commands[i].keysym == keysym)
			commands[i].run(view, window);
}

/* True if the key is not for the guest. */
static bool host_key(struct view *view, struct window *window, uint8_t keycode, bool down)
{
	xcb_keysym_t keysym = view->screen.keysyms[keycode];

	if (view->options->host_key != 0 && keysym == view->options->host_key) {
		if (!down && view->host_down && !view->host_used)
			toggle_grab(view, window);
		if (down == view->host_down)
			return true;
		view->host_used = false;
		view->host_down = down;
		window_title(window);
		return true;
	}
	if (!view->host_down)
		return false;
	/* Releases of what was pressed before are the guest's. */
	if (!down)
		return false;
	if (!view->host_used) {
		view->host_used = true;
		command(view, window, keysym);
	}
	return true;
}

void keyboard_key(struct view *view, struct window *window, uint8_t keycode, bool down)
{
	if (keycode <= X_KEYCODE_OFFSET || host_key(view, window, keycode, down))
		return;
	send_key(view, window, keycode - X_KEYCODE_OFFSET, down);
}

void keyboard_focus(struct view *view, struct window *window, bool in)
{
	if (in) {
		view->focus = window;
		return;
	}
	if (view->focus != window)
		return;
	view->focus = NULL;
	keyboard_release(view);
	window_title(window);
}
