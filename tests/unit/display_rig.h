/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A display without threads and without time: its loop is the caller, its clock stands still until
 * rig_advance(), which lets its timer go off at the nanosecond.
 *
 * With a guest that has pixels, and viewers that note what they are told. Link with
 * -Wl,--wrap=clock_gettime,--wrap=timerfd_settime.
 */
#ifndef LODGE_TESTS_DISPLAY_RIG_H
#define LODGE_TESTS_DISPLAY_RIG_H

#include <stdbool.h>
#include <stdint.h>

#include "host-vmm/display/display.h"
#include "host-vmm/display/viewer.h"

#define RIG_MEMORY (64ull << 20)

/* A picture in the guest's memory, whose pixel at (x, y) is rig_pixel(). */
struct rig_guest {
	uint32_t width, height, stride, seed;
	bool fails; /* its memory cannot be read */
	uint64_t read_bytes;
	void (*on_refresh)(struct rig_guest *guest);
	unsigned int refreshes;
	void *opaque;
};

uint32_t rig_pixel(uint32_t seed, uint32_t x, uint32_t y);

struct rig_viewer {
	struct display_viewer viewer;
	bool stuck; /* takes nothing */
	bool lazy; /* does not show what it is told */
	struct display *display;
	unsigned int frames, damages, cursors, moves, rects; /* how often it was told */
	struct display_view view; /* of the last frame; fd is its own, or -1 */
	uint32_t widths[LODGE_DISPLAY_HEADS_MAX], heights[LODGE_DISPLAY_HEADS_MAX];
	uint32_t serial;
	uint64_t damaged; /* pixels of the last damage */
	struct display_cursor cursor;
	uint32_t cursor_x, cursor_y;
};

struct display *rig_display(unsigned int heads);
void rig_end(struct display *display);
/* Lets @ms pass. */
void rig_advance(double ms);
/* Whether the timer is on. */
bool rig_timer_on(void);

/* The guest's picture on @head. */
int rig_show(struct display *display, unsigned int head, enum display_layer layer,
	     struct rig_guest *guest);
void rig_look(struct display *display, struct rig_viewer *viewer, uint32_t heads);
void rig_leave(struct display *display, struct rig_viewer *viewer);
/* Whether the memory that the viewer was given has the guest's picture as it is now. */
bool rig_sees(const struct rig_viewer *viewer, const struct rig_guest *guest);

#endif
