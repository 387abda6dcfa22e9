/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Way 3: messages that follow one another on a connected stream socket, whose other end lodged has
 * (protocol/spec/fs-stream.md). One thread sends the kernel's requests, another gives it the
 * replies; neither waits for the other.
 */
#ifndef LODGE_MOUNT_STREAM_H
#define LODGE_MOUNT_STREAM_H

struct stream;

/* Both descriptors are borrowed; INIT was answered. Negative errno: nothing runs, and @messages_fd
 * may be shut down. */
int stream_start(int fuse_fd, int messages_fd, struct stream **ret_stream);
/* Readable when it has ended by itself. */
int stream_over_fd(const struct stream *stream);
/* Why: 0, the file system was unmounted; -ECONNRESET, the other end is gone; -EPROTO, what comes is
 * no FUSE; else read(2)'s error of the kernel's descriptor. */
int stream_result(const struct stream *stream);
/* Waits for both threads, which end when the kernel and the other end say so. */
void stream_destroy(struct stream *stream);

#endif
