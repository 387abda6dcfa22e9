// SPDX-License-Identifier: GPL-2.0-or-later
/* Mounts of this machine. */
#include "shared-fs/guest/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "protocol/lib/fd.h"

void mounts_path(const char *tag, char ret_path[MOUNTS_PATH_SIZE])
{
	snprintf(ret_path, MOUNTS_PATH_SIZE, "%s/%s", MOUNTS_FOLDER, tag);
}

int mounts_lock(const char *tag)
{
	char path[MOUNTS_PATH_SIZE];
	int fd;

	mounts_path(tag, path);
	if (mkdir(MOUNTS_FOLDER, 0700) && errno != EEXIST)
		return -errno;
	/* Of a mount whose server has died not even this is told. */
	if (mkdir(path, 0700) && errno != EEXIST && errno != ENOTCONN)
		return -errno;
	fd = open(MOUNTS_FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (flock(fd, LOCK_EX)) {
		if (errno != EINTR) {
			int err = -errno;

			close(fd);
			return err;
		}
	}
	return fd;
}

/* What is at @path is found first, then what else has its device. */
static void scan(FILE *mountinfo, const char *path, bool first, struct mounts_seen *seen)
{
	struct mount_line mount;
	char *line = NULL;
	size_t size = 0;

	rewind(mountinfo);
	while (getline(&line, &size, mountinfo) > 0) {
		const char *at = line;

		/* What is mounted elsewhere, and how, is not ours to mind. */
		if (!mountinfo_next(&at, &mount))
			continue;
		if (first && !strcmp(mount.point, path)) {
			seen->there = true;
			memcpy(seen->device, mount.device, sizeof(seen->device));
			memcpy(seen->type, mount.type, sizeof(seen->type));
		} else if (!first && strcmp(mount.point, path) &&
			   !strcmp(seen->device, mount.device)) {
			seen->others++;
		}
	}
	free(line);
}

void mounts_look(FILE *mountinfo, const char *path, struct mounts_seen *ret_seen)
{
	*ret_seen = (struct mounts_seen){ 0 };
	scan(mountinfo, path, true, ret_seen);
	if (ret_seen->there)
		scan(mountinfo, path, false, ret_seen);
}

/* From the last on: what came later may lie on what was before. */
static void unmount_all(char **points, size_t n)
{
	while (n-- > 0) {
		umount2(points[n], MNT_DETACH);
		free(points[n]);
	}
	free(points);
}

static bool is_by_fuse(const char *type)
{
	return !strncmp(type, "fuse.lodge", strlen("fuse.lodge"));
}

static bool is_dead(const struct mount_line *mount, const char *tag)
{
	struct stat st;

	return !strcmp(mount->source, tag) && is_by_fuse(mount->type) && stat(mount->point, &st) &&
	       errno == ENOTCONN;
}

void mounts_clear(const char *tag, const char *device)
{
	FILE *mountinfo = fopen("/proc/self/mountinfo", "re");
	struct mount_line mount;
	char **points = NULL;
	char *line = NULL;
	size_t size = 0;
	size_t n = 0;

	while (mountinfo && getline(&line, &size, mountinfo) > 0) {
		const char *at = line;
		char **more;

		if (!mountinfo_next(&at, &mount) ||
		    (device ? strcmp(mount.device, device) : !is_dead(&mount, tag)))
			continue;
		more = realloc(points, (n + 1) * sizeof(*points));
		if (!more)
			break;
		points = more;
		points[n] = strdup(mount.point);
		n += points[n] != NULL;
	}
	free(line);
	if (mountinfo)
		fclose(mountinfo);
	unmount_all(points, n);
}

int mounts_now(const char *path, struct mounts_seen *ret_seen)
{
	FILE *mountinfo = fopen("/proc/self/mountinfo", "re");

	if (!mountinfo)
		return -errno;
	mounts_look(mountinfo, path, ret_seen);
	fclose(mountinfo);
	return 0;
}

/* Down to @below, a component at a time: a host's symbolic link leads nowhere in the guest. */
static int open_below(const char *whole, const char *below)
{
	int fd = open(whole, O_PATH | O_DIRECTORY | O_CLOEXEC);
	char name[NAME_MAX + 1];

	while (fd >= 0 && *below) {
		size_t len = strcspn(below, "/");
		int next;

		if (len > NAME_MAX) {
			close(fd);
			return -ENAMETOOLONG;
		}
		memcpy(name, below, len);
		name[len] = 0;
		next = openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0) {
			int err = -errno;

			close(fd);
			return err;
		}
		close(fd);
		fd = next;
		below += len + (below[len] == '/');
	}
	return fd < 0 ? -errno : fd;
}

int mounts_bind(const char *whole, const char *below, const char *folder, unsigned long flags)
{
	autofd fd = open_below(whole, below);
	char path[32];

	if (fd < 0)
		return fd;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (mount(path, folder, NULL, MS_BIND, NULL))
		return -errno;
	if (flags && mount(NULL, folder, NULL, MS_REMOUNT | MS_BIND | flags, NULL)) {
		int err = -errno;

		umount2(folder, MNT_DETACH);
		return err;
	}
	return 0;
}

int mounts_remount(const char *folder, unsigned long flags)
{
	struct mounts_seen seen = { 0 };
	char *path = realpath(folder, NULL);
	int err = path ? mounts_now(path, &seen) : -errno;

	if (!err && (!seen.there || (strcmp(seen.type, "virtiofs") != 0 && !is_by_fuse(seen.type))))
		err = -EINVAL;
	if (!err && mount(NULL, path, NULL, MS_REMOUNT | MS_BIND | flags, NULL))
		err = -errno;
	free(path);
	return err;
}
