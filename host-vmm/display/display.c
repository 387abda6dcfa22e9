// SPDX-License-Identifier: GPL-2.0-or-later
// The screens' state: layers, damage, cursors, those who wait for a frame.
#include "host-vmm/display/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host-vmm/loop.h"

int64_t display_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 * DISPLAY_MS + now.tv_nsec;
}

int display_create(unsigned int heads, uint64_t memory, struct display **ret_display)
{
	struct display *display;
	int ret;

	if (!heads || heads > LODGE_DISPLAY_HEADS_MAX)
		return -EINVAL;
	display = calloc(1, sizeof(*display));
	if (!display)
		return -ENOMEM;
	display->n_heads = heads;
	display->memory = memory;
	display->timer_fd = -1;
	display_want_start(display);
	ret = loop_create("display", &display->loop);
	if (!ret)
		ret = display_pace_start(display);
	if (ret)
		display_destroy(display);
	else
		*ret_display = display;
	return ret;
}

void display_destroy(struct display *display)
{
	if (!display)
		return;
	display_pace_stop(display);
	loop_destroy(display->loop);
	for (unsigned int i = 0; i < display->n_heads; i++) {
		segment_free(display->heads[i].segment);
		free(display->heads[i].cursor_argb);
	}
	free(display);
}

struct loop *display_loop(struct display *display)
{
	return display->loop;
}

unsigned int display_heads(const struct display *display)
{
	return display->n_heads;
}

uint64_t display_memory(const struct display *display)
{
	return display->memory;
}

/* As windows get it. */
static uint64_t copy_bytes(const struct display_picture *picture)
{
	return (uint64_t)picture->width * picture->height * 4;
}

/* Of all heads together, with @picture on @head. */
static uint64_t all_copies(const struct display *display, unsigned int head,
			   const struct display_picture *picture)
{
	uint64_t sum = copy_bytes(picture);

	for (unsigned int i = 0; i < display->n_heads; i++)
		if (i != head && display->heads[i].top)
			sum += copy_bytes(display->heads[i].top);
	return sum;
}

static bool fits(const struct display *display, unsigned int head,
		 const struct display_picture *picture)
{
	const unsigned int bytes = display_format_bytes(picture->format);

	return bytes && picture->width && picture->width <= LODGE_DISPLAY_SIDE_MAX &&
	       picture->height && picture->height <= LODGE_DISPLAY_SIDE_MAX && picture->ops &&
	       picture->ops->read && picture->x <= INT32_MAX && picture->y <= INT32_MAX &&
	       (uint64_t)picture->width * picture->height * bytes <= display->memory &&
	       all_copies(display, head, picture) <= DISPLAY_COPIES * display->memory;
}

/* Works out anew which layer is seen; @changed: it may be the same one with another picture. */
static void show_top(struct display *display, struct display_head *head, bool changed)
{
	const struct display_picture *top = NULL;
	bool was_on = head->top;

	for (unsigned int i = 0; i < DISPLAY_LAYERS; i++)
		if (head->held[i])
			top = head->set[i] ? &head->layers[i] : NULL;
	if (top == head->top && !changed)
		return;
	head->top = top;
	head->mode_changed = true;
	region_clear(&head->damage);
	if (top) {
		region_fill(&head->damage, top->width, top->height);
		if (top->width != head->last_width || top->height != head->last_height)
			head->mode_sets++;
		head->last_width = top->width;
		head->last_height = top->height;
	} else if (was_on) {
		/* Mode sets take the old picture away before they bring the new one. */
		const int64_t now = display_now();

		head->off_until = now + (head->unplugged ? DISPLAY_UNPLUG_NS : DISPLAY_OFF_NS);
		display_want_seen(head, now);
	}
	display_pace(display);
}

int display_set_picture(struct display *display, unsigned int head_index, enum display_layer layer,
			const struct display_picture *picture)
{
	struct display_head *head;
	bool is_top;

	if (head_index >= display->n_heads || (unsigned int)layer >= DISPLAY_LAYERS ||
	    (picture && !fits(display, head_index, picture)))
		return -EINVAL;
	head = &display->heads[head_index];
	is_top = head->top == &head->layers[layer];
	if (!picture && !head->set[layer])
		return 0;
	head->set[layer] = picture;
	if (picture) {
		head->held[layer] = true;
		head->layers[layer] = *picture;
	}
	show_top(display, head, is_top);
	return 0;
}

void display_release_layer(struct display *display, enum display_layer layer)
{
	for (unsigned int i = 0; i < display->n_heads; i++) {
		struct display_head *head = &display->heads[i];
		bool is_top = head->top == &head->layers[layer];

		head->set[layer] = head->held[layer] = false;
		show_top(display, head, is_top);
	}
}

void display_damage(struct display *display, unsigned int head_index, enum display_layer layer,
		    const struct display_rect *rect)
{
	struct display_head *head;
	bool first;

	if (head_index >= display->n_heads)
		return;
	head = &display->heads[head_index];
	/* Who comes to look gets all of it anyhow. */
	if (!head->watchers || !head->top || head->top != &head->layers[layer])
		return;
	first = region_is_empty(&head->damage);
	region_add(&head->damage, rect, head->top->width, head->top->height);
	if (first && !region_is_empty(&head->damage))
		display_pace(display);
}

int display_when_shown(struct display *display, unsigned int head_index, void (*done)(void *opaque),
		       void *opaque)
{
	const struct display_head *head;
	bool waits;

	if (head_index >= display->n_heads)
		return -EINVAL;
	head = &display->heads[head_index];
	if (display->n_waiters == DISPLAY_WAITERS_MAX)
		return -EAGAIN;
	waits = head->watchers && (head->mode_changed || !region_is_empty(&head->damage));
	display->waiters[display->n_waiters++] = (struct display_waiter){
		.head = head_index,
		.serial = head->serial + waits,
		.number = display->waiter_number++,
		.deadline = display_now() + LODGE_DISPLAY_SHOWN_MS * DISPLAY_MS,
		.done = done,
		.opaque = opaque,
	};
	display_pace(display);
	return 0;
}

void display_forget(struct display *display, void *opaque)
{
	unsigned int left = 0;

	for (unsigned int i = 0; i < display->n_waiters; i++)
		if (display->waiters[i].opaque != opaque)
			display->waiters[left++] = display->waiters[i];
	display->n_waiters = left;
}

int display_set_cursor(struct display *display, unsigned int head_index, uint32_t width,
		       uint32_t height, uint32_t hot_x, uint32_t hot_y, const uint32_t *argb)
{
	const size_t size = (size_t)width * height * sizeof(*argb);
	struct display_head *head;

	if (head_index >= display->n_heads || width > LODGE_DISPLAY_CURSOR_MAX ||
	    height > LODGE_DISPLAY_CURSOR_MAX || !width != !height || !width != !argb)
		return -EINVAL;
	if (width && (hot_x >= width || hot_y >= height))
		return -EINVAL;
	head = &display->heads[head_index];
	if (!head->cursor_argb && width)
		head->cursor_argb =
			malloc(LODGE_DISPLAY_CURSOR_MAX * LODGE_DISPLAY_CURSOR_MAX * sizeof(*argb));
	if (width && !head->cursor_argb)
		return -ENOMEM;
	if (width)
		memcpy(head->cursor_argb, argb, size);
	head->cursor = (struct display_cursor){
		.width = width,
		.height = height,
		.hot_x = width ? hot_x : 0,
		.hot_y = width ? hot_y : 0,
		.argb = head->cursor_argb,
	};
	head->cursor_changed |= OWED_CURSOR;
	display_pace(display);
	return 0;
}

void display_move_cursor(struct display *display, unsigned int head_index, uint32_t x, uint32_t y)
{
	struct display_head *head;

	if (head_index >= display->n_heads)
		return;
	head = &display->heads[head_index];
	if (head->cursor_x == x && head->cursor_y == y)
		return;
	head->cursor_x = x;
	head->cursor_y = y;
	head->cursor_changed |= OWED_CURSOR_AT;
	display_pace(display);
}
