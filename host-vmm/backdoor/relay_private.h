/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the relay's two halves share: clients' sockets (relay.c), commands and streams
 * (relay_call.c). */
#ifndef LODGE_VMM_RELAY_PRIVATE_H
#define LODGE_VMM_RELAY_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host-vmm/backdoor/relay.h"
#include "protocol/lib/frame.h"
#include "protocol/lib/log.h"

struct loop_source;
struct tools_call;
struct tools_stream;

#define RELAY_BACKLOG_MAX  (256u << 10) /* bytes a client has not read; beyond, nothing is given */
#define RELAY_WINDOW	   LODGE_RPC_CREDIT_FIRST /* bytes of a stream on their way to us */
#define RELAY_STEP	   (64u << 10) /* bytes of credit that are worth a frame */
#define RELAY_RESULT_MAX   (64u << 10) /* bytes of a RESULT; the words of guest-ops.md need few */
#define RELAY_CALL_STREAMS 3 /* stdin, stdout, stderr */

struct relay_client;
struct relay_call;

/* One stream of a command, from its COMMAND until it is over in the guest or for the client. */
struct relay_stream {
	struct relay_call *call;
	struct tools_stream *stream; /* NULL: over, or never there */
	uint32_t number; /* the client's */
	bool from_guest;
	/* To the guest: what the client sent and the guest has no room for yet. */
	unsigned char *held; /* RELAY_WINDOW bytes, or NULL */
	size_t held_start, held_len;
	bool held_end;
	uint32_t client_credit; /* bytes that the client may send */
	uint32_t owed; /* bytes that went on, and are not yet given to the client as credit */
	/* From the guest. */
	uint64_t wanted; /* bytes that the client will take */
	uint32_t coming; /* of these, bytes that the guest may send */
};

struct relay_call {
	struct relay_client *client; /* NULL: free */
	struct tools_call *call;
	uint32_t tag; /* the client's */
	struct relay_stream streams[RELAY_CALL_STREAMS];
};

struct relay_client {
	struct relay *relay;
	struct relay_client *next;
	int fd;
	struct loop_source *source;
	uint32_t events;
	struct frame_cutter cutter;
	unsigned char *out; /* frames that the socket had no room for */
	size_t out_start, out_len, out_room;
	bool dead; /* closed at its next turn on the loop */
	struct relay_call calls[RELAY_CALLS_MAX];
};

struct relay {
	struct backdoor *backdoor;
	struct loop *loop;
	char *path;
	int fd, spare_fd; /* unix_accept() */
	struct loop_source *source;
	struct relay_client *clients;
	size_t n_clients;
	unsigned char *chunk; /* what one recv(2) takes */
	struct log_ratelimit limit;
};

/* relay.c. What cannot be sent for want of memory, or of a peer, marks the client as dead. */
void relay_client_send(struct relay_client *client, enum lodge_rpc_type type, uint16_t flags,
		       uint32_t tag, const void *payload, size_t len);
void relay_client_credit(struct relay_client *client, uint32_t number, uint32_t bytes);
/* The client has so much unread that nothing more should come. */
bool relay_client_is_full(const struct relay_client *client);

/* relay_call.c. A frame of a client; -EBADMSG where it may not send such a one. */
int relay_call_frame(struct relay_client *client, const struct frame *frame,
		     const unsigned char *payload);
/* The client has read what it had: the guest may go on. */
void relay_call_resume(struct relay_client *client);
/* The client is going: ends all that it has open. */
void relay_call_end_all(struct relay_client *client);

#endif
