// SPDX-License-Identifier: GPL-2.0-or-later
// The relay's commands and streams: a client's tags and numbers on one side, the tools' on the
// other, and the credits of both.
#include "host-vmm/backdoor/relay_private.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/backdoor/tools.h"
#include "protocol/lib/fields.h"

#define CREDIT_MAX (1ull << 31) /* protocol/spec/rpc.md, "Malformed" */
#define NO_TOOLS   125 /* protocol/spec/guest-ops.md, "Errors" */
#define SILENT_S   60 /* with a heartbeat missed: nobody is left to answer a new command */

/* What a client may ask: protocol/spec/guest-ops.md, and nothing beside. */
static const char *const words[] = {
	"lodge.exec", "lodge.exec-signal", "lodge.exec-resize", "lodge.ps",
	"lodge.kill", "lodge.file-get",	   "lodge.file-put",
};

static const struct {
	const char *key;
	enum tools_direction direction;
} stream_keys[RELAY_CALL_STREAMS] = {
	{ "stdin", TOOLS_TO_GUEST },
	{ "stdout", TOOLS_FROM_GUEST },
	{ "stderr", TOOLS_FROM_GUEST },
};

static void send_error(struct relay_client *client, uint32_t tag, int number, const char *text)
{
	char result[TOOLS_TEXT_MAX + 64];
	int len = snprintf(result, sizeof(result), "ERROR %d %s", number, text);

	if (len >= (int)sizeof(result))
		len = sizeof(result) - 1;
	relay_client_send(client, LODGE_RPC_RESULT, 0, tag, result, (size_t)len);
}

static void send_reset(struct relay_client *client, uint32_t number, const char *reason)
{
	relay_client_send(client, LODGE_RPC_RESET, 0, number, reason, strlen(reason));
}

/* Nothing more passes through it; the guest is told unless it ended by itself. */
static void stream_close(struct relay_stream *stream)
{
	tools_stream_close(stream->stream);
	stream->stream = NULL;
	free(stream->held);
	stream->held = NULL;
	stream->held_len = 0;
}

static void stream_fail(struct relay_stream *stream, const char *reason)
{
	send_reset(stream->call->client, stream->number, reason);
	stream_close(stream);
}

/* ---- from the guest ---- */

static void give_guest(struct relay_stream *stream)
{
	uint64_t want = stream->wanted < RELAY_WINDOW ? stream->wanted : RELAY_WINDOW;
	uint32_t more;

	if (!stream->stream || !stream->from_guest || relay_client_is_full(stream->call->client) ||
	    want <= stream->coming)
		return;
	more = (uint32_t)want - stream->coming;
	if (more < RELAY_STEP && stream->coming)
		return;
	if (!tools_stream_credit(stream->stream, more))
		stream->coming += more;
}

static void guest_data(void *opaque, const void *bytes, size_t len, bool end)
{
	struct relay_stream *stream = opaque;

	stream->coming -= (uint32_t)len;
	stream->wanted -= len;
	relay_client_send(stream->call->client, LODGE_RPC_DATA, end ? LODGE_RPC_F_END : 0,
			  stream->number, bytes, len);
	if (end)
		stream_close(stream);
	else
		give_guest(stream);
}

static void guest_reset(void *opaque, const char *reason, size_t len)
{
	struct relay_stream *stream = opaque;

	relay_client_send(stream->call->client, LODGE_RPC_RESET, 0, stream->number, reason,
			  len < LODGE_RPC_DATA_MAX ? len : LODGE_RPC_DATA_MAX);
	stream_close(stream);
}

/* ---- to the guest ---- */

static void give_client(struct relay_stream *stream, uint32_t bytes)
{
	stream->owed += bytes;
	if (stream->owed < RELAY_STEP)
		return;
	stream->client_credit += stream->owed;
	relay_client_credit(stream->call->client, stream->number, stream->owed);
	stream->owed = 0;
}

/* Bytes that went on, less than @len where the guest has no room; negative: it is over. */
static ssize_t pass_on(struct relay_stream *stream, const void *bytes, size_t len, bool end)
{
	ssize_t taken = tools_stream_send(stream->stream, bytes, len, end);

	if (taken < 0) {
		stream_fail(stream, "the guest's tools went away");
		return taken;
	}
	if (end && (size_t)taken == len)
		stream_close(stream);
	else
		give_client(stream, (uint32_t)taken);
	return taken;
}

static void guest_writable(void *opaque)
{
	struct relay_stream *stream = opaque;
	ssize_t taken;

	if (!stream->held_len && !stream->held_end)
		return;
	taken = pass_on(stream, stream->held + stream->held_start, stream->held_len,
			stream->held_end);
	if (taken < 0 || !stream->stream)
		return;
	stream->held_start += (size_t)taken;
	stream->held_len -= (size_t)taken;
	if (stream->held_len)
		return;
	free(stream->held);
	stream->held = NULL;
}

static const struct tools_stream_events stream_events = {
	.data = guest_data,
	.writable = guest_writable,
	.reset = guest_reset,
};

/* The client keeps to its credit, so that what waits fits. */
static int hold(struct relay_stream *stream, const unsigned char *bytes, size_t len)
{
	if (!stream->held) {
		stream->held = malloc(RELAY_WINDOW);
		stream->held_start = stream->held_len = 0;
	}
	if (!stream->held)
		return -ENOMEM;
	if (stream->held_start + stream->held_len + len > RELAY_WINDOW) {
		memmove(stream->held, stream->held + stream->held_start, stream->held_len);
		stream->held_start = 0;
	}
	memcpy(stream->held + stream->held_start + stream->held_len, bytes, len);
	stream->held_len += len;
	return 0;
}

static void client_data(struct relay_stream *stream, const struct frame *frame,
			const unsigned char *payload)
{
	bool end = frame->flags & LODGE_RPC_F_END;
	ssize_t taken = 0;

	if (stream->from_guest || stream->held_end || frame->size > stream->client_credit) {
		stream_fail(stream, "beyond its credit, its end or its direction");
		return;
	}
	stream->client_credit -= frame->size;
	if (!stream->held_len)
		taken = pass_on(stream, payload, frame->size, end);
	if (taken < 0 || !stream->stream)
		return;
	if ((size_t)taken < frame->size &&
	    hold(stream, payload + taken, frame->size - (size_t)taken))
		stream_fail(stream, "memory is short");
	else
		stream->held_end = end;
}

static void client_credit(struct relay_stream *stream, const struct frame *frame,
			  const unsigned char *payload)
{
	uint32_t more = 0;

	if (frame->size == sizeof(more))
		memcpy(&more, payload, sizeof(more));
	stream->wanted += le32toh(more);
	if (!stream->from_guest || frame->size != sizeof(more) || stream->wanted > CREDIT_MAX)
		stream_fail(stream, "that is no credit");
	else
		give_guest(stream);
}

/* ---- commands ---- */

static void call_close(struct relay_call *call)
{
	for (size_t i = 0; i < RELAY_CALL_STREAMS; i++) {
		if (call->streams[i].stream)
			stream_close(&call->streams[i]);
	}
	memset(call, 0, sizeof(*call));
}

static void call_done(void *opaque, int error, const char *result, size_t len)
{
	struct relay_call *call = opaque;
	struct relay_client *client = call->client;
	uint32_t tag = call->tag;

	for (size_t i = 0; i < RELAY_CALL_STREAMS; i++) {
		if (call->streams[i].stream)
			stream_fail(&call->streams[i], "the command has ended");
	}
	call_close(call);
	if (error)
		send_error(client, tag, NO_TOOLS, "the guest's tools went away");
	else if (len > RELAY_RESULT_MAX)
		send_error(client, tag, EMSGSIZE, "the guest's answer is too long");
	else
		relay_client_send(client, LODGE_RPC_RESULT, 0, tag, result, len);
}

static struct relay_stream *find_stream(struct relay_client *client, uint32_t number)
{
	for (size_t i = 0; i < RELAY_CALLS_MAX; i++) {
		for (size_t j = 0; j < RELAY_CALL_STREAMS; j++) {
			struct relay_stream *stream = &client->calls[i].streams[j];

			if (stream->stream && stream->number == number)
				return stream;
		}
	}
	return NULL;
}

/* A negative errno, or 0: the tools there take guest operations. */
static int find_tools(struct relay_client *client, uint32_t tag, uint32_t *ret_epoch)
{
	struct tools_status status;
	char text[TOOLS_TEXT_MAX + 16];
	bool silent;

	tools_get_status(client->relay->backdoor, &status);
	*ret_epoch = status.epoch;
	silent = status.heartbeat_missed && status.heartbeat_age >= SILENT_S;
	if (status.up && status.guest_ops && !silent)
		return 0;
	if (status.up && silent)
		snprintf(text, sizeof(text), "no tools: they have not answered for %llu s",
			 (unsigned long long)status.heartbeat_age);
	else if (status.up)
		snprintf(text, sizeof(text), "no tools: %.*s take no guest operations",
			 TOOLS_TEXT_MAX - 64, *status.version ? status.version : status.app);
	else
		snprintf(text, sizeof(text), "no tools: %s", status.why);
	send_error(client, tag, NO_TOOLS, text);
	return -ENOTCONN;
}

static int open_stream(struct relay_call *call, size_t kind, const char *value, uint32_t epoch)
{
	struct relay_stream *stream = &call->streams[kind];
	uint64_t number;
	char field[32];
	int ret;

	if (snprintf(field, sizeof(field), "n=%s", value) >= (int)sizeof(field) ||
	    fields_number(field, strlen(field) + 1, "n", UINT32_MAX, &number) || !number ||
	    find_stream(call->client, (uint32_t)number))
		return -EINVAL;
	ret = tools_stream_open(call->client->relay->backdoor, epoch, stream_keys[kind].direction,
				&stream_events, stream, &stream->stream);
	if (ret)
		return ret;
	stream->call = call;
	stream->number = (uint32_t)number;
	stream->from_guest = stream_keys[kind].direction == TOOLS_FROM_GUEST;
	stream->client_credit = stream->from_guest ? 0 : LODGE_RPC_CREDIT_FIRST;
	stream->coming = stream->from_guest ? LODGE_RPC_CREDIT_FIRST : 0;
	stream->wanted = stream->coming;
	return 0;
}

/* Opens the streams that @fields names, and writes their own numbers in. */
static int translate(struct relay_call *call, const char *fields, size_t len, uint32_t epoch,
		     struct fields_builder *text)
{
	for (const char *at = fields; at < fields + len; at += strlen(at) + 1) {
		const char *value = strchr(at, '=') + 1;
		char key[LODGE_RPC_KEY_MAX + 1];
		size_t kind = 0;
		int ret;

		snprintf(key, sizeof(key), "%.*s", (int)(value - 1 - at), at);
		while (kind < RELAY_CALL_STREAMS && strcmp(stream_keys[kind].key, key) != 0)
			kind++;
		if (kind == RELAY_CALL_STREAMS) {
			fields_add(text, key, value);
			continue;
		}
		if (call->streams[kind].stream)
			continue;
		ret = open_stream(call, kind, value, epoch);
		if (ret)
			return ret;
		fields_addf(text, key, "%u", tools_stream_number(call->streams[kind].stream));
	}
	return fields_done(text);
}

static int start(struct relay_call *call, const char *message, size_t word, size_t len,
		 uint32_t epoch)
{
	struct fields_builder text = FIELDS_BUILDER(LODGE_RPC_DATA_MAX);
	char name[LODGE_RPC_WORD_MAX + 2];
	int ret;

	snprintf(name, sizeof(name), "%.*s ", (int)word, message);
	fields_raw(&text, name);
	word += word < len;
	ret = fields_check(message + word, len - word);
	if (!ret)
		ret = translate(call, message + word, len - word, epoch, &text);
	if (!ret)
		ret = tools_command(call->client->relay->backdoor, epoch, text.bytes, text.len,
				    call_done, call, &call->call);
	fields_free(&text);
	return ret;
}

static const char *explain(int error)
{
	switch (-error) {
	case EBADMSG:
		return "the fields are malformed";
	case EINVAL:
		return "a stream's number is none, or is given twice";
	case EBUSY:
		return "the guest's tools have too much to do; try again";
	case EMSGSIZE:
		return "the command is too long";
	default:
		return "the monitor cannot pass it on";
	}
}

static bool is_known(const char *message, size_t len)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strlen(words[i]) == len && !memcmp(words[i], message, len))
			return true;
	}
	return false;
}

static int client_command(struct relay_client *client, const struct frame *frame,
			  const char *message)
{
	const char *space = memchr(message, ' ', frame->size);
	size_t word = space ? (size_t)(space - message) : frame->size;
	struct relay_call *call = NULL;
	uint32_t epoch;
	int ret;

	for (size_t i = 0; i < RELAY_CALLS_MAX; i++) {
		if (!client->calls[i].client)
			call = &client->calls[i];
		else if (client->calls[i].tag == frame->tag)
			return -EBADMSG;
	}
	if (!is_known(message, word)) {
		send_error(client, frame->tag, EINVAL, "that is no guest operation");
		return 0;
	}
	if (!call) {
		send_error(client, frame->tag, EAGAIN, "too many commands are open");
		return 0;
	}
	if (find_tools(client, frame->tag, &epoch))
		return 0;
	call->client = client;
	call->tag = frame->tag;
	ret = start(call, message, word, frame->size, epoch);
	if (!ret)
		return 0;
	call_close(call);
	if (ret == -ENOTCONN || ret == -EPIPE)
		send_error(client, frame->tag, NO_TOOLS, "the guest's tools went away");
	else
		send_error(client, frame->tag, ret == -EBUSY ? EAGAIN : -ret, explain(ret));
	return 0;
}

int relay_call_frame(struct relay_client *client, const struct frame *frame,
		     const unsigned char *payload)
{
	struct relay_stream *stream;

	if (frame->type == LODGE_RPC_COMMAND)
		return client_command(client, frame, (const char *)payload);
	stream = find_stream(client, frame->tag);
	if (frame->type == LODGE_RPC_DATA && stream)
		client_data(stream, frame, payload);
	else if (frame->type == LODGE_RPC_DATA)
		send_reset(client, frame->tag, "no such stream is open");
	else if (frame->type == LODGE_RPC_CREDIT && stream)
		client_credit(stream, frame, payload);
	else if (frame->type == LODGE_RPC_RESET && stream)
		stream_close(stream);
	return 0;
}

void relay_call_resume(struct relay_client *client)
{
	for (size_t i = 0; i < RELAY_CALLS_MAX; i++) {
		for (size_t j = 0; j < RELAY_CALL_STREAMS; j++) {
			if (client->calls[i].client)
				give_guest(&client->calls[i].streams[j]);
		}
	}
}

void relay_call_end_all(struct relay_client *client)
{
	for (size_t i = 0; i < RELAY_CALLS_MAX; i++) {
		struct relay_call *call = &client->calls[i];

		if (!call->client)
			continue;
		tools_cancel(call->call);
		call_close(call);
	}
}
