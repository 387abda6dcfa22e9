// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * GuestMsg by strings: REP OUTSB and REP INSB at the high-bandwidth port.
 *
 * Theory of operation. KVM emulates both. REP OUTSB leaves it for each byte, with RCX and RSI
 * already behind that byte and RIP still at the instruction while RCX is not 0. So the first exit
 * takes the rest, too: it is read through the guest's page tables with the privilege of who sends
 * it, RCX and RSI are moved on, and the guest repeats an instruction that has nothing left to do.
 * Where a page is not there (swapped out, say) reading stops before it; the guest repeats the
 * instruction from there, and takes the page fault itself.
 *
 * REP INSB leaves KVM for up to 1,024 bytes at a time, which KVM itself writes to the guest; RCX
 * still counts them. Should that write fault, the same bytes are asked for again: so where a step
 * begins is told by RCX, and not remembered.
 */
#include "host-vmm/backdoor/guestmsg.h"

#include <string.h>

#include "host-vmm/backdoor/guestmsg_private.h"
#include "host-vmm/guest_linear.h"

#define CHUNK	   4096u /* bytes on the stack at a time */
#define FLAGS_DF   (1ull << 10)
#define HIGH_HALF  16u
#define HB_MESSAGE 0u /* low half of EBX: a message, and not an assertion */

static void set_status(struct kvm_regs *regs, uint32_t status)
{
	regs->rbx = (regs->rbx & 0xffff) | (uint64_t)status << HIGH_HALF;
}

static bool is_message(const struct kvm_regs *regs)
{
	return (regs->rbx & 0xffff) == HB_MESSAGE;
}

/* RCX, RSI as the instruction uses them: compatibility mode has 32 bits of them. */
static uint64_t width(const struct kvm_sregs *sregs)
{
	return sregs && !sregs->cs.l ? UINT32_MAX : UINT64_MAX;
}

/* What of the rest can be had, and has room: RCX and RSI move behind it. */
static int take_rest(struct guestmsg_channel *channel, struct kvm_regs *regs,
		     const struct memory *memory, const struct kvm_sregs *sregs)
{
	uint64_t mask = width(sregs), base = sregs->cs.l ? 0 : sregs->ds.base;
	uint8_t chunk[CHUNK];

	while ((regs->rcx & mask) > 0 && channel->sending) {
		size_t want = channel->size - channel->have, got;
		int ret;

		if (want > (regs->rcx & mask))
			want = regs->rcx & mask;
		if (want > sizeof(chunk))
			want = sizeof(chunk);
		got = guest_linear_read(memory, sregs, (base + regs->rsi) & mask, chunk, want);
		if (got == 0)
			return 0;
		ret = guestmsg_append(channel, chunk, got);
		if (ret < 0)
			return ret;
		regs->rcx = (regs->rcx & mask) - got;
		regs->rsi = (regs->rsi + got) & mask;
	}
	return 0;
}

/* What the guest still wanted to send is of no use: as if it were all taken. */
static uint32_t refuse(struct kvm_regs *regs, uint64_t mask)
{
	regs->rsi = (regs->rsi + regs->rcx) & mask;
	regs->rcx = 0;
	return 0;
}

static uint32_t send_bytes(struct guestmsg *guestmsg, struct kvm_regs *regs, uint8_t first,
			   const struct memory *memory, const struct kvm_sregs *sregs)
{
	uint64_t mask = width(sregs);
	struct guestmsg_channel *channel;
	bool restored;

	channel = guestmsg_find(guestmsg, (uint32_t)regs->rdx >> HIGH_HALF, (uint32_t)regs->rbp,
				(uint32_t)regs->rdi);
	if (!channel || !is_message(regs))
		return refuse(regs, mask);
	restored = channel->restored;
	channel->restored = false;
	if (restored)
		return refuse(regs, mask) | GUESTMSG_CPT;
	/* Of more than was announced nothing is taken: not a whole message of its first bytes. */
	if ((regs->rcx & mask) >= channel->size - channel->have ||
	    guestmsg_append(channel, &first, 1) < 0 ||
	    (sregs && !(regs->rflags & FLAGS_DF) && take_rest(channel, regs, memory, sregs) < 0)) {
		guestmsg_drop_sent(channel);
		return refuse(regs, mask);
	}
	return GUESTMSG_SUCCESS;
}

void guestmsg_send_bytes(struct guestmsg *guestmsg, struct kvm_regs *regs, uint8_t first,
			 const struct memory *memory, const struct kvm_sregs *sregs)
{
	uint32_t status;

	pthread_mutex_lock(&guestmsg->lock);
	status = send_bytes(guestmsg, regs, first, memory, sregs);
	pthread_mutex_unlock(&guestmsg->lock);
	set_status(regs, status);
}

static uint32_t receive_bytes(struct guestmsg *guestmsg, const struct kvm_regs *regs,
			      uint8_t *bytes, size_t count)
{
	struct guestmsg_channel *channel;
	const char *waiting;
	size_t len = 0, at;
	bool restored;

	channel = guestmsg_find(guestmsg, (uint32_t)regs->rdx >> HIGH_HALF, (uint32_t)regs->rsi,
				(uint32_t)regs->rbp);
	if (!channel || !is_message(regs))
		return 0;
	restored = channel->restored;
	channel->restored = false;
	if (restored)
		return GUESTMSG_CPT;
	waiting = guestmsg_waiting(channel, &len);
	if (!waiting || !channel->receiving || regs->rcx > len || count > regs->rcx)
		return 0;
	at = len - regs->rcx;
	memcpy(bytes, waiting + at, count);
	channel->at = at + count;
	return GUESTMSG_SUCCESS;
}

void guestmsg_receive_bytes(struct guestmsg *guestmsg, struct kvm_regs *regs, uint8_t *bytes,
			    size_t count)
{
	uint32_t status;

	memset(bytes, 0, count);
	pthread_mutex_lock(&guestmsg->lock);
	status = receive_bytes(guestmsg, regs, bytes, count);
	pthread_mutex_unlock(&guestmsg->lock);
	set_status(regs, status);
}
