/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is mounted where, as /proc/self/mountinfo has it (proc(5)), and where the host's shares are
 * among it.
 */
#ifndef LODGE_GUEST_MOUNTS_H
#define LODGE_GUEST_MOUNTS_H

#include <limits.h>
#include <stdbool.h>

/* The virtio-fs device that the host's shares are on, protocol/include/lodge/run_conf.h. */
#define SHARES_TAG "lodge"
/* Where lodged mounts it, unless tools.conf(5) says another place. */
#define SHARES_PLACE "/mnt/lodge"
/* On every file of a share: "ro" or "rw", protocol/spec/fs.md. */
#define SHARES_XATTR "user.lodge.share"

struct mount_line {
	char root[PATH_MAX]; /* the folder of the file system that is seen */
	char point[PATH_MAX];
	char type[64];
	char source[256];
};

/* The next line of @at, which moves behind it; lines that are cut off or have too long words are
 * left out. False at the end. */
bool mounts_next(const char **at, struct mount_line *ret_line);
/* The last one of the shares' device in the text of mountinfo. */
bool mounts_find_shares(const char *text, struct mount_line *ret_line);
/* The one that is on top at @point. */
bool mounts_find_point(const char *text, const char *point, struct mount_line *ret_line);
/* How the shares come by a file system of @type: "virtiofs", "mount.lodge"; NULL: not at all. */
const char *mounts_transport(const char *type);

#endif
