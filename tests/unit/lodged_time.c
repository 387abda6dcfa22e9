// SPDX-License-Identifier: GPL-2.0-or-later
// lodged's plug-in for the clock against a host that tells its time, and what it finds in a system.
#include <check.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <lodge/vmclock.h>

#include "guest-daemon/lodged/timekeeping.h"
#include "tests/unit/lodged_rig.h"
#include "tests/unit/unit.h"

#define HOUR 3600

static struct rig rig;

/* This machine may have a clock of its host's, by which lodged would not ask. */
static bool has_ptp(void)
{
	struct timekeeping_source source;
	bool found = !timekeeping_open(&source);

	if (found)
		timekeeping_close(&source);
	return found;
}

static void setup(void)
{
	*rig_clock() = (struct rig_clock){ .on = true };
	rig_up(&rig, NULL);
}

static void teardown(void)
{
	rig_stop(&rig);
	rig_clock()->on = false;
}

static void reply(uint32_t tag, const char *text, size_t len)
{
	rig_send(&rig, LODGE_RPC_REPLY, 0, tag, text, len);
}

/* Waits for the question; all else is answered. */
static uint32_t question(void)
{
	for (;;) {
		struct rig_frame got = rig_next(&rig, true);
		uint32_t tag = got.frame.tag;
		bool found = got.frame.type == LODGE_RPC_REQUEST &&
			     !strcmp((char *)got.payload, "lodge.clock");

		if (got.frame.type == LODGE_RPC_REQUEST && !found)
			reply(tag, "1 ", 2);
		g_free(got.payload);
		if (found)
			return tag;
	}
}

/* The host is @ahead seconds ahead of this machine. */
static void answer(uint32_t tag, int64_t ahead)
{
	struct timespec now;
	char text[128];
	int len;

	clock_gettime(CLOCK_REALTIME, &now);
	len = snprintf(text, sizeof(text), "1 seconds=%" PRId64 "%cnanoseconds=%ld%c",
		       now.tv_sec + ahead, '\0', now.tv_nsec, '\0');
	reply(tag, text, (size_t)len);
}

static bool has_stepped(struct rig *unused, void *opaque)
{
	(void)unused;
	return rig_clock()->steps == *(unsigned int *)opaque;
}

static bool has_slewed(struct rig *unused, void *opaque)
{
	(void)unused;
	(void)opaque;
	return rig_clock()->slews > 0;
}

static void expect_step(unsigned int n, int64_t seconds)
{
	rig_until(&rig, has_stepped, &n);
	ck_assert_int_gt(rig_clock()->by, (seconds - 1) * 1000000000);
	ck_assert_int_lt(rig_clock()->by, (seconds + 1) * 1000000000);
}

START_TEST(the_clock_is_set_where_time_has_moved)
{
	if (has_ptp())
		return;
	rig_command(&rig, "reset", 5);
	answer(question(), HOUR);
	expect_step(1, HOUR);
	rig_command(&rig, "Time_Synchronize 1", 18);
	answer(question(), -2 * HOUR);
	expect_step(2, -2 * HOUR);
	rig_command(&rig, "Time_Synchronize 0", 18);
	answer(question(), 0);
	if (!timekeeping_owner("/proc", "/run"))
		rig_until(&rig, has_slewed, NULL);
	ck_assert_uint_eq(rig_clock()->steps, 2);
}
END_TEST

/* An answer to a question that a new one took the place of, and answers that are none. */
START_TEST(nonsense_sets_nothing)
{
	static const char *const said[] = {
		"0 no",		"1 ", "1 seconds=1", "1 x", "1 seconds=99999999999999999999",
		"1 seconds=-1",
	};
	uint32_t first, second;

	if (has_ptp())
		return;
	for (size_t i = 0; i < G_N_ELEMENTS(said); i++) {
		rig_command(&rig, "Time_Synchronize 1", 18);
		reply(question(), said[i], strlen(said[i]) + 1);
	}
	rig_command(&rig, "Time_Synchronize 1", 18);
	first = question();
	rig_command(&rig, "Time_Synchronize 1", 18);
	second = question();
	answer(first, 5 * HOUR);
	answer(second, HOUR);
	expect_step(1, HOUR);
}
END_TEST

START_TEST(turned_off_it_sets_nothing)
{
	uint32_t command;

	if (has_ptp())
		return;
	*rig_clock() = (struct rig_clock){ .on = true };
	rig_up(&rig, "[time]\nsync=no\n");
	command = rig_command(&rig, "Time_Synchronize 1", 18);
	answer(question(), HOUR);
	g_free(rig_result(&rig, command));
	g_free(rig_ask(&rig, "ping"));
	ck_assert_uint_eq(rig_clock()->steps + rig_clock()->slews, 0);
	teardown();
}
END_TEST

static void answer_zone(uint32_t tag, const char *zone)
{
	g_autoptr(GString) text = g_string_new("1 seconds=1");

	g_string_append_c(text, '\0');
	g_string_append_printf(text, "nanoseconds=1%czone=%s", '\0', zone);
	g_string_append_c(text, '\0');
	reply(tag, text->str, text->len);
}

static bool has_zone(struct rig *unused, void *opaque)
{
	(void)unused;
	return !strcmp(rig_clock()->zone, opaque);
}

/* By option, and nothing that leads out of the database. */
START_TEST(the_hosts_time_zone)
{
	static const char *const none[] = { "",
					    "../../../etc/passwd",
					    "/etc/passwd",
					    "Europe/",
					    "Europe//Berlin",
					    "a b",
					    "Etc/..",
					    "x\n" };

	*rig_clock() = (struct rig_clock){ .on = true };
	rig_up(&rig, "[time]\nsync=no\nzone=host\n");
	for (size_t i = 0; i < G_N_ELEMENTS(none); i++) {
		rig_command(&rig, "reset", 5);
		answer_zone(question(), none[i]);
	}
	rig_command(&rig, "reset", 5);
	answer_zone(question(), "America/Argentina/Buenos_Aires");
	rig_until(&rig, has_zone, (void *)"America/Argentina/Buenos_Aires");
	ck_assert_uint_eq(rig_clock()->steps, 0);
	teardown();
	ck_assert(timekeeping_is_zone("Etc/GMT+12"));
	for (size_t i = 0; i < G_N_ELEMENTS(none); i++)
		ck_assert(!timekeeping_is_zone(none[i]));
}
END_TEST

static void make(const char *folder, const char *path, const char *text)
{
	g_autofree char *file = g_build_filename(folder, path, NULL);
	g_autofree char *parent = g_path_get_dirname(file);

	ck_assert_int_eq(g_mkdir_with_parents(parent, 0755), 0);
	ck_assert(g_file_set_contents(file, text, -1, NULL));
}

START_TEST(owners_are_found)
{
	g_autofree char *proc = g_dir_make_tmp("proc-XXXXXX", NULL);
	g_autofree char *run = g_dir_make_tmp("run-XXXXXX", NULL);

	ck_assert_ptr_null(timekeeping_owner("/nonexistent", run));
	ck_assert_ptr_null(timekeeping_owner(proc, run));
	make(proc, "1/comm", "init\n");
	make(proc, "self/comm", "chronyd\n");
	make(proc, "2/other", "chronyd\n");
	make(proc, "4/comm", "");
	ck_assert_ptr_null(timekeeping_owner(proc, run));
	make(proc, "77/comm", "systemd-timesyn\n");
	ck_assert_ptr_null(timekeeping_owner(proc, run));
	make(run, "systemd/timesync/synchronized", "");
	ck_assert_str_eq(timekeeping_owner(proc, run), "systemd-timesyncd");
	make(proc, "77/comm", "chronyd\n");
	ck_assert_str_eq(timekeeping_owner(proc, run), "chrony");
	make(proc, "77/comm", "ntpd\n");
	ck_assert_str_eq(timekeeping_owner(proc, run), "ntpd");
	make(proc, "77/comm", "phc2sys\n");
	ck_assert_str_eq(timekeeping_owner(proc, run), "phc2sys");
	rig_remove(proc);
	rig_remove(run);
}
END_TEST

/* Which tells UTC or TAI by the kernel's own driver is found by the page that it is made from. */
START_TEST(the_page_tells_utc)
{
	struct lodge_vmclock page = { .magic = htole32(LODGE_VMCLOCK_MAGIC),
				      .counter_id = LODGE_VMCLOCK_COUNTER_TSC,
				      .clock_status = LODGE_VMCLOCK_SYNCHRONIZED,
				      .counter_value = htole64(1000000),
				      .counter_period_shift = 29, /* 2.5 GHz: 4e-10 s */
				      .counter_period_frac_sec = htole64(3961408125713216880ull),
				      .time_sec = htole64(1795000000),
				      .time_frac_sec = htole64(1ull << 63) };
	int fd = memfd_create("page", MFD_CLOEXEC);
	double seconds;

	ck_assert_int_eq(timekeeping_page_time(fd, 0, &seconds), -ENODATA);
	ck_assert_int_eq(pwrite(fd, &page, sizeof(page), 0), sizeof(page));
	ck_assert_int_eq(timekeeping_page_time(fd, 1000000 + 25000000000ull, &seconds), 0);
	ck_assert_double_eq_tol(seconds, 1795000010.5, 0.001);
	ck_assert_int_eq(timekeeping_page_time(fd, 0, &seconds), 0);
	ck_assert_double_eq_tol(seconds, 1795000000.4996, 0.001);
	page.clock_status = LODGE_VMCLOCK_UNRELIABLE;
	ck_assert_int_eq(pwrite(fd, &page, sizeof(page), 0), sizeof(page));
	ck_assert_int_eq(timekeeping_page_time(fd, 0, &seconds), -ENODATA);
	close(fd);
}
END_TEST

static void nothing(void *opaque)
{
	(void)opaque;
}

static unsigned int count(const char *text, const char *what)
{
	unsigned int n = 0;

	while ((text = strstr(text, what))) {
		text += strlen(what);
		n++;
	}
	return n;
}

/* lodged asks for its keys again and again; what makes no sense is said once, with file, key and
 * value. */
START_TEST(values_that_are_none_are_complained_of_once)
{
	g_autofree char *folder = g_dir_make_tmp("conf-XXXXXX", NULL);
	g_autofree char *path = g_build_filename(folder, "tools.conf", NULL);
	g_autofree char *log = g_build_filename(folder, "log", NULL), *said = NULL;
	int fd = open(log, O_RDWR | O_CREAT | O_CLOEXEC, 0600), saved = dup(STDERR_FILENO);
	struct conf *conf;

	make(folder, "tools.conf", "[time]\nsync=perhaps\n[powerops]\nscript-timeout=soon\n");
	ck_assert_int_eq(conf_start(path, nothing, NULL, &conf), 0);
	ck_assert_int_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	for (int i = 0; i < 5; i++) {
		ck_assert(conf_bool(conf, "time", "sync", true));
		ck_assert(!conf_bool(conf, "time", "sync", false));
		ck_assert(conf_bool(conf, "time", "other", true));
		ck_assert_int_eq(conf_int(conf, "powerops", "script-timeout", 60), 60);
		ck_assert_int_eq(conf_int(conf, "powerops", "other", 7), 7);
	}
	ck_assert_int_eq(dup2(saved, STDERR_FILENO), STDERR_FILENO);
	ck_assert(g_file_get_contents(log, &said, NULL, NULL));
	ck_assert_uint_eq(count(said, path), 2);
	ck_assert_uint_eq(count(said, "time.sync is yes or no, not 'perhaps'"), 1);
	ck_assert_uint_eq(count(said, "powerops.script-timeout is a number, not 'soon'"), 1);
	conf_stop(conf);
	close(saved);
	close(fd);
	rig_remove(folder);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lodged_time");
	TCase *host = tcase_create("host");
	TCase *system = tcase_create("system");

	tcase_set_timeout(host, 60);
	tcase_add_checked_fixture(host, setup, teardown);
	tcase_add_test(host, the_clock_is_set_where_time_has_moved);
	tcase_add_test(host, nonsense_sets_nothing);
	tcase_add_test(system, turned_off_it_sets_nothing);
	tcase_add_test(system, the_hosts_time_zone);
	tcase_add_test(system, the_page_tells_utc);
	tcase_add_test(system, owners_are_found);
	tcase_add_test(system, values_that_are_none_are_complained_of_once);
	suite_add_tcase(suite, host);
	suite_add_tcase(suite, system);
	return unit_run(suite);
}
