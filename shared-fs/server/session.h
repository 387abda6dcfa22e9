/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is left of a session when all processes of lodge-fsd have died (keeper.h): a record in a
 * file that the one who starts it holds, and gives to each lodge-fsd in turn.
 *
 * The guest sends FUSE_INIT once. A lodge-fsd that finds in the record that the guest did so goes
 * on with the same bargain, and the mount goes on. It knows nothing of what the guest knew: the
 * root's id is valid and every other one gets ESTALE, upon which Linux looks the names up again. So
 * what works by name works on; files that were open, working folders and locks are lost. Ids of one
 * lodge-fsd are never those of another, by the era in them (slots.h).
 *
 * The record is a lodge-fsd's word, and the one before may have been made to lie: what it says is
 * bounded by what this one would have agreed to.
 */
#ifndef LODGE_FSD_SESSION_H
#define LODGE_FSD_SESSION_H

#include <stdbool.h>
#include <stdint.h>

struct fs;

#define SESSION_MAGIC 0x31736573646f6c66ull /* "flodses1": the layout below */

struct session_record {
	uint64_t magic; /* 0: the first lodge-fsd has not been here */
	uint32_t era; /* of the last lodge-fsd */
	uint32_t begun; /* the guest sent INIT, and neither it nor the device has ended it since */
	uint64_t features; /* INIT flags in force */
	uint32_t minor;
	uint32_t reserved; /* 0 */
};

/* Maps the record in @fd, a memfd of any size. -errno of ftruncate(2) or mmap(2). */
int session_map(int fd, struct session_record **ret_record);
/* At the start, before there are inodes but the root: goes on with the session of the record. */
void session_adopt(struct fs *fs);
/* At DESTROY and when the device is reset; after INIT's bargain. */
void session_ended(const struct fs *fs);
void session_begun(const struct fs *fs);

#endif
