// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Open files. Data goes between the file and the guest's memory by preadv(2) and pwritev(2):
 * nothing is copied here.
 */
#include "shared-fs/server/kept.h"
#include "shared-fs/server/ops.h"
#include "shared-fs/server/redo.h"
#include "shared-fs/server/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

int host_open_flags(uint32_t guest_flags)
{
	/* O_APPEND is applied write by write (op_write), O_DIRECT and O_NOATIME stay in the guest.
	 */
	return (int)(guest_flags & (O_ACCMODE | O_TRUNC | O_SYNC | O_DSYNC)) | O_CLOEXEC;
}

/* For a file that is made, or opened by CREATE: the inode's own must do for any later use of it. */
static uint32_t create_flags(const struct request *req, uint32_t guest_flags)
{
	return req->fs->zero_open ? (guest_flags & O_TRUNC) | O_RDWR : guest_flags;
}

int inode_open(struct fs *fs, const struct inode *inode, uint32_t guest_flags)
{
	int fd;
	int ret;

	/* Opening a device or a fifo of the host would do things to the host, or block. */
	if (S_ISDIR(inode->type) && (guest_flags & O_ACCMODE) != O_RDONLY)
		return -EISDIR;
	if (!S_ISREG(inode->type) && !S_ISDIR(inode->type))
		return S_ISLNK(inode->type) ? -ELOOP : -ENXIO;
	ret = fd_charge_open(fs);
	if (ret)
		return ret;
	fd = openat(fs->proc_fd, fd_name(inode->fd).text, host_open_flags(guest_flags));
	if (fd < 0) {
		ret = -errno;
		fd_uncharge(fs, 1);
		return ret;
	}
	return fd;
}

static uint64_t stamp_mix(uint64_t sum, uint64_t value)
{
	sum = (sum ^ value) * 0x9e3779b97f4a7c15ULL;
	return sum ^ sum >> 29;
}

uint64_t cache_stamp(const struct inode *inode, const struct stat *st)
{
	/* Local file systems stamp with the clock's tick, 10 ms at most; a server may count
	 * seconds. */
	int64_t margin_ns = inode->remote ? 3000000000 : 20000000;
	struct timespec now;
	int64_t age_ns;
	uint64_t sum;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	age_ns = (now.tv_sec - st->st_ctim.tv_sec) * INT64_C(1000000000) + now.tv_nsec -
		 st->st_ctim.tv_nsec;
	if (now.tv_sec - st->st_ctim.tv_sec < INT32_MAX && age_ns < margin_ns)
		return 0;
	sum = stamp_mix((uint64_t)st->st_size, (uint64_t)st->st_mtim.tv_sec);
	sum = stamp_mix(sum, (uint64_t)st->st_mtim.tv_nsec);
	sum = stamp_mix(sum, (uint64_t)st->st_ctim.tv_sec);
	sum = stamp_mix(sum, (uint64_t)st->st_ctim.tv_nsec);
	return sum ? sum : 1;
}

bool cache_is_good(struct fs *fs, struct inode *inode, int fd)
{
	struct stat st;
	uint64_t stamp;

	if (fs->config.cache == CACHE_ALWAYS)
		return true;
	if (fs->config.cache == CACHE_NEVER || fstat(fd, &st))
		return false;
	stamp = cache_stamp(inode, &st);
	return __atomic_exchange_n(&inode->stamp, stamp, __ATOMIC_ACQ_REL) == stamp && stamp;
}

/* Takes @fd. Fills @out for OPEN. */
static int finish_open(struct request *req, struct inode *inode, int fd, uint32_t guest_flags,
		       bool keep_cache, struct fuse_open_out *out)
{
	struct handle *handle;
	int ret;

	if (guest_flags & (O_ACCMODE | O_TRUNC))
		watch_own_change(req->fs, inode);
	ret = handle_new(req->fs, inode, fd, false, &handle);
	if (ret)
		return ret;
	journal_opened(req->journal, slot_id(&handle->slot));
	handle->writable = (guest_flags & O_ACCMODE) != O_RDONLY;
	*out = (struct fuse_open_out){ .fh = slot_id(&handle->slot) };
	if (keep_cache)
		out->open_flags |= FOPEN_KEEP_CACHE;
	/* FLUSH reports what close(2) does and drops locks: nothing of either here. */
	if (!inode->remote && !req->fs->config.host_locks)
		out->open_flags |= FOPEN_NOFLUSH;
	return 0;
}

static bool may_open(const struct request *req, uint32_t flags)
{
	const struct share *share = inode_share(req->fs, req->inode);

	return !share->read_only || ((flags & O_ACCMODE) == O_RDONLY && !(flags & O_TRUNC));
}

int64_t op_open(struct request *req)
{
	const struct fuse_open_in *body = request_body(req, fuse_open_in);
	struct fuse_open_out *out = (struct fuse_open_out *)req->scratch->reply;
	bool keep;
	int ret;
	int fd;

	if (req->fs->zero_open)
		return -ENOSYS;
	if (!may_open(req, body->flags))
		return -EROFS;
	if (req->reply_room < sizeof(*out))
		return -EINVAL;
	if (S_ISDIR(req->inode->type))
		return -EISDIR;
	fd = inode_open(req->fs, req->inode, body->flags);
	if (fd < 0)
		return fd;
	keep = !(body->flags & O_TRUNC) && cache_is_good(req->fs, req->inode, fd);
	ret = finish_open(req, req->inode, fd, body->flags, keep, out);
	return ret ? ret : (int64_t)sizeof(*out);
}

/* A charged descriptor of a file that was not there. */
static int make_file(struct request *req, const char *name, const struct fuse_create_in *body)
{
	uint32_t mode = caller_mode(req, body->mode & 07777, body->umask);
	struct caller caller;
	int ret;
	int fd = -1;

	ret = fd_charge_open(req->fs);
	if (ret)
		return ret;
	ret = caller_enter(req, 0, &caller);
	if (!ret) {
		/* O_EXCL: neither follows a symbolic link nor opens a device that somebody put
		 * there. */
		watch_own_name(req->fs, req->inode, name, LODGE_FS_CREATED);
		fd = openat(req->inode->fd, name,
			    (host_open_flags(create_flags(req, body->flags)) & ~O_TRUNC) | O_CREAT |
				    O_EXCL | O_NOFOLLOW,
			    attr_new_mode(req, S_IFREG, mode));
		ret = fd < 0 ? -errno : fd;
		caller_leave(req->fs, &caller);
		if (ret < 0)
			watch_own_undo(req->fs, req->inode, name, LODGE_FS_CREATED);
	}
	if (ret >= 0 && kept_active(req->fs, inode_share(req->fs, req->inode)))
		(void)kept_made(req, fd, S_IFREG | mode, 0);
	if (ret < 0)
		fd_uncharge(req->fs, 1);
	return ret;
}

/* Makes the file, or opens the one that is there: a charged descriptor. */
static int create_file(struct request *req, const char *name, const struct fuse_create_in *body)
{
	struct inode *inode;
	struct statx stx;
	uint64_t nodeid;
	int ret;
	int fd;

	fd = make_file(req, name, body);
	if (fd == -EEXIST && redo_unmade(req, name))
		fd = make_file(req, name, body);
	if (fd != -EEXIST || body->flags & O_EXCL)
		return fd;
	ret = entry_find(req->fs, req->inode, name, &inode, &stx);
	if (ret)
		return ret;
	fd = inode_open(req->fs, inode, create_flags(req, body->flags));
	nodeid = slot_id(&inode->slot);
	inode_put(req->fs, inode);
	inode_forget(req->fs, nodeid, 1);
	return fd;
}

struct create_out {
	struct fuse_entry_out entry;
	struct fuse_open_out open;
};

/* The same for CREATE and TMPFILE: the file has @mode. */
static int finish_create(struct request *req, struct inode *inode, int fd, uint32_t mode,
			 struct fuse_open_out *out)
{
	const struct fuse_create_in *body = request_body(req, fuse_create_in);

	if (!req->fs->zero_open)
		return finish_open(req, inode, fd, body->flags, false, out);
	*out = (struct fuse_open_out){ .open_flags = FOPEN_NOFLUSH };
	if (body->flags & (O_ACCMODE | O_TRUNC))
		watch_own_change(req->fs, inode);
	return data_install(req->fs, inode, fd, mode);
}

/* Replies with the inode of @fd (taken) and an open file of it. */
static int64_t reply_created(struct request *req, int fd)
{
	struct create_out *out = (struct create_out *)req->scratch->reply;
	struct inode *inode;
	struct statx stx;
	int ret;

	ret = entry_of_fd(req->fs, req->inode, fd, &inode, &stx);
	if (ret) {
		close(fd);
		fd_uncharge(req->fs, 1);
		return ret;
	}
	journal_grant(req->journal, slot_id(&inode->slot));
	entry_fill(req->fs, inode, &stx, false, &out->entry);
	ret = finish_create(req, inode, fd, stx.stx_mode, &out->open);
	inode_put(req->fs, inode);
	if (ret) {
		journal_revoke(req->journal);
		inode_forget(req->fs, out->entry.nodeid, 1);
	}
	return ret ? ret : (int64_t)sizeof(*out);
}

int64_t op_create(struct request *req)
{
	const struct fuse_create_in *body = request_body(req, fuse_create_in);
	const char *name;
	int ret;
	int fd;

	name = request_name(req, sizeof(*body), NULL, &ret);
	if (!name)
		return ret;
	if (req->reply_room < sizeof(struct create_out))
		return -EINVAL;
	fd = create_file(req, name, body);
	return fd < 0 ? fd : reply_created(req, fd);
}

int64_t op_tmpfile(struct request *req)
{
	const struct fuse_create_in *body = request_body(req, fuse_create_in);
	uint32_t mode = caller_mode(req, body->mode & 07777, body->umask);
	struct caller caller;
	int ret;
	int fd;

	if (req->reply_room < sizeof(struct create_out))
		return -EINVAL;
	ret = fd_charge_open(req->fs);
	if (ret)
		return ret;
	ret = caller_enter(req, 0, &caller);
	if (!ret) {
		fd = openat(req->inode->fd, ".",
			    (host_open_flags(create_flags(req, body->flags)) & ~O_TRUNC) |
				    O_TMPFILE | (int)(body->flags & O_EXCL),
			    attr_new_mode(req, S_IFREG, mode));
		ret = fd < 0 ? -errno : 0;
		caller_leave(req->fs, &caller);
	}
	if (ret) {
		fd_uncharge(req->fs, 1);
		return ret;
	}
	if (kept_active(req->fs, inode_share(req->fs, req->inode)))
		(void)kept_made(req, fd, S_IFREG | mode, 0);
	return reply_created(req, fd);
}

int file_get(const struct request *req, uint64_t fh, bool write, struct handle **ret_handle)
{
	struct handle *handle;

	if (S_ISDIR(req->inode->type))
		return -EISDIR;
	if (!fh && req->fs->zero_open)
		return data_get(req->fs, req->inode, write, false, ret_handle);
	handle = handle_get(req->fs, fh, req->inode);
	if (!handle)
		return -EBADF;
	if (handle->is_dir) {
		handle_put(req->fs, handle);
		return -EBADF;
	}
	*ret_handle = handle;
	return 0;
}

int64_t op_read(struct request *req)
{
	const struct fuse_read_in *body = request_body(req, fuse_read_in);
	struct iovec *iov = req->reply;
	size_t n = req->n_reply;
	struct iovec first = *iov;
	struct handle *handle;
	ssize_t got;

	got = file_get(req, body->fh, false, &handle);
	if (got)
		return got;
	req->payload = NULL;
	if (first.iov_len < sizeof(struct fuse_out_header)) {
		got = -EINVAL; /* no driver splits the header: it stays where it is found again */
		goto out;
	}
	iov_skip(&iov, &n, sizeof(struct fuse_out_header));
	iov_limit(iov, &n, body->size);
	got = preadv(handle->fd, iov, n > IOV_MAX ? IOV_MAX : (int)n, (off_t)body->offset);
	if (got < 0)
		got = -errno;
	*req->reply = first;
out:
	handle_put(req->fs, handle);
	return got;
}

/* As pwritev2(2). */
static ssize_t append(struct request *req, int fd, int how, size_t len)
{
	size_t done = redo_appended(req, fd, len);
	ssize_t put;

	iov_skip(&req->out, &req->n_out, done);
	if (done == len)
		return (ssize_t)len;
	put = pwritev2(fd, req->out, req->n_out > IOV_MAX ? IOV_MAX : (int)req->n_out, 0, how);
	return put < 0 ? put : put + (ssize_t)done;
}

int64_t op_write(struct request *req)
{
	const struct fuse_write_in *body = request_body(req, fuse_write_in);
	struct fuse_write_out *out = (struct fuse_write_out *)req->scratch->reply;
	struct handle *handle;
	ssize_t put;
	int how = 0;
	int n;

	if (iov_limit(req->out, &req->n_out, body->size) != body->size)
		return -EINVAL;
	put = file_get(req, body->fh, true, &handle);
	if (put)
		return put;
	n = req->n_out > IOV_MAX ? IOV_MAX : (int)req->n_out;
	if (req->fs->zero_open && body->flags & (O_DSYNC | O_SYNC))
		how |= body->flags & (O_SYNC & ~O_DSYNC) ? RWF_SYNC : RWF_DSYNC;
	/* Pages of a mapping know their place, whatever the mode of the file they go through. */
	if (body->flags & O_APPEND && !(body->write_flags & FUSE_WRITE_CACHE))
		how |= RWF_APPEND;
	if (how & RWF_APPEND)
		put = append(req, handle->fd, how, body->size);
	else if (how)
		put = pwritev2(handle->fd, req->out, n, (off_t)body->offset, how);
	else
		put = pwritev(handle->fd, req->out, n, (off_t)body->offset);
	put = put < 0 ? -errno : put;
	handle_put(req->fs, handle);
	if (put < 0)
		return put;
	if (body->write_flags & FUSE_WRITE_KILL_SUIDGID)
		kept_drop_privileges(req);
	*out = (struct fuse_write_out){ .size = (uint32_t)put };
	return sizeof(*out);
}

int64_t op_flush(struct request *req)
{
	const struct fuse_flush_in *body = request_body(req, fuse_flush_in);
	struct handle *handle;
	int ret;

	/* The guest asks no more: there is nothing to do on local file systems (session.c). */
	if (req->fs->zero_open)
		return -ENOSYS;
	ret = file_get(req, body->fh, false, &handle);
	if (ret)
		return ret;
	if (req->fs->config.host_locks)
		ret = lock_owner_drop(req->fs, req->inode, body->lock_owner);
	if (!ret && req->inode->remote) {
		int fd = dup(handle->fd);

		/* NFS and its kin write back, and report what failed, at close. */
		ret = fd < 0 || close(fd) ? -errno : 0;
	}
	handle_put(req->fs, handle);
	return ret;
}

int64_t op_release(struct request *req)
{
	const struct fuse_release_in *body = request_body(req, fuse_release_in);
	int ret;

	ret = handle_release(req->fs, body->fh, req->inode);
	return req->again && ret == -EBADF ? 0 : ret;
}

int64_t op_fsync(struct request *req)
{
	const struct fuse_fsync_in *body = request_body(req, fuse_fsync_in);
	struct handle *handle;
	int ret;

	ret = file_get(req, body->fh, false, &handle);
	if (ret)
		return ret;
	if (body->fsync_flags & FUSE_FSYNC_FDATASYNC)
		ret = fdatasync(handle->fd);
	else
		ret = fsync(handle->fd);
	ret = ret ? -errno : 0;
	handle_put(req->fs, handle);
	return ret;
}

int file_fill_holes(int fd, uint64_t offset, uint64_t len)
{
	off_t hole = lseek(fd, (off_t)offset, SEEK_HOLE);
	struct stat st;
	off_t end;

	if (hole < 0 || fstat(fd, &st))
		return 0;
	end = (off_t)(offset + len) < st.st_size ? (off_t)(offset + len) : st.st_size;
	if (hole < end && fallocate(fd, FALLOC_FL_KEEP_SIZE, hole, end - hole) &&
	    errno != EOPNOTSUPP)
		return -errno;
	return 0;
}

/*
 * Linux before 3.11 drops the hole's pages from its cache by truncate_inode_pages_range(), which is
 * a BUG() where the hole does not end with a page: its program dies and the file stays locked.
 */
#define MINOR_WHOLE_HOLES 22
#define HOLE_PAGE	  4096

static bool kills_its_kernel(const struct fs *fs, const struct fuse_fallocate_in *body)
{
	return fs->minor <= MINOR_WHOLE_HOLES && body->mode & FALLOC_FL_PUNCH_HOLE &&
	       (body->offset + body->length) % HOLE_PAGE;
}

int64_t op_fallocate(struct request *req)
{
	const struct fuse_fallocate_in *body = request_body(req, fuse_fallocate_in);
	struct handle *handle;
	int ret;

	if (body->offset > INT64_MAX || body->length > INT64_MAX)
		return -EINVAL;
	/* Linux' driver sends neither, and neither could be run twice (redo.h). */
	if (body->mode & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE))
		return -EOPNOTSUPP;
	if (kills_its_kernel(req->fs, body))
		return -EOPNOTSUPP;
	ret = file_get(req, body->fh, true, &handle);
	if (ret)
		return ret;
	ret = fallocate(handle->fd, (int)body->mode, (off_t)body->offset, (off_t)body->length)
		      ? -errno
		      : 0;
	/* Unlike write(2), not every file system does so, and the guest leaves it to us. Its root
	 * keeps them. */
	if (!ret && req->in.uid) {
		privileges_drop(req->fs, handle->fd);
		kept_drop_privileges(req);
	}
	handle_put(req->fs, handle);
	return ret;
}

int64_t op_lseek(struct request *req)
{
	const struct fuse_lseek_in *body = request_body(req, fuse_lseek_in);
	struct fuse_lseek_out *out = (struct fuse_lseek_out *)req->scratch->reply;
	struct handle *handle;
	off_t at;
	int ret;

	if (body->whence != SEEK_DATA && body->whence != SEEK_HOLE)
		return -EINVAL;
	ret = file_get(req, body->fh, false, &handle);
	if (ret)
		return ret;
	at = lseek(handle->fd, (off_t)body->offset, (int)body->whence);
	if (at < 0)
		at = -errno;
	handle_put(req->fs, handle);
	if (at < 0)
		return at;
	out->offset = (uint64_t)at;
	return sizeof(*out);
}

static ssize_t copy_range(struct request *req, struct inode *to_inode)
{
	const struct fuse_copy_file_range_in *body = request_body(req, fuse_copy_file_range_in);
	const struct share *share = inode_share(req->fs, to_inode);
	struct request to_req = { .fs = req->fs, .inode = to_inode };
	struct handle *from = NULL;
	struct handle *to = NULL;
	off_t from_at = (off_t)body->off_in;
	off_t to_at = (off_t)body->off_out;
	size_t len = body->len < UINT32_MAX >> 1 ? body->len : UINT32_MAX >> 1;
	ssize_t done;

	if (!share)
		return -ESTALE;
	if (share->read_only)
		return -EROFS;
	if (body->flags)
		return -EINVAL;
	done = file_get(req, body->fh_in, false, &from);
	if (!done)
		done = file_get(&to_req, body->fh_out, true, &to);
	if (!done) {
		done = copy_file_range(from->fd, &from_at, to->fd, &to_at, len, 0);
		done = done < 0 ? -errno : done;
	}
	handle_put(req->fs, to);
	handle_put(req->fs, from);
	return done;
}

int64_t op_copy_file_range(struct request *req)
{
	const struct fuse_copy_file_range_in *body = request_body(req, fuse_copy_file_range_in);
	struct fuse_write_out *out = (struct fuse_write_out *)req->scratch->reply;
	struct inode *to_inode;
	ssize_t done = inode_get(req->fs, body->nodeid_out, &to_inode);

	if (done)
		return done;
	watch_own_begin(req->fs, to_inode);
	done = copy_range(req, to_inode);
	watch_own_end(req->fs, to_inode);
	inode_put(req->fs, to_inode);
	if (done < 0)
		return done;
	*out = (struct fuse_write_out){ .size = (uint32_t)done };
	return sizeof(*out);
}
