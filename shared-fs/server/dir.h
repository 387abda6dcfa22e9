/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Insides of the file system that several of its files share. */
#ifndef LODGE_FSD_DIR_H
#define LODGE_FSD_DIR_H

#include "shared-fs/server/fs.h"

/* For fs_reset() alone. */
void handles_reset(struct fs *fs);
void inodes_reset(struct fs *fs);
void interrupts_reset(struct fs *fs);

/* For fs_share_remove(), in this order: a file that is open has a reference to its inode. */
void handles_drop_share(struct fs *fs, uint16_t share);
void inodes_drop_share(struct fs *fs, uint16_t share);

/* Entries read ahead for an open folder. NULL is fine. */
void dir_stream_free(struct fs *fs, struct dir_stream *stream);

#endif
