/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inodes without a descriptor. A guest may know more files and folders than we may hold open: those
 * that were not used for longest have their descriptor closed, and opened again by folder and name
 * when they are asked for.
 *
 * Theory of operation. Only an inode that no request uses can be evicted, and a folder only after
 * the files that were found in it; its place (folder and name) is found out and checked then, so
 * that lookups pay nothing for it. The place keeps the folder in the table, though perhaps without
 * a descriptor, so that renaming what is above does no harm: then the folder is opened first, and
 * so on up to one that is open. The root of a share always is. Names that the guest itself removes
 * or renames are pinned over that (pin() in entry.c). What a program of the host removes or renames
 * meanwhile is lost to the guest (ESTALE), with all below it that has no descriptor, until it looks
 * the name up anew. What lies too deep for the host's kernel to tell its path (PATH_MAX) stays
 * open. That the file at the place is still the same is told by its file handle, which has a
 * generation, or where there is none by its time of birth.
 *
 * Places lie in memory that outlives the process (shared.h).
 */
#ifndef LODGE_FSD_EVICT_H
#define LODGE_FSD_EVICT_H

#include "shared-fs/server/fs.h"

struct place {
	struct slot slot;
	uint64_t inode_id; /* stored last */
	uint64_t parent_id; /* counted in its n_places */
	uint64_t identity;
	char name[];
};

int places_init(struct fs *fs);
void places_fini(struct fs *fs);

/* What tells the file of @fd from one that gets its number later; 0: nothing does. */
uint64_t file_identity(int fd);
/* Closes some descriptors of inodes, or files of them (data.c). False where none can be. */
bool inodes_make_room(struct fs *fs);
/* Opens the descriptor of a referenced inode again. -ESTALE, -ENFILE, or the errno of openat(2). */
int inode_revive(struct fs *fs, struct inode *inode);
/* With fs->lock: a file has got a descriptor. Folders are not counted. */
void count_open_locked(struct fs *fs, const struct inode *inode);
/* It is losing it. Its folder, to be put without the lock, where the guest has forgotten that; else
 * NULL. */
struct inode *count_closed_locked(struct fs *fs, const struct inode *inode);
/* With fs->lock: frees the place; the folder, to be put without the lock, or NULL. */
struct inode *place_drop_locked(struct fs *fs, struct inode *inode);
/* See fs_recover(). */
void places_recover(struct fs *fs);

#endif
