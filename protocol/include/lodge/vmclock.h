/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-3-Clause */
/*
 * The clock page: what a reading of the guest's time-stamp counter is in UTC, kept by the host.
 * Offsets and values are those of the public vmclock interface (Linux's
 * include/uapi/linux/vmclock-abi.h, 6.13 and later); protocol/spec/vmclock.md tells how to read it.
 */
#ifndef LODGE_VMCLOCK_H
#define LODGE_VMCLOCK_H

#include <linux/types.h>

#define LODGE_VMCLOCK_MAGIC   0x4b4c4356u /* "VCLK" */
#define LODGE_VMCLOCK_VERSION 1
/* Bytes of the region: one page, read-only to the guest. */
#define LODGE_VMCLOCK_SIZE 4096u

/* counter_id */
#define LODGE_VMCLOCK_COUNTER_TSC 1
/* time_type: seconds since 1970 in UTC, leap seconds not smeared */
#define LODGE_VMCLOCK_UTC 0

/* flags */
#define LODGE_VMCLOCK_TAI_OFFSET_VALID	    (1u << 0)
#define LODGE_VMCLOCK_PERIOD_ESTERROR_VALID (1u << 3)
#define LODGE_VMCLOCK_PERIOD_MAXERROR_VALID (1u << 4)
#define LODGE_VMCLOCK_TIME_ESTERROR_VALID   (1u << 5)
#define LODGE_VMCLOCK_TIME_MAXERROR_VALID   (1u << 6)

/* clock_status */
#define LODGE_VMCLOCK_UNKNOWN	   0
#define LODGE_VMCLOCK_INITIALIZING 1 /* wait: the next update is due within a second */
#define LODGE_VMCLOCK_SYNCHRONIZED 2
#define LODGE_VMCLOCK_FREERUNNING  3 /* as good as a host's clock that nothing disciplines */
#define LODGE_VMCLOCK_UNRELIABLE   4 /* the counter is none to tell the time by */

/* leap_second_smearing_hint */
#define LODGE_VMCLOCK_STRICT 0

/* leap_indicator */
#define LODGE_VMCLOCK_LEAP_NONE	    0
#define LODGE_VMCLOCK_LEAP_PRE_POS  1 /* a second is inserted at the end of this month */
#define LODGE_VMCLOCK_LEAP_PRE_NEG  2
#define LODGE_VMCLOCK_LEAP_POS	    3 /* 23:59:60 */
#define LODGE_VMCLOCK_LEAP_POST_POS 4
#define LODGE_VMCLOCK_LEAP_POST_NEG 5

struct lodge_vmclock {
	/* These never change. */
	__le32 magic;
	__le32 size;
	__le16 version;
	__u8 counter_id;
	__u8 time_type;

	__le32 seq_count; /* odd while what follows is being written */
	__le64 disruption_marker; /* another value whenever the counter was disrupted */
	__le64 flags;
	__u8 reserved[2];
	__u8 clock_status;
	__u8 leap_second_smearing_hint;
	__le16 tai_offset_sec; /* signed; TAI - UTC */
	__u8 leap_indicator;
	__u8 counter_period_shift;
	/* The counter, and what time it was then. */
	__le64 counter_value;
	/* Seconds of one count, times 2^(64 + counter_period_shift); likewise its errors. */
	__le64 counter_period_frac_sec;
	__le64 counter_period_esterror_rate_frac_sec;
	__le64 counter_period_maxerror_rate_frac_sec;
	__le64 time_sec;
	__le64 time_frac_sec; /* 2^-64 s */
	__le64 time_esterror_nanosec;
	__le64 time_maxerror_nanosec;
};
_Static_assert(sizeof(struct lodge_vmclock) == 104, "lodge_vmclock");
_Static_assert(__builtin_offsetof(struct lodge_vmclock, counter_value) == 40, "lodge_vmclock");

#endif
