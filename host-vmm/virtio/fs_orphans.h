/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * FUSE requests whose server has gone: the VMM answers them with an error, so that no process in
 * the guest waits for ever.
 *
 * Locking: the device's loop.
 */
#ifndef LODGE_VMM_FS_ORPHANS_H
#define LODGE_VMM_FS_ORPHANS_H

#include <stdint.h>

struct vhost_user;
struct virtqueue;

/*
 * Takes @vq over from a dead back end: answers what it had in hand with EIO, because nobody knows
 * whether it was done, and leaves @vq where the next server, ours or theirs, goes on. -EPROTO
 * where the ring is broken, -ENOMEM.
 */
int fs_orphans_take_over(struct virtqueue *vq, const struct vhost_user *vu);

/* Answers all that waits with ENOTCONN. -EPROTO where the ring is broken, -ENOMEM. */
int fs_orphans_serve(struct virtqueue *vq);

#endif
