// SPDX-License-Identifier: GPL-2.0-or-later
// The VMware-compatible ports by registers: small commands, GuestMsg channels, strings, abuse
// (T33).
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <lodge/backdoor.h>

#include "host-vmm/backdoor/guestmsg.h"
#include "host-vmm/device.h"
#include "host-vmm/memory.h"
#include "host-vmm/state.h"
#include "tests/unit/vmw_rig.h"

#define JUNK 0xabcd00000000ull /* above the 32 bits that a command sets */

static struct vmw_rig rig;

struct channel {
	uint32_t id, high, low;
};

static void setup(void)
{
	vmw_rig_create(&rig);
}

static void teardown(void)
{
	vmw_rig_destroy(&rig);
}

static struct kvm_regs command(uint16_t number)
{
	return (struct kvm_regs){
		.rax = LODGE_VMW_MAGIC,
		.rbx = JUNK | 0x1111,
		.rcx = JUNK | number,
		.rdx = JUNK | LODGE_VMW_PORT,
		.rsi = JUNK | 0x2222,
		.rdi = JUNK | 0x3333,
		.rbp = JUNK | 0x4444,
		.rip = 0x1234,
	};
}

static struct kvm_regs called(uint16_t number)
{
	struct kvm_regs regs = command(number);

	vmw_rig_call(&rig, &regs);
	ck_assert_uint_eq(regs.rip, 0x1234);
	return regs;
}

/* One step on @channel: the status. @value is EBX, in and out; @type is EDX's high half. */
static uint32_t step(const struct channel *channel, enum guestmsg_type what, uint32_t *value,
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

	vmw_rig_call(&rig, &regs);
	*value = (uint32_t)regs.rbx;
	if (ret_type)
		*ret_type = (uint32_t)regs.rdx >> 16;
	ck_assert_uint_eq(regs.rcx & 0xffff, 30);
	return (uint32_t)regs.rcx >> 16;
}

static uint32_t step_with(const struct channel *channel, enum guestmsg_type what, uint32_t value)
{
	return step(channel, what, &value, NULL);
}

static uint32_t try_open(uint32_t protocol, struct channel *ret_channel)
{
	struct kvm_regs regs = {
		.rax = LODGE_VMW_MAGIC,
		.rbx = protocol | GUESTMSG_COOKIE_WANTED,
		.rcx = 30,
		.rdx = LODGE_VMW_PORT,
	};

	vmw_rig_call(&rig, &regs);
	*ret_channel = (struct channel){ (uint32_t)regs.rdx >> 16, (uint32_t)regs.rsi,
					 (uint32_t)regs.rdi };
	return (uint32_t)regs.rcx >> 16;
}

static struct channel open_channel(uint32_t protocol)
{
	struct channel channel;

	ck_assert_uint_eq(try_open(protocol, &channel), GUESTMSG_SUCCESS);
	return channel;
}

static uint32_t send_size(const struct channel *channel, size_t len)
{
	return step_with(channel, GUESTMSG_SENDSIZE, (uint32_t)len) & ~GUESTMSG_HB;
}

static void send_pieces(const struct channel *channel, const void *bytes, size_t len)
{
	for (size_t at = 0; at < len; at += 4) {
		uint32_t piece = 0;

		memcpy(&piece, (const char *)bytes + at, len - at < 4 ? len - at : 4);
		ck_assert_uint_eq(step_with(channel, GUESTMSG_SENDPAYLOAD, piece),
				  GUESTMSG_SUCCESS);
	}
}

static void send_message(const struct channel *channel, const void *bytes, size_t len)
{
	ck_assert_uint_eq(send_size(channel, len), GUESTMSG_SUCCESS);
	send_pieces(channel, bytes, len);
}

/* The length of what waits, or -1. */
static int receive_size(const struct channel *channel)
{
	uint32_t len = 0, type, status = step(channel, GUESTMSG_RECVSIZE, &len, &type);

	ck_assert(status & GUESTMSG_SUCCESS);
	if (!(status & GUESTMSG_DORECV))
		return -1;
	ck_assert_uint_eq(type, GUESTMSG_SENDSIZE);
	return (int)len;
}

static int receive_message(const struct channel *channel, char *bytes)
{
	int len = receive_size(channel);
	uint32_t type;

	for (int at = 0; at < len; at += 4) {
		uint32_t piece = 1;

		ck_assert_uint_eq(step(channel, GUESTMSG_RECVPAYLOAD, &piece, &type),
				  GUESTMSG_SUCCESS);
		ck_assert_uint_eq(type, GUESTMSG_SENDPAYLOAD);
		memcpy(bytes + at, &piece, len - at < 4 ? len - at : 4);
	}
	if (len >= 0)
		ck_assert_uint_eq(step_with(channel, GUESTMSG_RECVSTATUS, 1), GUESTMSG_SUCCESS);
	return len;
}

START_TEST(small_commands)
{
	struct kvm_regs regs = called(10);

	ck_assert_uint_eq(regs.rax, 6);
	ck_assert_uint_eq(regs.rbx, LODGE_VMW_MAGIC);
	ck_assert_uint_eq(regs.rcx, 4);
	ck_assert_uint_eq(regs.rdx, JUNK | LODGE_VMW_PORT);
	ck_assert_uint_eq(called(17).rbx, LODGE_VMW_MAGIC);
	ck_assert_uint_eq(called(20).rax, VMW_RIG_MEMORY);
	ck_assert_uint_eq(called(20).rbx, 0x1177);
	ck_assert_uint_eq(called(68).rax >> 31, 0);
	ck_assert_uint_eq(called(91).rax, UINT32_MAX);
	/* No processor tells its frequency here. */
	regs = called(45);
	ck_assert_uint_eq(regs.rax, UINT32_MAX);
	ck_assert_uint_eq(regs.rbx, JUNK | 0x1111);
	rig.config.memory = 64ull << 30;
	ck_assert_uint_eq(called(20).rax, 0xfffff000);
	memcpy(rig.machine.uuid, "0123456789abcdef", 16);
	regs = called(19);
	ck_assert_uint_eq(regs.rax, 0x33323130);
	ck_assert_uint_eq(regs.rdx, 0x66656463);
	regs = command(14);
	regs.rbx = 0x403;
	vmw_rig_call(&rig, &regs);
	ck_assert_uint_eq(called(13).rax, 3);
	rig.time_sync = true;
	ck_assert_uint_eq(called(13).rax, 0x403);
	rig.device->type->reset(rig.device);
	ck_assert_uint_eq(called(13).rax, 0x400);
}
END_TEST

START_TEST(clocks)
{
	time_t now = time(NULL);
	struct kvm_regs regs = called(23);

	ck_assert_int_le(llabs((long long)regs.rax - now), 2);
	regs = called(55);
	ck_assert_uint_eq(regs.rax, LODGE_VMW_MAGIC);
	ck_assert_int_le(llabs((long long)(regs.rsi << 32 | regs.rdx) - now), 2);
	ck_assert_uint_lt(regs.rbx, 1000000);
	ck_assert_uint_eq(regs.rdi, 0);
	ck_assert_uint_eq(called(46).rdi, JUNK | 0x3333);
	regs = called(97);
	ck_assert_uint_eq(regs.rax, 0);
	ck_assert_int_le(llabs((long long)((regs.rbx << 32 | regs.rcx) / 1000000000) - now), 2);
	/* Beyond 2038 the old form has no room. */
	rig.later_ms = 20ull * 365 * 86400 * 1000;
	ck_assert_uint_eq(called(23).rax, UINT32_MAX);
	ck_assert_uint_gt(called(46).rdx, INT32_MAX);
	rig.later_ms = 0;
}
END_TEST

static void check_untouched(const struct kvm_regs *regs, const struct kvm_regs *before)
{
	ck_assert_uint_eq(regs->rbx, before->rbx);
	ck_assert_uint_eq(regs->rcx, before->rcx);
	ck_assert_uint_eq(regs->rdx, before->rdx);
	ck_assert_uint_eq(regs->rsi, before->rsi);
	ck_assert_uint_eq(regs->rdi, before->rdi);
}

START_TEST(nobody_is_there)
{
	struct kvm_regs regs, before;

	/* Numbers that nobody has, and those of VMware's that are not ours. */
	for (uint32_t number = 105; number < 0x10000; number += 7) {
		before = regs = command((uint16_t)number);
		vmw_rig_call(&rig, &regs);
		ck_assert_uint_eq(regs.rax, UINT32_MAX);
		check_untouched(&regs, &before);
	}
	/* Without the word; in other widths; the other way. */
	before = regs = command(10);
	before.rax = regs.rax = 0x564d5869;
	vmw_rig_call(&rig, &regs);
	ck_assert_uint_eq(regs.rax, UINT32_MAX);
	check_untouched(&regs, &before);
	before = regs = command(10);
	ck_assert_uint_eq(vmw_rig_access(&rig, &regs, LODGE_VMW_PORT, true, 1), 0xff);
	ck_assert_uint_eq(vmw_rig_access(&rig, &regs, LODGE_VMW_PORT, true, 2), 0xffff);
	ck_assert_uint_eq(vmw_rig_access(&rig, &regs, LODGE_VMW_PORT_HB, true, 4), UINT32_MAX);
	for (unsigned int size = 1; size <= 4; size *= 2) {
		vmw_rig_access(&rig, &regs, LODGE_VMW_PORT, false, size);
		vmw_rig_access(&rig, &regs, LODGE_VMW_PORT_HB, false, size == 1 ? 2 : size);
	}
	check_untouched(&regs, &before);
}
END_TEST

START_TEST(requests_of_all_lengths)
{
	struct channel channel = open_channel(LODGE_VMW_PROT_RPCI);
	char text[64], answer[64];

	for (size_t len = 0; len < 20; len++) {
		for (size_t i = 0; i < len; i++)
			text[i] = (char)('a' + i);
		ck_assert_int_eq(receive_size(&channel), -1);
		send_message(&channel, text, len);
		ck_assert_uint_eq(rig.request_len, len);
		ck_assert_mem_eq(rig.request, text, len);
		ck_assert_int_eq(receive_message(&channel, answer), (int)len + 2);
		ck_assert_mem_eq(answer, "1 ", 2);
		ck_assert_mem_eq(answer + 2, text, len);
		ck_assert_int_eq(receive_size(&channel), -1);
	}
	ck_assert_uint_eq(step_with(&channel, GUESTMSG_CLOSE, 0), GUESTMSG_SUCCESS);
	ck_assert_uint_eq(step_with(&channel, GUESTMSG_CLOSE, 0), GUESTMSG_CLOSED);
	ck_assert_uint_eq(rig.sessions, 0);
}
END_TEST

START_TEST(exits_for_each_request)
{
	struct channel channel = open_channel(LODGE_VMW_PROT_RPCI);
	char text[64] = "info-get guestinfo.x", answer[128];

	send_message(&channel, text, 64);
	receive_message(&channel, answer);
	step_with(&channel, GUESTMSG_CLOSE, 0);
	/* open, size, 16 pieces; size, 17 pieces of 66 bytes, status, close */
	ck_assert_uint_eq(rig.exits, 1 + 1 + 16 + 1 + 17 + 1 + 1);
}
END_TEST

START_TEST(a_reply_is_kept_until_it_is_taken)
{
	struct channel channel = open_channel(LODGE_VMW_PROT_RPCI);
	uint32_t piece;
	char answer[64];

	send_message(&channel, "hello", 5);
	ck_assert_int_eq(receive_size(&channel), 7);
	ck_assert_uint_eq(step_with(&channel, GUESTMSG_RECVPAYLOAD, 1), GUESTMSG_SUCCESS);
	/* It gave up; asks anew; does not like what it got; asks anew. */
	ck_assert_int_eq(receive_size(&channel), 7);
	piece = 0;
	step(&channel, GUESTMSG_RECVPAYLOAD, &piece, NULL);
	ck_assert_uint_eq(step_with(&channel, GUESTMSG_RECVPAYLOAD, 1), 0);
	ck_assert_int_eq(receive_size(&channel), 7);
	ck_assert_uint_eq(step_with(&channel, GUESTMSG_RECVSTATUS, 0), GUESTMSG_SUCCESS);
	ck_assert_int_eq(receive_message(&channel, answer), 7);
	ck_assert_mem_eq(answer, "1 hello", 7);
	/* One that was not fetched makes room for the next. */
	send_message(&channel, "one", 3);
	send_message(&channel, "two", 3);
	ck_assert_int_eq(receive_message(&channel, answer), 5);
	ck_assert_mem_eq(answer, "1 two", 5);
}
END_TEST

START_TEST(t33_wrong_sizes)
{
	static const uint32_t sizes[] = { GUESTMSG_MESSAGE_MAX + 1, 1u << 31, UINT32_MAX };
	struct channel channel = open_channel(LODGE_VMW_PROT_RPCI);

	/* Payload and status without a size. */
	ck_assert_uint_eq(step_with(&channel, GUESTMSG_SENDPAYLOAD, 1), 0);
	ck_assert_uint_eq(step_with(&channel, GUESTMSG_RECVPAYLOAD, 1), 0);
	ck_assert_uint_eq(step_with(&channel, GUESTMSG_RECVSTATUS, 1), 0);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		ck_assert_uint_eq(step_with(&channel, GUESTMSG_SENDSIZE, sizes[i]), 0);
		ck_assert_uint_eq(step_with(&channel, GUESTMSG_SENDPAYLOAD, 1), 0);
	}
	/* Announced and never sent: a new size begins anew. */
	ck_assert_uint_eq(send_size(&channel, GUESTMSG_MESSAGE_MAX), GUESTMSG_SUCCESS);
	ck_assert_uint_eq(step_with(&channel, GUESTMSG_SENDPAYLOAD, 1), GUESTMSG_SUCCESS);
	send_message(&channel, "x", 1);
	ck_assert_uint_eq(rig.requests, 1);
	ck_assert_uint_eq(rig.request_len, 1);
	/* More than announced. */
	ck_assert_uint_eq(step_with(&channel, GUESTMSG_SENDPAYLOAD, 1), 0);
	ck_assert_uint_eq(rig.requests, 1);
	/* Types that there are not. */
	for (uint32_t type = 7; type < 0x10000; type += 97)
		ck_assert_uint_eq(step_with(&channel, (enum guestmsg_type)type, 0), 0);
}
END_TEST

START_TEST(t33_foreign_channels)
{
	struct channel one = open_channel(LODGE_VMW_PROT_RPCI);
	struct channel two = open_channel(LODGE_VMW_PROT_RPCI), wrong = one;
	char answer[64];

	ck_assert_uint_ne(one.id, two.id);
	wrong.low ^= 1;
	ck_assert_uint_eq(step_with(&wrong, GUESTMSG_SENDSIZE, 4), GUESTMSG_CLOSED);
	ck_assert_uint_eq(step_with(&wrong, GUESTMSG_CLOSE, 0), GUESTMSG_CLOSED);
	wrong = (struct channel){ two.id, one.high, one.low };
	ck_assert_uint_eq(step_with(&wrong, GUESTMSG_RECVSIZE, 0), GUESTMSG_CLOSED);
	wrong = (struct channel){ 0xffff, one.high, one.low };
	ck_assert_uint_eq(step_with(&wrong, GUESTMSG_RECVSIZE, 0), GUESTMSG_CLOSED);
	/* A free slot has no cookie that would do. */
	wrong = (struct channel){ GUESTMSG_CHANNELS - 1, 0, 0 };
	ck_assert_uint_eq(step_with(&wrong, GUESTMSG_RECVSIZE, 0), GUESTMSG_CLOSED);
	/* Two messages piece by piece. */
	ck_assert_uint_eq(send_size(&one, 8), GUESTMSG_SUCCESS);
	ck_assert_uint_eq(send_size(&two, 8), GUESTMSG_SUCCESS);
	send_pieces(&one, "aaaa", 4);
	send_pieces(&two, "bbbb", 4);
	send_pieces(&one, "AAAA", 4);
	send_pieces(&two, "BBBB", 4);
	receive_message(&one, answer);
	ck_assert_mem_eq(answer, "1 aaaaAAAA", 10);
	receive_message(&two, answer);
	ck_assert_mem_eq(answer, "1 bbbbBBBB", 10);
}
END_TEST

START_TEST(t33_ten_thousand_opens)
{
	struct channel channel, first = open_channel(LODGE_VMW_PROT_RPCI), tools;
	unsigned int opened = 1;

	for (int i = 0; i < 10000; i++)
		opened += try_open(LODGE_VMW_PROT_RPCI, &channel) == GUESTMSG_SUCCESS;
	ck_assert_uint_eq(opened, GUESTMSG_RPCI_MAX);
	ck_assert_uint_eq(rig.sessions, opened);
	ck_assert_uint_eq(try_open(0x12345678, &channel), 0);
	/* The tools' channel has a place of its own. */
	tools = open_channel(LODGE_VMW_PROT_TCLO);
	ck_assert_int_eq(receive_size(&tools), -1);
	/* Those that nobody uses make room, longest unused first. */
	rig.later_ms += GUESTMSG_RPCI_STALE_MS / 2 + 1000;
	ck_assert_int_eq(receive_size(&first), -1);
	rig.later_ms += GUESTMSG_RPCI_STALE_MS / 2 + 1000;
	for (unsigned int i = 1; i < GUESTMSG_RPCI_MAX; i++)
		open_channel(LODGE_VMW_PROT_RPCI);
	ck_assert_uint_eq(try_open(LODGE_VMW_PROT_RPCI, &channel), 0);
	ck_assert_int_eq(receive_size(&first), -1);
	ck_assert_int_eq(receive_size(&tools), -1);
	rig.device->type->reset(rig.device);
	ck_assert_uint_eq(rig.sessions, 0);
	ck_assert_uint_eq(step_with(&first, GUESTMSG_RECVSIZE, 0), GUESTMSG_CLOSED);
}
END_TEST

START_TEST(t33_unfinished_messages_are_bounded)
{
	struct channel channels[GUESTMSG_RPCI_MAX];
	unsigned int refused = 0;
	size_t taken = 0;

	for (size_t i = 0; i < GUESTMSG_RPCI_MAX; i++) {
		size_t at = 0;

		channels[i] = open_channel(LODGE_VMW_PROT_RPCI);
		ck_assert_uint_eq(send_size(&channels[i], GUESTMSG_MESSAGE_MAX), GUESTMSG_SUCCESS);
		while (at + 4 < GUESTMSG_MESSAGE_MAX &&
		       step_with(&channels[i], GUESTMSG_SENDPAYLOAD, 1) != 0)
			at += 4;
		if (at + 4 < GUESTMSG_MESSAGE_MAX)
			refused++;
		else
			taken += at;
	}
	ck_assert_uint_gt(refused, 0);
	ck_assert_uint_le(taken, GUESTMSG_POOL_MAX);
	/* What is closed is free again. */
	for (size_t i = 0; i < GUESTMSG_RPCI_MAX; i++)
		ck_assert_uint_eq(step_with(&channels[i], GUESTMSG_CLOSE, 0), GUESTMSG_SUCCESS);
	channels[0] = open_channel(LODGE_VMW_PROT_RPCI);
	ck_assert_uint_eq(send_size(&channels[0], GUESTMSG_MESSAGE_MAX), GUESTMSG_SUCCESS);
	for (size_t at = 0; at < GUESTMSG_MESSAGE_MAX; at += 4)
		ck_assert_uint_eq(step_with(&channels[0], GUESTMSG_SENDPAYLOAD, 1),
				  GUESTMSG_SUCCESS);
	ck_assert_uint_eq(rig.request_len, GUESTMSG_MESSAGE_MAX);
}
END_TEST

START_TEST(commands_and_results)
{
	struct channel tools = open_channel(LODGE_VMW_PROT_TCLO);
	struct rpc_session *session = rig.last;
	char command[64];

	ck_assert_uint_eq(send_size(&tools, 0), GUESTMSG_SUCCESS);
	ck_assert_int_eq(receive_size(&tools), -1);
	ck_assert_int_eq(vmw_rig_command(session, 7, "reset", 5), 0);
	ck_assert_int_eq(vmw_rig_command(session, 8, "ping", 4), -ENOBUFS);
	ck_assert_uint_eq(send_size(&tools, 0), GUESTMSG_SUCCESS);
	ck_assert_int_eq(receive_message(&tools, command), 5);
	ck_assert_mem_eq(command, "reset", 5);
	ck_assert_int_eq(receive_size(&tools), -1);
	send_message(&tools, "OK ATR toolbox", 14);
	ck_assert_uint_eq(rig.results, 1);
	ck_assert_uint_eq(rig.result_tag, 7);
	ck_assert_mem_eq(rig.result, "OK ATR toolbox", 14);
	/* Nothing was asked. */
	send_message(&tools, "OK ", 3);
	ck_assert_uint_eq(rig.results, 1);
	ck_assert_uint_eq(rig.requests, 0);
	/* Taken, and lost: polled for 30 s. */
	ck_assert_int_eq(vmw_rig_command(session, 9, "ping", 4), 0);
	receive_message(&tools, command);
	send_size(&tools, 0);
	ck_assert_uint_eq(rig.results, 1);
	rig.later_ms += GUESTMSG_LOST_MS + 2000;
	send_size(&tools, 0);
	ck_assert_uint_eq(rig.results, 2);
	ck_assert_uint_eq(rig.result_tag, 9);
	ck_assert_mem_eq(rig.result, "ERROR", 5);
	/* The service ends it. */
	ck_assert_int_eq(vmw_rig_command(session, 10, "ping", 4), 0);
	ck_assert_int_eq(vmw_rig_shut(session), 0);
	ck_assert_int_eq(vmw_rig_command(session, 11, "ping", 4), -EPIPE);
	ck_assert_uint_eq(step_with(&tools, GUESTMSG_SENDSIZE, 0), GUESTMSG_CLOSED);
	ck_assert_uint_eq(rig.sessions, 0);
}
END_TEST

static struct kvm_regs string_out(const struct channel *channel, uint64_t address, size_t len)
{
	return (struct kvm_regs){
		.rax = LODGE_VMW_MAGIC,
		.rbx = GUESTMSG_SUCCESS << 16,
		.rcx = len,
		.rdx = LODGE_VMW_PORT_HB | channel->id << 16,
		.rsi = address,
		.rdi = channel->low,
		.rbp = channel->high,
	};
}

static struct kvm_regs string_in(const struct channel *channel, uint64_t address, size_t len)
{
	struct kvm_regs regs = string_out(channel, address, len);

	regs.rsi = channel->high;
	regs.rdi = address;
	regs.rbp = channel->low;
	return regs;
}

static void fill_guest(size_t len, char *text)
{
	for (size_t i = 0; i < len; i++)
		text[i] = (char)(i * 7 + i / 4096);
	ck_assert_int_eq(memory_write(rig.machine.memory, VMW_RIG_GPA, text, len), 0);
}

START_TEST(strings_there_and_back)
{
	static char text[GUESTMSG_MESSAGE_MAX], back[GUESTMSG_MESSAGE_MAX + 2];
	struct channel channel = open_channel(LODGE_VMW_PROT_RPCI);
	struct kvm_regs regs;
	size_t len = 70000;

	vmw_rig_set_user(&rig, true);
	fill_guest(len, text);
	ck_assert_uint_eq(step_with(&channel, GUESTMSG_SENDSIZE, (uint32_t)len),
			  GUESTMSG_SUCCESS | GUESTMSG_HB);
	rig.exits = 0;
	regs = string_out(&channel, VMW_RIG_LINEAR, len);
	ck_assert(vmw_rig_outs(&rig, &regs));
	ck_assert_uint_eq(rig.exits, 1);
	ck_assert_uint_eq(regs.rbx, GUESTMSG_SUCCESS << 16);
	ck_assert_uint_eq(regs.rsi, VMW_RIG_LINEAR + len);
	ck_assert_uint_eq(rig.request_len, len);
	ck_assert_mem_eq(rig.request, text, len);

	ck_assert_int_eq(receive_size(&channel), (int)len + 2);
	rig.exits = 0;
	regs = string_in(&channel, VMW_RIG_LINEAR + 100, len + 2);
	ck_assert(vmw_rig_ins(&rig, &regs));
	ck_assert_uint_le(rig.exits, (len + 2) / 1024 + 20);
	ck_assert_uint_eq(regs.rbx, GUESTMSG_SUCCESS << 16);
	ck_assert_uint_eq(step_with(&channel, GUESTMSG_RECVSTATUS, 1), GUESTMSG_SUCCESS);
	ck_assert_int_eq(memory_read(rig.machine.memory, VMW_RIG_GPA + 100, back, len + 2), 0);
	ck_assert_mem_eq(back, "1 ", 2);
	ck_assert_mem_eq(back + 2, text, len);
}
END_TEST

START_TEST(strings_across_missing_pages)
{
	struct channel channel = open_channel(LODGE_VMW_PROT_RPCI);
	uint64_t hole = VMW_RIG_LINEAR + VMW_RIG_HOLE * 4096;
	struct kvm_regs regs;

	/* The bytes before the hole are taken, and the guest faults behind them. */
	ck_assert_uint_eq(send_size(&channel, 200), GUESTMSG_SUCCESS);
	regs = string_out(&channel, hole - 100, 200);
	ck_assert(!vmw_rig_outs(&rig, &regs));
	ck_assert_uint_eq(regs.rcx, 100);
	ck_assert_uint_eq(regs.rsi, hole);
	ck_assert_uint_eq(rig.requests, 0);
	/* Its page is there now. */
	regs.rsi = VMW_RIG_LINEAR;
	ck_assert(vmw_rig_outs(&rig, &regs));
	ck_assert_uint_eq(rig.requests, 1);
	/* What was asked for twice is the same. */
	ck_assert_int_eq(receive_size(&channel), 202);
	regs = string_in(&channel, hole, 202);
	ck_assert(!vmw_rig_ins(&rig, &regs));
	regs.rdi = VMW_RIG_LINEAR;
	ck_assert(vmw_rig_ins(&rig, &regs));
	ck_assert_int_eq(memory_read(rig.machine.memory, VMW_RIG_GPA, rig.result, 2), 0);
	ck_assert_mem_eq(rig.result, "1 ", 2);
}
END_TEST

START_TEST(t35_strings_have_the_senders_privilege)
{
	struct channel channel = open_channel(LODGE_VMW_PROT_RPCI);
	uint64_t kernel = VMW_RIG_LINEAR + VMW_RIG_KERNEL * 4096;
	struct kvm_regs regs;

	ck_assert_int_eq(memory_write(rig.machine.memory, VMW_RIG_GPA + VMW_RIG_KERNEL * 4096,
				      "a secret", 8),
			 0);
	ck_assert_uint_eq(send_size(&channel, 8), GUESTMSG_SUCCESS);
	regs = string_out(&channel, kernel, 8);
	ck_assert(vmw_rig_outs(&rig, &regs));
	ck_assert_mem_eq(rig.request, "a secret", 8);
	/* KVM stops user mode at the first byte: here it lets that one pass, and no other. */
	vmw_rig_set_user(&rig, true);
	ck_assert_uint_eq(send_size(&channel, 8), GUESTMSG_SUCCESS);
	regs = string_out(&channel, kernel + 1, 7);
	rig.exit.data[0] = 'x';
	vmw_rig_access(&rig, &regs, LODGE_VMW_PORT_HB, false, 1);
	ck_assert_uint_eq(regs.rcx, 7);
	ck_assert_uint_eq(rig.requests, 1);
}
END_TEST

START_TEST(strings_that_do_not_fit)
{
	struct channel channel = open_channel(LODGE_VMW_PROT_RPCI), wrong = channel;
	struct kvm_regs regs;

	/* Nothing announced; a wrong cookie; no message; more than announced; to the end of time.
	 */
	regs = string_out(&channel, VMW_RIG_LINEAR, 1000);
	ck_assert(vmw_rig_outs(&rig, &regs));
	ck_assert_uint_eq(regs.rbx, 0);
	ck_assert_uint_eq(send_size(&channel, 8), GUESTMSG_SUCCESS);
	wrong.high ^= 1u << 31;
	regs = string_out(&wrong, VMW_RIG_LINEAR, 8);
	ck_assert(vmw_rig_outs(&rig, &regs));
	ck_assert_uint_eq(regs.rbx, 0);
	regs = string_out(&channel, VMW_RIG_LINEAR, 8);
	regs.rbx |= 1;
	ck_assert(vmw_rig_outs(&rig, &regs));
	ck_assert_uint_eq(regs.rbx, 1);
	ck_assert_uint_eq(rig.requests, 0);
	regs = string_out(&channel, VMW_RIG_LINEAR, UINT64_MAX);
	ck_assert(vmw_rig_outs(&rig, &regs));
	ck_assert_uint_eq(regs.rbx, 0);
	ck_assert_uint_eq(rig.requests, 1);
	ck_assert_int_eq(receive_size(&channel), 10);
	regs = string_in(&channel, VMW_RIG_LINEAR, 11);
	ck_assert(vmw_rig_ins(&rig, &regs));
	ck_assert_uint_eq(regs.rbx, 0);
	regs = string_in(&channel, VMW_RIG_LINEAR, 10);
	ck_assert(vmw_rig_ins(&rig, &regs));
	ck_assert_uint_eq(regs.rbx, GUESTMSG_SUCCESS << 16);
	/* Addresses of no kind, page tables that lead nowhere. */
	ck_assert_uint_eq(send_size(&channel, 8), GUESTMSG_SUCCESS);
	regs = string_out(&channel, 1ull << 63, 7);
	vmw_rig_access(&rig, &regs, LODGE_VMW_PORT_HB, false, 1);
	ck_assert_uint_eq(regs.rcx, 7);
	rig.exit.run.s.regs.sregs.cr3 = 0xfffffffffffff000;
	vmw_rig_access(&rig, &regs, LODGE_VMW_PORT_HB, false, 1);
	ck_assert_uint_eq(regs.rcx, 7);
}
END_TEST

START_TEST(channels_survive_a_restore)
{
	struct channel rpci = open_channel(LODGE_VMW_PROT_RPCI);
	struct channel tclo = open_channel(LODGE_VMW_PROT_TCLO);
	struct state state = { 0 }, reader;
	char answer[64];

	ck_assert_uint_eq(send_size(&rpci, 8), GUESTMSG_SUCCESS);
	send_pieces(&rpci, "half", 4);
	ck_assert_int_eq(rig.device->type->save(rig.device, &state), 0);
	rig.device->type->reset(rig.device);
	state_read_from(&reader, state.bytes, state.len);
	ck_assert_int_eq(rig.device->type->load(rig.device, &reader), 0);
	ck_assert_uint_eq(reader.at, reader.len);
	ck_assert_uint_eq(rig.sessions, 2);
	/* Once, for what was half done. */
	ck_assert_uint_eq(step_with(&rpci, GUESTMSG_SENDPAYLOAD, 1), GUESTMSG_CPT);
	send_message(&rpci, "all", 3);
	ck_assert_int_eq(receive_message(&rpci, answer), 5);
	ck_assert_int_eq(receive_size(&tclo), -1);
	/* Anything may be in a file. */
	state.bytes[4] ^= 0x55;
	state_read_from(&reader, state.bytes, state.len);
	ck_assert_int_eq(rig.device->type->load(rig.device, &reader), -EBADMSG);
	state_read_from(&reader, state.bytes, 100);
	ck_assert_int_eq(rig.device->type->load(rig.device, &reader), -EBADMSG);
	state_finish(&state);
}
END_TEST

static void *command_for_ever(void *opaque)
{
	struct rpc_session *session = opaque;
	unsigned int sent = 0;

	while (sent < 200)
		sent += vmw_rig_command(session, sent, "ping", 4) == 0;
	return NULL;
}

START_TEST(commands_come_on_any_thread)
{
	struct channel tools = open_channel(LODGE_VMW_PROT_TCLO);
	unsigned int received = 0;
	char command[16];
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, command_for_ever, rig.last), 0);
	while (received < 200) {
		send_size(&tools, 0);
		if (receive_message(&tools, command) != 4)
			continue;
		received++;
		send_message(&tools, "OK ", 3);
	}
	pthread_join(thread, NULL);
	ck_assert_uint_eq(rig.results, 200);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("vmw_ports");
	TCase *tcase = tcase_create("ports");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, small_commands);
	tcase_add_test(tcase, clocks);
	tcase_add_test(tcase, nobody_is_there);
	tcase_add_test(tcase, requests_of_all_lengths);
	tcase_add_test(tcase, exits_for_each_request);
	tcase_add_test(tcase, a_reply_is_kept_until_it_is_taken);
	tcase_add_test(tcase, t33_wrong_sizes);
	tcase_add_test(tcase, t33_foreign_channels);
	tcase_add_test(tcase, t33_ten_thousand_opens);
	tcase_add_test(tcase, t33_unfinished_messages_are_bounded);
	tcase_add_test(tcase, commands_and_results);
	tcase_add_test(tcase, strings_there_and_back);
	tcase_add_test(tcase, strings_across_missing_pages);
	tcase_add_test(tcase, t35_strings_have_the_senders_privilege);
	tcase_add_test(tcase, strings_that_do_not_fit);
	tcase_add_test(tcase, channels_survive_a_restore);
	tcase_add_test(tcase, commands_come_on_any_thread);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
