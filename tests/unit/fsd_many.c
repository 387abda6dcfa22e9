// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * 100,000 files in one folder, made, listed and removed by requests, with a descriptor for one of a
 * hundred. Anything that took a time with the square of their number would not end here.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/fsd_harness.h"
#include "tests/unit/unit.h"

#define FILES	  100000
#define FD_LIMIT  800 /* shells give 1,024 */
#define PAGE	  4096 /* what Linux asks for at a time */
#define NAME_SIZE 16

static struct fs *fs;
static struct scratch *scratch;
static char folder[64];
static uint64_t *nodes;
static uint8_t *seen;

/* Not an assertion for each request: libcheck writes a mark for every one. */
static void must(bool good, const char *what, long i)
{
	if (!good)
		ck_abort_msg("%s %ld", what, i);
}

static void make(long i)
{
	struct {
		struct fuse_mknod_in in;
		char name[NAME_SIZE];
	} mknod = { .in.mode = S_IFREG | 0644 };
	struct fuse_entry_out entry;
	size_t len = (size_t)snprintf(mknod.name, NAME_SIZE, "file-%ld", i) + 1;

	must(fsd_direct(fs, scratch, FUSE_MKNOD, FUSE_ROOT_ID, &mknod, sizeof(mknod.in) + len,
			&entry, sizeof(entry)) == sizeof(entry),
	     "make", i);
	nodes[i] = entry.nodeid;
}

/* Notes the entries; the offset that the next request goes on from. */
static uint64_t note_entries(const uint8_t *entries, int64_t len)
{
	const struct fuse_direntplus *entry;
	uint64_t offset = 0;

	for (int64_t at = 0; at < len; at += (int64_t)FUSE_DIRENTPLUS_SIZE(entry)) {
		char name[NAME_SIZE] = "";
		long i;

		entry = (const struct fuse_direntplus *)(entries + at);
		offset = entry->dirent.off;
		if (entry->dirent.namelen < NAME_SIZE)
			memcpy(name, entry->dirent.name, entry->dirent.namelen);
		if (name[0] == '.')
			continue;
		i = strncmp(name, "file-", 5) ? -1 : atol(name + 5);
		must(i >= 0 && i < FILES && !seen[i], "name", i);
		must(entry->entry_out.nodeid == nodes[i], "node of", i);
		seen[i] = 1;
	}
	return offset;
}

static long list(void)
{
	_Alignas(8) static uint8_t entries[PAGE];
	const struct fuse_open_in open_in = { 0 };
	struct fuse_read_in in = { .size = PAGE };
	struct fuse_open_out open;
	long n = 0;
	int64_t len;

	ck_assert_int_gt(fsd_direct(fs, scratch, FUSE_OPENDIR, FUSE_ROOT_ID, &open_in,
				    sizeof(open_in), &open, sizeof(open)),
			 0);
	in.fh = open.fh;
	while ((len = fsd_direct(fs, scratch, FUSE_READDIRPLUS, FUSE_ROOT_ID, &in, sizeof(in),
				 entries, PAGE)) > 0)
		in.offset = note_entries(entries, len);
	ck_assert_int_eq(len, 0);
	for (long i = 0; i < FILES; i++)
		n += seen[i];
	return n;
}

static void take_away(long i)
{
	struct fuse_forget_in in = { .nlookup = 2 }; /* of making, and of listing */
	char name[NAME_SIZE];
	size_t len = (size_t)snprintf(name, NAME_SIZE, "file-%ld", i) + 1;

	must(!fsd_direct(fs, scratch, FUSE_UNLINK, FUSE_ROOT_ID, name, len, NULL, 0), "unlink", i);
	fsd_direct(fs, scratch, FUSE_FORGET, nodes[i], &in, sizeof(in), NULL, 0);
}

/* Where names cost no disk. */
static void make_folder(void)
{
	strcpy(folder, "/dev/shm/lodge-fsd-test.XXXXXX");
	if (mkdtemp(folder))
		return;
	strcpy(folder, "/tmp/lodge-fsd-test.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
}

START_TEST(full_folder)
{
	struct fs_config config = { .fd_limit = FD_LIMIT };
	struct fuse_init_in init = { .major = FUSE_KERNEL_VERSION,
				     .minor = FUSE_KERNEL_MINOR_VERSION,
				     .flags = INT32_MAX };
	struct fuse_init_out out;

	make_folder();
	scratch = calloc(1, sizeof(*scratch));
	nodes = calloc(FILES, sizeof(*nodes));
	seen = calloc(FILES, 1);
	ck_assert(scratch && nodes && seen);
	ck_assert_int_eq(fs_create(&config, &fs), 0);
	ck_assert_int_eq(fs_share_add(fs, "share", open(folder, O_PATH | O_CLOEXEC), false,
				      &(struct owner_map){ 0 }, true),
			 0);
	ck_assert_int_eq(
		fsd_direct(fs, scratch, FUSE_INIT, 0, &init, sizeof(init), &out, sizeof(out)),
		sizeof(out));
	for (long i = 0; i < FILES; i++)
		make(i);
	ck_assert_int_eq(list(), FILES);
	ck_assert_uint_le(fs->n_fds, FD_LIMIT);
	for (long i = 0; i < FILES; i++)
		take_away(i);
	ck_assert_uint_eq(fs->inodes.n_used, 1);
	fs_destroy(fs);
	ck_assert_int_eq(rmdir(folder), 0); /* there is nothing in it */
	free(scratch);
	free(nodes);
	free(seen);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fsd_many");
	TCase *tcase = tcase_create("many");

	tcase_set_timeout(tcase, 240);
	tcase_add_test(tcase, full_folder);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
