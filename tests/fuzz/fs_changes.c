// SPDX-License-Identifier: GPL-2.0-or-later
/* Records of changes in shares, as the monitor and lodged read them: whatever the bytes are, what
 * is taken lies within them, and is written back as it was. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/lib/fs_change.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint64_t again[LODGE_FS_BATCH_MAX / 8];
	const uint8_t *end = data + size;
	struct fs_change change;
	size_t at = 0, before = 0;
	int ret;

	while ((ret = fs_change_next(data, size, &at, &change)) > 0) {
		const uint8_t *name = (const uint8_t *)change.name;
		size_t put;

		if (at <= before || at > size || name + change.name_len > end ||
		    change.name_len > LODGE_FS_NAME_MAX || change.path_len > LODGE_FS_PATH_MAX)
			abort();
		put = fs_change_put(&change, again, sizeof(again));
		if (put != at - before || memcmp(again, data + before, put) != 0)
			abort();
		before = at;
	}
	if (size && size <= LODGE_FS_BATCH_MAX && !fs_change_check(data, size) != !ret)
		abort();
	return 0;
}
