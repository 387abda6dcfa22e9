// SPDX-License-Identifier: GPL-2.0-or-later
// Guest memory: the mapping, what is given back of it, and the copy helpers that are the door to
// its bytes.
#include "host-vmm/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host-vmm/layout.h"
#include "protocol/lib/fd.h"

#define PAGE	  4096ull
#define HUGE_PAGE (2ull << 20)
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* <asm-generic/mman-common.h> of Linux 6.1 */
#endif

/* What is known of a stretch of 2 MiB. */
enum stretch {
	STRETCH_FRESH = 0, /* may be made one page, once it is in use */
	STRETCH_LEFT = 1, /* is one page, or cannot be, or the guest gave back a part of it */
};

struct memory {
	int fd; /* -1: private */
	uint8_t *stretches; /* atomic: enum stretch, lowest first; partial ones not counted */
	uint64_t n_stretches;
	uint64_t size;
	void *reserved; /* the whole reservation, in which the mapping is aligned */
	size_t reserved_size;
	size_t n_regions;
	struct memory_region regions[2];
	struct {
		uint64_t gpa, size;
	} windows[MEMORY_WINDOWS_MAX]; /* atomic */
};

/* Maps [start, start + len) of it at @host, in the place of what is there. */
static int map_part(const struct memory *memory, uint8_t *host, uint64_t start, uint64_t len)
{
	bool private = memory->fd < 0;

	if (mmap(host, len, PROT_READ | PROT_WRITE,
		 MAP_NORESERVE | MAP_FIXED | (private ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED),
		 memory->fd, private ? 0 : (off_t)start) == MAP_FAILED)
		return -errno;
	/* Best effort: hosts built without transparent huge pages refuse, and work. */
	(void)madvise(host, len, MADV_HUGEPAGE);
	/* A core dump of the monitor must not hold the guest's memory, nor a child inherit it. */
	(void)madvise(host, len, MADV_DONTDUMP);
	(void)madvise(host, len, MADV_DONTFORK);
	return 0;
}

/* KVM and the host's page tables can use 2 MiB pages only where host and guest addresses agree
 * modulo 2 MiB, hence the reservation with room to align in. */
static int map_aligned(struct memory *memory, uint8_t **ret_host)
{
	size_t reserved_size = memory->size + HUGE_PAGE;
	void *reserved, *host;
	int ret;

	reserved = mmap(NULL, reserved_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			-1, 0);
	if (reserved == MAP_FAILED)
		return -errno;
	memory->reserved = reserved;
	memory->reserved_size = reserved_size;

	host = (void *)(((uintptr_t)reserved + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1));
	ret = map_part(memory, host, 0, memory->size);
	if (ret < 0)
		return ret;
	*ret_host = host;
	return 0;
}

static void set_regions(struct memory *memory, uint8_t *host)
{
	uint64_t low = memory->size < LAYOUT_LOW_RAM_END ? memory->size : LAYOUT_LOW_RAM_END;

	memory->regions[0] = (struct memory_region){ .gpa = 0, .size = low, .host = host };
	memory->n_regions = 1;
	if (memory->size == low)
		return;
	memory->regions[1] = (struct memory_region){
		.gpa = LAYOUT_HIGH_RAM,
		.size = memory->size - low,
		.file_offset = low,
		.host = host + low,
	};
	memory->n_regions = 2;
}

static int make_file(struct memory *memory)
{
	memory->fd = memfd_create("lodge-ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (memory->fd < 0 || ftruncate(memory->fd, memory->size) < 0)
		return -errno;
	/* A back end that has the descriptor must not be able to make our accesses fault. */
	if (fcntl(memory->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	return 0;
}

int memory_create(uint64_t size, enum memory_kind kind, struct memory **ret_memory)
{
	struct memory *memory;
	uint8_t *host = NULL;
	int ret;

	if (size == 0 || size % PAGE != 0 || size > LAYOUT_RAM_MAX)
		return -EINVAL;
	memory = calloc(1, sizeof(*memory));
	if (!memory)
		return -ENOMEM;
	memory->fd = -1;
	memory->size = size;
	memory->n_stretches = size / HUGE_PAGE;
	memory->stretches = calloc(memory->n_stretches + 1, sizeof(*memory->stretches));
	ret = memory->stretches ? 0 : -ENOMEM;
	if (ret == 0 && kind == MEMORY_SHARED)
		ret = make_file(memory);
	if (ret == 0)
		ret = map_aligned(memory, &host);
	if (ret < 0) {
		memory_destroy(memory);
		return ret;
	}
	set_regions(memory, host);
	*ret_memory = memory;
	return 0;
}

void memory_destroy(struct memory *memory)
{
	if (!memory)
		return;
	if (memory->reserved)
		munmap(memory->reserved, memory->reserved_size);
	fd_close(&memory->fd);
	free(memory->stretches);
	free(memory);
}

const struct memory_region *memory_regions(const struct memory *memory, size_t *ret_count)
{
	*ret_count = memory->n_regions;
	return memory->regions;
}

int memory_fd(const struct memory *memory)
{
	return memory->fd;
}

uint64_t memory_size(const struct memory *memory)
{
	return memory->size;
}

void memory_set_window(struct memory *memory, unsigned int index, uint64_t gpa, uint64_t size)
{
	if (index >= MEMORY_WINDOWS_MAX)
		return;
	/* Whoever looks meanwhile sees none. */
	__atomic_store_n(&memory->windows[index].size, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&memory->windows[index].gpa, gpa, __ATOMIC_SEQ_CST);
	__atomic_store_n(&memory->windows[index].size, size, __ATOMIC_SEQ_CST);
}

bool memory_in_window(const struct memory *memory, uint64_t gpa, uint64_t len)
{
	for (unsigned int i = 0; i < MEMORY_WINDOWS_MAX; i++) {
		uint64_t size = __atomic_load_n(&memory->windows[i].size, __ATOMIC_SEQ_CST);
		uint64_t offset = gpa - __atomic_load_n(&memory->windows[i].gpa, __ATOMIC_SEQ_CST);

		if (offset < size && len <= size - offset)
			return true;
	}
	return false;
}

/* The region that holds @gpa, and how many bytes of it lie from there on. */
static const struct memory_region *find(const struct memory *memory, uint64_t gpa,
					uint64_t *ret_left)
{
	for (size_t i = 0; i < memory->n_regions; i++) {
		const struct memory_region *region = &memory->regions[i];

		if (gpa >= region->gpa && gpa - region->gpa < region->size) {
			*ret_left = region->size - (gpa - region->gpa);
			return region;
		}
	}
	return NULL;
}

static uint8_t *find_range(const struct memory *memory, uint64_t gpa, uint64_t len)
{
	const struct memory_region *region;
	uint64_t left;

	region = find(memory, gpa, &left);
	if (!region || len > left)
		return NULL;
	return (uint8_t *)region->host + (gpa - region->gpa);
}

int memory_read(const struct memory *memory, uint64_t gpa, void *buffer, size_t len)
{
	const uint8_t *host;

	if (len == 0)
		return 0;
	host = find_range(memory, gpa, len);
	if (!host)
		return -EFAULT;
	memcpy(buffer, host, len);
	return 0;
}

int memory_write(const struct memory *memory, uint64_t gpa, const void *buffer, size_t len)
{
	uint8_t *host;

	if (len == 0)
		return 0;
	host = find_range(memory, gpa, len);
	if (!host)
		return -EFAULT;
	memcpy(host, buffer, len);
	return 0;
}

int memory_iov(const struct memory *memory, uint64_t gpa, size_t len, struct iovec *ret_iov)
{
	uint8_t *host;

	if (len == 0)
		return -EINVAL;
	host = find_range(memory, gpa, len);
	if (!host)
		return -EFAULT;
	*ret_iov = (struct iovec){ .iov_base = host, .iov_len = len };
	return 0;
}

static size_t iov_copy(const struct iovec *iov, size_t count, size_t offset, uint8_t *buffer,
		       size_t len, bool to_guest)
{
	size_t done = 0;

	for (size_t i = 0; i < count && done < len; i++) {
		uint8_t *at;
		size_t part;

		if (offset >= iov[i].iov_len) {
			offset -= iov[i].iov_len;
			continue;
		}
		at = (uint8_t *)iov[i].iov_base + offset;
		part = iov[i].iov_len - offset;
		offset = 0;
		if (part > len - done)
			part = len - done;
		if (to_guest)
			memcpy(at, buffer + done, part);
		else
			memcpy(buffer + done, at, part);
		done += part;
	}
	return done;
}

size_t memory_iov_read(const struct iovec *iov, size_t count, size_t offset, void *buffer,
		       size_t len)
{
	return iov_copy(iov, count, offset, buffer, len, false);
}

size_t memory_iov_write(const struct iovec *iov, size_t count, size_t offset, const void *buffer,
			size_t len)
{
	return iov_copy(iov, count, offset, (uint8_t *)buffer, len, true);
}

static uint8_t *stretch_host(const struct memory *memory, uint64_t stretch)
{
	return (uint8_t *)memory->regions[0].host + stretch * HUGE_PAGE;
}

/* Whether it is one page now. What failed for want of memory or because a page is busy is tried
 * again at the next call. */
static bool collapse(const struct memory *memory, uint64_t stretch)
{
	bool made = madvise(stretch_host(memory, stretch), HUGE_PAGE, MADV_COLLAPSE) == 0;

	if (!made && (errno == EAGAIN || errno == EBUSY || errno == ENOMEM))
		return false;
	__atomic_store_n(&memory->stretches[stretch], STRETCH_LEFT, __ATOMIC_RELAXED);
	return made;
}

int memory_collapse(struct memory *memory)
{
	uint64_t stretch = 0;
	int made = 0;

	while (memory->fd >= 0 && stretch < memory->n_stretches) {
		off_t data;

		if (__atomic_load_n(&memory->stretches[stretch], __ATOMIC_RELAXED) !=
		    STRETCH_FRESH) {
			stretch++;
			continue;
		}
		data = lseek(memory->fd, (off_t)(stretch * HUGE_PAGE), SEEK_DATA);
		if (data < 0)
			break; /* nothing is in use from here on */
		if ((uint64_t)data / HUGE_PAGE != stretch) {
			stretch = (uint64_t)data / HUGE_PAGE;
			continue;
		}
		made += collapse(memory, stretch);
		stretch++;
	}
	return made;
}

/* Before a load: one big page is touched once, and need not be made of small ones later. Private
 * memory is so by itself. */
static void prepare_load(const struct memory *memory, uint64_t start, uint64_t end)
{
	if (memory->fd < 0)
		return;
	for (uint64_t stretch = start / HUGE_PAGE; stretch * HUGE_PAGE < end; stretch++) {
		if (stretch >= memory->n_stretches ||
		    __atomic_load_n(&memory->stretches[stretch], __ATOMIC_RELAXED) != STRETCH_FRESH)
			continue;
		/* A stretch with no page at all cannot be collapsed. */
		if (pwrite(memory->fd, "", 1, (off_t)(stretch * HUGE_PAGE)) != 1 ||
		    !collapse(memory, stretch))
			return;
	}
}

/* How much of [offset, offset + len) of @fd is a hole at first, and how much data follows until the
 * next one. A file system that cannot tell has no holes. */
static void find_data(int fd, uint64_t offset, size_t len, size_t *ret_hole, size_t *ret_data)
{
	off_t data = lseek(fd, (off_t)offset, SEEK_DATA), end;

	/* Nothing but a hole until the end, or behind it. */
	if (data < 0 && errno == ENXIO)
		data = lseek(fd, 0, SEEK_END);
	if (data < (off_t)offset)
		data = (off_t)offset;
	*ret_hole = (uint64_t)data - offset < len ? (uint64_t)data - offset : len;
	end = lseek(fd, data, SEEK_HOLE);
	*ret_data = len - *ret_hole;
	if (end > data && (uint64_t)(end - data) < *ret_data)
		*ret_data = end - data;
}

/* Read rather than mapped: a file that somebody cuts meanwhile must not raise SIGBUS. */
static int read_whole(int fd, uint8_t *host, size_t len, uint64_t offset)
{
	while (len > 0) {
		ssize_t n = pread(fd, host, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENODATA;
		host += n;
		offset += n;
		len -= n;
	}
	return 0;
}

int memory_load(const struct memory *memory, uint64_t gpa, int fd, uint64_t offset, size_t len)
{
	const struct memory_region *region;
	uint8_t *base = memory->regions[0].host;
	uint64_t left, at;
	int ret = 0;

	if (len == 0)
		return 0;
	region = find(memory, gpa, &left);
	if (!region || len > left)
		return -EFAULT;
	at = region->file_offset + (gpa - region->gpa);
	while (len > 0 && ret == 0) {
		size_t hole, data;

		/* Holes are zeroes, which fresh memory has already: kernels are a third zeroes. */
		find_data(fd, offset, len, &hole, &data);
		at += hole;
		prepare_load(memory, at, at + data);
		ret = read_whole(fd, base + at, data, offset + hole);
		at += data;
		offset += hole + data;
		len -= hole + data;
	}
	return ret;
}

static enum stretch set_stretch(const struct memory *memory, uint64_t stretch, enum stretch to)
{
	return __atomic_exchange_n(&memory->stretches[stretch], to, __ATOMIC_RELAXED);
}

/*
 * Marks the stretches that [start, end) was taken out of. Of private memory the host is told too,
 * once for each: its own collector of pages would fill up what the guest gave back.
 */
static void note_discarded(const struct memory *memory, uint64_t start, uint64_t end)
{
	uint64_t first = (start + HUGE_PAGE - 1) / HUGE_PAGE, behind = end / HUGE_PAGE;
	bool again = false;

	for (uint64_t stretch = start / HUGE_PAGE; stretch * HUGE_PAGE < end; stretch++) {
		bool whole = stretch >= first && stretch < behind;

		if (stretch >= memory->n_stretches)
			break;
		if (whole)
			again |= set_stretch(memory, stretch, STRETCH_FRESH) != STRETCH_FRESH;
		else if (set_stretch(memory, stretch, STRETCH_LEFT) == STRETCH_FRESH &&
			 memory->fd < 0)
			(void)madvise(stretch_host(memory, stretch), HUGE_PAGE, MADV_NOHUGEPAGE);
	}
	if (again && memory->fd < 0)
		(void)madvise(stretch_host(memory, first), (behind - first) * HUGE_PAGE,
			      MADV_HUGEPAGE);
}

/*
 * The tables of pages that are gone stay with their mapping, 4 KiB for each 2 MiB: whole stretches
 * are mapped anew. Kernels join what they were with what they are.
 */
static void give_back_tables(const struct memory *memory, uint64_t start, uint64_t end)
{
	uint64_t first = (start + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1),
		 behind = end & ~(HUGE_PAGE - 1);

	if (first < behind)
		(void)map_part(memory, (uint8_t *)memory->regions[0].host + first, first,
			       behind - first);
}

static int give_back(const struct memory *memory, uint64_t start, uint64_t end)
{
	int ret;

	if (memory->fd < 0)
		ret = madvise((uint8_t *)memory->regions[0].host + start, end - start,
			      MADV_DONTNEED);
	else
		ret = fallocate(memory->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				(off_t)start, (off_t)(end - start));
	if (ret < 0)
		return -errno;
	give_back_tables(memory, start, end);
	return 0;
}

int memory_discard(const struct memory *memory, uint64_t gpa, uint64_t len)
{
	const struct memory_region *region;
	uint64_t left, start, end;

	if (len == 0)
		return 0;
	region = find(memory, gpa, &left);
	if (!region || len > left)
		return -EFAULT;
	start = (gpa + PAGE - 1) & ~(PAGE - 1);
	end = (gpa + len) & ~(PAGE - 1);
	if (start >= end)
		return 0;
	start = region->file_offset + (start - region->gpa);
	end = region->file_offset + (end - region->gpa);
	note_discarded(memory, start, end);
	return give_back(memory, start, end);
}
