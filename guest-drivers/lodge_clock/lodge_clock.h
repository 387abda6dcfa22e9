/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The parts of lodge_clock among themselves.
 *
 *	main.c   finds the page, and is the PTP clock
 *	page.c   what the page says, read by the rules of protocol/spec/vmclock.md
 *	line.h   the arithmetic on it
 *	pair.c   the counter and the system's clock at one moment
 *
 * Nothing here is written to once the module is up, so there is no lock.
 */
#ifndef LODGE_CLOCK_H
#define LODGE_CLOCK_H

#include <linux/types.h>

#include <lodge/vmclock.h>

/* The time-stamp counter, neither before what stands before it nor behind what follows. */
static inline u64 lodge_counter(void)
{
	u32 low, high;

	asm volatile("lfence; rdtsc; lfence" : "=a"(low), "=d"(high) : : "memory");
	return (u64)high << 32 | low;
}

/* -EINVAL: no clock page that this module can read. */
int lodge_page_check(const struct lodge_vmclock *page);

/*
 * Takes a reading of the counter by @take, which may take other things with it, and tells what time
 * it was: ns since 1970, UTC. What @take returns other than 0 is returned. -EBUSY: the host writes
 * the page all the time; -EAGAIN: wait, the host does not know yet; -ENODATA: the counter is none
 * to tell the time by; -ERANGE: no such time. Does not sleep.
 */
int lodge_page_time(const struct lodge_vmclock *page, int (*take)(void *context, u64 *ret_counter),
		    void *context, s64 *ret_ns);

struct lodge_pair {
	u64 counter;
	s64 system, raw; /* ns: the clock that was asked for and CLOCK_MONOTONIC_RAW then */
};

/* -EOPNOTSUPP: the system's clock is neither the counter itself nor KVM's clock. */
int lodge_pair_take(clockid_t clock_id, struct lodge_pair *ret_pair);

#endif
