// SPDX-License-Identifier: GPL-2.0-or-later
/* Back ends of virtio-fs devices: a lodge-fsd of our own, or a stranger's socket. */
#include "host-vmm/virtio/fs_backend.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "host-vmm/conf/vmconf.h"
#include "host-vmm/vhost-user/spawn.h"
#include "host-vmm/vhost-user/starter.h"
#include "host-vmm/virtio/fs_control.h"
#include "protocol/lib/fd.h"
#include "protocol/lib/log.h"

#define FSD_PROGRAM "lodge-fsd"

struct share {
	char *name, *path;
	struct vm_share_rules rules;
	bool in_args; /* lodge-fsd begins with it */
	bool removed; /* of those in_args: it is to be taken away after each start */
	int fd; /* O_PATH; -1: removed */
};

struct fs_backend {
	char *socket; /* NULL: a lodge-fsd of ours */
	struct fs_server_rules rules; /* of ours */
	int session_fd; /* what a lodge-fsd leaves to the next: nothing that we look at */
	/* The device's loop: */
	int notify; /* what the host changes in the shares is told there; -1: was taken, or none */
	struct starter *starter;
	time_t starts[FS_RESTARTS_MAX]; /* CLOCK_MONOTONIC seconds; 0: none */

	pthread_mutex_t lock; /* over what follows */
	struct share *shares;
	size_t n_shares;
	int control; /* of the lodge-fsd that runs; -1: none does */
};

static int create(const char *socket, const struct fs_server_rules *rules,
		  struct fs_backend **ret_backend)
{
	struct fs_backend *backend = calloc(1, sizeof(*backend));

	if (!backend)
		return -ENOMEM;
	pthread_mutex_init(&backend->lock, NULL);
	backend->rules = *rules;
	backend->control = -1;
	backend->notify = -1;
	backend->session_fd = -1;
	if (socket) {
		backend->socket = strdup(socket);
		if (!backend->socket) {
			fs_backend_destroy(backend);
			return -ENOMEM;
		}
	}
	*ret_backend = backend;
	return 0;
}

int fs_backend_create_socket(const char *socket, struct fs_backend **ret_backend)
{
	return create(socket, &(struct fs_server_rules){ 0 }, ret_backend);
}

int fs_backend_create_own(const struct fs_server_rules *rules, struct fs_backend **ret_backend)
{
	struct fs_backend *backend;
	int ret = create(NULL, rules, &backend);

	if (ret)
		return ret;
	backend->session_fd = memfd_create("lodge-session", MFD_CLOEXEC);
	if (backend->session_fd < 0) {
		ret = -errno;
		fs_backend_destroy(backend);
		return ret;
	}
	*ret_backend = backend;
	return 0;
}

static void share_free(struct share *share)
{
	free(share->name);
	free(share->path);
	fd_close(&share->fd);
}

void fs_backend_destroy(struct fs_backend *backend)
{
	if (!backend)
		return;
	starter_destroy(backend->starter);
	fd_close(&backend->control);
	fd_close(&backend->notify);
	fd_close(&backend->session_fd);
	for (size_t i = 0; i < backend->n_shares; i++)
		share_free(&backend->shares[i]);
	free(backend->shares);
	free(backend->socket);
	pthread_mutex_destroy(&backend->lock);
	free(backend);
}

int fs_backend_place_window(struct fs_backend *backend, uint64_t gpa, char ret_why[FS_WHY_MAX])
{
	int ret = 0;

	pthread_mutex_lock(&backend->lock);
	if (backend->control >= 0)
		ret = fs_control_window(backend->control, gpa, ret_why);
	pthread_mutex_unlock(&backend->lock);
	return ret;
}

/* Hosts change much of what they have as a root, and guests watch none of it. */
bool fs_backend_tells(const struct fs_backend *backend)
{
	return !backend->socket && !backend->rules.export;
}

bool fs_backend_is_own(const struct fs_backend *backend)
{
	return !backend->socket;
}

void fs_backend_forgive(struct fs_backend *backend)
{
	memset(backend->starts, 0, sizeof(backend->starts));
}

/* Notes a start; false where the window is full of them. */
static bool may_start(struct fs_backend *backend)
{
	struct timespec now;
	size_t oldest = 0;

	clock_gettime(CLOCK_MONOTONIC, &now);
	for (size_t i = 1; i < FS_RESTARTS_MAX; i++) {
		if (backend->starts[i] < backend->starts[oldest])
			oldest = i;
	}
	if (backend->starts[oldest] && now.tv_sec - backend->starts[oldest] < FS_RESTARTS_WINDOW)
		return false;
	backend->starts[oldest] = now.tv_sec;
	return true;
}

static struct fs_share_info info_of(const struct share *share)
{
	return (struct fs_share_info){ share->name, share->path, share->rules };
}

/* "--share=NAME=PATH/:ro:owner=...:...": behind the slash no part of the path looks like an option.
 */
static char *share_arg(const struct fs_backend *backend, const struct share *share)
{
	const struct fs_share_info info = info_of(share);
	char rules[FS_RULES_MAX];
	char *arg;

	fs_rules_text(&info, ':', rules);
	if (asprintf(&arg, "--%s%s=%s/%s", backend->rules.export ? "export" : "share=",
		     backend->rules.export ? "" : share->name, share->path, rules) < 0)
		return NULL;
	return arg;
}

static char *dax_arg(uint64_t size)
{
	char *arg;

	if (asprintf(&arg, "--dax-size=%llu", (unsigned long long)(size >> 20)) < 0)
		return NULL;
	return arg;
}

static void free_args(char **argv)
{
	for (size_t i = 0; argv && argv[i]; i++)
		free(argv[i]);
	free(argv);
}

/* Under lock. */
static char **make_args(struct fs_backend *backend)
{
	char **argv = calloc(backend->n_shares + 10, sizeof(*argv));
	size_t n = 0;
	bool complete = argv;

	if (!argv)
		return NULL;
	argv[n++] = strdup(FSD_PROGRAM);
	argv[n++] = strdup("--fd=3");
	argv[n++] = strdup("--control-fd=4");
	argv[n++] = strdup("--session-fd=5");
	if (fs_backend_tells(backend))
		argv[n++] = strdup("--notify-fd=6");
	if (backend->rules.dax_size)
		argv[n++] = dax_arg(backend->rules.dax_size);
	if (backend->rules.dax_size)
		argv[n++] = strdup(backend->rules.dax_all ? "--dax-files=all" : "--dax-files=auto");
	if (backend->rules.strict)
		argv[n++] = strdup("--cache=never");
	if (backend->rules.host_locks)
		argv[n++] = strdup("--locks=host");
	for (size_t i = 0; i < backend->n_shares; i++) {
		struct share *share = &backend->shares[i];

		/* The first = ends the name; other names go the way of later shares. */
		share->in_args = backend->rules.export || !strchr(share->name, '=');
		if (share->in_args)
			argv[n++] = share_arg(backend, share);
	}
	for (size_t i = 0; i < n; i++)
		complete = complete && argv[i];
	if (complete)
		return argv;
	for (size_t i = 0; i < n; i++)
		free(argv[i]);
	free(argv);
	return NULL;
}

/* The configured shares are known: from here on nobody changes what is started. */
static int make_starter(struct fs_backend *backend, char ret_why[FS_WHY_MAX])
{
	char *path, **argv;
	int ret;

	ret = spawn_find(FSD_PROGRAM, &path);
	if (ret) {
		snprintf(
			ret_why, FS_WHY_MAX,
			"%s is not there: install it beside lodge-vmm, or set LODGE_LIBEXEC to its "
			"folder",
			FSD_PROGRAM);
		return ret;
	}
	pthread_mutex_lock(&backend->lock);
	argv = make_args(backend);
	pthread_mutex_unlock(&backend->lock);
	ret = argv ? starter_create(path, argv, &backend->starter) : -ENOMEM;
	free_args(argv);
	free(path);
	if (ret)
		snprintf(ret_why, FS_WHY_MAX, "%s cannot be started: %s", FSD_PROGRAM,
			 strerror(-ret));
	return ret;
}

/* Under lock. Tells a new lodge-fsd what changed since the configuration; if it dies meanwhile, the
 * handshake will tell. */
static void replay_changes(struct fs_backend *backend)
{
	char why[FS_WHY_MAX];

	for (size_t i = 0; i < backend->n_shares; i++) {
		if (backend->shares[i].removed)
			fs_control_remove(backend->control, backend->shares[i].name, why);
	}
	for (size_t i = 0; i < backend->n_shares && !backend->rules.export; i++) {
		const struct share *share = &backend->shares[i];
		const struct fs_share_info info = info_of(share);

		/* One that it began with may have been out of its reach, by its path: the machine
		 * that it is on may be silent. */
		if (!share->removed && fs_control_keep(backend->control, &info, share->fd, why))
			log_warn("share '%s' is lost for now: %s", share->name, why);
	}
}

int fs_backend_prepare(struct fs_backend *backend, char ret_why[FS_WHY_MAX])
{
	return backend->socket || backend->starter ? 0 : make_starter(backend, ret_why);
}

/* The connections of a lodge-fsd: a pair each, ours first. */
struct fsd_sockets {
	int data[2], control[2], notify[2];
};

static void close_sockets(struct fsd_sockets *sockets)
{
	for (int i = 0; i < 2; i++) {
		fd_close(&sockets->data[i]);
		fd_close(&sockets->control[i]);
		fd_close(&sockets->notify[i]);
	}
}

static int open_sockets(const struct fs_backend *backend, struct fsd_sockets *ret_sockets)
{
	struct fsd_sockets sockets = { { -1, -1 }, { -1, -1 }, { -1, -1 } };
	int ret = 0;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets.data) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets.control) ||
	    (fs_backend_tells(backend) &&
	     socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets.notify)))
		ret = -errno;
	if (ret)
		close_sockets(&sockets);
	else
		*ret_sockets = sockets;
	return ret;
}

static int start_fsd(struct fs_backend *backend, int *ret_socket)
{
	struct fsd_sockets sockets;
	int ret = open_sockets(backend, &sockets);

	if (ret)
		return ret;
	ret = starter_start(backend->starter,
			    (int[]){ sockets.data[1], sockets.control[1], backend->session_fd,
				     sockets.notify[1] },
			    fs_backend_tells(backend) ? 4 : 3);
	if (!ret) {
		pthread_mutex_lock(&backend->lock);
		backend->control = fd_steal(&sockets.control[0]);
		replay_changes(backend);
		pthread_mutex_unlock(&backend->lock);
		fd_close(&backend->notify);
		backend->notify = fd_steal(&sockets.notify[0]);
		*ret_socket = fd_steal(&sockets.data[0]);
	}
	close_sockets(&sockets);
	return ret;
}

void fs_backend_end_session(struct fs_backend *backend)
{
	if (backend->session_fd >= 0 && ftruncate(backend->session_fd, 0))
		log_warn("the next %s will think that the guest goes on: %s", FSD_PROGRAM,
			 strerror(errno));
}

int fs_backend_take_notify(struct fs_backend *backend)
{
	return fd_steal(&backend->notify);
}

static int open_own(struct fs_backend *backend, int *ret_socket, char ret_why[FS_WHY_MAX])
{
	int ret;

	if (!may_start(backend)) {
		snprintf(ret_why, FS_WHY_MAX, "%s died %d times within %d s and stays down",
			 FSD_PROGRAM, FS_RESTARTS_MAX, FS_RESTARTS_WINDOW);
		return -EBUSY;
	}
	ret = fs_backend_prepare(backend, ret_why);
	if (ret)
		return ret;
	ret = start_fsd(backend, ret_socket);
	if (ret)
		snprintf(ret_why, FS_WHY_MAX, "%s cannot be started: %s", FSD_PROGRAM,
			 strerror(-ret));
	return ret;
}

int fs_backend_open(struct fs_backend *backend, int *ret_socket, char ret_why[FS_WHY_MAX])
{
	int fd;

	if (!backend->socket)
		return open_own(backend, ret_socket, ret_why);
	fd = unix_connect(backend->socket);
	if (fd < 0) {
		snprintf(ret_why, FS_WHY_MAX, "at %.180s is not reached: %s", backend->socket,
			 strerror(-fd));
		return fd;
	}
	*ret_socket = fd;
	return 0;
}

void fs_backend_close(struct fs_backend *backend, unsigned int grace_ms,
		      char ret_text[SPAWN_STATUS_MAX])
{
	int status;

	*ret_text = 0;
	pthread_mutex_lock(&backend->lock);
	fd_close(&backend->control);
	pthread_mutex_unlock(&backend->lock);
	if (backend->starter && !starter_end(backend->starter, grace_ms, &status))
		spawn_status_text(status, ret_text);
}

/* Under lock. */
static struct share *find_share(struct fs_backend *backend, const char *name)
{
	for (size_t i = 0; i < backend->n_shares; i++) {
		if (!backend->shares[i].removed && !strcmp(backend->shares[i].name, name))
			return &backend->shares[i];
	}
	return NULL;
}

/* Asks nothing of its file system, which may not answer. */
static int check_folder(int fd)
{
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &stx))
		return -errno;
	return S_ISDIR(stx.stx_mode) ? 0 : -ENOTDIR;
}

/* Under lock. Takes @fd where it succeeds. */
static int append_share(struct fs_backend *backend, const struct fs_share_info *info, int fd)
{
	struct share share = { .rules = info->rules, .fd = -1 };
	struct share *shares;

	shares = reallocarray(backend->shares, backend->n_shares + 1, sizeof(*shares));
	if (!shares)
		return -ENOMEM;
	backend->shares = shares;
	share.name = strdup(info->name);
	share.path = strdup(info->path);
	if (!share.name || !share.path) {
		share_free(&share);
		return -ENOMEM;
	}
	share.fd = fd;
	shares[backend->n_shares++] = share;
	return 0;
}

/* Under lock. */
static int add_share(struct fs_backend *backend, const struct fs_share_info *info, int fd,
		     char ret_why[FS_WHY_MAX])
{
	int ret;

	if (find_share(backend, info->name))
		return -EEXIST;
	if (backend->n_shares >= FS_SHARES_MAX)
		return -ENOSPC;
	/* Nobody looks at the folder where no lodge-fsd runs: it may not answer, and a guest that
	 * runs leaves us no thread that could be left behind. The next one says what is wrong. */
	ret = backend->control >= 0 ? fs_control_add(backend->control, info, fd, ret_why) : 0;
	if (ret)
		return ret;
	return append_share(backend, info, fd);
}

int fs_backend_share_add(struct fs_backend *backend, const struct fs_share_info *info, int path_fd,
			 char ret_why[FS_WHY_MAX])
{
	int ret = vm_check_share_name(info->name);

	*ret_why = 0;
	if (!ret && strchr(info->name, '\n'))
		ret = -EINVAL;
	if (!ret)
		ret = check_folder(path_fd);
	if (!ret) {
		pthread_mutex_lock(&backend->lock);
		ret = add_share(backend, info, path_fd, ret_why);
		pthread_mutex_unlock(&backend->lock);
	}
	if (ret)
		close(path_fd);
	if (ret && !*ret_why)
		snprintf(ret_why, FS_WHY_MAX, "%s", strerror(-ret));
	return ret;
}

int fs_backend_share_remove(struct fs_backend *backend, const char *name, char ret_why[FS_WHY_MAX])
{
	struct share *share;
	int ret = 0;

	snprintf(ret_why, FS_WHY_MAX, "no share has that name");
	pthread_mutex_lock(&backend->lock);
	share = find_share(backend, name);
	if (!share)
		ret = -ENOENT;
	else if (backend->control >= 0)
		ret = fs_control_remove(backend->control, name, ret_why);
	if (!ret && share->in_args) {
		share->removed = true;
		fd_close(&share->fd);
	} else if (!ret) {
		struct share *end = &backend->shares[backend->n_shares--];

		share_free(share);
		memmove(share, share + 1, (size_t)(end - (share + 1)) * sizeof(*share));
	}
	pthread_mutex_unlock(&backend->lock);
	return ret;
}

void fs_backend_share_each(struct fs_backend *backend,
			   void (*each)(void *opaque, const struct fs_share_info *info),
			   void *opaque)
{
	pthread_mutex_lock(&backend->lock);
	for (size_t i = 0; i < backend->n_shares; i++) {
		const struct fs_share_info info = info_of(&backend->shares[i]);

		if (!backend->shares[i].removed)
			each(opaque, &info);
	}
	pthread_mutex_unlock(&backend->lock);
}
