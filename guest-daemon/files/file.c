// SPDX-License-Identifier: GPL-2.0-or-later
// Single files: out, and in by a file that nobody sees before it is whole.
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest-daemon/files/files.h"
#include "protocol/lib/fd.h"

#define CHUNK 65536

/* Of C libraries before Linux 3.11's: include/uapi/asm-generic/fcntl.h. */
#ifndef O_TMPFILE
#define O_TMPFILE (020000000 | O_DIRECTORY)
#endif

static int copy_out(int file, int out)
{
	char bytes[CHUNK];
	ssize_t got;
	int ret = 0;

	while (!ret && (got = fd_read_all(file, bytes, sizeof(bytes))) != 0)
		ret = got < 0 ? (int)got : fd_write_all(out, bytes, (size_t)got);
	return ret;
}

static int copy_in(struct input *input, int file)
{
	char bytes[CHUNK];
	ssize_t got;
	int ret = 0;

	while (!ret && (got = input_read(input, bytes, sizeof(bytes))) != 0)
		ret = got < 0 ? (int)got : fd_write_all(file, bytes, (size_t)got);
	return ret;
}

int file_get(const char *path, int out, struct report *report)
{
	/* Neither a FIFO nor a device may hold us up before we have looked at it. */
	autofd fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;
	int ret;

	if (fd < 0 || fstat(fd, &st))
		return failed(report, path);
	errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
	if (!S_ISREG(st.st_mode))
		return failed(report, path);
	ret = copy_out(fd, out);
	if (!ret)
		return 0;
	errno = -ret;
	return failed(report, path);
}

/* A file without a name in @folder; where the file system has no such thing, *ret_name is its name
 * (free()). */
static int open_temporary(int folder, char **ret_name)
{
	int fd = openat(folder, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);

	*ret_name = NULL;
	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
		return fd < 0 ? -errno : fd;
	if (asprintf(ret_name, ".lodge-put-%d", (int)getpid()) < 0)
		return -ENOMEM;
	fd = openat(folder, *ret_name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		int error = -errno;

		free(*ret_name);
		*ret_name = NULL;
		return error;
	}
	return fd;
}

/* The name that the file has then, in *name. */
static int give_name(int folder, int fd, char **name)
{
	char self[64];

	if (*name)
		return 0;
	if (asprintf(name, ".lodge-put-%d", (int)getpid()) < 0)
		return -ENOMEM;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, self, folder, *name, AT_SYMLINK_FOLLOW) ? -errno : 0;
}

/* What the file that is there keeps: its permissions, and its owner where we may give it that. */
static int set_attributes(int folder, const char *last, int fd, const struct put_options *options)
{
	const struct timespec times[2] = { { 0, UTIME_OMIT }, options->mtime };
	mode_t mode = options->mode;
	struct stat st;

	if (!fstatat(folder, last, &st, AT_SYMLINK_NOFOLLOW)) {
		if (S_ISDIR(st.st_mode))
			return -EISDIR;
		if (!S_ISREG(st.st_mode))
			return -EINVAL;
		mode = st.st_mode & 07777;
		/* Others' set-user-ID would become ours. */
		if (fchown(fd, st.st_uid, st.st_gid))
			mode &= 01777;
	}
	if (fchmod(fd, mode))
		return -errno;
	if (options->has_mtime && futimens(fd, times))
		return -errno;
	return fsync(fd) && errno != EINVAL ? -errno : 0;
}

static int receive(int folder, const char *last, const struct put_options *options,
		   struct input *input)
{
	char *name = NULL;
	autofd fd = open_temporary(folder, &name);
	int ret = fd < 0 ? fd : copy_in(input, fd);

	if (!ret)
		ret = set_attributes(folder, last, fd, options);
	if (!ret)
		ret = give_name(folder, fd, &name);
	if (!ret && renameat(folder, name, folder, last))
		ret = -errno;
	if (ret && name)
		(void)unlinkat(folder, name, 0);
	free(name);
	return ret;
}

int file_put(const char *path, const struct put_options *options, int in, struct report *report)
{
	char resolved[PATH_MAX], copy_of_path[PATH_MAX], *last;
	struct input input;
	autofd folder = -1;
	int ret;

	/* A link is written through, as cp(1) does it. */
	if (!realpath(path, resolved)) {
		if (errno != ENOENT || strlen(path) >= sizeof(resolved))
			return failed(report, path);
		strcpy(resolved, path);
	}
	strcpy(copy_of_path, resolved);
	folder = open(dirname(copy_of_path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return failed(report, path);
	last = strrchr(resolved, '/') + 1;
	if (!*last || !strcmp(last, ".") || !strcmp(last, "..")) {
		errno = EISDIR;
		return failed(report, path);
	}
	ret = input_open(&input, in);
	if (!ret)
		ret = receive(folder, last, options, &input);
	input_close(&input);
	if (!ret)
		return 0;
	errno = -ret;
	return failed(report, path);
}
