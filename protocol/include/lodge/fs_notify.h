/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-3-Clause */
/*
 * What the host changed in shared folders: records on their way from lodge-fsd to the guest.
 * protocol/spec/fs-notify.md has the meaning of each field.
 *
 * Compiles in user space and in a kernel module: fixed-width, little-endian, naturally aligned.
 */
#ifndef LODGE_FS_NOTIFY_H
#define LODGE_FS_NOTIFY_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* The command that carries a batch of records to the guest's tools, and a blank. */
#define LODGE_FS_NOTIFY_WORD "lodge.fs.changed"

/* Limits, in bytes. */
#define LODGE_FS_BATCH_MAX (32u << 10) /* records that travel together */
#define LODGE_FS_PATH_MAX  4095u /* Linux' PATH_MAX without its NUL */
#define LODGE_FS_NAME_MAX  255u /* NAME_MAX of the guest's kernel */

/* lodge_fs_change.kinds. At most one of the first four. */
#define LODGE_FS_CREATED    0x0001u /* the name was made */
#define LODGE_FS_DELETED    0x0002u /* the name was removed */
#define LODGE_FS_MOVED_FROM 0x0004u /* the name went elsewhere */
#define LODGE_FS_MOVED_TO   0x0008u /* the name came from elsewhere */
/* Of what the name leads to, after that. */
#define LODGE_FS_MODIFIED 0x0010u /* its data or size */
#define LODGE_FS_ATTRIB	  0x0020u /* mode, owner, times, number of names, extended attributes */
#define LODGE_FS_CLOSED	  0x0040u /* a program that had it open for writing closed it */
/* What the record is about. */
#define LODGE_FS_IS_FOLDER 0x0100u /* the name leads, or led, to a folder */
#define LODGE_FS_SELF	   0x0200u /* the folder itself: there is no name */
#define LODGE_FS_LOST	   0x0400u /* anything in the folder may have changed, there is no name */

#define LODGE_FS_NAME_KINDS \
	(LODGE_FS_CREATED | LODGE_FS_DELETED | LODGE_FS_MOVED_FROM | LODGE_FS_MOVED_TO)
#define LODGE_FS_ALL_KINDS                                                             \
	(LODGE_FS_NAME_KINDS | LODGE_FS_MODIFIED | LODGE_FS_ATTRIB | LODGE_FS_CLOSED | \
	 LODGE_FS_IS_FOLDER | LODGE_FS_SELF | LODGE_FS_LOST)

/* Behind it: the path's bytes, the name's bytes, and zeroes up to a multiple of 8. */
struct lodge_fs_change {
	__le32 size; /* bytes of the record, all included: a multiple of 8 */
	__le32 kinds;
	__le32 cookie; /* MOVED_FROM and MOVED_TO: pairs them, not 0; else 0 */
	__le16 path_len; /* of the folder, from the root of the file system, without a slash at its
			    ends */
	__le16 name_len;
	__le64 folder; /* its nodeid; 0 with LOST: anything in all shares */
	__le64 folder_ino; /* its inode number as the guest sees it */
	__le64 child; /* nodeid of what the name leads to; 0: not known to the guest, or not told */
	__le64 child_ino; /* 0: not told */
};

#define LODGE_FS_CHANGE_SIZE 48u
_Static_assert(sizeof(struct lodge_fs_change) == LODGE_FS_CHANGE_SIZE, "lodge_fs_change");

/* Monitor to lodge-fsd on the same socket: one byte. */
#define LODGE_FS_NOTIFY_OFF 0u /* nobody listens: watch nothing */
#define LODGE_FS_NOTIFY_ON  1u

/*
 * The control device of the module lodge_fs: write() takes a batch, after ATTACH said of which file
 * system.
 */
#define LODGE_FS_EVENTS_PATH "/dev/lodge-fs-events"
/* The argument points to an open descriptor (any) of the mounted file system. */
#define LODGE_FS_ATTACH _IOW('L', 1, __s32)

#endif
