// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory shared between the keeper and the servers that it starts one after the other. */
#include "shared-fs/server/shared.h"

#include <sys/mman.h>

void *shared_alloc(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

void shared_free(void *memory, size_t size)
{
	if (memory)
		munmap(memory, size);
}

void shared_empty(void *memory, size_t size)
{
	/* MADV_DONTNEED would drop our view of the pages alone. */
	(void)!madvise(memory, size, MADV_REMOVE);
}
