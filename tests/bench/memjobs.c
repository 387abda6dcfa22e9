// SPDX-License-Identifier: GPL-2.0-or-later
// Jobs of the guest's memory: what was touched once is the host's to give.
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/bench/job.h"

#define TOUCH_BYTES (160ul << 20) /* of a guest of 256 MiB */

int memory_touch(const char *path, struct job_result *ret_result)
{
	double start = now();
	void *memory = mmap(NULL, TOUCH_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	(void)path;
	if (memory == MAP_FAILED)
		return -errno;
	munmap(memory, TOUCH_BYTES);
	*ret_result = (struct job_result){ TOUCH_BYTES, now() - start };
	return 0;
}
