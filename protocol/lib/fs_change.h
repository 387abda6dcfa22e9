/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records of <lodge/fs_notify.h>: the one way to write them and the one check for those that came.
 */
#ifndef LODGE_LIB_FS_CHANGE_H
#define LODGE_LIB_FS_CHANGE_H

#include <stddef.h>
#include <stdint.h>

#include <lodge/fs_notify.h>

/* In the CPU's byte order. Path and name have no NUL behind them. */
struct fs_change {
	uint32_t kinds; /* LODGE_FS_* */
	uint32_t cookie;
	uint64_t folder, folder_ino;
	uint64_t child, child_ino;
	const char *path;
	size_t path_len; /* bytes */
	const char *name;
	size_t name_len; /* bytes */
};

/* Writes the record to @to: its size, or 0 where @room bytes are too few. */
size_t fs_change_put(const struct fs_change *change, void *to, size_t room);

/*
 * The record at *@at of a batch of @len bytes, and *@at behind it; strings point into @batch. 1; 0
 * at the end; -EBADMSG where it breaks a rule of protocol/spec/fs-notify.md.
 */
int fs_change_next(const void *batch, size_t len, size_t *at, struct fs_change *ret_change);
/* Whether all of a batch is good, and not empty. */
int fs_change_check(const void *batch, size_t len);

#endif
