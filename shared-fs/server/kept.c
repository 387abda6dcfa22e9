// SPDX-License-Identifier: GPL-2.0-or-later
/* Attributes that are kept beside a file, since the host cannot apply them. */
#include "shared-fs/server/kept.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <lodge/fs_xattr.h>

#include "shared-fs/server/ops.h"

#define ALL_VALID (LODGE_XATTR_KEPT_UID | LODGE_XATTR_KEPT_GID | LODGE_XATTR_KEPT_MODE)
#define MAJOR_MAX 0xfffu /* MKDEV of the kernel's user interface */
#define MINOR_MAX 0xfffffu

bool kept_active(const struct fs *fs, const struct share *share)
{
	return share && share->owner.exact && !fs->switch_ids && !fs->config.no_xattr;
}

static bool is_device(uint32_t mode)
{
	return S_ISCHR(mode) || S_ISBLK(mode);
}

/* What an empty file of the host may stand for. */
static bool stands_for(uint32_t host_mode, uint32_t mode)
{
	if ((host_mode & S_IFMT) == (mode & S_IFMT))
		return S_ISREG(mode) || S_ISDIR(mode);
	return S_ISREG(host_mode) && (is_device(mode) || S_ISFIFO(mode) || S_ISSOCK(mode));
}

bool kept_parse(const void *bytes, size_t len, struct kept *kept)
{
	struct lodge_xattr_kept raw;
	uint32_t valid, mode, major, minor;

	if (len != sizeof(raw))
		return false;
	memcpy(&raw, bytes, sizeof(raw));
	valid = le32toh(raw.valid);
	mode = le32toh(raw.mode);
	major = le32toh(raw.rdev_major);
	minor = le32toh(raw.rdev_minor);
	if (le32toh(raw.magic) != LODGE_XATTR_KEPT_MAGIC || raw.reserved || valid & ~ALL_VALID ||
	    (valid & LODGE_XATTR_KEPT_UID && le32toh(raw.uid) == UINT32_MAX) ||
	    (valid & LODGE_XATTR_KEPT_GID && le32toh(raw.gid) == UINT32_MAX))
		return false;
	if (valid & LODGE_XATTR_KEPT_MODE) {
		if (mode & ~(uint32_t)(S_IFMT | 07777) || !stands_for(kept->mode, mode) ||
		    major > MAJOR_MAX || minor > MINOR_MAX || (!is_device(mode) && (major | minor)))
			return false;
		kept->mode = mode;
		kept->rdev_major = major;
		kept->rdev_minor = minor;
	}
	if (valid & LODGE_XATTR_KEPT_UID)
		kept->uid = le32toh(raw.uid);
	if (valid & LODGE_XATTR_KEPT_GID)
		kept->gid = le32toh(raw.gid);
	return true;
}

void kept_show(int fd, struct kept *kept)
{
	uint8_t bytes[sizeof(struct lodge_xattr_kept) + 1];
	ssize_t len;

	/* No other file can have it. */
	if (!S_ISREG(kept->mode) && !S_ISDIR(kept->mode))
		return;
	len = getxattr(fd_name(fd).text, LODGE_XATTR_KEPT, bytes, sizeof(bytes));
	if (len > 0)
		(void)kept_parse(bytes, (size_t)len, kept);
}

struct kept kept_of(const struct fs *fs, const struct share *share, const struct statx *stx)
{
	return (struct kept){ .uid = attr_uid(fs, share, stx->stx_uid),
			      .gid = attr_gid(fs, share, stx->stx_gid),
			      .mode = stx->stx_mode,
			      .rdev_major = stx->stx_rdev_major,
			      .rdev_minor = stx->stx_rdev_minor };
}

uint32_t kept_host_mode(uint32_t type, uint32_t mode)
{
	return (mode & 0777) | (S_ISDIR(type) ? 0700 : 0600);
}

static int store(int fd, const struct kept *host, const struct kept *wanted)
{
	struct lodge_xattr_kept raw = { .magic = htole32(LODGE_XATTR_KEPT_MAGIC) };
	uint32_t valid = 0;

	if (wanted->uid != host->uid) {
		valid |= LODGE_XATTR_KEPT_UID;
		raw.uid = htole32(wanted->uid);
	}
	if (wanted->gid != host->gid) {
		valid |= LODGE_XATTR_KEPT_GID;
		raw.gid = htole32(wanted->gid);
	}
	if (wanted->mode != host->mode) {
		valid |= LODGE_XATTR_KEPT_MODE;
		raw.mode = htole32(wanted->mode);
		raw.rdev_major = htole32(wanted->rdev_major);
		raw.rdev_minor = htole32(wanted->rdev_minor);
	}
	raw.valid = htole32(valid);
	if (valid)
		return setxattr(fd_name(fd).text, LODGE_XATTR_KEPT, &raw, sizeof(raw), 0) ? -errno
											  : 0;
	return removexattr(fd_name(fd).text, LODGE_XATTR_KEPT) && errno != ENODATA ? -errno : 0;
}

static int look(const struct request *req, int fd, struct kept *ret_host)
{
	struct statx stx = { 0 };

	*ret_host = (struct kept){ 0 };
	if (statx(fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &stx))
		return -errno;
	*ret_host = kept_of(req->fs, inode_share(req->fs, req->inode), &stx);
	return 0;
}

int kept_set(const struct request *req, int fd, const struct kept *wanted)
{
	struct kept host;
	uint32_t mode;
	int ret = look(req, fd, &host);

	if (ret || (!S_ISREG(host.mode) && !S_ISDIR(host.mode)))
		return ret;
	mode = kept_host_mode(host.mode, wanted->mode);
	if (mode != (host.mode & 07777) && fchmodat(req->fs->proc_fd, fd_name(fd).text, mode, 0))
		return -errno;
	host.mode = (host.mode & S_IFMT) | mode;
	ret = store(fd, &host, wanted);
	/* As chown(2) without the right to. */
	return ret == -EOPNOTSUPP || ret == -ENOSPC || ret == -E2BIG ? -EPERM : ret;
}

int kept_made(const struct request *req, int fd, uint32_t mode, uint32_t rdev)
{
	struct kept wanted = { .uid = req->in.uid, .gid = req->in.gid, .mode = mode };
	struct kept folder;
	int ret = look(req, req->inode->fd, &folder);

	if (ret)
		return ret;
	kept_show(req->inode->fd, &folder);
	if (folder.mode & S_ISGID) {
		wanted.gid = folder.gid;
		if (S_ISDIR(mode))
			wanted.mode |= S_ISGID;
	}
	if (is_device(mode)) {
		wanted.rdev_major = rdev >> 8 & MAJOR_MAX;
		wanted.rdev_minor = (rdev & 0xff) | (rdev >> 12 & 0xfff00);
	}
	ret = kept_set(req, fd, &wanted);
	/* Without attributes it is the server's own, as elsewhere; but no device. */
	return ret == -EPERM && (S_ISREG(mode) || S_ISDIR(mode)) ? 0 : ret;
}

int kept_made_name(const struct request *req, const char *name, uint32_t mode, uint32_t rdev)
{
	int fd = openat(req->inode->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	int ret = fd < 0 ? -errno : kept_made(req, fd, mode, rdev);

	if (fd >= 0)
		close(fd);
	return ret;
}

int kept_setattr(const struct request *req, const struct fuse_setattr_in *body)
{
	struct kept wanted;
	int ret = look(req, req->inode->fd, &wanted);

	if (ret)
		return ret;
	kept_show(req->inode->fd, &wanted);
	if ((body->valid & FATTR_UID && body->uid == UINT32_MAX) ||
	    (body->valid & FATTR_GID && body->gid == UINT32_MAX))
		return -EINVAL;
	if (body->valid & FATTR_UID)
		wanted.uid = body->uid;
	if (body->valid & FATTR_GID)
		wanted.gid = body->gid;
	/* As chown(2) does, unless chmod(2) comes with it. */
	if (body->valid & (FATTR_UID | FATTR_GID | FATTR_KILL_SUIDGID) && !S_ISDIR(wanted.mode))
		wanted.mode &= ~(uint32_t)(S_ISUID | (wanted.mode & S_IXGRP ? S_ISGID : 0));
	if (body->valid & FATTR_MODE) {
		if (S_ISLNK(wanted.mode))
			return -EOPNOTSUPP;
		wanted.mode = (wanted.mode & S_IFMT) | (body->mode & 07777);
	}
	return kept_set(req, req->inode->fd, &wanted);
}

void kept_drop_privileges(const struct request *req)
{
	const struct fuse_setattr_in none = { .valid = FATTR_KILL_SUIDGID };
	struct kept kept;

	if (!kept_active(req->fs, inode_share(req->fs, req->inode)) ||
	    look(req, req->inode->fd, &kept))
		return;
	kept_show(req->inode->fd, &kept);
	if (kept.mode & (S_ISUID | S_ISGID))
		(void)kept_setattr(req, &none);
}
