/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * GuestMsg channels: messages in pieces of registers, as VMware's guests send and fetch them
 * through the I/O ports (protocol/spec/backdoor.md).
 *
 * An RPCI channel carries the guest's requests; the reply waits for the guest before the last piece
 * of the request returns. A TCLO channel carries the host's commands, for which the guest polls.
 * Channels belong to the machine and not to a vCPU.
 *
 * Locking: all functions take the table's lock, and may be called by any thread.
 */
#ifndef LODGE_VMM_BACKDOOR_GUESTMSG_H
#define LODGE_VMM_BACKDOOR_GUESTMSG_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct backdoor;
struct guestmsg;
struct log_ratelimit;
struct memory;
struct state;

/* Limits of ours: VMware's hosts have 128 channels and messages of 64 KiB, which a guestinfo value
 * of 64 KiB with its name does not fit. */
#define GUESTMSG_RPCI_MAX      56u
#define GUESTMSG_TCLO_MAX      8u
#define GUESTMSG_CHANNELS      (GUESTMSG_RPCI_MAX + GUESTMSG_TCLO_MAX)
#define GUESTMSG_MESSAGE_MAX   (80u << 10) /* bytes from the guest */
#define GUESTMSG_POOL_MAX      (2u << 20) /* bytes of unfinished messages, all channels together */
#define GUESTMSG_RPCI_STALE_MS 10000u /* unused for so long, a channel makes room for a new one */
#define GUESTMSG_TCLO_STALE_MS 60000u
/* A guest that polls again and again is not working on the command that it has taken. */
#define GUESTMSG_LOST_MS 30000u

/* Bits of the status that each call returns: open-vm-tools lib/include/guest_msg_def.h. */
#define GUESTMSG_SUCCESS 0x01u
#define GUESTMSG_DORECV	 0x02u
#define GUESTMSG_CLOSED	 0x04u
#define GUESTMSG_CPT	 0x10u
#define GUESTMSG_HB	 0x80u

enum guestmsg_type {
	GUESTMSG_OPEN = 0,
	GUESTMSG_SENDSIZE = 1,
	GUESTMSG_SENDPAYLOAD = 2,
	GUESTMSG_RECVSIZE = 3,
	GUESTMSG_RECVPAYLOAD = 4,
	GUESTMSG_RECVSTATUS = 5,
	GUESTMSG_CLOSE = 6,
};

/* EBX of OPEN: the protocol, and whether the guest will show a cookie. */
#define GUESTMSG_COOKIE_WANTED 0x80000000u

/* @log bounds the lines that guests provoke. -ENOMEM. */
int guestmsg_create(struct backdoor *backdoor, struct log_ratelimit *log,
		    struct guestmsg **ret_guestmsg);
/* NULL is fine. */
void guestmsg_destroy(struct guestmsg *guestmsg);
/* Forgets all channels: the guest restarted. */
void guestmsg_reset(struct guestmsg *guestmsg);

/* Whether guestmsg_call() will open a channel, for which it wants to know who asks. */
bool guestmsg_is_open(const struct kvm_regs *regs);
/* Who opens a channel. */
struct guestmsg_opener {
	uint64_t space; /* its address space: another number for each process of the guest */
	bool owner; /* the guest's kernel is it, or has given it the ports (RPC_OWNER) */
};

/* Command 30: one step, by registers. @opener counts where guestmsg_is_open(). */
void guestmsg_call(struct guestmsg *guestmsg, struct kvm_regs *regs,
		   const struct guestmsg_opener *opener);

/*
 * A step of REP OUTSB: KVM hands over one byte, @first, with RCX bytes still to come from RSI on.
 * As many of these as can be read are taken at once, so that the guest goes on behind them. @sregs
 * NULL: none are. RBX gets the status.
 */
void guestmsg_send_bytes(struct guestmsg *guestmsg, struct kvm_regs *regs, uint8_t first,
			 const struct memory *memory, const struct kvm_sregs *sregs);
/* A step of REP INSB: fills @bytes with the next @count of the RCX bytes that the guest still
 * wants. KVM counts RCX down. RBX gets the status. */
void guestmsg_receive_bytes(struct guestmsg *guestmsg, struct kvm_regs *regs, uint8_t *bytes,
			    size_t count);

/* Open channels, which the guest finds again; half-done messages get CPT, and are sent anew. */
void guestmsg_save(struct guestmsg *guestmsg, struct state *state);
int guestmsg_load(struct guestmsg *guestmsg, struct state *state);

#endif
