// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mount.lodge's messages in a stream, between a kernel and a lodged that are this test: a socket
 * that keeps messages apart, and one that does not.
 */
#include <check.h>
#include <errno.h>
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <lodge/fs_device.h>
#include <lodge/fs_stream.h>

#include "protocol/lib/fd.h"
#include "shared-fs/guest/stream.h"
#include "tests/unit/unit.h"

#define WAIT_MS 20000

static int threads_left = -1; /* that may be started; -1: any number */

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
			  void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
			  void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
			  void *arg)
{
	if (!threads_left)
		return EAGAIN;
	threads_left -= threads_left > 0;
	return __real_pthread_create(thread, attr, run, arg);
}

static struct stream *stream;
static int kernel, lodged; /* our ends */
static int theirs[2];

static void setup(void)
{
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	kernel = pair[0];
	theirs[0] = pair[1];
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	lodged = pair[0];
	theirs[1] = pair[1];
	ck_assert_int_eq(stream_start(theirs[0], theirs[1], &stream), 0);
}

/* Its end is @result; both sides close then. */
static void finish(int result)
{
	struct pollfd over = { .fd = stream_over_fd(stream), .events = POLLIN };

	ck_assert_int_eq(poll(&over, 1, WAIT_MS), 1);
	ck_assert_int_eq(stream_result(stream), result);
	fd_close(&kernel);
	fd_close(&lodged);
	stream_destroy(stream);
	close(theirs[0]);
	close(theirs[1]);
}

/* The kernel's end is an unmount: read(2) gives 0 here, ENODEV there. */
static void unmount(void)
{
	shutdown(kernel, SHUT_WR);
	finish(0);
}

static size_t make_request(void *to, uint32_t opcode, uint64_t unique, size_t body)
{
	struct fuse_in_header header = { .len = (uint32_t)(sizeof(header) + body),
					 .opcode = opcode,
					 .unique = unique };

	memset(to, 0, header.len);
	memcpy(to, &header, sizeof(header));
	return header.len;
}

static struct fuse_out_header reply_to(uint64_t unique, size_t body, int error)
{
	return (struct fuse_out_header){ .len = (uint32_t)(sizeof(struct fuse_out_header) + body),
					 .error = error,
					 .unique = unique };
}

static void receive(int fd, void *to, size_t len)
{
	ck_assert_int_eq(fd_read_all(fd, to, len), (ssize_t)len);
}

START_TEST(requests_go_out_as_they_are)
{
	static char request[LODGE_FS_STREAM_MESSAGE_MAX], got[LODGE_FS_STREAM_MESSAGE_MAX];
	size_t len = make_request(request, FUSE_WRITE, 7, sizeof(request) - 40);

	ck_assert_int_eq(send(kernel, request, len, 0), (ssize_t)len);
	receive(lodged, got, len);
	ck_assert_mem_eq(got, request, len);
	unmount();
}
END_TEST

START_TEST(replies_come_in_any_pieces)
{
	struct fuse_out_header replies[] = { reply_to(1, 0, -ENOENT), reply_to(2, 0, 0),
					     reply_to(3, 0, -EIO) };
	struct fuse_out_header got;

	for (size_t i = 0; i < sizeof(replies); i++)
		ck_assert_int_eq(fd_write_all(lodged, (char *)replies + i, 1), 0);
	ck_assert_int_eq(fd_write_all(lodged, replies, sizeof(replies)), 0);
	for (size_t i = 0; i < 6; i++) {
		ck_assert_int_eq(recv(kernel, &got, sizeof(got), 0), sizeof(got));
		ck_assert_mem_eq(&got, &replies[i % 3], sizeof(got));
	}
	unmount();
}
END_TEST

START_TEST(a_large_reply_comes_whole)
{
	static char reply[LODGE_FS_STREAM_MESSAGE_MAX], got[LODGE_FS_STREAM_MESSAGE_MAX];
	struct fuse_out_header header = reply_to(9, sizeof(reply) - 16, 0);

	memset(reply, 'x', sizeof(reply));
	memcpy(reply, &header, sizeof(header));
	ck_assert_int_eq(fd_write_all(lodged, reply, sizeof(reply)), 0);
	ck_assert_int_eq(recv(kernel, got, sizeof(got), 0), sizeof(got));
	ck_assert_mem_eq(got, reply, sizeof(got));
	unmount();
}
END_TEST

START_TEST(a_long_forget_is_cut)
{
	enum { N = 1000 };
	const struct fuse_batch_forget_in batch = { .count = N };
	static char request[40 + 8 + 16 * N], got[LODGE_FS_MESSAGE_MAX];
	size_t len = make_request(request, FUSE_BATCH_FORGET, 5, sizeof(request) - 40);
	uint32_t items = 0;

	memcpy(request + 40, &batch, sizeof(batch));
	ck_assert_int_eq(send(kernel, request, len, 0), (ssize_t)len);
	while (items < N) {
		struct fuse_in_header header;
		struct fuse_batch_forget_in part;

		receive(lodged, &header, sizeof(header));
		ck_assert_uint_eq(header.opcode, FUSE_BATCH_FORGET);
		ck_assert_uint_le(header.len, LODGE_FS_MESSAGE_MAX);
		receive(lodged, got, header.len - sizeof(header));
		memcpy(&part, got, sizeof(part));
		ck_assert_uint_eq(header.len, 48 + 16 * part.count);
		items += part.count;
	}
	ck_assert_uint_eq(items, N);
	unmount();
}
END_TEST

START_TEST(a_reply_that_makes_no_sense_is_an_error)
{
	struct fuse_out_header reply = reply_to(4, 0, 5);
	struct fuse_out_header got;

	ck_assert_int_eq(fd_write_all(lodged, &reply, sizeof(reply)), 0);
	ck_assert_int_eq(recv(kernel, &got, sizeof(got), 0), sizeof(got));
	ck_assert_uint_eq(got.unique, 4);
	ck_assert_int_eq(got.error, -EIO);
	unmount();
}
END_TEST

START_TEST(what_cannot_be_cut_ends_it)
{
	static const uint32_t lengths[] = { 0, 15, LODGE_FS_STREAM_MESSAGE_MAX + 1, UINT32_MAX };

	ck_assert_int_eq(fd_write_all(lodged, &lengths[_i], sizeof(lengths[_i])), 0);
	finish(-EPROTO);
}
END_TEST

START_TEST(the_other_end_s_end_is_its_end)
{
	fd_close(&lodged);
	finish(-ECONNRESET);
}
END_TEST

START_TEST(where_no_thread_can_be_started_nothing_runs)
{
	int fds, tasks, pair[2];

	unmount();
	tasks = unit_count_entries("/proc/self/task");
	fds = unit_count_entries("/proc/self/fd");
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	threads_left = _i;
	ck_assert_int_eq(stream_start(pair[0], pair[1], &stream), -EAGAIN);
	threads_left = -1;
	close(pair[0]);
	close(pair[1]);
	ck_assert_int_eq(unit_count_entries("/proc/self/task"), tasks);
	ck_assert_int_eq(unit_count_entries("/proc/self/fd"), fds);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mount_stream");
	TCase *tcase = tcase_create("case");

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, requests_go_out_as_they_are);
	tcase_add_test(tcase, replies_come_in_any_pieces);
	tcase_add_test(tcase, a_large_reply_comes_whole);
	tcase_add_test(tcase, a_long_forget_is_cut);
	tcase_add_test(tcase, a_reply_that_makes_no_sense_is_an_error);
	tcase_add_loop_test(tcase, what_cannot_be_cut_ends_it, 0, 4);
	tcase_add_test(tcase, the_other_end_s_end_is_its_end);
	tcase_add_loop_test(tcase, where_no_thread_can_be_started_nothing_runs, 0, 2);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
