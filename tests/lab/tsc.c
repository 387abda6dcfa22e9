// SPDX-License-Identifier: GPL-2.0-or-later
// Prints the frequency of this machine's time-stamp counter in kHz: QEMU's TCG shows the lab that
// very counter, and a kernel that measures it against an emulated timer on a busy machine may be
// wrong by several times.
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

#define TRIES	 32
#define PAUSE_NS 40000000

struct moment {
	uint64_t ns, ticks;
};

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_RAW, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Both clocks at once: the closest of some tries, as others run on this processor, too. */
static struct moment look(void)
{
	struct moment best = { 0 };
	uint64_t closest = UINT64_MAX;

	for (int i = 0; i < TRIES; i++) {
		uint64_t before = now();
		uint64_t ticks = __rdtsc();
		uint64_t after = now();

		if (after - before >= closest)
			continue;
		closest = after - before;
		best = (struct moment){ before + closest / 2, ticks };
	}
	return best;
}

int main(void)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };
	struct moment first = look(), last;

	nanosleep(&pause, NULL);
	last = look();
	printf("%llu\n",
	       (unsigned long long)((last.ticks - first.ticks) * 1000000u / (last.ns - first.ns)));
	return 0;
}
