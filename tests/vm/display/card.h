/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The test card: every pixel tells its place and its head, so that one that is wrong is found. */
#ifndef LODGE_TESTS_CARD_H
#define LODGE_TESTS_CARD_H

#include <stdint.h>

/* 0x00RRGGBB */
static inline uint32_t card_pixel(uint32_t head, uint32_t x, uint32_t y)
{
	const uint32_t high = (x >> 8 & 3) | (y >> 8 & 3) << 2 | head << 4;

	return (x & 255) << 16 | (y & 255) << 8 | (high & 255);
}

#endif
