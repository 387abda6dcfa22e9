// SPDX-License-Identifier: GPL-2.0-or-later
// The MP table: what a kernel that does not use ACPI reads out of it.
#include <check.h>
#include <stdbool.h>
#include <string.h>

#include "host-vmm/boot/mptable.h"
#include "host-vmm/layout.h"
#include "tests/unit/unit.h"

#define HEADER 44u

static uint8_t table[MPTABLE_MAX], pointer[MPTABLE_POINTER_BYTES];
static size_t length;

static unsigned int sum(const uint8_t *bytes, size_t len)
{
	uint8_t total = 0;

	for (size_t i = 0; i < len; i++)
		total += bytes[i];
	return total;
}

static uint32_t field(const uint8_t *bytes, size_t at, unsigned int size)
{
	uint32_t value = 0;

	memcpy(&value, bytes + at, size);
	return value;
}

static void build(unsigned int cpus)
{
	memset(table, 0xee, sizeof(table));
	memset(pointer, 0xee, sizeof(pointer));
	length = mptable_build(cpus, LAYOUT_MPTABLE, table, pointer);
	ck_assert_uint_le(length, sizeof(table));
}

/* How many entries of @type there are; the last one's place in @ret_at. */
static unsigned int count(unsigned int type, size_t *ret_at)
{
	size_t at = HEADER;
	unsigned int n = 0;

	for (unsigned int left = field(table, 34, 2); left > 0; left--) {
		ck_assert_uint_lt(at, length);
		if (table[at] == type) {
			*ret_at = at;
			n++;
		}
		at += table[at] == 0 ? 20 : 8;
	}
	ck_assert_uint_eq(at, length);
	return n;
}

START_TEST(checksums_and_lengths)
{
	const unsigned int cpus[] = { 1, 4, 64 };

	for (size_t i = 0; i < sizeof(cpus) / sizeof(cpus[0]); i++) {
		size_t at = 0;

		build(cpus[i]);
		ck_assert_int_eq(memcmp(pointer, "_MP_", 4), 0);
		ck_assert_uint_eq(field(pointer, 4, 4), LAYOUT_MPTABLE);
		ck_assert_uint_eq(pointer[8], 1);
		ck_assert_uint_eq(pointer[9], 4);
		ck_assert_uint_eq(sum(pointer, sizeof(pointer)), 0);
		ck_assert_int_eq(memcmp(table, "PCMP", 4), 0);
		ck_assert_uint_eq(field(table, 4, 2), length);
		ck_assert_uint_eq(sum(table, length), 0);
		ck_assert_int_eq(memcmp(table + 8, "LODGE   LODGEVM     ", 20), 0);
		ck_assert_uint_eq(field(table, 36, 4), LAYOUT_LAPIC);
		ck_assert_uint_eq(count(0, &at), cpus[i]);
		ck_assert_uint_eq(table[at + 1], cpus[i] - 1);
		ck_assert_uint_eq(count(2, &at), 1);
		ck_assert_uint_eq(field(table, at + 4, 4), LAYOUT_IOAPIC);
		ck_assert_uint_eq(count(1, &at), 2);
		ck_assert_uint_eq(count(4, &at), 2);
	}
	/* Only the first is the one that boots. */
	ck_assert_uint_eq(table[HEADER + 3], 3);
	ck_assert_uint_eq(table[HEADER + 20 + 3], 1);
}
END_TEST

START_TEST(lines)
{
	size_t at = 0;

	build(2);
	ck_assert_uint_eq(count(3, &at), 15);
	for (at -= 14 * 8; table[at] == 3; at += 8) {
		unsigned int irq = table[at + 5], pin = table[at + 7];

		ck_assert_uint_ne(irq, 2);
		ck_assert_uint_eq(pin, irq == 0 ? 2 : irq);
		/* The SCI is level-triggered and active high; the others are as the bus has them.
		 */
		ck_assert_uint_eq(field(table, at + 2, 2), irq == LAYOUT_IRQ_SCI ? 0xd : 0);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("vmm_mptable");
	TCase *tcase = tcase_create("mptable");

	tcase_add_test(tcase, checksums_and_lengths);
	tcase_add_test(tcase, lines);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
