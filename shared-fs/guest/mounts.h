/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mounts of this machine: what /proc/self/mountinfo says, the folder where a device is mounted
 * whole, and binding what is below it.
 */
#ifndef LODGE_MOUNT_MOUNTS_H
#define LODGE_MOUNT_MOUNTS_H

#include <stdbool.h>
#include <stdio.h>

#include "protocol/lib/mountinfo.h"

/* Where devices are mounted whole, each at FOLDER/TAG; only root may look into it. Not below
 * /run/lodge: that is lodged.service's, and systemd removes it with what is in it when the service
 * ends; old ones (219) are not known to stop at a mount. */
#define MOUNTS_FOLDER	 "/run/lodge-fs"
#define MOUNTS_PATH_SIZE (sizeof(MOUNTS_FOLDER) + 1 + 37)

void mounts_path(const char *tag, char ret_path[MOUNTS_PATH_SIZE]);
/* Makes MOUNTS_FOLDER/TAG and takes the lock that whoever mounts or unmounts there holds: a
 * descriptor to close, or a negative errno. */
int mounts_lock(const char *tag);

/* What a mountinfo (proc(5)) says of the device that is mounted at @path. */
struct mounts_seen {
	bool there; /* at @path, the last one there */
	unsigned int others; /* elsewhere, the same device */
	char device[sizeof(((struct mount_line *)0)->device)]; /* MAJOR:MINOR */
	char type[sizeof(((struct mount_line *)0)->type)]; /* of its file system */
};
void mounts_look(FILE *mountinfo, const char *path, struct mounts_seen *ret_seen);
/* The same of this process' mounts: 0, or what keeps them from being read, a negative errno. */
int mounts_now(const char *path, struct mounts_seen *ret_seen);

/* Unmounts everything of the device MAJOR:MINOR, whatever @tag is; @device NULL: of all FUSE mounts
 * of
 * @tag whose server is dead. Who uses them gets ENOTCONN. */
void mounts_clear(const char *tag, const char *device);

/* Changes the MS_ flags of what is mounted at @folder, and of nothing else of the device. -EINVAL:
 * it is no mount of shares. */
int mounts_remount(const char *folder, unsigned long flags);

/* Binds @below (as options_path() makes it) of the mount @whole to @folder, with MS_ @flags. No
 * link is followed below
 * @whole. */
int mounts_bind(const char *whole, const char *below, const char *folder, unsigned long flags);

#endif
