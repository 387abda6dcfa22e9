// SPDX-License-Identifier: GPL-2.0-or-later
// When what is done: frames, modes, cursors and those who wait for them, at the pace of one timer.
#include "host-vmm/display/private.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "host-vmm/loop.h"
#include "protocol/lib/fd.h"

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* ---- modes ---- */

static void set_view(struct display_head *head)
{
	const struct display_picture *top = head->top;
	const struct segment *segment = head->segment;

	head->view = (struct display_view){ .fd = -1 };
	if (!segment)
		return;
	head->view = (struct display_view){
		.width = segment->width,
		.height = segment->height,
		.stride = segment->stride,
		.source = top->source,
		.x = top->x,
		.y = top->y,
		.fd = segment->fd,
	};
}

/* A flip to another picture of the same size changes nothing that viewers would have to know. */
static bool view_is_right(const struct display_head *head)
{
	const struct display_picture *top = head->top;
	const struct display_view *view = &head->view;

	return head->segment && top && view->width == top->width && view->height == top->height &&
	       view->source == top->source && view->x == top->x && view->y == top->y;
}

static void change_mode(struct display *display, unsigned int index)
{
	struct display_head *head = &display->heads[index];
	const struct display_picture *top = head->top;
	int ret = 0;

	head->mode_changed = false;
	if (view_is_right(head)) {
		/* Who came meanwhile waits for it. */
		display_owe(display, index, 0);
		return;
	}
	if (!top || !head->segment || head->segment->width != top->width ||
	    head->segment->height != top->height) {
		segment_free(head->segment);
		head->segment = NULL;
		if (top)
			ret = segment_create(top->width, top->height, &head->segment);
	}
	if (ret < 0)
		log_ratelimited(&display->limit, LOG_LEVEL_WARN,
				"screen %u stays dark: no memory for %ux%u: %s; close something",
				index + 1, top->width, top->height, strerror(-ret));
	set_view(head);
	display_release(display, index);
	display_owe(display, index, OWED_FRAME);
}

/* ---- frames ---- */

static bool wants_refresh(const struct display_head *head)
{
	return head->top && head->top->ops->refresh;
}

static int64_t frame_due(const struct display_head *head)
{
	if (!head->watchers)
		return DISPLAY_NEVER;
	if (head->mode_changed)
		return head->top ? head->next_frame : later(head->next_frame, head->off_until);
	if (!head->segment)
		return DISPLAY_NEVER;
	if (head->busy)
		return head->busy_until;
	return wants_refresh(head) || !region_is_empty(&head->damage) ? head->next_frame
								      : DISPLAY_NEVER;
}

static void make_frame(struct display *display, unsigned int index, int64_t now)
{
	struct display_head *head = &display->heads[index];

	head->next_frame = now + DISPLAY_FRAME_NS;
	if (wants_refresh(head))
		head->top->ops->refresh(head->top->opaque);
	/* It may have found another mode: what is damaged now is of that. */
	if (head->mode_changed || region_is_empty(&head->damage))
		return;
	display_fetch(display, head);
	head->serial++;
	head->busy_until = now + LODGE_DISPLAY_SHOWN_MS * DISPLAY_MS;
	display_tell_damage(display, index);
	region_clear(&head->damage);
}

static void frame_turn(struct display *display, unsigned int index, int64_t now)
{
	struct display_head *head = &display->heads[index];

	if (now < frame_due(head))
		return;
	if (head->mode_changed)
		change_mode(display, index);
	if (head->busy && now >= head->busy_until)
		display_release(display, index);
	if (head->segment && !head->busy && now >= head->next_frame)
		make_frame(display, index, now);
}

/* ---- cursors ---- */

static int64_t cursor_due(const struct display_head *head)
{
	return head->cursor_changed && head->watchers ? head->next_cursor : DISPLAY_NEVER;
}

static void cursor_turn(struct display *display, unsigned int index, int64_t now)
{
	struct display_head *head = &display->heads[index];
	const uint8_t changed = head->cursor_changed;

	if (now < cursor_due(head))
		return;
	head->cursor_changed = 0;
	head->next_cursor = now + DISPLAY_FRAME_NS;
	display_owe(display, index, changed);
}

/* ---- those who wait ---- */

static bool was_shown(const struct display_head *head, uint32_t serial)
{
	const int32_t ahead = (int32_t)(head->serial - serial);

	return !head->watchers || ahead > 0 || (!ahead && !head->busy);
}

static int64_t waiter_due(const struct display *display, const struct display_waiter *waiter)
{
	const struct display_head *head = &display->heads[waiter->head];
	const int64_t earliest = head->last_done + DISPLAY_FRAME_NS;

	return was_shown(head, waiter->serial) ? earlier(earliest, waiter->deadline)
					       : waiter->deadline;
}

/* Takes out and returns the first one that is due and was there before @number. */
static bool next_waiter(struct display *display, uint64_t number, int64_t now,
			struct display_waiter *ret_waiter)
{
	for (unsigned int i = 0; i < display->n_waiters; i++) {
		struct display_waiter *waiter = &display->waiters[i];

		if (waiter->number >= number || now < waiter_due(display, waiter))
			continue;
		*ret_waiter = *waiter;
		display->n_waiters--;
		memmove(waiter, waiter + 1, (display->n_waiters - i) * sizeof(*waiter));
		return true;
	}
	return false;
}

static void waiters_turn(struct display *display, int64_t now)
{
	const uint64_t number = display->waiter_number;
	struct display_waiter waiter;
	uint32_t done = 0;

	/* They may wait again, or forget others, from within. All that are due go together. */
	while (next_waiter(display, number, now, &waiter)) {
		done |= 1u << waiter.head;
		waiter.done(waiter.opaque);
	}
	for (unsigned int i = 0; i < display->n_heads; i++)
		if (done >> i & 1)
			display->heads[i].last_done = now;
}

/* ---- the timer ---- */

static int64_t next_due(const struct display *display)
{
	int64_t due = display_want_due(display);

	for (unsigned int i = 0; i < display->n_heads; i++) {
		const struct display_head *head = &display->heads[i];

		due = earlier(due, earlier(frame_due(head), cursor_due(head)));
	}
	for (unsigned int i = 0; i < display->n_waiters; i++)
		due = earlier(due, waiter_due(display, &display->waiters[i]));
	return due;
}

void display_pace(struct display *display)
{
	const int64_t due = next_due(display);
	struct itimerspec when = { 0 };

	if (due == display->timer_at)
		return;
	display->timer_at = due;
	if (due != DISPLAY_NEVER) {
		when.it_value.tv_sec = due / (1000 * DISPLAY_MS);
		/* 0 would turn it off. */
		when.it_value.tv_nsec = due % (1000 * DISPLAY_MS) + (due <= 0);
	}
	(void)timerfd_settime(display->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void turn(void *opaque, uint32_t events)
{
	struct display *display = opaque;
	const int64_t now = display_now();

	(void)events;
	/* It is off now. By its edges it needs no reading. */
	display->timer_at = DISPLAY_NEVER;
	display_want_turn(display, now);
	for (unsigned int i = 0; i < display->n_heads; i++) {
		frame_turn(display, i, now);
		cursor_turn(display, i, now);
	}
	waiters_turn(display, now);
	display_pace(display);
}

int display_pace_start(struct display *display)
{
	display->timer_at = DISPLAY_NEVER;
	display->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (display->timer_fd < 0)
		return -errno;
	return loop_add(display->loop, display->timer_fd, EPOLLIN | EPOLLET, turn, display,
			&display->timer);
}

void display_pace_stop(struct display *display)
{
	loop_remove(display->timer);
	fd_close(&display->timer_fd);
}
