/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-3-Clause */
/*
 * FUSE messages over the backdoor, for guests that have neither virtiofs nor the module lodge_fs.
 * protocol/spec/fs-stream.md has who says what when.
 */
#ifndef LODGE_FS_STREAM_H
#define LODGE_FS_STREAM_H

/* The request by which root's tools ask for the streams, and the command that brings them. */
#define LODGE_FS_STREAM_CONNECT "lodge.fs.connect"
#define LODGE_FS_STREAM_WORD	"lodge.fs.messages"

/* Keys of the command's fields: numbers of streams, or why there are none. */
#define LODGE_FS_STREAM_REQUESTS "requests" /* the guest sends on it */
#define LODGE_FS_STREAM_REPLIES	 "replies" /* the guest receives on it */
#define LODGE_FS_STREAM_WHY	 "why"

/* Limits, in bytes unless said: of what WRITE and READ carry (FUSE's default of 32 pages), and of a
 * message with its header and structs. */
#define LODGE_FS_STREAM_DATA_MAX     (128u << 10)
#define LODGE_FS_STREAM_MESSAGE_MAX  (LODGE_FS_STREAM_DATA_MAX + 4096u)
#define LODGE_FS_STREAM_REQUESTS_MAX 16u /* requests that the host has taken and not answered */

#endif
