// SPDX-License-Identifier: GPL-2.0-or-later
// Sealed memory for one picture.
#include "host-vmm/display/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "protocol/lib/fd.h"

#define PAGE 4096u

static int make(struct segment *segment)
{
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW;

	segment->fd = memfd_create("lodge-head", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (segment->fd < 0 || ftruncate(segment->fd, (off_t)segment->size))
		return -errno;
	segment->bytes =
		mmap(NULL, segment->size, PROT_READ | PROT_WRITE, MAP_SHARED, segment->fd, 0);
	if (segment->bytes == MAP_FAILED) {
		segment->bytes = NULL;
		return -errno;
	}
	/* Mappings that are there may still be written to: ours. */
	if (fcntl(segment->fd, F_ADD_SEALS, seals | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) &&
	    fcntl(segment->fd, F_ADD_SEALS, seals | F_SEAL_SEAL))
		return -errno;
	return 0;
}

int segment_create(uint32_t width, uint32_t height, struct segment **ret_segment)
{
	struct segment *segment = calloc(1, sizeof(*segment));
	int ret;

	if (!segment)
		return -ENOMEM;
	segment->fd = -1;
	segment->width = width;
	segment->height = height;
	segment->stride = (width * 4 + 63) & ~63u;
	segment->size = ((size_t)segment->stride * height + PAGE - 1) & ~(size_t)(PAGE - 1);
	ret = make(segment);
	if (ret)
		segment_free(segment);
	else
		*ret_segment = segment;
	return ret;
}

void segment_free(struct segment *segment)
{
	if (!segment)
		return;
	if (segment->bytes)
		munmap(segment->bytes, segment->size);
	fd_close(&segment->fd);
	free(segment);
}
