// SPDX-License-Identifier: GPL-2.0-or-later
/* What programs of the host change is told, once, and what the guest itself changes is not. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/lib/fs_change.h"
#include "shared-fs/server/watch.h"
#include "shared-fs/server/watch_private.h"
#include "tests/unit/fsd_watch_rig.h"
#include "tests/unit/unit.h"

START_TEST(every_kind_is_told)
{
	char buffer[256], other[256];
	uint64_t dir = watch_rig_folder("dir");
	uint64_t node;
	int error;

	fsd_write_file(&watch_rig, "dir/file", "one");
	node = fsd_lookup(&watch_rig, dir, "file", &error);
	watch_rig_forget();
	fsd_write_file(&watch_rig, "dir/file", "two");
	watch_rig_drain();
	ck_assert_ptr_nonnull(watch_rig_find("file", LODGE_FS_MODIFIED));
	ck_assert_ptr_nonnull(watch_rig_find("file", LODGE_FS_CLOSED));
	ck_assert_uint_eq(watch_rig_find("file", LODGE_FS_MODIFIED)->child, node);
	ck_assert_uint_eq(watch_rig_find("file", LODGE_FS_MODIFIED)->folder, dir);
	ck_assert_str_eq(watch_rig_find("file", LODGE_FS_MODIFIED)->path, "dir");
	ck_assert_int_eq(chmod(fsd_path(&watch_rig, "dir/file", buffer), 0600), 0);
	ck_assert_int_eq(mkdir(fsd_path(&watch_rig, "dir/sub", buffer), 0755), 0);
	watch_rig_drain();
	ck_assert_ptr_nonnull(watch_rig_find("file", LODGE_FS_ATTRIB));
	ck_assert_uint_eq(watch_rig_find("sub", LODGE_FS_CREATED)->kinds,
			  LODGE_FS_CREATED | LODGE_FS_IS_FOLDER);
	ck_assert_int_eq(rename(fsd_path(&watch_rig, "dir/file", buffer),
				fsd_path(&watch_rig, "moved", other)),
			 0);
	watch_rig_drain();
	ck_assert_uint_ne(watch_rig_find("file", LODGE_FS_MOVED_FROM)->cookie, 0);
	ck_assert_uint_eq(watch_rig_find("file", LODGE_FS_MOVED_FROM)->cookie,
			  watch_rig_find("moved", LODGE_FS_MOVED_TO)->cookie);
	ck_assert_uint_eq(watch_rig_find("moved", LODGE_FS_MOVED_TO)->child, node);
	ck_assert_uint_eq(watch_rig_find("moved", LODGE_FS_MOVED_TO)->folder, FUSE_ROOT_ID);
	ck_assert_str_eq(watch_rig_find("moved", LODGE_FS_MOVED_TO)->path, "");
	ck_assert_int_eq(unlink(other), 0);
	watch_rig_drain();
	ck_assert_ptr_nonnull(watch_rig_find("moved", LODGE_FS_DELETED));
}
END_TEST

START_TEST(a_folder_that_moved_is_told_by_its_new_path)
{
	char buffer[256], other[256];

	watch_rig_folder("dir");
	ck_assert_int_eq(rename(fsd_path(&watch_rig, "dir", buffer),
				fsd_path(&watch_rig, "elsewhere", other)),
			 0);
	fsd_write_file(&watch_rig, "elsewhere/file", "x");
	watch_rig_drain();
	ck_assert_str_eq(watch_rig_find("file", LODGE_FS_CREATED)->path, "elsewhere");
	/* The root has no folder that would tell of it. */
	ck_assert_int_eq(chmod(watch_rig.folder, 0750), 0);
	watch_rig_drain();
	ck_assert_ptr_nonnull(watch_rig_find("", LODGE_FS_SELF));
}
END_TEST

START_TEST(changes_are_joined)
{
	char buffer[256];
	size_t told = 0;
	int fd;

	fsd_write_file(&watch_rig, "file", "");
	watch_rig_forget();
	fd = open(fsd_path(&watch_rig, "file", buffer), O_WRONLY);
	for (int i = 0; i < 100; i++) {
		ck_assert_int_eq(write(fd, "x", 1), 1);
		ck_assert_int_eq(fchmod(fd, i & 1 ? 0600 : 0644), 0);
	}
	close(fd);
	watch_rig_drain();
	for (size_t i = 0; i < watch_n_seen; i++)
		told += !strcmp(watch_seen[i].name, "file");
	/* They may take longer than one delay. */
	ck_assert_uint_ge(told, 1);
	ck_assert_uint_le(told, 20);
}
END_TEST

/* ---- bounds ---- */

START_TEST(a_listener_that_does_not_read_loses_nothing_unsaid)
{
	char buffer[256], name[256];
	bool lost = false;
	const struct seen *last;

	watch_rig_folder("quiet");
	watch_rig_forget();
	for (int i = 0; i < 10000; i++) {
		sprintf(name, "burst-%04d-%0200d", i, 0);
		fsd_write_file(&watch_rig, name, "x");
	}
	for (int i = 0; i < 10000; i++) {
		sprintf(name, "burst-%04d-%0200d", i, 0);
		unlink(fsd_path(&watch_rig, name, buffer));
	}
	watch_rig_settle();
	for (size_t i = 0; i < watch_n_seen; i++)
		lost = lost || watch_seen[i].kinds & LODGE_FS_LOST;
	ck_assert(lost);
	/* And it goes on. */
	watch_n_seen = 0;
	fsd_write_file(&watch_rig, "quiet/after", "x");
	watch_rig_drain();
	last = watch_rig_find("after", LODGE_FS_CREATED);
	ck_assert_ptr_nonnull(last);
	ck_assert_str_eq(last->path, "quiet");
}
END_TEST

START_TEST(nobody_listens_nothing_is_watched)
{
	char buffer[256];
	uint64_t dir = watch_rig_folder("dir");
	const struct inode *inode;

	watch_rig_say(LODGE_FS_NOTIFY_OFF);
	watch_rig_await_all(0);
	inode = slots_get(&watch_rig.fs->inodes, dir);
	ck_assert_uint_eq(inode->watch, 0);
	while (watch_rig_take(0))
		;
	watch_n_seen = 0;
	fsd_write_file(&watch_rig, "dir/unseen", "x");
	watch_rig_say(LODGE_FS_NOTIFY_ON);
	watch_rig_await(dir);
	watch_rig_await(FUSE_ROOT_ID);
	ck_assert_int_eq(chmod(fsd_path(&watch_rig, "dir/unseen", buffer), 0600), 0);
	watch_rig_drain();
	ck_assert_ptr_null(watch_rig_find("unseen", LODGE_FS_CREATED));
	ck_assert_ptr_nonnull(watch_rig_find("unseen", LODGE_FS_ATTRIB));
}
END_TEST

START_TEST(a_listener_that_takes_nothing_is_gone)
{
	watch_rig_folder("dir");
	ck_assert(watch_rig.fs->notify_on);
	/* It has not hung up, so that only sending finds out. */
	ck_assert_int_eq(shutdown(watch_ours, SHUT_RD), 0);
	fsd_write_file(&watch_rig, "dir/file", "x");
	watch_rig_await_all(0);
	ck_assert(!__atomic_load_n(&watch_rig.fs->notify_on, __ATOMIC_ACQUIRE));
}
END_TEST

START_TEST(what_the_guest_forgets_is_watched_no_more)
{
	uint64_t dir = watch_rig_folder("dir");
	uint32_t before = watch_rig.fs->watcher->n_watches;
	int error;

	fsd_forget(&watch_rig, 1, dir, 1);
	watch_rig_await_all(before - 1);
	watch_rig_forget();
	fsd_write_file(&watch_rig, "dir/unseen", "x");
	watch_rig_drain();
	ck_assert_ptr_null(watch_rig_find("unseen", LODGE_FS_CREATED));
	/* And known again. */
	dir = fsd_lookup(&watch_rig, FUSE_ROOT_ID, "dir", &error);
	watch_rig_await(dir);
	fsd_write_file(&watch_rig, "dir/seen", "x");
	watch_rig_drain();
	ck_assert_ptr_nonnull(watch_rig_find("seen", LODGE_FS_CREATED));
}
END_TEST

/* As a guest does that watches a file and has forgotten where it is. */
START_TEST(a_file_that_is_known_keeps_its_folder_watched)
{
	uint32_t watches = watch_rig.fs->watcher->n_watches, inodes = watch_rig.fs->inodes.n_used;
	uint64_t dir = watch_rig_folder("dir");
	uint64_t file;
	int error;

	fsd_write_file(&watch_rig, "dir/file", "one");
	file = fsd_lookup(&watch_rig, dir, "file", &error);
	fsd_forget(&watch_rig, 1, dir, 1);
	watch_rig_drain();
	watch_rig_forget();
	fsd_write_file(&watch_rig, "dir/file", "two");
	watch_rig_drain();
	ck_assert_ptr_nonnull(watch_rig_find("file", LODGE_FS_MODIFIED));
	ck_assert_uint_eq(watch_rig_find("file", LODGE_FS_MODIFIED)->child, file);
	fsd_forget(&watch_rig, 1, file, 1);
	watch_rig_await_all(watches);
	ck_assert_uint_eq(watch_rig.fs->inodes.n_used, inodes);
}
END_TEST

START_TEST(the_next_server_says_that_all_may_have_changed)
{
	uint64_t dir = watch_rig_folder("dir");

	watcher_destroy(watch_rig.fs->watcher);
	while (watch_rig_take(0))
		;
	watch_n_seen = 0;
	pthread_mutex_lock(&watch_rig.fs->lock);
	for (uint32_t i = 0; slots_next(&watch_rig.fs->inodes, i); i++) {
		struct inode *inode = slots_next(&watch_rig.fs->inodes, i);

		i = inode->slot.index;
		inode->watch = 0; /* as fs_recover() does it */
	}
	pthread_mutex_unlock(&watch_rig.fs->lock);
	fsd_write_file(&watch_rig, "dir/meanwhile", "x");
	ck_assert_int_eq(watcher_create(watch_rig.fs, watch_theirs, true), 0);
	watch_rig_await(dir);
	watch_rig_await(FUSE_ROOT_ID);
	watch_rig_drain();
	ck_assert_uint_eq(watch_seen[0].kinds, LODGE_FS_LOST);
	ck_assert_uint_eq(watch_seen[0].folder, 0);
}
END_TEST

START_TEST(shares_are_part_of_the_path)
{
	const struct fsd_rig_options options = { .synthetic_root = true };
	uint64_t share;
	int error;

	watch_rig_start(&options);
	share = fsd_lookup(&watch_rig, FUSE_ROOT_ID, "share", &error);
	watch_rig_await(share);
	watch_rig_drain();
	ck_assert_str_eq(watch_seen[0].path, "share");
	ck_assert_uint_eq(watch_seen[0].folder, share);
	watch_rig_teardown();
}
END_TEST

/* In a user namespace of its own a process may lower its limit. */
static bool limit_watches(const char *limit)
{
	int fd, written;

	if (unshare(CLONE_NEWUSER))
		return false;
	fd = open("/proc/sys/user/max_inotify_watches", O_WRONLY | O_CLOEXEC);
	written = fd < 0 ? -1 : (int)write(fd, limit, strlen(limit));
	if (fd >= 0)
		close(fd);
	return written > 0;
}

/* How many lines of what was logged to @log name the limit. */
static int count_told(FILE *log)
{
	char line[512];
	int n = 0;

	rewind(log);
	while (fgets(line, sizeof(line), log))
		n += strstr(line, "raise fs.inotify.max_user_watches") != NULL;
	return n;
}

START_TEST(at_the_hosts_limit_the_folders_used_last_are_watched)
{
	const struct fsd_rig_options options = { 0 };
	FILE *log = tmpfile();
	uint64_t dirs[12];
	char name[32];
	int error;

	/* Not every container lets us. */
	if (!limit_watches("4")) {
		fclose(log);
		return;
	}
	ck_assert_int_eq(dup2(fileno(log), STDERR_FILENO), STDERR_FILENO);
	watch_rig_start(&options);
	for (int i = 0; i < 12; i++) {
		sprintf(name, "dir-%d", i);
		dirs[i] = watch_rig_folder(name);
	}
	watch_rig_await_all(4);
	/* One that is used again is watched again. */
	ck_assert_uint_eq(fsd_lookup(&watch_rig, FUSE_ROOT_ID, "dir-0", &error), dirs[0]);
	watch_rig_await(dirs[0]);
	watch_rig_await_all(4);
	ck_assert_uint_eq(fsd_lookup(&watch_rig, FUSE_ROOT_ID, "dir-1", &error), dirs[1]);
	watch_rig_await(dirs[1]);
	watch_n_seen = 0;
	fsd_write_file(&watch_rig, "dir-1/file", "x");
	while (!watch_rig_find("file", LODGE_FS_CREATED))
		ck_assert(watch_rig_take(LAST_MS));
	watch_rig_teardown();
	/* And its person is told, once. */
	ck_assert_int_eq(count_told(log), 1);
	fclose(log);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fsd_watch");
	TCase *watch = tcase_create("watch");
	TCase *others = tcase_create("others");

	tcase_set_timeout(watch, 60);
	tcase_add_checked_fixture(watch, watch_rig_setup, watch_rig_teardown);
	tcase_add_test(watch, every_kind_is_told);
	tcase_add_test(watch, a_folder_that_moved_is_told_by_its_new_path);
	tcase_add_test(watch, changes_are_joined);
	tcase_add_test(watch, a_listener_that_does_not_read_loses_nothing_unsaid);
	tcase_add_test(watch, nobody_listens_nothing_is_watched);
	tcase_add_test(watch, a_listener_that_takes_nothing_is_gone);
	tcase_add_test(watch, what_the_guest_forgets_is_watched_no_more);
	tcase_add_test(watch, a_file_that_is_known_keeps_its_folder_watched);
	tcase_add_test(watch, the_next_server_says_that_all_may_have_changed);
	tcase_add_test(others, shares_are_part_of_the_path);
	tcase_add_test(others, at_the_hosts_limit_the_folders_used_last_are_watched);
	suite_add_tcase(suite, watch);
	suite_add_tcase(suite, others);
	return unit_run(suite);
}
