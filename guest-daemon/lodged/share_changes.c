// SPDX-License-Identifier: GPL-2.0-or-later
// What the host changed in shares, applied to this guest's caches and inotify watches.
#include "guest-daemon/lodged/share_changes.h"

#include <fcntl.h>
#include <glib.h>
#include <limits.h>
#include <mntent.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "protocol/lib/fd.h"
#include "protocol/lib/fs_change.h"

#define TAG	    "lodge" /* of the device that has the shares */
#define MOUNTS_MAX  16
#define ROOT_INO    1 /* of the whole: other roots are folders of it, bound elsewhere */
#define FORCE_SYNC  0x2000 /* AT_STATX_FORCE_SYNC, Linux 4.11 */
#define NO_FOLLOW   (AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT)
#define NOTHING	    0 /* of statx(2)'s mask: all that FUSE is asked for comes anyway */
#define PATH_LENGTH (LODGE_FS_PATH_MAX + 1 + LODGE_FS_NAME_MAX + 1)

/* Makes the kernel ask the host for the attributes of @path, and drop pages that are stale. */
static void ask(int root, const char *path)
{
#ifdef SYS_statx
	char attributes[256]; /* struct statx */

	if (!syscall(SYS_statx, root, path, NO_FOLLOW | FORCE_SYNC, NOTHING, attributes))
		return;
#endif
	/* Before Linux 4.11: asks if what is cached has run out. */
	{
		struct stat st;

		(void)!fstatat(root, *path ? path : ".", &st, NO_FOLLOW);
	}
}

static void ask_for(int root, const struct fs_change *change)
{
	char path[PATH_LENGTH];
	size_t len = change->path_len;

	/* Its list of names. */
	memcpy(path, change->path, len);
	path[len] = '\0';
	ask(root, len ? path : ".");
	if (!change->name_len || change->kinds & (LODGE_FS_DELETED | LODGE_FS_MOVED_FROM))
		return;
	if (len)
		path[len++] = '/';
	memcpy(path + len, change->name, change->name_len);
	path[len + change->name_len] = '\0';
	ask(root, path);
}

static void ask_for_all(int root, const void *batch, size_t len)
{
	struct fs_change change;
	size_t at = 0;

	while (fs_change_next(batch, len, &at, &change) > 0)
		ask_for(root, &change);
}

static bool raise_events(int root, const void *batch, size_t len, const char *events)
{
	autofd device = open(events, O_WRONLY | O_CLOEXEC);
	__s32 fd = root;

	return device >= 0 && !ioctl(device, LODGE_FS_ATTACH, &fd) &&
	       write(device, batch, len) == (ssize_t)len;
}

static bool is_shares(const struct mntent *mount)
{
	return !strcmp(mount->mnt_fsname, TAG) &&
	       (!strcmp(mount->mnt_type, "virtiofs") || !strcmp(mount->mnt_type, "fuse.lodge"));
}

/* Notes the device of a mount; false: it is known. */
static bool note(dev_t *devices, size_t *n, dev_t device)
{
	for (size_t i = 0; i < *n; i++) {
		if (devices[i] == device)
			return false;
	}
	if (*n == MOUNTS_MAX)
		return false;
	devices[(*n)++] = device;
	return true;
}

enum share_changes share_changes_apply(const void *batch, size_t len, const char *mounts,
				       const char *events)
{
	enum share_changes done = SHARE_CHANGES_NO_MOUNT;
	FILE *table = setmntent(mounts, "re");
	dev_t raised[MOUNTS_MAX];
	size_t n = 0;
	const struct mntent *mount;

	while (table && (mount = getmntent(table))) {
		autofd root = -1;
		struct stat st;

		if (!is_shares(mount))
			continue;
		root = open(mount->mnt_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (root < 0 || fstat(root, &st) || !note(raised, &n, st.st_dev))
			continue;
		if (raise_events(root, batch, len, events)) {
			done = SHARE_CHANGES_RAISED;
		} else if (st.st_ino == ROOT_INO) {
			ask_for_all(root, batch, len);
			done = MAX(done, SHARE_CHANGES_ASKED);
		} else {
			n--; /* another mount of it may have the root */
		}
	}
	if (table)
		endmntent(table);
	return done;
}
