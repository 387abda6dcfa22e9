// SPDX-License-Identifier: GPL-2.0-or-later
// Streams of a framed door: numbers, credits, ends. Nothing is kept here but the counts.
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "guest-daemon/lib/door_framed.h"

#define CREDIT_LIMIT (1u << 31) /* protocol/spec/rpc.md, "Malformed" */
/* Credit goes back in pieces of at least this, not one frame for each few bytes. */
#define CREDIT_BATCH (64u << 10)

struct door_stream {
	struct framed *door; /* NULL when nothing moves any more */
	uint32_t number;
	enum door_direction direction;
	const struct door_stream_ops *ops;
	void *opaque;
	uint32_t credit; /* OUT: may be sent; IN: may still arrive */
	uint32_t owed; /* IN: found its place, not given back yet */
};

static void detach(struct door_stream *stream)
{
	g_hash_table_remove(stream->door->streams, GUINT_TO_POINTER(stream->number));
	stream->door = NULL;
}

static void send_reset(struct framed *framed, uint32_t number, const char *reason)
{
	framed_send(framed, LODGE_RPC_RESET, 0, number, reason, strlen(reason));
}

/* The host broke the rules of this stream. */
static void fail(struct door_stream *stream, const char *reason)
{
	send_reset(stream->door, stream->number, reason);
	detach(stream);
	stream->ops->reset(stream->opaque, reason);
}

static void take_data(struct door_stream *stream, const struct frame *frame,
		      const unsigned char *payload)
{
	bool end = frame->flags & LODGE_RPC_F_END;

	if (stream->direction != DOOR_STREAM_IN || frame->size > stream->credit) {
		fail(stream, "more data than credit");
		return;
	}
	stream->credit -= frame->size;
	if (end)
		detach(stream);
	if (frame->size || end)
		stream->ops->data(stream->opaque, payload, frame->size, end);
}

static void take_credit(struct door_stream *stream, const struct frame *frame,
			const unsigned char *payload)
{
	uint32_t more;

	if (stream->direction != DOOR_STREAM_OUT || frame->size != sizeof(more)) {
		fail(stream, "malformed credit");
		return;
	}
	memcpy(&more, payload, sizeof(more));
	more = le32toh(more);
	if (more > CREDIT_LIMIT - stream->credit) {
		fail(stream, "too much credit");
		return;
	}
	stream->credit += more;
	if (!framed_congested(stream->door))
		stream->ops->room(stream->opaque);
}

void framed_stream_frame(struct framed *framed, const struct frame *frame,
			 const unsigned char *payload)
{
	struct door_stream *stream =
		g_hash_table_lookup(framed->streams, GUINT_TO_POINTER(frame->tag));
	g_autofree char *reason = NULL;

	if (!stream) {
		/* The rest of one that we have reset ourselves gets here too: harmless to say
		 * again. */
		if (frame->type == LODGE_RPC_DATA)
			send_reset(framed, frame->tag, "no such stream");
		return;
	}
	switch (frame->type) {
	case LODGE_RPC_DATA:
		take_data(stream, frame, payload);
		break;
	case LODGE_RPC_CREDIT:
		take_credit(stream, frame, payload);
		break;
	default:
		reason = g_strndup((const char *)payload, frame->size);
		detach(stream);
		stream->ops->reset(stream->opaque, reason);
		break;
	}
}

int door_stream_open(struct door *door, uint32_t number, enum door_direction direction,
		     const struct door_stream_ops *ops, void *opaque,
		     struct door_stream **ret_stream)
{
	struct framed *framed = (struct framed *)door;
	struct door_stream *stream;

	if (!number || !door_has_streams(door))
		return -EINVAL;
	if (g_hash_table_contains(framed->streams, GUINT_TO_POINTER(number)))
		return -EEXIST;
	if (g_hash_table_size(framed->streams) >= LODGE_RPC_STREAMS_MAX)
		return -EMFILE;
	stream = g_new0(struct door_stream, 1);
	stream->door = framed;
	stream->number = number;
	stream->direction = direction;
	stream->ops = ops;
	stream->opaque = opaque;
	stream->credit = LODGE_RPC_CREDIT_FIRST;
	g_hash_table_insert(framed->streams, GUINT_TO_POINTER(number), stream);
	*ret_stream = stream;
	return 0;
}

void door_stream_close(struct door_stream *stream, const char *reason)
{
	if (!stream)
		return;
	if (stream->door) {
		send_reset(stream->door, stream->number, reason);
		detach(stream);
	}
	g_free(stream);
}

size_t door_stream_room(const struct door_stream *stream)
{
	if (!stream->door || framed_congested(stream->door))
		return 0;
	return stream->credit < LODGE_RPC_DATA_MAX ? stream->credit : LODGE_RPC_DATA_MAX;
}

void door_stream_send(struct door_stream *stream, const void *bytes, size_t len, bool end)
{
	if (!stream->door)
		return;
	stream->credit -= (uint32_t)len;
	framed_send(stream->door, LODGE_RPC_DATA, end ? LODGE_RPC_F_END : 0, stream->number, bytes,
		    len);
	if (end)
		detach(stream);
}

void door_stream_credit(struct door_stream *stream, size_t len)
{
	uint32_t wire;

	if (!stream->door)
		return;
	stream->owed += (uint32_t)len;
	if (stream->owed < CREDIT_BATCH && stream->credit)
		return;
	wire = htole32(stream->owed);
	framed_send(stream->door, LODGE_RPC_CREDIT, 0, stream->number, &wire, sizeof(wire));
	stream->credit += stream->owed;
	stream->owed = 0;
}

/* @fn may close any of them, so each number is looked up again. */
static void for_each(struct framed *framed, void (*fn)(struct door_stream *))
{
	GList *numbers = g_hash_table_get_keys(framed->streams);

	for (GList *at = numbers; at; at = at->next) {
		struct door_stream *stream = g_hash_table_lookup(framed->streams, at->data);

		if (stream)
			fn(stream);
	}
	g_list_free(numbers);
}

static void give_room(struct door_stream *stream)
{
	if (stream->direction == DOOR_STREAM_OUT && stream->credit &&
	    !framed_congested(stream->door))
		stream->ops->room(stream->opaque);
}

void framed_streams_room(struct framed *framed)
{
	for_each(framed, give_room);
}

static void lose(struct door_stream *stream)
{
	detach(stream);
	stream->ops->reset(stream->opaque, "the door to the host was lost");
}

void framed_streams_lose(struct framed *framed)
{
	for_each(framed, lose);
}
