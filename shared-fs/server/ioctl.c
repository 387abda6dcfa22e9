// SPDX-License-Identifier: GPL-2.0-or-later
/* The ioctls of files that chattr(1) and its kin use; every other is for a device. */
#include "shared-fs/server/ops.h"

#include <errno.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

static const struct known_ioctl {
	uint32_t number;
	uint32_t in_size;
	uint32_t out_size;
	unsigned long host;
} known[] = {
	/* The kernel's argument is an int in spite of the numbers' long. */
	{ (uint32_t)FS_IOC_GETFLAGS, 0, 4, FS_IOC_GETFLAGS },
	{ (uint32_t)FS_IOC_SETFLAGS, 4, 0, FS_IOC_SETFLAGS },
	{ (uint32_t)FS_IOC32_GETFLAGS, 0, 4, FS_IOC_GETFLAGS },
	{ (uint32_t)FS_IOC32_SETFLAGS, 4, 0, FS_IOC_SETFLAGS },
	{ (uint32_t)FS_IOC_FSGETXATTR, 0, sizeof(struct fsxattr), FS_IOC_FSGETXATTR },
	{ (uint32_t)FS_IOC_FSSETXATTR, sizeof(struct fsxattr), 0, FS_IOC_FSSETXATTR },
};

static const struct known_ioctl *find_ioctl(uint32_t number)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (known[i].number == number)
			return &known[i];
	}
	return NULL;
}

int64_t op_ioctl(struct request *req)
{
	const struct fuse_ioctl_in *body = request_body(req, fuse_ioctl_in);
	struct fuse_ioctl_out *out = (struct fuse_ioctl_out *)req->scratch->reply;
	const struct known_ioctl *ioctl_row = find_ioctl(body->cmd);
	union {
		int flags;
		struct fsxattr xattr;
	} arg = { .flags = 0 };
	struct handle *handle = NULL;
	int ret = 0;

	if (body->flags & FUSE_IOCTL_UNRESTRICTED || !ioctl_row)
		return -ENOTTY;
	if (ioctl_row->in_size && inode_share(req->fs, req->inode)->read_only)
		return -EROFS;
	if (body->in_size < ioctl_row->in_size ||
	    req->body_len - sizeof(*body) < ioctl_row->in_size ||
	    body->out_size < ioctl_row->out_size ||
	    req->reply_room < sizeof(*out) + ioctl_row->out_size)
		return -EINVAL;
	memcpy(&arg, body + 1, ioctl_row->in_size);
	if (S_ISDIR(req->inode->type))
		ret = dir_get(req, body->fh, &handle);
	else
		ret = file_get(req, body->fh, false, &handle);
	if (ret)
		return ret;
	ret = ioctl(handle->fd, ioctl_row->host, &arg) ? -errno : 0;
	handle_put(req->fs, handle);
	if (ret)
		return ret;
	*out = (struct fuse_ioctl_out){ 0 };
	memcpy(out + 1, &arg, ioctl_row->out_size);
	return (int64_t)(sizeof(*out) + ioctl_row->out_size);
}
