/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * FUSE messages over the backdoor (protocol/spec/fs-stream.md): between two streams of the guest's
 * tools and a queue of the shares' back end, of which the monitor plays the driver (fs_ring.h).
 *
 * Two loops take part. The streams, their messages and the ring's use are the backdoor's loop's.
 * Whether the back end serves the ring is the device's business, on its own loop: it reads
 * fs_stream_wanted() when fs_stream_fd() is readable, and tells what became of it. The device's
 * loop waits for the backdoor's, never the other way.
 */
#ifndef LODGE_VMM_FS_STREAM_H
#define LODGE_VMM_FS_STREAM_H

#include <stdint.h>

struct backdoor;
struct fs_ring;
struct fs_stream;
struct loop;

/* @loop is the backdoor's. -ENOMEM, -errno of eventfd(2) and others. */
int fs_stream_create(struct backdoor *backdoor, struct loop *loop, struct fs_stream **ret_stream);
/* Not on a loop. NULL is fine. */
void fs_stream_destroy(struct fs_stream *stream);

/* ---- for the device's loop ---- */

/* Readable when the answer below is another. */
int fs_stream_fd(const struct fs_stream *stream);
/* Clears that; the session that wants the ring served, 0: none does. */
uint32_t fs_stream_wanted(struct fs_stream *stream);
/* The ring, empty; no back end may have it when this is called. */
struct fs_ring *fs_stream_ring(struct fs_stream *stream);
/* The back end serves the ring for @session. */
void fs_stream_served(struct fs_stream *stream, uint32_t session);
/* It does not, or not any more: the session ends, for @why. No back end has the ring. */
void fs_stream_refuse(struct fs_stream *stream, uint32_t session, const char *why);

#endif
