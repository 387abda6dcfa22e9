/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest memory: where it comes from, its KVM slots, and the only door to its bytes.
 *
 * Shared memory is a memfd, so that vhost-user back ends see the same pages; the host gives it
 * small pages first (memory_collapse()). Private memory is nobody else's, and the host gives it 2
 * MiB pages at the first touch where it can. RAM lies at guest-physical 0 up to LAYOUT_LOW_RAM_END
 * and, what is more, from 4 GiB on; in the memfd, and in our address space, it is contiguous, low
 * part first.
 *
 * The guest (and every back end) writes to this memory while we read it. Nothing outside memory.c
 * and virtio/queue.c may dereference a pointer into it: bytes are copied out once by the helpers
 * below, then checked, then used. An iovec from memory_iov() is for the kernel (preadv, pwritev,
 * io_uring) and for memory_iov_copy_*(). tests/static/guest-memory holds this rule.
 *
 * Locking: immutable between create and destroy, so every function may be called by any thread.
 */
#ifndef LODGE_VMM_MEMORY_H
#define LODGE_VMM_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct memory;

/* One stretch of RAM: what KVM and vhost-user memory tables list. */
struct memory_region {
	uint64_t gpa;
	uint64_t size; /* bytes, a multiple of 4 KiB */
	uint64_t file_offset; /* in the memfd, where there is one */
	void *host; /* our mapping; for KVM slots and vhost-user tables only */
};

enum memory_kind {
	MEMORY_SHARED = 0, /* a memfd: other processes may be given it */
	MEMORY_PRIVATE = 1, /* ours alone */
};

/*
 * Makes @size bytes of RAM (a multiple of 4 KiB) and maps them. The caller destroys it after every
 * user has stopped. -ENOMEM, or the errno of memfd_create(2), ftruncate(2) or mmap(2).
 */
int memory_create(uint64_t size, enum memory_kind kind, struct memory **ret_memory);
void memory_destroy(struct memory *memory);

/* The regions, lowest first, owned by @memory; the memfd, owned by @memory, or -1 of private
 * memory. */
const struct memory_region *memory_regions(const struct memory *memory, size_t *ret_count);
int memory_fd(const struct memory *memory);
uint64_t memory_size(const struct memory *memory);

/*
 * Ranges that are no RAM but files that a device maps there (shm_window.h): nothing of ours is read
 * or written in them, but a driver that names one as a buffer has not gone mad. @index: which of
 * MEMORY_WINDOWS_MAX; @size of 0: it is nowhere. The only thing here that changes; any thread.
 */
#define MEMORY_WINDOWS_MAX 8
void memory_set_window(struct memory *memory, unsigned int index, uint64_t gpa, uint64_t size);
bool memory_in_window(const struct memory *memory, uint64_t gpa, uint64_t len);

/* Copies @len bytes from or to [gpa, gpa + len). -EFAULT if any byte of it is not RAM; nothing is
 * copied then. A length of 0 succeeds for every address. */
int memory_read(const struct memory *memory, uint64_t gpa, void *buffer, size_t len);
int memory_write(const struct memory *memory, uint64_t gpa, const void *buffer, size_t len);

/*
 * Appends [gpa, gpa + len) to @iov as one entry or, across the hole below 4 GiB, never: a range
 * must lie in one region. -EFAULT as above. len of 0 gives -EINVAL.
 */
int memory_iov(const struct memory *memory, uint64_t gpa, size_t len, struct iovec *ret_iov);

/* Copies between private memory and guest memory described by @iov, starting @offset bytes into
 * it: the number of bytes copied, less than @len where @iov ends. */
size_t memory_iov_read(const struct iovec *iov, size_t count, size_t offset, void *buffer,
		       size_t len);
size_t memory_iov_write(const struct iovec *iov, size_t count, size_t offset, const void *buffer,
			size_t len);

/*
 * Fills [gpa, gpa + len), which has not been written to since it was made or discarded, from the
 * regular file @fd at @offset: the boot images. -EFAULT as above, -ENODATA where the file ends
 * early, or the errno of reading.
 */
int memory_load(const struct memory *memory, uint64_t gpa, int fd, uint64_t offset, size_t len);

/*
 * Gives [gpa, gpa + len) back to the host: zeroes are read there afterwards. Rounded inwards to
 * whole pages. -EFAULT if not RAM. A stretch of 2 MiB of which a part was given back stays in small
 * pages, so that what was given back stays so; one that was given back whole is fresh again.
 */
int memory_discard(const struct memory *memory, uint64_t gpa, uint64_t len);

/*
 * Makes 2 MiB pages of those stretches of 2 MiB of shared memory that are in use and are not one
 * page yet, where the host can (MADV_COLLAPSE, Linux 6.1): then the guest's first touches cost one
 * fault, not 512. Returns how many were made: 0 for ever where the host cannot, and for private
 * memory, which the host gives 2 MiB pages by itself. One thread at a time; others may use the
 * memory meanwhile.
 */
int memory_collapse(struct memory *memory);

#endif
