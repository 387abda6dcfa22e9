// SPDX-License-Identifier: GPL-2.0-or-later
// lodged's plug-in memory against stalls that the test makes.
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest-daemon/lodged/stalls.h"
#include "tests/unit/lodged_rig.h"
#include "tests/unit/unit.h"

static struct rig rig;
static struct stall_watch *watch;
/* An urgent byte is the trigger: POLLPRI until it is read. */
static int trigger[2];
static uint64_t total_us, step_us;
static int error;
static unsigned int readings;

static int open_ours(void)
{
	return dup(trigger[0]);
}

static int open_none(void)
{
	return -1;
}

static int read_ours(int fd, uint64_t *ret_us)
{
	char byte;

	(void)recv(fd, &byte, 1, MSG_OOB | MSG_DONTWAIT);
	readings++;
	if (error)
		return error;
	total_us += step_us;
	*ret_us = total_us;
	return 0;
}

static const struct stalls ours = { open_ours, read_ours };
static const struct stalls none = { open_none, read_ours };

static void setup(void)
{
	total_us = step_us = readings = 0;
	error = 0;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, trigger), 0);
	rig_up(&rig, NULL);
}

static void teardown(void)
{
	stall_watch_stop(watch);
	rig_stop(&rig);
	close(trigger[0]);
	close(trigger[1]);
}

static bool pull(void)
{
	return send(trigger[1], "!", 1, MSG_OOB) == 1;
}

static bool has_read(struct rig *unused, void *opaque)
{
	(void)unused;
	return readings >= *(unsigned int *)opaque;
}

static void expect(unsigned int permille)
{
	char text[64];

	snprintf(text, sizeof(text), "lodge.memory permille=%u", permille);
	ck_assert_str_eq(rig_request(&rig, text), text);
}

/* Kernels before 5.15 have no urgent bytes on such sockets. */
#define NEEDS_TRIGGER()                                                     \
	do {                                                                \
		if (!pull()) {                                              \
			fprintf(stderr, "lodged_memory: no way to test\n"); \
			return;                                             \
		}                                                           \
	} while (0)

/* At once what the trigger means, then what is measured, until it is over; and from the beginning.
 */
START_TEST(a_stall_is_told)
{
	watch = stall_watch_start(&rig.lodged, &ours);
	NEEDS_TRIGGER();
	/* More than can be: all of the time. */
	step_us = UINT64_C(1) << 40;
	expect(100);
	expect(1000);
	step_us = 0;
	expect(0);
	ck_assert(pull());
	expect(100);
	expect(0);
}
END_TEST

/* A file that cannot be read any more, and a sum that goes back. */
START_TEST(nonsense_is_no_stall)
{
	watch = stall_watch_start(&rig.lodged, &ours);
	NEEDS_TRIGGER();
	error = -EBADMSG;
	expect(100);
	expect(0);
	error = 0;
	total_us = 1000000;
	ck_assert(pull());
	expect(100);
	total_us = 0;
	expect(0);
}
END_TEST

/* The trigger in one stall after the other does not make it tell more often, and nobody is told
 * while there is no host. */
START_TEST(told_once_a_second)
{
	unsigned int few = 3;

	watch = stall_watch_start(&rig.lodged, &ours);
	NEEDS_TRIGGER();
	step_us = UINT64_C(1) << 40;
	expect(100);
	readings = 0;
	shutdown(rig.host, SHUT_RDWR);
	rig_until(&rig, has_read, &few);
	rig_accept(&rig);
	rig_greet(&rig);
	expect(1000);
}
END_TEST

START_TEST(without_triggers)
{
	watch = stall_watch_start(&rig.lodged, &none);
	(void)pull();
	rig_command(&rig, "Capabilities_Register", 21);
	ck_assert_uint_eq(readings, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lodged_memory");
	TCase *tcase = tcase_create("memory");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, a_stall_is_told);
	tcase_add_test(tcase, nonsense_is_no_stall);
	tcase_add_test(tcase, told_once_a_second);
	tcase_add_test(tcase, without_triggers);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
