// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the host changed in shared folders, made known in this kernel: /dev/lodge-fs-events takes
 * the records of <lodge/fs_notify.h>; protocol/spec/fs-notify.md is the contract.
 *
 * Theory of operation. It works with any FUSE file system, the in-box virtiofs among them, and
 * knows nothing of FUSE's own structures: inodes of FUSE are hashed by nodeid, and hold attr.ino.
 * The folder of a record is looked for there, and the file. What is not in memory has nobody who
 * watches it, and nothing of it is cached. Else the name is dropped from the cache of names where
 * it changed, attributes are asked for, stale pages dropped, and only then events are raised:
 * whoever wakes up finds the new state.
 */
#include <linux/file.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <lodge/fs_notify.h>

#include "compat/compat.h"
#include "compat/notify.h"
#include "lodge_fs/lodge_fs.h"

#define FUSE_MAGIC   0x65735546 /* FUSE_SUPER_MAGIC of <linux/magic.h>, from 5.19 on */
#define ROOT_NODEID  1 /* FUSE_ROOT_ID */
#define CHANGE_KINDS (LODGE_FS_MODIFIED | LODGE_FS_ATTRIB | LODGE_FS_CLOSED)
#define GONE_KINDS   (LODGE_FS_DELETED | LODGE_FS_MOVED_FROM)
/* Cookies of the host are told from this kernel's own, which count from 1. */
#define HOST_COOKIE 0x80000000

/* An open file. */
struct target {
	struct mutex lock;
	struct path path; /* of anything in the file system; mnt NULL: not attached */
};

/* A record, checked. */
struct change {
	u32 kinds;
	u32 cookie;
	u64 folder;
	u64 folder_ino;
	u64 child; /* 0: the host's server does not know it */
	u64 child_ino;
	u32 name_len;
	char name[LODGE_FS_NAME_MAX + 1];
};

static bool good_kinds(const struct change *change)
{
	u32 names = change->kinds & LODGE_FS_NAME_KINDS;
	bool moved = names & (LODGE_FS_MOVED_FROM | LODGE_FS_MOVED_TO);

	if (change->kinds & ~LODGE_FS_ALL_KINDS || names & (names - 1) || moved != !!change->cookie)
		return false;
	if (change->kinds & LODGE_FS_LOST)
		return !(change->kinds & ~(LODGE_FS_LOST | LODGE_FS_IS_FOLDER)) &&
		       !change->name_len;
	if (!change->folder)
		return false;
	if (change->kinds & LODGE_FS_SELF)
		return !names && !change->name_len;
	return change->kinds & ~LODGE_FS_IS_FOLDER && change->name_len;
}

static bool good_name(const struct change *change)
{
	return !memchr(change->name, 0, change->name_len) &&
	       !memchr(change->name, '/', change->name_len) && strcmp(change->name, ".") &&
	       strcmp(change->name, "..");
}

/* Takes the record at *@at of @len bytes. The path is for user space. */
static int take_change(const u8 *batch, size_t len, size_t *at, struct change *ret_change)
{
	struct lodge_fs_change head;
	size_t size, path_len, used;

	if (len - *at < sizeof(head))
		return -EINVAL;
	memcpy(&head, batch + *at, sizeof(head));
	size = le32_to_cpu(head.size);
	path_len = le16_to_cpu(head.path_len);
	ret_change->name_len = le16_to_cpu(head.name_len);
	used = sizeof(head) + path_len + ret_change->name_len;
	if (size > len - *at || size != ALIGN(used, 8) || path_len > LODGE_FS_PATH_MAX ||
	    ret_change->name_len > LODGE_FS_NAME_MAX)
		return -EINVAL;
	ret_change->kinds = le32_to_cpu(head.kinds);
	ret_change->cookie = le32_to_cpu(head.cookie);
	ret_change->folder = le64_to_cpu(head.folder);
	ret_change->folder_ino = le64_to_cpu(head.folder_ino);
	ret_change->child = le64_to_cpu(head.child);
	ret_change->child_ino = le64_to_cpu(head.child_ino);
	memcpy(ret_change->name, batch + *at + sizeof(head) + path_len, ret_change->name_len);
	ret_change->name[ret_change->name_len] = 0;
	if (!good_kinds(ret_change) || !good_name(ret_change))
		return -EINVAL;
	*at += size;
	return 0;
}

static int is_ino(struct inode *inode, void *ino)
{
	return inode->i_ino == *(u64 *)ino;
}

/* A dentry of what has these numbers, or NULL: it is not in memory. What is watched stays there
 * when its name has left the cache: it gets a dentry without a name then, as file handles do. */
static struct dentry *find_dentry(struct super_block *sb, u64 nodeid, u64 ino)
{
	struct dentry *dentry;
	struct inode *inode;

	if (nodeid == ROOT_NODEID)
		return dget(sb->s_root);
	inode = ilookup5(sb, (unsigned long)nodeid, is_ino, &ino);
	if (!inode)
		return NULL;
	dentry = d_obtain_alias(inode);
	return IS_ERR(dentry) ? NULL : dentry;
}

static struct dentry *find_folder(struct super_block *sb, const struct change *change)
{
	struct dentry *dentry = find_dentry(sb, change->folder, change->folder_ino);

	if (dentry && !S_ISDIR(d_inode(dentry)->i_mode)) {
		dput(dentry);
		return NULL;
	}
	return dentry;
}

/* Drops the pages of @inode that nobody has changed or mapped here. */
static void drop_pages(struct inode *inode)
{
#ifdef IS_DAX
	/* The host's own pages. */
	if (IS_DAX(inode))
		return;
#endif
	if (S_ISREG(inode->i_mode))
		invalidate_mapping_pages(inode->i_mapping, 0, -1);
}

/* Makes what @path leads to fresh, and tells. */
static void tell_change(struct path *path, u32 kinds)
{
	struct dentry *dentry = path->dentry;
	u32 folder = S_ISDIR(d_inode(dentry)->i_mode) ? FS_ISDIR : 0;

	if (kinds & LODGE_FS_MODIFIED)
		drop_pages(d_inode(dentry));
	if (lodge_ask_attributes(path))
		d_invalidate(dentry);
	if (kinds & LODGE_FS_MODIFIED)
		lodge_notify_dentry(dentry, FS_MODIFY | folder);
	if (kinds & LODGE_FS_ATTRIB)
		lodge_notify_dentry(dentry, FS_ATTRIB | folder);
	if (kinds & LODGE_FS_CLOSED)
		lodge_notify_dentry(dentry, FS_CLOSE_WRITE | folder);
}

static void tell_name(struct dentry *folder, const struct change *change, struct inode *about)
{
	static const struct {
		u32 kind, mask;
	} masks[] = {
		{ LODGE_FS_CREATED, FS_CREATE },
		{ LODGE_FS_DELETED, FS_DELETE },
		{ LODGE_FS_MOVED_FROM, FS_MOVED_FROM },
		{ LODGE_FS_MOVED_TO, FS_MOVED_TO },
	};
	u32 mask = change->kinds & LODGE_FS_IS_FOLDER ? FS_ISDIR : 0;
	u32 cookie = change->cookie ? change->cookie | HOST_COOKIE : 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(masks); i++)
		if (change->kinds & masks[i].kind)
			lodge_notify_name(d_inode(folder), mask | masks[i].mask, about,
					  change->name, change->name_len, cookie);
}

/* Drops the name, and what its folder has as its list. */
static void drop_name(struct path *folder, struct dentry *child)
{
	lodge_ask_attributes(folder);
	if (child)
		d_invalidate(child);
}

/* What the name leads to now, if anybody here has it or watches its folder; else NULL. */
static struct dentry *look_up(struct path *folder, const struct change *change)
{
	struct dentry *child = NULL;
	struct path path;

	if (!(change->kinds & LODGE_FS_NAME_KINDS))
		child = lodge_find_dentry(folder->dentry, change->name, change->name_len);
	if (!child && lodge_is_watched(d_inode(folder->dentry)) &&
	    !vfs_path_lookup(folder->dentry, folder->mnt, change->name, 0, &path)) {
		child = dget(path.dentry);
		path_put(&path);
	}
	if (!child && change->child)
		child = find_dentry(folder->dentry->d_sb, change->child, change->child_ino);
	if (child && !d_inode(child)) {
		dput(child);
		return NULL;
	}
	return child;
}

static void apply_gone(struct path *folder, const struct change *change)
{
	struct dentry *child = lodge_find_dentry(folder->dentry, change->name, change->name_len);
	struct inode *dir = d_inode(folder->dentry);

	drop_name(folder, child);
	tell_name(folder->dentry, change, child && d_inode(child) ? d_inode(child) : dir);
	dput(child);
}

static void apply_name(struct path *folder, const struct change *change)
{
	struct path path = { .mnt = folder->mnt };
	struct dentry *old;

	if (change->kinds & LODGE_FS_NAME_KINDS) {
		old = lodge_find_dentry(folder->dentry, change->name, change->name_len);
		drop_name(folder, old);
		dput(old);
	}
	path.dentry = look_up(folder, change);
	if (change->kinds & LODGE_FS_NAME_KINDS)
		tell_name(folder->dentry, change,
			  d_inode(path.dentry ? path.dentry : folder->dentry));
	if (change->kinds & CHANGE_KINDS && path.dentry)
		tell_change(&path, change->kinds);
	dput(path.dentry);
}

/* The folder is not in memory, but the file may be. */
static void apply_alone(const struct path *root, const struct change *change)
{
	struct path path = { .mnt = root->mnt };

	if (!(change->kinds & CHANGE_KINDS) || !change->child)
		return;
	path.dentry = find_dentry(root->dentry->d_sb, change->child, change->child_ino);
	if (path.dentry)
		tell_change(&path, change->kinds);
	dput(path.dentry);
}

static void apply(const struct path *root, struct change *change)
{
	struct super_block *sb = root->dentry->d_sb;
	struct path folder = { .mnt = root->mnt };

	folder.dentry = change->folder ? find_folder(sb, change) : dget(sb->s_root);
	if (!folder.dentry) {
		apply_alone(root, change);
		return;
	}
	if (change->kinds & (LODGE_FS_LOST | LODGE_FS_SELF)) {
		lodge_ask_attributes(&folder);
		if (change->kinds & LODGE_FS_LOST)
			shrink_dcache_parent(folder.dentry);
		lodge_notify_inode(d_inode(folder.dentry), FS_ATTRIB | FS_ISDIR);
	} else if (change->kinds & GONE_KINDS) {
		apply_gone(&folder, change);
	} else {
		apply_name(&folder, change);
	}
	dput(folder.dentry);
}

static int apply_all(const struct path *root, const u8 *batch, size_t len)
{
	struct change *change = kmalloc(sizeof(*change), GFP_KERNEL);
	size_t at = 0;
	int err = 0;

	if (!change)
		return -ENOMEM;
	while (!err && at < len)
		err = take_change(batch, len, &at, change);
	for (at = 0; !err && at < len;) {
		err = take_change(batch, len, &at, change);
		if (!err)
			apply(root, change);
		if (fatal_signal_pending(current))
			err = -EINTR;
		cond_resched();
	}
	kfree(change);
	return err;
}

static ssize_t events_write(struct file *file, const char __user *from, size_t count, loff_t *pos)
{
	struct target *target = file->private_data;
	u8 *batch;
	int err;

	if (!count || count > LODGE_FS_BATCH_MAX)
		return -EINVAL;
	batch = kvmalloc(count, GFP_KERNEL);
	if (!batch)
		return -ENOMEM;
	/* The server of the file system may be long in answering whoever has the lock. */
	err = copy_from_user(batch, from, count) ? -EFAULT : mutex_lock_killable(&target->lock);
	if (err)
		goto free_batch;
	err = target->path.mnt ? apply_all(&target->path, batch, count) : -ENOTCONN;
	mutex_unlock(&target->lock);
free_batch:
	kvfree(batch);
	return err ? err : count;
}

static long attach(struct target *target, int fd)
{
	struct file *file = fget(fd);
	struct path old;

	if (!file)
		return -EBADF;
	if (file_inode(file)->i_sb->s_magic != FUSE_MAGIC) {
		fput(file);
		return -EINVAL;
	}
	if (mutex_lock_killable(&target->lock)) {
		fput(file);
		return -EINTR;
	}
	old = target->path;
	target->path = file->f_path;
	path_get(&target->path);
	mutex_unlock(&target->lock);
	path_put(&old);
	fput(file);
	return 0;
}

static long events_ioctl(struct file *file, unsigned int command, unsigned long arg)
{
	s32 fd;

	if (command != LODGE_FS_ATTACH)
		return -ENOTTY;
	if (copy_from_user(&fd, (const void __user *)arg, sizeof(fd)))
		return -EFAULT;
	return attach(file->private_data, fd);
}

static int events_open(struct inode *inode, struct file *file)
{
	struct target *target = kzalloc(sizeof(*target), GFP_KERNEL);

	if (!target)
		return -ENOMEM;
	mutex_init(&target->lock);
	file->private_data = target;
	return 0;
}

static int events_release(struct inode *inode, struct file *file)
{
	struct target *target = file->private_data;

	path_put(&target->path);
	kfree(target);
	return 0;
}

static const struct file_operations events_operations = {
	.owner = THIS_MODULE,
	.open = events_open,
	.release = events_release,
	.write = events_write,
	.unlocked_ioctl = events_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};

static struct miscdevice events_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "lodge-fs-events",
	.mode = 0600,
	.fops = &events_operations,
};

int lodge_fs_events_begin(void)
{
	return misc_register(&events_device);
}

void lodge_fs_events_end(void)
{
	misc_deregister(&events_device);
}
