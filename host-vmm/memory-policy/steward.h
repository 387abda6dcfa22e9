/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one owner of a VM's memory target: a timer that reads how guest and host are, takes a step of
 * policy.h, and tells the balloon that the guest has a driver for: the module lodge_balloon (rung
 * 2), else virtio-balloon (rung 0). The other one's target is 0.
 *
 * In mode off there is no timer; in manual mode, and in auto mode while nothing is scarce, it ticks
 * every five seconds; else every second. All functions but create and destroy: any thread.
 */
#ifndef LODGE_VMM_MEMORY_STEWARD_H
#define LODGE_VMM_MEMORY_STEWARD_H

#include <stdbool.h>
#include <stdint.h>

#include "host-vmm/memory-policy/policy.h"

struct machine;
struct memory_steward;

enum memory_driver {
	MEMORY_DRIVER_ABSENT = 0, /* the VM has no balloon */
	MEMORY_DRIVER_NONE = 1, /* the guest has no driver for it */
	MEMORY_DRIVER_VIRTIO = 2,
	MEMORY_DRIVER_LODGE = 3,
};

struct memory_status {
	struct memory_limits limits;
	enum memory_driver driver;
	uint64_t target, given, reported; /* bytes, as in struct balloon_info */
	struct memory_guest
		guest; /* as of the last step, or of the last time that somebody asked */
	uint64_t total, free, cached; /* the guest's; UINT64_MAX: not told */
	struct memory_share share;
	struct memory_host host; /* as of the last step */
};

/* What is to change: members that are 0 stay as they are. */
struct memory_change {
	enum vm_memory_mode mode;
	uint64_t want, min, max; /* bytes */
};

/*
 * Before the sandbox, and before the control socket asks for it. @shared: the folder beside whose
 * VMs' run-time folders the monitors' file lies; NULL: this VM knows of no others. -ENOMEM, or the
 * errno of making the timer.
 */
int memory_steward_create(struct machine *machine, const char *shared,
			  struct memory_steward **ret_steward);
/* Before the machine's devices go. NULL is fine. */
void memory_steward_destroy(struct memory_steward *steward);

/* Acts at once. -ENODEV: the VM has no balloon; -ERANGE: not within the VM's size, or min above
 * max. Nothing has changed then. */
int memory_steward_change(struct memory_steward *steward, const struct memory_change *change);
void memory_steward_get(struct memory_steward *steward, struct memory_status *ret_status);
/* Steps at once: the guest runs, or waits for memory. NULL is fine. */
void memory_steward_poke(struct memory_steward *steward);

#endif
