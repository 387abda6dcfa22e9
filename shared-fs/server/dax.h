/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The DAX window: which pieces of files the front end has mapped into the guest's address space for
 * us (FUSE_SETUPMAPPING, virtio 1.2 section 5.11.6.4).
 *
 * Theory of operation. The window is cut into slots of DAX_SLOT_SIZE, each of which holds a piece
 * of one file or nothing. We map nothing: the front end does, asked over a channel of its own
 * (VHOST_USER_BACKEND_SHMEM_MAP), and a guest hears of a mapping after the front end has said that
 * it is there. Unmapping is not waited for: messages are taken in order.
 *
 * Reading by mapping pays for files that are not small: it costs a request for each slot, and one
 * more when the slot is used for something else. So the guest is told for each file whether to
 * (FUSE_ATTR_DAX); a guest that was mounted with dax=always asks for all.
 *
 * Locking: a lock of its own, held over the wait for the front end. Taken before fs->lock, never
 * within.
 */
#ifndef LODGE_FSD_DAX_H
#define LODGE_FSD_DAX_H

#include <stdbool.h>
#include <stdint.h>

#include "shared-fs/server/fs.h"

struct dax;

#define DAX_SLOT_SHIFT                                                            \
	21 /* Linux maps in pieces of 2 MiB (FUSE_DAX_SHIFT of its fs/fuse/dax.c) \
	    */
#define DAX_SLOT_SIZE (1ull << DAX_SLOT_SHIFT)
#define DAX_SIZE_MAX  (64ull << 30)
#define DAX_SHMID     0 /* VIRTIO_FS_SHMCAP_ID_CACHE of <linux/virtio_fs.h> */
/* The smallest file that is read through the window: one that fills a piece. Below, what mapping
 * costs (a request for each piece, one more at its end, a fault of the host's for each page that is
 * no large one) is more than a few READs do. */
#define DAX_FILE_MIN DAX_SLOT_SIZE

/* @size: a multiple of DAX_SLOT_SIZE, at most DAX_SIZE_MAX, else -EINVAL. */
int dax_create(uint64_t size, struct dax **ret_dax);
/* NULL is fine, for these as well. */
void dax_destroy(struct dax *dax);
uint64_t dax_size(const struct dax *dax);

/* Takes @fd, the channel to the front end, in place of an older one. @inherits: the front end keeps
 * what a server before us had mapped, until a new session begins or a share is removed. */
void dax_connect(struct dax *dax, int fd, bool inherits);
void dax_disconnect(struct dax *dax);
/* In a server that came after one that died: the mappings are still there. */
void dax_recover(struct dax *dax);
/* Calls @keep for each descriptor that is needed. */
void dax_each_fd(const struct dax *dax, void (*keep)(void *opaque, int fd), void *opaque);
/* Whether there is a window that can be mapped into. */
bool dax_connected(struct dax *dax);
/* Unmaps everything; or what is of @share. */
void dax_clear(struct dax *dax);
void dax_drop_share(struct dax *dax, uint16_t share);
/* The file's times from now on tell of all that the guest has stored into it through the window, as
 * they would after so many calls of write(2): before it is asked for them or sets them. */
void dax_settle_times(struct dax *dax, const struct inode *inode);

/* Where the guest sees the window; 0: that is not known. */
void dax_place(struct dax *dax, uint64_t addr);
/* Whether all @len bytes at guest address @addr are in the window: *ret_offset within it. */
bool dax_find(struct dax *dax, uint64_t addr, uint64_t len, uint64_t *ret_offset);
/* What the guest reads at @offset of the window, zeroes where no file is; and storing there, which
 * does nothing where no file is mapped for it. */
void dax_read(struct dax *dax, uint64_t offset, void *bytes, size_t len);
void dax_write(struct dax *dax, uint64_t offset, const void *bytes, size_t len);

/* What the guest is to take for the file's block size. Linux writes no mapping back (EIO) where
 * that is not the size of a page. */
uint32_t dax_block_size(const struct fs *fs, const struct statx *stx);

/* FUSE_ATTR_DAX where the guest should map the file, else 0. */
uint32_t dax_attr_flags(const struct fs *fs, const struct share *share, const struct statx *stx);

#endif
