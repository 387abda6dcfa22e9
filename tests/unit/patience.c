// SPDX-License-Identifier: GPL-2.0-or-later
/* Calls that do not come back in time. */
#include <check.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "protocol/lib/patience.h"
#include "tests/unit/unit.h"

struct item {
	int gate; /* the call ends when this pipe does */
	int out; /* where a late one is told */
	int value;
};

static void square(void *arg)
{
	struct item *item = arg;
	char byte;

	if (item->gate >= 0)
		(void)!read(item->gate, &byte, 1);
	item->value *= item->value;
}

static void tell(void *arg)
{
	const struct item *item = arg;

	ck_assert_int_eq(write(item->out, &item->value, sizeof(item->value)), sizeof(item->value));
}

static const struct patience how = { square, tell, sizeof(struct item), 1000 };

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

START_TEST(done_in_time)
{
	struct item items[9];
	bool done[9];

	patience_call(&how, items, 0, done);
	for (int i = 0; i < 9; i++) {
		items[i] = (struct item){ -1, -1, i };
		done[i] = false;
	}
	patience_call(&how, items, 9, done);
	for (int i = 0; i < 9; i++) {
		ck_assert(done[i]);
		ck_assert_int_eq(items[i].value, i * i);
	}
}
END_TEST

static void nap(void *arg)
{
	(void)arg;
	poll(NULL, 0, 300);
}

START_TEST(all_at_once)
{
	const struct patience naps = { nap, NULL, sizeof(int), 60000 };
	int items[8] = { 0 };
	double began = seconds();
	bool done[8];

	patience_call(&naps, items, 8, done);
	ck_assert_double_lt(seconds() - began, 8 * 0.3);
	for (int i = 0; i < 8; i++)
		ck_assert(done[i]);
}
END_TEST

START_TEST(left_behind)
{
	struct item items[2] = { { -1, -1, 7 }, { -1, -1, 8 } };
	double began = seconds();
	int gate[2], out[2];
	bool done[2];
	int value;

	ck_assert_int_eq(pipe(gate) | pipe(out), 0);
	items[1].gate = gate[0];
	items[1].out = out[1];
	patience_call(&how, items, 2, done);
	ck_assert_double_ge(seconds() - began, 0.99);
	ck_assert(done[0] && !done[1]);
	ck_assert_int_eq(items[0].value, 49);
	ck_assert_int_eq(items[1].value, 8);

	/* It is not waited for as long once more, and what answers does. */
	began = seconds();
	items[0].value = 7;
	patience_call(&how, items, 2, done);
	ck_assert_double_lt(seconds() - began, 0.9);
	ck_assert(done[0] && !done[1]);
	ck_assert_int_eq(items[0].value, 49);

	close(gate[1]);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(read(out[0], &value, sizeof(value)), sizeof(value));
		ck_assert_int_eq(value, 64);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("patience");
	TCase *tcase = tcase_create("patience");

	tcase_add_test(tcase, done_in_time);
	tcase_add_test(tcase, all_at_once);
	tcase_add_test(tcase, left_behind);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
