// SPDX-License-Identifier: GPL-2.0-or-later
// The back end's requests, as one that keeps to the protocol sends them and as others do.
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host-vmm/loop.h"
#include "host-vmm/vhost-user/channel.h"
#include "protocol/lib/fd.h"
#include "tests/unit/unit.h"

#define WAIT_MS 60000

static struct loop *loop;
static struct vhost_channel *channel;
static int peer, file;

/* What the channel called last; written by the loop's thread, read after an answer or the end. */
static struct vhost_user_mmap last;
static unsigned int maps, unmaps, breaks;
static bool had_fd;
static int answer;

static int on_map(void *opaque, const struct vhost_user_mmap *mmap, int fd)
{
	(void)opaque;
	last = *mmap;
	had_fd = fcntl(fd, F_GETFD) >= 0;
	__atomic_add_fetch(&maps, 1, __ATOMIC_SEQ_CST);
	return answer;
}

static int on_unmap(void *opaque, const struct vhost_user_mmap *mmap)
{
	(void)opaque;
	last = *mmap;
	__atomic_add_fetch(&unmaps, 1, __ATOMIC_SEQ_CST);
	return answer;
}

static void on_broken(void *opaque, const char *why)
{
	(void)opaque;
	ck_assert_uint_gt(strlen(why), 0);
	__atomic_add_fetch(&breaks, 1, __ATOMIC_SEQ_CST);
}

static const struct vhost_channel_ops ops = { on_map, on_unmap, on_broken };

static void setup(void)
{
	maps = unmaps = breaks = 0;
	answer = 0;
	file = memfd_create("file", MFD_CLOEXEC);
	ck_assert_int_eq(loop_create("channel", &loop), 0);
	ck_assert_int_eq(vhost_channel_create(loop, &ops, NULL, &channel, &peer), 0);
}

static void teardown(void)
{
	vhost_channel_destroy(channel);
	loop_destroy(loop);
	close(peer);
	close(file);
}

struct wire {
	uint8_t bytes[sizeof(struct vhost_user_header) + sizeof(struct vhost_user_mmap)];
};

static struct wire make(uint32_t request, uint32_t flags, uint32_t size,
			const struct vhost_user_mmap *mmap)
{
	const struct vhost_user_header header = { request, flags, size };
	struct wire wire;

	memcpy(wire.bytes, &header, sizeof(header));
	memcpy(wire.bytes + sizeof(header), mmap, sizeof(*mmap));
	return wire;
}

static struct wire usual(uint32_t request)
{
	const struct vhost_user_mmap mmap = {
		.fd_offset = 4096, .shm_offset = 8192, .len = 12288, .flags = VHOST_USER_MMAP_WRITE
	};

	return make(request, VHOST_USER_VERSION | VHOST_USER_FLAG_NEED_REPLY, sizeof(mmap), &mmap);
}

static void put(const void *bytes, size_t len, int fd)
{
	ck_assert_int_eq(fd_send(peer, bytes, len, &fd, fd >= 0), 0);
}

/* The acknowledgement of @request: its status. */
static uint64_t take(uint32_t request)
{
	struct pollfd pfd = { .fd = peer, .events = POLLIN };
	uint8_t bytes[sizeof(struct vhost_user_header) + sizeof(uint64_t)];
	struct vhost_user_header header;
	uint64_t status;

	ck_assert_int_eq(poll(&pfd, 1, WAIT_MS), 1);
	ck_assert_int_eq(fd_read_all(peer, bytes, sizeof(bytes)), sizeof(bytes));
	memcpy(&header, bytes, sizeof(header));
	memcpy(&status, bytes + sizeof(header), sizeof(status));
	ck_assert_uint_eq(header.request, request);
	ck_assert_uint_eq(header.flags, VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY);
	ck_assert_uint_eq(header.size, sizeof(status));
	return status;
}

/* The channel ends, which the peer sees. */
static void ended(void)
{
	struct pollfd pfd = { .fd = peer, .events = POLLIN };
	char byte;

	ck_assert_int_eq(poll(&pfd, 1, WAIT_MS), 1);
	ck_assert_int_le(recv(peer, &byte, 1, MSG_DONTWAIT), 0);
}

START_TEST(requests)
{
	struct wire map = usual(VHOST_USER_BACKEND_SHMEM_MAP);
	struct wire unmap = usual(VHOST_USER_BACKEND_SHMEM_UNMAP);

	put(map.bytes, sizeof(map), file);
	ck_assert_uint_eq(take(VHOST_USER_BACKEND_SHMEM_MAP), 0);
	ck_assert_uint_eq(maps, 1);
	ck_assert(had_fd);
	ck_assert_uint_eq(last.fd_offset, 4096);
	ck_assert_uint_eq(last.shm_offset, 8192);
	ck_assert_uint_eq(last.len, 12288);
	ck_assert_uint_eq(last.flags, VHOST_USER_MMAP_WRITE);
	put(unmap.bytes, sizeof(unmap), -1);
	ck_assert_uint_eq(take(VHOST_USER_BACKEND_SHMEM_UNMAP), 0);
	ck_assert_uint_eq(unmaps, 1);
	/* Refused, which ends nothing. */
	answer = -EINVAL;
	put(map.bytes, sizeof(map), file);
	ck_assert_uint_eq(take(VHOST_USER_BACKEND_SHMEM_MAP), 1);
	answer = 0;
	put(map.bytes, sizeof(map), -1);
	ck_assert_uint_eq(take(VHOST_USER_BACKEND_SHMEM_MAP), 1);
	ck_assert_uint_eq(maps, 2);
	ck_assert_uint_eq(breaks, 0);
}
END_TEST

START_TEST(in_pieces_and_together)
{
	struct wire map = usual(VHOST_USER_BACKEND_SHMEM_MAP);
	const struct vhost_user_mmap quiet = { .shm_offset = 4096, .len = 4096 };
	struct wire silent =
		make(VHOST_USER_BACKEND_SHMEM_UNMAP, VHOST_USER_VERSION, sizeof(quiet), &quiet);
	uint8_t both[2 * sizeof(struct wire)];

	put(map.bytes, 1, file);
	for (size_t i = 1; i < sizeof(map); i++)
		put(map.bytes + i, 1, -1);
	ck_assert_uint_eq(take(VHOST_USER_BACKEND_SHMEM_MAP), 0);
	/* The first of two wants no answer. */
	memcpy(both, silent.bytes, sizeof(silent));
	memcpy(both + sizeof(silent), usual(VHOST_USER_BACKEND_SHMEM_UNMAP).bytes, sizeof(silent));
	put(both, sizeof(both), -1);
	ck_assert_uint_eq(take(VHOST_USER_BACKEND_SHMEM_UNMAP), 0);
	ck_assert_uint_eq(unmaps, 2);
}
END_TEST

START_TEST(refused_as_they_are)
{
	struct vhost_user_mmap mmap = { .len = 4096, .flags = 2 };
	const uint32_t flags = VHOST_USER_VERSION | VHOST_USER_FLAG_NEED_REPLY;
	struct wire wire = make(VHOST_USER_BACKEND_SHMEM_MAP, flags, sizeof(mmap), &mmap);

	put(wire.bytes, sizeof(wire), file);
	ck_assert_uint_eq(take(VHOST_USER_BACKEND_SHMEM_MAP), 1);
	mmap.flags = 0;
	mmap.padding[6] = 1;
	wire = make(VHOST_USER_BACKEND_SHMEM_MAP, flags, sizeof(mmap), &mmap);
	put(wire.bytes, sizeof(wire), file);
	ck_assert_uint_eq(take(VHOST_USER_BACKEND_SHMEM_MAP), 1);
	ck_assert_uint_eq(maps, 0);
}
END_TEST

static const struct {
	uint32_t request, flags, size;
} offences[] = {
	{ VHOST_USER_BACKEND_SHMEM_MAP, 0, sizeof(struct vhost_user_mmap) },
	{ VHOST_USER_BACKEND_SHMEM_MAP, 2, sizeof(struct vhost_user_mmap) },
	{ VHOST_USER_BACKEND_SHMEM_MAP, VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY,
	  sizeof(struct vhost_user_mmap) },
	{ VHOST_USER_BACKEND_SHMEM_MAP, VHOST_USER_VERSION, 0 },
	{ VHOST_USER_BACKEND_SHMEM_MAP, VHOST_USER_VERSION, 41 },
	{ VHOST_USER_BACKEND_SHMEM_MAP, VHOST_USER_VERSION, UINT32_MAX },
	{ 0, VHOST_USER_VERSION, sizeof(struct vhost_user_mmap) },
	{ VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, VHOST_USER_VERSION, 0 },
	{ VHOST_USER_BACKEND_VRING_HOST_NOTIFIER_MSG, VHOST_USER_VERSION, 24 },
	{ UINT32_MAX, VHOST_USER_VERSION, sizeof(struct vhost_user_mmap) },
};

START_TEST(offends)
{
	const struct vhost_user_mmap mmap = { .len = 4096 };
	struct wire wire = make(offences[_i].request, offences[_i].flags, offences[_i].size, &mmap);

	put(wire.bytes, sizeof(wire), file);
	ended();
	vhost_channel_destroy(channel);
	channel = NULL;
	ck_assert_uint_eq(breaks, 1);
	ck_assert_uint_eq(maps + unmaps, 0);
}
END_TEST

START_TEST(goes_away)
{
	struct wire map = usual(VHOST_USER_BACKEND_SHMEM_MAP);

	/* In the middle of a message, with a descriptor in our hands. */
	put(map.bytes, 20, file);
	shutdown(peer, SHUT_RDWR);
	ended();
	vhost_channel_destroy(channel);
	channel = NULL;
	ck_assert_uint_eq(breaks, 0);
	ck_assert_uint_eq(maps, 0);
}
END_TEST

START_TEST(reads_no_answers)
{
	struct wire map = usual(VHOST_USER_BACKEND_SHMEM_UNMAP);
	size_t sent = 0;

	ck_assert_int_eq(fcntl(peer, F_SETFL, O_NONBLOCK), 0);
	/* Until the channel has had enough: it is never waited for. */
	while (!__atomic_load_n(&breaks, __ATOMIC_SEQ_CST) && sent < 1000000) {
		ssize_t n = send(peer, map.bytes, sizeof(map), MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN)
			break;
		sent++;
	}
	vhost_channel_destroy(channel);
	channel = NULL;
	ck_assert_uint_eq(breaks, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("vhost_channel");
	TCase *tcase = tcase_create("channel");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, requests);
	tcase_add_test(tcase, in_pieces_and_together);
	tcase_add_test(tcase, refused_as_they_are);
	tcase_add_loop_test(tcase, offends, 0, sizeof(offences) / sizeof(offences[0]));
	tcase_add_test(tcase, goes_away);
	tcase_add_test(tcase, reads_no_answers);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
