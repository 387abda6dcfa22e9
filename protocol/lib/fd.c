// SPDX-License-Identifier: GPL-2.0-or-later
/* Whole reads and writes, Unix sockets, and descriptors passed over them. */
#include "protocol/lib/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

ssize_t fd_read_all(int fd, void *buffer, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t got = read(fd, (char *)buffer + done, len - done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (!got)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

int fd_write_all(int fd, const void *buffer, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t put = write(fd, (const char *)buffer + done, len - done);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -errno;
		done += (size_t)put;
	}
	return 0;
}

static int fill_address(const char *path, struct sockaddr_un *ret_address)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = strlen(path);

	if (!len)
		return -EINVAL;
	if (len >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, len + 1);
	*ret_address = address;
	return 0;
}

/* A stream socket that is neither bound nor connected, and the address of @path for it. */
static int open_unix(const char *path, struct sockaddr_un *ret_address)
{
	int ret = fill_address(path, ret_address);
	int fd;

	if (ret)
		return ret;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

int unix_connect(const char *path)
{
	struct sockaddr_un address;
	autofd fd = open_unix(path, &address);

	if (fd < 0)
		return fd;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)))
		return -errno;
	return fd_steal(&fd);
}

int unix_listen(const char *path, int backlog)
{
	struct sockaddr_un address;
	autofd fd = open_unix(path, &address);
	autofd probe = -1;
	int ret;

	if (fd < 0)
		return fd;
	if (bind(fd, (struct sockaddr *)&address, sizeof(address))) {
		if (errno != EADDRINUSE)
			return -errno;
		/* A socket that refuses connections is left over from a process that died. */
		probe = unix_connect(path);
		if (probe != -ECONNREFUSED)
			return -EADDRINUSE;
		if (unlink(path) && errno != ENOENT)
			return -errno;
		if (bind(fd, (struct sockaddr *)&address, sizeof(address)))
			return -errno;
	}
	if (listen(fd, backlog)) {
		ret = -errno;
		unlink(path);
		return ret;
	}
	return fd_steal(&fd);
}

int unix_listen_ours(const char *path, int backlog)
{
	autofd fd = unix_listen(path, backlog);
	int ret;

	if (fd < 0)
		return fd;
	/* The peer's credentials decide; the mode only says so to whoever lists the folder. */
	if (chmod(path, 0600)) {
		ret = -errno;
		unlink(path);
		return ret;
	}
	return fd_steal(&fd);
}

int unix_spare(int listener)
{
	return fcntl(listener, F_DUPFD_CLOEXEC, 0);
}

int unix_accept(int listener, int *spare)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int ret = fd < 0 ? -errno : fd;

	if ((ret == -EMFILE || ret == -ENFILE) && *spare >= 0) {
		fd_close(spare);
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		fd_close(&fd);
	}
	if (*spare < 0)
		*spare = unix_spare(listener);
	return ret;
}

bool unix_peer_is_ours(int socket)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &len))
		return false;
	return peer.uid == geteuid() || peer.uid == 0;
}

int fd_send(int socket, const void *data, size_t len, const int *fds, size_t n_fds)
{
	union {
		char bytes[CMSG_SPACE(FD_PASS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { (void *)data, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cmsg;
	ssize_t sent;

	if (!len || n_fds > FD_PASS_MAX)
		return -EINVAL;
	if (n_fds) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, n_fds * sizeof(int));
	}
	while (iov.iov_len) {
		sent = sendmsg(socket, &msg, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return -errno;
		iov.iov_base = (char *)iov.iov_base + sent;
		iov.iov_len -= (size_t)sent;
		msg.msg_control = NULL;
		msg.msg_controllen = 0;
	}
	return 0;
}

static int take_fds(struct msghdr *msg, int fds[FD_PASS_MAX], size_t *ret_n_fds)
{
	struct cmsghdr *cmsg;
	size_t n = 0;
	int ret = msg->msg_flags & MSG_CTRUNC ? -EPROTO : 0;

	for (cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		size_t count;
		int fd;

		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(int));
			if (n < FD_PASS_MAX) {
				fds[n++] = fd;
			} else {
				close(fd);
				ret = -EPROTO;
			}
		}
	}
	if (ret) {
		while (n)
			close(fds[--n]);
	}
	*ret_n_fds = n;
	return ret;
}

ssize_t fd_recv(int socket, void *data, size_t len, int fds[FD_PASS_MAX], size_t *ret_n_fds)
{
	union {
		char bytes[CMSG_SPACE(FD_PASS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { data, len };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.bytes,
			      .msg_controllen = sizeof(control) };
	ssize_t got;
	int ret;

	*ret_n_fds = 0;
	do {
		got = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	ret = take_fds(&msg, fds, ret_n_fds);
	return ret ? ret : got;
}
