// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A session of FUSE messages over the backdoor.
 *
 * Theory of operation. Bytes of the guest wait in one buffer, as large as the credit of a stream,
 * until a whole message is there and a slot of the ring is free; credit is given back when the
 * message has gone on. So a guest that sends more than the back end serves waits by itself. Replies
 * stay in their slots until the guest has taken them: a guest that does not read gets no slot.
 */
#include "host-vmm/virtio/fs_stream.h"

#include <errno.h>
#include <linux/fuse.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <lodge/fs_stream.h>
#include <lodge/rpc.h>

#include "host-vmm/backdoor/tools.h"
#include "host-vmm/loop.h"
#include "host-vmm/virtio/fs_ring.h"
#include "protocol/lib/fd.h"
#include "protocol/lib/fields.h"
#include "protocol/lib/fs_stream.h"
#include "protocol/lib/log.h"

#define SLOTS	    LODGE_FS_STREAM_REQUESTS_MAX
#define WINDOW	    LODGE_RPC_CREDIT_FIRST
#define ERROR_LEAST (-511) /* the kernel's own bound (fuse_dev_do_write) */

_Static_assert(WINDOW >= LODGE_FS_STREAM_MESSAGE_MAX, "a message fits the credit");
_Static_assert(sizeof(struct fuse_in_header) == FS_STREAM_REQUEST_HEADER, "fuse_in_header");
_Static_assert(sizeof(struct fuse_out_header) == FS_STREAM_REPLY_HEADER, "fuse_out_header");

/* A request that is in the ring, and its reply. */
struct exchange {
	uint64_t unique;
	bool quiet; /* it has no reply */
	struct fuse_out_header reply; /* as it was checked */
	size_t sent; /* bytes of the reply that the guest has */
};

/* All of it is the backdoor's loop's, but for wanted. */
struct fs_stream {
	struct backdoor *backdoor;
	struct loop *loop;
	struct tools_sink *sink;
	struct fs_ring *ring;
	struct loop_source *ring_source;
	int wanted_fd; /* eventfd */
	uint32_t wanted; /* atomic */
	uint32_t session; /* counts them */
	bool open; /* there is one: its streams are there */
	bool served; /* the back end has the ring for it */
	uint32_t epoch; /* of its tools */
	struct tools_stream *requests, *replies;
	struct tools_call *call;
	unsigned char *in; /* WINDOW bytes, or NULL */
	size_t in_start, in_len;
	struct exchange exchanges[SLOTS];
	unsigned int done[SLOTS]; /* slots whose reply waits for the guest, oldest first */
	unsigned int n_done;
	struct log_ratelimit limit;
	unsigned char chunk[LODGE_RPC_DATA_MAX];
};

static void want(struct fs_stream *stream, uint32_t session)
{
	const uint64_t one = 1;

	__atomic_store_n(&stream->wanted, session, __ATOMIC_RELEASE);
	(void)!write(stream->wanted_fd, &one, sizeof(one));
}

/* The guest learns of it by the ends of its streams. */
static void end_session(struct fs_stream *stream)
{
	if (!stream->open)
		return;
	stream->open = false;
	stream->served = false;
	tools_cancel(stream->call);
	tools_stream_close(stream->requests);
	tools_stream_close(stream->replies);
	stream->call = NULL;
	stream->requests = stream->replies = NULL;
	free(stream->in);
	stream->in = NULL;
	stream->n_done = 0;
	want(stream, 0);
}

static void give_up(struct fs_stream *stream, const char *why)
{
	log_ratelimited(&stream->limit, LOG_LEVEL_WARN, "shares over the backdoor: %s", why);
	end_session(stream);
}

/* ---- to the guest ---- */

/* Bytes of the oldest reply from where the guest has it on; what was checked is what is sent. */
static size_t fill_chunk(struct fs_stream *stream, unsigned int slot)
{
	const struct exchange *exchange = &stream->exchanges[slot];
	size_t left = exchange->reply.len - exchange->sent;
	size_t len = left < sizeof(stream->chunk) ? left : sizeof(stream->chunk);

	/* Of a reply that is an error nothing is in the slot. */
	if (exchange->reply.len > sizeof(exchange->reply))
		fs_ring_read(stream->ring, slot, exchange->sent, stream->chunk, len);
	if (exchange->sent < sizeof(exchange->reply)) {
		size_t head = sizeof(exchange->reply) - exchange->sent;

		memcpy(stream->chunk, (const unsigned char *)&exchange->reply + exchange->sent,
		       head < len ? head : len);
	}
	return len;
}

static void take_requests(struct fs_stream *stream);

static void send_replies(struct fs_stream *stream)
{
	while (stream->n_done) {
		unsigned int slot = stream->done[0];
		struct exchange *exchange = &stream->exchanges[slot];
		size_t len = fill_chunk(stream, slot);
		ssize_t taken = tools_stream_send(stream->replies, stream->chunk, len, false);

		if (taken < 0) {
			end_session(stream);
			return;
		}
		exchange->sent += (size_t)taken;
		if (exchange->sent < exchange->reply.len) {
			if ((size_t)taken < len)
				return;
			continue;
		}
		fs_ring_release(stream->ring, slot);
		stream->n_done--;
		memmove(stream->done, stream->done + 1, stream->n_done * sizeof(stream->done[0]));
	}
}

static bool is_reply(const struct exchange *exchange, const struct fuse_out_header *reply,
		     uint32_t len)
{
	if (len < sizeof(*reply) || reply->len != len || reply->unique != exchange->unique)
		return false;
	return !reply->error ||
	       (reply->error < 0 && reply->error >= ERROR_LEAST && len == sizeof(*reply));
}

static void answer(struct fs_stream *stream, unsigned int slot)
{
	stream->exchanges[slot].sent = 0;
	stream->done[stream->n_done++] = slot;
}

static void answer_error(struct fs_stream *stream, unsigned int slot, int error)
{
	struct exchange *exchange = &stream->exchanges[slot];

	exchange->reply = (struct fuse_out_header){ .len = sizeof(exchange->reply),
						    .error = error,
						    .unique = exchange->unique };
	answer(stream, slot);
}

/* The back end has answered the request in @slot by @len bytes. */
static void take_reply(struct fs_stream *stream, unsigned int slot, uint32_t len)
{
	struct exchange *exchange = &stream->exchanges[slot];
	struct fuse_out_header reply = { 0 };

	if (!stream->served || exchange->quiet) {
		fs_ring_release(stream->ring, slot);
		return;
	}
	if (len >= sizeof(reply))
		fs_ring_read(stream->ring, slot, 0, &reply, sizeof(reply));
	if (is_reply(exchange, &reply, len)) {
		exchange->reply = reply;
		answer(stream, slot);
		return;
	}
	log_ratelimited(&stream->limit, LOG_LEVEL_WARN,
			"shares over the backdoor: a reply of %u bytes makes no sense", len);
	answer_error(stream, slot, -EIO);
}

static void ring_ready(void *opaque, uint32_t events)
{
	struct fs_stream *stream = opaque;
	unsigned int slot;
	uint64_t rung;
	uint32_t len;
	int ret;

	(void)events;
	(void)!read(fs_ring_fd(stream->ring), &rung, sizeof(rung));
	while ((ret = fs_ring_take(stream->ring, &slot, &len)) > 0)
		take_reply(stream, slot, len);
	if (ret)
		give_up(stream, "the back end's queue makes no sense");
	if (stream->served)
		send_replies(stream);
	if (stream->served)
		take_requests(stream);
}

/* ---- from the guest ---- */

static bool has_no_reply(uint32_t opcode)
{
	return opcode == FUSE_FORGET || opcode == FUSE_BATCH_FORGET || opcode == FUSE_INTERRUPT;
}

static void put_request(struct fs_stream *stream, unsigned int slot, size_t len)
{
	const unsigned char *request = stream->in + stream->in_start;
	struct fuse_in_header header;

	memcpy(&header, request, sizeof(header));
	stream->exchanges[slot] =
		(struct exchange){ .unique = header.unique, .quiet = has_no_reply(header.opcode) };
	fs_ring_put(stream->ring, slot, request, len);
	stream->in_start += len;
	stream->in_len -= len;
	(void)tools_stream_credit(stream->requests, (uint32_t)len);
}

static void take_requests(struct fs_stream *stream)
{
	while (stream->served) {
		int slot = fs_ring_free_slot(stream->ring);
		long len = fs_stream_message(stream->in + stream->in_start, stream->in_len,
					     FS_STREAM_REQUEST_HEADER);

		if (len < 0)
			give_up(stream, "what the guest sends is no FUSE");
		if (len <= 0 || slot < 0)
			return;
		put_request(stream, (unsigned int)slot, (size_t)len);
	}
}

static void requests_data(void *opaque, const void *bytes, size_t len, bool end)
{
	struct fs_stream *stream = opaque;

	if (end || stream->in_len + len > WINDOW) {
		end_session(stream);
		return;
	}
	if (stream->in_start + stream->in_len + len > WINDOW) {
		memmove(stream->in, stream->in + stream->in_start, stream->in_len);
		stream->in_start = 0;
	}
	memcpy(stream->in + stream->in_start + stream->in_len, bytes, len);
	stream->in_len += len;
	take_requests(stream);
}

static void replies_writable(void *opaque)
{
	struct fs_stream *stream = opaque;

	send_replies(stream);
	if (stream->served)
		take_requests(stream);
}

static void stream_reset(void *opaque, const char *reason, size_t len)
{
	(void)reason;
	(void)len;
	end_session(opaque);
}

static void call_done(void *opaque, int error, const char *result, size_t len)
{
	struct fs_stream *stream = opaque;

	(void)error;
	(void)result;
	(void)len;
	stream->call = NULL;
	end_session(stream);
}

static const struct tools_stream_events events = {
	.data = requests_data,
	.writable = replies_writable,
	.reset = stream_reset,
};

/* ---- sessions ---- */

static int send_command(struct fs_stream *stream, struct fields_builder *text, bool lasting)
{
	int ret = fields_done(text);

	if (!ret)
		ret = tools_command(stream->backdoor, stream->epoch, text->bytes, text->len,
				    lasting ? call_done : NULL, stream,
				    lasting ? &stream->call : NULL);
	fields_free(text);
	return ret;
}

static void tell_why(struct fs_stream *stream, const char *why)
{
	struct fields_builder text = FIELDS_BUILDER(1024);

	fields_raw(&text, LODGE_FS_STREAM_WORD " ");
	fields_add(&text, LODGE_FS_STREAM_WHY, why);
	(void)send_command(stream, &text, false);
}

static void tell_numbers(struct fs_stream *stream)
{
	struct fields_builder text = FIELDS_BUILDER(256);

	fields_raw(&text, LODGE_FS_STREAM_WORD " ");
	fields_addf(&text, LODGE_FS_STREAM_REQUESTS, "%u", tools_stream_number(stream->requests));
	fields_addf(&text, LODGE_FS_STREAM_REPLIES, "%u", tools_stream_number(stream->replies));
	if (send_command(stream, &text, true)) {
		stream->call = NULL;
		end_session(stream);
	}
}

static int open_session(struct fs_stream *stream)
{
	int ret;

	stream->in = malloc(WINDOW);
	if (!stream->in)
		return -ENOMEM;
	stream->in_start = stream->in_len = 0;
	stream->open = true;
	ret = tools_stream_open(stream->backdoor, stream->epoch, TOOLS_FROM_GUEST, &events, stream,
				&stream->requests);
	if (!ret)
		ret = tools_stream_open(stream->backdoor, stream->epoch, TOOLS_TO_GUEST, &events,
					stream, &stream->replies);
	if (ret)
		end_session(stream);
	return ret;
}

/* The tools want it: what they had before is over. */
static void begin_session(struct fs_stream *stream)
{
	struct tools_status status;

	end_session(stream);
	tools_get_status(stream->backdoor, &status);
	/* Streams and root's word. */
	if (!status.up || !status.guest_ops)
		return;
	stream->epoch = status.epoch;
	if (open_session(stream)) {
		tell_why(stream, "the host has too much to do");
		return;
	}
	if (!++stream->session)
		stream->session++;
	want(stream, stream->session);
}

static void on_event(void *opaque, const struct tools_event *event)
{
	if (!strcmp(event->name, "shares-wanted"))
		begin_session(opaque);
}

/* ---- for the device's loop ---- */

struct verdict {
	struct fs_stream *stream;
	uint32_t session;
	const char *why;
};

int fs_stream_fd(const struct fs_stream *stream)
{
	return stream->wanted_fd;
}

uint32_t fs_stream_wanted(struct fs_stream *stream)
{
	uint64_t count;

	(void)!read(stream->wanted_fd, &count, sizeof(count));
	return __atomic_load_n(&stream->wanted, __ATOMIC_ACQUIRE);
}

static void empty_on_loop(void *opaque)
{
	struct fs_stream *stream = opaque;

	stream->n_done = 0;
	fs_ring_reset(stream->ring);
}

struct fs_ring *fs_stream_ring(struct fs_stream *stream)
{
	loop_call(stream->loop, empty_on_loop, stream);
	return stream->ring;
}

static void served_on_loop(void *opaque)
{
	const struct verdict *verdict = opaque;
	struct fs_stream *stream = verdict->stream;

	if (!stream->open || stream->session != verdict->session)
		return;
	stream->served = true;
	tell_numbers(stream);
	if (stream->served)
		take_requests(stream);
}

void fs_stream_served(struct fs_stream *stream, uint32_t session)
{
	struct verdict verdict = { stream, session, NULL };

	loop_call(stream->loop, served_on_loop, &verdict);
}

static void refuse_on_loop(void *opaque)
{
	const struct verdict *verdict = opaque;
	struct fs_stream *stream = verdict->stream;

	if (!stream->open || stream->session != verdict->session)
		return;
	if (!stream->served)
		tell_why(stream, verdict->why);
	give_up(stream, verdict->why);
}

void fs_stream_refuse(struct fs_stream *stream, uint32_t session, const char *why)
{
	struct verdict verdict = { stream, session, why };

	loop_call(stream->loop, refuse_on_loop, &verdict);
}

/* ---- life ---- */

static void destroy_on_loop(void *opaque)
{
	struct fs_stream *stream = opaque;

	end_session(stream);
	tools_events_remove(stream->sink);
	loop_remove(stream->ring_source);
}

static void release(struct fs_stream *stream)
{
	fs_ring_destroy(stream->ring);
	fd_close(&stream->wanted_fd);
	free(stream);
}

int fs_stream_create(struct backdoor *backdoor, struct loop *loop, struct fs_stream **ret_stream)
{
	struct fs_stream *stream = calloc(1, sizeof(*stream));
	int ret;

	if (!stream)
		return -ENOMEM;
	stream->backdoor = backdoor;
	stream->loop = loop;
	stream->wanted_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ret = stream->wanted_fd < 0 ? -errno : fs_ring_create(&stream->ring);
	if (!ret)
		ret = loop_add(loop, fs_ring_fd(stream->ring), EPOLLIN, ring_ready, stream,
			       &stream->ring_source);
	if (!ret)
		ret = tools_events_add(backdoor, on_event, stream, &stream->sink);
	if (ret) {
		loop_remove(stream->ring_source);
		release(stream);
		return ret;
	}
	*ret_stream = stream;
	return 0;
}

void fs_stream_destroy(struct fs_stream *stream)
{
	if (!stream)
		return;
	loop_call(stream->loop, destroy_on_loop, stream);
	release(stream);
}
