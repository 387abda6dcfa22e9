/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What lodged's time keeping (timesync.h) does to this system: who keeps its clock, PTP clocks that
 * are the host's, and the setting.
 */
#ifndef LODGE_GUEST_TIMEKEEPING_H
#define LODGE_GUEST_TIMEKEEPING_H

#include <stdbool.h>
#include <stdint.h>

/* How a system's clock is set; each a negative errno. */
struct timekeeping_clock {
	int (*step)(int64_t by_ns);
	int (*slew)(double ppm, int64_t error_ns);
	/* @name has passed timekeeping_is_zone(). -ENOENT: this system does not know it. */
	int (*set_zone)(const char *name);
};

/* This system's. */
extern const struct timekeeping_clock timekeeping_system;

/*
 * The program that keeps this system's clock, by its usual name, or NULL: chrony, ntpd (ntpsec and
 * openntpd call themselves so, too), ptp4l, phc2sys, ts2phc, and systemd-timesyncd once it has
 * found a server. @proc, @run: "/proc", "/run".
 */
const char *timekeeping_owner(const char *proc, const char *run);

/* Whether @name can be one of the tz database, and leads nowhere else. */
bool timekeeping_is_zone(const char *name);

#define TIMEKEEPING_NAME_MAX 32

/* A PTP clock that is the host's. */
struct timekeeping_source {
	int fd; /* -1: none */
	int page_fd; /* of ptp_vmclock, whose time may be TAI: /dev/vmclock0, which is UTC; else -1
		      */
	char by[TIMEKEEPING_NAME_MAX]; /* "lodge_clock", "ptp_vmclock", "ptp_kvm" */
};

/* The best one there is: -ENOENT. */
int timekeeping_open(struct timekeeping_source *ret_source);
void timekeeping_close(struct timekeeping_source *source);
/*
 * Seconds since 1970 in UTC when the counter is @counter, by the clock page that @page_fd reads as;
 * good to a millisecond. -ENODATA: it does not tell.
 */
int timekeeping_page_time(int page_fd, uint64_t counter, double *ret_seconds);
/* ns that the host's clock is ahead of this system's, and what that may be off by. */
int timekeeping_measure(const struct timekeeping_source *source, int64_t *ret_offset,
			int64_t *ret_error);

#endif
