// SPDX-License-Identifier: GPL-2.0-only
/*
 * The clock page: copied while nobody writes it, checked, and counted on from.
 *
 * The host writes to it whenever it likes and is not trusted with more than the time: what it says
 * may be wrong, but bounds the work, and no number in it does harm.
 */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/time.h>

#include "compat/clock.h"
#include "lodge_clock/lodge_clock.h"

/* An update takes the host far less than one of them. */
#define TRIES 1000

/* Another processor's counter, or an update that was slow: so much may a reading be too early. */
#define EARLY_MAX (1ll << 36)

struct line {
	u64 counter, period, seconds, fraction;
	unsigned int shift, status;
};

int lodge_page_check(const struct lodge_vmclock *page)
{
	if (le32_to_cpu(READ_ONCE(page->magic)) != LODGE_VMCLOCK_MAGIC ||
	    le32_to_cpu(READ_ONCE(page->size)) < sizeof(*page) ||
	    le16_to_cpu(READ_ONCE(page->version)) != LODGE_VMCLOCK_VERSION ||
	    READ_ONCE(page->counter_id) != LODGE_VMCLOCK_COUNTER_TSC ||
	    READ_ONCE(page->time_type) != LODGE_VMCLOCK_UTC)
		return -EINVAL;
	return 0;
}

static void copy_line(const struct lodge_vmclock *page, struct line *line)
{
	line->counter = le64_to_cpu(READ_ONCE(page->counter_value));
	line->period = le64_to_cpu(READ_ONCE(page->counter_period_frac_sec));
	line->seconds = le64_to_cpu(READ_ONCE(page->time_sec));
	line->fraction = le64_to_cpu(READ_ONCE(page->time_frac_sec));
	line->shift = READ_ONCE(page->counter_period_shift);
	line->status = READ_ONCE(page->clock_status);
}

static int check_line(const struct line *line)
{
	switch (line->status) {
	case LODGE_VMCLOCK_SYNCHRONIZED:
	case LODGE_VMCLOCK_FREERUNNING:
		break;
	case LODGE_VMCLOCK_UNKNOWN:
	case LODGE_VMCLOCK_INITIALIZING:
		return -EAGAIN;
	default:
		return -ENODATA;
	}
	if (line->shift > 63 || line->seconds > (u64)S64_MAX / NSEC_PER_SEC / 2)
		return -ERANGE;
	return 0;
}

/* In 2^-64 s, of 64 bits before the point and 64 behind it. */
static int count_on(const struct line *line, u64 counter, s64 *ret_ns)
{
	unsigned __int128 time = (unsigned __int128)line->seconds << 64 | line->fraction;
	s64 counts = (s64)(counter - line->counter);
	unsigned __int128 way;
	u64 seconds;

	if (counts < -EARLY_MAX)
		return -ERANGE;
	way = (unsigned __int128)(u64)(counts < 0 ? -counts : counts) * line->period >> line->shift;
	if (counts < 0 && way > time)
		return -ERANGE;
	time = counts < 0 ? time - way : time + way;
	seconds = (u64)(time >> 64);
	if (seconds > (u64)S64_MAX / NSEC_PER_SEC - 1)
		return -ERANGE;
	*ret_ns = (s64)(seconds * NSEC_PER_SEC +
			(u64)((unsigned __int128)(u64)time * NSEC_PER_SEC >> 64));
	return 0;
}

int lodge_page_time(const struct lodge_vmclock *page, int (*take)(void *context, u64 *ret_counter),
		    void *context, s64 *ret_ns)
{
	unsigned int tries;

	for (tries = 0; tries < TRIES; tries++) {
		u32 seq = le32_to_cpu(READ_ONCE(page->seq_count));
		struct line line;
		u64 counter;
		int err;

		if (seq & 1) {
			cpu_relax();
			continue;
		}
		smp_rmb();
		copy_line(page, &line);
		err = take(context, &counter);
		smp_rmb();
		if (le32_to_cpu(READ_ONCE(page->seq_count)) != seq)
			continue;
		if (!err)
			err = check_line(&line);
		return err ? err : count_on(&line, counter, ret_ns);
	}
	return -EBUSY;
}
