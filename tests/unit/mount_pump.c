// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mount.lodge's pump between a kernel and a device that are this test: two socketpairs that keep
 * messages apart, and an exchange that a host of the test's answers.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared-fs/guest/pump.h"
#include "tests/unit/unit.h"

#define SLOT_SIZE (LODGE_FS_SLOT_UNIT * 2)
#define SLOTS	  4

struct rig {
	int kernel; /* our ends */
	int device;
	struct pump *pump;
	int fuse_fd; /* the pump's ends */
	int device_fd;
	int clones; /* open descriptors that clone() made */
	uint8_t *memory[SLOTS];
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int inside; /* exchanges under way */
	bool hold; /* they wait */
	int error; /* what they return */
	/* Writes the reply to @x->reply_max bytes at @reply: its size. */
	uint32_t (*answer)(const struct fuse_in_header *request, uint8_t *reply, uint32_t max);
};

static int rig_map(void *opaque, uint32_t slot, uint32_t size, uint8_t **ret_memory)
{
	struct rig *rig = opaque;

	ck_assert_uint_lt(slot, SLOTS);
	ck_assert_ptr_null(rig->memory[slot]);
	rig->memory[slot] = calloc(1, size);
	*ret_memory = rig->memory[slot];
	return 0;
}

static int rig_exchange(void *opaque, struct lodge_fs_exchange *x)
{
	struct rig *rig = opaque;
	uint8_t *slot = rig->memory[x->slot];
	int err;

	ck_assert_uint_le(x->request_offset + x->request_size, x->reply_offset);
	ck_assert_uint_le(x->reply_offset + x->reply_max, SLOT_SIZE);
	pthread_mutex_lock(&rig->lock);
	rig->inside++;
	pthread_cond_broadcast(&rig->changed);
	while (rig->hold)
		pthread_cond_wait(&rig->changed, &rig->lock);
	rig->inside--;
	err = rig->error;
	pthread_mutex_unlock(&rig->lock);
	if (!err)
		x->reply_size = rig->answer((const void *)(slot + x->request_offset),
					    slot + x->reply_offset, x->reply_max);
	return err;
}

static uint32_t answer_well(const struct fuse_in_header *request, uint8_t *reply, uint32_t max)
{
	struct fuse_out_header header = { .len = 16 + 8, .unique = request->unique };

	ck_assert_uint_ge(max, header.len);
	memcpy(reply, &header, sizeof(header));
	memset(reply + sizeof(header), 'x', 8);
	return header.len;
}

static void start(struct rig *rig)
{
	int kernel[2], device[2];
	struct pump_config config = { .slots = SLOTS, .slot_size = SLOT_SIZE };

	*rig = (struct rig){ .answer = answer_well };
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, kernel), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, device), 0);
	rig->kernel = kernel[0];
	rig->fuse_fd = kernel[1];
	rig->device = device[0];
	rig->device_fd = device[1];
	pthread_mutex_init(&rig->lock, NULL);
	pthread_cond_init(&rig->changed, NULL);
	config.fuse_fd = rig->fuse_fd;
	config.device = (struct pump_device){ rig->device_fd, rig, rig_map, rig_exchange };
	ck_assert_int_eq(pump_start(&config, &rig->pump), 0);
}

/* @result: what the pump must have ended with. */
static void stop(struct rig *rig, int result)
{
	struct pollfd over = { .fd = pump_over_fd(rig->pump), .events = POLLIN };

	shutdown(rig->kernel, SHUT_WR);
	ck_assert_int_eq(poll(&over, 1, 20000), 1);
	ck_assert_int_eq(pump_result(rig->pump), result);
	pump_destroy(rig->pump);
	for (int i = 0; i < SLOTS; i++)
		free(rig->memory[i]);
	close(rig->kernel);
	close(rig->fuse_fd);
	close(rig->device);
	close(rig->device_fd);
}

static void ask(struct rig *rig, uint32_t opcode, uint64_t unique, size_t body)
{
	size_t size = sizeof(struct fuse_in_header) + body;
	uint8_t *message = calloc(1, size);
	struct fuse_in_header header = { .len = (uint32_t)size,
					 .opcode = opcode,
					 .unique = unique };

	memcpy(message, &header, sizeof(header));
	ck_assert_int_eq(send(rig->kernel, message, size, 0), (ssize_t)size);
	free(message);
}

/* What comes at @fd within a time that is long. */
static ssize_t take(int fd, void *message, size_t size)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };

	ck_assert_int_eq(poll(&ready, 1, 20000), 1);
	return recv(fd, message, size, MSG_DONTWAIT);
}

static void expect(struct rig *rig, uint64_t unique, int error)
{
	struct fuse_out_header reply[4] = { 0 };
	ssize_t n = take(rig->kernel, reply, sizeof(reply));

	ck_assert_int_eq(n, error ? 16 : 24);
	ck_assert_uint_eq(reply[0].unique, unique);
	ck_assert_int_eq(reply[0].error, error);
}

START_TEST(requests_are_answered)
{
	struct rig rig;

	start(&rig);
	for (uint64_t i = 1; i <= 100; i++) {
		ask(&rig, FUSE_GETATTR, i, 16);
		expect(&rig, i, 0);
	}
	ask(&rig, FUSE_WRITE, 200, 40 + 65536);
	expect(&rig, 200, 0);
	stop(&rig, 0);
}
END_TEST

static void wait_inside(struct rig *rig, int n)
{
	pthread_mutex_lock(&rig->lock);
	while (rig->inside < n)
		pthread_cond_wait(&rig->changed, &rig->lock);
	pthread_mutex_unlock(&rig->lock);
}

static void set_hold(struct rig *rig, bool hold)
{
	pthread_mutex_lock(&rig->lock);
	rig->hold = hold;
	pthread_cond_broadcast(&rig->changed);
	pthread_mutex_unlock(&rig->lock);
}

START_TEST(slow_requests_hold_up_no_other)
{
	struct rig rig;
	uint64_t seen = 0;

	start(&rig);
	set_hold(&rig, true);
	for (uint64_t i = 0; i < SLOTS; i++) {
		ask(&rig, FUSE_READ, i + 1, 40);
		wait_inside(&rig, (int)i + 1);
	}
	set_hold(&rig, false);
	for (uint64_t i = 0; i < SLOTS; i++) {
		struct fuse_out_header reply[4];

		ck_assert_int_eq(take(rig.kernel, reply, sizeof(reply)), 24);
		seen |= 1ull << reply[0].unique;
	}
	ck_assert_uint_eq(seen, ((1u << SLOTS) - 1) << 1);
	stop(&rig, 0);
}
END_TEST

/* Threads of this process that may run on one processor alone. */
static int count_pinned(void)
{
	DIR *tasks = opendir("/proc/self/task");
	const struct dirent *task;
	cpu_set_t cpus;
	int n = 0;

	ck_assert_ptr_nonnull(tasks);
	while ((task = readdir(tasks))) {
		pid_t tid = (pid_t)strtol(task->d_name, NULL, 10);

		if (tid > 0 && !sched_getaffinity(tid, sizeof(cpus), &cpus))
			n += CPU_COUNT(&cpus) == 1;
	}
	closedir(tasks);
	return n;
}

START_TEST(requests_that_follow_one_another_stay_on_one_processor)
{
	struct fuse_out_header reply[4];
	cpu_set_t cpus;
	struct rig rig;

	ck_assert_int_eq(sched_getaffinity(0, sizeof(cpus), &cpus), 0);
	if (CPU_COUNT(&cpus) < 2)
		return;
	start(&rig);
	for (uint64_t i = 1; i <= 200; i++) {
		ask(&rig, FUSE_GETATTR, i, 16);
		expect(&rig, i, 0);
	}
	ck_assert_int_gt(count_pinned(), 0);
	for (uint64_t round = 0; round < 50; round++) {
		set_hold(&rig, true);
		for (uint64_t i = 1; i <= SLOTS; i++)
			ask(&rig, FUSE_READ, 1000 + round * SLOTS + i, 40);
		wait_inside(&rig, SLOTS);
		set_hold(&rig, false);
		for (uint64_t i = 0; i < SLOTS; i++)
			ck_assert_int_eq(take(rig.kernel, reply, sizeof(reply)), 24);
	}
	ck_assert_int_eq(count_pinned(), 0);
	stop(&rig, 0);
}
END_TEST

START_TEST(locks_wait_beside)
{
	struct fuse_out_header reply = { .len = 16 };
	uint8_t message[4096];
	struct rig rig;

	start(&rig);
	/* More than there are threads. */
	for (uint64_t i = 1; i <= 3 * SLOTS; i++) {
		ask(&rig, FUSE_SETLKW, i, 48);
		ck_assert_int_eq(take(rig.device, message, sizeof(message)), 40 + 48);
	}
	ask(&rig, FUSE_GETATTR, 100, 16);
	expect(&rig, 100, 0);
	ask(&rig, FUSE_INTERRUPT, 101, 8);
	ck_assert_int_eq(take(rig.device, message, sizeof(message)), 48);
	reply.error = -EINTR;
	for (uint64_t i = 3 * SLOTS; i >= 1; i--) {
		reply.unique = i;
		ck_assert_int_eq(send(rig.device, &reply, sizeof(reply), 0), 16);
		expect(&rig, i, -EINTR);
	}
	/* One that nobody asked for is dropped; one of nonsense answers nobody. */
	ck_assert_int_eq(send(rig.device, &reply, sizeof(reply), 0), 16);
	ck_assert_int_eq(send(rig.device, &reply, 3, 0), 3);
	ask(&rig, FUSE_SETLKW, 50, 48);
	ck_assert_int_eq(take(rig.device, message, sizeof(message)), 40 + 48);
	reply.unique = 50;
	reply.len = 17;
	ck_assert_int_eq(send(rig.device, &reply, sizeof(reply), 0), 16);
	expect(&rig, 50, -EIO);
	stop(&rig, 0);
}
END_TEST

START_TEST(forgets_go_without_a_reply)
{
	struct {
		struct fuse_in_header header;
		struct fuse_batch_forget_in batch;
		struct fuse_forget_one one[300];
	} request = { .header = { .len = sizeof(request), .opcode = FUSE_BATCH_FORGET },
		      .batch = { .count = 300 } };
	uint32_t count = 0;
	struct rig rig;

	start(&rig);
	ask(&rig, FUSE_FORGET, 1, 8);
	ck_assert_int_eq(take(rig.device, &request.one, sizeof(request.one)), 48);
	ck_assert_int_eq(send(rig.kernel, &request, sizeof(request), 0), sizeof(request));
	while (count < 300) {
		struct fuse_batch_forget_in part[512];
		ssize_t n = take(rig.device, part, sizeof(part));

		ck_assert_int_le(n, LODGE_FS_MESSAGE_MAX);
		count += part[5].count;
	}
	ck_assert_uint_eq(count, 300);
	/* A count that is not there is dropped whole. */
	request.batch.count = 301;
	ck_assert_int_eq(send(rig.kernel, &request, sizeof(request), 0), sizeof(request));
	ask(&rig, FUSE_GETATTR, 2, 16);
	expect(&rig, 2, 0);
	stop(&rig, 0);
}
END_TEST

static uint32_t answer_badly(const struct fuse_in_header *request, uint8_t *reply, uint32_t max)
{
	struct fuse_out_header header = { .len = 16, .unique = request->unique };
	uint32_t size = 16;

	switch (request->unique) {
	case 1:
		header.unique = 2;
		break;
	case 2:
		header.len = 17;
		break;
	case 3:
		size = 0;
		break;
	case 4:
		size = max + 1;
		break;
	case 5:
		header.error = -100000;
		break;
	case 6:
		header.unique = 0; /* a notification's */
		break;
	}
	memcpy(reply, &header, sizeof(header));
	return size;
}

START_TEST(bad_replies_are_errors)
{
	struct rig rig;

	start(&rig);
	rig.answer = answer_badly;
	for (uint64_t i = 1; i <= 6; i++) {
		ask(&rig, FUSE_GETATTR, i, 16);
		expect(&rig, i, -EIO);
	}
	rig.answer = answer_well;
	ask(&rig, FUSE_GETATTR, 7, 16);
	expect(&rig, 7, 0);
	rig.error = -EMSGSIZE;
	ask(&rig, FUSE_GETATTR, 8, 16);
	expect(&rig, 8, -EIO);
	stop(&rig, 0);
}
END_TEST

START_TEST(a_device_that_goes_ends_it)
{
	struct rig rig;

	start(&rig);
	rig.error = -ENODEV;
	ask(&rig, FUSE_GETATTR, 1, 16);
	expect(&rig, 1, -EIO);
	stop(&rig, -ENODEV);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mount_pump");
	TCase *tcase = tcase_create("case");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, requests_are_answered);
	tcase_add_test(tcase, slow_requests_hold_up_no_other);
	tcase_add_test(tcase, requests_that_follow_one_another_stay_on_one_processor);
	tcase_add_test(tcase, locks_wait_beside);
	tcase_add_test(tcase, forgets_go_without_a_reply);
	tcase_add_test(tcase, bad_replies_are_errors);
	tcase_add_test(tcase, a_device_that_goes_ends_it);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
