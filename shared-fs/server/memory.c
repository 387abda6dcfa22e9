// SPDX-License-Identifier: GPL-2.0-or-later
/* Mapping of the guest's memory, and the copies in and out of it. */
#include "shared-fs/server/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a < b + b_size && b < a + a_size;
}

static bool wraps(uint64_t start, uint64_t size)
{
	uint64_t end;

	return __builtin_add_overflow(start, size, &end);
}

static int check_region(const struct guest_memory *memory,
			const struct vhost_user_mem_region *region, int fd)
{
	struct stat st;

	if (!region->size || wraps(region->guest_addr, region->size) ||
	    wraps(region->user_addr, region->size) || wraps(region->mmap_offset, region->size))
		return -EINVAL;
	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) || region->mmap_offset + region->size > (uint64_t)st.st_size)
		return -EINVAL;
	for (unsigned int i = 0; i < memory->n_regions; i++) {
		const struct guest_region *other = &memory->regions[i];

		if (overlap(region->guest_addr, region->size, other->guest_addr, other->size) ||
		    overlap(region->user_addr, region->size, other->user_addr, other->size))
			return -EINVAL;
	}
	return 0;
}

static int map_region(struct guest_region *slot)
{
	/* From offset 0: the offset need not be a multiple of a huge page. */
	size_t map_len = slot->mmap_offset + slot->size;
	void *map = mmap(NULL, map_len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
			 slot->fd, 0);

	if (map == MAP_FAILED)
		return -errno;
	madvise(map, map_len, MADV_DONTDUMP);
	slot->map = map;
	slot->map_len = map_len;
	slot->host = (uint8_t *)map + slot->mmap_offset;
	return 0;
}

static void unmap_region(const struct guest_region *slot)
{
	munmap(slot->map, slot->map_len);
	close(slot->fd);
}

int guest_memory_add(struct guest_memory *memory, const struct vhost_user_mem_region *region,
		     int fd)
{
	struct guest_region *slot = &memory->regions[memory->n_regions];
	int ret;

	if (memory->n_regions == GUEST_MEMORY_SLOTS)
		return -ENOSPC;
	ret = check_region(memory, region, fd);
	if (ret)
		return ret;
	*slot = (struct guest_region){
		.guest_addr = region->guest_addr,
		.user_addr = region->user_addr,
		.size = region->size,
		.mmap_offset = region->mmap_offset,
		.fd = fcntl(fd, F_DUPFD_CLOEXEC, 3),
	};
	ret = slot->fd < 0 ? -errno : map_region(slot);
	if (!ret)
		memory->n_regions++;
	else if (slot->fd >= 0)
		close(slot->fd);
	return ret;
}

int guest_memory_resume(struct guest_memory *memory)
{
	int ret = 0;

	for (unsigned int i = 0; !ret && i < memory->n_regions; i++)
		ret = map_region(&memory->regions[i]);
	return ret;
}

int guest_memory_remove(struct guest_memory *memory, const struct vhost_user_mem_region *region)
{
	for (unsigned int i = 0; i < memory->n_regions; i++) {
		struct guest_region *slot = &memory->regions[i];

		if (slot->guest_addr != region->guest_addr || slot->size != region->size ||
		    slot->user_addr != region->user_addr)
			continue;
		unmap_region(slot);
		*slot = memory->regions[--memory->n_regions];
		return 0;
	}
	return -ENOENT;
}

void guest_memory_clear(struct guest_memory *memory)
{
	while (memory->n_regions) {
		memory->n_regions--;
		unmap_region(&memory->regions[memory->n_regions]);
	}
}

void *guest_memory_at(const struct guest_memory *memory, uint64_t addr, uint64_t *len)
{
	for (unsigned int i = 0; i < memory->n_regions; i++) {
		const struct guest_region *slot = &memory->regions[i];
		uint64_t offset = addr - slot->guest_addr;

		if (offset >= slot->size)
			continue;
		if (*len > slot->size - offset)
			*len = slot->size - offset;
		return slot->host + offset;
	}
	return NULL;
}

void *guest_memory_at_user(const struct guest_memory *memory, uint64_t user_addr, uint64_t len)
{
	for (unsigned int i = 0; i < memory->n_regions; i++) {
		const struct guest_region *slot = &memory->regions[i];
		uint64_t offset = user_addr - slot->user_addr;

		if (offset < slot->size && len <= slot->size - offset)
			return slot->host + offset;
	}
	return NULL;
}

size_t guest_copy_from_iov(void *private_copy, size_t len, const struct iovec *iov, size_t n)
{
	size_t done = 0;

	for (size_t i = 0; i < n && done < len; i++) {
		size_t part = iov[i].iov_len < len - done ? iov[i].iov_len : len - done;

		guest_copy_from((uint8_t *)private_copy + done, iov[i].iov_base, part);
		done += part;
	}
	return done;
}

size_t guest_copy_to_iov(const struct iovec *iov, size_t n, const void *data, size_t len)
{
	size_t done = 0;

	for (size_t i = 0; i < n && done < len; i++) {
		size_t part = iov[i].iov_len < len - done ? iov[i].iov_len : len - done;

		memcpy(iov[i].iov_base, (const uint8_t *)data + done, part);
		done += part;
	}
	return done;
}

void iov_skip(struct iovec **iov, size_t *n, size_t skip)
{
	while (*n && skip >= (*iov)->iov_len) {
		skip -= (*iov)->iov_len;
		(*iov)++;
		(*n)--;
	}
	if (*n) {
		(*iov)->iov_base = (uint8_t *)(*iov)->iov_base + skip;
		(*iov)->iov_len -= skip;
	}
}

size_t iov_limit(struct iovec *iov, size_t *n, size_t len)
{
	size_t total = 0;

	for (size_t i = 0; i < *n; i++) {
		if (iov[i].iov_len >= len - total) {
			iov[i].iov_len = len - total;
			*n = iov[i].iov_len ? i + 1 : i;
			return len;
		}
		total += iov[i].iov_len;
	}
	return total;
}
