// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A share on a machine that does not answer for a while: requests wait for it, more than other
 * slow ones may have threads, and other shares, and the folder that lists them, go on meanwhile.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/fsd_far_machine.h"
#include "tests/unit/fsd_harness.h"
#include "tests/unit/unit.h"

#define FIRST 8 /* place of the ring; those before are fsd_call's */
#define LAST  (RIG_QUEUE_SIZE / 2 - 1)
#define WAIT  (LAST - FIRST + 1)

static const struct owner_map as_it_is;
static struct fsd_rig rig;
static struct far_machine machine;

/* A request for @far that nobody waits for here: a name is to be looked up. */
static void ask(int slot, uint64_t far)
{
	char name[24];
	int len = sprintf(name, "none-%d", slot) + 1;

	fsd_slot_put(&rig, slot, FUSE_LOOKUP, far, name, (size_t)len, "", 0);
	fsd_ring_set_avail(&rig, 1, (uint16_t)(2 * slot), ++rig.avail[1]);
}

/* Of @slot, or 0: there is no answer yet. */
static int answer(int slot)
{
	struct fuse_out_header out;

	memcpy(&out, rig.memory + RIG_IN + slot * RIG_SLOT, sizeof(out));
	return out.error;
}

/* What a guest does in its other shares. */
static void work(uint64_t near)
{
	struct {
		struct fuse_create_in in;
		char name[8];
	} create = { { .flags = O_RDWR | O_CREAT, .mode = 0644 }, "f" };
	struct {
		struct fuse_write_in in;
		char data[8];
	} write = { { .size = 8 }, "content" };
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} made;
	struct fuse_fsync_in sync = { 0 };
	struct fuse_write_out written;
	uint64_t node;
	int error;

	ck_assert_int_gt(fsd_call(&rig, FUSE_CREATE, near, &create, sizeof(create.in) + 2, NULL, 0,
				  &made, sizeof(made)),
			 0);
	node = made.entry.nodeid;
	write.in.fh = sync.fh = made.open.fh;
	ck_assert_int_gt(fsd_call(&rig, FUSE_WRITE, node, &write, sizeof(write), NULL, 0, &written,
				  sizeof(written)),
			 0);
	ck_assert_int_eq(fsd_call(&rig, FUSE_FSYNC, node, &sync, sizeof(sync), NULL, 0, NULL, 0),
			 0);
	ck_assert_int_eq(fsd_call(&rig, FUSE_UNLINK, near, "f", 2, NULL, 0, NULL, 0), 0);
	fsd_lookup(&rig, near, "f", &error);
	ck_assert_int_eq(error, -ENOENT);
}

/* All that a path into any share begins with. */
static void look_around(uint64_t far)
{
	struct fuse_open_out opened = fsd_opendir(&rig, FUSE_ROOT_ID);
	struct fuse_read_in in = { .fh = opened.fh, .size = 1024 };
	struct fuse_release_in release = { .fh = opened.fh };
	char names[1024];
	int error;

	ck_assert_int_gt(fsd_call(&rig, FUSE_READDIRPLUS, FUSE_ROOT_ID, &in, sizeof(in), NULL, 0,
				  names, sizeof(names)),
			 0);
	fsd_call(&rig, FUSE_RELEASEDIR, FUSE_ROOT_ID, &release, sizeof(release), NULL, 0, NULL, 0);
	ck_assert_uint_eq(fsd_lookup(&rig, FUSE_ROOT_ID, "far", &error), far);
}

/* The machine's time away is the longest that it may take: a request that waits for it would end
 * with it, and fail the test by the time that the tests have. */
START_TEST(others_go_on)
{
	struct fsd_rig_options options = { .synthetic_root = true, .classic = _i };
	uint64_t near, far;
	int error;

	fsd_rig_start(&rig, &options);
	if (geteuid() || !far_machine_start(&machine, rig.folder)) {
		fsd_rig_stop(&rig);
		return;
	}
	ck_assert_int_eq(fs_share_add(rig.fs, "far", open(machine.place, O_PATH | O_CLOEXEC), false,
				      &as_it_is, false),
			 0);
	far = fsd_lookup(&rig, FUSE_ROOT_ID, "far", &error);
	near = fsd_lookup(&rig, FUSE_ROOT_ID, "share", &error);
	ck_assert_int_eq(error, 0);
	fsd_lookup(&rig, far, "none", &error);
	ck_assert_int_eq(error, -ENOENT);

	ck_assert_int_eq(kill(machine.pid, SIGSTOP), 0);
	/* All its threads have stopped, or one of them might answer still. */
	ck_assert_int_eq(waitpid(machine.pid, NULL, WUNTRACED), machine.pid);
	for (int slot = FIRST; slot <= LAST; slot++)
		ask(slot, far);
	fsd_ring_kick(&rig, 1);
	for (int round = 0; round < 20; round++) {
		work(near);
		look_around(far);
	}
	sleep(2); /* names and attributes that the host's kernel kept are good no longer */
	work(near);
	look_around(far);
	for (int slot = FIRST; slot <= LAST; slot++)
		ck_assert_int_eq(answer(slot), 0);

	ck_assert_int_eq(kill(machine.pid, SIGCONT), 0);
	fsd_ring_wait(&rig, 1, WAIT);
	for (int slot = FIRST; slot <= LAST; slot++)
		ck_assert_int_eq(answer(slot), -ENOENT);
	ck_assert_int_eq(fs_share_remove(rig.fs, "far"), 0);
	far_machine_end(&machine);
	fsd_rig_stop(&rig);
}
END_TEST

static int64_t attributes(uint64_t node)
{
	const struct fuse_getattr_in in = { 0 };
	struct fuse_attr_out out;

	return fsd_call(&rig, FUSE_GETATTR, node, &in, sizeof(in), NULL, 0, &out, sizeof(out));
}

/* Whoever starts lodge-fsd anew gives it the shares that it had. */
START_TEST(is_added_all_the_same)
{
	struct fsd_rig_options options = { .synthetic_root = true };
	uint64_t far, near;
	double began;
	int error, fd;

	fsd_rig_start(&rig, &options);
	if (geteuid() || !far_machine_start(&machine, rig.folder)) {
		fsd_rig_stop(&rig);
		return;
	}
	fd = open(machine.place, O_PATH | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(kill(machine.pid, SIGSTOP), 0);
	ck_assert_int_eq(waitpid(machine.pid, NULL, WUNTRACED), machine.pid);
	sleep(2); /* what the host's kernel kept is good no longer */

	began = fsd_seconds();
	ck_assert_int_eq(fs_share_add(rig.fs, "far", fd, false, &as_it_is, false), 0);
	ck_assert_double_lt(fsd_seconds() - began, 4);
	near = fsd_lookup(&rig, FUSE_ROOT_ID, "share", &error);
	ck_assert_int_eq(error, 0);
	work(near);
	far = fsd_lookup(&rig, FUSE_ROOT_ID, "far", &error);
	ck_assert_int_eq(error, 0);
	/* As a share of another machine has it: this waits there, where nobody else waits. */
	ask(FIRST, far);
	fsd_ring_kick(&rig, 1);
	work(near);
	look_around(far);

	ck_assert_int_eq(kill(machine.pid, SIGCONT), 0);
	fsd_ring_wait(&rig, 1, 1);
	ck_assert_int_eq(answer(FIRST), -ENOENT);
	ck_assert_int_gt(attributes(far), 0);
	ck_assert_int_eq(fs_share_remove(rig.fs, "far"), 0);
	far_machine_end(&machine);
	fsd_rig_stop(&rig);
}
END_TEST

/* A machine's file system in a folder of a share that is here: other files of that share go on, and
 * what asks for its place waits. */
START_TEST(below_a_local_share)
{
	struct fsd_rig_options options = { .synthetic_root = true };
	uint64_t near, place, far, below;
	int error;

	fsd_rig_start(&rig, &options);
	if (geteuid() || !far_machine_start(&machine, rig.folder)) {
		fsd_rig_stop(&rig);
		return;
	}
	/* The mount is younger than the share, and in a namespace of its own. */
	ck_assert_int_eq(fs_share_remove(rig.fs, "share"), 0);
	ck_assert_int_eq(fs_share_add(rig.fs, "share", open(rig.folder, O_PATH | O_CLOEXEC), false,
				      &as_it_is, false),
			 0);
	ck_assert_int_eq(mkdir(fsd_path(&rig, "near", (char[256]){ 0 }), 0755), 0);
	below = fsd_lookup(&rig, FUSE_ROOT_ID, "share", &error);
	near = fsd_lookup(&rig, below, "near", &error);
	place = fsd_lookup(&rig, below, "place", &error);
	far = fsd_lookup(&rig, place, "share", &error);
	fsd_lookup(&rig, far, "none", &error);
	ck_assert_int_eq(error, -ENOENT);

	ck_assert_int_eq(kill(machine.pid, SIGSTOP), 0);
	ck_assert_int_eq(waitpid(machine.pid, NULL, WUNTRACED), machine.pid);
	sleep(2); /* as above */
	ask(FIRST, far);
	fsd_slot_put(&rig, FIRST + 1, FUSE_LOOKUP, below, "place", sizeof("place"), "", 0);
	fsd_ring_set_avail(&rig, 1, 2 * (FIRST + 1), ++rig.avail[1]);
	fsd_ring_kick(&rig, 1);
	for (int round = 0; round < 5; round++)
		work(near);
	work(below);
	ck_assert_int_eq(answer(FIRST), 0);

	ck_assert_int_eq(kill(machine.pid, SIGCONT), 0);
	fsd_ring_wait(&rig, 1, 2);
	ck_assert_int_eq(answer(FIRST), -ENOENT);
	ck_assert_int_eq(fs_share_remove(rig.fs, "share"), 0);
	far_machine_end(&machine);
	fsd_rig_stop(&rig);
}
END_TEST

/* As NFS' does, for files on the machine: what was written is sent, and an answer waited for. Our
 * own server on that machine has FUSE spare itself that. */
static int gate = -1;
static uint32_t far_minor;

int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
	struct statx stx;
	char byte;

	if (gate >= 0 && !(fcntl(fd, F_GETFL) & O_PATH) &&
	    !statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &stx) &&
	    S_ISREG(stx.stx_mode) && stx.stx_dev_minor == far_minor)
		(void)!read(gate, &byte, 1);
	return __real_close(fd);
}

/* What the guest has written to a file is sent at its close, and not by a thread that others need.
 */
START_TEST(closes_without_waiting)
{
	struct fsd_rig_options options = { .synthetic_root = true };
	struct {
		struct fuse_create_in in;
		char name[8];
	} create = { { .flags = O_RDWR | O_CREAT, .mode = 0644 }, "f" };
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} made;
	uint64_t far, near;
	struct statx stx;
	int error, pipes[2];
	double began;

	fsd_rig_start(&rig, &options);
	if (geteuid() || !far_machine_start(&machine, rig.folder)) {
		fsd_rig_stop(&rig);
		return;
	}
	ck_assert_int_eq(pipe(pipes), 0);
	ck_assert_int_eq(statx(AT_FDCWD, machine.place, 0, STATX_BASIC_STATS, &stx), 0);
	far_minor = stx.stx_dev_minor;
	ck_assert_int_eq(fs_share_add(rig.fs, "far", open(machine.place, O_PATH | O_CLOEXEC), false,
				      &as_it_is, false),
			 0);
	far = fsd_lookup(&rig, FUSE_ROOT_ID, "far", &error);
	near = fsd_lookup(&rig, FUSE_ROOT_ID, "share", &error);
	ck_assert_int_gt(fsd_call(&rig, FUSE_CREATE, far, &create, sizeof(create.in) + 2, NULL, 0,
				  &made, sizeof(made)),
			 0);
	gate = pipes[0];
	began = fsd_seconds();
	if (_i == 0) {
		/* By age; the first look makes it old. */
		data_sweep(rig.fs);
		data_sweep(rig.fs);
	} else if (_i == 1) {
		ck_assert_int_eq(fs_share_remove(rig.fs, "far"), 0);
	} else {
		fsd_forget(&rig, 1, made.entry.nodeid, 1);
	}
	work(near);
	ck_assert_double_lt(fsd_seconds() - began, 4);
	gate = -1;
	__real_close(pipes[1]);
	far_machine_end(&machine);
	fsd_rig_stop(&rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fsd_unanswered");
	TCase *tcase = tcase_create("unanswered");

	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, others_go_on, 0, 2);
	tcase_add_test(tcase, is_added_all_the_same);
	tcase_add_test(tcase, below_a_local_share);
	tcase_add_loop_test(tcase, closes_without_waiting, 0, 3);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
