// SPDX-License-Identifier: GPL-2.0-or-later
// Output that does not block us: by a description of our own where the kernel gives us one.
#include "host-vmm/cli/outlet.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

void outlet_open(int fd, struct outlet *ret_outlet)
{
	char path[64];
	struct stat st;
	int own;

	*ret_outlet = (struct outlet){ fd, OUTLET_CAREFUL };
	if (fstat(fd, &st))
		return;
	if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)) {
		ret_outlet->kind = OUTLET_FILE;
	} else if (S_ISSOCK(st.st_mode)) {
		ret_outlet->kind = OUTLET_SOCKET;
	} else {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		own = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		if (own >= 0)
			*ret_outlet = (struct outlet){ own, OUTLET_OWN };
	}
}

void outlet_close(struct outlet *outlet)
{
	if (outlet->kind == OUTLET_OWN)
		close(outlet->fd);
	outlet->fd = -1;
}

ssize_t outlet_write(const struct outlet *outlet, const void *bytes, size_t len)
{
	ssize_t done;

	/* A pipe that polls writable has room for PIPE_BUF bytes: pipe(7). */
	if (outlet->kind == OUTLET_CAREFUL && len > PIPE_BUF)
		len = PIPE_BUF;
	if (outlet->kind == OUTLET_SOCKET)
		done = send(outlet->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	else
		done = write(outlet->fd, bytes, len);
	if (done < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	return done;
}
