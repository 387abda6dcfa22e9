// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * EDID 1.4 with one DisplayID extension where a detailed timing's 12 bits are too few.
 *
 * Timings have CVT's reduced blanking (version 1), but for the width, which CVT would round to
 * whole character cells of 8 pixels: it stays exact, and so does the blanking, so that 60 Hz need a
 * pixel clock that is a multiple of 10 kHz and not of CVT's 250.
 */
#include "host-vmm/display/edid.h"

#include <endian.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <lodge/display.h>

#define REFRESH 60u /* Hz */

/* CVT 1.1 section 3.4: reduced blanking, version 1. */
#define H_BLANK	   160u
#define H_FRONT	   48u
#define H_SYNC	   32u
#define V_BLANK_US 460u /* at least */
#define V_FRONT	   3u
#define V_SYNC	   10u /* of an aspect ratio that is none of the usual ones */
#define V_BACK_MIN 6u

/* EDID 1.4 section 3.10.2: what a detailed timing can hold. */
#define DETAILED_SIDE_MAX  4095u
#define DETAILED_CLOCK_MAX 65535u /* 10 kHz */
#define DETAILED_CLOCK_MIN 1000u /* ours: readers take less for rubbish */
#define BASE_CM_MIN	   10u /* the same */
#define BASE_CM_MAX	   255u

/* Section 3.10.3.3: what range limits can hold. */
#define RANGE_KHZ_MAX	510u
#define RANGE_CLOCK_MAX 255000u /* 10 kHz */
#define RANGE_OFFSET	255u
/* The ranges that established and standard timings need: 640x480 to 1920x1200. */
#define RANGE_KHZ_LOW	31u
#define RANGE_KHZ_HIGH	75u
#define RANGE_HZ_LOW	59u
#define RANGE_HZ_HIGH	61u
#define RANGE_CLOCK_LOW 20000u

/* Of a head that is off, and of a base block whose extension has the size. */
#define OTHER_WIDTH	1024u
#define OTHER_HEIGHT	768u
#define FALLBACK_WIDTH	1920u
#define FALLBACK_HEIGHT 1080u

#define DESCRIPTOR     18u /* bytes */
#define AT_DESCRIPTORS 54u
#define AT_EXTENSIONS  126u

#define DISPLAYID_TAG	  0x70u
#define DISPLAYID_VERSION 0x13u /* 1.3 */
#define DISPLAYID_ROOM	  121u /* bytes of data blocks in a section that fills the extension */
#define STANDALONE	  0x03u /* product type */
#define PRODUCT_TAG	  0x00u
#define PRODUCT_BYTES	  12u
#define PARAMETERS_TAG	  0x01u
#define PARAMETERS_BYTES  12u
#define INTERFACE_TAG	  0x0fu
#define INTERFACE_BYTES	  10u
#define TYPE_I_TAG	  0x03u
#define TYPE_I_BYTES	  20u

struct timing {
	uint32_t width, height;
	uint32_t v_blank; /* lines */
	uint32_t clock; /* 10 kHz */
};

static uint32_t rounded_up(uint64_t value, uint64_t by)
{
	return (uint32_t)((value + by - 1) / by);
}

static uint32_t clock_of(uint32_t width, uint32_t lines)
{
	return (uint32_t)(((uint64_t)width + H_BLANK) * lines * REFRESH / 10000);
}

static struct timing make_timing(uint32_t width, uint32_t height)
{
	/* The lines that pass in V_BLANK_US when @height lines take the rest of a frame. */
	uint64_t active_us = 1000000 / REFRESH - V_BLANK_US;
	uint32_t blank = (uint32_t)(V_BLANK_US * (uint64_t)height / active_us) + 1;
	struct timing timing = { .width = width, .height = height };

	if (blank < V_FRONT + V_SYNC + V_BACK_MIN)
		blank = V_FRONT + V_SYNC + V_BACK_MIN;
	if (clock_of(width, height + blank) < DETAILED_CLOCK_MIN)
		blank = rounded_up(DETAILED_CLOCK_MIN * 10000, (width + H_BLANK) * REFRESH) -
			height;
	timing.v_blank = blank;
	timing.clock = clock_of(width, height + blank);
	return timing;
}

static bool is_detailed(const struct timing *timing)
{
	return timing->width <= DETAILED_SIDE_MAX && timing->height <= DETAILED_SIDE_MAX &&
	       timing->clock <= DETAILED_CLOCK_MAX;
}

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)value;
	at[1] = (uint8_t)(value >> 8);
}

static uint8_t checksum(const uint8_t *bytes, size_t len)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + bytes[i]);
	return (uint8_t)-sum;
}

/* ---- descriptors of the base block ---- */

static uint32_t at_most(uint32_t value, uint32_t limit)
{
	return value < limit ? value : limit;
}

/* Section 3.10.2. @width_mm and @height_mm: 0 where not known. */
static void put_detailed(uint8_t *at, const struct timing *timing, uint32_t width_mm,
			 uint32_t height_mm)
{
	uint32_t width = timing->width, height = timing->height, v_blank = timing->v_blank;

	put16(at, timing->clock);
	at[2] = (uint8_t)width;
	at[3] = (uint8_t)H_BLANK;
	at[4] = (uint8_t)(width >> 8 << 4 | H_BLANK >> 8);
	at[5] = (uint8_t)height;
	at[6] = (uint8_t)v_blank;
	at[7] = (uint8_t)(height >> 8 << 4 | v_blank >> 8);
	at[8] = H_FRONT;
	at[9] = H_SYNC;
	at[10] = V_FRONT << 4 | V_SYNC;
	at[12] = (uint8_t)width_mm;
	at[13] = (uint8_t)height_mm;
	at[14] = (uint8_t)(width_mm >> 8 << 4 | height_mm >> 8);
	/* Digital separate syncs, horizontal positive: CVT's sign of reduced blanking. */
	at[17] = 0x1a;
}

static void put_text(uint8_t *at, uint8_t tag, const char *text)
{
	size_t len = strlen(text);

	at[3] = tag;
	memset(at + 5, ' ', DESCRIPTOR - 5);
	memcpy(at + 5, text, len);
	if (len < DESCRIPTOR - 5)
		at[5 + len] = '\n';
}

static bool in_ranges(const struct timing *timing)
{
	return timing->clock <= RANGE_CLOCK_MAX &&
	       (timing->height + timing->v_blank) * REFRESH / 1000 + 1 <= RANGE_KHZ_MAX;
}

/* Section 3.10.3.3.1, bare limits: around the timing and the other ones that the block has. */
static void put_ranges(uint8_t *at, const struct timing *timing)
{
	uint32_t lines = (timing->height + timing->v_blank) * REFRESH;
	uint32_t low = at_most(lines / 1000, RANGE_KHZ_LOW);
	uint32_t high = rounded_up(lines, 1000), clock = timing->clock;

	if (high < RANGE_KHZ_HIGH)
		high = RANGE_KHZ_HIGH;
	if (clock < RANGE_CLOCK_LOW)
		clock = RANGE_CLOCK_LOW;
	at[3] = 0xfd;
	if (high > RANGE_OFFSET) {
		at[4] = 0x08; /* maximum horizontal rate is 255 kHz more than it says */
		high -= RANGE_OFFSET;
	}
	at[5] = RANGE_HZ_LOW;
	at[6] = RANGE_HZ_HIGH;
	at[7] = (uint8_t)low;
	at[8] = (uint8_t)high;
	at[9] = (uint8_t)rounded_up(clock, 1000);
	at[10] = 0x01;
	at[11] = '\n';
	memset(at + 12, ' ', 6);
}

/* ---- blocks ---- */

static uint32_t in_cm(uint32_t mm)
{
	return (mm + 5) / 10;
}

/* All places that tell a size must tell the same one. */
static bool base_has_size(const struct edid_monitor *monitor)
{
	const uint32_t width = in_cm(monitor->width_mm), height = in_cm(monitor->height_mm);

	return width >= BASE_CM_MIN && width <= BASE_CM_MAX && height >= BASE_CM_MIN &&
	       height <= BASE_CM_MAX;
}

static void put_base(uint8_t *base, const struct edid_monitor *monitor,
		     const struct timing *detailed, const struct timing *preferred)
{
	static const uint8_t head[] = {
		0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, /* */
		0x00, 0x00, /* the maker, below */
		0x01, 0x00, /* product code */
	};
	static const uint8_t fixed[] = {
		/* Section 3.7: chromaticity of sRGB. */
		0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54,
		/* 3.8: 640x480, 800x600, 1024x768 at 60 Hz. */
		0x21, 0x08, 0x00,
		/* 3.9: 1280x720, 1280x800, 1280x1024, 1440x900, 1600x900, 1680x1050, 1920x1080,
		 * 1920x1200 at 60 Hz. */
		0x81, 0xc0, 0x81, 0x00, 0x81, 0x80, 0x95, 0x00, /* */
		0xa9, 0xc0, 0xb3, 0x00, 0xd1, 0xc0, 0xd1, 0x00, /* */
	};
	uint8_t *descriptors = base + AT_DESCRIPTORS;
	char serial[DESCRIPTOR - 4];
	bool ranges = in_ranges(preferred);

	memcpy(base, head, sizeof(head));
	base[8] = LODGE_DISPLAY_EDID_MAKER_0;
	base[9] = LODGE_DISPLAY_EDID_MAKER_1;
	base[12] = (uint8_t)(monitor->head + 1); /* serial number */
	base[17] = 36; /* made in 2026 */
	base[18] = 1;
	base[19] = 4;
	base[20] = 0xa5; /* digital, 8 bits for each colour, DisplayPort */
	base[21] = (uint8_t)in_cm(monitor->width_mm);
	base[22] = (uint8_t)in_cm(monitor->height_mm);
	base[23] = 120; /* gamma 2.2 */
	/* sRGB; the first timing is the native one; any timing within the ranges. */
	base[24] = (uint8_t)(0x04 | (detailed == preferred ? 0x02 : 0) | (ranges ? 0x01 : 0));
	memcpy(base + 25, fixed, sizeof(fixed));
	put_detailed(descriptors, detailed, monitor->width_mm, monitor->height_mm);
	snprintf(serial, sizeof(serial), "LODGE-%02u", monitor->head + 1);
	put_text(descriptors + DESCRIPTOR, 0xfc, "Lodge");
	put_text(descriptors + 2 * DESCRIPTOR, 0xff, serial);
	if (ranges)
		put_ranges(descriptors + 3 * DESCRIPTOR, preferred);
	else
		descriptors[3 * DESCRIPTOR + 3] = 0x10; /* dummy */
	base[AT_EXTENSIONS] = detailed != preferred;
	base[EDID_BLOCK - 1] = checksum(base, EDID_BLOCK - 1);
}

/* DisplayID 1.3 section 4.2; all of these give where the next block begins. */
static uint8_t *put_product(uint8_t *block, const struct edid_monitor *monitor)
{
	uint8_t *at = block + 3;

	block[0] = PRODUCT_TAG;
	block[2] = PRODUCT_BYTES;
	memcpy(at, "LDG", 3);
	at[3] = 1; /* product code */
	at[5] = (uint8_t)(monitor->head + 1); /* serial number */
	at[10] = 26; /* made in 2026 */
	return at + PRODUCT_BYTES;
}

/* Section 4.3: size in tenths of a millimetre, native pixels. */
static uint8_t *put_parameters(uint8_t *block, const struct edid_monitor *monitor,
			       const struct timing *timing)
{
	uint8_t *at = block + 3;
	uint32_t width = timing->width, height = timing->height, ratio;

	block[0] = PARAMETERS_TAG;
	block[2] = PARAMETERS_BYTES;
	put16(at, monitor->width_mm * 10);
	put16(at + 2, monitor->height_mm * 10);
	put16(at + 4, width);
	put16(at + 6, height);
	at[9] = 120; /* gamma 2.2 */
	ratio = width > height ? 100 * width / height : 100 * height / width;
	at[10] = (uint8_t)at_most(ratio - 100, UINT8_MAX);
	at[11] = 0x77; /* 8 bits for each colour */
	return at + PARAMETERS_BYTES;
}

/* Section 4.11: DisplayPort of one link, RGB of 8 bits. */
static uint8_t *put_interface(uint8_t *block)
{
	uint8_t *at = block + 3;

	block[0] = INTERFACE_TAG;
	block[2] = INTERFACE_BYTES;
	at[0] = 0xa1;
	at[1] = 0x12;
	at[2] = 0x02;
	return at + INTERFACE_BYTES;
}

/* Section 4.4.4: one detailed timing. */
static uint8_t *put_type_i(uint8_t *block, const struct timing *timing)
{
	uint8_t *at = block + 3;
	uint32_t clock = timing->clock - 1;

	block[0] = TYPE_I_TAG;
	block[2] = TYPE_I_BYTES;
	put16(at, clock);
	at[2] = (uint8_t)(clock >> 16);
	at[3] = 0x88; /* preferred, aspect ratio not defined */
	put16(at + 4, timing->width - 1);
	put16(at + 6, H_BLANK - 1);
	put16(at + 8, (H_FRONT - 1) | 0x8000); /* positive sync */
	put16(at + 10, H_SYNC - 1);
	put16(at + 12, timing->height - 1);
	put16(at + 14, timing->v_blank - 1);
	put16(at + 16, V_FRONT - 1);
	put16(at + 18, V_SYNC - 1);
	return at + TYPE_I_BYTES;
}

/* One section that fills the extension block, with the blocks that a display must have. */
static void put_extension(uint8_t *block, const struct edid_monitor *monitor,
			  const struct timing *timing)
{
	uint8_t *section = block + 1, *at = section + 4;

	block[0] = DISPLAYID_TAG;
	section[0] = DISPLAYID_VERSION;
	section[1] = DISPLAYID_ROOM;
	section[2] = STANDALONE;
	at = put_product(at, monitor);
	at = put_parameters(at, monitor, timing);
	at = put_type_i(at, timing);
	(void)put_interface(at);
	block[5 + DISPLAYID_ROOM] = checksum(section, 4 + DISPLAYID_ROOM);
	block[EDID_BLOCK - 1] = checksum(block, EDID_BLOCK - 1);
}

size_t edid_make(const struct edid_monitor *monitor, uint8_t edid[EDID_BYTES_MAX])
{
	struct timing preferred = make_timing(monitor->width, monitor->height);
	struct timing fallback = make_timing(FALLBACK_WIDTH, FALLBACK_HEIGHT);
	struct edid_monitor told = *monitor;

	memset(edid, 0, EDID_BYTES_MAX);
	if (!base_has_size(&told))
		told.width_mm = told.height_mm = 0;
	if (told.width < LODGE_DISPLAY_WIDTH_MIN || told.height < LODGE_DISPLAY_HEIGHT_MIN)
		preferred = make_timing(OTHER_WIDTH, OTHER_HEIGHT);
	if (is_detailed(&preferred)) {
		put_base(edid, &told, &preferred, &preferred);
		return EDID_BLOCK;
	}
	put_base(edid, &told, &fallback, &preferred);
	put_extension(edid + EDID_BLOCK, &told, &preferred);
	return EDID_BYTES_MAX;
}
