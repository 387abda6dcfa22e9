// SPDX-License-Identifier: GPL-2.0-or-later
/* Extended attributes. The working folder is /proc/self/fd (fs_create): a descriptor's name there
 * leads to its very file, symbolic links and devices included, and opens nothing. */
#include "shared-fs/server/ops.h"
#include "shared-fs/server/redo.h"

#include <errno.h>
#include <linux/limits.h>
#include <sys/xattr.h>

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

static int check_xattr(const struct request *req)
{
	if (req->fs->config.no_xattr)
		return -ENOSYS;
	return req->inode->fd < 0 ? -ENODATA : 0;
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
	if (body->size > XATTR_SIZE_MAX)
		return -E2BIG;
	if (body->size != req->body_len - value)
		return -EINVAL;
	if (body->flags & ~(uint32_t)(XATTR_CREATE | XATTR_REPLACE))
		return -EINVAL;
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

int64_t op_getxattr(struct request *req)
{
	const struct fuse_getxattr_in *body = request_body(req, fuse_getxattr_in);
	const char *name;
	size_t next;
	int ret;

	ret = check_xattr(req);
	if (ret)
		return ret;
	name = attr_name(req, sizeof(*body), &next, &ret);
	if (!name)
		return ret;
	return reply_value(req,
			   getxattr(fd_name(req->inode->fd).text, name, req->scratch->reply,
				    value_room(body->size)),
			   body->size);
}

int64_t op_listxattr(struct request *req)
{
	const struct fuse_getxattr_in *body = request_body(req, fuse_getxattr_in);
	int ret;

	ret = check_xattr(req);
	if (ret == -ENODATA)
		return reply_value(req, 0, body->size);
	if (ret)
		return ret;
	return reply_value(req,
			   listxattr(fd_name(req->inode->fd).text, (char *)req->scratch->reply,
				     value_room(body->size)),
			   body->size);
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
	ret = removexattr(fd_name(req->inode->fd).text, name) ? -errno : 0;
	return ret == -ENODATA && redo_changed(req) ? 0 : ret;
}
