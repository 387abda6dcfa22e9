// SPDX-License-Identifier: GPL-2.0-or-later
/* What is otherwise on other machines' file systems. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "shared-fs/server/fs.h"
#include "shared-fs/server/fstype.h"
#include "shared-fs/server/ops.h"

#define LEFT_PREFIX ".nfs" /* of NFS' silly renames: nfs_sillyrename() of fs/nfs/unlink.c */
#define LOOK_MS	    2
#define WAIT_MS	    500

static bool holds_only_left(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	bool only = true;

	if (!stream) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	while (only && (entry = readdir(stream)))
		only = !strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") ||
		       !strncmp(entry->d_name, LEFT_PREFIX, strlen(LEFT_PREFIX));
	closedir(stream);
	return only;
}

/*
 * NFS gives a file that is removed another name while somebody holds it, and we hold what the guest
 * knows: its messages that forget what was in the folder are on their way. What it has open stays.
 * NFS may be mounted below a local share, too; elsewhere no folder holds nothing but such names.
 *
 * Whether to try again what said @ret of the folder @name, after a moment. *end is 0 at first.
 */
static bool wait_for_left(int ret, int dir_fd, const char *name, uint64_t *end)
{
	const struct timespec look = { .tv_nsec = LOOK_MS * 1000000 };

	if ((ret != -ENOTEMPTY && ret != -EEXIST) || (*end && fs_now_ms() >= *end) ||
	    !holds_only_left(dir_fd, name))
		return false;
	*end = *end ? *end : fs_now_ms() + WAIT_MS;
	nanosleep(&look, NULL);
	return true;
}

int remote_rmdir(int dir_fd, const char *name)
{
	uint64_t end = 0;
	int ret;

	do
		ret = unlinkat(dir_fd, name, AT_REMOVEDIR) ? -errno : 0;
	while (wait_for_left(ret, dir_fd, name, &end));
	return ret;
}

int remote_rename(int from_fd, const char *name, int to_fd, const char *new_name, uint32_t flags)
{
	uint64_t end = 0;
	int ret;

	do
		ret = renameat2(from_fd, name, to_fd, new_name, flags) ? -errno : 0;
	while (!(flags & RENAME_NOREPLACE) && wait_for_left(ret, to_fd, new_name, &end));
	return ret;
}

void remote_find(struct fs *fs, struct inode *dir, int fd, struct found *found)
{
	enum fs_kind kind;

	found->remote = dir->remote;
	if (stx_dev(found->stx) == dir->dev)
		return;
	kind = fd_kind(fd);
	found->pseudo = kind == FS_PSEUDO;
	found->remote = kind == FS_REMOTE;
	if (found->remote && !dir->remote) {
		__atomic_store_n(&dir->holds_remote, true, __ATOMIC_RELEASE);
		__atomic_store_n(&fs->has_remote, true, __ATOMIC_RELEASE);
	}
}
