// SPDX-License-Identifier: GPL-2.0-or-later
// Pixel formats of guests, line by line, and the cursor's transparency.
#include "host-vmm/display/convert.h"

#include <string.h>

unsigned int display_format_bytes(enum display_format format)
{
	switch (format) {
	case DISPLAY_BGRX8888:
	case DISPLAY_RGBX8888:
	case DISPLAY_XRGB8888:
	case DISPLAY_XBGR8888:
		return 4;
	case DISPLAY_BGR888:
		return 3;
	case DISPLAY_RGB565:
	case DISPLAY_RGB555:
		return 2;
	}
	return 0;
}

static uint32_t rgb(uint32_t red, uint32_t green, uint32_t blue)
{
	return red << 16 | green << 8 | blue;
}

/* 5 or 6 bits to 8: all ones stay all ones. */
static uint32_t five(uint32_t value)
{
	return (value & 31) << 3 | (value & 31) >> 2;
}

static uint32_t six(uint32_t value)
{
	return (value & 63) << 2 | (value & 63) >> 4;
}

/* Bytes @red, @green and @blue of each 4. */
static void shuffle(const uint8_t *from, uint32_t *to, size_t n, unsigned int red,
		    unsigned int green, unsigned int blue)
{
	for (size_t i = 0; i < n; i++, from += 4)
		to[i] = rgb(from[red], from[green], from[blue]);
}

static void from_16(enum display_format format, const uint8_t *from, uint32_t *to, size_t n)
{
	for (size_t i = 0; i < n; i++, from += 2) {
		const uint32_t pixel = from[0] | (uint32_t)from[1] << 8;

		to[i] = format == DISPLAY_RGB565
				? rgb(five(pixel >> 11), six(pixel >> 5), five(pixel))
				: rgb(five(pixel >> 10), five(pixel >> 5), five(pixel));
	}
}

void convert_line(enum display_format format, const void *from, uint32_t *to, size_t n)
{
	const uint8_t *bytes = from;

	switch (format) {
	case DISPLAY_BGRX8888:
		memcpy(to, from, n * 4);
		break;
	case DISPLAY_RGBX8888:
		shuffle(bytes, to, n, 0, 1, 2);
		break;
	case DISPLAY_XRGB8888:
		shuffle(bytes, to, n, 1, 2, 3);
		break;
	case DISPLAY_XBGR8888:
		shuffle(bytes, to, n, 3, 2, 1);
		break;
	case DISPLAY_RGB565:
	case DISPLAY_RGB555:
		from_16(format, bytes, to, n);
		break;
	case DISPLAY_BGR888:
		for (size_t i = 0; i < n; i++, bytes += 3)
			to[i] = rgb(bytes[2], bytes[1], bytes[0]);
		break;
	}
}

/* What is left of the pixel below, channel by channel; a sum beyond 255 is a cursor that lied of
 * its alpha. */
static uint32_t over(uint32_t above, uint32_t below)
{
	const uint32_t rest = 255 - (above >> 24);
	uint32_t pixel = 0;

	for (unsigned int shift = 0; shift < 24; shift += 8) {
		uint32_t sum = (above >> shift & 255) + ((below >> shift & 255) * rest + 127) / 255;

		pixel |= (sum > 255 ? 255 : sum) << shift;
	}
	return pixel;
}

void convert_blend(const struct convert_canvas *canvas, const uint32_t *argb, uint32_t width,
		   uint32_t height, int64_t x, int64_t y)
{
	for (uint32_t row = 0; row < height; row++) {
		const int64_t line = y + row;

		if (line < 0 || line >= canvas->height)
			continue;
		for (uint32_t column = 0; column < width; column++) {
			const int64_t at = x + column;
			uint32_t *pixel;

			if (at < 0 || at >= canvas->width)
				continue;
			pixel = &canvas->pixels[(size_t)line * canvas->width + (size_t)at];
			*pixel = over(argb[(size_t)row * width + column], *pixel);
		}
	}
}
