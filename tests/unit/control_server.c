// SPDX-License-Identifier: GPL-2.0-or-later
// The control socket: answers, malformed lines, limits, many clients, clients that do not read.
#include <check.h>
#include <errno.h>
#include <glib.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host-vmm/control/control.h"
#include "host-vmm/control/json.h"
#include "protocol/lib/fd.h"
#include "tests/unit/unit.h"

#define PATIENCE_MS 20000

static int echo(void *opaque, json_t *params, json_t *result, struct control_error *error)
{
	int *calls = opaque;

	(void)error;
	__atomic_add_fetch(calls, 1, __ATOMIC_RELAXED);
	json_object_set_new(result, "members",
			    json_integer((json_int_t)(json_object_size(params))));
	return 0;
}

static int refuse(void *opaque, json_t *params, json_t *result, struct control_error *error)
{
	(void)opaque;
	(void)params;
	(void)result;
	error->hint = g_strdup("plug it in");
	return -ENODEV;
}

static int bulky(void *opaque, json_t *params, json_t *result, struct control_error *error)
{
	g_autofree char *text = g_strnfill(4 << 20, 'x');

	(void)opaque;
	(void)params;
	(void)error;
	json_object_set_new(result, "text", control_string(text));
	return 0;
}

static int follow(void *opaque, json_t *params, json_t *result, struct control_error *error)
{
	(void)opaque;
	(void)params;
	(void)result;
	(void)error;
	return CONTROL_FOLLOWS;
}

static const struct control_method methods[] = { { "echo", echo },
						 { "refuse", refuse },
						 { "bulky", bulky },
						 { "follow", follow },
						 { NULL, NULL } };

static char *ask(const char *line)
{
	int calls = 0;
	bool follows;

	return control_answer(methods, &calls, line, strlen(line), &follows);
}

static void assert_answer(const char *line, const char *expected)
{
	g_autofree char *answer = ask(line);

	ck_assert_str_eq(answer, expected);
}

static void assert_error(const char *line, size_t len)
{
	int calls = 0;
	bool follows;
	g_autofree char *answer = control_answer(methods, &calls, line, len, &follows);

	ck_assert_ptr_nonnull(strstr(answer, "\"error\":{\"message\":\""));
	ck_assert_ptr_nonnull(strstr(answer, "\"hint\":\""));
	ck_assert_ptr_eq(strchr(answer, '\n'), answer + strlen(answer) - 1);
	ck_assert_int_eq(calls, 0);
	ck_assert(!follows);
}

START_TEST(answers_repeat_the_id)
{
	assert_answer("{\"id\":7,\"method\":\"echo\"}", "{\"id\":7,\"result\":{\"members\":0}}\n");
	assert_answer("{\"id\":\"a\",\"method\":\"echo\",\"params\":{\"x\":1,\"y\":[2]}}",
		      "{\"id\":\"a\",\"result\":{\"members\":2}}\n");
	assert_answer("{\"method\":\"echo\"}", "{\"id\":null,\"result\":{\"members\":0}}\n");
	assert_answer(
		"{\"id\":1,\"method\":\"refuse\"}",
		"{\"id\":1,\"error\":{\"message\":\"No such device\",\"hint\":\"plug it in\"}}\n");
}
END_TEST

START_TEST(t40_malformed_lines_get_an_error)
{
	static const char *const lines[] = {
		"",
		" ",
		"{",
		"}",
		"[]",
		"7",
		"null",
		"\"echo\"",
		"{}",
		"{\"method\":1}",
		"{\"method\":\"\"}",
		"{\"method\":\"nothing\"}",
		"{\"method\":\"echo\",\"params\":[]}",
		"{\"method\":\"echo\",\"params\":1}",
		"{\"id\":{},\"method\":\"echo\"}",
		"{\"id\":1.5,\"method\":\"echo\"}",
		"{\"id\":true,\"method\":\"echo\"}",
		"{\"method\":\"echo\"",
		"{\"method\":\"echo\"}}}",
		"\xff\xfe",
		"{\"method\":\"\\",
	};

	for (size_t i = 0; i < G_N_ELEMENTS(lines); i++)
		assert_error(lines[i], strlen(lines[i]));
	assert_error("{\"method\":\"echo\"\0}", 18);
}
END_TEST

START_TEST(deep_nesting_is_refused)
{
	g_autofree char *brackets = g_strnfill(60000, '[');
	g_autofree char *braces = g_strnfill(60000, '{');
	g_autofree char *id = g_strnfill(100, 'x');
	g_autofree char *long_id = g_strdup_printf("{\"id\":\"%s\",\"method\":\"echo\"}", id);

	assert_error(brackets, strlen(brackets));
	assert_error(braces, strlen(braces));
	assert_error(long_id, strlen(long_id));
	/* Brackets within a string are text. */
	assert_answer("{\"method\":\"echo\",\"params\":{\"x\":\"[[[[[[[[[[[[[[[[[[[[[[\\\"[[[\"}}",
		      "{\"id\":null,\"result\":{\"members\":1}}\n");
}
END_TEST

struct fixture {
	char dir[32];
	char *path;
	int calls;
	struct control *control;
};

static void start(struct fixture *fixture)
{
	strcpy(fixture->dir, "/tmp/control-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(fixture->dir));
	fixture->path = g_build_filename(fixture->dir, "s", NULL);
	fixture->calls = 0;
	ck_assert_int_eq(
		control_start_with(fixture->path, methods, &fixture->calls, &fixture->control), 0);
}

static void stop(struct fixture *fixture)
{
	control_stop(fixture->control);
	ck_assert_int_eq(access(fixture->path, F_OK), -1);
	ck_assert_int_eq(rmdir(fixture->dir), 0);
	g_free(fixture->path);
}

/* Bytes up to the end of the connection or of a line; fails the test after PATIENCE_MS. */
static char *read_line(int fd)
{
	GString *line = g_string_new(NULL);
	struct pollfd pfd = { fd, POLLIN, 0 };
	char c;

	for (;;) {
		ck_assert_int_eq(poll(&pfd, 1, PATIENCE_MS), 1);
		if (recv(fd, &c, 1, 0) <= 0)
			break;
		g_string_append_c(line, c);
		if (c == '\n')
			break;
	}
	return g_string_free(line, FALSE);
}

static int connect_or_fail(const struct fixture *fixture)
{
	int fd = unix_connect(fixture->path);

	ck_assert_int_ge(fd, 0);
	return fd;
}

START_TEST(several_requests_in_pieces)
{
	static const char text[] =
		"{\"id\":1,\"method\":\"echo\"}\n{\"id\":2,\"method\":\"echo\"}\n";
	struct fixture fixture;
	int fd;

	start(&fixture);
	fd = connect_or_fail(&fixture);
	for (size_t i = 0; text[i]; i++)
		ck_assert_int_eq(fd_write_all(fd, text + i, 1), 0);
	for (int id = 1; id <= 2; id++) {
		g_autofree char *line = read_line(fd);
		g_autofree char *want =
			g_strdup_printf("{\"id\":%d,\"result\":{\"members\":0}}\n", id);

		ck_assert_str_eq(line, want);
	}
	close(fd);
	stop(&fixture);
}
END_TEST

START_TEST(t40_half_a_request_then_close)
{
	struct fixture fixture;

	start(&fixture);
	for (int i = 0; i < 1000; i++) {
		int fd = connect_or_fail(&fixture);

		(void)fd_write_all(fd, "{\"id\":1,\"met", 12);
		close(fd);
	}
	ck_assert_int_eq(__atomic_load_n(&fixture.calls, __ATOMIC_RELAXED), 0);
	stop(&fixture);
}
END_TEST

START_TEST(overlong_line_is_refused)
{
	g_autofree char *text = g_strnfill(CONTROL_LINE_MAX, 'x');
	g_autofree char *line = NULL;
	struct fixture fixture;
	int fd;

	start(&fixture);
	fd = connect_or_fail(&fixture);
	ck_assert_int_eq(fd_write_all(fd, text, CONTROL_LINE_MAX), 0);
	line = read_line(fd);
	ck_assert_ptr_nonnull(strstr(line, "longer than 256 KiB"));
	g_free(g_steal_pointer(&line));
	line = read_line(fd);
	ck_assert_str_eq(line, "");
	close(fd);
	stop(&fixture);
}
END_TEST

START_TEST(t40_clients_are_bounded)
{
	struct fixture fixture;
	int fds[CONTROL_CLIENTS_MAX + 1];
	g_autofree char *line = NULL;

	start(&fixture);
	for (size_t i = 0; i < G_N_ELEMENTS(fds); i++)
		fds[i] = connect_or_fail(&fixture);
	line = read_line(fds[CONTROL_CLIENTS_MAX]);
	ck_assert_ptr_nonnull(strstr(line, "too many clients"));
	close(fds[CONTROL_CLIENTS_MAX]);
	/* However many come. */
	for (size_t i = 0; i < 1000; i++) {
		g_autofree char *refusal = NULL;
		int fd = connect_or_fail(&fixture);

		refusal = read_line(fd);
		ck_assert_ptr_nonnull(strstr(refusal, "too many clients"));
		close(fd);
	}
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		close(fds[i]);
	stop(&fixture);
}
END_TEST

/* A connection that has been served. */
static int ask_echo(const struct fixture *fixture)
{
	static const char text[] = "{\"method\":\"echo\"}\n";
	int fd = connect_or_fail(fixture);
	g_autofree char *line = NULL;

	ck_assert_int_eq(fd_write_all(fd, text, strlen(text)), 0);
	line = read_line(fd);
	ck_assert_str_eq(line, "{\"id\":null,\"result\":{\"members\":0}}\n");
	return fd;
}

/* A client that came and cannot be taken in would wake the loop for ever. */
START_TEST(no_descriptor_is_left)
{
	struct rlimit few = { 64, 64 }, before;
	g_autofree char *eof = NULL;
	struct fixture fixture;
	int fds[64] = { 0 }, n = 0, first, fd;

	start(&fixture);
	/* GLib opens what it needs while its loop starts, and ends a program that cannot. */
	first = ask_echo(&fixture);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	few.rlim_max = before.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	while ((fds[n] = dup(0)) >= 0)
		n++;
	ck_assert_int_eq(errno, EMFILE);
	ck_assert_int_ge(n, 1);
	for (int round = 0; round < 3; round++) {
		close(fds[--n]);
		fd = connect_or_fail(&fixture);
		eof = read_line(fd);
		ck_assert_str_eq(eof, "");
		g_free(g_steal_pointer(&eof));
		fds[n++] = fd;
	}
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	close(ask_echo(&fixture));
	close(first);
	while (n)
		close(fds[--n]);
	stop(&fixture);
}
END_TEST

START_TEST(client_that_does_not_read)
{
	struct fixture fixture;
	g_autofree char *line = NULL;
	int idle, fd;

	start(&fixture);
	idle = connect_or_fail(&fixture);
	ck_assert_int_eq(fd_write_all(idle, "{\"method\":\"bulky\"}\n", 19), 0);
	/* Others are served meanwhile. */
	fd = connect_or_fail(&fixture);
	ck_assert_int_eq(fd_write_all(fd, "{\"method\":\"echo\"}\n", 18), 0);
	line = read_line(fd);
	ck_assert_ptr_nonnull(strstr(line, "result"));
	/* Dropped: what the kernel holds is read, then comes the end, well before 4 MiB. */
	ck_assert_int_eq(poll(&(struct pollfd){ idle, POLLRDHUP, 0 }, 1, PATIENCE_MS), 1);
	close(idle);
	close(fd);
	stop(&fixture);
}
END_TEST

START_TEST(stale_socket_is_replaced_and_live_one_kept)
{
	struct fixture fixture;
	struct control *second;
	g_autofree char *deep = g_strnfill(200, 'd');
	g_autofree char *too_long = g_strconcat("/tmp/", deep, NULL);

	start(&fixture);
	ck_assert_int_eq(control_start_with(fixture.path, methods, NULL, &second), -EADDRINUSE);
	ck_assert_ptr_null(second);
	ck_assert_int_eq(control_start_with(too_long, methods, NULL, &second), -ENAMETOOLONG);
	stop(&fixture);
	control_stop(NULL);
}
END_TEST

static int follow_or_fail(const struct fixture *fixture)
{
	static const char request[] = "{\"id\":1,\"method\":\"follow\"}\n";
	int fd = connect_or_fail(fixture);
	g_autofree char *line = NULL;

	ck_assert_int_eq(fd_write_all(fd, request, sizeof(request) - 1), 0);
	line = read_line(fd);
	ck_assert_str_eq(line, "{\"id\":1,\"result\":{}}\n");
	return fd;
}

static void assert_line(int fd, const char *wanted)
{
	g_autofree char *line = read_line(fd);

	ck_assert_str_eq(line, wanted);
}

START_TEST(followers_hear_all_and_the_last_word)
{
	struct fixture fixture;
	int a, b, plain;

	start(&fixture);
	a = follow_or_fail(&fixture);
	b = follow_or_fail(&fixture);
	plain = connect_or_fail(&fixture);
	control_publish(fixture.control, "{\"event\":\"one\"}\n");
	assert_line(a, "{\"event\":\"one\"}\n");
	assert_line(b, "{\"event\":\"one\"}\n");
	close(b);
	/* What a follower says is for nobody. */
	ck_assert_int_eq(fd_write_all(a, "{\"method\":\"echo\"}\n", 18), 0);
	control_publish(fixture.control, "{\"event\":\"two\"}\n");
	assert_line(a, "{\"event\":\"two\"}\n");
	ck_assert_int_eq(fd_write_all(plain, "{\"method\":\"echo\"}\n", 18), 0);
	assert_line(plain, "{\"id\":null,\"result\":{\"members\":0}}\n");
	control_publish(fixture.control, "{\"event\":\"off\"}\n");
	stop(&fixture);
	assert_line(a, "{\"event\":\"off\"}\n");
	assert_line(a, "");
	close(a);
	close(plain);
}
END_TEST

START_TEST(a_follower_that_does_not_read)
{
	g_autofree char *x = g_strnfill(1000, 'x');
	g_autofree char *event = g_strdup_printf("{\"event\":\"%s\"}\n", x);
	size_t len = strlen(event);
	g_autofree char *read = g_malloc(len);
	bool dropped = false;
	struct fixture fixture;
	int slow, fast;

	start(&fixture);
	slow = follow_or_fail(&fixture);
	fast = follow_or_fail(&fixture);
	/* More than the socket and the queue hold; the fast one sets the pace. */
	for (int i = 0; i < 2000; i++) {
		control_publish(fixture.control, event);
		ck_assert_int_eq(recv(fast, read, len, MSG_WAITALL), (ssize_t)len);
	}
	for (;;) {
		g_autofree char *line = read_line(slow);

		if (!*line)
			break;
		ck_assert(!dropped);
		dropped = !strcmp(line, "{\"event\":\"dropped\",\"hint\":\"read faster\"}\n");
		if (!dropped)
			ck_assert_str_eq(line, event);
	}
	ck_assert(dropped);
	close(slow);
	close(fast);
	stop(&fixture);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("control");
	TCase *tcase = tcase_create("control");

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, answers_repeat_the_id);
	tcase_add_test(tcase, t40_malformed_lines_get_an_error);
	tcase_add_test(tcase, deep_nesting_is_refused);
	tcase_add_test(tcase, several_requests_in_pieces);
	tcase_add_test(tcase, t40_half_a_request_then_close);
	tcase_add_test(tcase, overlong_line_is_refused);
	tcase_add_test(tcase, followers_hear_all_and_the_last_word);
	tcase_add_test(tcase, a_follower_that_does_not_read);
	tcase_add_test(tcase, t40_clients_are_bounded);
	tcase_add_test(tcase, no_descriptor_is_left);
	tcase_add_test(tcase, client_that_does_not_read);
	tcase_add_test(tcase, stale_socket_is_replaced_and_live_one_kept);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
