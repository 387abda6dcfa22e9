// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lodge-fsd: serves folders of the host to one virtual machine.
 *
 * Start-up, in this order: parse; enter the namespaces; open sockets and folders; make the file
 * system and the back end, still empty; leave the host's paths. From here on this process is the
 * guard (keeper.h), and what follows happens in each server: close the sandbox, go on with what the
 * last server left, serve.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "protocol/lib/fd.h"
#include "protocol/lib/folder.h"
#include "protocol/lib/log.h"
#include "shared-fs/server/control.h"
#include "shared-fs/server/keeper.h"
#include "shared-fs/server/options.h"
#include "shared-fs/server/sandbox.h"
#include "shared-fs/server/session.h"
#include "shared-fs/server/vhost.h"
#include "shared-fs/server/watch.h"

#define SWEEP_MS   1000
#define FD_RESERVE 128 /* descriptors that the guest cannot make us use up */

struct server {
	struct options options;
	struct sandbox sandbox;
	struct keeper keeper;
	struct control control;
	struct fs *fs;
	struct backend *backend;
	int listen_fd; /* -1: one connection was given */
	int control_listen_fd; /* -1 */
	int wake_fd; /* eventfd: files are open that want to be closed some day */
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

static void say_why_not(const struct folder *folder)
{
	if (folder->error == -ENOTDIR)
		log_error("cannot share '%s': it is not a folder; share the folder that it is in",
			  folder->path);
	else if (folder->error == -ETIMEDOUT)
		log_error("cannot share '%s': the machine that it is on does not answer; try again "
			  "when it does",
			  folder->path);
	else
		log_error("cannot share '%s': %s; check the path", folder->path,
			  strerror(-folder->error));
}

/* Whoever commands us has seen a share at an earlier start: it is gone since, which must not take
 * the others away. */
static bool may_drop_share(const struct options *options)
{
	return options->control_fd >= 0 && !options->export;
}

static void drop_share(struct server *server, size_t i)
{
	struct options *options = &server->options;
	size_t behind = --options->n_shares - i;

	free(options->shares[i].path);
	memmove(&options->shares[i], &options->shares[i + 1], behind * sizeof(options->shares[0]));
	memmove(&server->share_fds[i], &server->share_fds[i + 1],
		behind * sizeof(server->share_fds[0]));
}

/* Those on silent machines must not keep the others waiting, nor each other. */
static struct folder *open_folders(const struct options *options)
{
	size_t n = options->n_shares;
	struct folder *folders = calloc(n ? n : 1, sizeof(*folders));

	if (!folders) {
		log_error("cannot open the shares: %s", strerror(ENOMEM));
		return NULL;
	}
	for (size_t i = 0; i < n; i++)
		folder_init(&folders[i], options->shares[i].path);
	folders_open(folders, n);
	return folders;
}

static int open_shares(struct server *server)
{
	const struct options *options = &server->options;
	struct folder *folders = open_folders(options);
	size_t n = options->n_shares, at = 0;
	int status = folders ? 0 : EX_OSERR;

	for (size_t i = 0; !status && i < n; i++) {
		server->share_fds[at] = folders[i].fd;
		if (folders[i].fd >= 0) {
			at++;
			continue;
		}
		say_why_not(&folders[i]);
		if (may_drop_share(options))
			drop_share(server, at);
		else
			status = EX_NOINPUT;
	}
	free(folders);
	return status;
}

static int listen_on(const char *path, int *ret_fd)
{
	int fd = unix_listen(path, 1);

	if (fd < 0) {
		log_error("cannot listen on '%s': %s%s", path, strerror(-fd),
			  fd == -EADDRINUSE ? "; another server has it, use another path" : "");
		return EX_CANTCREAT;
	}
	*ret_fd = fd;
	return 0;
}

static int check_given_socket(const char *option, int fd, int *ret_listening)
{
	socklen_t len = sizeof(*ret_listening);

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, ret_listening, &len)) {
		log_error("--%s %d is no socket: %s", option, fd, strerror(errno));
		return EX_USAGE;
	}
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	return 0;
}

static int open_sockets(struct server *server)
{
	const struct options *options = &server->options;
	int listening;
	int status;

	if (options->socket_path) {
		status = listen_on(options->socket_path, &server->listen_fd);
	} else {
		status = check_given_socket("fd", options->socket_fd, &listening);
		server->listen_fd = !status && listening ? options->socket_fd : -1;
	}
	if (!status && options->control_path)
		status = listen_on(options->control_path, &server->control_listen_fd);
	if (!status && options->control_fd >= 0)
		status = check_given_socket("control-fd", options->control_fd, &listening);
	if (!status && options->notify_fd >= 0)
		status = check_given_socket("notify-fd", options->notify_fd, &listening);
	return status;
}

/* Without it everything works, but for the next lodge-fsd's going on. */
static void take_session(int fd, struct fs_config *config)
{
	int ret = fd < 0 ? 0 : session_map(fd, &config->session);

	if (ret)
		log_warn("--session-fd %d is of no use: %s", fd, strerror(-ret));
	if (fd >= 0)
		close(fd);
}

static int make_fs(struct server *server)
{
	const struct options *options = &server->options;
	struct fs_config config = { .cache = options->cache,
				    .host_locks = options->host_locks,
				    .no_xattr = options->no_xattr,
				    .dax_size = options->dax_size,
				    .dax_auto = options->dax_auto,
				    .user_namespace = server->sandbox.user_namespace,
				    .fd_limit = server->fd_limit };
	int ret;

	server->keeper.pid_namespace = server->sandbox.mode == SANDBOX_NAMESPACE;
	take_session(options->session_fd, &config);
	ret = fs_create(&config, &server->fs);
	if (!ret)
		ret = backend_create(server->fs, options->tag, &server->backend);
	if (ret) {
		log_error("cannot start: %s", strerror(-ret));
		return EX_OSERR;
	}
	if (server->fs->started)
		log_warn("the guest's session goes on, without the files and locks that it had");
	server->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	server->fs->data_wake = server->wake_fd;
	control_init(&server->control, server->fs, server->control_listen_fd, options->control_fd);
	return 0;
}

static int add_shares(struct server *server)
{
	const struct options *options = &server->options;
	size_t i = 0;

	while (i < options->n_shares) {
		const struct share_option *share = &options->shares[i];
		int ret = fs_share_add(server->fs, share->name, server->share_fds[i],
				       share->read_only, &share->owner, options->export);

		if (!ret) {
			i++;
			continue;
		}
		log_error("cannot share '%s': %s%s", share->path, strerror(-ret),
			  ret == -EACCES ? "; it must be readable (r-x) for the user that runs this"
					 : "");
		if (!may_drop_share(options))
			return ret == -EACCES ? EX_NOINPUT : EX_OSERR;
		drop_share(server, i);
	}
	return 0;
}

static bool front_end_ended(struct server *server)
{
	backend_disconnect(server->backend);
	malloc_trim(0);
	return server->listen_fd < 0 || server->options.once;
}

/* One message, or one connection. The exit status, -1 to go on. */
static int serve_front_end(struct server *server)
{
	struct backend *backend = server->backend;
	int ret;

	if (backend->connection < 0) {
		int fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC);

		if (fd >= 0)
			backend_connect(backend, fd);
		return -1;
	}
	ret = backend_message(backend);
	if (ret >= 0)
		return -1;
	if (ret != -ECONNRESET)
		log_ratelimited(&backend->bad_messages, LOG_LEVEL_ERROR,
				"the front end's connection is given up: %s", strerror(-ret));
	if (!front_end_ended(server))
		return -1;
	return ret == -ECONNRESET ? EX_OK : EX_PROTOCOL;
}

static int serve(struct server *server, bool sweeping)
{
	uint64_t count;
	int status = -1;

	while (status < 0) {
		bool connected = server->backend->connection >= 0;
		struct pollfd polled[] = {
			{ .fd = connected ? server->backend->connection : server->listen_fd,
			  .events = POLLIN },
			{ .fd = control_fd(&server->control), .events = POLLIN },
			{ .fd = sweeping ? -1 : server->wake_fd, .events = POLLIN },
		};
		int n = poll(polled, 3, sweeping ? SWEEP_MS : -1);

		if (n < 0 && errno != EINTR) {
			log_error("poll: %s", strerror(errno));
			return EX_OSERR;
		}
		if (!n)
			sweeping = data_sweep(server->fs);
		if (n > 0 && polled[2].revents)
			sweeping = read(server->wake_fd, &count, sizeof(count)) > 0;
		if (n > 0 && polled[1].revents)
			control_serve(&server->control);
		if (n > 0 && polled[0].revents)
			status = serve_front_end(server);
	}
	return status;
}

static int build(struct server *server)
{
	int ret = sandbox_build(&server->sandbox, server->options.shares, server->share_fds,
				server->options.n_shares);

	if (ret)
		log_error("cannot build the sandbox: %s; try another --sandbox", strerror(-ret));
	return ret ? EX_OSERR : 0;
}

static int seal(struct server *server, bool first)
{
	int ret = fs_attach(server->fs);

	if (!ret)
		ret = sandbox_seal(&server->sandbox, server->options.shares, server->share_fds,
				   server->options.n_shares);
	if (!ret && first)
		log_info("sandbox: %s", sandbox_name(&server->sandbox));
	server->fs->switch_ids = server->sandbox.can_switch_ids;
	if (ret)
		log_error("cannot close the sandbox: %s; try another --sandbox", strerror(-ret));
	return ret ? EX_OSERR : 0;
}

/* Closes what the last server had open and no table knows of: it was at work on it. */
static int close_leftovers(struct server *server)
{
	struct keeper_fds fds;
	int ret = keeper_fds_init(&fds, &server->keeper);

	if (ret)
		return ret;
	keeper_fds_add(&fds, server->listen_fd);
	keeper_fds_add(&fds, server->control_listen_fd);
	keeper_fds_add(&fds, server->control.fd);
	keeper_fds_add(&fds, server->options.notify_fd);
	fs_each_fd(server->fs, keeper_fds_add, &fds);
	backend_each_fd(server->backend, keeper_fds_add, &fds);
	keeper_close_others(&fds);
	return 0;
}

static int recover(struct server *server)
{
	struct fs_recovered found;
	int ret = fs_recover(server->fs, &found);

	if (!ret)
		ret = close_leftovers(server);
	if (!ret)
		ret = backend_recover(server->backend);
	if (ret) {
		log_error("cannot go on where the last server died: %s", strerror(-ret));
		return EX_SOFTWARE;
	}
	control_recover(&server->control);
	log_ratelimited(&server->fs->deaths, LOG_LEVEL_INFO,
			"the new server has %u inodes and %u open files", found.inodes,
			found.files);
	return 0;
}

/* Shares are served without, too. */
static void start_watcher(struct server *server, bool first)
{
	int ret = server->options.notify_fd < 0
			  ? 0
			  : watcher_create(server->fs, server->options.notify_fd, !first);

	if (ret)
		log_warn("changes by the host are not told to the guest: %s", strerror(-ret));
}

/* In a process of its own. */
static int run_server(struct server *server, bool first)
{
	int status;

	server->fs->watcher = NULL; /* the last server's, in its own memory */
	status = seal(server, first);
	if (status)
		return status;
	if (!first)
		status = recover(server);
	else if (server->listen_fd < 0)
		backend_connect(server->backend, server->options.socket_fd);
	if (status)
		return status;
	start_watcher(server, first);
	keeper_up(&server->keeper);
	return serve(server, !first);
}

static int run(struct server *server)
{
	int status = open_shares(server);
	bool first;
	int ret;

	if (!status)
		status = open_sockets(server);
	if (!status)
		status = make_fs(server);
	if (!status)
		status = build(server);
	if (!status)
		status = add_shares(server);
	if (!status) {
		server->keeper.dispensable = server->listen_fd < 0;
		ret = keeper_serve(&server->keeper, &first);
		if (ret)
			log_error("cannot start the server: %s", strerror(-ret));
		status = ret ? EX_OSERR : run_server(server, first);
	}
	if (server->fs)
		watcher_destroy(server->fs->watcher);
	backend_destroy(server->backend);
	if (server->fs)
		control_fini(&server->control);
	fs_destroy(server->fs);
	return status;
}

int main(int argc, char **argv)
{
	struct server server = { .listen_fd = -1, .control_listen_fd = -1, .wake_fd = -1 };
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
	umask(0); /* that of the guest's caller counts: caller_mode() */
	server.fd_limit = raise_fd_limit();
	server.sandbox.mode = server.options.sandbox;
	if (keeper_init(&server.keeper, server.options.socket_path, argc, argv) ||
	    sandbox_enter(&server.sandbox))
		status = EX_UNAVAILABLE;
	else
		status = run(&server);
	options_free(&server.options);
	return status;
}
