/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-balloon: memory that the guest gives back, for whoever decides how much (memory-policy/).
 * All functions: any thread, and none waits for the guest or a loop; -ENODEV where the machine has
 * no balloon.
 */
#ifndef LODGE_VMM_BALLOON_H
#define LODGE_VMM_BALLOON_H

#include <linux/virtio_balloon.h>
#include <stdbool.h>
#include <stdint.h>

struct machine;

struct balloon_info {
	bool driver; /* the guest has a driver for it */
	uint64_t target; /* bytes that we asked for */
	uint64_t actual; /* bytes in the balloon, as the guest says */
	uint64_t reported; /* bytes that free page reporting gave back so far */
	uint64_t told; /* how often the guest has told its statistics */
	/* The guest's statistics, as of the call before this one; UINT64_MAX where it gave none.
	 * Indexed by VIRTIO_BALLOON_S_*; memory in bytes, the rest in events. */
	uint64_t stats[VIRTIO_BALLOON_S_NR];
};

/* Memory that the guest shall give up, rounded down to 4 KiB; it takes its time. -ERANGE where it
 * is not less than the machine has. */
int balloon_set_target(struct machine *machine, uint64_t bytes);
/* What is known now; asks the guest for new statistics, which come a little later. */
int balloon_get_info(struct machine *machine, struct balloon_info *ret_info);

#endif
