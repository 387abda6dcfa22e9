// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The server is killed, and its guest does not notice. The deaths are placed: the tracer of the
 * server stops it where it enters or leaves the system call that does a request's work, and kills
 * it there.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/fsd_harness.h"
#include "tests/unit/fsd_tracer.h"
#include "tests/unit/unit.h"

static struct fsd_rig rig;

static void start(bool classic)
{
	struct fsd_rig_options options = { .program = true, .classic = classic };

	fsd_rig_start(&rig, &options);
}

static void stop(void)
{
	fsd_rig_stop(&rig);
}

/* The next request's server dies at @call, before or after it is done. */
static void die_at(long call, bool done)
{
	fsd_die_at(&rig, call, done, 1);
}

/* ---- requests ---- */

/* Files that are older than what comes are so by the clock that files are stamped with. */
static void let_it_tick(void)
{
	struct timespec from;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME_COARSE, &from);
	do
		clock_gettime(CLOCK_REALTIME_COARSE, &now);
	while ((now.tv_sec - from.tv_sec) * 1000000000 + now.tv_nsec - from.tv_nsec < 20000000);
}

static int64_t by_name(uint32_t opcode, const char *name)
{
	return fsd_call(&rig, opcode, FUSE_ROOT_ID, NULL, 0, name, strlen(name) + 1, NULL, 0);
}

static int64_t make_folder(const char *name, struct fuse_entry_out *entry)
{
	struct fuse_mkdir_in in = { .mode = 0755 };

	return fsd_call(&rig, FUSE_MKDIR, FUSE_ROOT_ID, &in, sizeof(in), name, strlen(name) + 1,
			entry, sizeof(*entry));
}

struct created {
	struct fuse_entry_out entry;
	struct fuse_open_out open;
};

static int64_t create(const char *name, uint32_t mode, struct created *out)
{
	struct fuse_create_in in = { .mode = S_IFREG | mode, .flags = O_RDWR | O_CREAT | O_EXCL };

	return fsd_call(&rig, FUSE_CREATE, FUSE_ROOT_ID, &in, sizeof(in), name, strlen(name) + 1,
			out, sizeof(*out));
}

static int64_t write_file(uint64_t nodeid, uint64_t fh, const char *text, uint32_t flags)
{
	struct fuse_write_in in = { .fh = fh, .size = (uint32_t)strlen(text), .flags = flags };
	struct fuse_write_out out;
	int64_t ret = fsd_call(&rig, FUSE_WRITE, nodeid, &in, sizeof(in), text, in.size, &out,
			       sizeof(out));

	return ret < 0 ? ret : out.size;
}

static int64_t read_file(uint64_t nodeid, uint64_t fh, char text[64])
{
	struct fuse_read_in in = { .fh = fh, .size = 63 };
	int64_t ret = fsd_call(&rig, FUSE_READ, nodeid, &in, sizeof(in), NULL, 0, text, 63);

	text[ret < 0 ? 0 : ret] = 0;
	return ret;
}

static uint64_t open_for_reading(uint64_t nodeid, bool by_message)
{
	struct fuse_open_in in = { .flags = O_RDONLY };
	struct fuse_open_out out = { 0 };

	if (by_message)
		ck_assert_int_gt(fsd_call(&rig, FUSE_OPEN, nodeid, &in, sizeof(in), NULL, 0, &out,
					  sizeof(out)),
				 0);
	return out.fh;
}

static int64_t move(const char *from, const char *to, uint32_t flags)
{
	struct fuse_rename2_in in = { .newdir = FUSE_ROOT_ID, .flags = flags };
	char names[64];
	int len = sprintf(names, "%s%c%s", from, 0, to) + 1;

	return fsd_call(&rig, FUSE_RENAME2, FUSE_ROOT_ID, &in, sizeof(in), names, (size_t)len, NULL,
			0);
}

static bool there(const char *name)
{
	char path[256];
	struct stat st;

	return !lstat(fsd_path(&rig, name, path), &st);
}

static void check_text(const char *name, const char *text)
{
	char buffer[64] = "";
	char path[256];
	int fd = open(fsd_path(&rig, name, path), O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_ge(read(fd, buffer, sizeof(buffer) - 1), 0);
	close(fd);
	ck_assert_str_eq(buffer, text);
}

static int count_fds(void)
{
	char command[64];
	FILE *list;
	int n;

	snprintf(command, sizeof(command), "ls /proc/%d/fd | wc -l", fsd_wait_server(&rig));
	list = popen(command, "re");
	ck_assert_ptr_nonnull(list);
	ck_assert_int_eq(fscanf(list, "%d", &n), 1);
	pclose(list);
	return n;
}

/* ---- what the guest holds ---- */

START_TEST(what_the_guest_holds_stays)
{
	struct created file;
	char text[64];
	uint64_t dir;
	int error;

	start(_i);
	ck_assert_int_gt(make_folder("dir", &file.entry), 0);
	dir = file.entry.nodeid;
	ck_assert_int_gt(create("open", 0600, &file), 0);
	ck_assert_int_eq(write_file(file.entry.nodeid, file.open.fh, "text", 0), 4);
	ck_assert_int_eq(by_name(FUSE_UNLINK, "open"), 0);
	for (int i = 0; i < 3; i++) {
		fsd_kill_idle(&rig);
		ck_assert_int_eq(read_file(file.entry.nodeid, file.open.fh, text), 4);
		ck_assert_str_eq(text, "text");
		ck_assert_uint_eq(fsd_lookup(&rig, FUSE_ROOT_ID, "dir", &error), dir);
	}
	stop();
}
END_TEST

START_TEST(locks_stay)
{
	struct fsd_rig_options options = { .program = true, .host_locks = true };
	struct fuse_lk_in in = { .owner = 7, .lk = { .end = 9, .type = F_WRLCK } };
	struct flock other = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	struct created file;
	char path[256];
	int fd;

	fsd_rig_start(&rig, &options);
	ck_assert_int_gt(create("locked", 0600, &file), 0);
	in.fh = file.open.fh;
	ck_assert_int_eq(
		fsd_call(&rig, FUSE_SETLK, file.entry.nodeid, &in, sizeof(in), NULL, 0, NULL, 0),
		0);
	fsd_kill_idle(&rig);
	fd = open(fsd_path(&rig, "locked", path), O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &other), -1);
	in.lk.type = F_UNLCK;
	ck_assert_int_eq(
		fsd_call(&rig, FUSE_SETLK, file.entry.nodeid, &in, sizeof(in), NULL, 0, NULL, 0),
		0);
	ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &other), 0);
	close(fd);
	stop();
}
END_TEST

/* ---- one row for each thing that must not be done twice ---- */

static void over_mkdir(bool done)
{
	struct fuse_entry_out entry;

	die_at(SYS_mkdirat, done);
	ck_assert_int_eq(make_folder("new", &entry), sizeof(entry));
	ck_assert(there("new"));
	die_at(SYS_mkdirat, done);
	let_it_tick();
	ck_assert_int_eq(make_folder("new", &entry), -EEXIST);
}

static void over_mknod(bool done)
{
	struct fuse_mknod_in in = { .mode = S_IFIFO | 0600 };
	struct fuse_entry_out entry;

	die_at(SYS_mknodat, done);
	ck_assert_int_eq(fsd_call(&rig, FUSE_MKNOD, FUSE_ROOT_ID, &in, sizeof(in), "new", 4, &entry,
				  sizeof(entry)),
			 sizeof(entry));
	ck_assert(there("new"));
}

static void over_symlink(bool done)
{
	struct fuse_entry_out entry;

	die_at(SYS_symlinkat, done);
	ck_assert_int_eq(fsd_call(&rig, FUSE_SYMLINK, FUSE_ROOT_ID, "new", 4, "target", 7, &entry,
				  sizeof(entry)),
			 sizeof(entry));
	ck_assert(there("new"));
}

static void over_link(bool done)
{
	struct fuse_link_in in = { 0 };
	struct fuse_entry_out entry;
	char path[256];
	struct stat st;
	int error;

	in.oldnodeid = fsd_lookup(&rig, FUSE_ROOT_ID, "old", &error);
	die_at(SYS_linkat, done);
	ck_assert_int_eq(fsd_call(&rig, FUSE_LINK, FUSE_ROOT_ID, &in, sizeof(in), "new", 4, &entry,
				  sizeof(entry)),
			 sizeof(entry));
	ck_assert_uint_eq(entry.nodeid, in.oldnodeid);
	ck_assert_int_eq(stat(fsd_path(&rig, "new", path), &st), 0);
	ck_assert_uint_eq(st.st_nlink, 2);
}

/* Of a file that its own mode lets nobody write again. */
static void over_create(bool done)
{
	struct created file;

	die_at(SYS_openat, done);
	ck_assert_int_eq(create("new", 0400, &file), sizeof(file));
	ck_assert_int_eq(write_file(file.entry.nodeid, file.open.fh, "text", 0), 4);
	check_text("new", "text");
	let_it_tick();
	die_at(SYS_openat, done);
	ck_assert_int_eq(create("old", 0600, &file), -EEXIST);
	check_text("old", "old");
}

static void over_unlink(bool done)
{
	die_at(SYS_unlinkat, done);
	ck_assert_int_eq(by_name(FUSE_UNLINK, "old"), 0);
	ck_assert(!there("old"));
	let_it_tick();
	die_at(SYS_unlinkat, done);
	ck_assert_int_eq(by_name(FUSE_UNLINK, "old"), -ENOENT);
}

static void over_rmdir(bool done)
{
	struct fuse_entry_out entry;

	ck_assert_int_eq(make_folder("new", &entry), sizeof(entry));
	die_at(SYS_unlinkat, done);
	ck_assert_int_eq(by_name(FUSE_RMDIR, "new"), 0);
	ck_assert(!there("new"));
}

static void over_rename(bool done)
{
	die_at(SYS_renameat, done);
	ck_assert_int_eq(move("old", "new", 0), 0);
	ck_assert(!there("old"));
	check_text("new", "old");
	let_it_tick();
	die_at(SYS_renameat, done);
	ck_assert_int_eq(move("old", "new", 0), -ENOENT);
	check_text("new", "old");
}

static void over_exchange(bool done)
{
	fsd_write_file(&rig, "other", "other");
	die_at(SYS_renameat2, done);
	ck_assert_int_eq(move("old", "other", RENAME_EXCHANGE), 0);
	check_text("old", "other");
	check_text("other", "old");
}

static void over_append(bool done)
{
	struct created file;

	ck_assert_int_gt(create("new", 0600, &file), 0);
	ck_assert_int_eq(write_file(file.entry.nodeid, file.open.fh, "begin", O_APPEND), 5);
	die_at(SYS_pwritev2, done);
	ck_assert_int_eq(write_file(file.entry.nodeid, file.open.fh, "-end", O_APPEND), 4);
	check_text("new", "begin-end");
}

static void over_setxattr(bool done)
{
	struct fuse_setxattr_in in = { .size = 1, .flags = XATTR_CREATE };
	const char attr[] = "user.new\0x";
	uint64_t nodeid;
	int error;

	nodeid = fsd_lookup(&rig, FUSE_ROOT_ID, "old", &error);
	die_at(SYS_setxattr, done);
	ck_assert_int_eq(fsd_call(&rig, FUSE_SETXATTR, nodeid, &in, sizeof(in), attr, 10, NULL, 0),
			 0);
	die_at(SYS_removexattr, done);
	ck_assert_int_eq(fsd_call(&rig, FUSE_REMOVEXATTR, nodeid, attr, 9, NULL, 0, NULL, 0), 0);
	let_it_tick();
	ck_assert_int_eq(fsd_call(&rig, FUSE_REMOVEXATTR, nodeid, attr, 9, NULL, 0, NULL, 0),
			 -ENODATA);
}

static void over_fsync(bool done)
{
	struct fuse_fsync_in in = { 0 };
	struct created file;

	ck_assert_int_gt(create("new", 0600, &file), 0);
	in.fh = file.open.fh;
	die_at(SYS_fsync, done);
	ck_assert_int_eq(
		fsd_call(&rig, FUSE_FSYNC, file.entry.nodeid, &in, sizeof(in), NULL, 0, NULL, 0),
		0);
}

/* By the host's own copy_file_range(2), which shares extents where its file system can. */
static void over_copy(bool done)
{
	struct fuse_copy_file_range_in in = { .off_in = 1, .off_out = 4, .len = 2 };
	struct fuse_write_out out;
	struct created file;
	uint64_t nodeid;
	int error;

	nodeid = fsd_lookup(&rig, FUSE_ROOT_ID, "old", &error);
	ck_assert_int_gt(create("new", 0600, &file), 0);
	ck_assert_int_eq(write_file(file.entry.nodeid, file.open.fh, "text", 0), 4);
	/* Without OPEN handles are 0; else one for reading is wanted. */
	in.fh_in = open_for_reading(nodeid, file.open.fh);
	in.fh_out = file.open.fh;
	in.nodeid_out = file.entry.nodeid;
	die_at(SYS_copy_file_range, done);
	ck_assert_int_eq(fsd_call(&rig, FUSE_COPY_FILE_RANGE, nodeid, &in, sizeof(in), NULL, 0,
				  &out, sizeof(out)),
			 sizeof(out));
	ck_assert_uint_eq(out.size, 2);
	check_text("new", "textld");
}

static const struct {
	const char *name;
	void (*run)(bool done);
} rows[] = {
	{ "mkdir", over_mkdir },   { "mknod", over_mknod },    { "symlink", over_symlink },
	{ "link", over_link },	   { "create", over_create },  { "unlink", over_unlink },
	{ "rmdir", over_rmdir },   { "rename", over_rename },  { "exchange", over_exchange },
	{ "append", over_append }, { "xattr", over_setxattr }, { "fsync", over_fsync },
	{ "copy", over_copy },
};

#define N_ROWS (int)(sizeof(rows) / sizeof(rows[0]))

START_TEST(nothing_is_done_twice)
{
	start(_i & 2);
	fsd_write_file(&rig, "old", "old");
	let_it_tick();
	rows[_i / 4].run(_i & 1);
	stop();
}
END_TEST

/* ---- the tables ---- */

static int64_t list_plus(uint64_t fh)
{
	struct fuse_read_in in = { .fh = fh, .size = 60000 };
	static char entries[60000];

	return fsd_call(&rig, FUSE_READDIRPLUS, FUSE_ROOT_ID, &in, sizeof(in), NULL, 0, entries,
			sizeof(entries));
}

/* What a reply that never came had granted is taken back, and descriptors that the dead server had
 * in hand are closed: after the guest has forgotten all, all is as before. */
START_TEST(nothing_leaks)
{
	struct fuse_entry_out entry;
	char name[16];
	uint64_t fh;
	int before;

	start(false);
	for (int i = 0; i < 20; i++) {
		sprintf(name, "f%d", i);
		fsd_write_file(&rig, name, "x");
	}
	fh = fsd_opendir(&rig, FUSE_ROOT_ID).fh;
	ck_assert_int_gt(list_plus(fh), 0);
	fsd_kill_idle(&rig); /* what the test itself had open is gone with the first server */
	ck_assert_int_gt(list_plus(fh), 0);
	before = count_fds();
	die_at(SYS_lseek, true);
	ck_assert_int_gt(list_plus(fh), 0);
	ck_assert_int_eq(count_fds(), before);
	for (int i = 0; i < 20; i++) {
		int error;

		sprintf(name, "f%d", i);
		fsd_forget(&rig, 0, fsd_lookup(&rig, FUSE_ROOT_ID, name, &error), 4);
	}
	ck_assert_int_eq(count_fds(), before - 20);
	ck_assert_int_eq(make_folder("more", &entry), sizeof(entry));
	stop();
}
END_TEST

START_TEST(what_kills_each_server_gets_an_error)
{
	struct fuse_entry_out entry;

	start(false);
	fsd_die_at(&rig, SYS_mkdirat, false, 3);
	ck_assert_int_eq(make_folder("poison", &entry), -EIO);
	ck_assert_int_eq(make_folder("other", &entry), sizeof(entry));
	stop();
}
END_TEST

/* ---- deaths at any time ---- */

static void *killer(void *arg)
{
	const bool *over = arg;
	unsigned int seed = 1;

	while (!__atomic_load_n(over, __ATOMIC_ACQUIRE)) {
		struct timespec wait = { .tv_nsec = 1000 * (rand_r(&seed) % 20000) + 170000000 };
		pid_t server;

		nanosleep(&wait, NULL);
		server = fsd_server(&rig);
		if (server)
			kill(server, SIGKILL);
	}
	return NULL;
}

#define ROUNDS 3000

/* Makes two inodes. */
static void one_round(struct fuse_forget_one *ret_inodes)
{
	struct fuse_entry_out entry;
	struct created file;
	char text[64];

	ck_assert_int_eq(make_folder("dir", &entry), sizeof(entry));
	ck_assert_int_eq(create("a", 0000, &file), sizeof(file));
	ck_assert_int_eq(write_file(file.entry.nodeid, file.open.fh, "one", O_APPEND), 3);
	ck_assert_int_eq(write_file(file.entry.nodeid, file.open.fh, "two", O_APPEND), 3);
	ck_assert_int_eq(move("a", "b", 0), 0);
	ck_assert_int_eq(move("b", "dir", RENAME_EXCHANGE), 0);
	ck_assert_int_eq(by_name(FUSE_RMDIR, "b"), 0);
	ck_assert_int_eq(by_name(FUSE_UNLINK, "dir"), 0);
	ck_assert_int_eq(read_file(file.entry.nodeid, file.open.fh, text), 6);
	ck_assert_str_eq(text, "onetwo");
	ret_inodes[0] = (struct fuse_forget_one){ entry.nodeid, 1 };
	ret_inodes[1] = (struct fuse_forget_one){ file.entry.nodeid, 1 };
}

static void forget_all(const struct fuse_forget_one *inodes)
{
	struct {
		struct fuse_in_header head;
		struct fuse_batch_forget_in body;
		struct fuse_forget_one inodes[ROUNDS / 2];
	} in = { .head = { .len = sizeof(in), .opcode = FUSE_BATCH_FORGET },
		 .body = { .count = ROUNDS / 2 } };

	for (int i = 0; i < 4; i++) {
		memcpy(in.inodes, inodes + i * (ROUNDS / 2), sizeof(in.inodes));
		fsd_raw(&rig, 0, &in, sizeof(in), 0);
	}
}

START_TEST(a_guest_at_work_does_not_notice)
{
	static struct fuse_forget_one inodes[2 * ROUNDS];
	bool over = false;
	pthread_t thread;

	start(false);
	ck_assert_int_eq(pthread_create(&thread, NULL, killer, &over), 0);
	for (int i = 0; i < ROUNDS; i++)
		one_round(inodes + 2 * i);
	__atomic_store_n(&over, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	forget_all(inodes);
	fsd_kill_idle(&rig);
	ck_assert_int_lt(count_fds(), 60);
	stop();
}
END_TEST

int main(void)
{
	const struct {
		const char *name;
		const TTest *test;
		int times;
	} cases[] = {
		{ "holds", what_the_guest_holds_stays, 2 },
		{ "locks", locks_stay, 1 },
		{ "twice", nothing_is_done_twice, N_ROWS * 4 },
		{ "leaks", nothing_leaks, 1 },
		{ "poison", what_kills_each_server_gets_an_error, 1 },
		{ "storm", a_guest_at_work_does_not_notice, 1 },
	};
	Suite *suite = suite_create("fsd_death");

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		TCase *tc = tcase_create(cases[i].name);

		tcase_set_timeout(tc, 120);
		tcase_add_loop_test(tc, cases[i].test, 0, cases[i].times);
		suite_add_tcase(suite, tc);
	}
	return unit_run(suite);
}
