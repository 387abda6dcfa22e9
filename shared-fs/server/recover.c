// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The file system's tables after the death of the process that used them.
 *
 * Theory of operation. What the dead process did last may be half done: an inode without its number
 * of lookups, a handle that was released and not closed yet, a count that does not fit its list. So
 * only what the first fields of each object say is believed (fs.h, "Death"); everything else is
 * counted and linked anew. An object that is not whole is dropped from its table, never closed:
 * descriptors that no object names are closed afterwards by whoever knows all that is to stay
 * (fs_each_fd).
 */
#include "shared-fs/server/dax.h"
#include "shared-fs/server/dir.h"
#include "shared-fs/server/evict.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* What the server that died may have left in it was written by a program that failed. */
static bool inode_whole(const struct fs *fs, const struct inode *inode)
{
	if (slot_id(&inode->slot) == ROOT_NODEID)
		return true;
	return inode->nlookup && inode->share < SHARES_MAX && fs->shares[inode->share].used;
}

static uint32_t recover_inodes(struct fs *fs)
{
	struct inode *inode;
	uint32_t n = 0;

	for (size_t i = 0; i < SHARES_MAX; i++)
		fs->shares[i].n_inodes = 0;
	for (uint32_t i = 0; (inode = slots_next(&fs->inodes, i)); i++) {
		i = inode->slot.index; /* an object that is freed may lose its memory */
		inode->refs = 0;
		inode->n_places = 0;
		inode->n_open = 0;
		inode->locks = NULL;
		memset(inode->data, 0, sizeof(inode->data));
		inode->watch = 0;
		inode->own_busy = 0;
		if (!inode_whole(fs, inode)) {
			slots_free(&fs->inodes, inode);
			continue;
		}
		if (inode->share != NO_SHARE)
			fs->shares[inode->share].n_inodes++;
		if (slot_id(&inode->slot) == ROOT_NODEID)
			inode->refs = 1;
		else if (inode->fd >= 0)
			fs->n_fds++;
		n++;
	}
	return n;
}

static bool handle_whole(struct fs *fs, const struct handle *handle)
{
	return handle->refs && !handle->closed && slots_holds(&fs->inodes, handle->inode) &&
	       slot_id(&handle->inode->slot) == handle->inode_id;
}

/* A file that the guest holds by its inode: @data has room for one. */
static bool recover_data(struct fs *fs, struct handle *handle)
{
	if (handle->inode->data[handle->writable] || fs->n_data == DATA_FILES)
		return false;
	data_link_locked(fs, handle);
	return true;
}

static uint32_t recover_handles(struct fs *fs)
{
	struct handle *handle;
	uint32_t n = 0;

	fs->n_data = 0;
	fs->data_next = 0;
	memset(fs->data, 0, sizeof(fs->data));
	for (uint32_t i = 0; (handle = slots_next(&fs->handles, i)); i++) {
		i = handle->slot.index;
		if (!handle_whole(fs, handle) || (handle->is_data && !recover_data(fs, handle))) {
			slots_free(&fs->handles, handle);
			continue;
		}
		handle->refs = 1;
		handle->stream = NULL;
		if (!handle->is_data)
			handle->inode->refs++;
		if (handle->fd >= 0)
			fs->n_fds++;
		/* A new stream of entries begins at the first. */
		if (S_ISDIR(handle->inode->type) && handle->fd >= 0)
			lseek(handle->fd, 0, SEEK_SET);
		n++;
	}
	return n;
}

static void recover_locks(struct fs *fs)
{
	struct lock_owner *owner;

	for (uint32_t i = 0; (owner = slots_next(&fs->lock_owners, i)); i++) {
		struct inode *inode = slots_get(&fs->inodes, owner->inode_id);

		i = owner->slot.index;
		if (!inode) {
			slots_free(&fs->lock_owners, owner);
			continue;
		}
		owner->next = inode->locks;
		inode->locks = owner;
		fs->n_fds++;
	}
}

int fs_recover(struct fs *fs, struct fs_recovered *ret_recovered)
{
	pthread_mutex_init(&fs->lock, NULL);
	fs->watcher = NULL;
	fs->n_fds = 0;
	fs->n_streams = 0;
	fs->n_lock_waits = 0;
	fs->evict_hand = 0;
	slots_recover(&fs->inodes);
	slots_recover(&fs->handles);
	slots_recover(&fs->lock_owners);
	ret_recovered->inodes = recover_inodes(fs);
	ret_recovered->files = recover_handles(fs);
	recover_locks(fs);
	places_recover(fs);
	dax_recover(fs->dax);
	return inodes_hash(fs);
}

void fs_each_fd(const struct fs *fs, void (*keep)(void *opaque, int fd), void *opaque)
{
	const struct lock_owner *owner;
	const struct handle *handle;
	const struct inode *inode;

	keep(opaque, fs->proc_fd);
	keep(opaque, fs->data_wake);
	dax_each_fd(fs->dax, keep, opaque);
	for (size_t i = 0; i < SHARES_MAX; i++) {
		if (fs->shares[i].used && !fs->shares[i].removed)
			keep(opaque, fs->shares[i].fd);
	}
	for (uint32_t i = 0; (inode = slots_next(&fs->inodes, i)); i = inode->slot.index + 1)
		keep(opaque, inode->fd);
	for (uint32_t i = 0; (handle = slots_next(&fs->handles, i)); i = handle->slot.index + 1)
		keep(opaque, handle->fd);
	for (uint32_t i = 0; (owner = slots_next(&fs->lock_owners, i)); i = owner->slot.index + 1)
		keep(opaque, owner->fd);
}
