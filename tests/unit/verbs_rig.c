// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/verbs_rig.h"

#include <check.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host-vmm/conf/claim.h"
#include "protocol/lib/fd.h"
#include "protocol/lib/fields.h"
#include "protocol/lib/frame.h"

char root[] = "/tmp/verbs-XXXXXX";
char *said; /* by the last verb, on both of its streams */

void make_world(void)
{
	g_autofree char *data = NULL;
	g_autofree char *runtime = NULL;

	ck_assert_ptr_nonnull(mkdtemp(root));
	ck_assert_int_eq(chdir(root), 0);
	ck_assert_int_eq(g_mkdir_with_parents("data/lodge", 0700), 0);
	ck_assert_int_eq(g_mkdir_with_parents("run/lodge", 0700), 0);
	data = g_build_filename(root, "data", NULL);
	runtime = g_build_filename(root, "run", NULL);
	g_setenv("XDG_DATA_HOME", data, TRUE);
	g_setenv("XDG_RUNTIME_DIR", runtime, TRUE);
	setlocale(LC_CTYPE, "C.UTF-8");
}

void remove_world(void)
{
	const char *const argv[] = { "rm", "-rf", root, NULL };

	ck_assert(g_spawn_sync("/", (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL,
			       NULL, NULL, NULL));
}

void make_vm(const char *dir)
{
	g_autofree char *conf = g_build_filename(dir, "vm.conf", NULL);

	ck_assert_int_eq(g_mkdir_with_parents(dir, 0700), 0);
	ck_assert(g_file_set_contents(conf, CONF, -1, NULL));
}

int status_of_child(pid_t child)
{
	int status;

	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(WIFEXITED(status), "killed by signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

int run(verb_fn verb, const char *const *words)
{
	g_autofree char *out = g_build_filename(root, "said", NULL);
	g_auto(GStrv) copy = g_strdupv((char **)words);
	pid_t child = fork();

	if (!child) {
		int fd = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600);

		dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
		signal(SIGPIPE, SIG_IGN);
		fd = verb((int)g_strv_length(copy), copy);
		fflush(stdout);
		_exit(fd);
	}
	g_clear_pointer(&said, g_free);
	child = status_of_child(child);
	ck_assert(g_file_get_contents(out, &said, NULL, NULL));
	return child;
}

void assert_said(const char *what)
{
	ck_assert_msg(strstr(said, what), "not '%s': %s", what, said);
}

/* ---- a monitor ---- */

struct part part; /* of the monitor that is started next */
unsigned int *presses; /* of its button, shared with it */

static void say(int fd, const char *line)
{
	(void)send(fd, line, strlen(line), MSG_NOSIGNAL);
}

/* Of a monitor that is just ending: nobody hears of it on @fd before its process is gone. */
static void hold(int fd, int listener)
{
	const pid_t monitor = getpid();

	if (fork())
		return;
	close(listener);
	while (!kill(monitor, 0))
		g_usleep(1000);
	close(fd);
	_exit(0);
}

/* Answers like a monitor whose VM is @dir, until it is asked to stop: then it ends without a word,
 * as one whose guest went down just then. */
static void __attribute__((noreturn)) play(int listener, const char *dir)
{
	int events = -1;

	for (;;) {
		int fd = accept(listener, NULL, NULL);
		char line[512], answer[2048];
		ssize_t got = recv(fd, line, sizeof(line) - 1, 0);

		line[got > 0 ? got : 0] = '\0';
		if (strstr(line, "\"kill\""))
			hold(fd, listener);
		if (strstr(line, "\"kill\"") || (strstr(line, "\"stop\"") && !part.deaf))
			_exit(0);
		snprintf(answer, sizeof(answer),
			 "{\"id\":1,\"result\":{\"state\":\"running\",\"dir\":\"%s\","
			 "%s\"heartbeat\":{\"missed\":%s}}}\n",
			 dir, part.lies ? part.lies : "", part.missed ? "true" : "false");
		/* Some only try whether somebody is there. */
		if (got > 0)
			say(fd, answer);
		if (strstr(line, "\"stop\"") && ++*presses == 1)
			say(events, "{\"event\":\"power\",\"ok\":false}\n");
		if (strstr(line, "\"events\""))
			events = fd;
		else
			close(fd);
	}
}

/* The monitor that runs in the run-time folder of @name. It is its own parent's child: who waits
 * for its end by a pidfd sees it, dead or not reaped. */
pid_t start_monitor(const char *name, const char *dir)
{
	g_autofree char *runtime = g_build_filename(root, "run/lodge", name, NULL);
	g_autofree char *path = g_build_filename(runtime, "control.sock", NULL);
	int gate[2];
	pid_t child;
	char byte;

	ck_assert_int_eq(pipe(gate), 0);
	child = fork();
	if (!child) {
		int claim, listener;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (claim_folder(runtime, &claim))
			_exit(1);
		/* Its credentials are of who calls listen(2). */
		listener = unix_listen_ours(path, 8);
		close(gate[1]);
		play(listener, dir);
	}
	close(gate[1]);
	ck_assert_int_eq(read(gate[0], &byte, 1), 0);
	close(gate[0]);
	return child;
}

/* What lodge.ps of the guest tells, in place of a monitor's relay. */
static void serve_tools(int listener, const char *lines, size_t len)
{
	const uint32_t types = FRAME_TYPE(LODGE_RPC_COMMAND);
	struct frame frame = { 0 }, answer = { .type = LODGE_RPC_DATA };
	unsigned char header[LODGE_RPC_HEADER_SIZE];
	char text[LODGE_RPC_DATA_MAX + 1] = "";
	int fd = accept(listener, NULL, NULL);
	const char *fields;

	if (fd_read_all(fd, header, sizeof(header)) != sizeof(header) ||
	    frame_parse(header, types, &frame) || fd_read_all(fd, text, frame.size) < 0)
		return;
	fields = strchr(text, ' ') + 1;
	answer.tag = (uint32_t)strtoul(
		fields_get(fields, frame.size - (size_t)(fields - text), "stdout"), NULL, 10);
	while (len) {
		answer.size = (uint32_t)MIN(len, LODGE_RPC_DATA_MAX);
		answer.flags = answer.size == len ? LODGE_RPC_F_END : 0;
		frame_build(&answer, header);
		(void)fd_write_all(fd, header, sizeof(header));
		(void)fd_write_all(fd, lines, answer.size);
		lines += answer.size;
		len -= answer.size;
	}
	answer = (struct frame){ .type = LODGE_RPC_RESULT, .tag = frame.tag, .size = 2 };
	frame_build(&answer, header);
	(void)fd_write_all(fd, header, sizeof(header));
	(void)fd_write_all(fd, "OK", 2);
	/* Its credits: a connection that is closed on them is one that broke. */
	while (read(fd, text, sizeof(text)) > 0)
		;
}

void start_tools(const char *lines, size_t len)
{
	g_autofree char *path = g_build_filename(root, "run/lodge/box/tools.sock", NULL);
	int listener = unix_listen_ours(path, 1);

	ck_assert_int_ge(listener, 0);
	if (!fork()) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGPIPE, SIG_IGN);
		serve_tools(listener, lines, len);
		_exit(0);
	}
	close(listener);
}
