/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames of <lodge/rpc.h>: one check for headers, and a cutter that finds frames in a byte stream.
 */
#ifndef LODGE_LIB_FRAME_H
#define LODGE_LIB_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include <lodge/rpc.h>

/* A header in the CPU's byte order. */
struct frame {
	uint32_t size; /* of the payload */
	enum lodge_rpc_type type;
	uint16_t flags;
	uint32_t session;
	uint32_t tag;
	uint32_t reply_max;
};

/* Bit N: type N is welcome. */
#define FRAME_TYPE(type) (1u << (type))
#define FRAMES_FROM_GUEST \
	(FRAME_TYPE(LODGE_RPC_REQUEST) | FRAME_TYPE(LODGE_RPC_RESULT) | FRAMES_BOTH_WAYS)
#define FRAMES_FROM_HOST \
	(FRAME_TYPE(LODGE_RPC_REPLY) | FRAME_TYPE(LODGE_RPC_COMMAND) | FRAMES_BOTH_WAYS)
#define FRAMES_BOTH_WAYS                                                                           \
	(FRAME_TYPE(LODGE_RPC_DATA) | FRAME_TYPE(LODGE_RPC_CREDIT) | FRAME_TYPE(LODGE_RPC_RESET) | \
	 FRAME_TYPE(LODGE_RPC_CLOSE))

/*
 * Checks the LODGE_RPC_HEADER_SIZE bytes at @bytes: magic, that the type is one of @types, size
 * against the type's limit, flags, reply_max. -EBADMSG for any fault.
 */
int frame_parse(const void *bytes, uint32_t types, struct frame *ret_frame);
/* Writes LODGE_RPC_HEADER_SIZE bytes. */
void frame_build(const struct frame *frame, void *bytes);

/*
 * Cuts a byte stream into frames: feed what was read; every whole frame is handed to @fn with its
 * payload (a NUL behind it, not counted). Keeps at most one frame. One thread at a time.
 */
struct frame_cutter {
	uint32_t types;
	unsigned char header[LODGE_RPC_HEADER_SIZE];
	size_t have; /* bytes of header, then of payload */
	struct frame frame;
	unsigned char *payload;
};

/* Negative errno ends the feeding. It may not feed the same cutter. */
typedef int (*frame_fn)(void *opaque, const struct frame *frame, const unsigned char *payload);

/* 0, -EBADMSG from a malformed header, -ENOMEM, or what @fn returned. After an error the stream is
 * over: frame_cutter_reset(). */
int frame_cutter_feed(struct frame_cutter *cutter, const void *bytes, size_t len, frame_fn fn,
		      void *opaque);
/* Drops what it holds; ready for a new stream. */
void frame_cutter_reset(struct frame_cutter *cutter);

#endif
