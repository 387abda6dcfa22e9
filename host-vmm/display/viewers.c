// SPDX-License-Identifier: GPL-2.0-or-later
// What viewers are told, at once or when they can take it, and what they have shown.
#include "host-vmm/display/private.h"

/* The last damage, and all that went by before: it stays for this viewer as for those who were told
 * in time. */
static void tell_late(struct display_head *head, struct display_viewer *viewer, unsigned int index)
{
	const struct display_rect all = { .width = head->view.width, .height = head->view.height };

	viewer->unshown |= 1u << index;
	head->busy = true;
	head->busy_until = display_now() + LODGE_DISPLAY_SHOWN_MS * DISPLAY_MS;
	viewer->ops->damage(viewer->opaque, index, head->serial, &all, 1);
}

/* One thing that is owed, in the order in which it makes sense. */
static void pay_one(struct display *display, struct display_viewer *viewer, unsigned int index)
{
	struct display_head *head = &display->heads[index];
	uint8_t *owed = &viewer->owed[index];

	if (*owed & OWED_FRAME) {
		*owed &= (uint8_t)~OWED_FRAME;
		viewer->ops->frame(viewer->opaque, index, &head->view);
	} else if (*owed & OWED_CURSOR) {
		*owed &= (uint8_t)~OWED_CURSOR;
		viewer->ops->cursor(viewer->opaque, index, &head->cursor);
	} else if (*owed & OWED_CURSOR_AT) {
		*owed &= (uint8_t)~OWED_CURSOR_AT;
		viewer->ops->cursor_at(viewer->opaque, index, head->cursor_x, head->cursor_y);
	} else {
		*owed &= (uint8_t)~OWED_DAMAGE;
		if (head->segment)
			tell_late(head, viewer, index);
	}
}

static void pay(struct display *display, struct display_viewer *viewer, unsigned int index)
{
	/* The turn that brings the new mode pays all. */
	if (display->heads[index].mode_changed)
		return;
	while (viewer->owed[index] && viewer->ops->ready(viewer->opaque))
		pay_one(display, viewer, index);
}

void display_owe(struct display *display, unsigned int index, uint8_t what)
{
	for (struct display_viewer *viewer = display->viewers; viewer; viewer = viewer->next) {
		if (!(viewer->heads >> index & 1))
			continue;
		viewer->owed[index] |= what;
		pay(display, viewer, index);
	}
}

/* Whether anybody is still to show the last damage. */
static void check_shown(struct display *display, unsigned int index)
{
	bool busy = false;

	for (struct display_viewer *viewer = display->viewers; viewer; viewer = viewer->next)
		busy |= viewer->unshown >> index & 1;
	display->heads[index].busy = busy;
}

void display_tell_damage(struct display *display, unsigned int index)
{
	struct display_head *head = &display->heads[index];

	for (struct display_viewer *viewer = display->viewers; viewer; viewer = viewer->next) {
		if (!(viewer->heads >> index & 1))
			continue;
		/* Who was told of less than all is told of all. */
		if (viewer->owed[index] || !viewer->ops->ready(viewer->opaque)) {
			viewer->owed[index] |= OWED_DAMAGE;
			continue;
		}
		viewer->unshown |= 1u << index;
		viewer->ops->damage(viewer->opaque, index, head->serial, head->damage.rects,
				    head->damage.n);
	}
	check_shown(display, index);
}

void display_release(struct display *display, unsigned int index)
{
	for (struct display_viewer *viewer = display->viewers; viewer; viewer = viewer->next)
		viewer->unshown &= ~(1u << index);
	display->heads[index].busy = false;
}

void display_shown(struct display *display, struct display_viewer *viewer, unsigned int head,
		   uint32_t serial)
{
	if (head >= display->n_heads || serial != display->heads[head].serial)
		return;
	viewer->unshown &= ~(1u << head);
	check_shown(display, head);
	display_pace(display);
}

void display_viewer_ready(struct display *display, struct display_viewer *viewer)
{
	for (unsigned int i = 0; i < display->n_heads; i++)
		pay(display, viewer, i);
	display_pace(display);
}

void display_attach(struct display *display, struct display_viewer *viewer)
{
	viewer->unshown = 0;
	viewer->next = display->viewers;
	display->viewers = viewer;
	for (unsigned int i = 0; i < display->n_heads; i++) {
		struct display_head *head = &display->heads[i];

		viewer->owed[i] = 0;
		if (!(viewer->heads >> i & 1))
			continue;
		viewer->owed[i] = OWED_FRAME | OWED_CURSOR | OWED_CURSOR_AT;
		if (!head->watchers++)
			head->mode_changed = true;
		/* The first damage that it hears of is all, and as the picture is now. */
		if (head->top)
			region_fill(&head->damage, head->top->width, head->top->height);
		pay(display, viewer, i);
	}
	display_pace(display);
}

/* Nobody looks: the copy goes, and what is damaged does not matter. */
static void drop_view(struct display_head *head)
{
	segment_free(head->segment);
	head->segment = NULL;
	head->view = (struct display_view){ .fd = -1 };
	head->busy = false;
	region_clear(&head->damage);
}

void display_detach(struct display *display, struct display_viewer *viewer)
{
	struct display_viewer **at = &display->viewers;

	while (*at && *at != viewer)
		at = &(*at)->next;
	if (!*at)
		return;
	*at = viewer->next;
	for (unsigned int i = 0; i < display->n_heads; i++) {
		if (!(viewer->heads >> i & 1))
			continue;
		check_shown(display, i);
		if (!--display->heads[i].watchers)
			drop_view(&display->heads[i]);
	}
	display_pace(display);
}

bool display_place(struct display *display, unsigned int index, struct display_rect *ret_place,
		   uint32_t *ret_width, uint32_t *ret_height)
{
	uint32_t width = 0, height = 0;

	if (index >= display->n_heads || !display->heads[index].top)
		return false;
	for (unsigned int i = 0; i < display->n_heads; i++) {
		const struct display_picture *top = display->heads[i].top;

		if (top && top->x + top->width > width)
			width = top->x + top->width;
		if (top && top->y + top->height > height)
			height = top->y + top->height;
	}
	*ret_place = (struct display_rect){ display->heads[index].top->x,
					    display->heads[index].top->y,
					    display->heads[index].top->width,
					    display->heads[index].top->height };
	*ret_width = width;
	*ret_height = height;
	return true;
}
