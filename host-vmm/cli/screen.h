/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One screen of a running VM, from the outside: protocol/spec/display.md. Prints its errors.
 *
 * People count screens from 1 on.
 */
#ifndef LODGE_VMM_CLI_SCREEN_H
#define LODGE_VMM_CLI_SCREEN_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "host-vmm/view/link.h"

struct vm;

struct screen {
	const struct vm *vm; /* borrowed */
	struct link *link;
	unsigned int number; /* from 1 on */
	struct link_hello hello;
	bool greeted;
	bool silent; /* nothing more can be sent */
	/* What it shows, once framed; a picture is mapped at @pixels. */
	bool framed, painted;
	struct link_frame frame;
	const uint32_t *pixels; /* lines of frame.stride bytes; NULL while the screen is off, or
				   where its memory cannot be mapped for good */
	size_t mapped;
	struct link_cursor cursor;
	uint32_t *cursor_pixels;
	int32_t cursor_x, cursor_y;
};

/* Connects, and looks at screen @number: 0 or a status of sysexits.h. */
int screen_open(const struct vm *vm, unsigned int number, struct screen *ret_screen);
void screen_close(struct screen *screen);

/*
 * Waits until @done says so: 1, 0 where g_get_monotonic_time() has reached @end, or a negative
 * errno, -EPIPE where the VM is gone.
 */
int screen_wait(struct screen *screen, bool (*done)(struct screen *screen, void *opaque),
		void *opaque, gint64 end);
/* Asks for a size, in pixels. */
void screen_resize(struct screen *screen, uint32_t width, uint32_t height);

/* Reads the whole of @text, 1 to 16. -EINVAL. */
int screen_parse_number(const char *text, unsigned int *ret_number);

#endif
