// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Names: lookup, and every operation that makes, links, renames or removes one.
 *
 * The host's path resolution is never used for more than one component below a held O_PATH folder,
 * without following a symbolic link: there is no path of the guest's making to be led astray by.
 */
#include "shared-fs/server/evict.h"
#include "shared-fs/server/kept.h"
#include "shared-fs/server/ops.h"
#include "shared-fs/server/redo.h"
#include "shared-fs/server/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* More descriptors than all threads can take while one of them makes a system call. */
#define PIN_MARGIN 512

/* A first look at a name opens it and then asks statx(2); a repeated one can ask first, and finds
 * an inode that is held already without opening anything. The table guesses which it is. */
static uint32_t name_hash(const struct inode *dir, const char *name)
{
	uint32_t hash = 2166136261u ^ dir->slot.index * 16777619u; /* FNV-1a */

	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * 16777619u;
	return hash;
}

static uint8_t seen_mark(uint32_t hash)
{
	return (uint8_t)(hash >> 24 | 1);
}

static bool was_seen(struct fs *fs, uint32_t hash)
{
	return __atomic_load_n(&fs->seen[hash % SEEN_NAMES], __ATOMIC_RELAXED) == seen_mark(hash);
}

/* Until the inode goes: then the guess would cost a call. */
static void note_seen(struct fs *fs, struct inode *inode, uint32_t hash)
{
	__atomic_store_n(&fs->seen[hash % SEEN_NAMES], seen_mark(hash), __ATOMIC_RELAXED);
	__atomic_store_n(&inode->seen, (uint16_t)(hash % SEEN_NAMES), __ATOMIC_RELAXED);
}

/* 0 and the inode, 1 where the name is there but its inode is not known, or an error. */
static int find_known(struct fs *fs, struct inode *dir, const char *name, struct inode **ret_inode,
		      struct statx *ret_stx)
{
	const struct found found = { .share = dir->share,
				     .parent_id = slot_id(&dir->slot),
				     .stx = ret_stx };
	int no_fd = -1;

	if (statx(dir->fd, name, AT_SYMLINK_NOFOLLOW, STATX_WANTED, ret_stx))
		return -errno;
	return inode_find(fs, &found, &no_fd, ret_inode) ? 1 : 0;
}

/* Known by another name before, which may go: @fd's is where it can be opened again (evict.c). With
 * a reference, as the caller has, nobody closes the inode's descriptor meanwhile. */
static void reopen_at(int fd, const struct inode *inode)
{
	if (inode->fd >= 0 && !S_ISDIR(inode->type))
		(void)dup3(fd, inode->fd, O_CLOEXEC);
}

/* @fd is charged; it is closed unless the inode took it. @dir (or NULL): where it was found. A
 * share (NULL) is found whether or not another machine answers. */
static int adopt(struct fs *fs, uint16_t share, struct inode *dir, int fd, struct inode **ret_inode,
		 struct statx *ret_stx)
{
	struct found found = { .share = share, .stx = ret_stx };
	int ret;

	if (statx(fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | (dir ? 0 : AT_STATX_DONT_SYNC),
		  STATX_WANTED, ret_stx)) {
		ret = -errno;
	} else {
		found.parent_id = dir ? slot_id(&dir->slot) : 0;
		if (dir)
			remote_find(fs, dir, fd, &found);
		ret = inode_find(fs, &found, &fd, ret_inode);
		if (!ret && fd >= 0)
			reopen_at(fd, *ret_inode);
	}
	if (fd >= 0) {
		close(fd);
		fd_uncharge(fs, 1);
	}
	return ret;
}

/* Where there is no descriptor left for it: a folder that the guest knows has one. */
static int find_known_share(struct fs *fs, uint16_t share, int fd, struct inode **ret_inode,
			    struct statx *ret_stx)
{
	const struct found found = { .share = share, .stx = ret_stx };
	int no_fd = -1;

	if (statx(fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC, STATX_WANTED,
		  ret_stx))
		return -errno;
	return inode_find(fs, &found, &no_fd, ret_inode) ? -ENFILE : 0;
}

static int find_share(struct fs *fs, const char *name, struct inode **ret_inode,
		      struct statx *ret_stx)
{
	int share;
	int ret;
	int fd;

	pthread_mutex_lock(&fs->lock);
	share = share_find_locked(fs, name, strlen(name));
	fd = share < 0 ? -1 : fcntl(fs->shares[share].fd, F_DUPFD_CLOEXEC, 3);
	pthread_mutex_unlock(&fs->lock);
	if (share < 0)
		return share;
	if (fd < 0)
		return -errno;
	if (!fd_charge(fs, 1))
		return adopt(fs, (uint16_t)share, NULL, fd, ret_inode, ret_stx);
	ret = find_known_share(fs, (uint16_t)share, fd, ret_inode, ret_stx);
	close(fd);
	return ret;
}

int entry_find(struct fs *fs, struct inode *dir, const char *name, struct inode **ret_inode,
	       struct statx *ret_stx)
{
	uint32_t hash = name_hash(dir, name);
	int ret;
	int fd;

	if (dir->fd < 0)
		return find_share(fs, name, ret_inode, ret_stx);
	if (was_seen(fs, hash)) {
		ret = find_known(fs, dir, name, ret_inode, ret_stx);
		if (ret <= 0)
			return ret;
	}
	ret = fd_charge(fs, 1);
	if (ret)
		return ret;
	fd = openat(dir->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		ret = -errno;
		fd_uncharge(fs, 1);
		return ret;
	}
	ret = adopt(fs, dir->share, dir, fd, ret_inode, ret_stx);
	if (!ret)
		note_seen(fs, *ret_inode, hash);
	return ret;
}

int entry_of_fd(struct fs *fs, struct inode *dir, int fd, struct inode **ret_inode,
		struct statx *ret_stx)
{
	int path_fd;
	int ret;

	ret = fd_charge(fs, 1);
	if (ret)
		return ret;
	path_fd = openat(fs->proc_fd, fd_name(fd).text, O_PATH | O_CLOEXEC);
	if (path_fd < 0) {
		ret = -errno;
		fd_uncharge(fs, 1);
		return ret;
	}
	return adopt(fs, dir->share, dir, path_fd, ret_inode, ret_stx);
}

void entry_fill(struct fs *fs, const struct inode *inode, const struct statx *stx, bool listed,
		struct fuse_entry_out *entry)
{
	struct validity name = name_validity(fs, stx, listed);
	struct validity attr = attr_validity(fs, inode, stx);

	/* The slot's generation is part of nodeid; generation 0 for all is as good as any. */
	*entry = (struct fuse_entry_out){ .nodeid = slot_id(&inode->slot),
					  .entry_valid = name.seconds,
					  .attr_valid = attr.seconds,
					  .entry_valid_nsec = name.ns,
					  .attr_valid_nsec = attr.ns };
	attr_fill(fs, inode, stx, &entry->attr);
}

int64_t entry_reply(struct request *req, const char *name)
{
	struct fuse_entry_out *entry = (struct fuse_entry_out *)req->scratch->reply;
	struct inode *inode = NULL;
	struct statx stx;
	int ret;

	if (req->reply_room < sizeof(*entry))
		return -EINVAL;
	ret = entry_find(req->fs, req->inode, name, &inode, &stx);
	if (!inode)
		return ret;
	journal_grant(req->journal, slot_id(&inode->slot));
	entry_fill(req->fs, inode, &stx, false, entry);
	inode_put(req->fs, inode);
	return sizeof(*entry);
}

int64_t op_lookup(struct request *req)
{
	int ret;
	const char *name = request_name(req, 0, NULL, &ret);

	if (!name)
		return ret;
	if (!S_ISDIR(req->inode->type))
		return -ENOTDIR;
	return entry_reply(req, name);
}

int64_t op_forget(struct request *req)
{
	inode_forget(req->fs, req->in.nodeid, request_body(req, fuse_forget_in)->nlookup);
	return 0;
}

int64_t op_batch_forget(struct request *req)
{
	const struct fuse_batch_forget_in *body = request_body(req, fuse_batch_forget_in);
	const struct fuse_forget_one *one = (const void *)(body + 1);
	size_t n = (req->body_len - sizeof(*body)) / sizeof(*one);

	if (n > body->count)
		n = body->count;
	for (size_t i = 0; i < n; i++)
		inode_forget(req->fs, one[i].nodeid, one[i].nlookup);
	return 0;
}

int64_t op_readlink(struct request *req)
{
	ssize_t len;

	if (!S_ISLNK(req->inode->type))
		return -EINVAL;
	len = readlinkat(req->inode->fd, "", (char *)req->scratch->reply, PATH_MAX);
	if (len < 0)
		return -errno;
	return len > req->reply_room ? req->reply_room : len;
}

/* What is being made: @mode with its type, @rdev as FUSE has it. */
struct making {
	const char *name;
	uint32_t mode;
	uint32_t rdev;
};

/* The host's type for it. */
static uint32_t type_for(const struct request *req, uint32_t mode)
{
	if (S_ISDIR(mode) || S_ISLNK(mode) ||
	    !kept_active(req->fs, inode_share(req->fs, req->inode)))
		return mode & S_IFMT;
	return S_IFREG;
}

static int keep_made(const struct request *req, const struct making *making)
{
	int ret;

	if (S_ISLNK(making->mode) || !kept_active(req->fs, inode_share(req->fs, req->inode)))
		return 0;
	ret = kept_made_name(req, making->name, making->mode, making->rdev);
	if (ret)
		(void)unlinkat(req->inode->fd, making->name,
			       S_ISDIR(making->mode) ? AT_REMOVEDIR : 0);
	return ret;
}

/* After a call that made it: @result is its return value. */
static int64_t made(struct request *req, const struct caller *caller, int result,
		    const struct making *making)
{
	const char *name = making->name;
	int ret = result < 0 ? -errno : 0;

	caller_leave(req->fs, caller);
	if (ret)
		watch_own_undo(req->fs, req->inode, name, LODGE_FS_CREATED);
	if (ret == -EEXIST && redo_made(req, name, type_for(req, making->mode)))
		ret = 0;
	if (!ret)
		ret = keep_made(req, making);
	return ret ? ret : entry_reply(req, name);
}

int64_t op_symlink(struct request *req)
{
	struct caller caller;
	const char *target;
	const char *name;
	size_t next;
	int ret;

	name = request_name(req, 0, &next, &ret);
	if (!name)
		return ret;
	target = (const char *)req->body + next;
	if (next >= req->body_len || strnlen(target, req->body_len - next) == req->body_len - next)
		return -EINVAL;
	ret = caller_enter(req, 0, &caller);
	if (ret)
		return ret;
	watch_own_name(req->fs, req->inode, name, LODGE_FS_CREATED);
	return made(req, &caller, symlinkat(target, req->inode->fd, name),
		    &(struct making){ .name = name, .mode = S_IFLNK });
}

static int make_node(const struct request *req, const struct making *making)
{
	uint32_t type = type_for(req, making->mode);
	uint32_t mode = attr_new_mode(req, type, making->mode);
	int fd;

	if (type == (making->mode & S_IFMT))
		return mknodat(req->inode->fd, making->name, type | mode,
			       makedev(making->rdev >> 8 & 0xfff,
				       (making->rdev & 0xff) | (making->rdev >> 12 & 0xfff00)));
	fd = openat(req->inode->fd, making->name,
		    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd >= 0)
		close(fd);
	return fd < 0 ? -1 : 0;
}

int64_t op_mknod(struct request *req)
{
	const struct fuse_mknod_in *body = request_body(req, fuse_mknod_in);
	struct making making = { .rdev = body->rdev };
	struct caller caller;
	int ret;

	making.name = request_name(req, sizeof(*body), NULL, &ret);
	if (!making.name)
		return ret;
	making.mode = caller_mode(req, body->mode & (S_IFMT | 07777), body->umask);
	if (!(making.mode & S_IFMT))
		making.mode |= S_IFREG;
	if (S_ISDIR(making.mode) || S_ISLNK(making.mode))
		return -EPERM; /* as mknod(2) */
	ret = caller_enter(req, body->mode, &caller);
	if (ret)
		return ret;
	watch_own_name(req->fs, req->inode, making.name, LODGE_FS_CREATED);
	return made(req, &caller, make_node(req, &making), &making);
}

int64_t op_mkdir(struct request *req)
{
	const struct fuse_mkdir_in *body = request_body(req, fuse_mkdir_in);
	struct caller caller;
	const char *name;
	uint32_t mode;
	int ret;

	name = request_name(req, sizeof(*body), NULL, &ret);
	if (!name)
		return ret;
	ret = caller_enter(req, body->mode, &caller);
	if (ret)
		return ret;
	mode = caller_mode(req, body->mode & 07777, body->umask);
	watch_own_name(req->fs, req->inode, name, LODGE_FS_CREATED);
	return made(req, &caller, mkdirat(req->inode->fd, name, attr_new_mode(req, S_IFDIR, mode)),
		    &(struct making){ .name = name, .mode = S_IFDIR | mode });
}

/*
 * The inode behind a name that is about to lead elsewhere, which must not be opened by that name
 * later (evict.h), and whose times will change: a reference, or NULL where there is none, or
 * descriptors are plenty and nobody listens to changes.
 */
static struct inode *pin(struct fs *fs, const struct inode *dir, const char *name)
{
	uint32_t plenty = fs->config.fd_limit / 2;
	struct inode *inode;
	struct statx stx;

	if (fs->config.fd_limit - plenty > PIN_MARGIN)
		plenty = fs->config.fd_limit - PIN_MARGIN;
	if (!__atomic_load_n(&fs->notify_on, __ATOMIC_RELAXED) &&
	    !__atomic_load_n(&fs->n_evicted, __ATOMIC_RELAXED) &&
	    __atomic_load_n(&fs->n_fds, __ATOMIC_RELAXED) < plenty)
		return NULL;
	if (statx(dir->fd, name, AT_SYMLINK_NOFOLLOW, STATX_WANTED, &stx))
		return NULL;
	inode = inode_known(fs, dir->share, &stx);
	if (inode) {
		inode_revive(fs, inode);
		watch_own_begin(fs, inode);
	}
	return inode;
}

/* @done: its name in @from was changed or taken away; it is now in @to, NULL: nowhere. */
static void unpin(struct fs *fs, struct inode *pinned, bool done, const struct inode *from,
		  const struct inode *to)
{
	if (done)
		__atomic_add_fetch(&fs->names_changed, 1, __ATOMIC_ACQ_REL);
	if (pinned && done)
		watch_own_end(fs, pinned);
	else if (pinned)
		watch_own_cancel(fs, pinned);
	if (pinned && done && to)
		inode_moved(fs, pinned, from, to);
	inode_put(fs, pinned);
}

static int64_t remove_name(struct request *req, int flags)
{
	struct inode *pinned;
	int ret;
	const char *name = request_name(req, 0, NULL, &ret);

	if (!name)
		return ret;
	pinned = pin(req->fs, req->inode, name);
	watch_own_name(req->fs, req->inode, name, LODGE_FS_DELETED);
	if (flags & AT_REMOVEDIR)
		ret = remote_rmdir(req->inode->fd, name);
	else
		ret = unlinkat(req->inode->fd, name, 0) ? -errno : 0;
	if (ret)
		watch_own_undo(req->fs, req->inode, name, LODGE_FS_DELETED);
	unpin(req->fs, pinned, !ret, req->inode, NULL);
	return ret == -ENOENT && redo_removed(req) ? 0 : ret;
}

int64_t op_unlink(struct request *req)
{
	return remove_name(req, 0);
}

int64_t op_rmdir(struct request *req)
{
	return remove_name(req, AT_REMOVEDIR);
}

/* Says (or, with @undo, takes back) that this server renames. */
static void note_rename(struct fs *fs, const struct inode *from, const char *name,
			const struct inode *to, const char *new_name, bool undo)
{
	if (undo) {
		watch_own_undo(fs, from, name, LODGE_FS_MOVED_FROM);
		watch_own_undo(fs, to, new_name, LODGE_FS_MOVED_TO);
	} else {
		watch_own_name(fs, from, name, LODGE_FS_MOVED_FROM);
		watch_own_name(fs, to, new_name, LODGE_FS_MOVED_TO);
	}
}

static int rename_host(struct fs *fs, const struct inode *from, const char *name,
		       const struct inode *to, const char *new_name, uint32_t flags)
{
	int ret;

	note_rename(fs, from, name, to, new_name, false);
	if (flags & RENAME_EXCHANGE)
		note_rename(fs, to, new_name, from, name, false);
	ret = remote_rename(from->fd, name, to->fd, new_name, flags);
	if (ret)
		note_rename(fs, from, name, to, new_name, true);
	if (ret && flags & RENAME_EXCHANGE)
		note_rename(fs, to, new_name, from, name, true);
	return ret;
}

static int rename_name(const struct request *req, const char *name, const struct inode *to,
		       const char *new_name, uint32_t flags)
{
	struct inode *pinned;
	struct inode *replaced;
	int ret;

	if (flags & (RENAME_EXCHANGE | RENAME_WHITEOUT) && redo_exchanged(req, name))
		return 0;
	pinned = pin(req->fs, req->inode, name);
	replaced = pin(req->fs, to, new_name);
	ret = rename_host(req->fs, req->inode, name, to, new_name, flags);
	unpin(req->fs, pinned, !ret, req->inode, to);
	unpin(req->fs, replaced, !ret, to, flags & RENAME_EXCHANGE ? req->inode : NULL);
	return ret == -ENOENT && redo_moved(req, to, new_name) ? 0 : ret;
}

static int64_t rename_to(struct request *req, size_t names, uint64_t newdir, uint32_t flags)
{
	struct inode *to;
	const char *name;
	const char *new_name;
	size_t next;
	int ret;

	if (flags & ~(uint32_t)(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT))
		return -EINVAL;
	name = request_name(req, names, &next, &ret);
	if (!name)
		return ret;
	new_name = request_name(req, next, NULL, &ret);
	if (!new_name)
		return ret;
	ret = inode_get(req->fs, newdir, &to);
	if (ret)
		return ret;
	if (to->share != req->inode->share)
		ret = to->fd < 0 ? -EROFS : -EXDEV;
	else
		ret = rename_name(req, name, to, new_name, flags);
	inode_put(req->fs, to);
	return ret;
}

int64_t op_rename(struct request *req)
{
	const struct fuse_rename_in *body = request_body(req, fuse_rename_in);

	return rename_to(req, sizeof(*body), body->newdir, 0);
}

int64_t op_rename2(struct request *req)
{
	const struct fuse_rename2_in *body = request_body(req, fuse_rename2_in);

	return rename_to(req, sizeof(*body), body->newdir, body->flags);
}

static int link_host(const struct request *req, struct inode *old, const char *name)
{
	int ret;

	watch_own_name(req->fs, req->inode, name, LODGE_FS_CREATED);
	watch_own_begin(req->fs, old);
	ret = linkat(req->fs->proc_fd, fd_name(old->fd).text, req->inode->fd, name,
		     AT_SYMLINK_FOLLOW)
		      ? -errno
		      : 0;
	if (!ret) {
		watch_own_end(req->fs, old);
		return 0;
	}
	watch_own_cancel(req->fs, old);
	watch_own_undo(req->fs, req->inode, name, LODGE_FS_CREATED);
	return ret;
}

int64_t op_link(struct request *req)
{
	const struct fuse_link_in *body = request_body(req, fuse_link_in);
	struct inode *old;
	const char *name;
	int ret;

	name = request_name(req, sizeof(*body), NULL, &ret);
	if (!name)
		return ret;
	ret = inode_get(req->fs, body->oldnodeid, &old);
	if (ret)
		return ret;
	if (old->share != req->inode->share)
		ret = -EXDEV;
	else
		ret = link_host(req, old, name);
	if (ret == -EEXIST && redo_linked(req, name, old))
		ret = 0;
	inode_put(req->fs, old);
	return ret ? ret : entry_reply(req, name);
}
