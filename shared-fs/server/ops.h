/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What handlers of several files share: attributes, entries, reopening, ids. */
#ifndef LODGE_FSD_OPS_H
#define LODGE_FSD_OPS_H

#include <string.h>
#include <sys/stat.h>

#include "shared-fs/server/request.h"

#define STATX_WANTED (STATX_BASIC_STATS | STATX_MNT_ID)

/* A descriptor's name below /proc/self/fd, which is also the working folder: a path that leads to
 * the very file of an O_PATH descriptor, for the calls that take none. */
struct fd_name {
	char text[12];
};
struct fd_name fd_name(int fd);

/* Attributes as the guest shall see them. @inode may be the synthetic root, then @stx is NULL. */
void attr_fill(struct fs *fs, const struct inode *inode, const struct statx *stx,
	       struct fuse_attr *attr);
/* The host's ids as the guest sees them. */
uint32_t attr_uid(const struct fs *fs, const struct share *share, uint32_t uid);
uint32_t attr_gid(const struct fs *fs, const struct share *share, uint32_t gid);
/* Permission bits for a new file of @type in the folder of @req, the guest wanting @mode. */
uint32_t attr_new_mode(const struct request *req, uint32_t type, uint32_t mode);
/* How long the guest may take attributes, or with @name where a name leads, for true. */
struct validity {
	uint64_t seconds;
	uint32_t ns;
};
struct validity cache_validity(const struct fs *fs, const struct statx *stx, bool name);
/* How long a name leads to what it led to; @listed: by READDIRPLUS. */
struct validity name_validity(const struct fs *fs, const struct statx *stx, bool listed);
/* The same for attributes alone, of a file that may be mapped into the guest. @stx: NULL: the root.
 */
struct validity attr_validity(struct fs *fs, const struct inode *inode, const struct statx *stx);

/* Looks @name up in @dir; the guest gets one lookup of it and the caller a reference. */
int entry_find(struct fs *fs, struct inode *dir, const char *name, struct inode **ret_inode,
	       struct statx *ret_stx);
/* The same for a descriptor that is just made: @fd stays the caller's. */
int entry_of_fd(struct fs *fs, struct inode *dir, int fd, struct inode **ret_inode,
		struct statx *ret_stx);
void entry_fill(struct fs *fs, const struct inode *inode, const struct statx *stx, bool listed,
		struct fuse_entry_out *entry);
/* entry_find and entry_fill, and the reference is dropped: length of the reply or an error. */
int64_t entry_reply(struct request *req, const char *name);

/* The open file that @fh means, with a reference: one of the guest's, or the inode's own where the
 * guest opens without a message. */
int file_get(const struct request *req, uint64_t fh, bool write, struct handle **ret_handle);
/* Gives what is not beyond the file's end its space on the disk, so that no store can lack it: a
 * fault would stop the guest's processor, not the program that stores. -ENOSPC, -EDQUOT, -EIO. */
int file_fill_holes(int fd, uint64_t offset, uint64_t len);

/* The same for folders. */
int dir_get(const struct request *req, uint64_t fh, struct handle **ret_handle);

/* Opens the regular file (or folder) of an inode anew: a descriptor (charged to the budget) or an
 * error. */
int inode_open(struct fs *fs, const struct inode *inode, uint32_t guest_flags);
/* open(2) flags of the guest as the server uses them. */
int host_open_flags(uint32_t guest_flags);

/*
 * What a file's content was when the guest opened it, as one number, 0 where the time stamps are
 * too young to tell two changes apart. Equal and not 0: the guest's cache of it is good.
 */
uint64_t cache_stamp(const struct inode *inode, const struct stat *st);
/* Compares with the last open and notes the new one: true if the guest may keep its cache. */
bool cache_is_good(struct fs *fs, struct inode *inode, int fd);

/* The guest's ids for the host, by the share's owner mapping. */
uid_t host_uid(const struct fs *fs, const struct share *share, uint32_t uid);
gid_t host_gid(const struct fs *fs, const struct share *share, uint32_t gid);

/* Makes this thread create files as the caller of @req, until caller_leave(). */
struct caller {
	bool uid_changed;
	bool gid_changed;
	bool set_id;
};
int caller_enter(const struct request *req, uint32_t mode, struct caller *ret_caller);
/*
 * The mode with which this thread makes a file, so that @umask of the guest's program counts as it
 * does on a local file system: not in a folder with a default access control list.
 */
uint32_t caller_mode(const struct request *req, uint32_t mode, uint32_t umask);
void caller_leave(const struct fs *fs, const struct caller *caller);
/* CAP_FSETID for this thread: without it the kernel drops privilege bits where POSIX says so, with
 * it chmod(2) may set them. Off but for the one call that needs it. */
void capability_fsetid(const struct fs *fs, bool on);

/* Takes from the file of @fd the privilege bits and capabilities that a write(2) takes. Best
 * effort. */
void privileges_drop(const struct fs *fs, int fd);

/* remote.c: unlinkat(2) of a folder and renameat2(2), which may be on another machine: 0 or a
 * negative errno. Both block for half a second at most where files are left in the folder that goes
 * which the guest is about to forget. */
int remote_rmdir(int dir_fd, const char *name);
int remote_rename(int from_fd, const char *name, int to_fd, const char *new_name, uint32_t flags);
/* On what kind of file system @fd is, which was found in @dir: found->pseudo and found->remote.
 * Only another device than the folder's can be another file system, and its kind has to be asked
 * for. From then on what is asked of @dir may have to wait for another machine, too. */
void remote_find(struct fs *fs, struct inode *dir, int fd, struct found *found);

/* lock.c */
int lock_owner_drop(struct fs *fs, struct inode *inode, uint64_t owner);

#endif
