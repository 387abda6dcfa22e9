// SPDX-License-Identifier: GPL-2.0-or-later
// Seccomp filters from tables: rows, conditions over all 64 bits, alternatives, and too many rows.
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "protocol/lib/seccomp_filter.h"
#include "tests/unit/unit.h"

#define REFUSED	     ENOANO /* which no call gives here by itself */
#define NOT_BOUND    99
#define SEARCHED_MAX 40
#define BEYOND_32    (1ull << 32)
#define LOW_NIBBLE   0xfull

static struct seccomp_filter filter;

static void setup(void)
{
	seccomp_filter_begin(&filter);
	seccomp_filter_add(&filter, SYS_exit_group, SECCOMP_ALLOW);
}

/* The errno of lseek(-1, @offset, 0) in a process with the filter, or -1 where it was killed. */
static int seek(uint64_t offset)
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (!pid) {
		if (seccomp_filter_enter(&filter, REFUSED))
			_exit(NOT_BOUND);
		/* Not _exit(), before which a sanitizer makes calls of its own. */
		syscall(SYS_exit_group, syscall(SYS_lseek, -1, offset, SEEK_SET) < 0 ? errno : 0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

START_TEST(test_rows)
{
	ck_assert_int_eq(seek(0), REFUSED);
	seccomp_filter_add(&filter, SYS_lseek, SECCOMP_ALLOW);
	ck_assert_int_eq(seek(0), EBADF);
}
END_TEST

START_TEST(test_kill)
{
	seccomp_filter_add(&filter, SYS_lseek, SECCOMP_KILL);
	ck_assert_int_eq(seek(0), -1);
}
END_TEST

START_TEST(test_whole_argument)
{
	seccomp_filter_add_if(&filter, SYS_lseek, 1, UINT64_MAX, 7);
	ck_assert_int_eq(seek(7), EBADF);
	ck_assert_int_eq(seek(8), REFUSED);
	ck_assert_int_eq(seek(BEYOND_32 + 7), REFUSED);
}
END_TEST

START_TEST(test_high_half)
{
	seccomp_filter_add_if(&filter, SYS_lseek, 1, UINT64_MAX, BEYOND_32);
	ck_assert_int_eq(seek(BEYOND_32), EBADF);
	ck_assert_int_eq(seek(0), REFUSED);
	ck_assert_int_eq(seek(2 * BEYOND_32), REFUSED);
}
END_TEST

START_TEST(test_mask)
{
	seccomp_filter_add_if(&filter, SYS_lseek, 1, LOW_NIBBLE, 3);
	ck_assert_int_eq(seek(BEYOND_32 + 0x13), EBADF);
	ck_assert_int_eq(seek(0x14), REFUSED);
}
END_TEST

START_TEST(test_alternatives)
{
	seccomp_filter_add_if(&filter, SYS_lseek, 1, UINT64_MAX, 1);
	seccomp_filter_add_if(&filter, SYS_lseek, 1, UINT64_MAX, 2);
	/* A row behind a condition that failed still sees the number. */
	seccomp_filter_add_if(&filter, SYS_getpid, 0, 0, 0);
	seccomp_filter_add_if(&filter, SYS_lseek, 1, UINT64_MAX, 3);
	ck_assert_int_eq(seek(0), REFUSED);
	ck_assert_int_eq(seek(1), EBADF);
	ck_assert_int_eq(seek(2), EBADF);
	ck_assert_int_eq(seek(3), EBADF);
}
END_TEST

/* The call is found wherever it stands among many, and what is not there is not. */
START_TEST(test_search)
{
	for (long call = 0; call < SYS_lseek && call < _i; call++)
		seccomp_filter_add(&filter, call, SECCOMP_KILL);
	for (long call = 1000; call < 1000 + 2 * _i; call += 2)
		seccomp_filter_add(&filter, call, SECCOMP_KILL);
	ck_assert_int_eq(seek(0), REFUSED);
	seccomp_filter_add(&filter, SYS_lseek, SECCOMP_ALLOW);
	for (long call = 1001; call < 1001 + _i; call += 2)
		seccomp_filter_add(&filter, call, SECCOMP_KILL);
	ck_assert_int_eq(seek(0), EBADF);
}
END_TEST

START_TEST(test_too_many_conditions)
{
	for (int i = 0; i < SECCOMP_FILTER_MAX / 9; i++)
		seccomp_filter_add_if(&filter, SYS_lseek, 1, UINT64_MAX, (uint64_t)i);
	ck_assert_int_eq(seccomp_filter_enter(&filter, REFUSED), -E2BIG);
}
END_TEST

START_TEST(test_too_many)
{
	for (int i = 0; i < SECCOMP_CALLS_MAX; i++)
		seccomp_filter_add(&filter, 1000 + i, SECCOMP_ALLOW);
	ck_assert_int_eq(seccomp_filter_enter(&filter, REFUSED), -E2BIG);
	ck_assert_int_eq(lseek(-1, 0, SEEK_SET), -1);
	ck_assert_int_eq(errno, EBADF);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("seccomp_filter");
	TCase *tcase = tcase_create("filter");

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, test_rows);
	tcase_add_test(tcase, test_kill);
	tcase_add_test(tcase, test_whole_argument);
	tcase_add_test(tcase, test_high_half);
	tcase_add_test(tcase, test_mask);
	tcase_add_test(tcase, test_alternatives);
	tcase_add_loop_test(tcase, test_search, 0, SEARCHED_MAX);
	tcase_add_test(tcase, test_too_many_conditions);
	tcase_add_test(tcase, test_too_many);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
