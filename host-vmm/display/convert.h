/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pixels of the guest's formats made into those that windows get, and cursors drawn over them. */
#ifndef LODGE_VMM_DISPLAY_CONVERT_H
#define LODGE_VMM_DISPLAY_CONVERT_H

#include <stddef.h>
#include <stdint.h>

#include "host-vmm/display/display.h"

/* The bytes that pixels of the longest format and a line of the longest side take. */
#define CONVERT_LINE_MAX (LODGE_DISPLAY_SIDE_MAX * 4u)

/* @from has display_format_bytes() for each of @n pixels; @to gets 0xXXRRGGBB in the host's byte
 * order, which is little-endian. */
void convert_line(enum display_format format, const void *from, uint32_t *to, size_t n);

/* A picture, its lines one behind the other without a gap. */
struct convert_canvas {
	uint32_t width, height;
	uint32_t *pixels;
};

/* Draws @argb (premultiplied alpha) over the canvas with its upper left at (@x, @y), which may lie
 * outside. */
void convert_blend(const struct convert_canvas *canvas, const uint32_t *argb, uint32_t width,
		   uint32_t height, int64_t x, int64_t y);

#endif
