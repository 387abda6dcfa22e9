// SPDX-License-Identifier: GPL-2.0-or-later
// The relay of tools.sock: translation, credits, limits, and each side going away under the other.
#include <check.h>
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/lib/fd.h"
#include "protocol/lib/fields.h"
#include "tests/unit/relay_rig.h"
#include "tests/unit/unit.h"

#define FILLING (200u << 10) /* bytes for a stream: less than its first credit */

struct got {
	struct frame frame;
	unsigned char *payload;
};

static void put(struct rig *rig, int fd, enum lodge_rpc_type type, uint16_t flags, uint32_t tag,
		const void *payload, size_t len)
{
	const struct frame frame = {
		.size = (uint32_t)len, .type = type, .flags = flags, .tag = tag
	};
	unsigned char *bytes = malloc(LODGE_RPC_HEADER_SIZE + len);

	frame_build(&frame, bytes);
	memcpy(bytes + LODGE_RPC_HEADER_SIZE, payload, len);
	ck_assert_int_eq(send(fd, bytes, LODGE_RPC_HEADER_SIZE + len, MSG_NOSIGNAL),
			 (ssize_t)(LODGE_RPC_HEADER_SIZE + len));
	free(bytes);
	rig_turn(rig);
}

static void put_text(struct rig *rig, int fd, enum lodge_rpc_type type, uint32_t tag,
		     const char *text)
{
	put(rig, fd, type, 0, tag, text, strlen(text));
}

/* COMMAND lodge.exec whose fields are separated by '|'. */
static void put_exec(struct rig *rig, int fd, uint32_t tag, const char *fields)
{
	char message[256];
	size_t len = (size_t)snprintf(message, sizeof(message), "lodge.exec %s|", fields);

	for (size_t i = 0; i < len; i++) {
		if (message[i] == '|')
			message[i] = '\0';
	}
	put(rig, fd, LODGE_RPC_COMMAND, 0, tag, message, len);
}

static void put_credit(struct rig *rig, int fd, uint32_t stream, uint32_t bytes)
{
	const uint32_t credit = htole32(bytes);

	put(rig, fd, LODGE_RPC_CREDIT, 0, stream, &credit, sizeof(credit));
}

static bool receive(struct rig *rig, int fd, void *bytes, size_t len)
{
	size_t have = 0;

	while (have < len) {
		ssize_t got = recv(fd, (char *)bytes + have, len - have, 0);

		if (got == 0)
			return false;
		if (got < 0) {
			ck_assert_int_eq(errno, EAGAIN);
			rig_turn(rig);
			got = recv(fd, (char *)bytes + have, len - have, 0);
			if (got <= 0)
				return false;
		}
		have += (size_t)got;
	}
	return true;
}

/* The next frame; false where there is none, or no connection any more. */
static bool get(struct rig *rig, int fd, struct got *ret_got)
{
	unsigned char header[LODGE_RPC_HEADER_SIZE];
	const uint32_t types = FRAME_TYPE(LODGE_RPC_RESULT) | FRAME_TYPE(LODGE_RPC_DATA) |
			       FRAME_TYPE(LODGE_RPC_CREDIT) | FRAME_TYPE(LODGE_RPC_RESET);

	rig_turn(rig);
	if (!receive(rig, fd, header, sizeof(header)))
		return false;
	ck_assert_int_eq(frame_parse(header, types, &ret_got->frame), 0);
	ret_got->payload = calloc(1, ret_got->frame.size + 1);
	ck_assert(receive(rig, fd, ret_got->payload, ret_got->frame.size));
	return true;
}

static void expect(struct rig *rig, int fd, enum lodge_rpc_type type, uint32_t tag,
		   const char *text)
{
	struct got got;

	ck_assert(get(rig, fd, &got));
	ck_assert_int_eq(got.frame.type, type);
	ck_assert_uint_eq(got.frame.tag, tag);
	if (strncmp((char *)got.payload, text, strlen(text)) != 0)
		ck_abort_msg("got '%s', wanted '%s'", (char *)got.payload, text);
	free(got.payload);
}

static void expect_closed(struct rig *rig, int fd)
{
	char byte;

	rig_turn(rig);
	while (recv(fd, &byte, 1, 0) > 0)
		;
	ck_assert_int_ne(errno, EAGAIN);
	close(fd);
}

static const char *field(const struct tools_call *call, const char *key)
{
	size_t word = strlen("lodge.exec ");

	ck_assert_int_eq(fields_check(call->message + word, call->len - word), 0);
	return fields_get(call->message + word, call->len - word, key);
}

START_TEST(commands_and_streams_are_translated)
{
	struct rig rig;
	struct got got;
	int a, b;

	rig_start(&rig);
	a = rig_connect(&rig);
	b = rig_connect(&rig);
	put_exec(&rig, a, 5, "arg=/bin/cat|stdin=1|stdout=2|stderr=3|env=A=B");
	put_exec(&rig, b, 5, "arg=x|stdout=2|stdout=9");
	ck_assert_uint_eq(rig_open_calls(&rig), 2);
	ck_assert_uint_eq(rig_open_streams(&rig), 4);
	ck_assert_str_eq(field(rig_call(&rig, 0), "arg"), "/bin/cat");
	ck_assert_str_eq(field(rig_call(&rig, 0), "env"), "A=B");
	ck_assert_str_eq(field(rig_call(&rig, 0), "stdin"), "1000");
	ck_assert_str_eq(field(rig_call(&rig, 0), "stdout"), "1001");
	ck_assert_str_eq(field(rig_call(&rig, 0), "stderr"), "1002");
	ck_assert_str_eq(field(rig_call(&rig, 1), "stdout"), "1003");

	put(&rig, a, LODGE_RPC_DATA, LODGE_RPC_F_END, 1, "abc", 3);
	ck_assert_uint_eq(rig_open_streams(&rig), 3);
	ck_assert_mem_eq(rig.backdoor.streams[0].bytes, "abc", 3);
	ck_assert(rig.backdoor.streams[0].end);
	/* Client b's stream 2 is not client a's. */
	rig_data(&rig.backdoor.streams[3], "for b", 5, false);
	rig_data(&rig.backdoor.streams[1], "for a", 5, true);
	rig_data(&rig.backdoor.streams[2], "", 0, true);
	rig_result(rig_call(&rig, 0), "OK status=3");
	expect(&rig, b, LODGE_RPC_DATA, 2, "for b");
	ck_assert(get(&rig, a, &got));
	ck_assert_int_eq(got.frame.type, LODGE_RPC_DATA);
	ck_assert_uint_eq(got.frame.tag, 2);
	ck_assert_uint_eq(got.frame.flags, LODGE_RPC_F_END);
	ck_assert_str_eq((char *)got.payload, "for a");
	free(got.payload);
	expect(&rig, a, LODGE_RPC_DATA, 3, "");
	expect(&rig, a, LODGE_RPC_RESULT, 5, "OK status=3");
	/* The numbers are free again. */
	put_exec(&rig, a, 5, "arg=x|stdout=2");
	ck_assert_uint_eq(rig_open_calls(&rig), 2);
	close(a);
	close(b);
	rig_turn(&rig);
	ck_assert_uint_eq(rig_open_calls(&rig), 0);
	ck_assert_uint_eq(rig_open_streams(&rig), 0);
	rig_stop(&rig);
}
END_TEST

START_TEST(reasons_are_told)
{
	struct rig rig;
	int fd;

	rig_start(&rig);
	fd = rig_connect(&rig);
	put_text(&rig, fd, LODGE_RPC_COMMAND, 1, "lodge.hello app=cli");
	expect(&rig, fd, LODGE_RPC_RESULT, 1, "ERROR 22 that is no guest operation");
	put_text(&rig, fd, LODGE_RPC_COMMAND, 1, "");
	expect(&rig, fd, LODGE_RPC_RESULT, 1, "ERROR 22 ");
	put_text(&rig, fd, LODGE_RPC_COMMAND, 1, "OS_Halt");
	expect(&rig, fd, LODGE_RPC_RESULT, 1, "ERROR 22 ");
	put_text(&rig, fd, LODGE_RPC_COMMAND, 1, "lodge.exec arg=x");
	expect(&rig, fd, LODGE_RPC_RESULT, 1, "ERROR 74 the fields are malformed");
	put_exec(&rig, fd, 1, "arg=x|stdin=0");
	expect(&rig, fd, LODGE_RPC_RESULT, 1, "ERROR 22 a stream's number");
	put_exec(&rig, fd, 1, "arg=x|stdin=4294967296");
	expect(&rig, fd, LODGE_RPC_RESULT, 1, "ERROR 22 a stream's number");
	put_exec(&rig, fd, 1, "arg=x|stdin=7|stdout=7");
	expect(&rig, fd, LODGE_RPC_RESULT, 1, "ERROR 22 a stream's number");
	ck_assert_uint_eq(rig_open_streams(&rig), 0);
	/* Tools that hang: one that is late may still answer. */
	rig.backdoor.status.heartbeat_missed = true;
	rig.backdoor.status.heartbeat_age = 59;
	put_exec(&rig, fd, 2, "arg=x");
	ck_assert_uint_eq(rig_open_calls(&rig), 1);
	rig.backdoor.status.heartbeat_age = 75;
	put_exec(&rig, fd, 1, "arg=x");
	expect(&rig, fd, LODGE_RPC_RESULT, 1,
	       "ERROR 125 no tools: they have not answered for 75 s");
	rig.backdoor.status.heartbeat_missed = false;
	rig.backdoor.status.guest_ops = false;
	strcpy(rig.backdoor.status.version, "open-vm-tools 12");
	put_exec(&rig, fd, 1, "arg=x");
	expect(&rig, fd, LODGE_RPC_RESULT, 1, "ERROR 125 no tools: open-vm-tools 12 take no");
	rig.backdoor.status.up = false;
	strcpy(rig.backdoor.status.why, "nobody spoke yet");
	put_exec(&rig, fd, 1, "arg=x");
	expect(&rig, fd, LODGE_RPC_RESULT, 1, "ERROR 125 no tools: nobody spoke yet");
	close(fd);
	rig_stop(&rig);
}
END_TEST

START_TEST(a_client_that_does_not_read_gets_no_more)
{
	static const char block[LODGE_RPC_DATA_MAX];
	struct rig rig;
	struct tools_stream *stream;
	uint64_t total = 0, seen = 0;
	struct got got;
	int fd;

	rig_start(&rig);
	fd = rig_connect(&rig);
	put_exec(&rig, fd, 1, "arg=yes|stdout=2");
	/* As much as it likes: the relay's own window is the bound. */
	put_credit(&rig, fd, 2, 1u << 30);
	stream = rig_stream(&rig, 0);
	while (stream->credit) {
		total += rig_data(stream, block, sizeof(block), false);
		rig_turn(&rig);
		ck_assert_uint_lt(total, 4u << 20);
	}
	ck_assert_uint_ge(total, 512u << 10);
	/* Once it reads, it goes on without end. */
	while (seen < 64u << 20) {
		ck_assert(get(&rig, fd, &got));
		ck_assert_int_eq(got.frame.type, LODGE_RPC_DATA);
		seen += got.frame.size;
		free(got.payload);
		if (stream->credit)
			total += rig_data(stream, block, sizeof(block), false);
		ck_assert_uint_lt(total - seen, 4u << 20);
	}
	close(fd);
	rig_stop(&rig);
}
END_TEST

START_TEST(no_more_than_the_client_gave)
{
	static const char block[LODGE_RPC_DATA_MAX];
	struct rig rig;
	struct tools_stream *stream;
	uint64_t total = 0;
	struct got got;
	int fd;

	rig_start(&rig);
	fd = rig_connect(&rig);
	put_exec(&rig, fd, 1, "arg=yes|stdout=2");
	stream = rig_stream(&rig, 0);
	while (stream->credit) {
		total += rig_data(stream, block, sizeof(block), false);
		ck_assert(get(&rig, fd, &got));
		free(got.payload);
	}
	ck_assert_uint_eq(total, LODGE_RPC_CREDIT_FIRST);
	put_credit(&rig, fd, 2, 1000);
	ck_assert_uint_eq(stream->credit, 1000);
	put_credit(&rig, fd, 2, 1u << 31);
	expect(&rig, fd, LODGE_RPC_RESET, 2, "that is no credit");
	ck_assert_uint_eq(rig_open_streams(&rig), 0);
	close(fd);
	rig_stop(&rig);
}
END_TEST

START_TEST(input_waits_for_the_guest)
{
	char *block = malloc(LODGE_RPC_DATA_MAX);
	struct rig rig;
	struct tools_stream *stream;
	uint32_t credit = LODGE_RPC_CREDIT_FIRST, sent = 0, wrong;
	struct got got;
	int fd;

	rig_start(&rig);
	rig.backdoor.room = 10;
	fd = rig_connect(&rig);
	put_exec(&rig, fd, 1, "arg=cat|stdin=1|stdout=2");
	stream = rig_stream(&rig, 0);
	while (sent < 4u << 20) {
		uint32_t n = credit < LODGE_RPC_DATA_MAX ? credit : LODGE_RPC_DATA_MAX;

		for (uint32_t i = 0; i < n; i++)
			block[i] = (char)((sent + i) % 251);
		put(&rig, fd, LODGE_RPC_DATA, 0, 1, block, n);
		sent += n;
		credit -= n;
		rig_make_room(stream, 40000);
		while (get(&rig, fd, &got)) {
			uint32_t more;

			ck_assert_int_eq(got.frame.type, LODGE_RPC_CREDIT);
			memcpy(&more, got.payload, 4);
			credit += le32toh(more);
			free(got.payload);
		}
		while (!credit && !get(&rig, fd, &got))
			rig_make_room(stream, 100000);
		if (credit)
			continue;
		memcpy(&credit, got.payload, 4);
		credit = le32toh(credit);
		free(got.payload);
	}
	put(&rig, fd, LODGE_RPC_DATA, LODGE_RPC_F_END, 1, "", 0);
	if (stream->open)
		rig_make_room(stream, 1u << 30);
	ck_assert(stream->end && !stream->open);
	ck_assert_uint_eq(stream->len, sent);
	/* One assertion: libcheck writes a mark of its own for each. */
	for (wrong = 0; wrong < sent && (unsigned char)stream->bytes[wrong] == wrong % 251; wrong++)
		;
	ck_assert_uint_eq(wrong, sent);
	close(fd);
	rig_stop(&rig);
	free(block);
}
END_TEST

START_TEST(input_beyond_its_credit)
{
	static const char block[FILLING];
	struct rig rig;
	int fd;

	rig_start(&rig);
	rig.backdoor.room = 0;
	fd = rig_connect(&rig);
	put_exec(&rig, fd, 1, "arg=cat|stdin=1");
	for (int i = 0; i < 4; i++)
		put(&rig, fd, LODGE_RPC_DATA, 0, 1, block, LODGE_RPC_DATA_MAX);
	ck_assert_uint_eq(rig_open_streams(&rig), 1);
	put(&rig, fd, LODGE_RPC_DATA, 0, 1, block, 1);
	expect(&rig, fd, LODGE_RPC_RESET, 1, "beyond its credit");
	ck_assert_uint_eq(rig_open_streams(&rig), 0);
	put(&rig, fd, LODGE_RPC_DATA, 0, 1, block, 1);
	expect(&rig, fd, LODGE_RPC_RESET, 1, "no such stream");
	/* The command itself goes on. */
	rig_result(rig_call(&rig, 0), "OK ");
	expect(&rig, fd, LODGE_RPC_RESULT, 1, "OK ");
	put_exec(&rig, fd, 2, "arg=cat|stdin=1|stdout=2");
	put(&rig, fd, LODGE_RPC_DATA, 0, 2, "x", 1);
	expect(&rig, fd, LODGE_RPC_RESET, 2, "beyond its credit, its end or its direction");
	put(&rig, fd, LODGE_RPC_CREDIT, 0, 1, "xx", 2);
	expect(&rig, fd, LODGE_RPC_RESET, 1, "that is no credit");
	close(fd);
	rig_stop(&rig);
}
END_TEST

START_TEST(tools_go_away)
{
	struct rig rig;
	int fd;

	rig_start(&rig);
	fd = rig_connect(&rig);
	put_exec(&rig, fd, 1, "arg=cat|stdin=1|stdout=2");
	rig_tools_go(&rig);
	expect(&rig, fd, LODGE_RPC_RESET, 1, "gone");
	expect(&rig, fd, LODGE_RPC_RESET, 2, "gone");
	expect(&rig, fd, LODGE_RPC_RESULT, 1, "ERROR 125 the guest's tools went away");
	put_exec(&rig, fd, 1, "arg=cat|stdin=1");
	expect(&rig, fd, LODGE_RPC_RESULT, 1, "ERROR 125 no tools: they went away");
	rig.backdoor.status.up = true;
	rig.backdoor.status.epoch++;
	put_exec(&rig, fd, 1, "arg=cat|stdin=1");
	ck_assert_uint_eq(rig_open_calls(&rig), 1);
	close(fd);
	rig_stop(&rig);
}
END_TEST

START_TEST(resets_and_results_end_streams)
{
	struct rig rig;
	int fd;

	rig_start(&rig);
	fd = rig_connect(&rig);
	put_exec(&rig, fd, 1, "arg=cat|stdin=1|stdout=2|stderr=3");
	rig_reset(rig_stream(&rig, 0), "closed its input");
	expect(&rig, fd, LODGE_RPC_RESET, 1, "closed its input");
	put_text(&rig, fd, LODGE_RPC_RESET, 2, "enough");
	ck_assert_uint_eq(rig_open_streams(&rig), 1);
	put_text(&rig, fd, LODGE_RPC_RESET, 2, "enough");
	rig_result(rig_call(&rig, 0), "OK status=0");
	expect(&rig, fd, LODGE_RPC_RESET, 3, "the command has ended");
	expect(&rig, fd, LODGE_RPC_RESULT, 1, "OK status=0");
	ck_assert_uint_eq(rig_open_streams(&rig), 0);
	close(fd);
	rig_stop(&rig);
}
END_TEST

START_TEST(results_are_bounded)
{
	char *text = malloc(100 << 10);
	struct rig rig;
	int fd;

	memset(text, 'x', 100 << 10);
	text[(100 << 10) - 1] = '\0';
	rig_start(&rig);
	fd = rig_connect(&rig);
	put_exec(&rig, fd, 1, "arg=cat");
	rig_result(rig_call(&rig, 0), text);
	expect(&rig, fd, LODGE_RPC_RESULT, 1, "ERROR 90 the guest's answer is too long");
	close(fd);
	rig_stop(&rig);
	free(text);
}
END_TEST

START_TEST(limits)
{
	int fds[RELAY_CLIENTS_MAX + 1];
	struct rig rig;

	rig_start(&rig);
	for (size_t i = 0; i <= RELAY_CLIENTS_MAX; i++)
		fds[i] = rig_connect(&rig);
	expect_closed(&rig, fds[RELAY_CLIENTS_MAX]);
	for (uint32_t i = 0; i < RELAY_CALLS_MAX; i++)
		put_exec(&rig, fds[0], i, "arg=x");
	put_exec(&rig, fds[0], 99, "arg=x");
	expect(&rig, fds[0], LODGE_RPC_RESULT, 99, "ERROR 11 too many commands are open");
	ck_assert_uint_eq(rig_open_calls(&rig), RELAY_CALLS_MAX);
	/* Of all clients together, the tools' own limit. */
	for (size_t i = 1; i < 9; i++) {
		for (uint32_t j = 0; j < RELAY_CALLS_MAX && i < 8; j++)
			put_exec(&rig, fds[i], j, "arg=x");
	}
	put_exec(&rig, fds[9], 1, "arg=x|stdout=3");
	expect(&rig, fds[9], LODGE_RPC_RESULT, 1, "ERROR 11 the guest's tools have too much");
	ck_assert_uint_eq(rig_open_streams(&rig), 0);
	for (size_t i = 0; i < RELAY_CLIENTS_MAX; i++)
		close(fds[i]);
	rig_turn(&rig);
	ck_assert_uint_eq(rig_open_calls(&rig), 0);
	close(rig_connect(&rig));
	rig_stop(&rig);
}
END_TEST

START_TEST(malformed_clients_are_closed)
{
	static const char zeroes[LODGE_RPC_HEADER_SIZE];
	struct rig rig;
	int fd;

	rig_start(&rig);
	fd = rig_connect(&rig);
	ck_assert_int_eq(send(fd, zeroes, sizeof(zeroes), 0), sizeof(zeroes));
	expect_closed(&rig, fd);
	for (int type = LODGE_RPC_REQUEST; type <= LODGE_RPC_CLOSE; type++) {
		if (type == LODGE_RPC_COMMAND ||
		    (type >= LODGE_RPC_DATA && type <= LODGE_RPC_RESET))
			continue;
		fd = rig_connect(&rig);
		put(&rig, fd, type, 0, 1, "", 0);
		expect_closed(&rig, fd);
	}
	fd = rig_connect(&rig);
	put(&rig, fd, LODGE_RPC_DATA, LODGE_RPC_F_ROOT, 1, "", 0);
	expect_closed(&rig, fd);
	/* The same tag twice, which no answer could tell apart. */
	fd = rig_connect(&rig);
	put_exec(&rig, fd, 1, "arg=x|stdout=2");
	put_exec(&rig, fd, 1, "arg=x");
	expect_closed(&rig, fd);
	ck_assert_uint_eq(rig_open_calls(&rig), 0);
	rig_stop(&rig);
}
END_TEST

START_TEST(t40_a_thousand_clients)
{
	int fds[RELAY_CLIENTS_MAX];
	struct rig rig;

	rig_start(&rig);
	for (size_t i = 0; i < RELAY_CLIENTS_MAX; i++)
		fds[i] = rig_connect(&rig);
	for (size_t i = RELAY_CLIENTS_MAX; i < 1000; i++)
		expect_closed(&rig, rig_connect(&rig));
	/* Those that were there first are served. */
	put_exec(&rig, fds[0], 1, "arg=x");
	ck_assert_uint_eq(rig_open_calls(&rig), 1);
	for (size_t i = 0; i < RELAY_CLIENTS_MAX; i++)
		close(fds[i]);
	rig_turn(&rig);
	ck_assert_uint_eq(rig_open_calls(&rig), 0);
	rig_stop(&rig);
}
END_TEST

/* A command that is cut off anywhere, and its client gone. */
START_TEST(t40_half_a_command_then_close)
{
	static const char text[] = "lodge.exec arg=cat\0stdin=3\0stdout=4";
	const struct frame frame = { .size = sizeof(text), .type = LODGE_RPC_COMMAND, .tag = 1 };
	unsigned char bytes[LODGE_RPC_HEADER_SIZE + sizeof(text)];
	struct rig rig;

	frame_build(&frame, bytes);
	memcpy(bytes + LODGE_RPC_HEADER_SIZE, text, sizeof(text));
	rig_start(&rig);
	for (size_t cut = 0; cut < sizeof(bytes); cut++) {
		int fd = rig_connect(&rig);

		ck_assert_int_eq(send(fd, bytes, cut, MSG_NOSIGNAL), (ssize_t)cut);
		rig_turn(&rig);
		close(fd);
		rig_turn(&rig);
		ck_assert_uint_eq(rig_open_calls(&rig) + rig_open_streams(&rig), 0);
	}
	rig_stop(&rig);
}
END_TEST

START_TEST(a_dead_client_amid_its_output)
{
	static const char block[LODGE_RPC_DATA_MAX];
	struct tools_stream *stream;
	struct rig rig;
	int fd;

	rig_start(&rig);
	fd = rig_connect(&rig);
	put_exec(&rig, fd, 1, "arg=yes|stdout=2");
	stream = rig_stream(&rig, 0);
	close(fd);
	/* The relay learns of it by the write that fails, within the callback. */
	rig_data(stream, block, sizeof(block), false);
	rig_data(stream, block, sizeof(block), false);
	rig_result(rig_call(&rig, 0), "OK ");
	rig_turn(&rig);
	ck_assert_uint_eq(rig_open_streams(&rig), 0);
	rig_stop(&rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("backdoor_relay");
	TCase *tcase = tcase_create("relay");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, commands_and_streams_are_translated);
	tcase_add_test(tcase, reasons_are_told);
	tcase_add_test(tcase, a_client_that_does_not_read_gets_no_more);
	tcase_add_test(tcase, no_more_than_the_client_gave);
	tcase_add_test(tcase, input_waits_for_the_guest);
	tcase_add_test(tcase, input_beyond_its_credit);
	tcase_add_test(tcase, tools_go_away);
	tcase_add_test(tcase, resets_and_results_end_streams);
	tcase_add_test(tcase, results_are_bounded);
	tcase_add_test(tcase, limits);
	tcase_add_test(tcase, malformed_clients_are_closed);
	tcase_add_test(tcase, t40_a_thousand_clients);
	tcase_add_test(tcase, t40_half_a_command_then_close);
	tcase_add_test(tcase, a_dead_client_amid_its_output);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
