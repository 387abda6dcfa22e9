// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * GuestMsg by registers: command 30 of the low-bandwidth port, four bytes of a message at a time.
 *
 * Theory of operation: each step is a row of a table. It gets the channel, which number and cookie
 * have found, and returns the status that the guest reads in the high half of ECX; no SUCCESS bit
 * means that nothing was done. What waits for a guest is kept until it says that it has it, so one
 * that fails midway asks for the size again.
 */
#include "host-vmm/backdoor/guestmsg.h"

#include <string.h>

#include <lodge/backdoor.h>

#include "host-vmm/backdoor/guestmsg_private.h"
#include "protocol/lib/log.h"

#define PIECE	      4u /* bytes in a register */
#define HIGH_HALF     16u
#define HB_WORTHWHILE (2 * PIECE) /* bytes from which on a string costs less exits than pieces */

static void set_high_half(__u64 *reg, uint32_t value)
{
	*reg = (*reg & 0xffff) | (uint64_t)value << HIGH_HALF;
}

static uint32_t with_hb(uint32_t status, size_t len)
{
	return len > HB_WORTHWHILE ? status | GUESTMSG_HB : status;
}

static uint32_t send_size(struct guestmsg_channel *channel, struct kvm_regs *regs)
{
	uint32_t size = (uint32_t)regs->rbx;

	guestmsg_drop_sent(channel);
	if (size > GUESTMSG_MESSAGE_MAX) {
		log_ratelimited(channel->guestmsg->log, LOG_LEVEL_WARN,
				"I/O ports: the guest announces a message of %u bytes, and %u are "
				"the most",
				size, GUESTMSG_MESSAGE_MAX);
		return 0;
	}
	channel->size = size;
	channel->sending = size > 0;
	if (size == 0)
		guestmsg_deliver(channel);
	return with_hb(GUESTMSG_SUCCESS, size);
}

static uint32_t send_payload(struct guestmsg_channel *channel, struct kvm_regs *regs)
{
	uint32_t piece = (uint32_t)regs->rbx;
	size_t left = channel->size - channel->have;
	int ret;

	if (!channel->sending)
		return 0;
	ret = guestmsg_append(channel, &piece, left < PIECE ? left : PIECE);
	if (ret == 0)
		return GUESTMSG_SUCCESS;
	log_ratelimited(channel->guestmsg->log, LOG_LEVEL_WARN,
			"I/O ports: no memory for what the guest sends: %s", strerror(-ret));
	guestmsg_drop_sent(channel);
	return 0;
}

static uint32_t receive_size(struct guestmsg_channel *channel, struct kvm_regs *regs)
{
	size_t len;

	guestmsg_offer(channel);
	if (channel->protocol == LODGE_VMW_PROT_TCLO)
		rpc_session_polled(channel->session);
	if (!guestmsg_waiting(channel, &len))
		return GUESTMSG_SUCCESS;
	channel->receiving = true;
	channel->at = 0;
	regs->rbx = (uint32_t)len;
	set_high_half(&regs->rdx, GUESTMSG_SENDSIZE);
	return with_hb(GUESTMSG_SUCCESS | GUESTMSG_DORECV, len);
}

static uint32_t receive_payload(struct guestmsg_channel *channel, struct kvm_regs *regs)
{
	uint32_t piece = 0;
	const char *bytes;
	size_t len = 0, left;

	bytes = guestmsg_waiting(channel, &len);
	if (!bytes || !channel->receiving || channel->at >= len)
		return 0;
	if ((uint32_t)regs->rbx != 1) { /* it did not like the step before */
		channel->receiving = false;
		return GUESTMSG_SUCCESS;
	}
	left = len - channel->at;
	memcpy(&piece, bytes + channel->at, left < PIECE ? left : PIECE);
	channel->at += left < PIECE ? left : PIECE;
	regs->rbx = piece;
	set_high_half(&regs->rdx, GUESTMSG_SENDPAYLOAD);
	return GUESTMSG_SUCCESS;
}

static uint32_t receive_status(struct guestmsg_channel *channel, struct kvm_regs *regs)
{
	if (!channel->receiving)
		return 0;
	if ((uint32_t)regs->rbx == 1)
		guestmsg_received(channel);
	channel->receiving = false;
	return GUESTMSG_SUCCESS;
}

static uint32_t close_channel(struct guestmsg_channel *channel, struct kvm_regs *regs)
{
	(void)regs;
	guestmsg_close(channel);
	return GUESTMSG_SUCCESS;
}

static uint32_t open_channel(struct guestmsg *guestmsg, struct kvm_regs *regs,
			     const struct guestmsg_opener *opener)
{
	bool cookie = regs->rbx & GUESTMSG_COOKIE_WANTED;
	struct guestmsg_channel *channel;
	int ret;

	ret = guestmsg_open(guestmsg, (uint32_t)regs->rbx & ~GUESTMSG_COOKIE_WANTED, cookie, opener,
			    &channel);
	if (ret < 0) {
		log_ratelimited(guestmsg->log, LOG_LEVEL_WARN,
				"I/O ports: the guest cannot have one more channel: %s",
				strerror(-ret));
		return 0;
	}
	set_high_half(&regs->rdx, (uint32_t)(channel - guestmsg->channels));
	if (cookie) {
		regs->rsi = channel->cookie_high;
		regs->rdi = channel->cookie_low;
	}
	return GUESTMSG_SUCCESS;
}

static const struct step {
	uint32_t (*fn)(struct guestmsg_channel *channel, struct kvm_regs *regs);
	bool piece; /* only part of a message: one that was restored begins again */
} steps[] = {
	[GUESTMSG_SENDSIZE] = { send_size, false },
	[GUESTMSG_SENDPAYLOAD] = { send_payload, true },
	[GUESTMSG_RECVSIZE] = { receive_size, false },
	[GUESTMSG_RECVPAYLOAD] = { receive_payload, true },
	[GUESTMSG_RECVSTATUS] = { receive_status, true },
	[GUESTMSG_CLOSE] = { close_channel, false },
};

static bool is_closed(struct guestmsg_channel *channel)
{
	bool closed;

	pthread_mutex_lock(&channel->guestmsg->inbox_lock);
	closed = channel->closed;
	pthread_mutex_unlock(&channel->guestmsg->inbox_lock);
	return closed;
}

static uint32_t take_step(struct guestmsg *guestmsg, uint32_t type, struct kvm_regs *regs,
			  const struct guestmsg_opener *opener)
{
	struct guestmsg_channel *channel;
	bool restored;

	if (type == GUESTMSG_OPEN)
		return open_channel(guestmsg, regs, opener);
	if (type >= sizeof(steps) / sizeof(steps[0]))
		return 0;
	channel = guestmsg_find(guestmsg, (uint32_t)regs->rdx >> HIGH_HALF, (uint32_t)regs->rsi,
				(uint32_t)regs->rdi);
	if (!channel)
		return GUESTMSG_CLOSED;
	if (is_closed(channel) && type != GUESTMSG_CLOSE) {
		guestmsg_close(channel);
		return GUESTMSG_CLOSED;
	}
	restored = channel->restored;
	channel->restored = false;
	if (restored && steps[type].piece)
		return GUESTMSG_CPT;
	if (!steps[type].piece)
		channel->used_ms = guestmsg_now_ms();
	return steps[type].fn(channel, regs);
}

static uint32_t type_of(const struct kvm_regs *regs)
{
	return (uint32_t)regs->rcx >> HIGH_HALF;
}

bool guestmsg_is_open(const struct kvm_regs *regs)
{
	return type_of(regs) == GUESTMSG_OPEN;
}

void guestmsg_call(struct guestmsg *guestmsg, struct kvm_regs *regs,
		   const struct guestmsg_opener *opener)
{
	uint32_t status;

	pthread_mutex_lock(&guestmsg->lock);
	status = take_step(guestmsg, type_of(regs), regs, opener);
	pthread_mutex_unlock(&guestmsg->lock);
	set_high_half(&regs->rcx, status);
}
