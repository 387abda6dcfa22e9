// SPDX-License-Identifier: GPL-2.0-or-later
// What a `lodge run` that was killed leaves behind, and who takes it away.
/* First: fail() is a macro of check.h's, too. */
#include "host-vmm/cli/cli.h"

#include <check.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "host-vmm/cli/throwaway.h"
#include "host-vmm/conf/claim.h"
#include "tests/unit/unit.h"
#include "tests/unit/verbs_rig.h"

static void make_program(const char *path, const char *text)
{
	ck_assert(g_file_set_contents(path, text, -1, NULL));
	ck_assert_int_eq(chmod(path, 0700), 0);
}

/* Programs that play the installed ones; the monitor stays until it is told to go. */
static void install(void)
{
	g_autofree char *libexec = g_build_filename(root, "libexec", NULL);

	ck_assert_int_eq(g_mkdir(libexec, 0700), 0);
	make_program("libexec/lodge-vmm", "#!/bin/sh\necho \"$$\" >pid.new\nmv pid.new pid\n"
					  "exec sleep 60\n");
	make_program("libexec/lodge-init", "#!/bin/sh\n");
	g_setenv("LODGE_LIBEXEC", libexec, TRUE);
	ck_assert(g_file_set_contents("kernel", "MZ", -1, NULL));
}

/* Until the file @path is there, or not. */
static void await(const char *path, bool there)
{
	while ((access(path, F_OK) == 0) != there)
		g_usleep(1000);
}

static void await_death(void)
{
	g_autofree char *text = NULL;
	pid_t pid;

	ck_assert(g_file_get_contents("pid", &text, NULL, NULL));
	pid = (pid_t)g_ascii_strtoll(text, NULL, 10);
	while (!kill(pid, 0)) {
		g_autofree char *stat = NULL;
		g_autofree char *path = g_strdup_printf("/proc/%d/stat", (int)pid);

		/* Whoever its parent is now may take its time. */
		if (g_file_get_contents(path, &stat, NULL, NULL) && strstr(stat, ") Z "))
			break;
		g_usleep(1000);
	}
}

START_TEST(a_killed_run_is_swept)
{
	char *argv[] = { (char *)"run",	   (char *)"--name", (char *)"box", (char *)"--kernel",
			 (char *)"kernel", (char *)"true",   NULL };
	pid_t child;
	int status;

	install();
	child = fork();
	if (!child)
		_exit(verb_run(6, argv));
	await("pid", true);
	ck_assert_int_eq(access("run/lodge/box/vm/vm.conf", F_OK), 0);
	/* While it runs it stays. */
	ck_assert_int_eq(RUN(verb_list, "list"), EX_OK);
	ck_assert_int_eq(access("run/lodge/box/vm/initrd", F_OK), 0);
	ck_assert_int_eq(kill(child, SIGKILL), 0);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	await_death();
	ck_assert_int_eq(access("run/lodge/box/vm/initrd", F_OK), 0);
	if (_i == 0)
		ck_assert_int_eq(RUN(verb_list, "list"), EX_OK);
	else
		ck_assert_int_eq(RUN(verb_run, "run", "--kernel", "none", "true"), EX_NOINPUT);
	ck_assert_int_eq(access("run/lodge/box", F_OK), -1);
	ck_assert_int_eq(g_rmdir("run/lodge"), 0);
}
END_TEST

static void make_left(const char *name)
{
	static const char *const files[] = { "vm/vm.conf", "vm/initrd", "kernel.log", "vmm.log" };
	g_autofree char *vm = g_build_filename("run/lodge", name, "vm", NULL);
	g_autofree char *mark = g_build_filename("run/lodge", name, "run", NULL);

	ck_assert_int_eq(g_mkdir_with_parents(vm, 0700), 0);
	ck_assert_int_eq(g_mkdir(mark, 0700), 0);
	for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
		g_autofree char *path = g_build_filename("run/lodge", name, files[i], NULL);

		ck_assert(g_file_set_contents(path, "its", -1, NULL));
	}
}

START_TEST(what_somebody_has_is_not_swept)
{
	int command, monitor;

	make_left("left");
	make_left("starts");
	ck_assert_int_eq(claim_folder("run/lodge/starts/run", &command), 0);
	make_left("ends");
	ck_assert_int_eq(claim_folder("run/lodge/ends", &monitor), 0);
	/* The run-time folder of a VM that is kept has no mark. */
	ck_assert_int_eq(g_mkdir_with_parents("run/lodge/kept", 0700), 0);
	ck_assert(g_file_set_contents("run/lodge/kept/vmm.log", "its", -1, NULL));
	/* A place that is not theirs. */
	ck_assert_int_eq(g_mkdir("elsewhere", 0700), 0);
	ck_assert_int_eq(g_rename("run/lodge/left", "elsewhere/left"), 0);
	ck_assert_int_eq(symlink("../../elsewhere/left", "run/lodge/link"), 0);
	make_left("left");
	throwaway_sweep();
	ck_assert_int_eq(access("run/lodge/left", F_OK), -1);
	ck_assert_int_eq(access("run/lodge/starts/vm/initrd", F_OK), 0);
	ck_assert_int_eq(access("run/lodge/ends/vm/initrd", F_OK), 0);
	ck_assert_int_eq(access("run/lodge/kept/vmm.log", F_OK), 0);
	ck_assert_int_eq(access("elsewhere/left/vm/initrd", F_OK), 0);
	close(command);
	close(monitor);
	throwaway_sweep();
	ck_assert_int_eq(access("run/lodge/starts", F_OK), -1);
	ck_assert_int_eq(access("run/lodge/ends", F_OK), -1);
}
END_TEST

START_TEST(a_name_that_runs_is_left_alone)
{
	g_autofree char *dir = g_build_filename(root, "elsewhere/box", NULL);

	install();
	make_vm(dir);
	start_monitor("box", dir);
	ck_assert_int_eq(RUN(verb_run, "run", "--name", "box", "--kernel", "kernel", "true"),
			 EX_TEMPFAIL);
	assert_said("a VM named 'box' runs already");
	ck_assert_int_eq(access("run/lodge/box/control.sock", F_OK), 0);
	ck_assert_int_eq(access("run/lodge/box/run", F_OK), -1);
}
END_TEST

/* The file that is read is named, and not the one that is made of it. */
START_TEST(a_helper_that_cannot_be_read_is_named)
{
	install();
	ck_assert_int_eq(g_unlink("libexec/lodge-init"), 0);
	ck_assert_int_eq(g_mkdir("libexec/lodge-init", 0755), 0);
	ck_assert_int_eq(RUN(verb_run, "run", "--kernel", "kernel", "true"), EX_DATAERR);
	assert_said("libexec/lodge-init: cannot be read: Invalid argument; install it anew");
	ck_assert_int_eq(g_rmdir("run/lodge"), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cli_throwaway");
	TCase *tcase = tcase_create("throwaway");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, make_world, remove_world);
	tcase_add_loop_test(tcase, a_killed_run_is_swept, 0, 2);
	tcase_add_test(tcase, what_somebody_has_is_not_swept);
	tcase_add_test(tcase, a_name_that_runs_is_left_alone);
	tcase_add_test(tcase, a_helper_that_cannot_be_read_is_named);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
