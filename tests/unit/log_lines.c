// SPDX-License-Identifier: GPL-2.0-or-later
// Log lines: nothing in them steers a terminal (T41), and a peer makes no more of them than the
// limit (T34).
#include <check.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "protocol/lib/log.h"
#include "tests/unit/unit.h"

static char said[1 << 20];
static int pipe_fds[2], saved;

/* What comes between these two on stderr is in `said`. */
static void begin(void)
{
	ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK), 0);
	saved = dup(STDERR_FILENO);
	ck_assert_int_ge(saved, 0);
	ck_assert_int_eq(dup2(pipe_fds[1], STDERR_FILENO), STDERR_FILENO);
}

static void end(void)
{
	ssize_t got;

	ck_assert_int_eq(dup2(saved, STDERR_FILENO), STDERR_FILENO);
	close(saved);
	close(pipe_fds[1]);
	got = read(pipe_fds[0], said, sizeof(said) - 1);
	close(pipe_fds[0]);
	said[got > 0 ? got : 0] = '\0';
}

START_TEST(t41_lines_are_printable)
{
	static const struct {
		const char *text, *line;
	} rows[] = {
		{ "plain \xc3\xa9\xe2\x82\xac", "plain \xc3\xa9\xe2\x82\xac" },
		{ "\x1b[8;1;1t", "?[8;1;1t" },
		{ "\x1b]0;title\x07", "?]0;title?" },
		{ "a\r\nlodge: error: forged", "a??lodge: error: forged" },
		{ "\xc2\x9b"
		  "31m\xc2\x9d",
		  "??31m??" },
		{ "\xc2\xa0\xc2", "\xc2\xa0\xc2" },
		{ "del\x7f", "del?" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin();
		log_error("%s", rows[i].text);
		end();
		ck_assert_ptr_nonnull(strstr(said, rows[i].line));
		ck_assert_str_eq(strchr(said, '\n'), "\n");
	}
}
END_TEST

START_TEST(t41_a_line_of_1_mib)
{
	static char text[1 << 20];

	memset(text, 'x', sizeof(text) - 1);
	begin();
	log_error("%s", text);
	end();
	ck_assert_uint_le(strlen(said), 1024);
	ck_assert_str_eq(strchr(said, '\n'), "\n");
}
END_TEST

START_TEST(t34_lines_are_limited)
{
	struct log_ratelimit limit = { .burst = 7, .interval_ms = 3600000 };
	unsigned int lines = 0;

	begin();
	for (unsigned int i = 0; i < 1000000; i++)
		log_ratelimited(&limit, LOG_LEVEL_WARN, "line %u", i);
	end();
	for (const char *at = said; (at = strchr(at, '\n')); at++)
		lines++;
	ck_assert_uint_eq(lines, 7);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("log_lines");
	TCase *tcase = tcase_create("lines");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, t41_lines_are_printable);
	tcase_add_test(tcase, t41_a_line_of_1_mib);
	tcase_add_test(tcase, t34_lines_are_limited);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
