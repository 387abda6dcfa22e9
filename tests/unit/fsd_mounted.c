// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lodge-fsd behind this machine's own FUSE driver: no guest, no virtio, and the whole of the kernel
 * above it. What fs-conform and fs-random say there is what they say of the folder that is served.
 *
 * fsd_mounted FOLDER PLACE COMMAND [ARGUMENT]... mounts FOLDER at PLACE for COMMAND, in a mount
 * namespace of its own: for any suite of tests that wants a mounted file system. FSD_USER=UID in
 * the environment makes the server that user's, with an exact share.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "shared-fs/server/ops.h"
#include "shared-fs/server/sandbox.h"
#include "tests/unit/unit.h"

#define SERVER_THREADS 4
#define SOMEBODY       65534
#define MESSAGE_MAX    ((1u << 20) + 4096)

struct place {
	const char *folder;
	const char *mount;
	int fuse_fd;
	uid_t user; /* whose server it is, with an exact share; 0: root's */
	struct fs *fs;
	pid_t server;
};

/* One request after the other, until the mount is gone. */
static void *serve(void *arg)
{
	const struct place *place = arg;
	struct scratch *scratch = calloc(1, sizeof(*scratch));
	uint8_t *message = malloc(MESSAGE_MAX);
	uint8_t *reply = malloc(MESSAGE_MAX);
	ssize_t len;

	while (scratch && message && reply) {
		struct iovec iov[3];
		struct request req;
		uint32_t written;
		size_t head;

		len = read(place->fuse_fd, message, MESSAGE_MAX);
		if (len < 0 && (errno == EINTR || errno == ENOENT || errno == EAGAIN))
			continue;
		if (len < 0)
			break; /* ENODEV */
		head = (size_t)len < sizeof(struct fuse_in_header) ? (size_t)len
								   : sizeof(struct fuse_in_header);
		iov[0] = (struct iovec){ message, head };
		iov[1] = (struct iovec){ message + head, (size_t)len - head };
		iov[2] = (struct iovec){ reply, MESSAGE_MAX };
		fs_request(&req, place->fs, scratch, iov, 2, (size_t)len, 1, MESSAGE_MAX, true,
			   &written);
		if (written && write(place->fuse_fd, reply, written) < 0 && errno != ENOENT)
			perror("a reply that the kernel does not take");
	}
	free(scratch);
	free(message);
	free(reply);
	return NULL;
}

static int become(uid_t user)
{
	if ((setgroups(0, NULL) && errno != EPERM) || setresgid(user, user, user) ||
	    setresuid(user, user, user))
		return -errno;
	/* Or its descriptors in /proc would be root's. */
	return prctl(PR_SET_DUMPABLE, 1) ? -errno : 0;
}

/* In the server's process. */
static int run_server(struct place *place)
{
	const struct owner_map rules = { .exact = place->user };
	struct fs_config config = { .fd_limit = 2000 };
	struct sandbox sandbox = { .mode = SANDBOX_NONE };
	pthread_t threads[SERVER_THREADS];
	int fd = open(place->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);

	umask(0);
	if (place->user && become(place->user))
		return 1;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (fs_create(&config, &place->fs) ||
	    fs_share_add(place->fs, "share", fd, false, &rules, true) || chdir("/proc") ||
	    fs_attach(place->fs) || sandbox_seal(&sandbox, NULL, NULL, 0))
		return 1;
	place->fs->switch_ids = sandbox.can_switch_ids;
	for (size_t i = 0; i < SERVER_THREADS; i++) {
		if (pthread_create(&threads[i], NULL, serve, place))
			return 1;
	}
	for (size_t i = 0; i < SERVER_THREADS; i++)
		pthread_join(threads[i], NULL);
	fs_destroy(place->fs);
	return 0;
}

/* 0, or an error where mounts of FUSE are not to be had. */
static int mount_it(struct place *place)
{
	char options[128];

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return -errno;
	place->fuse_fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (place->fuse_fd < 0)
		return -errno;
	snprintf(options, sizeof(options),
		 "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions",
		 place->fuse_fd);
	if (mount("fsd", place->mount, "fuse", MS_NOSUID | MS_NODEV, options))
		return -errno;
	place->server = fork();
	if (!place->server)
		_exit(run_server(place));
	close(place->fuse_fd);
	return place->server < 0 ? -errno : 0;
}

/* The server's exit status. */
static int unmount_it(const struct place *place)
{
	int status = -1;

	umount2(place->mount, MNT_DETACH);
	waitpid(place->server, &status, 0);
	return status;
}

static int run(char *const *argv)
{
	int status = -1;
	pid_t child = fork();

	if (!child) {
		execvp(argv[0], argv);
		perror(argv[0]);
		_exit(127);
	}
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int mount_for(char **argv)
{
	struct place place = { .folder = argv[0], .mount = argv[1] };
	const char *user = getenv("FSD_USER");
	int ret;

	place.user = user ? (uid_t)strtoul(user, NULL, 10) : 0;
	ret = mount_it(&place);

	if (ret) {
		fprintf(stderr, "fsd_mounted: %s\n", strerror(-ret));
		return 1;
	}
	ret = run(argv + 2);
	return unmount_it(&place) ? 99 : ret;
}

/* ---- the tests ---- */

/* A program of BUILD/guest, this being BUILD/unit/fsd_mounted. */
static void guest_program(char path[PATH_MAX], const char *name)
{
	ssize_t len = readlink("/proc/self/exe", path, PATH_MAX - 64);

	ck_assert_int_gt(len, 0);
	path[len] = 0;
	strcpy(strrchr(path, '/'), "/../guest/");
	strcat(path, name);
}

struct rig {
	char top[64];
	char folder[80];
	char control[80]; /* beside it */
	char mount[80];
	struct place place;
};

/* Linux from 6.1 on, which Lodge's guests have in its tests: what drivers before it do by
 * themselves is not meant here. */
static bool driver_is_new(void)
{
	struct utsname name;
	int major = 0;
	int minor = 0;

	return !uname(&name) && sscanf(name.release, "%d.%d", &major, &minor) == 2 &&
	       (major > 6 || (major == 6 && minor >= 1));
}

/* As @user's server, whose folder needs attributes; 0: root's. */
static int mount_for_test(struct rig *rig, uid_t user)
{
	rig->place = (struct place){ .folder = rig->folder, .mount = rig->mount, .user = user };
	if (geteuid())
		return -EPERM;
	if (!driver_is_new())
		return -ENOSYS;
	if (user &&
	    (chown(rig->folder, user, user) || setxattr(rig->folder, "user.probe", "1", 1, 0) ||
	     removexattr(rig->folder, "user.probe")))
		return -errno;
	return mount_it(&rig->place);
}

/* False where there are no mounts of FUSE: the folder alone is there then. */
static bool begin_as(struct rig *rig, uid_t user)
{
	int ret;

	strcpy(rig->top, "/tmp/lodge-fsd-mount.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(rig->top));
	ck_assert_int_eq(chmod(rig->top, 0755), 0);
	snprintf(rig->folder, sizeof(rig->folder), "%s/own", rig->top);
	snprintf(rig->control, sizeof(rig->control), "%s/control", rig->top);
	snprintf(rig->mount, sizeof(rig->mount), "%s/mounted", rig->top);
	ck_assert_int_eq(mkdir(rig->folder, 0777), 0);
	ck_assert_int_eq(mkdir(rig->control, 0777), 0);
	ck_assert_int_eq(mkdir(rig->mount, 0777), 0);
	ret = mount_for_test(rig, user);
	if (ret)
		printf("not tried: a mount of FUSE: %s\n", strerror(-ret));
	return !ret;
}

static bool begin(struct rig *rig)
{
	return begin_as(rig, 0);
}

static void end(const struct rig *rig, bool mounted)
{
	char command[128];

	if (mounted)
		ck_assert_int_eq(unmount_it(&rig->place), 0);
	snprintf(command, sizeof(command), "rm -rf %s", rig->top);
	ck_assert_int_eq(system(command), 0);
}

/* What fs-conform says of each case: "ok" or "not ok", a number, a name. */
static FILE *conform(const char *folder)
{
	char program[PATH_MAX];
	char command[PATH_MAX + 256];
	FILE *said;

	guest_program(program, "fs-conform");
	snprintf(command, sizeof(command), "'%s' -n 300 '%s'", program, folder);
	said = popen(command, "re");
	ck_assert_ptr_nonnull(said);
	return said;
}

/* The next line of a case: @line of 512. False at the end. */
static bool next_case(FILE *said, char line[512])
{
	/* Why a case failed or was skipped is on lines of its own. */
	while (fgets(line, 512, said)) {
		if (!strncmp(line, "ok ", 3) || !strncmp(line, "not ok ", 7))
			return true;
	}
	return false;
}

/* A file system that lacks something lacks it through the server, too; all else conforms, but for
 * the cases @spared (NULL: none). */
static void compare_cases(const struct rig *rig, const char *const spared[2])
{
	FILE *said[2] = { conform(rig->control), conform(rig->mount) };
	char own[512], mounted[512], name[64];
	int n = 0;

	for (; next_case(said[0], own); n++) {
		char why[512] = "";

		ck_assert(next_case(said[1], mounted));
		if (strncmp(own, "ok ", 3) || !strncmp(mounted, "ok ", 3))
			continue;
		ck_assert_int_eq(sscanf(mounted, "not ok %*d %63s", name), 1);
		ck_assert_ptr_nonnull(fgets(why, sizeof(why), said[1]));
		if (!spared || (strcmp(name, spared[0]) != 0 && strcmp(name, spared[1]) != 0))
			ck_abort_msg("%s%s", mounted, why);
	}
	ck_assert_int_gt(n, 40);
	pclose(said[0]);
	pclose(said[1]);
}

START_TEST(calls_conform_as_without_it)
{
	struct rig rig;
	bool mounted = begin(&rig);

	if (mounted)
		compare_cases(&rig, NULL);
	end(&rig, mounted);
}
END_TEST

/* Owners, modes and devices are kept beside files that belong to its user, but for the owners of
 * symbolic links, which have no attributes. */
START_TEST(calls_conform_by_an_ordinary_users_server)
{
	static const char *const owners_of_links[2] = { "owners", "new-owners" };
	struct rig rig;
	bool mounted = begin_as(&rig, SOMEBODY);

	if (mounted)
		compare_cases(&rig, owners_of_links);
	end(&rig, mounted);
}
END_TEST

START_TEST(a_busy_folder_is_listed_whole)
{
	char program[PATH_MAX];
	struct rig rig;
	bool mounted = begin(&rig);
	char *argv[] = { program, rig.mount, (char *)"busy-folder", NULL };

	guest_program(program, "fs-conform");
	if (mounted)
		ck_assert_int_eq(run(argv), 0);
	end(&rig, mounted);
}
END_TEST

START_TEST(random_calls_agree)
{
	char program[PATH_MAX];
	char file[128];
	char seed[16];
	char *argv[] = { program, (char *)"-n", (char *)"3000", (char *)"-s", seed, file, NULL };
	struct rig rig;
	bool mounted = begin(&rig);

	guest_program(program, "fs-random");
	snprintf(file, sizeof(file), "%s/f", rig.mount);
	snprintf(seed, sizeof(seed), "%d", _i + 1);
	if (mounted)
		ck_assert_int_eq(run(argv), 0);
	end(&rig, mounted);
}
END_TEST

/* ---- trees of many small files ---- */

#define PROGRAMS "tests/vm/fs/programs.sh" /* from where make runs the tests */

/* The most memory that the server ever had, in KiB: with what ASan takes. */
static long memory_peak(pid_t server)
{
	char path[64], line[128];
	long kib = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)server);
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file))
		(void)!sscanf(line, "VmHWM: %ld", &kib);
	fclose(file);
	return kib;
}

static FILE *use_tree(const char *folder)
{
	const char *size = getenv("TREE_SIZE");
	char command[256];
	FILE *said;

	snprintf(command, sizeof(command), "bash " PROGRAMS " '%s' %d tree 2>&1 | grep -v '^# '",
		 folder, size ? atoi(size) : 4);
	said = popen(command, "re");
	ck_assert_ptr_nonnull(said);
	return said;
}

/* find, tar, git and rm on 250 times TREE_SIZE files: as in a folder of this machine. */
START_TEST(trees_are_as_without_it)
{
	char own[512], mounted[512];
	struct rig rig;
	FILE *said[2];
	int n = 0;

	if (access(PROGRAMS, R_OK) || system("command -v git tar >/dev/null")) {
		printf("not tried: no " PROGRAMS ", or no git and tar\n");
		return;
	}
	if (!begin(&rig)) {
		end(&rig, false);
		return;
	}
	said[0] = use_tree(rig.control);
	said[1] = use_tree(rig.mount);
	for (; fgets(own, sizeof(own), said[0]); n++) {
		ck_assert_ptr_nonnull(fgets(mounted, sizeof(mounted), said[1]));
		ck_assert_str_eq(mounted, own);
	}
	ck_assert_int_eq(n, 7);
	ck_assert_int_eq(pclose(said[0]), 0);
	ck_assert_int_eq(pclose(said[1]), 0);
	ck_assert_int_lt(memory_peak(rig.place.server), 128 << 10);
	end(&rig, true);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *suite;
	TCase *tests;

	if (argc > 3)
		return mount_for(argv + 1);
	suite = suite_create("fsd_mounted");
	tests = tcase_create("mounted");
	tcase_set_timeout(tests, getenv("TREE_SIZE") ? 600 : 120);
	tcase_add_test(tests, calls_conform_as_without_it);
	tcase_add_test(tests, calls_conform_by_an_ordinary_users_server);
	tcase_add_test(tests, a_busy_folder_is_listed_whole);
	tcase_add_loop_test(tests, random_calls_agree, 0, 3);
	tcase_add_test(tests, trees_are_as_without_it);
	suite_add_tcase(suite, tests);
	return unit_run(suite);
}
