// SPDX-License-Identifier: GPL-2.0-or-later
// The one copy of each damaged pixel, from the source's memory to what windows map; and shots.
#include "host-vmm/display/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/display/convert.h"
#include "host-vmm/loop.h"

/* Copies a line's pixels [@x, @x + @n) to @to; black where they cannot be read. */
static void fetch_line(struct display *display, const struct display_picture *picture, uint32_t x,
		       uint32_t y, uint32_t *to, uint32_t n)
{
	const unsigned int bytes = display_format_bytes(picture->format);
	const uint64_t at = picture->offset + (uint64_t)y * picture->stride + (uint64_t)x * bytes;
	const bool as_it_is = picture->format == DISPLAY_BGRX8888;
	void *into = as_it_is ? (void *)to : display->line;

	if (picture->ops->read(picture->opaque, at, into, (size_t)n * bytes))
		memset(to, 0, (size_t)n * 4);
	else if (!as_it_is)
		convert_line(picture->format, into, to, n);
}

static void fetch_rect(struct display *display, struct display_head *head,
		       const struct display_rect *rect)
{
	const struct display_picture *picture = head->top;
	struct segment *segment = head->segment;
	uint8_t *to = segment->bytes + (size_t)rect->y * segment->stride + (size_t)rect->x * 4;

	head->copied_bytes += (uint64_t)rect->width * rect->height * 4;
	/* Whole lines that lie here as they lie there are one piece. */
	if (picture->format == DISPLAY_BGRX8888 && picture->stride == segment->stride &&
	    rect->width == picture->width &&
	    !picture->ops->read(
		    picture->opaque, picture->offset + (uint64_t)rect->y * picture->stride, to,
		    (size_t)(rect->height - 1) * picture->stride + (size_t)rect->width * 4))
		return;
	for (uint32_t i = 0; i < rect->height; i++, to += segment->stride)
		fetch_line(display, picture, rect->x, rect->y + i, (uint32_t *)(void *)to,
			   rect->width);
}

void display_fetch(struct display *display, struct display_head *head)
{
	for (unsigned int i = 0; i < head->damage.n; i++)
		fetch_rect(display, head, &head->damage.rects[i]);
	head->frames++;
}

struct shoot {
	struct display *display;
	unsigned int head;
	struct display_shot *shot;
	int ret;
};

static void shoot(void *opaque)
{
	struct shoot *shoot = opaque;
	const struct display_head *head = &shoot->display->heads[shoot->head];
	const struct display_picture *top = head->top;
	struct convert_canvas canvas;

	shoot->ret = -ENODATA;
	if (!top)
		return;
	canvas = (struct convert_canvas){ .width = top->width, .height = top->height };
	canvas.pixels = malloc((size_t)top->width * top->height * 4);
	shoot->ret = -ENOMEM;
	if (!canvas.pixels)
		return;
	for (uint32_t y = 0; y < top->height; y++)
		fetch_line(shoot->display, top, 0, y, canvas.pixels + (size_t)y * top->width,
			   top->width);
	convert_blend(&canvas, head->cursor.argb, head->cursor.width, head->cursor.height,
		      (int32_t)head->cursor_x, (int32_t)head->cursor_y);
	*shoot->shot = (struct display_shot){ canvas.width, canvas.height, canvas.pixels };
	shoot->ret = 0;
}

int display_shoot(struct display *display, unsigned int head, struct display_shot *ret_shot)
{
	struct shoot call = { .display = display, .head = head, .shot = ret_shot };

	if (head >= display->n_heads)
		return -ENOENT;
	loop_call(display->loop, shoot, &call);
	return call.ret;
}
