// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * When the guest's clock is set, and how fast it is let run.
 *
 * Theory of operation. Two measurings tell by how much the clock lost in between, which beside what
 * it was let run faster is its drift; the drift is learned slowly, for each measuring has its
 * error. The clock then runs faster by the drift, and by what takes the offset away in
 * TIME_CONSTANT.
 */
#include "guest-daemon/lodged/timesync.h"

#include <math.h>
#include <stdlib.h>

#define NS_PER_S      1e9
#define TIME_CONSTANT 16.0 /* seconds */
#define LEARNED	      0.25 /* of each new finding */
#define SHORT_S	      1u
#define LONG_S	      32u
#define RIGHT	      200000 /* ns, or twice the measuring's error: nothing to hurry for */

void timesync_own(struct timesync *sync, bool ours)
{
	if (sync->ours == ours)
		return;
	sync->ours = ours;
	sync->started = false;
	sync->good = 0;
}

void timesync_moved(struct timesync *sync)
{
	sync->moved = true;
	sync->started = false;
	sync->good = 0;
}

static double limited(double ppm)
{
	if (ppm > TIMESYNC_SLEW_MAX)
		return TIMESYNC_SLEW_MAX;
	return ppm < -TIMESYNC_SLEW_MAX ? -TIMESYNC_SLEW_MAX : ppm;
}

static bool is_far(int64_t offset, int64_t error)
{
	int64_t limit = offset < 0 ? TIMESYNC_AHEAD : TIMESYNC_BEHIND;

	/* What the measuring itself may be off by is no reason to set a clock. */
	return llabs(offset) > limit && llabs(offset) > 2 * error;
}

static void learn(struct timesync *sync, int64_t at, int64_t offset, int64_t error)
{
	double way = (double)(at - sync->last_at), drift;

	/* Too short a way tells of errors alone. */
	if (!sync->started || way < NS_PER_S / 2 || (double)error / way > 100e-6)
		return;
	drift = sync->ppm + (double)(offset - sync->last_offset) / way * 1e6;
	if (fabs(drift) <= 2 * TIMESYNC_SLEW_MAX)
		sync->drift = limited(sync->drift + LEARNED * (drift - sync->drift));
}

static struct timesync_action slew(struct timesync *sync, int64_t at, int64_t offset, int64_t error)
{
	struct timesync_action action = { .slew = true };
	double constant = TIME_CONSTANT;

	learn(sync, at, offset, error);
	sync->started = true;
	sync->last_at = at;
	sync->last_offset = offset;
	if (llabs(offset) > RIGHT && llabs(offset) > 2 * error)
		sync->good = 0;
	else if (SHORT_S << sync->good < LONG_S)
		sync->good++;
	action.next_s = SHORT_S << sync->good;
	/* Slowly enough that the next measuring finds half of it left: else it swings. */
	if (constant < 2.0 * action.next_s)
		constant = 2.0 * action.next_s;
	sync->ppm = limited(sync->drift + (double)offset / NS_PER_S * 1e6 / constant);
	action.ppm = sync->ppm;
	return action;
}

struct timesync_action timesync_measured(struct timesync *sync, int64_t at, int64_t offset,
					 int64_t error)
{
	bool may_set = sync->ours || sync->moved;

	sync->moved = false;
	if (may_set && is_far(offset, error)) {
		sync->started = false;
		sync->good = 0;
		sync->steps++;
		return (struct timesync_action){ .step = true, .by = offset, .next_s = SHORT_S };
	}
	if (!sync->ours)
		return (struct timesync_action){ .next_s = LONG_S };
	return slew(sync, at, offset, error);
}
