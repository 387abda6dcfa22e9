/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When the guest's clock is set, and how fast it is let run: a state machine over what was
 * measured, that knows neither clocks nor the host.
 *
 * Who keeps the clock decides what may be done. Lodged's own: far off it is set, and near it is
 * slewed, at most 500 ppm, to the host's time and rate. Somebody else's (chrony, ntpd, ...): it is
 * set where the host says that time has moved under the guest, and left alone otherwise.
 *
 * The clock that is set is CLOCK_REALTIME. CLOCK_MONOTONIC takes part in the slewing alone, and
 * never goes back.
 */
#ifndef LODGE_GUEST_TIMESYNC_H
#define LODGE_GUEST_TIMESYNC_H

#include <stdbool.h>
#include <stdint.h>

#define TIMESYNC_SLEW_MAX 500.0 /* ppm: MAXFREQ of <linux/timex.h> */
/* ns from which on it is set: slewing that takes a quarter of an hour. */
#define TIMESYNC_AHEAD	500000000ll /* back: only when it must */
#define TIMESYNC_BEHIND 100000000ll

struct timesync {
	bool ours; /* nobody else keeps the clock */
	bool moved; /* the host says that time has moved; until it was looked at */
	bool started;
	int64_t last_at, last_offset; /* ns, of the last measuring since a step */
	double drift; /* ppm that the clock must run faster to keep the host's pace */
	double ppm; /* that it runs faster */
	unsigned int good; /* measurings in a row that found it right */
	uint64_t steps;
};

struct timesync_action {
	bool step; /* set the clock on by @by */
	int64_t by; /* ns */
	bool slew; /* let it run @ppm faster */
	double ppm;
	unsigned int next_s; /* until the next measuring */
};

/* Zeroed @sync is one that keeps nothing. The clock is now ours, or somebody else's. */
void timesync_own(struct timesync *sync, bool ours);
/* The host says that time has moved, or somebody has set the clock: measure at once. */
void timesync_moved(struct timesync *sync);
/*
 * @at: CLOCK_MONOTONIC, ns; @offset: ns that the host's clock is ahead of ours; @error: it may be
 * so much less or more.
 */
struct timesync_action timesync_measured(struct timesync *sync, int64_t at, int64_t offset,
					 int64_t error);

#endif
