/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What programs of the host change in the shares, told to whoever listens on a socket, as records
 * of <lodge/fs_notify.h>: protocol/spec/fs-notify.md.
 *
 * Theory of operation. A thread of its own watches, with inotify(7), the folders that the guest
 * knows: a watch each, up to WATCHES_MAX, those used least recently give way. Events wait for
 * WATCH_DELAY_MS in a bounded queue, where those of one name are joined (watch_queue.h); then what
 * the names lead to is looked at and the records are sent. While the listener does not read, the
 * queue fills, and folders' records give way to one that says that anything may have changed there.
 *
 * The server's own changes are events, too, and are told apart in two ways. A name that it is about
 * to make, remove or rename is noted before (watch_own.c), and the first such event is that one. A
 * file's data and attributes were changed by somebody else if it has changed since the last request
 * of the guest for it: the file's ctime tells.
 *
 * Nothing here outlives the server's process but struct fs's flag that somebody listens: the next
 * server begins with new watches and one record that all may have changed.
 *
 * Locking: watches are under fs->lock, own names under a lock of theirs that is taken within it or
 * alone. The rest belongs to the thread. No function but watcher_destroy() waits.
 */
#ifndef LODGE_FSD_WATCH_H
#define LODGE_FSD_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include <lodge/fs_notify.h>

#include "shared-fs/server/fs.h"

#define WATCHES_MAX    16384 /* folders; kernels give a user 8,192 watches and up */
#define WATCH_DELAY_MS 10 /* so much later than the change is a record sent */

struct request;
struct watcher;

/*
 * In the process that serves, after fs_attach(): starts the thread, and sets fs->watcher. @socket
 * is a connected SOCK_SEQPACKET, which stays the caller's. @recovered: another server died.
 * -ENOMEM, or what inotify_init1(2) says.
 */
int watcher_create(struct fs *fs, int socket, bool recovered);
/* While no request runs. NULL is fine. */
void watcher_destroy(struct watcher *watcher);

/* The hooks below cost next to nothing while nobody listens. */

/* With fs->lock: the guest has got to know a folder. True: watch_wake() without the lock. */
bool watch_known_locked(struct fs *fs, const struct inode *inode);
void watch_wake(struct fs *fs);
/* With fs->lock: the inode is going, or changes its number's meaning. A watch to be given to
 * watch_drop() without the lock, -1: none. */
int watch_take_locked(struct fs *fs, struct inode *inode);
void watch_drop(struct fs *fs, int wd);

/* Around what changes the data or attributes of an inode. */
void watch_own_begin(struct fs *fs, struct inode *inode);
void watch_own_end(struct fs *fs, struct inode *inode);
/* Instead of watch_own_end(): nothing was changed. */
void watch_own_cancel(struct fs *fs, struct inode *inode);
/* For what was changed just now. */
static inline void watch_own_change(struct fs *fs, struct inode *inode)
{
	watch_own_begin(fs, inode);
	watch_own_end(fs, inode);
}

/* Before a system call that makes (LODGE_FS_CREATED), removes or renames @name in @dir. */
void watch_own_name(struct fs *fs, const struct inode *dir, const char *name, uint32_t kind);
/* It failed. */
void watch_own_undo(struct fs *fs, const struct inode *dir, const char *name, uint32_t kind);

#endif
