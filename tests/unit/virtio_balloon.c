// SPDX-License-Identifier: GPL-2.0-or-later
// virtio-balloon and virtio-rng: what is given back, what must not be (T42), statistics, numbers.
#include <check.h>
#include <endian.h>
#include <errno.h>
#include <linux/virtio_balloon.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/bus.h"
#include "host-vmm/memory.h"
#include "host-vmm/state.h"
#include "host-vmm/virtio/balloon.h"
#include "host-vmm/virtio/models.h"
#include "host-vmm/virtio/virtio.h"
#include "tests/unit/virtio_rig.h"
#include "tests/unit/unit.h"

#define RING(i) (0x100000ull + 0x10000ull * (i))
#define PFNS	0x200000ull
#define WINDOW	0x6000000000ull /* files mapped into the guest: no RAM */
#define PAGES	0x1000000ull /* where pages are given from */
#define SIZE	64
#define FEATURES                                                                        \
	(1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_BALLOON_F_STATS_VQ |               \
	 1ull << VIRTIO_BALLOON_F_REPORTING | 1ull << VIRTIO_BALLOON_F_DEFLATE_ON_OOM | \
	 1ull << VIRTIO_BALLOON_F_PAGE_POISON)

static struct rig rig;
static struct device *device;
static struct rig_driver driver;
static struct rig_ring inflate, deflate, stats, reporting, late;

static void setup_type(const struct device_type *type)
{
	rig = (struct rig){ .config.balloon = true, .config.rng = true };
	rig_create(&rig);
	ck_assert_uint_eq(type->count(&rig.config), 1);
	device = rig_add_device(&rig, type, 0);
	ck_assert_ptr_nonnull(device);
	rig.machine.devices = &device;
	rig.machine.n_devices = 1;
	rig_probe(&rig, 1, &driver);
}

static void bring_up(void)
{
	ck_assert(rig_negotiate(&driver, FEATURES));
	rig_queue(&inflate, &driver, 0, RING(0), SIZE);
	rig_queue(&deflate, &driver, 1, RING(1), SIZE);
	rig_queue(&stats, &driver, 2, RING(2), SIZE);
	rig_queue(&reporting, &driver, 3, RING(3), SIZE);
	rig_queue(&late, &driver, 4, RING(4), SIZE);
	rig_driver_ok(&driver);
	ck_assert_uint_eq(rig_status(&driver), 0xf);
}

static void setup_balloon(void)
{
	setup_type(&virtio_balloon_type);
	bring_up();
}

static void setup_rng(void)
{
	setup_type(&virtio_rng_type);
}

static void teardown(void)
{
	rig_remove_device(device);
	rig_destroy(&rig);
}

static void give_pfns(struct rig_ring *ring, const uint32_t *pfns, size_t n)
{
	ck_assert_int_eq(memory_write(rig.machine.memory, PFNS, pfns, n * sizeof(*pfns)), 0);
	rig_add(ring, (struct rig_buffer[]){ { PFNS, (uint32_t)(n * sizeof(*pfns)), false } }, 1);
	rig_kick(ring);
	ck_assert(rig_take(ring, NULL, NULL));
}

START_TEST(inflated_pages_read_zero)
{
	const uint32_t first = PAGES >> 12;
	/* Falling, twice, alone: none but these. */
	const uint32_t pfns[] = { first + 9, first + 8, first + 7, first + 7, first + 20 };

	rig_fill(&rig, PAGES, 32 * 4096, 0x77);
	give_pfns(&inflate, pfns, 5);
	ck_assert(rig_is_all(&rig, PAGES, 7 * 4096, 0x77));
	ck_assert(rig_is_all(&rig, PAGES + 7 * 4096, 3 * 4096, 0));
	ck_assert(rig_is_all(&rig, PAGES + 10 * 4096, 10 * 4096, 0x77));
	ck_assert(rig_is_all(&rig, PAGES + 20 * 4096, 4096, 0));
	ck_assert(rig_is_all(&rig, PAGES + 21 * 4096, 11 * 4096, 0x77));
	give_pfns(&deflate, pfns, 5);
	rig_fill(&rig, PAGES, 32 * 4096, 0x78);
	ck_assert(rig_is_all(&rig, PAGES, 32 * 4096, 0x78));
}
END_TEST

START_TEST(t42_bad_page_numbers)
{
	static const uint32_t bad[] = { RIG_MEMORY >> 12, 0xffffffff,	 0xfffffffe,
					0xc0000,	  0xfec00,	 0x100000,
					RING(0) >> 12,	  RING(0) >> 12, 0 };
	uint32_t many[8192];

	give_pfns(&inflate, bad, 6);
	/* The ring itself: the guest's loss, and no more than that. */
	ck_assert_int_eq(memory_write(rig.machine.memory, PFNS, bad, sizeof(bad)), 0);
	rig_add(&inflate, (struct rig_buffer[]){ { PFNS, sizeof(bad), false } }, 1);
	rig_kick(&inflate);
	rig_settle(((struct virtio_model *)device)->vdev.loop);
	bring_up();
	/* Lengths that are no multiple of four, none, a chain with more than we take. */
	for (uint32_t len = 0; len < 9; len++) {
		rig_add(&inflate, (struct rig_buffer[]){ { PFNS, len, false } }, 1);
		rig_kick(&inflate);
		ck_assert(rig_take(&inflate, NULL, NULL));
	}
	for (uint32_t i = 0; i < 8192; i++)
		many[i] = (PAGES >> 12) + i;
	rig_fill(&rig, PAGES, 8192 * 4096, 0x11);
	give_pfns(&inflate, many, 8192);
	ck_assert(rig_is_all(&rig, PAGES, 4096 * 4096, 0));
	ck_assert(rig_is_all(&rig, PAGES + 4096 * 4096, 4096 * 4096, 0x11));
	/* Deflating what was never inflated. */
	give_pfns(&deflate, bad, 6);
	ck_assert_uint_eq(rig_status(&driver), 0xf);
}
END_TEST

START_TEST(reported_pages_go_back)
{
	struct rig_ring *const rings[] = { &reporting, &late };
	struct balloon_info info;

	for (unsigned int i = 0; i < 2; i++) {
		rig_fill(&rig, PAGES, 64 * 4096, 0x55);
		rig_add(rings[i],
			(struct rig_buffer[]){ { PAGES, 16 * 4096, true },
					       { PAGES + 32 * 4096, 8 * 4096, true } },
			2);
		rig_kick(rings[i]);
		ck_assert(rig_take(rings[i], NULL, NULL));
		ck_assert(rig_is_all(&rig, PAGES, 16 * 4096, 0));
		ck_assert(rig_is_all(&rig, PAGES + 16 * 4096, 16 * 4096, 0x55));
		ck_assert(rig_is_all(&rig, PAGES + 32 * 4096, 8 * 4096, 0));
	}
	ck_assert_int_eq(balloon_get_info(&rig.machine, &info), 0);
	ck_assert_uint_eq(info.reported, 2 * 24 * 4096);
	/* A guest that poisons its free pages keeps them. */
	bus_write(rig.machine.mmio, driver.config + 12, 0xaaaaaaaa, 4);
	rig_fill(&rig, PAGES, 4096, 0xaa);
	rig_add(&reporting, (struct rig_buffer[]){ { PAGES, 4096, true } }, 1);
	rig_kick(&reporting);
	ck_assert(rig_take(&reporting, NULL, NULL));
	ck_assert(rig_is_all(&rig, PAGES, 4096, 0xaa));
}
END_TEST

START_TEST(target)
{
	struct balloon_info info;

	(void)rig_raised(&driver, 0);
	ck_assert_int_eq(balloon_set_target(&rig.machine, (16ull << 20) + 5), 0);
	ck_assert(rig_raised(&driver, 0));
	ck_assert_uint_eq(rig_config(&driver, 0, 4), 4096);
	bus_write(rig.machine.mmio, driver.config + 4, 4095, 4);
	ck_assert_int_eq(balloon_get_info(&rig.machine, &info), 0);
	ck_assert(info.driver);
	ck_assert_uint_eq(info.target, 16ull << 20);
	ck_assert_uint_eq(info.actual, 4095 * 4096);
	/* Said again while it is due, and no more. */
	(void)rig_raised(&driver, 0);
	ck_assert_int_eq(balloon_set_target(&rig.machine, 16ull << 20), 0);
	ck_assert(rig_raised(&driver, 0));
	bus_write(rig.machine.mmio, driver.config + 4, 4096, 4);
	ck_assert_int_eq(balloon_set_target(&rig.machine, 16ull << 20), 0);
	ck_assert(!rig_raised(&driver, 0));
	bus_write(rig.machine.mmio, driver.config + 4, 4095, 4);
	ck_assert_int_eq(balloon_set_target(&rig.machine, RIG_MEMORY), -ERANGE);
	ck_assert_int_eq(balloon_set_target(&rig.machine, UINT64_MAX), -ERANGE);
	/* The guest cannot move its target, and writes of other widths are dropped. */
	bus_write(rig.machine.mmio, driver.config, 0, 4);
	bus_write(rig.machine.mmio, driver.config + 4, 1, 1);
	ck_assert_uint_eq(rig_config(&driver, 0, 8), 4096 | 4095ull << 32);
	virtio_model_reset(device);
	ck_assert_int_eq(balloon_get_info(&rig.machine, &info), 0);
	ck_assert(!info.driver);
	ck_assert_uint_eq(info.target, 16ull << 20);
	ck_assert_uint_eq(info.actual, 0);
	rig.machine.n_devices = 0;
	ck_assert_int_eq(balloon_set_target(&rig.machine, 0), -ENODEV);
	ck_assert_int_eq(balloon_get_info(&rig.machine, &info), -ENODEV);
}
END_TEST

START_TEST(statistics)
{
	struct virtio_balloon_stat list[3] = { { VIRTIO_BALLOON_S_MEMFREE, 12345 },
					       { 77, 1 },
					       { VIRTIO_BALLOON_S_MEMTOT, 1ull << 40 } };
	struct state saved = { 0 };
	struct balloon_info info;

	ck_assert_int_eq(memory_write(rig.machine.memory, PFNS, list, sizeof(list)), 0);
	rig_add(&stats, (struct rig_buffer[]){ { PFNS, sizeof(list), false } }, 1);
	rig_kick(&stats);
	rig_settle(((struct virtio_model *)device)->vdev.loop);
	ck_assert_uint_eq(rig_used(&stats), 0); /* held until somebody asks */
	/* Across a save, too. */
	ck_assert_int_eq(virtio_model_save(device, &saved), 0);
	state_finish(&saved);
	ck_assert_int_eq(balloon_get_info(&rig.machine, &info), 0);
	ck_assert_uint_eq(info.stats[VIRTIO_BALLOON_S_MEMFREE], 12345);
	ck_assert_uint_eq(info.stats[VIRTIO_BALLOON_S_MEMTOT], 1ull << 40);
	ck_assert_uint_eq(info.stats[VIRTIO_BALLOON_S_CACHES], UINT64_MAX);
	ck_assert(rig_take(&stats, NULL, NULL));
	ck_assert_int_eq(balloon_get_info(&rig.machine, &info), 0);
	ck_assert_uint_eq(rig_used(&stats), 0);
	/* More buffers than one: all but the last come back. */
	for (unsigned int i = 0; i < 5; i++)
		rig_add(&stats, (struct rig_buffer[]){ { PFNS, 4000, false } }, 1);
	rig_kick(&stats);
	for (unsigned int i = 0; i < 4; i++)
		ck_assert(rig_take(&stats, NULL, NULL));
}
END_TEST

START_TEST(window_gives_nothing_back)
{
	struct rig_ring *const rings[] = { &inflate, &deflate, &stats, &reporting };
	uint32_t len;

	memory_set_window(rig.machine.memory, 0, WINDOW, 2 << 20);
	rig_fill(&rig, PAGES, 4096, 0x55);
	for (size_t i = 0; i < sizeof(rings) / sizeof(rings[0]); i++) {
		/* Two: statistics keep one. */
		for (unsigned int n = 0; n < 2; n++)
			rig_add(rings[i],
				(struct rig_buffer[]){ { WINDOW, 4096, rings[i] == &reporting } },
				1);
		rig_kick(rings[i]);
		ck_assert(rig_take(rings[i], NULL, &len));
		ck_assert_uint_eq(len, 0);
	}
	ck_assert(rig_is_all(&rig, PAGES, 4096, 0x55));
	ck_assert_uint_eq(rig_status(&driver), 0xf);
}
END_TEST

START_TEST(random_numbers)
{
	struct rig_ring ring;
	uint32_t len;

	ck_assert(rig_negotiate(&driver, 1ull << VIRTIO_F_VERSION_1));
	rig_queue(&ring, &driver, 0, RING(0), SIZE);
	rig_driver_ok(&driver);
	rig_fill(&rig, PAGES, 8192, 0);
	rig_add(&ring, (struct rig_buffer[]){ { PAGES, 64, true } }, 1);
	rig_kick(&ring);
	ck_assert(rig_take(&ring, NULL, &len));
	ck_assert_uint_eq(len, 64);
	ck_assert(!rig_is_all(&rig, PAGES, 64, 0));
	ck_assert(rig_is_all(&rig, PAGES + 64, 4096, 0));
	/* A long buffer gets some, an empty or a readable one none. */
	rig_add(&ring, (struct rig_buffer[]){ { PAGES, 1u << 20, true } }, 1);
	rig_add(&ring, (struct rig_buffer[]){ { PAGES, 0, true } }, 1);
	rig_add(&ring, (struct rig_buffer[]){ { PAGES, 64, false } }, 1);
	rig_kick(&ring);
	ck_assert(rig_take(&ring, NULL, &len));
	ck_assert_uint_gt(len, 0);
	ck_assert(rig_take(&ring, NULL, &len));
	ck_assert_uint_eq(len, 0);
	ck_assert(rig_take(&ring, NULL, &len));
	ck_assert_uint_eq(len, 0);
	/* Nor does a file that is mapped into the guest. */
	memory_set_window(rig.machine.memory, 0, WINDOW, 2 << 20);
	rig_add(&ring, (struct rig_buffer[]){ { WINDOW, 64, true } }, 1);
	rig_kick(&ring);
	ck_assert(rig_take(&ring, NULL, &len));
	ck_assert_uint_eq(len, 0);
	/* More chains than one turn serves. */
	for (unsigned int round = 0; round < 10; round++) {
		for (unsigned int i = 0; i < SIZE; i++)
			rig_add(&ring, (struct rig_buffer[]){ { PAGES, 4, true } }, 1);
		rig_kick(&ring);
		for (unsigned int i = 0; i < SIZE; i++)
			ck_assert(rig_take(&ring, NULL, &len));
	}
	ck_assert_uint_eq(rig_status(&driver), 0xf);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("virtio_balloon");
	TCase *balloon = tcase_create("balloon"), *rng = tcase_create("rng");

	tcase_set_timeout(balloon, 60);
	tcase_add_checked_fixture(balloon, setup_balloon, teardown);
	tcase_add_test(balloon, inflated_pages_read_zero);
	tcase_add_test(balloon, t42_bad_page_numbers);
	tcase_add_test(balloon, reported_pages_go_back);
	tcase_add_test(balloon, target);
	tcase_add_test(balloon, statistics);
	tcase_add_test(balloon, window_gives_nothing_back);
	tcase_set_timeout(rng, 60);
	tcase_add_checked_fixture(rng, setup_rng, teardown);
	tcase_add_test(rng, random_numbers);
	suite_add_tcase(suite, balloon);
	suite_add_tcase(suite, rng);
	return unit_run(suite);
}
