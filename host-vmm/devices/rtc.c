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
#include "host-vmm/conf/vmconf.h"
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
#define OFFSET_MAX  (1ll << 40) /* seconds, 34,000 years */
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
	int64_t periodic_ns; /* CLOCK_MONOTONIC of the last periodic event */
	int64_t checked; /* second up to which updates and alarms were told */
};

static int64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_SEC + now.tv_nsec;
}

/* The guest's time. A guest may set any year up to 16599, so nanoseconds would not fit 64 bits. */
static int64_t now_seconds(const struct rtc *rtc, int64_t *ret_ns)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (ret_ns)
		*ret_ns = now.tv_nsec;
	return now.tv_sec + rtc->offset;
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
	time_t now = now_seconds(rtc, NULL);
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
	rtc->checked = now_seconds(rtc, NULL);
}

static int second_of_day(int64_t time)
{
	int64_t second = time % DAY_SECONDS;

	return (int)(second < 0 ? second + DAY_SECONDS : second);
}

/* Whether a value, encoded, is what the alarm byte @alarm asks for. */
static bool alarm_matches(uint8_t alarm, uint8_t encoded)
{
	return alarm >= ANY_ALARM || alarm == encoded;
}

/* The first second from @from on, 0 to 59, at which the alarm goes off, or -1. */
static int alarm_second(const struct rtc *rtc, int from)
{
	for (int second = from; second < 60; second++)
		if (alarm_matches(rtc->cmos[REG_SECONDS_ALARM], encode(rtc, second)))
			return second;
	return -1;
}

/* The same for seconds of an hour. */
static int alarm_in_hour(const struct rtc *rtc, int from)
{
	int any = alarm_second(rtc, 0);

	for (int minute = from / 60; minute < 60 && any >= 0; minute++) {
		int second = any;

		if (!alarm_matches(rtc->cmos[REG_MINUTES_ALARM], encode(rtc, minute)))
			continue;
		if (minute == from / 60)
			second = alarm_second(rtc, from % 60);
		if (second >= 0)
			return minute * 60 + second;
	}
	return -1;
}

/* How many seconds after @now (of the day) the alarm next goes off, at least 1; -1: never. */
static int next_alarm(const struct rtc *rtc, int now)
{
	int start = now + 1;

	for (int hour = start / 3600; hour <= start / 3600 + 24; hour++) {
		int from = hour == start / 3600 ? start % 3600 : 0, at;

		if (!alarm_matches(rtc->cmos[REG_HOURS_ALARM], encode_hour(rtc, hour % 24)))
			continue;
		at = alarm_in_hour(rtc, from);
		if (at >= 0)
			return hour * 3600 + at - now;
	}
	return -1;
}

/* Whether the alarm went off in (@from, @to]. */
static bool alarm_between(const struct rtc *rtc, int64_t from, int64_t to)
{
	int wait = next_alarm(rtc, second_of_day(from));

	return wait > 0 && wait <= to - from;
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

/* A wait of 0 would switch the timer off. */
static void earlier(int64_t *wait, int64_t candidate)
{
	if (candidate < 1)
		candidate = 1;
	if (*wait < 0 || candidate < *wait)
		*wait = candidate;
}

/* Under lock: arms the timer for the next interrupt that is enabled. */
static void schedule(struct rtc *rtc)
{
	int64_t ns, second = now_seconds(rtc, &ns), wait = -1;
	struct itimerspec when = { 0 };

	if ((rtc->cmos[REG_B] & B_PERIODIC) && period_ns(rtc) > 0)
		earlier(&wait, rtc->periodic_ns + period_ns(rtc) - monotonic_ns());
	if (rtc->cmos[REG_B] & B_UPDATE)
		earlier(&wait, NS_PER_SEC - ns);
	if (rtc->cmos[REG_B] & B_ALARM) {
		int alarm = next_alarm(rtc, second_of_day(second));

		if (alarm > 0)
			earlier(&wait, alarm * NS_PER_SEC - ns);
	}
	when.it_value.tv_sec = wait > 0 ? wait / NS_PER_SEC : 0;
	when.it_value.tv_nsec = wait > 0 ? wait % NS_PER_SEC : 0;
	(void)timerfd_settime(rtc->timer_fd, 0, &when, NULL);
}

/* Under lock: what has happened since the last look goes to register C, and to the line. */
static void catch_up(struct rtc *rtc)
{
	int64_t second = now_seconds(rtc, NULL), period = period_ns(rtc);
	int64_t since = monotonic_ns() - rtc->periodic_ns;

	if (period > 0 && since >= period) {
		rtc->cmos[REG_C] |= B_PERIODIC;
		rtc->periodic_ns += since - since % period;
	}
	if (second > rtc->checked) {
		rtc->cmos[REG_C] |= B_UPDATE;
		if (alarm_between(rtc, rtc->checked, second))
			rtc->cmos[REG_C] |= B_ALARM;
	}
	rtc->checked = second;
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
			rtc->periodic_ns = monotonic_ns();
		rtc->checked = now_seconds(rtc, NULL);
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
	/* What a guest can set is within: sums with the host's time must not overflow. */
	if (state_error(state) < 0 || version != STATE_VERSION || index >= CMOS_BYTES ||
	    offset > OFFSET_MAX || offset < -OFFSET_MAX)
		return -EBADMSG;
	pthread_mutex_lock(&rtc->lock);
	rtc->index = index;
	memcpy(rtc->cmos, cmos, sizeof(cmos));
	rtc->cmos[REG_A] &= 0x7f;
	rtc->offset = offset;
	rtc->periodic_ns = monotonic_ns();
	rtc->checked = now_seconds(rtc, NULL);
	irq_set_line(device->machine->irq, LAYOUT_IRQ_RTC, rtc->cmos[REG_C] & C_IRQ);
	schedule(rtc);
	pthread_mutex_unlock(&rtc->lock);
	return 0;
}

static size_t rtc_count(const struct vm_config *config)
{
	return config->legacy;
}

const struct device_type rtc_type = {
	.name = "rtc",
	.help = "real-time clock and CMOS memory ([device] legacy)",
	.size = sizeof(struct rtc),
	.count = rtc_count,
	.create = rtc_create,
	.reset = rtc_reset,
	.destroy = rtc_destroy,
	.save = rtc_save,
	.load = rtc_load,
};
