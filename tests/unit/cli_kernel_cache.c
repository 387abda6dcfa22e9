// SPDX-License-Identifier: GPL-2.0-or-later
// Unpacked kernels: whatever packs them, what is no kernel, and a cache that trusts nobody's files.
#include <archive.h>
#include <archive_entry.h>
#include <asm/bootparam.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host-vmm/cli/kernel_cache.h"
#include "host-vmm/cli/unpack.h"
#include "tests/unit/tiny_kernel.h"
#include "tests/unit/unit.h"

#define ZEROES	   (300u << 10)
#define PACKED_MAX (1u << 20)
#define SETUP	   1024u

TINY_CODE(halt, 32, "hlt");

static char *base, *image;
static char *elf;
static size_t elf_len;

/* A kernel with a long stretch of nothing in it. */
static void setup(void)
{
	g_autofree char *path = NULL;
	g_autofree char *head = NULL;
	gsize len;

	base = g_dir_make_tmp("lodge-kernels-XXXXXX", NULL);
	image = g_build_filename(base, "vmlinuz", NULL);
	path = g_build_filename(base, "vmlinux", NULL);
	tiny_kernel_write_elf(path, halt);
	ck_assert(g_file_get_contents(path, &head, &len, NULL));
	elf_len = len + ZEROES + 4;
	elf = g_malloc0(elf_len);
	memcpy(elf, head, len);
	memcpy(elf + len + ZEROES, "end.", 4);
}

static void remove_tree(const char *path)
{
	g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir))) {
		g_autofree char *below = g_build_filename(path, name, NULL);

		remove_tree(below);
	}
	(void)g_remove(path);
}

static void teardown(void)
{
	remove_tree(base);
	g_clear_pointer(&base, g_free);
	g_clear_pointer(&image, g_free);
	g_clear_pointer(&elf, g_free);
}

static size_t pack(int (*add_filter)(struct archive *), const char *bytes, size_t len, char *out)
{
	struct archive *archive = archive_write_new();
	struct archive_entry *entry = archive_entry_new();
	size_t used = 0;

	ck_assert_int_eq(add_filter(archive), ARCHIVE_OK);
	ck_assert_int_eq(archive_write_set_format_raw(archive), ARCHIVE_OK);
	archive_write_set_bytes_in_last_block(archive, 1);
	ck_assert_int_eq(archive_write_open_memory(archive, out, PACKED_MAX, &used), ARCHIVE_OK);
	archive_entry_set_filetype(entry, AE_IFREG);
	ck_assert_int_eq(archive_write_header(archive, entry), ARCHIVE_OK);
	ck_assert_int_eq(archive_write_data(archive, bytes, len), (la_ssize_t)len);
	archive_entry_free(entry);
	archive_write_close(archive);
	archive_write_free(archive);
	return used;
}

/* A bzImage whose setup part is SETUP bytes; the payload lies 16 bytes into the rest. */
static void write_image(const char *payload, size_t len)
{
	g_autofree char *bytes = g_malloc0(SETUP + 16 + len);
	struct setup_header *header = (struct setup_header *)(bytes + 0x1f1);

	header->setup_sects = 1;
	header->header = 0x53726448;
	header->version = 0x020f;
	header->payload_offset = 16;
	header->payload_length = (uint32_t)len;
	memcpy(bytes + SETUP + 16, payload, len);
	ck_assert(g_file_set_contents(image, bytes, (gssize)(SETUP + 16 + len), NULL));
}

static void write_packed(int (*add_filter)(struct archive *), const char *bytes, size_t len,
			 uint32_t told)
{
	g_autofree char *packed = g_malloc(PACKED_MAX);
	size_t used = pack(add_filter, bytes, len, packed);

	/* gzip's own end is the size. */
	if (add_filter != archive_write_add_filter_gzip) {
		memcpy(packed + used, &told, sizeof(told));
		used += sizeof(told);
	}
	write_image(packed, used);
}

static void write_good(void)
{
	write_packed(archive_write_add_filter_zstd, elf, elf_len, (uint32_t)elf_len);
}

static void assert_unpacked(const char *path)
{
	g_autofree char *got = NULL;
	gsize len;

	ck_assert_ptr_nonnull(path);
	ck_assert(g_file_get_contents(path, &got, &len, NULL));
	ck_assert_uint_eq(len, elf_len);
	ck_assert_mem_eq(got, elf, len);
}

static int (*const filters[])(struct archive *) = {
	archive_write_add_filter_gzip, archive_write_add_filter_bzip2, archive_write_add_filter_xz,
	archive_write_add_filter_lz4,  archive_write_add_filter_zstd,
};

START_TEST(test_each_way_of_packing)
{
	g_autofree char *path = NULL;
	struct stat status;

	write_packed(filters[_i], elf, elf_len, (uint32_t)elf_len);
	path = kernel_cache_find(base, image);
	assert_unpacked(path);
	ck_assert_int_eq(stat(path, &status), 0);
	ck_assert_uint_eq(status.st_mode & 0777, 0600);
	/* Most of it is a hole. */
	ck_assert_uint_lt((uint64_t)status.st_blocks * 512, ZEROES);
}
END_TEST

static void assert_none(void)
{
	g_autofree char *path = kernel_cache_find(base, image);

	ck_assert_ptr_null(path);
}

START_TEST(test_what_is_no_packed_kernel)
{
	static const char text[] = "this is packed in no way that anybody knows of";
	g_autofree char *whole = NULL;
	gsize len;

	assert_none(); /* missing */
	ck_assert(g_file_set_contents(image, "", 0, NULL));
	assert_none();
	ck_assert(g_file_set_contents(image, elf, (gssize)elf_len, NULL));
	assert_none();
	write_image(text, sizeof(text));
	assert_none();
	write_packed(archive_write_add_filter_zstd, text, sizeof(text), sizeof(text));
	assert_none();
	write_packed(archive_write_add_filter_zstd, elf, elf_len, (uint32_t)elf_len + 1);
	assert_none();
	write_packed(archive_write_add_filter_zstd, elf, elf_len, (uint32_t)elf_len - 1);
	assert_none();
	write_packed(archive_write_add_filter_zstd, elf, elf_len, 0);
	assert_none();
	write_packed(archive_write_add_filter_zstd, elf, elf_len, UINT32_MAX);
	assert_none();
	write_good();
	ck_assert(g_file_get_contents(image, &whole, &len, NULL));
	for (gsize cut = 0; cut < len; cut += len / 16) {
		ck_assert(g_file_set_contents(image, whole, (gssize)cut, NULL));
		assert_none();
	}
}
END_TEST

START_TEST(test_kept_until_the_image_changes)
{
	g_autofree char *first = NULL;
	g_autofree char *again = NULL;
	g_autofree char *other = NULL;
	struct stat before, after;

	write_good();
	first = kernel_cache_find(base, image);
	ck_assert_int_eq(stat(first, &before), 0);
	again = kernel_cache_find(base, image);
	ck_assert_str_eq(first, again);
	ck_assert_int_eq(stat(again, &after), 0);
	ck_assert_uint_eq(before.st_ino, after.st_ino);
	elf[elf_len - 1] = '!';
	write_good();
	other = kernel_cache_find(base, image);
	ck_assert_str_ne(first, other);
	assert_unpacked(other);
}
END_TEST

START_TEST(test_spoilt_files_are_made_anew)
{
	g_autofree char *path = NULL;
	g_autofree char *elsewhere = g_build_filename(base, "elsewhere", NULL);
	char *again;

	write_good();
	path = kernel_cache_find(base, image);
	ck_assert_int_eq(truncate(path, (off_t)elf_len / 2), 0);
	again = kernel_cache_find(base, image);
	assert_unpacked(again);
	g_free(again);
	ck_assert(g_file_set_contents(path, "x", 1, NULL));
	ck_assert_int_eq(truncate(path, (off_t)elf_len), 0);
	again = kernel_cache_find(base, image);
	assert_unpacked(again);
	g_free(again);
	/* One that somebody else may write to. */
	ck_assert(g_file_set_contents(elsewhere, elf, (gssize)elf_len, NULL));
	ck_assert_int_eq(g_rename(elsewhere, path), 0);
	ck_assert_int_eq(chmod(path, 0622), 0);
	again = kernel_cache_find(base, image);
	assert_unpacked(again);
	ck_assert_int_eq(access(again, R_OK), 0);
	g_free(again);
	/* A link to something that is no file of the cache. */
	ck_assert(g_file_set_contents(elsewhere, elf, (gssize)elf_len, NULL));
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(symlink(elsewhere, path), 0);
	again = kernel_cache_find(base, image);
	ck_assert(!g_file_test(again, G_FILE_TEST_IS_SYMLINK));
	assert_unpacked(again);
	g_free(again);
}
END_TEST

START_TEST(test_folders_of_others)
{
	g_autofree char *folder = g_build_filename(base, "lodge", "kernels", NULL);
	char *path;

	write_good();
	path = kernel_cache_find(base, image);
	ck_assert_ptr_nonnull(path);
	g_free(path);
	ck_assert_int_eq(chmod(folder, 0777), 0);
	assert_none();
	ck_assert_int_eq(chmod(folder, 0700), 0);
	path = kernel_cache_find("/proc/self", image);
	ck_assert_ptr_null(path);
}
END_TEST

START_TEST(test_old_ones_go)
{
	g_autofree char *folder = g_build_filename(base, "lodge", "kernels", NULL);
	g_autoptr(GDir) dir = NULL;
	char *path = NULL;
	int n = 0;

	for (int i = 0; i < KERNEL_CACHE_MAX + 3; i++) {
		g_free(path);
		elf[elf_len - 1] = (char)('a' + i);
		write_good();
		path = kernel_cache_find(base, image);
		ck_assert_ptr_nonnull(path);
	}
	assert_unpacked(path);
	dir = g_dir_open(folder, 0, NULL);
	while (g_dir_read_name(dir))
		n++;
	ck_assert_int_eq(n, KERNEL_CACHE_MAX);
	g_free(path);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cli_kernel_cache");
	TCase *tcase = tcase_create("cache");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, test_each_way_of_packing, 0, G_N_ELEMENTS(filters));
	tcase_add_test(tcase, test_what_is_no_packed_kernel);
	tcase_add_test(tcase, test_kept_until_the_image_changes);
	tcase_add_test(tcase, test_spoilt_files_are_made_anew);
	tcase_add_test(tcase, test_folders_of_others);
	tcase_add_test(tcase, test_old_ones_go);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
