// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzzes what lodge-fsd reads from attributes of the host's files that it keeps there itself, and
 *that any program of the host may write.
 *
 *	bytes 0-3   the mode of the host's file
 *	the rest    the attribute
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "shared-fs/server/kept.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct kept *kept, uint32_t host_mode)
{
	bool same = (kept->mode & S_IFMT) == (host_mode & S_IFMT);
	bool device = S_ISCHR(kept->mode) || S_ISBLK(kept->mode);

	if (kept->mode & ~(uint32_t)(S_IFMT | 07777) && kept->mode != host_mode)
		abort();
	if (!same &&
	    !(S_ISREG(host_mode) && (device || S_ISFIFO(kept->mode) || S_ISSOCK(kept->mode))))
		abort();
	if (kept->uid == UINT32_MAX || kept->gid == UINT32_MAX || kept->rdev_major > 0xfff ||
	    kept->rdev_minor > 0xfffff || (!device && (kept->rdev_major || kept->rdev_minor)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kept before = { .uid = 1, .gid = 2 };
	struct kept kept;

	if (size < sizeof(before.mode))
		return 0;
	memcpy(&before.mode, data, sizeof(before.mode));
	/* statx(2) has 16 bits. */
	before.mode &= 0xffff;
	kept = before;
	if (kept_parse(data + sizeof(before.mode), size - sizeof(before.mode), &kept))
		check(&kept, before.mode);
	else if (memcmp(&kept, &before, sizeof(kept)) != 0)
		abort();
	return 0;
}
