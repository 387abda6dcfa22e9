// SPDX-License-Identifier: GPL-2.0-only
/*
 * The backdoor's virtio device: its queues, from start to stop, and its reset when it asks for one.
 */
#include <linux/device.h>
#include <linux/kernel.h>
#include <linux/slab.h>

#include "compat/compat.h"
#include "lodge_backdoor/door.h"

/* Sessions together hold at most a sixteenth of the guest's memory, within these bounds. */
#define MEMORY_SHARE 16
#define MEMORY_LEAST (4u << 20)
#define MEMORY_MOST  (64u << 20)

/* A device that breaks again and again costs no more than this. */
#define RENEW_DELAY (1 * HZ)

static void door_free(struct kref *ref)
{
	kfree(container_of(ref, struct lodge_door, ref));
}

void lodge_door_put(struct lodge_door *door)
{
	kref_put(&door->ref, door_free);
}

static u32 read_config(struct virtio_device *vdev, unsigned int offset)
{
	__le32 value = 0;

	vdev->config->get(vdev, offset, &value, sizeof(value));
	return le32_to_cpu(value);
}

static int configure(struct lodge_door *door)
{
	struct virtio_device *vdev = door->vdev;
	u32 event_size = read_config(vdev, offsetof(struct lodge_backdoor_config, event_size));
	u32 payload_max = read_config(vdev, offsetof(struct lodge_backdoor_config, payload_max));
	u32 sessions_max = read_config(vdev, offsetof(struct lodge_backdoor_config, sessions_max));
	struct sysinfo info;

	if (event_size < LODGE_RPC_HEADER_SIZE + sizeof(__le32) ||
	    event_size > LODGE_RPC_HEADER_SIZE + LODGE_RPC_PAYLOAD_MAX ||
	    payload_max < LODGE_REPLY_MAX_LEAST || !sessions_max) {
		dev_err(&vdev->dev, "impossible limits: payload %u, sessions %u, events %u\n",
			payload_max, sessions_max, event_size);
		return -EINVAL;
	}
	door->event_size = event_size;
	door->payload_max = min(payload_max, LODGE_RPC_PAYLOAD_MAX);
	door->sessions_max = min(sessions_max, LODGE_RPC_SESSIONS_MAX);
	si_meminfo(&info);
	door->memory_max = clamp_t(u64, (u64)info.totalram * info.mem_unit / MEMORY_SHARE,
				   MEMORY_LEAST, MEMORY_MOST);
	return 0;
}

/* The device asks for a reset, or one of its queues makes no sense. */
static void renew_work(struct work_struct *work)
{
	struct lodge_door *door = container_of(to_delayed_work(work), struct lodge_door, renew);
	struct virtio_device *vdev = door->vdev;
	int err = 0;

	/* Whoever unbinds or suspends the device holds its lock, and may wait for this work. */
	if (!device_trylock(&vdev->dev)) {
		schedule_delayed_work(&door->renew, HZ / 10);
		return;
	}
	if (!door->frozen) {
		dev_warn_ratelimited(&vdev->dev, "the device is broken; resetting it\n");
		lodge_door_freeze(door);
		err = lodge_virtio_restart(vdev);
		if (!err)
			err = lodge_door_restore(door);
		if (err)
			dev_err(&vdev->dev, "no reset, error %d; bind the driver again\n", err);
	}
	device_unlock(&vdev->dev);
}

void lodge_door_renew(struct lodge_door *door)
{
	schedule_delayed_work(&door->renew, RENEW_DELAY);
}

int lodge_door_create(struct virtio_device *vdev, struct lodge_door **ret_door)
{
	struct lodge_door *door = kzalloc(sizeof(*door), GFP_KERNEL);
	int err;

	if (!door)
		return -ENOMEM;
	kref_init(&door->ref);
	door->vdev = vdev;
	init_rwsem(&door->queues_there);
	spin_lock_init(&door->lock);
	INIT_LIST_HEAD(&door->link);
	INIT_LIST_HEAD(&door->closing);
	INIT_LIST_HEAD(&door->ended);
	init_waitqueue_head(&door->room);
	INIT_WORK(&door->events, lodge_events_work);
	INIT_DELAYED_WORK(&door->attach, lodge_clients_attach_work);
	INIT_DELAYED_WORK(&door->renew, renew_work);
	INIT_WORK(&door->changed, lodge_clients_changed_work);
	err = configure(door);
	if (err)
		goto put_door;
	door->queue = alloc_ordered_workqueue("lodge_backdoor", 0);
	if (!door->queue) {
		err = -ENOMEM;
		goto put_door;
	}
	err = lodge_events_prepare(door);
	if (err)
		goto destroy_queue;
	*ret_door = door;
	return 0;
destroy_queue:
	destroy_workqueue(door->queue);
put_door:
	lodge_door_put(door);
	return err;
}

void lodge_door_destroy(struct lodge_door *door)
{
	destroy_workqueue(door->queue);
	lodge_events_release(door);
	lodge_door_put(door);
}

static bool take_bell(struct lodge_door *door)
{
	bool bell = door->bell;

	door->bell = false;
	return bell;
}

static void ring(struct lodge_door *door)
{
	if (!virtqueue_notify(door->request_vq))
		lodge_door_renew(door);
}

void lodge_door_lock(struct lodge_door *door) __acquires(&door->lock)
{
	down_read(&door->queues_there);
	spin_lock_irq(&door->lock);
}

void lodge_door_unlock(struct lodge_door *door) __releases(&door->lock)
{
	bool bell = take_bell(door);

	spin_unlock_irq(&door->lock);
	if (bell)
		ring(door);
	up_read(&door->queues_there);
}

/* The transport waits for it when the device is reset, which keeps the queue there. */
static void requests_done(struct virtqueue *vq)
{
	struct lodge_door *door = vq->vdev->priv;
	struct lodge_frame *frame;
	unsigned long flags;
	unsigned int used;
	bool bell = false;
	LIST_HEAD(dead);

	spin_lock_irqsave(&door->lock, flags);
	if (door->live) {
		do {
			virtqueue_disable_cb(vq);
			while ((frame = virtqueue_get_buf(vq, &used)))
				lodge_session_returned(frame, used, &dead);
		} while (!virtqueue_is_broken(vq) && !virtqueue_enable_cb(vq));
		if (virtqueue_is_broken(vq))
			lodge_door_renew(door);
		if (door->ring_full) {
			door->ring_full = false;
			wake_up_interruptible_all(&door->room);
		}
		lodge_sessions_close_pending(door);
		bell = take_bell(door);
	}
	spin_unlock_irqrestore(&door->lock, flags);
	if (bell)
		ring(door);
	lodge_frames_free(&dead);
}

static void events_ready(struct virtqueue *vq)
{
	struct lodge_door *door = vq->vdev->priv;

	queue_work(door->queue, &door->events);
}

int lodge_door_start(struct lodge_door *door)
{
	vq_callback_t *callbacks[LODGE_BACKDOOR_QUEUES] = {
		[LODGE_BACKDOOR_QUEUE_REQUEST] = requests_done,
		[LODGE_BACKDOOR_QUEUE_EVENT] = events_ready,
		[LODGE_BACKDOOR_QUEUE_BALLOON] = lodge_balloon_done,
	};
	const char *names[LODGE_BACKDOOR_QUEUES] = {
		[LODGE_BACKDOOR_QUEUE_REQUEST] = "lodge-request",
		[LODGE_BACKDOOR_QUEUE_EVENT] = "lodge-event",
		[LODGE_BACKDOOR_QUEUE_BALLOON] = "lodge-balloon",
	};
	struct virtqueue *vqs[LODGE_BACKDOOR_QUEUES];
	struct virtio_device *vdev = door->vdev;
	bool balloon = virtio_has_feature(vdev, LODGE_BACKDOOR_F_BALLOON);
	int err;

	err = lodge_find_vqs(vdev, LODGE_BACKDOOR_QUEUES - !balloon, vqs, callbacks, names);
	if (err)
		return err;
	door->event_vq = vqs[LODGE_BACKDOOR_QUEUE_EVENT];
	err = lodge_events_fill(door);
	if (err)
		goto delete_queues;
	virtio_device_ready(vdev);

	spin_lock_irq(&door->lock);
	door->request_vq = vqs[LODGE_BACKDOOR_QUEUE_REQUEST];
	door->ring_size = virtqueue_get_vring_size(door->request_vq);
	door->balloon_vq = balloon ? vqs[LODGE_BACKDOOR_QUEUE_BALLOON] : NULL;
	door->ring_full = false;
	door->bell = false;
	door->frozen = false;
	door->live = true;
	spin_unlock_irq(&door->lock);

	/* The work kicks the event queue: nobody else touches it from now on. */
	queue_work(door->queue, &door->events);
	return 0;
delete_queues:
	while (virtqueue_detach_unused_buf(door->event_vq))
		;
	vdev->config->del_vqs(vdev);
	return err;
}

static void take_back_frames(struct lodge_door *door, struct list_head *dead)
{
	struct lodge_frame *frame;

	spin_lock_irq(&door->lock);
	while ((frame = virtqueue_detach_unused_buf(door->request_vq)))
		lodge_session_returned(frame, 0, dead);
	spin_unlock_irq(&door->lock);
}

/* Sessions that nobody holds any more, now that the device is gone. */
static void free_sessions(struct lodge_door *door)
{
	struct lodge_session *session, *next;
	LIST_HEAD(ended);

	spin_lock_irq(&door->lock);
	list_for_each_entry_safe(session, next, &door->closing, link) {
		list_del_init(&session->link);
		lodge_session_drop(session);
	}
	list_splice_init(&door->ended, &ended);
	list_for_each_entry(session, &ended, link)
		door->sessions[session->number] = NULL;
	spin_unlock_irq(&door->lock);
	list_for_each_entry_safe(session, next, &ended, link)
		lodge_session_free(session);
}

void lodge_door_stop(struct lodge_door *door, int error)
{
	bool was_live;
	unsigned int i;
	LIST_HEAD(dead);

	/* Nobody rings any more when it is given back. */
	down_write(&door->queues_there);
	spin_lock_irq(&door->lock);
	was_live = door->live;
	door->live = false;
	for (i = 0; i < door->sessions_max; i++) {
		struct lodge_session *session = door->sessions[i];

		if (!session)
			continue;
		lodge_session_fail(session, session->client ? -ENODEV : error, &dead);
		session->spoke = false;
	}
	wake_up_interruptible_all(&door->room);
	spin_unlock_irq(&door->lock);
	up_write(&door->queues_there);
	if (was_live) {
		virtio_reset_device(door->vdev);
		cancel_work_sync(&door->events);
		take_back_frames(door, &dead);
		while (virtqueue_detach_unused_buf(door->event_vq))
			;
		if (door->balloon_vq)
			lodge_balloon_take_back(door, door->balloon_vq);
		cancel_work_sync(&door->changed);
		door->vdev->config->del_vqs(door->vdev);
		free_sessions(door);
	}
	lodge_frames_free(&dead);
}

void lodge_door_freeze(struct lodge_door *door)
{
	door->frozen = true;
	lodge_door_stop(door, -ECONNRESET);
	lodge_clients_detach(door);
}

int lodge_door_restore(struct lodge_door *door)
{
	int err = lodge_door_start(door);

	if (!err)
		lodge_clients_attach_in(door, 0);
	return err;
}

int lodge_door_submit(struct lodge_door *door, struct lodge_frame *frame)
{
	struct scatterlist *sgs[2] = { frame->sg, frame->sg + frame->out_segments };
	int err;

	if (!door->live)
		return -ENODEV;
	err = virtqueue_add_sgs(door->request_vq, sgs, 1, frame->in_segments ? 1 : 0, frame,
				GFP_ATOMIC);
	if (err == -ENOSPC) {
		door->ring_full = true;
		return -EAGAIN;
	}
	if (err == -ENOMEM)
		return err;
	if (err) {
		lodge_door_renew(door);
		return -ENODEV;
	}
	if (virtqueue_kick_prepare(door->request_vq))
		door->bell = true;
	return 0;
}
