/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * PTP clocks, from 3.10 on: what kernels lack or call by another name, by compat/config.h.
 */
#ifndef LODGE_COMPAT_CLOCK_H
#define LODGE_COMPAT_CLOCK_H

#include <linux/compiler.h>
#include <linux/io.h>
#include <linux/ktime.h>
#include <linux/ptp_clock_kernel.h>
#include <linux/timekeeping.h>

#include "compat/config.h"

#ifdef LODGE_HAVE_PVCLOCK
#include <asm/pvclock.h>
#endif

#ifndef READ_ONCE
#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#endif

#ifdef LODGE_HAVE_MEMREMAP
#define lodge_map_page(start, size) memremap(start, size, MEMREMAP_WB)
#define lodge_unmap_page(page)	    memunmap(page)
#else
#define lodge_map_page(start, size) ((__force void *)ioremap_cache(start, size))
#define lodge_unmap_page(page)	    iounmap((__force void __iomem *)(page))
#endif

/* Counter and clocks at one moment; the clock is CLOCK_REALTIME where the kernel knows no other. */
#if defined(LODGE_HAVE_SNAPSHOT_ID)
#define LODGE_SNAPSHOT				1
#define lodge_snapshot_take(clock_id, snapshot) ktime_get_snapshot_id(clock_id, snapshot)
#define lodge_snapshot_system(snapshot)		((snapshot)->systime)
#define lodge_snapshot_raw(snapshot)		((snapshot)->monoraw)
#elif defined(LODGE_HAVE_SNAPSHOT)
#define LODGE_SNAPSHOT				1
#define lodge_snapshot_take(clock_id, snapshot) ktime_get_snapshot(snapshot)
#define lodge_snapshot_system(snapshot)		((snapshot)->real)
#define lodge_snapshot_raw(snapshot)		((snapshot)->raw)
#endif

#ifdef LODGE_HAVE_CROSSTSTAMP_ID
#define lodge_cross_clock(stamp)	((stamp)->clock_id)
#define lodge_cross_system(stamp, time) ((stamp)->sys_systime = (time))
#else
#define lodge_cross_clock(stamp)	CLOCK_REALTIME
#define lodge_cross_system(stamp, time) ((stamp)->sys_realtime = (time))
#endif

#ifdef LODGE_HAVE_PTP_TIME64
#define lodge_timespec	  timespec64
#define lodge_to_timespec ns_to_timespec64
#define LODGE_PTP_SETTIME settime64
#else
#define lodge_timespec	  timespec
#define lodge_to_timespec ns_to_timespec
#define LODGE_PTP_SETTIME settime
#endif

#ifdef LODGE_HAVE_PTP_ADJFINE
#define LODGE_PTP_ADJUST adjfine
#define lodge_ptp_rate	 long
#else
#define LODGE_PTP_ADJUST adjfreq
#define lodge_ptp_rate	 s32
#endif

#endif
