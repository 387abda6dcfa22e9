// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The rule behind policy.h.
 *
 * Theory of operation. Two lines are watched. The host's reserve is what its MemAvailable should
 * not fall below; a guest's cushion is the same for the guest. In auto mode:
 *
 *   - A guest that stalls, or whose available memory is nearly gone, gets memory back in this step,
 *     as much as the host can, without a speed limit, and keeps it for MEMORY_HOLD_MS.
 *   - While the host is below its reserve (or stalls itself), or another VM is in need, every VM
 *     gives its share of what is missing: in proportion to what it can spare, so that VMs which
 *     know the same of each other come to the same result with nobody in the middle. It gives no
 *     faster than an eighth of its size in a second.
 *   - While the host has half its reserve more than it needs, guests get back, at the same speed.
 *     Between the two lines nothing moves: that is the hysteresis.
 *
 * What cannot be had from the host is published as need; the others hear of it, and give.
 */
#include "host-vmm/memory-policy/policy.h"

#define MIB	       (1ull << 20)
#define STEP_BYTES     (2 * MIB) /* targets are multiples of it: one block of the guest's */
#define STALL_GUEST    100u /* a tenth of the time */
#define STALL_HOST     100u
#define SPEED_PART     8 /* of the size, in a second */
#define LEAST_PART     4 /* of the size: what a VM has at least, unless vm.conf says less */
#define ELAPSED_MAX_MS 1000u
#define EVENT_US       2000u /* that a page takes to come from a disk, with its queue */

static uint64_t min_of(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t max_of(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t clamp(uint64_t value, uint64_t low, uint64_t high)
{
	return min_of(max_of(value, low), high);
}

/* 0 where it would be negative. */
static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

uint64_t memory_guest_cushion(uint64_t size)
{
	return clamp(size / 8, 32 * MIB, 1024 * MIB);
}

uint64_t memory_host_reserve(uint64_t total)
{
	return clamp(total / 10, 128 * MIB, 4096 * MIB);
}

unsigned int memory_stall(uint64_t last_us, uint64_t now_us, uint64_t elapsed_ms)
{
	uint64_t stalled = less(now_us, last_us);

	if (elapsed_ms == 0)
		return 0;
	return (unsigned int)min_of(stalled / elapsed_ms, 1000);
}

unsigned int memory_stall_guess(uint64_t events, uint64_t elapsed_ms, uint64_t available,
				uint64_t size)
{
	if (elapsed_ms == 0 || available > memory_guest_cushion(size))
		return 0;
	/* More is no more of a stall, and no product is out of range. */
	return (unsigned int)min_of(min_of(events, UINT32_MAX) * EVENT_US / elapsed_ms, 1000);
}

struct memory_limits memory_limits_of(enum vm_memory_mode mode, uint64_t size, uint64_t min,
				      uint64_t max, uint64_t want)
{
	struct memory_limits limits = { .mode = mode, .size = size };

	limits.max = max ? min_of(max, size) : size;
	limits.min = min_of(min ? min : max_of(size / LEAST_PART, VM_MEMORY_MIN), limits.max);
	limits.want = want ? clamp(want, VM_MEMORY_MIN, size) : size;
	return limits;
}

/* Multiples of a block, and within what auto mode may ask for. */
static uint64_t bound(const struct memory_limits *limits, uint64_t given)
{
	given = clamp(given, limits->size - limits->max, limits->size - limits->min);
	return given - given % STEP_BYTES;
}

static bool is_suffering(const struct memory_limits *limits, const struct memory_guest *guest)
{
	return guest->stall >= STALL_GUEST ||
	       guest->available < memory_guest_cushion(limits->size) / 4;
}

/* How far the host is below its reserve. */
static uint64_t host_lacks(const struct memory_host *host)
{
	uint64_t reserve = memory_host_reserve(host->total);
	uint64_t lacks = less(reserve + reserve / 8, host->available);

	if (host->available < reserve)
		return lacks;
	return host->stall >= STALL_HOST ? max_of(lacks, reserve / 4) : 0;
}

/* What guests may get before the host is at its reserve. In need, half of the reserve is theirs. */
static uint64_t host_has(const struct memory_host *host, bool in_need)
{
	uint64_t reserve = memory_host_reserve(host->total);

	if (in_need)
		return less(host->available, reserve / 2);
	return host->available > reserve + reserve / 2
		       ? less(host->available, reserve + reserve / 4)
		       : 0;
}

static uint64_t speed(const struct memory_limits *limits, uint64_t elapsed_ms)
{
	uint64_t per_second = max_of(limits->size / SPEED_PART, 16 * MIB);

	return per_second * min_of(elapsed_ms, ELAPSED_MAX_MS) / 1000;
}

static uint64_t share_of(uint64_t missing, uint64_t mine, uint64_t others)
{
	/* In MiB, so that no product is out of range. */
	uint64_t all = (mine + others) / MIB;

	return all ? missing / MIB * (mine / MIB) / all * MIB + STEP_BYTES : 0;
}

/* What the guest wants back: its cushion, twice that where it suffers. */
static uint64_t wanted(const struct memory_limits *limits, const struct memory_guest *guest)
{
	uint64_t cushion = memory_guest_cushion(limits->size);

	if (is_suffering(limits, guest))
		return max_of(less(2 * cushion, guest->available), limits->size / SPEED_PART);
	return less(cushion, guest->available);
}

static uint64_t step_auto(struct memory_policy *policy, const struct memory_limits *limits,
			  const struct memory_guest *guest, const struct memory_host *host,
			  const struct memory_share *others, uint64_t now_ms)
{
	uint64_t elapsed = policy->at_ms ? now_ms - policy->at_ms : 0;
	uint64_t cushion = memory_guest_cushion(limits->size);
	uint64_t given = min_of(guest->given, limits->size);
	uint64_t back = min_of(wanted(limits, guest), given), spare, missing, free;

	if (is_suffering(limits, guest))
		policy->hold_ms = now_ms + MEMORY_HOLD_MS;
	if (back > 0) {
		free = min_of(back, host_has(host, true));
		policy->share = (struct memory_share){ .need = back - free };
		return bound(limits, given - free);
	}
	spare = min_of(less(guest->available, cushion), less(limits->size - limits->min, given));
	if (now_ms < policy->hold_ms)
		spare = 0;
	policy->share = (struct memory_share){ .spare = spare };
	missing = host_lacks(host) + others->need;
	if (missing > 0) {
		missing = share_of(missing, spare, others->spare);
		return bound(limits,
			     given + min_of(min_of(missing, spare), speed(limits, elapsed)));
	}
	free = host_has(host, false);
	if (free > 0 && given > 0)
		return bound(limits, given - min_of(given, min_of(free, speed(limits, elapsed))));
	return bound(limits, policy->target);
}

uint64_t memory_policy_step(struct memory_policy *policy, const struct memory_limits *limits,
			    const struct memory_guest *guest, const struct memory_host *host,
			    const struct memory_share *others, uint64_t now_ms)
{
	policy->share = (struct memory_share){ 0 };
	switch (limits->mode) {
	case VM_MEMORY_MANUAL:
		policy->target = less(limits->size, limits->want);
		break;
	case VM_MEMORY_AUTO:
		/* What maximum the user set is asked for in any case. */
		if (!guest->there || host->total == 0)
			policy->target = bound(limits, policy->target);
		else
			policy->target = step_auto(policy, limits, guest, host, others, now_ms);
		break;
	default:
		policy->target = 0;
	}
	policy->at_ms = now_ms;
	return policy->target;
}

bool memory_policy_is_busy(const struct memory_policy *policy, const struct memory_limits *limits,
			   const struct memory_host *host)
{
	return limits->mode == VM_MEMORY_AUTO &&
	       (policy->target > limits->size - limits->max ||
		host->available < 2 * memory_host_reserve(host->total));
}
