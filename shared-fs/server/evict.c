// SPDX-License-Identifier: GPL-2.0-or-later
/* Descriptors of inodes, closed and opened again. */
#include "shared-fs/server/evict.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared-fs/server/ops.h"

/* Most names fit in the first; a place of 80 bytes or of 304. */
static const size_t name_room[2] = { 40, NAME_MAX + 1 };

#define EVICT_BATCH 32
#define CHAIN_STEP  64 /* folders that are opened again at a time */

#define CHAIN_CHANGED 1

int places_init(struct fs *fs)
{
	int ret = slots_init(&fs->places[0], sizeof(struct place) + name_room[0]);

	return ret ? ret : slots_init(&fs->places[1], sizeof(struct place) + name_room[1]);
}

void places_fini(struct fs *fs)
{
	slots_fini(&fs->places[0]);
	slots_fini(&fs->places[1]);
}

static uint64_t mix_bytes(uint64_t sum, const void *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum = (sum ^ ((const uint8_t *)data)[i]) * 0x100000001b3ULL; /* FNV-1a */
	return sum;
}

uint64_t file_identity(int fd)
{
	union {
		struct file_handle head;
		uint8_t room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} handle = { .head.handle_bytes = MAX_HANDLE_SZ };
	struct statx stx;
	int mount;

	if (!name_to_handle_at(fd, "", &handle.head, &mount, AT_EMPTY_PATH))
		return mix_bytes((uint64_t)handle.head.handle_type, handle.head.f_handle,
				 handle.head.handle_bytes) |
		       1;
	if (!statx(fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_BTIME, &stx) &&
	    stx.stx_mask & STATX_BTIME)
		return mix_bytes((uint64_t)stx.stx_btime.tv_sec, &stx.stx_btime.tv_nsec,
				 sizeof(stx.stx_btime.tv_nsec)) |
		       1;
	return 0;
}

static struct slots *table_of(struct fs *fs, const struct place *place)
{
	return &fs->places[slots_holds(&fs->places[1], place)];
}

struct inode *place_drop_locked(struct fs *fs, struct inode *inode)
{
	struct place *place = inode->place;
	struct inode *parent;

	if (!place)
		return NULL;
	parent = slots_get(&fs->inodes, place->parent_id);
	if (parent) {
		parent->n_places--;
		parent->refs++;
	}
	inode->place = NULL;
	slots_free(table_of(fs, place), place);
	__atomic_sub_fetch(&fs->n_evicted, 1, __ATOMIC_RELAXED);
	return parent;
}

static struct inode *folder_of_file(const struct fs *fs, const struct inode *inode)
{
	return S_ISDIR(inode->type) ? NULL : slots_get(&fs->inodes, inode->parent_id);
}

void count_open_locked(struct fs *fs, const struct inode *inode)
{
	struct inode *parent = folder_of_file(fs, inode);

	if (parent)
		parent->n_open++;
}

struct inode *count_closed_locked(struct fs *fs, const struct inode *inode)
{
	struct inode *parent = folder_of_file(fs, inode);

	if (!parent)
		return NULL;
	parent->n_open--;
	if (parent->nlookup)
		return NULL;
	parent->refs++;
	return parent;
}

static bool is_inode(const struct inode *inode, const struct statx *stx)
{
	return stx->stx_ino == inode->ino && stx_dev(stx) == inode->dev &&
	       stx->stx_mnt_id == inode->mount_id;
}

/* Whether that name, which the host has for the folder, is one in @parent, which is not open. */
static bool folder_is_in(const struct inode *inode, const struct inode *parent, const char *name)
{
	static const char deleted[] = " (deleted)";
	size_t len = strlen(name);
	struct statx stx;

	/* A folder may be called so; it stays open. */
	if (len >= sizeof(deleted) && !strcmp(name + len - (sizeof(deleted) - 1), deleted))
		return false;
	return !statx(inode->fd, "..", AT_SYMLINK_NOFOLLOW, STATX_WANTED, &stx) &&
	       is_inode(parent, &stx);
}

/* The name that leads from @parent to the file of @inode. */
static bool find_name(const struct fs *fs, const struct inode *inode, const struct inode *parent,
		      char name[NAME_MAX + 1])
{
	char path[PATH_MAX];
	ssize_t len = readlinkat(fs->proc_fd, fd_name(inode->fd).text, path, sizeof(path) - 1);
	int parent_fd = __atomic_load_n(&parent->fd, __ATOMIC_ACQUIRE);
	struct statx stx;
	const char *last;

	if (len <= 0 || len == (ssize_t)sizeof(path) - 1)
		return false;
	path[len] = 0;
	last = strrchr(path, '/');
	if (!last || strlen(last + 1) > NAME_MAX || !last[1])
		return false;
	strcpy(name, last + 1);
	if (parent_fd < 0)
		return folder_is_in(inode, parent, name);
	/* The path may be of long ago, or of another mount. */
	return !statx(parent_fd, name, AT_SYMLINK_NOFOLLOW, STATX_WANTED, &stx) &&
	       is_inode(inode, &stx);
}

/* With fs->lock and a reference: true where that is the only use of the inode. */
static bool evictable(const struct inode *inode)
{
	return inode->refs == 1 && inode->nlookup && inode->fd >= 0 && !inode->place &&
	       !inode->n_open && !inode->locks && !inode->data[0] && !inode->data[1];
}

/* With fs->lock. @inode or the first folder above it that has no place, NULL: there is none. */
static struct inode *top_locked(const struct fs *fs, struct inode *inode)
{
	while (inode && inode->place)
		inode = slots_get(&fs->inodes, inode->place->parent_id);
	return inode;
}

static bool place_make_locked(struct fs *fs, struct inode *inode, struct inode *parent,
			      uint64_t identity, const char *name)
{
	struct place *place;

	/* Folders that the host has moved into each other would keep each other for ever. */
	if (top_locked(fs, parent) == inode)
		return false;
	place = slots_alloc(&fs->places[strlen(name) >= name_room[0]]);
	if (!place)
		return false;
	strcpy(place->name, name);
	place->identity = identity;
	place->parent_id = slot_id(&parent->slot);
	__atomic_store_n(&place->inode_id, slot_id(&inode->slot), __ATOMIC_RELEASE);
	inode->place = place;
	parent->n_places++;
	__atomic_add_fetch(&fs->n_evicted, 1, __ATOMIC_RELAXED);
	return true;
}

/* Both are referenced. */
static bool evict(struct fs *fs, struct inode *inode, struct inode *parent)
{
	uint32_t names = __atomic_load_n(&fs->names_changed, __ATOMIC_ACQUIRE);
	uint64_t identity = file_identity(inode->fd);
	struct inode *forgotten = NULL;
	char name[NAME_MAX + 1];
	int fd = -1;

	if (!identity || !find_name(fs, inode, parent, name))
		return false;
	pthread_mutex_lock(&fs->lock);
	/* The guest may have given it another name meanwhile. */
	if (evictable(inode) && __atomic_load_n(&fs->names_changed, __ATOMIC_ACQUIRE) == names &&
	    place_make_locked(fs, inode, parent, identity, name)) {
		fd = inode->fd;
		forgotten = count_closed_locked(fs, inode);
		__atomic_store_n(&inode->fd, -1, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&fs->lock);
	inode_put(fs, forgotten);
	if (fd < 0)
		return false;
	close(fd);
	fd_uncharge(fs, 1);
	return true;
}

/* With fs->lock and a reference. Of a file only a folder that is open can tell where it is. */
static bool is_candidate(const struct inode *inode, const struct inode *parent)
{
	return parent && (S_ISDIR(inode->type) || parent->fd >= 0) && evictable(inode);
}

/* The next inode that may do, and its folder, with references; NULL where the hand has gone round.
 * What was used since the hand's last visit is spared. */
static struct inode *next_candidate(struct fs *fs, uint32_t *left, struct inode **ret_parent)
{
	struct inode *inode;

	pthread_mutex_lock(&fs->lock);
	while ((*left)--) {
		inode = slots_next(&fs->inodes, fs->evict_hand);
		fs->evict_hand = inode ? inode->slot.index + 1 : 0;
		if (!inode || inode->refs)
			continue;
		inode->refs++;
		*ret_parent = slots_get(&fs->inodes, inode->parent_id);
		if (!inode->recent && is_candidate(inode, *ret_parent)) {
			(*ret_parent)->refs++;
			pthread_mutex_unlock(&fs->lock);
			return inode;
		}
		inode->recent = false;
		inode->refs--;
	}
	pthread_mutex_unlock(&fs->lock);
	return NULL;
}

bool inodes_make_room(struct fs *fs)
{
	unsigned int n = 0;
	uint32_t left;
	struct inode *parent;
	struct inode *inode;

	pthread_mutex_lock(&fs->lock);
	left = 2 * fs->inodes.n_used + 2;
	pthread_mutex_unlock(&fs->lock);
	while (n < EVICT_BATCH && (inode = next_candidate(fs, &left, &parent))) {
		n += evict(fs, inode, parent);
		inode_put(fs, inode);
		inode_put(fs, parent);
	}
	/* An inode with an open file of its own has two. */
	return n || data_make_room(fs);
}

/* A descriptor (charged) of the very file that @inode was made of. */
static int open_place(struct fs *fs, const struct inode *inode, const struct inode *parent,
		      const char *name, uint64_t identity)
{
	struct statx stx;
	int ret;
	int fd;

	ret = fd_charge(fs, 1);
	if (ret)
		return ret;
	fd = openat(parent->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		ret = errno == ENOENT ? -ESTALE : -errno;
		fd_uncharge(fs, 1);
		return ret;
	}
	if (!statx(fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_WANTED, &stx) &&
	    is_inode(inode, &stx) && file_identity(fd) == identity)
		return fd;
	close(fd);
	fd_uncharge(fs, 1);
	return -ESTALE;
}

/* @inode is referenced. 0, an error, or CHAIN_CHANGED: its folder has no descriptor (any more). */
static int revive_one(struct fs *fs, struct inode *inode)
{
	struct inode *dropped = NULL;
	struct inode *parent = NULL;
	char name[NAME_MAX + 1];
	uint64_t identity = 0;
	bool closed = false;
	int ret;
	int fd;

	pthread_mutex_lock(&fs->lock);
	if (inode->place) {
		strcpy(name, inode->place->name);
		identity = inode->place->identity;
		parent = slots_get(&fs->inodes, inode->place->parent_id);
		if (parent)
			parent->refs++;
		closed = parent && parent->fd < 0;
	}
	fd = inode->fd;
	pthread_mutex_unlock(&fs->lock);
	if (!parent)
		return fd >= 0 ? 0 : -ESTALE;
	if (closed) {
		inode_put(fs, parent);
		return CHAIN_CHANGED;
	}
	fd = open_place(fs, inode, parent, name, identity);
	ret = fd < 0 ? fd : 0;
	pthread_mutex_lock(&fs->lock);
	if (!ret && inode->place) {
		__atomic_store_n(&inode->fd, fd, __ATOMIC_RELEASE);
		count_open_locked(fs, inode);
		dropped = place_drop_locked(fs, inode);
		fd = -1;
	}
	pthread_mutex_unlock(&fs->lock);
	/* Another thread was faster. */
	if (fd >= 0) {
		close(fd);
		fd_uncharge(fs, 1);
	}
	inode_put(fs, dropped);
	inode_put(fs, parent);
	return ret;
}

/* What has to be opened: the uppermost ones of a chain of folders and what is in the last. */
struct chain {
	uint64_t ids[CHAIN_STEP]; /* a ring */
	uint32_t n; /* how many the chain has; the last is the uppermost */
};

/* -ESTALE: it ends with a folder that is gone. */
static int find_chain(struct fs *fs, struct inode *inode, struct chain *ret_chain)
{
	int ret;

	ret_chain->n = 0;
	pthread_mutex_lock(&fs->lock);
	while (inode && inode->place) {
		ret_chain->ids[ret_chain->n++ % CHAIN_STEP] = slot_id(&inode->slot);
		inode = slots_get(&fs->inodes, inode->place->parent_id);
	}
	ret = inode && inode->fd >= 0 ? 0 : -ESTALE;
	pthread_mutex_unlock(&fs->lock);
	return ret;
}

/* From the uppermost down. *@held, a reference, is to the last that was opened: the next one needs
 * it to stay. */
static int open_chain(struct fs *fs, const struct chain *chain, struct inode **held)
{
	uint32_t end = chain->n > CHAIN_STEP ? chain->n - CHAIN_STEP : 0;
	int ret = 0;

	for (uint32_t i = chain->n; !ret && i > end; i--) {
		struct inode *next;

		pthread_mutex_lock(&fs->lock);
		next = slots_get(&fs->inodes, chain->ids[(i - 1) % CHAIN_STEP]);
		if (next)
			next->refs++;
		pthread_mutex_unlock(&fs->lock);
		ret = next ? revive_one(fs, next) : CHAIN_CHANGED;
		inode_put(fs, *held);
		*held = next;
	}
	return ret;
}

int inode_revive(struct fs *fs, struct inode *inode)
{
	struct inode *held = NULL;
	struct chain chain;
	int ret;

	/* Whatever other threads do to the chain, they have got on by it. */
	do {
		ret = find_chain(fs, inode, &chain);
		if (!ret && chain.n)
			ret = open_chain(fs, &chain, &held);
	} while (ret == CHAIN_CHANGED || (!ret && chain.n > CHAIN_STEP));
	inode_put(fs, held);
	return ret;
}

static bool place_whole(const struct fs *fs, const struct inode *inode)
{
	const struct place *place = inode->place;

	return (slots_holds(&fs->places[0], place) || slots_holds(&fs->places[1], place)) &&
	       place->inode_id == slot_id(&inode->slot) && inode->fd < 0;
}

/* Places of nobody, or of an inode that has its descriptor. */
static void drop_lost(struct fs *fs, struct slots *places)
{
	struct place *place;

	for (uint32_t i = 0; (place = slots_next(places, i)); i++) {
		const struct inode *inode = slots_get(&fs->inodes, place->inode_id);

		i = place->slot.index;
		if (!inode || inode->place != place)
			slots_free(places, place);
	}
}

void places_recover(struct fs *fs)
{
	struct inode *inode;

	slots_recover(&fs->places[0]);
	slots_recover(&fs->places[1]);
	fs->n_evicted = 0;
	for (uint32_t i = 0; (inode = slots_next(&fs->inodes, i)); i = inode->slot.index + 1) {
		struct inode *parent;

		if (!inode->place)
			continue;
		parent = place_whole(fs, inode) ? slots_get(&fs->inodes, inode->place->parent_id)
						: NULL;
		if (!parent) {
			inode->place = NULL;
			continue;
		}
		parent->n_places++;
		fs->n_evicted++;
	}
	drop_lost(fs, &fs->places[0]);
	drop_lost(fs, &fs->places[1]);
	for (uint32_t i = 0; (inode = slots_next(&fs->inodes, i)); i = inode->slot.index + 1) {
		if (inode->fd >= 0)
			count_open_locked(fs, inode);
	}
}
