// SPDX-License-Identifier: GPL-2.0-or-later
// display.sock: what windows hear and say, and those that stall, babble or die.
#include <check.h>
#include <endian.h>
#include <errno.h>
#include <linux/input-event-codes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "host-vmm/display/display.h"
#include "host-vmm/display/server.h"
#include "host-vmm/input/input.h"
#include "host-vmm/loop.h"
#include "protocol/lib/fd.h"
#include "tests/unit/unit.h"

#define PATIENCE_MS 10000

static struct display *display;
static struct input *input;
static struct display_server *server;
static char path[64];

/* A second of the server's is 10 ms here. */
int __wrap_timerfd_settime(int fd, int flags, const struct itimerspec *value,
			   struct itimerspec *old);
int __real_timerfd_settime(int fd, int flags, const struct itimerspec *value,
			   struct itimerspec *old);

int __wrap_timerfd_settime(int fd, int flags, const struct itimerspec *value,
			   struct itimerspec *old)
{
	struct itimerspec quick = *value;

	if (value->it_interval.tv_sec)
		quick.it_interval = quick.it_value = (struct timespec){ 0, 10000000 };
	return __real_timerfd_settime(fd, flags, &quick, old);
}

static void set_up(void)
{
	snprintf(path, sizeof(path), "/tmp/display-test-%d.sock", (int)getpid());
	ck_assert_int_eq(display_create(2, 64 << 20, &display), 0);
	ck_assert_int_eq(input_create(&input), 0);
	ck_assert_int_eq(display_server_start(display, input, "box", path, &server), 0);
}

static void tear_down(void)
{
	display_server_stop(server);
	ck_assert_int_ne(access(path, F_OK), 0);
	input_destroy(input);
	display_destroy(display);
}

/* ---- a guest: one colour a picture ---- */

struct paint {
	uint32_t width, height, colour;
	bool damage; /* else a new picture */
};

static uint32_t colour;

static int read_pixels(void *opaque, uint64_t offset, void *to, size_t len)
{
	uint32_t *pixels = to;

	(void)opaque;
	(void)offset;
	for (size_t i = 0; i < len / 4; i++)
		pixels[i] = colour;
	return 0;
}

static const struct display_source_ops source_ops = { .read = read_pixels };

static void paint_on_loop(void *opaque)
{
	const struct paint *paint = opaque;
	struct display_picture picture = {
		.width = paint->width,
		.height = paint->height,
		.stride = paint->width * 4,
		.format = DISPLAY_BGRX8888,
		.source = LODGE_DISPLAY_GPU,
		.ops = &source_ops,
	};

	colour = paint->colour;
	if (paint->damage)
		display_damage(display, 0, DISPLAY_LAYER_GPU, &(struct display_rect){ 0, 0, 1, 1 });
	else
		(void)display_set_picture(display, 0, DISPLAY_LAYER_GPU, &picture);
}

static void paint(uint32_t width, uint32_t height, uint32_t with)
{
	struct paint paint = { width, height, with, false };

	loop_call(display_loop(display), paint_on_loop, &paint);
}

static void paint_more(uint32_t with)
{
	struct paint paint = { 0, 0, with, true };

	loop_call(display_loop(display), paint_on_loop, &paint);
}

/* ---- a window ---- */

struct message {
	struct lodge_display_header header;
	union {
		unsigned char bytes[LODGE_DISPLAY_BODY_MAX];
		struct lodge_display_hello hello;
		struct lodge_display_frame frame;
		struct lodge_display_damage damage;
		struct lodge_display_input input;
	};
	int fd;
};

static bool receive_all(int fd, void *to, size_t len, int *pass)
{
	size_t have = 0;

	while (have < len) {
		struct pollfd pfd = { fd, POLLIN, 0 };
		int fds[FD_PASS_MAX];
		size_t n_fds = 0;
		ssize_t got;

		if (poll(&pfd, 1, PATIENCE_MS) != 1)
			return false;
		got = fd_recv(fd, (char *)to + have, len - have, fds, &n_fds);
		if (got <= 0)
			return false;
		ck_assert_uint_le(n_fds, 1);
		if (n_fds)
			*pass = fds[0];
		have += (size_t)got;
	}
	return true;
}

/* False where the monitor has closed. */
static bool hear(int fd, struct message *message)
{
	message->fd = -1;
	return receive_all(fd, &message->header, sizeof(message->header), &message->fd) &&
	       receive_all(fd, message->bytes, le32toh(message->header.size), &message->fd);
}

/* Skips others. */
static bool hear_of(int fd, enum lodge_display_type type, struct message *message)
{
	while (hear(fd, message)) {
		if (le16toh(message->header.type) == type)
			return true;
		fd_close(&message->fd);
	}
	return false;
}

static void say_bytes(int fd, const void *bytes, size_t len)
{
	(void)!send(fd, bytes, len, MSG_NOSIGNAL);
}

static void say(int fd, unsigned int type, unsigned int head, const uint32_t *words, size_t n)
{
	uint32_t bytes[2 + 8] = { htole32((uint32_t)n * 4),
				  htole32((uint32_t)type | (uint32_t)head << 16) };

	for (size_t i = 0; i < n; i++)
		bytes[2 + i] = htole32(words[i]);
	say_bytes(fd, bytes, 8 + n * 4);
}

static int connect_window(void)
{
	struct message message;
	int fd = unix_connect(path);

	ck_assert_int_ge(fd, 0);
	ck_assert(hear(fd, &message));
	ck_assert_uint_eq(le16toh(message.header.type), LODGE_DISPLAY_HELLO);
	ck_assert_uint_eq(le32toh(message.hello.heads), 2);
	ck_assert_uint_eq(le64toh(message.hello.memory_max), 64 << 20);
	ck_assert_str_eq((const char *)message.hello.name, "box");
	return fd;
}

static int open_window(void)
{
	int fd = connect_window();

	say(fd, LODGE_DISPLAY_ATTACH, 0, (const uint32_t[]){ 1, 1 }, 2);
	return fd;
}

static bool is_closed(int fd)
{
	struct message message;

	while (hear(fd, &message))
		fd_close(&message.fd);
	return recv(fd, &message, 1, MSG_DONTWAIT) <= 0;
}

static unsigned int windows(void)
{
	struct display_head_state state;

	ck_assert_int_eq(display_state(display, 0, &state), 0);
	return state.windows;
}

START_TEST(a_window_sees_what_the_guest_paints)
{
	int fd = open_window();
	struct message message;
	uint32_t *pixels;

	paint(641, 481, 0x123456);
	do {
		ck_assert(hear_of(fd, LODGE_DISPLAY_FRAME, &message));
	} while (!message.frame.source);
	ck_assert_uint_eq(le32toh(message.frame.width), 641);
	ck_assert_uint_eq(le32toh(message.frame.height), 481);
	ck_assert_uint_eq(le32toh(message.frame.source), LODGE_DISPLAY_GPU);
	ck_assert_int_ge(message.fd, 0);
	pixels = mmap(NULL, (size_t)le32toh(message.frame.stride) * 481, PROT_READ, MAP_SHARED,
		      message.fd, 0);
	ck_assert_ptr_ne(pixels, MAP_FAILED);
	ck_assert(hear_of(fd, LODGE_DISPLAY_DAMAGE, &message));
	ck_assert_uint_eq(pixels[480 * 656 + 640], 0x123456);
	say(fd, LODGE_DISPLAY_SHOWN, 0, (const uint32_t[]){ le32toh(message.damage.serial), 0 }, 2);
	paint_more(0x654321);
	ck_assert(hear_of(fd, LODGE_DISPLAY_DAMAGE, &message));
	ck_assert_uint_eq(pixels[0], 0x654321);
	ck_assert_uint_eq(pixels[1], 0x123456);
	/* The window's own copy stays when another mode comes. */
	paint(320, 200, 0);
	ck_assert(hear_of(fd, LODGE_DISPLAY_FRAME, &message));
	ck_assert_uint_eq(pixels[1], 0x123456);
	munmap(pixels, (size_t)656 * 4 * 481);
	close(message.fd);
	close(fd);
}
END_TEST

START_TEST(sizes_reach_the_display_and_bad_ones_do_no_harm)
{
	static const uint32_t bad[][2] = {
		{ 0, 0 },	   { 0, 0x600 },     { 1, 1 },	       { 65535, 65535 },
		{ UINT32_MAX, 1 }, { 46341, 46341 }, { 16384, 16384 },
	};
	struct display_head_state state;
	int fd = open_window();

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		say(fd, LODGE_DISPLAY_RESIZE, 0,
		    (const uint32_t[]){ bad[i][0], bad[i][1], 0, 0, 0, 0 }, 6);
	for (unsigned int i = 0; i < 10000; i++)
		say(fd, LODGE_DISPLAY_RESIZE, 0,
		    (const uint32_t[]){ 400 + i % 500, 300 + i % 400, 0, 0, 0, 0 }, 6);
	say(fd, LODGE_DISPLAY_RESIZE, 1, (const uint32_t[]){ 801, 601, 300, 200, 0, 0 }, 6);
	do {
		ck_assert_int_eq(display_state(display, 1, &state), 0);
	} while (state.want.width != 801);
	ck_assert_uint_eq(state.want.height_mm, 200);
	ck_assert_int_eq(display_state(display, 0, &state), 0);
	ck_assert_uint_eq(state.want.width, 400 + 9999 % 500);
	ck_assert_uint_eq(windows(), 1);
	close(fd);
}
END_TEST

/* People count screens from 1. */
START_TEST(a_size_that_is_refused_is_logged_with_its_reason)
{
	autofd log = memfd_create("log", MFD_CLOEXEC), was = dup(STDERR_FILENO);
	autofd fd = open_window();
	struct display_head_state state;
	char said[1024] = "";

	ck_assert_int_eq(dup2(log, STDERR_FILENO), STDERR_FILENO);
	say(fd, LODGE_DISPLAY_RESIZE, 1, (const uint32_t[]){ 20000, 300, 0, 0, 0, 0 }, 6);
	say(fd, LODGE_DISPLAY_RESIZE, 1, (const uint32_t[]){ 801, 601, 0, 0, 0, 0 }, 6);
	do {
		ck_assert_int_eq(display_state(display, 1, &state), 0);
	} while (state.want.width != 801);
	dup2(was, STDERR_FILENO);
	ck_assert_int_gt(pread(log, said, sizeof(said) - 1, 0), 0);
	ck_assert_msg(strstr(said, "20000x300 on screen 2: a side is longer"), "said %s", said);
}
END_TEST

/* What closes a connection, each behind an ATTACH where @attached. */
static const struct {
	bool attached;
	unsigned int type, head;
	size_t n;
	uint32_t words[7];
} rubbish[] = {
	{ false, 0, 0, 0, { 0 } },
	{ false, LODGE_DISPLAY_HELLO, 0, 2, { 1, 1 } },
	{ false, LODGE_DISPLAY_SHOWN, 0, 2, { 0, 0 } }, /* before ATTACH */
	{ false, LODGE_DISPLAY_ATTACH, 0, 2, { 2, 1 } }, /* another version */
	{ false, LODGE_DISPLAY_ATTACH, 0, 2, { 1, 4 } }, /* a head that is not there */
	{ false, LODGE_DISPLAY_ATTACH, 0, 2, { 1, UINT32_MAX } },
	{ false, LODGE_DISPLAY_ATTACH, 0, 1, { 1 } },
	{ false, LODGE_DISPLAY_ATTACH, 0, 3, { 1, 1, 0 } },
	{ true, LODGE_DISPLAY_ATTACH, 0, 2, { 1, 1 } }, /* twice */
	{ true, LODGE_DISPLAY_RESIZE, 2, 6, { 800, 600, 0, 0, 0, 0 } },
	{ true, LODGE_DISPLAY_RESIZE, 65535, 6, { 800, 600, 0, 0, 0, 0 } },
	{ true, LODGE_DISPLAY_RESIZE, 0, 6, { 800, 600, 0, 0, 0, 1 } }, /* reserved */
	{ true, LODGE_DISPLAY_RESIZE, 0, 6, { 800, 600, 0, 0, 1, 0 } }, /* reserved */
	{ true, LODGE_DISPLAY_MEASURE, 2, 4, { 800, 600, 100, 100 } },
	{ true, LODGE_DISPLAY_MEASURE, 0, 5, { 800, 600, 100, 100, 0 } },
	{ true, LODGE_DISPLAY_RESIZE, 0, 5, { 800, 600, 0, 0, 0 } },
	{ true, LODGE_DISPLAY_SHOWN, 0, 2, { 0, 1 } },
	{ true, LODGE_DISPLAY_KEY, 0, 2, { KEY_A, 2 } },
	{ true, LODGE_DISPLAY_RELEASE, 0, 1, { 0 } },
	{ true, LODGE_DISPLAY_DAMAGE, 0, 2, { 0, 0 } },
	{ true, 73, 0, 0, { 0 } },
	{ true, 65535, 0, 0, { 0 } },
};

START_TEST(rubbish_closes_it_and_no_other)
{
	int good = open_window(), fd = rubbish[_i].attached ? open_window() : connect_window();
	struct message message;

	say(fd, rubbish[_i].type, rubbish[_i].head, rubbish[_i].words, rubbish[_i].n);
	ck_assert(is_closed(fd));
	close(fd);
	paint(640, 480, 1);
	ck_assert(hear_of(good, LODGE_DISPLAY_DAMAGE, &message));
	ck_assert_uint_eq(windows(), 1);
	close(good);
}
END_TEST

START_TEST(a_length_of_4_gib_is_no_length)
{
	const uint32_t header[2] = { htole32(UINT32_MAX), htole32(LODGE_DISPLAY_KEY) };
	int fd = open_window();

	say_bytes(fd, header, sizeof(header));
	ck_assert(is_closed(fd));
	close(fd);
}
END_TEST

START_TEST(a_window_may_die_at_any_byte)
{
	const uint32_t attach[4] = { htole32(8), htole32(LODGE_DISPLAY_ATTACH), htole32(1),
				     htole32(1) };
	int fd;

	paint(640, 480, 1);
	for (size_t len = 0; len <= sizeof(attach); len++) {
		fd = connect_window();
		say_bytes(fd, attach, len);
		close(fd);
	}
	/* And in the middle of a frame that it was told of. */
	for (unsigned int i = 0; i < 50; i++) {
		struct message message;

		fd = open_window();
		ck_assert(hear_of(fd, LODGE_DISPLAY_FRAME, &message));
		fd_close(&message.fd);
		close(fd);
	}
	while (windows())
		continue;
}
END_TEST

START_TEST(one_that_does_not_read_is_dropped_and_holds_up_nobody)
{
	int deaf = open_window(), good = open_window(), small = 1;
	struct message message;

	ck_assert_int_eq(setsockopt(deaf, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
	/* Each message is small, so it takes many until the socket is full. */
	for (unsigned int i = 0; windows() == 2; i++) {
		paint(320 + i % 100, 200, i);
		ck_assert(hear_of(good, LODGE_DISPLAY_FRAME, &message));
		fd_close(&message.fd);
	}
	ck_assert_uint_eq(windows(), 1);
	paint(500, 500, 7);
	ck_assert(hear_of(good, LODGE_DISPLAY_DAMAGE, &message));
	close(deaf);
	close(good);
}
END_TEST

START_TEST(there_are_eight_at_most)
{
	int fds[DISPLAY_WINDOWS_MAX + 1];
	struct message message;

	for (unsigned int i = 0; i < DISPLAY_WINDOWS_MAX; i++)
		fds[i] = open_window();
	fds[DISPLAY_WINDOWS_MAX] = unix_connect(path);
	ck_assert(!hear(fds[DISPLAY_WINDOWS_MAX], &message));
	close(fds[0]);
	while (windows() == DISPLAY_WINDOWS_MAX)
		continue;
	close(fds[DISPLAY_WINDOWS_MAX]);
	fds[0] = open_window();
	for (unsigned int i = 0; i < DISPLAY_WINDOWS_MAX; i++)
		close(fds[i]);
}
END_TEST

/* ---- keys ---- */

struct keyboard {
	pthread_mutex_t lock;
	int down;
	uint32_t x, y;
};

static bool is_ready(void *opaque)
{
	(void)opaque;
	return true;
}

static void take_key(void *opaque, uint16_t code, bool down)
{
	struct keyboard *keyboard = opaque;

	pthread_mutex_lock(&keyboard->lock);
	if (code == KEY_A)
		keyboard->down += down ? 1 : -1;
	pthread_mutex_unlock(&keyboard->lock);
}

static void take_point(void *opaque, uint16_t x, uint16_t y)
{
	struct keyboard *keyboard = opaque;

	pthread_mutex_lock(&keyboard->lock);
	keyboard->x = x;
	keyboard->y = y;
	pthread_mutex_unlock(&keyboard->lock);
}

static void take_sync(void *opaque)
{
	(void)opaque;
}

static const struct input_sink_ops sink_ops = { .ready = is_ready,
						.key = take_key,
						.button = take_key,
						.point = take_point,
						.sync = take_sync };

static bool key_is(struct keyboard *keyboard, int down)
{
	bool same;

	pthread_mutex_lock(&keyboard->lock);
	same = keyboard->down == down;
	pthread_mutex_unlock(&keyboard->lock);
	return same;
}

START_TEST(keys_reach_the_guest_and_go_with_their_window)
{
	struct keyboard keyboard = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct input_sink sink = { .rank = INPUT_RANK_VIRTIO,
				   .ops = &sink_ops,
				   .opaque = &keyboard };
	int fd = open_window();
	struct message message;

	ck_assert(hear_of(fd, LODGE_DISPLAY_INPUT, &message));
	ck_assert_uint_eq(message.input.absolute, 0);
	input_add_sink(input, &sink);
	ck_assert(hear_of(fd, LODGE_DISPLAY_INPUT, &message));
	ck_assert_uint_eq(le32toh(message.input.absolute), 1);
	say(fd, LODGE_DISPLAY_KEY, 0, (const uint32_t[]){ KEY_A, 1 }, 2);
	/* No device has these: no fault of the window's. */
	say(fd, LODGE_DISPLAY_KEY, 0, (const uint32_t[]){ 0, 1 }, 2);
	say(fd, LODGE_DISPLAY_KEY, 0, (const uint32_t[]){ UINT32_MAX, 1 }, 2);
	say(fd, LODGE_DISPLAY_BUTTON, 0, (const uint32_t[]){ KEY_A + 65536, 1 }, 2);
	while (!key_is(&keyboard, 1))
		continue;
	say(fd, LODGE_DISPLAY_RELEASE, 0, NULL, 0);
	while (!key_is(&keyboard, 0))
		continue;
	say(fd, LODGE_DISPLAY_KEY, 0, (const uint32_t[]){ KEY_A, 1 }, 2);
	while (!key_is(&keyboard, 1))
		continue;
	close(fd);
	while (!key_is(&keyboard, 0))
		continue;
	/* A pixel of the head, also one beyond it. */
	fd = open_window();
	paint(1001, 701, 0);
	say(fd, LODGE_DISPLAY_POINT, 0, (const uint32_t[]){ UINT32_MAX, UINT32_MAX }, 2);
	do {
		pthread_mutex_lock(&keyboard.lock);
		_i = keyboard.x >= INPUT_POINT_MAX - 32 && keyboard.y >= INPUT_POINT_MAX - 32;
		pthread_mutex_unlock(&keyboard.lock);
	} while (!_i);
	close(fd);
	input_remove_sink(input, &sink);
}
END_TEST

struct farewell {
	int fd;
	struct input_sink *sink;
};

/* Its size waits in the socket when the server has something to tell, and finds nobody. */
static void resize_and_go(void *opaque)
{
	const struct farewell *farewell = opaque;

	input_add_sink(input, farewell->sink);
	say(farewell->fd, LODGE_DISPLAY_RESIZE, 0, (const uint32_t[]){ 1001, 701, 0, 0, 0, 0 }, 6);
	close(farewell->fd);
}

START_TEST(the_last_words_of_a_window_count)
{
	struct keyboard keyboard = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct input_sink sink = { .rank = INPUT_RANK_VIRTIO,
				   .ops = &sink_ops,
				   .opaque = &keyboard };
	struct farewell farewell = { open_window(), &sink };
	struct display_head_state state;
	struct message message;

	ck_assert(hear_of(farewell.fd, LODGE_DISPLAY_INPUT, &message));
	loop_call(display_loop(display), resize_and_go, &farewell);
	while (windows() > 0)
		continue;
	ck_assert_int_eq(display_state(display, 0, &state), 0);
	ck_assert_uint_eq(state.want.width, 1001);
	input_remove_sink(input, &sink);
}
END_TEST

START_TEST(the_end_of_the_machine_closes_all)
{
	int fds[3] = { open_window(), open_window(), connect_window() };

	display_server_stop(server);
	for (size_t i = 0; i < 3; i++) {
		ck_assert(is_closed(fds[i]));
		close(fds[i]);
	}
	ck_assert_int_eq(display_server_start(display, input, "box", path, &server), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("display_server");
	TCase *tests = tcase_create("server");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, a_window_sees_what_the_guest_paints);
	tcase_add_test(tests, sizes_reach_the_display_and_bad_ones_do_no_harm);
	tcase_add_test(tests, a_size_that_is_refused_is_logged_with_its_reason);
	tcase_add_loop_test(tests, rubbish_closes_it_and_no_other, 0,
			    (int)(sizeof(rubbish) / sizeof(rubbish[0])));
	tcase_add_test(tests, a_length_of_4_gib_is_no_length);
	tcase_add_test(tests, a_window_may_die_at_any_byte);
	tcase_add_test(tests, one_that_does_not_read_is_dropped_and_holds_up_nobody);
	tcase_add_test(tests, there_are_eight_at_most);
	tcase_add_test(tests, keys_reach_the_guest_and_go_with_their_window);
	tcase_add_test(tests, the_last_words_of_a_window_count);
	tcase_add_test(tests, the_end_of_the_machine_closes_all);
	tcase_set_timeout(tests, 60);
	suite_add_tcase(suite, tests);
	return unit_run(suite);
}
