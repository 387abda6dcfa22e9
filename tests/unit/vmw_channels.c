// SPDX-License-Identifier: GPL-2.0-or-later
// GuestMsg channels: requests, commands, restores, and what hostile guests do with them (T33).
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <lodge/backdoor.h>

#include "host-vmm/backdoor/guestmsg.h"
#include "host-vmm/device.h"
#include "host-vmm/state.h"
#include "tests/unit/vmw_guest.h"
#include "tests/unit/vmw_rig.h"
#include "tests/unit/unit.h"

static struct vmw_rig rig;

static void setup(void)
{
	vmw_rig_create(&rig);
}

static void teardown(void)
{
	vmw_rig_destroy(&rig);
}

START_TEST(requests_of_all_lengths)
{
	struct guest_channel channel = guest_open(&rig, LODGE_VMW_PROT_RPCI);
	char text[64], answer[64];

	for (size_t len = 0; len < 20; len++) {
		for (size_t i = 0; i < len; i++)
			text[i] = (char)('a' + i);
		ck_assert_int_eq(guest_receive_size(&channel), -1);
		guest_send(&channel, text, len);
		ck_assert_uint_eq(rig.request_len, len);
		ck_assert_mem_eq(rig.request, text, len);
		ck_assert_int_eq(guest_receive(&channel, answer), (int)len + 2);
		ck_assert_mem_eq(answer, "1 ", 2);
		ck_assert_mem_eq(answer + 2, text, len);
		ck_assert_int_eq(guest_receive_size(&channel), -1);
	}
	ck_assert_uint_eq(guest_do(&channel, GUESTMSG_CLOSE, 0), GUESTMSG_SUCCESS);
	ck_assert_uint_eq(guest_do(&channel, GUESTMSG_CLOSE, 0), GUESTMSG_CLOSED);
	ck_assert_uint_eq(rig.sessions, 0);
}
END_TEST

START_TEST(exits_for_each_request)
{
	struct guest_channel channel = guest_open(&rig, LODGE_VMW_PROT_RPCI);
	char text[64] = "info-get guestinfo.x", answer[128];

	guest_send(&channel, text, 64);
	guest_receive(&channel, answer);
	guest_do(&channel, GUESTMSG_CLOSE, 0);
	/* open, size, 16 pieces; size, 17 pieces of 66 bytes, status, close */
	ck_assert_uint_eq(rig.exits, 1 + 1 + 16 + 1 + 17 + 1 + 1);
}
END_TEST

START_TEST(a_reply_is_kept_until_it_is_taken)
{
	struct guest_channel channel = guest_open(&rig, LODGE_VMW_PROT_RPCI);
	uint32_t piece;
	char answer[64];

	guest_send(&channel, "hello", 5);
	ck_assert_int_eq(guest_receive_size(&channel), 7);
	ck_assert_uint_eq(guest_do(&channel, GUESTMSG_RECVPAYLOAD, 1), GUESTMSG_SUCCESS);
	/* It gave up; asks anew; does not like what it got; asks anew. */
	ck_assert_int_eq(guest_receive_size(&channel), 7);
	piece = 0;
	guest_step(&channel, GUESTMSG_RECVPAYLOAD, &piece, NULL);
	ck_assert_uint_eq(guest_do(&channel, GUESTMSG_RECVPAYLOAD, 1), 0);
	ck_assert_int_eq(guest_receive_size(&channel), 7);
	ck_assert_uint_eq(guest_do(&channel, GUESTMSG_RECVSTATUS, 0), GUESTMSG_SUCCESS);
	ck_assert_int_eq(guest_receive(&channel, answer), 7);
	ck_assert_mem_eq(answer, "1 hello", 7);
	/* One that was not fetched makes room for the next. */
	guest_send(&channel, "one", 3);
	guest_send(&channel, "two", 3);
	ck_assert_int_eq(guest_receive(&channel, answer), 5);
	ck_assert_mem_eq(answer, "1 two", 5);
}
END_TEST

START_TEST(t33_wrong_sizes)
{
	static const uint32_t sizes[] = { GUESTMSG_MESSAGE_MAX + 1, 1u << 31, UINT32_MAX };
	struct guest_channel channel = guest_open(&rig, LODGE_VMW_PROT_RPCI);

	/* Payload and status without a size. */
	ck_assert_uint_eq(guest_do(&channel, GUESTMSG_SENDPAYLOAD, 1), 0);
	ck_assert_uint_eq(guest_do(&channel, GUESTMSG_RECVPAYLOAD, 1), 0);
	ck_assert_uint_eq(guest_do(&channel, GUESTMSG_RECVSTATUS, 1), 0);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		ck_assert_uint_eq(guest_do(&channel, GUESTMSG_SENDSIZE, sizes[i]), 0);
		ck_assert_uint_eq(guest_do(&channel, GUESTMSG_SENDPAYLOAD, 1), 0);
	}
	/* Announced and never sent: a new size begins anew. */
	ck_assert_uint_eq(guest_send_size(&channel, GUESTMSG_MESSAGE_MAX), GUESTMSG_SUCCESS);
	ck_assert_uint_eq(guest_do(&channel, GUESTMSG_SENDPAYLOAD, 1), GUESTMSG_SUCCESS);
	guest_send(&channel, "x", 1);
	ck_assert_uint_eq(rig.requests, 1);
	ck_assert_uint_eq(rig.request_len, 1);
	/* More than announced. */
	ck_assert_uint_eq(guest_do(&channel, GUESTMSG_SENDPAYLOAD, 1), 0);
	ck_assert_uint_eq(rig.requests, 1);
	/* Types that there are not. */
	for (uint32_t type = 7; type < 0x10000; type += 97)
		ck_assert_uint_eq(guest_do(&channel, (enum guestmsg_type)type, 0), 0);
}
END_TEST

START_TEST(t33_foreign_channels)
{
	struct guest_channel one = guest_open(&rig, LODGE_VMW_PROT_RPCI);
	struct guest_channel two = guest_open(&rig, LODGE_VMW_PROT_RPCI), wrong = one;
	char answer[64];

	ck_assert_uint_ne(one.id, two.id);
	wrong.low ^= 1;
	ck_assert_uint_eq(guest_do(&wrong, GUESTMSG_SENDSIZE, 4), GUESTMSG_CLOSED);
	ck_assert_uint_eq(guest_do(&wrong, GUESTMSG_CLOSE, 0), GUESTMSG_CLOSED);
	wrong = (struct guest_channel){ &rig, two.id, one.high, one.low };
	ck_assert_uint_eq(guest_do(&wrong, GUESTMSG_RECVSIZE, 0), GUESTMSG_CLOSED);
	wrong = (struct guest_channel){ &rig, 0xffff, one.high, one.low };
	ck_assert_uint_eq(guest_do(&wrong, GUESTMSG_RECVSIZE, 0), GUESTMSG_CLOSED);
	/* A free slot has no cookie that would do. */
	wrong = (struct guest_channel){ &rig, GUESTMSG_CHANNELS - 1, 0, 0 };
	ck_assert_uint_eq(guest_do(&wrong, GUESTMSG_RECVSIZE, 0), GUESTMSG_CLOSED);
	/* Two messages piece by piece. */
	ck_assert_uint_eq(guest_send_size(&one, 8), GUESTMSG_SUCCESS);
	ck_assert_uint_eq(guest_send_size(&two, 8), GUESTMSG_SUCCESS);
	guest_send_pieces(&one, "aaaa", 4);
	guest_send_pieces(&two, "bbbb", 4);
	guest_send_pieces(&one, "AAAA", 4);
	guest_send_pieces(&two, "BBBB", 4);
	guest_receive(&one, answer);
	ck_assert_mem_eq(answer, "1 aaaaAAAA", 10);
	guest_receive(&two, answer);
	ck_assert_mem_eq(answer, "1 bbbbBBBB", 10);
}
END_TEST

START_TEST(t33_ten_thousand_opens)
{
	struct guest_channel channel, first = guest_open(&rig, LODGE_VMW_PROT_RPCI), tools;
	unsigned int opened = 1;

	for (int i = 0; i < 10000; i++)
		opened += guest_try_open(&rig, LODGE_VMW_PROT_RPCI, &channel) == GUESTMSG_SUCCESS;
	ck_assert_uint_eq(opened, GUESTMSG_RPCI_MAX);
	ck_assert_uint_eq(rig.sessions, opened);
	ck_assert_uint_eq(guest_try_open(&rig, 0x12345678, &channel), 0);
	/* The tools' channel has a place of its own. */
	tools = guest_open(&rig, LODGE_VMW_PROT_TCLO);
	ck_assert_int_eq(guest_receive_size(&tools), -1);
	/* Those that nobody uses make room, longest unused first. */
	rig.later_ms += GUESTMSG_RPCI_STALE_MS / 2 + 1000;
	ck_assert_int_eq(guest_receive_size(&first), -1);
	rig.later_ms += GUESTMSG_RPCI_STALE_MS / 2 + 1000;
	for (unsigned int i = 1; i < GUESTMSG_RPCI_MAX; i++)
		guest_open(&rig, LODGE_VMW_PROT_RPCI);
	ck_assert_uint_eq(guest_try_open(&rig, LODGE_VMW_PROT_RPCI, &channel), 0);
	ck_assert_int_eq(guest_receive_size(&first), -1);
	ck_assert_int_eq(guest_receive_size(&tools), -1);
	rig.device->type->reset(rig.device);
	ck_assert_uint_eq(rig.sessions, 0);
	ck_assert_uint_eq(guest_do(&first, GUESTMSG_RECVSIZE, 0), GUESTMSG_CLOSED);
}
END_TEST

static bool is_open(const struct guest_channel *channel)
{
	return guest_do(channel, GUESTMSG_RECVSIZE, 0) != GUESTMSG_CLOSED;
}

static size_t count_open(const struct guest_channel *channels, size_t n)
{
	size_t open = 0;

	for (size_t i = 0; i < n; i++)
		open += is_open(&channels[i]);
	return open;
}

static size_t open_all(struct guest_channel *channels, size_t max, uint32_t protocol)
{
	size_t n = 0;

	while (n < max && guest_try_open(&rig, protocol, &channels[n]) == GUESTMSG_SUCCESS)
		n++;
	return n;
}

/* One process opens all, uses all, and never lets go. */
START_TEST(t33_one_process_leaves_room_for_others)
{
	struct guest_channel greedy[GUESTMSG_RPCI_MAX], more, tools, other[GUESTMSG_RPCI_MAX];
	char answer[16];
	size_t n;

	vmw_rig_set_process(&rig, 1);
	ck_assert_uint_eq(open_all(greedy, GUESTMSG_RPCI_MAX, LODGE_VMW_PROT_RPCI),
			  GUESTMSG_RPCI_MAX);
	vmw_rig_set_process(&rig, 2);
	tools = guest_open(&rig, LODGE_VMW_PROT_RPCI);
	guest_send(&tools, "hello", 5);
	ck_assert_int_eq(guest_receive(&tools, answer), 7);
	ck_assert_uint_eq(count_open(greedy, GUESTMSG_RPCI_MAX), GUESTMSG_RPCI_MAX - 1);
	/* The greedy one does not get it back, however long the tools are still. */
	for (unsigned int i = 0; i < 3; i++) {
		rig.later_ms += GUESTMSG_RPCI_STALE_MS / 2 + 1000;
		count_open(greedy, GUESTMSG_RPCI_MAX);
		vmw_rig_set_process(&rig, 1);
		ck_assert_uint_eq(guest_try_open(&rig, LODGE_VMW_PROT_RPCI, &more), 0);
	}
	ck_assert(is_open(&tools));
	/* A second one that takes what it can gets half. */
	vmw_rig_set_process(&rig, 3);
	n = open_all(other, GUESTMSG_RPCI_MAX, LODGE_VMW_PROT_RPCI);
	ck_assert_uint_ge(n, GUESTMSG_RPCI_MAX / 2 - 1);
	ck_assert_uint_le(n, GUESTMSG_RPCI_MAX / 2);
	ck_assert(is_open(&tools));
	ck_assert_uint_eq(count_open(greedy, GUESTMSG_RPCI_MAX) + n + 1, GUESTMSG_RPCI_MAX);
}
END_TEST

/* The tools keep their command channel while they ask for commands. */
START_TEST(t33_command_channels_are_shared_out)
{
	struct guest_channel tools = guest_open(&rig, LODGE_VMW_PROT_TCLO);
	struct guest_channel greedy[GUESTMSG_TCLO_MAX], session;
	size_t n;

	vmw_rig_set_process(&rig, 1);
	n = open_all(greedy, GUESTMSG_TCLO_MAX, LODGE_VMW_PROT_TCLO);
	ck_assert_uint_eq(n, GUESTMSG_TCLO_MAX - 1);
	for (unsigned int i = 0; i < 4; i++) {
		rig.later_ms += GUESTMSG_TCLO_STALE_MS / 2 + 1000;
		ck_assert_uint_eq(guest_send_size(&tools, 0), GUESTMSG_SUCCESS);
		ck_assert_uint_eq(count_open(greedy, n), n);
		ck_assert_uint_eq(guest_try_open(&rig, LODGE_VMW_PROT_TCLO, &session), 0);
	}
	vmw_rig_set_process(&rig, 2);
	session = guest_open(&rig, LODGE_VMW_PROT_TCLO);
	ck_assert(is_open(&session) && is_open(&tools));
	ck_assert_uint_eq(count_open(greedy, n), n - 1);
}
END_TEST

/* What the guest's kernel, or who was given the ports by it, may open. */
START_TEST(owners_are_told_from_others)
{
	static const struct {
		struct vmw_rig_ports ports;
		enum rpc_privilege privilege;
	} rows[] = {
		{ { 104, 0x5658, 0x565f, 0x206b }, RPC_OWNER },
		{ { 104, 0x5658, 0x565b, 104 + 0x5658 / 8 + 1 }, RPC_OWNER },
		{ { 104, 0x5658, 0x565a, 0x206b }, RPC_USER },
		{ { 104, 0x5659, 0x565f, 0x206b }, RPC_USER },
		{ { 104, 0x5658, 0x565f, 104 + 0x5658 / 8 }, RPC_USER }, /* beyond the limit */
		{ { 104, 0x5658, 0x565f, 102 }, RPC_USER },
		{ { 0x8000, 0x5658, 0x565f, 0x206b }, RPC_USER }, /* as without ioperm(2) */
		{ { 0xffff, 0x5658, 0x565f, UINT32_MAX }, RPC_USER }, /* not mapped */
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		vmw_rig_give_ports(&rig, &rows[i].ports);
		vmw_rig_set_user(&rig, true);
		guest_open(&rig, LODGE_VMW_PROT_TCLO);
		ck_assert_int_eq(rig.privilege, rows[i].privilege);
		vmw_rig_set_user(&rig, false);
		guest_open(&rig, LODGE_VMW_PROT_RPCI);
		ck_assert_int_eq(rig.privilege, RPC_OWNER);
		rig.device->type->reset(rig.device);
	}
}
END_TEST

/* However many processes keep all command channels in use. */
START_TEST(owners_take_channels_from_others)
{
	struct guest_channel others[GUESTMSG_TCLO_MAX], tools, more;

	vmw_rig_set_user(&rig, true);
	for (unsigned int i = 0; i < GUESTMSG_TCLO_MAX; i++) {
		vmw_rig_set_process(&rig, i + 1);
		others[i] = guest_open(&rig, LODGE_VMW_PROT_TCLO);
	}
	ck_assert_int_eq(rig.privilege, RPC_USER);
	vmw_rig_set_process(&rig, 20);
	ck_assert_uint_eq(guest_try_open(&rig, LODGE_VMW_PROT_TCLO, &more), 0);
	vmw_rig_set_user(&rig, false);
	tools = guest_open(&rig, LODGE_VMW_PROT_TCLO);
	ck_assert_uint_eq(count_open(others, GUESTMSG_TCLO_MAX), GUESTMSG_TCLO_MAX - 1);
	/* And nobody takes theirs, however still they are. */
	vmw_rig_set_user(&rig, true);
	for (unsigned int i = 0; i < 3; i++) {
		rig.later_ms += GUESTMSG_TCLO_STALE_MS + 1000;
		vmw_rig_set_process(&rig, 1);
		guest_open(&rig, LODGE_VMW_PROT_TCLO);
	}
	ck_assert(is_open(&tools));
}
END_TEST

START_TEST(t33_unfinished_messages_are_bounded)
{
	struct guest_channel channels[GUESTMSG_RPCI_MAX];
	unsigned int refused = 0;
	size_t taken = 0;

	for (size_t i = 0; i < GUESTMSG_RPCI_MAX; i++) {
		size_t at = 0;

		channels[i] = guest_open(&rig, LODGE_VMW_PROT_RPCI);
		ck_assert_uint_eq(guest_send_size(&channels[i], GUESTMSG_MESSAGE_MAX),
				  GUESTMSG_SUCCESS);
		while (at + 4 < GUESTMSG_MESSAGE_MAX &&
		       guest_do(&channels[i], GUESTMSG_SENDPAYLOAD, 1) != 0)
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
		ck_assert_uint_eq(guest_do(&channels[i], GUESTMSG_CLOSE, 0), GUESTMSG_SUCCESS);
	channels[0] = guest_open(&rig, LODGE_VMW_PROT_RPCI);
	ck_assert_uint_eq(guest_send_size(&channels[0], GUESTMSG_MESSAGE_MAX), GUESTMSG_SUCCESS);
	for (size_t at = 0; at < GUESTMSG_MESSAGE_MAX; at += 4)
		ck_assert_uint_eq(guest_do(&channels[0], GUESTMSG_SENDPAYLOAD, 1),
				  GUESTMSG_SUCCESS);
	ck_assert_uint_eq(rig.request_len, GUESTMSG_MESSAGE_MAX);
}
END_TEST

START_TEST(commands_and_results)
{
	struct guest_channel tools = guest_open(&rig, LODGE_VMW_PROT_TCLO);
	struct rpc_session *session = rig.last;
	char command[64];

	ck_assert_uint_eq(guest_send_size(&tools, 0), GUESTMSG_SUCCESS);
	ck_assert_int_eq(guest_receive_size(&tools), -1);
	ck_assert_int_eq(vmw_rig_command(session, 7, "reset", 5), 0);
	ck_assert_int_eq(vmw_rig_command(session, 8, "ping", 4), -ENOBUFS);
	ck_assert_uint_eq(guest_send_size(&tools, 0), GUESTMSG_SUCCESS);
	ck_assert_int_eq(guest_receive(&tools, command), 5);
	ck_assert_mem_eq(command, "reset", 5);
	ck_assert_int_eq(guest_receive_size(&tools), -1);
	guest_send(&tools, "OK ATR toolbox", 14);
	ck_assert_uint_eq(rig.results, 1);
	ck_assert_uint_eq(rig.result_tag, 7);
	ck_assert_mem_eq(rig.result, "OK ATR toolbox", 14);
	/* Nothing was asked. */
	guest_send(&tools, "OK ", 3);
	ck_assert_uint_eq(rig.results, 1);
	ck_assert_uint_eq(rig.requests, 0);
	/* Taken, and lost: polled for 30 s. */
	ck_assert_int_eq(vmw_rig_command(session, 9, "ping", 4), 0);
	guest_receive(&tools, command);
	guest_send_size(&tools, 0);
	ck_assert_uint_eq(rig.results, 1);
	rig.later_ms += GUESTMSG_LOST_MS + 2000;
	guest_send_size(&tools, 0);
	ck_assert_uint_eq(rig.results, 2);
	ck_assert_uint_eq(rig.result_tag, 9);
	ck_assert_mem_eq(rig.result, "ERROR", 5);
	/* The service ends it. */
	ck_assert_int_eq(vmw_rig_command(session, 10, "ping", 4), 0);
	ck_assert_int_eq(vmw_rig_shut(session), 0);
	ck_assert_int_eq(vmw_rig_command(session, 11, "ping", 4), -EPIPE);
	ck_assert_uint_eq(guest_do(&tools, GUESTMSG_SENDSIZE, 0), GUESTMSG_CLOSED);
	ck_assert_uint_eq(rig.sessions, 0);
}
END_TEST

START_TEST(channels_survive_a_restore)
{
	struct guest_channel rpci = guest_open(&rig, LODGE_VMW_PROT_RPCI);
	struct guest_channel tclo = guest_open(&rig, LODGE_VMW_PROT_TCLO);
	struct state state = { 0 }, reader;
	char answer[64];

	ck_assert_uint_eq(guest_send_size(&rpci, 8), GUESTMSG_SUCCESS);
	guest_send_pieces(&rpci, "half", 4);
	ck_assert_int_eq(rig.device->type->save(rig.device, &state), 0);
	rig.device->type->reset(rig.device);
	state_read_from(&reader, state.bytes, state.len);
	ck_assert_int_eq(rig.device->type->load(rig.device, &reader), 0);
	ck_assert_uint_eq(reader.at, reader.len);
	ck_assert_uint_eq(rig.sessions, 2);
	/* Once, for what was half done. */
	ck_assert_uint_eq(guest_do(&rpci, GUESTMSG_SENDPAYLOAD, 1), GUESTMSG_CPT);
	guest_send(&rpci, "all", 3);
	ck_assert_int_eq(guest_receive(&rpci, answer), 5);
	ck_assert_int_eq(guest_receive_size(&tclo), -1);
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
	struct guest_channel tools = guest_open(&rig, LODGE_VMW_PROT_TCLO);
	unsigned int received = 0;
	char command[16];
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, command_for_ever, rig.last), 0);
	while (received < 200) {
		guest_send_size(&tools, 0);
		if (guest_receive(&tools, command) != 4)
			continue;
		received++;
		guest_send(&tools, "OK ", 3);
	}
	pthread_join(thread, NULL);
	ck_assert_uint_eq(rig.results, 200);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("vmw_channels");
	TCase *tcase = tcase_create("ports");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, requests_of_all_lengths);
	tcase_add_test(tcase, exits_for_each_request);
	tcase_add_test(tcase, a_reply_is_kept_until_it_is_taken);
	tcase_add_test(tcase, t33_wrong_sizes);
	tcase_add_test(tcase, t33_foreign_channels);
	tcase_add_test(tcase, t33_ten_thousand_opens);
	tcase_add_test(tcase, t33_one_process_leaves_room_for_others);
	tcase_add_test(tcase, t33_command_channels_are_shared_out);
	tcase_add_test(tcase, owners_are_told_from_others);
	tcase_add_test(tcase, owners_take_channels_from_others);
	tcase_add_test(tcase, t33_unfinished_messages_are_bounded);
	tcase_add_test(tcase, commands_and_results);
	tcase_add_test(tcase, channels_survive_a_restore);
	tcase_add_test(tcase, commands_come_on_any_thread);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
