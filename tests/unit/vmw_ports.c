// SPDX-License-Identifier: GPL-2.0-or-later
// The VMware-compatible ports by registers: small commands, and messages by strings (T33, T35).
#include <check.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include <lodge/backdoor.h>

#include "host-vmm/backdoor/guestmsg.h"
#include "host-vmm/device.h"
#include "host-vmm/guest_linear.h"
#include "host-vmm/memory.h"
#include "host-vmm/state.h"
#include "tests/unit/vmw_guest.h"
#include "tests/unit/vmw_rig.h"
#include "tests/unit/unit.h"

#define JUNK 0xabcd00000000ull /* above the 32 bits that a command sets */

static struct vmw_rig rig;

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

static struct kvm_regs string_out(const struct guest_channel *channel, uint64_t address, size_t len)
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

static struct kvm_regs string_in(const struct guest_channel *channel, uint64_t address, size_t len)
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
	struct guest_channel channel = guest_open(&rig, LODGE_VMW_PROT_RPCI);
	struct kvm_regs regs;
	size_t len = 70000;

	vmw_rig_set_user(&rig, true);
	fill_guest(len, text);
	ck_assert_uint_eq(guest_do(&channel, GUESTMSG_SENDSIZE, (uint32_t)len),
			  GUESTMSG_SUCCESS | GUESTMSG_HB);
	rig.exits = 0;
	regs = string_out(&channel, VMW_RIG_LINEAR, len);
	ck_assert(vmw_rig_outs(&rig, &regs));
	ck_assert_uint_eq(rig.exits, 1);
	ck_assert_uint_eq(regs.rbx, GUESTMSG_SUCCESS << 16);
	ck_assert_uint_eq(regs.rsi, VMW_RIG_LINEAR + len);
	ck_assert_uint_eq(rig.request_len, len);
	ck_assert_mem_eq(rig.request, text, len);

	ck_assert_int_eq(guest_receive_size(&channel), (int)len + 2);
	rig.exits = 0;
	regs = string_in(&channel, VMW_RIG_LINEAR + 100, len + 2);
	ck_assert(vmw_rig_ins(&rig, &regs));
	ck_assert_uint_le(rig.exits, (len + 2) / 1024 + 20);
	ck_assert_uint_eq(regs.rbx, GUESTMSG_SUCCESS << 16);
	ck_assert_uint_eq(guest_do(&channel, GUESTMSG_RECVSTATUS, 1), GUESTMSG_SUCCESS);
	ck_assert_int_eq(memory_read(rig.machine.memory, VMW_RIG_GPA + 100, back, len + 2), 0);
	ck_assert_mem_eq(back, "1 ", 2);
	ck_assert_mem_eq(back + 2, text, len);
}
END_TEST

START_TEST(strings_across_missing_pages)
{
	struct guest_channel channel = guest_open(&rig, LODGE_VMW_PROT_RPCI);
	uint64_t hole = VMW_RIG_LINEAR + VMW_RIG_HOLE * 4096;
	struct kvm_regs regs;

	/* The bytes before the hole are taken, and the guest faults behind them. */
	ck_assert_uint_eq(guest_send_size(&channel, 200), GUESTMSG_SUCCESS);
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
	ck_assert_int_eq(guest_receive_size(&channel), 202);
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
	struct guest_channel channel = guest_open(&rig, LODGE_VMW_PROT_RPCI);
	uint64_t kernel = VMW_RIG_LINEAR + VMW_RIG_KERNEL * 4096;
	struct kvm_regs regs;

	ck_assert_int_eq(memory_write(rig.machine.memory, VMW_RIG_GPA + VMW_RIG_KERNEL * 4096,
				      "a secret", 8),
			 0);
	ck_assert_uint_eq(guest_send_size(&channel, 8), GUESTMSG_SUCCESS);
	regs = string_out(&channel, kernel, 8);
	ck_assert(vmw_rig_outs(&rig, &regs));
	ck_assert_mem_eq(rig.request, "a secret", 8);
	/* KVM stops user mode at the first byte: here it lets that one pass, and no other. */
	vmw_rig_set_user(&rig, true);
	ck_assert_uint_eq(guest_send_size(&channel, 8), GUESTMSG_SUCCESS);
	regs = string_out(&channel, kernel + 1, 7);
	rig.exit.data[0] = 'x';
	vmw_rig_access(&rig, &regs, LODGE_VMW_PORT_HB, false, 1);
	ck_assert_uint_eq(regs.rcx, 7);
	ck_assert_uint_eq(rig.requests, 1);
}
END_TEST

START_TEST(strings_that_do_not_fit)
{
	struct guest_channel channel = guest_open(&rig, LODGE_VMW_PROT_RPCI), wrong = channel;
	struct kvm_regs regs;

	/* Nothing announced; a wrong cookie; no message; more than announced; to the end of time.
	 */
	regs = string_out(&channel, VMW_RIG_LINEAR, 1000);
	ck_assert(vmw_rig_outs(&rig, &regs));
	ck_assert_uint_eq(regs.rbx, 0);
	ck_assert_uint_eq(guest_send_size(&channel, 8), GUESTMSG_SUCCESS);
	wrong.high ^= 1u << 31;
	regs = string_out(&wrong, VMW_RIG_LINEAR, 8);
	ck_assert(vmw_rig_outs(&rig, &regs));
	ck_assert_uint_eq(regs.rbx, 0);
	regs = string_out(&channel, VMW_RIG_LINEAR, 8);
	regs.rbx |= 1;
	ck_assert(vmw_rig_outs(&rig, &regs));
	ck_assert_uint_eq(regs.rbx, 1);
	regs = string_out(&channel, VMW_RIG_LINEAR, UINT64_MAX);
	ck_assert(vmw_rig_outs(&rig, &regs));
	ck_assert_uint_eq(regs.rbx, 0);
	ck_assert_uint_eq(rig.requests, 0);
	ck_assert_uint_eq(guest_send_size(&channel, 8), GUESTMSG_SUCCESS);
	regs = string_out(&channel, VMW_RIG_LINEAR, 8);
	ck_assert(vmw_rig_outs(&rig, &regs));
	ck_assert_uint_eq(regs.rbx, GUESTMSG_SUCCESS << 16);
	ck_assert_uint_eq(rig.requests, 1);
	ck_assert_int_eq(guest_receive_size(&channel), 10);
	regs = string_in(&channel, VMW_RIG_LINEAR, 11);
	ck_assert(vmw_rig_ins(&rig, &regs));
	ck_assert_uint_eq(regs.rbx, 0);
	regs = string_in(&channel, VMW_RIG_LINEAR, 10);
	ck_assert(vmw_rig_ins(&rig, &regs));
	ck_assert_uint_eq(regs.rbx, GUESTMSG_SUCCESS << 16);
	/* Addresses of no kind, page tables that lead nowhere. */
	ck_assert_uint_eq(guest_send_size(&channel, 8), GUESTMSG_SUCCESS);
	regs = string_out(&channel, 1ull << 63, 7);
	vmw_rig_access(&rig, &regs, LODGE_VMW_PORT_HB, false, 1);
	ck_assert_uint_eq(regs.rcx, 7);
	rig.exit.run.s.regs.sregs.cr3 = 0xfffffffffffff000;
	regs.rcx = 6;
	vmw_rig_access(&rig, &regs, LODGE_VMW_PORT_HB, false, 1);
	ck_assert_uint_eq(regs.rcx, 6);
}
END_TEST

static size_t read_linear(uint64_t address, char *bytes, size_t len)
{
	return guest_linear_read(rig.machine.memory, &rig.exit.run.s.regs.sregs, address, bytes,
				 len);
}

START_TEST(large_pages_and_five_levels)
{
	const uint64_t pages = VMW_RIG_TABLES + 2 * 4096, top = VMW_RIG_TABLES + 4 * 4096;
	struct kvm_sregs *sregs = &rig.exit.run.s.regs.sregs;
	uint64_t entry;
	char bytes[8];

	ck_assert_int_eq(memory_write(rig.machine.memory, VMW_RIG_GPA + 4090, "by pages", 8), 0);
	ck_assert_uint_eq(read_linear(VMW_RIG_LINEAR + 4090, bytes, 8), 8);
	ck_assert_mem_eq(bytes, "by pages", 8);
	/* 2 MiB at 0, of which RAM is one. */
	entry = 0x87;
	ck_assert_int_eq(memory_write(rig.machine.memory, pages + 3 * 8, &entry, 8), 0);
	ck_assert_uint_eq(read_linear(0x600000 + VMW_RIG_GPA + 4090, bytes, 8), 8);
	ck_assert_mem_eq(bytes, "by pages", 8);
	ck_assert_uint_eq(read_linear(0x600000 + VMW_RIG_MEMORY, bytes, 8), 0);
	/* The kernel's; user mode stops there. */
	entry = 0x83;
	ck_assert_int_eq(memory_write(rig.machine.memory, pages + 3 * 8, &entry, 8), 0);
	ck_assert_uint_eq(read_linear(0x600000, bytes, 8), 8);
	vmw_rig_set_user(&rig, true);
	ck_assert_uint_eq(read_linear(0x600000, bytes, 8), 0);
	/* One level more. */
	entry = VMW_RIG_TABLES | 7;
	ck_assert_int_eq(memory_write(rig.machine.memory, top, &entry, 8), 0);
	sregs->cr3 = top;
	sregs->cr4 |= 1u << 12;
	ck_assert_uint_eq(read_linear(VMW_RIG_LINEAR + 4090, bytes, 8), 8);
	ck_assert_uint_eq(read_linear(VMW_RIG_LINEAR | 1ull << 56, bytes, 8), 0);
	/* No paging, and the paging of old. */
	sregs->efer = 0;
	ck_assert_uint_eq(read_linear(VMW_RIG_LINEAR + 4090, bytes, 8), 0);
}
END_TEST

/* A message of 100 bytes: 90 have come. */
static struct guest_channel at_ninety(void)
{
	struct guest_channel channel = guest_open(&rig, LODGE_VMW_PROT_RPCI);
	struct kvm_regs regs;

	ck_assert_uint_eq(guest_send_size(&channel, 100), GUESTMSG_SUCCESS);
	regs = string_out(&channel, VMW_RIG_LINEAR, 90);
	ck_assert(vmw_rig_outs(&rig, &regs));
	ck_assert_uint_eq(regs.rbx, GUESTMSG_SUCCESS << 16);
	return channel;
}

START_TEST(t39_fragments_beyond_the_whole)
{
	static const uint64_t lengths[] = {
		11, 20, 0xfffffff0, 0xffffffff, 1ull << 32, UINT64_MAX
	};
	struct guest_channel channel;
	struct kvm_regs regs;
	char reply[128];

	memset(reply, 'x', sizeof(reply));
	ck_assert_int_eq(memory_write(rig.machine.memory, VMW_RIG_GPA, reply, sizeof(reply)), 0);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		channel = at_ninety();
		regs = string_out(&channel, VMW_RIG_LINEAR, lengths[i]);
		ck_assert(vmw_rig_outs(&rig, &regs));
		ck_assert_uint_eq(regs.rbx, 0);
		ck_assert_uint_eq(regs.rcx, 0);
		ck_assert_int_eq(guest_receive_size(&channel), -1);
		/* The ten that were missing come too late. */
		regs = string_out(&channel, VMW_RIG_LINEAR, 10);
		ck_assert(vmw_rig_outs(&rig, &regs));
		ck_assert_uint_eq(regs.rbx, 0);
		ck_assert_uint_eq(guest_do(&channel, GUESTMSG_CLOSE, 0), GUESTMSG_SUCCESS);
	}
	ck_assert_uint_eq(rig.requests, 0);
	/* A length that is said again begins again, whatever it was. */
	channel = at_ninety();
	ck_assert_uint_eq(guest_send_size(&channel, 100), GUESTMSG_SUCCESS);
	regs = string_out(&channel, VMW_RIG_LINEAR, 10);
	ck_assert(vmw_rig_outs(&rig, &regs));
	ck_assert_uint_eq(rig.requests, 0);
	regs = string_out(&channel, VMW_RIG_LINEAR, 90);
	ck_assert(vmw_rig_outs(&rig, &regs));
	ck_assert_uint_eq(rig.requests, 1);
	ck_assert_uint_eq(rig.request_len, 100);
	ck_assert_int_eq(guest_receive(&channel, reply), 102);
	/* Pieces and strings of one message may mix; a piece too many is none. */
	channel = at_ninety();
	guest_send_pieces(&channel, "0123456789", 10);
	ck_assert_uint_eq(rig.requests, 2);
	ck_assert_uint_eq(rig.request_len, 100);
	ck_assert_mem_eq(rig.request + 88, "xx0123456789", 12);
	ck_assert_uint_eq(guest_do(&channel, GUESTMSG_SENDPAYLOAD, 1), 0);
	ck_assert_uint_eq(rig.requests, 2);
}
END_TEST

/* Half a message, and the channel closed or left open, 10^5 times. */
START_TEST(t39_abandoned_half_way)
{
	struct guest_channel channel;

	for (unsigned int i = 0; i < 100000; i++) {
		struct kvm_regs regs;

		if (rig.sessions == GUESTMSG_RPCI_MAX)
			rig.later_ms += GUESTMSG_RPCI_STALE_MS;
		channel = guest_open(&rig, LODGE_VMW_PROT_RPCI);
		ck_assert_uint_eq(guest_send_size(&channel, 100), GUESTMSG_SUCCESS);
		regs = string_out(&channel, VMW_RIG_LINEAR, 50);
		ck_assert(vmw_rig_outs(&rig, &regs));
		if (i % 2)
			guest_do(&channel, GUESTMSG_CLOSE, 0);
		ck_assert_uint_le(rig.sessions, GUESTMSG_RPCI_MAX);
	}
	ck_assert_uint_eq(rig.requests, 0);
	rig.device->type->reset(rig.device);
	ck_assert_uint_eq(rig.sessions, 0);
	channel = at_ninety();
	guest_send_pieces(&channel, "0123456789", 10);
	ck_assert_uint_eq(rig.requests, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("vmw_ports");
	TCase *tcase = tcase_create("ports");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, small_commands);
	tcase_add_test(tcase, clocks);
	tcase_add_test(tcase, nobody_is_there);
	tcase_add_test(tcase, strings_there_and_back);
	tcase_add_test(tcase, strings_across_missing_pages);
	tcase_add_test(tcase, t35_strings_have_the_senders_privilege);
	tcase_add_test(tcase, strings_that_do_not_fit);
	tcase_add_test(tcase, t39_fragments_beyond_the_whole);
	tcase_add_test(tcase, t39_abandoned_half_way);
	tcase_add_test(tcase, large_pages_and_five_levels);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
