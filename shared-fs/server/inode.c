// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The inode table: what the guest was told of, by (share, device, inode number, mount).
 *
 * An inode lives while the guest counts lookups of it or a request uses it. Its O_PATH descriptor
 * keeps the host from giving its number to another file, so equal keys mean the same file.
 */
#include "shared-fs/server/closer.h"
#include "shared-fs/server/dir.h"
#include "shared-fs/server/evict.h"
#include "shared-fs/server/session.h"
#include "shared-fs/server/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static uint64_t mix(uint64_t value)
{
	value ^= value >> 33;
	value *= 0xff51afd7ed558ccdULL; /* MurmurHash3's finalizer */
	value ^= value >> 33;
	return value;
}

static uint32_t bucket_of(const struct fs *fs, uint16_t share, uint64_t dev, uint64_t ino)
{
	return (uint32_t)mix(ino + dev * 31 + share) & (fs->n_buckets - 1);
}

static struct inode *inode_at(const struct fs *fs, uint32_t index_plus_one)
{
	return index_plus_one ? slots_at(&fs->inodes, index_plus_one - 1) : NULL;
}

static void hash_insert(struct fs *fs, struct inode *inode)
{
	uint32_t *head = &fs->buckets[bucket_of(fs, inode->share, inode->dev, inode->ino)];

	inode->hash_next = *head;
	*head = inode->slot.index + 1;
}

static void hash_remove(struct fs *fs, const struct inode *inode)
{
	uint32_t *link = &fs->buckets[bucket_of(fs, inode->share, inode->dev, inode->ino)];

	while (*link && *link != inode->slot.index + 1)
		link = &inode_at(fs, *link)->hash_next;
	if (*link)
		*link = inode->hash_next;
}

/* Puts all inodes into a new table of @n buckets. What the old one is to become is the caller's. */
static int hash_fill(struct fs *fs, uint32_t n)
{
	uint32_t *buckets = calloc(n, sizeof(*buckets));
	struct inode *inode;

	if (!buckets)
		return -ENOMEM;
	fs->buckets = buckets;
	fs->n_buckets = n;
	for (uint32_t i = 0; (inode = slots_next(&fs->inodes, i)); i = inode->slot.index + 1) {
		if (inode->share != NO_SHARE && !inode->gone)
			hash_insert(fs, inode);
	}
	return 0;
}

int inodes_hash(struct fs *fs)
{
	uint32_t n = INODE_HASH_BUCKETS;

	while (fs->inodes.n_used > n * 2)
		n *= 4;
	return hash_fill(fs, n);
}

static void hash_grow(struct fs *fs)
{
	uint32_t *old = fs->buckets;

	/* Where it fails, longer chains are slower, nothing else. */
	if (!hash_fill(fs, fs->n_buckets * 4))
		free(old);
}

static struct inode *hash_find(const struct fs *fs, uint16_t share, const struct statx *stx)
{
	uint64_t dev = stx_dev(stx);
	uint32_t at = fs->buckets[bucket_of(fs, share, dev, stx->stx_ino)];
	struct inode *inode;

	for (; (inode = inode_at(fs, at)); at = inode->hash_next) {
		if (inode->ino == stx->stx_ino && inode->dev == dev && inode->share == share &&
		    inode->mount_id == stx->stx_mnt_id)
			return inode;
	}
	return NULL;
}

/* What an inode that is gone leaves to be closed, without the lock. */
struct remains {
	int fd;
	int watch;
	bool remote;
	struct lock_owner *locks;
	struct handle *data[2];
	struct inode *parent;
};

static struct remains take_remains(struct fs *fs, struct inode *inode)
{
	struct remains remains = { .fd = inode->fd,
				   .watch = watch_take_locked(fs, inode),
				   .remote = inode->remote,
				   .locks = inode->locks,
				   .data = { inode->data[0], inode->data[1] },
				   .parent = place_drop_locked(fs, inode) };

	if (inode->fd >= 0)
		remains.parent = count_closed_locked(fs, inode);
	__atomic_store_n(&fs->seen[__atomic_load_n(&inode->seen, __ATOMIC_RELAXED)], 0,
			 __ATOMIC_RELAXED);
	for (size_t i = 0; i < 2; i++) {
		if (inode->data[i])
			data_unlink_locked(fs, inode->data[i]);
	}
	return remains;
}

/* With fs->lock: takes what an inode has, which stays in the table. */
static struct remains strip_locked(struct fs *fs, struct inode *inode)
{
	struct remains remains = take_remains(fs, inode);

	inode->fd = -1;
	inode->locks = NULL;
	return remains;
}

/* With fs->lock. Takes an inode that nobody uses out of the table. */
static bool detach_if_unused(struct fs *fs, struct inode *inode, struct remains *ret_remains)
{
	/* The guest may watch a file whose folder it has forgotten. */
	if (inode->refs || inode->nlookup || inode->n_places || (inode->n_open && inode->watch))
		return false;
	*ret_remains = take_remains(fs, inode);
	if (inode->share != NO_SHARE) {
		hash_remove(fs, inode);
		fs->shares[inode->share].n_inodes--;
		if (!inode->parent_id)
			session_root_gone(fs, inode->share, slot_id(&inode->slot));
	}
	slots_free(&fs->inodes, inode);
	return true;
}

/* With fs->lock. A request was still at it when its share was removed. */
static bool strip_if_removed(struct fs *fs, struct inode *inode, struct remains *ret_remains)
{
	if (inode->refs || inode->share == NO_SHARE || !fs->shares[inode->share].removed)
		return false;
	*ret_remains = strip_locked(fs, inode);
	return true;
}

/* The folder that is to be put next: not from in here, for a chain of them may be long. */
static struct inode *close_remains(struct fs *fs, const struct remains *remains)
{
	struct lock_owner *locks = remains->locks;
	uint32_t n = 0;

	watch_drop(fs, remains->watch);
	if (remains->fd >= 0) {
		close(remains->fd);
		n++;
	}
	handle_put(fs, remains->data[0]);
	handle_put(fs, remains->data[1]);
	while (locks) {
		struct lock_owner *next = locks->next;
		int fd = locks->fd;

		pthread_mutex_lock(&fs->lock);
		slots_free(&fs->lock_owners, locks);
		pthread_mutex_unlock(&fs->lock);
		closer_close(fd, remains->remote);
		locks = next;
		n++;
	}
	if (n)
		fd_uncharge(fs, n);
	return remains->parent;
}

int inode_get(struct fs *fs, uint64_t nodeid, struct inode **ret_inode)
{
	struct inode *inode;
	bool evicted = false;
	int ret;

	pthread_mutex_lock(&fs->lock);
	inode = slots_get(&fs->inodes, nodeid);
	if (inode && inode->share != NO_SHARE && fs->shares[inode->share].removed)
		inode = NULL;
	if (inode) {
		inode->refs++;
		inode->recent = true;
		inode->watch_recent = true;
		evicted = inode->fd < 0 && inode->share != NO_SHARE;
	}
	pthread_mutex_unlock(&fs->lock);
	if (!inode)
		return -ESTALE;
	ret = evicted ? inode_revive(fs, inode) : 0;
	if (ret)
		inode_put(fs, inode);
	else
		*ret_inode = inode;
	return ret;
}

void inode_put(struct fs *fs, struct inode *inode)
{
	while (inode) {
		struct remains remains;
		bool gone;

		pthread_mutex_lock(&fs->lock);
		inode->refs--;
		gone = detach_if_unused(fs, inode, &remains) ||
		       strip_if_removed(fs, inode, &remains);
		pthread_mutex_unlock(&fs->lock);
		inode = gone ? close_remains(fs, &remains) : NULL;
	}
}

void inode_forget(struct fs *fs, uint64_t nodeid, uint64_t nlookup)
{
	struct remains remains;
	struct inode *inode;
	bool gone = false;

	pthread_mutex_lock(&fs->lock);
	inode = slots_get(&fs->inodes, nodeid);
	if (inode && nodeid != ROOT_NODEID) {
		/* A guest that forgets more than it was granted harms itself alone. */
		inode->nlookup -= nlookup < inode->nlookup ? nlookup : inode->nlookup;
		gone = detach_if_unused(fs, inode, &remains);
	}
	pthread_mutex_unlock(&fs->lock);
	if (gone)
		inode_put(fs, close_remains(fs, &remains));
}

/* With fs->lock: takes *@fd. */
static struct inode *make_locked(struct fs *fs, const struct found *found, int *fd)
{
	const struct statx *stx = found->stx;
	struct inode *inode = found->id ? slots_place(&fs->inodes, found->id)
					: slots_alloc(&fs->inodes);

	if (!inode)
		return NULL;
	if (!found->parent_id)
		session_root_made(fs, found->share, slot_id(&inode->slot));
	inode->fd = *fd;
	*fd = -1;
	inode->share = found->share;
	inode->pseudo = found->pseudo;
	inode->remote = found->parent_id ? found->remote : !fs->shares[found->share].local;
	inode->type = stx->stx_mode & S_IFMT;
	inode->dev = stx_dev(stx);
	inode->ino = stx->stx_ino;
	inode->mount_id = stx->stx_mnt_id;
	inode->shown_ino = shown_ino(fs, found->share, inode->dev, inode->ino);
	fs->shares[found->share].n_inodes++;
	hash_insert(fs, inode);
	if (fs->inodes.n_used > fs->n_buckets * 2)
		hash_grow(fs);
	return inode;
}

/* With fs->lock: an inode without a descriptor gets *@fd, if it is the same file still. NULL where
 * it is not, and is out of the way. */
static struct inode *revive_locked(struct fs *fs, struct inode *inode, uint64_t identity, int *fd,
				   struct inode **ret_parent)
{
	if (inode->place->identity != identity) {
		hash_remove(fs, inode);
		inode->gone = true;
		return NULL;
	}
	__atomic_store_n(&inode->fd, *fd, __ATOMIC_RELEASE);
	*fd = -1;
	count_open_locked(fs, inode);
	*ret_parent = place_drop_locked(fs, inode);
	return inode;
}

/* With fs->lock: @inode is in that folder. As count_closed_locked(). */
static struct inode *move_locked(struct fs *fs, struct inode *inode, uint64_t parent_id)
{
	struct inode *unused;

	/* It has a descriptor, or its share was removed meanwhile. */
	if (inode->parent_id == parent_id || inode->fd < 0)
		return NULL;
	unused = count_closed_locked(fs, inode);
	inode->parent_id = parent_id;
	count_open_locked(fs, inode);
	return unused;
}

void inode_moved(struct fs *fs, struct inode *inode, const struct inode *from,
		 const struct inode *to)
{
	struct inode *unused = NULL;

	pthread_mutex_lock(&fs->lock);
	/* Its descriptor may be of another name, in another folder. */
	if (inode->fd >= 0 && inode->parent_id == slot_id(&from->slot))
		unused = move_locked(fs, inode, slot_id(&to->slot));
	pthread_mutex_unlock(&fs->lock);
	inode_put(fs, unused);
}

int inode_find(struct fs *fs, const struct found *found, int *fd, struct inode **ret_inode)
{
	bool evicted = __atomic_load_n(&fs->n_evicted, __ATOMIC_RELAXED);
	uint64_t identity = evicted && *fd >= 0 ? file_identity(*fd) : 0;
	struct inode *unused = NULL;
	struct inode *parent = NULL;
	struct inode *inode;
	bool wake = false;
	int ret = 0;

	pthread_mutex_lock(&fs->lock);
	inode = hash_find(fs, found->share, found->stx);
	if (inode && inode->place && *fd >= 0 && !identity) {
		/* Evicted just now. */
		pthread_mutex_unlock(&fs->lock);
		identity = file_identity(*fd);
		pthread_mutex_lock(&fs->lock);
		inode = hash_find(fs, found->share, found->stx);
	}
	if (*fd < 0 && (!inode || inode->place)) {
		ret = -ENOENT;
		goto out;
	}
	if (inode && inode->place)
		inode = revive_locked(fs, inode, identity, fd, &parent);
	if (!inode)
		inode = make_locked(fs, found, fd);
	if (!inode) {
		ret = -ENOMEM;
		goto out;
	}
	if (!inode->watch)
		wake = watch_known_locked(fs, inode);
	inode->recent = true;
	unused = move_locked(fs, inode, found->parent_id);
	__atomic_store_n(&inode->nlookup, inode->nlookup + 1, __ATOMIC_RELEASE);
	inode->refs++;
	*ret_inode = inode;
out:
	pthread_mutex_unlock(&fs->lock);
	if (wake)
		watch_wake(fs);
	inode_put(fs, unused);
	inode_put(fs, parent);
	return ret;
}

struct inode *inode_known(struct fs *fs, uint16_t share, const struct statx *stx)
{
	struct inode *inode;

	pthread_mutex_lock(&fs->lock);
	inode = hash_find(fs, share, stx);
	if (inode)
		inode->refs++;
	pthread_mutex_unlock(&fs->lock);
	return inode;
}

void inodes_reset(struct fs *fs)
{
	for (uint32_t i = 0;; i++) {
		struct remains remains;
		struct inode *inode;
		bool gone = false;

		pthread_mutex_lock(&fs->lock);
		inode = slots_next(&fs->inodes, i);
		if (!inode) {
			pthread_mutex_unlock(&fs->lock);
			return;
		}
		i = inode->slot.index;
		if (slot_id(&inode->slot) != ROOT_NODEID) {
			inode->nlookup = 0;
			gone = detach_if_unused(fs, inode, &remains);
		}
		pthread_mutex_unlock(&fs->lock);
		if (gone)
			inode_put(fs, close_remains(fs, &remains));
	}
}

static void drop_some(struct fs *fs, uint16_t share, bool folders)
{
	for (uint32_t i = 0;; i++) {
		struct remains remains = { .fd = -1, .watch = -1 };
		struct inode *inode;

		pthread_mutex_lock(&fs->lock);
		inode = slots_next(&fs->inodes, i);
		if (!inode) {
			pthread_mutex_unlock(&fs->lock);
			return;
		}
		i = inode->slot.index;
		if (inode->share == share && !inode->refs && S_ISDIR(inode->type) == folders)
			remains = strip_locked(fs, inode);
		pthread_mutex_unlock(&fs->lock);
		inode_put(fs, close_remains(fs, &remains));
	}
}

/* Folders of the host can be unmounted once nothing of them is open here. The inode's number stays
 * taken until the guest forgets it. Files have references to folders (struct place). */
void inodes_drop_share(struct fs *fs, uint16_t share)
{
	drop_some(fs, share, false);
	drop_some(fs, share, true);
}
