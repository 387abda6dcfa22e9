// SPDX-License-Identifier: GPL-2.0-or-later
// Commands: from tools_command() to the guest, and their results back.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/backdoor/private.h"

/* Of a session's commands: for the service's own, so that it can ping and shut down tools whose
 * clients have all others open. */
#define COMMANDS_OWN 8u

static void unlink_call(struct rpc_session *session, struct tools_call *call)
{
	struct tools_call **at;

	for (at = &session->calls; *at != call; at = &(*at)->next)
		;
	*at = call->next;
	if (!*at)
		session->calls_end = at;
	session->n_calls--;
	call->session = NULL;
}

void command_free(struct tools_call *call)
{
	free(call->message);
	free(call->item.bytes);
	free(call);
}

bool command_is_ok(const char *result, size_t len)
{
	return len >= 2 && memcmp(result, "OK", 2) == 0 && (len == 2 || result[2] == ' ');
}

/* The I/O ports' protocol knows no tags: the next one waits for the result. */
static bool must_wait(const struct rpc_session *session)
{
	return session->door == RPC_DOOR_IOPORTS && session->calls && session->calls->sent;
}

static int send_call(struct rpc_session *session, struct tools_call *call)
{
	const struct frame frame = {
		.type = LODGE_RPC_COMMAND,
		.size = (uint32_t)call->len,
		.tag = call->tag,
	};
	int ret = session_send(session, &frame, call->message);

	if (ret < 0)
		return ret;
	call->sent = true;
	free(call->message);
	call->message = NULL;
	return 0;
}

/* Its end without a result. */
static void fail(struct rpc_session *session, struct tools_call *call, int error)
{
	void (*internal)(struct rpc_session *, const char *, size_t) = call->internal;

	unlink_call(session, call);
	if (call->done && !call->cancelled) {
		call->item.error = error;
		deliver_post(session->backdoor, &call->item);
		return;
	}
	command_free(call);
	if (internal)
		internal(session, NULL, 0);
}

static void send_waiting(struct rpc_session *session)
{
	struct tools_call *call, *next;

	for (call = session->calls; call && !must_wait(session); call = next) {
		int ret = call->sent ? 0 : send_call(session, call);

		next = call->next;
		if (ret < 0)
			fail(session, call, ret);
	}
}

int command_send(struct rpc_session *session, const void *message, size_t len,
		 void (*internal)(struct rpc_session *session, const char *result, size_t len),
		 tools_done_fn done, void *opaque, struct tools_call **ret_call)
{
	struct tools_call *call;
	int ret;

	if (len > LODGE_RPC_DATA_MAX)
		return -EMSGSIZE;
	if (session->n_calls >= LODGE_RPC_COMMANDS_MAX - (done ? COMMANDS_OWN : 0))
		return -EBUSY;
	call = calloc(1, sizeof(*call));
	if (!call)
		return -ENOMEM;
	call->message = malloc(len + 1);
	if (!call->message) {
		free(call);
		return -ENOMEM;
	}
	memcpy(call->message, message, len);
	call->message[len] = '\0';
	call->len = len;
	call->session = session;
	call->backdoor = session->backdoor;
	call->internal = internal;
	call->done = done;
	call->opaque = opaque;
	call->item = (struct host_item){ .kind = ITEM_DONE, .target = call };
	/* 64 at most are open: a number comes again after 2^32 others. */
	call->tag = ++session->last_tag;
	/* Behind those that wait, if there are any. */
	if (session->door != RPC_DOOR_IOPORTS || !session->calls) {
		ret = send_call(session, call);
		if (ret < 0) {
			command_free(call);
			return ret;
		}
	}
	*session->calls_end = call;
	session->calls_end = &call->next;
	session->n_calls++;
	if (ret_call)
		*ret_call = call;
	return 0;
}

static struct tools_call *find_call(struct rpc_session *session, uint32_t tag)
{
	for (struct tools_call *call = session->calls; call; call = call->next)
		if (call->sent && call->tag == tag)
			return call;
	return NULL;
}

void command_result(struct rpc_session *session, uint32_t tag, const char *result, size_t len)
{
	struct tools_call *call = find_call(session, tag);

	if (!call) {
		log_ratelimited(&session->backdoor->log_limit, LOG_LEVEL_WARN,
				"backdoor: the guest answers a command that was not asked");
		return;
	}
	unlink_call(session, call);
	if (call->internal) {
		call->internal(session, result, len);
		command_free(call);
	} else if (!call->done || call->cancelled) {
		command_free(call);
	} else {
		call->item.bytes = malloc(len + 1);
		if (call->item.bytes) {
			memcpy(call->item.bytes, result, len);
			call->item.bytes[len] = '\0';
			call->item.len = len;
		} else {
			call->item.error = -ENOMEM;
		}
		deliver_post(session->backdoor, &call->item);
	}
	send_waiting(session);
}

void command_end_all(struct rpc_session *session)
{
	while (session->calls)
		fail(session, session->calls, -ECONNRESET);
}

int tools_command(struct backdoor *backdoor, uint32_t epoch, const void *message, size_t len,
		  tools_done_fn done, void *opaque, struct tools_call **ret_call)
{
	struct tools *tools = &backdoor->tools;
	int ret = -ENOTCONN;

	backdoor_lock(backdoor);
	if (tools->up && (epoch == 0 || epoch == tools->epoch))
		ret = command_send(tools->session, message, len, NULL, done, opaque, ret_call);
	backdoor_unlock(backdoor);
	return ret;
}

void tools_cancel(struct tools_call *call)
{
	struct backdoor *backdoor;

	if (!call)
		return;
	backdoor = call->backdoor;
	backdoor_lock(backdoor);
	deliver_forget(backdoor, call);
	if (call->session && call->sent) {
		/* Its tag stays taken until the guest has answered. */
		call->cancelled = true;
	} else {
		if (call->session)
			unlink_call(call->session, call);
		command_free(call);
	}
	backdoor_unlock(backdoor);
}
