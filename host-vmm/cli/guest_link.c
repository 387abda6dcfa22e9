// SPDX-License-Identifier: GPL-2.0-or-later
// The client's side of tools.sock: frames out and in, credits, results.
#include "host-vmm/cli/guest_link.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "host-vmm/cli/cli.h"
#include "protocol/lib/fd.h"
#include "protocol/lib/frame.h"

#define READ_CHUNK  (64u << 10)
#define CREDIT_STEP (GUEST_WINDOW / 4) /* less is not worth a frame */

struct guest_link {
	int fd;
	struct frame_cutter cutter;
	GByteArray *out;
	size_t out_done;
	unsigned char *chunk; /* READ_CHUNK */
	uint32_t next_number, next_tag;
	struct guest_stream *streams[GUEST_STREAMS_MAX];
	size_t n_streams;
	struct guest_command *commands[GUEST_COMMANDS_MAX];
	size_t n_commands;
};

int guest_link_adopt(int fd, struct guest_link **ret_link)
{
	struct guest_link *link = g_new0(struct guest_link, 1);

	link->fd = fd;
	link->cutter.types = FRAME_TYPE(LODGE_RPC_RESULT) | FRAME_TYPE(LODGE_RPC_DATA) |
			     FRAME_TYPE(LODGE_RPC_CREDIT) | FRAME_TYPE(LODGE_RPC_RESET);
	link->out = g_byte_array_new();
	link->chunk = g_malloc(READ_CHUNK);
	link->next_number = link->next_tag = 1;
	if (fcntl(fd, F_SETFL, O_NONBLOCK)) {
		int ret = -errno;

		guest_link_close(link);
		return ret;
	}
	*ret_link = link;
	return 0;
}

int guest_link_open(const char *path, struct guest_link **ret_link)
{
	int fd = unix_connect(path);

	return fd < 0 ? fd : guest_link_adopt(fd, ret_link);
}

void guest_link_close(struct guest_link *link)
{
	if (!link)
		return;
	for (size_t i = 0; i < link->n_streams; i++) {
		g_clear_pointer(&link->streams[i]->ring, g_free);
		g_clear_pointer(&link->streams[i]->reason, g_free);
	}
	for (size_t i = 0; i < link->n_commands; i++)
		g_clear_pointer(&link->commands[i]->result, g_free);
	frame_cutter_reset(&link->cutter);
	g_byte_array_unref(link->out);
	g_free(link->chunk);
	close(link->fd);
	g_free(link);
}

static size_t backlog(const struct guest_link *link)
{
	return link->out->len - link->out_done;
}

struct pollfd guest_link_pollfd(const struct guest_link *link)
{
	return (struct pollfd){ link->fd, backlog(link) ? POLLIN | POLLOUT : POLLIN, 0 };
}

static int flush(struct guest_link *link)
{
	while (backlog(link)) {
		ssize_t sent = send(link->fd, link->out->data + link->out_done, backlog(link),
				    MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && errno == EAGAIN)
			return 0;
		if (sent < 0)
			return -ECONNRESET;
		link->out_done += (size_t)sent;
	}
	g_byte_array_set_size(link->out, 0);
	link->out_done = 0;
	return 0;
}

static int put(struct guest_link *link, enum lodge_rpc_type type, uint16_t flags, uint32_t tag,
	       const void *payload, size_t len)
{
	const struct frame frame = {
		.size = (uint32_t)len, .type = type, .flags = flags, .tag = tag
	};
	unsigned char header[LODGE_RPC_HEADER_SIZE];

	if (link->out_done) {
		g_byte_array_remove_range(link->out, 0, (guint)link->out_done);
		link->out_done = 0;
	}
	frame_build(&frame, header);
	g_byte_array_append(link->out, header, sizeof(header));
	if (len)
		g_byte_array_append(link->out, payload, (guint)len);
	return flush(link);
}

static int put_credit(struct guest_link *link, struct guest_stream *stream, uint32_t more)
{
	const uint32_t credit = htole32(more);

	stream->given += more;
	return put(link, LODGE_RPC_CREDIT, 0, stream->number, &credit, sizeof(credit));
}

static struct guest_stream *find_stream(struct guest_link *link, uint32_t number)
{
	for (size_t i = 0; i < link->n_streams; i++) {
		if (link->streams[i]->number == number)
			return link->streams[i];
	}
	return NULL;
}

/* What comes for a stream that we gave up, or know nothing of, is late and dropped. */
static int take_data(struct guest_link *link, const struct frame *frame,
		     const unsigned char *payload)
{
	struct guest_stream *stream = find_stream(link, frame->tag);
	size_t at, first;

	if (!stream || stream->reset)
		return 0;
	if (!stream->from_guest || stream->ended || frame->size > stream->given)
		return -EPROTO;
	stream->given -= frame->size;
	at = (stream->start + stream->len) % GUEST_WINDOW;
	first = MIN(frame->size, GUEST_WINDOW - at);
	memcpy(stream->ring + at, payload, first);
	memcpy(stream->ring, payload + first, frame->size - first);
	stream->len += frame->size;
	stream->ended = frame->flags & LODGE_RPC_F_END;
	return 0;
}

static int take_credit(struct guest_link *link, const struct frame *frame,
		       const unsigned char *payload)
{
	struct guest_stream *stream = find_stream(link, frame->tag);
	uint32_t more;

	if (!stream || stream->from_guest)
		return 0;
	if (frame->size != sizeof(more))
		return -EPROTO;
	memcpy(&more, payload, sizeof(more));
	stream->credit += le32toh(more);
	return stream->credit > 1ull << 31 ? -EPROTO : 0;
}

/* A guest's text on our terminal, or in our log. */
static char *harmless(const char *text, size_t len)
{
	return g_strchomp(shown_text(text, (gssize)len, ""));
}

static int take_frame(void *opaque, const struct frame *frame, const unsigned char *payload)
{
	struct guest_link *link = opaque;
	struct guest_stream *stream;

	switch (frame->type) {
	case LODGE_RPC_DATA:
		return take_data(link, frame, payload);
	case LODGE_RPC_CREDIT:
		return take_credit(link, frame, payload);
	case LODGE_RPC_RESET:
		stream = find_stream(link, frame->tag);
		if (stream && !stream->reset) {
			stream->reset = true;
			stream->reason = harmless((const char *)payload, frame->size);
		}
		return 0;
	default:
		break;
	}
	for (size_t i = 0; i < link->n_commands; i++) {
		struct guest_command *command = link->commands[i];

		if (command->tag != frame->tag || command->done)
			continue;
		command->result = g_malloc((gsize)frame->size + 1);
		memcpy(command->result, payload, (size_t)frame->size + 1);
		command->len = frame->size;
		command->done = true;
	}
	return 0;
}

int guest_link_turn(struct guest_link *link)
{
	int ret = flush(link);
	ssize_t got;

	if (ret)
		return ret;
	do {
		got = recv(link->fd, link->chunk, READ_CHUNK, 0);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == EAGAIN ? 0 : -ECONNRESET;
	if (!got)
		return -ECONNRESET;
	ret = frame_cutter_feed(&link->cutter, link->chunk, (size_t)got, take_frame, link);
	return ret == -EBADMSG ? -EPROTO : ret;
}

int guest_link_wait(struct guest_link *link, int timeout_ms)
{
	struct pollfd pfd = guest_link_pollfd(link);
	int n = poll(&pfd, 1, timeout_ms);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	return n ? guest_link_turn(link) : -ETIMEDOUT;
}

int guest_stream_open(struct guest_link *link, bool from_guest, struct guest_stream *stream)
{
	if (link->n_streams == GUEST_STREAMS_MAX)
		return -EMFILE;
	*stream = (struct guest_stream){ .number = link->next_number++, .from_guest = from_guest };
	if (from_guest) {
		stream->ring = g_try_malloc(GUEST_WINDOW);
		if (!stream->ring)
			return -ENOMEM;
		stream->given = LODGE_RPC_CREDIT_FIRST;
	} else {
		stream->credit = LODGE_RPC_CREDIT_FIRST;
	}
	link->streams[link->n_streams++] = stream;
	return 0;
}

size_t guest_stream_room(const struct guest_link *link, const struct guest_stream *stream)
{
	if (stream->reset || stream->ended || backlog(link) >= GUEST_BACKLOG_MAX)
		return 0;
	return MIN(stream->credit, LODGE_RPC_DATA_MAX);
}

int guest_stream_send(struct guest_link *link, struct guest_stream *stream, const void *bytes,
		      size_t len, bool end)
{
	if (stream->reset || stream->ended)
		return -EPIPE;
	stream->credit -= len;
	stream->ended = end;
	return put(link, LODGE_RPC_DATA, end ? LODGE_RPC_F_END : 0, stream->number, bytes, len);
}

size_t guest_stream_peek(const struct guest_stream *stream, const unsigned char **ret_bytes)
{
	*ret_bytes = stream->ring + stream->start;
	return MIN(stream->len, GUEST_WINDOW - stream->start);
}

int guest_stream_take(struct guest_link *link, struct guest_stream *stream, size_t len)
{
	uint32_t more;

	stream->start = (stream->start + len) % GUEST_WINDOW;
	stream->len -= len;
	more = (uint32_t)(GUEST_WINDOW - stream->len - stream->given);
	if (stream->ended || stream->reset || more < CREDIT_STEP)
		return 0;
	return put_credit(link, stream, more);
}

bool guest_stream_over(const struct guest_stream *stream)
{
	return !stream->number || ((stream->ended || stream->reset) && !stream->len);
}

int guest_stream_give_up(struct guest_link *link, struct guest_stream *stream, const char *reason)
{
	if (!stream->number || stream->reset || (stream->ended && !stream->from_guest))
		return 0;
	stream->reset = true;
	stream->len = 0;
	return put(link, LODGE_RPC_RESET, 0, stream->number, reason, strlen(reason));
}

void guest_stream_close(struct guest_link *link, struct guest_stream *stream, const char *reason)
{
	if (!stream->ended)
		(void)guest_stream_give_up(link, stream, reason);
	for (size_t i = 0; i < link->n_streams; i++) {
		if (link->streams[i] != stream)
			continue;
		link->streams[i] = link->streams[--link->n_streams];
		g_free(stream->ring);
		g_free(stream->reason);
		*stream = (struct guest_stream){ 0 };
		return;
	}
}

/* A place for it, its old one where it had one. */
static int enlist(struct guest_link *link, struct guest_command *command)
{
	size_t i = 0;

	while (i < link->n_commands && link->commands[i] != command)
		i++;
	if (i == GUEST_COMMANDS_MAX)
		return -EMFILE;
	if (i < link->n_commands)
		g_free(command->result);
	else
		link->commands[link->n_commands++] = command;
	*command = (struct guest_command){ 0 };
	return 0;
}

int guest_command_send(struct guest_link *link, const struct fields_builder *text,
		       struct guest_command *command)
{
	int ret = fields_done(text);

	if (!ret && text->len > LODGE_RPC_DATA_MAX)
		ret = -EMSGSIZE;
	if (!ret)
		ret = enlist(link, command);
	if (ret)
		return ret;
	command->tag = link->next_tag++;
	return put(link, LODGE_RPC_COMMAND, 0, command->tag, text->bytes, text->len);
}

int guest_command_outcome(const struct guest_command *command, const char **ret_fields,
			  size_t *ret_len, char **ret_text)
{
	const char *text = command->result;
	guint64 number;
	char *end;

	if (command->len >= 2 && !memcmp(text, "OK", 2) && (command->len == 2 || text[2] == ' ')) {
		*ret_fields = text + MIN(command->len, 3);
		*ret_len = command->len - MIN(command->len, 3);
		if (!fields_check(*ret_fields, *ret_len))
			return 0;
	}
	if (command->len > 6 && g_str_has_prefix(text, "ERROR ") && g_ascii_isdigit(text[6])) {
		number = g_ascii_strtoull(text + 6, &end, 10);
		if (number > 0 && number < 4096) {
			*ret_text = harmless(end, command->len - (size_t)(end - text));
			g_strchug(*ret_text);
			return (int)number;
		}
	}
	if (command->len > 6 && g_str_has_prefix(text, "ERROR ")) {
		*ret_text = harmless(text + 6, command->len - 6);
		return EPROTO;
	}
	*ret_text = g_strdup("the guest's tools answered what cannot be understood");
	return EPROTO;
}
