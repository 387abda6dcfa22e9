// SPDX-License-Identifier: GPL-2.0-or-later
// The RPC service behind a door that the test plays: hello, words, variables, limits, threads,
// saved state.
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <lodge/display.h>

#include "host-vmm/clock/clock.h"
#include "host-vmm/state.h"
#include "protocol/lib/fields.h"
#include "protocol/lib/log.h"
#include "tests/unit/backdoor_rig.h"
#include "tests/unit/unit.h"

/* ---- words ---- */

START_TEST(hello_comes_first)
{
	struct rpc_session *session = open_session(RPC_DOOR_VIRTIO, RPC_ROOT, &ops);

	expect(session, "info-get guestinfo.x", "0 say lodge.hello first");
	expect(session, "nonsense", "0 say lodge.hello first");
	expect(session, "", "0 say lodge.hello first");
	expect(session, "lodge.hello", "0 malformed lodge.hello");
	expect(session, "lodge.hello app=cli", "0 malformed lodge.hello");
	expect_bytes(session, "lodge.hello app=No Such\0", 24, "0 malformed lodge.hello");
	ck_assert(replies_with(session, "lodge.hello app=cli\0", 20, "1 version=" LODGE_VERSION,
			       strlen("1 version=" LODGE_VERSION)));
	rpc_session_close(session);
}
END_TEST

START_TEST(hello_tells_door_and_privilege)
{
	static const char hello[] = "lodge.hello app=cli";
	struct rpc_session *session = open_session(RPC_DOOR_PORT, RPC_ROOT, &ops);

	ck_assert(replies_with(session, hello, sizeof(hello), "door=port\0privilege=root\0", 25));
	expect_bytes(session, hello, sizeof(hello), "0 said already");
	rpc_session_close(session);
	session = open_session(RPC_DOOR_VIRTIO, RPC_USER, &ops);
	ck_assert(replies_with(session, hello, sizeof(hello), "privilege=user\0", 15));
	rpc_session_close(session);
	session = open_session(RPC_DOOR_VIRTIO, RPC_USER, &ops);
	expect_bytes(session, "lodge.hello app=toolbox", 24, "0 Permission denied");
	rpc_session_close(session);
}
END_TEST

START_TEST(a_cli_is_never_commanded)
{
	struct rpc_session *session = greet(RPC_DOOR_VIRTIO, RPC_ROOT, HELLO("cli"));

	settle();
	ck_assert_uint_eq(n_sent, 0);
	rpc_session_close(session);
}
END_TEST

START_TEST(variables)
{
	struct rpc_session *root = greet(RPC_DOOR_VIRTIO, RPC_ROOT, "lodge.hello app=cli");
	struct rpc_session *user = greet(RPC_DOOR_VIRTIO, RPC_USER, "lodge.hello app=cli");
	struct rpc_session *ports = open_session(RPC_DOOR_IOPORTS, RPC_USER, &mute);
	char *value;
	size_t len;

	expect(root, "info-get guestinfo.x", "0 No value found");
	expect(root, "info-set guestinfo.x a b  c", "1 ");
	expect(root, "info-get guestinfo.x", "1 a b  c");
	expect_bytes(user, "info-get guestinfo.x \0", 22, "1 a b  c");
	expect(user, "info-set guestinfo.x other", "0 Permission denied");
	expect_bytes(ports, "info-set guestinfo.y 7\0", 23, "1 ");
	expect(ports, "info-get guestinfo.y", "1 7");
	expect(ports, "info-set guestinfo.y", "1 ");
	expect(ports, "info-get guestinfo.y", "1 ");
	expect(root, "info-set machine.id 7", "0 only names of guestinfo. can be set");
	expect(root, "info-set guestinfo. 7", "0 only names of guestinfo. can be set");
	expect(root, "info-set guestinfo.\xff 7", "0 only names of guestinfo. can be set");
	expect(root, "info-get machine.id", "0 No value found");
	expect(root, "info-get", "0 No value found");

	ck_assert_int_eq(tools_var_get(backdoor, "guestinfo.x", &value, &len), 0);
	ck_assert_str_eq(value, "a b  c");
	free(value);
	ck_assert_int_eq(tools_var_set(backdoor, "guestinfo.x", "1\0002", 3), 0);
	ck_assert(replies_with(root, "info-get guestinfo.x", 20, "1 1\0002", 5));
	ck_assert_int_eq(tools_var_set(backdoor, "guestinfo.x", NULL, 0), 0);
	ck_assert_int_eq(tools_var_set(backdoor, "guestinfo.x", NULL, 0), -ENOENT);
	ck_assert_int_eq(tools_var_set(backdoor, "x", "1", 1), -EINVAL);
	rpc_session_close(root);
	rpc_session_close(user);
	rpc_session_close(ports);
}
END_TEST

START_TEST(the_hosts_time)
{
	struct rpc_session *user = greet(RPC_DOOR_VIRTIO, RPC_USER, "lodge.hello app=cli");
	struct rpc_reply reply = { 0 };
	uint64_t seconds, nanoseconds;
	char zone[HOST_ZONE_MAX];
	const char *told;
	time_t before = time(NULL);

	rpc_session_request(user, "lodge.clock", 11, &reply);
	ck_assert_int_eq(memcmp(reply.bytes, "1 ", 2), 0);
	ck_assert_int_eq(fields_check(reply.bytes + 2, reply.len - 2), 0);
	ck_assert_int_eq(
		fields_number(reply.bytes + 2, reply.len - 2, "seconds", INT64_MAX, &seconds), 0);
	ck_assert_int_eq(fields_number(reply.bytes + 2, reply.len - 2, "nanoseconds", 999999999,
				       &nanoseconds),
			 0);
	ck_assert_uint_ge(seconds, (uint64_t)before);
	ck_assert_uint_le(seconds, (uint64_t)time(NULL));
	host_clock_zone(zone);
	told = fields_get(reply.bytes + 2, reply.len - 2, "zone");
	ck_assert_str_eq(told ? told : "", zone);
	rpc_reply_free(&reply);
	expect(user, "lodge.clock x", "0 too long");
	rpc_session_close(user);
}
END_TEST

START_TEST(variables_are_bounded)
{
	char *value = calloc(1, TOOLS_VAR_VALUE_MAX + 1), name[64];
	struct tools_var *vars;
	size_t count;

	ck_assert_int_eq(tools_var_set(backdoor, "guestinfo.a", value, TOOLS_VAR_VALUE_MAX + 1),
			 -EMSGSIZE);
	for (int i = 0; i < 15; i++) {
		snprintf(name, sizeof(name), "guestinfo.big%d", i);
		ck_assert_int_eq(tools_var_set(backdoor, name, value, TOOLS_VAR_VALUE_MAX), 0);
	}
	ck_assert_int_eq(tools_var_set(backdoor, "guestinfo.z", value, TOOLS_VAR_VALUE_MAX),
			 -ENOSPC);
	/* Replacing needs no more room than there is. */
	ck_assert_int_eq(tools_var_set(backdoor, "guestinfo.big3", value, TOOLS_VAR_VALUE_MAX), 0);
	for (int i = 0; i < 256 - 15; i++) {
		snprintf(name, sizeof(name), "guestinfo.s%03d", i);
		ck_assert_int_eq(tools_var_set(backdoor, name, "v", 1), 0);
	}
	ck_assert_int_eq(tools_var_set(backdoor, "guestinfo.one-more", "v", 1), -ENOSPC);
	ck_assert_int_eq(tools_var_set(backdoor, "guestinfo.s000", "w", 1), 0);
	ck_assert_int_eq(tools_vars_list(backdoor, &vars, &count), 0);
	ck_assert_uint_eq(count, 256);
	for (size_t i = 1; i < count; i++)
		ck_assert_int_lt(strcmp(vars[i - 1].name, vars[i].name), 0);
	tools_vars_free(vars, count);
	free(value);
}
END_TEST

START_TEST(floods_get_busy)
{
	struct rpc_session *ports = open_session(RPC_DOOR_IOPORTS, RPC_USER, &mute);
	struct rpc_session *root = greet(RPC_DOOR_VIRTIO, RPC_ROOT, "lodge.hello app=cli");
	struct rpc_reply reply;
	unsigned int busy = 0;

	/* More than a second's worth, in less. */
	for (int i = 0; i < 4000; i++) {
		rpc_session_request(ports, "info-set guestinfo.x 1", 22, &reply);
		busy += reply.flags & LODGE_RPC_F_BUSY;
		if (reply.flags & LODGE_RPC_F_BUSY)
			ck_assert_mem_eq(reply.bytes, "0 busy", 6);
		rpc_reply_free(&reply);
	}
	ck_assert_uint_gt(busy, 0);
	/* Others are not hurt by it. */
	expect(root, "info-set guestinfo.x 2", "1 ");
	rpc_session_close(ports);
	rpc_session_close(root);
}
END_TEST

static unsigned int count_busy(struct rpc_session *session, int requests)
{
	struct rpc_reply reply;
	unsigned int busy = 0;

	for (int i = 0; i < requests; i++) {
		rpc_session_request(session, "info-set guestinfo.x 1", 22, &reply);
		busy += reply.flags & LODGE_RPC_F_BUSY ? 1 : 0;
		rpc_reply_free(&reply);
	}
	return busy;
}

START_TEST(a_flood_of_one_process_leaves_the_others_their_part)
{
	struct rpc_session *tools = open_session(RPC_DOOR_IOPORTS, RPC_USER, &mute), *flood;
	unsigned int busy = 0;

	rpc_session_set_space(tools, 1);
	/* By one channel after another, which is no way round it. */
	for (int i = 0; i < 40; i++) {
		flood = open_session(RPC_DOOR_IOPORTS, RPC_USER, &mute);
		rpc_session_set_space(flood, 2);
		busy += count_busy(flood, 100);
		rpc_session_close(flood);
	}
	ck_assert_uint_gt(busy, 1000);
	ck_assert_uint_eq(count_busy(tools, 100), 0);
	/* Nor do many processes get more together than the door gives. */
	busy = 0;
	for (uint64_t i = 0; i < 40; i++) {
		flood = open_session(RPC_DOOR_IOPORTS, RPC_USER, &mute);
		rpc_session_set_space(flood, 100 + i);
		busy += count_busy(flood, 200);
		rpc_session_close(flood);
	}
	ck_assert_uint_gt(busy, 1000);
	rpc_session_close(tools);
}
END_TEST

START_TEST(sessions_are_bounded)
{
	struct rpc_session *sessions[RPC_SESSIONS_OF_DOOR], *more;

	for (size_t i = 0; i < RPC_SESSIONS_OF_DOOR; i++)
		sessions[i] = open_session(RPC_DOOR_IOPORTS, RPC_USER, &mute);
	ck_assert_int_eq(rpc_session_open(backdoor, RPC_DOOR_IOPORTS, RPC_USER, &mute, NULL, &more),
			 -EMFILE);
	more = open_session(RPC_DOOR_VIRTIO, RPC_USER, &ops);
	rpc_session_close(more);
	for (size_t i = 0; i < RPC_SESSIONS_OF_DOOR; i++)
		rpc_session_close(sessions[i]);
	rpc_session_close(NULL);
}
END_TEST

START_TEST(odd_requests)
{
	struct rpc_session *ports = open_session(RPC_DOOR_IOPORTS, RPC_USER, &mute);
	char *large = malloc(LODGE_RPC_PAYLOAD_MAX);

	expect(ports, "", "0 Unknown command");
	expect(ports, " ", "0 Unknown command");
	expect_bytes(ports, "\0\0\0", 3, "0 Unknown command");
	expect(ports, "Log x", "0 Unknown command");
	expect(ports, "lodge.hello app=cli", "0 Permission denied");
	expect_bytes(ports, "log \x1b]0;pwn\x07\0", 14, "1 ");
	expect(ports, "vmx.capability.unified_loop toolbox", "1 ");
	memset(large, 'x', LODGE_RPC_PAYLOAD_MAX);
	expect_bytes(ports, large, LODGE_RPC_PAYLOAD_MAX, "0 Unknown command");
	memcpy(large, "log ", 4);
	expect_bytes(ports, large, LODGE_RPC_PAYLOAD_MAX, "0 too long");
	expect_bytes(ports, large, 4 + (64 << 10), "1 ");
	free(large);
	rpc_session_close(ports);
}
END_TEST

/* ---- threads: vCPUs, the loop, the control socket ---- */

#define ROUNDS 300

static int swallow(void *opaque, const struct frame *frame, const void *payload)
{
	(void)opaque;
	(void)frame;
	(void)payload;
	return 0;
}

static const struct rpc_session_ops quiet = { .send = swallow };

static void *come_and_go(void *opaque)
{
	static const char hello[] = HELLO("toolbox"), info[] = "SetGuestInfo  1 box";
	enum rpc_door door = *(const enum rpc_door *)opaque;

	for (int i = 0; i < ROUNDS; i++) {
		struct rpc_session *session;
		struct rpc_reply reply;

		if (rpc_session_open(backdoor, door, RPC_ROOT, &quiet, NULL, &session) < 0)
			return NULL;
		if (door != RPC_DOOR_IOPORTS) {
			rpc_session_request(session, hello, sizeof(hello), &reply);
			rpc_reply_free(&reply);
		}
		for (uint32_t tag = 1; tag < 12; tag++) {
			rpc_session_result(session, tag, "OK ATR toolbox", 14);
			rpc_session_request(session, info, sizeof(info), &reply);
			rpc_reply_free(&reply);
		}
		rpc_session_close(session);
	}
	return NULL;
}

static void *look_on(void *opaque)
{
	(void)opaque;
	for (int i = 0; i < ROUNDS * 4; i++) {
		struct tools_facts *facts;
		struct tools_status status;

		tools_get_status(backdoor, &status);
		(void)tools_command(backdoor, status.epoch, "x", 1, NULL, NULL, NULL);
		(void)tools_var_set(backdoor, "guestinfo.x", "1", i % 2);
		if (tools_get_facts(backdoor, &facts) == 0)
			free(facts);
	}
	return NULL;
}

START_TEST(many_threads)
{
	static const enum rpc_door doors[] = { RPC_DOOR_VIRTIO, RPC_DOOR_IOPORTS, RPC_DOOR_PORT };
	pthread_t threads[4];

	log_set_level(LOG_LEVEL_ERROR);
	for (size_t i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, come_and_go, (void *)&doors[i]),
				 0);
	ck_assert_int_eq(pthread_create(&threads[3], NULL, look_on, NULL), 0);
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	settle();
}
END_TEST

/* ---- memory ---- */

static unsigned int n_stalls;

static void count_stalls(void *opaque, const struct tools_event *event)
{
	(void)opaque;
	if (!strcmp(event->name, "memory-stall")) {
		ck_assert_str_eq(fields_get(event->fields, event->fields_len, "permille"), "300");
		n_stalls++;
	}
}

static void remove_sink(void *sink)
{
	tools_events_remove(sink);
}

#define EXPECT(session, message, want) expect_bytes(session, message, sizeof(message), want)

START_TEST(stalls)
{
	struct rpc_session *user = greet(RPC_DOOR_VIRTIO, RPC_USER, HELLO("x"));
	struct rpc_session *session = start_tools();
	struct tools_sink *sink;
	unsigned int permille = 7;

	n_stalls = 0;
	ck_assert_int_eq(tools_events_add(backdoor, count_stalls, NULL, &sink), 0);
	ck_assert_int_eq(tools_get_stall(backdoor, &permille), -ENODATA);
	EXPECT(session, "lodge.memory permille=300", "1 ");
	EXPECT(session, "lodge.memory permille=900", "1 ");
	EXPECT(session, "lodge.memory permille=90", "1 ");
	ck_assert_int_eq(tools_get_stall(backdoor, &permille), 0);
	ck_assert_uint_eq(permille, 90);
	EXPECT(session, "lodge.memory permille=300", "1 ");
	EXPECT(session, "lodge.memory permille=1001", "0 malformed");
	EXPECT(session, "lodge.memory permille=-1", "0 malformed");
	EXPECT(session, "lodge.memory x=1", "0 malformed");
	EXPECT(session, "lodge.memory x", "0 malformed");
	EXPECT(user, "lodge.memory permille=1000", "0 Permission denied");
	ck_assert_int_eq(tools_get_stall(backdoor, &permille), 0);
	ck_assert_uint_eq(permille, 300);
	settle();
	ck_assert_uint_eq(n_stalls, 2);
	loop_call(rig.machine.loop, remove_sink, sink);
	rpc_session_close(user);
	rpc_session_close(session);
	ck_assert_int_eq(tools_get_stall(backdoor, &permille), -ENODATA);
}
END_TEST

/* ---- the display ---- */

static void count_replugs(void *opaque, const struct tools_event *event)
{
	unsigned int *count = opaque;

	if (strcmp(event->name, "display-replug") != 0)
		return;
	ck_assert_str_eq(fields_get(event->fields, event->fields_len, "door"), "virtio");
	++*count;
}

START_TEST(heads_are_plugged_in_anew_for_root_alone)
{
	struct rpc_session *user = greet(RPC_DOOR_VIRTIO, RPC_USER, HELLO("x"));
	struct rpc_session *session = start_tools();
	struct tools_sink *sink;
	unsigned int count = 0;

	ck_assert_int_eq(tools_events_add(backdoor, count_replugs, &count, &sink), 0);
	expect(user, LODGE_DISPLAY_REPLUG_WORD, "0 Permission denied");
	expect(session, LODGE_DISPLAY_REPLUG_WORD " 0123456789abcdefg", "0 too long");
	settle();
	ck_assert_uint_eq(count, 0);
	expect(session, LODGE_DISPLAY_REPLUG_WORD, "1 ");
	settle();
	ck_assert_uint_eq(count, 1);
	loop_call(rig.machine.loop, remove_sink, sink);
	rpc_session_close(user);
	rpc_session_close(session);
}
END_TEST

static int have_balloon(void *opaque, struct tools_balloon *ret_balloon)
{
	*ret_balloon = (struct tools_balloon){ 4096, 8192, 1 << 30 };
	return *(int *)opaque;
}

START_TEST(the_balloon)
{
	struct rpc_session *user = greet(RPC_DOOR_VIRTIO, RPC_USER, HELLO("x"));
	struct rpc_reply reply = { 0 };
	int error = -ENODEV;
	uint64_t size;

	expect(user, "lodge.balloon", "0 this VM has no balloon");
	tools_balloon_source(backdoor, have_balloon, &error);
	expect(user, "lodge.balloon", "0 this VM has no balloon");
	error = 0;
	rpc_session_request(user, "lodge.balloon", 13, &reply);
	ck_assert_int_eq(fields_check(reply.bytes + 2, reply.len - 2), 0);
	ck_assert_str_eq(fields_get(reply.bytes + 2, reply.len - 2, "given"), "4096");
	ck_assert_str_eq(fields_get(reply.bytes + 2, reply.len - 2, "target"), "8192");
	ck_assert_int_eq(fields_number(reply.bytes + 2, reply.len - 2, "size", INT64_MAX, &size),
			 0);
	ck_assert_uint_eq(size, 1 << 30);
	rpc_reply_free(&reply);
	expect(user, "lodge.balloon x", "0 too long");
	tools_balloon_source(backdoor, NULL, NULL);
	expect(user, "lodge.balloon", "0 this VM has no balloon");
	rpc_session_close(user);
}
END_TEST

/* ---- saved ---- */

START_TEST(variables_are_saved)
{
	struct state state = { 0 }, back;
	char *value;
	size_t len;

	ck_assert_int_eq(tools_var_set(backdoor, "guestinfo.a", "1\0002", 3), 0);
	ck_assert_int_eq(tools_var_set(backdoor, "guestinfo.b", "", 0), 0);
	ck_assert_int_eq(backdoor_type.save(device, &state), 0);
	ck_assert_int_eq(tools_var_set(backdoor, "guestinfo.a", "other", 5), 0);
	ck_assert_int_eq(tools_var_set(backdoor, "guestinfo.c", "c", 1), 0);
	state_read_from(&back, state.bytes, state.len);
	ck_assert_int_eq(backdoor_type.load(device, &back), 0);
	ck_assert_int_eq(tools_var_get(backdoor, "guestinfo.a", &value, &len), 0);
	ck_assert_uint_eq(len, 3);
	ck_assert_mem_eq(value, "1\0002", 4);
	free(value);
	ck_assert_int_eq(tools_var_get(backdoor, "guestinfo.c", &value, &len), -ENOENT);
	/* Cut anywhere, it is refused. */
	for (size_t cut = 0; cut < state.len; cut++) {
		state_read_from(&back, state.bytes, cut);
		ck_assert_int_eq(backdoor_type.load(device, &back), -EBADMSG);
	}
	state_finish(&state);
	device->type->reset(device);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("backdoor_service");
	TCase *tcase = tcase_create("service");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, backdoor_setup, backdoor_teardown);
	tcase_add_test(tcase, hello_comes_first);
	tcase_add_test(tcase, hello_tells_door_and_privilege);
	tcase_add_test(tcase, a_cli_is_never_commanded);
	tcase_add_test(tcase, variables);
	tcase_add_test(tcase, the_hosts_time);
	tcase_add_test(tcase, variables_are_bounded);
	tcase_add_test(tcase, floods_get_busy);
	tcase_add_test(tcase, a_flood_of_one_process_leaves_the_others_their_part);
	tcase_add_test(tcase, sessions_are_bounded);
	tcase_add_test(tcase, odd_requests);
	tcase_add_test(tcase, many_threads);
	tcase_add_test(tcase, stalls);
	tcase_add_test(tcase, heads_are_plugged_in_anew_for_root_alone);
	tcase_add_test(tcase, the_balloon);
	tcase_add_test(tcase, variables_are_saved);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
