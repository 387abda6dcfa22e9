// SPDX-License-Identifier: GPL-2.0-or-later
// The guest's tools as the host uses them: commands and streams.
#include <check.h>
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/backdoor_rig.h"
#include "tests/unit/unit.h"

/* ---- commands ---- */

static struct {
	int error;
	char result[64];
	unsigned int calls;
} done;

static void note_done(void *opaque, int error, const char *result, size_t len)
{
	(void)opaque;
	ck_assert_uint_lt(len, sizeof(done.result));
	done.error = error;
	memcpy(done.result, result, len);
	done.result[len] = '\0';
	done.calls++;
}

static void cancel(void *opaque)
{
	tools_cancel(opaque);
}

START_TEST(commands)
{
	struct tools_status status;
	struct rpc_session *session;
	struct tools_call *call;

	done.calls = 0;
	ck_assert_int_eq(tools_command(backdoor, 0, "x", 1, note_done, NULL, NULL), -ENOTCONN);
	session = start_tools();
	ck_assert(is_up(&status));
	ck_assert_int_eq(tools_command(backdoor, status.epoch + 1, "x", 1, note_done, NULL, NULL),
			 -ENOTCONN);
	ck_assert_int_eq(tools_command(backdoor, status.epoch, "x y", 3, note_done, NULL, NULL), 0);
	answer(session, "x y", "ERROR Unknown Command");
	settle();
	ck_assert_uint_eq(done.calls, 1);
	ck_assert_int_eq(done.error, 0);
	ck_assert_str_eq(done.result, "ERROR Unknown Command");
	/* A second answer is dropped. */
	rpc_session_result(session, sent[n_sent - 1].frame.tag, "OK ", 3);
	settle();
	ck_assert_uint_eq(done.calls, 1);
	/* Cancelled: its answer goes nowhere; before and behind the answer. */
	ck_assert_int_eq(tools_command(backdoor, 0, "a", 1, note_done, NULL, &call), 0);
	loop_call(rig.machine.loop, cancel, call);
	answer(session, "a", "OK ");
	settle();
	ck_assert_uint_eq(done.calls, 1);
	/* One that is never answered ends with the session. */
	ck_assert_int_eq(tools_command(backdoor, 0, "b", 1, note_done, NULL, NULL), 0);
	settle();
	ck_assert_uint_eq(done.calls, 1);
	rpc_session_close(session);
	settle();
	ck_assert_uint_eq(done.calls, 2);
	ck_assert_int_eq(done.error, -ECONNRESET);
}
END_TEST

/* The rest is the service's own. */
#define CLIENTS_COMMANDS (LODGE_RPC_COMMANDS_MAX - 8)

START_TEST(commands_are_bounded)
{
	struct rpc_session *session = start_tools();
	char *large = calloc(1, LODGE_RPC_DATA_MAX + 1);

	done.calls = 0;
	ck_assert_int_eq(
		tools_command(backdoor, 0, large, LODGE_RPC_DATA_MAX + 1, NULL, NULL, NULL),
		-EMSGSIZE);
	expect(session, "tools.capability.statechange ", "1 ");
	for (unsigned int i = 0; i < CLIENTS_COMMANDS; i++)
		ck_assert_int_eq(tools_command(backdoor, 0, "n", 1, note_done, NULL, NULL), 0);
	ck_assert_int_eq(tools_command(backdoor, 0, "n", 1, note_done, NULL, NULL), -EBUSY);
	/* The guest can be shut down all the same; but not without end. */
	for (unsigned int i = CLIENTS_COMMANDS; i < LODGE_RPC_COMMANDS_MAX; i++)
		ck_assert_int_eq(tools_power(backdoor, TOOLS_HALT), 0);
	ck_assert_int_eq(tools_power(backdoor, TOOLS_HALT), -EBUSY);
	/* In any order. */
	for (unsigned int i = 1; i <= 9; i++)
		rpc_session_result(session, sent[n_sent - i].frame.tag, "OK ", 3);
	ck_assert_int_eq(tools_command(backdoor, 0, "n", 1, note_done, NULL, NULL), 0);
	rpc_session_close(session);
	settle();
	ck_assert_uint_eq(done.calls, CLIENTS_COMMANDS + 1);
	free(large);
}
END_TEST

START_TEST(ports_get_one_command_at_a_time)
{
	struct rpc_session *tclo = open_session(RPC_DOOR_IOPORTS, RPC_USER, &ops);
	struct tools_call *call;
	size_t before;

	done.calls = 0;
	start_up(tclo, "OS_PowerOn");
	before = n_sent;
	ck_assert_int_eq(tools_command(backdoor, 0, "one", 3, note_done, NULL, NULL), 0);
	ck_assert_int_eq(tools_command(backdoor, 0, "two", 3, note_done, NULL, &call), 0);
	ck_assert_int_eq(tools_command(backdoor, 0, "three", 5, note_done, NULL, NULL), 0);
	ck_assert_uint_eq(n_sent, before + 1);
	loop_call(rig.machine.loop, cancel, call);
	answer(tclo, "one", "OK ");
	answer(tclo, "three", "OK ");
	settle();
	ck_assert_uint_eq(done.calls, 2);
	rpc_session_close(tclo);
}
END_TEST

/* ---- streams ---- */

static struct {
	char bytes[64];
	size_t total, writable, resets, pieces;
	bool end;
	char reason[64];
} got;

static void note_data(void *opaque, const void *bytes, size_t len, bool end)
{
	(void)opaque;
	if (got.total + len < sizeof(got.bytes))
		memcpy(got.bytes + got.total, bytes, len);
	got.total += len;
	got.end |= end;
	got.pieces++;
	ck_assert_uint_le(len, LODGE_RPC_DATA_MAX);
}

static void note_writable(void *opaque)
{
	(void)opaque;
	got.writable++;
}

static void note_reset(void *opaque, const char *reason, size_t len)
{
	(void)opaque;
	snprintf(got.reason, sizeof(got.reason), "%.*s", (int)len, reason);
	got.resets++;
}

static const struct tools_stream_events stream_events = {
	.data = note_data,
	.writable = note_writable,
	.reset = note_reset,
};

static struct tools_stream *open_stream(enum tools_direction direction)
{
	struct tools_status status;
	struct tools_stream *stream;

	ck_assert(is_up(&status));
	ck_assert_int_eq(
		tools_stream_open(backdoor, status.epoch, direction, &stream_events, NULL, &stream),
		0);
	ck_assert_uint_ne(tools_stream_number(stream), 0);
	return stream;
}

static void close_here(void *opaque)
{
	tools_stream_close(opaque);
}

static void close_stream(struct tools_stream *stream)
{
	loop_call(rig.machine.loop, close_here, stream);
}

static void guest_sends(struct rpc_session *session, enum lodge_rpc_type type, uint32_t number,
			const void *bytes, size_t len, uint16_t flags)
{
	const struct frame frame = {
		.type = type,
		.tag = number,
		.size = (uint32_t)len,
		.flags = flags,
	};

	rpc_session_frame(session, &frame, bytes);
}

static void start_stream(void)
{
	memset(&got, 0, sizeof(got));
}

START_TEST(stream_from_guest)
{
	struct rpc_session *session = start_tools();
	struct tools_stream *stream = open_stream(TOOLS_FROM_GUEST);
	uint32_t number = tools_stream_number(stream);

	start_stream();
	guest_sends(session, LODGE_RPC_DATA, number, "abc", 3, 0);
	guest_sends(session, LODGE_RPC_DATA, number, "def", 3, LODGE_RPC_F_END);
	settle();
	ck_assert_mem_eq(got.bytes, "abcdef", 6);
	ck_assert(got.end);
	/* It is over: more is for no stream. */
	guest_sends(session, LODGE_RPC_DATA, number, "x", 1, 0);
	ck_assert_int_eq(sent[n_sent - 1].frame.type, LODGE_RPC_RESET);
	ck_assert_uint_eq(sent[n_sent - 1].frame.tag, number);
	settle();
	ck_assert_uint_eq(got.total, 6);
	ck_assert_int_eq(tools_stream_credit(stream, 5), -EPIPE);
	close_stream(stream);
	rpc_session_close(session);
}
END_TEST

START_TEST(credit_is_kept)
{
	static char piece[LODGE_RPC_DATA_MAX];
	struct rpc_session *session = start_tools();
	struct tools_stream *stream = open_stream(TOOLS_FROM_GUEST);
	uint32_t number = tools_stream_number(stream);
	size_t before;

	start_stream();
	for (int i = 0; i < 4; i++)
		guest_sends(session, LODGE_RPC_DATA, number, piece, sizeof(piece), 0);
	settle();
	ck_assert_uint_eq(got.total, LODGE_RPC_CREDIT_FIRST);
	ck_assert_int_eq(tools_stream_credit(stream, 10), 0);
	ck_assert_int_eq(sent[n_sent - 1].frame.type, LODGE_RPC_CREDIT);
	guest_sends(session, LODGE_RPC_DATA, number, piece, 10, 0);
	guest_sends(session, LODGE_RPC_DATA, number, piece, 0, 0);
	/* None is lost where the door has no room for it. */
	credit_error = -ENOBUFS;
	before = n_sent;
	ck_assert_int_eq(tools_stream_credit(stream, 5), 0);
	ck_assert_int_eq(tools_stream_credit(stream, 6), 0);
	credit_error = 0;
	rpc_session_writable(session);
	ck_assert_uint_eq(n_sent, before + 1);
	ck_assert_uint_eq((unsigned char)sent[before].payload[0], 11);
	rpc_session_writable(session);
	ck_assert_uint_eq(n_sent, before + 1);
	guest_sends(session, LODGE_RPC_DATA, number, piece, 11, 0);
	settle();
	ck_assert_uint_eq(got.total, LODGE_RPC_CREDIT_FIRST + 21);
	guest_sends(session, LODGE_RPC_DATA, number, piece, 1, 0);
	ck_assert_int_eq(sent[n_sent - 1].frame.type, LODGE_RPC_RESET);
	settle();
	ck_assert_uint_eq(got.resets, 1);
	ck_assert_str_eq(got.reason, "more than the credit");
	close_stream(stream);
	rpc_session_close(session);
}
END_TEST

struct tiny {
	struct rpc_session *session;
	uint32_t number;
};

static void send_tiny(void *opaque)
{
	const struct tiny *tiny = opaque;

	for (unsigned int i = 0; i < LODGE_RPC_CREDIT_FIRST; i++) {
		guest_sends(tiny->session, LODGE_RPC_DATA, tiny->number, "", 0, 0);
		guest_sends(tiny->session, LODGE_RPC_DATA, tiny->number, "x", 1, 0);
	}
	guest_sends(tiny->session, LODGE_RPC_DATA, tiny->number, "", 0, LODGE_RPC_F_END);
}

START_TEST(tiny_pieces_are_joined)
{
	struct rpc_session *session = start_tools();
	struct tools_stream *stream = open_stream(TOOLS_FROM_GUEST);
	struct tiny tiny = { session, tools_stream_number(stream) };

	start_stream();
	/* While the loop is busy, all of it waits. */
	loop_call(rig.machine.loop, send_tiny, &tiny);
	settle();
	ck_assert_uint_eq(got.total, LODGE_RPC_CREDIT_FIRST);
	ck_assert(got.end);
	ck_assert_uint_le(got.pieces, 5);
	close_stream(stream);
	rpc_session_close(session);
}
END_TEST

struct sending {
	struct tools_stream *stream;
	const char *bytes;
	size_t len;
	bool end;
	ssize_t ret;
};

static void send_here(void *opaque)
{
	struct sending *sending = opaque;

	sending->ret =
		tools_stream_send(sending->stream, sending->bytes, sending->len, sending->end);
}

static ssize_t host_sends(struct tools_stream *stream, const char *bytes, size_t len, bool end)
{
	struct sending sending = { stream, bytes, len, end, 0 };

	loop_call(rig.machine.loop, send_here, &sending);
	return sending.ret;
}

START_TEST(stream_to_guest)
{
	static char bytes[LODGE_RPC_CREDIT_FIRST + 100];
	struct rpc_session *session = start_tools();
	struct tools_stream *stream = open_stream(TOOLS_TO_GUEST);
	uint32_t number = tools_stream_number(stream), more = htole32(100);
	size_t before = n_sent;

	start_stream();
	ck_assert_int_eq(host_sends(stream, bytes, sizeof(bytes), true), LODGE_RPC_CREDIT_FIRST);
	ck_assert_uint_eq(n_sent, before + 4);
	ck_assert_uint_eq(sent[n_sent - 1].frame.size, LODGE_RPC_DATA_MAX);
	ck_assert_uint_eq(sent[n_sent - 1].frame.flags, 0);
	settle();
	ck_assert_uint_eq(got.writable, 0);
	guest_sends(session, LODGE_RPC_CREDIT, number, &more, 4, 0);
	settle();
	ck_assert_uint_eq(got.writable, 1);
	/* The door has no room: as if there were no credit. */
	send_error = -EAGAIN;
	ck_assert_int_eq(host_sends(stream, bytes, 100, true), 0);
	send_error = 0;
	rpc_session_writable(session);
	settle();
	ck_assert_uint_eq(got.writable, 2);
	ck_assert_int_eq(host_sends(stream, bytes, 100, true), 100);
	ck_assert_uint_eq(sent[n_sent - 1].frame.flags, LODGE_RPC_F_END);
	ck_assert_int_eq(host_sends(stream, bytes, 1, false), -EPIPE);
	close_stream(stream);
	ck_assert_uint_eq(sent[n_sent - 1].frame.type, LODGE_RPC_DATA);
	rpc_session_close(session);
}
END_TEST

START_TEST(bad_credit)
{
	struct rpc_session *session = start_tools();
	struct tools_stream *stream = open_stream(TOOLS_TO_GUEST);
	uint32_t much = htole32(1u << 31);

	start_stream();
	guest_sends(session, LODGE_RPC_CREDIT, tools_stream_number(stream), &much, 4, 0);
	settle();
	ck_assert_uint_eq(got.resets, 1);
	close_stream(stream);
	stream = open_stream(TOOLS_TO_GUEST);
	guest_sends(session, LODGE_RPC_CREDIT, tools_stream_number(stream), &much, 3, 0);
	settle();
	ck_assert_uint_eq(got.resets, 2);
	close_stream(stream);
	stream = open_stream(TOOLS_TO_GUEST);
	guest_sends(session, LODGE_RPC_RESET, tools_stream_number(stream), "no\nmore", 7, 0);
	settle();
	ck_assert_str_eq(got.reason, "no\nmore");
	ck_assert_int_eq(host_sends(stream, "x", 1, false), -EPIPE);
	close_stream(stream);
	/* Closing one that goes on tells the guest. */
	stream = open_stream(TOOLS_TO_GUEST);
	close_stream(stream);
	ck_assert_int_eq(sent[n_sent - 1].frame.type, LODGE_RPC_RESET);
	rpc_session_close(session);
}
END_TEST

START_TEST(streams_end_with_the_session)
{
	struct rpc_session *session = start_tools();
	struct tools_stream *streams[LODGE_RPC_STREAMS_MAX], *more;
	struct tools_status status;

	start_stream();
	for (size_t i = 0; i < LODGE_RPC_STREAMS_MAX; i++)
		streams[i] = open_stream(i % 2 ? TOOLS_TO_GUEST : TOOLS_FROM_GUEST);
	ck_assert(is_up(&status));
	ck_assert_int_eq(tools_stream_open(backdoor, status.epoch, TOOLS_TO_GUEST, &stream_events,
					   NULL, &more),
			 -EBUSY);
	guest_sends(session, LODGE_RPC_DATA, tools_stream_number(streams[0]), "last", 4, 0);
	rpc_session_close(session);
	settle();
	settle();
	settle();
	ck_assert_uint_eq(got.total, 4);
	ck_assert_uint_eq(got.resets, LODGE_RPC_STREAMS_MAX);
	for (size_t i = 0; i < LODGE_RPC_STREAMS_MAX; i++)
		close_stream(streams[i]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("backdoor_tools");
	TCase *tcase = tcase_create("tools");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, backdoor_setup, backdoor_teardown);
	tcase_add_test(tcase, commands);
	tcase_add_test(tcase, commands_are_bounded);
	tcase_add_test(tcase, ports_get_one_command_at_a_time);
	tcase_add_test(tcase, stream_from_guest);
	tcase_add_test(tcase, credit_is_kept);
	tcase_add_test(tcase, tiny_pieces_are_joined);
	tcase_add_test(tcase, stream_to_guest);
	tcase_add_test(tcase, bad_credit);
	tcase_add_test(tcase, streams_end_with_the_session);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
