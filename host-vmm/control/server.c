// SPDX-License-Identifier: GPL-2.0-or-later
// The control socket's server: clients, lines and their limits, on a main loop of its own thread.
#include "host-vmm/control/control.h"

#include <errno.h>
#include <glib-unix.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host-vmm/sandbox.h"
#include "protocol/lib/capabilities.h"
#include "protocol/lib/fd.h"
#include "protocol/lib/log.h"
#include "protocol/lib/thread.h"

#define STACK_SIZE  (1 << 20) /* what the JSON library may nest */
#define READ_CHUNK  4096
#define WAITING_MAX 1024 /* lines published faster than they are handed out */

static const char too_slow[] = "{\"event\":\"dropped\",\"hint\":\"read faster\"}\n";

struct control {
	const struct control_method *methods;
	void *opaque;
	char *path;
	int fd, spare_fd; /* unix_accept() */
	GMainContext *context;
	GMainLoop *loop;
	pthread_t thread;
	GPtrArray *clients; /* the loop's thread alone */
	struct log_ratelimit limit;
	/* What control_publish() brought, and whether the thread has been told. */
	GMutex lock;
	GQueue waiting;
	guint64 lost;
};

/*
 * Either reading, or with an answer that is not out yet: then nothing is read, so a client that
 * does not read costs one answer of memory and nothing more. One that follows is read to hear of
 * its end alone.
 */
struct client {
	struct control *control;
	int fd;
	GByteArray *in;
	char *out;
	size_t out_len, out_done;
	size_t out_room;
	bool follows;
	bool finish; /* close once the answer is out */
	GSource *source; /* fd readable or writable */
	GSource *stall;
};

static void client_free(void *data)
{
	struct client *client = data;

	if (client->source)
		g_source_destroy(client->source);
	g_clear_pointer(&client->source, g_source_unref);
	if (client->stall)
		g_source_destroy(client->stall);
	g_clear_pointer(&client->stall, g_source_unref);
	g_byte_array_unref(client->in);
	g_free(client->out);
	close(client->fd);
	g_free(client);
}

static void client_drop(struct client *client)
{
	g_ptr_array_remove_fast(client->control->clients, client);
}

static void client_watch(struct client *client);

static gboolean client_stalled(void *opaque)
{
	struct client *client = opaque;

	log_ratelimited(&client->control->limit, LOG_LEVEL_WARN,
			"control: a client does not read its answer; dropped");
	client_drop(client);
	return G_SOURCE_REMOVE;
}

/* False when the client is gone. */
static bool client_flush(struct client *client)
{
	while (client->out_done < client->out_len) {
		ssize_t sent = send(client->fd, client->out + client->out_done,
				    client->out_len - client->out_done,
				    MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && errno == EAGAIN)
			return true;
		if (sent < 0) {
			client_drop(client);
			return false;
		}
		client->out_done += (size_t)sent;
	}
	g_clear_pointer(&client->out, g_free);
	client->out_len = client->out_done = client->out_room = 0;
	if (client->finish) {
		client_drop(client);
		return false;
	}
	return true;
}

static void client_answer(struct client *client, char *answer)
{
	client->out = answer;
	client->out_len = strlen(answer);
	client->out_done = 0;
}

/* Answers the lines that are there, one at a time. False when the client is gone. */
static bool client_serve(struct client *client)
{
	struct control *control = client->control;

	while (!client->out) {
		const char *data = (const char *)client->in->data;
		const char *newline = client->in->len ? memchr(data, '\n', client->in->len) : NULL;
		size_t len;

		if (!newline && client->in->len < CONTROL_LINE_MAX)
			return true;
		if (!newline) {
			client->finish = true;
			client_answer(client,
				      g_strdup("{\"id\":null,\"error\":{\"message\":"
					       "\"the line is longer than 256 KiB\",\"hint\":"
					       "\"send one short request a line\"}}\n"));
			return client_flush(client);
		}
		len = (size_t)(newline - data);
		client_answer(client, control_answer(control->methods, control->opaque, data, len,
						     &client->follows));
		g_byte_array_remove_range(client->in, 0, (guint)len + 1);
		if (!client_flush(client))
			return false;
		if (client->follows)
			return true;
	}
	return true;
}

/* False when the client is gone. */
static bool client_read(struct client *client)
{
	guint8 chunk[READ_CHUNK];
	size_t room = CONTROL_LINE_MAX - client->in->len;
	ssize_t got;

	do {
		got = recv(client->fd, chunk, MIN(room, sizeof(chunk)), MSG_DONTWAIT);
	} while (got < 0 && errno == EINTR);
	if (got < 0 && errno == EAGAIN)
		return true;
	if (got <= 0) {
		client_drop(client);
		return false;
	}
	if (!client->follows)
		g_byte_array_append(client->in, chunk, (guint)got);
	return true;
}

static gboolean follower_ready(struct client *client, GIOCondition condition)
{
	bool had_out = client->out;

	g_byte_array_set_size(client->in, 0);
	if (condition & G_IO_OUT && !client_flush(client))
		return G_SOURCE_REMOVE;
	if (condition & ~G_IO_OUT && !client_read(client))
		return G_SOURCE_REMOVE;
	if (had_out == !!client->out)
		return G_SOURCE_CONTINUE;
	client_watch(client);
	return G_SOURCE_REMOVE;
}

static gboolean client_ready(int fd, GIOCondition condition, void *opaque)
{
	struct client *client = opaque;
	bool blocked = client->out;

	(void)fd;
	if (client->follows)
		return follower_ready(client, condition);
	if (blocked ? !client_flush(client) : !client_read(client))
		return G_SOURCE_REMOVE;
	if (!client_serve(client))
		return G_SOURCE_REMOVE;
	if (blocked == !!client->out && !client->follows)
		return G_SOURCE_CONTINUE;
	client_watch(client);
	return G_SOURCE_REMOVE;
}

static GIOCondition wanted(const struct client *client)
{
	if (client->follows && !client->finish)
		return client->out ? G_IO_IN | G_IO_OUT : G_IO_IN;
	return client->out ? G_IO_OUT : G_IO_IN;
}

static void client_watch(struct client *client)
{
	GMainContext *context = client->control->context;

	if (client->source)
		g_source_destroy(client->source);
	g_clear_pointer(&client->source, g_source_unref);
	client->source = g_unix_fd_source_new(client->fd, wanted(client));
	g_source_set_callback(client->source, G_SOURCE_FUNC(client_ready), client, NULL);
	g_source_attach(client->source, context);
	if (client->stall)
		g_source_destroy(client->stall);
	g_clear_pointer(&client->stall, g_source_unref);
	/* Events wait for a follower as long as there is room. */
	if (!client->out || (client->follows && !client->finish))
		return;
	client->stall = g_timeout_source_new(CONTROL_STALL_MS);
	g_source_set_callback(client->stall, client_stalled, client, NULL);
	g_source_attach(client->stall, context);
}

static void client_append(struct client *client, const char *text)
{
	size_t len = strlen(text), have = client->out_len - client->out_done;

	if (client->out_done) {
		memmove(client->out, client->out + client->out_done, have);
		client->out_len = have;
		client->out_done = 0;
	}
	if (have + len > client->out_room) {
		client->out_room = MAX(2 * client->out_room, have + len);
		client->out = g_realloc(client->out, client->out_room);
	}
	memcpy(client->out + have, text, len);
	client->out_len = have + len;
}

/* Takes out what has not begun to go, so that a last word gets through. */
static void client_cut(struct client *client)
{
	const char *at = client->out + client->out_done;
	const char *newline = memchr(at, '\n', client->out_len - client->out_done);

	client->out_len = (size_t)(newline + 1 - client->out);
}

static void client_tell(struct client *client, const char *line)
{
	bool had_out = client->out;

	if (client->finish)
		return;
	if (client->out_len - client->out_done + strlen(line) > CONTROL_EVENTS_MAX) {
		log_ratelimited(&client->control->limit, LOG_LEVEL_WARN,
				"control: a client does not read its events; dropped");
		client->finish = true;
		client_cut(client);
		client_append(client, too_slow);
		client_watch(client);
		return;
	}
	client_append(client, line);
	if (client_flush(client) && had_out != !!client->out)
		client_watch(client);
}

/* On the server's thread: hands out what was published. */
static gboolean hand_out(void *opaque)
{
	struct control *control = opaque;
	g_autofree char *lost = NULL;
	char *line;

	g_mutex_lock(&control->lock);
	if (control->lost)
		lost = g_strdup_printf("{\"event\":\"lost\",\"count\":%" G_GUINT64_FORMAT "}\n",
				       control->lost);
	control->lost = 0;
	g_mutex_unlock(&control->lock);
	for (;;) {
		g_mutex_lock(&control->lock);
		line = g_queue_pop_head(&control->waiting);
		g_mutex_unlock(&control->lock);
		if (!line && !lost)
			return G_SOURCE_REMOVE;
		if (!line)
			line = g_steal_pointer(&lost);
		/* Backwards: a client that is dropped gives its place to the last one. */
		for (guint i = control->clients->len; i-- > 0;) {
			struct client *client = g_ptr_array_index(control->clients, i);

			if (client->follows)
				client_tell(client, line);
		}
		g_free(line);
	}
}

void control_publish(struct control *control, const char *line)
{
	bool first;

	g_mutex_lock(&control->lock);
	first = g_queue_is_empty(&control->waiting);
	if (g_queue_get_length(&control->waiting) < WAITING_MAX)
		g_queue_push_tail(&control->waiting, g_strdup(line));
	else
		control->lost++;
	g_mutex_unlock(&control->lock);
	if (first)
		g_main_context_invoke(control->context, hand_out, control);
}

static void refuse(int fd, const char *line)
{
	/* One short line into an empty socket buffer: if it does not fit, the peer will see EOF. */
	if (send(fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_debug("control: a refused client is gone already");
}

static gboolean accept_ready(int listen_fd, GIOCondition condition, void *opaque)
{
	struct control *control = opaque;
	struct client *client;
	autofd fd = -1;

	(void)condition;
	fd = unix_accept(listen_fd, &control->spare_fd);
	if (fd < 0)
		return G_SOURCE_CONTINUE;
	if (!unix_peer_is_ours(fd)) {
		log_ratelimited(&control->limit, LOG_LEVEL_WARN,
				"control: another user's connection was refused");
		return G_SOURCE_CONTINUE;
	}
	if (control->clients->len >= CONTROL_CLIENTS_MAX) {
		refuse(fd, "{\"id\":null,\"error\":{\"message\":\"too many clients\","
			   "\"hint\":\"close one and try again\"}}\n");
		log_ratelimited(&control->limit, LOG_LEVEL_WARN,
				"control: more than %d clients; the next was refused",
				CONTROL_CLIENTS_MAX);
		return G_SOURCE_CONTINUE;
	}
	client = g_new0(struct client, 1);
	client->control = control;
	client->fd = fd_steal(&fd);
	client->in = g_byte_array_new();
	g_ptr_array_add(control->clients, client);
	client_watch(client);
	return G_SOURCE_CONTINUE;
}

static void *serve(void *opaque)
{
	struct control *control = opaque;
	GSource *source = g_unix_fd_source_new(control->fd, G_IO_IN);

	capabilities_keep(SANDBOX_CAPABILITIES);
	g_main_context_push_thread_default(control->context);
	g_source_set_callback(source, G_SOURCE_FUNC(accept_ready), control, NULL);
	g_source_attach(source, control->context);
	g_main_loop_run(control->loop);
	g_source_destroy(source);
	g_source_unref(source);
	/* The last words. */
	hand_out(control);
	g_ptr_array_set_size(control->clients, 0);
	g_main_context_pop_thread_default(control->context);
	return NULL;
}

static gboolean quit(void *opaque)
{
	g_main_loop_quit(opaque);
	return G_SOURCE_REMOVE;
}

/* The library would open a file for it, at the first request: no file may be opened then. */
static void seed_tables(void)
{
	size_t seed = 0;

	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) == sizeof(seed))
		json_object_seed(seed);
}

static void control_free(struct control *control)
{
	unlink(control->path);
	close(control->fd);
	fd_close(&control->spare_fd);
	g_ptr_array_unref(control->clients);
	g_queue_clear_full(&control->waiting, g_free);
	g_mutex_clear(&control->lock);
	g_main_loop_unref(control->loop);
	g_main_context_unref(control->context);
	g_free(control->path);
	g_free(control);
}

int control_start_with(const char *path, const struct control_method *methods, void *opaque,
		       struct control **ret_control)
{
	struct control *control;
	int fd, ret;

	*ret_control = NULL;
	fd = unix_listen_ours(path, CONTROL_CLIENTS_MAX);
	if (fd < 0)
		return fd;
	seed_tables();
	control = g_new0(struct control, 1);
	control->methods = methods;
	control->opaque = opaque;
	control->path = g_strdup(path);
	control->fd = fd;
	control->spare_fd = unix_spare(fd);
	control->context = g_main_context_new();
	control->loop = g_main_loop_new(control->context, FALSE);
	control->clients = g_ptr_array_new_with_free_func(client_free);
	g_mutex_init(&control->lock);
	g_queue_init(&control->waiting);
	/* Signals are the main thread's. */
	ret = thread_start(&control->thread, STACK_SIZE, 0, serve, control);
	if (ret)
		control_free(control);
	else
		*ret_control = control;
	return ret;
}

void control_stop(struct control *control)
{
	if (!control)
		return;
	/* As a source, not by a plain call: the loop may not have begun to run. */
	g_main_context_invoke(control->context, quit, control->loop);
	pthread_join(control->thread, NULL);
	control_free(control);
}
