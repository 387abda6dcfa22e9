// SPDX-License-Identifier: GPL-2.0-or-later
// Split virtqueues against good and hostile drivers: T01 to T04 and T06 of the list of bad rings.
#include <check.h>
#include <errno.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <unistd.h>

#include "host-vmm/irq.h"
#include "host-vmm/layout.h"
#include "host-vmm/memory.h"
#include "host-vmm/state.h"
#include "host-vmm/virtio/queue.h"
#include "tests/unit/virtio_rig.h"
#include "tests/unit/unit.h"

#define RING	0x100000ull
#define DATA	0x200000ull
#define TABLE	0x300000ull
#define SIZE	128
#define RAM_END RIG_MEMORY

static struct rig rig;
static struct rig_ring ring;
static struct virtqueue vq;
static struct virtq_chain chain;
static struct iovec iov[VIRTQUEUE_CHAIN_MAX];

static void configure(void)
{
	vq.size = SIZE;
	vq.desc = ring.desc;
	vq.driver = ring.avail;
	vq.device = ring.used;
	vq.indirect = true;
}

static void renew(void)
{
	rig_ring_init(&ring, &rig, RING, SIZE);
	virtqueue_reset(&vq);
	configure();
	ck_assert_int_eq(virtqueue_enable(&vq), 0);
}

static void setup(void)
{
	rig = (struct rig){ 0 };
	rig_create(&rig);
	rig_ring_init(&ring, &rig, RING, SIZE);
	vq = (struct virtqueue){ .memory = rig.machine.memory, .max_size = 256, .kick_fd = -1 };
	chain = (struct virtq_chain){ .iov = iov, .iov_max = VIRTQUEUE_CHAIN_MAX };
	renew();
}

static void teardown(void)
{
	rig_destroy(&rig);
}

static void assert_broken(void)
{
	ck_assert_int_eq(virtqueue_pop(&vq, &chain), -EPROTO);
	ck_assert(vq.broken);
	ck_assert_ptr_nonnull(vq.broken_why);
	ck_assert_int_eq(virtqueue_pop(&vq, &chain), -EPROTO);
	/* Pushing to a broken queue touches nothing. */
	virtqueue_push(&vq, 0, 0);
	virtqueue_notify(&vq);
	ck_assert(!virtqueue_enable_kicks(&vq));
	/* Only a reset mends it. */
	renew();
	rig_add(&ring, (struct rig_buffer[]){ { DATA, 4, false } }, 1);
	ck_assert_int_eq(virtqueue_pop(&vq, &chain), 1);
	renew();
}

START_TEST(chain_has_out_then_in)
{
	struct rig_buffer buffers[] = { { DATA, 16, false },
					{ DATA + 0x1000, 100, false },
					{ DATA + 0x2000, 1, true } };
	uint32_t id, len;

	ck_assert_int_eq(virtqueue_pop(&vq, &chain), 0);
	rig_add(&ring, buffers, 3);
	ck_assert_int_eq(virtqueue_pop(&vq, &chain), 1);
	ck_assert_uint_eq(chain.n_out, 2);
	ck_assert_uint_eq(chain.n_in, 1);
	ck_assert_uint_eq(chain.out_len, 116);
	ck_assert_uint_eq(chain.in_len, 1);
	ck_assert_uint_eq(virtq_out(&chain)[1].iov_len, 100);
	ck_assert_uint_eq(virtq_in(&chain)[0].iov_len, 1);
	ck_assert_int_eq(virtqueue_pop(&vq, &chain), 0);
	virtqueue_push(&vq, chain.head, 1);
	ck_assert(rig_take(&ring, &id, &len));
	ck_assert_uint_eq(id, 0);
	ck_assert_uint_eq(len, 1);
}
END_TEST

/* A file that a device maps into the guest: not RAM, but no nonsense either. */
START_TEST(buffer_in_a_window)
{
	const uint64_t window = 0x6000000000ull, size = 2 << 20;
	struct rig_buffer buffers[] = { { DATA, 16, false },
					{ window + size - 512, 512, true },
					{ DATA + 0x2000, 1, true } };

	memory_set_window(rig.machine.memory, 1, window, size);
	chain.may_leave_out = true;
	rig_add(&ring, buffers, 3);
	ck_assert_int_eq(virtqueue_pop(&vq, &chain), 1);
	ck_assert(chain.left_out);
	ck_assert_uint_eq(chain.n_out, 1);
	ck_assert_uint_eq(chain.n_in, 1);
	ck_assert_uint_eq(virtq_in(&chain)[0].iov_len, 1);
	rig_add(&ring, buffers, 1);
	ck_assert_int_eq(virtqueue_pop(&vq, &chain), 1);
	ck_assert(!chain.left_out);
	/* Half outside. */
	buffers[1].address++;
	rig_add(&ring, buffers, 3);
	assert_broken();
	memory_set_window(rig.machine.memory, 1, window, 0);
	chain.may_leave_out = false;
}
END_TEST

/* For a device that cannot fail one request it is a chain without buffers. */
START_TEST(buffer_in_a_window_is_dropped)
{
	const uint64_t window = 0x6000000000ull;
	struct rig_buffer buffers[] = { { DATA, 16, false }, { window, 512, true } };

	memory_set_window(rig.machine.memory, 1, window, 2 << 20);
	rig_add(&ring, buffers, 2);
	ck_assert_int_eq(virtqueue_pop(&vq, &chain), 1);
	ck_assert(chain.left_out);
	ck_assert_uint_eq(chain.n_out + chain.n_in + chain.out_len + chain.in_len, 0);
	/* A table of descriptors there is no buffer: nothing can be made of it. */
	rig_desc(&ring, 0, window, 32, VRING_DESC_F_INDIRECT, 0);
	rig_offer(&ring, 0);
	assert_broken();
	/* Where the window is gone. */
	memory_set_window(rig.machine.memory, 1, window, 0);
	rig_add(&ring, buffers, 2);
	assert_broken();
}
END_TEST

START_TEST(unpop_gives_the_same_chain)
{
	rig_add(&ring, (struct rig_buffer[]){ { DATA, 4, false } }, 1);
	rig_add(&ring, (struct rig_buffer[]){ { DATA, 8, false } }, 1);
	ck_assert_int_eq(virtqueue_pop(&vq, &chain), 1);
	virtqueue_unpop(&vq);
	ck_assert_int_eq(virtqueue_pop(&vq, &chain), 1);
	ck_assert_uint_eq(chain.out_len, 4);
	ck_assert_int_eq(virtqueue_pop(&vq, &chain), 1);
	ck_assert_uint_eq(chain.out_len, 8);
}
END_TEST

START_TEST(zero_length_is_skipped)
{
	struct rig_buffer buffers[] = { { 0, 0, false }, { DATA, 4, false }, { ~0ull, 0, true } };

	rig_add(&ring, buffers, 3);
	ck_assert_int_eq(virtqueue_pop(&vq, &chain), 1);
	ck_assert_uint_eq(chain.n_out + chain.n_in, 1);
	ck_assert_uint_eq(chain.out_len, 4);
}
END_TEST

START_TEST(index_wraps)
{
	for (unsigned int i = 0; i < 70000; i++) {
		uint32_t id;

		rig_add(&ring, (struct rig_buffer[]){ { DATA, 1 + i % 7, true } }, 1);
		ck_assert_int_eq(virtqueue_pop(&vq, &chain), 1);
		ck_assert_uint_eq(chain.in_len, 1 + i % 7);
		virtqueue_push(&vq, chain.head, 1);
		ck_assert(rig_take(&ring, &id, NULL));
		ck_assert_uint_eq(id, i % SIZE);
	}
}
END_TEST

START_TEST(t01_loops)
{
	rig_desc(&ring, 0, DATA, 4, VRING_DESC_F_NEXT, 0);
	rig_offer(&ring, 0);
	assert_broken();

	rig_desc(&ring, 0, DATA, 4, VRING_DESC_F_NEXT, 1);
	rig_desc(&ring, 1, DATA, 4, VRING_DESC_F_NEXT, 0);
	rig_offer(&ring, 0);
	assert_broken();

	for (uint16_t i = 0; i < SIZE; i++)
		rig_desc(&ring, i, DATA, 4, VRING_DESC_F_NEXT, (uint16_t)((i + 1) % SIZE));
	rig_offer(&ring, 0);
	assert_broken();
	/* No more than the queue's size was visited. */
	for (uint16_t i = 0; i < SIZE; i++)
		rig_desc(&ring, i, DATA, 4, VRING_DESC_F_NEXT, (uint16_t)((i + 1) % SIZE));
	rig_offer(&ring, 0);
	ck_assert_int_eq(virtqueue_pop(&vq, &chain), -EPROTO);
	ck_assert_uint_eq(chain.n_out, SIZE);
}
END_TEST

START_TEST(t01_longest_chain_is_fine)
{
	for (uint16_t i = 0; i < SIZE; i++)
		rig_desc(&ring, i, DATA, 4, i + 1 < SIZE ? VRING_DESC_F_NEXT : 0,
			 (uint16_t)(i + 1));
	rig_offer(&ring, 0);
	ck_assert_int_eq(virtqueue_pop(&vq, &chain), 1);
	ck_assert_uint_eq(chain.n_out, SIZE);
}
END_TEST

START_TEST(t01_next_beyond_the_table)
{
	rig_desc(&ring, 0, DATA, 4, VRING_DESC_F_NEXT, SIZE);
	rig_offer(&ring, 0);
	assert_broken();
	rig_desc(&ring, 0, DATA, 4, VRING_DESC_F_NEXT, 0xffff);
	rig_offer(&ring, 0);
	assert_broken();
}
END_TEST

static void table_desc(uint64_t table, unsigned int at, uint64_t address, uint32_t len,
		       uint16_t flags, uint16_t next)
{
	struct vring_desc desc = { .addr = address, .len = len, .flags = flags, .next = next };

	ck_assert_int_eq(memory_write(rig.machine.memory, table + 16ull * at, &desc, sizeof(desc)),
			 0);
}

START_TEST(t02_indirect)
{
	static const uint32_t bad_lengths[] = { 0, 1, 15, 17, 16 * 65536, 0xfffffff0, 16 * 1025 };
	static const uint64_t bad_addresses[] = { RAM_END - 8, 0xfec00000, ~0ull - 15, RAM_END };

	table_desc(TABLE, 0, DATA, 8, VRING_DESC_F_NEXT, 1);
	table_desc(TABLE, 1, DATA, 9, VRING_DESC_F_WRITE, 0);
	rig_desc(&ring, 0, TABLE, 32, VRING_DESC_F_INDIRECT, 0);
	rig_offer(&ring, 0);
	ck_assert_int_eq(virtqueue_pop(&vq, &chain), 1);
	ck_assert_uint_eq(chain.out_len, 8);
	ck_assert_uint_eq(chain.in_len, 9);

	for (size_t i = 0; i < sizeof(bad_lengths) / sizeof(bad_lengths[0]); i++) {
		renew();
		rig_desc(&ring, 0, TABLE, bad_lengths[i], VRING_DESC_F_INDIRECT, 0);
		rig_offer(&ring, 0);
		assert_broken();
	}
	for (size_t i = 0; i < sizeof(bad_addresses) / sizeof(bad_addresses[0]); i++) {
		rig_desc(&ring, 0, bad_addresses[i], 32, VRING_DESC_F_INDIRECT, 0);
		rig_offer(&ring, 0);
		assert_broken();
	}
	/* Indirect with next; indirect inside indirect; next beyond the table; loop inside. */
	rig_desc(&ring, 0, TABLE, 32, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT, 1);
	rig_offer(&ring, 0);
	assert_broken();
	rig_desc(&ring, 0, TABLE, 32, VRING_DESC_F_INDIRECT, 0);
	table_desc(TABLE, 0, TABLE, 32, VRING_DESC_F_INDIRECT, 0);
	rig_offer(&ring, 0);
	assert_broken();
	rig_desc(&ring, 0, TABLE, 32, VRING_DESC_F_INDIRECT, 0);
	table_desc(TABLE, 0, DATA, 4, VRING_DESC_F_NEXT, 2);
	rig_offer(&ring, 0);
	assert_broken();
	rig_desc(&ring, 0, TABLE, 32, VRING_DESC_F_INDIRECT, 0);
	table_desc(TABLE, 0, DATA, 4, VRING_DESC_F_NEXT, 0);
	rig_offer(&ring, 0);
	assert_broken();
	/* Not negotiated. */
	vq.indirect = false;
	table_desc(TABLE, 0, DATA, 4, 0, 0);
	rig_desc(&ring, 0, TABLE, 16, VRING_DESC_F_INDIRECT, 0);
	rig_offer(&ring, 0);
	assert_broken();
}
END_TEST

START_TEST(t02_unaligned_table_behind_direct_ones)
{
	table_desc(TABLE + 3, 0, DATA, 8, VRING_DESC_F_NEXT, 1);
	table_desc(TABLE + 3, 1, DATA, 9, VRING_DESC_F_WRITE, 0);
	rig_desc(&ring, 0, DATA, 5, VRING_DESC_F_NEXT, 1);
	/* The write flag of the referring descriptor is to be ignored. */
	rig_desc(&ring, 1, TABLE + 3, 32, VRING_DESC_F_INDIRECT | VRING_DESC_F_WRITE, 0);
	rig_offer(&ring, 0);
	ck_assert_int_eq(virtqueue_pop(&vq, &chain), 1);
	ck_assert_uint_eq(chain.out_len, 13);
	ck_assert_uint_eq(chain.in_len, 9);
}
END_TEST

START_TEST(t03_addresses)
{
	static const struct {
		uint64_t address;
		uint32_t len;
	} bad[] = {
		{ RAM_END - 1, 2 },
		{ 0xfffffffffffff000, 0x2000 },
		{ 0xfffffffffffff000, 0x1000 },
		{ 0, 0xffffffff },
		{ 0xfec00000, 4 },
		{ LAYOUT_PCI_MMIO32, 4 },
		{ LAYOUT_ECAM, 4 },
		{ LAYOUT_LOW_RAM_END - 1, 2 },
		{ 1ull << 63, 1 },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		rig_desc(&ring, 0, bad[i].address, bad[i].len, 0, 0);
		rig_offer(&ring, 0);
		assert_broken();
		rig_desc(&ring, 0, bad[i].address, bad[i].len, VRING_DESC_F_WRITE, 0);
		rig_offer(&ring, 0);
		assert_broken();
	}
	/* The ring itself and the last byte are RAM like any other; a discarded page too. */
	rig_add(&ring, (struct rig_buffer[]){ { RING, 4, true }, { RAM_END - 1, 1, true } }, 2);
	ck_assert_int_eq(virtqueue_pop(&vq, &chain), 1);
	ck_assert_int_eq(memory_discard(rig.machine.memory, DATA, 0x1000), 0);
	rig_add(&ring, (struct rig_buffer[]){ { DATA, 0x1000, true } }, 1);
	ck_assert_int_eq(virtqueue_pop(&vq, &chain), 1);
}
END_TEST

START_TEST(t03_total_beyond_32_bits)
{
	/* 128 times 60 MiB. */
	for (uint16_t i = 0; i < SIZE; i++)
		rig_desc(&ring, i, 0, 60u << 20, i + 1 < SIZE ? VRING_DESC_F_NEXT : 0,
			 (uint16_t)(i + 1));
	rig_offer(&ring, 0);
	assert_broken();
}
END_TEST

START_TEST(t04_indices)
{
	static const uint16_t jumps[] = { SIZE + 1, 0x8000, 0xffff, 0xff80 };

	for (size_t i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
		rig_store16(&rig, ring.avail + 2, jumps[i]);
		assert_broken();
	}
	/* Going backwards after some use. */
	rig_add(&ring, (struct rig_buffer[]){ { DATA, 4, false } }, 1);
	rig_add(&ring, (struct rig_buffer[]){ { DATA, 4, false } }, 1);
	ck_assert_int_eq(virtqueue_pop(&vq, &chain), 1);
	virtqueue_push(&vq, chain.head, 0);
	ck_assert_int_eq(virtqueue_pop(&vq, &chain), 1);
	virtqueue_push(&vq, chain.head, 0);
	rig_store16(&rig, ring.avail + 2, 1);
	assert_broken();
	/* More than the queue's size in flight: the same head again and again. */
	rig_desc(&ring, 0, DATA, 4, 0, 0);
	for (unsigned int i = 0; i < SIZE; i++) {
		rig_offer(&ring, 0);
		ck_assert_int_eq(virtqueue_pop(&vq, &chain), 1);
	}
	rig_offer(&ring, 0);
	assert_broken();
	/* Ring entries beyond the table. */
	rig_offer(&ring, 0xffff);
	assert_broken();
	rig_offer(&ring, SIZE);
	assert_broken();
}
END_TEST

START_TEST(t04_used_ring_given_away)
{
	rig_add(&ring, (struct rig_buffer[]){ { DATA, 4, false } }, 1);
	ck_assert_int_eq(virtqueue_pop(&vq, &chain), 1);
	ck_assert_int_eq(memory_discard(rig.machine.memory, RING, 0x10000), 0);
	virtqueue_push(&vq, chain.head, 0);
	virtqueue_notify(&vq);
	/* The available index reads 0 now, one behind. */
	assert_broken();
}
END_TEST

START_TEST(t05_order)
{
	rig_add(&ring, (struct rig_buffer[]){ { DATA, 4, true }, { DATA, 4, false } }, 2);
	assert_broken();
}
END_TEST

START_TEST(t05_room)
{
	struct rig_buffer buffers[3] = { { DATA, 1, false },
					 { DATA, 1, false },
					 { DATA, 1, true } };

	chain.iov_max = 2;
	rig_add(&ring, buffers, 3);
	ck_assert_int_eq(virtqueue_pop(&vq, &chain), -EPROTO);
}
END_TEST

static int try_enable(uint16_t size, uint64_t desc, uint64_t driver, uint64_t device)
{
	virtqueue_reset(&vq);
	vq.size = size;
	vq.desc = desc;
	vq.driver = driver;
	vq.device = device;
	return virtqueue_enable(&vq);
}

START_TEST(t06_setup)
{
	static const uint16_t sizes[] = { 0, 3, 512, 32768, 65535 };
	static const uint64_t pages[] = { 0, 1, 0xffffffff, RAM_END, ~0ull, RAM_END - 8 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		ck_assert_int_eq(try_enable(sizes[i], ring.desc, ring.avail, ring.used), -EINVAL);
		ck_assert(vq.broken && !vq.enabled);
	}
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		ck_assert_int_eq(try_enable(SIZE, pages[i], ring.avail, ring.used), -EINVAL);
		ck_assert_int_eq(try_enable(SIZE, ring.desc, pages[i], ring.used), -EINVAL);
		ck_assert_int_eq(try_enable(SIZE, ring.desc, ring.avail, pages[i]), -EINVAL);
	}
	ck_assert_int_eq(try_enable(SIZE, ring.desc + 8, ring.avail, ring.used), -EINVAL);
	ck_assert_int_eq(try_enable(SIZE, ring.desc, ring.avail + 1, ring.used), -EINVAL);
	ck_assert_int_eq(try_enable(SIZE, ring.desc, ring.avail, ring.used + 2), -EINVAL);
	ck_assert_int_eq(virtqueue_pop(&vq, &chain), -EPROTO);
	ck_assert_int_eq(try_enable(1, ring.desc, ring.avail, ring.used), 0);
	/* All three areas at one place: the guest's own trouble, and only that. */
	ck_assert_int_eq(try_enable(SIZE, RING, RING, RING), 0);
	for (unsigned int i = 0; i < 1000 && virtqueue_pop(&vq, &chain) > 0; i++)
		virtqueue_push(&vq, chain.head, 0xffffffff);
	/* Not enabled: nothing to pop. */
	virtqueue_reset(&vq);
	ck_assert_int_eq(virtqueue_pop(&vq, &chain), 0);
}
END_TEST

static bool raised(struct irq_msi *msi)
{
	uint64_t count;

	return read(irq_msi_fd(msi), &count, sizeof(count)) == sizeof(count);
}

static void complete(unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		rig_add(&ring, (struct rig_buffer[]){ { DATA, 4, true } }, 1);
		ck_assert_int_eq(virtqueue_pop(&vq, &chain), 1);
		virtqueue_push(&vq, chain.head, 4);
	}
	virtqueue_notify(&vq);
}

START_TEST(interrupts_without_event_index)
{
	struct irq_msi *msi;

	ck_assert_int_eq(irq_msi_create(rig.machine.irq, &msi), 0);
	vq.msi = msi;
	virtqueue_notify(&vq);
	ck_assert(!raised(msi));
	complete(3);
	ck_assert(raised(msi));
	virtqueue_notify(&vq);
	ck_assert(!raised(msi));
	rig_store16(&rig, ring.avail, VRING_AVAIL_F_NO_INTERRUPT);
	complete(1);
	ck_assert(!raised(msi));
	rig_store16(&rig, ring.avail, 0);
	complete(1);
	ck_assert(raised(msi));
	virtqueue_disable_kicks(&vq);
	ck_assert_uint_eq(rig_load16(&rig, ring.used), VRING_USED_F_NO_NOTIFY);
	ck_assert(!virtqueue_enable_kicks(&vq));
	ck_assert_uint_eq(rig_load16(&rig, ring.used), 0);
	rig_add(&ring, (struct rig_buffer[]){ { DATA, 4, true } }, 1);
	ck_assert(virtqueue_enable_kicks(&vq));
	ck_assert_uint_eq(vq.interrupts, 2);
	irq_msi_destroy(msi);
}
END_TEST

START_TEST(interrupts_with_event_index)
{
	const uint64_t used_event = ring.avail + 4 + 2 * SIZE,
		       avail_event = ring.used + 4 + 8 * SIZE;
	struct irq_msi *msi;

	ck_assert_int_eq(irq_msi_create(rig.machine.irq, &msi), 0);
	vq.msi = msi;
	vq.event_idx = true;
	complete(1);
	ck_assert(raised(msi));
	rig_store16(&rig, used_event, 5); /* wants to hear when the sixth is used */
	complete(4);
	ck_assert(!raised(msi));
	complete(1);
	ck_assert(raised(msi));
	complete(1);
	ck_assert(!raised(msi));
	/* The flag is not looked at, extremes do no harm. */
	rig_store16(&rig, ring.avail, VRING_AVAIL_F_NO_INTERRUPT);
	for (unsigned int event = 0; event < 0x10000; event += 0x7fff) {
		rig_store16(&rig, used_event, (uint16_t)event);
		complete(1);
	}
	rig_store16(&rig, used_event, vq.used);
	(void)raised(msi);
	complete(1);
	ck_assert(raised(msi));
	ck_assert(!virtqueue_enable_kicks(&vq));
	ck_assert_uint_eq(rig_load16(&rig, avail_event), vq.last_avail);
	irq_msi_destroy(msi);
}
END_TEST

START_TEST(saved_and_loaded)
{
	struct virtqueue other = { .memory = rig.machine.memory, .max_size = 256, .kick_fd = -1 };
	struct state saved = { 0 }, reader;

	complete(5);
	rig_add(&ring, (struct rig_buffer[]){ { DATA, 77, false } }, 1);
	ck_assert_int_eq(virtqueue_save(&vq, &saved), 0);
	state_read_from(&reader, saved.bytes, saved.len);
	ck_assert_int_eq(virtqueue_load(&other, &reader), 0);
	ck_assert_int_eq(virtqueue_pop(&other, &chain), 1);
	ck_assert_uint_eq(chain.out_len, 77);
	/* Truncated at each byte, and flipped at each: never a crash. */
	for (size_t len = 0; len < saved.len; len++) {
		state_read_from(&reader, saved.bytes, len);
		ck_assert_int_lt(virtqueue_load(&other, &reader), 0);
		saved.bytes[len] ^= 0xff;
		state_read_from(&reader, saved.bytes, saved.len);
		if (virtqueue_load(&other, &reader) == 0)
			(void)virtqueue_pop(&other, &chain);
		saved.bytes[len] ^= 0xff;
	}
	state_finish(&saved);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("virtio_queue");
	TCase *tcase = tcase_create("queue");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, chain_has_out_then_in);
	tcase_add_test(tcase, buffer_in_a_window);
	tcase_add_test(tcase, buffer_in_a_window_is_dropped);
	tcase_add_test(tcase, unpop_gives_the_same_chain);
	tcase_add_test(tcase, zero_length_is_skipped);
	tcase_add_test(tcase, index_wraps);
	tcase_add_test(tcase, t01_loops);
	tcase_add_test(tcase, t01_longest_chain_is_fine);
	tcase_add_test(tcase, t01_next_beyond_the_table);
	tcase_add_test(tcase, t02_indirect);
	tcase_add_test(tcase, t02_unaligned_table_behind_direct_ones);
	tcase_add_test(tcase, t03_addresses);
	tcase_add_test(tcase, t03_total_beyond_32_bits);
	tcase_add_test(tcase, t04_indices);
	tcase_add_test(tcase, t04_used_ring_given_away);
	tcase_add_test(tcase, t05_order);
	tcase_add_test(tcase, t05_room);
	tcase_add_test(tcase, t06_setup);
	tcase_add_test(tcase, interrupts_without_event_index);
	tcase_add_test(tcase, interrupts_with_event_index);
	tcase_add_test(tcase, saved_and_loaded);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
