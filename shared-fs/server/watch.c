// SPDX-License-Identifier: GPL-2.0-or-later
/* The thread that reads what the host's kernel tells of watched folders. */
#include "shared-fs/server/watch_private.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/lib/fd.h"
#include "protocol/lib/thread.h"
#include "shared-fs/server/workers.h"

#define SAME_FOLDER_MAX 8 /* nodeids of one folder: shares that overlap */
#define READS_MAX	64 /* of 16 KiB of events, before other things have their turn */

static const struct {
	uint32_t mask;
	uint32_t kind;
} kinds[] = {
	{ IN_CREATE, LODGE_FS_CREATED },	{ IN_DELETE, LODGE_FS_DELETED },
	{ IN_MOVED_FROM, LODGE_FS_MOVED_FROM }, { IN_MOVED_TO, LODGE_FS_MOVED_TO },
	{ IN_MODIFY, LODGE_FS_MODIFIED },	{ IN_ATTRIB, LODGE_FS_ATTRIB },
	{ IN_CLOSE_WRITE, LODGE_FS_CLOSED },	{ IN_ISDIR, LODGE_FS_IS_FOLDER },
};

static uint32_t kinds_of(uint32_t mask)
{
	uint32_t found = 0;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (mask & kinds[i].mask)
			found |= kinds[i].kind;
	}
	return found;
}

/* A folder in a watched one is told of there. */
static bool tells_itself(const struct fs *fs, uint64_t nodeid)
{
	const struct inode *inode = slots_get(&fs->inodes, nodeid);

	return inode && !inode->parent_id;
}

static void take_for(struct watcher *watcher, uint64_t nodeid, const struct inotify_event *event,
		     bool itself)
{
	uint32_t found = kinds_of(event->mask);
	uint32_t name_kind = found & LODGE_FS_NAME_KINDS;

	if (!event->len) {
		if (itself && found & LODGE_FS_ATTRIB)
			watch_queue_add(&watcher->queue, nodeid, "",
					LODGE_FS_SELF | LODGE_FS_ATTRIB | LODGE_FS_IS_FOLDER, 0);
		return;
	}
	if (name_kind && watch_own_took(watcher, nodeid, event->name, name_kind))
		return;
	if (found & ~LODGE_FS_IS_FOLDER)
		watch_queue_add(&watcher->queue, nodeid, event->name, found, event->cookie);
}

static void take_event(struct watcher *watcher, const struct inotify_event *event)
{
	uint64_t nodeids[SAME_FOLDER_MAX];
	bool itself[SAME_FOLDER_MAX];
	uint32_t n;

	if (event->mask & IN_Q_OVERFLOW) {
		watch_queue_lose_all(&watcher->queue);
		return;
	}
	if (event->mask & IN_IGNORED) {
		watch_table_lost(watcher, event->wd);
		return;
	}
	pthread_mutex_lock(&watcher->fs->lock);
	n = watch_table_find(watcher, event->wd, nodeids, SAME_FOLDER_MAX);
	for (uint32_t i = 0; i < n; i++)
		itself[i] = tells_itself(watcher->fs, nodeids[i]);
	pthread_mutex_unlock(&watcher->fs->lock);
	for (uint32_t i = 0; i < n; i++)
		take_for(watcher, nodeids[i], event, itself[i]);
}

static void read_events(struct watcher *watcher)
{
	char buffer[16384] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t got;

	/* Whoever makes events faster than they are read must not keep us from sending any. */
	for (int i = 0; i < READS_MAX && (got = read(watcher->inotify, buffer, sizeof(buffer))) > 0;
	     i++) {
		const struct inotify_event *event;

		for (ssize_t at = 0; at < got; at += (ssize_t)(sizeof(*event) + event->len)) {
			event = (const void *)(buffer + at);
			take_event(watcher, event);
		}
	}
	if (watcher->queue.n && !watcher->due_ms)
		watcher->due_ms = fs_now_ms() + WATCH_DELAY_MS;
}

static void listen_on(struct watcher *watcher)
{
	__atomic_store_n(&watcher->fs->notify_on, true, __ATOMIC_RELEASE);
	watch_table_want_all(watcher);
}

static void listen_off(struct watcher *watcher)
{
	__atomic_store_n(&watcher->fs->notify_on, false, __ATOMIC_RELEASE);
	watch_table_clear(watcher);
	watch_queue_clear(&watcher->queue);
	watcher->due_ms = 0;
}

/* What the listener says. */
static void hear(struct watcher *watcher)
{
	uint8_t word;
	ssize_t got = recv(watcher->socket, &word, sizeof(word), MSG_DONTWAIT);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		watcher->gone = true;
		listen_off(watcher);
	} else if (word == LODGE_FS_NOTIFY_ON) {
		listen_on(watcher);
	} else if (word == LODGE_FS_NOTIFY_OFF) {
		listen_off(watcher);
	}
}

/* Milliseconds until the queue is due; -1: it is not. */
static int time_left(const struct watcher *watcher)
{
	uint64_t now = fs_now_ms();

	if (!watcher->due_ms)
		return -1;
	return watcher->due_ms > now ? (int)(watcher->due_ms - now) : 0;
}

static void *run(void *arg)
{
	struct watcher *watcher = arg;
	bool full = false;
	uint64_t count;

	while (!__atomic_load_n(&watcher->ending, __ATOMIC_ACQUIRE)) {
		struct pollfd polled[] = {
			{ .fd = watcher->wake, .events = POLLIN },
			{ .fd = watcher->inotify, .events = POLLIN },
			{ .fd = watcher->gone ? -1 : watcher->socket,
			  .events = (short)(POLLIN | (full ? POLLOUT : 0)) },
		};

		watch_table_serve(watcher);
		if (poll(polled, 3, full ? -1 : time_left(watcher)) < 0)
			continue;
		if (polled[0].revents)
			(void)!read(watcher->wake, &count, sizeof(count));
		if (polled[2].revents & ~POLLOUT)
			hear(watcher);
		if (polled[1].revents)
			read_events(watcher);
		if (!full || polled[2].revents & POLLOUT) {
			full = false;
			if (!time_left(watcher)) {
				full = watch_send(watcher) == -EAGAIN;
				watcher->due_ms = full ? watcher->due_ms : 0;
				if (watcher->gone)
					listen_off(watcher);
			}
		}
	}
	return NULL;
}

static void release(struct watcher *watcher)
{
	fd_close(&watcher->inotify);
	fd_close(&watcher->wake);
	free(watcher->watches);
	free(watcher);
}

int watcher_create(struct fs *fs, int socket, bool recovered)
{
	struct watcher *watcher = calloc(1, sizeof(*watcher));
	int ret;

	fs->watcher = NULL;
	if (!watcher)
		return -ENOMEM;
	watcher->fs = fs;
	watcher->socket = socket;
	pthread_mutex_init(&watcher->own_lock, NULL);
	watcher->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	watcher->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	watcher->watches = calloc(WATCHES_MAX, sizeof(*watcher->watches));
	ret = watcher->wake < 0 || watcher->inotify < 0 ? -errno : 0;
	if (!ret && !watcher->watches)
		ret = -ENOMEM;
	if (!ret && recovered && fs->notify_on) {
		watcher->look_at_all = true;
		watch_queue_lose_all(&watcher->queue);
		watcher->due_ms = fs_now_ms();
	}
	fs->watcher = ret ? NULL : watcher;
	if (!ret)
		ret = thread_start(&watcher->thread, SERVER_STACK_SIZE, 0, run, watcher);
	if (ret) {
		fs->watcher = NULL;
		release(watcher);
	}
	return ret;
}

void watcher_destroy(struct watcher *watcher)
{
	if (!watcher)
		return;
	__atomic_store_n(&watcher->ending, true, __ATOMIC_RELEASE);
	watch_wake(watcher->fs);
	pthread_join(watcher->thread, NULL);
	watcher->fs->watcher = NULL;
	release(watcher);
}
