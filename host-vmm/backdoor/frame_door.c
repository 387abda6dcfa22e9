// SPDX-License-Identifier: GPL-2.0-or-later
// What the doors that carry frames have in common: sessions by number, and what waits for room.
#include "host-vmm/backdoor/frame_door.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/state.h"

#define HELLO "lodge.hello"

/* ---- what waits ---- */

static bool has_room(const struct frame_slot *slot, const struct frame *frame)
{
	switch (frame->type) {
	case LODGE_RPC_DATA:
		return frame->size == 0 || slot->data_bytes + frame->size <= FRAME_DOOR_DATA_MAX;
	case LODGE_RPC_RESET:
		return slot->n_rest < FRAME_DOOR_RESETS;
	case LODGE_RPC_CLOSE: /* one for each session */
	case LODGE_RPC_REPLY:
		return true;
	default:
		return slot->n_rest < FRAME_DOOR_REST_MAX;
	}
}

static void count(struct frame_slot *slot, const struct frame_out *out, int sign)
{
	size_t size = out->len - LODGE_RPC_HEADER_SIZE;

	slot->door->n_waiting += (size_t)sign;
	if (out->type == LODGE_RPC_DATA)
		slot->data_bytes += sign > 0 ? size : -size;
	else if (out->type == LODGE_RPC_REPLY)
		slot->n_replies += (size_t)sign;
	else
		slot->n_rest += (size_t)sign;
}

static int append(struct frame_slot *slot, const struct frame *frame, const void *payload)
{
	struct frame_out *out;

	if (!has_room(slot, frame)) {
		slot->full = true;
		return frame->type == LODGE_RPC_DATA ? -EAGAIN : -ENOBUFS;
	}
	out = malloc(sizeof(*out) + LODGE_RPC_HEADER_SIZE + frame->size);
	if (!out)
		return -ENOMEM;
	out->next = NULL;
	out->type = frame->type;
	out->len = LODGE_RPC_HEADER_SIZE + (size_t)frame->size;
	frame_build(frame, out->bytes);
	if (payload && frame->size > 0)
		memcpy(out->bytes + LODGE_RPC_HEADER_SIZE, payload, frame->size);
	*slot->end = out;
	slot->end = &out->next;
	count(slot, out, 1);
	return 0;
}

static struct frame_out *take_first(struct frame_slot *slot)
{
	struct frame_out *out = slot->first;

	slot->first = out->next;
	if (!slot->first)
		slot->end = &slot->first;
	count(slot, out, -1);
	return out;
}

static int send(void *opaque, const struct frame *frame, const void *payload)
{
	struct frame_slot *slot = opaque;
	struct frame_door *door = slot->door;
	struct frame numbered = *frame;
	int ret;

	numbered.session = (uint32_t)(slot - door->slots);
	pthread_mutex_lock(&door->lock);
	ret = append(slot, &numbered, payload);
	pthread_mutex_unlock(&door->lock);
	if (ret == 0)
		door->wake(door->opaque);
	return ret;
}

static const struct rpc_session_ops session_ops = { .send = send };

static void end_session(struct frame_slot *slot)
{
	rpc_session_close(slot->session);
	slot->session = NULL;
}

/* Its session is over: nothing of it is for the next one under its number. */
static void clear(struct frame_slot *slot)
{
	end_session(slot);
	pthread_mutex_lock(&slot->door->lock);
	while (slot->first)
		free(take_first(slot));
	slot->full = false;
	pthread_mutex_unlock(&slot->door->lock);
}

size_t frame_door_waiting(struct frame_door *door)
{
	size_t n;

	pthread_mutex_lock(&door->lock);
	n = door->n_waiting;
	pthread_mutex_unlock(&door->lock);
	return n;
}

struct frame_out *frame_door_next(struct frame_door *door)
{
	struct frame_slot *slot = NULL;
	struct frame_out *out = NULL;
	bool writable = false;

	pthread_mutex_lock(&door->lock);
	for (size_t i = 0; i < door->n_slots && door->n_waiting > 0 && !out; i++) {
		slot = &door->slots[door->turn];
		door->turn = (door->turn + 1) % door->n_slots;
		if (slot->first)
			out = take_first(slot);
	}
	if (out && slot->full && slot->data_bytes <= FRAME_DOOR_DATA_MAX / 2 &&
	    slot->n_rest <= FRAME_DOOR_REST_MAX / 2) {
		slot->full = false;
		writable = true;
	}
	pthread_mutex_unlock(&door->lock);
	if (out && out->type == LODGE_RPC_CLOSE)
		end_session(slot);
	else if (writable && slot->session)
		rpc_session_writable(slot->session);
	return out;
}

/* ---- what the guest sends ---- */

static void answer(struct rpc_reply *reply, const char *text, uint16_t flags)
{
	*reply = (struct rpc_reply){ .bytes = text, .len = strlen(text), .flags = flags };
}

static bool is_hello(const char *message, size_t len)
{
	const size_t word = sizeof(HELLO) - 1;

	return len >= word && memcmp(message, HELLO, word) == 0 &&
	       (len == word || message[word] == ' ' || message[word] == '\0');
}

static int open_session(struct frame_door *door, struct frame_slot *slot, const struct frame *frame)
{
	bool root = door->kind == RPC_DOOR_PORT || frame->flags & LODGE_RPC_F_ROOT;

	return rpc_session_open(door->backdoor, door->kind, root ? RPC_ROOT : RPC_USER,
				&session_ops, slot, &slot->session);
}

static void take_request(struct frame_door *door, struct frame_slot *slot,
			 const struct frame *frame, const void *payload, struct rpc_reply *reply)
{
	bool fresh = slot && !slot->session;
	size_t n_replies;

	if (!slot) {
		answer(reply, "0 too many sessions", LODGE_RPC_F_BUSY);
		return;
	}
	pthread_mutex_lock(&door->lock);
	n_replies = slot->n_replies;
	pthread_mutex_unlock(&door->lock);
	if (n_replies >= LODGE_RPC_REQUESTS_MAX) {
		answer(reply, "0 busy", LODGE_RPC_F_BUSY);
	} else if (fresh && !is_hello(payload, frame->size)) {
		answer(reply, "0 say lodge.hello first", 0);
	} else if (fresh && open_session(door, slot, frame) < 0) {
		answer(reply, "0 too many sessions", LODGE_RPC_F_BUSY);
	} else {
		rpc_session_request(slot->session, payload, frame->size, reply);
		if (fresh && reply->bytes[0] != '1')
			end_session(slot);
	}
}

static void fit(const struct frame *frame, struct rpc_reply *reply)
{
	char text[64];
	int len;

	if (reply->len <= frame->reply_max)
		return;
	len = snprintf(text, sizeof(text), "0 reply has %zu bytes", reply->len);
	rpc_reply_free(reply);
	reply->owned = strdup(text);
	if (reply->owned)
		*reply = (struct rpc_reply){ .bytes = reply->owned,
					     .len = (size_t)len,
					     .owned = reply->owned };
	else
		answer(reply, "0 no memory", 0);
}

bool frame_door_take(struct frame_door *door, const struct frame *frame, const void *payload,
		     struct rpc_reply *reply)
{
	struct frame_slot *slot = frame->session < door->n_slots ? &door->slots[frame->session]
								 : NULL;

	if (frame->type == LODGE_RPC_REQUEST) {
		take_request(door, slot, frame, payload, reply);
		fit(frame, reply);
		return true;
	}
	if (!slot || !slot->session) {
		log_ratelimited(&door->log_limit, LOG_LEVEL_WARN,
				"%s: a frame of a session that is not open was dropped",
				door->name);
	} else if (frame->type == LODGE_RPC_RESULT) {
		rpc_session_result(slot->session, frame->tag, payload, frame->size);
	} else if (frame->type == LODGE_RPC_CLOSE) {
		clear(slot);
	} else {
		rpc_session_frame(slot->session, frame, payload);
	}
	return false;
}

struct frame frame_door_reply_header(const struct frame *request, const struct rpc_reply *reply)
{
	return (struct frame){
		.type = LODGE_RPC_REPLY,
		.size = (uint32_t)reply->len,
		.flags = reply->flags,
		.session = request->session,
		.tag = request->tag,
	};
}

int frame_door_queue_reply(struct frame_door *door, const struct frame *request,
			   const struct rpc_reply *reply)
{
	struct frame header = frame_door_reply_header(request, reply);
	/* A session number that is none has no queue of its own. */
	struct frame_slot *slot =
		&door->slots[request->session < door->n_slots ? request->session : 0];
	int ret;

	pthread_mutex_lock(&door->lock);
	ret = append(slot, &header, reply->bytes);
	pthread_mutex_unlock(&door->lock);
	if (ret == 0)
		door->wake(door->opaque);
	return ret;
}

/* ---- life ---- */

int frame_door_create(struct frame_door *door, struct backdoor *backdoor, enum rpc_door kind,
		      size_t sessions, void (*wake)(void *opaque), void *opaque, const char *name)
{
	*door = (struct frame_door){
		.backdoor = backdoor,
		.kind = kind,
		.wake = wake,
		.opaque = opaque,
		.name = name,
		.n_slots = sessions,
	};
	door->slots = calloc(sessions, sizeof(*door->slots));
	if (!door->slots)
		return -ENOMEM;
	pthread_mutex_init(&door->lock, NULL);
	for (size_t i = 0; i < sessions; i++) {
		door->slots[i].door = door;
		door->slots[i].end = &door->slots[i].first;
	}
	return 0;
}

void frame_door_reset(struct frame_door *door)
{
	for (size_t i = 0; i < door->n_slots; i++)
		clear(&door->slots[i]);
}

void frame_door_destroy(struct frame_door *door)
{
	if (!door->slots)
		return;
	frame_door_reset(door);
	free(door->slots);
	door->slots = NULL;
	pthread_mutex_destroy(&door->lock);
}

int frame_door_save(struct frame_door *door, struct state *state)
{
	uint64_t open = 0;

	for (size_t i = 0; i < door->n_slots; i++)
		if (door->slots[i].session || door->slots[i].first)
			open |= 1ull << i;
	state_put_u64(state, open);
	return state_error(state);
}

int frame_door_load(struct frame_door *door, struct state *state)
{
	uint64_t open = state_get_u64(state);
	int ret = state_error(state);

	if (ret == 0 && door->n_slots < 64 && open >> door->n_slots != 0)
		ret = -EBADMSG;
	frame_door_reset(door);
	for (size_t i = 0; i < door->n_slots && ret == 0; i++) {
		const struct frame close = { .type = LODGE_RPC_CLOSE };

		if (open >> i & 1)
			ret = send(&door->slots[i], &close, NULL);
	}
	return ret;
}
