/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What lodge_backdoor offers to our other modules: a session with the host of their own, that asks
 * and is asked in the words of protocol/spec/rpc.md.
 *
 * A client is told of a door (the virtio device) when it is there, and before it goes: at
 * unbinding, suspend, a reset of the device, and when the host closes the session. When there is a
 * door again it is told again, with a new session. Where programs have all sessions, or the host is
 * busy, it is told when one of theirs is free, or after a while.
 */
#ifndef LODGE_BACKDOOR_KERNEL_H
#define LODGE_BACKDOOR_KERNEL_H

#include <linux/list.h>
#include <linux/types.h>

struct lodge_session;

/* All functions are called in process context and may sleep, but hold up the events of others
 * meanwhile. They must not register or unregister clients. */
struct lodge_client {
	const char *app; /* of lodge.hello: lower-case letters, digits and - */
	void *context; /* the client's own */

	/* The host has taken @session's hello. @session is the client's until detach(). Commands
	 * may come before this returns. */
	void (*attach)(struct lodge_client *client, struct lodge_session *session);

	/* @session ends. Its requests have failed with -ENODEV or do so now; when detach() returns
	 * the client no longer uses it. Called once for each attach(). */
	void (*detach)(struct lodge_client *client, struct lodge_session *session);

	/* The host commands: @size bytes of @text, with no NUL behind them, valid during the call.
	 * The client answers with lodge_session_result(), now or later. NULL: it takes no commands.
	 * Must not wait for detach(). */
	void (*command)(struct lodge_client *client, struct lodge_session *session, u32 tag,
			const char *text, size_t size);

	/* The device's configuration has changed: the balloon's target. NULL: of no interest. */
	void (*changed)(struct lodge_client *client, struct lodge_session *session);

	struct list_head link; /* lodge_backdoor's */
};

/* A request on the balloon's queue and room for its reply, <lodge/balloon.h>: kmalloc'ed by the
 * caller, and the device's from lodge_session_balloon() until done(). */
struct lodge_balloon_job {
	const void *out;
	size_t out_size;
	void *in;
	size_t in_size;
	/* Any context, may not sleep. @used: bytes of the reply; 0: the device has dropped the
	 * request or is gone. */
	void (*done)(struct lodge_balloon_job *job, unsigned int used);
};

/* Zeroed @client but for its first members. It may be told of a door before this returns. */
int lodge_client_register(struct lodge_client *client);
/* When it returns, detach() has been called where it was due, and nothing calls the client any
 * more. */
void lodge_client_unregister(struct lodge_client *client);

/*
 * Asks the host, and waits at most @timeout_ms for the reply. Copies up to @reply_max bytes of what
 * stands behind "1 " or "0 " to @reply, and sets *ret_size to their number.
 * 0: the host said 1. -EREMOTEIO: it said 0, *ret_size is set, too. -EBUSY: eight requests wait for
 * replies, or the host has too many to answer this one: ask again. -ETIMEDOUT, -EINTR (a signal),
 * -ENODEV, -ENOMEM, -EPROTO (the reply made no sense): no reply. May sleep.
 */
int lodge_session_request(struct lodge_session *session, const void *request, size_t size,
			  void *reply, size_t reply_max, size_t *ret_size, unsigned int timeout_ms);

/* Answers the command with @tag: OK or ERROR, and @size bytes of @text. May sleep. */
int lodge_session_result(struct lodge_session *session, u32 tag, bool ok, const void *text,
			 size_t size);

/*
 * Sends @job: then done() is called once, however long the host takes; when the device goes, before
 * detach(). Also of a session that has failed, as long as the device is there.
 * -EOPNOTSUPP: this device has no balloon; -EAGAIN: its queue is full; -ENODEV, -ENOMEM.
 */
int lodge_session_balloon(struct lodge_session *session, struct lodge_balloon_job *job);
/* Pages of 4 KiB that the host wants; 0 where the device has no balloon. */
u32 lodge_session_balloon_target(struct lodge_session *session);
/* The host does not answer: has the device reset in a while, which ends every job. */
void lodge_session_renew(struct lodge_session *session);

#endif
