// SPDX-License-Identifier: GPL-2.0-or-later
// The clock page under a host's clock that is turned by hand: rates, steps, leap seconds, sleep,
// and readers while it is written.
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest-drivers/lodge_clock/line.h"
#include "host-vmm/clock/clock.h"
#include "tests/unit/unit.h"

#define KHZ	 2500000u
#define NS_PER_S 1000000000ll
#define HOUR	 (3600 * NS_PER_S)
#define EPOCH	 (1795000000 * NS_PER_S)
#define OFFSET	 0xfffffff000000000ull /* guests start their counter at 0: the host's is ahead */

/* Time passes by the counter's crystal; what the host's clock makes of it is @ppm off. */
static struct host_clock host;
static double ppm, rest;
static struct clock_model model;
static struct lodge_vmclock page;

static void pass(int64_t ns)
{
	double counts = (double)ns * KHZ / 1e6;
	double clock = (double)ns * (1 + ppm / 1e6) + rest;

	host.tsc += (uint64_t)counts;
	rest = clock - (double)(int64_t)clock;
	host.monotonic += (int64_t)clock;
	host.realtime += (int64_t)clock;
}

static void look(void)
{
	clock_model_advance(&model, &host);
	clock_model_fill(&model, OFFSET, true, &page);
}

/* ns since 1970 when the guest's counter is @tsc: what a guest makes of the page. */
static int64_t page_time(const struct lodge_vmclock *from, uint64_t tsc)
{
	unsigned __int128 frac = (unsigned __int128)(tsc - le64toh(from->counter_value)) *
				 le64toh(from->counter_period_frac_sec);
	uint64_t seconds;

	frac >>= from->counter_period_shift & 127;
	frac += le64toh(from->time_frac_sec);
	seconds = le64toh(from->time_sec) + (uint64_t)(frac >> 64);
	return (int64_t)(seconds * NS_PER_S +
			 (uint64_t)(((unsigned __int128)(uint64_t)frac * NS_PER_S) >> 64));
}

/* What a guest that reads the page now is off by. */
static int64_t off(void)
{
	return page_time(&page, host.tsc + OFFSET) - host.realtime;
}

/* Looks as often as the device does, for @ns; the most that the page was off meanwhile. */
static int64_t run(int64_t ns)
{
	int64_t worst = 0;

	while (ns > 0) {
		int64_t pause = (int64_t)clock_model_next_ms(&model) * 1000000;

		for (int i = 0; i < 10; i++) {
			pass(pause / 10);
			worst = llabs(off()) > worst ? llabs(off()) : worst;
		}
		look();
		ns -= pause;
	}
	return worst;
}

static void setup(void)
{
	host = (struct host_clock){ .tsc = 1ull << 36,
				    .window = 100,
				    .realtime = EPOCH,
				    .monotonic = 5 * NS_PER_S,
				    .synchronized = true,
				    .maxerror = 1500000,
				    .esterror = 700000,
				    .tai = 37 };
	ppm = rest = 0;
	clock_model_init(&model, KHZ, 7);
	look();
}

START_TEST(test_constants)
{
	ck_assert_uint_eq(page.magic, LODGE_VMCLOCK_MAGIC);
	ck_assert_uint_eq(page.size, 4096);
	ck_assert_uint_eq(page.version, 1);
	ck_assert_uint_eq(page.counter_id, LODGE_VMCLOCK_COUNTER_TSC);
	ck_assert_uint_eq(page.time_type, LODGE_VMCLOCK_UTC);
	ck_assert_uint_eq(page.counter_value, (1ull << 36) + OFFSET);
	ck_assert_uint_eq(page.tai_offset_sec, 37);
	ck_assert_uint_eq(page.disruption_marker, 7);
	ck_assert_uint_eq(page.flags, 1 | 8 | 16 | 32 | 64);
	/* 63 bits of period: 0.4 ns is below 2^-31 s. */
	ck_assert_uint_ge(page.counter_period_frac_sec, 1ull << 62);
	ck_assert_uint_eq(page.counter_period_shift, 30);
	ck_assert_int_eq(off(), 0);
}
END_TEST

START_TEST(test_status)
{
	ck_assert_uint_eq(page.clock_status, LODGE_VMCLOCK_INITIALIZING);
	ck_assert_uint_eq(clock_model_next_ms(&model), 100);
	run(NS_PER_S);
	ck_assert_uint_eq(page.clock_status, LODGE_VMCLOCK_SYNCHRONIZED);
	ck_assert_uint_ge(page.time_maxerror_nanosec, 1500000);
	ck_assert_uint_lt(page.time_maxerror_nanosec, 1600000);
	run(60 * NS_PER_S);
	ck_assert_uint_eq(clock_model_next_ms(&model), 8000);
	host.synchronized = false;
	run(8 * NS_PER_S);
	ck_assert_uint_eq(page.clock_status, LODGE_VMCLOCK_FREERUNNING);
	ck_assert_uint_eq(page.flags & LODGE_VMCLOCK_TIME_MAXERROR_VALID, 0);
	clock_model_fill(&model, OFFSET, false, &page);
	ck_assert_uint_eq(page.clock_status, LODGE_VMCLOCK_UNRELIABLE);
}
END_TEST

START_TEST(test_steady_rates)
{
	static const double rates[] = { 0, 0.01, -0.3, 20, -100, 500, -500 };

	ppm = rates[_i];
	/* What adjtimex tells of it, or does not. */
	for (int told = 0; told < 2; told++) {
		setup();
		ppm = rates[_i];
		host.rate = told ? ppm / 1e6 : 0;
		clock_model_init(&model, KHZ, 1);
		look();
		run(2 * NS_PER_S);
		ck_assert_int_lt(run(600 * NS_PER_S), 100);
		ck_assert_uint_eq(page.disruption_marker, 1);
	}
}
END_TEST

/* A rate that changes is seen at the next look; until then the page runs with the old one. */
START_TEST(test_rate_changes)
{
	run(60 * NS_PER_S);
	ppm = 500;
	ck_assert_int_le(run(8 * NS_PER_S), 8 * 500000 + 100);
	ck_assert_uint_le(clock_model_next_ms(&model), 2000);
	ck_assert_int_lt(run(60 * NS_PER_S), 100);
	ppm = -500;
	run(8 * NS_PER_S);
	ck_assert_int_lt(run(60 * NS_PER_S), 100);
	ck_assert_uint_eq(page.disruption_marker, 7);
}
END_TEST

/* NTP that slews an hour long, a little more each second, and smears a leap second. */
START_TEST(test_drift)
{
	run(10 * NS_PER_S);
	for (int i = 0; i < 600; i++) {
		ppm = i < 300 ? i * 0.04 : 12;
		run(NS_PER_S);
		ck_assert_int_lt(llabs(off()), 200);
	}
	ck_assert_uint_eq(page.clock_status, LODGE_VMCLOCK_SYNCHRONIZED);
}
END_TEST

/* A host whose NTP client sets another rate each time that it has asked its server. */
START_TEST(test_steered_host)
{
	static const int64_t every[] = { 16, 64, 256 };
	uint64_t seed = 3, n = 0, far = 0;
	int64_t next = 0, steer = 0;

	for (int64_t ms = 0; ms < 7200 * 1000; ms += 100) {
		if (ms >= steer) {
			seed = seed * 6364136223846793005ull + 1442695040888963407ull;
			ppm = 20 + (double)(seed >> 40) / (1 << 24) - 0.5;
			steer += every[_i] * 1000;
		}
		pass(100 * 1000000);
		n++;
		far += llabs(off()) > 1000;
		if (ms >= next) {
			look();
			next = ms + clock_model_next_ms(&model);
		}
	}
	ck_assert_uint_lt(far * 100, n);
	/* And nobody is woken for what was long ago. */
	run(3600 * NS_PER_S);
	ck_assert_uint_eq(clock_model_next_ms(&model), 8000);
}
END_TEST

START_TEST(test_steps)
{
	static const int64_t steps[] = { HOUR,	       -HOUR,  24 * HOUR, -24 * HOUR,
					 87600 * HOUR, 500000, -500000 };

	run(30 * NS_PER_S);
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		uint64_t seen = model.steps;

		host.realtime += steps[i];
		/* The timer is cancelled by it, so that a look follows at once. */
		look();
		ck_assert_int_eq(off(), 0);
		ck_assert_uint_eq(model.steps, seen + 1);
		ck_assert_uint_eq(page.disruption_marker, 7);
		ck_assert_int_lt(run(30 * NS_PER_S), 100);
		ck_assert_uint_eq(model.steps, seen + 1);
	}
}
END_TEST

START_TEST(test_leap_second)
{
	run(10 * NS_PER_S);
	host.leap = LODGE_VMCLOCK_LEAP_PRE_POS;
	look();
	ck_assert_uint_eq(page.leap_indicator, LODGE_VMCLOCK_LEAP_PRE_POS);
	host.realtime -= NS_PER_S;
	host.leap = LODGE_VMCLOCK_LEAP_POS;
	look();
	ck_assert_uint_eq(page.leap_indicator, LODGE_VMCLOCK_LEAP_POS);
	ck_assert_int_eq(off(), 0);
	host.leap = LODGE_VMCLOCK_LEAP_NONE;
	host.tai = 38;
	ck_assert_int_lt(run(10 * NS_PER_S), 100);
	ck_assert_uint_eq(page.tai_offset_sec, 38);
}
END_TEST

static void check_settles(uint64_t marker)
{
	ck_assert_uint_eq(page.disruption_marker, marker);
	ck_assert_uint_eq(page.clock_status, LODGE_VMCLOCK_INITIALIZING);
	ck_assert_int_eq(off(), 0);
	run(NS_PER_S);
	ck_assert_uint_eq(page.clock_status, LODGE_VMCLOCK_SYNCHRONIZED);
	ck_assert_int_lt(run(60 * NS_PER_S), 100);
	ck_assert_uint_eq(page.disruption_marker, marker);
}

START_TEST(test_disruptions)
{
	run(30 * NS_PER_S);
	/* The host slept for an hour: its counter may have gone on, or begun anew. */
	host.realtime += HOUR;
	host.asleep += HOUR;
	look();
	check_settles(8);
	host.realtime += HOUR;
	host.asleep += HOUR;
	host.tsc = 12345;
	look();
	check_settles(9);
	/* A pause of the VM by which nothing of the host's was disturbed. */
	pass(HOUR);
	clock_model_disrupt(&model);
	look();
	ck_assert_uint_eq(page.disruption_marker, 10);
	ck_assert_uint_eq(page.clock_status, LODGE_VMCLOCK_SYNCHRONIZED);
	ck_assert_int_eq(off(), 0);
	ck_assert_int_lt(run(60 * NS_PER_S), 100);
}
END_TEST

/* Looks that took long, at random places in their windows, as on a busy host. */
START_TEST(test_noise)
{
	uint64_t seed = 1;
	int64_t worst = 0;

	for (int i = 0; i < 600; i++) {
		struct host_clock noisy;

		pass(NS_PER_S);
		noisy = host;
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		noisy.window = 1000;
		noisy.tsc += (seed >> 33) % 1000 - 500;
		clock_model_advance(&model, &noisy);
		clock_model_fill(&model, OFFSET, true, &page);
		/* Nobody reads before the look is over. */
		pass(1000);
		if (i > 30 && llabs(off()) > worst)
			worst = llabs(off());
	}
	/* Half a window is 200 ns. */
	ck_assert_int_le(worst, 220);
	ck_assert_uint_eq(model.steps, 0);
	ck_assert_uint_eq(page.clock_status, LODGE_VMCLOCK_SYNCHRONIZED);
}
END_TEST

/* Nothing that a host could say makes numbers that are none. */
START_TEST(test_nonsense)
{
	static const uint32_t khz[] = { 0, 1, KHZ, UINT32_MAX };

	for (size_t i = 0; i < sizeof(khz) / sizeof(*khz); i++) {
		clock_model_init(&model, khz[i], 0);
		for (int n = 0; n < 1000; n++) {
			host = (struct host_clock){
				.tsc = (uint64_t)n * n * 977,
				.window = n % 3 ? 50 : UINT64_MAX / 2,
				.realtime = n % 7 ? n * HOUR : -n * HOUR,
				.monotonic = n % 5 * NS_PER_S,
				.asleep = n % 11,
				.tai = n - 500,
			};
			look();
			ck_assert_uint_le(page.clock_status, LODGE_VMCLOCK_UNRELIABLE);
			ck_assert_uint_lt(page.counter_period_shift, 64);
			ck_assert_uint_gt(page.counter_period_frac_sec, 0);
			(void)page_time(&page, host.tsc);
		}
	}
}
END_TEST

static struct lodge_line line_of_page(void)
{
	return (struct lodge_line){ .counter = page.counter_value,
				    .period = page.counter_period_frac_sec,
				    .seconds = page.time_sec,
				    .fraction = page.time_frac_sec,
				    .shift = page.counter_period_shift,
				    .status = page.clock_status };
}

/* What guests make of it, by the module's arithmetic. */
START_TEST(test_guests_reading)
{
	static const int64_t later[] = { 0, 1, 1000, NS_PER_S, HOUR, 1000 * HOUR };
	struct lodge_line line = line_of_page();
	__s64 ns;

	ck_assert_int_eq(lodge_line_check(&line), -EAGAIN);
	run(NS_PER_S);
	for (size_t i = 0; i < sizeof(later) / sizeof(*later); i++) {
		uint64_t counts = (uint64_t)((double)later[i] * KHZ / 1e6);

		line = line_of_page();
		ck_assert_int_eq(lodge_line_check(&line), 0);
		ck_assert_int_eq(lodge_line_time(&line, line.counter + counts, &ns), 0);
		ck_assert_int_eq(ns, page_time(&page, line.counter + counts));
	}
	/* Another processor's counter that is a little behind. */
	ck_assert_int_eq(lodge_line_time(&line, line.counter - 2500, &ns), 0);
	ck_assert_int_le(llabs(ns - (host.realtime - 1000)), 1);
	ck_assert_int_eq(lodge_line_time(&line, line.counter - (1ull << 40), &ns), -ERANGE);
	clock_model_fill(&model, OFFSET, false, &page);
	line = line_of_page();
	ck_assert_int_eq(lodge_line_check(&line), -ENODATA);
}
END_TEST

static struct lodge_vmclock shared;

static void *write_pages(void *opaque)
{
	for (uint64_t n = 1; n <= 200000; n++) {
		struct lodge_vmclock next = { .magic = LODGE_VMCLOCK_MAGIC,
					      .disruption_marker = n,
					      .counter_value = n,
					      .time_sec = n,
					      .time_maxerror_nanosec = n };

		clock_page_publish(&shared, &next);
	}
	return opaque;
}

START_TEST(test_readers)
{
	const volatile struct lodge_vmclock *at = &shared;
	struct lodge_vmclock copy;
	uint64_t last = 0;
	pthread_t writer;

	memset(&shared, 0, sizeof(shared));
	ck_assert_int_eq(pthread_create(&writer, NULL, write_pages, NULL), 0);
	while (last < 200000) {
		uint32_t seq = __atomic_load_n(&at->seq_count, __ATOMIC_ACQUIRE);

		memcpy(&copy, &shared, sizeof(copy));
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (seq & 1 || __atomic_load_n(&at->seq_count, __ATOMIC_RELAXED) != seq)
			continue;
		ck_assert_uint_eq(copy.counter_value, copy.disruption_marker);
		ck_assert_uint_eq(copy.time_sec, copy.disruption_marker);
		ck_assert_uint_eq(copy.time_maxerror_nanosec, copy.disruption_marker);
		ck_assert_uint_ge(copy.disruption_marker, last);
		last = copy.disruption_marker;
	}
	pthread_join(writer, NULL);
	ck_assert_uint_eq(shared.seq_count, 400000);
}
END_TEST

/* 2017 and 2030 by the list, whose seconds are those of NTP. */
#define LIST                                                         \
	"#$ 3960835200\n#@ 4133980800\n2272060800 10 # 1 Jan 1972\n" \
	"3692217600 37 # 1 Jan 2017\n4102444800 38 # 1 Jan 2030\nrubbish\n12 x\n"
#define SECONDS_2017 1483228800
#define SECONDS_2030 1893456000

START_TEST(test_leap_list)
{
	static const struct {
		const char *text;
		int64_t now;
		int ret;
		int32_t tai;
		int64_t until;
	} rows[] = {
		{ LIST, SECONDS_2017, 0, 37, SECONDS_2030 },
		{ LIST, SECONDS_2030 - 1, 0, 37, SECONDS_2030 },
		{ LIST, SECONDS_2030, 0, 38, 4133980800 - 2208988800 },
		{ LIST, SECONDS_2017 - 1, 0, 10, SECONDS_2017 },
		{ LIST, 4133980800 - 2208988800, -ENODATA, 0, 0 },
		{ LIST, 0, -ENODATA, 0, 0 },
		{ "3692217600 37\n", SECONDS_2017, -ENODATA, 0, 0 },
		{ "#@ 9223372036854775807\n3692217600 -37\n-1 99999\n", SECONDS_2017, -ENODATA, 0,
		  0 },
		{ "", SECONDS_2017, -ENODATA, 0, 0 },
	};
	char path[] = "/tmp/leap.XXXXXX";
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct leap_list list = { 0 };
		size_t len = strlen(rows[i].text);

		ck_assert_int_eq(ftruncate(fd, 0), 0);
		ck_assert_int_eq(pwrite(fd, rows[i].text, len, 0), (ssize_t)len);
		ck_assert_int_eq(leap_list_read(path, rows[i].now, &list), rows[i].ret);
		ck_assert_int_eq(list.tai, rows[i].tai);
		ck_assert_int_eq(list.until, rows[i].until);
	}
	close(fd);
	unlink(path);
	ck_assert_int_eq(leap_list_read(path, 0, &(struct leap_list){ 0 }), -ENOENT);
}
END_TEST

/* This machine's own clock, as far as it can be known here. */
START_TEST(test_host)
{
	struct host_clock first, second;

	ck_assert_int_eq(host_clock_read(8, &first), 0);
	ck_assert_int_eq(host_clock_read(8, &second), 0);
	ck_assert_uint_ge(second.tsc, first.tsc);
	ck_assert_int_ge(second.monotonic, first.monotonic);
	ck_assert_int_gt(first.realtime, 1700000000 * NS_PER_S);
	ck_assert_int_lt(llabs((int64_t)(first.rate * 1e6)), 110000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("clock_model");
	TCase *cases = tcase_create("clock_model");

	tcase_add_checked_fixture(cases, setup, NULL);
	tcase_add_test(cases, test_constants);
	tcase_add_test(cases, test_status);
	tcase_add_loop_test(cases, test_steady_rates, 0, 7);
	tcase_add_test(cases, test_rate_changes);
	tcase_add_test(cases, test_drift);
	tcase_add_loop_test(cases, test_steered_host, 0, 3);
	tcase_add_test(cases, test_steps);
	tcase_add_test(cases, test_leap_second);
	tcase_add_test(cases, test_disruptions);
	tcase_add_test(cases, test_noise);
	tcase_add_test(cases, test_nonsense);
	tcase_add_test(cases, test_guests_reading);
	tcase_add_test(cases, test_readers);
	tcase_add_test(cases, test_leap_list);
	tcase_add_test(cases, test_host);
	tcase_set_timeout(cases, 120);
	suite_add_tcase(suite, cases);
	return unit_run(suite);
}
