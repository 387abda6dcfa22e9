// SPDX-License-Identifier: GPL-2.0-or-later
// Guest memory: what lies where, copies at the edges, loading and giving back.
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host-vmm/layout.h"
#include "host-vmm/memory.h"
#include "tests/unit/unit.h"

#define SIZE (16ull << 20)

static struct memory *memory;

static void setup_shared(void)
{
	ck_assert_int_eq(memory_create(SIZE, MEMORY_SHARED, &memory), 0);
}

static void setup_private(void)
{
	ck_assert_int_eq(memory_create(SIZE, MEMORY_PRIVATE, &memory), 0);
}

static void teardown(void)
{
	memory_destroy(memory);
}

START_TEST(sizes_are_checked)
{
	const uint64_t bad[] = {
		0, 1, 4095, 4097, LAYOUT_RAM_MAX + 4096, UINT64_MAX, UINT64_MAX & ~4095ull
	};
	struct memory *other;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_int_eq(memory_create(bad[i], (enum memory_kind)(i % 2), &other), -EINVAL);
}
END_TEST

START_TEST(large_memory_has_a_hole)
{
	const struct memory_region *regions;
	struct memory *large;
	uint32_t value = 0x12345678, seen = 0;
	size_t n;

	ck_assert_int_eq(memory_create(5ull << 30, MEMORY_PRIVATE, &large), 0);
	regions = memory_regions(large, &n);
	ck_assert_uint_eq(n, 2);
	ck_assert_uint_eq(regions[0].size, LAYOUT_LOW_RAM_END);
	ck_assert_uint_eq(regions[1].gpa, LAYOUT_HIGH_RAM);
	ck_assert_uint_eq(regions[1].file_offset, LAYOUT_LOW_RAM_END);
	ck_assert_uint_eq(regions[1].size, (5ull << 30) - LAYOUT_LOW_RAM_END);
	ck_assert_uint_eq((uintptr_t)regions[0].host % (2 << 20), 0);
	ck_assert_int_eq(memory_write(large, LAYOUT_HIGH_RAM, &value, 4), 0);
	ck_assert_int_eq(memory_read(large, LAYOUT_HIGH_RAM, &seen, 4), 0);
	ck_assert_uint_eq(seen, value);
	/* A range does not go on behind the hole. */
	ck_assert_int_eq(memory_write(large, LAYOUT_LOW_RAM_END - 2, &value, 4), -EFAULT);
	ck_assert_int_eq(memory_read(large, LAYOUT_LOW_RAM_END, &seen, 1), -EFAULT);
	memory_destroy(large);
}
END_TEST

START_TEST(edges)
{
	uint8_t bytes[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	struct iovec iov;

	ck_assert_int_eq(memory_write(memory, SIZE - 8, bytes, 8), 0);
	ck_assert_int_eq(memory_write(memory, SIZE - 7, bytes, 8), -EFAULT);
	ck_assert_int_eq(memory_read(memory, SIZE, bytes, 1), -EFAULT);
	ck_assert_int_eq(memory_read(memory, UINT64_MAX, bytes, 8), -EFAULT);
	ck_assert_int_eq(memory_read(memory, UINT64_MAX - 3, bytes, 4), -EFAULT);
	ck_assert_int_eq(memory_read(memory, 0, bytes, SIZE_MAX), -EFAULT);
	ck_assert_int_eq(memory_read(memory, UINT64_MAX, bytes, 0), 0);
	ck_assert_int_eq(memory_iov(memory, SIZE - 1, 1, &iov), 0);
	ck_assert_int_eq(memory_iov(memory, SIZE - 1, 2, &iov), -EFAULT);
	ck_assert_int_eq(memory_iov(memory, 0, 0, &iov), -EINVAL);
}
END_TEST

START_TEST(vectors)
{
	struct iovec iov[3];
	char text[16] = "";

	ck_assert_int_eq(memory_iov(memory, 0x1000, 3, &iov[0]), 0);
	ck_assert_int_eq(memory_iov(memory, 0x5000, 4, &iov[1]), 0);
	ck_assert_int_eq(memory_iov(memory, 0x3000, 5, &iov[2]), 0);
	ck_assert_uint_eq(memory_iov_write(iov, 3, 0, "abcdefghijklmn", 14), 12);
	ck_assert_uint_eq(memory_iov_read(iov, 3, 2, text, 6), 6);
	ck_assert_str_eq(text, "cdefgh");
	ck_assert_uint_eq(memory_iov_read(iov, 3, 12, text, 6), 0);
	ck_assert_int_eq(memory_read(memory, 0x5000, text, 4), 0);
	ck_assert_int_eq(memcmp(text, "defg", 4), 0);
}
END_TEST

START_TEST(loading)
{
	uint8_t *bytes = calloc(1, 1 << 20), *seen = calloc(1, 1 << 20);
	int fd = memfd_create("image", MFD_CLOEXEC);

	/* Bytes, 512 KiB of zeroes, bytes that end within a page. */
	memset(bytes, 0xab, 4096 + 77);
	memset(bytes + (600 << 10), 0xcd, (400 << 10) + 5);
	ck_assert_int_eq(write(fd, bytes, 1 << 20), 1 << 20);
	ck_assert_int_eq(memory_load(memory, 0x100000, fd, 0, 1 << 20), 0);
	ck_assert_int_eq(memory_read(memory, 0x100000, seen, 1 << 20), 0);
	ck_assert_int_eq(memcmp(seen, bytes, 1 << 20), 0);
	/* Nothing is written behind it, nor before. */
	memset(bytes, 0, 4096);
	ck_assert_int_eq(memory_read(memory, 0x200000, seen, 4096), 0);
	ck_assert_int_eq(memcmp(seen, bytes, 4096), 0);
	ck_assert_int_eq(memory_read(memory, 0xff000, seen, 4096), 0);
	ck_assert_int_eq(memcmp(seen, bytes, 4096), 0);
	memset(bytes, 0xab, 4096);
	ck_assert_int_eq(memory_load(memory, 0x200003, fd, 4095, 1000), 0);
	ck_assert_int_eq(memory_read(memory, 0x200003, seen, 1000), 0);
	ck_assert_int_eq(memcmp(seen, bytes + 4095, 1000), 0);
	ck_assert_int_eq(memory_load(memory, 0x100000, fd, 1, 1 << 20), -ENODATA);
	ck_assert_int_eq(memory_load(memory, SIZE - 10, fd, 0, 11), -EFAULT);
	ck_assert_int_eq(memory_load(memory, SIZE, fd, 0, 0), 0);
	close(fd);
	free(bytes);
	free(seen);
}
END_TEST

/* What the host holds for the guest. */
static uint64_t bytes_in_use(void)
{
	const struct memory_region *regions;
	uint64_t used = 0;
	struct stat st;
	size_t n;

	if (memory_fd(memory) >= 0) {
		ck_assert_int_eq(fstat(memory_fd(memory), &st), 0);
		return (uint64_t)st.st_blocks * 512;
	}
	regions = memory_regions(memory, &n);
	for (size_t i = 0; i < n; i++) {
		unsigned char *pages = calloc(1, regions[i].size / 4096);

		ck_assert_int_eq(mincore(regions[i].host, regions[i].size, pages), 0);
		for (uint64_t page = 0; page < regions[i].size / 4096; page++)
			used += (pages[page] & 1) * 4096;
		free(pages);
	}
	return used;
}

START_TEST(loading_sparse_files)
{
	const uint64_t huge = 2ull << 20;
	int fd = memfd_create("image", MFD_CLOEXEC);
	uint64_t before = bytes_in_use();
	char seen[8] = "";

	ck_assert_int_eq(ftruncate(fd, 4 * huge), 0);
	ck_assert_int_eq(pwrite(fd, "first", 6, 0), 6);
	ck_assert_int_eq(pwrite(fd, "middle", 7, 2 * huge + 5000), 7);
	ck_assert_int_eq(memory_load(memory, 2 * huge, fd, 0, 4 * huge), 0);
	ck_assert_int_eq(memory_read(memory, 2 * huge, seen, 6), 0);
	ck_assert_str_eq(seen, "first");
	ck_assert_int_eq(memory_read(memory, 4 * huge + 5000, seen, 7), 0);
	ck_assert_str_eq(seen, "middle");
	ck_assert_int_eq(memory_read(memory, 4 * huge + 4999, seen, 1), 0);
	ck_assert_int_eq(seen[0], 0);
	/* Holes take no memory. */
	ck_assert_uint_le(bytes_in_use() - before, 2 * huge);
	/* The end is the end, also behind a hole. */
	ck_assert_int_eq(memory_load(memory, 2 * huge, fd, huge, 3 * huge + 1), -ENODATA);
	ck_assert_int_eq(memory_load(memory, 2 * huge, fd, 3 * huge, huge + 1), -ENODATA);
	ck_assert_int_eq(memory_load(memory, 2 * huge, fd, 3 * huge, huge), 0);
	ck_assert_int_eq(memory_load(memory, 2 * huge, fd, 5 * huge, 1), -ENODATA);
	close(fd);
}
END_TEST

START_TEST(discarding)
{
	uint8_t bytes[3 * 4096], zeroes[4096] = { 0 };

	memset(bytes, 0x11, sizeof(bytes));
	ck_assert_int_eq(memory_write(memory, 0x4000, bytes, sizeof(bytes)), 0);
	/* Rounded inwards: only the page in the middle. */
	ck_assert_int_eq(memory_discard(memory, 0x4001, sizeof(bytes) - 2), 0);
	ck_assert_int_eq(memory_read(memory, 0x4000, bytes, sizeof(bytes)), 0);
	ck_assert_uint_eq(bytes[4095], 0x11);
	ck_assert_int_eq(memcmp(bytes + 4096, zeroes, 4096), 0);
	ck_assert_uint_eq(bytes[8192], 0x11);
	ck_assert_int_eq(memory_discard(memory, SIZE - 4096, 8192), -EFAULT);
	ck_assert_int_eq(memory_discard(memory, UINT64_MAX - 4095, 4096), -EFAULT);
	ck_assert_int_eq(memory_discard(memory, 0x10, 20), 0);
}
END_TEST

/* Whether @flag is among the VmFlags of the mapping that holds @address. */
static bool has_flag(const void *address, const char *flag)
{
	FILE *smaps = fopen("/proc/self/smaps", "re");
	uintptr_t at = (uintptr_t)address;
	bool here = false, found = false;
	char line[512];

	ck_assert_ptr_nonnull(smaps);
	while (fgets(line, sizeof(line), smaps)) {
		unsigned long start, end;

		if (sscanf(line, "%lx-%lx", &start, &end) == 2)
			here = at >= start && at < end;
		if (here && strncmp(line, "VmFlags:", 8) == 0)
			found = strstr(line, flag) != NULL;
	}
	fclose(smaps);
	return found;
}

START_TEST(private_pages_given_back_stay_so)
{
	const uint64_t huge = 2ull << 20;
	const struct memory_region *regions;
	uint8_t *host;
	size_t n;

	ck_assert_int_eq(memory_fd(memory), -1);
	regions = memory_regions(memory, &n);
	host = regions[0].host;
	if (!has_flag(host, " hg")) {
		fprintf(stderr, "vmm_memory: this kernel has no huge pages: skipped\n");
		return;
	}
	/* A part: the host must not make one page of the stretch again, and of that one alone. */
	ck_assert_int_eq(memory_discard(memory, 3 * huge + 4096, 4096), 0);
	ck_assert(!has_flag(host + 3 * huge, " hg") && has_flag(host + 3 * huge, " nh"));
	ck_assert(has_flag(host + 2 * huge, " hg") && has_flag(host + 4 * huge, " hg"));
	/* The whole of it, and more. */
	ck_assert_int_eq(memory_discard(memory, 2 * huge + 4096, 3 * huge), 0);
	ck_assert(has_flag(host + 3 * huge, " hg") && has_flag(host + 4 * huge, " hg"));
	ck_assert(has_flag(host + 2 * huge, " nh") && has_flag(host + 5 * huge, " nh"));
	ck_assert_int_eq(memory_discard(memory, 0, SIZE), 0);
	ck_assert(has_flag(host + 2 * huge, " hg") && has_flag(host + 5 * huge, " hg"));
	ck_assert_int_eq(memory_collapse(memory), 0);
}
END_TEST

START_TEST(what_is_given_back_is_free)
{
	const uint64_t huge = 2ull << 20;
	uint8_t *bytes = malloc(2 * huge), *seen = calloc(1, huge);
	uint64_t full;

	memset(bytes, 0x77, 2 * huge);
	ck_assert_int_eq(memory_write(memory, 2 * huge, bytes, 2 * huge), 0);
	full = bytes_in_use();
	ck_assert_uint_ge(full, 2 * huge);
	ck_assert_int_eq(memory_discard(memory, 2 * huge, huge), 0);
	ck_assert_uint_le(bytes_in_use(), full - huge);
	ck_assert_int_eq(memory_discard(memory, 3 * huge + 4096, 4096), 0);
	ck_assert_uint_le(bytes_in_use(), full - huge - 4096);
	ck_assert_int_eq(memory_read(memory, 3 * huge, seen, 3 * 4096), 0);
	ck_assert_int_eq(memcmp(seen, bytes, 4096), 0);
	ck_assert_int_eq(memcmp(seen + 8192, bytes, 4096), 0);
	ck_assert(seen[4096] == 0 && memcmp(seen + 4096, seen + 4097, 4095) == 0);
	free(bytes);
	free(seen);
}
END_TEST

/* KiB of this process's page tables. */
static unsigned long tables(void)
{
	FILE *status = fopen("/proc/self/status", "re");
	unsigned long kib = 0;
	char line[256];

	ck_assert_ptr_nonnull(status);
	while (fgets(line, sizeof(line), status))
		if (sscanf(line, "VmPTE: %lu", &kib) == 1)
			break;
	fclose(status);
	return kib;
}

static unsigned int mappings(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned int n = 0;
	int c;

	ck_assert_ptr_nonnull(maps);
	while ((c = fgetc(maps)) != EOF)
		n += c == '\n';
	fclose(maps);
	return n;
}

/* In small pages, each stretch has a table; what is left has them still, in as many mappings. */
START_TEST(tables_are_given_back)
{
	const uint64_t huge = 2ull << 20;
	const struct memory_region *regions;
	struct memory *large;
	unsigned long before;
	unsigned int maps;
	uint8_t one = 1, seen = 0;
	size_t n;

	ck_assert_int_eq(memory_create(128 * huge, MEMORY_SHARED, &large), 0);
	regions = memory_regions(large, &n);
	(void)madvise(regions[0].host, 128 * huge, MADV_NOHUGEPAGE);
	for (uint64_t i = 0; i < 128; i++)
		ck_assert_int_eq(memory_write(large, i * huge + 4096, &one, 1), 0);
	before = tables();
	maps = mappings();
	(void)madvise(regions[0].host, 128 * huge, MADV_HUGEPAGE);
	ck_assert_int_eq(memory_discard(large, 8 * huge, huge), 0);
	ck_assert_int_eq(memory_discard(large, 9 * huge, 119 * huge), 0);
	ck_assert_uint_le(tables() + 4 * 100, before);
	ck_assert_uint_le(mappings(), maps + 1);
	ck_assert(has_flag((uint8_t *)regions[0].host + 9 * huge, " dc"));
	ck_assert(has_flag((uint8_t *)regions[0].host + 9 * huge, " dd"));
	ck_assert_int_eq(memory_read(large, 7 * huge + 4096, &seen, 1), 0);
	ck_assert_uint_eq(seen, 1);
	ck_assert_int_eq(memory_read(large, 9 * huge + 4096, &seen, 1), 0);
	ck_assert_uint_eq(seen, 0);
	/* It is the same memory for others as before. */
	ck_assert_int_eq(memory_write(large, 9 * huge, &one, 1), 0);
	ck_assert_int_eq(pread(memory_fd(large), &seen, 1, (off_t)(9 * huge)), 1);
	ck_assert_uint_eq(seen, 1);
	memory_destroy(large);
}
END_TEST

/* Whatever is given back in whatever order, it stays one mapping. */
START_TEST(mappings_stay_few)
{
	const uint64_t huge = 2ull << 20;
	unsigned int before = mappings();
	uint8_t one = 1;

	for (uint64_t i = 0; i < SIZE / huge; i++)
		ck_assert_int_eq(memory_write(memory, i * huge, &one, 1), 0);
	for (uint64_t i = 0; i < 4 * SIZE / huge; i++) {
		uint64_t at = i * 5 % (SIZE / huge) * huge;

		ck_assert_int_eq(memory_discard(memory, at, huge), 0);
		ck_assert_int_eq(memory_write(memory, at, &one, 1), 0);
	}
	ck_assert_uint_le(mappings(), before + 1);
}
END_TEST

START_TEST(collapsing)
{
	const uint64_t huge = 2ull << 20;
	uint32_t value = 0x12345678, seen = 0;

	ck_assert_int_eq(memory_collapse(memory), 0); /* nothing is in use */
	ck_assert_int_eq(memory_write(memory, 3 * huge + 77, &value, 4), 0);
	ck_assert_int_eq(memory_write(memory, 6 * huge - 4, &value, 4), 0);
	if (memory_collapse(memory) == 0) {
		fprintf(stderr, "vmm_memory: this kernel does not collapse pages: skipped\n");
		ck_assert_uint_eq(bytes_in_use(), 8192);
		return;
	}
	ck_assert_uint_eq(bytes_in_use(), 2 * huge);
	ck_assert_int_eq(memory_collapse(memory), 0);
	ck_assert_int_eq(memory_read(memory, 3 * huge + 77, &seen, 4), 0);
	ck_assert_uint_eq(seen, value);
	ck_assert_int_eq(memory_read(memory, 6 * huge - 4, &seen, 4), 0);
	ck_assert_uint_eq(seen, value);

	/* What the guest gave back stays given back... */
	ck_assert_int_eq(memory_discard(memory, 3 * huge + 4096, 8192), 0);
	ck_assert_int_eq(memory_collapse(memory), 0);
	ck_assert_uint_le(bytes_in_use(), 2 * huge - 8192);
	/* ...and a whole stretch is as new. */
	ck_assert_int_eq(memory_discard(memory, 5 * huge, huge), 0);
	ck_assert_uint_lt(bytes_in_use(), huge);
	ck_assert_int_eq(memory_write(memory, 5 * huge, &value, 4), 0);
	ck_assert_int_eq(memory_collapse(memory), 1);
}
END_TEST

START_TEST(others_cannot_cut_it)
{
	ck_assert_int_lt(ftruncate(memory_fd(memory), 4096), 0);
	ck_assert_int_lt(ftruncate(memory_fd(memory), 2 * SIZE), 0);
}
END_TEST

static void add_for_both(TCase *tcase)
{
	tcase_add_test(tcase, sizes_are_checked);
	tcase_add_test(tcase, large_memory_has_a_hole);
	tcase_add_test(tcase, edges);
	tcase_add_test(tcase, vectors);
	tcase_add_test(tcase, loading);
	tcase_add_test(tcase, loading_sparse_files);
	tcase_add_test(tcase, discarding);
	tcase_add_test(tcase, what_is_given_back_is_free);
	tcase_add_test(tcase, mappings_stay_few);
}

int main(void)
{
	Suite *suite = suite_create("vmm_memory");
	TCase *shared = tcase_create("shared"), *private = tcase_create("private");

	tcase_add_checked_fixture(shared, setup_shared, teardown);
	add_for_both(shared);
	tcase_add_test(shared, collapsing);
	tcase_add_test(shared, tables_are_given_back);
	tcase_add_test(shared, others_cannot_cut_it);
	suite_add_tcase(suite, shared);
	tcase_add_checked_fixture(private, setup_private, teardown);
	add_for_both(private);
	tcase_add_test(private, private_pages_given_back_stay_so);
	suite_add_tcase(suite, private);
	return unit_run(suite);
}
