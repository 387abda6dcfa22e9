// SPDX-License-Identifier: GPL-2.0-or-later
// Names that a stranger gives, looked up part by part below a folder, and never through a link.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest-daemon/files/files.h"
#include "protocol/lib/fd.h"

static int step(int folder, const char *part)
{
	int fd = openat(folder, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT && (!mkdirat(folder, part, 0755) || errno == EEXIST))
		fd = openat(folder, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	/* A link gives ELOOP, or ENOTDIR together with O_DIRECTORY. */
	if (errno == ELOOP || errno == ENOTDIR) {
		struct stat st;

		if (!fstatat(folder, part, &st, AT_SYMLINK_NOFOLLOW) && S_ISLNK(st.st_mode))
			return -EPERM;
		return -ENOTDIR;
	}
	return -errno;
}

int below_parent(int root, char *name, const char **ret_last)
{
	autofd folder = fcntl(root, F_DUPFD_CLOEXEC, 0);
	char *part = name, *slash;
	size_t len = strlen(name);

	if (folder < 0)
		return -errno;
	if (name[0] == '/' || !len)
		return -EPERM;
	while (len > 1 && name[len - 1] == '/')
		name[--len] = '\0';
	for (; (slash = strchr(part, '/')); part = slash + 1) {
		int next;

		*slash = '\0';
		if (!strcmp(part, ".."))
			return -EPERM;
		if (!*part || !strcmp(part, "."))
			continue;
		next = step(folder, part);
		if (next < 0)
			return next;
		fd_close(&folder);
		folder = next;
	}
	if (!strcmp(part, ".."))
		return -EPERM;
	*ret_last = part;
	return fd_steal(&folder);
}
