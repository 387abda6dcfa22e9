// SPDX-License-Identifier: GPL-2.0-or-later
/* The virtio-fs device with back ends that come, serve, die and come back. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host-vmm/virtio/fs.h"
#include "tests/unit/fsd_child.h"
#include "tests/unit/vhost_user_requests.h"
#include "tests/unit/unit.h"

#define SIZE	 128
#define RING	 0x100000ull
#define FEATURES (1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_INDIRECT_DESC)

static struct rig rig;
static struct rig_ring ring;
static char folder[64];

static void setup(void)
{
	rig = (struct rig){ 0 };
	strcpy(folder, "/tmp/lodge-fs-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	rig_create(&rig);
}

static void teardown(void)
{
	rig_destroy(&rig);
	rmdir(folder);
}

/* ---- the device with a real lodge-fsd ---- */

static struct device *device;
static struct rig_driver driver;
static struct rig_ring hiprio;
static struct vm_share share;
static char why[FS_WHY_MAX];

static void add_device(void)
{
	device = rig_add_device(&rig, &virtio_fs_type, 0);
	ck_assert_ptr_nonnull(device);
	rig.machine.devices = &device;
	rig.machine.n_devices = 1;
}

/* With nothing to serve. */
static void setup_idle(void)
{
	setup();
	fsd_child_find();
	rig.config.shares_device = true;
	add_device();
}

static void setup_device(void)
{
	setup();
	fsd_child_find();
	share = (struct vm_share){ .name = (char *)"docs",
				   .path = folder,
				   .rules.owner.kind = VM_OWNER_EXACT };
	rig.config.shares = &share;
	rig.config.n_shares = 1;
	add_device();
}

static void teardown_device(void)
{
	rig_remove_device(device);
	teardown();
}

static void drive(void)
{
	rig_probe(&rig, 1, &driver);
	ck_assert(rig_negotiate(&driver, FEATURES));
	rig_queue(&hiprio, &driver, 0, RING + 0x10000, SIZE);
	rig_queue(&ring, &driver, 1, RING, SIZE);
	rig_driver_ok(&driver);
	ck_assert_uint_eq(rig_status(&driver) & VIRTIO_CONFIG_S_NEEDS_RESET, 0);
}

static void call(unsigned int i, uint32_t opcode, const void *body, size_t len)
{
	uint16_t head = ask(&ring, i, opcode, body, len);

	rig_kick(&ring);
	assert_taken(&ring, head);
}

static void init_session(unsigned int i)
{
	struct fuse_init_in init = { .major = 7, .minor = 36, .max_readahead = 4096 };

	call(i, FUSE_INIT, &init, sizeof(init));
	assert_answer(&rig, i, 0);
}

static void lookup(unsigned int i)
{
	call(i, FUSE_LOOKUP, "docs", 5);
}

START_TEST(test_device_serves)
{
	drive();
	ck_assert_uint_eq(rig_config(&driver, 36, 4), 1);
	ck_assert_uint_eq(rig_config(&driver, 0, 4), 'l' | 'o' << 8 | 'd' << 16 | 'g' << 24);
	init_session(0);
	lookup(1);
	assert_answer(&rig, 1, 0);
	ck_assert(rig_raised(&driver, 2));
	/* Another life of the driver. */
	drive();
	init_session(2);
	lookup(3);
	assert_answer(&rig, 3, 0);
}
END_TEST

static void note_share(void *opaque, const struct fs_share_info *info)
{
	char *names = opaque;

	ck_assert_str_eq(info->path, folder);
	strcat(strcat(names, info->name), info->rules.read_only ? ":ro " : " ");
}

static void look_for(unsigned int i, const char *name, int error)
{
	call(i, FUSE_LOOKUP, name, strlen(name) + 1);
	assert_answer(&rig, i, error);
}

START_TEST(test_shares_come_and_go)
{
	struct fs_share_info later = { .name = "a b%=c", .path = folder, .rules.read_only = true };
	struct fs_share_info bad = { .name = "x\ny", .path = folder };
	char names[256] = "";

	drive();
	init_session(0);
	ck_assert_int_eq(fs_share_add(&rig.machine, &later, open(folder, O_PATH), why), 0);
	ck_assert_int_eq(fs_share_add(&rig.machine, &later, open(folder, O_PATH), why), -EEXIST);
	ck_assert_int_eq(fs_share_add(&rig.machine, &bad, open(folder, O_PATH), why), -EINVAL);
	bad.name = "file";
	ck_assert_int_eq(fs_share_add(&rig.machine, &bad, open("/dev/null", O_PATH), why),
			 -ENOTDIR);
	ck_assert_int_eq(fs_share_remove(&rig.machine, "none", why), -ENOENT);
	look_for(1, "a b%=c", 0);
	ck_assert_int_eq(fs_share_remove(&rig.machine, "docs", why), 0);
	ck_assert_int_eq(fs_share_remove(&rig.machine, "docs", why), -ENOENT);
	look_for(2, "docs", -ENOENT);
	/* A new one knows what changed. */
	fsd_child_kill_whole();
	lookup(3);
	init_session(4);
	look_for(5, "docs", -ENOENT);
	look_for(6, "a b%=c", 0);
	ck_assert_int_eq(fs_share_each(&rig.machine, note_share, names), 0);
	ck_assert_str_eq(names, "a b%=c:ro ");
	/* The name is free again. */
	later.name = "docs";
	ck_assert_int_eq(fs_share_add(&rig.machine, &later, open(folder, O_PATH), why), 0);
	look_for(7, "docs", 0);
	ck_assert_int_eq(fs_share_remove(&rig.machine, "docs", why), 0);
	look_for(8, "docs", -ENOENT);
}
END_TEST

START_TEST(test_no_shares)
{
	struct fs_share_info info = { .name = "x", .path = folder };

	rig.config.n_shares = 0;
	ck_assert_int_eq(fs_share_add(&rig.machine, &info, open(folder, O_PATH), why), -ENODEV);
	ck_assert_int_eq(fs_share_remove(&rig.machine, "x", why), -ENODEV);
	ck_assert_int_eq(fs_share_each(&rig.machine, note_share, NULL), -ENODEV);
}
END_TEST

START_TEST(test_a_folder_that_is_gone_takes_no_other_share_away)
{
	char gone[] = "/tmp/fs-gone-XXXXXX";
	struct vm_share shares[2] = { { .name = (char *)"gone", .path = gone },
				      { .name = (char *)"docs", .path = folder } };

	ck_assert_ptr_nonnull(mkdtemp(gone));
	rig.config.shares = shares;
	rig.config.n_shares = 2;
	fsd_child_find();
	add_device();
	drive();
	init_session(0);
	look_for(1, "gone", 0);
	ck_assert_int_eq(rmdir(gone), 0);
	fsd_child_kill_whole();
	lookup(2);
	init_session(3);
	look_for(4, "gone", -ENOENT);
	look_for(5, "docs", 0);
	rig_remove_device(device);
}
END_TEST

/* In a chroot, and in most containers, lodge-fsd has landlock alone, which takes no share later. */
static bool has_namespaces(void)
{
	int status;
	pid_t child = fork();

	if (!child)
		_exit(unshare(CLONE_NEWNS | (geteuid() ? CLONE_NEWUSER : 0)) ||
		      mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL));
	return waitpid(child, &status, 0) == child && !status;
}

START_TEST(test_without_shares_nothing_runs_before_the_driver)
{
	struct fs_share_info info = { .name = "docs", .path = folder };
	pid_t starter = fsd_child_of(getpid());

	ck_assert_int_gt(starter, 0);
	ck_assert_int_eq(fsd_child_of(starter), 0);
	ck_assert_int_eq(fs_share_add(&rig.machine, &info, open(folder, O_PATH), why), 0);
	ck_assert_int_eq(fsd_child_of(starter), 0);
	drive();
	ck_assert_int_gt(fsd_child_of(starter), 0);
	init_session(0);
	if (!has_namespaces())
		return;
	look_for(1, "docs", 0);
	ck_assert_int_eq(fs_share_remove(&rig.machine, "docs", why), 0);
	look_for(2, "docs", -ENOENT);
}
END_TEST

START_TEST(test_device_survives_the_death_of_its_server)
{
	pid_t first, second;

	drive();
	init_session(0);
	first = fsd_child_server();
	ck_assert_int_gt(first, 0);
	ck_assert_int_eq(kill(first, SIGKILL), 0);
	/* The session goes on. */
	lookup(1);
	assert_answer(&rig, 1, 0);
	second = fsd_child_server();
	ck_assert_int_gt(second, 0);
	ck_assert_int_ne(first, second);
}
END_TEST

START_TEST(test_device_survives_the_loss_of_lodge_fsd)
{
	drive();
	init_session(0);
	fsd_child_kill_whole();
	/* Whoever answers, somebody does. */
	lookup(1);
	init_session(2);
	lookup(3);
	assert_answer(&rig, 3, 0);
}
END_TEST

/* Whether a server comes back within a retry or two. */
static bool served_again(unsigned int i)
{
	for (int tries = 0; tries < 25; tries++) {
		lookup(i);
		if (answer(&rig, i).error != -ENOTCONN)
			return true;
		poll(NULL, 0, 100);
	}
	return false;
}

START_TEST(test_device_gives_up_on_a_server_that_keeps_dying)
{
	unsigned int deaths = 0;

	drive();
	do {
		fsd_child_kill_whole();
		/* The first answer tells that the death was seen. */
		lookup(2 * deaths);
	} while (served_again(2 * deaths + 1) && ++deaths < 10);
	/* One that dies before it has said a word counts like the others. */
	ck_assert_uint_ge(deaths, 2);
	ck_assert_uint_le(deaths, FS_RESTARTS_MAX);
	lookup(30);
	assert_answer(&rig, 30, -ENOTCONN);
	/* A new life of the driver forgives. */
	drive();
	init_session(31);
}
END_TEST

/* Ended, and perhaps not yet waited for by whoever inherited it. */
static bool is_dead(pid_t pid)
{
	char path[64], line[256] = "";
	const char *state;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "r");
	if (!file)
		return true;
	state = fgets(line, sizeof(line), file) ? strrchr(line, ')') : NULL;
	fclose(file);
	return !state || state[2] == 'Z' || state[2] == 'X';
}

START_TEST(test_device_ends_a_frozen_server)
{
	pid_t pid;

	drive();
	init_session(0);
	pid = fsd_child_server();
	kill(pid, SIGSTOP);
	/* The reset waits its 5 s, then the process is ended for sure. */
	rig_negotiate(&driver, FEATURES);
	for (int tries = 0; !is_dead(pid); tries++) {
		ck_assert_int_lt(tries, 1000);
		poll(NULL, 0, 10);
	}
	drive();
	init_session(1);
	lookup(2);
	assert_answer(&rig, 2, 0);
}
END_TEST

/* ---- the device with somebody else's virtiofsd ---- */

/* Debian's qemu-system-common 7.2; runs as root alone. */
#define VIRTIOFSD "/usr/lib/qemu/virtiofsd"

static struct vm_fs stranger;
static char socket_path[96];

static struct child start_virtiofsd(void)
{
	char socket_arg[128], source_arg[128];
	/* Its own mount namespace and more open files are refused inside containers. */
	char *argv[] = { (char *)VIRTIOFSD,
			 socket_arg,
			 (char *)"-o",
			 source_arg,
			 (char *)"-o",
			 (char *)"sandbox=chroot",
			 (char *)"--rlimit-nofile=0",
			 (char *)"-f",
			 NULL };
	struct child child;

	unlink(socket_path);
	snprintf(socket_arg, sizeof(socket_arg), "--socket-path=%s", socket_path);
	snprintf(source_arg, sizeof(source_arg), "source=%s", folder);
	ck_assert_int_eq(spawn_child(VIRTIOFSD, argv, NULL, 0, &child), 0);
	for (int i = 0; i < 5000 && access(socket_path, F_OK); i++)
		poll(NULL, 0, 1);
	return child;
}

/* It wants more of the kernel than some containers allow. */
static bool has_ended(const struct child *child)
{
	struct pollfd polled = { .fd = child->pidfd, .events = POLLIN };

	return poll(&polled, 1, 0) == 1;
}

/* The retry comes each second. */
static void ask_until_served(unsigned int i)
{
	for (int tries = 0; tries < 50; tries++) {
		struct fuse_init_in init = { .major = 7, .minor = 31 };

		call(i, FUSE_INIT, &init, sizeof(init));
		if (!answer(&rig, i).error)
			return;
		assert_answer(&rig, i, -ENOTCONN);
		poll(NULL, 0, 100);
	}
	ck_abort_msg("nobody serves");
}

START_TEST(test_device_with_virtiofsd)
{
	struct child child;

	if (access(VIRTIOFSD, X_OK) || geteuid())
		return;
	snprintf(socket_path, sizeof(socket_path), "%s/.socket", folder);
	child = start_virtiofsd();
	stranger = (struct vm_fs){ .tag = (char *)"theirs", .socket = socket_path };
	rig.config.fs = &stranger;
	rig.config.n_fs = 1;
	/* The socket is there a moment before anybody listens. */
	for (int tries = 0; !(device = rig_add_device(&rig, &virtio_fs_type, 0)); tries++) {
		if (has_ended(&child)) {
			fprintf(stderr, "skipped: virtiofsd does not run here\n");
			spawn_end(&child, 0, NULL);
			return;
		}
		ck_assert_int_lt(tries, 1000);
		poll(NULL, 0, 20);
	}
	drive();
	ask_until_served(0);
	call(1, FUSE_GETATTR, &(struct fuse_getattr_in){ 0 }, sizeof(struct fuse_getattr_in));
	assert_answer(&rig, 1, 0);
	/* Another life of the driver on the same connection. */
	drive();
	ask_until_served(2);
	/* It dies: errors, until a new one is there. */
	spawn_end(&child, 0, NULL);
	child = start_virtiofsd();
	ask_until_served(3);
	spawn_end(&child, 0, NULL);
	/* Its child in the sandbox lives a moment longer. */
	do {
		call(4, FUSE_GETATTR, &(struct fuse_getattr_in){ 0 },
		     sizeof(struct fuse_getattr_in));
	} while (!answer(&rig, 4).error);
	rig_remove_device(device);
	unlink(socket_path);
}
END_TEST

START_TEST(test_device_without_back_end)
{
	char long_tag[64];

	fsd_child_find();
	memset(long_tag, 'x', sizeof(long_tag) - 1);
	long_tag[sizeof(long_tag) - 1] = 0;
	stranger = (struct vm_fs){ .tag = (char *)"theirs", .socket = (char *)"/nonexistent" };
	rig.config.fs = &stranger;
	rig.config.n_fs = 1;
	ck_assert_ptr_null(rig_add_device(&rig, &virtio_fs_type, 0));
	stranger.tag = long_tag;
	ck_assert_ptr_null(rig_add_device(&rig, &virtio_fs_type, 0));
	rig.config.n_fs = 0;
	rig.config.shares = &share;
	rig.config.n_shares = 1;
	share = (struct vm_share){ .name = (char *)"x", .path = (char *)"/nonexistent" };
	ck_assert_ptr_null(rig_add_device(&rig, &virtio_fs_type, 0));
	share = (struct vm_share){ .name = (char *)"x", .path = (char *)"/dev/null" };
	ck_assert_ptr_null(rig_add_device(&rig, &virtio_fs_type, 0));
	share = (struct vm_share){ .name = (char *)"a/b", .path = folder };
	ck_assert_ptr_null(rig_add_device(&rig, &virtio_fs_type, 0));
	/* No file server to be found. */
	share = (struct vm_share){ .name = (char *)"x", .path = folder };
	setenv("LODGE_LIBEXEC", "/nonexistent", 1);
	ck_assert_ptr_null(rig_add_device(&rig, &virtio_fs_type, 0));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("virtio-fs");
	TCase *real = tcase_create("device");
	TCase *foreign = tcase_create("foreign");
	TCase *idle = tcase_create("idle");

	tcase_add_checked_fixture(real, setup_device, teardown_device);
	tcase_set_timeout(real, 60);
	tcase_add_test(real, test_device_serves);
	tcase_add_test(real, test_shares_come_and_go);
	tcase_add_test(real, test_no_shares);
	tcase_add_test(real, test_device_survives_the_death_of_its_server);
	tcase_add_test(real, test_device_survives_the_loss_of_lodge_fsd);
	tcase_add_test(real, test_device_gives_up_on_a_server_that_keeps_dying);
	tcase_add_test(real, test_device_ends_a_frozen_server);
	tcase_add_checked_fixture(idle, setup_idle, teardown_device);
	tcase_set_timeout(idle, 60);
	tcase_add_test(idle, test_without_shares_nothing_runs_before_the_driver);
	tcase_add_checked_fixture(foreign, setup, teardown);
	tcase_set_timeout(foreign, 60);
	tcase_add_test(foreign, test_a_folder_that_is_gone_takes_no_other_share_away);
	tcase_add_test(foreign, test_device_with_virtiofsd);
	tcase_add_test(foreign, test_device_without_back_end);
	suite_add_tcase(suite, idle);
	suite_add_tcase(suite, foreign);
	suite_add_tcase(suite, real);
	return unit_run(suite);
}
