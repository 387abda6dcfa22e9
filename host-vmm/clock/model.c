// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From looks at the host's clock to the line that the clock page holds.
 *
 * Theory of operation. The page says: at count C it was T, and a count lasts P. C and T are of the
 * last look. P is the slope of CLOCK_MONOTONIC over the counter since an anchor, because that clock
 * has the rate of CLOCK_REALTIME, slewing by NTP included, and none of its steps. The longer the
 * way from the anchor, the better the slope; but a look that is not where the line said it would be
 * tells that the rate has changed since the last one, and that look becomes the anchor. After
 * BASELINE_MAX the anchor moves on to the middle of the way.
 *
 * Between two looks the page knows nothing of a rate that changes, as NTP changes it all the time.
 * How much it did of late tells how far the page can be off, and so how soon the next look is due.
 *
 * A counter that went back, or a host that slept, is a disruption: there is no line from before to
 * now. The rate is kept, for the crystal is the same, but readers are told to wait until a second
 * look has found the line right.
 */
#include "host-vmm/clock/clock.h"

#include <endian.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S     1000000000ll
#define NS_PER_MS    1000000ll
#define BASELINE_MAX (32 * NS_PER_S)
#define NOMINAL_ERROR \
	2e-8 /* of the counter's rate as KVM tells it: what the host's kernel uses, too */
#define SLEPT	       NS_PER_MS /* less is the looks' own error */
#define STEPPED	       1000 /* ns; less is the looks' own error */
#define RESOLUTION     20 /* ns that two looks differ by without a reason */
#define PERIOD_RANGE   0.2 /* adjtimex(2) lets tick be a tenth off, and the counter is off, too */
#define RATE_TOLERANCE 500e-6 /* <linux/timex.h>: MAXFREQ, by which maxerror grows */
#define STEADY_MAX     3u /* doublings of the pause between looks */
#define PAUSE_MS       1000u
#define SETTLE_MS      100u
#define WANDER	       500.0 /* ns that a rate which changes may put the page off until the next look */
#define FORGET	       (739.0 * NS_PER_S) /* such changes fade by this: by half in 512 s */

void clock_model_init(struct clock_model *model, uint32_t khz, uint64_t disruption)
{
	*model = (struct clock_model){ .disruption = disruption };
	model->nominal = model->period = khz ? 1e6 / khz : 1;
	model->period_error = NOMINAL_ERROR;
}

static struct clock_point point_of(const struct host_clock *clock)
{
	return (struct clock_point){ clock->tsc, clock->monotonic };
}

static void begin(struct clock_model *model, const struct host_clock *now)
{
	model->anchor = model->middle = point_of(now);
	model->settled = false;
	model->steady = 0;
}

/* The slope since @from, where the outcome is possible, and better than what there is or @urgent.
 */
static bool measure(struct clock_model *model, const struct clock_point *from,
		    const struct host_clock *now, double error, bool urgent)
{
	double counts = (double)(now->tsc - from->tsc);
	double way = (double)(now->monotonic - from->monotonic);
	double period = counts > 0 ? way / counts : 0;

	if (way <= 0 || fabs(period - model->nominal) > model->nominal * PERIOD_RANGE)
		return false;
	/* Twice, as the way is half as long when the anchor has moved. */
	if (!urgent && error / way > 2 * model->period_error)
		return false;
	model->period = period;
	model->period_error = error / way;
	return true;
}

static void move_anchor(struct clock_model *model, const struct host_clock *now)
{
	if (now->monotonic - model->middle.monotonic < BASELINE_MAX / 2)
		return;
	if (now->monotonic - model->anchor.monotonic >= BASELINE_MAX)
		model->anchor = model->middle;
	model->middle = point_of(now);
}

static bool disrupted(const struct clock_model *model, const struct host_clock *now)
{
	return now->tsc < model->last.tsc || now->monotonic < model->last.monotonic ||
	       llabs(now->asleep - model->last.asleep) > SLEPT;
}

static void follow(struct clock_model *model, const struct host_clock *now)
{
	const struct host_clock *last = &model->last;
	double way = (double)(now->tsc - last->tsc) * model->period;
	double error = (double)(now->window + last->window) / 2 * model->period + RESOLUTION;
	double period = model->period;
	double off = (double)(now->monotonic - last->monotonic) - way;
	struct clock_point before = point_of(last);

	model->unrest *= way < FORGET ? 1 - way / FORGET : 0;
	if (llabs((now->realtime - last->realtime) - (now->monotonic - last->monotonic)) > STEPPED)
		model->steps++;
	if (fabs(off) <= error + way * model->period_error) {
		(void)measure(model, &model->anchor, now, error, false);
		model->settled = true;
		if (model->steady < STEADY_MAX)
			model->steady++;
	} else {
		model->anchor = model->middle = before;
		model->settled = measure(model, &before, now, error, true);
		model->steady = 0;
		if (model->unrest < fabs(model->period - period) / period)
			model->unrest = fabs(model->period - period) / period;
	}
	move_anchor(model, now);
}

void clock_model_advance(struct clock_model *model, const struct host_clock *now)
{
	if (!model->started) {
		model->period = model->nominal * (1 + now->rate);
		begin(model, now);
		model->started = true;
	} else if (disrupted(model, now)) {
		begin(model, now);
		model->disruption++;
	} else {
		follow(model, now);
	}
	model->last = *now;
}

void clock_model_disrupt(struct clock_model *model)
{
	model->disruption++;
}

unsigned int clock_model_next_ms(const struct clock_model *model)
{
	unsigned int pause = PAUSE_MS << model->steady;

	if (!model->settled)
		return SETTLE_MS;
	while (pause > PAUSE_MS && model->unrest * pause * NS_PER_MS > WANDER)
		pause /= 2;
	return pause;
}

static uint8_t status_of(const struct clock_model *model, bool one_counter)
{
	if (!one_counter)
		return LODGE_VMCLOCK_UNRELIABLE;
	if (!model->settled)
		return LODGE_VMCLOCK_INITIALIZING;
	return model->last.synchronized ? LODGE_VMCLOCK_SYNCHRONIZED : LODGE_VMCLOCK_FREERUNNING;
}

/* The largest shift that leaves the period 63 bits: periods are below a second. */
static unsigned int shift_of(double seconds)
{
	int exponent;

	(void)frexp(seconds, &exponent);
	return exponent > -1 ? 0 : (unsigned int)(-1 - exponent);
}

static uint64_t scaled(double seconds, unsigned int shift)
{
	return (uint64_t)ldexp(seconds, 64 + (int)shift);
}

/* Rounded up, so that nanoseconds come out of it as they went in. */
static uint64_t fraction_of(uint64_t ns)
{
	return (uint64_t)((((unsigned __int128)ns << 64) + NS_PER_S - 1) / NS_PER_S);
}

static void fill_errors(const struct clock_model *model, double period, unsigned int shift,
			struct lodge_vmclock *page)
{
	const struct host_clock *last = &model->last;
	uint64_t look = (uint64_t)((double)last->window * model->period) + 1;
	uint64_t flags = LODGE_VMCLOCK_PERIOD_ESTERROR_VALID | LODGE_VMCLOCK_PERIOD_MAXERROR_VALID;

	page->counter_period_esterror_rate_frac_sec =
		htole64(scaled(period * model->period_error, shift));
	page->counter_period_maxerror_rate_frac_sec =
		htole64(scaled(period * RATE_TOLERANCE, shift));
	if (last->synchronized) {
		flags |= LODGE_VMCLOCK_TIME_ESTERROR_VALID | LODGE_VMCLOCK_TIME_MAXERROR_VALID;
		page->time_esterror_nanosec = htole64((uint64_t)last->esterror + look);
		page->time_maxerror_nanosec = htole64((uint64_t)last->maxerror + look);
	}
	if (last->tai) {
		flags |= LODGE_VMCLOCK_TAI_OFFSET_VALID;
		page->tai_offset_sec = htole16((uint16_t)last->tai);
	}
	page->flags = htole64(flags);
}

void clock_model_fill(const struct clock_model *model, uint64_t tsc_offset, bool one_counter,
		      struct lodge_vmclock *ret_page)
{
	double period = model->period / 1e9;
	unsigned int shift = shift_of(period);
	/* Before 1970 there are no vmclocks. */
	uint64_t ns = model->last.realtime > 0 ? (uint64_t)model->last.realtime : 0;

	*ret_page = (struct lodge_vmclock){
		.magic = htole32(LODGE_VMCLOCK_MAGIC),
		.size = htole32(LODGE_VMCLOCK_SIZE),
		.version = htole16(LODGE_VMCLOCK_VERSION),
		.counter_id = LODGE_VMCLOCK_COUNTER_TSC,
		.time_type = LODGE_VMCLOCK_UTC,
		.disruption_marker = htole64(model->disruption),
		.clock_status = status_of(model, one_counter),
		.leap_second_smearing_hint = LODGE_VMCLOCK_STRICT,
		.leap_indicator = model->last.leap,
		.counter_period_shift = (uint8_t)shift,
		.counter_value = htole64(model->last.tsc + tsc_offset),
		.counter_period_frac_sec = htole64(scaled(period, shift)),
		.time_sec = htole64(ns / NS_PER_S),
		.time_frac_sec = htole64(fraction_of(ns % NS_PER_S)),
	};
	fill_errors(model, period, shift, ret_page);
}

/* Bytes of the page that seq_count guards, and where they begin. */
#define GUARDED	      offsetof(struct lodge_vmclock, disruption_marker)
#define GUARDED_BYTES (sizeof(struct lodge_vmclock) - GUARDED)

void clock_page_publish(struct lodge_vmclock *page, const struct lodge_vmclock *from)
{
	uint32_t seq = le32toh(page->seq_count) & ~1u;

	page->magic = from->magic;
	page->size = from->size;
	page->version = from->version;
	page->counter_id = from->counter_id;
	page->time_type = from->time_type;
	__atomic_store_n(&page->seq_count, htole32(seq + 1), __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	memcpy((uint8_t *)page + GUARDED, (const uint8_t *)from + GUARDED, GUARDED_BYTES);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	__atomic_store_n(&page->seq_count, htole32(seq + 2), __ATOMIC_RELAXED);
}
