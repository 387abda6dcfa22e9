// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A lodge-fsd that died with all its processes, and the next one: the guest's session goes on, what
 * it knew but the root is stale, and nothing of it is taken for something else.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shared-fs/server/session.h"
#include "tests/unit/fsd_harness.h"
#include "tests/unit/unit.h"

static char folder[64];
static int session_fd;
static struct session_record *record;
static struct scratch *scratch;
static struct fs *fs;

static void setup(void)
{
	strcpy(folder, "/tmp/lodge-fsd-test.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	session_fd = memfd_create("session", MFD_CLOEXEC);
	ck_assert_int_ge(session_fd, 0);
	scratch = calloc(1, sizeof(*scratch));
	ck_assert_ptr_nonnull(scratch);
	fs = NULL;
	record = NULL;
}

static void end(void)
{
	fs_destroy(fs);
	if (record)
		munmap(record, sizeof(*record));
	fs = NULL;
	record = NULL;
}

static void teardown(void)
{
	char command[80];

	end();
	close(session_fd);
	free(scratch);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	ck_assert_int_eq(system(command), 0);
}

static void add_share(const char *name, bool export)
{
	ck_assert_int_eq(fs_share_add(fs, name, open(folder, O_PATH | O_CLOEXEC), false,
				      &(struct owner_map){ 0 }, export),
			 0);
}

/* The next lodge-fsd. Of the one before nothing is left but the record, as it was at its death. */
static void begin_with(const char *const *shares)
{
	struct fs_config config = { .fd_limit = 500 };
	struct session_record last = { 0 };
	bool first = !record;

	if (record)
		last = *record;
	end();
	ck_assert_int_eq(session_map(session_fd, &record), 0);
	if (!first)
		*record = last;
	config.session = record;
	ck_assert_int_eq(fs_create(&config, &fs), 0);
	for (; *shares; shares++)
		add_share(*shares, !shares[1] && !strcmp(*shares, "export"));
}

static void begin(void)
{
	begin_with((const char *const[]){ "export", NULL });
}

static int64_t call(uint32_t opcode, uint64_t nodeid, const void *body, size_t len, void *reply,
		    size_t room)
{
	return fsd_direct(fs, scratch, opcode, nodeid, body, len, reply, room);
}

static void init(uint32_t minor, uint32_t flags)
{
	struct fuse_init_in in = { .major = FUSE_KERNEL_VERSION, .minor = minor, .flags = flags };
	struct fuse_init_out out;

	ck_assert_int_gt(call(FUSE_INIT, 0, &in, sizeof(in), &out, sizeof(out)), 0);
}

static uint64_t lookup_in(uint64_t dir, const char *name)
{
	struct fuse_entry_out entry;

	ck_assert_int_eq(call(FUSE_LOOKUP, dir, name, strlen(name) + 1, &entry, sizeof(entry)),
			 sizeof(entry));
	return entry.nodeid;
}

static uint64_t lookup(const char *name)
{
	return lookup_in(FUSE_ROOT_ID, name);
}

static void forget(uint64_t nodeid, uint64_t nlookup)
{
	struct fuse_forget_in in = { .nlookup = nlookup };

	call(FUSE_FORGET, nodeid, &in, sizeof(in), NULL, 0);
}

static int64_t look_at(uint64_t nodeid)
{
	struct fuse_getattr_in in = { 0 };
	struct fuse_attr_out out;
	int64_t ret = call(FUSE_GETATTR, nodeid, &in, sizeof(in), &out, sizeof(out));

	return ret < 0 ? ret : 0;
}

static const char *make_file_in(uint64_t dir, const char *name)
{
	struct {
		struct fuse_mknod_in in;
		char name[16];
	} mknod = { .in.mode = S_IFREG | 0644 };
	struct fuse_entry_out entry;

	strcpy(mknod.name, name);
	ck_assert_int_eq(call(FUSE_MKNOD, dir, &mknod, sizeof(mknod.in) + strlen(name) + 1, &entry,
			      sizeof(entry)),
			 sizeof(entry));
	return name;
}

static void make_file(const char *name)
{
	make_file_in(FUSE_ROOT_ID, name);
}

START_TEST(goes_on)
{
	uint64_t features;
	uint64_t a;
	uint64_t b;

	begin();
	ck_assert_int_eq(look_at(FUSE_ROOT_ID), -EIO); /* before INIT */
	init(FUSE_KERNEL_MINOR_VERSION, INT32_MAX);
	features = fs->features;
	ck_assert(fs->zero_open);
	make_file("a");
	make_file("b");
	a = lookup("a");
	for (int i = 0; i < 5; i++) {
		begin();
		ck_assert_uint_eq(fs->features, features);
		ck_assert(fs->zero_open);
		ck_assert_int_eq(look_at(FUSE_ROOT_ID), 0);
		/* The first that is made has the place that the first one before had. */
		b = lookup("b");
		ck_assert_uint_ne(b, a);
		ck_assert_int_eq(look_at(a), -ESTALE);
		ck_assert_int_eq(look_at(b), 0);
		a = lookup("a");
		ck_assert_int_eq(look_at(a), 0);
	}
}
END_TEST

/* A handle of the one before is no handle of this one. */
START_TEST(handles_are_gone)
{
	struct fuse_open_in open_in = { .flags = O_RDONLY };
	struct fuse_open_out old;
	struct fuse_open_out new;
	struct fuse_read_in read_in = { .size = 10 };
	char bytes[16];

	begin();
	init(FUSE_KERNEL_MINOR_VERSION, 0);
	ck_assert(!fs->zero_open);
	make_file("a");
	ck_assert_int_gt(call(FUSE_OPEN, lookup("a"), &open_in, sizeof(open_in), &old, sizeof(old)),
			 0);
	begin();
	ck_assert(!fs->zero_open);
	ck_assert_int_gt(call(FUSE_OPEN, lookup("a"), &open_in, sizeof(open_in), &new, sizeof(new)),
			 0);
	ck_assert_uint_ne(old.fh, new.fh);
	read_in.fh = old.fh;
	ck_assert_int_eq(call(FUSE_READ, lookup("a"), &read_in, sizeof(read_in), bytes, 10),
			 -EBADF);
}
END_TEST

/* Mounts of a share's folder go on: whatever the order in which shares are there again. */
START_TEST(folders_of_shares)
{
	uint64_t a;
	uint64_t b;
	uint64_t file;

	begin_with((const char *const[]){ "a", "b", "c", NULL });
	init(FUSE_KERNEL_MINOR_VERSION, INT32_MAX);
	ck_assert_uint_ne(lookup("c"), 0);
	b = lookup("b");
	file = lookup_in(b, make_file_in(b, "file"));
	a = lookup("a");
	for (int i = 0; i < 3; i++) {
		begin_with(i & 1 ? (const char *const[]){ "x", "b", "a", NULL }
				 : (const char *const[]){ "b", "x", "y", "a", NULL });
		ck_assert_int_eq(look_at(file), -ESTALE);
		ck_assert_int_eq(look_at(b), 0);
		ck_assert_int_eq(look_at(a), 0);
		file = lookup_in(b, "file");
		ck_assert_int_eq(look_at(file), 0);
		ck_assert_uint_eq(lookup("a"), a);
		ck_assert_uint_eq(lookup("b"), b);
	}
	/* What the guest has forgotten, and a share that goes, is not kept. */
	forget(a, 100);
	ck_assert_int_eq(fs_share_remove(fs, "b"), 0);
	forget(b, 100);
	begin_with((const char *const[]){ "b", "a", NULL });
	ck_assert_int_eq(look_at(a), -ESTALE);
	ck_assert_int_eq(look_at(b), -ESTALE);
	ck_assert_uint_ne(lookup("a"), a);
}
END_TEST

/* The guest forgets the folder of the old one when the new one has its name. */
START_TEST(a_share_that_comes_again)
{
	uint64_t old;
	uint64_t new;

	begin_with((const char *const[]){ "a", NULL });
	init(FUSE_KERNEL_MINOR_VERSION, INT32_MAX);
	old = lookup("a");
	ck_assert_int_eq(fs_share_remove(fs, "a"), 0);
	add_share("a", false);
	new = lookup("a");
	ck_assert_uint_ne(new, old);
	forget(old, 1);
	begin_with((const char *const[]){ "a", NULL });
	ck_assert_int_eq(look_at(new), 0);
	ck_assert_int_eq(look_at(old), -ESTALE);
}
END_TEST

START_TEST(folders_that_lie)
{
	begin_with((const char *const[]){ "a", "b", NULL });
	init(FUSE_KERNEL_MINOR_VERSION, INT32_MAX);
	lookup("a");
	lookup("b");
	for (int i = 0; i < SHARES_MAX; i++) {
		memset(record->roots[i].name, 'a', sizeof(record->roots[i].name));
		record->roots[i].nodeid = UINT64_MAX;
	}
	begin_with((const char *const[]){ "a", "b", NULL });
	ck_assert_int_eq(look_at(lookup("a")), 0);
	for (int i = 0; i < SHARES_MAX; i++) {
		static const uint64_t ids[] = { FUSE_ROOT_ID, UINT64_MAX, 1 << SLOT_INDEX_BITS,
						SLOTS_CHUNK * SLOTS_CHUNKS };

		memset(record->roots[i].name, 0, sizeof(record->roots[i].name));
		record->roots[i].name[0] = "ab"[i & 1];
		record->roots[i].nodeid = ids[_i];
	}
	begin_with((const char *const[]){ "a", "b", NULL });
	ck_assert_int_eq(look_at(lookup("a")), 0);
	ck_assert_int_eq(look_at(lookup("b")), 0);
	ck_assert_int_eq(look_at(FUSE_ROOT_ID), 0);
}
END_TEST

static void destroy(void)
{
	call(FUSE_DESTROY, 0, "", 0, NULL, 0);
}

START_TEST(ends_with_the_guests_word)
{
	begin();
	init(FUSE_KERNEL_MINOR_VERSION, INT32_MAX);
	destroy();
	begin();
	ck_assert_int_eq(look_at(FUSE_ROOT_ID), -EIO);
	/* A guest that begins anew says what it can do itself. */
	init(FUSE_KERNEL_MINOR_VERSION, INT32_MAX);
	begin();
	init(FUSE_KERNEL_MINOR_VERSION, 0);
	ck_assert(!fs->zero_open);
	begin();
	ck_assert_int_eq(look_at(FUSE_ROOT_ID), 0);
	ck_assert(!fs->zero_open);
}
END_TEST

/* The one before may have been made to write anything. */
START_TEST(record_that_lies)
{
	begin();
	init(FUSE_KERNEL_MINOR_VERSION, INT32_MAX);
	record->features = UINT64_MAX;
	record->minor = UINT32_MAX;
	record->era = UINT32_MAX;
	record->begun = UINT32_MAX;
	begin();
	ck_assert_uint_le(fs->minor, FUSE_KERNEL_MINOR_VERSION);
	ck_assert_uint_lt(fs->inodes.era, SLOT_ERAS);
	ck_assert(!(fs->features & FUSE_WRITEBACK_CACHE));
	make_file("a");
	ck_assert_int_eq(look_at(lookup("a")), 0);
	record->minor = 0;
	begin();
	ck_assert_int_eq(look_at(FUSE_ROOT_ID), -EIO);
	record->magic = 42;
	record->begun = 1;
	begin();
	ck_assert_int_eq(look_at(FUSE_ROOT_ID), -EIO);
	ck_assert_uint_eq(record->era, 0);
	/* Cut off, it is made whole. */
	end();
	ck_assert_int_eq(ftruncate(session_fd, 3), 0);
	begin();
	ck_assert_int_eq(look_at(FUSE_ROOT_ID), -EIO);
}
END_TEST

START_TEST(no_file_no_record)
{
	int pipe_fds[2];

	ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
	ck_assert_int_eq(session_map(pipe_fds[0], &record), -EINVAL);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	ck_assert_int_eq(session_map(-1, &record), -EBADF);
	ck_assert_ptr_null(record);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fsd_session");
	TCase *tcase = tcase_create("session");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, goes_on);
	tcase_add_test(tcase, handles_are_gone);
	tcase_add_test(tcase, folders_of_shares);
	tcase_add_test(tcase, a_share_that_comes_again);
	tcase_add_loop_test(tcase, folders_that_lie, 0, 4);
	tcase_add_test(tcase, ends_with_the_guests_word);
	tcase_add_test(tcase, record_that_lies);
	tcase_add_test(tcase, no_file_no_record);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
