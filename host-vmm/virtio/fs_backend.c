// SPDX-License-Identifier: GPL-2.0-or-later
/* Back ends of virtio-fs devices: a lodge-fsd of our own, or a stranger's socket. */
#include "host-vmm/virtio/fs_backend.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "host-vmm/conf/vmconf.h"
#include "host-vmm/vhost-user/spawn.h"
#include "host-vmm/vhost-user/starter.h"
#include "protocol/lib/fd.h"

#define FSD_PROGRAM    "lodge-fsd"
#define FSD_SOCKET_ARG "--fd=3"
/* The uid and gid that distributions give to the first user of a machine. */
#define GUEST_USER_ID 1000

struct share {
	char *name, *path;
	bool read_only, owner_exact;
	int fd; /* O_PATH */
};

struct fs_backend {
	char *socket; /* NULL: a lodge-fsd of ours */
	bool export;
	struct starter *starter; /* the device's loop; NULL for a stranger's socket */
	time_t starts[FS_RESTARTS_MAX]; /* CLOCK_MONOTONIC seconds; 0: none */

	pthread_mutex_t lock; /* over what follows */
	struct share *shares;
	size_t n_shares;
};

static int create(const char *socket, bool export, struct fs_backend **ret_backend)
{
	struct fs_backend *backend = calloc(1, sizeof(*backend));

	if (!backend)
		return -ENOMEM;
	pthread_mutex_init(&backend->lock, NULL);
	backend->export = export;
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
	return create(socket, false, ret_backend);
}

/* What a lodge-fsd may be told: its socket, and to share descriptors that we hold. */
static bool arg_allowed(const char *arg)
{
	static const char export[] = "--export=", share[] = "--share=", path[] = "=/proc/self/fd/";
	const char *at = strstr(arg, path);

	if (!strcmp(arg, FSD_SOCKET_ARG))
		return true;
	if (strncmp(arg, share, sizeof(share) - 1) && strncmp(arg, export, sizeof(export) - 1))
		return false;
	/* The first = of a share ends its name, so the path begins there or nowhere. */
	if (!at ||
	    at != strchr(strncmp(arg, share, sizeof(share) - 1) ? arg : arg + sizeof(share) - 1,
			 '='))
		return false;
	at += sizeof(path) - 1;
	return *at >= '0' && *at <= '9' && !strchr(at, '/');
}

int fs_backend_create_own(bool export, struct fs_backend **ret_backend)
{
	struct fs_backend *backend;
	char *path;
	int ret;

	ret = spawn_find(FSD_PROGRAM, &path);
	if (ret)
		return ret;
	ret = create(NULL, export, &backend);
	if (!ret) {
		ret = starter_create(path, arg_allowed, &backend->starter);
		if (ret)
			fs_backend_destroy(backend);
		else
			*ret_backend = backend;
	}
	free(path);
	return ret;
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
	for (size_t i = 0; i < backend->n_shares; i++)
		share_free(&backend->shares[i]);
	free(backend->shares);
	free(backend->socket);
	pthread_mutex_destroy(&backend->lock);
	free(backend);
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

/*
 * Shares are given as descriptors, by way of /proc: a path that has moved since, or has a colon in
 * it, makes no difference then.
 */
static int share_arg(const struct fs_backend *backend, size_t index, char **ret_arg)
{
	const struct share *share = &backend->shares[index];
	char owner[48] = "";
	int len;

	/* Root's files stay root's: who runs VMs as root means what the ids say. */
	if (!share->owner_exact && geteuid())
		snprintf(owner, sizeof(owner), ":owner=%d:%d", GUEST_USER_ID, GUEST_USER_ID);
	len = asprintf(ret_arg, "--%s%s=/proc/self/fd/%zu%s%s",
		       backend->export ? "export" : "share=", backend->export ? "" : share->name,
		       SPAWN_FIRST_FD + 1 + index, share->read_only ? ":ro" : "", owner);
	return len < 0 ? -ENOMEM : 0;
}

static void free_args(char **argv)
{
	for (size_t i = 0; argv && argv[i]; i++)
		free(argv[i]);
	free(argv);
}

/* Under lock. */
static int make_args(const struct fs_backend *backend, char ***ret_argv)
{
	char **argv = calloc(backend->n_shares + 3, sizeof(*argv));
	int ret = 0;

	if (!argv)
		return -ENOMEM;
	argv[0] = strdup(FSD_PROGRAM);
	argv[1] = strdup(FSD_SOCKET_ARG);
	if (!argv[0] || !argv[1])
		ret = -ENOMEM;
	for (size_t i = 0; !ret && i < backend->n_shares; i++)
		ret = share_arg(backend, i, &argv[2 + i]);
	if (ret) {
		free_args(argv);
		return ret;
	}
	*ret_argv = argv;
	return 0;
}

static int start_fsd(struct fs_backend *backend, int socket)
{
	int fds[STARTER_FDS_MAX];
	size_t n_fds = 0;
	char **argv;
	int ret;

	_Static_assert(SPAWN_FIRST_FD == 3, "FSD_SOCKET_ARG");
	_Static_assert(STARTER_FDS_MAX > FS_SHARES_MAX && STARTER_ARGS_MAX > FS_SHARES_MAX + 2,
		       "a socket and every share");
	pthread_mutex_lock(&backend->lock);
	fds[n_fds++] = socket;
	for (size_t i = 0; i < backend->n_shares; i++)
		fds[n_fds++] = backend->shares[i].fd;
	ret = make_args(backend, &argv);
	if (!ret) {
		ret = starter_start(backend->starter, argv, fds, n_fds);
		free_args(argv);
	}
	pthread_mutex_unlock(&backend->lock);
	return ret;
}

static int open_own(struct fs_backend *backend, int *ret_socket, char ret_why[FS_WHY_MAX])
{
	int pair[2];
	int ret;

	if (!may_start(backend)) {
		snprintf(ret_why, FS_WHY_MAX, "%s died %d times within %d s and stays down",
			 FSD_PROGRAM, FS_RESTARTS_MAX, FS_RESTARTS_WINDOW);
		return -EBUSY;
	}
	ret = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) ? -errno : 0;
	if (!ret) {
		ret = start_fsd(backend, pair[1]);
		close(pair[1]);
		if (ret)
			close(pair[0]);
	}
	if (ret)
		snprintf(ret_why, FS_WHY_MAX, "%s cannot be started: %s", FSD_PROGRAM,
			 strerror(-ret));
	else
		*ret_socket = pair[0];
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
	if (backend->starter && !starter_end(backend->starter, grace_ms, &status))
		spawn_status_text(status, ret_text);
}

/* Under lock. */
static struct share *find_share(struct fs_backend *backend, const char *name)
{
	for (size_t i = 0; i < backend->n_shares; i++) {
		if (!strcmp(backend->shares[i].name, name))
			return &backend->shares[i];
	}
	return NULL;
}

static int check_folder(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	return faccessat(fd, "", R_OK | X_OK, AT_EMPTY_PATH | AT_EACCESS) ? -errno : 0;
}

/* Under lock. */
static int append_share(struct fs_backend *backend, const struct fs_share_info *info, int fd)
{
	struct share share = { .read_only = info->read_only, .owner_exact = info->owner_exact };
	struct share *shares;

	if (find_share(backend, info->name))
		return -EEXIST;
	if (backend->n_shares == FS_SHARES_MAX)
		return -ENOSPC;
	shares = reallocarray(backend->shares, backend->n_shares + 1, sizeof(*shares));
	if (!shares)
		return -ENOMEM;
	backend->shares = shares;
	share.fd = -1;
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

int fs_backend_share_add(struct fs_backend *backend, const struct fs_share_info *info, int path_fd)
{
	int ret = vm_check_share_name(info->name);

	if (!ret)
		ret = check_folder(path_fd);
	if (!ret) {
		pthread_mutex_lock(&backend->lock);
		ret = append_share(backend, info, path_fd);
		pthread_mutex_unlock(&backend->lock);
	}
	if (ret)
		close(path_fd);
	return ret;
}

int fs_backend_share_remove(struct fs_backend *backend, const char *name)
{
	struct share *share;
	int ret = -ENOENT;

	pthread_mutex_lock(&backend->lock);
	share = find_share(backend, name);
	if (share) {
		struct share *end = &backend->shares[backend->n_shares--];

		share_free(share);
		memmove(share, share + 1, (size_t)(end - (share + 1)) * sizeof(*share));
		ret = 0;
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
		const struct share *share = &backend->shares[i];
		const struct fs_share_info info = { share->name, share->path, share->read_only,
						    share->owner_exact };

		each(opaque, &info);
	}
	pthread_mutex_unlock(&backend->lock);
}
