// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sessions of other modules: each gets one with every door that comes, hello said, and loses it
 * before the door goes. include/lodge_backdoor.h is the contract.
 */
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "compat/compat.h"
#include "include/lodge_backdoor.h"
#include "lodge_backdoor/door.h"

#define HELLO_TIMEOUT_MS 5000

/* Between attempts to get a session for a client that has none: doubled each time. */
#define RETRY_FIRST (1 * HZ)
#define RETRY_MOST  (64 * HZ)

/* Who is there: modules and doors come in any order, so this belongs to none of them. */
static DEFINE_MUTEX(clients_lock);
static LIST_HEAD(clients);
static LIST_HEAD(doors);

static struct lodge_session *find_session(struct lodge_door *door, struct lodge_client *client)
{
	struct lodge_session *found = NULL;
	unsigned int i;

	spin_lock_irq(&door->lock);
	for (i = 0; i < door->sessions_max && !found; i++) {
		struct lodge_session *session = door->sessions[i];

		if (session && session->open && session->client &&
		    (!client || session->client == client))
			found = session;
	}
	spin_unlock_irq(&door->lock);
	return found;
}

static int say_hello(struct lodge_session *session, struct lodge_client *client)
{
	char hello[128], reply[LODGE_REPLY_MAX_LEAST];
	size_t size;
	int n;

	n = snprintf(hello, sizeof(hello), "lodge.hello app=%s%cversion=%s%c%s%c", client->app, 0,
		     LODGE_VERSION, 0, client->command ? "commands=1" : "commands=0", 0);
	if (n >= (int)sizeof(hello))
		return -EINVAL;
	return lodge_session_request(session, hello, n, reply, sizeof(reply), &size,
				     HELLO_TIMEOUT_MS);
}

static int attach_client(struct lodge_door *door, struct lodge_client *client)
{
	struct lodge_session *session;
	int err;

	err = lodge_session_open(door, client, true, GLOBAL_ROOT_UID, &session);
	if (err)
		return err;
	err = say_hello(session, client);
	if (err) {
		lodge_session_close(session);
		return err;
	}
	session->attached = true;
	client->attach(client, session);
	return 0;
}

/* Ends @session. The work of events runs no command of it any more. */
static void detach_session(struct lodge_session *session)
{
	LIST_HEAD(dead);

	spin_lock_irq(&session->door->lock);
	lodge_session_fail(session, -ENODEV, &dead);
	spin_unlock_irq(&session->door->lock);
	lodge_frames_free(&dead);
	flush_work(&session->door->events);
	if (session->attached)
		session->client->detach(session->client, session);
	lodge_session_close(session);
}

/* May it be another answer later? What the host refuses it refuses again, and a door that goes is
 * told of when it comes back. */
static bool is_passing(int error)
{
	return error && error != -EREMOTEIO && error != -EINVAL && error != -ENODEV;
}

static int attach_if_alone(struct lodge_door *door, struct lodge_client *client)
{
	struct lodge_session *session = find_session(door, client);
	int err;

	if (session && session->ended_by_host) {
		detach_session(session);
		session = NULL;
	}
	err = session ? 0 : attach_client(door, client);
	if (err && err != -ENODEV && !(is_passing(err) && door->retry_delay))
		dev_warn(&door->vdev->dev, "%s has no session, error %d%s\n", client->app, err,
			 is_passing(err) ? "; it is tried again" : "");
	return err;
}

void lodge_clients_attach_work(struct work_struct *work)
{
	struct lodge_door *door = container_of(to_delayed_work(work), struct lodge_door, attach);
	struct lodge_client *client;
	bool again = false;

	mutex_lock(&clients_lock);
	list_for_each_entry(client, &clients, link)
		again |= is_passing(attach_if_alone(door, client));
	mutex_unlock(&clients_lock);
	door->retry_delay = again ? clamp_t(long, 2 * door->retry_delay, RETRY_FIRST, RETRY_MOST)
				  : 0;
	if (again)
		schedule_delayed_work(&door->attach, door->retry_delay);
}

void lodge_clients_attach_in(struct lodge_door *door, unsigned long delay)
{
	/* An attempt may be due in a minute. */
	cancel_delayed_work(&door->attach);
	schedule_delayed_work(&door->attach, delay);
}

void lodge_clients_add_door(struct lodge_door *door)
{
	mutex_lock(&clients_lock);
	list_add_tail(&door->link, &doors);
	mutex_unlock(&clients_lock);
	lodge_clients_attach_in(door, 0);
}

void lodge_clients_detach(struct lodge_door *door)
{
	struct lodge_session *session;

	cancel_delayed_work_sync(&door->attach);
	door->retry_delay = 0;
	mutex_lock(&clients_lock);
	while ((session = find_session(door, NULL)))
		detach_session(session);
	mutex_unlock(&clients_lock);
}

void lodge_clients_remove_door(struct lodge_door *door)
{
	mutex_lock(&clients_lock);
	list_del_init(&door->link);
	mutex_unlock(&clients_lock);
	lodge_clients_detach(door);
}

void lodge_clients_changed_work(struct work_struct *work)
{
	struct lodge_door *door = container_of(work, struct lodge_door, changed);
	struct lodge_session *session;
	struct lodge_client *client;

	mutex_lock(&clients_lock);
	list_for_each_entry(client, &clients, link) {
		session = client->changed ? find_session(door, client) : NULL;
		if (session && session->attached)
			client->changed(client, session);
	}
	mutex_unlock(&clients_lock);
}

int lodge_client_register(struct lodge_client *client)
{
	struct lodge_door *door;

	if (!client->app || !client->attach || !client->detach)
		return -EINVAL;
	mutex_lock(&clients_lock);
	list_add_tail(&client->link, &clients);
	list_for_each_entry(door, &doors, link)
		lodge_clients_attach_in(door, 0);
	mutex_unlock(&clients_lock);
	return 0;
}
EXPORT_SYMBOL_GPL(lodge_client_register);

void lodge_client_unregister(struct lodge_client *client)
{
	struct lodge_session *session;
	struct lodge_door *door;

	mutex_lock(&clients_lock);
	list_del(&client->link);
	list_for_each_entry(door, &doors, link)
		while ((session = find_session(door, client)))
			detach_session(session);
	mutex_unlock(&clients_lock);
}
EXPORT_SYMBOL_GPL(lodge_client_unregister);

void lodge_client_command(struct lodge_session *session, struct lodge_frame *frame)
{
	if (session->client->command)
		session->client->command(session->client, session, le32_to_cpu(frame->header.tag),
					 (const char *)frame->in + LODGE_RPC_HEADER_SIZE,
					 le32_to_cpu(frame->header.size));
}

/* Counts, makes and sends a frame; @waiter, or NULL, is told of its reply. */
static int send(struct lodge_session *session, const struct lodge_rpc_header *header,
		const void *payload, struct lodge_waiter *waiter, struct lodge_frame **ret_frame)
{
	enum lodge_pool pool = waiter ? LODGE_POOL_REQUESTS : LODGE_POOL_SENDS;
	size_t size = le32_to_cpu(header->size);
	size_t in_size = waiter ? LODGE_RPC_HEADER_SIZE + le32_to_cpu(header->reply_max) : 0;
	struct lodge_frame *frame;
	int err;

	err = lodge_session_frame(session, pool, LODGE_RPC_HEADER_SIZE + size, in_size, &frame);
	if (!err) {
		frame->waiter = waiter;
		memcpy(frame->out + LODGE_RPC_HEADER_SIZE, payload, size);
		err = lodge_session_send(session, frame, header);
		if (err)
			lodge_session_unsent(session, frame);
	}
	if (!err)
		*ret_frame = frame;
	return err == -EAGAIN ? -EBUSY : err;
}

/* "1 text" or "0 text" */
static int open_reply(const struct lodge_frame *frame, void *reply, size_t reply_max,
		      size_t *ret_size)
{
	size_t size = le32_to_cpu(frame->header.size);
	const char *text = (const char *)frame->in + LODGE_RPC_HEADER_SIZE;
	char verdict = size ? text[0] : 0;

	if ((verdict != '0' && verdict != '1') || (size > 1 && text[1] != ' '))
		return -EPROTO;
	if (frame->header.flags & cpu_to_le16(LODGE_RPC_F_BUSY))
		return -EBUSY;
	*ret_size = size > 2 ? min(size - 2, reply_max) : 0;
	memcpy(reply, text + 2, *ret_size);
	return verdict == '1' ? 0 : -EREMOTEIO;
}

int lodge_session_request(struct lodge_session *session, const void *request, size_t size,
			  void *reply, size_t reply_max, size_t *ret_size, unsigned int timeout_ms)
{
	struct lodge_door *door = session->door;
	struct lodge_waiter waiter = { .done = false };
	struct lodge_rpc_header header = {
		.magic = cpu_to_le32(LODGE_RPC_MAGIC),
		.size = cpu_to_le32(size),
		.type = cpu_to_le16(LODGE_RPC_REQUEST),
	};
	struct lodge_frame *frame;
	long left;
	int err;

	if (size > door->payload_max || reply_max > door->payload_max - 2)
		return -EINVAL;
	header.reply_max = cpu_to_le32(max_t(size_t, reply_max + 2, LODGE_REPLY_MAX_LEAST));
	err = send(session, &header, request, &waiter, &frame);
	if (err)
		return err;
	left = wait_event_interruptible_timeout(session->wait, waiter.done || session->error,
						msecs_to_jiffies(timeout_ms));

	spin_lock_irq(&door->lock);
	if (!waiter.done)
		frame->waiter = NULL;
	err = session->error;
	spin_unlock_irq(&door->lock);
	if (waiter.reply) {
		err = waiter.error;
		if (!err)
			err = open_reply(waiter.reply, reply, reply_max, ret_size);
		lodge_frame_free(waiter.reply);
	} else if (!err) {
		err = left < 0 ? -EINTR : -ETIMEDOUT;
	}
	return err;
}
EXPORT_SYMBOL_GPL(lodge_session_request);

int lodge_session_result(struct lodge_session *session, u32 tag, bool ok, const void *text,
			 size_t size)
{
	const char *verdict = ok ? "OK " : "ERROR ";
	size_t start = strlen(verdict);
	struct lodge_rpc_header header = {
		.magic = cpu_to_le32(LODGE_RPC_MAGIC),
		.size = cpu_to_le32(start + size),
		.type = cpu_to_le16(LODGE_RPC_RESULT),
		.tag = cpu_to_le32(tag),
	};
	struct lodge_frame *frame;
	char *whole;
	int err;

	if (size > session->door->payload_max - start)
		return -EINVAL;
	whole = kvmalloc(start + size, GFP_KERNEL);
	if (!whole)
		return -ENOMEM;
	memcpy(whole, verdict, start);
	memcpy(whole + start, text, size);
	err = send(session, &header, whole, NULL, &frame);
	kvfree(whole);
	return err;
}
EXPORT_SYMBOL_GPL(lodge_session_result);
