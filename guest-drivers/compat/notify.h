/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fsnotify, paths and attributes, as compat.h does it: one interface from 3.10 on.
 */
#ifndef LODGE_COMPAT_NOTIFY_H
#define LODGE_COMPAT_NOTIFY_H

#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/fsnotify.h>
#include <linux/namei.h>
#include <linux/pagemap.h>
#include <linux/path.h>
#include <linux/stat.h>

#include "compat/config.h"

/* Exported since 2.6; most kernels declare it among their own headers. */
#ifndef LODGE_HAVE_VFS_PATH_LOOKUP
int vfs_path_lookup(struct dentry *dentry, struct vfsmount *mnt, const char *name,
		    unsigned int flags, struct path *path);
#endif

#ifndef LODGE_HAVE_D_INODE
static inline struct inode *d_inode(const struct dentry *dentry)
{
	return dentry->d_inode;
}
#endif

/* Does anybody watch @inode? */
static inline bool lodge_is_watched(const struct inode *inode)
{
#ifdef CONFIG_FSNOTIFY
	return inode->i_fsnotify_mask;
#else
	return false;
#endif
}

/* Asks the file system for the attributes; where a kernel cannot be told so, once what it has
 * cached has run out. */
static inline int lodge_ask_attributes(struct path *path)
{
	struct kstat stat;

#ifdef LODGE_HAVE_STATX
	return vfs_getattr(path, &stat, STATX_BASIC_STATS, AT_STATX_FORCE_SYNC);
#else
	return vfs_getattr(path, &stat);
#endif
}

/* The dentry of @name below @parent if it is in memory, or NULL. */
static inline struct dentry *lodge_find_dentry(struct dentry *parent, const char *name, u32 len)
{
	struct qstr key = QSTR_INIT(name, len);

#ifdef LODGE_HAVE_HASH_SALT
	key.hash = full_name_hash(parent, name, len);
#else
	key.hash = full_name_hash((const unsigned char *)name, len);
#endif
	return d_lookup(parent, &key);
}

/* Of @name in @dir; @about is any inode that it is about. */
static inline void lodge_notify_name(struct inode *dir, u32 mask, struct inode *about,
				     const char *name, u32 len, u32 cookie)
{
#ifdef LODGE_HAVE_FSNOTIFY_NAME
	struct qstr key = QSTR_INIT(name, len);

	fsnotify(mask, about, FSNOTIFY_EVENT_INODE, dir, &key, NULL, cookie);
#elif defined(LODGE_HAVE_FSNOTIFY_QSTR)
	struct qstr key = QSTR_INIT(name, len);

	fsnotify(dir, mask, about, FSNOTIFY_EVENT_INODE, &key, cookie);
#else
	fsnotify(dir, mask, about, FSNOTIFY_EVENT_INODE, (const unsigned char *)name, cookie);
#endif
}

/* Of @inode itself alone. */
static inline void lodge_notify_inode(struct inode *inode, u32 mask)
{
#ifdef LODGE_HAVE_FSNOTIFY_NAME
	fsnotify(mask, inode, FSNOTIFY_EVENT_INODE, NULL, NULL, inode, 0);
#else
	fsnotify(inode, mask, inode, FSNOTIFY_EVENT_INODE, NULL, 0);
#endif
}

/* Of what @dentry leads to, and of its name in its folder. */
static inline void lodge_notify_dentry(struct dentry *dentry, u32 mask)
{
#ifdef LODGE_HAVE_FSNOTIFY_DENTRY
	fsnotify_dentry(dentry, mask);
#else
	fsnotify_parent(NULL, dentry, mask);
	lodge_notify_inode(d_inode(dentry), mask);
#endif
}

#endif
