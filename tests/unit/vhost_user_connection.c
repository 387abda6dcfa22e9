// SPDX-License-Identifier: GPL-2.0-or-later
/* The vhost-user front end against a back end that keeps to the protocol and against many that do
 * not. */
#include <check.h>
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "host-vmm/memory.h"
#include "host-vmm/vhost-user/frontend.h"
#include "host-vmm/vhost-user/inflight.h"
#include "protocol/lib/fd.h"
#include "tests/unit/vhost_user_fake.h"
#include "tests/unit/unit.h"

#define BIT(n)	      (1ull << (n))
#define MEMORY_SIZE   (4ull << 20)
#define RING_FEATURES (BIT(32) | BIT(29) | BIT(28))
#define QUEUES	      2

static struct memory *memory;
static struct fake fake;
static struct vhost_user *vu;
static struct vhost_user_vring rings[QUEUES];
static int eventfds[QUEUES][3];

static void setup(void)
{
	ck_assert_int_eq(memory_create(MEMORY_SIZE, MEMORY_SHARED, &memory), 0);
	fake_init(&fake);
	vu = NULL;
	for (int i = 0; i < QUEUES; i++) {
		for (int j = 0; j < 3; j++)
			eventfds[i][j] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		rings[i] = (struct vhost_user_vring){
			.size = 128,
			.base = (uint16_t)(5 + i),
			.desc = 0x10000u + 0x10000u * i,
			.available = 0x14000u + 0x10000u * i,
			.used = 0x18000u + 0x10000u * i,
			.kick_fd = eventfds[i][0],
			.call_fd = eventfds[i][1],
			.err_fd = eventfds[i][2],
		};
	}
}

static void teardown(void)
{
	vhost_user_destroy(vu);
	fake_finish(&fake);
	memory_destroy(memory);
	for (int i = 0; i < QUEUES; i++) {
		for (int j = 0; j < 3; j++)
			close(eventfds[i][j]);
	}
}

static void connect_fake(unsigned int timeout_ms)
{
	ck_assert_int_eq(vhost_user_create(fake_start(&fake), timeout_ms, &vu), 0);
}

static int start(void)
{
	return vhost_user_start(vu, RING_FEATURES, memory, rings, QUEUES);
}

static void assert_same_file(int left, int right)
{
	struct stat a, b;

	ck_assert_int_eq(fstat(left, &a), 0);
	ck_assert_int_eq(fstat(right, &b), 0);
	ck_assert_uint_eq(a.st_dev, b.st_dev);
	ck_assert_uint_eq(a.st_ino, b.st_ino);
}

/* All eventfds share one inode: a value that comes out at the other end tells them apart. */
static void assert_same_eventfd(int ours, int theirs)
{
	uint64_t value = 42;

	ck_assert_int_eq(write(ours, &value, sizeof(value)), sizeof(value));
	value = 0;
	ck_assert_int_eq(read(theirs, &value, sizeof(value)), sizeof(value));
	ck_assert_uint_eq(value, 42);
}

START_TEST(test_starts_and_stops)
{
	uint16_t bases[QUEUES];

	connect_fake(0);
	ck_assert_int_eq(vhost_user_handshake(vu, RING_FEATURES), 0);
	ck_assert_uint_eq(vhost_user_features(vu), RING_FEATURES);
	ck_assert_uint_eq(vhost_user_queue_limit(vu), FAKE_QUEUES);
	ck_assert_int_eq(start(), 0);
	ck_assert_int_eq(vhost_user_check(vu), 0);
	ck_assert_int_eq(vhost_user_stop(vu, bases), 0);
	ck_assert_uint_eq(bases[0], FAKE_BASE);
	ck_assert_uint_eq(bases[1], FAKE_BASE + 1);
	/* Stopping twice is fine, and so is a second life on the same connection. */
	ck_assert_int_eq(vhost_user_stop(vu, NULL), 0);
	ck_assert_int_eq(start(), 0);
	ck_assert_int_eq(start(), -EINVAL);
	fake_stop(&fake);

	ck_assert_uint_eq(fake.owner, 1);
	ck_assert_uint_eq(fake.set_features, RING_FEATURES | BIT(VHOST_USER_F_PROTOCOL_FEATURES));
	ck_assert_uint_eq(fake.set_protocol, fake.protocol);
	for (int i = 0; i < QUEUES; i++) {
		ck_assert_uint_eq(fake.num[i].num, 128);
		ck_assert_uint_eq(fake.base[i].num, 5 + i);
		ck_assert(fake.enabled[i]);
		assert_same_eventfd(rings[i].kick_fd, fake.kick[i]);
		assert_same_eventfd(rings[i].call_fd, fake.call[i]);
		assert_same_eventfd(rings[i].err_fd, fake.err[i]);
	}
	ck_assert(!fake.enabled[QUEUES]);
}
END_TEST

START_TEST(test_tells_memory_and_addresses)
{
	const struct memory_region *region;
	size_t count;

	region = memory_regions(memory, &count);
	ck_assert_uint_eq(count, 1);
	connect_fake(0);
	ck_assert_int_eq(vhost_user_handshake(vu, 0), 0);
	ck_assert_int_eq(start(), 0);
	fake_stop(&fake);
	ck_assert_uint_eq(fake.table.n_regions, 1);
	ck_assert_uint_eq(fake.table.regions[0].guest_addr, region->gpa);
	ck_assert_uint_eq(fake.table.regions[0].size, MEMORY_SIZE);
	ck_assert_uint_eq(fake.table.regions[0].mmap_offset, region->file_offset);
	assert_same_file(fake.memory_fd, memory_fd(memory));
	for (int i = 0; i < QUEUES; i++) {
		uint64_t base = fake.table.regions[0].user_addr;

		ck_assert_uint_eq(fake.addr[i].index, i);
		ck_assert_uint_eq(fake.addr[i].descriptor - base, rings[i].desc);
		ck_assert_uint_eq(fake.addr[i].available - base, rings[i].available);
		ck_assert_uint_eq(fake.addr[i].used - base, rings[i].used);
	}
}
END_TEST

START_TEST(test_adds_memory_by_slots)
{
	fake.protocol |= BIT(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS);
	connect_fake(0);
	ck_assert_int_eq(vhost_user_handshake(vu, 0), 0);
	ck_assert_int_eq(start(), 0);
	ck_assert_int_eq(vhost_user_stop(vu, NULL), 0);
	ck_assert_int_eq(start(), 0);
	fake_stop(&fake);
	ck_assert_uint_eq(fake.n_added, 1);
	ck_assert_uint_eq(fake.table.regions[0].size, MEMORY_SIZE);
	ck_assert_uint_eq(fake.seen[VHOST_USER_SET_MEM_TABLE], 0);
}
END_TEST

START_TEST(test_old_back_end)
{
	/* No bit 30: no protocol features, no enabling, no acks. */
	fake.features = RING_FEATURES;
	connect_fake(0);
	ck_assert_int_eq(vhost_user_handshake(vu, RING_FEATURES), 0);
	ck_assert_uint_eq(vhost_user_queue_limit(vu), 0);
	ck_assert_int_eq(start(), 0);
	ck_assert_int_eq(vhost_user_stop(vu, NULL), 0);
	fake_stop(&fake);
	ck_assert_uint_eq(fake.set_features, RING_FEATURES);
	ck_assert_uint_eq(fake.seen[VHOST_USER_GET_PROTOCOL_FEATURES], 0);
	ck_assert_uint_eq(fake.seen[VHOST_USER_SET_VRING_ENABLE], 0);
}
END_TEST

START_TEST(test_rich_back_end)
{
	fake.protocol = ~0ull;
	connect_fake(0);
	ck_assert_int_eq(vhost_user_handshake(vu, 0), 0);
	ck_assert_int_eq(start(), 0);
	ck_assert_uint_eq(fake.status, 15);
	ck_assert_int_eq(vhost_user_stop(vu, NULL), 0);
	fake_stop(&fake);
	ck_assert_uint_eq(fake.status, 0);
	/* What we do not speak was not taken. */
	ck_assert_uint_eq(fake.set_protocol & BIT(VHOST_USER_PROTOCOL_F_BACKEND_REQ), 0);
	ck_assert_uint_eq(fake.set_protocol & BIT(VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS), 0);
	ck_assert_uint_eq(fake.seen[VHOST_USER_SET_INFLIGHT_FD], 1);
	ck_assert_uint_eq(fake.resets, 0);
}
END_TEST

START_TEST(test_resets_device_where_there_is_no_status)
{
	fake.protocol |= BIT(VHOST_USER_PROTOCOL_F_RESET_DEVICE);
	connect_fake(0);
	ck_assert_int_eq(vhost_user_handshake(vu, 0), 0);
	ck_assert_int_eq(start(), 0);
	ck_assert_int_eq(vhost_user_stop(vu, NULL), 0);
	fake_stop(&fake);
	ck_assert_uint_eq(fake.resets, 1);
}
END_TEST

START_TEST(test_needed_feature)
{
	fake.features &= ~BIT(28);
	connect_fake(0);
	ck_assert_int_eq(vhost_user_handshake(vu, RING_FEATURES), -ENOTSUP);
	ck_assert_str_eq(vhost_user_why(vu), "lacks virtio feature bit 28");
}
END_TEST

START_TEST(test_no_vector)
{
	rings[0].call_fd = -1;
	connect_fake(0);
	ck_assert_int_eq(vhost_user_handshake(vu, 0), 0);
	ck_assert_int_eq(start(), 0);
	fake_stop(&fake);
	ck_assert_int_eq(fake.call[0], -1);
	ck_assert_int_ge(fake.call[1], 0);
}
END_TEST

START_TEST(test_ring_outside_memory)
{
	static const uint64_t bad[] = { MEMORY_SIZE,	 MEMORY_SIZE - 8, UINT64_MAX - 7,
					UINT64_MAX / 16, 1ull << 32,	  0xfec00000 };

	connect_fake(0);
	ck_assert_int_eq(vhost_user_handshake(vu, 0), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct vhost_user_vring good = rings[1];

		rings[1].desc = bad[i];
		ck_assert_int_eq(start(), -EFAULT);
		rings[1] = good;
		rings[1].available = bad[i];
		ck_assert_int_eq(start(), -EFAULT);
		rings[1] = good;
		rings[1].used = bad[i];
		ck_assert_int_eq(start(), -EFAULT);
		rings[1] = good;
	}
	/* It is the guest's fault: the connection is none the worse. */
	ck_assert_int_eq(start(), 0);
}
END_TEST

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int whole_life(void)
{
	uint16_t bases[QUEUES];
	int ret;

	ret = vhost_user_handshake(vu, RING_FEATURES);
	if (!ret)
		ret = start();
	if (!ret)
		ret = vhost_user_stop(vu, bases);
	return ret;
}

static const uint32_t answered_requests[] = {
	VHOST_USER_GET_FEATURES,    VHOST_USER_GET_PROTOCOL_FEATURES, VHOST_USER_GET_QUEUE_NUM,
	VHOST_USER_SET_OWNER,	    VHOST_USER_SET_FEATURES,	      VHOST_USER_SET_MEM_TABLE,
	VHOST_USER_GET_INFLIGHT_FD, VHOST_USER_SET_INFLIGHT_FD,	      VHOST_USER_SET_VRING_NUM,
	VHOST_USER_SET_VRING_BASE,  VHOST_USER_SET_VRING_ADDR,	      VHOST_USER_SET_VRING_CALL,
	VHOST_USER_SET_VRING_KICK,  VHOST_USER_SET_VRING_ERR,	      VHOST_USER_SET_VRING_ENABLE,
	VHOST_USER_GET_VRING_BASE,
};
#define N_ANSWERED ((int)(sizeof(answered_requests) / sizeof(answered_requests[0])))

/* Each way of misbehaving at each request: a clean error in time, words for it, and no way on. */
START_TEST(test_misdeed)
{
	enum misdeed misdeed = (enum misdeed)(1 + _i / N_ANSWERED);
	bool silent = misdeed == MISDEED_SILENT || misdeed == MISDEED_HALF_PAYLOAD;
	int64_t before = now_ms();
	int ret;

	fake.misdeed = misdeed;
	fake.misdeed_at = answered_requests[_i % N_ANSWERED];
	fake.protocol |= BIT(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD);
	/* Short where the time must run out, long where a busy machine must not matter. */
	connect_fake(silent ? 200 : 20000);
	ret = whole_life();
	ck_assert_int_lt(ret, 0);
	ck_assert_int_lt(now_ms() - before, 15000);
	ck_assert_str_ne(vhost_user_why(vu), "");
	if (silent)
		ck_assert_int_eq(ret, -ETIMEDOUT);
	else if (misdeed == MISDEED_CLOSE || misdeed == MISDEED_HALF_HEADER)
		ck_assert_int_eq(ret, -EPIPE);
	else
		ck_assert_int_eq(ret, -EPROTO);
	/* Broken for good, and at once. */
	before = now_ms();
	ck_assert_int_eq(vhost_user_handshake(vu, 0), ret);
	ck_assert_int_lt(now_ms() - before, 5000);
	vhost_user_stop(vu, NULL);
}
END_TEST

START_TEST(test_refusal)
{
	static const uint32_t requests[] = { VHOST_USER_SET_MEM_TABLE, VHOST_USER_SET_VRING_ADDR,
					     VHOST_USER_SET_VRING_ENABLE };

	fake.nack = requests[_i];
	connect_fake(0);
	ck_assert_int_eq(whole_life(), -EREMOTEIO);
	ck_assert_int_eq(strncmp(vhost_user_why(vu), "refused SET_", 12), 0);
}
END_TEST

START_TEST(test_peer_that_does_not_read)
{
	int pair[2];
	int size = 1;
	char byte;

	/* The peer's buffer fills up before it has read a word. */
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	ck_assert_int_eq(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
	while (send(pair[0], "x", 1, MSG_DONTWAIT) == 1)
		;
	ck_assert_int_eq(vhost_user_create(pair[0], 100, &vu), 0);
	ck_assert_int_eq(vhost_user_handshake(vu, 0), -ETIMEDOUT);
	ck_assert_int_eq(read(pair[1], &byte, 1), 1);
	close(pair[1]);
}
END_TEST

START_TEST(test_watch)
{
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	ck_assert_int_eq(vhost_user_create(pair[0], 100, &vu), 0);
	ck_assert_int_eq(vhost_user_check(vu), 0);
	if (_i) {
		ck_assert_int_eq(write(pair[1], "!", 1), 1);
		ck_assert_int_eq(vhost_user_check(vu), -EPROTO);
		close(pair[1]);
	} else {
		close(pair[1]);
		ck_assert_int_eq(vhost_user_check(vu), -EPIPE);
	}
	ck_assert_str_ne(vhost_user_why(vu), "");
}
END_TEST

START_TEST(test_bad_inflight)
{
	fake.protocol |= BIT(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD);
	if (_i == 0)
		fake.inflight_pipe = true;
	else if (_i == 1)
		fake.inflight_size = 16;
	else
		fake.inflight_size = 1ull << 40;
	connect_fake(0);
	ck_assert_int_eq(vhost_user_handshake(vu, 0), 0);
	ck_assert_int_eq(start(), -EPROTO);
	ck_assert_str_ne(vhost_user_why(vu), "");
}
END_TEST

static void write_record(unsigned int queue, const struct vhost_inflight_head *head,
			 const struct vhost_inflight_desc *descs)
{
	off_t at = (off_t)queue * (16 + 16 * 128);

	ck_assert_int_eq(pwrite(fake.inflight_fd, head, sizeof(*head), at), sizeof(*head));
	ck_assert_int_eq(pwrite(fake.inflight_fd, descs, 128 * sizeof(*descs), at + 16),
			 128 * (ssize_t)sizeof(*descs));
}

START_TEST(test_inflight_record)
{
	struct vhost_inflight_head head = { .version = 1, .desc_num = 128, .used_idx = 65535 };
	struct vhost_inflight_desc descs[128] = { 0 };
	uint16_t heads[128];

	fake.protocol |= BIT(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD);
	connect_fake(0);
	ck_assert_int_eq(vhost_user_inflight(vu, 0, 0, heads, 128), -EOPNOTSUPP);
	ck_assert_int_eq(vhost_user_handshake(vu, 0), 0);
	ck_assert_int_eq(start(), 0);
	fake_stop(&fake);
	/* Died before it did anything. */
	ck_assert_int_eq(vhost_user_inflight(vu, 1, 0, heads, 128), 0);

	descs[127] = (struct vhost_inflight_desc){ .inflight = 1, .counter = 10 };
	descs[3] = (struct vhost_inflight_desc){ .inflight = 1, .counter = 12 };
	descs[64] = (struct vhost_inflight_desc){ .inflight = 1, .counter = 11, .next = 3 };
	write_record(1, &head, descs);
	ck_assert_int_eq(vhost_user_inflight(vu, 1, 65535, heads, 128), 3);
	ck_assert_uint_eq(heads[0], 127);
	ck_assert_uint_eq(heads[1], 64);
	ck_assert_uint_eq(heads[2], 3);
	ck_assert_int_eq(vhost_user_inflight(vu, 1, 65535, heads, 2), 2);
	ck_assert_int_eq(vhost_user_inflight(vu, 0, 0, heads, 128), 0);
	ck_assert_int_eq(vhost_user_inflight(vu, 2, 0, heads, 128), -EINVAL);

	/* It died between the used ring's index and the flags: 64 and 3 were given back. */
	head.last_batch_head = 64;
	write_record(1, &head, descs);
	ck_assert_int_eq(vhost_user_inflight(vu, 1, 1, heads, 128), 1);
	ck_assert_uint_eq(heads[0], 127);
}
END_TEST

START_TEST(test_false_inflight_record)
{
	struct vhost_inflight_head head = { .version = 1, .desc_num = 128 };
	struct vhost_inflight_desc descs[128] = { 0 };
	uint16_t heads[128];

	fake.protocol |= BIT(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD);
	connect_fake(0);
	ck_assert_int_eq(vhost_user_handshake(vu, 0), 0);
	ck_assert_int_eq(start(), 0);
	fake_stop(&fake);
	write_record(0, &head, descs);
	ck_assert_int_eq(vhost_user_inflight(vu, 0, 129, heads, 128), -EPROTO);
	head.last_batch_head = 128;
	write_record(0, &head, descs);
	ck_assert_int_eq(vhost_user_inflight(vu, 0, 1, heads, 128), -EPROTO);
	head.last_batch_head = 0;
	descs[0].next = 65535;
	write_record(0, &head, descs);
	ck_assert_int_eq(vhost_user_inflight(vu, 0, 2, heads, 128), -EPROTO);
	head.desc_num = 129;
	write_record(0, &head, descs);
	ck_assert_int_eq(vhost_user_inflight(vu, 0, 0, heads, 128), -EPROTO);
	/* Truncated behind our back. */
	ck_assert_int_eq(ftruncate(fake.inflight_fd, 100), 0);
	ck_assert_int_eq(vhost_user_inflight(vu, 0, 0, heads, 128), -EPROTO);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("vhost-user front end");
	TCase *good = tcase_create("good"), *bad = tcase_create("bad");

	tcase_add_checked_fixture(good, setup, teardown);
	tcase_add_test(good, test_starts_and_stops);
	tcase_add_test(good, test_tells_memory_and_addresses);
	tcase_add_test(good, test_adds_memory_by_slots);
	tcase_add_test(good, test_old_back_end);
	tcase_add_test(good, test_rich_back_end);
	tcase_add_test(good, test_resets_device_where_there_is_no_status);
	tcase_add_test(good, test_no_vector);
	tcase_add_test(good, test_inflight_record);
	tcase_add_checked_fixture(bad, setup, teardown);
	tcase_set_timeout(bad, 60);
	tcase_add_test(bad, test_needed_feature);
	tcase_add_test(bad, test_ring_outside_memory);
	tcase_add_loop_test(bad, test_misdeed, 0, (MISDEED_COUNT - 1) * N_ANSWERED);
	tcase_add_loop_test(bad, test_refusal, 0, 3);
	tcase_add_test(bad, test_peer_that_does_not_read);
	tcase_add_loop_test(bad, test_watch, 0, 2);
	tcase_add_loop_test(bad, test_bad_inflight, 0, 3);
	tcase_add_test(bad, test_false_inflight_record);
	suite_add_tcase(suite, good);
	suite_add_tcase(suite, bad);
	return unit_run(suite);
}
