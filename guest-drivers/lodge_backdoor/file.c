// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/lodge: an open file is a session with the host. A write is one whole frame, a read gets one
 * whole frame; see "The file" in protocol/spec/backdoor.md.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/uaccess.h>
#include <linux/user_namespace.h>

#include "compat/compat.h"
#include "lodge_backdoor/door.h"

static int lodge_open(struct inode *inode, struct file *file)
{
	/* misc_open() put it there, and holds off misc_deregister() meanwhile. */
	struct lodge_door *door = container_of(file->private_data, struct lodge_door, misc);
	bool root = file_ns_capable(file, &init_user_ns, CAP_SYS_ADMIN);
	struct lodge_session *session;
	int err;

	err = lodge_session_open(door, NULL, root, file->f_cred->fsuid, &session);
	if (err)
		return err;
	file->private_data = session;
	return nonseekable_open(inode, file);
}

static int lodge_release(struct inode *inode, struct file *file)
{
	lodge_session_close(file->private_data);
	return 0;
}

static bool has_news(struct lodge_session *session)
{
	return !list_empty(&session->received) || session->error || session->ended_by_host;
}

/* 0 and *ret_frame; or 0 and NULL, where the host has ended the session; -EAGAIN: nothing yet. */
static int take_frame(struct lodge_session *session, size_t room, struct lodge_frame **ret_frame)
{
	struct lodge_frame *frame = NULL;
	int err = 0;

	spin_lock_irq(&session->door->lock);
	if (!list_empty(&session->received)) {
		frame = list_first_entry(&session->received, struct lodge_frame, link);
		if (LODGE_RPC_HEADER_SIZE + le32_to_cpu(frame->header.size) > room)
			err = -EMSGSIZE;
		else
			list_del_init(&frame->link);
	} else if (session->error) {
		err = session->error;
	} else if (!session->ended_by_host) {
		err = -EAGAIN;
	}
	spin_unlock_irq(&session->door->lock);
	if (!err)
		*ret_frame = frame;
	return err;
}

static int copy_frame(char __user *to, const struct lodge_frame *frame)
{
	if (copy_to_user(to, &frame->header, LODGE_RPC_HEADER_SIZE) ||
	    copy_to_user(to + LODGE_RPC_HEADER_SIZE, frame->in + LODGE_RPC_HEADER_SIZE,
			 le32_to_cpu(frame->header.size)))
		return -EFAULT;
	return 0;
}

static ssize_t lodge_read(struct file *file, char __user *to, size_t count, loff_t *pos)
{
	struct lodge_session *session = file->private_data;
	struct lodge_frame *frame;
	ssize_t result;
	int err;

	if (count < LODGE_RPC_HEADER_SIZE)
		return -EINVAL;
	while ((err = take_frame(session, count, &frame)) == -EAGAIN) {
		if (file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		err = wait_event_interruptible(session->wait, has_news(session));
		if (err)
			return err;
	}
	if (err || !frame)
		return err;

	err = copy_frame(to, frame);
	result = err;
	if (!err)
		result = LODGE_RPC_HEADER_SIZE + (ssize_t)le32_to_cpu(frame->header.size);
	spin_lock_irq(&session->door->lock);
	if (err && !session->error) {
		list_add(&frame->link, &session->received);
		frame = NULL;
	} else {
		lodge_session_consumed(session, frame);
	}
	spin_unlock_irq(&session->door->lock);
	lodge_frame_free(frame);
	wake_up_interruptible_all(&session->wait);
	return result;
}

static int wait_for_frame(struct file *file, enum lodge_pool pool, size_t out_size, size_t in_size,
			  struct lodge_frame **ret_frame)
{
	struct lodge_session *session = file->private_data;
	size_t charge = lodge_frame_charge(out_size, in_size);
	int err;

	while ((err = lodge_session_frame(session, pool, out_size, in_size, ret_frame)) ==
		       -EAGAIN &&
	       !(file->f_flags & O_NONBLOCK)) {
		err = wait_event_interruptible(session->wait,
					       lodge_session_fits(session, pool, charge) ||
						       session->error || session->ended_by_host);
		if (err)
			break;
	}
	return err;
}

static int wait_to_send(struct file *file, struct lodge_frame *frame,
			const struct lodge_rpc_header *header)
{
	struct lodge_session *session = file->private_data;
	struct lodge_door *door = session->door;
	int err;

	while ((err = lodge_session_send(session, frame, header)) == -EAGAIN &&
	       !(file->f_flags & O_NONBLOCK)) {
		err = wait_event_interruptible(door->room, !door->ring_full || session->error);
		if (err)
			break;
	}
	return err;
}

static int send_frame(struct file *file, const struct lodge_rpc_header *header,
		      const char __user *payload)
{
	bool request = le16_to_cpu(header->type) == LODGE_RPC_REQUEST;
	enum lodge_pool pool = request ? LODGE_POOL_REQUESTS : LODGE_POOL_SENDS;
	size_t size = le32_to_cpu(header->size);
	size_t in_size = request ? LODGE_RPC_HEADER_SIZE + le32_to_cpu(header->reply_max) : 0;
	struct lodge_frame *frame;
	int err;

	err = wait_for_frame(file, pool, LODGE_RPC_HEADER_SIZE + size, in_size, &frame);
	if (err)
		return err;
	if (copy_from_user(frame->out + LODGE_RPC_HEADER_SIZE, payload, size))
		err = -EFAULT;
	else
		err = wait_to_send(file, frame, header);
	if (err)
		lodge_session_unsent(file->private_data, frame);
	return err;
}

static ssize_t lodge_write(struct file *file, const char __user *from, size_t count, loff_t *pos)
{
	struct lodge_session *session = file->private_data;
	struct lodge_rpc_header header;
	int err;

	if (count < LODGE_RPC_HEADER_SIZE)
		return -EINVAL;
	if (count > LODGE_RPC_HEADER_SIZE + (size_t)session->door->payload_max)
		return -EMSGSIZE;
	if (copy_from_user(&header, from, LODGE_RPC_HEADER_SIZE))
		return -EFAULT;
	err = lodge_header_check(&header, count, session->door->payload_max);
	if (!err)
		err = send_frame(file, &header, from + LODGE_RPC_HEADER_SIZE);
	return err ? err : (ssize_t)count;
}

static __poll_t lodge_poll(struct file *file, poll_table *table)
{
	struct lodge_session *session = file->private_data;
	__poll_t ready = 0;

	poll_wait(file, &session->wait, table);
	poll_wait(file, &session->door->room, table);
	spin_lock_irq(&session->door->lock);
	if (has_news(session))
		ready |= EPOLLIN | EPOLLRDNORM;
	if (session->error)
		ready |= EPOLLERR | EPOLLHUP;
	else if (session->ended_by_host)
		ready |= EPOLLHUP;
	else if (!session->door->ring_full && lodge_session_has_room(session))
		ready |= EPOLLOUT | EPOLLWRNORM;
	spin_unlock_irq(&session->door->lock);
	return ready;
}

static const struct file_operations lodge_file_operations = {
	.owner = THIS_MODULE,
	.open = lodge_open,
	.release = lodge_release,
	.read = lodge_read,
	.write = lodge_write,
	.poll = lodge_poll,
};

int lodge_file_register(struct lodge_door *door)
{
	door->misc.minor = MISC_DYNAMIC_MINOR;
	door->misc.name = "lodge";
	door->misc.mode = 0666;
	door->misc.parent = &door->vdev->dev;
	door->misc.fops = &lodge_file_operations;
	return misc_register(&door->misc);
}

void lodge_file_unregister(struct lodge_door *door)
{
	misc_deregister(&door->misc);
}
