// SPDX-License-Identifier: GPL-2.0-or-later
// The initramfs writer, read back field by field as the kernel does (init/initramfs.c).
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "host-vmm/cli/cpio.h"
#include "protocol/lib/fd.h"
#include "tests/unit/unit.h"

struct entry {
	unsigned int mode, links, size;
	const char *path;
	const char *bytes;
};

/* Takes the entry at *at and moves on; fails the test where it is malformed. */
static struct entry next(const char *archive, size_t len, size_t *at)
{
	unsigned int fields[13];
	struct entry entry;
	char digits[9] = "";

	ck_assert_uint_le(*at + 110, len);
	ck_assert(!memcmp(archive + *at, "070701", 6));
	for (size_t i = 0; i < 13; i++) {
		char *end;

		memcpy(digits, archive + *at + 6 + 8 * i, 8);
		fields[i] = (unsigned int)strtoul(digits, &end, 16);
		ck_assert_ptr_eq(end, digits + 8);
	}
	entry.mode = fields[1];
	entry.links = fields[4];
	entry.size = fields[6];
	entry.path = archive + *at + 110;
	ck_assert_uint_eq(fields[11], strlen(entry.path) + 1);
	*at = (*at + 110 + fields[11] + 3) & ~3ul;
	entry.bytes = archive + *at;
	*at = (*at + entry.size + 3) & ~3ul;
	ck_assert_uint_le(*at, len);
	return entry;
}

static char *read_back(int fd, size_t *ret_len)
{
	struct stat st;
	char *bytes;

	ck_assert_int_eq(fstat(fd, &st), 0);
	bytes = g_malloc((size_t)st.st_size + 1);
	ck_assert_int_eq(pread(fd, bytes, (size_t)st.st_size, 0), st.st_size);
	*ret_len = (size_t)st.st_size;
	return bytes;
}

START_TEST(entries_read_back)
{
	int fd = memfd_create("cpio", MFD_CLOEXEC);
	g_autofree char *bytes = NULL;
	struct cpio cpio;
	struct entry entry;
	size_t at = 0, len;

	cpio_init(&cpio, fd);
	cpio_add_dir(&cpio, "dev", 0755);
	cpio_add_bytes(&cpio, "a", 0600, "12345", 5);
	cpio_add_bytes(&cpio, "empty", 0644, "", 0);
	ck_assert_int_eq(cpio_finish(&cpio), 0);
	bytes = read_back(fd, &len);
	entry = next(bytes, len, &at);
	ck_assert_str_eq(entry.path, "dev");
	ck_assert_uint_eq(entry.mode, S_IFDIR | 0755);
	ck_assert_uint_eq(entry.links, 2);
	entry = next(bytes, len, &at);
	ck_assert_str_eq(entry.path, "a");
	ck_assert_uint_eq(entry.mode, S_IFREG | 0600);
	ck_assert_uint_eq(entry.size, 5);
	ck_assert(!memcmp(entry.bytes, "12345\0\0\0", 8));
	entry = next(bytes, len, &at);
	ck_assert_uint_eq(entry.size, 0);
	entry = next(bytes, len, &at);
	ck_assert_str_eq(entry.path, "TRAILER!!!");
	ck_assert_uint_eq(at, len);
	close(fd);
}
END_TEST

START_TEST(files_are_copied)
{
	int fd = memfd_create("cpio", MFD_CLOEXEC);
	g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
	g_autofree char *bytes = NULL;
	g_autofree char *original = NULL;
	struct entry entry;
	struct cpio cpio;
	size_t at = 0, len;
	gsize original_len;

	cpio_init(&cpio, fd);
	cpio_add_file(&cpio, "init", 0755, self);
	ck_assert_int_eq(cpio_finish(&cpio), 0);
	ck_assert(g_file_get_contents(self, &original, &original_len, NULL));
	bytes = read_back(fd, &len);
	entry = next(bytes, len, &at);
	ck_assert_uint_eq(entry.size, original_len);
	ck_assert(!memcmp(entry.bytes, original, original_len));
	close(fd);
}
END_TEST

START_TEST(errors_stick)
{
	int fd = memfd_create("cpio", MFD_CLOEXEC);
	g_autofree char *deep = g_strnfill(PATH_MAX, 'x');
	struct cpio cpio;

	cpio_init(&cpio, fd);
	cpio_add_file(&cpio, "x", 0644, "/nonexistent/file");
	cpio_add_file(&cpio, "y", 0644, "/");
	ck_assert_int_eq(cpio_finish(&cpio), -ENOENT);
	ck_assert_str_eq(cpio.unread, "/nonexistent/file");
	g_free(cpio.unread);
	cpio_init(&cpio, fd);
	cpio_add_file(&cpio, "y", 0644, "/");
	ck_assert_int_eq(cpio_finish(&cpio), -EINVAL);
	g_free(cpio.unread);
	cpio_init(&cpio, fd);
	cpio_add_dir(&cpio, deep, 0755);
	ck_assert_int_eq(cpio_finish(&cpio), -ENAMETOOLONG);
	close(fd);
	fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	cpio_init(&cpio, fd);
	cpio_add_dir(&cpio, "dev", 0755);
	ck_assert_int_eq(cpio_finish(&cpio), -ENOSPC);
	ck_assert_ptr_null(cpio.unread);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cpio");
	TCase *tcase = tcase_create("cpio");

	tcase_add_test(tcase, entries_read_back);
	tcase_add_test(tcase, files_are_copied);
	tcase_add_test(tcase, errors_stick);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
