/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is damaged of a picture: a bounded list of rectangles that do not overlap, so that no pixel
 * is copied twice.
 *
 * It may cover more than what was damaged, never less. Not locked.
 */
#ifndef LODGE_VMM_DISPLAY_REGION_H
#define LODGE_VMM_DISPLAY_REGION_H

#include <stdbool.h>
#include <stdint.h>

#include "host-vmm/display/display.h"

struct region {
	unsigned int n;
	struct display_rect rects[LODGE_DISPLAY_RECTS_MAX];
};

/* Adds what of @rect lies in a picture of @width and @height (LODGE_DISPLAY_SIDE_MAX at most). Any
 * rectangle is fine. */
void region_add(struct region *region, const struct display_rect *rect, uint32_t width,
		uint32_t height);
/* All of it, and nothing else. */
void region_fill(struct region *region, uint32_t width, uint32_t height);

static inline void region_clear(struct region *region)
{
	region->n = 0;
}

static inline bool region_is_empty(const struct region *region)
{
	return !region->n;
}

#endif
