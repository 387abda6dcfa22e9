// SPDX-License-Identifier: GPL-2.0-or-later
/* FUSE messages over the backdoor: a guest's tools that the test plays, and a real lodge-fsd. */
#include <check.h>
#include <errno.h>
#include <linux/fuse.h>
#include <linux/virtio_config.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lodge/fs_stream.h>

#include "host-vmm/virtio/fs.h"
#include "protocol/lib/fields.h"
#include "protocol/lib/fs_stream.h"
#include "tests/unit/backdoor_rig.h"
#include "tests/unit/fsd_child.h"
#include "tests/unit/unit.h"

#define WAIT_MS 20000

static struct device *fs;
static struct rpc_session *tools;
static struct vm_share share;
static char folder[64];
static uint32_t requests, replies; /* streams */
static size_t seen; /* frames of sent[] that were looked at */
static uint64_t last_unique;

static void setup(void)
{
	strcpy(folder, "/tmp/lodge-stream-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	fsd_child_find();
	backdoor_setup();
	share = (struct vm_share){ .name = (char *)"docs",
				   .path = folder,
				   .rules.owner.kind = VM_OWNER_EXACT };
	rig.config.shares = &share;
	rig.config.n_shares = 1;
	fs = rig_add_device(&rig, &virtio_fs_type, 0);
	ck_assert_ptr_nonnull(fs);
	tools = start_tools();
	last_unique = 0;
}

static void teardown(void)
{
	rpc_session_close(tools);
	rig_remove_device(fs);
	backdoor_teardown();
	rmdir(folder);
}

/* The next frame of @type that the guest is sent; what comes before it is skipped. */
static const struct sent *next(enum lodge_rpc_type type)
{
	for (int waited = 0; waited < WAIT_MS; waited++) {
		settle();
		while (seen < n_sent) {
			const struct sent *got = &sent[seen++];

			if (got->frame.type == type)
				return got;
		}
		usleep(1000);
	}
	ck_abort_msg("no frame of type %d comes", type);
	return NULL;
}

static uint32_t number(const struct sent *command, const char *key)
{
	const char *at = command->payload + strlen(LODGE_FS_STREAM_WORD " ");
	uint64_t found = 0;

	ck_assert_int_eq(fields_number(at, command->frame.size - strlen(LODGE_FS_STREAM_WORD " "),
				       key, UINT32_MAX, &found),
			 0);
	return (uint32_t)found;
}

/* What the host makes of the request: the command. */
static const struct sent *ask_for_streams(void)
{
	const struct sent *command;

	n_sent = seen = 0;
	expect(tools, LODGE_FS_STREAM_CONNECT, "1 ");
	do {
		command = next(LODGE_RPC_COMMAND);
	} while (strncmp(command->payload, LODGE_FS_STREAM_WORD " ",
			 strlen(LODGE_FS_STREAM_WORD " ")) != 0);
	return command;
}

static void connect_streams(void)
{
	const struct sent *command = ask_for_streams();

	requests = number(command, LODGE_FS_STREAM_REQUESTS);
	replies = number(command, LODGE_FS_STREAM_REPLIES);
	ck_assert_uint_ne(requests, replies);
}

static void send_bytes(const void *bytes, size_t len)
{
	const struct frame frame = { .type = LODGE_RPC_DATA,
				     .tag = requests,
				     .size = (uint32_t)len };

	rpc_session_frame(tools, &frame, bytes);
}

static size_t make(void *to, uint32_t opcode, const void *body, size_t len)
{
	struct fuse_in_header header = { .len = (uint32_t)(sizeof(header) + len),
					 .opcode = opcode,
					 .unique = ++last_unique,
					 .nodeid = FUSE_ROOT_ID };

	memcpy(to, &header, sizeof(header));
	memcpy((char *)to + sizeof(header), body, len);
	return sizeof(header) + len;
}

static void request(uint32_t opcode, const void *body, size_t len)
{
	char message[512];

	send_bytes(message, make(message, opcode, body, len));
}

/* The next reply is to @unique, with @error. */
static void assert_reply(uint64_t unique, int error)
{
	const struct sent *data = next(LODGE_RPC_DATA);
	struct fuse_out_header header;

	ck_assert_uint_eq(data->frame.tag, replies);
	ck_assert_uint_ge(data->frame.size, sizeof(header));
	memcpy(&header, data->payload, sizeof(header));
	ck_assert_uint_eq(header.len, data->frame.size);
	ck_assert_uint_eq(header.unique, unique);
	ck_assert_int_eq(header.error, error);
}

static void init_session(void)
{
	const struct fuse_init_in init = { .major = 7, .minor = 22, .max_readahead = 4096 };

	request(FUSE_INIT, &init, sizeof(init));
	assert_reply(last_unique, 0);
}

static void lookup(const char *name, int error)
{
	request(FUSE_LOOKUP, name, strlen(name) + 1);
	assert_reply(last_unique, error);
}

START_TEST(the_header_is_the_wire_format)
{
	ck_assert_str_eq(LODGE_FS_STREAM_CONNECT, "lodge.fs.connect");
	ck_assert_str_eq(LODGE_FS_STREAM_WORD, "lodge.fs.messages");
	ck_assert_str_eq(LODGE_FS_STREAM_REQUESTS, "requests");
	ck_assert_str_eq(LODGE_FS_STREAM_REPLIES, "replies");
	ck_assert_str_eq(LODGE_FS_STREAM_WHY, "why");
	ck_assert_uint_eq(LODGE_FS_STREAM_DATA_MAX, 131072);
	ck_assert_uint_eq(LODGE_FS_STREAM_MESSAGE_MAX, 135168);
	ck_assert_uint_eq(LODGE_FS_STREAM_REQUESTS_MAX, 16);
}
END_TEST

START_TEST(messages_are_cut_by_their_length)
{
	static const unsigned char reply[] = { 16, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0 };
	const uint32_t most = LODGE_FS_STREAM_MESSAGE_MAX, above = most + 1;

	for (size_t have = 0; have < sizeof(reply); have++)
		ck_assert_int_eq(fs_stream_message(reply, have, FS_STREAM_REPLY_HEADER), 0);
	ck_assert_int_eq(fs_stream_message(reply, 16, FS_STREAM_REPLY_HEADER), 16);
	ck_assert_int_eq(fs_stream_message(reply, 1000, FS_STREAM_REPLY_HEADER), 16);
	ck_assert_int_eq(fs_stream_message(reply, 4, FS_STREAM_REQUEST_HEADER), -EPROTO);
	ck_assert_int_eq(fs_stream_message(&most, 4, FS_STREAM_REQUEST_HEADER), 0);
	ck_assert_int_eq(fs_stream_message(&above, 4, FS_STREAM_REQUEST_HEADER), -EPROTO);
}
END_TEST

START_TEST(a_guest_without_a_driver_is_served)
{
	connect_streams();
	init_session();
	lookup("docs", 0);
	lookup("none", -ENOENT);
}
END_TEST

START_TEST(requests_come_in_any_pieces)
{
	char message[1024];
	size_t len;

	connect_streams();
	init_session();
	len = make(message, FUSE_LOOKUP, "docs", 5);
	for (size_t i = 0; i < len; i++)
		send_bytes(message + i, 1);
	assert_reply(last_unique, 0);
	/* Two at once, and one without a reply before them. */
	len = make(message, FUSE_FORGET, &(struct fuse_forget_in){ 1 },
		   sizeof(struct fuse_forget_in));
	len += make(message + len, FUSE_LOOKUP, "none", 5);
	len += make(message + len, FUSE_LOOKUP, "none", 5);
	send_bytes(message, len);
	assert_reply(last_unique - 1, -ENOENT);
	assert_reply(last_unique, -ENOENT);
}
END_TEST

START_TEST(more_than_the_slots_waits)
{
	enum { N = 100 };
	char message[N * 64];
	size_t len = 0;

	connect_streams();
	init_session();
	for (int i = 0; i < N; i++)
		len += make(message + len, FUSE_LOOKUP, "none", 5);
	send_bytes(message, len);
	for (uint64_t i = 0; i < N; i++)
		assert_reply(last_unique - N + 1 + i, -ENOENT);
}
END_TEST

START_TEST(what_is_no_fuse_ends_the_streams)
{
	static const uint32_t lengths[] = { 0, 39, LODGE_FS_STREAM_MESSAGE_MAX + 1, UINT32_MAX };

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		connect_streams();
		send_bytes(&lengths[i], sizeof(lengths[i]));
		next(LODGE_RPC_RESET);
		next(LODGE_RPC_RESET);
	}
	connect_streams();
	init_session();
}
END_TEST

START_TEST(it_can_be_asked_for_again_and_again)
{
	for (int i = 0; i < 8; i++) {
		connect_streams();
		init_session();
		lookup("docs", 0);
	}
}
END_TEST

START_TEST(a_server_that_dies_is_not_missed)
{
	connect_streams();
	init_session();
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(kill(fsd_child_server(), SIGKILL), 0);
		lookup("docs", 0);
	}
}
END_TEST

START_TEST(when_all_of_it_dies_the_streams_end)
{
	connect_streams();
	init_session();
	fsd_child_kill_whole();
	next(LODGE_RPC_RESET);
	next(LODGE_RPC_RESET);
	connect_streams();
	init_session();
	lookup("docs", 0);
}
END_TEST

START_TEST(a_driver_that_comes_takes_over)
{
	struct rig_ring hiprio, ring;
	struct rig_driver driver;
	const struct sent *command;
	const char *fields;

	connect_streams();
	init_session();
	rig_probe(&rig, 1, &driver);
	ck_assert(rig_negotiate(&driver, 1ull << 32));
	rig_queue(&hiprio, &driver, 0, 0x110000, 128);
	rig_queue(&ring, &driver, 1, 0x100000, 128);
	rig_driver_ok(&driver);
	ck_assert_uint_eq(rig_status(&driver) & VIRTIO_CONFIG_S_NEEDS_RESET, 0);
	next(LODGE_RPC_RESET);
	next(LODGE_RPC_RESET);
	command = ask_for_streams();
	fields = command->payload + strlen(LODGE_FS_STREAM_WORD " ");
	ck_assert_ptr_nonnull(fields_get(fields,
					 command->frame.size - strlen(LODGE_FS_STREAM_WORD " "),
					 LODGE_FS_STREAM_WHY));
}
END_TEST

START_TEST(others_than_root_may_not)
{
	struct rpc_session *user = greet(RPC_DOOR_VIRTIO, RPC_USER, HELLO("cli"));

	expect(user, LODGE_FS_STREAM_CONNECT, "0 Permission denied");
	rpc_session_close(user);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fs_stream");
	TCase *plain = tcase_create("plain");
	TCase *served = tcase_create("served");

	tcase_add_test(plain, the_header_is_the_wire_format);
	tcase_add_test(plain, messages_are_cut_by_their_length);
	tcase_add_checked_fixture(served, setup, teardown);
	tcase_set_timeout(served, 60);
	tcase_add_test(served, a_guest_without_a_driver_is_served);
	tcase_add_test(served, requests_come_in_any_pieces);
	tcase_add_test(served, more_than_the_slots_waits);
	tcase_add_test(served, what_is_no_fuse_ends_the_streams);
	tcase_add_test(served, it_can_be_asked_for_again_and_again);
	tcase_add_test(served, a_server_that_dies_is_not_missed);
	tcase_add_test(served, when_all_of_it_dies_the_streams_end);
	tcase_add_test(served, a_driver_that_comes_takes_over);
	tcase_add_test(served, others_than_root_may_not);
	suite_add_tcase(suite, plain);
	suite_add_tcase(suite, served);
	return unit_run(suite);
}
