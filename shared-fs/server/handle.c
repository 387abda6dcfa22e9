// SPDX-License-Identifier: GPL-2.0-or-later
/* Open files and folders, and the budget of descriptors that the guest may make us hold. */
#include "shared-fs/server/fs.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "shared-fs/server/closer.h"
#include "shared-fs/server/dir.h"
#include "shared-fs/server/evict.h"

/* What looking at names takes is left over by what programs keep open. */
#define RESERVE_MAX  64
#define RESERVE_PART 8

static uint32_t open_limit(const struct fs *fs)
{
	uint32_t reserve = fs->config.fd_limit / RESERVE_PART;

	return fs->config.fd_limit - (reserve < RESERVE_MAX ? reserve : RESERVE_MAX);
}

static int charge(struct fs *fs, uint32_t n, uint32_t limit)
{
	do {
		if (__atomic_add_fetch(&fs->n_fds, n, __ATOMIC_RELAXED) <= limit)
			return 0;
		fd_uncharge(fs, n);
	} while (inodes_make_room(fs));
	return -ENFILE;
}

int fd_charge(struct fs *fs, uint32_t n)
{
	return charge(fs, n, fs->config.fd_limit);
}

int fd_charge_open(struct fs *fs)
{
	/* Without OPEN nothing stays open that could not be closed. */
	return fs->zero_open ? fd_charge(fs, 1) : charge(fs, 1, open_limit(fs));
}

void fd_uncharge(struct fs *fs, uint32_t n)
{
	__atomic_sub_fetch(&fs->n_fds, n, __ATOMIC_RELAXED);
}

int handle_new(struct fs *fs, struct inode *inode, int fd, bool is_dir, struct handle **ret_handle)
{
	struct handle *handle = NULL;
	int ret = is_dir && fd >= 0 ? charge(fs, 0, open_limit(fs)) : 0;

	pthread_mutex_lock(&fs->lock);
	if (!ret)
		handle = slots_alloc(&fs->handles);
	if (handle) {
		handle->fd = fd;
		handle->is_dir = is_dir;
		handle->remote = inode->remote;
		handle->inode = inode;
		handle->inode_id = slot_id(&inode->slot);
		inode->refs++;
		__atomic_store_n(&handle->refs, 1, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&fs->lock);
	if (!handle) {
		if (fd >= 0) {
			close(fd);
			fd_uncharge(fs, 1);
		}
		return ret ? ret : -ENOMEM;
	}
	*ret_handle = handle;
	return 0;
}

struct handle *handle_get(struct fs *fs, uint64_t fh, const struct inode *inode)
{
	struct handle *handle;

	pthread_mutex_lock(&fs->lock);
	handle = slots_get(&fs->handles, fh);
	if (handle && (handle->closed || handle->is_data || handle->inode != inode))
		handle = NULL;
	if (handle)
		handle->refs++;
	pthread_mutex_unlock(&fs->lock);
	return handle;
}

bool handle_lists_alone(struct fs *fs, const struct handle *handle)
{
	struct inode *dir = handle->inode;
	const struct handle *other;
	bool alone;

	pthread_mutex_lock(&fs->lock);
	other = slots_get(&fs->handles, dir->lister);
	alone = !other || other->closed || other->inode != dir;
	if (alone)
		dir->lister = slot_id(&handle->slot);
	pthread_mutex_unlock(&fs->lock);
	return alone;
}

struct handle *handle_find(struct fs *fs, uint64_t fh)
{
	struct handle *handle;

	pthread_mutex_lock(&fs->lock);
	handle = slots_get(&fs->handles, fh);
	if (handle && (handle->closed || handle->is_data))
		handle = NULL;
	if (handle)
		handle->refs++;
	pthread_mutex_unlock(&fs->lock);
	return handle;
}

void handle_put(struct fs *fs, struct handle *handle)
{
	struct dir_stream *stream;
	struct inode *inode;
	bool remote;
	int fd;

	if (!handle)
		return;
	pthread_mutex_lock(&fs->lock);
	if (--handle->refs) {
		pthread_mutex_unlock(&fs->lock);
		return;
	}
	fd = handle->fd;
	remote = handle->remote && !handle->is_dir;
	inode = handle->is_data ? NULL : handle->inode;
	stream = handle->stream;
	slots_free(&fs->handles, handle);
	pthread_mutex_unlock(&fs->lock);
	dir_stream_free(fs, stream);
	if (fd >= 0) {
		closer_close(fd, remote);
		fd_uncharge(fs, 1);
	}
	inode_put(fs, inode);
}

int handle_release(struct fs *fs, uint64_t fh, const struct inode *inode)
{
	struct handle *handle;

	pthread_mutex_lock(&fs->lock);
	handle = slots_get(&fs->handles, fh);
	if (handle && (handle->closed || handle->is_data || handle->inode != inode))
		handle = NULL;
	if (handle)
		handle->closed = true;
	pthread_mutex_unlock(&fs->lock);
	if (!handle)
		return -EBADF;
	handle_put(fs, handle);
	return 0;
}

/* Those of inodes of @share, or with @all. */
static void close_handles(struct fs *fs, uint16_t share, bool all)
{
	for (uint32_t i = 0;; i++) {
		struct handle *handle;

		pthread_mutex_lock(&fs->lock);
		handle = slots_next(&fs->handles, i);
		if (!handle) {
			pthread_mutex_unlock(&fs->lock);
			return;
		}
		i = handle->slot.index;
		if (!handle->closed && !handle->is_data && (all || handle->inode->share == share))
			handle->closed = true;
		else
			handle = NULL;
		pthread_mutex_unlock(&fs->lock);
		handle_put(fs, handle);
	}
}

void handles_reset(struct fs *fs)
{
	close_handles(fs, NO_SHARE, true);
}

void handles_drop_share(struct fs *fs, uint16_t share)
{
	close_handles(fs, share, false);
}
