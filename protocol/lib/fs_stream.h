/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * FUSE messages that follow one another in a stream of bytes (<lodge/fs_stream.h>): where one ends.
 */
#ifndef LODGE_LIB_FS_STREAM_H
#define LODGE_LIB_FS_STREAM_H

#include <stddef.h>

/* sizeof(struct fuse_in_header), sizeof(struct fuse_out_header): linux/fuse.h, since FUSE 7.1. */
#define FS_STREAM_REQUEST_HEADER 40u
#define FS_STREAM_REPLY_HEADER	 16u

/*
 * The first message of the @have bytes at @bytes, whose header has @header bytes: its length, 0
 * where more has to come, or -EPROTO: there is no such message, and no way to find the next one.
 */
long fs_stream_message(const void *bytes, size_t have, size_t header);

#endif
