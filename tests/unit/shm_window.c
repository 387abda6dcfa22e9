// SPDX-License-Identifier: GPL-2.0-or-later
// Windows of file mappings: what may be mapped where, what a cut file leaves, without KVM.
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host-vmm/shm_window.h"
#include "tests/unit/unit.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* <asm-generic/mman-common.h> of Linux 6.1 */
#endif

#define SIZE	   (8ull << 20)
#define PIECE	   (2ull << 20)
#define PAGE	   4096ull
#define FILE_BYTES (3 * PIECE)

static struct shm_window *window;
static uint8_t *host; /* of the window */
static int file; /* each page begins with its number + 1 */

static void setup(void)
{
	ck_assert_int_eq(shm_window_create(SIZE, -1, 0, &window), 0);
	host = shm_window_host(window);
	file = memfd_create("file", MFD_CLOEXEC);
	ck_assert_int_ge(file, 0);
	ck_assert_int_eq(ftruncate(file, FILE_BYTES), 0);
	for (uint64_t at = 0; at < FILE_BYTES; at += PAGE) {
		uint32_t number = (uint32_t)(at / PAGE) + 1;

		ck_assert_int_eq(pwrite(file, &number, sizeof(number), (off_t)at), sizeof(number));
	}
}

static void teardown(void)
{
	shm_window_destroy(window);
	close(file);
}

static uint32_t at(uint64_t offset)
{
	uint32_t number;

	memcpy(&number, host + offset, sizeof(number));
	return number;
}

static int map(uint64_t offset, uint64_t len, uint64_t file_offset, bool writable)
{
	return shm_window_map(window, file,
			      &(struct shm_piece){ offset, len, file_offset, writable });
}

START_TEST(sizes)
{
	const uint64_t bad[] = { 0, 4096, 1 << 20, 3 << 20, 128ull << 30, UINT64_MAX };
	struct shm_window *other;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_int_eq(shm_window_create(bad[i], -1, 0, &other), -EINVAL);
	ck_assert_uint_eq(shm_window_size(window), SIZE);
	ck_assert_uint_eq((uintptr_t)host % PIECE, 0);
}
END_TEST

START_TEST(ranges)
{
	const struct {
		uint64_t offset, len, file_offset;
	} bad[] = {
		{ 0, 0, 0 },
		{ 1, PAGE, 0 },
		{ 0, PAGE + 1, 0 },
		{ 0, PAGE, 1 },
		{ SIZE, PAGE, 0 },
		{ SIZE - PAGE, 2 * PAGE, 0 },
		{ UINT64_MAX & ~(PAGE - 1), 2 * PAGE, 0 },
		{ 0, UINT64_MAX & ~(PAGE - 1), 0 },
		{ 0, PAGE, INT64_MAX & ~(PAGE - 1) },
		{ 0, PAGE, UINT64_MAX & ~(PAGE - 1) },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_int_eq(map(bad[i].offset, bad[i].len, bad[i].file_offset, false),
				 -EINVAL);
	ck_assert_uint_eq(shm_window_pieces(window), 0);
	ck_assert_uint_eq(at(0), 0);
}
END_TEST

START_TEST(kinds_of_files)
{
	const struct shm_piece piece = { 0, PAGE, 0, false };
	int folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int zero = open("/dev/zero", O_RDWR | O_CLOEXEC), ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(shm_window_map(window, folder, &piece), -EACCES);
	ck_assert_int_eq(shm_window_map(window, zero, &piece), -EACCES);
	ck_assert_int_eq(shm_window_map(window, ends[0], &piece), -EACCES);
	ck_assert_int_eq(shm_window_map(window, -1, &piece), -EBADF);
	close(folder);
	close(zero);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

START_TEST(maps_and_unmaps)
{
	ck_assert_int_eq(map(PIECE, PIECE, 0, false), 0);
	ck_assert_int_eq(map(0, PIECE, PIECE, false), 0);
	ck_assert_uint_eq(at(PIECE), 1);
	ck_assert_uint_eq(at(PIECE + 5 * PAGE), 6);
	ck_assert_uint_eq(at(0), PIECE / PAGE + 1);
	ck_assert_uint_eq(at(2 * PIECE), 0);
	/* Only what was mapped as one is unmapped as one. */
	ck_assert_int_eq(shm_window_unmap(window, 0, 2 * PIECE), -ENOENT);
	ck_assert_int_eq(shm_window_unmap(window, 0, PAGE), -ENOENT);
	ck_assert_int_eq(shm_window_unmap(window, PIECE + PAGE, PIECE), -ENOENT);
	ck_assert_int_eq(shm_window_unmap(window, PIECE, PIECE), 0);
	ck_assert_int_eq(shm_window_unmap(window, PIECE, PIECE), -ENOENT);
	ck_assert_uint_eq(at(PIECE), 0);
	ck_assert_uint_eq(at(0), PIECE / PAGE + 1);
	shm_window_clear(window);
	ck_assert_uint_eq(at(0), 0);
	ck_assert_uint_eq(shm_window_pieces(window), 0);
}
END_TEST

START_TEST(takes_the_place_of_one)
{
	ck_assert_int_eq(map(PIECE, PIECE, 0, false), 0);
	ck_assert_int_eq(map(PIECE, PIECE, PIECE, true), 0);
	ck_assert_uint_eq(at(PIECE), PIECE / PAGE + 1);
	ck_assert_uint_eq(shm_window_pieces(window), 1);
	/* Not of a part, nor of more than one. */
	ck_assert_int_eq(map(PIECE, PAGE, 0, false), -EEXIST);
	ck_assert_int_eq(map(PIECE + PAGE, PAGE, 0, false), -EEXIST);
	ck_assert_int_eq(map(0, 2 * PIECE, 0, false), -EEXIST);
	ck_assert_int_eq(map(PAGE, PIECE, 0, false), -EEXIST);
	ck_assert_int_eq(map(2 * PIECE - PAGE, PIECE, 0, false), -EEXIST);
	ck_assert_uint_eq(at(PIECE), PIECE / PAGE + 1);
}
END_TEST

START_TEST(who_may_write)
{
	uint32_t number = 77, seen;

	ck_assert_int_eq(map(0, PIECE, 0, false), 0);
	ck_assert_int_eq(map(PIECE, PIECE, 0, true), 0);
	/* A guest that stores where it may only read changes a copy of its own. */
	memcpy(host + PAGE, &number, sizeof(number));
	ck_assert_int_eq(pread(file, &seen, sizeof(seen), PAGE), sizeof(seen));
	ck_assert_uint_eq(seen, 2);
	memcpy(host + PIECE + PAGE, &number, sizeof(number));
	ck_assert_int_eq(pread(file, &seen, sizeof(seen), PAGE), sizeof(seen));
	ck_assert_uint_eq(seen, number);
}
END_TEST

START_TEST(needs_a_file_open_for_it)
{
	char path[64];
	int read_only, write_only;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	read_only = open(path, O_RDONLY | O_CLOEXEC);
	write_only = open(path, O_WRONLY | O_CLOEXEC);
	ck_assert_int_ge(read_only, 0);
	ck_assert_int_ge(write_only, 0);
	ck_assert_int_eq(shm_window_map(window, read_only, &(struct shm_piece){ 0, PAGE, 0, true }),
			 -EACCES);
	ck_assert_int_eq(
		shm_window_map(window, write_only, &(struct shm_piece){ 0, PAGE, 0, false }),
		-EACCES);
	ck_assert_uint_eq(shm_window_pieces(window), 0);
	ck_assert_int_eq(
		shm_window_map(window, read_only, &(struct shm_piece){ 0, PAGE, 0, false }), 0);
	close(read_only);
	close(write_only);
	ck_assert_uint_eq(at(0), 1);
}
END_TEST

START_TEST(a_cut_file)
{
	/* Nothing is wrong. */
	ck_assert_int_eq(shm_window_repair(window), SHM_REPAIR_NONE);
	ck_assert_int_eq(map(0, PIECE, 0, true), 0);
	ck_assert_int_eq(map(PIECE, PIECE, PIECE, true), 0);
	ck_assert_int_eq(shm_window_repair(window), SHM_REPAIR_NONE);
	ck_assert_int_eq(ftruncate(file, 5 * PAGE + 100), 0);
	ck_assert_int_eq(shm_window_repair(window), SHM_REPAIR_DONE);
	ck_assert_uint_eq(at(0), 1);
	ck_assert_uint_eq(at(5 * PAGE), 6);
	ck_assert_uint_eq(at(6 * PAGE), 0);
	ck_assert_uint_eq(at(PIECE), 0);
	/* Another processor comes late. */
	ck_assert_int_eq(shm_window_repair(window), SHM_REPAIR_OLD);
	/* What is stored there is nobody's. */
	host[PIECE] = 9;
	ck_assert_int_eq(ftruncate(file, FILE_BYTES), 0);
	shm_window_restore(window);
	ck_assert_uint_eq(at(PIECE), 0);
	ck_assert_int_eq(pwrite(file, "new", 4, PIECE), 4);
	ck_assert_str_eq((char *)host + PIECE, "new");
	ck_assert_int_eq(shm_window_repair(window), SHM_REPAIR_NONE);
}
END_TEST

START_TEST(beyond_a_short_file)
{
	ck_assert_int_eq(ftruncate(file, PAGE), 0);
	ck_assert_int_eq(map(0, PIECE, 0, false), 0);
	ck_assert_uint_eq(at(0), 1);
	/* It was never longer: a guest that goes there all the same gets zeroes, too. */
	ck_assert_int_eq(shm_window_repair(window), SHM_REPAIR_DONE);
	ck_assert_uint_eq(at(PAGE), 0);
	ck_assert_int_eq(shm_window_unmap(window, 0, PIECE), 0);
	ck_assert_int_eq(shm_window_repair(window), SHM_REPAIR_NONE);
}
END_TEST

/* By Linux 6.1, where large pages are not switched off. */
static bool host_collapses(void)
{
	uint8_t *memory = mmap(NULL, 2 * PIECE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint8_t *piece = (uint8_t *)(((uintptr_t)memory + PIECE - 1) & ~(PIECE - 1));
	bool ret;

	ck_assert_ptr_ne(memory, MAP_FAILED);
	*piece = 1;
	ret = !madvise(piece, PIECE, MADV_COLLAPSE);
	munmap(memory, 2 * PIECE);
	return ret;
}

/* Whether the last piece of a file of @size bytes becomes a large page, which the file then has
 * whole, also behind its end. */
static bool last_is_large(uint64_t size)
{
	static const uint8_t page[PAGE] = { 7 };
	struct stat before, after;

	shm_window_clear(window);
	ck_assert_int_eq(ftruncate(file, PIECE), 0); /* what a test before has left goes */
	for (off_t end = PIECE; end < (off_t)size; end += PAGE)
		ck_assert_int_eq(pwrite(file, page, PAGE, end), PAGE);
	ck_assert_int_eq(fstat(file, &before), 0);
	ck_assert_int_eq(map(0, PIECE, PIECE, false), 0);
	ck_assert_int_eq(fstat(file, &after), 0);
	ck_assert_int_eq(after.st_size, size);
	ck_assert_uint_eq(at(0), 7);
	return after.st_blocks > before.st_blocks;
}

START_TEST(large_pages_at_a_files_end)
{
	bool can = host_collapses();
	struct stat st;

	ck_assert_int_eq(last_is_large(PIECE + PIECE / 2), can);
	ck_assert_int_eq(last_is_large(2 * PIECE - PAGE), can);
	ck_assert(!last_is_large(PIECE + PIECE / 2 - PAGE));
	/* With a hole in what the file has. */
	shm_window_clear(window);
	ck_assert_int_eq(ftruncate(file, PIECE), 0);
	ck_assert_int_eq(ftruncate(file, 2 * PIECE - PAGE), 0);
	ck_assert_int_eq(pwrite(file, "x", 1, PIECE), 1);
	ck_assert_int_eq(map(0, PIECE, PIECE, false), 0);
	ck_assert_int_eq(fstat(file, &st), 0);
	ck_assert_int_le(st.st_blocks * 512, PIECE + PAGE);
}
END_TEST

START_TEST(no_more_than_so_many)
{
	struct shm_window *large;
	uint64_t i;

	ck_assert_int_eq(shm_window_create(32ull << 20, -1, 0, &large), 0);
	for (i = 0; i < SHM_WINDOW_PIECES_MAX; i++) {
		int ret = shm_window_map(large, file,
					 &(struct shm_piece){ i * PAGE, PAGE, 0, false });

		if (ret == -EMFILE)
			break; /* this machine lets us have fewer descriptors */
		ck_assert_int_eq(ret, 0);
	}
	ck_assert_int_lt(
		shm_window_map(large, file, &(struct shm_piece){ i * PAGE, PAGE, 0, false }), 0);
	shm_window_destroy(large);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("shm_window");
	TCase *tcase = tcase_create("window");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, sizes);
	tcase_add_test(tcase, ranges);
	tcase_add_test(tcase, kinds_of_files);
	tcase_add_test(tcase, maps_and_unmaps);
	tcase_add_test(tcase, takes_the_place_of_one);
	tcase_add_test(tcase, who_may_write);
	tcase_add_test(tcase, needs_a_file_open_for_it);
	tcase_add_test(tcase, a_cut_file);
	tcase_add_test(tcase, beyond_a_short_file);
	tcase_add_test(tcase, large_pages_at_a_files_end);
	tcase_add_test(tcase, no_more_than_so_many);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
