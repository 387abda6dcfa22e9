// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Locks on the host's files (--locks host). POSIX locks of one owner in the guest are open file
 * description locks on a descriptor of its own; flock locks are on the open file itself.
 *
 * A lock that is waited for is tried again and again by a worker: the wait can be ended at any time
 * (INTERRUPT, reset), and never blocks in the host's kernel.
 */
#include "shared-fs/server/ops.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "protocol/lib/fd.h"
#include "shared-fs/server/dir.h"

#define LOCK_WAITS_MAX 5
#define WAIT_FIRST_NS  1000000
#define WAIT_MOST_NS   50000000

static struct lock_owner **find_owner(struct inode *inode, uint64_t owner)
{
	struct lock_owner **at = &inode->locks;

	while (*at && (*at)->owner != owner)
		at = &(*at)->next;
	return at;
}

/* With fs->lock: another descriptor of what @owner has, -1: it has nothing. */
static int dup_locked(struct inode *inode, uint64_t owner)
{
	const struct lock_owner *found = *find_owner(inode, owner);

	return found ? fcntl(found->fd, F_DUPFD_CLOEXEC, 3) : -1;
}

/* Another descriptor of what @owner has: of @fd, which is taken then, or of what another thread was
 * faster with; -1. */
static int keep_owner(struct fs *fs, struct inode *inode, uint64_t owner, int *fd)
{
	struct lock_owner *fresh;
	int other;

	pthread_mutex_lock(&fs->lock);
	other = dup_locked(inode, owner);
	if (other >= 0)
		goto out;
	other = fcntl(*fd, F_DUPFD_CLOEXEC, 3);
	fresh = other >= 0 ? slots_alloc(&fs->lock_owners) : NULL;
	if (fresh) {
		fresh->owner = owner;
		fresh->fd = fd_steal(fd);
		fresh->next = inode->locks;
		__atomic_store_n(&fresh->inode_id, slot_id(&inode->slot), __ATOMIC_RELEASE);
		inode->locks = fresh;
	} else {
		fd_close(&other);
	}
out:
	pthread_mutex_unlock(&fs->lock);
	return other;
}

/* A descriptor of the file for @owner's locks: its own to close. */
static int owner_fd(struct fs *fs, struct inode *inode, uint64_t owner)
{
	int other;
	int fd;

	pthread_mutex_lock(&fs->lock);
	other = dup_locked(inode, owner);
	pthread_mutex_unlock(&fs->lock);
	if (other >= 0)
		return other;
	fd = inode_open(fs, inode, O_RDWR);
	if (fd == -EACCES || fd == -EROFS || fd == -EPERM)
		fd = inode_open(fs, inode, O_RDONLY);
	if (fd < 0)
		return fd;
	other = keep_owner(fs, inode, owner, &fd);
	if (fd >= 0) {
		close(fd);
		fd_uncharge(fs, 1);
	}
	return other < 0 ? -ENOLCK : other;
}

int lock_owner_drop(struct fs *fs, struct inode *inode, uint64_t owner)
{
	struct lock_owner *found;
	struct lock_owner **at;
	int fd = -1;

	pthread_mutex_lock(&fs->lock);
	at = find_owner(inode, owner);
	found = *at;
	if (found) {
		*at = found->next;
		fd = found->fd;
		slots_free(&fs->lock_owners, found);
	}
	pthread_mutex_unlock(&fs->lock);
	if (fd >= 0) {
		close(fd);
		fd_uncharge(fs, 1);
	}
	return 0;
}

static int lock_of(const struct fuse_file_lock *from, struct flock *ret_lock)
{
	if (from->start > INT64_MAX || from->end < from->start || from->type > F_UNLCK)
		return -EINVAL;
	*ret_lock = (struct flock){ .l_type = (short)from->type,
				    .l_whence = SEEK_SET,
				    .l_start = (off_t)from->start };
	if (from->end < INT64_MAX) /* OFFSET_MAX: to the end of the file */
		ret_lock->l_len = (off_t)(from->end - from->start + 1);
	return 0;
}

int64_t op_getlk(struct request *req)
{
	const struct fuse_lk_in *body = request_body(req, fuse_lk_in);
	struct fuse_lk_out *out = (struct fuse_lk_out *)req->scratch->reply;
	struct flock lock;
	int ret;
	int fd;

	if (!req->fs->config.host_locks)
		return -ENOSYS;
	ret = lock_of(&body->lk, &lock);
	if (ret)
		return ret;
	fd = owner_fd(req->fs, req->inode, body->owner);
	if (fd < 0)
		return fd;
	ret = fcntl(fd, F_OFD_GETLK, &lock) ? -errno : 0;
	close(fd);
	if (ret)
		return ret;
	*out = (struct fuse_lk_out){
		.lk = { .start = (uint64_t)lock.l_start,
			.end = lock.l_len ? (uint64_t)(lock.l_start + lock.l_len - 1) : INT64_MAX,
			.type = (uint32_t)lock.l_type }
	};
	return sizeof(*out);
}

static int try_lock(const struct request *req, const struct fuse_lk_in *body)
{
	struct handle *handle;
	struct flock lock;
	int ret;
	int fd;

	if (!req->fs->config.host_locks)
		return -ENOSYS;
	ret = lock_of(&body->lk, &lock);
	if (ret)
		return ret;
	if (body->lk_flags & FUSE_LK_FLOCK) {
		int how = lock.l_type == F_RDLCK   ? LOCK_SH
			  : lock.l_type == F_WRLCK ? LOCK_EX
						   : LOCK_UN;

		handle = handle_get(req->fs, body->fh, req->inode);
		if (!handle)
			return -EBADF;
		ret = flock(handle->fd, how | LOCK_NB) ? -errno : 0;
		handle_put(req->fs, handle);
		return ret;
	}
	fd = owner_fd(req->fs, req->inode, body->owner);
	if (fd < 0)
		return fd;
	ret = fcntl(fd, F_OFD_SETLK, &lock) ? -errno : 0;
	close(fd);
	return ret == -EACCES ? -EAGAIN : ret;
}

int64_t op_setlk(struct request *req)
{
	return try_lock(req, request_body(req, fuse_lk_in));
}

static bool is_interrupted(const struct fs *fs, uint64_t unique)
{
	for (size_t i = 0; unique && i < INTERRUPTS_KEPT; i++) {
		if (__atomic_load_n(&fs->interrupted[i], __ATOMIC_ACQUIRE) == unique)
			return true;
	}
	return false;
}

void interrupts_reset(struct fs *fs)
{
	for (size_t i = 0; i < INTERRUPTS_KEPT; i++)
		__atomic_store_n(&fs->interrupted[i], 0, __ATOMIC_RELEASE);
}

static int wait_lock(const struct request *req)
{
	const struct fuse_lk_in *body = request_body(req, fuse_lk_in);
	struct fs *fs = req->fs;
	struct timespec wait = { .tv_nsec = WAIT_FIRST_NS };
	int ret;

	for (;;) {
		ret = try_lock(req, body);
		if (ret != -EAGAIN)
			return ret;
		if (__atomic_load_n(&fs->epoch, __ATOMIC_ACQUIRE) != req->epoch ||
		    is_interrupted(fs, req->in.unique))
			return -EINTR;
		if (share_is_removed(fs, req->inode))
			return -ESTALE;
		nanosleep(&wait, NULL);
		if (wait.tv_nsec < WAIT_MOST_NS)
			wait.tv_nsec *= 2;
	}
}

int64_t op_setlkw(struct request *req)
{
	struct fs *fs = req->fs;
	int ret = -ENOLCK;

	/* Each has a worker for as long as it waits; some are left for other work. */
	if (__atomic_add_fetch(&fs->n_lock_waits, 1, __ATOMIC_RELAXED) <= LOCK_WAITS_MAX)
		ret = wait_lock(req);
	__atomic_sub_fetch(&fs->n_lock_waits, 1, __ATOMIC_RELAXED);
	return ret;
}

int64_t op_interrupt(struct request *req)
{
	struct fs *fs = req->fs;
	uint32_t i = __atomic_fetch_add(&fs->n_interrupts, 1, __ATOMIC_RELAXED);

	/* Only waits for locks can be ended early. A wait may be with the workers still, and looks
	 * now and then: so the last ones are kept. */
	__atomic_store_n(&fs->interrupted[i % INTERRUPTS_KEPT],
			 request_body(req, fuse_interrupt_in)->unique, __ATOMIC_RELEASE);
	return 0;
}
