// SPDX-License-Identifier: GPL-2.0-or-later
/* FUSE requests whose server is gone: found in the rings, and answered. */
#include <check.h>
#include <errno.h>
#include <linux/virtio_ring.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host-vmm/irq.h"
#include "host-vmm/memory.h"
#include "host-vmm/vhost-user/frontend.h"
#include "host-vmm/virtio/fs_orphans.h"
#include "host-vmm/virtio/queue.h"
#include "tests/unit/vhost_user_requests.h"
#include "tests/unit/unit.h"

#define SIZE 128
#define RING 0x100000ull

static struct rig rig;
static struct rig_ring ring;
static struct virtqueue vq;
static struct vhost_user *vu;
static struct irq_msi *msi;

static void setup(void)
{
	int pair[2];

	rig = (struct rig){ 0 };
	rig_create(&rig);
	rig_ring_init(&ring, &rig, RING, SIZE);
	ck_assert_int_eq(irq_msi_create(rig.machine.irq, &msi), 0);
	vq = (struct virtqueue){ .memory = rig.machine.memory,
				 .max_size = SIZE,
				 .size = SIZE,
				 .desc = ring.desc,
				 .driver = ring.avail,
				 .device = ring.used,
				 .indirect = true,
				 .kick_fd = -1,
				 .msi = msi };
	ck_assert_int_eq(virtqueue_enable(&vq), 0);
	/* A connection without a record of requests in flight. */
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	close(pair[1]);
	ck_assert_int_eq(vhost_user_create(pair[0], 0, &vu), 0);
}

static void teardown(void)
{
	vhost_user_destroy(vu);
	irq_msi_destroy(msi);
	rig_destroy(&rig);
}

/* What a back end does: gives @head back. */
static uint16_t given;

static void give_back(uint16_t head)
{
	rig_store16(&rig, ring.used + 4 + 8ull * (given % SIZE), head);
	rig_store16(&rig, ring.used + 2, ++given);
	ring.used_idx++;
}

START_TEST(test_in_order)
{
	uint16_t first, second;

	given = 0;
	give_back(ask(&ring, 0, FUSE_GETATTR, NULL, 0));
	first = ask(&ring, 1, FUSE_GETATTR, NULL, 0);
	second = ask(&ring, 2, FUSE_GETATTR, NULL, 0);
	ck_assert_int_eq(fs_orphans_take_over(&vq, vu), 0);
	assert_taken(&ring, first);
	assert_taken(&ring, second);
	ck_assert_uint_eq(rig_used(&ring), 0);
	assert_answer(&rig, 1, -EIO);
	assert_answer(&rig, 2, -EIO);
	ck_assert_int_eq(answer(&rig, 0).error, 0);
	/* What comes now is for the next server, or for us. */
	first = ask(&ring, 3, FUSE_GETATTR, NULL, 0);
	ck_assert_int_eq(fs_orphans_serve(&vq), 0);
	assert_taken(&ring, first);
	assert_answer(&rig, 3, -ENOTCONN);
	ck_assert_uint_eq(vq.last_avail, 4);
	ck_assert_uint_eq(vq.used, 4);
}
END_TEST

/* The oldest request stays out while many others come and go, some of them out of order. */
START_TEST(test_out_of_order)
{
	uint16_t slow, a, b;

	given = 0;
	slow = ask(&ring, 0, FUSE_GETATTR, NULL, 0);
	for (unsigned int i = 1; i < SIZE / 2 - 4; i += 2) {
		ring.next_desc = 10;
		a = ask(&ring, i, FUSE_GETATTR, NULL, 0);
		b = ask(&ring, i + 1, FUSE_GETATTR, NULL, 0);
		give_back(b);
		give_back(a);
	}
	ring.next_desc = 10;
	a = ask(&ring, 100, FUSE_GETATTR, NULL, 0);
	b = ask(&ring, 101, FUSE_GETATTR, NULL, 0);
	give_back(b);
	ck_assert_int_eq(fs_orphans_take_over(&vq, vu), 0);
	assert_taken(&ring, slow);
	assert_taken(&ring, a);
	ck_assert_uint_eq(rig_used(&ring), 0);
	assert_answer(&rig, 0, -EIO);
	assert_answer(&rig, 100, -EIO);
}
END_TEST

/* Indices that have gone round, and heads that come again and again. */
START_TEST(test_after_a_while)
{
	uint16_t last;

	given = 0;
	for (unsigned int i = 0; i < 70000; i++) {
		ring.next_desc = 0;
		give_back(ask(&ring, 0, FUSE_GETATTR, NULL, 0));
	}
	ring.next_desc = 0;
	last = ask(&ring, 1, FUSE_GETATTR, NULL, 0);
	ck_assert_int_eq(fs_orphans_take_over(&vq, vu), 0);
	assert_taken(&ring, last);
	ck_assert_uint_eq(rig_used(&ring), 0);
	assert_answer(&rig, 1, -EIO);
}
END_TEST

START_TEST(test_forget)
{
	struct rig_buffer buffer = { request_at(0), 48, false };
	uint16_t head;
	uint32_t len;

	given = 0;
	head = rig_add(&ring, &buffer, 1);
	ck_assert_int_eq(fs_orphans_serve(&vq), 0);
	ck_assert(rig_take(&ring, NULL, &len));
	ck_assert_uint_eq(len, 0);
	(void)head;
}
END_TEST

START_TEST(test_indirect)
{
	const uint64_t table = 0x400000;
	struct vring_desc inner[] = {
		{ request_at(0), 40, VRING_DESC_F_NEXT, 1 },
		{ answer_at(0), 7, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 2 },
		{ answer_at(0) + 7, 100, VRING_DESC_F_WRITE, 0 },
	};

	given = 0;
	ask(&ring, 0, FUSE_GETATTR, NULL, 0);
	ck_assert_int_eq(memory_write(rig.machine.memory, table, inner, sizeof(inner)), 0);
	rig_desc(&ring, 0, table, sizeof(inner), VRING_DESC_F_INDIRECT, 0);
	ck_assert_int_eq(fs_orphans_take_over(&vq, vu), 0);
	assert_taken(&ring, 0);
	assert_answer(&rig, 0, -EIO);
}
END_TEST

/* Each is a ring that no back end can have left behind. */
START_TEST(test_hostile)
{
	given = 0;
	switch (_i) {
	case 0: /* the same head out twice */
		rig_offer(&ring, ask(&ring, 0, FUSE_GETATTR, NULL, 0));
		break;
	case 1: /* a head beyond the table */
		ask(&ring, 0, FUSE_GETATTR, NULL, 0);
		rig_offer(&ring, SIZE);
		break;
	case 2: /* more out than the ring holds */
		rig_store16(&rig, ring.avail + 2, SIZE + 1);
		break;
	case 3: /* a loop */
		ask(&ring, 0, FUSE_GETATTR, NULL, 0);
		rig_desc(&ring, 0, request_at(0), 40, VRING_DESC_F_NEXT, 0);
		break;
	case 4: /* outside RAM */
		ask(&ring, 0, FUSE_GETATTR, NULL, 0);
		rig_desc(&ring, 0, RIG_MEMORY, 40, 0, 0);
		break;
	case 5: /* a table within a table */
		ask(&ring, 0, FUSE_GETATTR, NULL, 0);
		rig_desc(&ring, 0, ring.desc, 32, VRING_DESC_F_INDIRECT, 0);
		break;
	case 6: /* an empty table */
		ask(&ring, 0, FUSE_GETATTR, NULL, 0);
		rig_desc(&ring, 0, request_at(0), 0, VRING_DESC_F_INDIRECT, 0);
		break;
	}
	ck_assert_int_eq(fs_orphans_take_over(&vq, vu), -EPROTO);
	ck_assert(vq.broken);
	ck_assert_ptr_nonnull(vq.broken_why);
	ck_assert_int_eq(fs_orphans_serve(&vq), -EPROTO);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("virtio-fs orphans");
	TCase *tcase = tcase_create("orphans");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, test_in_order);
	tcase_add_test(tcase, test_out_of_order);
	tcase_add_test(tcase, test_after_a_while);
	tcase_add_test(tcase, test_forget);
	tcase_add_test(tcase, test_indirect);
	tcase_add_loop_test(tcase, test_hostile, 0, 7);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
