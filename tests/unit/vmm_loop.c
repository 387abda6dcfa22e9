// SPDX-License-Identifier: GPL-2.0-or-later
// The event loop, and the streams on it: calls, removal, back ends of every kind, and state's
// bytes.
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "host-vmm/chardev.h"
#include "host-vmm/loop.h"
#include "host-vmm/state.h"
#include "protocol/lib/fd.h"
#include "protocol/lib/log.h"
#include "tests/unit/unit.h"

struct stream {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	char bytes[256];
	size_t len, room; /* room: how many may still be taken */
	unsigned int opened, closed, writable, refused;
	size_t unwritten; /* bytes that a device still holds for the other end */
};

static struct loop *loop;
static struct chardev *chardev;
static struct stream stream;
static char dir[] = "/tmp/vmm_loop.XXXXXX", path[64], backend[80];
static const char output[1 << 20];

static size_t on_received(void *opaque, const uint8_t *bytes, size_t len)
{
	(void)opaque;
	pthread_mutex_lock(&stream.lock);
	if (len > stream.room) {
		len = stream.room;
		stream.refused++;
	}
	memcpy(stream.bytes + stream.len, bytes, len);
	stream.len += len;
	stream.room -= len;
	pthread_cond_broadcast(&stream.changed);
	pthread_mutex_unlock(&stream.lock);
	return len;
}

static void on_opened(void *opaque, bool open)
{
	(void)opaque;
	pthread_mutex_lock(&stream.lock);
	*(open ? &stream.opened : &stream.closed) += 1;
	pthread_cond_broadcast(&stream.changed);
	pthread_mutex_unlock(&stream.lock);
}

static void on_writable(void *opaque)
{
	(void)opaque;
	pthread_mutex_lock(&stream.lock);
	stream.writable++;
	stream.unwritten -= chardev_write(chardev, output, stream.unwritten);
	pthread_cond_broadcast(&stream.changed);
	pthread_mutex_unlock(&stream.lock);
}

static const struct chardev_events events = {
	.received = on_received,
	.writable = on_writable,
	.opened = on_opened,
};

#define WAIT_FOR(condition)                                                                \
	do {                                                                               \
		struct timespec until;                                                     \
                                                                                           \
		clock_gettime(CLOCK_REALTIME, &until);                                     \
		until.tv_sec += 5;                                                         \
		pthread_mutex_lock(&stream.lock);                                          \
		while (!(condition) &&                                                     \
		       pthread_cond_timedwait(&stream.changed, &stream.lock, &until) == 0) \
			continue;                                                          \
		ck_assert(condition);                                                      \
		pthread_mutex_unlock(&stream.lock);                                        \
	} while (0)

static void setup(void)
{
	memset(&stream, 0, sizeof(stream));
	pthread_mutex_init(&stream.lock, NULL);
	pthread_cond_init(&stream.changed, NULL);
	stream.room = sizeof(stream.bytes);
	chardev = NULL;
	(void)unlink(path);
	ck_assert_int_eq(loop_create("a rather long name", &loop), 0);
}

static void teardown(void)
{
	chardev_destroy(chardev);
	loop_destroy(loop);
}

static void make(const char *text)
{
	ck_assert_int_eq(chardev_create("test", text, dir, loop, &events, NULL, &chardev), 0);
}

static void give_room(size_t room)
{
	pthread_mutex_lock(&stream.lock);
	stream.room = room;
	pthread_mutex_unlock(&stream.lock);
	chardev_resume(chardev);
}

static void add_one(void *opaque)
{
	*(unsigned int *)opaque += 1;
}

static void *call_often(void *opaque)
{
	for (int i = 0; i < 1000; i++)
		loop_call(loop, add_one, opaque);
	return NULL;
}

START_TEST(calls_run_one_at_a_time)
{
	pthread_t threads[4];
	unsigned int count = 0;

	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, call_often, &count), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_eq(count, 4000);
}
END_TEST

struct pair {
	struct loop_source *sources[2];
	int fds[2];
	unsigned int calls[2];
};

static void remove_other(void *opaque, uint32_t epoll_events)
{
	struct pair *pair = opaque;

	(void)epoll_events;
	/* Whichever comes first removes both: the other must not be called any more. */
	__atomic_add_fetch(&pair->calls[0], 1, __ATOMIC_SEQ_CST);
	loop_remove(pair->sources[0]);
	loop_remove(pair->sources[1]);
}

static void make_ready(void *opaque)
{
	struct pair *pair = opaque;
	uint64_t one = 1;

	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(write(pair->fds[i], &one, 8), 8);
}

START_TEST(removed_sources_are_not_called)
{
	struct pair pair = { 0 };

	for (int i = 0; i < 2; i++) {
		pair.fds[i] = eventfd(0, EFD_CLOEXEC);
		ck_assert_int_eq(
			loop_add(loop, pair.fds[i], EPOLLIN, remove_other, &pair, &pair.sources[i]),
			0);
	}
	/* On the loop's thread, so that both events are fetched at once. */
	loop_call(loop, make_ready, &pair);
	while (__atomic_load_n(&pair.calls[0], __ATOMIC_SEQ_CST) == 0)
		continue;
	loop_call(loop, add_one, &pair.calls[1]);
	ck_assert_uint_eq(pair.calls[0], 1);
	close(pair.fds[0]);
	close(pair.fds[1]);
}
END_TEST

START_TEST(back_ends_are_checked)
{
	const char *const good[] = { "none",	"stdio", "fd:0",   "fd:3,4",
				     "fd:-1,2", "pty",	 "file:a", "socket:/a/b" };
	const char *const bad[] = { "",	      "nothing", "nonee",    "fd:",
				    "fd:a",   "fd:1,",	 "fd:1,2,3", "fd:99999999999999999999",
				    "fd:-2",  "file:",	 "socket:",  "file",
				    "stdio:", "Pty" };

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		ck_assert_int_eq(chardev_check(good[i]), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_int_eq(chardev_check(bad[i]), -EINVAL);
		ck_assert_int_eq(chardev_create("test", bad[i], dir, loop, &events, NULL, &chardev),
				 -EINVAL);
	}
	ck_assert_int_lt(chardev_create("test", "fd:777", dir, loop, &events, NULL, &chardev), 0);
	ck_assert_int_lt(
		chardev_create("test", "file:/no/where", dir, loop, &events, NULL, &chardev), 0);
	chardev = NULL;
}
END_TEST

START_TEST(none_takes_all)
{
	make("none");
	ck_assert_uint_eq(chardev_write(chardev, "abc", 3), 3);
	ck_assert(!chardev_is_open(chardev));
	chardev_resume(chardev);
}
END_TEST

START_TEST(input_waits_for_room)
{
	int fds[2];

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	snprintf(backend, sizeof(backend), "fd:%d,-1", fds[0]);
	stream.room = 0;
	make(backend);
	ck_assert_int_eq(write(fds[1], "0123456789", 10), 10);
	give_room(4);
	WAIT_FOR(stream.len == 4);
	give_room(3);
	WAIT_FOR(stream.len == 7);
	give_room(100);
	WAIT_FOR(stream.len == 10);
	ck_assert_int_eq(write(fds[1], "ab", 2), 2);
	WAIT_FOR(stream.len == 12);
	ck_assert_int_eq(memcmp(stream.bytes, "0123456789ab", 12), 0);
	/* The end of a pipe ends input, quietly. */
	close(fds[1]);
	loop_call(loop, add_one, &stream.writable);
	close(fds[0]);
}
END_TEST

START_TEST(files_and_null_as_input)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	snprintf(backend, sizeof(backend), "fd:%d,-1", fd);
	make(backend);
	chardev_resume(chardev);
	loop_call(loop, add_one, &stream.writable);
	chardev_destroy(chardev);
	close(fd);

	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_eq(write(fd, "from a file", 11), 11);
	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	snprintf(backend, sizeof(backend), "fd:%d,-1", fd);
	make(backend);
	chardev_resume(chardev);
	WAIT_FOR(stream.len == 11);
	close(fd);
}
END_TEST

START_TEST(output_waits_for_a_reader)
{
	char sink[4096];
	size_t taken;
	int fds[2];

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	snprintf(backend, sizeof(backend), "fd:-1,%d", fds[1]);
	make(backend);
	taken = chardev_write(chardev, output, sizeof(output));
	ck_assert_uint_gt(taken, 0);
	ck_assert_uint_lt(taken, sizeof(output));
	while (taken > 0)
		taken -= read(fds[0], sink, sizeof(sink));
	WAIT_FOR(stream.writable > 0);
	ck_assert_uint_eq(chardev_write(chardev, "x", 1), 1);
	/* The reader is gone: all is dropped, nothing blocks. */
	close(fds[0]);
	ck_assert_uint_eq(chardev_write(chardev, output, sizeof(output)), sizeof(output));
	ck_assert(!chardev_is_open(chardev));
	close(fds[1]);
}
END_TEST

START_TEST(t34_files_are_capped)
{
	static char line[1024];
	struct stat status;
	char head[64] = "";
	int fd;

	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\n';
	snprintf(backend, sizeof(backend), "file:%s", path + strlen(dir) + 1);
	make(backend);
	ck_assert_str_eq(chardev_path(chardev), path);
	for (int i = 0; i < 40 << 10; i++) {
		ck_assert_uint_eq(chardev_write(chardev, line, sizeof(line)), sizeof(line));
		if (i % 4096 == 0) {
			ck_assert_int_eq(stat(path, &status), 0);
			ck_assert_int_le(status.st_size, CHARDEV_FILE_MAX);
		}
	}
	ck_assert_int_eq(stat(path, &status), 0);
	ck_assert_int_le(status.st_size, CHARDEV_FILE_MAX);
	ck_assert_int_ge(status.st_size, 4 << 20);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_gt(read(fd, head, sizeof(head) - 1), 0);
	ck_assert_ptr_nonnull(strstr(head, "[lodge: the file was full"));
	close(fd);
}
END_TEST

/* A disk that is full now may have room later. */
START_TEST(files_go_on_when_there_is_room_again)
{
	struct rlimit limit, small;
	struct stat status;

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	small = (struct rlimit){ .rlim_cur = 1000, .rlim_max = limit.rlim_max };
	snprintf(backend, sizeof(backend), "file:%s", path + strlen(dir) + 1);
	make(backend);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	ck_assert_uint_eq(chardev_write(chardev, output, 4096), 4096);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert(chardev_is_open(chardev));
	ck_assert_uint_eq(chardev_write(chardev, output, 24), 24);
	ck_assert_int_eq(stat(path, &status), 0);
	ck_assert_int_eq(status.st_size, 1024);
}
END_TEST

START_TEST(sockets_come_and_go)
{
	char text[8] = "";
	int client, second;

	snprintf(backend, sizeof(backend), "socket:%s", path);
	make(backend);
	chardev_resume(chardev);
	ck_assert_uint_eq(chardev_write(chardev, "lost", 4), 4);
	for (unsigned int round = 1; round <= 20; round++) {
		client = unix_connect(path);
		ck_assert_int_ge(client, 0);
		WAIT_FOR(stream.opened == round);
		/* Only one at a time. */
		second = unix_connect(path);
		ck_assert_int_eq(read(second, text, 1), 0);
		close(second);
		ck_assert_uint_eq(chardev_write(chardev, "out", 3), 3);
		ck_assert_int_eq(read(client, text, 3), 3);
		ck_assert_int_eq(memcmp(text, "out", 3), 0);
		ck_assert_int_eq(write(client, "i", 1), 1);
		WAIT_FOR(stream.len == round);
		close(client);
		WAIT_FOR(stream.closed == round);
		ck_assert(!chardev_is_open(chardev));
	}
	chardev_destroy(chardev);
	chardev = NULL;
	ck_assert_int_lt(access(path, F_OK), 0);
}
END_TEST

START_TEST(ptys_come_and_go)
{
	char text[8] = "";

	make("pty");
	chardev_resume(chardev);
	ck_assert_ptr_nonnull(chardev_path(chardev));
	for (unsigned int round = 1; round <= 5; round++) {
		int fd = open(chardev_path(chardev), O_RDWR | O_NOCTTY | O_CLOEXEC);

		ck_assert_int_ge(fd, 0);
		WAIT_FOR(stream.opened == round);
		ck_assert_int_eq(write(fd, "i", 1), 1);
		WAIT_FOR(stream.len == round);
		ck_assert_uint_eq(chardev_write(chardev, "out", 3), 3);
		ck_assert_int_eq(read(fd, text, 3), 3);
		close(fd);
		WAIT_FOR(stream.closed == round);
	}
}
END_TEST

/* Nobody reads, and then nobody is there: what waited is dropped, and the device goes on. */
static void leave_unread(int fd)
{
	ck_assert_int_ge(fd, 0);
	WAIT_FOR(stream.opened == stream.closed + 1);
	pthread_mutex_lock(&stream.lock);
	stream.unwritten = sizeof(output) - chardev_write(chardev, output, sizeof(output));
	ck_assert_uint_gt(stream.unwritten, 0);
	pthread_mutex_unlock(&stream.lock);
	close(fd);
	WAIT_FOR(stream.closed == stream.opened);
	WAIT_FOR(stream.unwritten == 0);
}

START_TEST(ends_that_leave_unread)
{
	make("pty");
	chardev_resume(chardev);
	for (unsigned int round = 0; round < 5; round++)
		leave_unread(open(chardev_path(chardev), O_RDWR | O_NOCTTY | O_CLOEXEC));
	chardev_destroy(chardev);
	chardev = NULL;
	snprintf(backend, sizeof(backend), "socket:%s", path);
	make(backend);
	chardev_resume(chardev);
	for (unsigned int round = 0; round < 20; round++)
		leave_unread(unix_connect(path));
}
END_TEST

/* A guest that reads nothing, as a kernel's console without a shell: who typed there and left is in
 * nobody's way. */
START_TEST(ends_that_leave_with_input_unread)
{
	int fd;

	stream.room = 0;
	make("pty");
	chardev_resume(chardev);
	fd = open(chardev_path(chardev), O_RDWR | O_NOCTTY | O_CLOEXEC);
	ck_assert_int_eq(write(fd, "typed", 5), 5);
	WAIT_FOR(stream.refused > 0);
	pthread_mutex_lock(&stream.lock);
	stream.unwritten = sizeof(output) - chardev_write(chardev, output, sizeof(output));
	pthread_mutex_unlock(&stream.lock);
	close(fd);
	WAIT_FOR(stream.unwritten == 0);
	ck_assert_uint_eq(chardev_write(chardev, output, sizeof(output)), sizeof(output));
}
END_TEST

START_TEST(a_client_that_left_gives_way)
{
	int fd;

	snprintf(backend, sizeof(backend), "socket:%s", path);
	make(backend);
	chardev_resume(chardev);
	for (unsigned int round = 1; round <= 5; round++) {
		fd = unix_connect(path);
		ck_assert_int_eq(write(fd, "0123456789", 10), 10);
		WAIT_FOR(stream.opened == round);
		close(fd);
	}
	/* As long as the device takes it, nothing of what they wrote is lost. */
	WAIT_FOR(stream.len == 50);
	give_room(0);
	for (unsigned int round = 6; round <= 10; round++) {
		fd = unix_connect(path);
		ck_assert_int_eq(write(fd, "0123456789", 10), 10);
		WAIT_FOR(stream.opened == round);
		close(fd);
	}
}
END_TEST

START_TEST(what_a_client_wrote_before_it_left_is_kept)
{
	int fd;

	stream.room = 0;
	snprintf(backend, sizeof(backend), "socket:%s", path);
	make(backend);
	chardev_resume(chardev);
	fd = unix_connect(path);
	ck_assert_int_eq(write(fd, output, 200), 200);
	close(fd);
	WAIT_FOR(stream.refused > 0);
	give_room(100);
	WAIT_FOR(stream.len == 100);
	give_room(100);
	WAIT_FOR(stream.len == 200);
	WAIT_FOR(stream.closed == 1);
}
END_TEST

START_TEST(state_round_trip)
{
	struct state writer = { 0 }, reader;
	uint8_t big[300], seen[300];

	memset(big, 0x5a, sizeof(big));
	state_put_u8(&writer, 0x12);
	state_put_u16(&writer, 0x3456);
	state_put_u32(&writer, 0x789abcde);
	state_put_u64(&writer, 0x1122334455667788);
	state_put(&writer, big, sizeof(big));
	ck_assert_int_eq(state_error(&writer), 0);
	ck_assert_uint_eq(writer.len, 15 + sizeof(big));
	ck_assert_uint_eq(writer.bytes[1], 0x56);
	state_read_from(&reader, writer.bytes, writer.len);
	ck_assert_uint_eq(state_get_u8(&reader), 0x12);
	ck_assert_uint_eq(state_get_u16(&reader), 0x3456);
	ck_assert_uint_eq(state_get_u32(&reader), 0x789abcde);
	ck_assert_uint_eq(state_get_u64(&reader), 0x1122334455667788);
	state_get(&reader, seen, sizeof(seen));
	ck_assert_int_eq(memcmp(big, seen, sizeof(big)), 0);
	ck_assert_int_eq(state_error(&reader), 0);
	/* Past the end: zero, and the error stays. */
	ck_assert_uint_eq(state_get_u8(&reader), 0);
	ck_assert_int_eq(state_error(&reader), -EBADMSG);
	state_finish(&writer);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("vmm_loop");
	TCase *tcase = tcase_create("loop");
	int status;

	log_init("vmm_loop", LOG_LEVEL_ERROR);
	signal(SIGPIPE, SIG_IGN);
	if (!mkdtemp(dir))
		return EXIT_FAILURE;
	snprintf(path, sizeof(path), "%s/end", dir);
	tcase_set_timeout(tcase, 30);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, calls_run_one_at_a_time);
	tcase_add_test(tcase, removed_sources_are_not_called);
	tcase_add_test(tcase, back_ends_are_checked);
	tcase_add_test(tcase, none_takes_all);
	tcase_add_test(tcase, input_waits_for_room);
	tcase_add_test(tcase, files_and_null_as_input);
	tcase_add_test(tcase, output_waits_for_a_reader);
	tcase_add_test(tcase, t34_files_are_capped);
	tcase_add_test(tcase, files_go_on_when_there_is_room_again);
	tcase_add_test(tcase, sockets_come_and_go);
	tcase_add_test(tcase, ptys_come_and_go);
	tcase_add_test(tcase, ends_that_leave_unread);
	tcase_add_test(tcase, ends_that_leave_with_input_unread);
	tcase_add_test(tcase, a_client_that_left_gives_way);
	tcase_add_test(tcase, what_a_client_wrote_before_it_left_is_kept);
	tcase_add_test(tcase, state_round_trip);
	suite_add_tcase(suite, tcase);
	status = unit_run(suite);
	(void)unlink(path);
	(void)rmdir(dir);
	return status;
}
