// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Doors that carry frames (protocol/spec/rpc.md): /dev/lodge, the virtio-serial port, and lodged's
 * socket. One session over one non-blocking descriptor.
 *
 * Theory of operation. The descriptor sits in an epoll set of its own, edge-triggered, and the
 * owner polls that set: a port whose host end is away reports POLLHUP for ever, which
 * level-triggered polling would turn into a busy loop, while an edge comes when the host returns.
 * In exchange each dispatch must go on until EAGAIN, or remember that it did not (more, blocked).
 *
 * States: away (a port without host; nothing was sent) -> greeting (lodge.hello is out; what
 * arrives at a port is dropped byte by byte until a header announces the reply to it, since it may
 * hold bytes of another time) -> ready. Requests wait before ready, and beyond the eighth. Any
 * error is the end.
 */
#include "guest-daemon/lib/door_framed.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "protocol/lib/fields.h"

#define READ_BYTES    (LODGE_RPC_HEADER_SIZE + (64u << 10) + 1024)
#define REPLY_MAX     ((64u << 10) + 1024) /* variables have at most 64 KiB */
#define READS_AT_ONCE 16 /* then others have their turn */
#define OUT_HIGH      (256u << 10) /* streams pause beyond it */
#define OUT_MAX	      (8u << 20) /* a host that makes us talk and does not listen */

struct chunk {
	size_t len, at;
	unsigned char bytes[];
};

static struct framed *framed_of(const struct door *door)
{
	return (struct framed *)door;
}

void framed_send(struct framed *framed, enum lodge_rpc_type type, uint16_t flags, uint32_t tag,
		 const void *payload, size_t len)
{
	struct frame frame = { .size = (uint32_t)len, .type = type, .flags = flags, .tag = tag };
	struct chunk *chunk;

	if (framed->error)
		return;
	if (framed->out_bytes > OUT_MAX) {
		framed->error = -ENOBUFS;
		return;
	}
	if (type == LODGE_RPC_REQUEST)
		frame.reply_max = REPLY_MAX;
	chunk = g_malloc(sizeof(*chunk) + LODGE_RPC_HEADER_SIZE + len);
	chunk->len = LODGE_RPC_HEADER_SIZE + len;
	chunk->at = 0;
	frame_build(&frame, chunk->bytes);
	if (len)
		memcpy(chunk->bytes + LODGE_RPC_HEADER_SIZE, payload, len);
	g_queue_push_tail(&framed->out, chunk);
	framed->out_bytes += chunk->len;
}

bool framed_congested(const struct framed *framed)
{
	return framed->out_bytes >= OUT_HIGH;
}

static uint32_t free_tag(struct framed *framed)
{
	do {
		framed->next_tag++;
	} while (g_hash_table_contains(framed->asked, GUINT_TO_POINTER(framed->next_tag)));
	return framed->next_tag;
}

static void send_request(struct framed *framed, struct door_asked *asked)
{
	uint32_t tag = free_tag(framed);

	framed_send(framed, LODGE_RPC_REQUEST, 0, tag, asked->message, asked->len);
	g_hash_table_insert(framed->asked, GUINT_TO_POINTER(tag), asked);
}

static void send_waiting(struct framed *framed)
{
	while (framed->base.ready && g_hash_table_size(framed->asked) < LODGE_RPC_REQUESTS_MAX &&
	       !g_queue_is_empty(&framed->waiting)) {
		framed->base.n_waiting--;
		send_request(framed, g_queue_pop_head(&framed->waiting));
	}
}

static void request(struct door *door, struct door_asked *asked)
{
	struct framed *framed = framed_of(door);

	door->n_waiting++;
	g_queue_push_tail(&framed->waiting, asked);
	send_waiting(framed);
}

static void result(struct door *door, uint32_t tag, const void *text, size_t len)
{
	static const char too_long[] = "ERROR 90 the result is too long";
	struct framed *framed = framed_of(door);

	if (len > LODGE_RPC_PAYLOAD_MAX)
		framed_send(framed, LODGE_RPC_RESULT, 0, tag, too_long, sizeof(too_long) - 1);
	else
		framed_send(framed, LODGE_RPC_RESULT, 0, tag, text, len);
}

static void greet(struct framed *framed)
{
	const struct door_config *config = &framed->base.config;
	struct fields_builder hello = FIELDS_BUILDER(1024);

	fields_raw(&hello, "lodge.hello ");
	fields_add(&hello, "app", config->app);
	fields_add(&hello, "version", config->version);
	if (config->ops && config->ops->command)
		fields_add(&hello, "commands", "1");
	/* Stale replies on a port must not be taken for ours. */
	framed->hello_tag = g_random_int();
	framed->next_tag = framed->hello_tag;
	framed_send(framed, LODGE_RPC_REQUEST, 0, framed->hello_tag, hello.bytes, hello.len);
	fields_free(&hello);
	framed->away = false;
	framed->deadline = g_get_monotonic_time() + (gint64)DOOR_HELLO_MS * 1000;
}

/* Replies and commands come by two queues of the module's, and may pass each other on the way. */
static int keep_early(struct framed *framed, const struct frame *frame, const char *text)
{
	if (framed->early || framed->base.kind != DOOR_DEV || frame->type != LODGE_RPC_COMMAND)
		return -EBADMSG;
	framed->early = g_string_new_len(text, frame->size);
	framed->early_tag = frame->tag;
	return 0;
}

static int take_early(struct framed *framed)
{
	GString *early = g_steal_pointer(&framed->early);
	int ret;

	if (!early)
		return 0;
	ret = door_take_command(&framed->base, framed->early_tag, early->str, early->len);
	g_string_free(early, TRUE);
	return ret;
}

static int greeted(struct framed *framed, const struct frame *frame, const char *payload)
{
	struct door *door = &framed->base;

	if (frame->size < 2 || memcmp(payload, "1 ", 2) != 0)
		return frame->flags & LODGE_RPC_F_BUSY ? -EBUSY : -ECONNREFUSED;
	if (fields_check(payload + 2, frame->size - 2))
		return -EBADMSG;
	door->ready = true;
	if (door->config.ops && door->config.ops->ready)
		door->config.ops->ready(door->config.opaque);
	send_waiting(framed);
	return take_early(framed);
}

static int replied(struct framed *framed, const struct frame *frame, const char *payload)
{
	gpointer tag = GUINT_TO_POINTER(frame->tag);
	struct door_asked *asked = g_hash_table_lookup(framed->asked, tag);
	int ret;

	if (!framed->base.ready && frame->tag == framed->hello_tag)
		return greeted(framed, frame, payload);
	if (!asked)
		return -EBADMSG;
	g_hash_table_remove(framed->asked, tag);
	ret = door_take_reply(asked, payload, frame->size, frame->flags & LODGE_RPC_F_BUSY);
	send_waiting(framed);
	return ret;
}

static int take_frame(void *opaque, const struct frame *frame, const unsigned char *payload)
{
	struct framed *framed = opaque;
	const char *text = (const char *)payload;

	if (!framed->base.ready && frame->type != LODGE_RPC_REPLY)
		return keep_early(framed, frame, text);
	switch (frame->type) {
	case LODGE_RPC_REPLY:
		return replied(framed, frame, text);
	case LODGE_RPC_COMMAND:
		return door_take_command(&framed->base, frame->tag, text, frame->size);
	case LODGE_RPC_DATA:
	case LODGE_RPC_CREDIT:
	case LODGE_RPC_RESET:
		framed_stream_frame(framed, frame, payload);
		return 0;
	case LODGE_RPC_CLOSE:
		return -ECONNRESET;
	default:
		return -EBADMSG;
	}
}

/* Drops bytes until the last 24 are the header of the greeting's reply, and feeds from there on. */
static int feed(struct framed *framed, const unsigned char *bytes, size_t len)
{
	unsigned char *window = framed->window;
	struct frame frame;
	size_t at = 0;
	int ret;

	while (!framed->in_step && at < len) {
		if (framed->window_len == LODGE_RPC_HEADER_SIZE)
			memmove(window, window + 1, --framed->window_len);
		window[framed->window_len++] = bytes[at++];
		if (framed->window_len < LODGE_RPC_HEADER_SIZE ||
		    frame_parse(window, FRAME_TYPE(LODGE_RPC_REPLY), &frame) ||
		    frame.tag != framed->hello_tag)
			continue;
		framed->in_step = true;
		ret = frame_cutter_feed(&framed->cutter, window, LODGE_RPC_HEADER_SIZE, take_frame,
					framed);
		if (ret)
			return ret;
	}
	return at < len ? frame_cutter_feed(&framed->cutter, bytes + at, len - at, take_frame,
					    framed)
			: 0;
}

static int read_some(struct framed *framed)
{
	framed->more = false;
	for (int i = 0; i < READS_AT_ONCE; i++) {
		ssize_t got = read(framed->fd, framed->buffer, READ_BYTES);
		int ret;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return errno == EAGAIN ? 0 : -errno;
		if (!got)
			return -ECONNRESET;
		ret = feed(framed, framed->buffer, (size_t)got);
		if (ret)
			return ret;
	}
	framed->more = true;
	return 0;
}

static int write_some(struct framed *framed)
{
	bool was_congested = framed_congested(framed);
	struct chunk *chunk;

	framed->blocked = false;
	while ((chunk = g_queue_peek_head(&framed->out))) {
		ssize_t put = write(framed->fd, chunk->bytes + chunk->at, chunk->len - chunk->at);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0 && errno == EAGAIN) {
			framed->blocked = true;
			break;
		}
		if (put < 0)
			return errno == EPIPE ? -ECONNRESET : -errno;
		chunk->at += (size_t)put;
		framed->out_bytes -= (size_t)put;
		if (chunk->at == chunk->len)
			g_free(g_queue_pop_head(&framed->out));
	}
	if (was_congested && !framed_congested(framed))
		framed_streams_room(framed);
	return 0;
}

static bool host_away(const struct framed *framed)
{
	struct pollfd pfd = { framed->fd, 0, 0 };

	return framed->base.kind == DOOR_PORT && poll(&pfd, 1, 0) == 1 && pfd.revents & POLLHUP;
}

/* The events that the inner set waits for; setting them again reports what is already there. */
static int arm(struct framed *framed)
{
	uint32_t wanted = EPOLLIN | EPOLLET;
	struct epoll_event event = { .data.fd = framed->fd };

	if (framed->away || framed->blocked)
		wanted |= EPOLLOUT;
	if (wanted == framed->armed)
		return 0;
	event.events = wanted;
	if (epoll_ctl(framed->base.fd, framed->armed ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, framed->fd,
		      &event))
		return -errno;
	framed->armed = wanted;
	return 0;
}

static int dispatch(struct door *door)
{
	struct framed *framed = framed_of(door);
	struct epoll_event event;
	int ret = framed->error;

	/* Takes the edge away. What it said is found out below. */
	(void)epoll_wait(door->fd, &event, 1, 0);
	if (!ret && framed->away) {
		if (host_away(framed))
			return arm(framed);
		greet(framed);
	}
	if (!ret)
		ret = read_some(framed);
	if (!ret)
		ret = write_some(framed);
	if (!ret)
		ret = framed->error;
	if (!ret && !door->ready && g_get_monotonic_time() >= framed->deadline)
		ret = -ETIMEDOUT;
	if (!ret)
		ret = arm(framed);
	framed->error = ret;
	return ret;
}

static short events(const struct door *door)
{
	(void)door;
	return POLLIN;
}

static int timeout(const struct door *door)
{
	struct framed *framed = framed_of(door);
	gint64 left;

	if (framed->error || framed->more || !framed->armed)
		return 0;
	if (!g_queue_is_empty(&framed->out) && !framed->blocked && !framed->away)
		return 0;
	if (door->ready || framed->away)
		return -1;
	left = (framed->deadline - g_get_monotonic_time()) / 1000 + 1;
	return left > 0 ? (int)left : 0;
}

static bool idle(const struct door *door)
{
	struct framed *framed = framed_of(door);

	return !framed->out_bytes && !door->n_waiting && !g_hash_table_size(framed->asked);
}

static void lose_asked(gpointer key, gpointer value, gpointer opaque)
{
	(void)key;
	(void)opaque;
	door_lose_reply(value, -ECONNRESET);
}

static void destroy(struct door *door)
{
	struct framed *framed = framed_of(door);
	struct door_asked *asked;

	/* What the owners do in these last calls is not sent. */
	framed->error = -ECONNRESET;
	framed_streams_lose(framed);
	g_hash_table_foreach(framed->asked, lose_asked, NULL);
	while ((asked = g_queue_pop_head(&framed->waiting)))
		door_lose_reply(asked, -ECONNRESET);
	g_hash_table_destroy(framed->asked);
	g_hash_table_destroy(framed->streams);
	g_queue_foreach(&framed->out, (GFunc)(void (*)(void))g_free, NULL);
	g_queue_clear(&framed->out);
	if (framed->early)
		g_string_free(framed->early, TRUE);
	frame_cutter_reset(&framed->cutter);
	if (door->fd >= 0)
		close(door->fd);
	close(framed->fd);
	door_fini(door);
	g_free(framed->buffer);
	g_free(framed);
}

static const struct door_type framed_type = {
	.events = events,
	.timeout = timeout,
	.idle = idle,
	.dispatch = dispatch,
	.request = request,
	.result = result,
	.destroy = destroy,
};

int door_framed_new(enum door_kind kind, int fd, const struct door_config *config,
		    struct door **ret_door)
{
	struct framed *framed = g_new0(struct framed, 1);
	int ret;

	door_init(&framed->base, &framed_type, kind, config);
	framed->fd = fd;
	framed->cutter.types = FRAMES_FROM_HOST;
	/* What is read of the node is of this session alone. */
	framed->in_step = kind == DOOR_DEV;
	framed->buffer = g_malloc(READ_BYTES);
	framed->asked = g_hash_table_new(NULL, NULL);
	framed->streams = g_hash_table_new(NULL, NULL);
	g_queue_init(&framed->out);
	g_queue_init(&framed->waiting);
	framed->base.fd = epoll_create1(EPOLL_CLOEXEC);
	ret = framed->base.fd < 0 ? -errno : 0;
	if (!ret) {
		framed->away = host_away(framed);
		if (!framed->away)
			greet(framed);
		ret = arm(framed);
	}
	if (ret) {
		destroy(&framed->base);
		return ret;
	}
	*ret_door = &framed->base;
	return 0;
}
