// SPDX-License-Identifier: GPL-2.0-or-later
/* What a well-behaved guest gets from lodge-fsd, opcode by opcode, and what a read-only share,
 * several shares and a fresh session mean. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/fsd_harness.h"
#include "tests/unit/unit.h"

#define ROOT FUSE_ROOT_ID

static int64_t call_name(struct fsd_rig *rig, uint32_t opcode, uint64_t dir, const void *body,
			 size_t len, const char *name, void *reply, size_t size)
{
	return fsd_call(rig, opcode, dir, body, len, name, strlen(name) + 1, reply, size);
}

static uint64_t create(struct fsd_rig *rig, const char *name, uint64_t *ret_fh)
{
	struct fuse_create_in in = { .flags = O_RDWR | O_CREAT, .mode = S_IFREG | 0644 };
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} out;

	ck_assert_int_eq(
		call_name(rig, FUSE_CREATE, ROOT, &in, sizeof(in), name, &out, sizeof(out)),
		sizeof(out));
	*ret_fh = out.open.fh;
	return out.entry.nodeid;
}

static void write_and_read(struct fsd_rig *rig, uint64_t node, uint64_t fh)
{
	struct fuse_write_in write_in = { .fh = fh, .offset = 5, .size = 5 };
	struct fuse_read_in read_in = { .fh = fh, .size = 100 };
	struct fuse_write_out written;
	char data[100];

	ck_assert_int_eq(fsd_call(rig, FUSE_WRITE, node, &write_in, sizeof(write_in), "hello", 5,
				  &written, sizeof(written)),
			 sizeof(written));
	ck_assert_uint_eq(written.size, 5);
	ck_assert_int_eq(fsd_call(rig, FUSE_READ, node, &read_in, sizeof(read_in), NULL, 0, data,
				  sizeof(data)),
			 10);
	ck_assert_mem_eq(data, "\0\0\0\0\0hello", 10);
}

static void release(struct fsd_rig *rig, uint64_t node, uint64_t fh, int64_t expected)
{
	struct fuse_release_in in = { .fh = fh };

	ck_assert_int_eq(fsd_call(rig, FUSE_RELEASE, node, &in, sizeof(in), NULL, 0, NULL, 0),
			 expected);
}

START_TEST(a_file_is_made_written_and_read)
{
	struct fsd_rig_options options = { .classic = _i };
	struct fuse_read_in read_in = { .size = 10 };
	struct fsd_rig rig;
	uint64_t node;
	uint64_t fh;

	fsd_rig_start(&rig, &options);
	node = create(&rig, "f", &fh);
	ck_assert_uint_eq(!fh, !options.classic); /* without OPEN the handle is 0 */
	write_and_read(&rig, node, fh);
	if (options.classic) {
		release(&rig, node, fh, 0);
		release(&rig, node, fh, -EBADF);
		read_in.fh = fh;
		ck_assert_int_eq(fsd_call(&rig, FUSE_READ, node, &read_in, sizeof(read_in), NULL, 0,
					  NULL, 10),
				 -EBADF);
	}
	fsd_rig_stop(&rig);
}
END_TEST

START_TEST(names_are_looked_up_and_forgotten)
{
	struct fsd_rig_options options = { 0 };
	struct fuse_forget_in forget = { .nlookup = 2 };
	struct fuse_getattr_in getattr = { 0 };
	struct fuse_attr_out attr;
	struct fuse_in_header head = { .opcode = FUSE_FORGET, .unique = 99 };
	uint8_t out[sizeof(head) + sizeof(forget)];
	struct fsd_rig rig;
	uint64_t node;
	int error;

	fsd_rig_start(&rig, &options);
	fsd_write_file(&rig, "f", "text");
	node = fsd_lookup(&rig, ROOT, "f", &error);
	ck_assert_int_eq(error, 0);
	ck_assert_uint_eq(fsd_lookup(&rig, ROOT, "f", &error), node);
	ck_assert_int_eq(fsd_call(&rig, FUSE_GETATTR, node, &getattr, sizeof(getattr), NULL, 0,
				  &attr, sizeof(attr)),
			 sizeof(attr));
	ck_assert_uint_eq(attr.attr.size, 4);
	head.nodeid = node;
	head.len = sizeof(out);
	memcpy(out, &head, sizeof(head));
	memcpy(out + sizeof(head), &forget, sizeof(forget));
	ck_assert_uint_eq(fsd_raw(&rig, 0, out, sizeof(out), 0), 0);
	ck_assert_int_eq(fsd_call(&rig, FUSE_GETATTR, node, &getattr, sizeof(getattr), NULL, 0,
				  &attr, sizeof(attr)),
			 -ESTALE);
	ck_assert_uint_ne(fsd_lookup(&rig, ROOT, "f", &error), node); /* a new generation */
	fsd_lookup(&rig, ROOT, "none", &error);
	ck_assert_int_eq(error, -ENOENT);
	fsd_rig_stop(&rig);
}
END_TEST

START_TEST(a_new_session_forgets_the_old_one)
{
	struct fsd_rig_options options = { 0 };
	struct fuse_init_in in = { .major = 7, .minor = 36, .flags = 0 };
	struct fuse_getattr_in getattr = { 0 };
	struct fuse_init_out out;
	struct fsd_rig rig;
	uint64_t node;
	uint64_t fh;

	fsd_rig_start(&rig, &options);
	node = create(&rig, "f", &fh);
	ck_assert_int_eq(fsd_call(&rig, FUSE_INIT, 0, &in, sizeof(in), NULL, 0, &out, sizeof(out)),
			 sizeof(out));
	ck_assert_uint_eq(out.minor, 36);
	ck_assert_int_eq(
		fsd_call(&rig, FUSE_GETATTR, node, &getattr, sizeof(getattr), NULL, 0, NULL, 200),
		-ESTALE);
	ck_assert_uint_eq(rig.fs->n_fds, 0);
	ck_assert_int_eq(fsd_call(&rig, FUSE_DESTROY, 0, NULL, 0, NULL, 0, NULL, 0), 0);
	ck_assert_int_eq(
		fsd_call(&rig, FUSE_GETATTR, ROOT, &getattr, sizeof(getattr), NULL, 0, NULL, 200),
		-EIO);
	in.major = 8;
	ck_assert_int_eq(fsd_call(&rig, FUSE_INIT, 0, &in, sizeof(in), NULL, 0, &out, sizeof(out)),
			 sizeof(out));
	ck_assert_uint_eq(out.major, 7);
	in.major = 0;
	ck_assert_int_eq(fsd_call(&rig, FUSE_INIT, 0, &in, sizeof(in), NULL, 0, &out, sizeof(out)),
			 -EPROTO);
	fsd_rig_stop(&rig);
}
END_TEST

/* What Linux 3.10 offers: FUSE_ASYNC_READ to FUSE_READDIRPLUS_AUTO, and FUSE_ASYNC_DIO. */
START_TEST(an_old_kernel_gets_what_it_knows)
{
	struct fsd_rig_options options = { .no_init = true };
	struct fuse_init_in in = { .major = 7, .minor = 22, .flags = 0xffff };
	struct fuse_getattr_in getattr = { 0 };
	struct fuse_attr_out attr;
	struct fuse_init_out out;
	struct fsd_rig rig;
	int error;

	fsd_rig_start(&rig, &options);
	fsd_write_file(&rig, "f", "text");
	ck_assert_int_eq(fsd_call(&rig, FUSE_INIT, 0, &in, 16, NULL, 0, &out, 24), 24);
	ck_assert_uint_eq(out.minor, 22);
	ck_assert_uint_eq(out.flags & ~0xffffu, 0);
	ck_assert_uint_eq(out.flags & FUSE_ATOMIC_O_TRUNC, 0);
	ck_assert_uint_eq(out.flags & FUSE_BIG_WRITES, FUSE_BIG_WRITES);
	ck_assert_uint_ge(out.max_write, 128 << 10);
	ck_assert_int_eq(fsd_call(&rig, FUSE_GETATTR, fsd_lookup(&rig, ROOT, "f", &error), &getattr,
				  sizeof(getattr), NULL, 0, &attr, sizeof(attr)),
			 sizeof(attr));
	ck_assert_uint_eq(attr.attr.size, 4);
	/* From 7.23 on the whole struct. */
	in.minor = 23;
	ck_assert_int_eq(fsd_call(&rig, FUSE_INIT, 0, &in, 16, NULL, 0, &out, sizeof(out)),
			 sizeof(out));
	ck_assert_uint_eq(out.minor, 23);
	ck_assert_int_eq(fsd_call(&rig, FUSE_INIT, 0, &in, 16, NULL, 0, &out, 24), -EPROTO);
	in.minor = 21;
	ck_assert_int_eq(fsd_call(&rig, FUSE_INIT, 0, &in, 16, NULL, 0, &out, sizeof(out)),
			 -EPROTO);
	fsd_rig_stop(&rig);
}
END_TEST

/* Whose kernel does not outlive a hole that ends within a page. */
START_TEST(an_old_kernel_makes_whole_holes)
{
	struct fsd_rig_options options = { .no_init = true };
	struct fuse_init_in in = { .major = 7, .minor = 22 };
	struct fuse_fallocate_in hole = { .mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE };
	struct fuse_open_in how = { .flags = O_RDWR };
	struct fuse_open_out open;
	struct fuse_init_out out;
	struct fsd_rig rig;
	uint64_t node;
	int error;

	fsd_rig_start(&rig, &options);
	fsd_write_file(&rig, "f", "text");
	for (; in.minor <= 23; in.minor++) {
		size_t size = in.minor > 22 ? sizeof(out) : 24;

		ck_assert_int_eq(fsd_call(&rig, FUSE_INIT, 0, &in, 16, NULL, 0, &out, size), size);
		node = fsd_lookup(&rig, ROOT, "f", &error);
		ck_assert_int_eq(fsd_call(&rig, FUSE_OPEN, node, &how, sizeof(how), NULL, 0, &open,
					  sizeof(open)),
				 sizeof(open));
		hole.fh = open.fh;
		hole.offset = 1;
		hole.length = 4095;
		ck_assert_int_eq(
			fsd_call(&rig, FUSE_FALLOCATE, node, &hole, sizeof(hole), NULL, 0, NULL, 0),
			0);
		hole.length = 4094;
		ck_assert_int_eq(
			fsd_call(&rig, FUSE_FALLOCATE, node, &hole, sizeof(hole), NULL, 0, NULL, 0),
			in.minor > 22 ? 0 : -EOPNOTSUPP);
	}
	fsd_rig_stop(&rig);
}
END_TEST

START_TEST(a_folder_is_listed_whole)
{
	struct fsd_rig_options options = { 0 };
	struct fuse_read_in in = { .size = 4096 };
	uint8_t reply[4096];
	bool seen[300] = { 0 };
	struct fsd_rig rig;
	int total = 0;

	fsd_rig_start(&rig, &options);
	for (int i = 0; i < 300; i++) {
		char name[32];

		snprintf(name, sizeof(name), "entry-%d", i);
		fsd_write_file(&rig, name, "");
	}
	in.fh = fsd_opendir(&rig, ROOT).fh;
	for (;;) {
		bool plus = in.offset == 0;
		int64_t len = fsd_call(&rig, plus ? FUSE_READDIRPLUS : FUSE_READDIR, ROOT, &in,
				       sizeof(in), NULL, 0, reply, sizeof(reply));

		ck_assert_int_ge(len, 0);
		if (!len)
			break;
		for (int64_t at = 0; at < len; total++) {
			size_t skip = plus ? sizeof(struct fuse_entry_out) : 0;
			const struct fuse_dirent *entry = (void *)(reply + at + skip);

			if (entry->name[0] == 'e') {
				char name[32] = "";
				int i;

				memcpy(name, entry->name, entry->namelen);
				i = atoi(name + 6);

				ck_assert(!seen[i]);
				seen[i] = true;
			}
			in.offset = entry->off;
			at += (int64_t)(skip + FUSE_DIRENT_SIZE(entry));
		}
	}
	ck_assert_int_eq(total, 302);
	in.size = 1;
	in.offset = 0;
	ck_assert_int_eq(fsd_call(&rig, FUSE_READDIR, ROOT, &in, sizeof(in), NULL, 0, reply, 4096),
			 -EINVAL);
	fsd_rig_stop(&rig);
}
END_TEST

/* Linux mixes what two programs fill its cache with, so one at a time may. */
START_TEST(one_listing_at_a_time_is_kept)
{
	struct fsd_rig_options options = { .classic = _i };
	struct fuse_release_in release = { 0 };
	struct fuse_open_out first;
	struct fuse_open_out other;
	struct fsd_rig rig;

	fsd_rig_start(&rig, &options);
	first = fsd_opendir(&rig, ROOT);
	ck_assert(first.open_flags & FOPEN_CACHE_DIR);
	for (int i = 0; i < 3; i++) {
		ck_assert(!(fsd_opendir(&rig, ROOT).open_flags & FOPEN_CACHE_DIR));
		other = fsd_opendir(&rig, ROOT);
		ck_assert(!(other.open_flags & FOPEN_CACHE_DIR));
		release.fh = other.fh;
		ck_assert_int_eq(fsd_call(&rig, FUSE_RELEASEDIR, ROOT, &release, sizeof(release),
					  NULL, 0, NULL, 0),
				 0);
		ck_assert(!(fsd_opendir(&rig, ROOT).open_flags & FOPEN_CACHE_DIR));
		release.fh = first.fh;
		ck_assert_int_eq(fsd_call(&rig, FUSE_RELEASEDIR, ROOT, &release, sizeof(release),
					  NULL, 0, NULL, 0),
				 0);
		first = fsd_opendir(&rig, ROOT);
		ck_assert(first.open_flags & FOPEN_CACHE_DIR);
	}
	fsd_rig_stop(&rig);
}
END_TEST

static const struct {
	uint32_t opcode;
	size_t body;
	const char *names; /* behind the body */
	size_t names_len;
} mutating[] = {
	{ FUSE_SETATTR, sizeof(struct fuse_setattr_in), "", 0 },
	{ FUSE_SYMLINK, 0, "n\0t", 4 },
	{ FUSE_MKNOD, sizeof(struct fuse_mknod_in), "n", 2 },
	{ FUSE_MKDIR, sizeof(struct fuse_mkdir_in), "n", 2 },
	{ FUSE_UNLINK, 0, "f", 2 },
	{ FUSE_RMDIR, 0, "d", 2 },
	{ FUSE_RENAME, sizeof(struct fuse_rename_in), "f\0g", 4 },
	{ FUSE_RENAME2, sizeof(struct fuse_rename2_in), "f\0g", 4 },
	{ FUSE_LINK, sizeof(struct fuse_link_in), "n", 2 },
	{ FUSE_WRITE, sizeof(struct fuse_write_in), "", 0 },
	{ FUSE_SETXATTR, sizeof(struct fuse_setxattr_in), "user.a", 7 },
	{ FUSE_REMOVEXATTR, 0, "user.a", 7 },
	{ FUSE_CREATE, sizeof(struct fuse_create_in), "n", 2 },
	{ FUSE_FALLOCATE, sizeof(struct fuse_fallocate_in), "", 0 },
	{ FUSE_TMPFILE, sizeof(struct fuse_create_in), "n", 2 },
};

START_TEST(a_read_only_share_is_never_written)
{
	struct fsd_rig_options options = { .read_only = true, .classic = true };
	static const uint8_t zeros[256];
	struct fuse_open_in open_in[] = { { .flags = O_RDONLY | O_TRUNC },
					  { .flags = O_WRONLY },
					  { .flags = O_RDWR } };
	struct fuse_ioctl_in ioctl_in = { .cmd = 0x40086602 /* FS_IOC_SETFLAGS */, .in_size = 4 };
	struct fuse_copy_file_range_in copy = { .off_out = 100, .len = 4 };
	struct fsd_rig rig;
	struct stat st;
	char path[256];
	uint64_t node;
	int error;

	fsd_rig_start(&rig, &options);
	fsd_write_file(&rig, "f", "text");
	for (size_t i = 0; i < sizeof(mutating) / sizeof(mutating[0]); i++) {
		int64_t ret = fsd_call(&rig, mutating[i].opcode, ROOT, zeros, mutating[i].body,
				       mutating[i].names, mutating[i].names_len, NULL, 400);

		ck_assert_msg(ret == -EROFS, "opcode %u: %lld", mutating[i].opcode, (long long)ret);
	}
	node = fsd_lookup(&rig, ROOT, "f", &error);
	for (size_t i = 0; i < 3; i++)
		ck_assert_int_eq(fsd_call(&rig, FUSE_OPEN, node, &open_in[i], sizeof(open_in[i]),
					  NULL, 0, NULL, 100),
				 -EROFS);
	ck_assert_int_eq(
		fsd_call(&rig, FUSE_IOCTL, node, &ioctl_in, sizeof(ioctl_in), zeros, 4, NULL, 100),
		-EROFS);
	/* Its node is the one that is read. */
	copy.nodeid_out = node;
	ck_assert_int_eq(
		fsd_call(&rig, FUSE_COPY_FILE_RANGE, node, &copy, sizeof(copy), NULL, 0, NULL, 8),
		-EROFS);
	ck_assert_int_eq(stat(fsd_path(&rig, "f", path), &st), 0);
	ck_assert_int_eq(st.st_size, 4);
	fsd_rig_stop(&rig);
}
END_TEST

START_TEST(the_synthetic_root_lists_shares_as_they_come_and_go)
{
	struct fsd_rig_options options = { .synthetic_root = true };
	struct fuse_mkdir_in mkdir_in = { .mode = 0755 };
	struct fuse_rename_in rename_in = { 0 };
	struct fuse_link_in link_in = { 0 };
	struct fuse_read_in in = { .size = 4096 };
	struct owner_map owner = { 0 };
	struct fsd_rig rig;
	char path[256];
	uint64_t share;
	uint64_t more;
	int error;

	fsd_rig_start(&rig, &options);
	share = fsd_lookup(&rig, ROOT, "share", &error);
	ck_assert_int_eq(error, 0);
	ck_assert_int_eq(
		call_name(&rig, FUSE_MKDIR, ROOT, &mkdir_in, sizeof(mkdir_in), "x", NULL, 200),
		-EROFS);
	ck_assert_int_eq(
		call_name(&rig, FUSE_MKDIR, share, &mkdir_in, sizeof(mkdir_in), "x", NULL, 200),
		sizeof(struct fuse_entry_out));
	ck_assert_int_eq(fs_share_add(rig.fs, "more", open("/tmp", O_PATH | O_CLOEXEC), false,
				      &owner, false),
			 0);
	ck_assert_int_eq(fs_share_add(rig.fs, "more", open("/tmp", O_PATH | O_CLOEXEC), false,
				      &owner, false),
			 -EEXIST);
	more = fsd_lookup(&rig, ROOT, "more", &error);
	ck_assert_int_eq(error, 0);
	rename_in.newdir = more;
	ck_assert_int_eq(fsd_call(&rig, FUSE_RENAME, share, &rename_in, sizeof(rename_in), "x\0y",
				  4, NULL, 0),
			 -EXDEV);
	/* On one file system of the host, where link(2) would do. */
	ck_assert_int_eq(mknod(fsd_path(&rig, "f", path), S_IFREG | 0644, 0), 0);
	link_in.oldnodeid = fsd_lookup(&rig, share, "f", &error);
	ck_assert_int_eq(error, 0);
	ck_assert_int_eq(call_name(&rig, FUSE_LINK, more, &link_in, sizeof(link_in), "lodge-link",
				   NULL, 200),
			 -EXDEV);
	ck_assert_int_eq(access("/tmp/lodge-link", F_OK), -1);
	in.fh = fsd_opendir(&rig, ROOT).fh;
	ck_assert_int_gt(fsd_call(&rig, FUSE_READDIR, ROOT, &in, sizeof(in), NULL, 0, NULL, 4096),
			 0);
	ck_assert_int_eq(fs_share_remove(rig.fs, "more"), 0);
	ck_assert_int_eq(fs_share_remove(rig.fs, "more"), -ENOENT);
	fsd_lookup(&rig, more, "x", &error);
	ck_assert_int_eq(error, -ESTALE);
	fsd_lookup(&rig, ROOT, "more", &error);
	ck_assert_int_eq(error, -ENOENT);
	fsd_rig_stop(&rig);
}
END_TEST

START_TEST(windows_to_the_kernel_are_closed)
{
	struct fsd_rig_options options = { .synthetic_root = true };
	struct fuse_open_in open_in = { 0 };
	struct fuse_read_in in = { .size = 4096 };
	struct owner_map owner = { 0 };
	struct fsd_rig rig;
	uint64_t host;
	uint64_t proc;
	int error;

	fsd_rig_start(&rig, &options);
	ck_assert_int_eq(
		fs_share_add(rig.fs, "host", open("/", O_PATH | O_CLOEXEC), true, &owner, false),
		0);
	host = fsd_lookup(&rig, ROOT, "host", &error);
	proc = fsd_lookup(&rig, host, "proc", &error);
	ck_assert_int_eq(error, 0);
	fsd_lookup(&rig, proc, "version", &error);
	ck_assert_int_eq(error, -EACCES);
	ck_assert_int_eq(
		fsd_call(&rig, FUSE_OPENDIR, proc, &open_in, sizeof(open_in), NULL, 0, NULL, 16),
		-EACCES);
	ck_assert_int_eq(fsd_call(&rig, FUSE_READDIR, proc, &in, sizeof(in), NULL, 0, NULL, 4096),
			 -EACCES);
	fsd_rig_stop(&rig);
}
END_TEST

START_TEST(what_may_block_is_answered_by_workers)
{
	struct fsd_rig_options options = { 0 };
	struct fuse_fsync_in fsync_in = { 0 };
	struct fuse_fallocate_in space = { .length = 8192 };
	struct fuse_copy_file_range_in copy = { .len = 10 };
	uint64_t syncfs_in = 0;
	struct fsd_rig rig;
	uint64_t node;
	uint64_t fh;

	fsd_rig_start(&rig, &options);
	node = create(&rig, "f", &fh);
	copy.nodeid_out = node;
	copy.off_out = 100;
	ck_assert_int_eq(
		fsd_call(&rig, FUSE_FALLOCATE, node, &space, sizeof(space), NULL, 0, NULL, 0), 0);
	ck_assert_int_eq(
		fsd_call(&rig, FUSE_FSYNC, node, &fsync_in, sizeof(fsync_in), NULL, 0, NULL, 0), 0);
	ck_assert_int_eq(
		fsd_call(&rig, FUSE_COPY_FILE_RANGE, node, &copy, sizeof(copy), NULL, 0, NULL, 8),
		8);
	ck_assert_int_eq(fsd_call(&rig, FUSE_SYNCFS, ROOT, &syncfs_in, 8, NULL, 0, NULL, 0), 0);
	ck_assert_int_ge((int)rig.backend->workers.local.n_threads, 1);
	fsd_rig_stop(&rig);
}
END_TEST

START_TEST(the_front_end_may_stop_and_go_on)
{
	struct fsd_rig_options options = { 0 };
	struct fuse_getattr_in getattr = { 0 };
	struct fsd_rig rig;

	fsd_rig_start(&rig, &options);
	for (int i = 0; i < 5; i++) {
		fsd_rig_stop_queues(&rig);
		fsd_rig_start_queues(&rig);
		ck_assert_int_gt(fsd_call(&rig, FUSE_GETATTR, ROOT, &getattr, sizeof(getattr), NULL,
					  0, NULL, 200),
				 0);
	}
	fsd_rig_stop(&rig);
	ck_assert_int_eq(rig.end_status, -ECONNRESET);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fsd_requests");
	TCase *tcase = tcase_create("requests");

	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, a_file_is_made_written_and_read, 0, 2);
	tcase_add_test(tcase, names_are_looked_up_and_forgotten);
	tcase_add_test(tcase, a_new_session_forgets_the_old_one);
	tcase_add_test(tcase, an_old_kernel_gets_what_it_knows);
	tcase_add_test(tcase, an_old_kernel_makes_whole_holes);
	tcase_add_test(tcase, a_folder_is_listed_whole);
	tcase_add_loop_test(tcase, one_listing_at_a_time_is_kept, 0, 2);
	tcase_add_test(tcase, a_read_only_share_is_never_written);
	tcase_add_test(tcase, the_synthetic_root_lists_shares_as_they_come_and_go);
	tcase_add_test(tcase, windows_to_the_kernel_are_closed);
	tcase_add_test(tcase, what_may_block_is_answered_by_workers);
	tcase_add_test(tcase, the_front_end_may_stop_and_go_on);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
