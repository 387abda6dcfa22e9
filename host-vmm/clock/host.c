// SPDX-License-Identifier: GPL-2.0-or-later
// A look at the host's clock: counter, wall and monotonic time at once, what disciplines them; and
// its zone.
#include "host-vmm/clock/clock.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "protocol/lib/counter.h"

#define NS_PER_S  1000000000ll
#define NS_PER_US 1000ll

static int64_t now(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (int64_t)time.tv_sec * NS_PER_S + time.tv_nsec;
}

/* CLOCK_MONOTONIC stands between two readings of CLOCK_REALTIME, whose middle is at its moment. */
static void look(struct host_clock *best)
{
	uint64_t before = counter_read();
	int64_t realtime = now(CLOCK_REALTIME);
	int64_t monotonic = now(CLOCK_MONOTONIC);
	int64_t again = now(CLOCK_REALTIME);
	uint64_t after = counter_read();

	if (after - before >= best->window || again < realtime)
		return;
	best->window = after - before;
	best->tsc = before + best->window / 2;
	best->realtime = realtime + (again - realtime) / 2;
	best->monotonic = monotonic;
}

static uint8_t leap_of(int state)
{
	switch (state) {
	case TIME_INS:
		return LODGE_VMCLOCK_LEAP_PRE_POS;
	case TIME_DEL:
		return LODGE_VMCLOCK_LEAP_PRE_NEG;
	case TIME_OOP:
		return LODGE_VMCLOCK_LEAP_POS;
	default:
		return LODGE_VMCLOCK_LEAP_NONE;
	}
}

int host_clock_read(unsigned int tries, struct host_clock *ret_clock)
{
	struct host_clock clock = { .window = UINT64_MAX };
	struct timex timex = { 0 };
	/* By number: which call the C library takes for it differs, and the sandbox allows one. */
	int state = (int)syscall(SYS_adjtimex, &timex);

	if (state < 0)
		return -errno;
	while (tries-- > 0)
		look(&clock);
	if (clock.window == UINT64_MAX)
		return -EAGAIN;
	clock.asleep = now(CLOCK_BOOTTIME) - now(CLOCK_MONOTONIC);
	clock.synchronized = state != TIME_ERROR && !(timex.status & STA_UNSYNC);
	clock.maxerror = timex.maxerror * NS_PER_US;
	clock.esterror = timex.esterror * NS_PER_US;
	clock.tai = timex.tai;
	/* <linux/timex.h>: 2^-16 ppm, and microseconds of a hundredth of a second */
	clock.rate = (double)timex.freq / 65536 / 1e6 + ((double)timex.tick - 1e4) / 1e4;
	clock.leap = leap_of(state);
	*ret_clock = clock;
	return 0;
}

void host_clock_zone(char ret_zone[HOST_ZONE_MAX])
{
	static const char folder[] = "/zoneinfo/";
	char target[256] = "";
	ssize_t len = readlink("/etc/localtime", target, sizeof(target) - 1);
	const char *name = len > 0 ? strstr(target, folder) : NULL;

	ret_zone[0] = '\0';
	if (name && strlen(name + sizeof(folder) - 1) < HOST_ZONE_MAX)
		strcpy(ret_zone, name + sizeof(folder) - 1);
}
