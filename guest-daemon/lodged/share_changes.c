// SPDX-License-Identifier: GPL-2.0-or-later
// What the host changed in shares, applied to this guest's caches and inotify watches.
#include "guest-daemon/lodged/share_changes.h"

#include <fcntl.h>
#include <glib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest-daemon/lib/mounts.h"
#include "protocol/lib/fd.h"
#include "protocol/lib/fs_change.h"

#define MOUNTS_MAX  16
#define FORCE_SYNC  0x2000 /* AT_STATX_FORCE_SYNC, Linux 4.11 */
#define NO_FOLLOW   (AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT)
#define NOTHING	    0 /* of statx(2)'s mask: all that FUSE is asked for comes anyway */
#define PATH_LENGTH (LODGE_FS_PATH_MAX + 1 + LODGE_FS_NAME_MAX + 1)

void share_refresh(int root, const char *path)
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

/* @path of @len bytes as it is named below @mount, or NULL where it is elsewhere. */
static const char *below(const struct mount_line *mount, const char *path, size_t *len)
{
	/* Without its slash; "" is all of it. */
	const char *folder = mount->root + 1;
	size_t root = strlen(folder);

	if (!root)
		return path;
	if (*len < root || memcmp(path, folder, root) || (*len > root && path[root] != '/'))
		return NULL;
	*len -= root;
	if (!*len)
		return path + root;
	(*len)--;
	return path + root + 1;
}

static void ask_for(const struct mount_line *mount, int root, const struct fs_change *change)
{
	char path[PATH_LENGTH];
	size_t len = change->path_len;
	const char *folder = below(mount, change->path, &len);

	if (!folder)
		return;
	/* Its list of names. */
	memcpy(path, folder, len);
	path[len] = '\0';
	share_refresh(root, len ? path : ".");
	if (!change->name_len || change->kinds & (LODGE_FS_DELETED | LODGE_FS_MOVED_FROM))
		return;
	if (len)
		path[len++] = '/';
	memcpy(path + len, change->name, change->name_len);
	path[len + change->name_len] = '\0';
	share_refresh(root, path);
}

static void ask_for_all(const struct mount_line *mount, int root, const void *batch, size_t len)
{
	struct fs_change change;
	size_t at = 0;

	while (fs_change_next(batch, len, &at, &change) > 0)
		ask_for(mount, root, &change);
}

static bool raise_events(int root, const void *batch, size_t len, const char *events)
{
	autofd device = open(events, O_WRONLY | O_CLOEXEC);
	__s32 fd = root;

	return device >= 0 && !ioctl(device, LODGE_FS_ATTACH, &fd) &&
	       write(device, batch, len) == (ssize_t)len;
}

struct work {
	const void *batch;
	size_t len;
	const char *events;
	dev_t raised[MOUNTS_MAX]; /* where the module has it already */
	size_t n_raised;
};

static bool is_raised(const struct work *work, dev_t device)
{
	for (size_t i = 0; i < work->n_raised; i++) {
		if (work->raised[i] == device)
			return true;
	}
	return false;
}

static enum share_changes apply_to(struct work *work, const struct mount_line *mount)
{
	autofd root = open(mount->point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (root < 0 || fstat(root, &st))
		return SHARE_CHANGES_NO_MOUNT;
	if (is_raised(work, st.st_dev))
		return SHARE_CHANGES_RAISED;
	if (work->n_raised < MOUNTS_MAX &&
	    raise_events(root, work->batch, work->len, work->events)) {
		work->raised[work->n_raised++] = st.st_dev;
		return SHARE_CHANGES_RAISED;
	}
	ask_for_all(mount, root, work->batch, work->len);
	return SHARE_CHANGES_ASKED;
}

enum share_changes share_changes_apply(const void *batch, size_t len, const char *mountinfo,
				       const char *events)
{
	struct work work = { .batch = batch, .len = len, .events = events };
	enum share_changes done = SHARE_CHANGES_NO_MOUNT;
	g_autofree struct mount_line *mount = g_new(struct mount_line, 1);
	g_autofree char *text = NULL;
	const char *at;

	if (!g_file_get_contents(mountinfo, &text, NULL, NULL))
		return done;
	at = text;
	while (mountinfo_next(&at, mount)) {
		if (mounts_is_share(mount))
			done = MAX(done, apply_to(&work, mount));
	}
	return done;
}
