// SPDX-License-Identifier: GPL-2.0-or-later
// virtio-console: terminal, named ports, opening and closing, back-pressure, init's status lines.
#include <check.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <linux/virtio_console.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host-vmm/bus.h"
#include "host-vmm/loop.h"
#include "host-vmm/memory.h"
#include "host-vmm/state.h"
#include "host-vmm/virtio/console.h"
#include "host-vmm/virtio/models.h"
#include "host-vmm/virtio/run_status.h"
#include "host-vmm/virtio/virtio.h"
#include "tests/unit/virtio_rig.h"
#include "tests/unit/unit.h"

#define RING(i) (0x100000ull + 0x10000ull * (i))
#define CONTROL 0x300000ull
#define TX	0x400000ull
#define RX	0x500000ull
#define SIZE	64
#define V1	(1ull << VIRTIO_F_VERSION_1)

static struct rig rig;
static struct device *devices[2];
static struct rig_driver driver;
static struct rig_ring control_rx, control_tx, rx, tx;
static struct vm_port ports[4];
static char backends[4][32];
static int in_pipe[2], out_pipe[2];
static unsigned int heard; /* bits of control events that came */
static char last_name[64];
static int last_open;

static void add_port(const char *name, const char *backend)
{
	size_t i = rig.config.n_ports++;

	snprintf(backends[i], sizeof(backends[i]), "%s", backend);
	ports[i] = (struct vm_port){ .name = (char *)name, .backend = backends[i] };
	rig.config.ports = ports;
}

static void setup(void)
{
	rig = (struct rig){ 0 };
	memset(devices, 0, sizeof(devices));
	heard = 0;
	last_open = -1;
	ck_assert_int_eq(pipe2(in_pipe, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(out_pipe, O_CLOEXEC), 0);
}

static void create(size_t n)
{
	ck_assert_uint_eq(virtio_console_type.count(&rig.config), n);
	rig_create(&rig);
	for (size_t i = 0; i < n; i++) {
		devices[i] = rig_add_device(&rig, &virtio_console_type, i);
		ck_assert_ptr_nonnull(devices[i]);
	}
	rig.machine.devices = devices;
	rig.machine.n_devices = n;
}

static void teardown(void)
{
	for (size_t i = 0; i < 2; i++)
		if (devices[i])
			rig_remove_device(devices[i]);
	rig_destroy(&rig);
	close(in_pipe[0]);
	close(in_pipe[1]);
	close(out_pipe[0]);
	close(out_pipe[1]);
}

static void settle(void)
{
	rig_settle(rig.machine.loop);
}

static void give_buffers(struct rig_ring *ring, uint64_t address, unsigned int n, uint32_t len)
{
	for (unsigned int i = 0; i < n; i++)
		rig_add(ring, (struct rig_buffer[]){ { address + (uint64_t)i * len, len, true } },
			1);
	rig_kick(ring);
	settle();
}

static void send_bytes(struct rig_ring *ring, const void *bytes, uint32_t len)
{
	ck_assert_int_eq(memory_write(rig.machine.memory, TX, bytes, len), 0);
	rig_add(ring, (struct rig_buffer[]){ { TX, len, false } }, 1);
	rig_kick(ring);
}

static void say(uint32_t id, uint16_t event, uint16_t value)
{
	struct virtio_console_control message = { htole32(id), htole16(event), htole16(value) };

	send_bytes(&control_tx, &message, sizeof(message));
	ck_assert(rig_take(&control_tx, NULL, NULL));
	settle();
}

static void hear(void)
{
	uint32_t id, len;

	while (rig_used(&control_rx) > 0 && rig_take(&control_rx, &id, &len)) {
		struct virtio_console_control message;
		uint64_t at = CONTROL + 128ull * id;

		ck_assert_int_eq(memory_read(rig.machine.memory, at, &message, sizeof(message)), 0);
		heard |= 1u << message.event;
		if (message.event == VIRTIO_CONSOLE_PORT_NAME) {
			memset(last_name, 0, sizeof(last_name));
			ck_assert_int_eq(memory_read(rig.machine.memory, at + sizeof(message),
						     last_name, len - sizeof(message)),
					 0);
		}
		if (message.event == VIRTIO_CONSOLE_PORT_OPEN)
			last_open = message.value;
	}
}

/* The driver's part of multiport, and one port opened. */
static void open_port(unsigned int slot)
{
	rig_probe(&rig, slot, &driver);
	ck_assert(rig_negotiate(&driver, V1 | 1ull << VIRTIO_CONSOLE_F_MULTIPORT));
	rig_queue(&control_rx, &driver, 2, RING(2), SIZE);
	rig_queue(&control_tx, &driver, 3, RING(3), SIZE);
	rig_queue(&rx, &driver, 4, RING(4), SIZE);
	rig_queue(&tx, &driver, 5, RING(5), SIZE);
	rig_driver_ok(&driver);
	ck_assert_uint_eq(rig_status(&driver), 0xf);
	give_buffers(&control_rx, CONTROL, 32, 128);
	say(VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
	hear();
	ck_assert_uint_eq(heard, 1u << VIRTIO_CONSOLE_PORT_ADD);
	say(1, VIRTIO_CONSOLE_PORT_READY, 1);
	hear();
	ck_assert(heard & 1u << VIRTIO_CONSOLE_PORT_NAME);
	ck_assert(heard & 1u << VIRTIO_CONSOLE_PORT_OPEN);
}

static void read_guest(uint64_t address, char *text, size_t len)
{
	ck_assert_int_eq(memory_read(rig.machine.memory, address, text, len), 0);
}

START_TEST(terminal)
{
	char backend[32], text[16] = { 0 };
	uint32_t len;

	snprintf(backend, sizeof(backend), "fd:%d,%d", in_pipe[0], out_pipe[1]);
	add_port("console", backend);
	create(1);
	rig_probe(&rig, 1, &driver);
	ck_assert(!(rig_offered(&driver) & 1ull << VIRTIO_CONSOLE_F_MULTIPORT));
	ck_assert(rig_negotiate(&driver, V1 | 1ull << VIRTIO_CONSOLE_F_SIZE));
	rig_queue(&rx, &driver, 0, RING(0), SIZE);
	rig_queue(&tx, &driver, 1, RING(1), SIZE);
	rig_driver_ok(&driver);
	ck_assert_uint_eq(rig_read(&driver, VIRTIO_PCI_COMMON_NUMQ, 2), 2);
	/* From the guest. */
	send_bytes(&tx, "hello", 5);
	ck_assert(rig_take(&tx, NULL, NULL));
	ck_assert_int_eq(read(out_pipe[0], text, sizeof(text)), 5);
	ck_assert_str_eq(text, "hello");
	/* To the guest: what came before there were buffers is not lost. */
	ck_assert_int_eq(write(in_pipe[1], "abcdef", 6), 6);
	settle();
	give_buffers(&rx, RX, 4, 4);
	ck_assert(rig_take(&rx, NULL, &len));
	ck_assert_uint_eq(len, 4);
	ck_assert(rig_take(&rx, NULL, &len));
	ck_assert_uint_eq(len, 2);
	read_guest(RX, text, 6);
	ck_assert_mem_eq(text, "abcdef", 6);
	/* Its size. */
	(void)rig_raised(&driver, 0);
	virtio_console_resize(&rig.machine, 132, 43);
	ck_assert(rig_raised(&driver, 0));
	ck_assert_uint_eq(rig_config(&driver, 0, 2), 132);
	ck_assert_uint_eq(rig_config(&driver, 2, 2), 43);
	virtio_console_resize(&rig.machine, 132, 43);
	ck_assert(!rig_raised(&driver, 0));
	/* An emergency write. */
	bus_write(rig.machine.mmio, driver.config + 8, '!', 4);
	ck_assert_int_eq(read(out_pipe[0], text, sizeof(text)), 1);
	ck_assert_int_eq(text[0], '!');
}
END_TEST

START_TEST(named_port)
{
	char backend[32], text[16] = { 0 };
	uint32_t len;

	add_port("console", "none");
	snprintf(backend, sizeof(backend), "fd:%d,%d", in_pipe[0], out_pipe[1]);
	add_port("org.lodge.test", backend);
	create(2);
	open_port(2);
	ck_assert_str_eq(last_name, "org.lodge.test");
	ck_assert_int_eq(last_open, 1);
	ck_assert_uint_eq(rig_config(&driver, 4, 4), 2);
	/* Not opened by the guest: bytes wait with the host. */
	give_buffers(&rx, RX, 4, 16);
	ck_assert_int_eq(write(in_pipe[1], "early", 5), 5);
	settle();
	ck_assert_uint_eq(rig_used(&rx), 0);
	say(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	ck_assert(rig_take(&rx, NULL, &len));
	read_guest(RX, text, len);
	ck_assert_mem_eq(text, "early", 5);
	send_bytes(&tx, "out", 3);
	ck_assert(rig_take(&tx, NULL, NULL));
	ck_assert_int_eq(read(out_pipe[0], text, sizeof(text)), 3);
}
END_TEST

/* Buffers in files that are mapped into the guest: dropped, and the next ones serve. */
START_TEST(buffers_in_a_window)
{
	const uint64_t window = 0x6000000000ull;
	char backend[32], text[16] = { 0 };
	uint32_t len;

	snprintf(backend, sizeof(backend), "fd:%d,%d", in_pipe[0], out_pipe[1]);
	add_port("org.lodge.test", backend);
	create(1);
	open_port(1);
	memory_set_window(rig.machine.memory, 0, window, 2 << 20);
	say(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	give_buffers(&rx, window, 1, 16);
	give_buffers(&rx, RX, 1, 16);
	ck_assert_int_eq(write(in_pipe[1], "bytes", 5), 5);
	ck_assert(rig_take(&rx, NULL, &len));
	ck_assert_uint_eq(len, 0);
	ck_assert(rig_take(&rx, NULL, &len));
	ck_assert_uint_eq(len, 5);
	read_guest(RX, text, len);
	ck_assert_mem_eq(text, "bytes", 5);
	rig_add(&tx, (struct rig_buffer[]){ { window, 3, false } }, 1);
	send_bytes(&tx, "out", 3);
	ck_assert(rig_take(&tx, NULL, NULL));
	ck_assert(rig_take(&tx, NULL, NULL));
	ck_assert_int_eq(read(out_pipe[0], text, sizeof(text)), 3);
	rig_add(&control_tx, (struct rig_buffer[]){ { window, 8, false } }, 1);
	say(1, VIRTIO_CONSOLE_PORT_OPEN, 0);
	ck_assert_uint_eq(rig_status(&driver), 0xf);
}
END_TEST

/* What the device has to say waits for a buffer that can hold it. */
START_TEST(control_buffer_in_a_window)
{
	const uint64_t window = 0x6000000000ull;

	add_port("org.lodge.test", "none");
	create(1);
	rig_probe(&rig, 1, &driver);
	ck_assert(rig_negotiate(&driver, V1 | 1ull << VIRTIO_CONSOLE_F_MULTIPORT));
	rig_queue(&control_rx, &driver, 2, RING(2), SIZE);
	rig_queue(&control_tx, &driver, 3, RING(3), SIZE);
	rig_driver_ok(&driver);
	memory_set_window(rig.machine.memory, 0, window, 2 << 20);
	give_buffers(&control_rx, window, 1, 128);
	say(VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
	ck_assert(rig_take(&control_rx, NULL, NULL));
	give_buffers(&control_rx, CONTROL + 128, 4, 128);
	hear();
	ck_assert_uint_eq(heard, 1u << VIRTIO_CONSOLE_PORT_ADD);
	ck_assert_uint_eq(rig_status(&driver), 0xf);
}
END_TEST

START_TEST(end_of_input_closes)
{
	char backend[32];
	uint32_t len;

	snprintf(backend, sizeof(backend), "fd:%d,-1", in_pipe[0]);
	add_port("org.lodge.run.stdin", backend);
	create(1);
	open_port(1);
	ck_assert_int_eq(last_open, 1);
	ck_assert_int_eq(write(in_pipe[1], "0123456789", 10), 10);
	close(in_pipe[1]);
	in_pipe[1] = -1;
	say(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	settle();
	hear();
	ck_assert_int_eq(last_open, 1); /* bytes are still to be read */
	give_buffers(&rx, RX, 1, 16);
	ck_assert(rig_take(&rx, NULL, &len));
	ck_assert_uint_eq(len, 10);
	for (unsigned int i = 0; i < 1000 && last_open; i++) {
		(void)poll(NULL, 0, 1);
		hear();
	}
	ck_assert_int_eq(last_open, 0);
}
END_TEST

START_TEST(reader_that_leaves_closes)
{
	char backend[32];

	signal(SIGPIPE, SIG_IGN);
	snprintf(backend, sizeof(backend), "fd:-1,%d", out_pipe[1]);
	add_port("org.lodge.run.stdout", backend);
	create(1);
	open_port(1);
	ck_assert_int_eq(last_open, 1);
	close(out_pipe[0]);
	out_pipe[0] = -1;
	/* What nobody reads is taken, so that the guest does not hang, and the port closes. */
	send_bytes(&tx, "y\n", 2);
	ck_assert(rig_take(&tx, NULL, NULL));
	for (unsigned int i = 0; i < 1000 && last_open; i++) {
		(void)poll(NULL, 0, 1);
		hear();
	}
	ck_assert_int_eq(last_open, 0);
}
END_TEST

START_TEST(back_pressure)
{
	static char bytes[262144], back[262144];
	size_t got = 0;
	char backend[32];

	snprintf(backend, sizeof(backend), "fd:-1,%d", out_pipe[1]);
	add_port("org.lodge.run.stdout", backend);
	create(1);
	open_port(1);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 31 + (i >> 9));
	/* More than a pipe holds, in one chain: it is given back when all was taken, not before. */
	send_bytes(&tx, bytes, sizeof(bytes));
	settle();
	ck_assert_uint_eq(rig_used(&tx), 0);
	while (got < sizeof(bytes)) {
		ssize_t n = read(out_pipe[0], back + got, sizeof(back) - got);

		ck_assert_int_gt(n, 0);
		got += (size_t)n;
	}
	ck_assert(rig_take(&tx, NULL, NULL));
	ck_assert_mem_eq(bytes, back, sizeof(bytes));
	/* Reset while a chain is held. */
	send_bytes(&tx, bytes, sizeof(bytes));
	settle();
	rig_write(&driver, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	ck_assert_uint_eq(rig_status(&driver), 0);
	heard = 0;
	open_port(1);
}
END_TEST

struct other {
	int fd;
	struct loop_source *source;
	int seen; /* of the port's chains, at its turn: how many were done; -1: no turn so far */
};

static void other_turn(void *opaque, uint32_t events)
{
	struct other *other = opaque;

	(void)events;
	other->seen = rig_used(&tx);
	loop_remove(other->source);
}

static void ring_both(void *opaque)
{
	struct other *other = opaque;
	uint64_t one = 1;

	rig_kick(&tx);
	ck_assert_int_eq(write(other->fd, &one, sizeof(one)), sizeof(one));
}

START_TEST(a_long_chain_leaves_turns_to_others)
{
	struct other other = { .fd = eventfd(0, EFD_CLOEXEC), .seen = -1 };

	add_port("org.lodge.test", "none");
	create(1);
	open_port(1);
	rig_add(&tx,
		(struct rig_buffer[]){
			{ TX, 8 << 20, false }, { TX, 8 << 20, false }, { TX, 8 << 20, false } },
		3);
	ck_assert_int_eq(
		loop_add(rig.machine.loop, other.fd, EPOLLIN, other_turn, &other, &other.source),
		0);
	/* On the loop's thread, so that both wait at once. */
	loop_call(rig.machine.loop, ring_both, &other);
	ck_assert(rig_take(&tx, NULL, NULL));
	settle();
	ck_assert_int_eq(other.seen, 0);
	close(other.fd);
}
END_TEST

START_TEST(held_chain_is_saved)
{
	static char bytes[131072], back[131072];
	struct state saved = { 0 }, reader;
	size_t got = 0;
	char backend[32];

	snprintf(backend, sizeof(backend), "fd:-1,%d", out_pipe[1]);
	add_port("org.lodge.run.stdout", backend);
	create(1);
	open_port(1);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 13 + (i >> 8));
	send_bytes(&tx, bytes, sizeof(bytes));
	settle();
	ck_assert_int_eq(virtio_model_save(devices[0], &saved), 0);
	virtio_model_reset(devices[0]);
	state_read_from(&reader, saved.bytes, saved.len);
	ck_assert_int_eq(virtio_model_load(devices[0], &reader), 0);
	while (got < sizeof(bytes)) {
		ssize_t n = read(out_pipe[0], back + got, sizeof(back) - got);

		ck_assert_int_gt(n, 0);
		got += (size_t)n;
	}
	ck_assert_mem_eq(bytes, back, sizeof(bytes));
	ck_assert(rig_take(&tx, NULL, NULL));
	for (size_t len = 0; len < saved.len; len += 3) {
		state_read_from(&reader, saved.bytes, len);
		ck_assert_int_lt(virtio_model_load(devices[0], &reader), 0);
	}
	state_finish(&saved);
}
END_TEST

START_TEST(init_reports)
{
	add_port(LODGE_RUN_PORT_STATUS, "run-status");
	create(1);
	open_port(1);
	ck_assert_int_eq(last_open, 1);
	send_bytes(&tx, "rea", 3);
	ck_assert(rig_take(&tx, NULL, NULL));
	send_bytes(&tx, "dy\nrubbish\nstatus 42\nstatus 7\n", 30);
	ck_assert(rig_take(&tx, NULL, NULL));
	settle();
	ck_assert_int_eq(rig.machine.guest_status, 42);
}
END_TEST

START_TEST(bad_control_messages)
{
	static const uint8_t rubbish[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	add_port("a", "none");
	add_port("b", "none");
	create(1);
	open_port(1);
	for (uint32_t len = 1; len <= sizeof(rubbish); len++) {
		send_bytes(&control_tx, rubbish, len);
		ck_assert(rig_take(&control_tx, NULL, NULL));
	}
	for (uint16_t event = 0; event < 16; event++)
		for (uint32_t id = 0; id < 5; id++)
			say(id, event, event & 1);
	ck_assert_uint_eq(rig_status(&driver), 0xf);
	/* No buffers for the answers: nothing grows, and they come when there are some. */
	rig_write(&driver, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	heard = 0;
	open_port(1);
}
END_TEST

START_TEST(too_many_ports)
{
	static struct vm_port many[31];
	static char names[31][8];
	struct device *device;

	for (size_t i = 0; i < 31; i++) {
		snprintf(names[i], sizeof(names[i]), "p%zu", i);
		many[i] = (struct vm_port){ .name = names[i], .backend = (char *)"none" };
	}
	rig.config.ports = many;
	rig.config.n_ports = 31;
	rig_create(&rig);
	ck_assert_ptr_null(rig_add_device(&rig, &virtio_console_type, 0));
	rig.config.n_ports = 30;
	device = rig_add_device(&rig, &virtio_console_type, 0);
	ck_assert_ptr_nonnull(device);
	rig_remove_device(device);
	many[3].backend = (char *)"nonsense";
	ck_assert_ptr_null(rig_add_device(&rig, &virtio_console_type, 0));
	rig.config.n_ports = 0;
}
END_TEST

static void note(void *opaque, enum run_status_word word, int status)
{
	char *log = opaque;

	snprintf(log + strlen(log), 256 - strlen(log), "%d:%d ", word, status);
}

START_TEST(status_lines)
{
	static const struct {
		const char *text, *log;
	} rows[] = {
		{ "ready\n", "1:0 " },
		{ "status 0\nstatus 255\n", "2:0 2:255 " },
		{ "status 256\nstatus -1\nstatus +1\nstatus 01\nstatus \nstatus\nstatus 1 \n",
		  "3:0 3:0 3:0 3:0 3:0 3:0 3:0 " },
		{ "ready\r\n\nREADY\nstatus 1x\n", "3:0 3:0 3:0 3:0 " },
		{ "no end", "" },
		{ "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\nstatus 9\n",
		  "3:0 2:9 " },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct run_status whole = { 0 }, bytes = { 0 };
		char log[256] = "", log2[256] = "";

		run_status_feed(&whole, rows[i].text, strlen(rows[i].text), note, log);
		for (size_t k = 0; k < strlen(rows[i].text); k++)
			run_status_feed(&bytes, rows[i].text + k, 1, note, log2);
		ck_assert_str_eq(log, rows[i].log);
		ck_assert_str_eq(log2, rows[i].log);
	}
}
END_TEST

static void no_setup(void)
{
	setup();
}

static void just_close(void)
{
	if (rig.machine.pci)
		rig_destroy(&rig);
}

int main(void)
{
	Suite *suite = suite_create("virtio_console");
	TCase *tcase = tcase_create("console"), *alone = tcase_create("alone");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, terminal);
	tcase_add_test(tcase, named_port);
	tcase_add_test(tcase, buffers_in_a_window);
	tcase_add_test(tcase, control_buffer_in_a_window);
	tcase_add_test(tcase, end_of_input_closes);
	tcase_add_test(tcase, reader_that_leaves_closes);
	tcase_add_test(tcase, back_pressure);
	tcase_add_test(tcase, a_long_chain_leaves_turns_to_others);
	tcase_add_test(tcase, held_chain_is_saved);
	tcase_add_test(tcase, init_reports);
	tcase_add_test(tcase, bad_control_messages);
	tcase_set_timeout(alone, 60);
	tcase_add_checked_fixture(alone, no_setup, just_close);
	tcase_add_test(alone, too_many_ports);
	tcase_add_test(alone, status_lines);
	suite_add_tcase(suite, tcase);
	suite_add_tcase(suite, alone);
	return unit_run(suite);
}
