// SPDX-License-Identifier: GPL-2.0-or-later
// The RPC service behind a door that the test plays: words, limits, commands, streams, events.
#include <check.h>
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/backdoor/backdoor.h"
#include "host-vmm/backdoor/tools.h"
#include "host-vmm/loop.h"
#include "host-vmm/state.h"
#include "tests/unit/virtio_rig.h"

#define SENT_MAX 256

static struct rig rig;
static struct device *device;
static struct backdoor *backdoor;

/* What the service sent to the guest. Written under the backdoor's lock, read when it is idle. */
static struct {
	struct frame frame;
	char payload[256];
} sent[SENT_MAX];
static size_t n_sent;
static int send_error; /* of the next DATA */

static int record(void *opaque, const struct frame *frame, const void *payload)
{
	(void)opaque;
	if (send_error && frame->type == LODGE_RPC_DATA)
		return send_error;
	ck_assert_uint_lt(n_sent, SENT_MAX);
	sent[n_sent].frame = *frame;
	memset(sent[n_sent].payload, 0, sizeof(sent[n_sent].payload));
	if (frame->size > 0)
		memcpy(sent[n_sent].payload, payload, frame->size < 255 ? frame->size : 255);
	n_sent++;
	return 0;
}

static const struct rpc_session_ops ops = { .send = record };
static const struct rpc_session_ops mute = { .send = NULL };

static void settle(void)
{
	rig_settle(rig.machine.loop);
	rig_settle(rig.machine.loop);
}

static void setup(void)
{
	rig = (struct rig){ .config.backdoor_device = true,
			    .config.tools_scripts = true,
			    .config.tools_broadcast_ip = true,
			    .config.tools_synctime_period = 60 };
	rig_create(&rig);
	ck_assert_uint_eq(backdoor_type.count(&rig.config), 1);
	device = rig_add_device(&rig, &backdoor_type, 0);
	ck_assert_ptr_nonnull(device);
	backdoor = rig.machine.backdoor;
	n_sent = 0;
	send_error = 0;
}

static void teardown(void)
{
	rig_remove_device(device);
	rig_destroy(&rig);
}

/* ---- a guest's program ---- */

static struct rpc_session *open_session(enum rpc_door door, enum rpc_privilege privilege,
					const struct rpc_session_ops *with)
{
	struct rpc_session *session;

	ck_assert_int_eq(rpc_session_open(backdoor, door, privilege, with, NULL, &session), 0);
	return session;
}

static void expect_bytes(struct rpc_session *session, const char *message, size_t len,
			 const char *want)
{
	struct rpc_reply reply;

	rpc_session_request(session, message, len, &reply);
	ck_assert_uint_eq(reply.len, strlen(want));
	ck_assert_mem_eq(reply.bytes, want, reply.len);
	rpc_reply_free(&reply);
}

static void expect(struct rpc_session *session, const char *message, const char *want)
{
	expect_bytes(session, message, strlen(message), want);
}

static bool replies_with(struct rpc_session *session, const char *message, size_t len,
			 const char *part, size_t part_len)
{
	struct rpc_reply reply;
	bool found;

	rpc_session_request(session, message, len, &reply);
	found = memmem(reply.bytes, reply.len, part, part_len) != NULL;
	rpc_reply_free(&reply);
	return found;
}

#define HELLO(app) "lodge.hello app=" app "\0version=t 1\0commands=1"

static struct rpc_session *greet_bytes(enum rpc_door door, enum rpc_privilege privilege,
				       const char *hello, size_t len)
{
	struct rpc_session *session = open_session(door, privilege, &ops);
	struct rpc_reply reply;

	rpc_session_request(session, hello, len, &reply);
	ck_assert_mem_eq(reply.bytes, "1 ", 2);
	rpc_reply_free(&reply);
	return session;
}

#define greet(door, privilege, hello) greet_bytes(door, privilege, hello, sizeof(hello))

/* Answers the newest command. */
static void answer(struct rpc_session *session, const char *word, const char *result)
{
	const struct frame *frame;

	settle();
	ck_assert_uint_gt(n_sent, 0);
	frame = &sent[n_sent - 1].frame;
	ck_assert_int_eq(frame->type, LODGE_RPC_COMMAND);
	ck_assert_str_eq(sent[n_sent - 1].payload, word);
	rpc_session_result(session, frame->tag, result, strlen(result));
}

static void answer_options(struct rpc_session *session)
{
	answer(session, "Set_Option synctime 0", "OK ");
	answer(session, "Set_Option synctime.period 60", "OK ");
	answer(session, "Set_Option toolScripts.afterPowerOn 1", "OK ");
	answer(session, "Set_Option toolScripts.beforePowerOff 1", "OK ");
	answer(session, "Set_Option toolScripts.afterResume 1", "OK ");
	answer(session, "Set_Option toolScripts.beforeSuspend 1", "OK ");
	answer(session, "Set_Option broadcastIP 1", "ERROR Unknown Command");
}

static void start_up(struct rpc_session *session, const char *state)
{
	answer(session, "reset", "OK ATR toolbox");
	answer(session, "Capabilities_Register", "OK ");
	answer_options(session);
	if (state)
		answer(session, state, "OK ");
	settle();
}

static bool is_up(struct tools_status *status)
{
	tools_get_status(backdoor, status);
	return status->up;
}

static struct rpc_session *start_tools(void)
{
	struct rpc_session *session = greet(RPC_DOOR_VIRTIO, RPC_ROOT, HELLO("toolbox"));
	struct tools_status status;

	start_up(session, "OS_PowerOn");
	ck_assert(is_up(&status));
	return session;
}

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

/* ---- the tools ---- */

static char events[4096];

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
	ck_assert_str_eq(events, "tools-up app=toolbox,version=t 1,door=virtio,;"
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
	ck_assert_int_eq(sent[n_sent - 1].frame.type, LODGE_RPC_CLOSE);
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
	ck_assert_int_eq(tools_power(backdoor, TOOLS_HALT, NULL, NULL), -EOPNOTSUPP);
	expect(session, "tools.capability.statechange ", "1 ");
	ck_assert_int_eq(tools_power(backdoor, TOOLS_HALT, note_done, NULL), 0);
	answer(session, "OS_Halt", "OK ");
	/* One that is never answered ends with the session. */
	ck_assert_int_eq(tools_command(backdoor, 0, "b", 1, note_done, NULL, NULL), 0);
	settle();
	ck_assert_uint_eq(done.calls, 2);
	rpc_session_close(session);
	settle();
	ck_assert_uint_eq(done.calls, 3);
	ck_assert_int_eq(done.error, -ECONNRESET);
}
END_TEST

START_TEST(commands_are_bounded)
{
	struct rpc_session *session = start_tools();
	char *large = calloc(1, LODGE_RPC_DATA_MAX + 1);

	done.calls = 0;
	ck_assert_int_eq(
		tools_command(backdoor, 0, large, LODGE_RPC_DATA_MAX + 1, NULL, NULL, NULL),
		-EMSGSIZE);
	for (unsigned int i = 0; i < LODGE_RPC_COMMANDS_MAX; i++)
		ck_assert_int_eq(tools_command(backdoor, 0, "n", 1, note_done, NULL, NULL), 0);
	ck_assert_int_eq(tools_command(backdoor, 0, "n", 1, note_done, NULL, NULL), -EBUSY);
	/* In any order. */
	rpc_session_result(session, sent[n_sent - 7].frame.tag, "OK ", 3);
	ck_assert_int_eq(tools_command(backdoor, 0, "n", 1, note_done, NULL, NULL), 0);
	rpc_session_close(session);
	settle();
	ck_assert_uint_eq(done.calls, LODGE_RPC_COMMANDS_MAX + 1);
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

	start_stream();
	for (int i = 0; i < 4; i++)
		guest_sends(session, LODGE_RPC_DATA, number, piece, sizeof(piece), 0);
	settle();
	ck_assert_uint_eq(got.total, LODGE_RPC_CREDIT_FIRST);
	ck_assert_int_eq(tools_stream_credit(stream, 10), 0);
	ck_assert_int_eq(sent[n_sent - 1].frame.type, LODGE_RPC_CREDIT);
	guest_sends(session, LODGE_RPC_DATA, number, piece, 10, 0);
	guest_sends(session, LODGE_RPC_DATA, number, piece, 0, 0);
	settle();
	ck_assert_uint_eq(got.total, LODGE_RPC_CREDIT_FIRST + 10);
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
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, hello_comes_first);
	tcase_add_test(tcase, hello_tells_door_and_privilege);
	tcase_add_test(tcase, variables);
	tcase_add_test(tcase, variables_are_bounded);
	tcase_add_test(tcase, floods_get_busy);
	tcase_add_test(tcase, sessions_are_bounded);
	tcase_add_test(tcase, odd_requests);
	tcase_add_test(tcase, start_sequence);
	tcase_add_test(tcase, second_toolbox_replaces_the_first);
	tcase_add_test(tcase, ports_are_second_to_root);
	tcase_add_test(tcase, commands);
	tcase_add_test(tcase, commands_are_bounded);
	tcase_add_test(tcase, ports_get_one_command_at_a_time);
	tcase_add_test(tcase, stream_from_guest);
	tcase_add_test(tcase, credit_is_kept);
	tcase_add_test(tcase, tiny_pieces_are_joined);
	tcase_add_test(tcase, stream_to_guest);
	tcase_add_test(tcase, bad_credit);
	tcase_add_test(tcase, streams_end_with_the_session);
	tcase_add_test(tcase, variables_are_saved);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
