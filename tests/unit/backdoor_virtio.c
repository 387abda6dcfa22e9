// SPDX-License-Identifier: GPL-2.0-or-later
// The backdoor's virtio device: frames in chains, events, back-pressure, resets, saved sessions.
#include <check.h>
#include <endian.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <lodge/backdoor.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/backdoor/backdoor.h"
#include "host-vmm/backdoor/tools.h"
#include "host-vmm/loop.h"
#include "host-vmm/memory.h"
#include "host-vmm/state.h"
#include "host-vmm/virtio/models.h"
#include "tests/unit/virtio_rig.h"
#include "tests/unit/unit.h"

#define RING(i)	 (0x100000ull + 0x10000ull * (i))
#define OUT	 0x400000ull /* what the driver says */
#define IN	 0x800000ull /* and where it hears the answer */
#define EVENTS	 0xc00000ull
#define N_EVENTS 8u
#define SIZE	 64
#define FEATURES (1ull << VIRTIO_F_VERSION_1)

static struct rig rig;
static struct device *service, *device;
static struct rig_driver driver;
static struct rig_ring request, event;

static void bring_up(void)
{
	ck_assert(rig_negotiate(&driver, FEATURES));
	rig_queue(&request, &driver, 0, RING(0), SIZE);
	rig_queue(&event, &driver, 1, RING(1), SIZE);
	rig_driver_ok(&driver);
	ck_assert_uint_eq(rig_status(&driver), 0xf);
}

static void setup(void)
{
	rig = (struct rig){ .config.backdoor_device = true };
	rig_create(&rig);
	service = rig_add_device(&rig, &backdoor_type, 0);
	device = rig_add_device(&rig, &virtio_backdoor_type, 0);
	ck_assert(service && device);
	rig_probe(&rig, 1, &driver);
	bring_up();
}

static void teardown(void)
{
	rig_remove_device(device);
	rig_remove_device(service);
	rig_destroy(&rig);
}

static void settle(void)
{
	rig_settle(rig.machine.loop);
	rig_settle(rig.machine.loop);
}

static void put(uint64_t address, const void *bytes, size_t len)
{
	ck_assert_int_eq(memory_write(rig.machine.memory, address, bytes, len), 0);
}

static void get(uint64_t address, void *bytes, size_t len)
{
	ck_assert_int_eq(memory_read(rig.machine.memory, address, bytes, len), 0);
}

/* Sends @frame with @payload in two descriptors: the used length. */
static uint32_t send_frame(struct frame frame, const void *payload)
{
	unsigned char header[LODGE_RPC_HEADER_SIZE];
	struct rig_buffer buffers[3] = {
		{ OUT, sizeof(header), false },
		{ OUT + 0x1000, frame.size, false },
	};
	size_t n = frame.size > 0 ? 2 : 1;
	uint32_t len;

	frame_build(&frame, header);
	put(OUT, header, sizeof(header));
	if (frame.size > 0)
		put(OUT + 0x1000, payload, frame.size);
	if (frame.reply_max > 0)
		buffers[n++] = (struct rig_buffer){ IN, sizeof(header) + frame.reply_max, true };
	rig_add(&request, buffers, n);
	rig_kick(&request);
	ck_assert(rig_take(&request, NULL, &len));
	return len;
}

/* A request's reply, as text; its flags. */
static char text[4096];

static uint16_t ask_len(uint32_t session, uint16_t flags, const char *message, size_t len)
{
	static uint32_t tag;
	const struct frame frame = {
		.type = LODGE_RPC_REQUEST,
		.size = (uint32_t)len,
		.flags = flags,
		.session = session,
		.tag = tag + 1,
		.reply_max = 1024,
	};
	uint32_t used = send_frame(frame, message);
	unsigned char header[LODGE_RPC_HEADER_SIZE];
	struct frame back;

	tag++;
	ck_assert_uint_ge(used, sizeof(header) + 2);
	get(IN, header, sizeof(header));
	ck_assert_int_eq(frame_parse(header, FRAMES_FROM_HOST, &back), 0);
	ck_assert_int_eq(back.type, LODGE_RPC_REPLY);
	ck_assert_uint_eq(back.session, session);
	ck_assert_uint_eq(back.tag, tag);
	ck_assert_uint_eq(back.size, used - sizeof(header));
	get(IN + sizeof(header), text, back.size);
	text[back.size] = '\0';
	return back.flags;
}

static uint16_t ask(uint32_t session, const char *message)
{
	return ask_len(session, LODGE_RPC_F_ROOT, message, strlen(message));
}

static const char hello[] = "lodge.hello app=toolbox\0version=t\0commands=1";

static void greet(uint32_t session)
{
	ask_len(session, LODGE_RPC_F_ROOT, hello, sizeof(hello));
	ck_assert_mem_eq(text, "1 version=", 10);
}

static void offer_events(unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		const struct rig_buffer buffer = { EVENTS + 0x20000ull *
								    (event.avail_idx % N_EVENTS),
						   LODGE_BACKDOOR_EVENT_SIZE, true };

		rig_add(&event, &buffer, 1);
	}
	rig_kick(&event);
}

/* The next event, its payload in text. */
static struct frame next_event(void)
{
	uint64_t address = EVENTS + 0x20000ull * (event.used_idx % N_EVENTS);
	unsigned char header[LODGE_RPC_HEADER_SIZE];
	struct frame frame;
	uint32_t len;

	ck_assert(rig_take(&event, NULL, &len));
	get(address, header, sizeof(header));
	ck_assert_int_eq(frame_parse(header, FRAMES_FROM_HOST, &frame), 0);
	ck_assert_uint_eq(len, sizeof(header) + frame.size);
	if (frame.size < sizeof(text)) {
		get(address + sizeof(header), text, frame.size);
		text[frame.size] = '\0';
	}
	return frame;
}

static void answer(const struct frame *command, const char *result)
{
	const struct frame frame = {
		.type = LODGE_RPC_RESULT,
		.size = (uint32_t)strlen(result),
		.session = command->session,
		.tag = command->tag,
		.flags = LODGE_RPC_F_ROOT,
	};

	ck_assert_uint_eq(send_frame(frame, result), 0);
}

static struct tools_status start_tools(uint32_t session)
{
	struct tools_status status;

	greet(session);
	for (int i = 0; i < 10; i++) {
		struct frame frame;

		offer_events(1);
		frame = next_event();
		ck_assert_int_eq(frame.type, LODGE_RPC_COMMAND);
		ck_assert_uint_eq(frame.session, session);
		if (i == 0)
			ck_assert_str_eq(text, "reset");
		answer(&frame, "OK ");
	}
	settle();
	tools_get_status(rig.machine.backdoor, &status);
	ck_assert(status.up);
	return status;
}

/* ---- */

START_TEST(configuration)
{
	ck_assert_uint_eq(rig_config(&driver, 0, 4), 1 << 20);
	ck_assert_uint_eq(rig_config(&driver, 4, 4), 64);
	ck_assert_uint_eq(rig_config(&driver, 8, 4), 24 + 65536);
	ck_assert_uint_eq(rig_config(&driver, 12, 4), 0);
	ck_assert_uint_eq(rig_config_read(&rig, 1, 0, 4), 0x107f1af4);
}
END_TEST

START_TEST(requests)
{
	ask(0, "info-get guestinfo.x");
	ck_assert_str_eq(text, "0 say lodge.hello first");
	greet(0);
	ask(0, "info-set guestinfo.x some text");
	ck_assert_str_eq(text, "1 ");
	ask(0, "info-get guestinfo.x");
	ck_assert_str_eq(text, "1 some text");
	ask(0, "nonsense");
	ck_assert_str_eq(text, "0 Unknown command");
	ck_assert(rig_raised(&driver, 1));
	/* Another session is another. */
	ask(63, "info-get guestinfo.x");
	ck_assert_str_eq(text, "0 say lodge.hello first");
	ck_assert_uint_eq(ask(64, "lodge.hello"), LODGE_RPC_F_BUSY);
	ck_assert_str_eq(text, "0 too many sessions");
	ck_assert_uint_eq(ask(UINT32_MAX, "lodge.hello"), LODGE_RPC_F_BUSY);
}
END_TEST

START_TEST(users_may_read)
{
	greet(0);
	ask(0, "info-set guestinfo.x 1");
	ask_len(1, 0, "lodge.hello app=cli", 20);
	ck_assert_ptr_nonnull(memmem(text, 60, "privilege=user", 14));
	ask_len(1, 0, "info-get guestinfo.x", 20);
	ck_assert_str_eq(text, "1 1");
	ask_len(1, 0, "info-set guestinfo.x 2", 22);
	ck_assert_str_eq(text, "0 Permission denied");
	/* The session's opener counts, not what a later frame says. */
	ask_len(1, LODGE_RPC_F_ROOT, "info-set guestinfo.x 2", 22);
	ck_assert_str_eq(text, "0 Permission denied");
}
END_TEST

START_TEST(large_messages)
{
	const char head[] = "info-set guestinfo.x ", too_long[] = "0 the value is too long";
	const size_t most = strlen(head) + TOOLS_VAR_VALUE_MAX;
	const struct frame over = { .type = LODGE_RPC_REQUEST, .size = 1048577, .reply_max = 64 };
	char *large = malloc(over.size), *value;
	size_t len;

	greet(0);
	memset(large, 'v', over.size);
	memcpy(large, head, strlen(head));
	ask_len(0, LODGE_RPC_F_ROOT, large, LODGE_RPC_PAYLOAD_MAX);
	ck_assert_str_eq(text, too_long);
	/* One byte more is no frame, and costs its sender the answer alone. */
	ck_assert_uint_eq(send_frame(over, large), 0);
	ck_assert_uint_eq(rig_status(&driver), 0xf);
	ask_len(0, LODGE_RPC_F_ROOT, large, most + 1);
	ck_assert_str_eq(text, too_long);
	ask_len(0, LODGE_RPC_F_ROOT, large, most);
	ck_assert_str_eq(text, "1 ");
	ck_assert_int_eq(tools_var_get(rig.machine.backdoor, "guestinfo.x", &value, &len), 0);
	ck_assert_uint_eq(len, TOOLS_VAR_VALUE_MAX);
	free(value);
	/* The reply does not fit what the asker offers. */
	ask(0, "info-get guestinfo.x");
	ck_assert_str_eq(text, "0 reply has 65538 bytes");
	free(large);
}
END_TEST

START_TEST(malformed_frames)
{
	struct frame frame = { .type = LODGE_RPC_REQUEST, .reply_max = 1024 };
	unsigned char header[LODGE_RPC_HEADER_SIZE];
	struct rig_buffer buffers[2] = { { OUT, sizeof(header), false },
					 { IN, sizeof(header) + 1024, true } };
	uint32_t len;

	greet(0);
	for (unsigned int i = 0; i < 10; i++) {
		frame_build(&frame, header);
		put(OUT, header, sizeof(header));
		buffers[0].len = sizeof(header);
		buffers[1].len = sizeof(header) + 1024;
		if (i < 4)
			put(OUT + i, "\xff", 1); /* magic */
		else if (i == 4)
			put(OUT + 8, "\x03\0", 2); /* a host's type */
		else if (i == 5)
			put(OUT + 4, "\xff\xff\xff\xff", 4); /* size */
		else if (i == 6)
			put(OUT + 4, "\x01\0\0\0", 4); /* more than is there */
		else if (i == 7)
			buffers[0].len--;
		else if (i == 8)
			buffers[1].len--; /* less than it says */
		else
			put(OUT + 10, "\x80\0", 2); /* flags */
		rig_add(&request, buffers, 2);
		rig_kick(&request);
		ck_assert(rig_take(&request, NULL, &len));
		ck_assert_uint_eq(len, 0);
	}
	/* No room for a reply at all, and nothing readable. */
	rig_add(&request, buffers, 1);
	rig_add(&request, buffers + 1, 1);
	rig_kick(&request);
	for (int i = 0; i < 2; i++) {
		ck_assert(rig_take(&request, NULL, &len));
		ck_assert_uint_eq(len, 0);
	}
	ck_assert_uint_eq(rig_status(&driver), 0xf);
	ask(0, "info-get guestinfo.x");
	ck_assert_str_eq(text, "0 No value found");
}
END_TEST

START_TEST(stray_frames)
{
	const struct frame rows[] = {
		{ .type = LODGE_RPC_RESULT, .tag = 77 },
		{ .type = LODGE_RPC_DATA, .tag = 5 },
		{ .type = LODGE_RPC_CREDIT, .tag = 5, .size = 4 },
		{ .type = LODGE_RPC_RESET, .tag = 5 },
		{ .type = LODGE_RPC_CLOSE },
		{ .type = LODGE_RPC_CLOSE, .session = 1000 },
	};

	for (int round = 0; round < 2; round++)
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			ck_assert_uint_eq(send_frame(rows[i], "\1\0\0\0"), 0);
			if (round && i == 0)
				greet(0);
		}
	ck_assert_uint_eq(rig_status(&driver), 0xf);
}
END_TEST

START_TEST(close_ends_a_session)
{
	const struct frame frame = { .type = LODGE_RPC_CLOSE };
	struct tools_status status = start_tools(0);

	/* What waits for it is not seen by the next one. */
	ck_assert_int_eq(tools_command(rig.machine.backdoor, 0, "old", 3, NULL, NULL, NULL), 0);
	send_frame(frame, NULL);
	tools_get_status(rig.machine.backdoor, &status);
	ck_assert(!status.up);
	ask_len(0, 0, "lodge.hello app=cli", 20);
	offer_events(1);
	settle();
	ck_assert_uint_eq(rig_used(&event), 0);
}
END_TEST

START_TEST(second_toolbox_gets_the_place)
{
	struct frame frame;

	start_tools(3);
	greet(4);
	offer_events(2);
	for (int i = 0; i < 2; i++) {
		frame = next_event();
		if (frame.type == LODGE_RPC_CLOSE)
			ck_assert_uint_eq(frame.session, 3);
		else
			ck_assert_uint_eq(frame.session, 4);
	}
	ask(3, "info-get guestinfo.x");
	ck_assert_str_eq(text, "0 say lodge.hello first");
}
END_TEST

/* ---- back-pressure ---- */

struct sending {
	struct tools_stream *stream;
	size_t taken;
};

static unsigned int writable;

static void note_writable(void *opaque)
{
	(void)opaque;
	writable++;
}

static const struct tools_stream_events stream_events = { .writable = note_writable };

static void send_here(void *opaque)
{
	static char bytes[4 << 20];
	struct sending *sending = opaque;
	ssize_t ret = tools_stream_send(sending->stream, bytes, sizeof(bytes), false);

	ck_assert_int_ge(ret, 0);
	sending->taken += (size_t)ret;
}

static void close_here(void *opaque)
{
	tools_stream_close(opaque);
}

START_TEST(guest_that_does_not_read)
{
	struct tools_status status = start_tools(0);
	uint32_t much = htole32(1u << 30);
	struct frame credit = { .type = LODGE_RPC_CREDIT, .size = 4 };
	struct sending sending = { 0 };
	size_t heard = 0;

	writable = 0;
	ck_assert_int_eq(tools_stream_open(rig.machine.backdoor, status.epoch, TOOLS_TO_GUEST,
					   &stream_events, NULL, &sending.stream),
			 0);
	credit.tag = tools_stream_number(sending.stream);
	send_frame(credit, &much);
	loop_call(rig.machine.loop, send_here, &sending);
	/* A GiB of credit costs the host no more than its own limit. */
	ck_assert_uint_eq(sending.taken, 1 << 20);
	loop_call(rig.machine.loop, send_here, &sending);
	ck_assert_uint_eq(sending.taken, 1 << 20);
	while (heard < sending.taken) {
		offer_events(1);
		heard += next_event().size;
		ck_assert_uint_eq(writable, heard >= 512 << 10 ? 1 : writable);
	}
	settle();
	ck_assert_uint_eq(writable, 1);
	loop_call(rig.machine.loop, send_here, &sending);
	ck_assert_uint_eq(sending.taken, 2 << 20);
	loop_call(rig.machine.loop, close_here, sending.stream);
}
END_TEST

START_TEST(resets_for_strays_are_bounded)
{
	const struct frame frame = { .type = LODGE_RPC_DATA, .tag = 9 };
	unsigned int count = 0;

	start_tools(0);
	for (int i = 0; i < 2000; i++)
		send_frame(frame, NULL);
	offer_events(N_EVENTS);
	settle();
	while (rig_used(&event) > 0) {
		ck_assert_int_eq(next_event().type, LODGE_RPC_RESET);
		count++;
		offer_events(1);
		settle();
	}
	ck_assert_uint_eq(count, 512);
}
END_TEST

/* Buffers in files that are mapped into the guest: a request is dropped, an event waits. */
START_TEST(buffers_in_a_window)
{
	memory_set_window(rig.machine.memory, 0, 1ull << 40, 2 << 20);
	rig_add(&request, &(struct rig_buffer){ 1ull << 40, 64, false }, 1);
	rig_kick(&request);
	ck_assert(rig_take(&request, NULL, NULL));
	rig_add(&event, &(struct rig_buffer){ 1ull << 40, LODGE_BACKDOOR_EVENT_SIZE, true }, 1);
	greet(0);
	offer_events(1);
	ck_assert(rig_take(&event, NULL, NULL));
	ck_assert_int_eq(next_event().type, LODGE_RPC_COMMAND);
}
END_TEST

START_TEST(small_event_buffer)
{
	const struct rig_buffer buffer = { EVENTS, 24, true };

	rig_add(&event, &buffer, 1);
	rig_kick(&event);
	greet(0);
	settle();
	ck_assert_uint_eq(rig_status(&driver) & VIRTIO_CONFIG_S_NEEDS_RESET,
			  VIRTIO_CONFIG_S_NEEDS_RESET);
	rig_write(&driver, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	bring_up();
	ask(0, "x");
	ck_assert_str_eq(text, "0 say lodge.hello first");
}
END_TEST

/* ---- reset, save ---- */

static int ended;

static void note_done(void *opaque, int error, const char *result, size_t len)
{
	(void)opaque;
	(void)result;
	(void)len;
	ended = error;
}

START_TEST(reset_in_the_middle)
{
	struct tools_status status = start_tools(0);
	struct tools_stream *stream;

	ended = 0;
	ck_assert_int_eq(tools_command(rig.machine.backdoor, 0, "c", 1, note_done, NULL, NULL), 0);
	ck_assert_int_eq(tools_stream_open(rig.machine.backdoor, status.epoch, TOOLS_FROM_GUEST,
					   &stream_events, NULL, &stream),
			 0);
	rig_write(&driver, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	settle();
	ck_assert_int_lt(ended, 0);
	tools_get_status(rig.machine.backdoor, &status);
	ck_assert(!status.up);
	bring_up();
	offer_events(1);
	settle();
	ck_assert_uint_eq(rig_used(&event), 0);
	greet(0);
	ck_assert_str_eq((next_event(), text), "reset");
	loop_call(rig.machine.loop, close_here, stream);
}
END_TEST

START_TEST(sessions_are_told_to_come_again)
{
	struct state state = { 0 }, back;
	struct frame frame;

	greet(5);
	offer_events(2);
	frame = next_event();
	ck_assert_int_eq(device->type->save(device, &state), 0);
	/* A save takes nothing from a machine that goes on. */
	ask(5, "info-set guestinfo.x 1");
	ck_assert_str_eq(text, "1 ");
	answer(&frame, "OK ");
	ck_assert_str_eq((next_event(), text), "Capabilities_Register");
	state_read_from(&back, state.bytes, state.len);
	rig_write(&driver, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	ck_assert_int_eq(device->type->load(device, &back), 0);
	settle();
	event.used_idx = 1; /* the guest is back where it was */
	frame = next_event();
	ck_assert_int_eq(frame.type, LODGE_RPC_CLOSE);
	ck_assert_uint_eq(frame.session, 5);
	state_finish(&state);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("backdoor_virtio");
	TCase *tcase = tcase_create("virtio");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, configuration);
	tcase_add_test(tcase, requests);
	tcase_add_test(tcase, users_may_read);
	tcase_add_test(tcase, large_messages);
	tcase_add_test(tcase, malformed_frames);
	tcase_add_test(tcase, stray_frames);
	tcase_add_test(tcase, close_ends_a_session);
	tcase_add_test(tcase, second_toolbox_gets_the_place);
	tcase_add_test(tcase, guest_that_does_not_read);
	tcase_add_test(tcase, resets_for_strays_are_bounded);
	tcase_add_test(tcase, buffers_in_a_window);
	tcase_add_test(tcase, small_event_buffer);
	tcase_add_test(tcase, reset_in_the_middle);
	tcase_add_test(tcase, sessions_are_told_to_come_again);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
