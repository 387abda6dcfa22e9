// SPDX-License-Identifier: GPL-2.0-or-later
// Where the doors with frames are: the module's node, the port by its name, lodged's socket.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <lodge/backdoor.h>

#include "guest-daemon/lib/door_private.h"
#include "guest-daemon/lib/paths.h"
#include "protocol/lib/fd.h"

#define DEV   "/dev/lodge"
#define PORTS "/sys/class/virtio-ports"

static int connect_socket(const char *path)
{
	int fd = unix_connect(path);

	if (fd == -ECONNREFUSED)
		return -ENOENT;
	if (fd >= 0 && fcntl(fd, F_SETFL, O_NONBLOCK)) {
		int error = -errno;

		close(fd);
		return error;
	}
	return fd;
}

static int open_node(const char *path)
{
	int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

	if (fd < 0 && errno == ENXIO)
		return connect_socket(path);
	return fd < 0 ? -errno : fd;
}

int door_open_dev(const char *path)
{
	return open_node(path ? path : DEV);
}

static bool has_name(int ports, const char *entry)
{
	char path[300], found[64];
	autofd fd = -1;
	ssize_t got;

	snprintf(path, sizeof(path), "%s/name", entry);
	fd = openat(ports, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	got = fd_read_all(fd, found, sizeof(found) - 1);
	if (got <= 0)
		return false;
	found[got] = '\0';
	found[strcspn(found, "\n")] = '\0';
	return !strcmp(found, LODGE_BACKDOOR_PORT_NAME);
}

int door_open_port(const char *path)
{
	DIR *dir = path ? NULL : opendir(PORTS);
	struct dirent *entry;
	char node[300];
	int ret = -ENOENT;

	if (path)
		return open_node(path);
	while (dir && ret == -ENOENT && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || !has_name(dirfd(dir), entry->d_name))
			continue;
		snprintf(node, sizeof(node), "/dev/%s", entry->d_name);
		ret = open_node(node);
	}
	if (dir)
		closedir(dir);
	return ret;
}

int door_open_daemon(const char *path)
{
	return connect_socket(path ? path : LODGED_SOCKET);
}
