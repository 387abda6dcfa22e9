// SPDX-License-Identifier: GPL-2.0-or-later
// A guest's side of GuestMsg, by registers.
#include "tests/unit/vmw_guest.h"

#include <check.h>
#include <string.h>

#include <lodge/backdoor.h>

/* One step on @channel: the status. @value is EBX, in and out; @type is EDX's high half. */
uint32_t guest_step(const struct guest_channel *channel, enum guestmsg_type what, uint32_t *value,
		    uint32_t *ret_type)
{
	struct kvm_regs regs = {
		.rax = LODGE_VMW_MAGIC,
		.rbx = *value,
		.rcx = 30 | (uint32_t)what << 16,
		.rdx = LODGE_VMW_PORT | channel->id << 16,
		.rsi = channel->high,
		.rdi = channel->low,
	};

	vmw_rig_call(channel->rig, &regs);
	*value = (uint32_t)regs.rbx;
	if (ret_type)
		*ret_type = (uint32_t)regs.rdx >> 16;
	/* Not an assertion: libcheck writes a mark for each, and steps are many. */
	if ((regs.rcx & 0xffff) != 30)
		ck_abort_msg("CX is not as it was");
	return (uint32_t)regs.rcx >> 16;
}

uint32_t guest_do(const struct guest_channel *channel, enum guestmsg_type what, uint32_t value)
{
	return guest_step(channel, what, &value, NULL);
}

uint32_t guest_try_open(struct vmw_rig *rig, uint32_t protocol, struct guest_channel *ret_channel)
{
	struct kvm_regs regs = {
		.rax = LODGE_VMW_MAGIC,
		.rbx = protocol | GUESTMSG_COOKIE_WANTED,
		.rcx = 30,
		.rdx = LODGE_VMW_PORT,
	};

	vmw_rig_call(rig, &regs);
	*ret_channel = (struct guest_channel){ rig, (uint32_t)regs.rdx >> 16, (uint32_t)regs.rsi,
					       (uint32_t)regs.rdi };
	return (uint32_t)regs.rcx >> 16;
}

struct guest_channel guest_open(struct vmw_rig *rig, uint32_t protocol)
{
	struct guest_channel channel;

	ck_assert_uint_eq(guest_try_open(rig, protocol, &channel), GUESTMSG_SUCCESS);
	return channel;
}

uint32_t guest_send_size(const struct guest_channel *channel, size_t len)
{
	return guest_do(channel, GUESTMSG_SENDSIZE, (uint32_t)len) & ~GUESTMSG_HB;
}

void guest_send_pieces(const struct guest_channel *channel, const void *bytes, size_t len)
{
	for (size_t at = 0; at < len; at += 4) {
		uint32_t piece = 0;

		memcpy(&piece, (const char *)bytes + at, len - at < 4 ? len - at : 4);
		ck_assert_uint_eq(guest_do(channel, GUESTMSG_SENDPAYLOAD, piece), GUESTMSG_SUCCESS);
	}
}

void guest_send(const struct guest_channel *channel, const void *bytes, size_t len)
{
	ck_assert_uint_eq(guest_send_size(channel, len), GUESTMSG_SUCCESS);
	guest_send_pieces(channel, bytes, len);
}

/* The length of what waits, or -1. */
int guest_receive_size(const struct guest_channel *channel)
{
	uint32_t len = 0, type, status = guest_step(channel, GUESTMSG_RECVSIZE, &len, &type);

	ck_assert(status & GUESTMSG_SUCCESS);
	if (!(status & GUESTMSG_DORECV))
		return -1;
	ck_assert_uint_eq(type, GUESTMSG_SENDSIZE);
	return (int)len;
}

int guest_receive(const struct guest_channel *channel, char *bytes)
{
	int len = guest_receive_size(channel);
	uint32_t type;

	for (int at = 0; at < len; at += 4) {
		uint32_t piece = 1;

		ck_assert_uint_eq(guest_step(channel, GUESTMSG_RECVPAYLOAD, &piece, &type),
				  GUESTMSG_SUCCESS);
		ck_assert_uint_eq(type, GUESTMSG_SENDPAYLOAD);
		memcpy(bytes + at, &piece, len - at < 4 ? len - at : 4);
	}
	if (len >= 0)
		ck_assert_uint_eq(guest_do(channel, GUESTMSG_RECVSTATUS, 1), GUESTMSG_SUCCESS);
	return len;
}
