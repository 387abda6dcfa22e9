// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The PC's real-time clock and its 128 bytes of CMOS memory, in UTC. Source: Motorola MC146818A
 * data sheet.
 *
 * Theory of operation: nothing ticks. The guest's time is the host's plus an offset in seconds,
 * that a write to a time register changes; a timer is armed for the next enabled interrupt only.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "host-vmm/bus.h"
#include "host-vmm/device.h"
#include "host-vmm/devices/legacy.h"
#include "host-vmm/irq.h"
#include "host-vmm/layout.h"
#include "host-vmm/loop.h"
#include "host-vmm/machine.h"
#include "host-vmm/state.h"
#include "protocol/lib/log.h"

#define CMOS_BYTES 128u

#define REG_SECONDS	  0x00u
#define REG_SECONDS_ALARM 0x01u
#define REG_MINUTES	  0x02u
#define REG_MINUTES_ALARM 0x03u
#define REG_HOURS	  0x04u
#define REG_HOURS_ALARM	  0x05u
#define REG_WEEKDAY	  0x06u
#define REG_DAY		  0x07u
#define REG_MONTH	  0x08u
#define REG_YEAR	  0x09u
#define REG_A		  0x0au
#define REG_B		  0x0bu
#define REG_C		  0x0cu
#define REG_D		  0x0du
#define REG_CENTURY	  0x32u /* the FADT says so */

#define A_DEFAULT   0x26u /* 32,768 Hz; 1,024 Hz periodic */
#define A_RATE	    0x0fu
#define B_SET	    0x80u
#define B_PERIODIC  0x40u
#define B_ALARM	    0x20u
#define B_UPDATE    0x10u
#define B_BINARY    0x04u
#define B_24_HOURS  0x02u
#define C_IRQ	    0x80u
#define D_VALID	    0x80u
#define PM_BIT	    0x80u /* of hours in 12-hour mode */
#define ANY_ALARM   0xc0u /* alarm bytes from here on match everything */
#define DAY_SECONDS 86400
#define NS_PER_SEC  1000000000ll

#define STATE_VERSION 1

struct rtc {
	struct device device;
	struct io_region region;
	struct loop_source *source;
	int timer_fd;
	pthread_mutex_t lock; /* what follows */
	uint8_t index;
	uint8_t cmos[CMOS_BYTES];
	int64_t offset; /* seconds from the host's clock to the guest's */
	int64_t periodic_ns; /* guest's time of the last periodic event */
	int64_t checked; /* second up to which updates and alarms were told */
};

static int64_t now_ns(const struct rtc *rtc)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (now.tv_sec + rtc->offset) * NS_PER_SEC + now.tv_nsec;
}

static int64_t floor_seconds(int64_t ns)
{
	return ns / NS_PER_SEC - (ns % NS_PER_SEC < 0);
}

static uint8_t encode(const struct rtc *rtc, unsigned int value)
{
	return rtc->cmos[REG_B] & B_BINARY ? value : value / 10 << 4 | value % 10;
}

static unsigned int decode(const struct rtc *rtc, uint8_t value)
{
	return rtc->cmos[REG_B] & B_BINARY ? value : (value >> 4) * 10u + (value & 0x0f);
}

static uint8_t encode_hour(const struct rtc *rtc, unsigned int hour)
{
	if (rtc->cmos[REG_B] & B_24_HOURS)
		return encode(rtc, hour);
	return encode(rtc, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? PM_BIT : 0);
}

static unsigned int decode_hour(const struct rtc *rtc, uint8_t value)
{
	if (rtc->cmos[REG_B] & B_24_HOURS)
		return decode(rtc, value);
	return decode(rtc, value & ~PM_BIT) % 12 + (value & PM_BIT ? 12 : 0);
}

/* Puts the time into the registers, unless the guest is setting it. */
static void refresh(struct rtc *rtc)
{
	time_t now = floor_seconds(now_ns(rtc));
	struct tm tm;

	if ((rtc->cmos[REG_B] & B_SET) || !gmtime_r(&now, &tm))
		return;
	rtc->cmos[REG_SECONDS] = encode(rtc, tm.tm_sec);
	rtc->cmos[REG_MINUTES] = encode(rtc, tm.tm_min);
	rtc->cmos[REG_HOURS] = encode_hour(rtc, tm.tm_hour);
	rtc->cmos[REG_WEEKDAY] = encode(rtc, tm.tm_wday + 1);
	rtc->cmos[REG_DAY] = encode(rtc, tm.tm_mday);
	rtc->cmos[REG_MONTH] = encode(rtc, tm.tm_mon + 1);
	rtc->cmos[REG_YEAR] = encode(rtc, tm.tm_year % 100);
	rtc->cmos[REG_CENTURY] = encode(rtc, 19 + tm.tm_year / 100);
}

/* Takes the time from the registers: whatever nonsense is in them, timegm() makes a time of it. */
static void adopt(struct rtc *rtc)
{
	struct tm tm = {
		.tm_sec = decode(rtc, rtc->cmos[REG_SECONDS]),
		.tm_min = decode(rtc, rtc->cmos[REG_MINUTES]),
		.tm_hour = decode_hour(rtc, rtc->cmos[REG_HOURS]),
		.tm_mday = decode(rtc, rtc->cmos[REG_DAY]),
		.tm_mon = (int)decode(rtc, rtc->cmos[REG_MONTH]) - 1,
		.tm_year = (int)decode(rtc, rtc->cmos[REG_CENTURY]) * 100 - 1900 +
			   (int)decode(rtc, rtc->cmos[REG_YEAR]),
	};

	rtc->offset = timegm(&tm) - time(NULL);
	rtc->checked = floor_seconds(now_ns(rtc));
}

static bool alarm_matches(const struct rtc *rtc, int64_t second)
{
	time_t time = second;
	struct tm tm;

	if (!gmtime_r(&time, &tm))
		return false;
	return (rtc->cmos[REG_SECONDS_ALARM] >= ANY_ALARM ||
		rtc->cmos[REG_SECONDS_ALARM] == encode(rtc, tm.tm_sec)) &&
	       (rtc->cmos[REG_MINUTES_ALARM] >= ANY_ALARM ||
		rtc->cmos[REG_MINUTES_ALARM] == encode(rtc, tm.tm_min)) &&
	       (rtc->cmos[REG_HOURS_ALARM] >= ANY_ALARM ||
		rtc->cmos[REG_HOURS_ALARM] == encode_hour(rtc, tm.tm_hour));
}

/* The next second after @second at which the alarm goes off, or -1. */
static int64_t next_alarm(const struct rtc *rtc, int64_t second)
{
	for (int64_t i = 1; i <= DAY_SECONDS; i++)
		if (alarm_matches(rtc, second + i))
			return second + i;
	return -1;
}

static int64_t period_ns(const struct rtc *rtc)
{
	unsigned int rate = rtc->cmos[REG_A] & A_RATE;

	if (rate == 0)
		return 0;
	/* Rates 1 and 2 are those of 8 and 9. */
	if (rate <= 2)
		rate += 7;
	return NS_PER_SEC / (32768 >> (rate - 1));
}

static void earlier(int64_t *at, int64_t candidate)
{
	if (*at < 0 || candidate < *at)
		*at = candidate;
}

/* Under lock: arms the timer for the next interrupt that is enabled. */
static void schedule(struct rtc *rtc)
{
	int64_t now = now_ns(rtc), second = floor_seconds(now), at = -1, alarm;
	struct itimerspec when = { 0 };

	if ((rtc->cmos[REG_B] & B_PERIODIC) && period_ns(rtc) > 0)
		earlier(&at, rtc->periodic_ns + period_ns(rtc));
	if (rtc->cmos[REG_B] & B_UPDATE)
		earlier(&at, (second + 1) * NS_PER_SEC);
	if (rtc->cmos[REG_B] & B_ALARM) {
		alarm = next_alarm(rtc, second);
		if (alarm >= 0)
			earlier(&at, alarm * NS_PER_SEC);
	}
	if (at >= 0) {
		int64_t wait = at > now ? at - now : 1;

		when.it_value.tv_sec = wait / NS_PER_SEC;
		when.it_value.tv_nsec = wait % NS_PER_SEC;
	}
	(void)timerfd_settime(rtc->timer_fd, 0, &when, NULL);
}

/* Under lock: what has happened since the last look goes to register C, and to the line. */
static void catch_up(struct rtc *rtc)
{
	int64_t now = now_ns(rtc), second = floor_seconds(now), period = period_ns(rtc);
	uint8_t happened = 0;

	if (period > 0 && now - rtc->periodic_ns >= period) {
		happened |= B_PERIODIC;
		rtc->periodic_ns = now - (now - rtc->periodic_ns) % period;
	}
	if (second > rtc->checked) {
		int64_t from = second - rtc->checked > DAY_SECONDS ? second - DAY_SECONDS
								   : rtc->checked;

		happened |= B_UPDATE;
		if (rtc->cmos[REG_B] & B_ALARM) {
			int64_t alarm = next_alarm(rtc, from);

			if (alarm >= 0 && alarm <= second)
				happened |= B_ALARM;
		}
	}
	rtc->checked = second;
	rtc->cmos[REG_C] |= happened;
	if (rtc->cmos[REG_C] & rtc->cmos[REG_B] & (B_PERIODIC | B_ALARM | B_UPDATE)) {
		rtc->cmos[REG_C] |= C_IRQ;
		irq_set_line(rtc->device.machine->irq, LAYOUT_IRQ_RTC, true);
	}
}

static void on_timer(void *opaque, uint32_t epoll_events)
{
	struct rtc *rtc = opaque;
	uint64_t count;

	(void)epoll_events;
	(void)!read(rtc->timer_fd, &count, sizeof(count));
	pthread_mutex_lock(&rtc->lock);
	catch_up(rtc);
	/* While one waits to be read, the next changes nothing: a guest that does not look must not
	 * keep us busy. */
	if (!(rtc->cmos[REG_C] & C_IRQ))
		schedule(rtc);
	pthread_mutex_unlock(&rtc->lock);
}

static uint8_t read_register(struct rtc *rtc)
{
	uint8_t value;

	refresh(rtc);
	if (rtc->index == REG_D)
		return D_VALID;
	value = rtc->cmos[rtc->index];
	if (rtc->index == REG_C) {
		rtc->cmos[REG_C] = 0;
		irq_set_line(rtc->device.machine->irq, LAYOUT_IRQ_RTC, false);
		schedule(rtc);
	}
	return value;
}

static void write_register(struct rtc *rtc, uint8_t value)
{
	uint8_t index = rtc->index, before;

	refresh(rtc);
	before = rtc->cmos[REG_B];
	if (index == REG_C || index == REG_D)
		return;
	rtc->cmos[index] = index == REG_A ? value & 0x7f : value;
	switch (index) {
	case REG_SECONDS:
	case REG_MINUTES:
	case REG_HOURS:
	case REG_DAY:
	case REG_MONTH:
	case REG_YEAR:
	case REG_CENTURY:
		if (!(before & B_SET))
			adopt(rtc);
		break;
	case REG_A:
	case REG_B:
		if ((before & B_SET) && !(rtc->cmos[REG_B] & B_SET))
			adopt(rtc);
		if (!(before & B_PERIODIC))
			rtc->periodic_ns = now_ns(rtc);
		rtc->checked = floor_seconds(now_ns(rtc));
		break;
	}
	if (index <= REG_B)
		schedule(rtc);
}

static uint64_t rtc_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct rtc *rtc = opaque;
	uint8_t value = 0xff;

	if (size != 1 || offset != 1)
		return UINT64_MAX;
	pthread_mutex_lock(&rtc->lock);
	value = read_register(rtc);
	pthread_mutex_unlock(&rtc->lock);
	return value;
}

static void rtc_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct rtc *rtc = opaque;

	if (size != 1)
		return;
	pthread_mutex_lock(&rtc->lock);
	if (offset == 0)
		rtc->index = value & (CMOS_BYTES - 1); /* the top bit masks NMIs */
	else
		write_register(rtc, value);
	pthread_mutex_unlock(&rtc->lock);
}

static const struct io_ops rtc_ops = { .read = rtc_read, .write = rtc_write };

static void rtc_reset(struct device *device)
{
	struct rtc *rtc = (struct rtc *)device;

	/* Time and memory have a battery; a reset takes away interrupts only. */
	pthread_mutex_lock(&rtc->lock);
	rtc->index = 0;
	rtc->cmos[REG_A] = A_DEFAULT;
	rtc->cmos[REG_B] = B_24_HOURS;
	rtc->cmos[REG_C] = 0;
	irq_set_line(device->machine->irq, LAYOUT_IRQ_RTC, false);
	schedule(rtc);
	pthread_mutex_unlock(&rtc->lock);
}

static int rtc_create(struct device *device)
{
	struct rtc *rtc = (struct rtc *)device;
	struct machine *machine = device->machine;
	int ret;

	pthread_mutex_init(&rtc->lock, NULL);
	rtc->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	ret = rtc->timer_fd < 0 ? -errno
				: loop_add(machine->loop, rtc->timer_fd, EPOLLIN, on_timer, rtc,
					   &rtc->source);
	if (ret < 0) {
		log_error("%s: no timer: %s", device->name, strerror(-ret));
		goto fail;
	}
	rtc_reset(device);
	rtc->region = (struct io_region){
		.name = device->name,
		.size = 2,
		.ops = &rtc_ops,
		.opaque = rtc,
	};
	ret = bus_claim(machine->ports, &rtc->region, LAYOUT_PORT_RTC);
	if (ret == 0)
		return 0;
	log_error("%s: its ports are taken", device->name);
	loop_remove(rtc->source);
fail:
	if (rtc->timer_fd >= 0)
		close(rtc->timer_fd);
	pthread_mutex_destroy(&rtc->lock);
	return ret;
}

static void rtc_destroy(struct device *device)
{
	struct rtc *rtc = (struct rtc *)device;

	bus_release(device->machine->ports, &rtc->region);
	loop_remove(rtc->source);
	close(rtc->timer_fd);
	pthread_mutex_destroy(&rtc->lock);
}

static int rtc_save(struct device *device, struct state *state)
{
	struct rtc *rtc = (struct rtc *)device;

	pthread_mutex_lock(&rtc->lock);
	state_put_u8(state, STATE_VERSION);
	state_put_u8(state, rtc->index);
	state_put(state, rtc->cmos, sizeof(rtc->cmos));
	state_put_u64(state, (uint64_t)rtc->offset);
	pthread_mutex_unlock(&rtc->lock);
	return state_error(state);
}

static int rtc_load(struct device *device, struct state *state)
{
	struct rtc *rtc = (struct rtc *)device;
	uint8_t version = state_get_u8(state), index = state_get_u8(state);
	uint8_t cmos[CMOS_BYTES];
	int64_t offset;

	state_get(state, cmos, sizeof(cmos));
	offset = (int64_t)state_get_u64(state);
	/* A hundred thousand years either way: sums with the host's time must not overflow. */
	if (state_error(state) < 0 || version != STATE_VERSION || index >= CMOS_BYTES ||
	    offset > 1ll << 32 || offset < -(1ll << 32))
		return -EBADMSG;
	pthread_mutex_lock(&rtc->lock);
	rtc->index = index;
	memcpy(rtc->cmos, cmos, sizeof(cmos));
	rtc->cmos[REG_A] &= 0x7f;
	rtc->offset = offset;
	rtc->periodic_ns = now_ns(rtc);
	rtc->checked = floor_seconds(rtc->periodic_ns);
	irq_set_line(device->machine->irq, LAYOUT_IRQ_RTC, rtc->cmos[REG_C] & C_IRQ);
	schedule(rtc);
	pthread_mutex_unlock(&rtc->lock);
	return 0;
}

const struct device_type rtc_type = {
	.name = "rtc",
	.help = "real-time clock and CMOS memory",
	.size = sizeof(struct rtc),
	.create = rtc_create,
	.reset = rtc_reset,
	.destroy = rtc_destroy,
	.save = rtc_save,
	.load = rtc_load,
};
