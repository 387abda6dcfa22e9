// SPDX-License-Identifier: GPL-2.0-or-later
// lodge.exec as a host sees it: status, streams, credits, signals, terminals, policy, ends.
#include <check.h>
#include <dirent.h>
#include <endian.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "protocol/lib/fields.h"
#include "tests/unit/lodged_rig.h"
#include "tests/unit/unit.h"

#define AS_ROOT "[guest-ops]\nallow-exec=root\n"

static const char *me(void)
{
	return geteuid() == 0 ? "root" : g_get_user_name();
}

#define SHELL(script) "user", me(), "arg", "/bin/sh", "arg", "-c", "arg", script

static void assert_result(struct rig *rig, uint32_t tag, const char *wanted)
{
	g_autofree char *text = rig_result(rig, tag);

	ck_assert_str_eq(text, wanted);
}

static const char *stream_text(struct rig *rig, uint32_t number)
{
	if (!rig->streams[number])
		return "";
	g_byte_array_append(rig->streams[number], (const guint8 *)"", 1);
	return (const char *)rig->streams[number]->data;
}

/* None of this process's children is left, dead or alive. */
static void assert_no_children(struct rig *rig)
{
	ck_assert_ptr_nonnull(rig);
	ck_assert_int_eq(kill(0, 0), 0);
	while (g_main_context_iteration(NULL, FALSE))
		;
	{
		g_autofree char *path = g_strdup_printf("/proc/self/task/%d/children", getpid());
		g_autofree char *text = NULL;

		if (g_file_get_contents(path, &text, NULL, NULL))
			ck_assert_str_eq(text, "");
	}
}

START_TEST(both_outputs_and_the_status_come)
{
	struct rig rig;

	rig_up(&rig, AS_ROOT);
	assert_result(&rig,
		      rig_fields(&rig, "lodge.exec", SHELL("echo out; echo err >&2; exit 7"),
				 "stdout", "1", "stderr", "2", NULL),
		      "OK status=7");
	ck_assert(rig.ended[1] && rig.ended[2]);
	ck_assert_str_eq(stream_text(&rig, 1), "out\n");
	ck_assert_str_eq(stream_text(&rig, 2), "err\n");
	assert_no_children(&rig);
	rig_stop(&rig);
}
END_TEST

START_TEST(stdin_goes_in_and_ends)
{
	struct rig rig;
	uint32_t tag;

	rig_up(&rig, AS_ROOT);
	tag = rig_fields(&rig, "lodge.exec", SHELL("cat; echo end"), "stdin", "3", "stdout", "1",
			 NULL);
	rig_send(&rig, LODGE_RPC_DATA, 0, 3, "some ", 5);
	rig_send(&rig, LODGE_RPC_DATA, LODGE_RPC_F_END, 3, "bytes ", 6);
	assert_result(&rig, tag, "OK status=0");
	ck_assert_str_eq(stream_text(&rig, 1), "some bytes end\n");
	rig_stop(&rig);
}
END_TEST

/* Far more than the credit, both ways: nothing is lost, and the guest's end waits for credit. */
START_TEST(much_data_keeps_to_the_credit)
{
	enum { TOTAL = 3000000 };
	struct rig rig;
	uint32_t tag;

	rig_up(&rig, AS_ROOT);
	tag = rig_fields(&rig, "lodge.exec", SHELL("head -c 3000000 /dev/zero"), "stdout", "1",
			 NULL);
	assert_result(&rig, tag, "OK status=0");
	ck_assert_uint_eq(rig.streams[1]->len, TOTAL);
	rig_stop(&rig);
}
END_TEST

START_TEST(a_signal_is_told)
{
	struct rig rig;

	rig_up(&rig, AS_ROOT);
	{
		g_autofree char *text =
			rig_result(&rig, rig_fields(&rig, "lodge.exec", SHELL("kill -9 $$"), NULL));

		ck_assert_str_eq(text, "OK status=137");
		ck_assert_str_eq(text + strlen(text) + 1, "signal=9");
	}
	rig_stop(&rig);
}
END_TEST

START_TEST(jobs_take_signals)
{
	static const char script[] = "trap 'echo got; exit 3' USR1; echo on; "
				     "while :; do sleep 0.05; done";
	struct rig rig;
	uint32_t tag, other;

	rig_up(&rig, AS_ROOT);
	tag = rig_fields(&rig, "lodge.exec", SHELL(script), "stdout", "1", "job", "j", NULL);
	while (!rig.streams[1]) {
		/* Another command's result lets the rig take DATA meanwhile. */
		g_autofree char *pong = rig_ask(&rig, "ping");

		ck_assert_str_eq(pong, "OK ");
	}
	other = rig_fields(&rig, "lodge.exec-signal", "job", "none", "signal", "10", NULL);
	assert_result(&rig, other, "ERROR 3 no such job");
	other = rig_fields(&rig, "lodge.exec-signal", "job", "j", "signal", "65", NULL);
	assert_result(&rig, other, "ERROR 22 Invalid argument");
	other = rig_fields(&rig, "lodge.exec-signal", "job", "j", "signal", "10", NULL);
	assert_result(&rig, other, "OK ");
	assert_result(&rig, tag, "OK status=3");
	ck_assert_str_eq(stream_text(&rig, 1), "on\ngot\n");
	rig_stop(&rig);
}
END_TEST

START_TEST(a_terminal_is_one)
{
	struct rig rig;
	uint32_t tag, other;

	rig_up(&rig, AS_ROOT);
	tag = rig_fields(&rig, "lodge.exec",
			 SHELL("tty >/dev/null && stty size; read -r x; stty size; echo $TERM"),
			 "stdin", "3", "stdout", "1", "tty", "80x24", "term", "vt100", "job", "t",
			 NULL);
	while (!rig.streams[1]) {
		g_autofree char *pong = rig_ask(&rig, "ping");

		ck_assert_str_eq(pong, "OK ");
	}
	other = rig_fields(&rig, "lodge.exec-resize", "job", "t", "tty", "100x50", NULL);
	assert_result(&rig, other, "OK ");
	other = rig_fields(&rig, "lodge.exec-resize", "job", "t", "tty", "0x50", NULL);
	assert_result(&rig, other, "ERROR 22 Invalid argument");
	rig_send(&rig, LODGE_RPC_DATA, 0, 3, "\n", 1);
	assert_result(&rig, tag, "OK status=0");
	ck_assert_str_eq(stream_text(&rig, 1), "24 80\r\n\r\n50 100\r\nvt100\r\n");
	rig_stop(&rig);
}
END_TEST

START_TEST(the_time_limit_ends_it)
{
	struct rig rig;
	g_autofree char *text = NULL;

	rig_up(&rig, AS_ROOT);
	text = rig_result(&rig, rig_fields(&rig, "lodge.exec", SHELL("sleep 60"), "stdout", "1",
					   "timeout", "1", NULL));
	ck_assert_str_eq(text, "OK status=124");
	rig_stop(&rig);
}
END_TEST

/* A background child holds the pipe. */
START_TEST(a_background_child_holds_nothing_up)
{
	struct rig rig;
	gint64 before = g_get_monotonic_time();

	rig_up(&rig, AS_ROOT);
	assert_result(&rig,
		      rig_fields(&rig, "lodge.exec", SHELL("echo last; sleep 15 & exit 0"),
				 "stdout", "1", "stderr", "2", NULL),
		      "OK status=0");
	ck_assert_str_eq(stream_text(&rig, 1), "last\n");
	ck_assert_int_lt(g_get_monotonic_time() - before, 10 * G_USEC_PER_SEC);
	rig_stop(&rig);
}
END_TEST

static const struct {
	const char *conf, *fields, *wanted;
	size_t len;
} refused[] = {
	{ NULL, "arg=true", "ERROR 125 switched off in this guest (tools.conf: allow-exec=off)",
	  9 },
	{ "[guest-ops]\nallow-exec=user\n", "arg=true",
	  "ERROR 125 this guest's tools.conf names no exec-users", 9 },
	{ "[guest-ops]\nallow-exec=user\nexec-users=nobody\n", "arg=true\0user=root",
	  "ERROR 125 this guest's tools.conf does not have that user among exec-users", 19 },
	{ "[guest-ops]\nallow-exec=user\nexec-users=root\n", "arg=true",
	  "ERROR 125 this guest's tools.conf does not allow root", 9 },
	{ AS_ROOT, "arg=true\0user=no-such-user", "ERROR 125 this guest has no user no-such-user",
	  27 },
	{ AS_ROOT, "", "ERROR 22 no program is named", 0 },
	{ AS_ROOT, "arg=true", "ERROR 22 malformed fields", 8 },
	{ AS_ROOT, "arg=true\0stdout=0", "ERROR 22 malformed fields", 18 },
	{ AS_ROOT, "arg=true\0stdout=x", "ERROR 22 malformed fields", 18 },
	{ AS_ROOT, "arg=true\0stdout=5\0stderr=5", "ERROR 22 a stream's number will not do", 27 },
	{ AS_ROOT, "arg=true\0tty=80", "ERROR 22 malformed tty", 16 },
	{ AS_ROOT, "arg=true\0timeout=99999999999", "ERROR 22 malformed fields", 29 },
	{ AS_ROOT, "arg=no-such-program", "ERROR 127 no-such-program: not found", 20 },
	{ AS_ROOT, "arg=/etc/passwd", "ERROR 126 /etc/passwd: Permission denied", 16 },
	{ AS_ROOT, "arg=true\0dir=/nowhere", "ERROR 2 /nowhere: No such file or directory", 22 },
};

START_TEST(refusals)
{
	struct rig rig;
	g_autoptr(GByteArray) text = g_byte_array_new();

	if (geteuid() != 0)
		return;
	rig_up(&rig, refused[_i].conf);
	g_byte_array_append(text, (const guint8 *)"lodge.exec ", 11);
	g_byte_array_append(text, (const guint8 *)refused[_i].fields, (guint)refused[_i].len);
	for (;;) {
		uint32_t tag = rig_command(&rig, text->data, text->len);
		struct rig_frame found = rig_next(&rig, false);

		/* Streams that were opened before are reset. */
		if (found.frame.type == LODGE_RPC_RESET) {
			g_free(found.payload);
			found = rig_next(&rig, false);
		}
		ck_assert_uint_eq(found.frame.tag, tag);
		ck_assert_str_eq((char *)found.payload, refused[_i].wanted);
		g_free(found.payload);
		break;
	}
	assert_no_children(&rig);
	rig_stop(&rig);
}
END_TEST

static bool no_child(struct rig *rig, void *opaque)
{
	const pid_t *pid = opaque;

	(void)rig;
	return kill(*pid, 0) != 0;
}

/* The host goes away under a program: it and its group are ended, and the next session is clean. */
START_TEST(a_lost_door_ends_programs)
{
	struct rig rig;
	pid_t pid;

	rig_up(&rig, AS_ROOT);
	rig_fields(&rig, "lodge.exec", SHELL("echo $$; sleep 600"), "stdout", "1", NULL);
	while (!rig.streams[1]) {
		g_autofree char *pong = rig_ask(&rig, "ping");
	}
	pid = atoi(stream_text(&rig, 1));
	ck_assert_int_gt(pid, 1);
	rig_send(&rig, LODGE_RPC_CLOSE, 0, 0, "", 0);
	rig_until(&rig, no_child, &pid);
	rig_accept(&rig);
	rig_greet(&rig);
	assert_result(&rig, rig_fields(&rig, "lodge.exec", SHELL("exit 2"), NULL), "OK status=2");
	rig_stop(&rig);
}
END_TEST

START_TEST(a_reset_stream_ends_the_program)
{
	struct rig rig;
	uint32_t tag;
	g_autofree char *text = NULL;

	rig_up(&rig, AS_ROOT);
	tag = rig_fields(&rig, "lodge.exec", SHELL("sleep 600"), "stdin", "3", "stdout", "1", NULL);
	rig_send(&rig, LODGE_RPC_RESET, 0, 3, "gone", 4);
	rig_send(&rig, LODGE_RPC_RESET, 0, 1, "gone", 4);
	text = rig_result(&rig, tag);
	ck_assert_str_eq(text, "OK status=129");
	rig_stop(&rig);
}
END_TEST

/* A host that sends beyond its credit loses the stream, not lodged. */
START_TEST(data_beyond_the_credit_is_refused)
{
	static char block[65536];
	struct rig rig;
	uint32_t tag;
	struct rig_frame found;
	g_autofree char *text = NULL;

	rig_up(&rig, AS_ROOT);
	tag = rig_fields(&rig, "lodge.exec", SHELL("sleep 600"), "stdin", "3", NULL);
	for (int i = 0; i < 6; i++)
		rig_send(&rig, LODGE_RPC_DATA, 0, 3, block, sizeof(block));
	do {
		found = rig_next(&rig, false);
		g_free(found.payload);
	} while (found.frame.type == LODGE_RPC_CREDIT);
	ck_assert_int_eq(found.frame.type, LODGE_RPC_RESET);
	do {
		found = rig_next(&rig, false);
		if (found.frame.type == LODGE_RPC_RESET)
			g_free(found.payload);
	} while (found.frame.type == LODGE_RPC_RESET);
	ck_assert_uint_eq(found.frame.tag, tag);
	ck_assert_str_eq((char *)found.payload, "OK status=129");
	g_free(found.payload);
	rig_stop(&rig);
}
END_TEST

/* What a program of the host finds open, and who it is. */
START_TEST(programs_inherit_nothing)
{
	/* 32 and 33 are glibc's own: what posix_spawn() started has them ignored, and cannot tell.
	 */
	static const char script[] =
		"umask; ps -o sid= -p $$ | tr -d ' ' | grep -qx $$ && echo leader; "
		"grep SigBlk /proc/self/status; "
		"grep SigIgn /proc/self/status | sed 's/180000000$/000000000/'; echo $HOME $FOO";
	struct rig rig;
	uint32_t tag;

	rig_up(&rig, AS_ROOT);
	tag = rig_fields(&rig, "lodge.exec", "user", me(), "arg", "ls", "arg", "/proc/self/fd",
			 "stdout", "1", NULL);
	assert_result(&rig, tag, "OK status=0");
	/* 3 is the folder that ls reads. */
	ck_assert_str_eq(stream_text(&rig, 1), "0\n1\n2\n3\n");
	tag = rig_fields(&rig, "lodge.exec", SHELL(script), "env", "FOO=bar", "stdout", "2", NULL);
	assert_result(&rig, tag, "OK status=0");
	if (geteuid() == 0)
		ck_assert_str_eq(stream_text(&rig, 2), "0022\nleader\nSigBlk:\t0000000000000000\n"
						       "SigIgn:\t0000000000000000\n/root bar\n");
	rig_stop(&rig);
}
END_TEST

/* A container's root may lack the right, or the user. */
static bool can_become(const char *name)
{
	const struct passwd *user = getpwnam(name);
	pid_t pid = user ? fork() : -1;
	int status;

	if (pid == 0)
		_exit(initgroups(name, user->pw_gid) || setgid(user->pw_gid) ||
		      setuid(user->pw_uid));
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

START_TEST(a_user_is_all_of_that_user)
{
	static const char script[] =
		"id -un; id -Gn; grep -E '^(Cap(Prm|Eff))' /proc/self/status | "
		"grep -vc 0000000000000000; echo $USER";
	struct rig rig;
	uint32_t tag;

	if (!can_become("nobody"))
		return;
	rig_up(&rig, "[guest-ops]\nallow-exec=user\nexec-users=nobody;daemon\n");
	tag = rig_fields(&rig, "lodge.exec", "arg", "/bin/sh", "arg", "-c", "arg", script, "stdout",
			 "1", NULL);
	assert_result(&rig, tag, "OK status=0");
	ck_assert_str_eq(stream_text(&rig, 1), "nobody\nnogroup\n0\nnobody\n");
	rig_stop(&rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lodged_exec");
	TCase *tests = tcase_create("exec");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, both_outputs_and_the_status_come);
	tcase_add_test(tests, stdin_goes_in_and_ends);
	tcase_add_test(tests, much_data_keeps_to_the_credit);
	tcase_add_test(tests, a_signal_is_told);
	tcase_add_test(tests, jobs_take_signals);
	tcase_add_test(tests, a_terminal_is_one);
	tcase_add_test(tests, the_time_limit_ends_it);
	tcase_add_test(tests, a_background_child_holds_nothing_up);
	tcase_add_loop_test(tests, refusals, 0, G_N_ELEMENTS(refused));
	tcase_add_test(tests, a_lost_door_ends_programs);
	tcase_add_test(tests, a_reset_stream_ends_the_program);
	tcase_add_test(tests, data_beyond_the_credit_is_refused);
	tcase_add_test(tests, programs_inherit_nothing);
	tcase_add_test(tests, a_user_is_all_of_that_user);
	suite_add_tcase(suite, tests);
	return unit_run(suite);
}
