// SPDX-License-Identifier: GPL-2.0-or-later
/* The ways to a share. */
#include "shared-fs/guest/ways.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <lodge/run_conf.h>

#include "protocol/lib/fd.h"
#include "protocol/lib/read_ahead.h"
#include "shared-fs/guest/device.h"
#include "shared-fs/guest/mounts.h"
#include "shared-fs/guest/serve.h"

/* Between a module's loading and its device's file, udev being slow at boot. */
#define NODE_WAIT_MS 3000
/* For a lodged that has just started. */
#define RPC_WAIT_MS   10000
#define LODGED_SOCKET "/run/lodge/lodged.sock" /* it runs */

static void load_module(const char *name)
{
	pid_t pid = fork();

	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, STDERR_FILENO);
		execl("/sbin/modprobe", "modprobe", "-q", name, (char *)NULL);
		_exit(127);
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

static bool has_node(const char *tag)
{
	char path[DEVICE_PATH_SIZE];

	device_path(tag, path);
	return !access(path, F_OK);
}

static bool wait_for_node(const char *tag)
{
	const struct timespec pause = { .tv_nsec = 20000000 };

	for (int waited = 0; waited < NODE_WAIT_MS; waited += 20) {
		if (has_node(tag))
			return true;
		nanosleep(&pause, NULL);
	}
	return has_node(tag);
}

/* A device of whatever tag: before Linux 6.9 the kernel does not tell tags. */
static bool virtiofs_has_device(void)
{
	DIR *folder = opendir("/sys/bus/virtio/drivers/virtiofs");
	const struct dirent *entry;
	bool found = false;

	while (folder && !found && (entry = readdir(folder)))
		found = !strncmp(entry->d_name, "virtio", 6);
	if (folder)
		closedir(folder);
	return found;
}

static bool can_virtiofs(void)
{
	if (virtiofs_has_device())
		return true;
	load_module("virtiofs");
	return virtiofs_has_device();
}

static bool can_lodge_fs(const char *tag)
{
	if (has_node(tag))
		return true;
	load_module("lodge_fs");
	return !access("/sys/module/lodge_fs", F_OK) && wait_for_node(tag);
}

static bool is_mounted_by_rpc(const char *tag)
{
	char whole[MOUNTS_PATH_SIZE];
	struct mounts_seen seen;

	mounts_path(tag, whole);
	return !mounts_now(whole, &seen) && seen.there && !strcmp(seen.type, SERVE_TYPE_RPC);
}

/* Mounted whole by lodged, now or in a moment; only the shares' device goes over its door. */
static bool has_rpc(const char *tag)
{
	const struct timespec pause = { .tv_nsec = 50000000 };

	if (strcmp(tag, LODGE_RUN_TAG_SHARES) != 0 || access(LODGED_SOCKET, F_OK))
		return false;
	for (int waited = 0; waited < RPC_WAIT_MS; waited += 50) {
		if (is_mounted_by_rpc(tag))
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

static bool can(const struct mount_options *options, enum mount_way way)
{
	switch (way) {
	case WAY_VIRTIOFS:
		return can_virtiofs();

	case WAY_LODGE_FS:
		return can_lodge_fs(options->tag);
	case WAY_RPC:
		return options->messages_fd >= 0 || has_rpc(options->tag);
	default:
		return false;
	}
}

int way_find(const struct mount_options *options, enum mount_way *ret_way)
{
	enum mount_way first = WAY_VIRTIOFS, last = WAY_RPC;

	if (options->way != WAY_ANY)
		first = last = options->way;
	else if (has_node(options->tag)) /* where lodge_fs has the device, nobody else does */
		first = last = WAY_LODGE_FS;
	else if (is_mounted_by_rpc(options->tag)) /* nor a driver that excludes it */
		first = last = WAY_RPC;
	for (enum mount_way way = first; way <= last; way++) {
		if (!can(options, way))
			continue;
		*ret_way = way;
		return 0;
	}
	return -ENODEV;
}

static void read_further_ahead(const char *path)
{
	struct mounts_seen seen;

	if (!mounts_now(path, &seen) && seen.there)
		(void)read_ahead_set(seen.device, READ_AHEAD_KIB);
}

static int mount_virtiofs(const struct mount_options *options, const char *below)
{
	char data[16] = "";
	char whole[MOUNTS_PATH_SIZE];
	int err;

	if (options->dax[0])
		snprintf(data, sizeof(data), "dax=%s", options->dax);
	if (!*below) {
		if (mount(options->tag, options->folder, "virtiofs", options->flags, data))
			return -errno;
		read_further_ahead(options->folder);
		return 0;
	}
	autofd lock = mounts_lock(options->tag);
	if (lock < 0)
		return lock;
	mounts_path(options->tag, whole);
	if (mount(options->tag, whole, "virtiofs", 0, data))
		return -errno;
	read_further_ahead(whole);
	err = mounts_bind(whole, below, options->folder, options->flags);
	/* What is bound keeps it. */
	umount2(whole, MNT_DETACH);
	return err;
}

/* Is somebody serving there? One that has died answers ENOTCONN, and is cleared away. */
static int find_server(const char *whole, bool *ret_found)
{
	struct mounts_seen seen;
	struct stat st;
	int err = mounts_now(whole, &seen);

	if (err)
		return err;
	*ret_found = seen.there;
	if (!seen.there || !stat(whole, &st))
		return 0;
	if (errno != ENOTCONN)
		return -errno;
	*ret_found = false;
	return umount2(whole, MNT_DETACH) ? -errno : 0;
}

/* Mounts the whole, unless it is there already: *@ret_pid of 0. */
static int serve_whole(const struct mount_options *options, enum mount_way way, const char *whole,
		       pid_t *ret_pid)
{
	const struct serve_wish wish = { .tag = options->tag,
					 .path = whole,
					 .messages_fd = way == WAY_RPC ? options->messages_fd : -1,
					 .attached = options->foreground };
	bool found = false;
	int err = find_server(whole, &found);

	*ret_pid = 0;
	if (err || found)
		return err;
	if (way == WAY_RPC && wish.messages_fd < 0)
		return -ENOTCONN;
	/* What a dead one left elsewhere. */
	mounts_clear(options->tag, NULL);
	return serve_start(&wish, ret_pid);
}

/* For lodged: the mount is there, until it is not. */
static int stay(const char *whole, pid_t pid)
{
	struct mounts_seen seen;
	int err = mounts_now(whole, &seen);

	if (err || !seen.there) {
		kill(pid, SIGKILL);
		return err ? err : -ENOENT;
	}
	puts("mounted");
	fflush(stdout);
	return serve_wait(pid, seen.device) ? -ECONNRESET : 0;
}

static int mount_by_fuse(const struct mount_options *options, enum mount_way way, const char *below)
{
	char whole[MOUNTS_PATH_SIZE];
	pid_t pid = 0;
	int err;

	autofd lock = mounts_lock(options->tag);
	if (lock < 0)
		return lock;
	mounts_path(options->tag, whole);
	/* Where no static node stands for it. */
	if (access("/dev/fuse", F_OK))
		load_module("fuse");
	err = serve_whole(options, way, whole, &pid);
	if (err)
		return err;
	err = mounts_bind(whole, below, options->folder, options->flags);
	if (err && pid)
		umount2(whole, MNT_DETACH);
	fd_close(&lock);
	return err || !pid || !options->foreground ? err : stay(whole, pid);
}

int way_mount(const struct mount_options *options, enum mount_way way)
{
	char below[PATH_MAX];
	int err = options_path(options, below, sizeof(below));

	if (err)
		return err;
	return way == WAY_VIRTIOFS ? mount_virtiofs(options, below)
				   : mount_by_fuse(options, way, below);
}
