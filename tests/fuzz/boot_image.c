// SPDX-License-Identifier: GPL-2.0-or-later
// Kernel images: the input is the file.
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host-vmm/boot/image.h"
#include "host-vmm/memory.h"

#define MEMORY_SIZE (24ull << 20)
#define INPUT_MAX   65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("image", MFD_CLOEXEC);
	const char *why = NULL;
	struct memory *memory;
	struct image image;

	if (size > INPUT_MAX || fd < 0 || write(fd, data, size) != (ssize_t)size ||
	    memory_create(MEMORY_SIZE, MEMORY_PRIVATE, &memory) < 0) {
		close(fd);
		return 0;
	}
	/* An error without a word on it is an error of ours. */
	if (image_load(memory, fd, size, &image, &why) < 0) {
		if (!why || !*why)
			abort();
	} else if (image.end > MEMORY_SIZE) {
		abort();
	}
	memory_destroy(memory);
	close(fd);
	return 0;
}
