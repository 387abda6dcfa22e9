// SPDX-License-Identifier: GPL-2.0-or-later
// Merges damage into few rectangles that do not overlap.
#include "host-vmm/display/region.h"

static uint32_t min(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t max(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* False where nothing is left. Sums are of 64 bits: x + width may wrap. */
static bool clip(const struct display_rect *rect, uint32_t width, uint32_t height,
		 struct display_rect *ret_clipped)
{
	const uint64_t right = (uint64_t)rect->x + rect->width;
	const uint64_t bottom = (uint64_t)rect->y + rect->height;

	if (rect->x >= width || rect->y >= height || !rect->width || !rect->height)
		return false;
	*ret_clipped = (struct display_rect){
		.x = rect->x,
		.y = rect->y,
		.width = (uint32_t)(right < width ? right : width) - rect->x,
		.height = (uint32_t)(bottom < height ? bottom : height) - rect->y,
	};
	return true;
}

static uint64_t area(const struct display_rect *rect)
{
	return (uint64_t)rect->width * rect->height;
}

static struct display_rect join(const struct display_rect *a, const struct display_rect *b)
{
	const uint32_t x = min(a->x, b->x), y = min(a->y, b->y);

	return (struct display_rect){
		.x = x,
		.y = y,
		.width = max(a->x + a->width, b->x + b->width) - x,
		.height = max(a->y + a->height, b->y + b->height) - y,
	};
}

static bool overlap(const struct display_rect *a, const struct display_rect *b)
{
	return a->x < b->x + b->width && b->x < a->x + a->width && a->y < b->y + b->height &&
	       b->y < a->y + a->height;
}

/* Whether the two are better one: they share pixels, or together are a rectangle themselves. */
static bool belong(const struct display_rect *a, const struct display_rect *b)
{
	const struct display_rect both = join(a, b);

	return overlap(a, b) || area(&both) <= area(a) + area(b);
}

static void take_out(struct region *region, unsigned int at)
{
	region->rects[at] = region->rects[--region->n];
}

/* The one that grows least when @rect is added to it. */
static unsigned int nearest(const struct region *region, const struct display_rect *rect)
{
	uint64_t least = UINT64_MAX;
	unsigned int best = 0;

	for (unsigned int i = 0; i < region->n; i++) {
		const struct display_rect both = join(&region->rects[i], rect);
		const uint64_t growth = area(&both) - area(&region->rects[i]);

		if (growth < least) {
			least = growth;
			best = i;
		}
	}
	return best;
}

void region_add(struct region *region, const struct display_rect *rect, uint32_t width,
		uint32_t height)
{
	struct display_rect add;
	unsigned int i = 0;

	if (!clip(rect, width, height, &add))
		return;
	/* Each turn of it that begins anew has taken one out. */
	while (i < region->n) {
		if (!belong(&region->rects[i], &add)) {
			i++;
			if (i < region->n || region->n < LODGE_DISPLAY_RECTS_MAX)
				continue;
			i = nearest(region, &add);
		}
		add = join(&region->rects[i], &add);
		take_out(region, i);
		i = 0;
	}
	region->rects[region->n++] = add;
}

void region_fill(struct region *region, uint32_t width, uint32_t height)
{
	region->n = 1;
	region->rects[0] = (struct display_rect){ .width = width, .height = height };
}
