// SPDX-License-Identifier: GPL-2.0-or-later
// The legacy devices as a guest sees them: serial port, clock, keyboard controller, power
// management.
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host-vmm/boot/acpi.h"
#include "host-vmm/bus.h"
#include "host-vmm/devices/legacy.h"
#include "host-vmm/devices/pm.h"
#include "host-vmm/layout.h"
#include "host-vmm/state.h"
#include "protocol/lib/log.h"
#include "tests/unit/vmm_rig.h"
#include "tests/unit/unit.h"

#define COM1  LAYOUT_PORT_SERIAL
#define KBD   LAYOUT_PORT_I8042
#define KBDC  (LAYOUT_PORT_I8042 + 4)
#define PM(o) (LAYOUT_PORT_PM + (o))

static struct vmm_rig rig;
static struct device *device;
static int to_guest[2], from_guest[2];

static void setup_serial(void)
{
	char backend[32];

	ck_assert_int_eq(pipe2(to_guest, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(from_guest, O_CLOEXEC), 0);
	snprintf(backend, sizeof(backend), "fd:%d,%d", to_guest[0], from_guest[1]);
	vmm_rig_create(&rig, backend);
	device = vmm_rig_add(&rig, &serial_type);
}

static void setup_rtc(void)
{
	vmm_rig_create(&rig, "none");
	device = vmm_rig_add(&rig, &rtc_type);
}

static void setup_i8042(void)
{
	vmm_rig_create(&rig, "none");
	device = vmm_rig_add(&rig, &i8042_type);
}

static void setup_pm(void)
{
	vmm_rig_create(&rig, "none");
	device = vmm_rig_add(&rig, &pm_type);
}

static void teardown(void)
{
	vmm_rig_remove(device);
	vmm_rig_destroy(&rig);
}

static uint8_t in(unsigned int port)
{
	return vmm_rig_in(&rig, port);
}

static void out(unsigned int port, uint8_t value)
{
	vmm_rig_out(&rig, port, value);
}

static uint16_t in16(unsigned int port)
{
	return bus_read(rig.machine.ports, port, 2);
}

static void out16(unsigned int port, uint16_t value)
{
	bus_write(rig.machine.ports, port, value, 2);
}

START_TEST(serial_prints)
{
	char text[6] = "";
	ssize_t n = 0;

	for (const char *c = "hello"; *c; c++) {
		ck_assert(in(COM1 + 5) & 0x20);
		out(COM1, *c);
	}
	while (n < 5)
		n += read(from_guest[0], text + n, 5 - n);
	ck_assert_str_eq(text, "hello");
}
END_TEST

START_TEST(serial_receives_with_interrupts)
{
	out(COM1 + 4, 0x0b); /* DTR, RTS, OUT2 */
	out(COM1 + 2, 0x01); /* FIFO on */
	out(COM1 + 1, 0x01); /* receive interrupt */
	ck_assert(!vmm_rig_line(&rig, 4));
	ck_assert_int_eq(write(to_guest[1], "0123456789abcdefghij", 20), 20);
	for (const char *c = "0123456789abcdefghij"; *c; c++) {
		ck_assert(vmm_rig_wait_line(&rig, 4));
		ck_assert_uint_eq(in(COM1 + 2) & 0x0f, 0x0c);
		ck_assert(in(COM1 + 5) & 0x01);
		ck_assert_int_eq(in(COM1), *c);
	}
	ck_assert(!vmm_rig_line(&rig, 4));
	ck_assert_uint_eq(in(COM1 + 2), 0xc1);
}
END_TEST

START_TEST(serial_transmit_interrupt)
{
	out(COM1 + 4, 0x08);
	out(COM1 + 1, 0x02);
	ck_assert(vmm_rig_line(&rig, 4));
	ck_assert_uint_eq(in(COM1 + 2) & 0x0f, 0x02);
	/* Reading it takes it away, until the next byte has gone. */
	ck_assert(!vmm_rig_line(&rig, 4));
	out(COM1, 'x');
	ck_assert(vmm_rig_line(&rig, 4));
}
END_TEST

START_TEST(serial_loops_back)
{
	out(COM1 + 4, 0x1f);
	ck_assert_uint_eq(in(COM1 + 6), 0xf0);
	out(COM1, 0x5a);
	ck_assert(in(COM1 + 5) & 0x01);
	ck_assert_uint_eq(in(COM1), 0x5a);
	out(COM1 + 4, 0x1a);
	ck_assert_uint_eq(in(COM1 + 6), 0x90);
}
END_TEST

START_TEST(serial_registers)
{
	out(COM1 + 7, 0xa5);
	ck_assert_uint_eq(in(COM1 + 7), 0xa5);
	out(COM1 + 3, 0x83);
	out(COM1, 0x01);
	out(COM1 + 1, 0x02);
	ck_assert_uint_eq(in(COM1), 0x01);
	ck_assert_uint_eq(in(COM1 + 1), 0x02);
	out(COM1 + 3, 0x03);
	ck_assert_uint_eq(in(COM1 + 1), 0x00);
	/* The 8250's drivers tell chips apart by these. */
	out(COM1 + 1, 0xff);
	ck_assert_uint_eq(in(COM1 + 1), 0x0f);
}
END_TEST

START_TEST(t34_serial_without_a_reader_is_bounded)
{
	unsigned int busy = 0;

	/* Nobody empties the pipe: after its 64 KiB and the ring's, the transmitter is busy. */
	for (unsigned int i = 0; i < 200000; i++) {
		if (!(in(COM1 + 5) & 0x20)) {
			busy++;
			break;
		}
		out(COM1, 'x');
	}
	ck_assert_uint_eq(busy, 1);
	/* And once somebody does, it is ready again. */
	for (unsigned int i = 0; i < 5000 && !(in(COM1 + 5) & 0x20); i++) {
		static char sink[65536];

		ck_assert_int_gt(read(from_guest[0], sink, sizeof(sink)), 0);
	}
	ck_assert(in(COM1 + 5) & 0x20);
	close(from_guest[0]);
}
END_TEST

START_TEST(serial_is_saved)
{
	out(COM1 + 3, 0x83);
	out(COM1, 0x34);
	out(COM1 + 3, 0x03);
	out(COM1 + 4, 0x1b);
	out(COM1, 'q');
	ck_assert_int_eq(vmm_rig_save_and_load(device), 0);
	ck_assert_uint_eq(in(COM1), 'q');
	out(COM1 + 3, 0x83);
	ck_assert_uint_eq(in(COM1), 0x34);
}
END_TEST

static uint8_t cmos(uint8_t index)
{
	out(0x70, index);
	return in(0x71);
}

static void set_cmos(uint8_t index, uint8_t value)
{
	out(0x70, index);
	out(0x71, value);
}

static unsigned int bcd(uint8_t value)
{
	return (value >> 4) * 10 + (value & 15);
}

static time_t guest_time(void)
{
	struct tm tm = {
		.tm_sec = bcd(cmos(0)),
		.tm_min = bcd(cmos(2)),
		.tm_hour = bcd(cmos(4)),
		.tm_mday = bcd(cmos(7)),
		.tm_mon = bcd(cmos(8)) - 1,
		.tm_year = bcd(cmos(0x32)) * 100 + bcd(cmos(9)) - 1900,
	};

	return timegm(&tm);
}

START_TEST(rtc_tells_the_hosts_time)
{
	time_t before = time(NULL), seen = guest_time();

	/* The registers are read one by one: a minute may end in between. */
	ck_assert_int_ge(seen, before - 60);
	ck_assert_int_le(seen, time(NULL) + 60);
	ck_assert_uint_eq(cmos(0x0d), 0x80);
	ck_assert_uint_eq(cmos(0x0b), 0x02);
}
END_TEST

START_TEST(rtc_can_be_set)
{
	/* 2038-01-19 03:14:07, in BCD, while the clock is held. */
	set_cmos(0x0b, 0x82);
	set_cmos(0x00, 0x07);
	set_cmos(0x02, 0x14);
	set_cmos(0x04, 0x03);
	set_cmos(0x07, 0x19);
	set_cmos(0x08, 0x01);
	set_cmos(0x09, 0x38);
	set_cmos(0x32, 0x20);
	set_cmos(0x0b, 0x02);
	ck_assert_int_ge(guest_time(), 0x7fffffff);
	ck_assert_int_le(guest_time(), 0x7fffffffll + 60);
	ck_assert_int_eq(vmm_rig_save_and_load(device), 0);
	ck_assert_int_ge(guest_time(), 0x7fffffff);
}
END_TEST

START_TEST(rtc_shows_twelve_hours_and_binary)
{
	set_cmos(0x0b, 0x84); /* held, binary, 12 hours */
	set_cmos(0x04, 0x80 | 11); /* 11 in the evening */
	set_cmos(0x02, 30);
	set_cmos(0x00, 0);
	set_cmos(0x0b, 0x04);
	ck_assert_uint_eq(cmos(0x04), 0x80 | 11);
	set_cmos(0x0b, 0x06);
	ck_assert_uint_eq(cmos(0x04), 23);
	set_cmos(0x0b, 0x02);
	ck_assert_uint_eq(cmos(0x04), 0x23);
}
END_TEST

START_TEST(rtc_update_interrupt)
{
	set_cmos(0x0b, 0x12);
	ck_assert(vmm_rig_wait_line(&rig, 8));
	ck_assert_uint_eq(cmos(0x0c) & 0x90, 0x90);
	ck_assert(!vmm_rig_line(&rig, 8));
	ck_assert_uint_eq(cmos(0x0c) & 0x80, 0);
}
END_TEST

START_TEST(rtc_alarm_interrupt)
{
	set_cmos(0x01, 0xff);
	set_cmos(0x03, 0xff);
	set_cmos(0x05, 0xff);
	set_cmos(0x0b, 0x22);
	ck_assert(vmm_rig_wait_line(&rig, 8));
	ck_assert_uint_eq(cmos(0x0c) & 0xa0, 0xa0);
}
END_TEST

START_TEST(rtc_periodic_interrupt)
{
	set_cmos(0x0a, 0x26);
	set_cmos(0x0b, 0x42);
	for (int i = 0; i < 10; i++) {
		ck_assert(vmm_rig_wait_line(&rig, 8));
		ck_assert_uint_eq(cmos(0x0c) & 0xc0, 0xc0);
	}
}
END_TEST

START_TEST(rtc_memory_survives_a_reset)
{
	set_cmos(0x40, 0x77);
	device->type->reset(device);
	ck_assert_uint_eq(cmos(0x40), 0x77);
}
END_TEST

START_TEST(i8042_answers_linux)
{
	/* The order of drivers/input/serio/i8042.c, in short. */
	out(KBDC, 0x20);
	ck_assert_uint_eq(in(KBDC)&0x01, 1);
	ck_assert_uint_eq(in(KBD)&0x40, 0x40);
	out(KBDC, 0xd3);
	out(KBD, 0x5a);
	ck_assert_uint_eq(in(KBDC)&0x21, 0x21);
	ck_assert_uint_eq(in(KBD), 0x5a);
	out(KBDC, 0xa9);
	ck_assert_uint_eq(in(KBD), 0x00);
	out(KBDC, 0xaa);
	ck_assert_uint_eq(in(KBD), 0x55);
	ck_assert_uint_eq(in(KBDC)&0x01, 0);
}
END_TEST

START_TEST(i8042_keyboard)
{
	out(KBDC, 0x60);
	out(KBD, 0x45); /* interrupt, system flag, translation */
	out(KBD, 0xf2);
	ck_assert(vmm_rig_line(&rig, 1));
	ck_assert_uint_eq(in(KBD), 0xfa);
	ck_assert_uint_eq(in(KBD), 0xab);
	ck_assert_uint_eq(in(KBD), 0x41);
	ck_assert(!vmm_rig_line(&rig, 1));
	ck_assert_uint_eq(rig.irq.edges[1], 3);
	out(KBD, 0xff);
	ck_assert_uint_eq(in(KBD), 0xfa);
	ck_assert_uint_eq(in(KBD), 0xaa);
	out(KBD, 0xed);
	ck_assert_uint_eq(in(KBD), 0xfa);
	out(KBD, 0x07);
	ck_assert_uint_eq(in(KBD), 0xfa);
	out(KBD, 0xf0);
	ck_assert_uint_eq(in(KBD), 0xfa);
	out(KBD, 0x00);
	ck_assert_uint_eq(in(KBD), 0xfa);
	ck_assert_uint_eq(in(KBD), 0x41); /* 2, translated */
}
END_TEST

static uint8_t to_mouse(uint8_t byte)
{
	out(KBDC, 0xd4);
	out(KBD, byte);
	ck_assert_uint_eq(in(KBDC)&0x21, 0x21);
	return in(KBD);
}

START_TEST(i8042_mouse)
{
	const uint8_t wheel[] = { 200, 100, 80 };

	out(KBDC, 0xa8);
	ck_assert_uint_eq(to_mouse(0xff), 0xfa);
	ck_assert_uint_eq(in(KBD), 0xaa);
	ck_assert_uint_eq(in(KBD), 0x00);
	for (size_t i = 0; i < sizeof(wheel); i++) {
		ck_assert_uint_eq(to_mouse(0xf3), 0xfa);
		ck_assert_uint_eq(to_mouse(wheel[i]), 0xfa);
	}
	ck_assert_uint_eq(to_mouse(0xf2), 0xfa);
	ck_assert_uint_eq(in(KBD), 3);
	ck_assert_uint_eq(to_mouse(0xe9), 0xfa);
	ck_assert_int_eq(vmm_rig_save_and_load(device), 0);
	ck_assert_uint_eq(in(KBD), 0);
	ck_assert_uint_eq(in(KBD), 2);
	ck_assert_uint_eq(in(KBD), 80);
}
END_TEST

START_TEST(i8042_resets_the_machine)
{
	out(KBDC, 0xff);
	ck_assert_int_eq(rig.machine.event, MACHINE_NONE);
	out(KBDC, 0xfe);
	ck_assert_int_eq(rig.machine.event, MACHINE_RESET);
	rig.machine.event = MACHINE_NONE;
	out(KBDC, 0xd1);
	out(KBD, 0x02);
	ck_assert_int_eq(rig.machine.event, MACHINE_RESET);
}
END_TEST

START_TEST(pm_power_button)
{
	ck_assert_uint_eq(in16(PM(PM_CONTROL)) & 1, 1);
	out16(PM(PM_EVENT + 2), 0x0100);
	ck_assert(!vmm_rig_line(&rig, 9));
	pm_press_power_button(device);
	ck_assert(vmm_rig_line(&rig, 9));
	ck_assert_int_eq(vmm_rig_save_and_load(device), 0);
	ck_assert(vmm_rig_line(&rig, 9));
	ck_assert_uint_eq(in16(PM(PM_EVENT)), 0x0100);
	out16(PM(PM_EVENT), 0x0100);
	ck_assert_uint_eq(in16(PM(PM_EVENT)), 0);
	ck_assert(!vmm_rig_line(&rig, 9));
}
END_TEST

START_TEST(pm_sleeps)
{
	/* S3 is not there; S5 is. */
	out16(PM(PM_CONTROL), 1 << 13 | 1 << 10);
	ck_assert_int_eq(rig.machine.event, MACHINE_NONE);
	out16(PM(PM_CONTROL), ACPI_S5_SLP_TYP << 10);
	ck_assert_int_eq(rig.machine.event, MACHINE_NONE);
	out16(PM(PM_CONTROL), 1 << 13 | ACPI_S5_SLP_TYP << 10);
	ck_assert_int_eq(rig.machine.event, MACHINE_POWEROFF);
}
END_TEST

/* What reduced hardware has: one register to sleep, an edge for the button. */
START_TEST(pm_reduced)
{
	rig.config.legacy = false;
	pm_press_power_button(device);
	ck_assert(!vmm_rig_line(&rig, 9));
	ck_assert_uint_eq(rig.irq.edges[9], 1);
	out(PM(PM_SLEEP_STATUS), 0x80);
	out(PM(PM_SLEEP_CONTROL), 1 << 5 | 1 << 2);
	out(PM(PM_SLEEP_CONTROL), ACPI_S5_SLP_TYP << 2);
	ck_assert_int_eq(rig.machine.event, MACHINE_NONE);
	out(PM(PM_SLEEP_CONTROL), 1 << 5 | ACPI_S5_SLP_TYP << 2);
	ck_assert_int_eq(rig.machine.event, MACHINE_POWEROFF);
}
END_TEST

START_TEST(pm_sleeps_by_bytes)
{
	out(PM(PM_CONTROL), 0);
	out(PM(PM_CONTROL + 1), 0x20 | ACPI_S5_SLP_TYP << 2);
	ck_assert_int_eq(rig.machine.event, MACHINE_POWEROFF);
}
END_TEST

START_TEST(pm_timer_runs)
{
	const struct timespec ms = { .tv_nsec = 1000000 };
	uint32_t before = bus_read(rig.machine.ports, PM(PM_TIMER), 4), ticks;

	nanosleep(&ms, NULL);
	ticks = (uint32_t)bus_read(rig.machine.ports, PM(PM_TIMER), 4) - before;
	ck_assert_uint_ge(ticks, 3579);
	ck_assert_uint_le(ticks, 5 * PM_TIMER_HZ);
}
END_TEST

static void add_case(Suite *suite, const char *name, void (*setup)(void), const TTest *const *tests)
{
	TCase *tcase = tcase_create(name);

	tcase_set_timeout(tcase, 20);
	tcase_add_checked_fixture(tcase, setup, teardown);
	for (; *tests; tests++)
		tcase_add_test(tcase, *tests);
	suite_add_tcase(suite, tcase);
}

static Suite *make_suite(void)
{
	const TTest *const serial[] = { serial_prints,
					serial_receives_with_interrupts,
					serial_transmit_interrupt,
					serial_loops_back,
					serial_registers,
					t34_serial_without_a_reader_is_bounded,
					serial_is_saved,
					NULL };
	const TTest *const rtc[] = { rtc_tells_the_hosts_time,
				     rtc_can_be_set,
				     rtc_shows_twelve_hours_and_binary,
				     rtc_update_interrupt,
				     rtc_alarm_interrupt,
				     rtc_periodic_interrupt,
				     rtc_memory_survives_a_reset,
				     NULL };
	const TTest *const i8042[] = { i8042_answers_linux, i8042_keyboard, i8042_mouse,
				       i8042_resets_the_machine, NULL };
	const TTest *const pm[] = { pm_power_button, pm_sleeps,	    pm_sleeps_by_bytes,
				    pm_reduced,	     pm_timer_runs, NULL };
	Suite *suite = suite_create("vmm_legacy");

	add_case(suite, "serial", setup_serial, serial);
	add_case(suite, "rtc", setup_rtc, rtc);
	add_case(suite, "i8042", setup_i8042, i8042);
	add_case(suite, "pm", setup_pm, pm);
	return suite;
}

int main(void)
{
	log_init("vmm_legacy", LOG_LEVEL_ERROR);
	return unit_run(make_suite());
}
