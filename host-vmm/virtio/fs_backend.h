/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the back end of a virtio-fs device comes from: a lodge-fsd that we start and end, or a
 * socket on which somebody else's vhost-user-fs back end listens.
 *
 * For a lodge-fsd of ours this is also the list of shares, the only one that counts: what a new
 * lodge-fsd gets after the old one has died, and what share_add and share_remove change.
 *
 * Locking: the share functions may be called by any thread; open and close belong to the device's
 * loop (and to the main thread while the loop has nothing to do).
 */
#ifndef LODGE_VMM_FS_BACKEND_H
#define LODGE_VMM_FS_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host-vmm/conf/vmconf.h"
#include "host-vmm/vhost-user/spawn.h"

struct fs_backend;

/* A back end of ours that dies more often than this stays dead until the guest resets the device:
 * whatever kills it is not cured by starting it again. */
#define FS_RESTARTS_MAX	   5
#define FS_RESTARTS_WINDOW 60 /* seconds */

#define FS_SHARES_MAX 240 /* lodge-fsd takes 256, and one that was removed may still be in use */
#define FS_WHY_MAX    256

struct fs_share_info {
	const char *name;
	const char *path; /* as it was given, for people */
	struct vm_share_rules rules;
};

/* A stranger's back end at @socket. */
int fs_backend_create_socket(const char *socket, struct fs_backend **ret_backend);
struct fs_server_rules {
	bool export; /* its first share is the root, else shares are folders in a root of its own */
	uint64_t dax_size; /* of the window for mapped files: bytes, in MiB; 0: none */
	bool dax_all; /* for the large files of every file system */
	bool strict; /* the guest keeps nothing without asking */
	bool host_locks; /* locks hold on the host */
};

/* A lodge-fsd. */
int fs_backend_create_own(const struct fs_server_rules *rules, struct fs_backend **ret_backend);
/* Ends the process. NULL is fine. */
void fs_backend_destroy(struct fs_backend *backend);

/*
 * A new connection, after the old one was closed: connects, or starts lodge-fsd. -EBUSY: has died
 * too often lately; otherwise the errno of connect(2), fork(2) ...
 * *ret_why then says it in words that follow "the back end". The first call is
 * fs_backend_prepare(), too.
 */
int fs_backend_open(struct fs_backend *backend, int *ret_socket, char ret_why[FS_WHY_MAX]);
/* Makes ready to start a lodge-fsd of ours, and fixes the shares that it begins with: the calling
 * thread must live as long as the device. Errors as fs_backend_open(). */
int fs_backend_prepare(struct fs_backend *backend, char ret_why[FS_WHY_MAX]);
/* Whether it tells what programs of the host change: a lodge-fsd of ours, but the root's. */
bool fs_backend_tells(const struct fs_backend *backend);
/* The socket where the lodge-fsd that was opened last tells it (fs-notify.md), now the caller's;
 * -1: there is none. On the loop. */
int fs_backend_take_notify(struct fs_backend *backend);
/* Ends a process of ours for sure; *ret_text gets how it ended, or "". */
void fs_backend_close(struct fs_backend *backend, unsigned int grace_ms,
		      char ret_text[SPAWN_STATUS_MAX]);
/* Tells a lodge-fsd of ours where the guest has put the window: requests may name addresses there.
 * Others are told nothing: the protocol has no word for it. */
int fs_backend_place_window(struct fs_backend *backend, uint64_t gpa, char ret_why[FS_WHY_MAX]);
/* Whether it is a lodge-fsd of ours: dead once closed. */
bool fs_backend_is_own(const struct fs_backend *backend);
/* The device was reset: death is forgiven. */
void fs_backend_forgive(struct fs_backend *backend);
/* The same, over which the back end was ended: what the guest had of the last one is nothing that
 * the next one should go on with. */
void fs_backend_end_session(struct fs_backend *backend);

/*
 * Takes over @path_fd (O_PATH of a folder), also on failure. -EEXIST, -ENOSPC, -EINVAL for a name
 * that cannot be one, -ENOTDIR, -EACCES, -EREMOTEIO where lodge-fsd refused; *ret_why has the
 * words.
 */
int fs_backend_share_add(struct fs_backend *backend, const struct fs_share_info *info, int path_fd,
			 char ret_why[FS_WHY_MAX]);
/* -ENOENT, -EREMOTEIO. Files of it that are open in the guest become stale. */
int fs_backend_share_remove(struct fs_backend *backend, const char *name, char ret_why[FS_WHY_MAX]);
/* Calls @each for every share, with the lock held. */
void fs_backend_share_each(struct fs_backend *backend,
			   void (*each)(void *opaque, const struct fs_share_info *info),
			   void *opaque);

#endif
