// SPDX-License-Identifier: GPL-2.0-or-later
// The lab's file systems: the machine's own root, read-only over 9p, below a throw-away overlay.
#include "tests/lab/init.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lab/job.h"

#define P9_OPTIONS "trans=virtio,version=9p2000.L,msize=512000,"

struct mount_row {
	const char *type;
	const char *dir;
	unsigned long flags;
	const char *data;
};

static const struct mount_row early[] = {
	{ "proc", "/proc", 0, NULL },
	{ "sysfs", "/sys", 0, NULL },
	{ "devtmpfs", "/dev", 0, NULL },
};

/* Those that a kernel may lack are marked by MS_SILENT. */
static const struct mount_row late[] = {
	{ "proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL },
	{ "sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL },
	{ "debugfs", "/sys/kernel/debug", MS_SILENT, "mode=755" },
	{ "tracefs", "/sys/kernel/tracing", MS_SILENT, "mode=755" },
	{ "cgroup2", "/sys/fs/cgroup", MS_SILENT, NULL },
	{ "devtmpfs", "/dev", MS_NOSUID, NULL },
	{ "devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "mode=620,gid=5,ptmxmode=666" },
	{ "tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777" },
	{ "tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=755" },
	{ "tmpfs", "/tmp", MS_NOSUID | MS_NODEV, "mode=1777" },
};

static void make_dirs(const char *path, mode_t mode)
{
	char *copy = strdup(path);

	if (!copy)
		die("out of memory for", path);
	for (char *p = copy + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		mkdir(copy, 0755);
		*p = '/';
	}
	mkdir(copy, mode);
	free(copy);
}

static void mount_rows(const struct mount_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct mount_row *r = &rows[i];

		make_dirs(r->dir, 0755);
		if (mount(r->type, r->dir, r->type, r->flags & ~MS_SILENT, r->data) < 0 &&
		    !(r->flags & MS_SILENT))
			die("cannot mount", r->dir);
	}
}

void mount_initramfs(void)
{
	mount_rows(early, sizeof(early) / sizeof(early[0]));
}

static void mount_overlay(void)
{
	make_dirs("/mnt/lower", 0755);
	make_dirs("/mnt/rw", 0755);
	make_dirs("/mnt/root", 0755);
	if (mount(LAB_TAG_ROOT, "/mnt/lower", "9p", MS_RDONLY, P9_OPTIONS "cache=loose") < 0)
		die("cannot mount the machine's root", LAB_TAG_ROOT);
	if (mount("tmpfs", "/mnt/rw", "tmpfs", 0, "mode=755,size=75%") < 0)
		die("cannot mount", "/mnt/rw");
	make_dirs("/mnt/rw/up", 0755);
	make_dirs("/mnt/rw/work", 0755);
	if (mount("overlay", "/mnt/root", "overlay", 0,
		  "lowerdir=/mnt/lower,upperdir=/mnt/rw/up,workdir=/mnt/rw/work") < 0)
		die("cannot mount", "overlay");
}

static void fill_dev(void)
{
	static const char *const open_to_all[] = { "/dev/kvm", "/dev/fuse", "/dev/net/tun",
						   "/dev/vhost-vsock", "/dev/vhost-net" };
	static const char *const links[][2] = {
		{ "/proc/self/fd", "/dev/fd" },
		{ "/proc/self/fd/0", "/dev/stdin" },
		{ "/proc/self/fd/1", "/dev/stdout" },
		{ "/proc/self/fd/2", "/dev/stderr" },
	};

	for (size_t i = 0; i < sizeof(open_to_all) / sizeof(open_to_all[0]); i++)
		chmod(open_to_all[i], 0666);
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (symlink(links[i][0], links[i][1]) < 0 && errno != EEXIST)
			die("cannot make", links[i][1]);
}

static void make_user_dirs(const struct lab_job *job)
{
	char path[64];

	make_dirs("/run/lock", 01777);
	snprintf(path, sizeof(path), "/run/user/%u", job->uid);
	make_dirs(path, 0700);
	if (chown(path, job->uid, job->gid) < 0)
		die("cannot chown", path);
	for (char **e = job->env; *e; e++) {
		const char *home = strncmp(*e, "HOME=/", 6) ? NULL : *e + 5;

		if (home && access(home, F_OK) < 0) {
			make_dirs(home, 0700);
			if (chown(home, job->uid, job->gid) < 0)
				die("cannot chown", home);
		}
	}
}

/* COMMAND's user may pass the folders above @dir, as if the tree lay where all can go: in the
 * machine it may lie in root's home. The root here is thrown away. */
static void open_way_to(const char *dir)
{
	char path[PATH_MAX];
	struct stat st;

	if (snprintf(path, sizeof(path), "%s", dir) >= (int)sizeof(path))
		return;
	for (char *slash = strrchr(path, '/'); slash && slash != path; slash = strrchr(path, '/')) {
		*slash = '\0';
		if (stat(path, &st) == 0 && !(st.st_mode & S_IXOTH))
			chmod(path, (st.st_mode & 07777) | S_IXOTH);
	}
}

void enter_root(const struct lab_job *job)
{
	int see[LAB_SEE_MAX];
	char path[64];

	mount_overlay();
	if (chdir("/mnt/root") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
	    chdir("/") < 0)
		die("cannot enter", "the root");
	for (size_t i = 0; i < job->n_see; i++)
		see[i] = open(job->see[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
	mount_rows(late, sizeof(late) / sizeof(late[0]));
	fill_dev();
	for (size_t i = 0; i < job->n_see; i++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", see[i]);
		make_dirs(job->see[i], 0755);
		if (see[i] < 0 || mount(path, job->see[i], NULL, MS_BIND | MS_REC, NULL) < 0)
			die("cannot show", job->see[i]);
		close(see[i]);
		open_way_to(job->see[i]);
	}
	open_way_to(job->cwd);
	if (job->results) {
		make_dirs(job->results, 0755);
		if (mount(LAB_TAG_RESULTS, job->results, "9p", 0, P9_OPTIONS "cache=mmap") < 0)
			die("cannot mount", job->results);
	}
	make_user_dirs(job);
}

void leave_results(const struct lab_job *job)
{
	sync();
	if (job->results && umount2(job->results, 0) < 0)
		umount2(job->results, MNT_DETACH);
}
