// SPDX-License-Identifier: GPL-2.0-or-later
// lodged among hostile users of its guest, and under a hostile host (T36 to T38): what it runs,
// opens, hands on and shows; what opens guest operations, and that nothing else does.
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "protocol/lib/fd.h"
#include "tests/unit/lodged_rig.h"
#include "tests/unit/unit.h"

#define AS_ROOT "[guest-ops]\nallow-exec=root\n"
#define OFF	"ERROR 125 switched off in this guest (tools.conf: allow-exec=off)"

static const char *me(void)
{
	return geteuid() == 0 ? "root" : g_get_user_name();
}

static void write_program(const char *folder, const char *name, const char *text)
{
	g_autofree char *path = g_build_filename(folder, name, NULL);
	g_autofree char *all = g_strdup_printf("#!/bin/sh\n%s\n", text);

	ck_assert(g_file_set_contents(path, all, -1, NULL));
	ck_assert_int_eq(chmod(path, 0755), 0);
}

/* The next RESULT's text, g_free(); streams that were opened for it may be reset first. */
static char *next_result(struct rig *rig)
{
	for (;;) {
		struct rig_frame found = rig_next(rig, false);

		if (found.frame.type == LODGE_RPC_RESULT)
			return (char *)found.payload;
		g_free(found.payload);
	}
}

static void assert_result(struct rig *rig, uint32_t tag, const char *wanted)
{
	g_autofree char *text = rig_result(rig, tag);

	ck_assert_str_eq(text, wanted);
}

static void assert_stream(struct rig *rig, uint32_t number, const char *wanted)
{
	ck_assert_ptr_nonnull(rig->streams[number]);
	g_byte_array_append(rig->streams[number], (const guint8 *)"", 1);
	ck_assert_str_eq((const char *)rig->streams[number]->data, wanted);
}

/* ---- T36: helpers, and what users plant ---- */

static bool exists(struct rig *rig, void *opaque)
{
	struct stat st;

	(void)rig;
	return stat(opaque, &st) == 0 && st.st_size > 0;
}

START_TEST(t36_helpers_inherit_nothing)
{
	struct rig rig;
	g_autofree char *folder = g_dir_make_tmp("helpers-XXXXXX", NULL);
	g_autofree char *list = g_build_filename(folder, "list", NULL), *text = NULL;
	g_autofree char *script = g_strdup_printf("ls /proc/self/fd >%s", list);
	g_autofree char *conf =
		g_strdup_printf("%s[powerops]\nsuspend-script=%s/suspend\n", AS_ROOT, folder);
	g_autofree char *said = NULL;

	write_program(folder, "lodge-files", "ls /proc/self/fd");
	write_program(folder, "suspend", script);
	rig_up(&rig, conf);
	rig.lodged.helpers = folder;
	assert_result(
		&rig,
		rig_fields(&rig, "lodge.file-get", "user", me(), "path", "/x", "stdout", "1", NULL),
		"OK bytes=10");
	/* 3 is where it reports, 4 the folder that ls reads. */
	assert_stream(&rig, 1, "0\n1\n2\n3\n4\n");
	said = rig_ask(&rig, "OS_Suspend");
	ck_assert_str_eq(said, "OK ");
	rig_until(&rig, exists, list);
	rig_request(&rig, "tools.os.statechange.status 1 5");
	ck_assert(g_file_get_contents(list, &text, NULL, NULL));
	/* Its output goes where lodged's goes. */
	ck_assert_str_eq(text, "0\n1\n2\n3\n");
	rig_stop(&rig);
	rig_remove(folder);
}
END_TEST

/* By a PATH, a working folder and names that are a user's. */
START_TEST(t36_planted_programs_never_run)
{
	static const char *const names[] = { "httpd",	 "sh",	      "ls",	     "id",
					     "modprobe", "systemctl", "mount.lodge", "lodge-files",
					     "shutdown", "true" };
	g_autofree char *planted = g_dir_make_tmp("planted-XXXXXX", NULL);
	g_autofree char *mark = g_build_filename(planted, "ran", NULL);
	g_autofree char *text = g_strdup_printf("echo $0 >>%s", mark);
	g_autofree char *path = g_strdup_printf("%s:.:/usr/bin:/bin", planted);
	g_autofree char *ran = NULL;
	struct rig rig;

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
		write_program(planted, names[i], text);
	ck_assert_int_eq(chdir(planted), 0);
	g_setenv("PATH", path, TRUE);
	rig_up(&rig, AS_ROOT);
	assert_result(&rig,
		      rig_fields(&rig, "lodge.exec", "user", me(), "arg", "id", "arg", "-u",
				 "stdout", "1", NULL),
		      "OK status=0");
	assert_result(&rig,
		      rig_fields(&rig, "lodge.exec", "user", me(), "arg", "sh", "arg", "-c", "arg",
				 "ls >/dev/null; echo $PATH", "stdout", "2", NULL),
		      "OK status=0");
	g_free(rig_result(&rig, rig_fields(&rig, "lodge.file-get", "user", me(), "path",
					   "/etc/passwd", "stdout", "3", NULL)));
	g_free(rig_result(&rig, rig_fields(&rig, "lodge.ps", "user", me(), "stdout", "4", NULL)));
	g_byte_array_append(rig.streams[2], (const guint8 *)"", 1);
	ck_assert_ptr_null(strstr((const char *)rig.streams[2]->data, planted));
	ck_assert_msg(!g_file_get_contents(mark, &ran, NULL, NULL), "%s ran", ran);
	rig_stop(&rig);
	rig_remove(planted);
}
END_TEST

/* A script of root's in a folder of somebody's, or by a link that is somebody's. */
START_TEST(t36_scripts_that_a_user_could_replace)
{
	g_autofree char *folder = g_dir_make_tmp("scripts-XXXXXX", NULL);
	g_autofree char *open = g_build_filename(folder, "open", NULL);
	g_autofree char *link = g_build_filename(folder, "link", NULL);
	g_autofree char *mark = g_build_filename(folder, "ran", NULL);
	g_autofree char *text = g_strdup_printf("touch %s", mark);
	g_autofree char *script = g_build_filename(open, "resume", NULL);
	const char *const paths[] = { script, link, "resume", "/dev/null", folder, "/dev/zero" };

	ck_assert_int_eq(mkdir(open, 0755), 0);
	ck_assert_int_eq(chmod(open, 0777), 0);
	write_program(open, "resume", text);
	ck_assert_int_eq(symlink(script, link), 0);
	for (size_t i = 0; i < G_N_ELEMENTS(paths); i++) {
		g_autofree char *conf = g_strdup_printf("[powerops]\nresume-script=%s\n", paths[i]);
		g_autofree char *said = NULL;
		struct rig rig;

		rig_up(&rig, conf);
		said = rig_ask(&rig, "OS_Resume");
		ck_assert_str_eq(said, "OK ");
		rig_request(&rig, "tools.os.statechange.status 1 4");
		ck_assert_int_ne(access(mark, F_OK), 0);
		rig_stop(&rig);
	}
	rig_remove(folder);
}
END_TEST

/* Runs lodged itself; @socket: the host, or NULL for none. */
static pid_t run_lodged(const char *folder, const char *socket, const char *user)
{
	g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
	g_autofree char *here = g_path_get_dirname(self);
	g_autofree char *program = g_build_filename(here, "..", "bin", "lodged", NULL);
	const struct passwd *entry = user ? getpwnam(user) : NULL;
	pid_t pid = fork();

	if (pid)
		return pid;
	if (user && (setgroups(0, NULL) || setgid(entry->pw_gid) || setuid(entry->pw_uid)))
		_exit(99);
	execl(program, "lodged", "--door=port", "--run-folder", folder, "--conf", "/nonexistent",
	      "--door-path", socket ? socket : "/nonexistent", (char *)NULL);
	_exit(98);
}

static int status_of(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

START_TEST(t36_links_in_its_folder)
{
	g_autofree char *top = g_dir_make_tmp("run-XXXXXX", NULL);
	g_autofree char *folder = g_build_filename(top, "run", NULL);
	g_autofree char *link = g_build_filename(top, "link", NULL);
	g_autofree char *victim = g_build_filename(top, "victim", NULL);
	g_autofree char *lock = g_build_filename(folder, "lodged.lock", NULL);
	g_autofree char *socket = g_build_filename(folder, "lodged.sock", NULL);
	g_autofree char *text = NULL;
	struct stat st;

	ck_assert(g_file_set_contents(victim, "precious", -1, NULL));
	ck_assert_int_eq(mkdir(folder, 0755), 0);
	ck_assert_int_eq(symlink(victim, lock), 0);
	ck_assert_int_eq(status_of(run_lodged(folder, NULL, NULL)), EX_TEMPFAIL);
	ck_assert_int_eq(unlink(lock), 0);
	ck_assert_int_eq(symlink("/nonexistent/dangling", lock), 0);
	ck_assert_int_eq(status_of(run_lodged(folder, NULL, NULL)), EX_TEMPFAIL);
	ck_assert_int_eq(unlink(lock), 0);
	/* A folder that others may write, or that is somewhere else. */
	ck_assert_int_eq(chmod(folder, 0777), 0);
	ck_assert_int_eq(status_of(run_lodged(folder, NULL, NULL)), EX_TEMPFAIL);
	ck_assert_int_eq(chmod(folder, 0755), 0);
	ck_assert_int_eq(symlink(folder, link), 0);
	ck_assert_int_eq(status_of(run_lodged(link, NULL, NULL)), EX_TEMPFAIL);
	/* In place of the socket. */
	ck_assert_int_eq(symlink(victim, socket), 0);
	ck_assert_int_eq(status_of(run_lodged(folder, NULL, NULL)), LODGED_EXIT_NO_HOST);
	ck_assert_int_eq(stat(victim, &st), 0);
	ck_assert_int_eq(st.st_mode & S_IWOTH, 0);
	ck_assert(g_file_get_contents(victim, &text, NULL, NULL));
	ck_assert_str_eq(text, "precious");
	rig_remove(top);
}
END_TEST

/* A process of the same user, without any capability. Its exit status has a bit for each way in. */
static int look_inside(pid_t pid)
{
	static const char *const files[] = { "mem", "environ", "fd", "maps", "auxv", "exe" };
	int ways = 0;

	for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
		g_autofree char *path = g_strdup_printf("/proc/%d/%s", pid, files[i]);
		char bytes[64];
		autofd fd = open(path, O_RDONLY | O_CLOEXEC);
		bool in = fd >= 0;

		if (!strcmp(files[i], "exe"))
			in = readlink(path, bytes, sizeof(bytes)) > 0;
		ways |= in << i;
	}
	if (!ptrace(PTRACE_SEIZE, pid, NULL, NULL))
		ways |= 1 << 6;
	return ways;
}

START_TEST(t36_nobody_looks_inside)
{
	g_autofree char *top = g_dir_make_tmp("inside-XXXXXX", NULL);
	g_autofree char *folder = g_build_filename(top, "run", NULL);
	g_autofree char *path = g_build_filename(top, "host.sock", NULL);
	const struct passwd *nobody = getpwnam("nobody");
	autofd listener = unix_listen(path, 4), host = -1;
	pid_t pid, other;

	if (geteuid() != 0 || !nobody) {
		rig_remove(top);
		return;
	}
	ck_assert_int_eq(mkdir(folder, 0755), 0);
	ck_assert_int_eq(chmod(top, 0755), 0);
	ck_assert_int_eq(chmod(path, 0777), 0);
	ck_assert_int_eq(chown(folder, nobody->pw_uid, nobody->pw_gid), 0);
	pid = run_lodged(folder, path, "nobody");
	/* It has opened its door, behind all that it does at its start. */
	host = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	ck_assert_int_ge(host, 0);
	other = fork();
	if (!other)
		_exit(setgroups(0, NULL) || setgid(nobody->pw_gid) || setuid(nobody->pw_uid)
			      ? 128
			      : look_inside(pid));
	ck_assert_int_eq(status_of(other), 0);
	ck_assert_int_eq(kill(pid, SIGTERM), 0);
	ck_assert_int_eq(status_of(pid), 0);
	rig_remove(top);
}
END_TEST

/* ---- T37: there are no tokens; the policy of the guest's owner is all that there is ---- */

static const char *const policies[] = {
	NULL,
	"",
	"[guest-ops]\n",
	"[guest-ops]\nallow-exec=\n",
	"[guest-ops]\nallow-exec=off\n",
	"[guest-ops]\nallow-exec=ROOT\n",
	"[guest-ops]\nallow-exec=root root\n",
	"[guest-ops]\nallow-exec=root,user\n",
	"[guest-ops]\nallow-exec=1\n",
	"[guest-ops]\nallow-exec=true\n",
	"[guest-ops]\nallow-exec=user\n",
	"[guest-ops]\nallow-exec=user\nexec-users=\n",
	"[guest-ops]\nallow-exec=user\nexec-users=;;\n",
	"[guest-ops]\nallow-exec=user\nexec-users=root;0;+0\n",
	"[guest-ops]\nallow-exec=off\nallow-exec =off\n[guestoperations]\nallow-exec=root\n",
	"[other]\nallow-exec=root\n",
	"allow-exec=root\n",
	"[guest-ops\nallow-exec=root\n",
	"[guest-ops]\nallow-exec=root\n\xff\xfe no key file\n",
};

/* What somebody who knows another system's tokens may try: expired, without a signature, of no
 * algorithm, for another audience, cut off. */
static const char *const tokens[] = {
	"token=eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb290IiwiZXhwIjoxfQ.",
	"token=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJyb290IiwiYXVkIjoib3RoZXIifQ.AAAA",
	"token=eyJhbGciOiJIUzI1NiJ9.eyJzdWI",
	"token=",
	"saml=<Assertion><Signature/></Assertion>",
	"credential-type=3",
	"uid=0",
	"allow-exec=root",
	"policy=root",
	"root=1",
};

START_TEST(t37_nothing_but_the_policy_opens)
{
	struct rig rig;

	rig_up(&rig, policies[_i]);
	for (size_t i = 0; i < G_N_ELEMENTS(tokens); i++) {
		const char *words[] = { "lodge.exec", "lodge.ps", "lodge.file-get",
					"lodge.file-put", "lodge.kill" };
		g_autofree char *key = g_strndup(tokens[i], strcspn(tokens[i], "="));
		const char *value = tokens[i] + strlen(key) + 1;

		for (size_t j = 0; j < G_N_ELEMENTS(words); j++) {
			/* Twice: one that was refused is not taken the second time. */
			for (int again = 0; again < 2; again++) {
				g_autofree char *text = NULL;

				rig.ended[2] = false;
				rig_fields(&rig, words[j], "arg", "true", "path", "/x", "stdin",
					   "1", "stdout", "2", "pid", "2", "started", "1", "signal",
					   "9", key, value, NULL);
				text = next_result(&rig);
				ck_assert_msg(g_str_has_prefix(text, "ERROR 125 "), "%s: %s",
					      words[j], text);
			}
		}
	}
	rig_stop(&rig);
}
END_TEST

/* One of 1 MiB is no frame; one that fits, no more than the others. */
START_TEST(t37_long_tokens)
{
	const size_t len = 1 << 20;
	g_autofree char *token = g_malloc(len);
	struct rig rig;

	rig_up(&rig, NULL);
	memset(token, 'A', len);
	memcpy(token, "lodge.exec arg=true\0token=", 26);
	token[65535] = '\0';
	assert_result(&rig, rig_command(&rig, token, 65536), OFF);
	token[65535] = 'A';
	rig_send(&rig, LODGE_RPC_COMMAND, 0, 7, token, len);
	rig_accept(&rig);
	rig_greet(&rig);
	assert_result(&rig, rig_fields(&rig, "lodge.exec", "arg", "true", NULL), OFF);
	rig_stop(&rig);
}
END_TEST

/* The file with the policy goes, cannot be read, and comes again. */
START_TEST(t37_a_policy_that_is_gone_denies)
{
	struct rig rig;

	rig_up(&rig, AS_ROOT);
	assert_result(&rig, rig_fields(&rig, "lodge.exec", "user", me(), "arg", "true", NULL),
		      "OK status=0");
	ck_assert_int_eq(unlink(rig.conf), 0);
	conf_reload(rig.lodged.conf);
	assert_result(&rig, rig_fields(&rig, "lodge.exec", "user", me(), "arg", "true", NULL), OFF);
	/* What cannot be read changes nothing: neither opens nor closes. */
	ck_assert_int_eq(mkdir(rig.conf, 0755), 0);
	conf_reload(rig.lodged.conf);
	assert_result(&rig, rig_fields(&rig, "lodge.exec", "user", me(), "arg", "true", NULL), OFF);
	ck_assert_int_eq(rmdir(rig.conf), 0);
	rig_stop(&rig);
}
END_TEST

/* ---- T38: a hostile host ---- */

START_TEST(t38_words_of_other_tools)
{
	static const struct {
		const char *text;
		size_t len; /* 0: up to the NUL */
	} words[] = {
		{ "DisplayTopology_Set 0", 0 },
		{ "DisplayTopology_Set 1000 , 0 0 640 480 , 0 0 640 480", 0 },
		{ "DisplayTopology_Set 4294967296 , -1 -1 0 0", 0 },
		{ "Resolution_Set 0 0", 0 },
		{ "Resolution_Set 4294967295 1", 0 },
		/* Clipboard, version 4: command 2002, 4 GiB announced at offset 0xfffffff0. */
		{ "copypaste.transport \xd2\x07\0\0\2\0\0\0\1\0\0\0\1\0\0\0\0\0\0\0"
		  "\4\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff"
		  "\xf0\xff\xff\xff\xff\xff\xff\xff",
		  20 + 56 },
		{ "dnd.transport \xe8\3\0\0", 18 },
		{ "f \0\0\0\0\x18\0\0\0", 10 },
		{ "Vix_1_Relayed_Command \"a\" \0\1\0\0\xd0\5\0\xff\xff\xff\xff", 37 },
		{ "Vix_1_Run_Program \"a\" \"../../bin/sh\" \"\" 3 \"\" \"\" \"\"", 0 },
		{ "deployPkg.deploy ../../../etc/shadow", 0 },
		{ "vmbackup.start 1 ../..", 0 },
	};
	struct rig rig;

	rig_up(&rig, AS_ROOT);
	for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
		size_t len = words[i].len ? words[i].len : strlen(words[i].text);
		g_autofree char *said = rig_result(&rig, rig_command(&rig, words[i].text, len));

		ck_assert_str_eq(said, "ERROR Unknown Command");
	}
	rig_stop(&rig);
}
END_TEST

static const struct {
	const char *word, *fields, *wanted;
} numbers[] = {
	{ "lodge.exec", "arg=true|tty=0x0", "ERROR 22 malformed tty" },
	{ "lodge.exec", "arg=true|tty=65536x1", "ERROR 22 malformed tty" },
	{ "lodge.exec", "arg=true|tty=4294967297x80", "ERROR 22 malformed tty" },
	{ "lodge.exec", "arg=true|tty=-1x-1", "ERROR 22 malformed tty" },
	{ "lodge.exec", "arg=true|stdout=4294967296", "ERROR 22 malformed fields" },
	{ "lodge.exec", "arg=true|stdout=-1", "ERROR 22 malformed fields" },
	{ "lodge.exec", "arg=true|timeout=-1", "ERROR 22 malformed fields" },
	{ "lodge.exec", "arg=true|timeout=31622401", "ERROR 22 malformed fields" },
	{ "lodge.exec", "arg=true|timeout=18446744073709551616", "ERROR 22 malformed fields" },
	{ "lodge.exec", "arg=", "ERROR 127" },
	{ "lodge.exec", "arg=true|user=../../root", "ERROR 125" },
	{ "lodge.exec-signal", "job=none|signal=9", "ERROR 3 no such job" },
	{ "lodge.exec-resize", "job=../x|tty=80x24", "ERROR 3 no such job" },
	{ "lodge.kill", "pid=1|started=0|signal=9", "ERROR 22" },
	{ "lodge.kill", "pid=4294967295|started=0|signal=9", "ERROR 22" },
	{ "lodge.kill", "pid=-1|started=0|signal=9", "ERROR 22" },
	{ "lodge.kill", "pid=2147483647|started=0|signal=65", "ERROR 22" },
	{ "lodge.kill", "pid=2147483647|started=0|signal=9", "ERROR 3" },
	{ "lodge.file-put", "path=../x|stdin=1", "ERROR 22 no absolute path is named" },
	{ "lodge.file-put", "path=|stdin=1", "ERROR 22 no absolute path is named" },
	{ "lodge.file-put", "path=/nowhere/../x/y|stdin=1|mode=99999", "ERROR 22 malformed mode" },
	{ "lodge.file-put", "path=/nowhere/x|stdin=1|mtime=1e9", "ERROR 22 malformed mtime" },
	{ "lodge.file-get", "path=/|form=zip|stdout=1", "ERROR 22 the form is neither" },
	{ "lodge.ps", "stdout=1|tty=80x24", "ERROR 22 no stream is named" },
	{ "Set_Option", "synctime 4294967296", "ERROR" },
	{ "Set_Option", "toolScripts.afterPowerOn", "ERROR" },
	{ "Set_Option", "../../x 1", "ERROR" },
	{ "Set_Option", "", "ERROR" },
};

START_TEST(t38_numbers_and_names_at_their_ends)
{
	bool option = !strcmp(numbers[_i].word, "Set_Option");
	g_autofree char *text =
		option ? g_strdup_printf("%s %s", numbers[_i].word, numbers[_i].fields)
		       : g_strdup_printf("%s %s|user=%s|", numbers[_i].word, numbers[_i].fields,
					 me());
	g_autofree char *said = NULL;
	size_t len = strlen(text);
	struct rig rig;

	rig_up(&rig, AS_ROOT);
	for (size_t i = 0; i < len && !option; i++)
		text[i] = text[i] == '|' ? '\0' : text[i];
	(void)rig_command(&rig, text, len);
	said = next_result(&rig);
	ck_assert_msg(g_str_has_prefix(said, numbers[_i].wanted), "%s %s: %s", numbers[_i].word,
		      numbers[_i].fields, said);
	rig_stop(&rig);
}
END_TEST

START_TEST(t38_more_arguments_than_there_may_be)
{
	g_autoptr(GByteArray) text = g_byte_array_new();
	struct rig rig;

	rig_up(&rig, AS_ROOT);
	g_byte_array_append(text, (const guint8 *)"lodge.exec ", 11);
	for (int i = 0; i < 4097; i++)
		g_byte_array_append(text, (const guint8 *)"arg=x", 6);
	assert_result(&rig, rig_command(&rig, text->data, text->len),
		      "ERROR 22 too many arguments");
	rig_stop(&rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lodged_hostile");
	TCase *tests = tcase_create("hostile");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, t36_helpers_inherit_nothing);
	tcase_add_test(tests, t36_planted_programs_never_run);
	tcase_add_test(tests, t36_scripts_that_a_user_could_replace);
	tcase_add_test(tests, t36_links_in_its_folder);
	tcase_add_test(tests, t36_nobody_looks_inside);
	tcase_add_loop_test(tests, t37_nothing_but_the_policy_opens, 0, G_N_ELEMENTS(policies));
	tcase_add_test(tests, t37_long_tokens);
	tcase_add_test(tests, t37_a_policy_that_is_gone_denies);
	tcase_add_test(tests, t38_words_of_other_tools);
	tcase_add_loop_test(tests, t38_numbers_and_names_at_their_ends, 0, G_N_ELEMENTS(numbers));
	tcase_add_test(tests, t38_more_arguments_than_there_may_be);
	suite_add_tcase(suite, tests);
	return unit_run(suite);
}
