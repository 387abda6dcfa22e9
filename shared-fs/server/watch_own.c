// SPDX-License-Identifier: GPL-2.0-or-later
/* What the server itself changes, so that it is not told to the guest that asked for it. */
#include "shared-fs/server/watch_private.h"

#include <time.h>

#define OWN_PROBES 16 /* places that a name may have */
#define OWN_MS	   2000 /* then an event that was not seen does not come any more */

static uint32_t hash_of(uint64_t nodeid, const char *name)
{
	uint32_t hash = 2166136261u ^ (uint32_t)(nodeid * 0x9e3779b97f4a7c15ULL >> 32);

	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * 16777619u; /* FNV-1a */
	return hash;
}

/* With own_lock. The entry of that name and one of @kinds, NULL: none. */
static struct own_name *find(struct watcher *watcher, uint32_t hash, uint32_t kinds)
{
	uint64_t now = fs_now_ms();

	for (uint32_t i = 0; i < OWN_PROBES; i++) {
		struct own_name *own = &watcher->own[(hash + i) & (OWN_NAMES - 1)];

		if (own->kind & kinds && own->hash == hash && now - own->at_ms < OWN_MS)
			return own;
	}
	return NULL;
}

/* With own_lock. Where there is no room the oldest is the likeliest to be over. */
static struct own_name *find_place(struct watcher *watcher, uint32_t hash)
{
	uint64_t now = fs_now_ms();
	struct own_name *place = NULL;

	for (uint32_t i = 0; i < OWN_PROBES; i++) {
		struct own_name *own = &watcher->own[(hash + i) & (OWN_NAMES - 1)];

		if (!own->kind || now - own->at_ms >= OWN_MS)
			return own;
		if (!place || own->at_ms < place->at_ms)
			place = own;
	}
	return place;
}

void watch_own_name(struct fs *fs, const struct inode *dir, const char *name, uint32_t kind)
{
	uint32_t hash = hash_of(slot_id(&dir->slot), name);
	struct watcher *watcher;
	struct own_name *own;

	if (!watch_listening(fs))
		return;
	watcher = fs->watcher;
	pthread_mutex_lock(&watcher->own_lock);
	own = find(watcher, hash, kind);
	if (!own) {
		own = find_place(watcher, hash);
		*own = (struct own_name){ .hash = hash, .kind = kind };
	}
	own->pending++;
	own->at_ms = fs_now_ms();
	pthread_mutex_unlock(&watcher->own_lock);
}

/* With own_lock. One of the events that are to come is not; the entry, NULL: none was. */
static struct own_name *take(struct watcher *watcher, uint64_t nodeid, const char *name,
			     uint32_t kind)
{
	struct own_name *own = find(watcher, hash_of(nodeid, name), kind);

	if (!own || !own->pending)
		return NULL;
	own->pending--;
	return own;
}

void watch_own_undo(struct fs *fs, const struct inode *dir, const char *name, uint32_t kind)
{
	struct own_name *own;

	if (!watch_listening(fs))
		return;
	pthread_mutex_lock(&fs->watcher->own_lock);
	own = take(fs->watcher, slot_id(&dir->slot), name, kind);
	/* Nothing was made: whoever makes it now is somebody else. */
	if (own && !own->pending)
		own->kind = 0;
	pthread_mutex_unlock(&fs->watcher->own_lock);
}

bool watch_own_took(struct watcher *watcher, uint64_t nodeid, const char *name, uint32_t kind)
{
	bool took;

	pthread_mutex_lock(&watcher->own_lock);
	took = take(watcher, nodeid, name, kind);
	pthread_mutex_unlock(&watcher->own_lock);
	return took;
}

bool watch_own_made(struct watcher *watcher, uint64_t nodeid, const char *name)
{
	bool made;

	pthread_mutex_lock(&watcher->own_lock);
	made = find(watcher, hash_of(nodeid, name), LODGE_FS_CREATED | LODGE_FS_MOVED_TO);
	pthread_mutex_unlock(&watcher->own_lock);
	return made;
}

void watch_own_begin(struct fs *fs, struct inode *inode)
{
	if (fs->watcher)
		__atomic_add_fetch(&inode->own_busy, 1, __ATOMIC_ACQ_REL);
}

void watch_own_cancel(struct fs *fs, struct inode *inode)
{
	if (fs->watcher)
		__atomic_sub_fetch(&inode->own_busy, 1, __ATOMIC_ACQ_REL);
}

void watch_own_end(struct fs *fs, struct inode *inode)
{
	struct timespec now;

	if (!fs->watcher)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	__atomic_store_n(&inode->own_changed,
			 (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec,
			 __ATOMIC_RELEASE);
	__atomic_sub_fetch(&inode->own_busy, 1, __ATOMIC_ACQ_REL);
}
