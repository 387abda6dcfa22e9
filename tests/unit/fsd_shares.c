// SPDX-License-Identifier: GPL-2.0-or-later
/* Shares that are taken away under a guest that uses them, and locks that are waited for: what is
 * held for the guest is let go of, and nobody waits for ever. */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared-fs/server/ops.h"
#include "tests/unit/fsd_harness.h"
#include "tests/unit/unit.h"

#define FD_LIMIT 50

static char folder[64];
static struct fs *fs;

static struct scratch *new_scratch(void)
{
	struct scratch *scratch = calloc(1, sizeof(*scratch));

	ck_assert_ptr_nonnull(scratch);
	return scratch;
}

static struct scratch *scratch;

static int64_t call(uint32_t opcode, uint64_t nodeid, const void *body, size_t len, void *reply,
		    size_t room)
{
	return fsd_direct(fs, scratch, opcode, nodeid, body, len, reply, room);
}

static void add_share(const char *name)
{
	ck_assert_int_eq(fs_share_add(fs, name, open(folder, O_PATH | O_CLOEXEC), false,
				      &(struct owner_map){ 0 }, false),
			 0);
}

static void setup(void)
{
	const struct fs_config config = { .fd_limit = FD_LIMIT, .host_locks = true };
	struct fuse_init_in init = { .major = FUSE_KERNEL_VERSION,
				     .minor = FUSE_KERNEL_MINOR_VERSION };
	struct fuse_init_out out;
	char path[80];
	int fd;

	strcpy(folder, "/tmp/lodge-fsd-test.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/f", folder);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	close(fd);
	scratch = new_scratch();
	ck_assert_int_eq(fs_create(&config, &fs), 0);
	add_share("share");
	ck_assert_int_gt(call(FUSE_INIT, 0, &init, sizeof(init), &out, sizeof(out)), 0);
}

static void teardown(void)
{
	char command[80];

	fs_destroy(fs);
	free(scratch);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	ck_assert_int_eq(system(command), 0);
}

static uint64_t lookup(uint64_t dir, const char *name)
{
	struct fuse_entry_out entry;

	ck_assert_int_eq(call(FUSE_LOOKUP, dir, name, strlen(name) + 1, &entry, sizeof(entry)),
			 sizeof(entry));
	return entry.nodeid;
}

static void forget(uint64_t nodeid)
{
	struct fuse_forget_in in = { .nlookup = UINT32_MAX };

	call(FUSE_FORGET, nodeid, &in, sizeof(in), NULL, 0);
}

static int64_t open_as(uint32_t opcode, uint64_t nodeid)
{
	struct fuse_open_in in = { .flags = O_RDONLY };
	struct fuse_open_out out;

	return call(opcode, nodeid, &in, sizeof(in), &out, sizeof(out));
}

static int count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* However often a guest looks at its share while it has used its descriptors up. */
START_TEST(looking_at_a_share_is_no_gain)
{
	uint64_t share = lookup(FUSE_ROOT_ID, "share");
	uint64_t file = lookup(share, "f");
	int64_t ret;

	while ((ret = open_as(FUSE_OPEN, file)) > 0)
		;
	ck_assert_int_eq(ret, -ENFILE);
	for (int i = 0; i < 2 * FD_LIMIT; i++)
		ck_assert_uint_eq(lookup(FUSE_ROOT_ID, "share"), share);
	ck_assert_uint_le(fs->n_fds, FD_LIMIT);
	ck_assert_int_eq(open_as(FUSE_OPEN, file), -ENFILE);
}
END_TEST

/* The host can unmount what was shared, also if the guest never closes its files. */
START_TEST(a_share_that_goes_is_closed)
{
	struct fuse_lk_in lock = { .owner = 7, .lk = { .type = F_RDLCK } };
	struct fuse_release_in release = { 0 };
	uint64_t share, file;
	int before;

	ck_assert_int_eq(fs_share_remove(fs, "share"), 0);
	before = count_descriptors();
	add_share("share");
	share = lookup(FUSE_ROOT_ID, "share");
	file = lookup(share, "f");
	ck_assert_int_gt(open_as(FUSE_OPEN, file), 0);
	ck_assert_int_gt(open_as(FUSE_OPENDIR, share), 0);
	ck_assert_int_eq(call(FUSE_SETLK, file, &lock, sizeof(lock), NULL, 0), 0);
	ck_assert_int_eq(fs_share_remove(fs, "share"), 0);
	ck_assert_int_eq(call(FUSE_RELEASE, file, &release, sizeof(release), NULL, 0), -ESTALE);
	ck_assert_int_eq(count_descriptors(), before);
	ck_assert_uint_eq(fs->n_fds, 0);
	ck_assert_uint_eq(fs->handles.n_used, 0);
	forget(file);
	forget(share);
	ck_assert_uint_eq(fs->inodes.n_used, 1);
}
END_TEST

/* A request that runs while the share goes is the last that uses the file. */
START_TEST(a_request_outlives_its_share)
{
	uint64_t share = lookup(FUSE_ROOT_ID, "share");
	uint64_t file = lookup(share, "f");
	struct inode *inode;

	ck_assert_int_eq(inode_get(fs, file, &inode), 0);
	ck_assert_int_eq(fs_share_remove(fs, "share"), 0);
	ck_assert_int_ge(inode->fd, 0);
	inode_put(fs, inode);
	ck_assert_uint_eq(fs->n_fds, 0);
	forget(file);
	forget(share);
	ck_assert_uint_eq(fs->inodes.n_used, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fsd_shares");
	TCase *tcase = tcase_create("shares");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, looking_at_a_share_is_no_gain);
	tcase_add_test(tcase, a_share_that_goes_is_closed);
	tcase_add_test(tcase, a_request_outlives_its_share);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
