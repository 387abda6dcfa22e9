// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/lodge-fs/TAG: who may open it, and its calls.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/uaccess.h>
#include <linux/user_namespace.h>

#include "compat/compat.h"
#include "lodge_fs/lodge_fs.h"

static int fs_open(struct inode *inode, struct file *file)
{
	/* misc_open() put it there, and holds off misc_deregister() meanwhile. */
	struct lodge_fs *fs = container_of(file->private_data, struct lodge_fs, misc);
	struct lodge_fs_session *session = NULL;
	int err;

	if (!file_ns_capable(file, &init_user_ns, CAP_SYS_ADMIN))
		return -EPERM;
	err = lodge_fs_session_open(fs, &session);
	if (err)
		return err;
	file->private_data = session;
	return nonseekable_open(inode, file);
}

static int fs_release(struct inode *inode, struct file *file)
{
	lodge_fs_session_release(file->private_data);
	return 0;
}

static ssize_t fs_read(struct file *file, char __user *to, size_t count, loff_t *pos)
{
	return lodge_fs_message_read(file->private_data, to, count, !(file->f_flags & O_NONBLOCK));
}

static ssize_t fs_write(struct file *file, const char __user *from, size_t count, loff_t *pos)
{
	return lodge_fs_message_write(file->private_data, from, count,
				      !(file->f_flags & O_NONBLOCK));
}

static __poll_t fs_poll(struct file *file, poll_table *table)
{
	struct lodge_fs_session *session = file->private_data;
	__poll_t ready = EPOLLOUT | EPOLLWRNORM;

	poll_wait(file, &session->readers, table);
	if (lodge_fs_message_ready(session))
		ready |= EPOLLIN | EPOLLRDNORM;
	if (session->error)
		ready |= EPOLLERR | EPOLLHUP;
	return ready;
}

static int tell_info(const struct lodge_fs_session *session, void __user *to)
{
	struct lodge_fs_info info = {
		.request_queues = session->fs->request_queues,
		.segments_max = session->ring_size,
	};

	memcpy(info.tag, session->fs->tag, LODGE_FS_TAG_SIZE);
	return copy_to_user(to, &info, sizeof(info)) ? -EFAULT : 0;
}

static int set_slots(struct lodge_fs_session *session, const void __user *from)
{
	struct lodge_fs_slots wanted;

	if (copy_from_user(&wanted, from, sizeof(wanted)))
		return -EFAULT;
	return lodge_fs_slots_set(session, &wanted);
}

static int exchange(struct lodge_fs_session *session, void __user *both)
{
	struct lodge_fs_exchange exchange;
	int err;

	if (copy_from_user(&exchange, both, sizeof(exchange)))
		return -EFAULT;
	err = lodge_fs_slot_exchange(session, &exchange);
	if (!err && copy_to_user(both, &exchange, sizeof(exchange)))
		err = -EFAULT;
	return err;
}

static long fs_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	struct lodge_fs_session *session = file->private_data;
	void __user *pointer = (void __user *)argument;

	switch (command) {
	case LODGE_FS_INFO:
		return tell_info(session, pointer);
	case LODGE_FS_SLOTS:
		return set_slots(session, pointer);
	case LODGE_FS_EXCHANGE:
		return exchange(session, pointer);
	}
	return -ENOTTY;
}

static int fs_mmap(struct file *file, struct vm_area_struct *vma)
{
	return lodge_fs_slot_map(file->private_data, vma);
}

const struct file_operations lodge_fs_file_operations = {
	.owner = THIS_MODULE,
	.open = fs_open,
	.release = fs_release,
	.read = fs_read,
	.write = fs_write,
	.poll = fs_poll,
	.unlocked_ioctl = fs_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = fs_mmap,
};
