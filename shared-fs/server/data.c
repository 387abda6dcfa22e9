// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Files that are open because of what is done with them.
 *
 * A guest that opens without a message (FUSE_NO_OPEN_SUPPORT) sends READ and WRITE with handle 0.
 * The inode then has files of its own: one for reading, one for reading and writing, opened when
 * first needed. No message says when they are needed no longer, so they are closed
 * - when the inode goes,
 * - in turn, when there are more than DATA_FILES,
 * - by data_sweep(), a second or two after their last use, unless they could not be opened again.
 *
 * The host cannot run a program that we hold open for writing. So the writable one goes by the
 * chmod(2) that makes a program of the file, and that of a program is no longer there than the
 * request that writes: FLUSH, which would tell of a close(2), would cost the guest a message for
 * each. What could not be opened again (mode 0555) waits for the sweep.
 */
#include "shared-fs/server/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "shared-fs/server/ops.h"

#define ROOM_BATCH 8

void data_unlink_locked(struct fs *fs, struct handle *handle)
{
	handle->inode->data[handle->writable] = NULL;
	fs->data[handle->ring_place] = NULL;
	fs->n_data--;
}

struct handle *data_link_locked(struct fs *fs, struct handle *handle)
{
	struct handle *old = fs->data[fs->data_next];

	if (old)
		data_unlink_locked(fs, old);
	handle->ring_place = (uint16_t)fs->data_next;
	fs->data[fs->data_next] = handle;
	fs->data_next = (fs->data_next + 1) % DATA_FILES;
	handle->inode->data[handle->writable] = handle;
	fs->n_data++;
	return old;
}

static struct handle *find_locked(const struct inode *inode, bool write)
{
	struct handle *handle = inode->data[1];

	if (write || (handle && !handle->unreadable))
		return handle;
	return inode->data[0];
}

static void wake_sweeper(const struct fs *fs)
{
	uint64_t one = 1;

	if (fs->data_wake >= 0 && write(fs->data_wake, &one, sizeof(one)) < 0)
		return; /* it is awake */
}

/* Takes @fd. */
static struct handle *make_locked(struct fs *fs, struct inode *inode, int *fd, int access)
{
	struct handle *handle = slots_alloc(&fs->handles);

	if (!handle)
		return NULL;
	handle->fd = *fd;
	*fd = -1;
	handle->writable = access != O_RDONLY;
	handle->unreadable = access == O_WRONLY;
	handle->is_data = true;
	handle->remote = inode->remote;
	handle->inode = inode;
	handle->inode_id = slot_id(&inode->slot);
	__atomic_store_n(&handle->refs, 1, __ATOMIC_RELEASE);
	return handle;
}

static void put_fd(struct fs *fs, int fd)
{
	if (fd < 0)
		return;
	close(fd);
	fd_uncharge(fs, 1);
}

/* Takes @fd. The inode's file is there afterwards, this one or one that another thread was faster
 * with; *ret_handle (unless NULL) gets a reference to it. */
static int publish(struct fs *fs, struct inode *inode, int fd, int access,
		   struct handle **ret_handle)
{
	struct handle *old = NULL;
	struct handle *handle;
	bool wake;

	pthread_mutex_lock(&fs->lock);
	wake = !fs->n_data;
	handle = find_locked(inode, access != O_RDONLY);
	if (!handle) {
		handle = make_locked(fs, inode, &fd, access);
		old = handle ? data_link_locked(fs, handle) : NULL;
	}
	if (handle)
		handle->used = true;
	if (handle && ret_handle) {
		handle->refs++;
		*ret_handle = handle;
	}
	pthread_mutex_unlock(&fs->lock);
	handle_put(fs, old);
	put_fd(fs, fd);
	if (wake)
		wake_sweeper(fs);
	return handle ? 0 : -ENOMEM;
}

/* Takes @fd: a file for whoever asked, closed when that is done with it. */
static int lend(struct fs *fs, struct inode *inode, int fd, int access, struct handle **ret_handle)
{
	pthread_mutex_lock(&fs->lock);
	*ret_handle = make_locked(fs, inode, &fd, access);
	pthread_mutex_unlock(&fs->lock);
	put_fd(fs, fd);
	return *ret_handle ? 0 : -ENOMEM;
}

/* A program that can be opened again each time that it is written to. */
static bool is_program(const struct fs *fs, mode_t mode)
{
	return mode & 0111 && (fs->switch_ids || mode & S_IWUSR);
}

static int open_data(struct fs *fs, struct inode *inode, bool write, int *ret_access)
{
	int fd;

	if (write && inode_share(fs, inode)->read_only)
		return -EROFS;
	*ret_access = write ? O_RDWR : O_RDONLY;
	fd = inode_open(fs, inode, (uint32_t)*ret_access);
	if (fd == -EACCES && write) {
		*ret_access = O_WRONLY;
		fd = inode_open(fs, inode, O_WRONLY);
	}
	return fd;
}

int data_get(struct fs *fs, struct inode *inode, bool write, bool only_if_open,
	     struct handle **ret_handle)
{
	struct handle *handle;
	struct stat st;
	int access;
	int fd;

	pthread_mutex_lock(&fs->lock);
	handle = find_locked(inode, write);
	if (handle) {
		handle->refs++;
		handle->used = true;
	}
	pthread_mutex_unlock(&fs->lock);
	*ret_handle = handle;
	if (handle)
		return 0;
	if (only_if_open)
		return -EBADF;
	fd = open_data(fs, inode, write, &access);
	if (fd < 0)
		return fd;
	if (write && !fstat(fd, &st) && is_program(fs, st.st_mode))
		return lend(fs, inode, fd, access, ret_handle);
	return publish(fs, inode, fd, access, ret_handle);
}

void data_hold(struct fs *fs, struct inode *inode, bool write)
{
	bool is_open;
	int access;
	int fd;

	pthread_mutex_lock(&fs->lock);
	is_open = find_locked(inode, write);
	pthread_mutex_unlock(&fs->lock);
	fd = is_open ? -1 : open_data(fs, inode, write, &access);
	if (fd >= 0)
		(void)publish(fs, inode, fd, access, NULL);
}

int data_install(struct fs *fs, struct inode *inode, int fd, mode_t mode)
{
	if (is_program(fs, mode)) {
		put_fd(fs, fd);
		return 0;
	}
	return publish(fs, inode, fd, O_RDWR, NULL);
}

void data_drop_writable(struct fs *fs, struct inode *inode)
{
	struct handle *handle;

	pthread_mutex_lock(&fs->lock);
	handle = inode->data[1];
	if (handle)
		data_unlink_locked(fs, handle);
	pthread_mutex_unlock(&fs->lock);
	handle_put(fs, handle);
}

/* With fs->lock: another machine is not asked. False where the file's mode is such that we, unlike
 * root, could not open it again for a guest that has it open all the time. */
static bool reopens(const struct fs *fs, const struct handle *handle)
{
	struct statx stx;

	if (fs->switch_ids ||
	    statx(handle->fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MODE, &stx))
		return true;
	return stx.stx_mode & (handle->writable ? S_IWUSR | 0111 : S_IRUSR);
}

static bool sweep(struct fs *fs, bool all)
{
	bool left;

	for (size_t i = 0; i < DATA_FILES; i++) {
		struct handle *handle;

		pthread_mutex_lock(&fs->lock);
		handle = fs->data[i];
		if (handle && !all && (handle->used || !reopens(fs, handle))) {
			handle->used = false;
			handle = NULL;
		}
		if (handle)
			data_unlink_locked(fs, handle);
		pthread_mutex_unlock(&fs->lock);
		handle_put(fs, handle);
	}
	pthread_mutex_lock(&fs->lock);
	left = fs->n_data;
	pthread_mutex_unlock(&fs->lock);
	return left;
}

bool data_make_room(struct fs *fs)
{
	struct handle *idle[ROOM_BATCH];
	size_t n = 0;

	pthread_mutex_lock(&fs->lock);
	/* From the oldest on. */
	for (size_t i = 0; i < DATA_FILES && n < ROOM_BATCH; i++) {
		struct handle *handle = fs->data[(fs->data_next + i) % DATA_FILES];

		if (!handle || handle->refs > 1 || !reopens(fs, handle))
			continue;
		data_unlink_locked(fs, handle);
		idle[n++] = handle;
	}
	pthread_mutex_unlock(&fs->lock);
	for (size_t i = 0; i < n; i++)
		handle_put(fs, idle[i]);
	return n;
}

bool data_sweep(struct fs *fs)
{
	return sweep(fs, false);
}

void data_close_all(struct fs *fs)
{
	sweep(fs, true);
}
