/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Those who look at heads: what the display says to each of its windows, and hears from them.
 *
 * All on the display's loop. A viewer that cannot take anything now is told later what has become
 * of its heads meanwhile, not everything that went by: a slow one costs no memory.
 */
#ifndef LODGE_VMM_DISPLAY_VIEWER_H
#define LODGE_VMM_DISPLAY_VIEWER_H

#include <stdbool.h>
#include <stdint.h>

#include "host-vmm/display/display.h"

struct display_viewer;

/* The memory of a head's picture; all zero, with no @fd (-1), where the head is off. */
struct display_view {
	uint32_t width, height; /* pixels */
	uint32_t stride; /* bytes */
	enum lodge_display_source source;
	uint32_t x, y; /* the head's place */
	int fd; /* the display's: to be sent, not kept */
};

struct display_cursor {
	uint32_t width, height, hot_x, hot_y;
	const uint32_t *argb; /* premultiplied */
};

/* Called within the viewer's own calls, too; none of them may detach a viewer. */
struct display_viewer_ops {
	/* Whether it can take one more of what follows. */
	bool (*ready)(void *opaque);
	void (*frame)(void *opaque, unsigned int head, const struct display_view *view);
	void (*damage)(void *opaque, unsigned int head, uint32_t serial,
		       const struct display_rect *rects, unsigned int n_rects);
	void (*cursor)(void *opaque, unsigned int head, const struct display_cursor *cursor);
	void (*cursor_at)(void *opaque, unsigned int head, uint32_t x, uint32_t y);
};

/* The caller's memory, from attach to detach. */
struct display_viewer {
	const struct display_viewer_ops *ops;
	void *opaque;
	uint32_t heads; /* bit N: it looks at head N */

	/* The display's: */
	uint32_t unshown; /* bit N: was told of head N's last damage, and has not shown it */
	uint8_t owed[LODGE_DISPLAY_HEADS_MAX];
	struct display_viewer *next;
};

/* It is told frames, cursors and pictures of all its heads. */
void display_attach(struct display *display, struct display_viewer *viewer);
void display_detach(struct display *display, struct display_viewer *viewer);
/* It was not ready, and is now. */
void display_viewer_ready(struct display *display, struct display_viewer *viewer);
/* It has shown the damage @serial; any but the last one's says nothing. */
void display_shown(struct display *display, struct display_viewer *viewer, unsigned int head,
		   uint32_t serial);
/*
 * So many pixels are so many millimetres where it is: the head's monitor becomes as fine, and keeps
 * its size in pixels. A 0 says nothing.
 */
void display_measure(struct display *display, unsigned int head, uint32_t width, uint32_t height,
		     uint32_t width_mm, uint32_t height_mm);
/* A pixel of a head among all heads together: false where the head is off. */
bool display_place(struct display *display, unsigned int head, struct display_rect *ret_place,
		   uint32_t *ret_width, uint32_t *ret_height);

#endif
