// SPDX-License-Identifier: GPL-2.0-only
/*
 * The clock page: copied while nobody writes it, checked, and counted on from.
 *
 * The host writes to it whenever it likes and is not trusted with more than the time: what it says
 * may be wrong, but bounds the work, and no number in it does harm.
 */
#include <linux/errno.h>
#include <linux/kernel.h>

#include "compat/clock.h"
#include "lodge_clock/line.h"
#include "lodge_clock/lodge_clock.h"

/* An update takes the host far less than one of them. */
#define TRIES 1000

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

static void copy_line(const struct lodge_vmclock *page, struct lodge_line *line)
{
	line->counter = le64_to_cpu(READ_ONCE(page->counter_value));
	line->period = le64_to_cpu(READ_ONCE(page->counter_period_frac_sec));
	line->seconds = le64_to_cpu(READ_ONCE(page->time_sec));
	line->fraction = le64_to_cpu(READ_ONCE(page->time_frac_sec));
	line->shift = READ_ONCE(page->counter_period_shift);
	line->status = READ_ONCE(page->clock_status);
}

int lodge_page_time(const struct lodge_vmclock *page, int (*take)(void *context, u64 *ret_counter),
		    void *context, s64 *ret_ns)
{
	unsigned int tries;

	for (tries = 0; tries < TRIES; tries++) {
		u32 seq = le32_to_cpu(READ_ONCE(page->seq_count));
		struct lodge_line line;
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
			err = lodge_line_check(&line);
		return err ? err : lodge_line_time(&line, counter, ret_ns);
	}
	return -EBUSY;
}
