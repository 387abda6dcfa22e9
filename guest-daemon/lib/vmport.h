/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One call at VMware's I/O port, and GuestMsg channels made of such calls.
 *
 * A call blocks for as long as the host takes for it. The process must hold the ports
 * (vmport_claim()); without them the instruction is a fault.
 */
#ifndef LODGE_GUEST_VMPORT_H
#define LODGE_GUEST_VMPORT_H

#include <stddef.h>
#include <stdint.h>

/* Commands, as open-vm-tools lib/include/backdoor_def.h and Linux arch/x86 number them. */
enum vmport_command {
	VMPORT_GETMHZ = 1,
	VMPORT_GETVERSION = 10,
	VMPORT_GETDEVICELISTELEMENT = 11,
	VMPORT_TOGGLEDEVICE = 12,
	VMPORT_GETTIME = 23,
	VMPORT_MESSAGE = 30,
	VMPORT_GETTIMEFULL = 46,
};

struct vmport_regs {
	uint32_t ax, bx, cx, dx, si, di;
};

/* ECX high half, port number and magic are filled in; @regs->cx is only the high half's word. */
void vmport_call(enum vmport_command command, struct vmport_regs *regs);

/*
 * Takes the ports for this process and asks who answers there. -ENOENT: nobody who speaks this
 * protocol, or this CPU has none; -EPERM: not root, or the kernel is locked down.
 */
int vmport_claim(void);

struct vmport_channel {
	uint16_t id;
	uint32_t cookie_high, cookie_low;
};

/* @protocol: LODGE_VMW_PROT_*. -EBUSY: the host gives none. */
int vmport_open(uint32_t protocol, struct vmport_channel *ret_channel);
void vmport_close(const struct vmport_channel *channel);
/* -EPIPE: the channel is gone; open a new one. */
int vmport_send(const struct vmport_channel *channel, const void *message, size_t len);
/* The host's message, NUL-terminated, g_free(); NULL where there is none. -EPIPE, -EMSGSIZE beyond
 * @max. */
int vmport_receive(const struct vmport_channel *channel, size_t max, char **ret_message,
		   size_t *ret_len);

#endif
