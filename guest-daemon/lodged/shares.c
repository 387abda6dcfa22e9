// SPDX-License-Identifier: GPL-2.0-or-later
// Mounts the host's shares, and makes the links by which users of other tools look for them.
#include "guest-daemon/lodged/shares.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <linux/virtio_ids.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <lodge/fs_device.h>
#include <lodge/fs_notify.h>

#include "guest-daemon/lib/mounts.h"
#include "guest-daemon/lodged/share_changes.h"
#include "protocol/lib/read_ahead.h"

/* For the driver to bind to the device behind modprobe(8). */
#define MOUNT_TRIES    40
#define MOUNT_PAUSE_US 50000

/* ---- the real system ---- */

static void run_program(const char *const argv[])
{
	pid_t pid = fork();

	if (!pid) {
		execv(argv[0], (char *const *)argv);
		_exit(127);
	}
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
}

static void load_modules(void)
{
	static const char *const folders[] = { "/sbin", "/usr/sbin" };

	for (size_t i = 0; i < G_N_ELEMENTS(folders); i++) {
		g_autofree char *modprobe = g_strdup_printf("%s/modprobe", folders[i]);

		if (access(modprobe, X_OK))
			continue;
		run_program((const char *const[]){ modprobe, "-q", "virtiofs", NULL });
		/* It leaves devices alone that virtiofs may have. */
		run_program((const char *const[]){ modprobe, "-q", "lodge_fs", NULL });
		return;
	}
}

int shares_leave_namespace(void)
{
	struct stat ours, first;
	int fd, ret = 0;

	if (stat("/proc/self/ns/mnt", &ours) || stat("/proc/1/ns/mnt", &first))
		return -EXDEV;
	if (ours.st_ino == first.st_ino)
		return 0;
	fd = open("/proc/1/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNS))
		ret = -EXDEV;
	if (fd >= 0)
		close(fd);
	return ret;
}

static int mount_device(const char *path)
{
	int ret = shares_leave_namespace();

	if (ret)
		return ret;
	if (g_mkdir_with_parents(path, 0755))
		return -errno;
	if (mount(SHARES_TAG, path, "virtiofs", MS_NOSUID | MS_NODEV, NULL))
		return -errno;
	(void)read_ahead_set_at(path, READ_AHEAD_KIB);
	return 0;
}

static void make_place(const char *path)
{
	(void)g_mkdir_with_parents(path, 0755);
}

static bool is_read_only(const char *path)
{
	char rules[2];

	return getxattr(path, SHARES_XATTR, rules, sizeof(rules)) == sizeof(rules) &&
	       !memcmp(rules, "ro", sizeof(rules));
}

/* The mount goes by itself when the folder below it does. */
static void seal(const char *path)
{
	if (mount(path, path, NULL, MS_BIND, NULL))
		return;
	(void)mount(NULL, path, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV,
		    NULL);
}

const struct shares_system shares_system = {
	.virtio = "/sys/bus/virtio/devices",
	.filesystems = "/proc/filesystems",
	.mountinfo = "/proc/self/mountinfo",
	.node = LODGE_FS_FOLDER "/" SHARES_TAG,
	.events = LODGE_FS_EVENTS_PATH,
	.mnt = "/mnt",
	.media = "/media",
	.mount = mount_device,
	.load = load_modules,
	.make_place = make_place,
	.is_read_only = is_read_only,
	.seal = seal,
};

/* ---- mounting ---- */

static bool find(const struct shares_system *system, const char *place, struct mount_line *line)
{
	g_autofree char *text = NULL;

	if (!g_file_get_contents(system->mountinfo, &text, NULL, NULL))
		return false;
	return place ? mounts_find_point(text, place, line) : mounts_find_shares(text, line);
}

static bool is_fs(const char *virtio, const char *name)
{
	g_autofree char *path = g_build_filename(virtio, name, "device", NULL);
	g_autofree char *id = NULL;

	return g_file_get_contents(path, &id, NULL, NULL) && strtoul(id, NULL, 16) == VIRTIO_ID_FS;
}

static bool is_free(const char *virtio, const char *name)
{
	g_autofree char *path = g_build_filename(virtio, name, "driver", NULL);

	return access(path, F_OK) != 0;
}

/* A virtio-fs device; @free_one: that no driver has. */
static bool has_device(const struct shares_system *system, bool free_one)
{
	DIR *dir = opendir(system->virtio);
	struct dirent *entry;
	bool found = false;

	while (dir && !found && (entry = readdir(dir)))
		found = entry->d_name[0] != '.' && is_fs(system->virtio, entry->d_name) &&
			(!free_one || is_free(system->virtio, entry->d_name));
	if (dir)
		closedir(dir);
	return found;
}

static bool has_filesystem(const struct shares_system *system)
{
	g_autofree char *text = NULL;

	return g_file_get_contents(system->filesystems, &text, NULL, NULL) &&
	       strstr(text, "\tvirtiofs\n");
}

static int try_virtiofs(const struct shares_system *system, const char *place)
{
	int ret = -EINVAL;

	for (int tries = 0; ret == -EINVAL && tries < MOUNT_TRIES; tries++) {
		if (tries)
			g_usleep(MOUNT_PAUSE_US);
		ret = system->mount(place);
	}
	return ret;
}

static bool has_node(const struct shares_system *system)
{
	return !access(system->node, F_OK);
}

/* mount.lodge can do it. */
static char *leave_to(enum shares_next next, const struct shares_system *system, const char *place,
		      enum shares_next *ret_next)
{
	system->make_place(place);
	*ret_next = next;
	return g_strdup("this kernel has no virtiofs: mount.lodge mounts them");
}

/* NULL, or why it is not mounted. */
static char *mount_shares(const struct shares_system *system, const char *place,
			  enum shares_next *ret_next)
{
	bool driver = has_filesystem(system);
	int ret;

	if (!has_device(system, false))
		return g_strdup("this VM has no device for shares: device.shares in its vm.conf");
	if (!driver && !has_node(system)) {
		system->load();
		driver = has_filesystem(system);
	}
	if (has_node(system))
		return leave_to(SHARES_BY_LODGE_FS, system, place, ret_next);
	ret = driver ? try_virtiofs(system, place) : -ENODEV;
	if (!ret)
		return NULL;
	if (ret == -ENODEV || (ret == -EINVAL && has_device(system, true)))
		return leave_to(SHARES_BY_RPC, system, place, ret_next);
	if (ret == -EINVAL)
		return g_strdup("no virtio-fs device of this VM has the tag " SHARES_TAG);
	if (ret == -EXDEV)
		return g_strdup("lodged's unit has mounts of its own and may not leave them");
	return g_strdup_printf("%s: %s", place, g_strerror(-ret));
}

/* Of mounts that mount.lodge serves: it has died, and nothing answers any more. */
static bool is_dead(const struct mount_line *line)
{
	struct statfs st;

	return strcmp(line->type, "virtiofs") != 0 && statfs(line->point, &st) && errno == ENOTCONN;
}

static bool find_live(const struct shares_system *system, struct mount_line *line)
{
	while (find(system, NULL, line)) {
		if (!is_dead(line))
			return true;
		if (umount2(line->point, MNT_DETACH))
			return false;
	}
	return false;
}

/* ---- links ---- */

/* Whether @path is a link of ours: to @place, or with @below to something in it. */
static bool is_our_link(const char *path, const char *place, bool below)
{
	size_t len = strlen(place);
	char target[PATH_MAX];
	ssize_t got = readlink(path, target, sizeof(target) - 1);

	if (got < 0)
		return false;
	target[got] = '\0';
	return below ? !strncmp(target, place, len) && target[len] == '/' : !strcmp(target, place);
}

static void link_hgfs(const struct shares_system *system, const char *place, bool wanted)
{
	g_autofree char *path = g_build_filename(system->mnt, "hgfs", NULL);

	/* A name that is taken stays as it is: EEXIST. */
	if (wanted)
		(void)!symlink(place, path);
	else if (is_our_link(path, place, false))
		(void)unlink(path);
}

static void link_share(const struct shares_system *system, const char *place, const char *name)
{
	g_autofree char *path = g_strdup_printf("%s/sf_%s", system->media, name);
	g_autofree char *target = g_build_filename(place, name, NULL);

	(void)mkdir(system->media, 0755);
	(void)!symlink(target, path);
}

/* Those of shares that are gone, or all. */
static void drop_links(const struct shares_system *system, const char *place, GHashTable *names)
{
	DIR *dir = opendir(system->media);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		g_autofree char *path = g_build_filename(system->media, entry->d_name, NULL);

		if (!strncmp(entry->d_name, "sf_", 3) && is_our_link(path, place, true) &&
		    !(names && g_hash_table_contains(names, entry->d_name + 3)))
			(void)unlink(path);
	}
	if (dir)
		closedir(dir);
}

static GHashTable *list_shares(const char *place)
{
	GHashTable *names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	struct dirent *entry;
	DIR *dir;

	/* The kernel may list what was there some milliseconds ago, and nobody would look again. */
	share_refresh(AT_FDCWD, place);
	dir = opendir(place);
	while (dir && (entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			g_hash_table_add(names, g_strdup(entry->d_name));
	}
	if (dir)
		closedir(dir);
	return names;
}

static void seal_shares(const struct shares_system *system, const char *place, GHashTable *names)
{
	g_autofree struct mount_line *line = g_new0(struct mount_line, 1);
	GHashTableIter iter;
	gpointer name;

	g_hash_table_iter_init(&iter, names);
	while (g_hash_table_iter_next(&iter, &name, NULL)) {
		g_autofree char *path = g_build_filename(place, name, NULL);

		if (system->is_read_only(path) && !find(system, path, line))
			system->seal(path);
	}
}

/* @names: of the shares; NULL: they are not mounted. */
static void keep_links(const struct shares_system *system, const struct shares_wish *wish,
		       const char *place, GHashTable *names)
{
	GHashTableIter iter;
	gpointer name;

	link_hgfs(system, place, names && wish->link_hgfs);
	drop_links(system, place, wish->link_sf ? names : NULL);
	if (!names || !wish->link_sf)
		return;
	g_hash_table_iter_init(&iter, names);
	while (g_hash_table_iter_next(&iter, &name, NULL))
		link_share(system, place, name);
}

/* ---- all ---- */

bool shares_may_hang(const struct shares_system *system)
{
	g_autofree struct mount_line *line = g_new0(struct mount_line, 1);

	return has_device(system, false) || find(system, NULL, line);
}

enum shares_next shares_look(const struct shares_system *system, const struct shares_wish *wish,
			     struct fields_builder *out)
{
	enum shares_next next = SHARES_NOTHING;
	const char *place = wish->place ? wish->place : SHARES_PLACE;
	g_autofree struct mount_line *line = g_new0(struct mount_line, 1);
	g_autofree char *why = NULL;
	bool mounted = find_live(system, line);
	g_autoptr(GHashTable) names = NULL;
	struct statfs st;

	/* Wherever somebody has mounted them: that is where they are. */
	if (mounted) {
		place = line->point;
	} else if (!wish->place) {
		why = g_strdup("tools.conf says so: shares.mount");
	} else if (find(system, place, line)) {
		why = g_strdup_printf("%s is taken: %s is mounted there", place, line->type);
	} else {
		why = mount_shares(system, place, &next);
		mounted = !why && find(system, NULL, line);
	}
	names = mounted ? list_shares(place) : NULL;
	if (names)
		seal_shares(system, place, names);
	keep_links(system, wish, place, names);
	fields_add(out, "part", "shares");
	if (mounted) {
		fields_add(out, "mount", line->point);
		fields_add(out, "by", mounts_transport(line->type)->name);
		fields_add(out, "changes", access(system->events, W_OK) ? "asked" : "raised");
		if (statfs(line->point, &st))
			why = g_strdup_printf("it answers: %s", g_strerror(errno));
	}
	if (why)
		fields_add(out, "why", why);
	return next;
}
