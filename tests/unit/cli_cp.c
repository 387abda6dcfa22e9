// SPDX-License-Identifier: GPL-2.0-or-later
// `lodge cp` and what is no file: pipes and devices, with a guest that the test plays.
/* First: fail() is a macro of check.h's, too. */
#include "host-vmm/cli/cli.h"

#include <check.h>
#include <fcntl.h>
#include <glib.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "protocol/lib/fd.h"
#include "protocol/lib/fields.h"
#include "protocol/lib/frame.h"
#include "tests/unit/unit.h"
#include "tests/unit/verbs_rig.h"

static void answer(int fd, enum lodge_rpc_type type, uint16_t flags, uint32_t tag, const char *text)
{
	const struct frame frame = {
		.size = (uint32_t)strlen(text), .type = type, .flags = flags, .tag = tag
	};
	unsigned char header[LODGE_RPC_HEADER_SIZE];

	frame_build(&frame, header);
	(void)fd_write_all(fd, header, sizeof(header));
	(void)fd_write_all(fd, text, frame.size);
}

/* A guest that has /there, of the bytes "text", and nothing else; it takes what is put. The first
 * DATA that comes is told by a byte to @told. */
static void __attribute__((noreturn)) serve(int listener, int told)
{
	int fd = accept(listener, NULL, NULL);
	unsigned char header[LODGE_RPC_HEADER_SIZE];
	char text[LODGE_RPC_DATA_MAX + 1];
	struct frame frame;

	while (fd_read_all(fd, header, sizeof(header)) == sizeof(header) &&
	       !frame_parse(header, UINT32_MAX, &frame) &&
	       fd_read_all(fd, text, frame.size) == (ssize_t)frame.size) {
		const char *fields = strchr(text, ' ');
		size_t len = fields ? frame.size - (size_t)(++fields - text) : 0;
		const char *path = len ? fields_get(fields, len, "path") : NULL;

		text[frame.size] = '\0';
		if (frame.type != LODGE_RPC_COMMAND)
			continue;
		if (g_str_has_prefix(text, "lodge.file-put")) {
			(void)fd_write_all(told, "p", 1);
		} else if (path && !strcmp(path, "/there")) {
			uint32_t tag = (uint32_t)atoi(fields_get(fields, len, "stdout"));

			answer(fd, LODGE_RPC_DATA, LODGE_RPC_F_END, tag, "text");
			answer(fd, LODGE_RPC_RESULT, 0, frame.tag, "OK");
		} else {
			answer(fd, LODGE_RPC_RESULT, 0, frame.tag, "ERROR 2 no such file");
		}
	}
	_exit(0);
}

/* What it puts into *ret_told comes when the guest was asked to take a file. */
static void start_guest(int *ret_told)
{
	g_autofree char *path = g_build_filename(root, "run/lodge/box/tools.sock", NULL);
	int listener, told[2];

	make_vm("data/lodge/box");
	start_monitor("box", "data/lodge/box");
	listener = unix_listen_ours(path, 1);
	ck_assert_int_ge(listener, 0);
	ck_assert_int_eq(pipe(told), 0);
	if (!fork()) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGPIPE, SIG_IGN);
		serve(listener, told[1]);
	}
	close(listener);
	close(told[1]);
	*ret_told = told[0];
}

START_TEST(a_pipe_that_nobody_writes_to_hears_signals)
{
	char *argv[] = { (char *)"cp", (char *)"-q", (char *)"pipe", (char *)"box:/new", NULL };
	char byte;
	pid_t child;
	int told;

	ck_assert_int_eq(mkfifo("pipe", 0600), 0);
	start_guest(&told);
	child = fork();
	if (!child)
		_exit(verb_cp(4, argv));
	/* The pipe is open then. */
	ck_assert_int_eq(read(told, &byte, 1), 1);
	ck_assert_int_eq(kill(child, SIGINT), 0);
	ck_assert_int_eq(status_of_child(child), 128 + SIGINT);
	close(told);
}
END_TEST

START_TEST(what_is_no_file_is_written_to)
{
	char text[16] = "";
	struct stat st;
	int told, reader;

	start_guest(&told);
	ck_assert_int_eq(mkfifo("pipe", 0600), 0);
	reader = open("pipe", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ck_assert_int_ge(reader, 0);
	ck_assert_int_eq(RUN(verb_cp, "cp", "-q", "box:/there", "pipe"), EX_OK);
	ck_assert_str_eq(said, "");
	ck_assert_int_eq(read(reader, text, sizeof(text) - 1), 4);
	ck_assert_str_eq(text, "text");
	ck_assert(!lstat("pipe", &st) && S_ISFIFO(st.st_mode));
	close(reader);
	close(told);
}
END_TEST

START_TEST(a_pipe_that_nobody_reads_is_told)
{
	int told;

	start_guest(&told);
	ck_assert_int_eq(mkfifo("pipe", 0600), 0);
	ck_assert_int_eq(RUN(verb_cp, "cp", "-q", "box:/there", "pipe"), EX_CANTCREAT);
	assert_said("start what reads there first");
	close(told);
}
END_TEST

START_TEST(standard_output_that_is_full_is_told)
{
	char *argv[] = { (char *)"cp", (char *)"-q", (char *)"box:/there", (char *)"-", NULL };
	g_autofree char *text = NULL;
	pid_t child;
	int told;

	start_guest(&told);
	child = fork();
	if (!child) {
		dup2(open("/dev/full", O_WRONLY | O_CLOEXEC), STDOUT_FILENO);
		dup2(open("text", O_WRONLY | O_CREAT | O_CLOEXEC, 0600), STDERR_FILENO);
		_exit(verb_cp(4, argv));
	}
	ck_assert_int_eq(status_of_child(child), EX_CANTCREAT);
	ck_assert(g_file_get_contents("text", &text, NULL, NULL));
	ck_assert_str_eq(text, "lodge: standard output: cannot be written: No space left on "
			       "device; make room there, or choose another place\n");
	close(told);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cli_cp");
	TCase *tcase = tcase_create("cp");

	tcase_set_timeout(tcase, 20);
	tcase_add_checked_fixture(tcase, make_world, remove_world);
	tcase_add_test(tcase, a_pipe_that_nobody_writes_to_hears_signals);
	tcase_add_test(tcase, what_is_no_file_is_written_to);
	tcase_add_test(tcase, a_pipe_that_nobody_reads_is_told);
	tcase_add_test(tcase, standard_output_that_is_full_is_told);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
