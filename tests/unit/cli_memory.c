// SPDX-License-Identifier: GPL-2.0-or-later
// `lodge set memory=...` in full words, and what `lodge top` reads of processes.
#include <check.h>
#include <glib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host-vmm/cli/memory.h"
#include "host-vmm/cli/top_usage.h"
#include "tests/unit/unit.h"

START_TEST(short_words)
{
	char *changes[] = { (char *)"memory=1.5G",
			    (char *)"cpu.count=2",
			    (char *)"memory=auto",
			    (char *)"memory=off",
			    (char *)"memory.min=64M",
			    (char *)"memory=manual",
			    NULL };
	g_auto(GStrv) full = memory_expand(changes);
	g_autofree char *all = g_strjoinv(" ", full);

	ck_assert_str_eq(all, "memory.target=1.5G memory.mode=manual cpu.count=2 memory.mode=auto "
			      "memory.mode=off memory.min=64M memory.target=manual "
			      "memory.mode=manual");
}
END_TEST

START_TEST(live_words)
{
	ck_assert(memory_is_live("memory.target=1G"));
	ck_assert(memory_is_live("memory.mode="));
	ck_assert(memory_is_live("memory.min=1G"));
	ck_assert(memory_is_live("memory.max=1G"));
	ck_assert(!memory_is_live("memory.size=1G"));
	ck_assert(!memory_is_live("memory.maximum=1G"));
	ck_assert(!memory_is_live("cpu.count=1"));
}
END_TEST

START_TEST(usage_of_processes)
{
	struct usage alone, both, none;
	int gate[2];
	pid_t child;

	usage_of(getpid(), &alone);
	ck_assert_uint_gt(alone.resident, 0);
	ck_assert_int_eq(pipe(gate), 0);
	child = fork();
	if (child == 0) {
		char byte;

		close(gate[1]);
		_exit(read(gate[0], &byte, 1) < 0);
	}
	ck_assert_int_gt(child, 0);
	/* A helper counts with what it has for itself. */
	usage_of(getpid(), &both);
	ck_assert_uint_gt(both.resident, alone.resident);
	ck_assert_uint_ge(both.cpu_us, alone.cpu_us);
	close(gate[1]);
	close(gate[0]);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	usage_of(child, &none);
	ck_assert_uint_eq(none.resident, 0);
	ck_assert_uint_eq(none.cpu_us, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cli_memory");
	TCase *tcase = tcase_create("memory");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, short_words);
	tcase_add_test(tcase, live_words);
	tcase_add_test(tcase, usage_of_processes);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
