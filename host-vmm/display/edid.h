/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a head tells of itself: an EDID whose preferred timing is exactly the size that the head
 * should have, for any size.
 *
 * Sources: VESA E-EDID Standard Release A2 (EDID 1.4), VESA DisplayID 1.3 for what does not fit in
 * there (a side above 4095 pixels, a pixel clock above 655 MHz), VESA CVT 1.1 for the blanking.
 *
 * No state; any thread.
 */
#ifndef LODGE_VMM_EDID_H
#define LODGE_VMM_EDID_H

#include <stddef.h>
#include <stdint.h>

#define EDID_BLOCK     128u
#define EDID_BYTES_MAX (2 * EDID_BLOCK)

struct edid_monitor {
	unsigned int head; /* 0 on: name and serial number are made of it */
	/* Pixels, up to LODGE_DISPLAY_SIDE_MAX; what is smaller than the least size of a head (one
	 * that is off has 0 x 0) counts as 1024x768. */
	uint32_t width, height;
	/* 0: not known. What an EDID cannot say (below 10 cm, above 255 cm) is told as that. */
	uint32_t width_mm, height_mm;
};

/* Writes one block or two: EDID_BLOCK or EDID_BYTES_MAX bytes, which is returned. */
size_t edid_make(const struct edid_monitor *monitor, uint8_t edid[EDID_BYTES_MAX]);

#endif
