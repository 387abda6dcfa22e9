// SPDX-License-Identifier: GPL-2.0-or-later
/* Records of what the host changed in shared folders. */
#include "protocol/lib/fs_change.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

size_t fs_change_put(const struct fs_change *change, void *to, size_t room)
{
	size_t used = LODGE_FS_CHANGE_SIZE + change->path_len + change->name_len;
	size_t size = (used + 7) & ~(size_t)7;
	const struct lodge_fs_change head = {
		.size = htole32((uint32_t)size),
		.kinds = htole32(change->kinds),
		.cookie = htole32(change->cookie),
		.path_len = htole16((uint16_t)change->path_len),
		.name_len = htole16((uint16_t)change->name_len),
		.folder = htole64(change->folder),
		.folder_ino = htole64(change->folder_ino),
		.child = htole64(change->child),
		.child_ino = htole64(change->child_ino),
	};
	char *bytes = to;

	if (size > room)
		return 0;
	memcpy(bytes, &head, sizeof(head));
	bytes += sizeof(head);
	if (change->path_len)
		memcpy(bytes, change->path, change->path_len);
	bytes += change->path_len;
	if (change->name_len)
		memcpy(bytes, change->name, change->name_len);
	memset(bytes + change->name_len, 0, size - used);
	return size;
}

/* One component of a path. */
static bool good_name(const char *name, size_t len)
{
	return len && len <= LODGE_FS_NAME_MAX && !memchr(name, 0, len) &&
	       !memchr(name, '/', len) && !(len == 1 && *name == '.') &&
	       !(len == 2 && !memcmp(name, "..", 2));
}

static bool good_path(const char *path, size_t len)
{
	const char *end = path + len;

	if (!len)
		return true;
	if (len > LODGE_FS_PATH_MAX)
		return false;
	for (;;) {
		const char *slash = memchr(path, '/', (size_t)(end - path));

		if (!good_name(path, (size_t)((slash ? slash : end) - path)))
			return false;
		if (!slash)
			return true;
		path = slash + 1;
	}
}

static bool good_kinds(const struct fs_change *change)
{
	uint32_t kinds = change->kinds;
	uint32_t name_kinds = kinds & LODGE_FS_NAME_KINDS;
	bool moved = kinds & (LODGE_FS_MOVED_FROM | LODGE_FS_MOVED_TO);

	if (kinds & ~LODGE_FS_ALL_KINDS || name_kinds & (name_kinds - 1) ||
	    moved != (change->cookie != 0))
		return false;
	if (kinds & LODGE_FS_LOST)
		return !(kinds & ~(LODGE_FS_LOST | LODGE_FS_IS_FOLDER)) && !change->name_len &&
		       (change->folder || !change->path_len);
	if (!change->folder)
		return false;
	if (kinds & LODGE_FS_SELF)
		return !name_kinds && !change->name_len;
	return kinds & ~LODGE_FS_IS_FOLDER && change->name_len;
}

static bool all_zero(const char *bytes, size_t len)
{
	while (len--) {
		if (*bytes++)
			return false;
	}
	return true;
}

int fs_change_next(const void *batch, size_t len, size_t *at, struct fs_change *ret_change)
{
	const char *bytes = (const char *)batch + *at;
	struct lodge_fs_change head;
	struct fs_change change;
	size_t left = len - *at;
	size_t size, used;

	if (!left)
		return 0;
	if (left < sizeof(head))
		return -EBADMSG;
	memcpy(&head, bytes, sizeof(head));
	size = le32toh(head.size);
	change = (struct fs_change){
		.kinds = le32toh(head.kinds),
		.cookie = le32toh(head.cookie),
		.folder = le64toh(head.folder),
		.folder_ino = le64toh(head.folder_ino),
		.child = le64toh(head.child),
		.child_ino = le64toh(head.child_ino),
		.path_len = le16toh(head.path_len),
		.name_len = le16toh(head.name_len),
	};
	used = sizeof(head) + change.path_len + change.name_len;
	if (size > left || size != ((used + 7) & ~(size_t)7))
		return -EBADMSG;
	change.path = bytes + sizeof(head);
	change.name = change.path + change.path_len;
	if (!good_kinds(&change) || !good_path(change.path, change.path_len) ||
	    (change.name_len && !good_name(change.name, change.name_len)) ||
	    !all_zero(bytes + used, size - used))
		return -EBADMSG;
	*at += size;
	*ret_change = change;
	return 1;
}

int fs_change_check(const void *batch, size_t len)
{
	struct fs_change change;
	size_t at = 0;
	int ret;

	if (!len || len > LODGE_FS_BATCH_MAX)
		return -EBADMSG;
	do {
		ret = fs_change_next(batch, len, &at, &change);
	} while (ret > 0);
	return ret;
}
