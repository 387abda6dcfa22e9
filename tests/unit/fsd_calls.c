// SPDX-License-Identifier: GPL-2.0-or-later
/* How many system calls the requests cost that there are most of. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/fsd_harness.h"
#include "tests/unit/unit.h"

#define FILES 100

int __real_openat(int dir, const char *name, int flags, ...);
int __real_statx(int dir, const char *name, int flags, unsigned int mask, struct statx *stx);
int __real_close(int fd);

static struct counts {
	unsigned int openat;
	unsigned int statx;
	unsigned int close;
} counts;

/* The server makes no file with it here: there is no mode. */
int __wrap_openat(int dir, const char *name, int flags, ...);
int __wrap_openat(int dir, const char *name, int flags, ...)
{
	counts.openat++;
	return __real_openat(dir, name, flags);
}

int __wrap_statx(int dir, const char *name, int flags, unsigned int mask, struct statx *stx);
int __wrap_statx(int dir, const char *name, int flags, unsigned int mask, struct statx *stx)
{
	counts.statx++;
	return __real_statx(dir, name, flags, mask, stx);
}

int __wrap_close(int fd);
int __wrap_close(int fd)
{
	counts.close++;
	return __real_close(fd);
}

static struct fs *fs;
static struct scratch *scratch;
static char folder[64];
static uint64_t nodes[FILES];

static int64_t call(uint32_t opcode, uint64_t nodeid, const void *body, size_t len, void *reply,
		    size_t room)
{
	return fsd_direct(fs, scratch, opcode, nodeid, body, len, reply, room);
}

static void setup(void)
{
	struct fs_config config = { .fd_limit = 500 };
	struct fuse_init_in in = { .major = FUSE_KERNEL_VERSION,
				   .minor = FUSE_KERNEL_MINOR_VERSION,
				   .flags = INT32_MAX };
	struct fuse_init_out out;

	strcpy(folder, "/tmp/lodge-fsd-test.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	for (int i = 0; i < FILES; i++) {
		char path[128];

		snprintf(path, sizeof(path), "%s/file-%d", folder, i);
		ck_assert_int_eq(mknod(path, S_IFREG | 0644, 0), 0);
	}
	scratch = calloc(1, sizeof(*scratch));
	ck_assert_int_eq(fs_create(&config, &fs), 0);
	ck_assert_int_eq(fs_share_add(fs, "share", open(folder, O_PATH | O_CLOEXEC), false,
				      &(struct owner_map){ 0 }, true),
			 0);
	ck_assert_int_gt(call(FUSE_INIT, 0, &in, sizeof(in), &out, sizeof(out)), 0);
}

static void teardown(void)
{
	fsd_direct_end(fs, scratch, folder);
}

static void look_up_all(void)
{
	struct fuse_entry_out entry;

	for (int i = 0; i < FILES; i++) {
		char name[16];
		size_t len = (size_t)snprintf(name, sizeof(name), "file-%d", i) + 1;

		ck_assert_int_gt(call(FUSE_LOOKUP, FUSE_ROOT_ID, name, len, &entry, sizeof(entry)),
				 0);
		nodes[i] = entry.nodeid;
	}
}

static void forget_all(uint64_t nlookup)
{
	struct fuse_forget_in in = { .nlookup = nlookup };

	for (int i = 0; i < FILES; i++)
		call(FUSE_FORGET, nodes[i], &in, sizeof(in), NULL, 0);
}

static void expect(unsigned int openat, unsigned int statx, unsigned int close)
{
	ck_assert_uint_eq(counts.openat, openat * FILES);
	ck_assert_uint_eq(counts.statx, statx * FILES);
	ck_assert_uint_eq(counts.close, close * FILES);
	counts = (struct counts){ 0 };
}

START_TEST(lookup)
{
	counts = (struct counts){ 0 };
	/* What was forgotten is as what was never known. */
	for (int round = 0; round < 3; round++) {
		look_up_all();
		expect(1, 1, 0);
		look_up_all();
		expect(0, 1, 0);
		forget_all(2);
		expect(0, 0, 1);
	}
}
END_TEST

START_TEST(getattr)
{
	struct fuse_getattr_in in = { 0 };
	struct fuse_attr_out out;

	look_up_all();
	counts = (struct counts){ 0 };
	for (int i = 0; i < FILES; i++)
		ck_assert_int_gt(call(FUSE_GETATTR, nodes[i], &in, sizeof(in), &out, sizeof(out)),
				 0);
	expect(0, 1, 0);
}
END_TEST

/* . and .. are not looked at. */
START_TEST(readdirplus)
{
	_Alignas(8) static uint8_t entries[65536];
	struct fuse_read_in in = { .size = sizeof(entries) };
	const struct fuse_open_in open_in = { 0 };
	struct fuse_open_out open;

	look_up_all();
	forget_all(1);
	ck_assert_int_gt(
		call(FUSE_OPENDIR, FUSE_ROOT_ID, &open_in, sizeof(open_in), &open, sizeof(open)),
		0);
	in.fh = open.fh;
	for (int round = 0; round < 2; round++) {
		counts = (struct counts){ 0 };
		ck_assert_int_gt(call(FUSE_READDIRPLUS, FUSE_ROOT_ID, &in, sizeof(in), entries,
				      sizeof(entries)),
				 0);
		ck_assert_uint_eq(counts.openat, round ? 0 : FILES);
		ck_assert_uint_eq(counts.statx, FILES);
		ck_assert_uint_eq(counts.close, 0);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fsd_calls");
	TCase *tcase = tcase_create("calls");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, lookup);
	tcase_add_test(tcase, getattr);
	tcase_add_test(tcase, readdirplus);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
