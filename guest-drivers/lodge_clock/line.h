/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The line that the clock page holds, and what time it is on it: arithmetic on numbers that the
 * host chose, which may be any. It uses nothing of the kernel's, so that tests have it, too.
 */
#ifndef LODGE_CLOCK_LINE_H
#define LODGE_CLOCK_LINE_H

#include <linux/errno.h>
#include <linux/types.h>

#include <lodge/vmclock.h>

#define LODGE_LINE_SECOND 1000000000ll /* ns */
/* ns since 1970 fit into 63 bits. */
#define LODGE_LINE_SECONDS_MAX (0x7fffffffffffffffll / LODGE_LINE_SECOND - 1)
/* Another processor's counter, or an update that was slow: so much may a reading be too early. */
#define LODGE_LINE_EARLY_MAX (1ll << 36)

struct lodge_line {
	__u64 counter, period, seconds, fraction;
	unsigned int shift, status;
};

/* -EAGAIN: wait, the host does not know yet; -ENODATA: the counter is none to tell the time by;
 * -ERANGE: no such line. */
static inline int lodge_line_check(const struct lodge_line *line)
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
	if (line->shift > 63 || line->seconds > (__u64)LODGE_LINE_SECONDS_MAX)
		return -ERANGE;
	return 0;
}

/* ns since 1970 when the counter is @counter; @line has passed lodge_line_check(). -ERANGE: no such
 * time. */
static inline int lodge_line_time(const struct lodge_line *line, __u64 counter, __s64 *ret_ns)
{
	/* In 2^-64 s: 64 bits before the point and 64 behind it. */
	unsigned __int128 time = (unsigned __int128)line->seconds << 64 | line->fraction;
	__s64 counts = (__s64)(counter - line->counter);
	unsigned __int128 way;
	__u64 seconds;

	if (counts < -LODGE_LINE_EARLY_MAX)
		return -ERANGE;
	way = (unsigned __int128)(__u64)(counts < 0 ? -counts : counts) * line->period >>
	      line->shift;
	if (counts < 0 && way > time)
		return -ERANGE;
	time = counts < 0 ? time - way : time + way;
	seconds = (__u64)(time >> 64);
	if (seconds > (__u64)LODGE_LINE_SECONDS_MAX)
		return -ERANGE;
	*ret_ns = (__s64)(seconds * LODGE_LINE_SECOND +
			  (__u64)((unsigned __int128)(__u64)time * LODGE_LINE_SECOND >> 64));
	return 0;
}

#endif
