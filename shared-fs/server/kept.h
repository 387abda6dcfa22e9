/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owners, modes and device nodes of exact shares that the host cannot apply.
 *
 * A server that runs as an ordinary user can neither give files away nor make devices, and must not
 * make set-user-id programs of its own user at a guest's wish. On an exact share it keeps such
 * things in one attribute of the file (lodge/fs_xattr.h) and shows them again. The host's file
 * belongs to the server's user, who can always read and write it; its other permission bits follow
 * the guest's. A device, fifo or socket is an empty file of the host. Symbolic links have no
 * attributes: they are their maker's, whatever the guest says.
 *
 * What an attribute says is not trusted: any program of the host can write it. Wholly sound, or as
 * if it were not there.
 *
 * Locking: none. Two changes of one file at once may lose one of them; a guest's kernel makes one
 * after the other.
 */
#ifndef LODGE_FSD_KEPT_H
#define LODGE_FSD_KEPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "shared-fs/server/request.h"

/* What the guest sees of a file. */
struct kept {
	uint32_t uid, gid;
	uint32_t mode; /* with its type */
	uint32_t rdev_major, rdev_minor;
};

/* Whether the share keeps attributes; never for the synthetic root. */
bool kept_active(const struct fs *fs, const struct share *share);

/*
 * Reads an attribute of @len bytes over *@kept, which holds what the host says. False where it is
 * not sound; then nothing is changed.
 */
bool kept_parse(const void *bytes, size_t len, struct kept *kept);

/* The file of @fd (O_PATH) as the guest sees it, the host's word being in *@kept. */
void kept_show(int fd, struct kept *kept);

/* Fills *@ret_kept with the host's word. @mode, @uid, @gid as statx(2) tells, ids as shown. */
struct kept kept_of(const struct fs *fs, const struct share *share, const struct statx *stx);

/* Of a file of @type that shall have @mode, what the host's has: never a privilege, and always ours
 * to use. */
uint32_t kept_host_mode(uint32_t type, uint32_t mode);

/*
 * Makes the file of @fd (O_PATH) look as @wanted: the host's permission bits, and the attribute for
 * what they cannot say. Of a symbolic link nothing is changed.
 */
/* -EPERM where the host's file system has no attributes. */
int kept_set(const struct request *req, int fd, const struct kept *wanted);

/* For the new file of @fd in the folder of @req: the caller's, and as @mode says. @rdev: FUSE's. */
int kept_made(const struct request *req, int fd, uint32_t mode, uint32_t rdev);
/* The same, by its name. */
int kept_made_name(const struct request *req, const char *name, uint32_t mode, uint32_t rdev);

/* The kept part of SETATTR: FATTR_UID, FATTR_GID, FATTR_MODE and the bits that fall with them. */
int kept_setattr(const struct request *req, const struct fuse_setattr_in *body);

/* The file was written to by somebody who may not leave it privileged. */
void kept_drop_privileges(const struct request *req);

#endif
