// SPDX-License-Identifier: GPL-2.0-or-later
// The backdoor's port door: frames in a byte stream, opening and closing, back-pressure, faults.
#include <check.h>
#include <endian.h>
#include <linux/virtio_config.h>
#include <linux/virtio_console.h>
#include <linux/virtio_pci.h>
#include <lodge/backdoor.h>
#include <string.h>

#include "host-vmm/backdoor/backdoor.h"
#include "host-vmm/backdoor/tools.h"
#include "host-vmm/memory.h"
#include "host-vmm/state.h"
#include "host-vmm/virtio/models.h"
#include "tests/unit/virtio_rig.h"
#include "tests/unit/unit.h"

#define RING(i)	 (0x100000ull + 0x10000ull * (i))
#define CONTROL	 0x300000ull
#define TX	 0x400000ull
#define RX	 0x800000ull
#define RX_BYTES 4096u
#define SIZE	 64u

static struct rig rig;
static struct device *service, *device;
static struct rig_driver driver;
static struct rig_ring control_rx, control_tx, rx, tx;
static struct vm_port port = { (char *)LODGE_BACKDOOR_PORT_NAME, (char *)"tools" };
static int host_open;

static void settle(void)
{
	rig_settle(rig.machine.loop);
	rig_settle(rig.machine.loop);
}

static void add_bytes(struct rig_ring *ring, const void *bytes, size_t len)
{
	ck_assert_int_eq(memory_write(rig.machine.memory, TX, bytes, len), 0);
	rig_add(ring, (struct rig_buffer[]){ { TX, (uint32_t)len, false } }, 1);
	rig_kick(ring);
}

/* What the host says on the control queue. */
static void hear_control(void)
{
	uint32_t id;

	settle();
	while (rig_used(&control_rx) > 0 && rig_take(&control_rx, &id, NULL)) {
		struct virtio_console_control message;
		uint64_t at = CONTROL + 128ull * id;

		ck_assert_int_eq(memory_read(rig.machine.memory, at, &message, sizeof(message)), 0);
		if (message.event == VIRTIO_CONSOLE_PORT_OPEN)
			host_open = message.value;
		rig_add(&control_rx, (struct rig_buffer[]){ { at, 128, true } }, 1);
		rig_kick(&control_rx);
	}
}

static void say(uint16_t event, uint16_t value)
{
	struct virtio_console_control message = { htole32(1), htole16(event), htole16(value) };

	add_bytes(&control_tx, &message, sizeof(message));
	ck_assert(rig_take(&control_tx, NULL, NULL));
	hear_control();
}

static void give_buffers(unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		rig_add(&rx,
			(struct rig_buffer[]){ { RX + (uint64_t)RX_BYTES * (rx.next_desc % SIZE),
						 RX_BYTES, true } },
			1);
	rig_kick(&rx);
}

static void bring_up(void)
{
	ck_assert(rig_negotiate(&driver,
				1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_CONSOLE_F_MULTIPORT));
	rig_queue(&control_rx, &driver, 2, RING(2), SIZE);
	rig_queue(&control_tx, &driver, 3, RING(3), SIZE);
	rig_queue(&rx, &driver, 4, RING(4), SIZE);
	rig_queue(&tx, &driver, 5, RING(5), SIZE);
	rig_driver_ok(&driver);
	for (unsigned int i = 0; i < 16; i++)
		rig_add(&control_rx, (struct rig_buffer[]){ { CONTROL + 128ull * i, 128, true } },
			1);
	rig_kick(&control_rx);
	say(VIRTIO_CONSOLE_DEVICE_READY, 1);
	say(VIRTIO_CONSOLE_PORT_READY, 1);
}

static void setup(void)
{
	rig = (struct rig){
		.config.backdoor_port = true,
		.config.ports = &port,
		.config.n_ports = 1,
	};
	rig_create(&rig);
	host_open = -1;
	service = rig_add_device(&rig, &backdoor_type, 0);
	ck_assert_ptr_nonnull(service);
	device = rig_add_device(&rig, &virtio_console_type, 0);
	ck_assert_ptr_nonnull(device);
	rig_probe(&rig, 1, &driver);
	bring_up();
	ck_assert_int_eq(host_open, 1);
}

static void teardown(void)
{
	rig_remove_device(device);
	rig_remove_device(service);
	rig_destroy(&rig);
}

/* ---- the guest's side of the stream ---- */

static unsigned char stream[1 << 20];
static size_t stream_len;
static unsigned int n_frames;
static struct frame last;
static char last_text[4096];

static int note_frame(void *opaque, const struct frame *frame, const unsigned char *payload)
{
	(void)opaque;
	n_frames++;
	last = *frame;
	if (frame->size < sizeof(last_text))
		memcpy(last_text, payload, frame->size + 1);
	return 0;
}

/* Takes what the host wrote, buffer by buffer, and cuts it into frames. */
static void read_all(void)
{
	struct frame_cutter cutter = { .types = FRAMES_FROM_HOST };
	uint32_t id, len;

	n_frames = 0;
	settle();
	while (rig_used(&rx) > 0 && rig_take(&rx, &id, &len)) {
		ck_assert_uint_le(stream_len + len, sizeof(stream));
		ck_assert_int_eq(memory_read(rig.machine.memory, RX + (uint64_t)RX_BYTES * id,
					     stream + stream_len, len),
				 0);
		stream_len += len;
		give_buffers(1);
		settle();
	}
	ck_assert_int_eq(frame_cutter_feed(&cutter, stream, stream_len, note_frame, NULL), 0);
	frame_cutter_reset(&cutter);
	stream_len = 0;
}

static void write_bytes(const void *bytes, size_t len)
{
	add_bytes(&tx, bytes, len);
	ck_assert(rig_take(&tx, NULL, NULL));
}

static size_t make(unsigned char *bytes, struct frame frame, const void *payload)
{
	frame_build(&frame, bytes);
	memcpy(bytes + LODGE_RPC_HEADER_SIZE, payload, frame.size);
	return LODGE_RPC_HEADER_SIZE + frame.size;
}

static size_t make_request(unsigned char *bytes, uint32_t tag, const char *message, size_t len)
{
	const struct frame frame = {
		.type = LODGE_RPC_REQUEST,
		.size = (uint32_t)len,
		.tag = tag,
		.reply_max = 4000,
	};

	return make(bytes, frame, message);
}

static const char *ask_len(const char *message, size_t len)
{
	static uint32_t tag = 100;
	unsigned char bytes[4096];

	write_bytes(bytes, make_request(bytes, ++tag, message, len));
	read_all();
	ck_assert_uint_eq(n_frames, 1);
	ck_assert_int_eq(last.type, LODGE_RPC_REPLY);
	ck_assert_uint_eq(last.tag, tag);
	return last_text;
}

static const char *ask(const char *message)
{
	return ask_len(message, strlen(message));
}

static const char cli[] = "lodge.hello app=cli";
static const char toolbox[] = "lodge.hello app=toolbox\0commands=1";

static void open_port(void)
{
	say(VIRTIO_CONSOLE_PORT_OPEN, 1);
	give_buffers(32);
}

/* ---- */

START_TEST(requests)
{
	open_port();
	ck_assert_str_eq(ask("info-get guestinfo.x"), "0 say lodge.hello first");
	ck_assert_mem_eq(ask_len(cli, sizeof(cli)), "1 version=", 10);
	ck_assert_str_eq(ask("info-set guestinfo.x 1"), "1 ");
	ck_assert_str_eq(ask("info-get guestinfo.x"), "1 1");
}
END_TEST

START_TEST(stream_in_pieces)
{
	unsigned char bytes[256];
	size_t len;

	open_port();
	ask_len(cli, sizeof(cli));
	len = make_request(bytes, 7, "info-get guestinfo.x", 20);
	for (size_t i = 0; i < len; i++)
		write_bytes(bytes + i, 1);
	read_all();
	ck_assert_uint_eq(n_frames, 1);
	ck_assert_uint_eq(last.tag, 7);
	/* And two in one. */
	memcpy(bytes + len, bytes, len);
	write_bytes(bytes, 2 * len);
	read_all();
	ck_assert_uint_eq(n_frames, 2);
}
END_TEST

START_TEST(commands_come_behind_the_reply)
{
	unsigned char bytes[256];
	struct tools_status status;

	open_port();
	write_bytes(bytes, make_request(bytes, 1, toolbox, sizeof(toolbox)));
	for (int i = 0; i < 10; i++) {
		struct frame result = { .type = LODGE_RPC_RESULT, .size = 3 };

		read_all();
		/* The reply, and behind it the first command. */
		ck_assert_uint_eq(n_frames, i == 0 ? 2 : 1);
		ck_assert_int_eq(last.type, LODGE_RPC_COMMAND);
		if (i == 0)
			ck_assert_str_eq(last_text, "reset");
		result.tag = last.tag;
		write_bytes(bytes, make(bytes, result, "OK "));
	}
	settle();
	tools_get_status(rig.machine.backdoor, &status);
	ck_assert(status.up);
	ck_assert_int_eq(status.door, RPC_DOOR_PORT);
	ck_assert_int_eq(status.privilege, RPC_ROOT);
	/* A guest that closes the port has no tools any more. */
	say(VIRTIO_CONSOLE_PORT_OPEN, 0);
	tools_get_status(rig.machine.backdoor, &status);
	ck_assert(!status.up);
}
END_TEST

START_TEST(malformed_closes)
{
	unsigned char bytes[256];
	size_t len;

	open_port();
	ask_len(cli, sizeof(cli));
	write_bytes("no frame at all, surely not one", 31);
	hear_control();
	ck_assert_int_eq(host_open, 0);
	/* Nothing is heard until the guest closes, too. */
	len = make_request(bytes, 7, "info-get guestinfo.x", 20);
	write_bytes(bytes, len);
	read_all();
	ck_assert_uint_eq(n_frames, 0);
	say(VIRTIO_CONSOLE_PORT_OPEN, 0);
	ck_assert_int_eq(host_open, 1);
	open_port();
	ck_assert_str_eq(ask("info-get guestinfo.x"), "0 say lodge.hello first");
	ck_assert_mem_eq(ask_len(cli, sizeof(cli)), "1 version=", 10);
	/* A host's frame is none of a guest. */
	len = make(bytes, (struct frame){ .type = LODGE_RPC_COMMAND, .size = 1 }, "x");
	write_bytes(bytes, len);
	hear_control();
	ck_assert_int_eq(host_open, 0);
}
END_TEST

START_TEST(half_a_frame_dies_with_its_stream)
{
	unsigned char bytes[256];
	size_t len;

	open_port();
	ask_len(cli, sizeof(cli));
	len = make_request(bytes, 7, "info-get guestinfo.x", 20);
	write_bytes(bytes, len - 5);
	say(VIRTIO_CONSOLE_PORT_OPEN, 0);
	say(VIRTIO_CONSOLE_PORT_OPEN, 1);
	ck_assert_mem_eq(ask_len(cli, sizeof(cli)), "1 version=", 10);
	ck_assert_int_eq(host_open, 1);
}
END_TEST

START_TEST(guest_that_does_not_read)
{
	unsigned char bytes[256];
	unsigned int written = 0, busy = 0;
	size_t len;

	say(VIRTIO_CONSOLE_PORT_OPEN, 1);
	give_buffers(4);
	ask_len(cli, sizeof(cli));
	ask("info-set guestinfo.x yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy");
	len = make_request(bytes, 7, "info-get guestinfo.x", 20);
	ck_assert_int_eq(memory_write(rig.machine.memory, TX, bytes, len), 0);
	/* Until a chain is held back; each read_all() below gives what was there. */
	while (written < 10000) {
		rig_add(&tx, (struct rig_buffer[]){ { TX, (uint32_t)len, false } }, 1);
		rig_kick(&tx);
		settle();
		written++;
		if (rig_used(&tx) == 0)
			break;
		ck_assert(rig_take(&tx, NULL, NULL));
	}
	ck_assert_uint_lt(written, 300);
	for (unsigned int got = 0; got < written; got += n_frames) {
		read_all();
		ck_assert_uint_gt(n_frames, 0);
		busy += last.flags & LODGE_RPC_F_BUSY ? 1 : 0;
	}
	ck_assert_uint_gt(busy, 0);
	ck_assert(rig_take(&tx, NULL, NULL));
	ck_assert_mem_eq(ask("info-get guestinfo.x"), "1 yy", 4);
}
END_TEST

START_TEST(too_many_sessions)
{
	unsigned char bytes[256];
	struct frame frame = {
		.type = LODGE_RPC_REQUEST, .size = 1, .session = 1, .reply_max = 64
	};

	open_port();
	ask_len(cli, sizeof(cli));
	write_bytes(bytes, make(bytes, frame, "x"));
	read_all();
	ck_assert_str_eq(last_text, "0 too many sessions");
	ck_assert_uint_eq(last.session, 1);
	ck_assert_str_eq(ask("info-get guestinfo.x"), "0 No value found");
}
END_TEST

START_TEST(saved_streams_go_on)
{
	struct state state = { 0 };
	unsigned char bytes[256];
	size_t len;

	open_port();
	ask_len(cli, sizeof(cli));
	len = make_request(bytes, 7, "info-get guestinfo.x", 20);
	write_bytes(bytes, len - 3);
	ck_assert_int_eq(device->type->save(device, &state), 0);
	state_finish(&state);
	write_bytes(bytes + len - 3, 3);
	read_all();
	ck_assert_uint_eq(n_frames, 1);
	ck_assert_uint_eq(last.tag, 7);
}
END_TEST

START_TEST(restored_streams_begin_anew)
{
	struct state state = { 0 }, back;
	unsigned char bytes[256];

	open_port();
	ask_len(cli, sizeof(cli));
	write_bytes(bytes, make_request(bytes, 7, "info-get guestinfo.x", 20) - 3);
	ck_assert_int_eq(device->type->save(device, &state), 0);
	rig_write(&driver, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	state_read_from(&back, state.bytes, state.len);
	ck_assert_int_eq(device->type->load(device, &back), 0);
	state_finish(&state);
	/* The half that is missing would be taken for a header. */
	hear_control();
	ck_assert_int_eq(host_open, 0);
	write_bytes("o.x", 3);
	say(VIRTIO_CONSOLE_PORT_OPEN, 0);
	ck_assert_int_eq(host_open, 1);
	say(VIRTIO_CONSOLE_PORT_OPEN, 1);
	ck_assert_mem_eq(ask_len(cli, sizeof(cli)), "1 version=", 10);
}
END_TEST

START_TEST(port_without_a_backdoor)
{
	struct backdoor *backdoor = rig.machine.backdoor;

	rig.machine.backdoor = NULL;
	ck_assert_ptr_null(rig_add_device(&rig, &virtio_console_type, 0));
	rig.machine.backdoor = backdoor;
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("backdoor_port");
	TCase *tcase = tcase_create("port");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, requests);
	tcase_add_test(tcase, stream_in_pieces);
	tcase_add_test(tcase, commands_come_behind_the_reply);
	tcase_add_test(tcase, malformed_closes);
	tcase_add_test(tcase, half_a_frame_dies_with_its_stream);
	tcase_add_test(tcase, guest_that_does_not_read);
	tcase_add_test(tcase, too_many_sessions);
	tcase_add_test(tcase, saved_streams_go_on);
	tcase_add_test(tcase, restored_streams_begin_anew);
	tcase_add_test(tcase, port_without_a_backdoor);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
