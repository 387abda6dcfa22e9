// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The processes behind lodge-fsd's server: guard and keeper are killed, alone and with their
 * server, and the guest does not notice; they are asked to end, and all do; they give up where it
 * is in vain.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/fsd_harness.h"
#include "tests/unit/fsd_tracer.h"
#include "tests/unit/unit.h"

static struct fsd_rig rig;
/* A file that the guest has open. */
static uint64_t nodeid;
static struct fuse_open_out file;

static void open_it(bool classic)
{
	struct fuse_open_in in = { .flags = O_RDONLY };

	memset(&file, 0, sizeof(file));
	if (classic)
		ck_assert_int_gt(fsd_call(&rig, FUSE_OPEN, nodeid, &in, sizeof(in), NULL, 0, &file,
					  sizeof(file)),
				 0);
}

static void start(bool classic)
{
	struct fsd_rig_options options = { .program = true, .classic = classic };
	char path[256];
	int error;

	fsd_rig_start(&rig, &options);
	fsd_write_file(&rig, "open", "text");
	nodeid = fsd_lookup(&rig, FUSE_ROOT_ID, "open", &error);
	ck_assert_int_eq(error, 0);
	open_it(classic);
	/* No new server finds it by its name. */
	ck_assert_int_eq(unlink(fsd_path(&rig, "open", path)), 0);
}

static void check_open_file(void)
{
	struct fuse_read_in in = { .fh = file.fh, .size = 63 };
	char text[64];

	ck_assert_int_eq(fsd_call(&rig, FUSE_READ, nodeid, &in, sizeof(in), NULL, 0, text, 63), 4);
	ck_assert_mem_eq(text, "text", 4);
}

static void stop(void)
{
	check_open_file();
	fsd_rig_stop(&rig);
}

/* The server, whose keeper is dead from here on. */
static pid_t lose_keeper(void)
{
	pid_t server = fsd_wait_server(&rig);

	kill(fsd_keeper(&rig), SIGKILL);
	/* The guard's only child, as the keeper was. */
	while (fsd_keeper(&rig) != server)
		;
	return server;
}

START_TEST(the_guard_may_die)
{
	start(_i);
	kill(rig.program, SIGKILL);
	ck_assert_int_eq(waitpid(rig.program, NULL, 0), rig.program);
	rig.orphan = true;
	stop();
}
END_TEST

START_TEST(keeper_and_server_may_die)
{
	start(_i);
	for (int i = 0; i < 3; i++) {
		pid_t server = fsd_wait_server(&rig);
		pid_t keeper = fsd_keeper(&rig);

		kill(keeper, SIGSTOP);
		kill(server, SIGKILL);
		kill(keeper, SIGKILL);
		while (fsd_wait_server(&rig) == server)
			;
		ck_assert_int_ne(fsd_keeper(&rig), keeper);
	}
	stop();
}
END_TEST

START_TEST(keeper_and_then_server_may_die)
{
	pid_t server;

	start(_i);
	server = lose_keeper();
	check_open_file();
	kill(server, SIGKILL);
	fsd_wait_server(&rig);
	stop();
}
END_TEST

/* The end of the connection is the end of a server without a keeper, and of its guard. */
START_TEST(keeper_may_die_at_the_end)
{
	start(false);
	lose_keeper();
	stop();
}
END_TEST

/* What was open is lost, and nothing else: the next one knows what INIT agreed on. */
START_TEST(all_may_die)
{
	const struct fsd_rig_options options = { .program = true, .classic = _i };
	struct fuse_read_in in = { .size = 63 };
	struct fuse_getattr_in look = { 0 };
	char text[128];
	int error;

	start(_i);
	fsd_write_file(&rig, "other", "text");
	for (int i = 0; i < 3; i++) {
		uint64_t old = nodeid;

		fsd_wait_server(&rig);
		fsd_rig_replace(&rig, &options);
		ck_assert_int_gt(fsd_call(&rig, FUSE_GETATTR, FUSE_ROOT_ID, &look, sizeof(look),
					  NULL, 0, text, sizeof(struct fuse_attr_out)),
				 0);
		ck_assert_int_eq(fsd_call(&rig, FUSE_READ, old, &in, sizeof(in), NULL, 0, text, 63),
				 -ESTALE);
		nodeid = fsd_lookup(&rig, FUSE_ROOT_ID, "other", &error);
		ck_assert_int_eq(error, 0);
		ck_assert_uint_ne(nodeid, old);
		open_it(_i);
		check_open_file();
	}
	stop();
}
END_TEST

START_TEST(all_end_when_asked)
{
	int status;

	start(false);
	fsd_wait_server(&rig);
	if (_i)
		lose_keeper();
	kill(rig.program, SIGTERM);
	ck_assert_int_eq(waitpid(rig.program, &status, 0), rig.program);
	ck_assert_int_eq(status, 0);
	/* Waits for the end of the connection: no process has it open. */
	rig.orphan = true;
	fsd_rig_stop(&rig);
}
END_TEST

/* What servers find kills each of them before it serves: there is an end to it. */
START_TEST(the_keeper_gives_up)
{
	struct rlimit no_core = { 0 };
	int status = 0;

	setrlimit(RLIMIT_CORE, &no_core);
	start(false);
	while (!waitpid(rig.program, &status, WNOHANG)) {
		pid_t server = fsd_server(&rig);

		if (server)
			kill(server, SIGSEGV);
	}
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 70); /* EX_SOFTWARE */
	rig.orphan = true;
	fsd_rig_stop(&rig);
}
END_TEST

int main(void)
{
	const struct {
		const char *name;
		const TTest *test;
		int times;
	} rows[] = {
		{ "guard", the_guard_may_die, 2 },
		{ "keeper and server", keeper_and_server_may_die, 2 },
		{ "keeper, then server", keeper_and_then_server_may_die, 2 },
		{ "keeper, then the end", keeper_may_die_at_the_end, 1 },
		{ "all", all_may_die, 2 },
		{ "asked", all_end_when_asked, 2 },
		{ "in vain", the_keeper_gives_up, 1 },
	};
	Suite *suite = suite_create("lodge-fsd keeper");

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		TCase *tcase = tcase_create(rows[i].name);

		tcase_set_timeout(tcase, 60);
		tcase_add_loop_test(tcase, rows[i].test, 0, rows[i].times);
		suite_add_tcase(suite, tcase);
	}
	return unit_run(suite);
}
