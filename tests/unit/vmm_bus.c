// SPDX-License-Identifier: GPL-2.0-or-later
// Buses: who answers where, what straddles, and regions that move while others use them.
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/bus.h"
#include "tests/unit/unit.h"

struct scratch {
	struct io_region region;
	uint8_t bytes[64];
	unsigned int calls; /* atomic */
};

static struct bus *bus;

static uint64_t scratch_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct scratch *scratch = opaque;
	uint64_t value = 0;

	ck_assert_uint_le(offset + size, scratch->region.size);
	__atomic_add_fetch(&scratch->calls, 1, __ATOMIC_RELAXED);
	memcpy(&value, scratch->bytes + offset, size);
	/* Whatever a handler leaves above is cut off. */
	return size == 8 ? value : value | ~0ull << (8 * size);
}

static void scratch_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct scratch *scratch = opaque;

	ck_assert_uint_le(offset + size, scratch->region.size);
	__atomic_add_fetch(&scratch->calls, 1, __ATOMIC_RELAXED);
	memcpy(scratch->bytes + offset, &value, size);
}

static const struct io_ops scratch_ops = { .read = scratch_read, .write = scratch_write };

static void scratch_init(struct scratch *scratch, uint64_t size)
{
	*scratch = (struct scratch){
		.region = { .name = "scratch", .size = size, .ops = &scratch_ops },
	};
	scratch->region.opaque = scratch;
}

static void setup(void)
{
	ck_assert_int_eq(bus_create("test", 0x10000, &bus), 0);
}

static void teardown(void)
{
	bus_destroy(bus);
}

START_TEST(overlaps_are_refused)
{
	struct scratch a, b;

	scratch_init(&a, 16);
	scratch_init(&b, 16);
	ck_assert_int_eq(bus_claim(bus, &a.region, 0x100), 0);
	ck_assert_int_eq(bus_claim(bus, &a.region, 0x200), -EBUSY);
	ck_assert_int_eq(bus_claim(bus, &b.region, 0x10f), -EBUSY);
	ck_assert_int_eq(bus_claim(bus, &b.region, 0xf1), -EBUSY);
	ck_assert_int_eq(bus_claim(bus, &b.region, 0xfff1), -EINVAL);
	ck_assert_int_eq(bus_claim(bus, &b.region, UINT64_MAX - 8), -EINVAL);
	ck_assert_int_eq(bus_claim(bus, &b.region, 0xfff0), 0);
	bus_release(bus, &b.region);
	bus_release(bus, &b.region);
	ck_assert_int_eq(bus_claim(bus, &b.region, 0xf0), 0);
	bus_release(bus, &a.region);
	bus_release(bus, &b.region);
}
END_TEST

START_TEST(nobody_answers_with_ones)
{
	ck_assert_uint_eq(bus_read(bus, 0x80, 1), 0xff);
	ck_assert_uint_eq(bus_read(bus, 0x80, 2), 0xffff);
	ck_assert_uint_eq(bus_read(bus, 0x80, 4), 0xffffffff);
	ck_assert_uint_eq(bus_read(bus, UINT64_MAX - 3, 8), UINT64_MAX);
	bus_write(bus, UINT64_MAX, 1, 8);
}
END_TEST

START_TEST(straddling_is_by_bytes)
{
	struct scratch a, b;

	scratch_init(&a, 4);
	scratch_init(&b, 2);
	ck_assert_int_eq(bus_claim(bus, &a.region, 0x10), 0);
	ck_assert_int_eq(bus_claim(bus, &b.region, 0x14), 0);
	bus_write(bus, 0x12, 0x0807060504030201, 8);
	ck_assert_uint_eq(a.bytes[2], 1);
	ck_assert_uint_eq(a.bytes[3], 2);
	ck_assert_uint_eq(b.bytes[0], 3);
	ck_assert_uint_eq(b.bytes[1], 4);
	ck_assert_uint_eq(bus_read(bus, 0x12, 8), 0xffffffff04030201);
	/* Begins where nobody is. */
	ck_assert_uint_eq(bus_read(bus, 0x0e, 4), 0x0000ffff);
	a.calls = 0;
	ck_assert_uint_eq(bus_read(bus, 0x10, 4), 0x02010000);
	ck_assert_uint_eq(a.calls, 1);
	bus_release(bus, &a.region);
	bus_release(bus, &b.region);
}
END_TEST

START_TEST(many_regions_are_found)
{
	static struct scratch scratches[200];

	for (unsigned int i = 0; i < 200; i++) {
		unsigned int at = i * 73 % 200;

		scratch_init(&scratches[at], 8);
		scratches[at].bytes[0] = at;
		ck_assert_int_eq(bus_claim(bus, &scratches[at].region, at * 16), 0);
	}
	for (unsigned int i = 0; i < 200; i++) {
		ck_assert_uint_eq(bus_read(bus, i * 16, 1), i);
		ck_assert_uint_eq(bus_read(bus, i * 16 + 8, 1), 0xff);
	}
	for (unsigned int i = 0; i < 200; i++)
		bus_release(bus, &scratches[i].region);
}
END_TEST

struct mover {
	struct io_region region;
	struct scratch target;
};

static void mover_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct mover *mover = opaque;

	(void)offset;
	(void)size;
	bus_release(bus, &mover->target.region);
	ck_assert_int_eq(bus_claim(bus, &mover->target.region, value), 0);
}

START_TEST(a_handler_moves_another_region)
{
	static const struct io_ops ops = { .read = scratch_read, .write = mover_write };
	struct mover mover = { .region = { .name = "mover", .size = 4, .ops = &ops } };

	mover.region.opaque = &mover;
	scratch_init(&mover.target, 16);
	mover.target.bytes[0] = 0x42;
	ck_assert_int_eq(bus_claim(bus, &mover.region, 0x10), 0);
	bus_write(bus, 0x10, 0x1000, 4);
	ck_assert_uint_eq(bus_read(bus, 0x1000, 1), 0x42);
	bus_write(bus, 0x10, 0x2000, 4);
	ck_assert_uint_eq(bus_read(bus, 0x1000, 1), 0xff);
	ck_assert_uint_eq(bus_read(bus, 0x2000, 1), 0x42);
	bus_release(bus, &mover.region);
	bus_release(bus, &mover.target.region);
}
END_TEST

static bool stop;

static void *hammer(void *opaque)
{
	(void)opaque;
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		(void)bus_read(bus, 0x100, 4);
		(void)bus_read(bus, 0x104, 8);
	}
	return NULL;
}

/* The region's memory is poisoned as soon as release returns: no handler may still use it. */
START_TEST(release_waits_for_handlers)
{
	pthread_t threads[3];

	stop = false;
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, hammer, NULL), 0);
	for (int i = 0; i < 2000; i++) {
		struct scratch *scratch = malloc(sizeof(*scratch));

		scratch_init(scratch, 32);
		ck_assert_int_eq(bus_claim(bus, &scratch->region, 0x100), 0);
		bus_write(bus, 0x110, 2, 4);
		bus_release(bus, &scratch->region);
		free(scratch);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("vmm_bus");
	TCase *tcase = tcase_create("bus");

	tcase_set_timeout(tcase, 30);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, overlaps_are_refused);
	tcase_add_test(tcase, nobody_answers_with_ones);
	tcase_add_test(tcase, straddling_is_by_bytes);
	tcase_add_test(tcase, many_regions_are_found);
	tcase_add_test(tcase, a_handler_moves_another_region);
	tcase_add_test(tcase, release_waits_for_handlers);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
