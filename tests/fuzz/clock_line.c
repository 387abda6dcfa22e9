// SPDX-License-Identifier: GPL-2.0-or-later
// What a guest makes of a clock page that a hostile host writes, and what the host's model makes of
// a clock that says anything: bounded times, and no arithmetic that overflows.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "guest-drivers/lodge_clock/line.h"
#include "host-vmm/clock/clock.h"

#define LOOKS_MAX 64

static void read_page(const uint8_t *data, size_t size)
{
	struct lodge_line line = { 0 };
	uint64_t counter;
	__s64 ns = -1;

	if (size < sizeof(line) + sizeof(counter))
		return;
	memcpy(&line, data, sizeof(line));
	memcpy(&counter, data + sizeof(line), sizeof(counter));
	if (lodge_line_check(&line) || lodge_line_time(&line, counter, &ns))
		return;
	if (ns < 0)
		abort();
}

static void look_at_clock(const uint8_t *data, size_t size)
{
	struct clock_model model;
	struct lodge_vmclock page;
	struct {
		uint64_t tsc;
		uint32_t window;
		int32_t realtime_s, monotonic_s, asleep_s;
		int16_t rate;
		uint8_t leap, bits;
	} raw;
	uint32_t khz;

	if (size < sizeof(khz))
		return;
	memcpy(&khz, data, sizeof(khz));
	clock_model_init(&model, khz, 1);
	data += sizeof(khz);
	size -= sizeof(khz);
	for (int i = 0; i < LOOKS_MAX && size >= sizeof(raw); i++) {
		struct host_clock look;

		memcpy(&raw, data, sizeof(raw));
		data += sizeof(raw);
		size -= sizeof(raw);
		look = (struct host_clock){ .tsc = raw.tsc,
					    .window = raw.window,
					    .realtime = raw.realtime_s * 1000000007ll,
					    .monotonic = raw.monotonic_s * 1000000009ll,
					    .asleep = raw.asleep_s * 1000000000ll,
					    .synchronized = raw.bits & 1,
					    .rate = raw.rate / 1e6,
					    .tai = raw.bits,
					    .leap = raw.leap };
		clock_model_advance(&model, &look);
		clock_model_fill(&model, raw.tsc, raw.bits & 2, &page);
		if (page.counter_period_shift > 63 || page.counter_period_frac_sec == 0 ||
		    clock_model_next_ms(&model) < 100 || clock_model_next_ms(&model) > 8000)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] & 1)
		read_page(data + 1, size - 1);
	else
		look_at_clock(data + 1, size - 1);
	return 0;
}
