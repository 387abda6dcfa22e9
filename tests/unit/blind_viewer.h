/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of a test's viewer that counts damage: always ready, pictures and cursors are nothing
 * to it. */
#ifndef LODGE_TESTS_BLIND_VIEWER_H
#define LODGE_TESTS_BLIND_VIEWER_H

#include "host-vmm/display/viewer.h"

static inline bool blind_ready(void *opaque)
{
	(void)opaque;
	return true;
}

static inline void blind_frame(void *opaque, unsigned int head, const struct display_view *view)
{
	(void)opaque;
	(void)head;
	(void)view;
}

static inline void blind_cursor(void *opaque, unsigned int head,
				const struct display_cursor *cursor)
{
	(void)opaque;
	(void)head;
	(void)cursor;
}

static inline void blind_cursor_at(void *opaque, unsigned int head, uint32_t x, uint32_t y)
{
	(void)opaque;
	(void)head;
	(void)x;
	(void)y;
}

#endif
