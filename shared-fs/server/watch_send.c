// SPDX-License-Identifier: GPL-2.0-or-later
/* From events to records: what a name leads to is looked at when its record is sent, so that it
 * tells the state that there is then, and own changes are left out. */
#include "shared-fs/server/watch_private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/lib/fs_change.h"
#include "shared-fs/server/ops.h"

#define CHANGE_KINDS (LODGE_FS_MODIFIED | LODGE_FS_ATTRIB | LODGE_FS_CLOSED)
#define GONE_KINDS   (LODGE_FS_DELETED | LODGE_FS_MOVED_FROM)
/* Local file systems stamp with this machine's clock, as of its last tick or as it is: what the
 * server did has no later stamp than the end of its request. Others have a clock of their own. */
#define FOREIGN_MARGIN_NS 10000000

/* The folder of the record that was made last: many follow for the same one. */
struct folder {
	uint64_t nodeid;
	struct inode *inode; /* referenced */
	size_t path_len;
	char path[LODGE_FS_PATH_MAX];
};

/* The host's path of a descriptor, as far as it can be seen from here: its length, 0 where not. */
static size_t path_of(struct fs *fs, int fd, char *room, size_t size)
{
	ssize_t len = readlinkat(fs->proc_fd, fd_name(fd).text, room, size);

	return len < 0 || (size_t)len == size ? 0 : (size_t)len;
}

/* The folder's path as the guest names it from the root of its mount. */
static int find_path(struct fs *fs, struct folder *folder)
{
	const struct share *share = inode_share(fs, folder->inode);
	char root[PATH_MAX], path[PATH_MAX];
	size_t root_len, len, name_len;
	int fd;

	folder->path_len = 0;
	pthread_mutex_lock(&fs->lock);
	fd = share && !share->removed ? share->fd : -1;
	pthread_mutex_unlock(&fs->lock);
	if (fd < 0)
		return -ESTALE;
	root_len = path_of(fs, fd, root, sizeof(root));
	len = path_of(fs, folder->inode->fd, path, sizeof(path));
	/* A share of "/" ends with the slash that others lack. */
	if (root_len && root[root_len - 1] == '/')
		root_len--;
	if (!len || len < root_len || memcmp(path, root, root_len) ||
	    (len > root_len && path[root_len] != '/'))
		return -ENOENT;
	while (root_len < len && path[root_len] == '/')
		root_len++;
	len -= root_len;
	name_len = fs->exported ? 0 : strlen(share->name);
	if (name_len + 1 + len > sizeof(folder->path))
		return -ENAMETOOLONG;
	memcpy(folder->path, share->name, name_len);
	if (name_len && len)
		folder->path[name_len++] = '/';
	memcpy(folder->path + name_len, path + root_len, len);
	folder->path_len = name_len + len;
	return 0;
}

static void leave_folder(struct fs *fs, struct folder *folder)
{
	inode_put(fs, folder->inode);
	folder->inode = NULL;
	folder->nodeid = 0;
}

static int enter_folder(struct fs *fs, struct folder *folder, uint64_t nodeid)
{
	int ret;

	if (folder->nodeid == nodeid)
		return 0;
	leave_folder(fs, folder);
	ret = inode_get(fs, nodeid, &folder->inode);
	if (ret)
		return ret;
	ret = find_path(fs, folder);
	if (ret)
		leave_folder(fs, folder);
	else
		folder->nodeid = nodeid;
	return ret;
}

/* Whether nobody but the server itself has changed what has @stx since the guest's last request. */
static bool is_own(const struct inode *inode, const struct statx *stx)
{
	uint64_t margin = inode->remote ? FOREIGN_MARGIN_NS : 0;
	uint64_t own = __atomic_load_n(&inode->own_changed, __ATOMIC_ACQUIRE);
	uint64_t changed = (uint64_t)stx->stx_ctime.tv_sec * 1000000000 + stx->stx_ctime.tv_nsec;

	return __atomic_load_n(&inode->own_busy, __ATOMIC_ACQUIRE) ||
	       (own && changed <= own + margin);
}

/* Looks at what the name leads to. */
static void find_child(struct fs *fs, const struct folder *folder, const struct watch_event *event,
		       struct fs_change *change)
{
	struct inode *child;
	struct statx stx;

	if (change->kinds & GONE_KINDS)
		return;
	if (statx(folder->inode->fd, event->name, AT_SYMLINK_NOFOLLOW, STATX_WANTED, &stx)) {
		/* Gone again: another event tells. */
		change->kinds &= ~(uint32_t)CHANGE_KINDS;
		return;
	}
	child = inode_known(fs, folder->inode->share, &stx);
	if (!child) {
		/* What the guest makes just now is not in the table yet. */
		if (watch_own_made(fs->watcher, folder->nodeid, event->name))
			change->kinds &= ~(uint32_t)CHANGE_KINDS;
		return;
	}
	change->child = slot_id(&child->slot);
	change->child_ino = child->shown_ino;
	if (is_own(child, &stx))
		change->kinds &= ~(uint32_t)CHANGE_KINDS;
	inode_put(fs, child);
}

/* False: there is nothing to tell. */
static bool make_change(struct fs *fs, struct folder *folder, const struct watch_event *event,
			struct fs_change *change)
{
	struct statx stx;

	*change = (struct fs_change){ .kinds = event->kinds,
				      .cookie = event->cookie,
				      .folder = event->folder,
				      .name = event->name,
				      .name_len = strlen(event->name) };
	if (!event->folder)
		return true;
	if (enter_folder(fs, folder, event->folder))
		return false;
	change->folder_ino = folder->inode->shown_ino;
	change->path = folder->path;
	change->path_len = folder->path_len;
	if (event->kinds & LODGE_FS_LOST)
		return true;
	if (event->kinds & LODGE_FS_SELF) {
		return !statx(folder->inode->fd, "", AT_EMPTY_PATH, STATX_WANTED, &stx) &&
		       !is_own(folder->inode, &stx);
	}
	find_child(fs, folder, event, change);
	return change->kinds & ~LODGE_FS_IS_FOLDER;
}

/* As many events as fit: their number, and the bytes in *ret_len. */
static uint32_t fill_batch(struct watcher *watcher, size_t *ret_len)
{
	struct folder folder = { 0 };
	size_t len = 0;
	uint32_t i;

	for (i = 0; i < watcher->queue.n; i++) {
		const struct watch_event *event = &watcher->queue.events[i];
		struct fs_change change;
		size_t put;

		if (!make_change(watcher->fs, &folder, event, &change))
			continue;
		put = fs_change_put(&change, (char *)watcher->batch + len,
				    sizeof(watcher->batch) - len);
		if (!put)
			break;
		len += put;
	}
	leave_folder(watcher->fs, &folder);
	*ret_len = len;
	return i;
}

static bool takes_more(const struct watcher *watcher)
{
	struct pollfd pfd = { .fd = watcher->socket, .events = POLLOUT };

	return poll(&pfd, 1, 0) == 1 && pfd.revents & POLLOUT;
}

int watch_send(struct watcher *watcher)
{
	while (watcher->queue.n) {
		uint32_t n;
		size_t len;

		if (!takes_more(watcher))
			return -EAGAIN;
		n = fill_batch(watcher, &len);
		if (len &&
		    send(watcher->socket, watcher->batch, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
			if (errno == EAGAIN || errno == ENOBUFS)
				return -EAGAIN;
			watcher->gone = true;
			return 0;
		}
		watch_queue_remove(&watcher->queue, n);
	}
	return 0;
}
