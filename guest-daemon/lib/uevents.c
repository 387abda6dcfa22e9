// SPDX-License-Identifier: GPL-2.0-or-later
// Events of displays, from the kernel's own multicast group (uevents.h).
#include "guest-daemon/lib/uevents.h"

#include <errno.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>

#include "protocol/lib/fd.h"

/* netlink(7): group 1 has the kernel's own events. */
#define KERNEL_EVENTS 1u

int uevents_open(void)
{
	const struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = KERNEL_EVENTS };
	autofd fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			   NETLINK_KOBJECT_UEVENT);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)))
		return -errno;
	return fd_steal(&fd);
}

bool uevents_take(int fd)
{
	bool ours = false;
	char event[8192];
	ssize_t len;

	/* "ACTION@/devices/...": of cards and their connectors, and of frame buffers. */
	while ((len = recv(fd, event, sizeof(event) - 1, 0)) > 0) {
		event[len] = '\0';
		ours |= strstr(event, "/drm/card") || strstr(event, "/graphics/fb");
	}
	return ours || (len < 0 && errno == ENOBUFS);
}
