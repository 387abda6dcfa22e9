// SPDX-License-Identifier: GPL-2.0-or-later
// Folders that belong to one process at a time: whether a socket answers is too late to tell, since
// of two that start at once neither listens yet.
#include "host-vmm/conf/claim.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdbool.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "protocol/lib/fd.h"

static int open_ours(const char *dir, struct stat *st)
{
	autofd fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || fstat(fd, st))
		return -errno;
	/* In a place such as /tmp another user may have made it. */
	if (st->st_uid != geteuid() || st->st_mode & 022)
		return -EPERM;
	return fd_steal(&fd);
}

static bool is_still(const char *dir, const struct stat *held)
{
	struct stat there;

	return !lstat(dir, &there) && there.st_dev == held->st_dev && there.st_ino == held->st_ino;
}

int claim_left(const char *dir, int *ret_fd)
{
	struct stat held = { 0 };
	autofd fd = open_ours(dir, &held);

	if (fd < 0)
		return fd;
	if (flock(fd, LOCK_EX | LOCK_NB))
		return errno == EWOULDBLOCK ? -EADDRINUSE : -errno;
	/* Who had it removed it just now. */
	if (!is_still(dir, &held))
		return -ESTALE;
	*ret_fd = fd_steal(&fd);
	return 0;
}

int claim_folder(const char *dir, int *ret_fd)
{
	int ret;

	do {
		if (g_mkdir_with_parents(dir, 0700) < 0)
			return -errno;
		ret = claim_left(dir, ret_fd);
	} while (ret == -ENOENT || ret == -ESTALE);
	return ret;
}
