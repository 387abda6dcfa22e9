/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's memory as the front end gave it: regions of descriptors, mapped here.
 *
 * Hostile ground: the guest changes it at any moment. Whatever decides something is copied out once
 * (guest_copy_from, guest_load_*) and checked on the copy; the only pointers into it that are used
 * otherwise are the iovecs of preadv(2) and pwritev(2), where the kernel does the copying.
 *
 * Locking: the map is changed by the vhost-user thread only, while no queue thread and no worker
 * runs (backend_pause); everybody else reads it without a lock.
 */
#ifndef LODGE_FSD_MEMORY_H
#define LODGE_FSD_MEMORY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <lodge/vhost_user.h>

#define GUEST_MEMORY_SLOTS 32 /* answer to GET_MAX_MEM_SLOTS */

struct guest_region {
	uint64_t guest_addr;
	uint64_t user_addr;
	uint64_t size;
	uint64_t mmap_offset;
	uint8_t *host; /* guest_addr is here */
	int fd; /* ours: a server that comes after this one maps it again */
	void *map; /* what mmap(2) gave, in the process that is now */
	size_t map_len;
};

struct dax;

struct guest_memory {
	struct dax *dax; /* whose window holds buffers, too; NULL: none */
	unsigned int n_regions;
	struct guest_region regions[GUEST_MEMORY_SLOTS];
};

/* Maps @region of @fd (stays the caller's). -EINVAL for wrapping, empty or overlapping regions and
 * for one beyond the end of @fd, -ENOSPC when all slots are taken. */
int guest_memory_add(struct guest_memory *memory, const struct vhost_user_mem_region *region,
		     int fd);
/* -ENOENT where no region is the same as @region. */
int guest_memory_remove(struct guest_memory *memory, const struct vhost_user_mem_region *region);
void guest_memory_clear(struct guest_memory *memory);

/* Maps everything again, in a process that came after the one that mapped it. */
int guest_memory_resume(struct guest_memory *memory);

/* The place of guest physical @addr, and in *@len (at most what it was) how far it reaches in one
 * piece. NULL outside of memory. */
void *guest_memory_at(const struct guest_memory *memory, uint64_t addr, uint64_t *len);
/* The place of @len bytes at the front end's address @user_addr, NULL if not all in one region. */
void *guest_memory_at_user(const struct guest_memory *memory, uint64_t user_addr, uint64_t len);

static inline uint16_t guest_load_u16(const uint16_t *place)
{
	return __atomic_load_n(place, __ATOMIC_ACQUIRE);
}

static inline void guest_store_u16(uint16_t *place, uint16_t value)
{
	__atomic_store_n(place, value, __ATOMIC_RELEASE);
}

/* One fetch of each byte: the compiler may not read the source again later. */
static inline void guest_copy_from(void *private_copy, const void *place, size_t len)
{
	__builtin_memcpy(private_copy, place, len);
	__asm__ __volatile__("" : : "r"(private_copy) : "memory");
}

/* Copies up to @len bytes from the start of the @n iovecs: the count. */
size_t guest_copy_from_iov(void *private_copy, size_t len, const struct iovec *iov, size_t n);
size_t guest_copy_to_iov(const struct iovec *iov, size_t n, const void *data, size_t len);

/* Drops @skip bytes from the front of (*@iov, *@n), in place; all of them where there are fewer. */
void iov_skip(struct iovec **iov, size_t *n, size_t skip);
/* Cuts to @len bytes: the bytes that there are now. */
size_t iov_limit(struct iovec *iov, size_t *n, size_t len);

#endif
