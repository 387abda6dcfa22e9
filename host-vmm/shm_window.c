// SPDX-License-Identifier: GPL-2.0-or-later
/* Windows of file mappings in the guest's address space. */
#include "host-vmm/shm_window.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "protocol/lib/fd.h"

#define PAGE	  4096ull
#define HUGE_PAGE (2ull << 20)
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* <asm-generic/mman-common.h> of Linux 6.1 */
#endif

struct piece {
	struct shm_piece place;
	int fd;
	uint64_t file_size; /* when it was mapped last */
	uint64_t mended; /* from this offset in the piece on there are zeroes; len: nowhere */
};

struct shm_window {
	uint64_t size;
	int vm_fd;
	uint32_t slot;
	void *reserved; /* the whole reservation, in which the window is aligned */
	size_t reserved_size;
	uint8_t *host;

	pthread_mutex_t lock; /* over what follows */
	bool enabled, has_slot;
	uint64_t gpa;
	struct piece *pieces; /* by offset */
	size_t n_pieces, room;
	bool logs; /* KVM notes what is stored into, from the first writable piece on */
	uint64_t *stored; /* its answer, a bit for each page */
};

/* What is there where no file is: zeroes, and what the guest writes, until a file comes. */
static int map_nothing(struct shm_window *window, uint64_t offset, uint64_t len)
{
	void *at = window->host + offset;

	if (mmap(at, len, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
		return -errno;
	(void)madvise(at, len, MADV_DONTDUMP);
	/* A guest that writes there gets a page for each page, not 512. */
	(void)madvise(at, len, MADV_NOHUGEPAGE);
	return 0;
}

int shm_window_create(uint64_t size, int vm_fd, uint32_t slot, struct shm_window **ret_window)
{
	struct shm_window *window;
	int ret;

	if (size < SHM_WINDOW_SIZE_MIN || size > SHM_WINDOW_SIZE_MAX || size & (size - 1))
		return -EINVAL;
	window = calloc(1, sizeof(*window));
	if (!window)
		return -ENOMEM;
	pthread_mutex_init(&window->lock, NULL);
	window->size = size;
	window->vm_fd = vm_fd;
	window->slot = slot;
	/* Huge pages of files need our address and the guest's to agree modulo 2 MiB. */
	window->reserved_size = size + HUGE_PAGE;
	window->reserved = mmap(NULL, window->reserved_size, PROT_NONE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (window->reserved == MAP_FAILED) {
		ret = -errno;
		window->reserved = NULL;
		goto fail;
	}
	window->host = (uint8_t *)(((uintptr_t)window->reserved + HUGE_PAGE - 1) &
				   ~(uintptr_t)(HUGE_PAGE - 1));
	ret = map_nothing(window, 0, size);
	if (ret)
		goto fail;
	*ret_window = window;
	return 0;

fail:
	shm_window_destroy(window);
	return ret;
}

/* Under lock: as has_slot and logs are to be. */
static int tell_kvm(const struct shm_window *window, bool has_slot, bool logs)
{
	struct kvm_userspace_memory_region region = {
		.slot = window->slot,
		.flags = has_slot && logs ? KVM_MEM_LOG_DIRTY_PAGES : 0,
		.guest_phys_addr = window->gpa,
		.memory_size = has_slot ? window->size : 0,
		.userspace_addr = (uintptr_t)window->host,
	};

	return ioctl(window->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0 ? -errno : 0;
}

/* Under lock. */
static int set_slot(struct shm_window *window, bool on)
{
	int ret;

	if (window->has_slot == on || window->vm_fd < 0)
		return 0;
	ret = tell_kvm(window, on, window->logs);
	if (!ret)
		window->has_slot = on;
	return ret;
}

/* Under lock. While it is on, KVM gives the guest small pages: it is off where nobody writes. */
static int set_log(struct shm_window *window, bool on)
{
	int ret = 0;

	if (window->logs == on || window->vm_fd < 0)
		return 0;
	if (!window->stored)
		window->stored = calloc(window->size / PAGE / 64, sizeof(*window->stored));
	if (!window->stored)
		return -ENOMEM;
	if (window->has_slot)
		ret = tell_kvm(window, true, on);
	if (!ret)
		window->logs = on;
	return ret;
}

static bool was_stored_into(const struct shm_window *window, const struct shm_piece *place)
{
	for (uint64_t page = place->offset / PAGE; page < (place->offset + place->len) / PAGE;
	     page++) {
		if (window->stored[page / 64] >> page % 64 & 1)
			return true;
	}
	return false;
}

/* What write(2) does to the times. Who may write but does not own the file can only set both. */
static void touch(int fd)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_nsec = UTIME_NOW } };

	if (futimens(fd, times) && errno == EPERM)
		(void)futimens(fd, NULL);
}

/* Under lock: files into which the guest has stored since the last call get their times. To be
 * called before a writable piece goes. */
static void note_stores(struct shm_window *window)
{
	struct kvm_dirty_log log = { .slot = window->slot, .dirty_bitmap = window->stored };

	if (!window->logs || !window->has_slot || ioctl(window->vm_fd, KVM_GET_DIRTY_LOG, &log) < 0)
		return;
	for (size_t i = 0; i < window->n_pieces; i++) {
		const struct piece *piece = &window->pieces[i];

		if (piece->place.writable && was_stored_into(window, &piece->place))
			touch(piece->fd);
	}
}

static void forget_pieces(struct shm_window *window)
{
	for (size_t i = 0; i < window->n_pieces; i++)
		close(window->pieces[i].fd);
	window->n_pieces = 0;
}

void shm_window_destroy(struct shm_window *window)
{
	if (!window)
		return;
	note_stores(window);
	(void)set_slot(window, false);
	forget_pieces(window);
	if (window->reserved)
		munmap(window->reserved, window->reserved_size);
	free(window->pieces);
	free(window->stored);
	pthread_mutex_destroy(&window->lock);
	free(window);
}

uint64_t shm_window_size(const struct shm_window *window)
{
	return window->size;
}

void *shm_window_host(const struct shm_window *window)
{
	return window->host;
}

int shm_window_place(struct shm_window *window, bool enabled, uint64_t gpa)
{
	int ret;

	pthread_mutex_lock(&window->lock);
	note_stores(window);
	ret = set_slot(window, false);
	window->enabled = enabled;
	window->gpa = gpa;
	if (!ret && enabled && window->n_pieces)
		ret = set_slot(window, true);
	pthread_mutex_unlock(&window->lock);
	return ret;
}

uint64_t shm_window_gpa(struct shm_window *window)
{
	uint64_t gpa;

	pthread_mutex_lock(&window->lock);
	gpa = window->enabled ? window->gpa : 0;
	pthread_mutex_unlock(&window->lock);
	return gpa;
}

static int check_piece(const struct shm_window *window, const struct shm_piece *piece)
{
	uint64_t end;

	if (!piece->len || (piece->offset | piece->len | piece->file_offset) % PAGE ||
	    piece->offset > window->size || piece->len > window->size - piece->offset ||
	    __builtin_add_overflow(piece->file_offset, piece->len, &end) || end > INT64_MAX)
		return -EINVAL;
	return 0;
}

/* Under lock: the first piece that does not end before @offset. */
static size_t first_at(const struct shm_window *window, uint64_t offset)
{
	size_t low = 0, high = window->n_pieces;

	while (low < high) {
		size_t middle = (low + high) / 2;
		const struct shm_piece *place = &window->pieces[middle].place;

		if (place->offset + place->len <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_at(const struct shm_window *window, size_t i, uint64_t offset, uint64_t len)
{
	return i < window->n_pieces && window->pieces[i].place.offset == offset &&
	       window->pieces[i].place.len == len;
}

static int map_file(struct shm_window *window, int fd, const struct shm_piece *piece)
{
	void *at = window->host + piece->offset;

	if (mmap(at, piece->len, PROT_READ | PROT_WRITE,
		 (piece->writable ? MAP_SHARED : MAP_PRIVATE) | MAP_NORESERVE | MAP_FIXED, fd,
		 (off_t)piece->file_offset) == MAP_FAILED)
		return -errno;
	/* Where the file system keeps large pages, one fault of the guest brings in 2 MiB. */
	(void)madvise(at, piece->len, MADV_HUGEPAGE);
	return 0;
}

/*
 * Where the file is in memory for good (tmpfs), or its file system lets the kernel do it, its pages
 * are made large ones: the guest's touches then cost one fault each 2 MiB, not 512. Not where there
 * are holes, which would be filled, nor where more than half of the last page would be behind the
 * file's end, for which the host's memory pays, too. It lasts: the next mapping finds them large.
 */
static void collapse(struct shm_window *window, int fd, uint64_t file_size,
		     const struct shm_piece *piece)
{
	uint64_t end = piece->file_offset + piece->len;
	off_t hole;

	if ((piece->offset | piece->len | piece->file_offset) % HUGE_PAGE ||
	    end > file_size + HUGE_PAGE / 2)
		return;
	/* The end of a file is one. */
	hole = lseek(fd, (off_t)piece->file_offset, SEEK_HOLE);
	if (hole >= 0 && (uint64_t)hole >= (end < file_size ? end : file_size))
		(void)madvise(window->host + piece->offset, piece->len, MADV_COLLAPSE);
}

/* Under lock: room for one more at @at. */
static int make_room(struct shm_window *window, size_t at)
{
	if (window->n_pieces == SHM_WINDOW_PIECES_MAX)
		return -ENOSPC;
	if (window->n_pieces == window->room) {
		size_t room = window->room ? window->room * 2 : 64;
		struct piece *pieces = reallocarray(window->pieces, room, sizeof(*pieces));

		if (!pieces)
			return -ENOMEM;
		window->pieces = pieces;
		window->room = room;
	}
	memmove(&window->pieces[at + 1], &window->pieces[at],
		(window->n_pieces - at) * sizeof(*window->pieces));
	window->n_pieces++;
	return 0;
}

static void remove_piece(struct shm_window *window, size_t at)
{
	close(window->pieces[at].fd);
	window->n_pieces--;
	memmove(&window->pieces[at], &window->pieces[at + 1],
		(window->n_pieces - at) * sizeof(*window->pieces));
}

/* Whether @piece is there already and whole: the same stretch of the same file. */
static bool is_same(const struct piece *piece, int fd, const struct shm_piece *place)
{
	struct stat old, new;

	return piece->mended == piece->place.len && piece->place.writable == place->writable &&
	       piece->place.file_offset == place->file_offset && !fstat(piece->fd, &old) &&
	       !fstat(fd, &new) && old.st_dev == new.st_dev &&old.st_ino == new.st_ino;
}

/* Under lock. Takes @fd where it succeeds. */
static int map_locked(struct shm_window *window, int fd, uint64_t file_size,
		      const struct shm_piece *piece)
{
	size_t at = first_at(window, piece->offset);
	bool replaces = is_at(window, at, piece->offset, piece->len);
	int ret;

	if (!replaces && at < window->n_pieces &&
	    window->pieces[at].place.offset < piece->offset + piece->len)
		return -EEXIST;
	if (replaces && window->pieces[at].place.writable)
		note_stores(window);
	if (replaces && is_same(&window->pieces[at], fd, piece)) {
		close(window->pieces[at].fd);
		window->pieces[at].fd = fd;
		return 0;
	}
	ret = piece->writable ? set_log(window, true) : 0;
	if (!ret && window->enabled)
		ret = set_slot(window, true);
	if (ret)
		return ret;
	ret = replaces ? 0 : make_room(window, at);
	if (ret)
		return ret;
	ret = map_file(window, fd, piece);
	if (ret && !replaces) {
		window->pieces[at].fd = -1;
		remove_piece(window, at);
	}
	if (ret)
		return ret;
	collapse(window, fd, file_size, piece);
	if (replaces)
		close(window->pieces[at].fd);
	window->pieces[at] = (struct piece){ *piece, fd, file_size, piece->len };
	return 0;
}

int shm_window_map(struct shm_window *window, int fd, const struct shm_piece *piece)
{
	struct stat st;
	int own, ret;

	ret = check_piece(window, piece);
	if (ret)
		return ret;
	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EACCES;
	own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (own < 0)
		return -errno;
	pthread_mutex_lock(&window->lock);
	ret = map_locked(window, own, (uint64_t)st.st_size, piece);
	pthread_mutex_unlock(&window->lock);
	if (ret)
		close(own);
	return ret;
}

int shm_window_unmap(struct shm_window *window, uint64_t offset, uint64_t len)
{
	size_t at;
	int ret;

	pthread_mutex_lock(&window->lock);
	at = first_at(window, offset);
	ret = is_at(window, at, offset, len) ? 0 : -ENOENT;
	if (!ret && window->pieces[at].place.writable)
		note_stores(window);
	if (!ret)
		ret = map_nothing(window, offset, len);
	if (!ret)
		remove_piece(window, at);
	pthread_mutex_unlock(&window->lock);
	return ret;
}

size_t shm_window_pieces(struct shm_window *window)
{
	size_t n;

	pthread_mutex_lock(&window->lock);
	n = window->n_pieces;
	pthread_mutex_unlock(&window->lock);
	return n;
}

void shm_window_note_stores(struct shm_window *window)
{
	bool writable = false;

	pthread_mutex_lock(&window->lock);
	note_stores(window);
	for (size_t i = 0; i < window->n_pieces; i++)
		writable |= window->pieces[i].place.writable;
	if (!writable)
		(void)set_log(window, false);
	pthread_mutex_unlock(&window->lock);
}

void shm_window_clear(struct shm_window *window)
{
	pthread_mutex_lock(&window->lock);
	note_stores(window);
	/* Whole, also where it is empty: what the guest wrote there goes, too. */
	(void)map_nothing(window, 0, window->size);
	forget_pieces(window);
	pthread_mutex_unlock(&window->lock);
}

/* Where in the piece the file ends, in whole pages; its length where it does not. */
static uint64_t end_of_file(const struct piece *piece, uint64_t file_size)
{
	uint64_t end = (file_size + PAGE - 1) & ~(PAGE - 1);

	if (end <= piece->place.file_offset)
		return 0;
	end -= piece->place.file_offset;
	return end < piece->place.len ? end : piece->place.len;
}

static bool mend(struct shm_window *window, struct piece *piece, bool only_if_cut)
{
	struct stat st;
	uint64_t end;

	if (fstat(piece->fd, &st))
		return false;
	end = end_of_file(piece, (uint64_t)st.st_size);
	if (end >= piece->mended || (only_if_cut && (uint64_t)st.st_size >= piece->file_size))
		return false;
	if (map_nothing(window, piece->place.offset + end, piece->mended - end))
		return false;
	piece->mended = end;
	return true;
}

/* Under lock: how many pieces could be mended. */
static unsigned int mend_all(struct shm_window *window, bool only_if_cut)
{
	unsigned int count = 0;

	for (size_t i = 0; i < window->n_pieces; i++)
		count += mend(window, &window->pieces[i], only_if_cut);
	return count;
}

enum shm_repair shm_window_repair(struct shm_window *window)
{
	enum shm_repair ret = SHM_REPAIR_NONE;

	pthread_mutex_lock(&window->lock);
	for (size_t i = 0; i < window->n_pieces; i++) {
		if (window->pieces[i].mended < window->pieces[i].place.len)
			ret = SHM_REPAIR_OLD;
	}
	/* Where that was not it: a file was mapped when it had been cut already, or had grown after
	 * it was mapped, or the guest knows no limits. */
	if (mend_all(window, true) || mend_all(window, false))
		ret = SHM_REPAIR_DONE;
	pthread_mutex_unlock(&window->lock);
	return ret;
}

void shm_window_restore(struct shm_window *window)
{
	pthread_mutex_lock(&window->lock);
	for (size_t i = 0; i < window->n_pieces; i++) {
		struct piece *piece = &window->pieces[i];
		struct shm_piece tail = piece->place;

		if (piece->mended == tail.len)
			continue;
		tail.offset += piece->mended;
		tail.file_offset += piece->mended;
		tail.len -= piece->mended;
		if (!map_file(window, piece->fd, &tail))
			piece->mended = piece->place.len;
	}
	pthread_mutex_unlock(&window->lock);
}
