/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is mounted where, as /proc/self/mountinfo has it (proc(5)), and where the host's shares are
 * among it.
 */
#ifndef LODGE_GUEST_MOUNTS_H
#define LODGE_GUEST_MOUNTS_H

#include <stdbool.h>

#include <lodge/run_conf.h>

#include "protocol/lib/mountinfo.h"

/* The virtio-fs device that the host's shares are on. */
#define SHARES_TAG LODGE_RUN_TAG_SHARES
/* Where lodged mounts it, unless tools.conf(5) says another place. */
#define SHARES_PLACE "/mnt/lodge"
/* Where mount.lodge has devices whole, for itself. */
#define SHARES_WHOLE "/run/lodge-fs/"
/* On every file of a share: "ro" or "rw", protocol/spec/fs.md. */
#define SHARES_XATTR "user.lodge.share"

/* Whether it is a mount of the shares, or of a folder of theirs. */
bool mounts_is_share(const struct mount_line *line);
/* The last one of all the shares, where people may look, in the text of mountinfo. */
bool mounts_find_shares(const char *text, struct mount_line *ret_line);
/* The one that is on top at @point. */
bool mounts_find_point(const char *text, const char *point, struct mount_line *ret_line);
/* How shares come by a file system of one type. */
struct share_transport {
	const char *type; /* as mountinfo has it */
	const char *name; /* mount.lodge(8)'s word for it */
	int rung; /* 1: without a module of ours, 2: with one */
	const char *how, *lift; /* for people; what would make it better, or "" */
};
/* NULL: shares do not come by that type. */
const struct share_transport *mounts_transport(const char *type);

#endif
