// SPDX-License-Identifier: GPL-2.0-or-later
// Bytes between a stream and a child's descriptor, both ways, at the pace of the slower.
#include "guest-daemon/lodged/pump.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <lodge/rpc.h>

#define ROUNDS 8 /* then others have their turn */

static void unwatch(struct pump *pump)
{
	if (pump->source)
		g_source_remove(pump->source);
	pump->source = 0;
}

static void drop_fd(struct pump *pump)
{
	unwatch(pump);
	if (pump->fd >= 0)
		close(pump->fd);
	pump->fd = -1;
}

static void drop_stream(struct pump *pump, const char *reason)
{
	struct door_stream *stream = pump->stream;

	pump->stream = NULL;
	door_stream_close(stream, reason);
}

static void tell_over(struct pump *pump)
{
	if (pump->over)
		pump->over(pump->opaque, pump);
}

/* ---- from the child to the host ---- */

static gboolean on_readable(gint fd, GIOCondition condition, gpointer opaque);

static void watch_out(struct pump *pump)
{
	bool wanted = pump->fd >= 0 && pump->stream && door_stream_room(pump->stream) > 0;

	if (wanted && !pump->source)
		pump->source = g_unix_fd_add(pump->fd, G_IO_IN, on_readable, pump);
	else if (!wanted)
		unwatch(pump);
}

void pump_release(struct pump *pump, const char *reason)
{
	if (pump->stream && !reason)
		door_stream_send(pump->stream, "", 0, true);
	drop_stream(pump, reason ? reason : "");
}

static void end_out(struct pump *pump)
{
	drop_fd(pump);
	pump->at_end = true;
	if (!pump->hold_end)
		pump_release(pump, NULL);
	tell_over(pump);
}

enum moved { MOVED, NOTHING_NOW, OVER };

/* One read. OVER: the pump may be gone. */
static enum moved move_out(struct pump *pump)
{
	char bytes[LODGE_RPC_DATA_MAX];
	size_t room = door_stream_room(pump->stream);
	ssize_t got;

	if (pump->left >= 0 && (uint64_t)pump->left < room)
		room = (size_t)pump->left;
	if (pump->left == 0) {
		end_out(pump);
		return OVER;
	}
	if (!room)
		return NOTHING_NOW;
	got = read(pump->fd, bytes, MIN(room, sizeof(bytes)));
	if (got < 0 && errno == EINTR)
		return MOVED;
	/* Behind pump_finish() an empty pipe is at its end, whoever may still have it open. */
	if (got < 0 && errno == EAGAIN && pump->left < 0)
		return NOTHING_NOW;
	/* A terminal whose programs have gone says EIO. */
	if (got <= 0) {
		end_out(pump);
		return OVER;
	}
	if (pump->left > 0)
		pump->left -= got;
	pump->bytes += (uint64_t)got;
	door_stream_send(pump->stream, bytes, (size_t)got, false);
	return MOVED;
}

static void pump_out(struct pump *pump)
{
	enum moved moved = MOVED;

	for (int i = 0; i < ROUNDS && moved == MOVED && pump->stream; i++)
		moved = move_out(pump);
	if (moved != OVER)
		watch_out(pump);
}

static gboolean on_readable(gint fd, GIOCondition condition, gpointer opaque)
{
	(void)fd;
	(void)condition;
	pump_out(opaque);
	return G_SOURCE_CONTINUE;
}

static void on_room(void *opaque)
{
	struct pump *pump = opaque;

	if (pump->fd >= 0)
		watch_out(pump);
}

void pump_finish(struct pump *pump)
{
	int bytes = 0;

	if (pump->fd < 0 || pump->left >= 0)
		return;
	if (ioctl(pump->fd, FIONREAD, &bytes) || bytes < 0)
		bytes = 0;
	pump->left = bytes;
	pump_out(pump);
}

/* ---- from the host to the child ---- */

static void pump_in(struct pump *pump);

static gboolean on_writable(gint fd, GIOCondition condition, gpointer opaque)
{
	(void)fd;
	(void)condition;
	pump_in(opaque);
	return G_SOURCE_CONTINUE;
}

static void end_in(struct pump *pump, const char *reason)
{
	if (pump->keep_fd)
		unwatch(pump);
	else
		drop_fd(pump);
	drop_stream(pump, reason);
	tell_over(pump);
}

static void pump_in(struct pump *pump)
{
	ssize_t put = 0;

	if (pump->fd < 0)
		return;
	if (pump->held->len)
		put = write(pump->fd, pump->held->data, pump->held->len);
	if (put < 0 && errno != EAGAIN && errno != EINTR) {
		/* The child has closed it, or ended. */
		g_byte_array_set_size(pump->held, 0);
		end_in(pump, "the program reads no more");
		return;
	}
	if (put > 0) {
		g_byte_array_remove_range(pump->held, 0, (guint)put);
		pump->bytes += (uint64_t)put;
		if (pump->stream)
			door_stream_credit(pump->stream, (size_t)put);
	}
	if (!pump->held->len && pump->at_end)
		end_in(pump, "");
	else if (!pump->held->len)
		unwatch(pump);
	else if (!pump->source)
		pump->source = g_unix_fd_add(pump->fd, G_IO_OUT, on_writable, pump);
}

static void on_data(void *opaque, const void *bytes, size_t len, bool end)
{
	struct pump *pump = opaque;

	g_byte_array_append(pump->held, bytes, (guint)len);
	pump->at_end = end;
	pump_in(pump);
}

static void on_reset(void *opaque, const char *reason)
{
	struct pump *pump = opaque;

	(void)reason;
	pump->reset = true;
	/* The owner decides first what the child is to see: a signal, or the end of a pipe. */
	drop_stream(pump, "");
	unwatch(pump);
	tell_over(pump);
}

void pump_init(struct pump *pump, enum door_direction direction,
	       void (*over)(void *opaque, struct pump *pump), void *opaque)
{
	*pump = (struct pump){
		.direction = direction, .fd = -1, .left = -1, .over = over, .opaque = opaque
	};
}

int pump_open(struct pump *pump, struct door *door, uint32_t number)
{
	static const struct door_stream_ops out = { .room = on_room, .reset = on_reset };
	static const struct door_stream_ops in = { .data = on_data, .reset = on_reset };

	if (pump->direction == DOOR_STREAM_IN && !pump->held)
		pump->held = g_byte_array_new();
	return door_stream_open(door, number, pump->direction,
				pump->direction == DOOR_STREAM_IN ? &in : &out, pump,
				&pump->stream);
}

void pump_start(struct pump *pump, int fd)
{
	pump->fd = fd;
	(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	if (pump->direction == DOOR_STREAM_OUT)
		watch_out(pump);
	else
		pump_in(pump);
}

bool pump_is_over(const struct pump *pump)
{
	bool held = pump->direction == DOOR_STREAM_OUT && pump->hold_end && pump->at_end;

	return (!pump->stream || held) && (pump->fd < 0 || pump->keep_fd);
}

void pump_stop(struct pump *pump, const char *reason)
{
	drop_fd(pump);
	drop_stream(pump, reason);
	if (pump->held)
		g_byte_array_unref(pump->held);
	pump->held = NULL;
}
