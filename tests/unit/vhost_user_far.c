// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The virtio-fs device with a share that is a folder on another machine, below what is mounted
 * here, while that machine does not answer.
 */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "host-vmm/virtio/fs.h"
#include "tests/unit/fsd_child.h"
#include "tests/unit/fsd_far_machine.h"
#include "tests/unit/unit.h"
#include "tests/unit/vhost_user_requests.h"

#define SIZE	 128
#define RING	 0x100000ull
#define FEATURES (1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_INDIRECT_DESC)

static struct rig rig;
static struct rig_driver driver;
static struct rig_ring hiprio, ring;
static struct device *device;
static struct far_machine machine;
static char top[64], near[80], far[96];
static struct vm_share shares[2];
static unsigned int request;

/* False where this host mounts nothing for us. */
static bool start_machine(void)
{
	char own[96];

	strcpy(top, "/tmp/lodge-far-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
	if (geteuid() || !far_machine_start(&machine, top))
		return false;
	snprintf(near, sizeof(near), "%s/near", top);
	snprintf(own, sizeof(own), "%s/folder", machine.own);
	snprintf(far, sizeof(far), "%s/folder", machine.place);
	ck_assert_int_eq(mkdir(near, 0755) | mkdir(own, 0755), 0);
	return true;
}

static void silence(void)
{
	ck_assert_int_eq(kill(machine.pid, SIGSTOP), 0);
	ck_assert_int_eq(waitpid(machine.pid, NULL, WUNTRACED), machine.pid);
	sleep(2); /* names that the host's kernel kept are good no longer */
}

static void answer_again(void)
{
	ck_assert_int_eq(kill(machine.pid, SIGCONT), 0);
}

static void end_machine(void)
{
	char command[96];

	far_machine_end(&machine);
	snprintf(command, sizeof(command), "rm -r %s", top);
	ck_assert_int_eq(system(command), 0);
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void add_device(void)
{
	shares[0] = (struct vm_share){ .name = (char *)"far",
				       .path = far,
				       .rules.owner.kind = VM_OWNER_EXACT };
	shares[1] = (struct vm_share){ .name = (char *)"near",
				       .path = near,
				       .rules.owner.kind = VM_OWNER_EXACT };
	rig = (struct rig){ 0 };
	rig_create(&rig);
	fsd_child_find();
	rig.config.shares = shares;
	rig.config.n_shares = 2;
	device = rig_add_device(&rig, &virtio_fs_type, 0);
	ck_assert_ptr_nonnull(device);
	rig.machine.devices = &device;
	rig.machine.n_devices = 1;
}

static void remove_device(void)
{
	rig_remove_device(device);
	rig_destroy(&rig);
}

static int call(uint32_t opcode, const void *body, size_t len)
{
	unsigned int i = request++ % 32;
	uint16_t head = ask(&ring, i, opcode, body, len);

	rig_kick(&ring);
	assert_taken(&ring, head);
	return answer(&rig, i).error;
}

static int lookup(const char *name)
{
	return call(FUSE_LOOKUP, name, strlen(name) + 1);
}

static void init_session(void)
{
	struct fuse_init_in init = { .major = 7, .minor = 36, .max_readahead = 4096 };

	ck_assert_int_eq(call(FUSE_INIT, &init, sizeof(init)), 0);
}

static void drive(void)
{
	rig_probe(&rig, 1, &driver);
	ck_assert(rig_negotiate(&driver, FEATURES));
	rig_queue(&hiprio, &driver, 0, RING + 0x10000, SIZE);
	rig_queue(&ring, &driver, 1, RING, SIZE);
	rig_driver_ok(&driver);
	init_session();
}

START_TEST(comes_when_its_machine_answers)
{
	double began;

	if (!start_machine())
		return;
	silence();
	began = seconds();
	add_device();
	ck_assert_double_lt(seconds() - began, 10);
	drive();
	ck_assert_int_eq(lookup("near"), 0);
	ck_assert_int_eq(lookup("far"), -ENOENT);
	answer_again();
	for (int tries = 0; tries < 100 && lookup("far"); tries++)
		poll(NULL, 0, 100);
	ck_assert_int_eq(lookup("far"), 0);
	ck_assert_int_eq(lookup("near"), 0);
	remove_device();
	end_machine();
}
END_TEST

START_TEST(comes_for_nobody)
{
	if (!start_machine())
		return;
	silence();
	add_device();
	remove_device();
	answer_again();
	poll(NULL, 0, 500); /* for a thread that would do harm */
	end_machine();
}
END_TEST

/* The next lodge-fsd cannot follow the path. */
START_TEST(stays_over_a_new_server)
{
	double began;

	if (!start_machine())
		return;
	add_device();
	drive();
	ck_assert_int_eq(lookup("far"), 0);
	silence();
	began = seconds();
	fsd_child_kill_whole();
	lookup("near");
	init_session();
	ck_assert_int_eq(lookup("near"), 0);
	ck_assert_int_eq(lookup("far"), 0);
	ck_assert_double_lt(seconds() - began, 10);
	answer_again();
	remove_device();
	end_machine();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("vhost_user_far");
	TCase *tcase = tcase_create("far");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, comes_when_its_machine_answers);
	tcase_add_test(tcase, comes_for_nobody);
	tcase_add_test(tcase, stays_over_a_new_server);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
