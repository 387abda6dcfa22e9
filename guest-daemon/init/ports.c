// SPDX-License-Identifier: GPL-2.0-or-later
// Finds virtio ports by name and device nodes by path, waiting for them by the kernel's uevents.
#include "guest-daemon/init/init.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PORTS	       "/sys/class/virtio-ports"
#define APPEAR_MS      10000 /* a device that has not come by then will not */
#define HOST_OPEN_MS   5 /* between looks at a port that nobody has opened yet */
#define KERNEL_UEVENTS 1 /* the netlink group of lib/kobject_uevent.c */

typedef int (*try_fn)(const char *what, int flags);

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int open_uevents(void)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = KERNEL_UEVENTS };
	int fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&address, sizeof(address))) {
		close(fd);
		return -errno;
	}
	return fd;
}

/* Tries, and tries again after each uevent, until @try gives something else than -ENOENT. */
static int wait_for(try_fn try, const char *what, int flags)
{
	int events = open_uevents();
	long deadline = now_ms() + APPEAR_MS;
	char drained[4096];
	int ret;

	for (;;) {
		long left = deadline - now_ms();
		struct pollfd pfd = { events, POLLIN, 0 };

		ret = try(what, flags);
		if (ret != -ENOENT || left <= 0)
			break;
		/* Without uevents (no CONFIG_NET) look now and then. */
		(void)poll(&pfd, 1, events >= 0 ? (int)left : HOST_OPEN_MS);
		while (events >= 0 && recv(events, drained, sizeof(drained), 0) > 0)
			;
	}
	if (events >= 0)
		close(events);
	return ret == -ENOENT ? -ENODEV : ret;
}

static int open_node(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int device_open(const char *path, int flags)
{
	return wait_for(open_node, path, flags);
}

static bool port_is(const char *entry, const char *name)
{
	char path[320], found[128];
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "%s/%s/name", PORTS, entry);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	got = read(fd, found, sizeof(found) - 1);
	close(fd);
	if (got <= 0)
		return false;
	found[got] = '\0';
	found[strcspn(found, "\n")] = '\0';
	return !strcmp(found, name);
}

static int try_port(const char *name, int flags)
{
	DIR *dir = opendir(PORTS);
	struct dirent *entry;
	char path[300];
	int ret = -ENOENT;

	while (dir && ret == -ENOENT && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || !port_is(entry->d_name, name))
			continue;
		snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
		ret = open_node(path, flags);
	}
	if (dir)
		closedir(dir);
	return ret;
}

int port_open(const char *name)
{
	return wait_for(try_port, name, O_RDWR | O_NONBLOCK);
}

bool port_wait_host(int fd, int patience_ms)
{
	const struct timespec pause = { 0, HOST_OPEN_MS * 1000000 };
	long deadline = now_ms() + patience_ms;
	struct pollfd pfd = { fd, 0, 0 };

	/* The driver reports that the other end is away, but does not wake who waits for it. */
	while (poll(&pfd, 1, 0) == 1 && pfd.revents & POLLHUP) {
		if (now_ms() >= deadline)
			return false;
		nanosleep(&pause, NULL);
	}
	return true;
}
