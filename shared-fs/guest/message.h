/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * FUSE messages as far as mount.lodge looks into them: protocol/spec/fs-device.md, "What
 * mount.lodge makes of messages". What the device returns is the host's word and is checked here.
 */
#ifndef LODGE_MOUNT_MESSAGE_H
#define LODGE_MOUNT_MESSAGE_H

#include <linux/fuse.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the headers of Linux 3.10 do not have: linux/fuse.h of 4.2 and newer. */
#ifndef FUSE_COMPAT_22_INIT_OUT_SIZE
#define FUSE_COMPAT_22_INIT_OUT_SIZE 24
#endif
#ifndef FUSE_DEV_IOC_CLONE
#define FUSE_DEV_IOC_CLONE _IOR(229, 0, uint32_t)
#endif
#ifndef FUSE_MAX_PAGES
#define FUSE_MAX_PAGES (1 << 22)
#endif

/* struct fuse_init_out of FUSE 7.36; 7.22 ends behind max_write. */
struct message_init {
	uint32_t major;
	uint32_t minor;
	uint32_t max_readahead;
	uint32_t flags;
	uint16_t max_background;
	uint16_t congestion_threshold;
	uint32_t max_write;
	uint32_t time_gran;
	uint16_t max_pages;
	uint16_t map_alignment;
	uint32_t flags2;
	uint32_t unused[7];
};
_Static_assert(sizeof(struct message_init) == 64, "message_init");

enum message_route {
	MESSAGE_EXCHANGED, /* a reply comes soon */
	MESSAGE_QUIET, /* no reply */
	MESSAGE_WAITING, /* a reply comes when somebody else has done something */
};

/* False: not one whole request of @size bytes. */
bool message_is_request(const void *request, size_t size);
enum message_route message_route(const struct fuse_in_header *request);
/* Bytes that the reply to @request, @size bytes long, may have, header included; at most @most. */
uint32_t message_reply_room(const void *request, size_t size, uint32_t most);

/* Whether the kernel may have this reply of @size bytes to the request with @unique. */
bool message_is_reply(uint64_t unique, const void *reply, size_t size);
/* A reply that is an error alone. @error: negative errno. */
struct fuse_out_header message_error(uint64_t unique, int error);

/*
 * Makes INIT's reply @reply, @size bytes long, fit for requests and replies with at most @most
 * bytes of data (at least 128 KiB): lowers max_write and max_pages. The data that requests may have
 * then, in bytes; or -EPROTO: the reply is too short, or of another major version; or its own
 * error.
 */
int64_t message_limit_init(void *reply, size_t size, uint32_t most);

/* Cuts the BATCH_FORGET @request into messages of at most @most bytes. */
struct message_cut {
	const uint8_t *items; /* what is left */
	uint32_t left;
	struct fuse_in_header header;
};
/* False: it is not as long as its count says. */
bool message_cut_begin(struct message_cut *cut, const void *request, size_t size);
/* The next message to @part (room for @most bytes): its size, 0 at the end. */
size_t message_cut_next(struct message_cut *cut, void *part, size_t most);

#endif
