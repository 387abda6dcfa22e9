// SPDX-License-Identifier: GPL-2.0-or-later
/* Which folders are watched: those that the guest knows, the ones used last where there are too
 * many. */
#include "shared-fs/server/watch_private.h"

#include <errno.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "shared-fs/server/ops.h"

#define WATCH_MASK                                                                     \
	(IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_MODIFY | IN_ATTRIB | \
	 IN_CLOSE_WRITE | IN_ONLYDIR | IN_EXCL_UNLINK)

static uint32_t *bucket_of(struct watcher *watcher, int wd)
{
	return &watcher->buckets[(uint32_t)wd & (WATCH_BUCKETS - 1)];
}

static bool is_shared(const struct watcher *watcher, int wd)
{
	uint64_t nodeids[1];

	return watch_table_find(watcher, wd, nodeids, 1);
}

uint32_t watch_table_find(const struct watcher *watcher, int wd, uint64_t *ret_nodeids,
			  uint32_t max)
{
	uint32_t at = watcher->buckets[(uint32_t)wd & (WATCH_BUCKETS - 1)];
	uint32_t n = 0;

	for (; at && n < max; at = watcher->watches[at - 1].next) {
		if (watcher->watches[at - 1].wd == wd)
			ret_nodeids[n++] = watcher->watches[at - 1].nodeid;
	}
	return n;
}

/* With fs->lock. The number of a watch that nobody has any more, or -1. */
static int unlink_locked(struct watcher *watcher, uint32_t index)
{
	struct watch *watch = &watcher->watches[index];
	uint32_t *link = bucket_of(watcher, watch->wd);
	int wd = watch->wd;

	while (*link != index + 1)
		link = &watcher->watches[*link - 1].next;
	*link = watch->next;
	*watch = (struct watch){ .next = watcher->first_free };
	watcher->first_free = index + 1;
	watcher->n_watches--;
	return is_shared(watcher, wd) ? -1 : wd;
}

/* With fs->lock: there is room. */
static void link_locked(struct watcher *watcher, struct inode *inode, int wd)
{
	uint32_t index = watcher->first_free ? watcher->first_free - 1 : watcher->n_made++;
	struct watch *watch = &watcher->watches[index];

	if (watcher->first_free)
		watcher->first_free = watch->next;
	*watch = (struct watch){ slot_id(&inode->slot), wd, *bucket_of(watcher, wd) };
	*bucket_of(watcher, wd) = index + 1;
	watcher->n_watches++;
	inode->watch = index + 1;
}

/* Ends the watch of a folder that was not used since the hand passed it last. */
static void make_room(struct watcher *watcher)
{
	struct fs *fs = watcher->fs;
	int wd = -1;

	pthread_mutex_lock(&fs->lock);
	for (uint32_t i = 0; watcher->n_watches && i < 2 * watcher->n_made + 1; i++) {
		uint32_t at = watcher->hand++ % watcher->n_made;
		struct inode *inode;

		if (!watcher->watches[at].nodeid)
			continue;
		inode = slots_get(&fs->inodes, watcher->watches[at].nodeid);
		if (inode && inode->watch_recent) {
			inode->watch_recent = false;
			continue;
		}
		if (inode)
			inode->watch = 0;
		wd = unlink_locked(watcher, at);
		break;
	}
	pthread_mutex_unlock(&fs->lock);
	if (wd >= 0)
		inotify_rm_watch(watcher->inotify, wd);
}

static uint32_t count_watches(struct watcher *watcher)
{
	uint32_t n;

	pthread_mutex_lock(&watcher->fs->lock);
	n = watcher->n_watches;
	pthread_mutex_unlock(&watcher->fs->lock);
	return n;
}

static void tell_limit(struct watcher *watcher)
{
	if (watcher->limit_told)
		return;
	watcher->limit_told = true;
	log_warn("the host lets us watch %u folders, the guest knows more: it sees changes in the "
		 "others when its cache runs out; raise fs.inotify.max_user_watches",
		 count_watches(watcher));
}

/* A watch of @inode, which is referenced: -1, where there is none. */
static int add_watch(struct watcher *watcher, const struct inode *inode)
{
	int wd;

	if (count_watches(watcher) == WATCHES_MAX) {
		tell_limit(watcher);
		make_room(watcher);
	}
	wd = inotify_add_watch(watcher->inotify, fd_name(inode->fd).text, WATCH_MASK);
	if (wd < 0 && errno == ENOSPC) {
		tell_limit(watcher);
		make_room(watcher);
		wd = inotify_add_watch(watcher->inotify, fd_name(inode->fd).text, WATCH_MASK);
	}
	if (wd < 0)
		log_debug("a folder is not watched: %s", strerror(errno));
	return wd;
}

static bool may_be_watched(struct fs *fs, const struct inode *inode)
{
	bool may;

	pthread_mutex_lock(&fs->lock);
	may = !inode->watch && inode->fd >= 0 && !inode->pseudo;
	pthread_mutex_unlock(&fs->lock);
	return may;
}

static void watch_folder(struct watcher *watcher, uint64_t nodeid)
{
	struct fs *fs = watcher->fs;
	struct inode *inode;
	int wd;

	if (inode_get(fs, nodeid, &inode))
		return;
	if (!may_be_watched(fs, inode))
		goto out;
	wd = add_watch(watcher, inode);
	pthread_mutex_lock(&fs->lock);
	if (wd < 0)
		inode->watch = WATCH_IMPOSSIBLE;
	else if (inode->fd >= 0 && watcher->n_watches < WATCHES_MAX)
		link_locked(watcher, inode, wd);
	/* The share was removed meanwhile. */
	if (is_shared(watcher, wd))
		wd = -1;
	pthread_mutex_unlock(&fs->lock);
	if (wd >= 0)
		inotify_rm_watch(watcher->inotify, wd);
out:
	inode_put(fs, inode);
}

static void look_at_all(struct watcher *watcher)
{
	struct fs *fs = watcher->fs;
	struct inode *inode;

	for (uint32_t i = 0;;) {
		uint64_t nodeid = 0;

		pthread_mutex_lock(&fs->lock);
		for (; (inode = slots_next(&fs->inodes, i)); i = inode->slot.index + 1) {
			if (S_ISDIR(inode->type) && !inode->watch && inode->share != NO_SHARE) {
				nodeid = slot_id(&inode->slot);
				i = inode->slot.index + 1;
				break;
			}
		}
		/* In a full table a folder that is found would only take another's place. */
		if (watcher->n_watches == WATCHES_MAX)
			nodeid = 0;
		pthread_mutex_unlock(&fs->lock);
		if (!nodeid)
			return;
		watch_folder(watcher, nodeid);
	}
}

void watch_table_serve(struct watcher *watcher)
{
	uint64_t wanted[WATCH_WANTED];
	bool all;
	uint32_t n;

	if (!watch_listening(watcher->fs))
		return;
	pthread_mutex_lock(&watcher->fs->lock);
	n = watcher->n_wanted;
	all = watcher->look_at_all;
	memcpy(wanted, watcher->wanted, n * sizeof(wanted[0]));
	watcher->n_wanted = 0;
	watcher->look_at_all = false;
	pthread_mutex_unlock(&watcher->fs->lock);
	for (uint32_t i = 0; i < n; i++)
		watch_folder(watcher, wanted[i]);
	if (all)
		look_at_all(watcher);
}

void watch_table_want_all(struct watcher *watcher)
{
	pthread_mutex_lock(&watcher->fs->lock);
	watcher->look_at_all = true;
	pthread_mutex_unlock(&watcher->fs->lock);
}

/* With fs->lock. */
static int unwatch_locked(struct watcher *watcher, uint32_t index)
{
	struct inode *inode = slots_get(&watcher->fs->inodes, watcher->watches[index].nodeid);

	if (inode)
		inode->watch = 0;
	return unlink_locked(watcher, index);
}

void watch_table_clear(struct watcher *watcher)
{
	for (uint32_t i = 0; i < WATCHES_MAX; i++) {
		int wd = -1;

		pthread_mutex_lock(&watcher->fs->lock);
		if (watcher->watches[i].nodeid)
			wd = unwatch_locked(watcher, i);
		else if (i >= watcher->n_made)
			i = WATCHES_MAX;
		pthread_mutex_unlock(&watcher->fs->lock);
		if (wd >= 0)
			inotify_rm_watch(watcher->inotify, wd);
	}
}

void watch_table_lost(struct watcher *watcher, int wd)
{
	uint64_t nodeids[1];

	pthread_mutex_lock(&watcher->fs->lock);
	while (watch_table_find(watcher, wd, nodeids, 1)) {
		uint32_t at = *bucket_of(watcher, wd);

		while (watcher->watches[at - 1].wd != wd)
			at = watcher->watches[at - 1].next;
		unwatch_locked(watcher, at - 1);
		if (watcher->n_wanted < WATCH_WANTED)
			watcher->wanted[watcher->n_wanted++] = nodeids[0];
		else
			watcher->look_at_all = true;
	}
	pthread_mutex_unlock(&watcher->fs->lock);
}

bool watch_known_locked(struct fs *fs, const struct inode *inode)
{
	struct watcher *watcher = fs->watcher;

	if (!watch_listening(fs) || !S_ISDIR(inode->type) || inode->pseudo)
		return false;
	if (watcher->n_wanted == WATCH_WANTED) {
		watcher->look_at_all = true;
		return false;
	}
	watcher->wanted[watcher->n_wanted++] = slot_id(&inode->slot);
	return watcher->n_wanted == 1;
}

void watch_wake(struct fs *fs)
{
	const uint64_t one = 1;

	(void)!write(fs->watcher->wake, &one, sizeof(one));
}

int watch_take_locked(struct fs *fs, struct inode *inode)
{
	uint32_t watch = inode->watch;

	inode->watch = 0;
	if (!watch || watch == WATCH_IMPOSSIBLE || !fs->watcher)
		return -1;
	return unlink_locked(fs->watcher, watch - 1);
}

void watch_drop(struct fs *fs, int wd)
{
	if (wd >= 0 && fs->watcher)
		inotify_rm_watch(fs->watcher->inotify, wd);
}
