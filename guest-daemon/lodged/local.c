// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lodged's socket: other programs of the guest ask the host through the door that lodged has.
 *
 * Frames of protocol/spec/rpc.md, requests alone. The kernel says who asks: root may send any word
 * but the greeting and what lodged itself tells; others may read variables. `lodged.status` and
 * `lodged.update` (tell the host everything anew) are answered here.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest-daemon/lib/paths.h"
#include "guest-daemon/lodged/lodged.h"
#include "protocol/lib/fd.h"
#include "protocol/lib/fields.h"
#include "protocol/lib/frame.h"
#include "protocol/lib/log.h"

#define CLIENTS_MAX 32
/* Of these: root's alone, and of what is left one user's. */
#define CLIENTS_ROOT 8
#define CLIENTS_USER 8
#define READ_BYTES   4096

struct local {
	struct lodged *lodged;
	char *path;
	char *conf_link; /* by which lodge-toolbox finds our tools.conf */
	int fd, spare_fd; /* unix_accept() */
	guint source;
	GList *clients;
	struct log_ratelimit limit;
};

struct client {
	struct local *local;
	int fd;
	guint source;
	uid_t uid;
	bool root, greeted;
	struct frame_cutter cutter;
	unsigned int asked; /* of the host, no reply yet */
	bool gone; /* freed when asked is 0 */
};

struct question {
	struct client *client;
	uint32_t tag;
	uint32_t reply_max;
};

static void client_free(struct client *client)
{
	frame_cutter_reset(&client->cutter);
	g_free(client);
}

static void client_drop(struct client *client)
{
	if (client->gone)
		return;
	client->gone = true;
	client->local->clients = g_list_remove(client->local->clients, client);
	g_source_remove(client->source);
	close(client->fd);
	if (!client->asked)
		client_free(client);
}

/* A client that does not read its replies loses them, and the rest: lodged does not wait for it. */
static void send_reply(struct client *client, uint32_t tag, uint16_t flags, const char *text,
		       size_t len)
{
	struct frame frame = {
		.size = (uint32_t)len, .type = LODGE_RPC_REPLY, .flags = flags, .tag = tag
	};
	g_autofree unsigned char *bytes = g_malloc(LODGE_RPC_HEADER_SIZE + len);

	if (client->gone)
		return;
	frame_build(&frame, bytes);
	memcpy(bytes + LODGE_RPC_HEADER_SIZE, text, len);
	if (send(client->fd, bytes, LODGE_RPC_HEADER_SIZE + len, MSG_NOSIGNAL | MSG_DONTWAIT) !=
	    (ssize_t)(LODGE_RPC_HEADER_SIZE + len))
		(void)shutdown(client->fd, SHUT_RDWR);
}

static void reply_text(struct client *client, uint32_t tag, const char *text)
{
	send_reply(client, tag, 0, text, strlen(text));
}

static void answered(void *opaque, const struct door_reply *reply)
{
	struct question *question = opaque;
	struct client *client = question->client;
	g_autofree char *text = NULL;

	if (reply->error == -ENOTCONN || reply->error == -ECONNRESET) {
		reply_text(client, question->tag, "0 lodged has no door to the host");
	} else if (reply->error) {
		reply_text(client, question->tag, "0 the host cannot be asked now");
	} else if (reply->len + 2 > question->reply_max) {
		text = g_strdup_printf("0 reply has %zu bytes", reply->len + 2);
		reply_text(client, question->tag, text);
	} else {
		text = g_malloc(reply->len + 2);
		memcpy(text, reply->ok ? "1 " : "0 ", 2);
		memcpy(text + 2, reply->payload, reply->len);
		send_reply(client, question->tag, reply->busy ? LODGE_RPC_F_BUSY : 0, text,
			   reply->len + 2);
	}
	client->asked--;
	if (client->gone && !client->asked)
		client_free(client);
	g_free(question);
}

static bool is_word(const char *message, size_t len, const char *word)
{
	size_t word_len = strlen(word);

	return len >= word_len && !memcmp(message, word, word_len) &&
	       (len == word_len || message[word_len] == ' ' || message[word_len] == '\0');
}

static void greet(struct client *client, uint32_t tag)
{
	struct fields_builder reply = FIELDS_BUILDER(256);

	client->greeted = true;
	fields_raw(&reply, "1 ");
	fields_add(&reply, "version", LODGE_VERSION);
	fields_add(&reply, "door", "daemon");
	fields_add(&reply, "privilege", client->root ? "root" : "user");
	send_reply(client, tag, 0, reply.bytes, reply.len);
	fields_free(&reply);
}

static void tell_status(struct client *client, uint32_t tag)
{
	struct lodged *lodged = client->local->lodged;
	struct door *door = lodged_door(lodged);
	g_autofree char *why = lodged->link ? link_why(lodged->link) : g_strdup("");
	g_auto(GStrv) lines = g_strsplit(why, "\n", -1);
	struct fields_builder reply = FIELDS_BUILDER(16384);
	g_autofree char *policy = conf_string(lodged->conf, "guest-ops", "allow-exec");

	fields_raw(&reply, "1 ");
	fields_add(&reply, "version", LODGE_VERSION);
	fields_add(&reply, "door", door ? door_name(door_kind(door)) : "");
	fields_add(&reply, "allow-exec", policy ? policy : "off");
	for (char **line = lines; *line; line++) {
		if (**line)
			fields_add(&reply, "why", *line);
	}
	for (size_t i = 0; i < n_plugins; i++)
		fields_addf(&reply, "plugin", "%s %s", plugins[i]->name, plugins[i]->help);
	plugins_status(lodged, &reply);
	if (fields_done(&reply))
		reply_text(client, tag, "0 out of memory");
	else
		send_reply(client, tag, 0, reply.bytes, reply.len);
	fields_free(&reply);
}

static int take_frame(void *opaque, const struct frame *frame, const unsigned char *payload)
{
	struct client *client = opaque;
	const char *message = (const char *)payload;
	struct question *question;

	if (is_word(message, frame->size, "lodge.hello")) {
		greet(client, frame->tag);
	} else if (!client->greeted) {
		reply_text(client, frame->tag, "0 say lodge.hello first");
	} else if (is_word(message, frame->size, "lodged.status")) {
		tell_status(client, frame->tag);
	} else if (client->root && is_word(message, frame->size, "lodged.update")) {
		plugins_reset(client->local->lodged);
		reply_text(client, frame->tag, "1 ");
	} else if (is_word(message, frame->size, "lodge.facts") ||
		   (!client->root && !is_word(message, frame->size, "info-get") &&
		    !is_word(message, frame->size, "lodge.balloon"))) {
		reply_text(client, frame->tag, "0 Permission denied");
	} else if (client->asked >= LODGE_RPC_REQUESTS_MAX) {
		send_reply(client, frame->tag, LODGE_RPC_F_BUSY, "0 busy", 6);
	} else {
		question = g_new(struct question, 1);
		*question = (struct question){ client, frame->tag, frame->reply_max };
		client->asked++;
		lodged_ask_bytes(client->local->lodged, answered, question, message, frame->size);
	}
	return 0;
}

static gboolean on_bytes(gint fd, GIOCondition condition, gpointer opaque)
{
	struct client *client = opaque;
	char bytes[READ_BYTES];
	ssize_t got = read(fd, bytes, sizeof(bytes));
	int ret = 0;

	(void)condition;
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return G_SOURCE_CONTINUE;
	if (got > 0)
		ret = frame_cutter_feed(&client->cutter, bytes, (size_t)got, take_frame, client);
	if (ret)
		log_ratelimited(&client->local->limit, LOG_LEVEL_WARN,
				"a program sent what is no frame to %s", client->local->path);
	if (got <= 0 || ret)
		client_drop(client);
	return G_SOURCE_CONTINUE;
}

/* Whoever opens all that it can leaves others room, and root in any case. */
static bool has_room(const struct local *local, uid_t uid)
{
	unsigned int same = 0, all = 0;

	for (GList *at = local->clients; at; at = at->next) {
		all++;
		same += ((struct client *)at->data)->uid == uid;
	}
	if (uid == 0)
		return all < CLIENTS_MAX;
	return all < CLIENTS_MAX - CLIENTS_ROOT && same < CLIENTS_USER;
}

static gboolean on_client(gint fd, GIOCondition condition, gpointer opaque)
{
	struct local *local = opaque;
	struct ucred who;
	socklen_t len = sizeof(who);
	struct client *client;
	int got = unix_accept(fd, &local->spare_fd);

	(void)condition;
	if (got < 0)
		return G_SOURCE_CONTINUE;
	if (getsockopt(got, SOL_SOCKET, SO_PEERCRED, &who, &len) || !has_room(local, who.uid)) {
		close(got);
		return G_SOURCE_CONTINUE;
	}
	client = g_new0(struct client, 1);
	client->local = local;
	client->fd = got;
	client->uid = who.uid;
	client->root = who.uid == 0;
	client->cutter.types = FRAME_TYPE(LODGE_RPC_REQUEST);
	client->source = g_unix_fd_add(got, G_IO_IN, on_bytes, client);
	local->clients = g_list_prepend(local->clients, client);
	return G_SOURCE_CONTINUE;
}

static void show_conf(const struct local *local)
{
	g_autofree char *path = g_canonicalize_filename(conf_path(local->lodged->conf), NULL);

	(void)unlink(local->conf_link);
	if (symlink(path, local->conf_link) < 0)
		log_debug("cannot make %s: %s", local->conf_link, strerror(errno));
}

int local_start(struct lodged *lodged, struct local **ret_local)
{
	struct local *local = g_new0(struct local, 1);
	int ret;

	local->lodged = lodged;
	local->path = g_build_filename(lodged->run_folder, "lodged.sock", NULL);
	local->conf_link = g_build_filename(lodged->run_folder, LODGED_CONF_LINK, NULL);
	/* The lock says that no other lodged runs: what is there is left over. */
	(void)unlink(local->path);
	local->fd = unix_listen(local->path, 8);
	if (local->fd < 0) {
		ret = local->fd;
		g_free(local->conf_link);
		g_free(local->path);
		g_free(local);
		return ret;
	}
	(void)chmod(local->path, 0666);
	show_conf(local);
	(void)fcntl(local->fd, F_SETFL, O_NONBLOCK);
	local->spare_fd = unix_spare(local->fd);
	local->source = g_unix_fd_add(local->fd, G_IO_IN, on_client, local);
	*ret_local = local;
	return 0;
}

void local_stop(struct local *local)
{
	if (!local)
		return;
	while (local->clients)
		client_drop(local->clients->data);
	g_source_remove(local->source);
	close(local->fd);
	fd_close(&local->spare_fd);
	(void)unlink(local->path);
	(void)unlink(local->conf_link);
	g_free(local->conf_link);
	g_free(local->path);
	g_free(local);
}
