// SPDX-License-Identifier: GPL-2.0-or-later
// Which program is the guest's tools: how a new one is started, what takes its place, heartbeat.
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include "tests/unit/backdoor_rig.h"
#include "tests/unit/unit.h"

static uint64_t later_ms; /* added to the clock */
static char events[4096];

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
	int ret = __real_clock_gettime(clock, now);

	now->tv_sec += (time_t)(later_ms / 1000);
	return ret;
}

static void note_event(void *opaque, const struct tools_event *event)
{
	(void)opaque;
	strncat(events, event->name, sizeof(events) - strlen(events) - 1);
	for (size_t i = 0; i < event->fields_len; i++) {
		char byte[2] = { event->fields[i], '\0' };

		if (i == 0 || event->fields[i] == '\0')
			byte[0] = i == 0 ? ' ' : ',';
		strncat(events, byte, sizeof(events) - strlen(events) - 1);
		if (i == 0)
			strncat(events, (char[2]){ event->fields[0], '\0' },
				sizeof(events) - strlen(events) - 1);
	}
	strncat(events, ";", sizeof(events) - strlen(events) - 1);
}

static void remove_sink(void *opaque)
{
	tools_events_remove(opaque);
}

START_TEST(start_sequence)
{
	struct tools_status status;
	struct tools_sink *sink;
	struct rpc_session *session;

	events[0] = '\0';
	ck_assert_int_eq(tools_events_add(backdoor, note_event, NULL, &sink), 0);
	ck_assert(!is_up(&status));
	ck_assert_str_eq(status.why, "no tools have reported since the guest started");
	session = start_tools();
	ck_assert(is_up(&status));
	ck_assert_str_eq(status.app, "toolbox");
	ck_assert_str_eq(status.version, "t 1");
	ck_assert(status.guest_ops && !status.power);
	expect(session, "tools.capability.statechange ", "1 ");
	ck_assert(is_up(&status) && status.power);
	rpc_session_close(session);
	ck_assert(!is_up(&status));
	ck_assert_str_eq(status.why, "the guest's tools went away");
	settle();
	ck_assert_str_eq(events, "tools-up app=toolbox,version=t 1,door=virtio,privilege=root,;"
				 "tools-down reason=the guest's tools went away,;");
	/* The state word was due once. */
	session = greet(RPC_DOOR_VIRTIO, RPC_ROOT, HELLO("toolbox"));
	start_up(session, NULL);
	ck_assert(is_up(&status));
	loop_call(rig.machine.loop, remove_sink, sink);
	rpc_session_close(session);
}
END_TEST

START_TEST(second_toolbox_replaces_the_first)
{
	struct rpc_session *first = start_tools(), *second;
	struct tools_status status;
	uint32_t epoch;

	ck_assert(is_up(&status));
	epoch = status.epoch;
	second = greet(RPC_DOOR_PORT, RPC_ROOT, HELLO("toolbox"));
	settle();
	/* Before the new one is sent its first command. */
	ck_assert_int_eq(sent[n_sent - 2].frame.type, LODGE_RPC_CLOSE);
	ck_assert(!is_up(&status));
	expect(first, "info-get guestinfo.x", "0 the session is closed");
	rpc_session_close(first);
	start_up(second, NULL);
	ck_assert(is_up(&status));
	ck_assert_int_eq(status.door, RPC_DOOR_PORT);
	ck_assert_uint_ne(status.epoch, epoch);
	rpc_session_close(second);
}
END_TEST

START_TEST(ports_are_second_to_root)
{
	struct rpc_session *tclo = open_session(RPC_DOOR_IOPORTS, RPC_USER, &ops);
	struct rpc_session *rpci = open_session(RPC_DOOR_IOPORTS, RPC_USER, &mute), *root;
	struct tools_status status;
	struct tools_stream *stream;

	start_up(tclo, "OS_PowerOn");
	ck_assert(is_up(&status));
	ck_assert_int_eq(status.door, RPC_DOOR_IOPORTS);
	ck_assert(!status.guest_ops && !status.power);
	expect_bytes(rpci, "tools.capability.statechange ", 29, "1 ");
	expect_bytes(rpci, "info-set guestinfo.vmtools.description open-vm-tools 12.2.0.1\0", 62,
		     "1 ");
	ck_assert(is_up(&status) && status.power);
	ck_assert_str_eq(status.version, "open-vm-tools 12.2.0.1");
	ck_assert_int_eq(
		tools_stream_open(backdoor, status.epoch, TOOLS_TO_GUEST, NULL, NULL, &stream),
		-ENOTCONN);
	root = greet(RPC_DOOR_VIRTIO, RPC_ROOT, HELLO("toolbox"));
	start_up(root, NULL);
	ck_assert(is_up(&status));
	ck_assert_int_eq(status.door, RPC_DOOR_VIRTIO);
	expect(rpci, "tools.os.statechange.status 1 1", "0 Permission denied");
	rpc_session_close(root);
	ck_assert(is_up(&status));
	ck_assert_int_eq(status.door, RPC_DOOR_IOPORTS);
	rpc_session_close(tclo);
	ck_assert(!is_up(&status));
	rpc_session_close(rpci);
}
END_TEST

/* Anybody may come; who is there stays. */
START_TEST(first_of_the_unprivileged_stays)
{
	struct rpc_session *first = open_session(RPC_DOOR_IOPORTS, RPC_USER, &ops), *second;
	struct tools_status status;
	uint32_t epoch;

	start_up(first, "OS_PowerOn");
	ck_assert(is_up(&status));
	epoch = status.epoch;
	second = open_session(RPC_DOOR_IOPORTS, RPC_USER, &ops);
	start_up(second, NULL);
	rpc_session_polled(second);
	ck_assert(is_up(&status) && status.epoch == epoch);
	/* The machine was paused: who comes first behind that has nothing of it. */
	later_ms = 60000;
	rpc_session_polled(second);
	ck_assert(is_up(&status) && status.epoch == epoch);
	rpc_session_polled(first);
	/* One asks on, and the other does not. */
	for (later_ms = 64000; later_ms < 75000; later_ms += 4000) {
		rpc_session_polled(second);
		ck_assert(is_up(&status) && status.epoch == epoch);
	}
	rpc_session_polled(second);
	ck_assert(is_up(&status) && status.epoch != epoch);
	expect(first, "info-get guestinfo.x", "0 the session is closed");
	rpc_session_close(first);
	rpc_session_close(second);
	ck_assert(!is_up(&status));
	later_ms = 0;
}
END_TEST

/* Who was given the ports goes before who was not, and its successor before it. */
START_TEST(owners_of_the_ports_go_before_others)
{
	struct rpc_session *user = open_session(RPC_DOOR_IOPORTS, RPC_USER, &ops);
	struct rpc_session *user_rpci = open_session(RPC_DOOR_IOPORTS, RPC_USER, &mute);
	struct rpc_session *owner_rpci = open_session(RPC_DOOR_IOPORTS, RPC_OWNER, &mute);
	struct rpc_session *owner, *again;
	struct tools_status status;

	start_up(user, "OS_PowerOn");
	ck_assert(is_up(&status) && status.privilege == RPC_USER);
	owner = open_session(RPC_DOOR_IOPORTS, RPC_OWNER, &ops);
	start_up(owner, NULL);
	ck_assert(is_up(&status) && status.privilege == RPC_OWNER && !status.guest_ops);
	/* By a process that may not, the tools get no other abilities, options or facts. */
	expect(user_rpci, "tools.capability.statechange ", "1 ");
	ck_assert(is_up(&status) && !status.power);
	expect(user_rpci, "vmx.set_option synctime 0 1", "0 Permission denied");
	expect(user_rpci, "SetGuestInfo  1 evil", "0 Permission denied");
	expect(user_rpci, "tools.os.statechange.status 1 1", "0 Permission denied");
	expect(owner_rpci, "tools.capability.statechange ", "1 ");
	expect(owner_rpci, "SetGuestInfo  1 good", "1 ");
	ck_assert(is_up(&status) && status.power);
	/* However long it is still, but for what the_silent_lose_the_place tells. */
	later_ms = 60000;
	rpc_session_polled(user);
	ck_assert(is_up(&status) && status.privilege == RPC_OWNER);
	again = open_session(RPC_DOOR_IOPORTS, RPC_OWNER, &ops);
	start_up(again, NULL);
	expect(owner, "info-get guestinfo.x", "0 the session is closed");
	rpc_session_close(owner);
	ck_assert(is_up(&status) && status.privilege == RPC_OWNER);
	rpc_session_close(again);
	ck_assert(is_up(&status) && status.privilege == RPC_USER);
	rpc_session_close(user);
	rpc_session_close(user_rpci);
	rpc_session_close(owner_rpci);
	later_ms = 0;
}
END_TEST

/* An option that changes while new tools are told of the options reaches them. */
START_TEST(option_changes_during_the_start)
{
	struct rpc_session *tclo = open_session(RPC_DOOR_IOPORTS, RPC_USER, &ops);
	struct rpc_session *rpci = open_session(RPC_DOOR_IOPORTS, RPC_USER, &mute);

	answer(tclo, "reset", "OK ATR toolbox");
	answer(tclo, "Capabilities_Register", "OK ");
	answer(tclo, "Set_Option synctime 0", "OK ");
	expect(rpci, "vmx.set_option synctime 0 1", "1 ");
	answer(tclo, "Set_Option synctime.period 60", "OK ");
	answer(tclo, "Set_Option synctime 1", "OK ");
	rpc_session_close(tclo);
	/* One that has not come to it gets it once. */
	tclo = open_session(RPC_DOOR_IOPORTS, RPC_USER, &ops);
	answer(tclo, "reset", "OK ATR toolbox");
	expect(rpci, "vmx.set_option synctime 1 0", "1 ");
	answer(tclo, "Capabilities_Register", "OK ");
	answer(tclo, "Set_Option synctime 0", "OK ");
	answer(tclo, "Set_Option synctime.period 60", "OK ");
	answer(tclo, "Set_Option toolScripts.afterPowerOn 1", "OK ");
	rpc_session_close(tclo);
	rpc_session_close(rpci);
}
END_TEST

static bool becomes_missed(bool want)
{
	struct tools_status status = { 0 };

	for (int i = 0; i < 1000; i++) {
		tools_get_status(backdoor, &status);
		if (status.heartbeat_missed == want)
			return true;
		(void)poll(NULL, 0, 10);
	}
	return false;
}

START_TEST(heartbeat)
{
	struct tools_status status;
	struct rpc_session *session;
	struct tools_sink *sink;

	rig.config.tools_heartbeat = 1;
	session = start_tools();
	events[0] = '\0';
	ck_assert_int_eq(tools_events_add(backdoor, note_event, NULL, &sink), 0);
	ck_assert(becomes_missed(true));
	tools_get_status(backdoor, &status);
	ck_assert_uint_eq(status.heartbeat_seconds, 1);
	ck_assert_uint_ge(status.heartbeat_age, 1);
	settle();
	/* One is open, however long it takes. */
	ck_assert_str_eq(sent[n_sent - 1].payload, "ping");
	ck_assert_str_ne(sent[n_sent - 2].payload, "ping");
	ck_assert_ptr_nonnull(strstr(events, "heartbeat-missed seconds="));
	rpc_session_result(session, sent[n_sent - 1].frame.tag, "OK ", 3);
	ck_assert(becomes_missed(false));
	settle();
	ck_assert_ptr_nonnull(strstr(events, "heartbeat-back"));
	loop_call(rig.machine.loop, remove_sink, sink);
	rpc_session_close(session);
}
END_TEST

static bool becomes_privileged(enum rpc_privilege want)
{
	struct tools_status status = { 0 };

	for (int i = 0; i < 1000; i++) {
		if (is_up(&status) && status.privilege == want)
			return true;
		(void)poll(NULL, 0, 10);
	}
	return false;
}

static bool goes_down(void)
{
	struct tools_status status = { 0 };

	for (int i = 0; i < 1000; i++) {
		if (!is_up(&status))
			return true;
		(void)poll(NULL, 0, 10);
	}
	return false;
}

/* SIGKILL closes no channel. Two ticks of the heartbeat without a poll do. */
START_TEST(the_silent_lose_the_place)
{
	struct rpc_session *user, *dead, *owner;
	struct tools_status status;
	struct tools_sink *sink;

	rig.config.tools_heartbeat = 1;
	dead = open_session(RPC_DOOR_IOPORTS, RPC_USER, &ops);
	start_up(dead, "OS_PowerOn");
	user = open_session(RPC_DOOR_IOPORTS, RPC_USER, &ops);
	start_up(user, NULL);
	owner = open_session(RPC_DOOR_IOPORTS, RPC_OWNER, &ops);
	start_up(owner, NULL);
	ck_assert(is_up(&status) && status.privilege == RPC_OWNER);
	ck_assert_int_eq(tools_events_add(backdoor, note_event, NULL, &sink), 0);
	events[0] = '\0';
	/* A clock that jumps is not enough: the monitor may have been stopped. */
	later_ms = 60000;
	rpc_session_polled(user);
	settle();
	ck_assert(is_up(&status) && status.privilege == RPC_OWNER);
	/* The place is not for whoever is as silent. */
	ck_assert(becomes_privileged(RPC_USER));
	expect(owner, "info-get guestinfo.x", "0 the session is closed");
	expect(user, "info-get guestinfo.x", "0 No value found");
	settle();
	ck_assert_ptr_nonnull(
		strstr(events, "tools-down reason=the guest's tools ask for commands no more,;"
			       "tools-up app=toolbox,version=,door=ioports,privilege=user,;"));
	/* Nor is it lost for one that comes back to its senses. */
	later_ms = 120000;
	ck_assert(goes_down());
	rpc_session_polled(dead);
	ck_assert(is_up(&status) && status.privilege == RPC_USER);
	loop_call(rig.machine.loop, remove_sink, sink);
	rpc_session_close(user);
	rpc_session_close(dead);
	rpc_session_close(owner);
	later_ms = 0;
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("backdoor_start");
	TCase *tcase = tcase_create("start");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, backdoor_setup, backdoor_teardown);
	tcase_add_test(tcase, start_sequence);
	tcase_add_test(tcase, second_toolbox_replaces_the_first);
	tcase_add_test(tcase, ports_are_second_to_root);
	tcase_add_test(tcase, first_of_the_unprivileged_stays);
	tcase_add_test(tcase, owners_of_the_ports_go_before_others);
	tcase_add_test(tcase, option_changes_during_the_start);
	tcase_add_test(tcase, heartbeat);
	tcase_add_test(tcase, the_silent_lose_the_place);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
