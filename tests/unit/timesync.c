// SPDX-License-Identifier: GPL-2.0-or-later
// lodged's time keeping over simulated clocks: pauses, jumps, drifts, a guest that sets its clock
// wrong, another owner.
#include <check.h>
#include <stdlib.h>

#include "guest-daemon/lodged/timesync.h"
#include "tests/unit/unit.h"

#define NS_PER_S  1000000000ll
#define NS_PER_MS 1000000ll
#define HOUR	  (3600 * NS_PER_S)

/* True time passes; the host's and the guest's clocks do so at their own rates, the guest's wall
 * clock and its monotonic one alike. */
static struct {
	double host, wall, monotonic; /* ns */
	double host_ppm, guest_ppm, slew_ppm;
	double least_monotonic;
	int64_t error;
	unsigned int seed;
} world;

static struct timesync sync;
static unsigned int steps_forth, steps_back;

static void pass(double ns)
{
	double rate = 1 + (world.guest_ppm + world.slew_ppm) / 1e6;

	world.host += ns * (1 + world.host_ppm / 1e6);
	world.wall += ns * rate;
	world.monotonic += ns * rate;
}

static double off(void)
{
	return world.host - world.wall;
}

static int64_t noise(void)
{
	if (!world.error)
		return 0;
	world.seed = world.seed * 1103515245 + 12345;
	return (int64_t)(world.seed >> 8) % (2 * world.error) - world.error;
}

/* One measuring, and what comes of it: seconds until the next. */
static unsigned int measure(void)
{
	struct timesync_action action = timesync_measured(&sync, (int64_t)world.monotonic,
							  (int64_t)off() + noise(), world.error);

	ck_assert(world.monotonic >= world.least_monotonic);
	world.least_monotonic = world.monotonic;
	if (action.step) {
		*(action.by > 0 ? &steps_forth : &steps_back) += 1;
		world.wall += (double)action.by;
	}
	if (action.slew) {
		ck_assert(action.ppm <= TIMESYNC_SLEW_MAX && action.ppm >= -TIMESYNC_SLEW_MAX);
		world.slew_ppm = action.ppm;
	}
	ck_assert_uint_ge(action.next_s, 1);
	ck_assert_uint_le(action.next_s, 32);
	return action.next_s;
}

/* For so many seconds; the worst that the clock was off in the last tenth of them. */
static double run(double seconds)
{
	double passed = 0, worst = 0;

	while (passed < seconds) {
		unsigned int next = measure();

		for (unsigned int i = 0; i < next; i++) {
			pass(NS_PER_S);
			passed++;
			if (passed > seconds * 0.9 && llabs((int64_t)off()) > (int64_t)worst)
				worst = (double)llabs((int64_t)off());
		}
	}
	return worst;
}

static void setup(void)
{
	world.host = world.wall = 1795000000.0 * NS_PER_S;
	world.monotonic = world.least_monotonic = 100.0 * NS_PER_S;
	world.host_ppm = world.guest_ppm = world.slew_ppm = 0;
	world.error = 0;
	world.seed = 1;
	sync = (struct timesync){ 0 };
	timesync_own(&sync, true);
	steps_forth = steps_back = 0;
}

START_TEST(keeps_pace)
{
	static const double rates[] = { 0, 1, -20, 100, -300, 490, -490 };

	world.guest_ppm = rates[_i];
	/* Nearest ns of a double of this size is 256. */
	ck_assert_double_lt(run(3600), 20000);
	world.error = 50000;
	ck_assert_double_lt(run(3600), 200000);
	ck_assert_uint_eq(steps_forth + steps_back, 0);
}
END_TEST

/* The host's own clock is slewed at its most, and then the other way. */
START_TEST(host_off_by_500_ppm)
{
	run(600);
	world.host_ppm = 450;
	ck_assert_double_lt(run(3600), 10000);
	world.host_ppm = -450;
	ck_assert_double_lt(run(3600), 10000);
	ck_assert_uint_eq(steps_forth + steps_back, 0);
}
END_TEST

START_TEST(small_offsets_are_slewed)
{
	run(60);
	world.wall -= 90.0 * NS_PER_MS;
	run(600);
	ck_assert_double_lt(run(60), 1000000);
	world.wall += 400.0 * NS_PER_MS;
	run(1800);
	ck_assert_double_lt(run(60), 1000000);
	ck_assert_uint_eq(steps_forth + steps_back, 0);
}
END_TEST

/* The guest stood for an hour, and its clocks with it. */
START_TEST(pause_of_an_hour)
{
	run(600);
	world.host += HOUR;
	timesync_moved(&sync);
	ck_assert_uint_eq(measure(), 1);
	ck_assert(llabs((int64_t)off()) < 1000);
	ck_assert_uint_eq(steps_forth, 1);
	ck_assert_double_lt(run(600), 10000);
	ck_assert_uint_eq(steps_forth + steps_back, 1);
}
END_TEST

START_TEST(host_jumps)
{
	/* The last one leads beyond 2038. */
	static const double jumps[] = { HOUR,	      -HOUR,	      26.0 * HOUR,
					-26.0 * HOUR, 87600.0 * HOUR, 175320.0 * HOUR };

	for (size_t i = 0; i < sizeof(jumps) / sizeof(*jumps); i++) {
		setup();
		run(600);
		world.host += jumps[i];
		timesync_moved(&sync);
		measure();
		ck_assert(llabs((int64_t)off()) < 2000);
		ck_assert_uint_eq(jumps[i] > 0 ? steps_forth : steps_back, 1);
		ck_assert_double_lt(run(600), 10000);
		ck_assert_uint_eq(steps_forth + steps_back, 1);
	}
}
END_TEST

/* A second that the host's clock is set back by at a leap second, and one that it smears. */
START_TEST(leap_seconds)
{
	run(600);
	world.host -= NS_PER_S;
	timesync_moved(&sync);
	ck_assert_double_lt(run(60), 1000);
	ck_assert_uint_eq(steps_back, 1);
	world.host_ppm = 11.6; /* a second in a day */
	ck_assert_double_lt(run(24 * 3600), 20000);
	ck_assert_uint_eq(steps_forth + steps_back, 1);
}
END_TEST

START_TEST(guest_sets_it_wrong_every_second)
{
	run(60);
	for (int i = 0; i < 120; i++) {
		world.wall += (i % 2 ? 1.0 : -1.0) * 10 * HOUR;
		timesync_moved(&sync);
		ck_assert_uint_eq(measure(), 1);
		ck_assert(llabs((int64_t)off()) < 2000);
		pass(NS_PER_S);
	}
	ck_assert_uint_eq(steps_forth, 60);
	ck_assert_uint_eq(steps_back, 60);
	/* What it did taught no rate. */
	ck_assert_double_lt(run(600), 10000);
}
END_TEST

START_TEST(another_owner_is_left_alone)
{
	timesync_own(&sync, false);
	world.wall += 3.0 * NS_PER_S;
	run(600);
	ck_assert_uint_eq(steps_forth + steps_back, 0);
	ck_assert(world.slew_ppm == 0);
	/* But for what the host knows that it cannot know. */
	world.host += HOUR;
	timesync_moved(&sync);
	measure();
	ck_assert_uint_eq(steps_forth, 1);
	ck_assert(llabs((int64_t)off()) < 2000);
	world.wall += 0.05 * NS_PER_S;
	timesync_moved(&sync);
	run(600);
	ck_assert_uint_eq(steps_forth + steps_back, 1);
	/* It goes, and comes back. */
	timesync_own(&sync, true);
	run(600);
	ck_assert_double_lt(run(60), 10000);
	timesync_own(&sync, false);
	world.slew_ppm = 0;
	run(600);
	ck_assert(world.slew_ppm == 0);
}
END_TEST

/* What a measuring may be off by is no reason to set a clock. */
START_TEST(poor_measurings)
{
	world.error = 2 * NS_PER_S;
	run(600);
	ck_assert_uint_eq(steps_forth + steps_back, 0);
	world.wall -= (double)HOUR;
	run(10);
	ck_assert_uint_ge(steps_forth, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("timesync");
	TCase *cases = tcase_create("timesync");

	tcase_add_checked_fixture(cases, setup, NULL);
	tcase_add_loop_test(cases, keeps_pace, 0, 7);
	tcase_add_test(cases, host_off_by_500_ppm);
	tcase_add_test(cases, small_offsets_are_slewed);
	tcase_add_test(cases, pause_of_an_hour);
	tcase_add_test(cases, host_jumps);
	tcase_add_test(cases, leap_seconds);
	tcase_add_test(cases, guest_sets_it_wrong_every_second);
	tcase_add_test(cases, another_owner_is_left_alone);
	tcase_add_test(cases, poor_measurings);
	tcase_set_timeout(cases, 60);
	suite_add_tcase(suite, cases);
	return unit_run(suite);
}
