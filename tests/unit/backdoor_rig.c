// SPDX-License-Identifier: GPL-2.0-or-later
// A backdoor without KVM, and a door that the test plays.
#include "tests/unit/backdoor_rig.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

struct rig rig;
struct device *device;
struct backdoor *backdoor;

struct sent sent[SENT_MAX];
size_t n_sent;
int send_error, credit_error;

static int record(void *opaque, const struct frame *frame, const void *payload)
{
	(void)opaque;
	if (send_error && frame->type == LODGE_RPC_DATA)
		return send_error;
	if (credit_error && frame->type == LODGE_RPC_CREDIT)
		return credit_error;
	ck_assert_uint_lt(n_sent, SENT_MAX);
	sent[n_sent].frame = *frame;
	memset(sent[n_sent].payload, 0, sizeof(sent[n_sent].payload));
	if (frame->size > 0)
		memcpy(sent[n_sent].payload, payload, frame->size < 255 ? frame->size : 255);
	n_sent++;
	return 0;
}

const struct rpc_session_ops ops = { .send = record };
const struct rpc_session_ops mute = { .send = NULL };

void settle(void)
{
	rig_settle(rig.machine.loop);
	rig_settle(rig.machine.loop);
}

void backdoor_setup(void)
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

void backdoor_teardown(void)
{
	rig_remove_device(device);
	rig_destroy(&rig);
}

/* ---- a guest's program ---- */

struct rpc_session *open_session(enum rpc_door door, enum rpc_privilege privilege,
				 const struct rpc_session_ops *with)
{
	struct rpc_session *session;

	ck_assert_int_eq(rpc_session_open(backdoor, door, privilege, with, NULL, &session), 0);
	return session;
}

void expect_bytes(struct rpc_session *session, const char *message, size_t len, const char *want)
{
	struct rpc_reply reply;

	rpc_session_request(session, message, len, &reply);
	ck_assert_uint_eq(reply.len, strlen(want));
	ck_assert_mem_eq(reply.bytes, want, reply.len);
	rpc_reply_free(&reply);
}

void expect(struct rpc_session *session, const char *message, const char *want)
{
	expect_bytes(session, message, strlen(message), want);
}

bool replies_with(struct rpc_session *session, const char *message, size_t len, const char *part,
		  size_t part_len)
{
	struct rpc_reply reply;
	bool found;

	rpc_session_request(session, message, len, &reply);
	found = memmem(reply.bytes, reply.len, part, part_len) != NULL;
	rpc_reply_free(&reply);
	return found;
}

struct rpc_session *greet_bytes(enum rpc_door door, enum rpc_privilege privilege, const char *hello,
				size_t len)
{
	struct rpc_session *session = open_session(door, privilege, &ops);
	struct rpc_reply reply;

	rpc_session_request(session, hello, len, &reply);
	ck_assert_mem_eq(reply.bytes, "1 ", 2);
	rpc_reply_free(&reply);
	return session;
}

/* Answers the newest command. */
void answer(struct rpc_session *session, const char *word, const char *result)
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

void start_up(struct rpc_session *session, const char *state)
{
	answer(session, "reset", "OK ATR toolbox");
	answer(session, "Capabilities_Register", "OK ");
	answer_options(session);
	if (state)
		answer(session, state, "OK ");
	settle();
}

bool is_up(struct tools_status *status)
{
	tools_get_status(backdoor, status);
	return status->up;
}

struct rpc_session *start_tools(void)
{
	struct rpc_session *session = greet(RPC_DOOR_VIRTIO, RPC_ROOT, HELLO("toolbox"));
	struct tools_status status;

	start_up(session, "OS_PowerOn");
	ck_assert(is_up(&status));
	return session;
}
