/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is left of a session when all processes of lodge-fsd have died (keeper.h): a record in a
 * file that the one who starts it holds, and gives to each lodge-fsd in turn.
 *
 * The guest sends FUSE_INIT once. A lodge-fsd that finds in the record that the guest did so goes
 * on with the same bargain, and the mount goes on. Of what the guest knew, the root and the shares'
 * folders have their ids again, so that mounts of those go on, too; every other id gets ESTALE,
 * upon which Linux looks the names up again. So what works by name works on; files that were open,
 * working folders deeper down and locks are lost. Ids of one lodge-fsd are never those of another,
 * by the era in them (slots.h).
 *
 * The record is a lodge-fsd's word, and the one before may have been made to lie: what it says is
 * bounded by what this one would have agreed to.
 */
#ifndef LODGE_FSD_SESSION_H
#define LODGE_FSD_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "shared-fs/server/fs.h"

#define SESSION_MAGIC 0x32736573646f6c66ull /* "flodses2": the layout below */

struct session_record {
	uint64_t magic; /* 0: the first lodge-fsd has not been here */
	uint32_t era; /* of the last lodge-fsd */
	uint32_t begun; /* the guest sent INIT, and neither it nor the device has ended it since */
	uint64_t features; /* INIT flags in force */
	uint32_t minor;
	uint32_t reserved; /* 0 */
	struct {
		uint64_t nodeid; /* 0: none */
		char name[SHARE_NAME_MAX + 1]; /* behind its end zeroes */
	} roots[SHARES_MAX]; /* folders of shares that the guest knows */
};

/* Maps the record in @fd, a memfd of any size. -errno of ftruncate(2) or mmap(2). */
int session_map(int fd, struct session_record **ret_record);
/* At the start, before there are inodes but the root: goes on with the session of the record. */
void session_adopt(struct fs *fs);
/* The id that the folder of share @name had, 0: none. */
uint64_t session_root(const struct fs *fs, const char name[SHARE_NAME_MAX + 1]);
/* With fs->lock: the guest gets to know the folder of a share; it does not know it any more. */
void session_root_made(const struct fs *fs, uint16_t share, uint64_t nodeid);
void session_root_gone(const struct fs *fs, uint16_t share, uint64_t nodeid);
/* At DESTROY and when the device is reset; after INIT's bargain. */
void session_ended(const struct fs *fs);
void session_begun(const struct fs *fs);

#endif
