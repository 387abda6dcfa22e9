// SPDX-License-Identifier: GPL-2.0-or-later
// Files and processes for a host: whole and aborted transfers, archives with hostile names, ps,
// kill.
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/lodged_rig.h"
#include "tests/unit/unit.h"

#define CONF "[guest-ops]\nallow-exec=root\n"

static const char *me(void)
{
	return geteuid() == 0 ? "root" : g_get_user_name();
}

/* A path in the rig's folder, g_free(). */
static char *at(const struct rig *rig, const char *name)
{
	return g_build_filename(rig->folder, name, NULL);
}

static void assert_file(const struct rig *rig, const char *name, const char *wanted)
{
	g_autofree char *path = at(rig, name), *text = NULL;

	ck_assert_msg(g_file_get_contents(path, &text, NULL, NULL), "%s is not there", name);
	ck_assert_str_eq(text, wanted);
}

static bool has_leftover(const struct rig *rig)
{
	GDir *dir = g_dir_open(rig->folder, 0, NULL);
	const char *name;
	bool found = false;

	while ((name = g_dir_read_name(dir)))
		found = found || g_str_has_prefix(name, ".lodge-put");
	g_dir_close(dir);
	return found;
}

static void assert_no_leftover(const struct rig *rig)
{
	ck_assert_msg(!has_leftover(rig), "a temporary file is left");
}

static void assert_error(struct rig *rig, uint32_t tag, const char *number)
{
	struct rig_frame found;

	do {
		found = rig_next(rig, false);
		if (found.frame.type != LODGE_RPC_RESULT)
			g_free(found.payload);
	} while (found.frame.type != LODGE_RPC_RESULT);
	ck_assert_uint_eq(found.frame.tag, tag);
	ck_assert_msg(g_str_has_prefix((char *)found.payload, number), "got %s", found.payload);
	g_free(found.payload);
}

START_TEST(a_file_comes_out)
{
	struct rig rig;
	g_autofree char *path = NULL, *text = NULL;

	rig_up(&rig, CONF);
	path = at(&rig, "a file");
	ck_assert(g_file_set_contents(path, "its bytes", -1, NULL));
	text = rig_result(&rig, rig_fields(&rig, "lodge.file-get", "path", path, "form", "file",
					   "user", me(), "stdout", "1", NULL));
	ck_assert_str_eq(text, "OK bytes=9");
	ck_assert(rig.ended[1]);
	ck_assert_uint_eq(rig.streams[1]->len, 9);
	rig_stop(&rig);
}
END_TEST

START_TEST(what_is_no_file_does_not)
{
	struct rig rig;
	g_autofree char *fifo = NULL;

	rig_up(&rig, CONF);
	fifo = at(&rig, "fifo");
	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	assert_error(&rig,
		     rig_fields(&rig, "lodge.file-get", "user", me(), "path", rig.folder, "stdout",
				"1", NULL),
		     "ERROR 21 ");
	assert_error(
		&rig,
		rig_fields(&rig, "lodge.file-get", "user", me(), "path", fifo, "stdout", "2", NULL),
		"ERROR 22 ");
	assert_error(&rig,
		     rig_fields(&rig, "lodge.file-get", "user", me(), "path", "/nowhere", "stdout",
				"3", NULL),
		     "ERROR 2 ");
	assert_error(
		&rig,
		rig_fields(&rig, "lodge.file-get", "user", me(), "path", "a", "stdout", "4", NULL),
		"ERROR 22 ");
	assert_error(&rig, rig_fields(&rig, "lodge.file-get", "user", me(), "path", "/a", NULL),
		     "ERROR 22 ");
	/* What is not there must not look like an empty file. */
	for (int i = 1; i <= 4; i++)
		ck_assert(!rig.ended[i]);
	rig_stop(&rig);
}
END_TEST

START_TEST(a_file_goes_in)
{
	struct rig rig;
	g_autofree char *path = NULL;
	struct stat st;
	uint32_t tag;

	rig_up(&rig, CONF);
	path = at(&rig, "new");
	for (int round = 0; round < 2; round++) {
		g_autofree char *text = NULL;

		tag = rig_fields(&rig, "lodge.file-put", "path", path, "form", "file", "user", me(),
				 "stdin", "1", "mode", round ? "777" : "640", "mtime",
				 "1000000000.25", NULL);
		rig_send(&rig, LODGE_RPC_DATA, 0, 1, "new ", 4);
		ck_assert_int_eq(access(path, F_OK), round ? 0 : -1);
		rig_send(&rig, LODGE_RPC_DATA, LODGE_RPC_F_END, 1, "bytes", 5);
		text = rig_result(&rig, tag);
		ck_assert_str_eq(text, "OK bytes=9");
		assert_file(&rig, "new", "new bytes");
		ck_assert_int_eq(stat(path, &st), 0);
		/* The mode is for a new file; the second time it is not. */
		ck_assert_int_eq(st.st_mode & 07777, 0640);
		ck_assert_int_eq(st.st_mtim.tv_sec, 1000000000);
		ck_assert_int_eq(st.st_mtim.tv_nsec, 250000000);
	}
	assert_no_leftover(&rig);
	rig_stop(&rig);
}
END_TEST

START_TEST(an_aborted_transfer_leaves_nothing)
{
	struct rig rig;
	g_autofree char *path = NULL;
	uint32_t tag;

	rig_up(&rig, CONF);
	path = at(&rig, "kept");
	ck_assert(g_file_set_contents(path, "old", -1, NULL));
	tag = rig_fields(&rig, "lodge.file-put", "user", me(), "path", path, "stdin", "1", NULL);
	rig_send(&rig, LODGE_RPC_DATA, 0, 1, "half", 4);
	rig_send(&rig, LODGE_RPC_RESET, 0, 1, "no", 2);
	assert_error(&rig, tag, "ERROR ");
	assert_file(&rig, "kept", "old");
	assert_no_leftover(&rig);
	rig_stop(&rig);
}
END_TEST

/* A file of an archive has a name while it comes. */
START_TEST(an_aborted_archive_leaves_no_half_file)
{
	struct rig rig;
	g_autofree char *archive = NULL, *command = NULL, *bytes = NULL;
	uint32_t tag;
	gsize len;

	rig_up(&rig, CONF);
	archive = at(&rig, "a.tar");
	command = g_strdup_printf(
		"cd '%s' && head -c 100000 /dev/zero >f && tar -cf a.tar f && rm f", rig.folder);
	ck_assert_int_eq(system(command), 0);
	ck_assert(g_file_get_contents(archive, &bytes, &len, NULL));
	tag = rig_fields(&rig, "lodge.file-put", "user", me(), "path", rig.folder, "form", "tar",
			 "stdin", "1", NULL);
	rig_send(&rig, LODGE_RPC_DATA, 0, 1, bytes, 60000);
	while (!has_leftover(&rig)) {
		g_autofree char *pong = rig_ask(&rig, "ping");

		ck_assert_str_eq(pong, "OK ");
	}
	rig_send(&rig, LODGE_RPC_RESET, 0, 1, "no", 2);
	assert_error(&rig, tag, "ERROR ");
	ck_assert(!has_leftover(&rig));
	rig_stop(&rig);
}
END_TEST

/* What tar(1) of @folder makes of @names goes into the rig's folder "into". */
static uint32_t put_archive_as(struct rig *rig, const char *script, const char *owners)
{
	g_autofree char *into = at(rig, "into"), *work = at(rig, "work"),
			*archive = at(rig, "a.tar");
	g_autofree char *command = g_strdup_printf(
		"mkdir -p '%s' && cd '%s' && (%s) && mkdir -p '%s'", work, work, script, into);
	g_autofree char *bytes = NULL;
	gsize len;
	uint32_t tag;

	ck_assert_int_eq(setenv("A", archive, 1), 0);
	ck_assert_int_eq(system(command), 0);
	ck_assert(g_file_get_contents(archive, &bytes, &len, NULL));
	tag = rig_fields(rig, "lodge.file-put", "user", me(), "path", into, "form", "tar", "stdin",
			 "1", "owners", owners, NULL);
	ck_assert_uint_le(len, 200000);
	for (gsize done = 0; done < len; done += 60000)
		rig_send(rig, LODGE_RPC_DATA, done + 60000 >= len ? LODGE_RPC_F_END : 0, 1,
			 bytes + done, MIN(len - done, 60000));
	return tag;
}

static uint32_t put_archive(struct rig *rig, const char *script)
{
	return put_archive_as(rig, script, "0");
}

static void assert_shell(struct rig *rig, const char *script)
{
	g_autofree char *command = g_strdup_printf("cd '%s' && %s", rig->folder, script);

	ck_assert_msg(system(command) == 0, "%s", script);
}

static void assert_put(struct rig *rig, uint32_t tag)
{
	struct rig_frame found;

	do {
		found = rig_next(rig, false);
		if (found.frame.type == LODGE_RPC_RESULT) {
			ck_assert_uint_eq(found.frame.tag, tag);
			ck_assert_msg(g_str_has_prefix((char *)found.payload, "OK bytes="), "%s",
				      found.payload);
		}
		g_free(found.payload);
	} while (found.frame.type != LODGE_RPC_RESULT);
}

/* Holes and hard links always; owners, and set-user-ID with them, when it is asked for. */
START_TEST(what_cp_keeps_is_kept)
{
	static const char make[] =
		"mkdir t; echo x >t/f; ln t/f t/hard; python3 -c 'import os; os.setxattr(\"t/f\", "
		"\"user.x\", b\"1\")' || :; chmod 4755 t/f; truncate -s 3M t/hole; "
		"printf x | dd of=t/hole bs=1 seek=1000000 conv=notrunc status=none; "
		"tar --format=pax --sparse --xattrs --owner=:4321 --group=:4322 -cf $A t";
	bool owned = _i && !geteuid();
	g_autofree char *out = NULL, *result = NULL, *owner = NULL, *back = NULL;
	struct rig rig;

	rig_up(&rig, CONF);
	assert_put(&rig, put_archive_as(&rig, make, _i ? "1" : "0"));
	owner = g_strdup_printf("[ \"$(stat -c '%%u %%g %%a' into/t/f)\" = '%u %u %o' ]",
				owned ? 4321 : geteuid(), owned ? 4322 : getegid(),
				owned ? 04755 : 0755);
	assert_shell(&rig, owner);
	assert_shell(&rig, "[ into/t/f -ef into/t/hard ] && cmp work/t/hole into/t/hole && "
			   "[ $(stat -c %b into/t/hole) -lt 1000 ]");
	assert_shell(&rig, "python3 -c 'import os; a, b = [os.listxattr(x + \"/t/f\") for x in "
			   "(\"work\", \"into\")]; assert a == b, (a, b)'");
	out = g_build_filename(rig.folder, "into", "t", NULL);
	result = rig_result(&rig, rig_fields(&rig, "lodge.file-get", "user", me(), "path", out,
					     "form", "tar", "stdout", "2", NULL));
	ck_assert_msg(g_str_has_prefix(result, "OK bytes="), "%s", result);
	ck_assert_uint_lt(rig.streams[2]->len, 300000);
	back = at(&rig, "back.tar");
	ck_assert(
		g_file_set_contents(back, (char *)rig.streams[2]->data, rig.streams[2]->len, NULL));
	assert_shell(&rig, "mkdir back && tar --xattrs -C back -xf back.tar && "
			   "[ back/t/f -ef back/t/hard ] && cmp work/t/hole back/t/hole");
	assert_shell(&rig, "python3 -c 'import os; a, b = [os.listxattr(x + \"/t/f\") for x in "
			   "(\"work\", \"back\")]; assert a == b, (a, b)'");
	rig_stop(&rig);
}
END_TEST

START_TEST(a_tree_goes_in_and_comes_out)
{
	struct rig rig;
	g_autofree char *into = NULL, *out = NULL, *result = NULL, *check = NULL;
	uint32_t tag;
	struct rig_frame found;

	rig_up(&rig, CONF);
	tag = put_archive(&rig, "mkdir -p t/sub t/closed; echo one >t/sub/f; ln -s sub/f t/link; "
				"ln t/sub/f t/hard; printf x >\"t/a b\nc\"; touch -d @99 t/sub; "
				"chmod 555 t/closed; truncate -s 100000 t/hole; mkfifo t/fifo; "
				"tar --format=pax -cf $A t");
	do {
		found = rig_next(&rig, false);
		if (found.frame.type == LODGE_RPC_CREDIT)
			g_free(found.payload);
	} while (found.frame.type == LODGE_RPC_CREDIT);
	ck_assert_uint_eq(found.frame.tag, tag);
	ck_assert_msg(g_str_has_prefix((char *)found.payload, "OK bytes="), "%s", found.payload);
	g_free(found.payload);
	into = at(&rig, "into");
	check = g_strdup_printf("cd '%s' && diff -r --no-dereference t ../work/t --exclude=fifo && "
				"[ -p t/fifo ] && [ t/hard -ef t/sub/f ] && "
				"[ \"$(stat -c %%Y t/sub)\" = 99 ] && "
				"[ \"$(stat -c %%a t/closed)\" = 555 ]",
				into);
	ck_assert_int_eq(system(check), 0);
	out = g_build_filename(into, "t", NULL);
	result = rig_result(&rig, rig_fields(&rig, "lodge.file-get", "user", me(), "path", out,
					     "form", "tar", "stdout", "2", NULL));
	ck_assert_msg(g_str_has_prefix(result, "OK bytes="), "%s", result);
	{
		g_autofree char *back = at(&rig, "back.tar");
		g_autofree char *compare =
			g_strdup_printf("cd '%s' && mkdir back && cd back && tar xf ../back.tar && "
					"diff -r --no-dereference t ../work/t --exclude=fifo",
					rig.folder);

		ck_assert(g_file_set_contents(back, (char *)rig.streams[2]->data,
					      rig.streams[2]->len, NULL));
		ck_assert_int_eq(system(compare), 0);
	}
	{
		g_autofree char *open = g_strdup_printf("chmod -R u+w '%s'", rig.folder);

		ck_assert_int_eq(system(open), 0);
	}
	rig_stop(&rig);
}
END_TEST

static const struct {
	const char *script, *error;
} hostile[] = {
	{ "echo x >f; tar -P --transform=s,f,../escaped, -cf $A f", "ERROR 1 " },
	{ "echo x >f; tar -P --transform=s,f,/tmp/lodged-escaped, -cf $A f", "ERROR 1 " },
	{ "echo x >f; tar -P --transform=s,f,a/../../escaped, -cf $A f", "ERROR 1 " },
	/* A link first, then a file through it. */
	{ "ln -s .. l; tar -cf $A l; rm l; mkdir l; echo x >l/escaped; tar -rf $A l/escaped",
	  "ERROR 1 " },
	/* A folder where a link is. */
	{ "ln -s .. l; tar -cf $A l; rm l; mkdir l; tar -rf $A l", "ERROR 1 " },
	/* A hard link to what is outside. */
	{ "echo x >f; ln f g; tar -P --transform='flags=h;s,^f,../outside,' -cf $A f g",
	  "ERROR 1 " },
	{ "printf 'no archive at all, but long enough to look at: %600s' x >$A", "ERROR 74 " },
	{ "head -c 300 /dev/zero | tr '\\0' a >f; tar -cf $A f; truncate -s 700 $A", "ERROR " },
};

START_TEST(hostile_archives_do_not_get_out)
{
	struct rig rig;
	g_autofree char *escaped = NULL, *outside = NULL;

	rig_up(&rig, CONF);
	outside = at(&rig, "outside");
	ck_assert(g_file_set_contents(outside, "mine", -1, NULL));
	assert_error(&rig, put_archive(&rig, hostile[_i].script), hostile[_i].error);
	escaped = at(&rig, "escaped");
	ck_assert_int_ne(access(escaped, F_OK), 0);
	ck_assert_int_ne(access("/tmp/lodged-escaped", F_OK), 0);
	assert_file(&rig, "outside", "mine");
	rig_stop(&rig);
}
END_TEST

START_TEST(processes_are_listed_and_ended)
{
	struct rig rig;
	g_autofree char *result = NULL, *mark = NULL, *pid_text = NULL, *start_text = NULL;
	const char *line, *begun;
	pid_t pid = fork();
	int wait_status;

	if (pid == 0) {
		(void)signal(SIGTERM, SIG_DFL);
		for (;;)
			(void)pause();
	}
	rig_up(&rig, CONF);
	result = rig_result(&rig, rig_fields(&rig, "lodge.ps", "user", me(), "stdout", "1", NULL));
	ck_assert_str_eq(result, "OK ");
	g_byte_array_append(rig.streams[1], (const guint8 *)"", 1);
	mark = g_strdup_printf("{\"pid\":%d,", pid);
	line = strstr((char *)rig.streams[1]->data, mark);
	ck_assert_ptr_nonnull(line);
	begun = strstr(line, "\"started\":") + strlen("\"started\":");
	start_text = g_strndup(begun, strspn(begun, "0123456789"));
	pid_text = g_strdup_printf("%d", pid);
	assert_error(&rig,
		     rig_fields(&rig, "lodge.kill", "user", me(), "pid", pid_text, "started", "5",
				"signal", "15", NULL),
		     "ERROR 3 ");
	assert_error(&rig,
		     rig_fields(&rig, "lodge.kill", "user", me(), "pid", "1", "started", start_text,
				"signal", "15", NULL),
		     "ERROR 22 ");
	ck_assert_int_eq(waitpid(pid, &wait_status, WNOHANG), 0);
	/* lodged reaps all of its children, and this one happens to be among them. */
	assert_error(&rig,
		     rig_fields(&rig, "lodge.kill", "user", me(), "pid", pid_text, "started",
				start_text, "signal", "15", NULL),
		     "OK ");
	ck_assert(kill(pid, 0) != 0 || waitpid(pid, &wait_status, 0) == pid);
	rig_stop(&rig);
}
END_TEST

/* A user's command lines may have megabytes, and more than a listing may. */
START_TEST(long_commands_are_cut)
{
	static const char head[] = "sh -c kill -STOP $$ x";
	/* The bytes 4,096 and 4,097 of it all are one character, which is left out. */
	GString *text = g_string_new("x"), *wanted = g_string_new(head);
	g_autofree char *result = NULL, *mark = NULL;
	struct rig rig;
	char *line;
	int status;
	pid_t pid;

	while (text->len < 100000)
		g_string_append(text, "\xc3\xa9");
	while (wanted->len < 4095)
		g_string_append(wanted, "\xc3\xa9");
	pid = fork();
	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", "kill -STOP $$", text->str, (char *)NULL);
		_exit(1);
	}
	ck_assert(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
	rig_up(&rig, CONF);
	result = rig_result(&rig, rig_fields(&rig, "lodge.ps", "user", me(), "stdout", "1", NULL));
	ck_assert_str_eq(result, "OK ");
	g_byte_array_append(rig.streams[1], (const guint8 *)"", 1);
	mark = g_strdup_printf("{\"pid\":%d,", pid);
	line = strstr((char *)rig.streams[1]->data, mark);
	ck_assert_ptr_nonnull(line);
	*strchr(line, '\n') = '\0';
	line = strstr(line, head);
	ck_assert_ptr_nonnull(line);
	g_string_append(wanted, "\"}");
	ck_assert(!strcmp(line, wanted->str));
	(void)kill(pid, SIGKILL);
	g_string_free(text, TRUE);
	g_string_free(wanted, TRUE);
	rig_stop(&rig);
}
END_TEST

static bool is_under_way(struct rig *rig, void *opaque)
{
	(void)opaque;
	for (const GList *at = rig->received.head; at; at = at->next) {
		const struct rig_frame *found = at->data;

		if (found->frame.type == LODGE_RPC_DATA)
			return true;
	}
	return false;
}

/* Zeroes in place of what was there are no copy of it. */
START_TEST(a_file_that_gets_shorter_is_told)
{
	g_autofree char *big = g_strnfill(3 << 20, 'x'), *path = NULL;
	struct rig rig;
	uint32_t tag;

	rig_up(&rig, CONF);
	path = at(&rig, "file");
	ck_assert(g_file_set_contents(path, big, 3 << 20, NULL));
	tag = rig_fields(&rig, "lodge.file-get", "path", path, "form", "tar", "user", me(),
			 "stdout", "1", NULL);
	rig_until(&rig, is_under_way, NULL);
	ck_assert_int_eq(truncate(path, 1000), 0);
	assert_error(&rig, tag, "ERROR 11 ");
	ck_assert(!rig.ended[1]);
	rig_stop(&rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lodged_files");
	TCase *tests = tcase_create("files");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, a_file_comes_out);
	tcase_add_test(tests, what_is_no_file_does_not);
	tcase_add_test(tests, a_file_goes_in);
	tcase_add_test(tests, an_aborted_transfer_leaves_nothing);
	tcase_add_test(tests, an_aborted_archive_leaves_no_half_file);
	tcase_add_test(tests, a_tree_goes_in_and_comes_out);
	tcase_add_loop_test(tests, what_cp_keeps_is_kept, 0, 2);
	tcase_add_loop_test(tests, hostile_archives_do_not_get_out, 0, G_N_ELEMENTS(hostile));
	tcase_add_test(tests, processes_are_listed_and_ended);
	tcase_add_test(tests, long_commands_are_cut);
	tcase_add_test(tests, a_file_that_gets_shorter_is_told);
	suite_add_tcase(suite, tests);
	return unit_run(suite);
}
