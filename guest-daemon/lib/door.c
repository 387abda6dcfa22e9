// SPDX-License-Identifier: GPL-2.0-or-later
// The kinds of doors by name, and what all doors do alike: requests, commands, waiting for answers.
#include "guest-daemon/lib/door.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lodge/rpc.h>

#include "guest-daemon/lib/door_private.h"

struct door_command {
	struct door *door;
	uint32_t tag;
};

static const struct {
	const char *name;
	int (*open)(const char *path);
	bool (*present)(const char *path); /* NULL: none that comes or goes */
	const char *missing, *denied, *busy, *dead;
} kinds[] = {
	[DOOR_DEV] = { "virtio", door_open_dev, door_dev_present,
		       "no /dev/lodge: the kernel module lodge_backdoor is not loaded, or this is "
		       "no Lodge VM",
		       "/dev/lodge may not be opened", "/dev/lodge has no session left",
		       "/dev/lodge does not answer" },
	[DOOR_PORT] = { "port", door_open_port, door_port_present,
			"no virtio-serial port org.lodge.tools.0: this is no Lodge VM, or the kernel "
			"lacks virtio_console",
			"the virtio-serial port is for root",
			"another program has the virtio-serial port",
			"the host does not answer at the virtio-serial port" },
	[DOOR_IOPORTS] = { "ioports", NULL, NULL,
			   "no VMware-compatible I/O ports: the host has none, or they are switched off",
			   "I/O ports are for root, and closed under kernel lockdown",
			   "the host has no I/O port channel left", "the I/O ports do not answer" },
	[DOOR_DAEMON] = { "daemon", door_open_daemon, NULL, "lodged does not run",
			  "lodged's socket is closed", "lodged is busy", "lodged does not answer" },
};

const char *door_name(enum door_kind kind)
{
	return kinds[kind].name;
}

int door_by_name(const char *name, enum door_kind *ret_kind)
{
	for (int kind = 0; kind < DOOR_KINDS; kind++) {
		if (!strcmp(name, kinds[kind].name)) {
			*ret_kind = kind;
			return 0;
		}
	}
	return -EINVAL;
}

const char *door_why(enum door_kind kind, int error)
{
	switch (error) {
	case -ENOENT:
	case -ENODEV:
	case -ENXIO:
		return kinds[kind].missing;
	case -EACCES:
	case -EPERM:
		return kinds[kind].denied;
	case -EBUSY:
		return kinds[kind].busy;
	default:
		return kinds[kind].dead;
	}
}

bool door_present(enum door_kind kind, const char *path)
{
	return kinds[kind].present && kinds[kind].present(path);
}

int door_open(enum door_kind kind, const struct door_config *config, struct door **ret_door)
{
	int fd;

	if (!kinds[kind].open)
		return door_ioports_new(config, ret_door);
	fd = kinds[kind].open(config->path);
	return fd < 0 ? fd : door_framed_new(kind, fd, config, ret_door);
}

int door_open_fd(enum door_kind kind, int fd, const struct door_config *config,
		 struct door **ret_door)
{
	return door_framed_new(kind, fd, config, ret_door);
}

void door_init(struct door *door, const struct door_type *type, enum door_kind kind,
	       const struct door_config *config)
{
	door->type = type;
	door->kind = kind;
	door->config = *config;
	door->fd = -1;
	door->commands = g_hash_table_new(NULL, NULL);
}

static void forget_command(gpointer key, gpointer value, gpointer opaque)
{
	struct door_command *command = value;

	(void)key;
	(void)opaque;
	command->door = NULL;
}

void door_fini(struct door *door)
{
	g_hash_table_foreach(door->commands, forget_command, NULL);
	g_hash_table_destroy(door->commands);
}

void door_close(struct door *door)
{
	if (door)
		door->type->destroy(door);
}

enum door_kind door_kind(const struct door *door)
{
	return door->kind;
}

bool door_ready(const struct door *door)
{
	return door->ready;
}

bool door_idle(const struct door *door)
{
	return !g_hash_table_size(door->commands) && door->type->idle(door);
}

bool door_has_streams(const struct door *door)
{
	return door->kind == DOOR_DEV || door->kind == DOOR_PORT;
}

int door_fd(const struct door *door)
{
	return door->fd;
}

short door_events(const struct door *door)
{
	return door->type->events(door);
}

int door_timeout(const struct door *door)
{
	return door->type->timeout(door);
}

int door_dispatch(struct door *door)
{
	return door->type->dispatch(door);
}

int door_request(struct door *door, const void *message, size_t len, door_reply_fn fn, void *opaque)
{
	struct door_asked *asked;

	if (!len || len > LODGE_RPC_PAYLOAD_MAX)
		return -EMSGSIZE;
	if (door->n_waiting >= DOOR_WAITING_MAX)
		return -EBUSY;
	asked = g_malloc(sizeof(*asked) + len);
	asked->fn = fn;
	asked->opaque = opaque;
	asked->len = len;
	memcpy(asked->message, message, len);
	door->type->request(door, asked);
	return 0;
}

int door_take_reply(struct door_asked *asked, const char *text, size_t len, bool busy)
{
	struct door_reply reply = { .busy = busy, .payload = text + 2, .len = len - 2 };

	if (len < 2 || (text[0] != '0' && text[0] != '1') || text[1] != ' ') {
		door_lose_reply(asked, -EBADMSG);
		return -EBADMSG;
	}
	reply.ok = text[0] == '1';
	if (asked->fn)
		asked->fn(asked->opaque, &reply);
	g_free(asked);
	return 0;
}

void door_lose_reply(struct door_asked *asked, int error)
{
	const struct door_reply reply = { .error = error, .payload = "" };

	if (asked->fn)
		asked->fn(asked->opaque, &reply);
	g_free(asked);
}

/* Cuts the word off @text: its length, 0 where there is no legal one. */
static size_t word_length(const char *text, size_t len)
{
	size_t word = 0;

	while (word < len && text[word] > ' ' && text[word] < 0x7f)
		word++;
	if (word > LODGE_RPC_WORD_MAX || (word < len && text[word] != ' ' && text[word] != '\0'))
		return 0;
	return word;
}

int door_take_command(struct door *door, uint32_t tag, const char *text, size_t len)
{
	const struct door_ops *ops = door->config.ops;
	size_t word_len = word_length(text, len);
	struct door_command *command;
	char word[LODGE_RPC_WORD_MAX + 1];
	size_t at = word_len;

	if (g_hash_table_contains(door->commands, GUINT_TO_POINTER(tag)))
		return -EBADMSG;
	command = g_new0(struct door_command, 1);
	command->door = door;
	command->tag = tag;
	g_hash_table_insert(door->commands, GUINT_TO_POINTER(tag), command);
	memcpy(word, text, word_len);
	word[word_len] = '\0';
	if (!word_len || !ops || !ops->command) {
		door_command_error(command, "Unknown Command");
	} else if (g_hash_table_size(door->commands) > LODGE_RPC_COMMANDS_MAX) {
		door_command_error(command, "16 too many commands");
	} else {
		if (at < len)
			at++;
		ops->command(door->config.opaque, command, word, text + at, len - at);
	}
	return 0;
}

void door_command_result(struct door_command *command, const void *text, size_t len)
{
	struct door *door = command->door;

	if (door) {
		g_hash_table_remove(door->commands, GUINT_TO_POINTER(command->tag));
		door->type->result(door, command->tag, text, len);
	}
	g_free(command);
}

void door_command_ok(struct door_command *command)
{
	door_command_result(command, "OK ", 3);
}

void door_command_error(struct door_command *command, const char *reason)
{
	g_autofree char *text = g_strconcat("ERROR ", reason, NULL);

	door_command_result(command, text, strlen(text));
}

struct door *door_command_door(const struct door_command *command)
{
	return command->door;
}

/* Waits for what door_dispatch() needs, at most until @deadline (CLOCK_MONOTONIC, us). */
static int step(struct door *door, gint64 deadline)
{
	gint64 left = deadline - g_get_monotonic_time();
	int timeout = door_timeout(door);
	struct pollfd pfd;

	if (left <= 0)
		return -ETIMEDOUT;
	if (timeout < 0 || timeout > left / 1000 + 1)
		timeout = (int)(left / 1000) + 1;
	pfd = (struct pollfd){ door_fd(door), door_events(door), 0 };
	if (poll(&pfd, 1, timeout) < 0 && errno != EINTR)
		return -errno;
	return door_dispatch(door);
}

int door_wait_ready(struct door *door, int timeout_ms)
{
	gint64 deadline = g_get_monotonic_time() + (gint64)timeout_ms * 1000;
	int ret = 0;

	while (!door->ready && !ret)
		ret = step(door, deadline);
	return ret;
}

struct waiter {
	bool done, given_up;
	int error;
	struct door_answer answer;
};

static void take_answer(void *opaque, const struct door_reply *reply)
{
	struct waiter *waiter = opaque;

	if (waiter->given_up) {
		g_free(waiter);
		return;
	}
	waiter->done = true;
	waiter->error = reply->error;
	if (reply->error)
		return;
	waiter->answer =
		(struct door_answer){ reply->ok, reply->busy, malloc(reply->len + 1), reply->len };
	if (!waiter->answer.payload) {
		waiter->error = -ENOMEM;
		return;
	}
	memcpy(waiter->answer.payload, reply->payload, reply->len);
	waiter->answer.payload[reply->len] = '\0';
}

int door_ask(struct door *door, const void *message, size_t len, int timeout_ms,
	     struct door_answer *ret_answer)
{
	gint64 deadline = g_get_monotonic_time() + (gint64)timeout_ms * 1000;
	struct waiter *waiter = g_new0(struct waiter, 1);
	int ret = door_request(door, message, len, take_answer, waiter);

	if (ret) {
		g_free(waiter);
		return ret;
	}
	while (!ret && !waiter->done)
		ret = step(door, deadline);
	if (!waiter->done) {
		/* The answer, or the loss of the door, comes later and to nobody. */
		waiter->given_up = true;
		return ret;
	}
	if (!ret)
		ret = waiter->error;
	if (ret)
		free(waiter->answer.payload);
	else
		*ret_answer = waiter->answer;
	g_free(waiter);
	return ret;
}
