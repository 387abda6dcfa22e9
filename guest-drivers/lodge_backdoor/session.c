// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sessions of the backdoor: their numbers, what each may send and keep, and how they end.
 */
#include <linux/cred.h>
#include <linux/kernel.h>
#include <linux/slab.h>

#include "compat/compat.h"
#include "lodge_backdoor/door.h"

/*
 * Bytes that one session may hold of each pool. A single frame fits into each whatever its size is.
 * EVENTS is what rpc.md lets the host send to one that takes commands: 64 commands of 64 KiB, and
 * the first credit for the stdin of each. Programs without ROOT are never commanded.
 */
static const size_t pool_max[LODGE_POOLS] = {
	[LODGE_POOL_REQUESTS] = 4u << 20,
	[LODGE_POOL_SENDS] = 3u << 20,
	[LODGE_POOL_EVENTS] =
		LODGE_RPC_COMMANDS_MAX * (LODGE_RPC_DATA_MAX + LODGE_RPC_CREDIT_FIRST),
};
#define USER_EVENTS_MAX (2 * LODGE_RPC_DATA_MAX)

static size_t session_pool_max(const struct lodge_session *session, enum lodge_pool pool)
{
	if (pool == LODGE_POOL_EVENTS && !session->root)
		return USER_EVENTS_MAX;
	return pool_max[pool];
}

bool lodge_session_fits(const struct lodge_session *session, enum lodge_pool pool, size_t bytes)
{
	size_t held = session->charge[pool];

	return !held || held + bytes <= session_pool_max(session, pool);
}

int lodge_session_charge(struct lodge_session *session, enum lodge_pool pool, size_t bytes)
{
	struct lodge_door *door = session->door;

	if (session->error)
		return session->error;
	if (session->ended_by_host && pool != LODGE_POOL_EVENTS)
		return -EPIPE;
	if (pool == LODGE_POOL_REQUESTS && session->requests >= LODGE_RPC_REQUESTS_MAX)
		return -EBUSY;
	if (!lodge_session_fits(session, pool, bytes))
		return pool == LODGE_POOL_REQUESTS ? -EBUSY : -EAGAIN;
	/* The larger half is root's: what users do does not stop the daemon. */
	if (door->memory + bytes > door->memory_max ||
	    (!session->root && door->user_memory + bytes > door->memory_max / 2))
		return -ENOBUFS;
	session->charge[pool] += bytes;
	door->memory += bytes;
	if (!session->root)
		door->user_memory += bytes;
	if (pool == LODGE_POOL_REQUESTS)
		session->requests++;
	return 0;
}

void lodge_session_uncharge(struct lodge_session *session, enum lodge_pool pool, size_t bytes)
{
	session->charge[pool] -= bytes;
	session->door->memory -= bytes;
	if (!session->root)
		session->door->user_memory -= bytes;
	if (pool == LODGE_POOL_REQUESTS)
		session->requests--;
}

int lodge_session_frame(struct lodge_session *session, enum lodge_pool pool, size_t out_size,
			size_t in_size, struct lodge_frame **ret_frame)
{
	struct lodge_door *door = session->door;
	size_t charge = lodge_frame_charge(out_size, in_size);
	struct lodge_frame *frame;
	int err;

	spin_lock_irq(&door->lock);
	err = lodge_session_charge(session, pool, charge);
	spin_unlock_irq(&door->lock);
	if (err)
		return err;
	frame = lodge_frame_alloc(out_size, in_size, door->ring_size);
	if (frame) {
		frame->pool = pool;
		frame->charge = charge;
		*ret_frame = frame;
		return 0;
	}
	spin_lock_irq(&door->lock);
	lodge_session_uncharge(session, pool, charge);
	spin_unlock_irq(&door->lock);
	return -ENOMEM;
}

void lodge_session_unsent(struct lodge_session *session, struct lodge_frame *frame)
{
	spin_lock_irq(&session->door->lock);
	lodge_session_consumed(session, frame);
	spin_unlock_irq(&session->door->lock);
	lodge_frame_free(frame);
}

bool lodge_session_has_room(const struct lodge_session *session)
{
	size_t largest = lodge_frame_charge(LODGE_RPC_HEADER_SIZE + session->door->payload_max, 0);

	return lodge_session_fits(session, LODGE_POOL_SENDS, largest);
}

void lodge_session_consumed(struct lodge_session *session, struct lodge_frame *frame)
{
	lodge_session_uncharge(session, frame->pool, frame->charge);
}

/* A free number that @owner may have, or -EBUSY: three quarters of all are for users, one for each.
 */
static int find_number(const struct lodge_door *door, bool root, kuid_t owner)
{
	unsigned int i, users = 0, same = 0;
	int number = -EBUSY;

	for (i = 0; i < door->sessions_max; i++) {
		const struct lodge_session *session = door->sessions[i];

		if (!session) {
			if (number < 0)
				number = i;
		} else if (!session->root) {
			users++;
			same += uid_eq(session->owner, owner);
		}
	}
	if (!root && (users >= door->sessions_max - door->sessions_max / 4 ||
		      same >= max(door->sessions_max / 4, 1u)))
		return -EBUSY;
	return number;
}

int lodge_session_open(struct lodge_door *door, struct lodge_client *client, bool root,
		       kuid_t owner, struct lodge_session **ret_session)
{
	struct lodge_session *session = kzalloc(sizeof(*session), GFP_KERNEL_ACCOUNT);
	int number = -ENOMEM;

	if (!session)
		return -ENOMEM;
	session->close = lodge_frame_alloc(LODGE_RPC_HEADER_SIZE, 0, 1);
	if (!session->close)
		goto free_session;
	session->door = door;
	session->client = client;
	session->root = root;
	session->owner = owner;
	session->open = true;
	session->holders = 1;
	INIT_LIST_HEAD(&session->received);
	INIT_LIST_HEAD(&session->link);
	init_waitqueue_head(&session->wait);

	spin_lock_irq(&door->lock);
	number = door->live ? find_number(door, root, owner) : -ENODEV;
	if (number >= 0) {
		session->number = number;
		door->sessions[number] = session;
		kref_get(&door->ref);
	} else if (number == -EBUSY && client) {
		door->client_waits = true;
	}
	spin_unlock_irq(&door->lock);
	if (number < 0)
		goto free_close;
	*ret_session = session;
	return 0;
free_close:
	lodge_frame_free(session->close);
free_session:
	kfree(session);
	return number;
}

void lodge_session_free(struct lodge_session *session)
{
	struct lodge_door *door = session->door;

	lodge_frame_free(session->close);
	kfree(session);
	lodge_door_put(door);
}

void lodge_session_drop(struct lodge_session *session)
{
	struct lodge_door *door = session->door;

	if (--session->holders)
		return;
	list_move_tail(&session->link, &door->ended);
	if (door->live)
		queue_work(door->queue, &door->events);
}

/* Sends CLOSE; false: it has to wait for room in the ring. */
static bool send_close(struct lodge_session *session)
{
	struct lodge_frame *frame = session->close;
	struct lodge_rpc_header header = {
		.magic = cpu_to_le32(LODGE_RPC_MAGIC),
		.type = cpu_to_le16(LODGE_RPC_CLOSE),
		.flags = cpu_to_le16(session->root ? LODGE_RPC_F_ROOT : 0),
		.session = cpu_to_le32(session->number),
	};
	int err;

	memcpy(frame->out, &header, sizeof(header));
	frame->type = LODGE_RPC_CLOSE;
	frame->pool = LODGE_POOL_SENDS;
	frame->session = session;
	err = lodge_door_submit(session->door, frame);
	if (err == -EAGAIN || err == -ENOMEM)
		return false;
	/* A device that is broken is reset, and all sessions end with that. */
	if (!err) {
		session->close = NULL;
		session->holders++;
	}
	return true;
}

void lodge_sessions_close_pending(struct lodge_door *door)
{
	struct lodge_session *session, *next;

	list_for_each_entry_safe(session, next, &door->closing, link) {
		if (!send_close(session))
			return;
		list_del_init(&session->link);
		lodge_session_drop(session);
	}
}

/* Tells the host, once, if there is one and the session is not over for it. */
static void begin_close(struct lodge_session *session)
{
	if (!session->close || !session->spoke || session->ended_by_host || !session->door->live ||
	    !list_empty(&session->link) || send_close(session))
		return;
	session->holders++;
	list_add_tail(&session->link, &session->door->closing);
}

static void drop_received(struct lodge_session *session, struct list_head *dead)
{
	struct lodge_frame *frame;

	list_for_each_entry(frame, &session->received, link)
		lodge_session_uncharge(session, frame->pool, frame->charge);
	list_splice_tail_init(&session->received, dead);
}

void lodge_session_fail(struct lodge_session *session, int error, struct list_head *dead)
{
	if (!session->error)
		session->error = error;
	drop_received(session, dead);
	wake_up_interruptible_all(&session->wait);
}

void lodge_session_close(struct lodge_session *session)
{
	struct lodge_door *door = session->door;
	bool over = false;
	LIST_HEAD(dead);

	/* The session may be free, and its hold on the door, before the bell has been rung. */
	kref_get(&door->ref);
	lodge_door_lock(door);
	session->open = false;
	lodge_session_fail(session, -ENODEV, &dead);
	begin_close(session);
	if (door->live) {
		lodge_session_drop(session);
	} else if (!--session->holders) {
		list_del_init(&session->link);
		door->sessions[session->number] = NULL;
		over = true;
	}
	lodge_door_unlock(door);
	lodge_frames_free(&dead);
	if (over)
		lodge_session_free(session);
	lodge_door_put(door);
}

int lodge_session_send(struct lodge_session *session, struct lodge_frame *frame,
		       const struct lodge_rpc_header *header)
{
	struct lodge_door *door = session->door;
	struct lodge_rpc_header ours = *header;
	int err;

	ours.session = cpu_to_le32(session->number);
	ours.flags &= cpu_to_le16(~LODGE_RPC_F_ROOT);
	if (session->root)
		ours.flags |= cpu_to_le16(LODGE_RPC_F_ROOT);
	memcpy(frame->out, &ours, sizeof(ours));
	frame->type = le16_to_cpu(ours.type);
	frame->tag = le32_to_cpu(ours.tag);
	frame->session = session;

	lodge_door_lock(door);
	err = session->error;
	if (!err && session->ended_by_host)
		err = -EPIPE;
	if (!err)
		err = lodge_door_submit(door, frame);
	if (!err) {
		session->holders++;
		session->spoke = true;
	}
	lodge_door_unlock(door);
	return err;
}

/* A reply goes to who waits for it, or to the session's reader. */
static bool take_reply(struct lodge_session *session, struct lodge_frame *frame, int error)
{
	struct lodge_waiter *waiter = frame->waiter;

	if (waiter) {
		waiter->done = true;
		waiter->error = error;
	}
	if (session->error || (session->client && !waiter))
		return false;
	if (waiter) {
		lodge_session_consumed(session, frame);
		waiter->reply = frame;
	} else {
		list_add_tail(&frame->link, &session->received);
	}
	return true;
}

void lodge_session_returned(struct lodge_frame *frame, unsigned int used, struct list_head *dead)
{
	struct lodge_session *session = frame->session;
	bool taken = false;

	if (frame->type == LODGE_RPC_REQUEST) {
		int err = lodge_frame_take_reply(frame, used);

		if (err && !session->error && session->door->live)
			dev_warn_ratelimited(&session->door->vdev->dev,
					     "session %u: a request came back without a reply\n",
					     session->number);
		taken = take_reply(session, frame, err);
	}
	if (!taken) {
		if (frame->charge)
			lodge_session_consumed(session, frame);
		list_add_tail(&frame->link, dead);
	}
	wake_up_interruptible_all(&session->wait);
	lodge_session_drop(session);
}

bool lodge_session_receive(struct lodge_session *session, struct lodge_frame *frame,
			   struct list_head *dead)
{
	int err;

	if (session->error || session->ended_by_host)
		return false;
	err = lodge_session_charge(session, LODGE_POOL_EVENTS, frame->charge);
	if (err) {
		dev_warn_ratelimited(&session->door->vdev->dev,
				     "session %u: the host sends more than is read; it is reset\n",
				     session->number);
		lodge_session_fail(session, -ECONNRESET, dead);
		begin_close(session);
		return false;
	}
	frame->pool = LODGE_POOL_EVENTS;
	if (le16_to_cpu(frame->header.type) == LODGE_RPC_CLOSE)
		session->ended_by_host = true;
	list_add_tail(&frame->link, &session->received);
	wake_up_interruptible_all(&session->wait);
	return true;
}
