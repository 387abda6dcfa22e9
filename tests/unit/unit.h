/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What unit tests of all kinds have in common, the end of main() first. */
#ifndef LODGE_TESTS_UNIT_H
#define LODGE_TESTS_UNIT_H

#include <check.h>
#include <dirent.h>
#include <stdlib.h>

/* Runs the suite, frees it, and gives what main() returns. CK_VERBOSITY tells how much is said. */
static inline int unit_run(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* How often a test of chance tries: ROUNDS of the environment, for long runs by hand (with
 * CK_TIMEOUT_MULTIPLIER), or @usual. */
static inline long unit_rounds(long usual)
{
	const char *rounds = getenv("ROUNDS");

	return rounds ? strtol(rounds, NULL, 10) : usual;
}

/* How much a folder lists: /proc/self/fd the descriptors of the test, and some more. */
static inline int unit_count_entries(const char *folder)
{
	DIR *dir = opendir(folder);
	int n = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

#endif
