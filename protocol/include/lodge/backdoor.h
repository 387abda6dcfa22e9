/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-3-Clause */
/*
 * The backdoor's doors: the virtio device, the virtio-serial port, and the VMware-compatible I/O
 * ports. protocol/spec/backdoor.md has the meaning of each.
 */
#ifndef LODGE_BACKDOOR_H
#define LODGE_BACKDOOR_H

#include <linux/types.h>

/* The virtio device. PCI device id 0x1040 + this (virtio 1.2 section 4.1.2.1). */
#define LODGE_BACKDOOR_VIRTIO_ID 63

#define LODGE_BACKDOOR_QUEUE_REQUEST 0 /* guest to host; replies in the same chain */
#define LODGE_BACKDOOR_QUEUE_EVENT   1 /* buffers that the host fills */
#define LODGE_BACKDOOR_QUEUE_BALLOON 2 /* lodge/balloon.h; with the feature alone */
#define LODGE_BACKDOOR_QUEUES	     3

/* Feature bits. */
#define LODGE_BACKDOOR_F_BALLOON 0 /* the balloon's queue, and balloon_target */

/* An event buffer holds any frame that the host sends by itself. */
#define LODGE_BACKDOOR_EVENT_SIZE (24u + (64u << 10))

/* Configuration space. */
struct lodge_backdoor_config {
	__le32 payload_max; /* bytes: LODGE_RPC_PAYLOAD_MAX of this host */
	__le32 sessions_max; /* LODGE_RPC_SESSIONS_MAX of this host */
	__le32 event_size; /* bytes an event buffer must have */
	__le32 balloon_target; /* pages of 4 KiB that the guest shall give; may change */
};
_Static_assert(sizeof(struct lodge_backdoor_config) == 16, "lodge_backdoor_config");

/* The virtio-serial port, for guests without the module. */
#define LODGE_BACKDOOR_PORT_NAME "org.lodge.tools.0"

/* The I/O ports that VMware's guests know: open-vm-tools lib/include/backdoor_def.h,
 * Linux arch/x86/include/asm/vmware.h. */
#define LODGE_VMW_MAGIC	    0x564d5868u
#define LODGE_VMW_PORT	    0x5658u /* low bandwidth: IN EAX, DX */
#define LODGE_VMW_PORT_HB   0x5659u /* high bandwidth: REP INSB, REP OUTSB */
#define LODGE_VMW_VERSION   6u /* GETVERSION's EAX */
#define LODGE_VMW_PROT_RPCI 0x49435052u /* GuestMsg OPEN: the guest asks */
#define LODGE_VMW_PROT_TCLO 0x4f4c4354u /* GuestMsg OPEN: the host asks */

#endif
