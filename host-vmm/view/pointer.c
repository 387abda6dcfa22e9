// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The pointer, from X to the guest.
 *
 * A guest with a tablet is told places, as often as the monitor takes them: of many movements that
 * wait, the last one counts. Another guest has a mouse, which tells movement alone; its window
 * grabs the pointer on a click, and XInput tells how the hand moves, without the host's edges.
 */
#include <endian.h>
#include <linux/input-event-codes.h>
#include <stdlib.h>
#include <xcb/xinput.h>

#include "host-vmm/view/view.h"

#define NOTCH	 120
#define FRACTION 4294967296.0 /* of xcb_input_fp3232_t */

static void send_move(struct view *view, struct window *window, enum lodge_display_type type,
		      int32_t dx, int32_t dy)
{
	const struct lodge_display_move move = { .dx = htole32((uint32_t)dx),
						 .dy = htole32((uint32_t)dy) };

	pointer_flush(view);
	link_send(view->link, type, window->head, &move, sizeof(move));
}

void pointer_moved(struct view *view, struct window *window, int32_t x, int32_t y)
{
	if (!view->absolute)
		return;
	if (view->pointer.due && view->pointer.window != window)
		pointer_flush(view);
	view->pointer.due = true;
	view->pointer.window = window;
	view->pointer.x = x;
	view->pointer.y = y;
}

void pointer_flush(struct view *view)
{
	struct lodge_display_point point;
	uint32_t x, y;

	if (!view->pointer.due)
		return;
	view->pointer.due = false;
	if (!picture_locate(&view->pointer.window->picture, view->pointer.x, view->pointer.y, &x,
			    &y))
		return;
	point = (struct lodge_display_point){ .x = htole32(x), .y = htole32(y) };
	link_send(view->link, LODGE_DISPLAY_POINT, view->pointer.window->head, &point,
		  sizeof(point));
}

static void send_button(struct view *view, struct window *window, uint16_t code, bool down)
{
	const struct lodge_display_key button = { .code = htole32(code), .down = htole32(down) };

	pointer_flush(view);
	link_send(view->link, LODGE_DISPLAY_BUTTON, window->head, &button, sizeof(button));
}

void pointer_button(struct view *view, struct window *window, uint8_t button, bool down)
{
	/* Numbers of the X core protocol's buttons, as all drivers have them. */
	static const struct {
		uint16_t code; /* 0: the wheel */
		int16_t dx, dy;
	} buttons[] = {
		[1] = { BTN_LEFT, 0, 0 }, [2] = { BTN_MIDDLE, 0, 0 }, [3] = { BTN_RIGHT, 0, 0 },
		[4] = { 0, 0, NOTCH },	  [5] = { 0, 0, -NOTCH },     [6] = { 0, -NOTCH, 0 },
		[7] = { 0, NOTCH, 0 },	  [8] = { BTN_SIDE, 0, 0 },   [9] = { BTN_EXTRA, 0, 0 },
	};

	if (button == 0 || button >= sizeof(buttons) / sizeof(buttons[0]))
		return;
	if (!view->absolute && !view->grab) {
		/* The click that grabs is not the guest's. */
		if (down)
			keyboard_grab(view, window);
		return;
	}
	if (buttons[button].code != 0)
		send_button(view, window, buttons[button].code, down);
	else if (down)
		send_move(view, window, LODGE_DISPLAY_WHEEL, buttons[button].dx,
			  buttons[button].dy);
}

void pointer_watch_raw(struct view *view, bool on)
{
	struct {
		xcb_input_event_mask_t head;
		uint32_t mask;
	} select = {
		.head = { .deviceid = XCB_INPUT_DEVICE_ALL_MASTER, .mask_len = 1 },
		.mask = on ? XCB_INPUT_XI_EVENT_MASK_RAW_MOTION : 0,
	};

	view->pointer.rest_x = view->pointer.rest_y = 0;
	if (view->screen.raw_moves)
		xcb_input_xi_select_events(view->screen.x, view->screen.root->root, 1,
					   &select.head);
}

void pointer_raw(struct view *view, const xcb_ge_generic_event_t *event)
{
	const xcb_input_raw_motion_event_t *raw = (const void *)event;
	const uint32_t *mask = xcb_input_raw_button_press_valuator_mask(raw);
	const xcb_input_fp3232_t *values = xcb_input_raw_button_press_axisvalues_raw(raw);
	struct pointer *pointer = &view->pointer;
	double *rests[] = { &pointer->rest_x, &pointer->rest_y };
	int at = 0;

	if (!view->grab || view->absolute || raw->valuators_len == 0)
		return;
	for (int axis = 0; axis < 2; axis++)
		if (mask[0] >> axis & 1) {
			*rests[axis] += values[at].integral + values[at].frac / FRACTION;
			at++;
		}
	if ((int32_t)pointer->rest_x == 0 && (int32_t)pointer->rest_y == 0)
		return;
	if (!link_is_slow(view->link))
		send_move(view, view->grab, LODGE_DISPLAY_MOVE, (int32_t)pointer->rest_x,
			  (int32_t)pointer->rest_y);
	pointer->rest_x -= (int32_t)pointer->rest_x;
	pointer->rest_y -= (int32_t)pointer->rest_y;
}
