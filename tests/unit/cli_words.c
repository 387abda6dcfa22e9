// SPDX-License-Identifier: GPL-2.0-or-later
// What the command reads: shares, disks, whole command lines, the monitor's events, logs.
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "host-vmm/cli/monitor.h"
#include "host-vmm/cli/paths.h"
#include "host-vmm/cli/run_options.h"
#include "host-vmm/cli/tail.h"
#include "tests/unit/unit.h"

START_TEST(shares)
{
	static const char *const bad[] = { "",	      "a",	 "a=",	   "=/x",
					   "..=/x",   "a/b=/x",	 "a\n=/x", "a[=/x",
					   "a=/\xff", "\xff=/x", "a=/x\ny" };
	struct vm_share share;
	char *message;

	ck_assert_int_eq(vm_options_parse_share("a b=/x/../y", &share, &message), 0);
	ck_assert_str_eq(share.name, "a b");
	ck_assert_str_eq(share.path, "/y");
	ck_assert(!share.rules.read_only);
	g_free(share.name);
	g_free(share.path);
	ck_assert_int_eq(vm_options_parse_share("a=/x=y:ro", &share, &message), 0);
	ck_assert_str_eq(share.path, "/x=y");
	ck_assert(share.rules.read_only);
	g_free(share.name);
	g_free(share.path);
	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
		ck_assert_int_eq(vm_options_parse_share(bad[i], &share, &message), -EINVAL);
		ck_assert_ptr_null(strchr(message, '\n'));
		g_free(message);
	}
}
END_TEST

START_TEST(disks)
{
	struct vm_disk disk;
	char *message;

	ck_assert_int_eq(vm_options_parse_disk("/a:b", &disk, &message), 0);
	ck_assert_str_eq(disk.file, "/a:b");
	ck_assert(!disk.read_only && !disk.direct);
	g_free(disk.file);
	ck_assert_int_eq(vm_options_parse_disk("/a:direct:ro", &disk, &message), 0);
	ck_assert_str_eq(disk.file, "/a");
	ck_assert(disk.read_only && disk.direct);
	g_free(disk.file);
	ck_assert_int_eq(vm_options_parse_disk("", &disk, &message), -EINVAL);
	g_free(message);
	ck_assert_int_eq(vm_options_parse_disk("/\xff", &disk, &message), -EINVAL);
	g_free(message);
}
END_TEST

/* The status of `lodge run @words`, whose error line is not wanted here. */
static int parse(const char *const *words, struct run_options *options)
{
	g_auto(GStrv) copy = g_strdupv((char **)words);
	int out = dup(STDERR_FILENO), status;
	g_autofree char **argv = g_memdup2(copy, (g_strv_length(copy) + 1) * sizeof(char *));

	ck_assert_int_ge(dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO), 0);
	status = run_options_parse((int)g_strv_length(copy), argv, options);
	dup2(out, STDERR_FILENO);
	close(out);
	options->command = NULL;
	return status;
}

START_TEST(command_lines)
{
	static const char *const good[] = { "run",     "--cpus", "4",	   "--memory", "2G",
					    "--share", "a=/",	 "--disk", "/d:ro",    "--env",
					    "A=B",     "--",	 "sh",	   "-c",       NULL };
	struct run_options options;

	ck_assert_int_eq(parse(good, &options), 0);
	ck_assert_uint_eq(options.cpus, 4);
	ck_assert_uint_eq(options.memory, 2ull << 30);
	ck_assert_uint_eq(options.shares->len, 1);
	ck_assert_uint_eq(options.disks->len, 1);
	ck_assert_str_eq(options.root, "/");
	ck_assert_str_eq(options.env[0], "A=B");
	run_options_clear(&options);
}
END_TEST

static const char *const bad_lines[][6] = {
	{ "run", "--cpus", "0" },
	{ "run", "--cpus", "65" },
	{ "run", "--cpus", "1x" },
	{ "run", "--cpus", "" },
	{ "run", "--memory", "0" },
	{ "run", "--memory", "1" },
	{ "run", "--memory", "33554433" },
	{ "run", "--memory", "lots" },
	{ "run", "--memory" },
	{ "run", "--nothing" },
	{ "run", "--name", "../x" },
	{ "run", "--name", "" },
	{ "run", "--share", "a" },
	{ "run", "--share", "a=/", "--share", "a=/tmp" },
	{ "run", "--disk", "" },
	{ "run", "--network", "nat" },
	{ "run", "--initrd", "/i" },
	{ "run", "--kernel", "/k", "--initrd", "/i", "ls" },
	{ "run", "--env", "A" },
	{ "run", "--env", "=A" },
	{ "run", "--append", "a\nb" },
	{ "run", "--root", "" },
	{ "run", "--kernel", "" },
};

START_TEST(bad_command_lines)
{
	const char *words[7] = { NULL };
	struct run_options options;

	memcpy(words, bad_lines[_i], sizeof(bad_lines[_i]));
	ck_assert_int_eq(parse(words, &options), EX_USAGE);
	run_options_clear(&options);
}
END_TEST

static bool hear(struct monitor *monitor, const char *line)
{
	return monitor_event(monitor, line, strlen(line));
}

START_TEST(monitor_events)
{
	struct monitor monitor = { .guest_status = -1 };

	ck_assert(!hear(&monitor, ""));
	ck_assert(!hear(&monitor, "{"));
	ck_assert(!hear(&monitor, "[]"));
	ck_assert(hear(&monitor, "{\"event\":\"news\"}"));
	ck_assert(!monitor.started);
	ck_assert(hear(&monitor, "{\"event\":\"started\"}"));
	ck_assert(monitor.started);
	ck_assert_int_eq(monitor.reason, MONITOR_RUNS);
	ck_assert(hear(&monitor, "{\"event\":\"exit\",\"reason\":\"reset\"}"));
	ck_assert_int_eq(monitor.reason, MONITOR_RESET);
	ck_assert_int_eq(monitor.guest_status, -1);
	ck_assert(hear(&monitor, "{\"event\":\"exit\",\"reason\":\"poweroff\",\"status\":7}"));
	ck_assert_int_eq(monitor.reason, MONITOR_POWEROFF);
	ck_assert_int_eq(monitor.guest_status, 7);
	ck_assert(hear(&monitor, "{\"event\":\"exit\",\"reason\":\"?\",\"status\":700}"));
	ck_assert_int_eq(monitor.reason, MONITOR_FAILED);
	ck_assert_int_eq(monitor.guest_status, -1);
}
END_TEST

START_TEST(killed_monitors)
{
	struct monitor monitor = { .exit_status = EXIT_FAILURE << 8 };
	g_autofree char *memory = NULL;
	g_autofree char *fault = NULL;

	ck_assert_ptr_null(monitor_killed(&monitor));
	monitor.exit_status = SIGKILL;
	memory = monitor_killed(&monitor);
	ck_assert(strstr(memory, "signal 9 (Killed)") && strstr(memory, "memory has run out"));
	monitor.exit_status = SIGSEGV;
	fault = monitor_killed(&monitor);
	ck_assert(strstr(fault, "signal 11") && !strstr(fault, "memory has"));
	monitor.pid = 1;
	ck_assert_ptr_null(monitor_killed(&monitor));
}
END_TEST

START_TEST(logs_are_found_and_harmless)
{
	char path[] = "/tmp/log-XXXXXX";
	int fd = mkstemp(path);
	g_autofree char *found = NULL;
	g_autofree char *error = NULL;

	close(fd);
	ck_assert_ptr_null(tail_find(path, "x"));
	ck_assert_ptr_null(monitor_last_error("/nonexistent"));
	ck_assert(g_file_set_contents(
		path,
		"lodge-vmm: error: first\nlodge-vmm: warning: x\n"
		"lodge-vmm: error: second \x1b[2J\xc2\x9b\x31m\x9b\r\nlast: mark 1\nmark 2\n",
		-1, NULL));
	error = monitor_last_error(path);
	ck_assert_str_eq(error, "second ?[2J?1m\xef\xbf\xbd");
	found = tail_find(path, "mark ");
	ck_assert_str_eq(found, "2");
	g_unlink(path);
}
END_TEST

START_TEST(runtime_folders)
{
	char dir[] = "/tmp/runtime-XXXXXX";
	g_autofree char *message = NULL;
	g_autofree char *runtime = NULL;
	g_autofree char *base = NULL;
	g_autofree char *long_name = g_strnfill(90, 'x');
	pid_t pid;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	g_setenv("XDG_RUNTIME_DIR", dir, TRUE);
	ck_assert_int_eq(paths_runtime("box", &runtime, &message), 0);
	ck_assert(g_file_test(runtime, G_FILE_TEST_IS_DIR));
	ck_assert(!paths_is_running(runtime, &pid));
	ck_assert_int_eq(pid, 0);
	ck_assert_int_eq(paths_runtime(long_name, &base, &message), -ENAMETOOLONG);
	g_clear_pointer(&message, g_free);
	ck_assert_int_eq(paths_vm("none-such", &base, &message), -ENOENT);
	g_clear_pointer(&message, g_free);
	ck_assert_int_eq(paths_vm("no such", &base, &message), -EINVAL);
	g_clear_pointer(&message, g_free);
	/* A folder that others may enter is not taken. */
	g_rmdir(runtime);
	ck_assert_int_eq(paths_runtime_base(&base, &message), 0);
	ck_assert_int_eq(g_chmod(base, 0755), 0);
	g_clear_pointer(&runtime, g_free);
	ck_assert_int_eq(paths_runtime("box", &runtime, &message), -EPERM);
	g_rmdir(base);
	g_rmdir(dir);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cli");
	TCase *tcase = tcase_create("cli");

	tcase_add_test(tcase, shares);
	tcase_add_test(tcase, disks);
	tcase_add_test(tcase, command_lines);
	tcase_add_loop_test(tcase, bad_command_lines, 0, G_N_ELEMENTS(bad_lines));
	tcase_add_test(tcase, monitor_events);
	tcase_add_test(tcase, killed_monitors);
	tcase_add_test(tcase, logs_are_found_and_harmless);
	tcase_add_test(tcase, runtime_folders);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
