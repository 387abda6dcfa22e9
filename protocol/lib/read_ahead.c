// SPDX-License-Identifier: GPL-2.0-or-later
// Read-ahead of mounted shares, by sysfs.
#include "protocol/lib/read_ahead.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

int read_ahead_set(const char *device, unsigned int kib)
{
	char path[64];
	int fd, err = 0;

	if (strchr(device, '/') || snprintf(path, sizeof(path), "/sys/class/bdi/%s/read_ahead_kb",
					    device) >= (int)sizeof(path))
		return -EINVAL;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || dprintf(fd, "%u", kib) < 0)
		err = errno;
	if (fd >= 0)
		close(fd);
	return -err;
}

int read_ahead_set_at(const char *path, unsigned int kib)
{
	char device[32];
	struct stat st;

	if (stat(path, &st))
		return -errno;
	snprintf(device, sizeof(device), "%u:%u", major(st.st_dev), minor(st.st_dev));
	return read_ahead_set(device, kib);
}
