// SPDX-License-Identifier: GPL-2.0-or-later
/* What the server keeps open of itself for guests that open files without a message, and for how
 * long. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/fsd_harness.h"
#include "tests/unit/unit.h"

static struct fsd_rig rig;

static uint64_t create(const char *name, uint32_t mode)
{
	struct fuse_create_in in = { .flags = O_RDWR | O_CREAT, .mode = S_IFREG | mode };
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} out;

	ck_assert_int_eq(fsd_call(&rig, FUSE_CREATE, FUSE_ROOT_ID, &in, sizeof(in), name,
				  strlen(name) + 1, &out, sizeof(out)),
			 sizeof(out));
	ck_assert_uint_eq(out.open.fh, 0);
	return out.entry.nodeid;
}

static void put(uint64_t node, const char *text, uint64_t offset)
{
	struct fuse_write_in in = { .offset = offset, .size = (uint32_t)strlen(text) };
	struct fuse_write_out out;

	ck_assert_int_eq(fsd_call(&rig, FUSE_WRITE, node, &in, sizeof(in), text, strlen(text), &out,
				  sizeof(out)),
			 sizeof(out));
	ck_assert_uint_eq(out.size, strlen(text));
}

static void change_mode(uint64_t node, uint32_t mode)
{
	struct fuse_setattr_in in = { .valid = FATTR_MODE, .mode = mode };

	ck_assert_int_gt(fsd_call(&rig, FUSE_SETATTR, node, &in, sizeof(in), NULL, 0, NULL, 200),
			 0);
}

/* The exit status of the share's program @name, run by the host; -1: it does not run. */
static int run(const char *name)
{
	char path[128];
	int status = -1;
	pid_t child;

	snprintf(path, sizeof(path), "%s/%s", rig.folder, name);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (!child) {
		execl(path, name, (char *)NULL);
		_exit(errno == ETXTBSY ? 126 : 127);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

START_TEST(idle_files_are_closed)
{
	uint64_t node;

	fsd_rig_start(&rig, &(struct fsd_rig_options){ 0 });
	node = create("f", 0644);
	put(node, "hello", 0);
	ck_assert_uint_eq(rig.fs->n_fds, 2);
	ck_assert(data_sweep(rig.fs)); /* used since the last one */
	ck_assert(!data_sweep(rig.fs)); /* not used since */
	ck_assert_uint_eq(rig.fs->n_fds, 1);
	put(node, "hello", 0); /* opened again */
	ck_assert_uint_eq(rig.fs->n_fds, 2);
	fsd_rig_stop(&rig);
}
END_TEST

START_TEST(a_program_runs_as_soon_as_it_is_written)
{
	uint64_t node;

	fsd_rig_start(&rig, &(struct fsd_rig_options){ 0 });
	node = create("made", 0755);
	ck_assert_uint_eq(rig.fs->n_fds, 1);
	put(node, "#!/bin/sh\n", 0);
	put(node, "exit 7\n", 10);
	ck_assert_uint_eq(rig.fs->n_fds, 1);
	ck_assert_int_eq(run("made"), 7);
	fsd_rig_stop(&rig);
}
END_TEST

START_TEST(a_file_runs_as_soon_as_it_is_a_program)
{
	uint64_t node;

	fsd_rig_start(&rig, &(struct fsd_rig_options){ 0 });
	node = create("turned", 0600);
	put(node, "#!/bin/sh\nexit 8\n", 0);
	ck_assert_uint_eq(rig.fs->n_fds, 2);
	change_mode(node, 0555);
	ck_assert_uint_eq(rig.fs->n_fds, 1);
	ck_assert_int_eq(run("turned"), 8);
	fsd_rig_stop(&rig);
}
END_TEST

/* Its writer could not go on, were it closed behind each WRITE. */
START_TEST(a_program_that_nobody_may_write_waits_for_the_sweep)
{
	uint64_t node;

	fsd_rig_start(&rig, &(struct fsd_rig_options){ 0 });
	node = create("read-only", 0555);
	put(node, "#!/bin/sh\n", 0);
	put(node, "exit 9\n", 10);
	ck_assert_uint_eq(rig.fs->n_fds, 2);
	ck_assert_int_eq(run("read-only"), 126);
	ck_assert(data_sweep(rig.fs));
	ck_assert(!data_sweep(rig.fs));
	ck_assert_int_eq(run("read-only"), 9);
	fsd_rig_stop(&rig);
}
END_TEST

/* Whoever has it open writes on. */
START_TEST(a_program_that_is_none_any_more_is_held)
{
	uint64_t node;

	fsd_rig_start(&rig, &(struct fsd_rig_options){ 0 });
	node = create("f", 0755);
	ck_assert_uint_eq(rig.fs->n_fds, 1);
	change_mode(node, 0444);
	ck_assert_uint_eq(rig.fs->n_fds, 2);
	ck_assert(data_sweep(rig.fs));
	ck_assert(data_sweep(rig.fs)); /* it could not be opened again */
	put(node, "more", 0);
	change_mode(node, 0644);
	ck_assert(data_sweep(rig.fs));
	ck_assert(!data_sweep(rig.fs));
	fsd_rig_stop(&rig);
}
END_TEST

/* It would be a message for each close(2). */
START_TEST(close_is_no_message)
{
	const struct fuse_flush_in in = { 0 };
	uint64_t node;

	fsd_rig_start(&rig, &(struct fsd_rig_options){ 0 });
	node = create("f", 0644);
	ck_assert_int_eq(fsd_call(&rig, FUSE_FLUSH, node, &in, sizeof(in), NULL, 0, NULL, 0),
			 -ENOSYS);
	fsd_rig_stop(&rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fsd_data");
	TCase *tcase = tcase_create("data");

	tcase_set_timeout(tcase, 30);
	tcase_add_test(tcase, idle_files_are_closed);
	tcase_add_test(tcase, a_program_runs_as_soon_as_it_is_written);
	tcase_add_test(tcase, a_file_runs_as_soon_as_it_is_a_program);
	tcase_add_test(tcase, a_program_that_nobody_may_write_waits_for_the_sweep);
	tcase_add_test(tcase, a_program_that_is_none_any_more_is_held);
	tcase_add_test(tcase, close_is_no_message);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
