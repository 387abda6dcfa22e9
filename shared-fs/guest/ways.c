// SPDX-License-Identifier: GPL-2.0-or-later
/* The ways to a share. */
#include "shared-fs/guest/ways.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "protocol/lib/fd.h"
#include "shared-fs/guest/device.h"
#include "shared-fs/guest/mounts.h"
#include "shared-fs/guest/serve.h"

/* Between a module's loading and its device's file, udev being slow at boot. */
#define NODE_WAIT_MS 3000

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

int way_find(const char *tag, enum mount_way wanted, enum mount_way *ret_way)
{
	/* Where lodge_fs has the device, nobody else does. */
	bool node = wanted != WAY_VIRTIOFS && has_node(tag);

	if (!node && wanted != WAY_LODGE_FS && can_virtiofs()) {
		*ret_way = WAY_VIRTIOFS;
		return 0;
	}
	if (!node && (wanted == WAY_VIRTIOFS || !can_lodge_fs(tag)))
		return -ENODEV;
	*ret_way = WAY_LODGE_FS;
	return 0;
}

static int mount_virtiofs(const struct mount_options *options, const char *below)
{
	char data[16] = "";
	char whole[MOUNTS_PATH_SIZE];
	int err;

	if (options->dax[0])
		snprintf(data, sizeof(data), "dax=%s", options->dax);
	if (!*below)
		return mount(options->tag, options->folder, "virtiofs", options->flags, data)
			       ? -errno
			       : 0;
	autofd lock = mounts_lock(options->tag);
	if (lock < 0)
		return lock;
	mounts_path(options->tag, whole);
	if (mount(options->tag, whole, "virtiofs", 0, data))
		return -errno;
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

static int mount_lodge_fs(const struct mount_options *options, const char *below)
{
	char whole[MOUNTS_PATH_SIZE];
	bool found = false;
	int err;

	autofd lock = mounts_lock(options->tag);
	if (lock < 0)
		return lock;
	mounts_path(options->tag, whole);
	err = find_server(whole, &found);
	if (!err && !found)
		err = serve_start(options->tag, whole);
	if (err)
		return err;
	err = mounts_bind(whole, below, options->folder, options->flags);
	if (err && !found)
		umount2(whole, MNT_DETACH);
	return err;
}

int way_mount(const struct mount_options *options, enum mount_way way)
{
	char below[PATH_MAX];
	int err = options_path(options, below, sizeof(below));

	if (err)
		return err;
	return way == WAY_VIRTIOFS ? mount_virtiofs(options, below)
				   : mount_lodge_fs(options, below);
}
