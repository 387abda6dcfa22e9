/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-3-Clause */
/*
 * Attributes of the host's files that are Lodge's own: protocol/spec/fs.md, "Owners".
 */
#ifndef LODGE_FS_XATTR_H
#define LODGE_FS_XATTR_H

#include <linux/types.h>

/* What begins so is not the guest's to see or to set. */
#define LODGE_XATTR_PREFIX "user.lodge."

/* What the guest has set and the host could not apply: struct lodge_xattr_kept. */
#define LODGE_XATTR_KEPT "user.lodge.kept"

/* For the guest, on every file of a share, and on none of the host's: "ro" or "rw". */
#define LODGE_XATTR_SHARE "user.lodge.share"

#define LODGE_XATTR_KEPT_MAGIC 0x4b444c01u /* 01 'L' 'D' 'K' */

/* Fields that count. */
#define LODGE_XATTR_KEPT_UID  0x1u
#define LODGE_XATTR_KEPT_GID  0x2u
#define LODGE_XATTR_KEPT_MODE 0x4u /* with the type: an empty file of the host may be a device */

struct lodge_xattr_kept {
	__le32 magic;
	__le32 valid;
	__le32 uid; /* 0 where it does not count, so the others */
	__le32 gid;
	__le32 mode; /* as stat(2) has it */
	__le32 rdev_major; /* at most 12 bits; of devices, else 0 */
	__le32 rdev_minor; /* at most 20 bits */
	__le32 reserved; /* 0 */
};
_Static_assert(sizeof(struct lodge_xattr_kept) == 32, "lodge_xattr_kept");

#endif
