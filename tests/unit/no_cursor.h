/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For viewers of tests to which cursors are nothing. */
#ifndef LODGE_TESTS_NO_CURSOR_H
#define LODGE_TESTS_NO_CURSOR_H

#include "host-vmm/display/viewer.h"

static inline void no_cursor(void *opaque, unsigned int head, const struct display_cursor *cursor)
{
	(void)opaque;
	(void)head;
	(void)cursor;
}

static inline void no_cursor_at(void *opaque, unsigned int head, uint32_t x, uint32_t y)
{
	(void)opaque;
	(void)head;
	(void)x;
	(void)y;
}

#endif
