// SPDX-License-Identifier: GPL-2.0-or-later
// Whole verbs of the command, with a monitor that the test plays: what they print, their exit
// status, and what of files they touch.
/* First: fail() is a macro of check.h's, too. */
#include "host-vmm/cli/cli.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <json-glib/json-glib.h>
#include <locale.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include <lodge/display.h>

#include "host-vmm/conf/claim.h"
#include "host-vmm/conf/file.h"
#include "protocol/lib/fd.h"
#include "protocol/lib/fields.h"
#include "protocol/lib/frame.h"
#include "tests/unit/unit.h"
#include "tests/unit/verbs_rig.h"

/* ---- what is printed ---- */

START_TEST(json_is_valid_whatever_names_hold)
{
	static const char *const names[] = { "plain",	   "quote\"d",	  "back\\slash",
					     "cut\xf0",	   "not\xffutf8", "unit\x1fsep",
					     "c1\xc2\x9b", "new\nline" };
	g_autoptr(JsonParser) parser = json_parser_new();

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autofree char *dir = g_build_filename(root, "data/lodge", names[i], NULL);

		make_vm(dir);
		ck_assert_int_eq(RUN(verb_show, "show", "--json", dir), EX_OK);
		ck_assert(g_utf8_validate(said, -1, NULL));
		ck_assert(json_parser_load_from_data(parser, said, -1, NULL));
	}
	ck_assert_int_eq(RUN(verb_list, "list", "--json"), EX_OK);
	ck_assert(g_utf8_validate(said, -1, NULL));
	ck_assert_ptr_null(strchr(said, 0x1f));
	ck_assert_ptr_null(strstr(said, "\xc2\x9b"));
	ck_assert(json_parser_load_from_data(parser, said, -1, NULL));
	ck_assert_uint_eq(json_array_get_length(json_node_get_array(json_parser_get_root(parser))),
			  G_N_ELEMENTS(names));
	assert_said("cut\xef\xbf\xbd\"");
}
END_TEST

/* ESC and C1's CSI in all that is text, and other things where text should be. */
#define EVIL                  \
	"\\u001b[31m\xc2\x9b" \
	"31m"
static const char *const lies[] = {
	"\"state\":\"" EVIL "\",\"uuid\":\"" EVIL "\",\"up\":true,\"version\":\"" EVIL
	"\",\"door\":\"p\",\"mode\":\"" EVIL "\",\"features\":[{\"feature\":\"" EVIL
	"\",\"rung\":1,\"by\":\"" EVIL "\"}],\"devices\":[{\"name\":\"" EVIL "\",\"help\":\"" EVIL
	"\"}],\"shares\":[{\"name\":\"" EVIL "\",\"path\":\"" EVIL "\",\"owner\":\"" EVIL
	"\"}],\"vars\":[{\"name\":\"" EVIL
	"\",\"value\":\"x\"}],\"facts\":{\"system\":{\"hostname\":\"" EVIL
	"\"},\"net\":{\"address\":\"" EVIL "\"},\"clock\":{\"owner\":\"" EVIL "\"}},",
	"\"state\":7,\"uuid\":[],\"up\":true,\"version\":{},\"app\":null,\"door\":1,\"mode\":[],"
	"\"features\":[1,{\"feature\":7,\"by\":{}}],\"devices\":{},\"shares\":[7,{\"name\":{},"
	"\"path\":7,\"owner\":[]}],\"vars\":[7,{\"name\":[],\"value\":{},\"base64\":7}],"
	"\"facts\":{\"system\":{\"hostname\":7},\"net\":{\"address\":\"a\",\"nics\":[7]},"
	"\"clock\":{\"owner\":[]}},",
};

START_TEST(a_monitor_that_lies)
{
	static const struct {
		verb_fn verb;
		const char *words[4];
	} rows[] = {
		{ verb_list, { "list" } },
		{ verb_info, { "info", "box" } },
		{ verb_share, { "share", "list", "box" } },
		{ verb_var, { "var", "list", "box" } },
		{ verb_top, { "top", "-1", "--interval=1" } },
		{ verb_wait, { "wait", "box", "ip" } },
	};

	make_vm("data/lodge/box");
	part.lies = lies[_i];
	start_monitor("box", "data/lodge/box");
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		const char *words[5] = { NULL };

		memcpy(words, rows[i].words, sizeof(rows[i].words));
		ck_assert_msg(run(rows[i].verb, words) == EX_OK, "%s", said);
		ck_assert_msg(!strchr(said, '\033') && !strstr(said, "\xc2\x9b"), "%s", said);
		ck_assert_msg(!strstr(said, "CRITICAL") && !strstr(said, "(null)"), "%s", said);
		ck_assert_msg(_i || strstr(said, "?[31m"), "%s", said);
	}
}
END_TEST

static const char *const strange[] = {
	"{\"pid\":7,\"user\":5,\"state\":null,\"command\":[\"x\"]}\n",
	"{\"pid\":\"seven\",\"rss\":{},\"user\":true,\"started\":1e300,\"command\":{}}\n",
	"{}\n",
};

START_TEST(processes_of_a_guest_that_lies)
{
	g_autofree char *dir = g_build_filename(root, "data/lodge/box", NULL);
	static const char *const heads[] = { "[", "'\"'[", "{\"a\":/*\"*/[" };
	g_autofree char *deep = g_strnfill(512 << 10, '[');

	make_vm(dir);
	start_monitor("box", dir);
	ck_assert_int_eq(RUN(verb_ps, "ps", "box"), EX_UNAVAILABLE);
	assert_said("set backdoor.port=yes and start it anew");
	start_tools(strange[_i], strlen(strange[_i]));
	ck_assert_int_eq(RUN(verb_ps, "ps", "box"), EX_OK);
	ck_assert_ptr_null(strstr(said, "CRITICAL"));
	assert_said(" - ");
	g_unlink("run/lodge/box/tools.sock");
	memcpy(deep, heads[_i], strlen(heads[_i]));
	deep[(512 << 10) - 1] = '\n';
	start_tools(deep, 512 << 10);
	ck_assert_int_eq(RUN(verb_ps, "ps", "--json", "box"), EX_UNAVAILABLE);
	assert_said("its processes cannot be listed: Bad message");
}
END_TEST

/* A monitor with a screen, whose memory is sealed; or one that somebody has taken over: the memory
 * is gone when it is looked at. */
static void play_screen(int listener, bool sealed)
{
	const struct {
		struct lodge_display_header header;
		struct lodge_display_hello body;
	} hello = { { sizeof(hello.body), LODGE_DISPLAY_HELLO, 0 }, { 1, 1, 1 << 20, "false" } };
	const struct {
		struct lodge_display_header header;
		struct lodge_display_frame body;
	} frame = { { sizeof(frame.body), LODGE_DISPLAY_FRAME, 0 },
		    { 640, 480, 640 * 4, LODGE_DISPLAY_GPU, 0, 0 } };
	const struct {
		struct lodge_display_header header;
		struct lodge_display_damage body;
		struct lodge_display_rect rect;
	} damage = { { sizeof(damage.body) + sizeof(damage.rect), LODGE_DISPLAY_DAMAGE, 0 },
		     { .serial = 1, .n_rects = 1 },
		     { 0, 0, 640, 480 } };
	int fd = accept(listener, NULL, NULL);
	int memory = memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	char bytes[256];

	if (ftruncate(memory, 640 * 480 * 4) ||
	    (sealed && fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK)) ||
	    fd_send(fd, &hello, sizeof(hello), NULL, 0) ||
	    fd_send(fd, &frame, sizeof(frame), &memory, 1))
		return;
	/* Time to map it. */
	(void)read(fd, bytes, sizeof(bytes));
	g_usleep(200000);
	if (!sealed && ftruncate(memory, 0))
		return;
	(void)fd_send(fd, &damage, sizeof(damage), NULL, 0);
	while (read(fd, bytes, sizeof(bytes)) > 0)
		;
}

static void start_screen(bool sealed)
{
	g_autofree char *dir = g_build_filename(root, "data/lodge/box", NULL);
	int listener;

	make_vm(dir);
	start_monitor("box", dir);
	listener = unix_listen_ours("run/lodge/box/display.sock", 1);
	ck_assert_int_ge(listener, 0);
	if (!fork()) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGPIPE, SIG_IGN);
		play_screen(listener, sealed);
		_exit(0);
	}
	close(listener);
}

START_TEST(a_screen_whose_memory_shrinks)
{
	start_screen(false);
	ck_assert_int_eq(RUN(verb_screenshot, "screenshot", "box", "shot.png"), EX_PROTOCOL);
	assert_said("screen 1: its memory cannot be mapped, or could shrink");
	ck_assert_int_eq(access("shot.png", F_OK), -1);
}
END_TEST

START_TEST(a_screenshot_goes_into_a_pipe)
{
	char bytes[8] = "";
	int reader;

	start_screen(true);
	ck_assert_int_eq(mkfifo("pipe", 0600), 0);
	reader = open("pipe", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ck_assert_int_ge(reader, 0);
	ck_assert_int_eq(RUN(verb_screenshot, "screenshot", "box", "pipe"), EX_OK);
	ck_assert_int_eq(read(reader, bytes, 4), 4);
	ck_assert_int_eq(memcmp(bytes, "\x89PNG", 4), 0);
	close(reader);
}
END_TEST

/* ---- who runs ---- */

START_TEST(stop_of_one_that_ends_just_now)
{
	g_autofree char *dir = g_build_filename(root, "data/lodge/box", NULL);

	make_vm(dir);
	start_monitor("box", dir);
	ck_assert_int_eq(RUN(verb_stop, "stop", "box"), EX_OK);
	ck_assert_str_eq(said, "");
}
END_TEST

/* Its process number may be another's by then, and its end was what was wanted. */
START_TEST(kill_of_one_that_ends_just_now)
{
	g_autofree char *dir = g_build_filename(root, "data/lodge/box", NULL);
	int ready[2];
	char byte;

	make_vm(dir);
	ck_assert_int_eq(pipe(ready), 0);
	if (!fork()) {
		pid_t monitor;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		monitor = start_monitor("box", dir);
		(void)fd_write_all(ready[1], "r", 1);
		_exit(waitpid(monitor, NULL, 0) != monitor);
	}
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	ck_assert_int_eq(RUN(verb_kill, "kill", "box"), EX_OK);
	ck_assert_str_eq(said, "");
	close(ready[0]);
	close(ready[1]);
}
END_TEST

START_TEST(shutdown_waits_for_no_tools_that_are_silent)
{
	g_autofree char *dir = g_build_filename(root, "data/lodge/box", NULL);
	gint64 begin = g_get_monotonic_time();

	make_vm(dir);
	part.missed = true;
	start_monitor("box", dir);
	ck_assert_int_eq(RUN(verb_shutdown, "shutdown", "box"), EX_OK);
	ck_assert_int_lt(g_get_monotonic_time() - begin, 15 * G_USEC_PER_SEC);
}
END_TEST

/* Word of the tools that comes when the button has been pressed. */
START_TEST(a_late_refusal_presses_no_more)
{
	g_autofree char *dir = g_build_filename(root, "data/lodge/box", NULL);

	make_vm(dir);
	part = (struct part){ .missed = true, .deaf = true };
	presses = mmap(NULL, sizeof(*presses), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	start_monitor("box", dir);
	ck_assert_int_eq(RUN(verb_shutdown, "shutdown", "--timeout", "2", "box"), EX_TEMPFAIL);
	assert_said("box still runs after 2 s");
	ck_assert_uint_ge(*presses, 1);
	ck_assert_uint_le(*presses, 2);
}
END_TEST

START_TEST(two_of_one_name_are_not_mixed_up)
{
	g_autofree char *mine = g_build_filename(root, "data/lodge/box", NULL);
	g_autofree char *other = g_build_filename(root, "elsewhere/box", NULL);
	pid_t monitor;

	make_vm(mine);
	make_vm(other);
	monitor = start_monitor("box", other);
	ck_assert_int_eq(RUN(verb_kill, "kill", "box"), EX_TEMPFAIL);
	assert_said("data/lodge/box is off");
	assert_said("elsewhere/box; give one of the two folders another name");
	ck_assert_int_eq(RUN(verb_start, "start", "box"), EX_TEMPFAIL);
	assert_said("elsewhere/box");
	ck_assert_int_eq(RUN(verb_delete, "delete", "--yes", "box"), EX_TEMPFAIL);
	ck_assert_int_eq(access("data/lodge/box/vm.conf", F_OK), 0);
	ck_assert_int_eq(RUN(verb_list, "list"), EX_OK);
	assert_said("box                   off");
	/* What it sets can be seen and changed all the same. */
	ck_assert_int_eq(RUN(verb_set, "set", "box", "cpu.count=2"), EX_OK);
	ck_assert_str_eq(said, "");
	ck_assert_int_eq(waitpid(monitor, NULL, WNOHANG), 0);
	ck_assert_int_eq(RUN(verb_kill, "kill", "./elsewhere/box"), EX_OK);
}
END_TEST

/* ---- who comes first ---- */

START_TEST(delete_asks_again_after_the_answer)
{
	g_autofree char *dir = g_build_filename(root, "data/lodge/box", NULL);
	char *argv[] = { (char *)"delete", (char *)"box", NULL };
	char text[512] = "";
	size_t len = 0;
	int terminal;
	pid_t child;

	make_vm(dir);
	child = forkpty(&terminal, NULL, NULL, NULL);
	if (!child)
		_exit(verb_delete(2, argv));
	while (!strstr(text, "[y/N]")) {
		ssize_t got = read(terminal, text + len, sizeof(text) - 1 - len);

		ck_assert_int_gt(got, 0);
		len += (size_t)got;
	}
	start_monitor("box", dir);
	ck_assert_int_eq(write(terminal, "y\n", 2), 2);
	ck_assert_int_eq(status_of_child(child), EX_TEMPFAIL);
	ck_assert_int_eq(access("data/lodge/box/vm.conf", F_OK), 0);
	close(terminal);
}
END_TEST

START_TEST(delete_leaves_no_run_time_folder)
{
	make_vm("data/lodge/box");
	ck_assert_int_eq(RUN(verb_delete, "delete", "--yes", "box"), EX_OK);
	ck_assert_int_eq(access("data/lodge/box", F_OK), -1);
	ck_assert_int_eq(access("run/lodge/box", F_OK), -1);
}
END_TEST

/* Not so that its disks stay and no verb knows them any more. */
START_TEST(a_delete_that_fails_can_be_repeated)
{
	static const char *const mine[] = { ".", "data/lodge", "data/lodge/box", "run/lodge" };
	bool super = !geteuid();

	make_vm("data/lodge/box");
	ck_assert(!mkdir("data/lodge/box/disks", 0755) &&
		  g_file_set_contents("data/lodge/box/disks/a", "a", 1, NULL));
	ck_assert_int_eq(chmod("data/lodge/box/disks", 0555), 0);
	for (size_t i = 0; super && i < G_N_ELEMENTS(mine); i++)
		ck_assert_int_eq(chown(mine[i], 65534, (gid_t)-1), 0);
	ck_assert(!chmod("data", 0755) && !chmod("run", 0755));
	ck_assert(!super || !seteuid(65534));
	ck_assert_int_eq(RUN(verb_delete, "delete", "--yes", "box"), EX_CANTCREAT);
	assert_said("remove by hand what cannot be, and try again");
	ck_assert(!super || !seteuid(0));
	ck_assert_int_eq(access("data/lodge/box/vm.conf", F_OK), 0);
	ck_assert(!chmod("data/lodge/box/disks", 0755));
	for (size_t i = 0; super && i < G_N_ELEMENTS(mine); i++)
		ck_assert_int_eq(chown(mine[i], 0, (gid_t)-1), 0);
	ck_assert_int_eq(RUN(verb_delete, "delete", "--yes", "box"), EX_OK);
	ck_assert_int_eq(access("data/lodge/box", F_OK), -1);
}
END_TEST

START_TEST(run_takes_no_name_that_is_taken)
{
	int claim;

	make_vm("data/lodge/box");
	ck_assert_int_eq(RUN(verb_run, "run", "--name", "box", "true"), EX_TEMPFAIL);
	assert_said("there is a VM named 'box' already");
	/* Another lodge run is at it, and has no monitor yet. */
	ck_assert_int_eq(claim_folder("run/lodge/new/run", &claim), 0);
	ck_assert(g_file_set_contents("run/lodge/new/vmm.log", "its", -1, NULL));
	ck_assert_int_eq(RUN(verb_run, "run", "--name", "new", "true"), EX_TEMPFAIL);
	assert_said("a VM named 'new' runs already");
	ck_assert_int_eq(access("run/lodge/new/vmm.log", F_OK), 0);
	ck_assert_int_eq(access("run/lodge/new/run", F_OK), 0);
	ck_assert_int_eq(access("run/lodge/new/vm", F_OK), -1);
	close(claim);
}
END_TEST

START_TEST(start_beside_another_leaves_its_log)
{
	g_autofree char *libexec = g_build_filename(root, "libexec", NULL);
	g_autofree char *log = NULL;
	int claim;

	ck_assert_int_eq(g_mkdir(libexec, 0700), 0);
	ck_assert(g_file_set_contents("libexec/lodge-vmm", "#!/bin/sh\nexit 1\n", -1, NULL));
	ck_assert_int_eq(chmod("libexec/lodge-vmm", 0700), 0);
	g_setenv("LODGE_LIBEXEC", libexec, TRUE);
	ck_assert(g_file_set_contents("kernel", "MZ", -1, NULL));
	ck_assert_int_eq(RUN(verb_create, "create", "--kernel", "kernel", "box"), EX_OK);
	ck_assert(g_file_set_contents("data/lodge/box/vmm.log", "its", -1, NULL));
	ck_assert_int_eq(claim_folder("run/lodge/box", &claim), 0);
	ck_assert_int_eq(RUN(verb_start, "start", "box"), EX_TEMPFAIL);
	assert_said("box runs already");
	ck_assert(g_file_get_contents("data/lodge/box/vmm.log", &log, NULL, NULL));
	ck_assert_str_eq(log, "its");
	close(claim);
}
END_TEST

/* Whether process @pid waits for a lock of somebody's. */
static bool waits_for_lock(pid_t pid)
{
	g_autofree char *locks = NULL;
	g_autofree char *waiter = g_strdup_printf("-> FLOCK  ADVISORY  WRITE %d ", (int)pid);

	return g_file_get_contents("/proc/locks", &locks, NULL, NULL) && strstr(locks, waiter);
}

START_TEST(of_two_that_create_one_does)
{
	char *argv[] = { (char *)"create", (char *)"--kernel", (char *)"kernel", (char *)"box",
			 NULL };
	g_autofree char *message = NULL;
	g_autofree char *conf = NULL;
	int status, lock;
	pid_t child;

	ck_assert(g_file_set_contents("kernel", "MZ", -1, NULL));
	ck_assert_int_eq(g_mkdir("data/lodge/box", 0700), 0);
	lock = conf_file_lock("data/lodge/box", &message);
	ck_assert_int_ge(lock, 0);
	child = fork();
	if (!child) {
		close(lock);
		_exit(verb_create(4, argv));
	}
	while (!waits_for_lock(child)) {
		ck_assert_int_eq(waitpid(child, &status, WNOHANG), 0);
		g_usleep(1000);
	}
	make_vm("data/lodge/box");
	close(lock);
	ck_assert_int_eq(status_of_child(child), EX_CANTCREAT);
	ck_assert(g_file_get_contents("data/lodge/box/vm.conf", &conf, NULL, NULL));
	ck_assert_str_eq(conf, CONF);
}
END_TEST

START_TEST(folders_are_claimed_by_one)
{
	int first, second;

	ck_assert_int_eq(claim_folder("a/b", &first), 0);
	ck_assert_int_eq(claim_folder("a/b", &second), -EADDRINUSE);
	/* Who has it may take it away: the next one is another. */
	ck_assert_int_eq(g_rmdir("a/b"), 0);
	ck_assert_int_eq(claim_folder("a/b", &second), 0);
	close(first);
	ck_assert_int_eq(claim_folder("a/b", &first), -EADDRINUSE);
	close(second);
	ck_assert_int_eq(claim_folder("a/b", &first), 0);
	close(first);
	ck_assert_int_eq(chmod("a/b", 0722), 0);
	ck_assert_int_eq(claim_folder("a/b", &first), -EPERM);
	ck_assert_int_eq(symlink("a", "link"), 0);
	ck_assert_int_eq(claim_folder("link", &first), -ENOTDIR);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cli_verbs");
	TCase *tcase = tcase_create("verbs");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, make_world, remove_world);
	tcase_add_test(tcase, json_is_valid_whatever_names_hold);
	tcase_add_loop_test(tcase, a_monitor_that_lies, 0, G_N_ELEMENTS(lies));
	tcase_add_loop_test(tcase, processes_of_a_guest_that_lies, 0, G_N_ELEMENTS(strange));
	tcase_add_test(tcase, a_screen_whose_memory_shrinks);
	tcase_add_test(tcase, a_screenshot_goes_into_a_pipe);
	tcase_add_test(tcase, stop_of_one_that_ends_just_now);
	tcase_add_test(tcase, kill_of_one_that_ends_just_now);
	tcase_add_test(tcase, shutdown_waits_for_no_tools_that_are_silent);
	tcase_add_test(tcase, a_late_refusal_presses_no_more);
	tcase_add_test(tcase, two_of_one_name_are_not_mixed_up);
	tcase_add_test(tcase, delete_asks_again_after_the_answer);
	tcase_add_test(tcase, delete_leaves_no_run_time_folder);
	tcase_add_test(tcase, a_delete_that_fails_can_be_repeated);
	tcase_add_test(tcase, run_takes_no_name_that_is_taken);
	tcase_add_test(tcase, start_beside_another_leaves_its_log);
	tcase_add_test(tcase, of_two_that_create_one_does);
	tcase_add_test(tcase, folders_are_claimed_by_one);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
