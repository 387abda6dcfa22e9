// SPDX-License-Identifier: GPL-2.0-only
/*
 * The counter and the system's clock at one moment.
 *
 * The kernel's snapshot tells what its clock source counted when its clocks were what they were.
 * Where the source is the time-stamp counter that is the reading itself, which then lies between
 * two that are taken around it. Where it is KVM's clock, which is a line over the counter that the
 * host keeps in a page of its own, the counter is where that line has the snapshot's count.
 */
#include <linux/errno.h>
#include <linux/irqflags.h>
#include <linux/kernel.h>
#include <linux/math64.h>

#include "compat/clock.h"
#include "lodge_clock/lodge_clock.h"

#ifdef LODGE_SNAPSHOT

#ifdef LODGE_HAVE_PVCLOCK
/* Its parameters change with the host's clock, hardly ever. */
#define TRIES 100
/* Counts are rounded down; nobody waits for so long between two readings with interrupts off. */
#define SLACK_NS  2
#define MOMENT_NS (1u << 30)

static bool kvm_line(struct pvclock_vcpu_time_info *ret_line)
{
	const struct pvclock_vsyscall_time_info *page = pvclock_get_pvti_cpu0_va();
	unsigned int tries;

	/* There where the line is the same on all processors. */
	if (!page)
		return false;
	for (tries = 0; tries < TRIES; tries++) {
		u32 version = READ_ONCE(page->pvti.version);

		smp_rmb();
		*ret_line = page->pvti;
		smp_rmb();
		if (!(version & 1) && READ_ONCE(page->pvti.version) == version)
			return ret_line->tsc_to_system_mul &&
			       ret_line->flags & PVCLOCK_TSC_STABLE_BIT;
	}
	return false;
}

static u64 kvm_count(const struct pvclock_vcpu_time_info *line, u64 counter)
{
	return line->system_time + pvclock_scale_delta(counter - line->tsc_timestamp,
						       line->tsc_to_system_mul, line->tsc_shift);
}

/* The counter when KVM's clock was @count, between @before and @after. */
static int kvm_counter(u64 before, u64 after, u64 count, u64 *ret_counter)
{
	struct pvclock_vcpu_time_info line;
	u64 first, counts;

	if (!kvm_line(&line))
		return -EOPNOTSUPP;
	first = kvm_count(&line, before);
	if (count + SLACK_NS < first || count > kvm_count(&line, after) + SLACK_NS)
		return -EOPNOTSUPP;
	if (count < first)
		count = first;
	if (count - first >= MOMENT_NS)
		return -EOPNOTSUPP;
	counts = div_u64((count - first) << 32, line.tsc_to_system_mul);
	*ret_counter = before +
		       (line.tsc_shift < 0 ? counts << -line.tsc_shift : counts >> line.tsc_shift);
	return 0;
}
#else
static int kvm_counter(u64 before, u64 after, u64 count, u64 *ret_counter)
{
	return -EOPNOTSUPP;
}
#endif

int lodge_pair_take(clockid_t clock_id, struct lodge_pair *ret_pair)
{
	struct system_time_snapshot snapshot;
	unsigned long flags;
	u64 before, after;
	int err = 0;

	local_irq_save(flags);
	before = lodge_counter();
	lodge_snapshot_take(clock_id, &snapshot);
	after = lodge_counter();
	local_irq_restore(flags);
	if (snapshot.cycles >= before && snapshot.cycles <= after)
		ret_pair->counter = snapshot.cycles;
	else
		err = kvm_counter(before, after, snapshot.cycles, &ret_pair->counter);
	if (err)
		return err;
	ret_pair->system = ktime_to_ns(lodge_snapshot_system(&snapshot));
	ret_pair->raw = ktime_to_ns(lodge_snapshot_raw(&snapshot));
	return 0;
}

#else
int lodge_pair_take(clockid_t clock_id, struct lodge_pair *ret_pair)
{
	return -EOPNOTSUPP;
}
#endif
