/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the two doors that carry frames have in common: the table of their sessions, the limits of
 * protocol/spec/rpc.md, and what waits for room in the guest.
 *
 * Frames of the guest go in by frame_door_take(), on the machine's loop; frames for it come out by
 * frame_door_next(), there too. The service fills what waits from any thread and has @wake called.
 */
#ifndef LODGE_VMM_FRAME_DOOR_H
#define LODGE_VMM_FRAME_DOOR_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host-vmm/backdoor/session.h"
#include "protocol/lib/log.h"

struct state;

#define FRAME_DOOR_DATA_MAX (1u << 20) /* bytes of DATA that wait for a session's guest */
#define FRAME_DOOR_REST_MAX 4096u /* frames of other types that wait for it ... */
#define FRAME_DOOR_RESETS   512u /* ... beyond which there are no RESETs, which a guest provokes */

/* A frame that waits, header and payload as they go out. */
struct frame_out {
	struct frame_out *next;
	enum lodge_rpc_type type;
	size_t len; /* bytes */
	unsigned char bytes[];
};

struct frame_slot {
	struct frame_door *door;
	struct rpc_session *session; /* loop only; NULL: free */
	/* Under the door's lock: */
	struct frame_out *first, **end;
	size_t data_bytes, n_rest, n_replies;
	bool full; /* -EAGAIN was given */
};

struct frame_door {
	struct backdoor *backdoor;
	enum rpc_door kind;
	void (*wake)(void *opaque); /* something waits; any thread, must not block */
	void *opaque;
	const char *name; /* in log lines */
	struct log_ratelimit log_limit;
	pthread_mutex_t lock;
	size_t n_waiting; /* frames of all slots; under lock */
	size_t turn; /* loop: the slot that is asked first */
	size_t n_slots;
	struct frame_slot *slots; /* by session number */
};

/* @sessions: how many at once, at most LODGE_RPC_SESSIONS_MAX. -ENOMEM. */
int frame_door_create(struct frame_door *door, struct backdoor *backdoor, enum rpc_door kind,
		      size_t sessions, void (*wake)(void *opaque), void *opaque, const char *name);
void frame_door_destroy(struct frame_door *door);
/* Ends all sessions and drops what waits. LOOP. */
void frame_door_reset(struct frame_door *door);

/*
 * A frame of the guest, its header checked, its payload private. True with an answer in @reply, no
 * larger than frame->reply_max, to be freed; REQUESTs have one. LOOP.
 */
bool frame_door_take(struct frame_door *door, const struct frame *frame, const void *payload,
		     struct rpc_reply *reply);

/* Lets a reply wait with the other frames, where there is no better way for it (the port). A
 * session with LODGE_RPC_REQUESTS_MAX of them gets `0 busy` for more. LOOP. */
int frame_door_queue_reply(struct frame_door *door, const struct frame *request,
			   const struct rpc_reply *reply);

/* Header of the REPLY to @request. */
struct frame frame_door_reply_header(const struct frame *request, const struct rpc_reply *reply);

/* How many frames wait. Any thread. */
size_t frame_door_waiting(struct frame_door *door);
/* Takes the next frame that waits, sessions in turns: free(). NULL: none. LOOP. */
struct frame_out *frame_door_next(struct frame_door *door);

/* Which sessions are open, and, after load, tells the guest that they are over. LOOP. */
int frame_door_save(struct frame_door *door, struct state *state);
int frame_door_load(struct frame_door *door, struct state *state);

#endif
