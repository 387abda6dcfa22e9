/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory that windows map: one head's picture in one mode.
 *
 * Sealed: nobody can shrink or grow it, and where the host's kernel knows how (5.1), nobody but us
 * can write to it. It outlives segment_free() for those who still map it.
 */
#ifndef LODGE_VMM_DISPLAY_SEGMENT_H
#define LODGE_VMM_DISPLAY_SEGMENT_H

#include <stddef.h>
#include <stdint.h>

struct segment {
	int fd;
	uint8_t *bytes;
	size_t size; /* whole pages */
	uint32_t width, height; /* pixels */
	uint32_t stride; /* bytes, in whole cache lines of 64 */
};

/* Black. -ENOMEM, -EMFILE. */
int segment_create(uint32_t width, uint32_t height, struct segment **ret_segment);
/* NULL is fine. */
void segment_free(struct segment *segment);

#endif
