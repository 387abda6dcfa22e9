/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commands of the VMware-compatible low-bandwidth port, by number in the low half of ECX.
 *
 * Numbers and registers: open-vm-tools lib/include/backdoor_def.h, Linux arch/x86/kernel/cpu/
 * vmware.c, QEMU hw/i386/vmport.c.
 */
#ifndef LODGE_VMM_BACKDOOR_VMW_COMMANDS_H
#define LODGE_VMM_BACKDOOR_VMW_COMMANDS_H

#include <stdint.h>

struct guestmsg;
struct machine;
struct vmw_caller;

struct vmw_host {
	const struct machine *machine; /* borrowed */
	struct guestmsg *guestmsg; /* owned by who owns this */
	uint32_t gui_options; /* atomic; what the guest last said, for the guest alone */
};

/*
 * Answers a call whose EAX was the magic: sets, zero-extended, those of the caller's registers that
 * the command defines, and leaves the others alone. An unknown command gets all ones in EAX.
 */
void vmw_command(struct vmw_host *host, struct vmw_caller *caller);

#endif
