/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How much memory a VM's guest shall have: the rule, as pure functions of what is known of the
 * guest, the host and the user's other VMs. No clock, no file, no device: tests simulate all of
 * them. protocol/spec/balloon.md, "The policy", tells it to people.
 *
 * All memory is in bytes, stalls are in thousandths of the time. "Given" is memory in the balloon:
 * what the guest has is its size less what it has given.
 */
#ifndef LODGE_VMM_MEMORY_POLICY_H
#define LODGE_VMM_MEMORY_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "host-vmm/conf/vmconf.h"

/* What the user says. 0 < min <= max <= size; want between them. */
struct memory_limits {
	enum vm_memory_mode mode;
	uint64_t size; /* with which the VM was started */
	uint64_t min, max; /* that it has in auto mode */
	uint64_t want; /* in manual mode */
};

struct memory_guest {
	bool there; /* a driver of the balloon that has told how the guest is */
	uint64_t given;
	uint64_t available; /* MemAvailable: what programs could have without swapping */
	unsigned int stall;
};

struct memory_host {
	uint64_t total, available; /* total 0: not known */
	unsigned int stall;
};

/* What a VM tells the others of its user (table.h), or the sums of what the others tell. */
struct memory_share {
	uint64_t spare; /* could be given without pain */
	uint64_t need; /* is wanted back, and the host has none */
};

/* What is kept between two steps. Zeroed at first. */
struct memory_policy {
	uint64_t target; /* given, that the guest is asked for */
	uint64_t at_ms; /* of the last step; 0: none */
	uint64_t hold_ms; /* nothing is taken until then */
	struct memory_share share; /* of this VM, as of the last step */
};

/* Nothing is taken from a guest for so long after it stalled. */
#define MEMORY_HOLD_MS 30000

/*
 * One step: what the guest is to have given. Steps may be any time apart; what they may take grows
 * with the time between them, up to a second's.
 */
uint64_t memory_policy_step(struct memory_policy *policy, const struct memory_limits *limits,
			    const struct memory_guest *guest, const struct memory_host *host,
			    const struct memory_share *others, uint64_t now_ms);

/* Whether something is to be expected soon, so that the next step should not be long from now. */
bool memory_policy_is_busy(const struct memory_policy *policy, const struct memory_limits *limits,
			   const struct memory_host *host);

/* What a guest of @size keeps available, and a host of @total. */
uint64_t memory_guest_cushion(uint64_t size);
uint64_t memory_host_reserve(uint64_t total);

/*
 * Thousandths of the time between two readings of a sum of microseconds, at most 1000. @now_us
 * smaller than @last_us (the guest has rebooted) is no stall.
 */
unsigned int memory_stall(uint64_t last_us, uint64_t now_us, uint64_t elapsed_ms);

/*
 * The same where a guest tells no such sum: @events pages were read back from disks or swap. A
 * guest that has plenty available reads files, and does not stall.
 */
unsigned int memory_stall_guess(uint64_t events, uint64_t elapsed_ms, uint64_t available,
				uint64_t size);

/* Makes limits of what vm.conf says: 0 is what was not said. Always in order. */
struct memory_limits memory_limits_of(enum vm_memory_mode mode, uint64_t size, uint64_t min,
				      uint64_t max, uint64_t want);

#endif
