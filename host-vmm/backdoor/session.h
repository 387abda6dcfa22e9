/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sessions of the backdoor: what a door and the RPC service owe each other.
 *
 * A door (the virtio device, the virtio-serial port, the I/O ports) finds the guest's messages,
 * bounds them and knows who sent them; the service behind it (dispatch, families of words, the
 * relay of tools.sock) knows what they mean. A door opens a session for each program that talks
 * through it and hands in what arrives; the service calls the session's ops with what must go out.
 *
 * Locking: the backdoor has one lock. All functions here take it; ops are called with it held, on
 * any thread (a vCPU's, the loop's, the control thread's), and so must not block, must not call
 * back into this header, and queue what they cannot send at once. A lock of the door's that its ops
 * take must not be held while it calls in here.
 */
#ifndef LODGE_VMM_BACKDOOR_SESSION_H
#define LODGE_VMM_BACKDOOR_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/lib/frame.h"

struct backdoor;
struct rpc_session;

enum rpc_door {
	RPC_DOOR_VIRTIO = 1,
	RPC_DOOR_PORT = 2,
	RPC_DOOR_IOPORTS = 3,
};

enum rpc_privilege {
	RPC_USER = 1, /* any process of the guest */
	RPC_OWNER = 2, /* I/O ports: the guest's kernel, or to whom it has given the ports */
	RPC_ROOT = 3, /* frames: the guest's kernel says that it is root's */
};

struct rpc_session_ops {
	/*
	 * A frame to the guest: COMMAND, DATA, CREDIT, RESET or CLOSE; @payload is frame->size
	 * bytes and the caller's. The service keeps within the limits of protocol/spec/rpc.md, so
	 * that what waits here is bounded; of DATA with bytes the door says by -EAGAIN when it
	 * holds enough, of others by -ENOBUFS, and calls rpc_session_writable() when there is room
	 * again. The I/O ports
	 * get COMMAND and CLOSE alone, and one COMMAND at a time: the next comes behind the result.
	 * CLOSE is the last: the door calls rpc_session_close() when it may. Other errors mean that
	 * the door cannot take it: -EPIPE, -ENOMEM, -ENOBUFS.
	 *
	 * NULL: the session is never commanded. On the I/O ports that tells RPCI channels (NULL)
	 * from TCLO channels, which get `reset` and what follows it as soon as they are open.
	 */
	int (*send)(void *opaque, const struct frame *frame, const void *payload);
};

/* A reply to a REQUEST: "1 payload" or "0 reason". */
struct rpc_reply {
	const char *bytes; /* until rpc_reply_free() */
	size_t len;
	uint16_t flags; /* LODGE_RPC_F_BUSY */
	char *owned; /* the service's */
};

/*
 * -EMFILE beyond RPC_SESSIONS_OF_DOOR, -ENOMEM. close is silent about what it ends: nothing is sent
 * through the ops once it returned. NULL is fine.
 */
#define RPC_SESSIONS_OF_DOOR 128u /* GuestMsg channels of VMware's hosts; frames: fewer */

int rpc_session_open(struct backdoor *backdoor, enum rpc_door door, enum rpc_privilege privilege,
		     const struct rpc_session_ops *ops, void *opaque,
		     struct rpc_session **ret_session);
void rpc_session_close(struct rpc_session *session);
/* I/O ports: the number of the address space that asks by this session, any. Requests of one space
 * get no more than a quarter of what all channels together may ask for. Before the first request.
 */
void rpc_session_set_space(struct rpc_session *session, uint64_t space);
/* I/O ports: the guest has asked a session that is commanded for its next command, as it does again
 * and again while it lives. */
void rpc_session_polled(struct rpc_session *session);

/*
 * The guest's message, a word and its argument, as it came: any bytes. Always fills @reply (static
 * text where memory is short) and always at once: no word waits. free with rpc_reply_free().
 */
void rpc_session_request(struct rpc_session *session, const void *message, size_t len,
			 struct rpc_reply *reply);
/* The guest's answer ("OK ...", "ERROR ...") to the COMMAND with @tag. One that was not asked is
 * logged and dropped. */
void rpc_session_result(struct rpc_session *session, uint32_t tag, const void *message, size_t len);
/* Any other frame of the guest: DATA, CREDIT, RESET. */
void rpc_session_frame(struct rpc_session *session, const struct frame *frame, const void *payload);
/* The door takes DATA again, after -EAGAIN. */
void rpc_session_writable(struct rpc_session *session);

void rpc_reply_free(struct rpc_reply *reply);

/* Whether the tools are told to synchronise time now and then (the option `synctime`), which the
 * I/O ports have a call for. */
bool rpc_time_sync(struct backdoor *backdoor);

/* "virtio", "port", "ioports". */
const char *rpc_door_name(enum rpc_door door);
/* "user", "owner", "root". */
const char *rpc_privilege_name(enum rpc_privilege privilege);

#endif
