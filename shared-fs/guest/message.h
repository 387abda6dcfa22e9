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
