// SPDX-License-Identifier: GPL-2.0-or-later
// The relay's surroundings, played by hand: a loop without a thread, tools without a guest.
#include "tests/unit/relay_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host-vmm/loop.h"
#include "protocol/lib/fd.h"

#define TURNS_MAX 100000

static void require(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "relay rig: %s\n", what);
	abort();
}

/* ---- host-vmm/loop.h ---- */

struct loop_source {
	struct loop *loop;
	int fd;
	uint32_t events;
	loop_fd_fn fn;
	void *opaque;
};

int loop_add(struct loop *loop, int fd, uint32_t epoll_events, loop_fd_fn fn, void *opaque,
	     struct loop_source **ret_source)
{
	for (size_t i = 0; i < sizeof(loop->sources) / sizeof(loop->sources[0]); i++) {
		if (loop->sources[i])
			continue;
		loop->sources[i] = calloc(1, sizeof(struct loop_source));
		*loop->sources[i] = (struct loop_source){ loop, fd, epoll_events, fn, opaque };
		*ret_source = loop->sources[i];
		return 0;
	}
	return -EMFILE;
}

int loop_modify(struct loop_source *source, uint32_t epoll_events)
{
	source->events = epoll_events;
	return 0;
}

void loop_remove(struct loop_source *source)
{
	struct loop *loop = source ? source->loop : NULL;

	for (size_t i = 0; loop && i < sizeof(loop->sources) / sizeof(loop->sources[0]); i++) {
		if (loop->sources[i] == source)
			loop->sources[i] = NULL;
	}
	free(source);
}

void loop_call(struct loop *loop, loop_call_fn fn, void *opaque)
{
	(void)loop;
	fn(opaque);
}

/* The bits of epoll and of poll are the same for what is used here. */
void rig_turn(struct rig *rig)
{
	for (size_t turns = 0, i = 0; i < 64; turns++) {
		struct loop_source *source = rig->loop.sources[i];
		struct pollfd pfd = { source ? source->fd : -1, 0, 0 };

		require(turns < TURNS_MAX, "the loop does not come to rest");
		pfd.events = source ? (short)source->events : 0;
		if (source && poll(&pfd, 1, 0) > 0) {
			source->fn(source->opaque, (uint32_t)pfd.revents);
			i = 0;
		} else {
			i++;
		}
	}
}

/* ---- host-vmm/backdoor/tools.h ---- */

void tools_get_status(struct backdoor *backdoor, struct tools_status *ret_status)
{
	*ret_status = backdoor->status;
}

int tools_command(struct backdoor *backdoor, uint32_t epoch, const void *message, size_t len,
		  tools_done_fn done, void *opaque, struct tools_call **ret_call)
{
	if (!backdoor->status.up || (epoch && epoch != backdoor->status.epoch))
		return -ENOTCONN;
	for (size_t i = 0; i < RIG_CALLS_MAX; i++) {
		struct tools_call *call = &backdoor->calls[i];

		if (call->open)
			continue;
		free(call->message);
		*call = (struct tools_call){ true, malloc(len + 1), len, done, opaque };
		memcpy(call->message, message, len);
		call->message[len] = '\0';
		if (ret_call)
			*ret_call = call;
		return 0;
	}
	return -EBUSY;
}

void tools_cancel(struct tools_call *call)
{
	if (call)
		call->open = false;
}

int tools_stream_open(struct backdoor *backdoor, uint32_t epoch, enum tools_direction direction,
		      const struct tools_stream_events *events, void *opaque,
		      struct tools_stream **ret_stream)
{
	if (!backdoor->status.up || epoch != backdoor->status.epoch)
		return -ENOTCONN;
	for (size_t i = 0; i < RIG_STREAMS_MAX; i++) {
		struct tools_stream *stream = &backdoor->streams[i];

		if (stream->open)
			continue;
		free(stream->bytes);
		*stream = (struct tools_stream){ .open = true,
						 .number = backdoor->next_number++,
						 .direction = direction,
						 .events = events,
						 .opaque = opaque };
		stream->credit = direction == TOOLS_FROM_GUEST ? LODGE_RPC_CREDIT_FIRST
							       : backdoor->room;
		stream->given = LODGE_RPC_CREDIT_FIRST;
		*ret_stream = stream;
		return 0;
	}
	return -EBUSY;
}

uint32_t tools_stream_number(const struct tools_stream *stream)
{
	return stream->number;
}

ssize_t tools_stream_send(struct tools_stream *stream, const void *bytes, size_t len, bool end)
{
	size_t count = len < stream->credit ? len : stream->credit;

	require(stream->open && stream->direction == TOOLS_TO_GUEST && !stream->end,
		"bytes for a stream that takes none");
	if (count) {
		stream->bytes = realloc(stream->bytes, stream->len + count);
		memcpy(stream->bytes + stream->len, bytes, count);
	}
	stream->len += count;
	stream->credit -= count;
	stream->end = end && count == len;
	return (ssize_t)count;
}

int tools_stream_credit(struct tools_stream *stream, uint32_t bytes)
{
	require(stream->open && stream->direction == TOOLS_FROM_GUEST && bytes,
		"credit for a stream that takes none");
	stream->credit += bytes;
	stream->given += bytes;
	return 0;
}

void tools_stream_close(struct tools_stream *stream)
{
	if (stream)
		stream->open = false;
}

/* ---- the guest ---- */

struct tools_call *rig_call(struct rig *rig, size_t nth)
{
	for (size_t i = 0; i < RIG_CALLS_MAX; i++) {
		if (rig->backdoor.calls[i].open && !nth--)
			return &rig->backdoor.calls[i];
	}
	return NULL;
}

struct tools_stream *rig_stream(struct rig *rig, size_t nth)
{
	for (size_t i = 0; i < RIG_STREAMS_MAX; i++) {
		if (rig->backdoor.streams[i].open && !nth--)
			return &rig->backdoor.streams[i];
	}
	return NULL;
}

size_t rig_open_calls(const struct rig *rig)
{
	size_t n = 0;

	for (size_t i = 0; i < RIG_CALLS_MAX; i++)
		n += rig->backdoor.calls[i].open;
	return n;
}

size_t rig_open_streams(const struct rig *rig)
{
	size_t n = 0;

	for (size_t i = 0; i < RIG_STREAMS_MAX; i++)
		n += rig->backdoor.streams[i].open;
	return n;
}

void rig_result(struct tools_call *call, const char *result)
{
	call->open = false;
	call->done(call->opaque, 0, result, strlen(result));
}

size_t rig_data(struct tools_stream *stream, const void *bytes, size_t len, bool end)
{
	size_t count = len < stream->credit ? len : stream->credit;

	stream->credit -= count;
	stream->events->data(stream->opaque, bytes, count, end && count == len);
	return count;
}

void rig_reset(struct tools_stream *stream, const char *reason)
{
	stream->events->reset(stream->opaque, reason, strlen(reason));
}

void rig_make_room(struct tools_stream *stream, uint64_t bytes)
{
	stream->credit += bytes;
	stream->events->writable(stream->opaque);
}

void rig_tools_go(struct rig *rig)
{
	struct tools_stream *stream;
	struct tools_call *call;

	rig->backdoor.status.up = false;
	strcpy(rig->backdoor.status.why, "they went away");
	while ((stream = rig_stream(rig, 0))) {
		stream->events->reset(stream->opaque, "gone", 4);
		require(!stream->open, "a stream that was reset is not closed");
	}
	while ((call = rig_call(rig, 0))) {
		call->open = false;
		call->done(call->opaque, -ECONNRESET, NULL, 0);
	}
}

int rig_connect(struct rig *rig)
{
	int fd = unix_connect(rig->path);

	require(fd >= 0 && !fcntl(fd, F_SETFL, O_NONBLOCK), "no connection");
	rig_turn(rig);
	return fd;
}

void rig_start(struct rig *rig)
{
	*rig = (struct rig){ .dir = "/tmp/relay-XXXXXX" };
	rig->backdoor.status = (struct tools_status){ .up = true,
						      .epoch = 7,
						      .door = RPC_DOOR_PORT,
						      .privilege = RPC_ROOT,
						      .app = "toolbox",
						      .guest_ops = true };
	rig->backdoor.next_number = 1000;
	rig->backdoor.room = LODGE_RPC_CREDIT_FIRST;
	require(mkdtemp(rig->dir), "no folder");
	snprintf(rig->path, sizeof(rig->path), "%s/s", rig->dir);
	require(!relay_start(&rig->backdoor, &rig->loop, rig->path, &rig->relay), "no relay");
}

void rig_stop(struct rig *rig)
{
	relay_stop(rig->relay);
	require(!rig_open_calls(rig) && !rig_open_streams(rig), "something was left open");
	for (size_t i = 0; i < 64; i++)
		require(!rig->loop.sources[i], "a source was left");
	for (size_t i = 0; i < RIG_STREAMS_MAX; i++)
		free(rig->backdoor.streams[i].bytes);
	for (size_t i = 0; i < RIG_CALLS_MAX; i++)
		free(rig->backdoor.calls[i].message);
	require(access(rig->path, F_OK) && !rmdir(rig->dir), "the socket was left");
}
