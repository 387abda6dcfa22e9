// SPDX-License-Identifier: GPL-2.0-or-later
/* Extended attributes. The working folder is /proc/self/fd (fs_create): a descriptor's name there
 * leads to its very file, symbolic links and devices included, and opens nothing. */
#include "shared-fs/server/ops.h"
#include "shared-fs/server/redo.h"

#include <errno.h>
#include <linux/limits.h>
#include <string.h>
#include <sys/xattr.h>

#define XATTR_ACL_PREFIX "system.posix_acl_" /* linux/xattr.h: _access and _default */

#include <lodge/fs_xattr.h>

/* XATTR_NAME_MAX is 255; unlike in file names any byte may be in it. */
static const char *attr_name(const struct request *req, size_t offset, size_t *next, int *ret_err)
{
	const char *name = (const char *)req->body + offset;
	size_t len = offset < req->body_len ? strnlen(name, req->body_len - offset) : 0;

	*ret_err = -EINVAL;
	if (!len || len == req->body_len - offset)
		return NULL;
	if (len > XATTR_NAME_MAX) {
		*ret_err = -ERANGE;
		return NULL;
	}
	*next = offset + len + 1;
	return name;
}

static bool is_ours(const char *name)
{
	return !strncmp(name, LODGE_XATTR_PREFIX, strlen(LODGE_XATTR_PREFIX));
}

static bool is_list(const char *name)
{
	return !strncmp(name, XATTR_ACL_PREFIX, strlen(XATTR_ACL_PREFIX));
}

/* Whether access control lists count: the guest's kernel asks for them, and ids are the host's. */
static bool has_lists(const struct request *req)
{
	const struct share *share = inode_share(req->fs, req->inode);

	return req->fs->features & FUSE_POSIX_ACL && share && !share->owner.active &&
	       !share->owner.exact;
}

static bool is_hidden(const struct request *req, const char *name)
{
	return is_ours(name) || (is_list(name) && !has_lists(req));
}

static int check_xattr(const struct request *req)
{
	if (req->fs->config.no_xattr)
		return -ENOSYS;
	return req->inode->fd < 0 ? -ENODATA : 0;
}

/* As setxattr(2). The host would clear the group's bit where this server is not in the group. */
static int set_list(const struct request *req, const char *name, const void *value, bool kill_sgid)
{
	const struct fuse_setxattr_in *body = request_body(req, fuse_setxattr_in);
	struct fd_name fd = fd_name(req->inode->fd);
	struct stat st;
	int ret;

	capability_fsetid(req->fs, true);
	ret = setxattr(fd.text, name, value, body->size, (int)body->flags) ? -errno : 0;
	capability_fsetid(req->fs, false);
	if (!ret && kill_sgid && !stat(fd.text, &st) && st.st_mode & S_ISGID &&
	    fchmodat(req->fs->proc_fd, fd.text, st.st_mode & 07777 & ~(mode_t)S_ISGID, 0))
		ret = -errno;
	return ret;
}

int64_t op_setxattr(struct request *req)
{
	const struct fuse_setxattr_in *body = request_body(req, fuse_setxattr_in);
	size_t head = req->fs->features & FUSE_SETXATTR_EXT ? sizeof(*body)
							    : FUSE_COMPAT_SETXATTR_IN_SIZE;
	const char *name;
	size_t value;
	int ret;

	ret = check_xattr(req);
	if (ret)
		return ret;
	name = attr_name(req, head, &value, &ret);
	if (!name)
		return ret;
	if (is_ours(name))
		return -EPERM;
	if (is_hidden(req, name))
		return -EOPNOTSUPP;
	if (body->size > XATTR_SIZE_MAX)
		return -E2BIG;
	if (body->size != req->body_len - value)
		return -EINVAL;
	if (body->flags & ~(uint32_t)(XATTR_CREATE | XATTR_REPLACE))
		return -EINVAL;
	if (is_list(name))
		return set_list(req, name, (const char *)req->body + value,
				head == sizeof(*body) &&
					body->setxattr_flags & FUSE_SETXATTR_ACL_KILL_SGID);
	ret = setxattr(fd_name(req->inode->fd).text, name, (const char *)req->body + value,
		       body->size, (int)body->flags)
		      ? -errno
		      : 0;
	return ret == -EEXIST && redo_changed(req) ? 0 : ret;
}

/* @got is the length of the value, in the reply where @size asked for it. */
static int64_t reply_value(struct request *req, ssize_t got, uint32_t size)
{
	struct fuse_getxattr_out *out = (struct fuse_getxattr_out *)req->scratch->reply;

	if (got < 0)
		return -errno;
	if (size)
		return got > req->reply_room ? -ERANGE : got;
	*out = (struct fuse_getxattr_out){ .size = (uint32_t)got };
	return sizeof(*out);
}

static uint32_t value_room(uint32_t size)
{
	return size < REQUEST_REPLY_MAX ? size : REQUEST_REPLY_MAX;
}

static int64_t reply_share(struct request *req, uint32_t size)
{
	const char *text = inode_share(req->fs, req->inode)->read_only ? "ro" : "rw";

	if (size && size < 2)
		return -ERANGE;
	memcpy(req->scratch->reply, text, 2);
	return reply_value(req, 2, size);
}

/* Takes what is hidden out of the @len bytes of names: what is left. */
static size_t hide_names(const struct request *req, char *names, size_t len)
{
	size_t left = 0;

	for (size_t at = 0; at < len;) {
		size_t size = strnlen(names + at, len - at) + 1;

		if (size > len - at)
			break;
		if (!is_hidden(req, names + at)) {
			memmove(names + left, names + at, size);
			left += size;
		}
		at += size;
	}
	return left;
}

int64_t op_getxattr(struct request *req)
{
	const struct fuse_getxattr_in *body = request_body(req, fuse_getxattr_in);
	const char *name;
	ssize_t got;
	size_t next;
	int ret;

	ret = check_xattr(req);
	if (ret)
		return ret;
	name = attr_name(req, sizeof(*body), &next, &ret);
	if (!name)
		return ret;
	if (is_ours(name))
		return strcmp(name, LODGE_XATTR_SHARE) ? -ENODATA : reply_share(req, body->size);
	if (is_hidden(req, name))
		return req->fs->features & FUSE_POSIX_ACL ? -ENODATA : -EOPNOTSUPP;
	got = getxattr(fd_name(req->inode->fd).text, name, req->scratch->reply,
		       value_room(body->size));
	/* Linux' driver asks on its own account and takes any other error for its caller's. */
	if (got < 0 && errno == EOPNOTSUPP && is_list(name))
		return -ENODATA;
	return reply_value(req, got, body->size);
}

int64_t op_listxattr(struct request *req)
{
	const struct fuse_getxattr_in *body = request_body(req, fuse_getxattr_in);
	ssize_t got;
	int ret;

	ret = check_xattr(req);
	if (ret == -ENODATA)
		return reply_value(req, 0, body->size);
	if (ret)
		return ret;
	/* Also where the guest asks for the length alone: ours do not count. */
	got = listxattr(fd_name(req->inode->fd).text, (char *)req->scratch->reply,
			REQUEST_REPLY_MAX);
	if (got > 0)
		got = (ssize_t)hide_names(req, (char *)req->scratch->reply, (size_t)got);
	if (body->size && got > (ssize_t)body->size)
		return -ERANGE;
	return reply_value(req, got, body->size);
}

int64_t op_removexattr(struct request *req)
{
	const char *name;
	size_t next;
	int ret;

	ret = check_xattr(req);
	if (ret)
		return ret;
	name = attr_name(req, 0, &next, &ret);
	if (!name)
		return ret;
	if (is_ours(name))
		return -EPERM;
	if (is_hidden(req, name))
		return -ENODATA;
	ret = removexattr(fd_name(req->inode->fd).text, name) ? -errno : 0;
	return ret == -ENODATA && redo_changed(req) ? 0 : ret;
}
