/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Applies what the host changed in shares (<lodge/fs_notify.h>) to this guest's kernel: through the
 * module lodge_fs where it is there, else by asking for what may be stale in its cache.
 */
#ifndef LODGE_GUEST_SHARE_CHANGES_H
#define LODGE_GUEST_SHARE_CHANGES_H

#include <stddef.h>

enum share_changes {
	SHARE_CHANGES_NO_MOUNT = 1, /* no share is mounted: nothing to do */
	SHARE_CHANGES_ASKED, /* rung 1: caches are fresh, inotify is silent */
	SHARE_CHANGES_RAISED, /* rung 2: the module has raised events */
};

/*
 * A batch that is good (fs_change_check()). @mountinfo: /proc/self/mountinfo; @events:
 * LODGE_FS_EVENTS_PATH. May wait for a file server that does not answer: not for lodged itself.
 */
enum share_changes share_changes_apply(const void *batch, size_t len, const char *mountinfo,
				       const char *events);

/*
 * Makes the kernel ask the host for the attributes of @path below the descriptor @root, and drop
 * what it has of the file or the folder if it is stale. Before Linux 4.11 it asks when the
 * attributes that it has have run out. May wait as the above.
 */
void share_refresh(int root, const char *path);

#endif
