/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A head's picture in its window: X reads the damaged pixels from the monitor's memory, and nothing
 * is copied here.
 *
 * Locking: none; one thread.
 */
#ifndef LODGE_VIEW_PICTURE_H
#define LODGE_VIEW_PICTURE_H

#include <stdbool.h>
#include <stdint.h>
#include <xcb/render.h>
#include <xcb/shm.h>

#include "host-vmm/view/link.h"
#include "host-vmm/view/screen.h"

/* DAMAGEs that X has not drawn; the monitor sends the next one after the first was shown, or after
 * LODGE_DISPLAY_SHOWN_MS. */
#define PICTURE_SERIALS 16u

struct picture {
	struct screen *screen; /* borrowed */
	xcb_window_t window; /* borrowed */
	xcb_gcontext_t gc;
	struct link_frame frame; /* LODGE_DISPLAY_NONE: there is none */
	uint32_t width, height; /* of the window */

	xcb_shm_seg_t segment; /* 0: the server cannot; then: */
	const uint8_t *map;
	size_t map_len;

	/* Where the frame is in the window. */
	bool scale;
	int32_t x, y;
	uint32_t shown_width, shown_height;
	/* While it is scaled there: */
	xcb_pixmap_t pixmap;
	xcb_render_picture_t source, target;

	uint32_t serials[PICTURE_SERIALS];
	unsigned int n_serials;
};

void picture_init(struct picture *picture, struct screen *screen, xcb_window_t window);
void picture_finish(struct picture *picture);

/* Takes @fd. 0, or a negative errno: the memory cannot be had, and there is no picture. */
int picture_set_frame(struct picture *picture, const struct link_frame *frame, int fd);
/* How large the window is, and whether a frame of another size is fitted into it (its aspect kept)
 * or stays in the corner. True: what was drawn is to be drawn anew; else X keeps it, or exposes it.
 */
bool picture_place(struct picture *picture, uint32_t width, uint32_t height, bool scale);
/* Draws what is new. True: @serial is shown already. */
bool picture_damage(struct picture *picture, uint32_t serial, const struct link_rect *rects,
		    unsigned int n_rects);
/* X has read the memory for the oldest damage: true with the serial that is shown. */
bool picture_completed(struct picture *picture, uint32_t *ret_serial);
/* Draws the whole window. */
void picture_draw(struct picture *picture);
/* What is no frame alone, in black: the frame is new, and its pixels come as damage. */
void picture_clear_around(struct picture *picture);
/* X has lost that rectangle of the window. */
void picture_expose(struct picture *picture, int32_t x, int32_t y, uint32_t width, uint32_t height);
/* The pixel of the frame at a pixel of the window; the nearest one, when it is outside. False: no
 * frame. */
bool picture_locate(const struct picture *picture, int32_t x, int32_t y, uint32_t *ret_x,
		    uint32_t *ret_y);

#endif
