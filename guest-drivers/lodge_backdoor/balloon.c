// SPDX-License-Identifier: GPL-2.0-only
/*
 * The balloon's queue, for the module lodge_balloon: jobs go to the device as they are, and come
 * back in any order. What they say is that module's and the host's.
 */
#include <linux/kernel.h>
#include <linux/module.h>

#include "compat/compat.h"
#include "include/lodge_backdoor.h"
#include "lodge_backdoor/door.h"

int lodge_session_balloon(struct lodge_session *session, struct lodge_balloon_job *job)
{
	struct lodge_door *door = session->door;
	struct scatterlist out, in, *sgs[2] = { &out, &in };
	struct virtqueue *vq = NULL;
	bool bell = false;
	int err;

	sg_init_one(&out, job->out, job->out_size);
	sg_init_one(&in, job->in, job->in_size);
	down_read(&door->queues_there);
	spin_lock_irq(&door->lock);
	err = door->live ? 0 : -ENODEV;
	if (!err) {
		vq = door->balloon_vq;
		err = vq ? virtqueue_add_sgs(vq, sgs, 1, 1, job, GFP_ATOMIC) : -EOPNOTSUPP;
	}
	if (!err)
		bell = virtqueue_kick_prepare(vq);
	spin_unlock_irq(&door->lock);
	if (bell && !virtqueue_notify(vq))
		lodge_door_renew(door);
	up_read(&door->queues_there);
	return err == -ENOSPC ? -EAGAIN : err == -EIO ? -ENODEV : err;
}
EXPORT_SYMBOL_GPL(lodge_session_balloon);

u32 lodge_session_balloon_target(struct lodge_session *session)
{
	struct lodge_door *door = session->door;
	__le32 target = 0;

	/* The device is there while its queues are. */
	down_read(&door->queues_there);
	if (door->live && door->balloon_vq)
		door->vdev->config->get(door->vdev,
					offsetof(struct lodge_backdoor_config, balloon_target),
					&target, sizeof(target));
	up_read(&door->queues_there);
	return le32_to_cpu(target);
}
EXPORT_SYMBOL_GPL(lodge_session_balloon_target);

void lodge_session_renew(struct lodge_session *session)
{
	lodge_door_renew(session->door);
}
EXPORT_SYMBOL_GPL(lodge_session_renew);

void lodge_balloon_done(struct virtqueue *vq)
{
	struct lodge_door *door = vq->vdev->priv;
	struct lodge_balloon_job *job;
	unsigned long flags;
	unsigned int used;

	spin_lock_irqsave(&door->lock, flags);
	if (door->live) {
		do {
			virtqueue_disable_cb(vq);
			while ((job = virtqueue_get_buf(vq, &used)))
				job->done(job, min_t(unsigned int, used, job->in_size));
		} while (!virtqueue_is_broken(vq) && !virtqueue_enable_cb(vq));
		if (virtqueue_is_broken(vq))
			lodge_door_renew(door);
	}
	spin_unlock_irqrestore(&door->lock, flags);
}

void lodge_balloon_take_back(struct lodge_door *door, struct virtqueue *vq)
{
	struct lodge_balloon_job *job;

	spin_lock_irq(&door->lock);
	while ((job = virtqueue_detach_unused_buf(vq)))
		job->done(job, 0);
	spin_unlock_irq(&door->lock);
}
