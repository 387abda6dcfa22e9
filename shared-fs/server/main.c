// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lodge-fsd: serves folders of the host to one virtual machine.
 *
 * Start-up, in this order: parse; open sockets and folders while the host's paths are still there;
 * enter the sandbox; make the file system and the back end; serve.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "protocol/lib/fd.h"
#include "protocol/lib/log.h"
#include "shared-fs/server/options.h"
#include "shared-fs/server/vhost.h"

#define FD_RESERVE 128 /* descriptors that the guest cannot make us use up */

struct server {
	struct options options;
	struct fs *fs;
	struct backend *backend;
	int listen_fd; /* -1: one connection was given */
	uint32_t fd_limit;
	int share_fds[SHARES_MAX];
};

/* Descriptors are what a guest's open files and known names cost. */
static uint32_t raise_fd_limit(void)
{
	struct rlimit limit = { .rlim_cur = 1 << 20, .rlim_max = 1 << 20 };

	if (setrlimit(RLIMIT_NOFILE, &limit) && !getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur < 4 * FD_RESERVE)
		return FD_RESERVE;
	return (uint32_t)limit.rlim_cur - FD_RESERVE;
}

static int open_share(const struct share_option *share)
{
	struct stat st;
	int fd = open(share->path, O_PATH | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st)) {
		log_error("cannot share '%s': %s; check the path", share->path, strerror(errno));
		return -1;
	}
	if (!S_ISDIR(st.st_mode)) {
		log_error("cannot share '%s': it is not a folder; share the folder that it is in",
			  share->path);
		close(fd);
		return -1;
	}
	if (faccessat(fd, ".", R_OK | X_OK, AT_EACCESS)) {
		log_error(
			"cannot share '%s': %s; it must be readable (r-x) for the user that runs this",
			share->path, strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}

static int open_shares(struct server *server)
{
	const struct options *options = &server->options;

	for (size_t i = 0; i < options->n_shares; i++) {
		server->share_fds[i] = open_share(&options->shares[i]);
		if (server->share_fds[i] < 0)
			return EX_NOINPUT;
	}
	return 0;
}

static int open_socket(struct server *server)
{
	const struct options *options = &server->options;
	socklen_t len = sizeof(int);
	int listening = 0;

	if (options->socket_path) {
		server->listen_fd = unix_listen(options->socket_path, 1);
		if (server->listen_fd >= 0)
			return 0;
		log_error("cannot listen on '%s': %s%s", options->socket_path,
			  strerror(-server->listen_fd),
			  server->listen_fd == -EADDRINUSE
				  ? "; another server has it, use another path"
				  : "");
		return EX_CANTCREAT;
	}
	if (getsockopt(options->socket_fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len)) {
		log_error("--fd %d is no socket: %s", options->socket_fd, strerror(errno));
		return EX_USAGE;
	}
	fcntl(options->socket_fd, F_SETFD, FD_CLOEXEC);
	server->listen_fd = listening ? options->socket_fd : -1;
	return 0;
}

static int make_fs(struct server *server)
{
	const struct options *options = &server->options;
	struct fs_config config = { .cache = options->cache,
				    .host_locks = options->host_locks,
				    .no_xattr = options->no_xattr,
				    .fd_limit = server->fd_limit };
	int ret;

	ret = fs_create(&config, &server->fs);
	if (!ret)
		ret = backend_create(server->fs, options->tag, &server->backend);
	if (ret) {
		log_error("cannot start: %s", strerror(-ret));
		return EX_OSERR;
	}
	for (size_t i = 0; i < options->n_shares; i++) {
		const struct share_option *share = &options->shares[i];

		ret = fs_share_add(server->fs, share->name, server->share_fds[i], share->read_only,
				   &share->owner, options->export);
		if (ret) {
			log_error("cannot share '%s': %s", share->path, strerror(-ret));
			return EX_OSERR;
		}
	}
	return 0;
}

static bool front_end_ended(struct server *server)
{
	backend_disconnect(server->backend);
	malloc_trim(0);
	return server->listen_fd < 0 || server->options.once;
}

static int serve(struct server *server)
{
	struct backend *backend = server->backend;

	if (server->listen_fd < 0)
		backend_connect(backend, server->options.socket_fd);
	for (;;) {
		bool connected = backend->connection >= 0;
		struct pollfd polled = { .fd = connected ? backend->connection : server->listen_fd,
					 .events = POLLIN };
		int ret;

		if (poll(&polled, 1, -1) < 0) {
			if (errno == EINTR)
				continue;
			log_error("poll: %s", strerror(errno));
			return EX_OSERR;
		}
		if (!connected) {
			int fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC);

			if (fd >= 0)
				backend_connect(backend, fd);
			continue;
		}
		ret = backend_message(backend);
		if (ret >= 0)
			continue;
		if (ret != -ECONNRESET)
			log_error("the front end's connection is given up: %s", strerror(-ret));
		if (front_end_ended(server))
			return ret == -ECONNRESET ? EX_OK : EX_PROTOCOL;
	}
}

int main(int argc, char **argv)
{
	struct server server = { .listen_fd = -1 };
	int status;

	log_init("lodge-fsd", LOG_LEVEL_INFO);
	if (options_parse(&server.options, argc, argv)) {
		options_free(&server.options);
		return EX_USAGE;
	}
	if (server.options.show_help) {
		options_help();
		return EX_OK;
	}
	if (server.options.show_version) {
		puts("lodge-fsd " LODGE_VERSION);
		return EX_OK;
	}
	mallopt(M_ARENA_MAX, 1);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file beyond the limit: EFBIG for the guest */
	umask(0); /* the guest's kernel applied its caller's */
	server.fd_limit = raise_fd_limit();
	status = open_shares(&server);
	if (!status)
		status = open_socket(&server);
	if (!status)
		status = make_fs(&server);
	if (!status)
		status = serve(&server);
	backend_destroy(server.backend);
	fs_destroy(server.fs);
	if (server.options.socket_path && server.listen_fd >= 0)
		unlink(server.options.socket_path);
	options_free(&server.options);
	return status;
}
