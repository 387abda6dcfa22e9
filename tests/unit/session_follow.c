// SPDX-License-Identifier: GPL-2.0-or-later
// When lodge-session acts, and when it leaves the resolution to others; with a clock of the test's.
#include <check.h>

#include "guest-daemon/session/follow.h"
#include "tests/unit/unit.h"

static const struct follow_size off, small = { 800, 600 }, odd = { 1001, 701 },
				     big = { 1920, 1080 };

static struct follower follower;
static struct follow_output output;
static uint64_t now;

static void begin(void)
{
	follower = (struct follower){ 0 };
	output = (struct follow_output){ .id = 7, .wanted = small, .now = small };
	now = 1000;
	ck_assert(!follow_look(&follower, &output, 1, now).act);
}

static struct follow_verdict look(void)
{
	return follow_look(&follower, &output, 1, now);
}

/* Waits as long as it is told to, until it is to act. */
static void acts_after(uint64_t ms)
{
	struct follow_verdict verdict = look();

	ck_assert(!verdict.act);
	ck_assert_uint_eq(verdict.wait_ms, ms);
	now += ms - 1;
	ck_assert(!look().act);
	now += 1;
	ck_assert(look().act);
	follow_acted(&follower, true, now);
	output.now = output.wanted;
	verdict = look();
	ck_assert(!verdict.act);
	ck_assert_uint_eq(verdict.wait_ms, 0);
}

START_TEST(nobody_follows)
{
	begin();
	output.wanted = odd;
	acts_after(FOLLOW_GRACE_MS);
	ck_assert_int_eq(follower.owner, FOLLOW_US);
	output.wanted = big;
	acts_after(FOLLOW_GRACE_MS);
}
END_TEST

START_TEST(a_drag_is_one_mode)
{
	begin();
	for (uint32_t i = 0; i < 100; i++) {
		output.wanted = (struct follow_size){ 900 + i, 700 };
		ck_assert(!look().act);
		now += FOLLOW_GRACE_MS / 4;
	}
	ck_assert(!look().act);
	now += FOLLOW_GRACE_MS;
	ck_assert(look().act);
}
END_TEST

START_TEST(a_desktop_follows)
{
	begin();
	for (uint32_t i = 0; i < 50; i++) {
		output.wanted = (struct follow_size){ 900 + i, 700 };
		ck_assert(!look().act);
		now += FOLLOW_GRACE_MS - 1;
		output.now = output.wanted;
		ck_assert(!look().act);
		ck_assert_uint_eq(look().wait_ms, 0);
		now += 60000;
		ck_assert(!look().act);
	}
	ck_assert_int_eq(follower.owner, FOLLOW_OTHERS);
	/* It is slow for once: it gets more time than somebody unknown. */
	output.wanted = big;
	ck_assert_uint_eq(look().wait_ms, FOLLOW_PATIENCE_MS);
	now += FOLLOW_PATIENCE_MS - 1;
	ck_assert(!look().act);
	/* It is gone. */
	now += 1;
	ck_assert(look().act);
}
END_TEST

START_TEST(it_follows_within_the_same_look)
{
	begin();
	output.wanted = output.now = odd;
	ck_assert(!look().act);
	ck_assert_int_eq(follower.owner, FOLLOW_OTHERS);
}
END_TEST

START_TEST(a_chosen_mode_stays)
{
	begin();
	output.now = big; /* a person's choice, against the wish */
	ck_assert(!look().act);
	now += 3600000;
	ck_assert(!look().act);
	ck_assert_uint_eq(look().wait_ms, 0);
	output.wanted = odd; /* the window is dragged */
	acts_after(FOLLOW_GRACE_MS);
}
END_TEST

START_TEST(an_answer_with_another_mode_is_one)
{
	begin();
	output.wanted = odd;
	look();
	now += 10;
	output.now = big;
	ck_assert(!look().act);
	now += 60000;
	ck_assert(!look().act);
}
END_TEST

START_TEST(quarrels_end)
{
	begin();
	for (unsigned int i = 0; i < FOLLOW_QUARRELS; i++) {
		ck_assert(!follow_gave_up(&follower));
		output.wanted = (struct follow_size){ 1000 + i, 700 };
		look();
		now += FOLLOW_PATIENCE_MS;
		ck_assert(look().act);
		follow_acted(&follower, true, now);
		now += FOLLOW_OVERRULED_MS;
		output.now = small;
		ck_assert(!look().act);
	}
	ck_assert(follow_gave_up(&follower));
	output.wanted = big;
	ck_assert(!look().act);
	now += 60000;
	ck_assert(!look().act);
	ck_assert_uint_eq(look().wait_ms, 0);
	ck_assert_int_eq(follower.owner, FOLLOW_OTHERS);
}
END_TEST

START_TEST(later_is_no_quarrel)
{
	begin();
	output.wanted = odd;
	acts_after(FOLLOW_GRACE_MS);
	now += FOLLOW_OVERRULED_MS + 1;
	output.now = big;
	look();
	ck_assert_uint_eq(follower.quarrels, 0);
}
END_TEST

START_TEST(a_refused_mode_is_not_tried_again)
{
	begin();
	output.wanted = odd;
	look();
	now += FOLLOW_GRACE_MS;
	ck_assert(look().act);
	follow_acted(&follower, false, now);
	ck_assert(!look().act);
	now += 60000;
	ck_assert(!look().act);
	ck_assert_uint_eq(follower.quarrels, 0);
	ck_assert_int_eq(follower.owner, FOLLOW_NOBODY);
}
END_TEST

START_TEST(heads_come_and_go)
{
	struct follow_output two[2] = { { 1, small, small }, { 2, off, off } };

	follower = (struct follower){ 0 };
	now = 5;
	ck_assert(!follow_look(&follower, two, 2, now).act);
	two[1].wanted = odd; /* plugged in */
	ck_assert_uint_eq(follow_look(&follower, two, 2, now).wait_ms, FOLLOW_GRACE_MS);
	now += FOLLOW_GRACE_MS;
	ck_assert(follow_look(&follower, two, 2, now).act);
	follow_acted(&follower, true, now);
	two[1].now = odd;
	ck_assert(!follow_look(&follower, two, 2, now).act);
	two[1].wanted = off; /* pulled */
	follow_look(&follower, two, 2, now);
	now += FOLLOW_GRACE_MS;
	ck_assert(follow_look(&follower, two, 2, now).act);
	follow_acted(&follower, true, now);
	/* Gone for good, and another in its place: what was known of the first is forgotten. */
	ck_assert(!follow_look(&follower, two, 1, now).act);
	ck_assert_uint_eq(follower.n, 1);
	two[1] = (struct follow_output){ 3, big, off };
	ck_assert_uint_eq(follow_look(&follower, two, 2, now).wait_ms, FOLLOW_GRACE_MS);
}
END_TEST

/* What somebody chose for one is nothing that another one's wish undoes. */
START_TEST(wishes_are_of_one_output)
{
	struct follow_output two[2] = { { 1, small, small }, { 2, small, small } };

	follower = (struct follower){ 0 };
	now = 5;
	ck_assert(!follow_look(&follower, two, 2, now).act);
	two[1].now = big;
	ck_assert(!follow_look(&follower, two, 2, now).act);
	two[0].wanted = odd;
	follow_look(&follower, two, 2, now);
	now += FOLLOW_GRACE_MS;
	ck_assert(follow_look(&follower, two, 2, now).act);
	ck_assert(follow_is_open(&follower, 1));
	ck_assert(!follow_is_open(&follower, 2));
	ck_assert(!follow_is_open(&follower, 3));
	follow_acted(&follower, true, now);
	ck_assert(!follow_is_open(&follower, 1));
}
END_TEST

START_TEST(many_outputs)
{
	struct follow_output many[FOLLOW_OUTPUTS_MAX + 4];

	follower = (struct follower){ 0 };
	for (size_t i = 0; i < FOLLOW_OUTPUTS_MAX + 4; i++)
		many[i] = (struct follow_output){ i + 1, odd, off };
	follow_look(&follower, many, FOLLOW_OUTPUTS_MAX + 4, 0);
	ck_assert_uint_eq(follower.n, FOLLOW_OUTPUTS_MAX);
	ck_assert(follow_look(&follower, many, FOLLOW_OUTPUTS_MAX + 4, FOLLOW_GRACE_MS).act);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("session_follow");
	TCase *tcase = tcase_create("follow");

	tcase_add_test(tcase, nobody_follows);
	tcase_add_test(tcase, a_drag_is_one_mode);
	tcase_add_test(tcase, a_desktop_follows);
	tcase_add_test(tcase, it_follows_within_the_same_look);
	tcase_add_test(tcase, a_chosen_mode_stays);
	tcase_add_test(tcase, an_answer_with_another_mode_is_one);
	tcase_add_test(tcase, quarrels_end);
	tcase_add_test(tcase, later_is_no_quarrel);
	tcase_add_test(tcase, a_refused_mode_is_not_tried_again);
	tcase_add_test(tcase, heads_come_and_go);
	tcase_add_test(tcase, wishes_are_of_one_output);
	tcase_add_test(tcase, many_outputs);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
