// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Streams: bytes that belong to a command, each way with credits of their own.
 *
 * From the guest, what it may send is what the receiver has room for: nothing is kept but what lies
 * within that. To the guest, its credit and the door's room bound what is taken; the rest stays
 * with the sender, who is told when there is room.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/backdoor/private.h"

#define CREDIT_MAX (1ull << 31) /* protocol/spec/rpc.md, "Malformed" */

static struct tools_stream **find_slot(struct rpc_session *session, uint32_t number)
{
	for (size_t i = 0; i < LODGE_RPC_STREAMS_MAX; i++)
		if (session->streams[i] && session->streams[i]->number == number)
			return &session->streams[i];
	return NULL;
}

static void send_reset(struct rpc_session *session, uint32_t number, const char *reason)
{
	const struct frame frame = {
		.type = LODGE_RPC_RESET,
		.tag = number,
		.size = (uint32_t)strlen(reason),
	};

	(void)session_send(session, &frame, reason);
}

/* Gives its number back; the struct lives until its owner closes it. */
static void detach(struct tools_stream *stream)
{
	struct tools_stream **slot;

	if (!stream->session)
		return;
	slot = find_slot(stream->session, stream->number);
	if (slot)
		*slot = NULL;
	stream->session = NULL;
}

/* Over, and not by its owner's will. */
static void break_stream(struct tools_stream *stream, const char *reason, size_t len)
{
	detach(stream);
	stream->reset_item.bytes = malloc(len + 1);
	if (stream->reset_item.bytes) {
		memcpy(stream->reset_item.bytes, reason, len);
		stream->reset_item.bytes[len] = '\0';
		stream->reset_item.len = len;
	}
	deliver_post(stream->backdoor, &stream->reset_item);
}

static void refuse(struct tools_stream *stream, const char *reason)
{
	send_reset(stream->session, stream->number, reason);
	break_stream(stream, reason, strlen(reason));
}

static void take_data(struct tools_stream *stream, const struct frame *frame, const void *payload)
{
	bool last = frame->flags & LODGE_RPC_F_END;

	if (stream->direction != TOOLS_FROM_GUEST) {
		refuse(stream, "bytes in the wrong direction");
	} else if (frame->size == 0 && !last) {
		return; /* costs no credit, so it may cost nothing else */
	} else if (frame->size > stream->credit) {
		refuse(stream, "more than the credit");
	} else if (deliver_data(stream, payload, frame->size, last) < 0) {
		refuse(stream, "the host is out of memory");
	} else {
		stream->credit -= frame->size;
		if (last)
			detach(stream);
	}
}

/* Tells the guest of its credit. What the door has no room for goes with the next one, or when it
 * has: a stream whose credit is lost would stand still for ever. */
static void send_owed(struct tools_stream *stream)
{
	uint32_t more = htole32(stream->owed);
	const struct frame frame = {
		.type = LODGE_RPC_CREDIT,
		.size = sizeof(more),
		.tag = stream->number,
	};

	if (stream->owed > 0 && session_send(stream->session, &frame, &more) == 0)
		stream->owed = 0;
}

static void now_writable(struct tools_stream *stream)
{
	if (!stream->wants_writable || stream->credit == 0)
		return;
	stream->wants_writable = false;
	deliver_post(stream->backdoor, &stream->writable_item);
}

static void take_credit(struct tools_stream *stream, const struct frame *frame, const void *payload)
{
	uint32_t more;

	if (frame->size != sizeof(more) || stream->direction != TOOLS_TO_GUEST) {
		refuse(stream, "malformed credit");
		return;
	}
	memcpy(&more, payload, sizeof(more));
	stream->credit += le32toh(more);
	if (stream->credit > CREDIT_MAX)
		refuse(stream, "too much credit");
	else
		now_writable(stream);
}

void stream_frame(struct rpc_session *session, const struct frame *frame, const void *payload)
{
	struct tools_stream **slot = find_slot(session, frame->tag);

	switch (frame->type) {
	case LODGE_RPC_DATA:
		if (slot)
			take_data(*slot, frame, payload);
		else
			send_reset(session, frame->tag, "no such stream");
		break;
	case LODGE_RPC_CREDIT:
		/* Without a stream it came late: the stream has ended meanwhile. */
		if (slot)
			take_credit(*slot, frame, payload);
		break;
	case LODGE_RPC_RESET:
		if (slot)
			break_stream(*slot, payload, frame->size);
		break;
	default:
		break;
	}
}

void stream_writable(struct rpc_session *session)
{
	for (size_t i = 0; i < LODGE_RPC_STREAMS_MAX; i++) {
		if (!session->streams[i])
			continue;
		send_owed(session->streams[i]);
		now_writable(session->streams[i]);
	}
}

void stream_end_all(struct rpc_session *session)
{
	static const char reason[] = "the guest's tools went away";

	for (size_t i = 0; i < LODGE_RPC_STREAMS_MAX; i++)
		if (session->streams[i])
			break_stream(session->streams[i], reason, sizeof(reason) - 1);
}

/* ---- the owner's side ---- */

static uint32_t free_number(struct rpc_session *session)
{
	do {
		session->last_stream++;
	} while (session->last_stream == 0 || find_slot(session, session->last_stream));
	return session->last_stream;
}

static int open_in(struct rpc_session *session, struct tools_stream *stream)
{
	/* Streams reach what commands reach: a frame door. */
	if (session->door == RPC_DOOR_IOPORTS)
		return -ENOTCONN;
	for (size_t i = 0; i < LODGE_RPC_STREAMS_MAX; i++) {
		if (session->streams[i])
			continue;
		stream->number = free_number(session);
		stream->session = session;
		session->streams[i] = stream;
		return 0;
	}
	return -EBUSY;
}

int tools_stream_open(struct backdoor *backdoor, uint32_t epoch, enum tools_direction direction,
		      const struct tools_stream_events *events, void *opaque,
		      struct tools_stream **ret_stream)
{
	struct tools_stream *stream = calloc(1, sizeof(*stream));
	int ret = -ENOTCONN;

	if (!stream)
		return -ENOMEM;
	stream->backdoor = backdoor;
	stream->direction = direction;
	stream->events = events;
	stream->opaque = opaque;
	stream->credit = LODGE_RPC_CREDIT_FIRST;
	stream->writable_item = (struct host_item){ .kind = ITEM_WRITABLE, .target = stream };
	stream->reset_item = (struct host_item){ .kind = ITEM_RESET, .target = stream };
	backdoor_lock(backdoor);
	if (backdoor->tools.up && epoch == backdoor->tools.epoch)
		ret = open_in(backdoor->tools.session, stream);
	backdoor_unlock(backdoor);
	if (ret < 0) {
		free(stream);
		return ret;
	}
	*ret_stream = stream;
	return 0;
}

uint32_t tools_stream_number(const struct tools_stream *stream)
{
	return stream->number;
}

/* One DATA frame: its size, or -EAGAIN. */
static ssize_t send_piece(struct tools_stream *stream, const char *bytes, size_t len, bool end)
{
	struct frame frame = { .type = LODGE_RPC_DATA, .tag = stream->number };
	size_t size = len < LODGE_RPC_DATA_MAX ? len : LODGE_RPC_DATA_MAX;
	int ret;

	if (size > stream->credit)
		size = (size_t)stream->credit;
	if (size == 0 && len > 0)
		return -EAGAIN;
	frame.size = (uint32_t)size;
	frame.flags = end && size == len ? LODGE_RPC_F_END : 0;
	ret = session_send(stream->session, &frame, bytes);
	if (ret < 0)
		return ret;
	stream->credit -= size;
	return (ssize_t)size;
}

static ssize_t send_all(struct tools_stream *stream, const char *bytes, size_t len, bool end)
{
	size_t done = 0;

	while (stream->session && (done < len || end)) {
		ssize_t ret = send_piece(stream, bytes + done, len - done, end);

		if (ret == -EAGAIN) {
			stream->wants_writable = true;
			return (ssize_t)done;
		}
		if (ret < 0) {
			break_stream(stream, "the door is closed", strlen("the door is closed"));
			return -EPIPE;
		}
		done += (size_t)ret;
		if (end && done == len) {
			detach(stream);
			break;
		}
	}
	return (ssize_t)done;
}

ssize_t tools_stream_send(struct tools_stream *stream, const void *bytes, size_t len, bool end)
{
	ssize_t ret = -EPIPE;

	backdoor_lock(stream->backdoor);
	if (stream->session && stream->direction == TOOLS_TO_GUEST)
		ret = send_all(stream, bytes, len, end);
	backdoor_unlock(stream->backdoor);
	return ret;
}

int tools_stream_credit(struct tools_stream *stream, uint32_t bytes)
{
	int ret = -EPIPE;

	backdoor_lock(stream->backdoor);
	if (stream->session && stream->direction == TOOLS_FROM_GUEST) {
		ret = stream->credit + bytes > CREDIT_MAX ? -EINVAL : 0;
		if (ret == 0) {
			stream->credit += bytes;
			stream->owed += bytes;
			send_owed(stream);
		}
	}
	backdoor_unlock(stream->backdoor);
	return ret;
}

void tools_stream_close(struct tools_stream *stream)
{
	struct backdoor *backdoor;

	if (!stream)
		return;
	backdoor = stream->backdoor;
	backdoor_lock(backdoor);
	if (stream->session)
		send_reset(stream->session, stream->number, "nobody is left at the host's end");
	detach(stream);
	deliver_forget(backdoor, stream);
	backdoor_unlock(backdoor);
	free(stream);
}
