// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The door of VMware's I/O ports: RPCI for what the guest asks, TCLO, polled, for what the host
 * asks.
 *
 * Theory of operation. Each call stops this processor until the host has answered, so a request is
 * done when it returns; requests are still carried out in dispatch, one each time, for the sake of
 * one order of events at all doors. TCLO has no interrupt: the guest sends the result of the last
 * command (empty at first and when there is none) and asks for the next one. The pause between
 * grows while nothing comes. While a command is being worked on nothing is sent, since an empty
 * message would tell the host that it is lost.
 */
#include <errno.h>
#include <string.h>

#include <lodge/backdoor.h>

#include "guest-daemon/lib/door_private.h"
#include "guest-daemon/lib/vmport.h"

#define MESSAGE_MAX	(64u << 10)
#define POLL_FIRST_MS	10
#define POLL_LONGEST_MS 250
#define TCLO_FAILURES	5

struct ioports {
	struct door base;
	bool takes_commands;
	bool has_tclo, has_rpci;
	struct vmport_channel tclo, rpci;
	uint32_t tag; /* of the latest command */
	bool working; /* on that command */
	GByteArray *result; /* to be sent; empty: nothing */
	int failures; /* of TCLO, one after another */
	int pause_ms;
	gint64 due; /* CLOCK_MONOTONIC, us */
	GQueue waiting; /* of struct door_asked */
};

static void request(struct door *door, struct door_asked *asked)
{
	struct ioports *ioports = (struct ioports *)door;

	door->n_waiting++;
	g_queue_push_tail(&ioports->waiting, asked);
}

static void result(struct door *door, uint32_t tag, const void *text, size_t len)
{
	static const char too_long[] = "ERROR 90 the result is too long";
	struct ioports *ioports = (struct ioports *)door;

	if (tag != ioports->tag)
		return;
	if (len > MESSAGE_MAX) {
		text = too_long;
		len = sizeof(too_long) - 1;
	}
	g_byte_array_set_size(ioports->result, 0);
	g_byte_array_append(ioports->result, text, (guint)len);
	ioports->working = false;
	ioports->due = 0;
}

static int open_rpci(struct ioports *ioports)
{
	int ret = ioports->has_rpci ? 0 : vmport_open(LODGE_VMW_PROT_RPCI, &ioports->rpci);

	ioports->has_rpci = !ret;
	return ret;
}

static void close_rpci(struct ioports *ioports)
{
	if (ioports->has_rpci)
		vmport_close(&ioports->rpci);
	ioports->has_rpci = false;
}

static int ask(struct ioports *ioports, const struct door_asked *asked, char **ret_reply,
	       size_t *ret_len)
{
	int ret = -EPIPE;

	/* A channel does not outlive a restored snapshot, or a host that cleans up. */
	for (int i = 0; i < 2 && ret == -EPIPE; i++) {
		ret = open_rpci(ioports);
		if (!ret)
			ret = vmport_send(&ioports->rpci, asked->message, asked->len);
		if (!ret)
			ret = vmport_receive(&ioports->rpci, MESSAGE_MAX, ret_reply, ret_len);
		if (!ret && !*ret_reply)
			ret = -EPIPE;
		if (ret)
			close_rpci(ioports);
	}
	return ret;
}

static int ask_next(struct ioports *ioports)
{
	struct door_asked *asked = g_queue_pop_head(&ioports->waiting);
	g_autofree char *reply = NULL;
	size_t len = 0;
	int ret;

	ioports->base.n_waiting--;
	if (asked->len > MESSAGE_MAX) {
		door_lose_reply(asked, -EMSGSIZE);
		return 0;
	}
	ret = ask(ioports, asked, &reply, &len);
	if (!ret)
		return door_take_reply(asked, reply, len, false);
	door_lose_reply(asked, ret);
	return ret == -EMSGSIZE ? 0 : -ECONNRESET;
}

static int open_tclo(struct ioports *ioports)
{
	int ret = vmport_open(LODGE_VMW_PROT_TCLO, &ioports->tclo);

	ioports->has_tclo = !ret;
	g_byte_array_set_size(ioports->result, 0);
	ioports->working = false;
	return ret;
}

static int tclo_failed(struct ioports *ioports)
{
	vmport_close(&ioports->tclo);
	ioports->has_tclo = false;
	ioports->pause_ms = 1000;
	return ++ioports->failures < TCLO_FAILURES ? 0 : -ECONNRESET;
}

static int poll_tclo(struct ioports *ioports)
{
	g_autofree char *command = NULL;
	size_t len = 0;
	int ret = ioports->has_tclo ? 0 : open_tclo(ioports);

	if (!ret)
		ret = vmport_send(&ioports->tclo, ioports->result->data, ioports->result->len);
	g_byte_array_set_size(ioports->result, 0);
	if (!ret)
		ret = vmport_receive(&ioports->tclo, MESSAGE_MAX, &command, &len);
	if (ret)
		return tclo_failed(ioports);
	ioports->failures = 0;
	if (!command) {
		ioports->pause_ms = CLAMP(ioports->pause_ms * 2, POLL_FIRST_MS, POLL_LONGEST_MS);
		return 0;
	}
	ioports->pause_ms = 0;
	ioports->working = true;
	return door_take_command(&ioports->base, ++ioports->tag, command, len);
}

static int dispatch(struct door *door)
{
	struct ioports *ioports = (struct ioports *)door;
	gint64 now = g_get_monotonic_time();
	int ret = 0;

	if (!door->ready) {
		door->ready = true;
		if (door->config.ops && door->config.ops->ready)
			door->config.ops->ready(door->config.opaque);
	}
	if (!g_queue_is_empty(&ioports->waiting))
		ret = ask_next(ioports);
	if (ret || !ioports->takes_commands || ioports->working || now < ioports->due)
		return ret;
	ret = poll_tclo(ioports);
	if (!ioports->result->len)
		ioports->due = now + (gint64)ioports->pause_ms * 1000;
	return ret;
}

static int timeout(const struct door *door)
{
	struct ioports *ioports = (struct ioports *)door;
	gint64 left;

	if (!door->ready || !g_queue_is_empty(&ioports->waiting))
		return 0;
	if (!ioports->takes_commands || ioports->working)
		return -1;
	left = (ioports->due - g_get_monotonic_time() + 999) / 1000;
	return left > 0 ? (int)left : 0;
}

static bool idle(const struct door *door)
{
	const struct ioports *ioports = (const struct ioports *)door;

	return !door->n_waiting && !ioports->working && !ioports->result->len;
}

static short events(const struct door *door)
{
	(void)door;
	return 0;
}

static void destroy(struct door *door)
{
	struct ioports *ioports = (struct ioports *)door;
	struct door_asked *asked;

	while ((asked = g_queue_pop_head(&ioports->waiting)))
		door_lose_reply(asked, -ECONNRESET);
	close_rpci(ioports);
	if (ioports->has_tclo)
		vmport_close(&ioports->tclo);
	g_byte_array_unref(ioports->result);
	door_fini(door);
	g_free(ioports);
}

static const struct door_type ioports_type = {
	.events = events,
	.timeout = timeout,
	.idle = idle,
	.dispatch = dispatch,
	.request = request,
	.result = result,
	.destroy = destroy,
};

int door_ioports_new(const struct door_config *config, struct door **ret_door)
{
	struct ioports *ioports;
	int ret = vmport_claim();

	if (ret)
		return ret;
	ioports = g_new0(struct ioports, 1);
	door_init(&ioports->base, &ioports_type, DOOR_IOPORTS, config);
	g_queue_init(&ioports->waiting);
	ioports->result = g_byte_array_new();
	ioports->takes_commands = config->ops && config->ops->command;
	/* Hosts that know the ports but not GuestMsg (QEMU's vmport) are found out here. */
	ret = open_rpci(ioports);
	if (!ret && ioports->takes_commands)
		ret = open_tclo(ioports);
	if (ret) {
		destroy(&ioports->base);
		return ret == -EBUSY ? -ENOENT : ret;
	}
	*ret_door = &ioports->base;
	return 0;
}
