/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-3-Clause */
/*
 * GuestRPC in frames: how requests, commands and streams travel between a guest and its host over
 * the doors that are Lodge's own. protocol/spec/rpc.md has the meaning of each.
 *
 * Compiles in user space and in a kernel module: fixed-width, little-endian, naturally aligned.
 */
#ifndef LODGE_RPC_H
#define LODGE_RPC_H

#include <linux/types.h>

#define LODGE_RPC_MAGIC 0x4350524cu /* the bytes "LRPC" */

/* Limits, in bytes unless said. */
#define LODGE_RPC_PAYLOAD_MAX  (1u << 20) /* behind one header; larger things are streams */
#define LODGE_RPC_DATA_MAX     (64u << 10) /* of one DATA frame */
#define LODGE_RPC_CREDIT_FIRST (256u << 10) /* of a stream, each way, before the first CREDIT */
#define LODGE_RPC_WORD_MAX     64u /* of a command's first word */
#define LODGE_RPC_KEY_MAX      32u /* of a field's key */
#define LODGE_RPC_SESSIONS_MAX 64u /* sessions of a door at once */
#define LODGE_RPC_STREAMS_MAX  192u /* open streams of a session: three each for 64 programs */
#define LODGE_RPC_REQUESTS_MAX 8u /* requests of a session that have no reply yet */
#define LODGE_RPC_COMMANDS_MAX 64u /* commands of a session that have no result yet */

/* What a frame is. 0 is never sent. */
enum lodge_rpc_type {
	LODGE_RPC_REQUEST = 1, /* guest to host: "word arguments" */
	LODGE_RPC_REPLY = 2, /* host to guest: "1 payload" or "0 reason" */
	LODGE_RPC_COMMAND = 3, /* host to guest: "word arguments" */
	LODGE_RPC_RESULT = 4, /* guest to host: "OK payload" or "ERROR reason" */
	LODGE_RPC_DATA = 5, /* bytes of a stream, either way */
	LODGE_RPC_CREDIT = 6, /* receiver of a stream: a __le32, bytes that may follow */
	LODGE_RPC_RESET = 7, /* either side of a stream: it is over; the reason as text */
	LODGE_RPC_CLOSE = 8, /* either side: the session is over */
};

/* lodge_rpc_header.flags */
#define LODGE_RPC_F_END 0x0001u /* DATA: the last of its stream */
#define LODGE_RPC_F_BUSY \
	0x0002u /* REPLY: too many or too fast; the same request may succeed later */
#define LODGE_RPC_F_ROOT \
	0x0004u /* set by lodge_backdoor alone: the session's opener had CAP_SYS_ADMIN */

struct lodge_rpc_header {
	__le32 magic;
	__le32 size; /* of the payload, which follows at once */
	__le16 type; /* enum lodge_rpc_type */
	__le16 flags;
	__le32 session; /* within the door; 0 on doors that have one session */
	__le32 tag; /* pairs reply with request and result with command; a stream's number */
	__le32 reply_max; /* REQUEST: largest reply payload the sender takes; else 0 */
};

#define LODGE_RPC_HEADER_SIZE 24
_Static_assert(sizeof(struct lodge_rpc_header) == LODGE_RPC_HEADER_SIZE, "lodge_rpc_header");

#endif
