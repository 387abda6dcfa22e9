// SPDX-License-Identifier: GPL-2.0-or-later
// The guest's file systems: the kernel's own, the root under its overlay, the shares.
#include "guest-daemon/init/init.h"
#include "protocol/lib/read_ahead.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <lodge/run_conf.h>

#define LOWER	 "/lower"
#define RW	 "/rw"
#define NEW_ROOT "/newroot"
#define SHARES	 "/mnt/lodge"

struct mount_row {
	const char *type, *path, *options;
	unsigned long flags;
	mode_t mode; /* of the folder, where it must be made */
	bool needed;
};

static const struct mount_row kernel_rows[] = {
	{ "devtmpfs", "/dev", "mode=0755", MS_NOSUID, 0755, true },
	{ "proc", "/proc", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC, 0555, true },
	{ "sysfs", "/sys", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC, 0555, true },
};

static const struct mount_row rest_rows[] = {
	{ "devpts", "/dev/pts", "gid=5,mode=0620,ptmxmode=0666", MS_NOSUID | MS_NOEXEC, 0755,
	  false },
	{ "tmpfs", "/dev/shm", "mode=1777", MS_NOSUID | MS_NODEV, 01777, false },
	{ "tmpfs", "/run", "mode=0755", MS_NOSUID | MS_NODEV, 0755, true },
	{ "cgroup2", "/sys/fs/cgroup", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC, 0555, false },
};

static void mount_rows(const struct mount_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		/* Where the folder cannot be made, mount(2) says so. */
		(void)mkdir(rows[i].path, rows[i].mode);
		if (!mount(rows[i].type, rows[i].path, rows[i].type, rows[i].flags,
			   rows[i].options) ||
		    errno == EBUSY)
			continue;
		if (rows[i].needed)
			die(errno, "cannot mount %s at %s", rows[i].type, rows[i].path);
		warn(errno, "cannot mount %s at %s", rows[i].type, rows[i].path);
	}
}

void mount_kernel(void)
{
	mount_rows(kernel_rows, sizeof(kernel_rows) / sizeof(kernel_rows[0]));
}

/*
 * The device is found when its driver binds, which for virtio-fs happens within insmod: it is
 * there, or its tag is not served. A server that is still connecting gets a moment.
 */
static int mount_tag(const char *tag, const char *path, unsigned long flags)
{
	const struct timespec pause = { 0, 10 * 1000 * 1000 };

	for (int tries = 0; tries < 200; tries++) {
		if (!mount(tag, path, "virtiofs", flags, NULL)) {
			(void)read_ahead_set_at(path, READ_AHEAD_KIB);
			return 0;
		}
		if (errno != EINVAL && errno != ENODEV)
			break;
		nanosleep(&pause, NULL);
	}
	return -errno;
}

static void remove_initramfs(void)
{
	DIR *dir = opendir(LODGE_RUN_CONF_MODULES);
	struct dirent *entry;

	/* Its files are memory that the guest gets back. */
	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] != '.')
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
	}
	if (dir)
		closedir(dir);
	(void)unlink(LODGE_RUN_CONF_PATH);
	(void)unlink("/init");
}

void mount_root(const struct run_conf *conf)
{
	static const char *const moved[] = { "/dev", "/proc", "/sys" };
	char target[64];
	int ret;

	if (!conf->root)
		return;
	(void)mkdir(LOWER, 0755);
	(void)mkdir(RW, 0755);
	(void)mkdir(NEW_ROOT, 0755);
	ret = mount_tag(conf->root, LOWER, MS_RDONLY);
	if (ret)
		die(-ret, "cannot mount the virtio-fs device '%s' as the root", conf->root);
	if (mount("tmpfs", RW, "tmpfs", 0, "mode=0755,size=75%"))
		die(errno, "cannot mount a tmpfs for what the guest writes");
	if (mkdir(RW "/upper", 0755) || mkdir(RW "/work", 0755))
		die(errno, "cannot make the overlay's folders");
	if (mount("overlay", NEW_ROOT, "overlay", 0,
		  "lowerdir=" LOWER ",upperdir=" RW "/upper,workdir=" RW "/work"))
		die(errno, "cannot mount the overlay over the root");
	for (size_t i = 0; i < sizeof(moved) / sizeof(moved[0]); i++) {
		snprintf(target, sizeof(target), "%s%s", NEW_ROOT, moved[i]);
		(void)mkdir(target, 0755);
		if (mount(moved[i], target, NULL, MS_MOVE, NULL))
			die(errno, "cannot move %s into the root", moved[i]);
	}
	remove_initramfs();
	if (chdir(NEW_ROOT) || mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/"))
		die(errno, "cannot change to the root");
}

/* The server refuses what changes a read-only share; so that open(2) says so as well. */
static void make_read_only(const char *name)
{
	char path[sizeof(SHARES) + 258];

	if (snprintf(path, sizeof(path), "%s/%s", SHARES, name) >= (int)sizeof(path))
		die(ENAMETOOLONG, "share '%s'", name);
	if (mount(path, path, NULL, MS_BIND, NULL))
		die(errno, "cannot mount the share '%s'", name);
	if (mount(NULL, path, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL))
		die(errno, "cannot make the share '%s' read-only", name);
}

/* Whole, as lodged does it in other guests: shares may come later. */
static void mount_shares(const struct run_conf *conf)
{
	int ret;

	if (!conf->shares.n && !conf->read_only_shares.n)
		return;
	(void)mkdir("/mnt", 0755);
	if (mkdir(SHARES, 0755) && errno != EEXIST)
		die(errno, "cannot make %s", SHARES);
	ret = mount_tag(LODGE_RUN_TAG_SHARES, SHARES, MS_NOSUID | MS_NODEV);
	if (ret)
		die(-ret, "cannot mount the shares (virtio-fs device '%s')", LODGE_RUN_TAG_SHARES);
	for (size_t i = 0; i < conf->read_only_shares.n; i++)
		make_read_only(conf->read_only_shares.list[i]);
}

void mount_rest(const struct run_conf *conf)
{
	/* Programs expect these, and only udev would make them. */
	static const char *const links[][2] = {
		{ "/proc/self/fd", "/dev/fd" },
		{ "/proc/self/fd/0", "/dev/stdin" },
		{ "/proc/self/fd/1", "/dev/stdout" },
		{ "/proc/self/fd/2", "/dev/stderr" },
	};

	mount_rows(rest_rows, sizeof(rest_rows) / sizeof(rest_rows[0]));
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		if (symlink(links[i][0], links[i][1]) && errno != EEXIST)
			warn(errno, "cannot make %s", links[i][1]);
	}
	(void)mkdir("/run/lock", 01777);
	mount_shares(conf);
}
