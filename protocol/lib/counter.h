/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The processor's time-stamp counter, for those who compare clocks by it. x86 alone.
 */
#ifndef LODGE_LIB_COUNTER_H
#define LODGE_LIB_COUNTER_H

#include <stdint.h>
#include <x86intrin.h>

/* In counts. Read neither before what stands before it nor behind what follows: Intel SDM volume
 * 2B, RDTSC. */
static inline uint64_t counter_read(void)
{
	uint64_t counter;

	_mm_lfence();
	counter = __rdtsc();
	_mm_lfence();
	return counter;
}

#endif
