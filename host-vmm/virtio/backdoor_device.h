/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of the backdoor's virtio device know of each other. */
#ifndef LODGE_VMM_BACKDOOR_DEVICE_H
#define LODGE_VMM_BACKDOOR_DEVICE_H

struct backdoor_balloon;
struct machine;

/* Of @machine's backdoor device; NULL where it has none, or vm.conf has no balloon. Any thread. */
struct backdoor_balloon *virtio_backdoor_balloon(struct machine *machine);

#endif
