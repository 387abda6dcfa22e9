// SPDX-License-Identifier: GPL-2.0-or-later
// What each head should be: who asks, and the pace at which the guest is told.
#include "host-vmm/display/private.h"

#include <errno.h>

#include "host-vmm/loop.h"

/* A size that every guest takes, until somebody asks for another. */
#define FIRST_WIDTH  1024
#define FIRST_HEIGHT 768
#define MEASURE_MAX  65535u /* mm; wider than any EDID can say */

/* Millimetres of so many pixels at 96 to the inch of 25.4 mm. */
static uint32_t default_mm(uint32_t pixels)
{
	return (pixels * 254 + 480) / 960;
}

static void place_heads(struct display *display)
{
	uint32_t x = 0;

	for (unsigned int i = 0; i < display->n_heads; i++) {
		struct display_head *head = &display->heads[i];

		head->want = head->asked;
		head->want.enabled &= !head->unplugged;
		head->want.x = x;
		x += head->want.width;
	}
}

static void ask(struct display_head *head, uint32_t width, uint32_t height, uint32_t width_mm,
		uint32_t height_mm)
{
	head->asked = (struct display_want){
		.enabled = width > 0,
		.width = width,
		.height = height,
		.width_mm = width_mm ? width_mm : default_mm(width),
		.height_mm = height_mm ? height_mm : default_mm(height),
	};
}

/* Whether all pictures together would fit, were they of these sizes. */
static bool has_room(const struct display *display, unsigned int head, uint32_t width,
		     uint32_t height)
{
	uint64_t sum = (uint64_t)width * height * 4;

	for (unsigned int i = 0; i < display->n_heads; i++)
		if (i != head)
			sum += (uint64_t)display->heads[i].asked.width *
			       display->heads[i].asked.height * 4;
	return sum <= display->memory;
}

void display_want_start(struct display *display)
{
	/* All are on that there is memory for. */
	for (unsigned int i = 0; i < display->n_heads; i++)
		if (has_room(display, i, FIRST_WIDTH, FIRST_HEIGHT))
			ask(&display->heads[i], FIRST_WIDTH, FIRST_HEIGHT, 0, 0);
	place_heads(display);
}

int64_t display_want_due(const struct display *display)
{
	int64_t due = display->want_waits ? display->next_tell : DISPLAY_NEVER;

	for (unsigned int i = 0; i < display->n_heads; i++) {
		const struct display_head *head = &display->heads[i];

		if (head->unplugged && head->plug_at < due)
			due = head->plug_at;
	}
	return due;
}

static void plug(struct display *display, int64_t now)
{
	for (unsigned int i = 0; i < display->n_heads; i++) {
		struct display_head *head = &display->heads[i];

		if (!head->unplugged || now < head->plug_at)
			continue;
		head->unplugged = false;
		display->want_waits = true;
	}
}

void display_want_seen(struct display_head *head, int64_t now)
{
	if (head->unplugged)
		head->plug_at = now;
}

void display_want_turn(struct display *display, int64_t now)
{
	plug(display, now);
	if (!display->want_waits || now < display->next_tell)
		return;
	display->want_waits = false;
	display->next_tell = now + DISPLAY_TELL_NS;
	place_heads(display);
	if (display->changed)
		display->changed(display->changed_opaque);
}

struct resize {
	struct display *display;
	unsigned int head;
	uint32_t width, height, width_mm, height_mm;
	int ret;
};

static void resize(void *opaque)
{
	struct resize *call = opaque;
	struct display *display = call->display;
	struct display_head *head = &display->heads[call->head];

	call->ret = -E2BIG;
	if (!has_room(display, call->head, call->width, call->height))
		return;
	ask(head, call->width, call->height, call->width_mm, call->height_mm);
	/* Said again, too: the guest may have taken another size meanwhile. */
	display->want_waits = true;
	display_want_turn(display, display_now());
	display_pace(display);
	call->ret = 0;
}

/* Whether the guest's driver shows another size than it was told, and none was unplugged for this
 * size before: a guest that does not take it then will not the next time. */
static bool is_left(const struct display_head *head)
{
	const struct display_picture *picture = &head->layers[DISPLAY_LAYER_GPU];
	const struct display_want *asked = &head->asked;

	if (!asked->enabled || head->unplugged || !head->set[DISPLAY_LAYER_GPU])
		return false;
	if (picture->width == asked->width && picture->height == asked->height)
		return false;
	return asked->width != head->replug_width || asked->height != head->replug_height;
}

static void replug(void *opaque)
{
	struct display *display = opaque;
	const int64_t now = display_now();

	for (unsigned int i = 0; i < display->n_heads; i++) {
		struct display_head *head = &display->heads[i];

		if (!is_left(head))
			continue;
		head->unplugged = true;
		head->plug_at = now + DISPLAY_UNPLUG_NS;
		head->replug_width = head->asked.width;
		head->replug_height = head->asked.height;
		display->want_waits = true;
	}
	display_want_turn(display, now);
	display_pace(display);
}

void display_replug(struct display *display)
{
	loop_call(display->loop, replug, display);
}

/* Of @wanted pixels, where @pixels are @mm; what is known stays where it is the same to a
 * millimetre. */
static uint32_t measured(uint32_t known, uint32_t wanted, uint32_t pixels, uint32_t mm)
{
	const uint64_t now = (uint64_t)wanted * mm / pixels;

	return now + 1 < known || now > (uint64_t)known + 1 ? (uint32_t)now : known;
}

void display_measure(struct display *display, unsigned int index, uint32_t width, uint32_t height,
		     uint32_t width_mm, uint32_t height_mm)
{
	struct display_want *asked = &display->heads[index].asked;
	struct display_want now = *asked;

	if (!asked->enabled || !width || !height || !width_mm || !height_mm ||
	    width_mm > MEASURE_MAX || height_mm > MEASURE_MAX)
		return;
	now.width_mm = measured(asked->width_mm, asked->width, width, width_mm);
	now.height_mm = measured(asked->height_mm, asked->height, height, height_mm);
	if (now.width_mm == asked->width_mm && now.height_mm == asked->height_mm)
		return;
	*asked = now;
	display->want_waits = true;
	display_want_turn(display, display_now());
	display_pace(display);
}

int display_resize(struct display *display, unsigned int head, uint32_t width, uint32_t height,
		   uint32_t width_mm, uint32_t height_mm)
{
	struct resize call = { display, head, width, height, width_mm, height_mm, 0 };

	if (head >= display->n_heads)
		return -ENOENT;
	if (!width && !height) {
		if (!head)
			return -EINVAL;
	} else if (width < LODGE_DISPLAY_WIDTH_MIN || height < LODGE_DISPLAY_HEIGHT_MIN) {
		return -EINVAL;
	} else if (width > LODGE_DISPLAY_SIDE_MAX || height > LODGE_DISPLAY_SIDE_MAX) {
		return -E2BIG;
	}
	loop_call(display->loop, resize, &call);
	return call.ret;
}

void display_listen(struct display *display, void (*changed)(void *opaque), void *opaque)
{
	display->changed = changed;
	display->changed_opaque = opaque;
}

void display_get_want(struct display *display, unsigned int head, struct display_want *ret_want)
{
	*ret_want = head < display->n_heads ? display->heads[head].want
					    : (struct display_want){ 0 };
}

struct look {
	struct display *display;
	unsigned int head;
	struct display_head_state state;
};

static void look(void *opaque)
{
	struct look *call = opaque;
	const struct display_head *head = &call->display->heads[call->head];

	call->state = (struct display_head_state){
		.source = head->top ? head->top->source : LODGE_DISPLAY_NONE,
		.width = head->top ? head->top->width : 0,
		.height = head->top ? head->top->height : 0,
		.want = head->want,
		.windows = head->watchers,
		.mode_sets = head->mode_sets,
		.frames = head->frames,
		.copied_bytes = head->copied_bytes,
	};
}

int display_state(struct display *display, unsigned int head, struct display_head_state *ret_state)
{
	struct look call = { .display = display, .head = head };

	if (head >= display->n_heads)
		return -ENOENT;
	loop_call(display->loop, look, &call);
	*ret_state = call.state;
	return 0;
}
