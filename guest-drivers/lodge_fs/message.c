// SPDX-License-Identifier: GPL-2.0-only
/*
 * Small messages, copied: those that have no reply, and those whose reply may take for ever.
 */
#include <linux/fuse.h>
#include <linux/kernel.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat/compat.h"
#include "lodge_fs/lodge_fs.h"

void lodge_fs_messages_init(struct lodge_fs_session *session)
{
	spin_lock_init(&session->messages_lock);
	INIT_LIST_HEAD(&session->replies);
	init_waitqueue_head(&session->readers);
}

void lodge_fs_message_free(struct lodge_fs_message *message)
{
	if (!message)
		return;
	kfree(message->out);
	kfree(message->in);
	kfree(message);
}

static struct lodge_fs_message *message_alloc(size_t size, bool quiet)
{
	struct lodge_fs_message *message = kzalloc(sizeof(*message), GFP_KERNEL);

	if (!message)
		return NULL;
	message->token.kind = LODGE_FS_MESSAGE;
	message->quiet = quiet;
	message->out = kmalloc(size, GFP_KERNEL);
	message->in = quiet ? NULL : kzalloc(LODGE_FS_MESSAGE_MAX, GFP_KERNEL);
	if (message->out && (quiet || message->in))
		return message;
	lodge_fs_message_free(message);
	return NULL;
}

void lodge_fs_message_done(struct lodge_fs_session *session, struct lodge_fs_message *message,
			   u32 used)
{
	unsigned long flags;

	message->used = min(used, LODGE_FS_MESSAGE_MAX);
	spin_lock_irqsave(&session->messages_lock, flags);
	if (message->quiet)
		session->n_quiet--;
	else
		list_add_tail(&message->link, &session->replies);
	spin_unlock_irqrestore(&session->messages_lock, flags);
	wake_up_all(&session->readers);
	if (message->quiet)
		lodge_fs_message_free(message);
}

/* Counts one more: 0, -ENOBUFS, or for quiet ones -EAGAIN. */
static int count_one(struct lodge_fs_session *session, bool quiet)
{
	int err = session->error;

	spin_lock_irq(&session->messages_lock);
	if (!err && quiet && session->n_quiet >= LODGE_FS_QUIET_MAX)
		err = -EAGAIN;
	else if (!err && !quiet && session->n_messages >= LODGE_FS_MESSAGES_MAX)
		err = -ENOBUFS;
	else if (!err && quiet)
		session->n_quiet++;
	else if (!err)
		session->n_messages++;
	spin_unlock_irq(&session->messages_lock);
	return err;
}

static void uncount_one(struct lodge_fs_session *session, bool quiet)
{
	spin_lock_irq(&session->messages_lock);
	if (quiet)
		session->n_quiet--;
	else
		session->n_messages--;
	spin_unlock_irq(&session->messages_lock);
	/* Who waits to count may wait for nothing that the device has. */
	if (quiet)
		wake_up_all(&session->readers);
}

static int wait_to_count(struct lodge_fs_session *session, bool quiet, bool wait)
{
	int err;

	while ((err = count_one(session, quiet)) == -EAGAIN && wait) {
		if (lodge_fs_queue_reap(session, &session->queues[LODGE_FS_QUEUE_HIPRIO]))
			continue;
		err = wait_event_killable(session->readers,
					  session->n_quiet < LODGE_FS_QUIET_MAX || session->error);
		if (err)
			return -EINTR;
	}
	return err;
}

static int send(struct lodge_fs_session *session, struct lodge_fs_message *message, size_t count,
		bool wait)
{
	struct lodge_fs_queue *queue = message->quiet ? &session->queues[LODGE_FS_QUEUE_HIPRIO]
						      : lodge_fs_request_queue(session, 0);
	struct lodge_fs_buffers buffers = { .out = &message->sg[0], .segments = 1 };

	sg_init_one(&message->sg[0], message->out, count);
	if (!message->quiet) {
		sg_init_one(&message->sg[1], message->in, LODGE_FS_MESSAGE_MAX);
		buffers.in = &message->sg[1];
		buffers.segments = 2;
	}
	return lodge_fs_queue_add(session, queue, &buffers, &message->token, wait);
}

static bool is_quiet(const struct fuse_in_header *header)
{
	return header->opcode == FUSE_FORGET || header->opcode == FUSE_BATCH_FORGET ||
	       header->opcode == FUSE_INTERRUPT;
}

ssize_t lodge_fs_message_write(struct lodge_fs_session *session, const char __user *from,
			       size_t count, bool wait)
{
	struct lodge_fs_message *message;
	struct fuse_in_header header;
	bool quiet;
	int err;

	if (count < sizeof(header))
		return -EINVAL;
	if (count > LODGE_FS_MESSAGE_MAX)
		return -EMSGSIZE;
	if (copy_from_user(&header, from, sizeof(header)))
		return -EFAULT;
	if (header.len != count)
		return -EINVAL;
	quiet = is_quiet(&header);
	err = wait_to_count(session, quiet, wait);
	if (err)
		return err;
	message = message_alloc(count, quiet);
	err = message ? 0 : -ENOMEM;
	if (!err) {
		memcpy(message->out, &header, sizeof(header));
		if (copy_from_user(message->out + sizeof(header), from + sizeof(header),
				   count - sizeof(header)))
			err = -EFAULT;
	}
	if (!err)
		err = send(session, message, count, wait);
	if (!err)
		return count;
	lodge_fs_message_free(message);
	uncount_one(session, quiet);
	return err;
}

bool lodge_fs_message_ready(const struct lodge_fs_session *session)
{
	return !list_empty(&session->replies) || session->error;
}

/* 0 and *ret_message; -EAGAIN; -EMSGSIZE; the session's error. */
static int take_reply(struct lodge_fs_session *session, size_t room,
		      struct lodge_fs_message **ret_message)
{
	struct lodge_fs_message *message;
	int err = 0;

	spin_lock_irq(&session->messages_lock);
	if (list_empty(&session->replies)) {
		err = session->error ? session->error : -EAGAIN;
	} else {
		message = list_first_entry(&session->replies, struct lodge_fs_message, link);
		if (message->used > room) {
			err = -EMSGSIZE;
		} else {
			list_del(&message->link);
			session->n_messages--;
			*ret_message = message;
		}
	}
	spin_unlock_irq(&session->messages_lock);
	return err;
}

ssize_t lodge_fs_message_read(struct lodge_fs_session *session, char __user *to, size_t count,
			      bool wait)
{
	struct lodge_fs_message *message = NULL;
	ssize_t result;
	int err;

	while ((err = take_reply(session, count, &message)) == -EAGAIN) {
		if (!wait)
			return -EAGAIN;
		err = wait_event_interruptible(session->readers, lodge_fs_message_ready(session));
		if (err)
			return err;
	}
	if (err)
		return err;
	result = message->used;
	if (copy_to_user(to, message->in, message->used))
		result = -EFAULT;
	lodge_fs_message_free(message);
	return result;
}

void lodge_fs_messages_free(struct lodge_fs_session *session)
{
	struct lodge_fs_message *message, *next;

	list_for_each_entry_safe(message, next, &session->replies, link)
		lodge_fs_message_free(message);
}
