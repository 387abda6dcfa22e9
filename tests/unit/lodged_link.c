// SPDX-License-Identifier: GPL-2.0-or-later
// lodged and its door: greeting, the host's first commands, facts, loss and return, malformed
// hosts.
#include <check.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/lib/fd.h"
#include "protocol/lib/fields.h"
#include "tests/unit/lodged_rig.h"
#include "tests/unit/unit.h"

START_TEST(the_start_sequence_is_answered)
{
	struct rig rig;
	g_autofree char *reset = NULL, *ping = NULL, *capabilities = NULL, *unknown = NULL;

	rig_up(&rig, NULL);
	reset = rig_ask(&rig, "reset");
	ck_assert_str_eq(reset, "OK ATR toolbox");
	ping = rig_ask(&rig, "ping");
	ck_assert_str_eq(ping, "OK ");
	capabilities = rig_ask(&rig, "Capabilities_Register");
	ck_assert_str_eq(capabilities, "OK ");
	ck_assert_ptr_nonnull(rig_request(&rig, "vmx.capability.unified_loop toolbox"));
	ck_assert_ptr_nonnull(rig_request(&rig, "tools.set.versiontype "));
	unknown = rig_ask(&rig, "unity.enter");
	ck_assert_str_eq(unknown, "ERROR Unknown Command");
	rig_stop(&rig);
}
END_TEST

START_TEST(facts_follow_a_reset)
{
	struct rig rig;
	g_autofree char *reset = NULL;

	rig_up(&rig, NULL);
	reset = rig_ask(&rig, "reset");
	ck_assert_str_eq(reset, "OK ATR toolbox");
	ck_assert_ptr_nonnull(strstr(rig_request(&rig, "lodge.facts part=system"), "part=system"));
	rig_request(&rig, "lodge.facts part=net");
	rig_request(&rig, "lodge.facts part=load");
	rig_request(&rig, "lodge.facts part=users");
	rig_request(&rig, "lodge.facts part=disks");
	rig_stop(&rig);
}
END_TEST

/* Bytes of an earlier life of the port come before the greeting's reply. */
START_TEST(stale_bytes_are_dropped)
{
	struct rig rig;
	struct rig_frame hello;
	unsigned char stale[LODGE_RPC_HEADER_SIZE];
	struct frame old = { .size = 100, .type = LODGE_RPC_REPLY };
	g_autofree char *ping = NULL;

	rig_start(&rig, NULL);
	hello = rig_next(&rig, true);
	old.tag = hello.frame.tag + 1;
	frame_build(&old, stale);
	rig_send_bytes(&rig, "tail of a frame", 15);
	rig_send_bytes(&rig, stale, sizeof(stale));
	rig_send_bytes(&rig, stale, 11);
	rig_send(&rig, LODGE_RPC_REPLY, 0, hello.frame.tag, "1 ", 2);
	g_free(hello.payload);
	ping = rig_ask(&rig, "ping");
	ck_assert_str_eq(ping, "OK ");
	rig_stop(&rig);
}
END_TEST

START_TEST(a_lost_door_is_found_again)
{
	struct rig rig;
	g_autofree char *ping = NULL;

	rig_up(&rig, NULL);
	rig_send(&rig, LODGE_RPC_CLOSE, 0, 0, "", 0);
	rig_accept(&rig);
	rig_greet(&rig);
	ping = rig_ask(&rig, "ping");
	ck_assert_str_eq(ping, "OK ");
	rig_stop(&rig);
}
END_TEST

static const struct {
	const char *name;
	struct lodge_rpc_header header;
	size_t size; /* bytes of payload that follow */
} malformed[] = {
	{ "magic", { 0x41414141, 0, LODGE_RPC_COMMAND, 0, 0, 1, 0 }, 0 },
	{ "type 0", { LODGE_RPC_MAGIC, 0, 0, 0, 0, 1, 0 }, 0 },
	{ "type 9", { LODGE_RPC_MAGIC, 0, 9, 0, 0, 1, 0 }, 0 },
	{ "a request", { LODGE_RPC_MAGIC, 4, LODGE_RPC_REQUEST, 0, 0, 1, 64 }, 4 },
	{ "size", { LODGE_RPC_MAGIC, 0xffffffff, LODGE_RPC_COMMAND, 0, 0, 1, 0 }, 0 },
	{ "a command above 64 KiB",
	  { LODGE_RPC_MAGIC, 0x10001, LODGE_RPC_COMMAND, 0, 0, 1, 0 },
	  0 },
	{ "flags", { LODGE_RPC_MAGIC, 0, LODGE_RPC_COMMAND, 0x80, 0, 1, 0 }, 0 },
	{ "a reply to nothing", { LODGE_RPC_MAGIC, 2, LODGE_RPC_REPLY, 0, 0, 99999, 0 }, 2 },
};

static bool has_closed(struct rig *rig, void *opaque)
{
	(void)opaque;
	return !lodged_door(&rig->lodged);
}

START_TEST(a_malformed_frame_ends_the_door)
{
	struct rig rig;
	g_autofree char *ping = NULL, *pong = NULL;

	rig_up(&rig, NULL);
	ping = rig_ask(&rig, "ping");
	ck_assert_str_eq(ping, "OK ");
	rig_send_bytes(&rig, &malformed[_i].header, sizeof(malformed[_i].header));
	rig_send_bytes(&rig, "1 xx", malformed[_i].size);
	rig_until(&rig, has_closed, NULL);
	rig_accept(&rig);
	rig_greet(&rig);
	pong = rig_ask(&rig, "ping");
	ck_assert_str_eq(pong, "OK ");
	rig_stop(&rig);
}
END_TEST

START_TEST(odd_words_are_unknown)
{
	static const struct {
		const char *text;
		size_t len;
	} words[] = {
		{ "", 0 },
		{ " ping", 5 },
		{ "pi\001ng", 5 },
		{ "ping\0", 5 },
		{ "ping  ", 6 },
		{ "\xff\xfe", 2 },
		{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 73 },
	};
	struct rig rig;

	rig_up(&rig, NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
		g_autofree char *said =
			rig_result(&rig, rig_command(&rig, words[i].text, words[i].len));

		ck_assert_str_eq(said, i == 3 || i == 4 ? "OK " : "ERROR Unknown Command");
	}
	rig_stop(&rig);
}
END_TEST

/* DATA and RESET for streams that nobody opened, without end. */
START_TEST(frames_of_no_stream_cost_nothing)
{
	struct rig rig;
	struct rig_frame reset;
	g_autofree char *ping = NULL;

	rig_up(&rig, NULL);
	rig_send(&rig, LODGE_RPC_DATA, LODGE_RPC_F_END, 7, "x", 1);
	reset = rig_next(&rig, false);
	ck_assert_int_eq(reset.frame.type, LODGE_RPC_RESET);
	ck_assert_uint_eq(reset.frame.tag, 7);
	g_free(reset.payload);
	rig_send(&rig, LODGE_RPC_RESET, 0, 8, "y", 1);
	rig_send(&rig, LODGE_RPC_CREDIT, 0, 9, "\0\0\0\1", 4);
	ping = rig_ask(&rig, "ping");
	ck_assert_str_eq(ping, "OK ");
	rig_stop(&rig);
}
END_TEST

/* ---- a better door comes ---- */

static bool over_dev(struct rig *rig, void *opaque)
{
	struct door *door = lodged_door(&rig->lodged);

	(void)opaque;
	return door && door_kind(door) == DOOR_DEV;
}

static bool hangs_up(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

static bool has_hung_up(struct rig *rig, void *opaque)
{
	(void)rig;
	return hangs_up(*(int *)opaque);
}

static void up_at_the_port(struct rig *rig, const char *conf)
{
	rig_start_free(rig, conf);
	rig_greet(rig);
	/* Facts and the like have been told. */
	g_free(rig_ask(rig, "ping"));
}

START_TEST(a_better_door_is_taken_when_it_comes)
{
	struct rig rig;
	g_autofree char *ping = NULL, *pong = NULL;
	int port;

	up_at_the_port(&rig, NULL);
	port = fd_steal(&rig.host);
	rig_open_dev(&rig);
	rig_accept(&rig);
	ck_assert_msg(!hangs_up(port), "the old door is kept until the new one is greeted at");
	rig_greet(&rig);
	rig_until(&rig, over_dev, NULL);
	rig_until(&rig, has_hung_up, &port);
	ping = rig_ask(&rig, "ping");
	ck_assert_str_eq(ping, "OK ");
	/* And when it goes, the port is what there is. */
	rig_close_dev(&rig);
	rig_accept(&rig);
	rig_greet(&rig);
	pong = rig_ask(&rig, "ping");
	ck_assert_str_eq(pong, "OK ");
	ck_assert(!over_dev(&rig, NULL));
	close(port);
	rig_stop(&rig);
}
END_TEST

/* Up at the port when the module's node comes: rig->host is that, the port is returned. */
static int greeted_by_a_better_door(struct rig *rig, struct rig_frame *ret_hello)
{
	int port;

	up_at_the_port(rig, NULL);
	port = fd_steal(&rig->host);
	rig_open_dev(rig);
	rig_accept(rig);
	*ret_hello = rig_next(rig, true);
	return port;
}

/* A module has a queue for replies and another one for commands, which may come first. */
START_TEST(a_command_may_pass_the_reply_to_the_greeting)
{
	struct rig rig;
	g_autofree char *first = NULL, *ping = NULL;
	struct rig_frame hello;
	uint32_t tag;
	int port;

	port = greeted_by_a_better_door(&rig, &hello);
	ck_assert_int_eq(hello.frame.type, LODGE_RPC_REQUEST);
	g_free(hello.payload);
	tag = rig_command(&rig, "reset", 5);
	rig_send(&rig, LODGE_RPC_REPLY, 0, hello.frame.tag, "1 version=0", sizeof("1 version=0"));
	first = rig_result(&rig, tag);
	ck_assert_str_eq(first, "OK ATR toolbox");
	rig_until(&rig, over_dev, NULL);
	ping = rig_ask(&rig, "ping");
	ck_assert_str_eq(ping, "OK ");
	close(port);
	rig_stop(&rig);
}
END_TEST

static bool later(struct rig *rig, void *opaque)
{
	int early = accept4(rig->listener, NULL, NULL, SOCK_CLOEXEC);

	ck_assert_msg(early < 0, "lodged goes while a command is open");
	return g_get_monotonic_time() > *(gint64 *)opaque;
}

START_TEST(a_command_is_finished_first)
{
	struct rig rig;
	const char *user = geteuid() == 0 ? "root" : g_get_user_name();
	gint64 until;
	uint32_t tag;
	int port;
	g_autofree char *result = NULL, *ping = NULL;

	up_at_the_port(&rig, "[guest-ops]\nallow-exec=root\n");
	tag = rig_fields(&rig, "lodge.exec", "user", user, "arg", "/bin/cat", "stdin", "3", NULL);
	rig_open_dev(&rig);
	until = g_get_monotonic_time() + G_USEC_PER_SEC;
	rig_until(&rig, later, &until);
	rig_send(&rig, LODGE_RPC_DATA, LODGE_RPC_F_END, 3, "", 0);
	result = rig_result(&rig, tag);
	ck_assert_str_eq(result, "OK status=0");
	port = fd_steal(&rig.host);
	rig_accept(&rig);
	rig_greet(&rig);
	rig_until(&rig, over_dev, NULL);
	ping = rig_ask(&rig, "ping");
	ck_assert_str_eq(ping, "OK ");
	close(port);
	rig_stop(&rig);
}
END_TEST

START_TEST(a_better_door_that_fails_changes_nothing)
{
	struct rig rig;
	struct rig_frame hello;
	g_autofree char *ping = NULL;
	int port;

	port = greeted_by_a_better_door(&rig, &hello);
	g_free(hello.payload);
	fd_close(&rig.host);
	rig.host = port;
	frame_cutter_reset(&rig.cutter);
	ping = rig_ask(&rig, "ping");
	ck_assert_str_eq(ping, "OK ");
	ck_assert(!over_dev(&rig, NULL));
	rig_stop(&rig);
}
END_TEST

/* The host closes the port when it greets at the better door, and lodged sees that first. */
START_TEST(the_old_door_may_be_closed_before_the_new_one_greets)
{
	struct rig rig;
	g_autofree char *ping = NULL;
	int port;

	up_at_the_port(&rig, NULL);
	port = fd_steal(&rig.host);
	rig_open_dev(&rig);
	rig_accept(&rig);
	close(port);
	rig_until(&rig, has_closed, NULL);
	rig_greet(&rig);
	rig_until(&rig, over_dev, NULL);
	ping = rig_ask(&rig, "ping");
	ck_assert_str_eq(ping, "OK ");
	rig_stop(&rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lodged_link");
	TCase *tests = tcase_create("link");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, the_start_sequence_is_answered);
	tcase_add_test(tests, facts_follow_a_reset);
	tcase_add_test(tests, stale_bytes_are_dropped);
	tcase_add_test(tests, a_lost_door_is_found_again);
	tcase_add_loop_test(tests, a_malformed_frame_ends_the_door, 0, G_N_ELEMENTS(malformed));
	tcase_add_test(tests, odd_words_are_unknown);
	tcase_add_test(tests, frames_of_no_stream_cost_nothing);
	tcase_add_test(tests, a_better_door_is_taken_when_it_comes);
	tcase_add_test(tests, a_command_is_finished_first);
	tcase_add_test(tests, a_command_may_pass_the_reply_to_the_greeting);
	tcase_add_test(tests, a_better_door_that_fails_changes_nothing);
	tcase_add_test(tests, the_old_door_may_be_closed_before_the_new_one_greets);
	suite_add_tcase(suite, tests);
	return unit_run(suite);
}
