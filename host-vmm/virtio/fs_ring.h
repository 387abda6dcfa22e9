/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The driver's side of one virtio-fs request queue, in memory of its own: by it the monitor gives
 * requests to a vhost-user back end where the guest has no driver for the device.
 *
 * There are LODGE_FS_STREAM_REQUESTS_MAX slots, each with room for a request and for its reply.
 * What the back end writes is a stranger's: read once, checked once.
 *
 * Locking: none; one thread at a time. The memory and the eventfds may be given to others.
 */
#ifndef LODGE_VMM_FS_RING_H
#define LODGE_VMM_FS_RING_H

#include <stddef.h>
#include <stdint.h>

struct fs_ring;
struct memory;
struct vhost_user_vring;

/* -ENOMEM and others of memory_create() and eventfd(2). Pages that are not used cost nothing. */
int fs_ring_create(struct fs_ring **ret_ring);
void fs_ring_destroy(struct fs_ring *ring); /* NULL is fine */

/* While no back end has it: empty, and nothing of the past is in its memory. */
void fs_ring_reset(struct fs_ring *ring);
/* For vhost_user_start(). */
const struct memory *fs_ring_memory(const struct fs_ring *ring);
struct vhost_user_vring fs_ring_vring(const struct fs_ring *ring);
/* Readable when the back end has answered; fs_ring_take() until 0. */
int fs_ring_fd(const struct fs_ring *ring);

/* A slot that is not in use, or -EBUSY. */
int fs_ring_free_slot(const struct fs_ring *ring);
/* Gives the back end @len bytes (at most LODGE_FS_STREAM_MESSAGE_MAX) in @slot, which is in use
 * from now on. */
void fs_ring_put(struct fs_ring *ring, unsigned int slot, const void *request, size_t len);
/* 1 and a slot whose reply of *@ret_len bytes is there (0: none), which stays in use; 0: no more;
 * -EPROTO: the back end breaks virtio's rules (virtio 1.2 section 2.7.8). */
int fs_ring_take(struct fs_ring *ring, unsigned int *ret_slot, uint32_t *ret_len);
/* @len bytes of its reply from @offset on, both within what fs_ring_take() said. */
void fs_ring_read(const struct fs_ring *ring, unsigned int slot, size_t offset, void *buffer,
		  size_t len);
void fs_ring_release(struct fs_ring *ring, unsigned int slot);

#endif
