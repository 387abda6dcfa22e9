/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Descriptors: cleanup by scope, whole reads and writes, Unix sockets and passing of descriptors.
 *
 * All functions return 0 (or a count) or a negative errno. Every descriptor that they make is
 * close-on-exec.
 */
#ifndef LODGE_LIB_FD_H
#define LODGE_LIB_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <unistd.h>

/* The most descriptors that one message may carry: vhost-user's limit
 * (VHOST_MEMORY_BASELINE_NREGIONS). */
#define FD_PASS_MAX 8

static inline void fd_cleanup(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* int fd __attribute__ that closes what it holds at the end of its scope; set it to -1 first. */
#define autofd __attribute__((cleanup(fd_cleanup))) int

static inline int fd_steal(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/* Closes *fd if it is open, and sets it to -1. */
static inline void fd_close(int *fd)
{
	fd_cleanup(fd);
	*fd = -1;
}

/* Reads until @len bytes, the end of the file or an error: the count that was read. */
ssize_t fd_read_all(int fd, void *buffer, size_t len);
/* Writes all or fails. */
int fd_write_all(int fd, const void *buffer, size_t len);

/* A listening (or connected) stream socket at @path. -ENAMETOOLONG where the path does not fit in
 * sun_path. listen replaces a socket that nobody listens on any more; -EADDRINUSE where one does.
 */
int unix_listen(const char *path, int backlog);
int unix_connect(const char *path);
/* As unix_listen(), with mode 0600: for servers that ask each peer unix_peer_is_ours(). */
int unix_listen_ours(const char *path, int backlog);

/*
 * The next client of @listener, close-on-exec and non-blocking. At a limit of descriptors it is
 * turned away with -EMFILE or -ENFILE: left where it is, it would keep the listener ready and its
 * loop awake. That takes a descriptor, kept in *@spare: unix_spare() at first. To be called when
 * the listener is ready.
 */
int unix_accept(int listener, int *spare);
/* -1 where there is none to spare now; unix_accept() tries again. Closed by the caller. */
int unix_spare(int listener);

/* Whether a connected socket's other end was opened by our own user or by root; false where that
 * cannot be told. */
bool unix_peer_is_ours(int socket);

/* Sends all @len bytes (at least one), the descriptors with the first of them. */
int fd_send(int socket, const void *data, size_t len, const int *fds, size_t n_fds);
/*
 * Receives at most @len bytes in one recvmsg(2), 0 meaning that the peer is gone. Descriptors that
 * came with them go to @fds (room for FD_PASS_MAX), their number to *@ret_n_fds; the caller owns
 * them. -EPROTO, with all closed, where there were more.
 */
ssize_t fd_recv(int socket, void *data, size_t len, int fds[FD_PASS_MAX], size_t *ret_n_fds);

#endif
