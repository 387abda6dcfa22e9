// SPDX-License-Identifier: GPL-2.0-or-later
// lodge-toolbox by its words, and lodged's socket, which it asks through: answers, refusals,
// statuses, clients that do not speak frames, and those that want all of it.
#include <check.h>
#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/lib/fd.h"
#include "tests/unit/lodged_rig.h"
#include "tests/unit/unit.h"

static bool has_ended(struct rig *rig, void *opaque)
{
	g_autofree char *text = NULL;

	(void)rig;
	return g_file_get_contents(opaque, &text, NULL, NULL) && strchr(text, '\n');
}

/* Answers what comes from lodged meanwhile: requests with @reply. */
static bool answer_and_look(struct rig *rig, void *opaque)
{
	struct rig_frame *kept;

	while ((kept = g_queue_pop_head(&rig->received))) {
		static const struct {
			const char *word, *reply;
			size_t len;
		} replies[] = {
			{ "refuse", "0 not here", 10 },
			{ "lodge.balloon", "1 given=135266304\0target=0", 27 },
			{ "", "1 the value", 11 },
		};
		size_t i = 0;

		while (!g_str_has_prefix((char *)kept->payload, replies[i].word))
			i++;
		/* One reply never comes. */
		if (kept->frame.type == LODGE_RPC_REQUEST &&
		    !strstr((char *)kept->payload, "guestinfo.silent"))
			rig_send(rig, LODGE_RPC_REPLY, 0, kept->frame.tag, replies[i].reply,
				 replies[i].len);
		g_free(kept->payload);
		g_free(kept);
	}
	return has_ended(rig, opaque);
}

/* Runs "NAME WORDS" with standard output and error together; the exit status. */
static int run_as(struct rig *rig, const char *name, const char *words, char **ret_out)
{
	g_autofree char *code = g_build_filename(rig->folder, "code", NULL);
	g_autofree char *out = g_build_filename(rig->folder, "out", NULL);
	g_autofree char *link = g_build_filename(rig->folder, name, NULL);
	g_autofree char *binary = g_build_filename(rig->helpers, "lodge-toolbox", NULL);
	g_autofree char *real = realpath(binary, NULL);
	g_autofree char *script =
		g_strdup_printf("(%s %s; echo $? >%s) >%s 2>&1 &", link, words, code, out);
	g_autofree char *text = NULL;

	ck_assert_ptr_nonnull(real);
	(void)unlink(code);
	(void)unlink(link);
	ck_assert_int_eq(symlink(real, link), 0);
	ck_assert_int_eq(system(script), 0);
	rig_until(rig, answer_and_look, code);
	ck_assert(g_file_get_contents(code, &text, NULL, NULL));
	ck_assert(g_file_get_contents(out, ret_out, NULL, NULL));
	return atoi(text);
}

static const struct {
	const char *name, *words;
	int status;
	const char *out; /* a part of it */
} rows[] = {
	{ "lodge-toolbox", "rpc info-get guestinfo.x", 0, "the value\n" },
	{ "lodge-toolbox", "rpc 'refuse this'", 1, "not here\n" },
	{ "lodge-toolbox", "rpc 'info-get guestinfo.silent'", 75, "the host does not answer" },
	{ "lodge-toolbox", "rpc", 64, "missing request" },
	{ "lodge-toolbox", "", 64, "missing verb" },
	{ "lodge-toolbox", "nonsense", 64, "unknown verb nonsense" },
	{ "lodge-toolbox", "help", 0, "usage: lodge-toolbox" },
	{ "lodge-toolbox", "--version", 0, LODGE_VERSION },
	{ "lodge-toolbox", "--version >/dev/full", 74, "cannot write" },
	{ "lodge-toolbox", "config set 'a]' b c", 64, "no names of a section and a key\n" },
	{ "lodge-toolbox", "config set a 'b=' c", 64, "no names of a section and a key\n" },
	{ "lodge-toolbox", "stat", 64, "missing subcommand" },
	{ "lodge-toolbox", "stat nonsense", 64, "unknown subcommand" },
	{ "lodge-toolbox", "stat balloon", 0, "129 MB\n" },
	{ "lodge-toolbox", "stat swap", 69, "not available" },
	{ "lodge-toolbox", "stat sessionid", 69, "not available" },
	{ "lodge-toolbox", "timesync status", 69, "Disabled\nkept by " },
	{ "lodge-toolbox", "timesync", 64, "missing" },
	{ "lodge-toolbox", "config get a", 64, "missing key" },
	{ "lodge-toolbox", "config get a b", 0, "[a] b UNSET\n" },
	{ "lodge-toolbox", "script shutdown default", 0, "/etc/lodge/scripts/poweroff\n" },
	{ "lodge-toolbox", "script shutdown current", 0, "/etc/lodge/scripts/poweroff\n" },
	{ "lodge-toolbox", "script nonsense current", 64, "unknown script" },
	{ "lodge-toolbox", "logging level get vmsvc", 0, "vmsvc.level = info\n" },
	{ "lodge-toolbox", "logging level set vmsvc loud", 64, "unknown level" },
	{ "lodge-toolbox", "device", 64, "missing subcommand" },
	{ "lodge-toolbox", "device status", 64, "missing device" },
	{ "vmware-toolbox-cmd", "upgrade status", 69, "not available" },
	{ "vmware-toolbox-cmd", "disk list", 69, "not available" },
	{ "vmware-rpctool", "", 1, "missing request" },
	{ "vmware-toolbox-cmd", "logging level get vmusr", 0, "vmusr.level = info\n" },
};

START_TEST(words_have_their_answers)
{
	struct rig rig;
	g_autofree char *words = NULL, *out = NULL, *socket = NULL;
	const char *wanted;
	int status;

	rig_up(&rig, NULL);
	socket = g_build_filename(rig.folder, "lodged.sock", NULL);
	/* vmware-rpctool has no options. */
	if (!strcmp(rows[_i].name, "vmware-rpctool"))
		words = g_strdup(rows[_i].words);
	else
		words = g_strdup_printf("--door=daemon --door-path=%s --conf=%s %s", socket,
					rig.conf, rows[_i].words);
	status = run_as(&rig, rows[_i].name, words, &out);
	ck_assert_msg(status == rows[_i].status, "status %d: %s", status, out);
	/* What lodged does not know it passes on for root alone. */
	wanted = geteuid() != 0 && strstr(rows[_i].words, "refuse") ? "Permission denied"
								    : rows[_i].out;
	ck_assert_msg(strstr(out, wanted) != NULL, "said: %s", out);
	rig_stop(&rig);
}
END_TEST

/* Nobody has to name the file that lodged was started with. */
START_TEST(the_daemons_configuration_is_found)
{
	static const char *const steps[] = { "config set time sync no", "config get time sync" };
	struct rig rig;

	rig_up(&rig, NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(steps); i++) {
		g_autofree char *words = g_strdup_printf(
			"--door=daemon --door-path=%s/lodged.sock %s", rig.folder, steps[i]);
		g_autofree char *out = NULL, *text = NULL;

		ck_assert_int_eq(run_as(&rig, "lodge-toolbox", words, &out), 0);
		ck_assert(g_file_get_contents(rig.conf, &text, NULL, NULL));
		ck_assert_ptr_nonnull(strstr(text, "[time]\nsync=no\n"));
		ck_assert_str_eq(out, i ? "[time] sync = no\n" : "");
	}
	rig_stop(&rig);
}
END_TEST

/* Somebody else changes the file while this one wants to. */
START_TEST(two_that_change_it_lose_nothing)
{
	struct rig rig;
	g_autofree char *words = NULL, *out = NULL, *text = NULL;

	rig_up(&rig, "[a]\nb=c\n");
	words = g_strdup_printf(
		"--version; { flock -o %s sh -c '%s/lodge-toolbox --conf=%s config set x y z & "
		"sleep 0.5; printf \"[a]\\nb=new\\n\" >%s'; } | cat",
		rig.folder, rig.folder, rig.conf, rig.conf);
	ck_assert_int_eq(run_as(&rig, "lodge-toolbox", words, &out), 0);
	ck_assert(g_file_get_contents(rig.conf, &text, NULL, NULL));
	ck_assert_msg(strstr(text, "b=new\n") && strstr(text, "[x]\ny=z\n"), "%s", text);
	rig_stop(&rig);
}
END_TEST

START_TEST(keys_are_set_and_removed)
{
	static const struct {
		const char *words, *conf;
	} steps[] = {
		{ "config set guest-ops allow-exec user", "[guest-ops]\nallow-exec=user\n" },
		{ "config remove guest-ops allow-exec", "[guest-ops]\n" },
		{ "logging level set vmsvc debug", "[guest-ops]\n\n[logging]\nlevel=debug\n" },
	};
	struct rig rig;

	rig_up(&rig, NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(steps); i++) {
		g_autofree char *words = g_strdup_printf("--conf=%s %s", rig.conf, steps[i].words);
		g_autofree char *out = NULL, *text = NULL;
		struct stat st;

		ck_assert_int_eq(run_as(&rig, "lodge-toolbox", words, &out), 0);
		ck_assert(g_file_get_contents(rig.conf, &text, NULL, NULL));
		ck_assert_str_eq(text, steps[i].conf);
		ck_assert_int_eq(stat(rig.conf, &st), 0);
		ck_assert_int_eq(st.st_mode & 0777, 0644);
	}
	rig_stop(&rig);
}
END_TEST

static bool is_closed(struct rig *rig, void *opaque)
{
	char bytes[4096];

	(void)rig;
	return recv(*(int *)opaque, bytes, sizeof(bytes), MSG_DONTWAIT) == 0;
}

/* Programs of the guest are no more to be trusted than the host: lodged goes on. */
START_TEST(clients_that_speak_no_frames_are_closed)
{
	struct rig rig;
	g_autofree char *path = NULL, *ping = NULL;
	char noise[64];

	memset(noise, 'x', sizeof(noise));
	rig_up(&rig, NULL);
	path = g_build_filename(rig.folder, "lodged.sock", NULL);
	for (int i = 0; i < 40; i++) {
		int fd = unix_connect(path);

		ck_assert_int_ge(fd, 0);
		ck_assert_int_eq(fd_write_all(fd, noise, i % 2 ? sizeof(noise) : 5), 0);
		if (i % 2)
			rig_until(&rig, is_closed, &fd);
		close(fd);
	}
	ping = rig_ask(&rig, "ping");
	ck_assert_str_eq(ping, "OK ");
	rig_stop(&rig);
}
END_TEST

/* Whether lodged answers at a new connection, which stays open. */
static bool is_served(const char *path)
{
	static const char hello[] = "lodge.hello app=cli";
	const struct frame frame = {
		.size = sizeof(hello), .type = LODGE_RPC_REQUEST, .tag = 1, .reply_max = 4096
	};
	unsigned char bytes[LODGE_RPC_HEADER_SIZE + sizeof(hello)];
	int fd = unix_connect(path);
	char byte;

	frame_build(&frame, bytes);
	memcpy(bytes + LODGE_RPC_HEADER_SIZE, hello, sizeof(hello));
	return fd >= 0 && !fd_write_all(fd, bytes, sizeof(bytes)) && recv(fd, &byte, 1, 0) == 1;
}

/* A process of @uid that opens 40 connections, writes to @said how many are served, and keeps them.
 */
static pid_t open_many(const char *path, uid_t uid, int said)
{
	pid_t pid = fork();
	char count = 0;

	if (pid)
		return pid;
	(void)signal(SIGPIPE, SIG_IGN);
	if (uid && (setgroups(0, NULL) || setgid(uid) || setuid(uid)))
		_exit(1);
	for (int i = 0; i < 40; i++)
		count = (char)(count + is_served(path));
	(void)!write(said, &count, 1);
	for (;;)
		pause();
}

static bool has_said(struct rig *rig, void *opaque)
{
	struct pollfd pfd = { *(int *)opaque, POLLIN, 0 };

	(void)rig;
	return poll(&pfd, 1, 0) == 1;
}

START_TEST(one_user_leaves_room_for_others)
{
	static const struct {
		uid_t uid;
		char served;
	} users[] = { { 65534, 8 }, { 65534, 0 }, { 1234, 8 }, { 1235, 8 }, { 1236, 0 }, { 0, 8 } };
	pid_t pids[G_N_ELEMENTS(users)];
	g_autofree char *path = NULL;
	struct rig rig;
	int said[2];

	if (geteuid() != 0)
		return;
	rig_up(&rig, NULL);
	ck_assert_int_eq(chmod(rig.folder, 0755), 0);
	ck_assert_int_eq(pipe(said), 0);
	path = g_build_filename(rig.folder, "lodged.sock", NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(users); i++) {
		char served = -1;

		pids[i] = open_many(path, users[i].uid, said[1]);
		rig_until(&rig, has_said, &said[0]);
		ck_assert_int_eq(read(said[0], &served, 1), 1);
		ck_assert_int_eq(served, users[i].served);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(users); i++) {
		ck_assert_int_eq(kill(pids[i], SIGKILL), 0);
		/* lodged reaps it. */
	}
	close(said[0]);
	close(said[1]);
	rig_stop(&rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("toolbox");
	TCase *tests = tcase_create("toolbox");

	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, words_have_their_answers, 0, G_N_ELEMENTS(rows));
	tcase_add_test(tests, the_daemons_configuration_is_found);
	tcase_add_test(tests, two_that_change_it_lose_nothing);
	tcase_add_test(tests, keys_are_set_and_removed);
	tcase_add_test(tests, clients_that_speak_no_frames_are_closed);
	tcase_add_test(tests, one_user_leaves_room_for_others);
	suite_add_tcase(suite, tests);
	return unit_run(suite);
}
