// SPDX-License-Identifier: GPL-2.0-only
/*
 * One opening of the file: the device is reset, its queues are made, and in the end both are
 * undone.
 */
#include <linux/cpumask.h>
#include <linux/kernel.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/virtio_config.h>

#include "compat/compat.h"
#include "lodge_fs/lodge_fs.h"

static void give_back(struct lodge_fs_session *session, struct lodge_fs_token *token, u32 used)
{
	if (token->kind == LODGE_FS_SLOT)
		lodge_fs_slot_done(container_of(token, struct lodge_fs_slot, token), used);
	else
		lodge_fs_message_done(session, container_of(token, struct lodge_fs_message, token),
				      used);
}

static bool take_back(struct lodge_fs_session *session, struct lodge_fs_queue *queue)
{
	struct lodge_fs_token *token;
	bool any = false;
	unsigned int used;

	while ((token = virtqueue_get_buf(queue->vq, &used))) {
		give_back(session, token, used);
		any = true;
	}
	return any;
}

static void queue_ready(struct virtqueue *vq)
{
	struct lodge_fs *fs = vq->vdev->priv;
	struct lodge_fs_session *session = fs->session;
	struct lodge_fs_queue *queue;
	bool broken = false;
	unsigned long flags;

	if (!session)
		return;
	queue = &session->queues[vq->index];
	spin_lock_irqsave(&queue->lock, flags);
	if (queue->vq) {
		do {
			virtqueue_disable_cb(vq);
			take_back(session, queue);
		} while (!virtqueue_is_broken(vq) && !virtqueue_enable_cb(vq));
		broken = virtqueue_is_broken(vq);
		wake_up_all(&queue->room);
	}
	spin_unlock_irqrestore(&queue->lock, flags);
	if (broken)
		lodge_fs_session_fail(session, -ECONNRESET);
}

bool lodge_fs_queue_reap(struct lodge_fs_session *session, struct lodge_fs_queue *queue)
{
	bool any;

	spin_lock_irq(&queue->lock);
	any = queue->vq && take_back(session, queue);
	spin_unlock_irq(&queue->lock);
	return any;
}

void lodge_fs_session_fail(struct lodge_fs_session *session, int error)
{
	unsigned int i;

	/* The first reason is the one that counts. */
	cmpxchg(&session->error, 0, error);
	for (i = 0; i < session->n_queues; i++)
		wake_up_all(&session->queues[i].room);
	for (i = 0; i < LODGE_FS_SLOTS_MAX; i++)
		wake_up_all(&session->slots[i].wait);
	wake_up_all(&session->readers);
}

/* 0: added. -ENOSPC: not now. */
static int try_add(struct lodge_fs_session *session, struct lodge_fs_queue *queue,
		   const struct lodge_fs_buffers *buffers, struct lodge_fs_token *token)
{
	struct scatterlist *sgs[2] = { buffers->out, buffers->in };
	struct virtqueue *vq;
	bool ring = false;
	int err;

	down_read(&session->queues_there);
	vq = queue->vq;
	err = session->error ? session->error : vq ? 0 : -ENODEV;
	if (!err) {
		spin_lock_irq(&queue->lock);
		err = virtqueue_add_sgs(vq, sgs, 1, buffers->in ? 1 : 0, token, GFP_ATOMIC);
		ring = !err && virtqueue_kick_prepare(vq);
		spin_unlock_irq(&queue->lock);
	}
	/* The host may answer before this returns: with interrupts off it had to wait for them. */
	if (err == -EIO || (ring && !virtqueue_notify(vq)))
		lodge_fs_session_fail(session, -ECONNRESET);
	up_read(&session->queues_there);
	return err == -EIO ? -ECONNRESET : err;
}

static bool has_room(struct lodge_fs_session *session, struct lodge_fs_queue *queue,
		     unsigned int segments)
{
	bool room;

	spin_lock_irq(&queue->lock);
	room = session->error || !queue->vq || queue->vq->num_free >= segments;
	spin_unlock_irq(&queue->lock);
	return room;
}

int lodge_fs_queue_add(struct lodge_fs_session *session, struct lodge_fs_queue *queue,
		       const struct lodge_fs_buffers *buffers, struct lodge_fs_token *token,
		       bool wait)
{
	int err;

	if (buffers->segments > session->ring_size)
		return -EMSGSIZE;
	while ((err = try_add(session, queue, buffers, token)) == -ENOSPC) {
		if (!wait)
			return -EAGAIN;
		if (wait_event_killable(queue->room, has_room(session, queue, buffers->segments)))
			return -EINTR;
	}
	return err;
}

/* Whoever gives a queue something on one of "its" processors sleeps there until the reply comes: an
 * interrupt elsewhere would cost another one to wake it. */
static void spread_interrupts(struct lodge_fs_session *session)
{
	unsigned int n = session->n_queues - LODGE_FS_QUEUE_REQUEST;
	cpumask_var_t cpus;
	unsigned int i, cpu;

	if (!zalloc_cpumask_var(&cpus, GFP_KERNEL))
		return;
	for (i = 0; i < n; i++) {
		cpumask_clear(cpus);
		for_each_online_cpu(cpu)
		{
			if (lodge_fs_request_queue(session, cpu) ==
			    lodge_fs_request_queue(session, i))
				cpumask_set_cpu(cpu, cpus);
		}
		if (!cpumask_empty(cpus))
			lodge_vq_set_affinity(lodge_fs_request_queue(session, i)->vq, cpus);
	}
	free_cpumask_var(cpus);
}

/* Queues of another size than asked for, or none, are the transport's to refuse. */
static int make_queues(struct lodge_fs_session *session)
{
	struct virtio_device *vdev = session->fs->vdev;
	struct virtqueue *vqs[LODGE_FS_QUEUES_MAX];
	vq_callback_t *callbacks[LODGE_FS_QUEUES_MAX];
	const char *names[LODGE_FS_QUEUES_MAX];
	unsigned int i;
	int err;

	for (i = 0; i < session->n_queues; i++) {
		callbacks[i] = queue_ready;
		names[i] = i == LODGE_FS_QUEUE_HIPRIO ? "hiprio" : "requests";
	}
	err = lodge_find_vqs(vdev, session->n_queues, vqs, callbacks, names);
	if (err)
		return err;
	session->ring_size = UINT_MAX;
	for (i = 0; i < session->n_queues; i++) {
		session->queues[i].vq = vqs[i];
		session->ring_size =
			min_t(unsigned int, session->ring_size, virtqueue_get_vring_size(vqs[i]));
	}
	spread_interrupts(session);
	return 0;
}

static void set_session(struct lodge_fs *fs, struct lodge_fs_session *session)
{
	spin_lock_irq(&fs->session_lock);
	fs->session = session;
	spin_unlock_irq(&fs->session_lock);
}

static void session_free(struct lodge_fs_session *session)
{
	lodge_fs_messages_free(session);
	lodge_fs_slots_free(session);
	kfree(session);
}

int lodge_fs_session_make(struct lodge_fs *fs)
{
	struct lodge_fs_session *session = kzalloc(sizeof(*session), GFP_KERNEL);
	unsigned int i;
	int err;

	if (!session)
		return -ENOMEM;
	session->fs = fs;
	init_rwsem(&session->queues_there);
	session->n_queues = LODGE_FS_QUEUE_REQUEST + fs->request_queues;
	for (i = 0; i < session->n_queues; i++) {
		spin_lock_init(&session->queues[i].lock);
		init_waitqueue_head(&session->queues[i].room);
	}
	lodge_fs_slots_init(session);
	lodge_fs_messages_init(session);
	err = lodge_virtio_restart(fs->vdev);
	if (!err)
		err = make_queues(session);
	if (err) {
		virtio_reset_device(fs->vdev);
		session_free(session);
		return err;
	}
	/* There is nothing in the queues that could interrupt before. */
	set_session(fs, session);
	virtio_device_ready(fs->vdev);
	return 0;
}

/* The device forgets what is in its queues, and they go. */
static void stop(struct lodge_fs_session *session)
{
	struct virtio_device *vdev = session->fs->vdev;
	unsigned int i;

	virtio_reset_device(vdev);
	down_write(&session->queues_there);
	for (i = 0; i < session->n_queues; i++) {
		struct lodge_fs_queue *queue = &session->queues[i];
		struct virtqueue *vq = queue->vq;
		struct lodge_fs_token *token;

		spin_lock_irq(&queue->lock);
		queue->vq = NULL;
		spin_unlock_irq(&queue->lock);
		lodge_vq_set_affinity(vq, NULL);
		while ((token = virtqueue_detach_unused_buf(vq)))
			if (token->kind == LODGE_FS_MESSAGE)
				lodge_fs_message_free(
					container_of(token, struct lodge_fs_message, token));
	}
	up_write(&session->queues_there);
	vdev->config->del_vqs(vdev);
}

void lodge_fs_session_close(struct lodge_fs *fs, int error)
{
	struct lodge_fs_session *session = fs->session;

	if (!session)
		return;
	lodge_fs_session_fail(session, error);
	stop(session);
	set_session(fs, NULL);
	/* Whoever has it open gives it back. */
	if (!session->open)
		session_free(session);
}

int lodge_fs_session_open(struct lodge_fs *fs, struct lodge_fs_session **ret_session)
{
	int err = 0;

	mutex_lock(&fs->lock);
	if (!fs->vdev)
		err = -ENODEV;
	else if (fs->session && fs->session->open)
		err = -EBUSY;
	/* It may have asked for a reset meanwhile. */
	if (!err && fs->session && fs->session->error)
		lodge_fs_session_close(fs, -ECONNRESET);
	if (!err && !fs->session)
		err = lodge_fs_session_make(fs);
	if (!err) {
		fs->session->open = true;
		*ret_session = fs->session;
		kref_get(&fs->ref);
	}
	mutex_unlock(&fs->lock);
	return err;
}

void lodge_fs_session_release(struct lodge_fs_session *session)
{
	struct lodge_fs *fs = session->fs;

	mutex_lock(&fs->lock);
	session->open = false;
	if (fs->session != session) {
		session_free(session);
	} else {
		lodge_fs_session_close(fs, -ENODEV);
		if (lodge_fs_session_make(fs))
			dev_err(&fs->vdev->dev, "cannot be started again; the next open tries\n");
	}
	mutex_unlock(&fs->lock);
	lodge_fs_put(fs);
}
