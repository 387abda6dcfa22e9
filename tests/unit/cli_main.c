// SPDX-License-Identifier: GPL-2.0-or-later
// The command as a program: standard streams that are closed, or take nothing.
#include <check.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <json-glib/json-glib.h>
#include <limits.h>
#include <pty.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "tests/unit/unit.h"
#include "tests/unit/verbs_rig.h"

/* BUILD/bin/lodge, this being BUILD/unit/NAME. */
static void find_program(char path[PATH_MAX])
{
	ssize_t len = readlink("/proc/self/exe", path, PATH_MAX - 32);

	ck_assert_int_gt(len, 0);
	path[len] = '\0';
	strcpy(strrchr(path, '/'), "/../bin/lodge");
}

/* What it says on standard error is in the file said. */
static int run_program(const char *const *argv, int closed, const char *out)
{
	char path[PATH_MAX];
	pid_t child;

	find_program(path);
	child = fork();
	if (!child) {
		dup2(open("/dev/zero", O_RDONLY | O_CLOEXEC), STDIN_FILENO);
		dup2(open(out, O_WRONLY | O_CLOEXEC), STDOUT_FILENO);
		dup2(open("said", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), STDERR_FILENO);
		if (closed >= 0)
			close(closed);
		execv(path, (char *const *)argv);
		_exit(99);
	}
	return status_of_child(child);
}

static void assert_stderr(const char *what)
{
	g_autofree char *text = NULL;

	ck_assert(g_file_get_contents("said", &text, NULL, NULL));
	ck_assert_msg(strstr(text, what), "not '%s': %s", what, text);
}

/* The connection to the guest would be the program's input. */
START_TEST(standard_input_may_be_closed)
{
	static const char *const argv[] = { "lodge", "exec", "box", "cat", NULL };

	make_vm("data/lodge/box");
	start_monitor("box", "data/lodge/box");
	start_tools("", 0);
	ck_assert_int_eq(run_program(argv, STDIN_FILENO, "/dev/null"), 125);
	assert_stderr("the guest's tools told no exit status");
}
END_TEST

START_TEST(what_is_not_printed_is_a_failure)
{
	static const char *const words[] = { "--version", "--help", "list" };
	const char *const argv[] = { "lodge", words[_i], NULL };

	make_vm("data/lodge/box");
	ck_assert_int_eq(run_program(argv, -1, "/dev/null"), EX_OK);
	ck_assert_int_eq(run_program(argv, -1, "/dev/full"), EX_IOERR);
	assert_stderr("standard output: not all could be written; is there room?");
}
END_TEST

#define MEMORY_MAX (192 << 20) /* of a command that has some 64 to begin with */

/* Bytes of the guest's choice may not become many times as many of the host's. */
START_TEST(a_long_list_is_not_larger_here)
{
	static const char *const argv[] = { "lodge", "ps", "--json", "box", NULL };
	GString *lines = g_string_new(NULL);
	g_autoptr(JsonParser) parser = json_parser_new();
	const struct rlimit limit = { MEMORY_MAX, MEMORY_MAX };
	JsonNode *rows;
	pid_t child;

	make_vm("data/lodge/box");
	start_monitor("box", "data/lodge/box");
	while (lines->len < 8 << 20) {
		g_string_append(lines, "{\"pid\":1");
		for (int i = 0; i < 5000; i++)
			g_string_append_printf(lines, ",\"%x\":1", i);
		g_string_append(lines, "}\n");
	}
	start_tools(lines->str, lines->len);
	g_string_free(lines, TRUE);
	ck_assert(g_file_set_contents("out", "", 0, NULL));
	child = fork();
	if (!child)
		_exit(setrlimit(RLIMIT_AS, &limit) ? 98 : run_program(argv, -1, "out"));
	ck_assert_int_eq(status_of_child(child), EX_OK);
	ck_assert(json_parser_load_from_file(parser, "out", NULL));
	rows = json_parser_get_root(parser);
	ck_assert_uint_gt(json_array_get_length(json_node_get_array(rows)), 100);
}
END_TEST

/* The shell of a session with a terminal, which runs @path in the background: its wait status. */
static int run_behind(const char *path, const char *const *argv)
{
	int status = -1;
	pid_t job = fork();

	if (!job) {
		(void)setpgid(0, 0);
		dup2(open("out", O_WRONLY | O_CREAT | O_CLOEXEC, 0600), STDOUT_FILENO);
		execv(path, (char *const *)argv);
		_exit(99);
	}
	(void)waitpid(job, &status, WUNTRACED);
	(void)kill(job, SIGKILL);
	return status;
}

START_TEST(a_run_in_the_background_ends)
{
	static const char *const argv[] = { "lodge", "run", "--kernel", "kernel", "true", NULL };
	static const char *const programs[] = { "libexec/lodge-vmm", "libexec/lodge-init" };
	g_autofree char *libexec = g_build_filename(root, "libexec", NULL);
	char path[PATH_MAX];
	int terminal, status;
	pid_t shell;

	find_program(path);
	ck_assert_int_eq(g_mkdir(libexec, 0700), 0);
	for (size_t i = 0; i < G_N_ELEMENTS(programs); i++) {
		ck_assert(g_file_set_contents(programs[i], "#!/bin/sh\n", -1, NULL));
		ck_assert_int_eq(chmod(programs[i], 0700), 0);
	}
	g_setenv("LODGE_LIBEXEC", libexec, TRUE);
	ck_assert(g_file_set_contents("kernel", "MZ", -1, NULL));
	shell = forkpty(&terminal, NULL, NULL, NULL);
	if (!shell) {
		status = run_behind(path, argv);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 98);
	}
	ck_assert_int_eq(status_of_child(shell), EX_SOFTWARE);
	close(terminal);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cli_main");
	TCase *tcase = tcase_create("main");

	tcase_set_timeout(tcase, 20);
	tcase_add_checked_fixture(tcase, make_world, remove_world);
	tcase_add_test(tcase, standard_input_may_be_closed);
	tcase_add_test(tcase, a_long_list_is_not_larger_here);
	tcase_add_test(tcase, a_run_in_the_background_ends);
	tcase_add_loop_test(tcase, what_is_not_printed_is_a_failure, 0, 3);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
