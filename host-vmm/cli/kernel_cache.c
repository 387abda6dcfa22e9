// SPDX-License-Identifier: GPL-2.0-or-later
// Unpacked kernels in the user's cache.
#include "host-vmm/cli/kernel_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host-vmm/boot/elf.h"
#include "host-vmm/cli/unpack.h"
#include "protocol/lib/fd.h"

#define TEMPORARY ".new-XXXXXX"

/* Nobody else may have written there: what is in it is booted like the image itself. */
static bool is_ours(const struct stat *status)
{
	return status->st_uid == geteuid() && !(status->st_mode & 022);
}

static int open_folder(const char *base)
{
	g_autofree char *path =
		g_build_filename(base ? base : g_get_user_cache_dir(), "lodge", "kernels", NULL);
	struct stat status;
	autofd fd = -1;

	if (g_mkdir_with_parents(path, 0700) < 0)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status) < 0)
		return -errno;
	return is_ours(&status) ? fd_steal(&fd) : -EPERM;
}

static char *name_of(const struct stat *image)
{
	return g_strdup_printf("%llx-%llx-%llx-%llx.%lx-%llx.%lx",
			       (unsigned long long)image->st_dev, (unsigned long long)image->st_ino,
			       (unsigned long long)image->st_size,
			       (unsigned long long)image->st_mtim.tv_sec, image->st_mtim.tv_nsec,
			       (unsigned long long)image->st_ctim.tv_sec, image->st_ctim.tv_nsec);
}

/* Whether it is there, whole, and no one else's; it counts as used then. */
static bool is_there(int folder, const char *name, uint64_t size)
{
	autofd fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat status;
	const char *why;

	if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) || !is_ours(&status) ||
	    (uint64_t)status.st_size != size || elf_check(fd, size, &why) < 0)
		return false;
	(void)futimens(fd, NULL);
	return true;
}

/* Times of change in order, the latest first. */
struct kept {
	char *name;
	struct timespec used;
};

static int by_use(const void *a, const void *b)
{
	const struct timespec *x = &((const struct kept *)a)->used;
	const struct timespec *y = &((const struct kept *)b)->used;

	if (x->tv_sec != y->tv_sec)
		return x->tv_sec < y->tv_sec ? 1 : -1;
	return x->tv_nsec == y->tv_nsec ? 0 : x->tv_nsec < y->tv_nsec ? 1 : -1;
}

/* What was left by somebody who was killed goes the same way. */
static void prune(int folder, const char *path)
{
	g_autoptr(GArray) all = g_array_new(FALSE, FALSE, sizeof(struct kept));
	g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
	struct stat status;
	const char *name;

	while (dir && (name = g_dir_read_name(dir))) {
		struct kept kept = { 0 };

		if (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		kept.name = g_strdup(name);
		kept.used = status.st_mtim;
		g_array_append_val(all, kept);
	}
	g_array_sort(all, by_use);
	for (guint i = 0; i < all->len; i++) {
		struct kept *kept = &g_array_index(all, struct kept, i);

		if (i >= KERNEL_CACHE_MAX)
			(void)unlinkat(folder, kept->name, 0);
		g_free(kept->name);
	}
}

/* Written beside its place, and moved there whole. */
static int make(int folder, const char *path, const char *name, int image)
{
	g_autofree char *temporary = g_build_filename(path, TEMPORARY, NULL);
	autofd fd = mkostemp(temporary, O_CLOEXEC);
	int ret;

	if (fd < 0)
		return -errno;
	ret = unpack_kernel(image, fd);
	if (!ret && fdatasync(fd) < 0)
		ret = -errno;
	if (!ret && renameat(AT_FDCWD, temporary, folder, name) < 0)
		ret = -errno;
	if (ret)
		(void)g_unlink(temporary);
	return ret;
}

char *kernel_cache_find(const char *base, const char *image)
{
	autofd fd = open(image, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	g_autofree char *path = NULL;
	g_autofree char *name = NULL;
	autofd folder = -1;
	struct stat status;
	uint64_t size;

	if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) || unpack_size(fd, &size))
		return NULL;
	folder = open_folder(base);
	if (folder < 0)
		return NULL;
	path = g_build_filename(base ? base : g_get_user_cache_dir(), "lodge", "kernels", NULL);
	name = name_of(&status);
	if (!is_there(folder, name, size)) {
		if (make(folder, path, name, fd) < 0)
			return NULL;
		prune(folder, path);
	}
	return g_build_filename(path, name, NULL);
}
