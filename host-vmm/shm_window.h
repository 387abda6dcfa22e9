/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A window: a stretch of guest-physical addresses behind a PCI BAR into which pieces of files are
 * mapped while the guest runs (virtio 1.2 section 2.10, shared memory regions). The guest reads and
 * writes the host's page cache there, with no exit and no copy.
 *
 * Theory of operation. The whole window is one mapping of ours, of anonymous memory, and one memory
 * slot of KVM; a file piece is mapped over a part of it, and KVM follows by itself. So no access of
 * a guest to the window fails but one: to pages of a file that somebody on the host has cut off.
 * KVM_RUN gives EFAULT then, without an address. shm_window_repair() puts zeroes where files have
 * ended, for as long as it takes the guest to get over that instruction; shm_window_restore() maps
 * the files again, which may have grown meanwhile. A piece without write permission is a private
 * mapping: a guest that writes to it all the same changes its own copy.
 *
 * The slot is made at the first mapping: a guest that never asks for one does not pay for it.
 *
 * A store through a mapping is not seen by the file's file system, or only the first one (a page
 * that is dirty already), and the guest's write(2) is such a store, too. So KVM's dirty log notes
 * what is stored into while there are writable pieces, and shm_window_note_stores(), which is
 * called now and then, gives their files the time of it. That also happens before a writable piece
 * is unmapped or mapped once more: whoever asks for the same piece again knows that the file's
 * times are right then.
 *
 * Bytes of the window are never touched by us, only by guests and, as buffers, by the kernel.
 *
 * Locking: its own; every function may be called by any thread.
 */
#ifndef LODGE_VMM_SHM_WINDOW_H
#define LODGE_VMM_SHM_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct shm_window;

/* Pieces that are mapped at a time: each holds a descriptor. */
#define SHM_WINDOW_PIECES_MAX 4096
#define SHM_WINDOW_SIZE_MIN   (2ull << 20)
#define SHM_WINDOW_SIZE_MAX   (64ull << 30)

struct shm_piece {
	uint64_t offset; /* in the window; this, length and file offset in whole pages */
	uint64_t len;
	uint64_t file_offset;
	bool writable;
};

/*
 * Reserves addresses for @size bytes, a power of two between the limits above (-EINVAL). @vm_fd and
 * @slot: where KVM gets the memory slot, -1 in tests.
 */
int shm_window_create(uint64_t size, int vm_fd, uint32_t slot, struct shm_window **ret_window);
/* NULL is fine. */
void shm_window_destroy(struct shm_window *window);
uint64_t shm_window_size(const struct shm_window *window);

/* Where the guest has put it: called when its BAR is enabled at @gpa, or disabled. -errno of
 * KVM_SET_USER_MEMORY_REGION: the guest sees the BAR's own handler there. */
int shm_window_place(struct shm_window *window, bool enabled, uint64_t gpa);

/* Where it is; 0: the guest sees it nowhere. */
uint64_t shm_window_gpa(struct shm_window *window);

/*
 * Maps a piece of the regular file @fd (borrowed). Over exactly one older piece it takes its place
 * in one step. -EINVAL for ranges that are empty, not in whole pages, outside of the window or
 * beyond what a file can have, -EEXIST over a part of a piece, -EACCES for another kind of file,
 * -ENOSPC for too many pieces, or the errno of mmap(2).
 */
int shm_window_map(struct shm_window *window, int fd, const struct shm_piece *piece);
/* Unmaps exactly one piece: -ENOENT where there is none like that. */
int shm_window_unmap(struct shm_window *window, uint64_t offset, uint64_t len);
size_t shm_window_pieces(struct shm_window *window);
/* Files that the guest has stored into since the last time get now as time of modification. */
void shm_window_note_stores(struct shm_window *window);
/* Unmaps all. */
void shm_window_clear(struct shm_window *window);

enum shm_repair {
	SHM_REPAIR_NONE = 0, /* the window is not to blame */
	SHM_REPAIR_OLD = 1, /* nothing to do, but another has mended it just now: try again */
	SHM_REPAIR_DONE = 2,
};

/* After EFAULT of KVM_RUN. */
enum shm_repair shm_window_repair(struct shm_window *window);
/* Maps again what was mended. */
void shm_window_restore(struct shm_window *window);

/* For tests: our address of the window. */
void *shm_window_host(const struct shm_window *window);

#endif
