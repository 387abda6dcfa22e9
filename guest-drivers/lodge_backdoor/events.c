// SPDX-License-Identifier: GPL-2.0-only
/*
 * The event queue of the backdoor: what the host sends by itself is copied out of its buffers,
 * checked, and given to the session that it is for. The same work frees the numbers of sessions
 * that are over: only here it is known that nothing sent to the old session is still in the queue.
 */
#include <linux/kernel.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "compat/compat.h"
#include "lodge_backdoor/door.h"

static int prepare_buffer(struct lodge_event_buffer *buffer, u32 size)
{
	unsigned int i, segments = DIV_ROUND_UP(size, PAGE_SIZE);

	buffer->memory = vzalloc(size);
	buffer->sg = kcalloc(segments, sizeof(buffer->sg[0]), GFP_KERNEL);
	if (!buffer->memory || !buffer->sg)
		return -ENOMEM;
	buffer->segments = segments;
	sg_init_table(buffer->sg, segments);
	for (i = 0; i < segments; i++) {
		unsigned int part = min_t(u32, size, PAGE_SIZE);

		sg_set_page(&buffer->sg[i], vmalloc_to_page(buffer->memory + i * PAGE_SIZE), part,
			    0);
		size -= part;
	}
	return 0;
}

int lodge_events_prepare(struct lodge_door *door)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < LODGE_EVENT_BUFFERS && !err; i++)
		err = prepare_buffer(&door->event_buffers[i], door->event_size);
	if (err)
		lodge_events_release(door);
	return err;
}

void lodge_events_release(struct lodge_door *door)
{
	unsigned int i;

	for (i = 0; i < LODGE_EVENT_BUFFERS; i++) {
		struct lodge_event_buffer *buffer = &door->event_buffers[i];

		vfree(buffer->memory);
		kfree(buffer->sg);
		memset(buffer, 0, sizeof(*buffer));
	}
}

static int give_buffer(struct lodge_door *door, struct lodge_event_buffer *buffer)
{
	return virtqueue_add_inbuf(door->event_vq, buffer->sg, buffer->segments, buffer,
				   GFP_KERNEL);
}

int lodge_events_fill(struct lodge_door *door)
{
	unsigned int i;
	int err;

	for (i = 0; i < LODGE_EVENT_BUFFERS; i++) {
		err = give_buffer(door, &door->event_buffers[i]);
		if (err)
			break;
	}
	/* A small ring has room for fewer; with none the host could say nothing. */
	return i ? 0 : err;
}

static bool event_makes_sense(const struct lodge_door *door, const struct lodge_rpc_header *header,
			      unsigned int used)
{
	u16 type = le16_to_cpu(header->type);

	if (used < LODGE_RPC_HEADER_SIZE || used > door->event_size ||
	    le32_to_cpu(header->magic) != LODGE_RPC_MAGIC ||
	    le32_to_cpu(header->size) != used - LODGE_RPC_HEADER_SIZE || header->reply_max ||
	    le32_to_cpu(header->session) >= door->sessions_max ||
	    le16_to_cpu(header->flags) & ~(type == LODGE_RPC_DATA ? LODGE_RPC_F_END : 0))
		return false;
	switch (type) {
	case LODGE_RPC_COMMAND:
	case LODGE_RPC_DATA:
	case LODGE_RPC_RESET:
	case LODGE_RPC_CLOSE:
		return le32_to_cpu(header->size) <= LODGE_RPC_DATA_MAX;
	case LODGE_RPC_CREDIT:
		return le32_to_cpu(header->size) == sizeof(__le32);
	default:
		return false;
	}
}

/* To a module, whose session stays while this work runs. */
static void deliver_to_client(struct lodge_session *session, struct lodge_frame *frame)
{
	struct lodge_door *door = session->door;
	LIST_HEAD(dead);

	switch (le16_to_cpu(frame->header.type)) {
	case LODGE_RPC_COMMAND:
		lodge_client_command(session, frame);
		break;
	case LODGE_RPC_CLOSE:
		spin_lock_irq(&door->lock);
		session->ended_by_host = true;
		lodge_session_fail(session, -ENODEV, &dead);
		spin_unlock_irq(&door->lock);
		lodge_frames_free(&dead);
		/* It gets another, but a host that closes all of them has no storm of it. */
		lodge_clients_attach_in(door, HZ);
		break;
	}
}

static void deliver(struct lodge_door *door, struct lodge_frame *frame)
{
	struct lodge_session *session, *of_client = NULL;
	bool known, taken = false;
	LIST_HEAD(dead);

	lodge_door_lock(door);
	session = door->sessions[le32_to_cpu(frame->header.session)];
	known = session;
	/* A session whose opener has gone is told nothing, nor a module that was told of the end.
	 */
	if (session && session->open) {
		if (session->client)
			of_client = session->error ? NULL : session;
		else
			taken = lodge_session_receive(session, frame, &dead);
	}
	lodge_door_unlock(door);

	if (!known)
		dev_warn_ratelimited(&door->vdev->dev, "an event for no session\n");
	if (of_client)
		deliver_to_client(of_client, frame);
	lodge_frames_free(&dead);
	if (!taken)
		lodge_frame_free(frame);
}

static void take_event(struct lodge_door *door, const struct lodge_event_buffer *buffer,
		       unsigned int used)
{
	struct lodge_rpc_header header;
	struct lodge_frame *frame;

	memcpy(&header, buffer->memory, sizeof(header));
	if (!event_makes_sense(door, &header, used)) {
		dev_warn_ratelimited(&door->vdev->dev, "dropped an event that makes no sense\n");
		return;
	}
	frame = lodge_frame_alloc(0, used, UINT_MAX);
	if (!frame) {
		dev_warn_ratelimited(&door->vdev->dev, "no memory for an event\n");
		return;
	}
	frame->header = header;
	frame->charge = lodge_frame_charge(0, used);
	memcpy(frame->in, buffer->memory, used);
	deliver(door, frame);
}

static void free_ended(struct lodge_door *door, struct list_head *ended)
{
	struct lodge_session *session, *next;
	bool wanted = false;

	spin_lock_irq(&door->lock);
	list_for_each_entry(session, ended, link)
		door->sessions[session->number] = NULL;
	if (!list_empty(ended)) {
		wanted = door->client_waits;
		door->client_waits = false;
	}
	spin_unlock_irq(&door->lock);
	if (wanted)
		lodge_clients_attach_in(door, 0);
	list_for_each_entry_safe(session, next, ended, link)
		lodge_session_free(session);
}

void lodge_events_work(struct work_struct *work)
{
	struct lodge_door *door = container_of(work, struct lodge_door, events);
	struct virtqueue *vq = door->event_vq;
	struct lodge_event_buffer *buffer;
	unsigned int used;
	LIST_HEAD(ended);

	/* Before the queue is emptied: what the host said to them is in it by now. */
	spin_lock_irq(&door->lock);
	list_splice_init(&door->ended, &ended);
	spin_unlock_irq(&door->lock);

	do {
		virtqueue_disable_cb(vq);
		while ((buffer = virtqueue_get_buf(vq, &used))) {
			take_event(door, buffer, used);
			if (give_buffer(door, buffer))
				lodge_door_renew(door);
			cond_resched();
		}
	} while (!virtqueue_is_broken(vq) && !virtqueue_enable_cb(vq));
	if (!virtqueue_kick(vq))
		lodge_door_renew(door);
	free_ended(door, &ended);
}
