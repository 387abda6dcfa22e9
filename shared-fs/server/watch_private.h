/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of the watcher share: the thread (watch.c), the table of watches (watch_table.c),
 * records (watch_send.c) and own changes (watch_own.c). */
#ifndef LODGE_FSD_WATCH_PRIVATE_H
#define LODGE_FSD_WATCH_PRIVATE_H

#include <pthread.h>

#include <lodge/fs_notify.h>

#include "protocol/lib/log.h"
#include "shared-fs/server/watch.h"
#include "shared-fs/server/watch_queue.h"

#define WATCH_BUCKETS	 4096 /* a power of two */
#define WATCH_WANTED	 256 /* folders that wait to be watched; more: all are looked at */
#define WATCH_IMPOSSIBLE UINT32_MAX /* inode.watch: the host said no */
#define OWN_NAMES	 1024 /* a power of two */

struct watch {
	uint64_t nodeid; /* 0: free */
	int wd; /* inotify's; one folder may be known by several nodeids */
	uint32_t next; /* of the bucket, or of the free ones: index + 1 */
};

/* A name that the server itself changes in one way, as often as it does. */
struct own_name {
	uint32_t hash; /* of folder and name */
	uint32_t kind; /* LODGE_FS_*; 0: free */
	uint32_t pending; /* events that are to come */
	uint64_t at_ms; /* of the last change */
};

struct watcher {
	struct fs *fs;
	pthread_t thread;
	int inotify;
	int wake; /* eventfd */
	int socket; /* not owned */
	bool ending; /* atomic */

	/* fs->lock: */
	struct watch *watches; /* WATCHES_MAX */
	uint32_t n_made, first_free, n_watches;
	uint32_t hand; /* where the search for one that was not used goes on */
	uint32_t buckets[WATCH_BUCKETS];
	uint64_t wanted[WATCH_WANTED];
	uint32_t n_wanted;
	bool look_at_all;

	pthread_mutex_t own_lock;
	struct own_name own[OWN_NAMES];

	/* The thread's: */
	bool gone; /* the listener */
	bool limit_told; /* of the host's limit on watches */
	uint64_t due_ms; /* when the queue is to be sent; 0: it is empty */
	struct watch_queue queue;
	uint64_t batch[LODGE_FS_BATCH_MAX / 8];
};

static inline bool watch_listening(const struct fs *fs)
{
	return fs->watcher && __atomic_load_n(&fs->notify_on, __ATOMIC_RELAXED);
}

/* watch_table.c: watches folders that are wanted. */
void watch_table_serve(struct watcher *watcher);
/* Of all folders that the guest knows, at the next serve. */
void watch_table_want_all(struct watcher *watcher);
/* The kernel has ended a watch: folders that the guest knows still are wanted again. */
void watch_table_lost(struct watcher *watcher, int wd);
/* Ends all watches. */
void watch_table_clear(struct watcher *watcher);
/* The nodeids with that watch, at most @max: their number. With fs->lock. */
uint32_t watch_table_find(const struct watcher *watcher, int wd, uint64_t *ret_nodeids,
			  uint32_t max);

/* watch_own.c: whether @name's change in folder @nodeid was the server's own; it is then used up.
 */
bool watch_own_took(struct watcher *watcher, uint64_t nodeid, const char *name, uint32_t kind);

/* Whether the server has made @name lately. */
bool watch_own_made(struct watcher *watcher, uint64_t nodeid, const char *name);

/* watch_send.c: sends what the queue has and the listener takes. -EAGAIN: there is more. */
int watch_send(struct watcher *watcher);

#endif
