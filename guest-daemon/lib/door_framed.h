/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A door that carries frames, as its session and its streams see it, inside the library.
 */
#ifndef LODGE_GUEST_DOOR_FRAMED_H
#define LODGE_GUEST_DOOR_FRAMED_H

#include "guest-daemon/lib/door_private.h"

struct framed {
	struct door base; /* its fd is the epoll set that holds fd alone */
	int fd; /* non-blocking */
	int error; /* found outside dispatch; the next one returns it */
	uint32_t armed; /* events of the set; 0: not in it yet */
	bool away; /* a port whose host end is closed; nothing was sent */
	GString *early; /* a command that came before the greeting's reply, or NULL */
	uint32_t early_tag;
	bool in_step; /* the greeting's reply has begun */
	bool more; /* there may be bytes to read */
	bool blocked; /* the last write did not fit */
	uint32_t hello_tag, next_tag;
	gint64 deadline; /* of the greeting: CLOCK_MONOTONIC, us */
	unsigned char window[LODGE_RPC_HEADER_SIZE]; /* before in_step: the last bytes read */
	size_t window_len;
	struct frame_cutter cutter;
	unsigned char *buffer; /* READ_BYTES */
	GQueue out; /* of struct chunk, a frame each */
	size_t out_bytes;
	GHashTable *asked; /* tag -> struct door_asked that the host has */
	GQueue waiting; /* of struct door_asked */
	GHashTable *streams; /* number -> struct door_stream */
};

/* Queues a frame; a failure shows at the next dispatch. @len is within the type's limit. */
void framed_send(struct framed *framed, enum lodge_rpc_type type, uint16_t flags, uint32_t tag,
		 const void *payload, size_t len);
/* So much waits to be sent that streams should pause. */
bool framed_congested(const struct framed *framed);

/* DATA, CREDIT or RESET from the host. */
void framed_stream_frame(struct framed *framed, const struct frame *frame,
			 const unsigned char *payload);
/* The congestion is over. */
void framed_streams_room(struct framed *framed);
/* Resets all, without a word to the host; their owners still close them. */
void framed_streams_lose(struct framed *framed);

#endif
