// SPDX-License-Identifier: GPL-2.0-or-later
// Sessions: what a door opens, hands messages to, and closes.
#include "host-vmm/backdoor/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/backdoor/private.h"

int rpc_session_open(struct backdoor *backdoor, enum rpc_door door, enum rpc_privilege privilege,
		     const struct rpc_session_ops *ops, void *opaque,
		     struct rpc_session **ret_session)
{
	struct rpc_session *session = calloc(1, sizeof(*session));

	if (!session)
		return -ENOMEM;
	session->backdoor = backdoor;
	session->door = door;
	session->privilege = privilege;
	session->ops = ops;
	session->opaque = opaque;
	session->calls_end = &session->calls;
	session->bucket = (struct rpc_bucket){ RPC_TOKENS, backdoor_now_ms() };
	session->polled_ms = session->steady_ms = backdoor_now_ms();
	session->start_item = (struct host_item){ .kind = ITEM_START, .target = session };
	backdoor_lock(backdoor);
	if (backdoor->n_sessions[door] >= RPC_SESSIONS_OF_DOOR) {
		backdoor_unlock(backdoor);
		free(session);
		return -EMFILE;
	}
	backdoor->n_sessions[door]++;
	session->next = backdoor->sessions;
	backdoor->sessions = session;
	*ret_session = session;
	/* A GuestMsg channel says nothing of itself: who asks for commands is to be asked. */
	if (door == RPC_DOOR_IOPORTS) {
		session->hello = true;
		session->commanded = ops->send != NULL;
		if (session->commanded)
			deliver_post(backdoor, &session->start_item);
	}
	backdoor_unlock(backdoor);
	return 0;
}

void rpc_session_set_space(struct rpc_session *session, uint64_t space)
{
	backdoor_lock(session->backdoor);
	session->space = space;
	backdoor_unlock(session->backdoor);
}

void rpc_session_polled(struct rpc_session *session)
{
	backdoor_lock(session->backdoor);
	if (!session->closed)
		start_polled(session);
	backdoor_unlock(session->backdoor);
}

static void end(struct rpc_session *session, const char *why)
{
	session->commanded = false;
	deliver_forget(session->backdoor, session);
	command_end_all(session);
	stream_end_all(session);
	start_session_ended(session, why);
}

void rpc_session_close(struct rpc_session *session)
{
	struct backdoor *backdoor;
	struct rpc_session **at;

	if (!session)
		return;
	backdoor = session->backdoor;
	backdoor_lock(backdoor);
	session->closed = true;
	end(session, "the guest's tools went away");
	for (at = &backdoor->sessions; *at != session; at = &(*at)->next)
		;
	*at = session->next;
	backdoor->n_sessions[session->door]--;
	backdoor_unlock(backdoor);
	free(session);
}

int session_send(struct rpc_session *session, const struct frame *frame, const void *payload)
{
	if (session->closed || !session->ops->send)
		return -EPIPE;
	return session->ops->send(session->opaque, frame, payload);
}

void session_shut(struct rpc_session *session, const char *why)
{
	const struct frame frame = { .type = LODGE_RPC_CLOSE };

	if (session->closed)
		return;
	end(session, why);
	(void)session_send(session, &frame, NULL);
	session->closed = true;
}

void rpc_session_request(struct rpc_session *session, const void *message, size_t len,
			 struct rpc_reply *reply)
{
	backdoor_lock(session->backdoor);
	*reply = (struct rpc_reply){ 0 };
	if (session->closed)
		reply_static(reply, "0 the session is closed");
	else
		dispatch(session, message, len, reply);
	backdoor_unlock(session->backdoor);
}

void rpc_session_result(struct rpc_session *session, uint32_t tag, const void *message, size_t len)
{
	backdoor_lock(session->backdoor);
	if (!session->closed)
		command_result(session, tag, message, len);
	backdoor_unlock(session->backdoor);
}

void rpc_session_frame(struct rpc_session *session, const struct frame *frame, const void *payload)
{
	backdoor_lock(session->backdoor);
	if (!session->closed && session->hello)
		stream_frame(session, frame, payload);
	backdoor_unlock(session->backdoor);
}

void rpc_session_writable(struct rpc_session *session)
{
	backdoor_lock(session->backdoor);
	if (!session->closed)
		stream_writable(session);
	backdoor_unlock(session->backdoor);
}

void rpc_reply_free(struct rpc_reply *reply)
{
	free(reply->owned);
	*reply = (struct rpc_reply){ 0 };
}

const char *rpc_door_name(enum rpc_door door)
{
	switch (door) {
	case RPC_DOOR_VIRTIO:
		return "virtio";
	case RPC_DOOR_PORT:
		return "port";
	case RPC_DOOR_IOPORTS:
		return "ioports";
	}
	return "";
}

const char *rpc_privilege_name(enum rpc_privilege privilege)
{
	switch (privilege) {
	case RPC_USER:
		return "user";
	case RPC_OWNER:
		return "owner";
	case RPC_ROOT:
		return "root";
	}
	return "";
}
