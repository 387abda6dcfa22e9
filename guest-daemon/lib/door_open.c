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
	return open_node(path ? path : LODGE_DEV);
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

/* Runs @fn for the node of each port of our name until it returns other than -ENOENT. */
static int for_each_port(int (*fn)(const char *node))
{
	DIR *dir = opendir(PORTS);
	struct dirent *entry;
	char node[300];
	int ret = -ENOENT;

	while (dir && ret == -ENOENT && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || !has_name(dirfd(dir), entry->d_name))
			continue;
		snprintf(node, sizeof(node), "/dev/%s", entry->d_name);
		ret = fn(node);
	}
	if (dir)
		closedir(dir);
	return ret;
}

static int is_there(const char *node)
{
	return access(node, F_OK) ? -ENOENT : 0;
}

int door_open_port(const char *path)
{
	return path ? open_node(path) : for_each_port(open_node);
}

bool door_dev_present(const char *path)
{
	return !is_there(path ? path : LODGE_DEV);
}

bool door_port_present(const char *path)
{
	return path ? !is_there(path) : !for_each_port(is_there);
}

int door_open_daemon(const char *path)
{
	return connect_socket(path ? path : LODGED_SOCKET);
}
