// SPDX-License-Identifier: GPL-2.0-or-later
/* What programs of the host change is told, once, and what the guest itself changes is not. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "protocol/lib/fs_change.h"
#include "shared-fs/server/watch.h"
#include "shared-fs/server/watch_private.h"
#include "tests/unit/fsd_harness.h"

#define CHANGES_MAX 4096
#define LAST_MS	    5000 /* the marker of drain() must have come by then */

struct seen {
	uint32_t kinds, cookie;
	uint64_t folder, folder_ino, child, child_ino;
	char path[256];
	char name[256];
};

static struct fsd_rig rig;
static int ours, theirs;
static struct seen seen[CHANGES_MAX];
static size_t n_seen;
static unsigned int marker;

static void keep(const void *batch, size_t len)
{
	struct fs_change change;
	size_t at = 0;

	ck_assert_int_eq(fs_change_check(batch, len), 0);
	while (fs_change_next(batch, len, &at, &change) > 0) {
		struct seen *one = &seen[n_seen++];

		ck_assert_uint_le(n_seen, CHANGES_MAX);
		*one = (struct seen){ .kinds = change.kinds,
				      .cookie = change.cookie,
				      .folder = change.folder,
				      .folder_ino = change.folder_ino,
				      .child = change.child,
				      .child_ino = change.child_ino };
		ck_assert_uint_lt(change.path_len, sizeof(one->path));
		memcpy(one->path, change.path, change.path_len);
		memcpy(one->name, change.name, change.name_len);
	}
}

/* One more batch, within @ms. */
static bool take(int ms)
{
	static uint64_t batch[LODGE_FS_BATCH_MAX / 8];
	struct pollfd pfd = { .fd = ours, .events = POLLIN };
	ssize_t got;

	if (poll(&pfd, 1, ms) != 1)
		return false;
	got = recv(ours, batch, sizeof(batch), 0);
	ck_assert_int_gt(got, 0);
	keep(batch, (size_t)got);
	return true;
}

static const struct seen *find(const char *name, uint32_t kind)
{
	for (size_t i = 0; i < n_seen; i++) {
		if (!strcmp(seen[i].name, name) && seen[i].kinds & kind)
			return &seen[i];
	}
	return NULL;
}

/* Makes a change of its own and reads up to its record: what came before it has come. */
static void drain(void)
{
	char name[32];

	sprintf(name, "marker-%u", marker++);
	fsd_write_file(&rig, name, "x");
	while (!find(name, LODGE_FS_CREATED))
		ck_assert(take(LAST_MS));
}

/* The same, where markers may be lost among others. */
static void settle(void)
{
	char name[32];

	for (int i = 0; i < 50; i++) {
		sprintf(name, "settled-%d", i);
		fsd_write_file(&rig, name, "x");
		while (take(300))
			;
		if (find(name, LODGE_FS_CREATED))
			return;
	}
	ck_abort_msg("nothing is told any more");
}

static void forget_seen(void)
{
	drain();
	n_seen = 0;
}

/* Until folder @nodeid is watched. */
static void await_watch(uint64_t nodeid)
{
	for (int i = 0; i < 5000; i++) {
		const struct inode *inode;
		uint32_t watch;

		pthread_mutex_lock(&rig.fs->lock);
		inode = slots_get(&rig.fs->inodes, nodeid);
		watch = inode->watch;
		pthread_mutex_unlock(&rig.fs->lock);
		if (watch)
			return;
		(void)!poll(NULL, 0, 1);
	}
	ck_abort_msg("the folder is not watched");
}

static void await_watches(uint32_t n)
{
	uint32_t now = ~0u;

	for (int i = 0; i < 5000 && now != n; i++) {
		pthread_mutex_lock(&rig.fs->lock);
		now = rig.fs->watcher->n_watches;
		pthread_mutex_unlock(&rig.fs->lock);
		(void)!poll(NULL, 0, 1);
	}
	ck_assert_uint_eq(now, n);
}

static void say(uint8_t word)
{
	ck_assert_int_eq(send(ours, &word, 1, 0), 1);
}

static void start(const struct fsd_rig_options *options)
{
	int pair[2];

	n_seen = 0;
	fsd_rig_start(&rig, options);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	ours = pair[0];
	theirs = pair[1];
	ck_assert_int_eq(watcher_create(rig.fs, theirs, false), 0);
	say(LODGE_FS_NOTIFY_ON);
}

static void setup(void)
{
	const struct fsd_rig_options options = { 0 };

	start(&options);
	await_watch(FUSE_ROOT_ID);
}

static void teardown(void)
{
	watcher_destroy(rig.fs->watcher);
	fsd_rig_stop(&rig);
	close(ours);
	close(theirs);
}

static uint64_t known_folder(const char *name)
{
	char buffer[256];
	uint64_t node;
	int error;

	ck_assert_int_eq(mkdir(fsd_path(&rig, name, buffer), 0755), 0);
	node = fsd_lookup(&rig, FUSE_ROOT_ID, name, &error);
	ck_assert_int_eq(error, 0);
	await_watch(node);
	return node;
}

START_TEST(every_kind_is_told)
{
	char buffer[256], other[256];
	uint64_t dir = known_folder("dir");
	uint64_t node;
	int error;

	fsd_write_file(&rig, "dir/file", "one");
	node = fsd_lookup(&rig, dir, "file", &error);
	forget_seen();
	fsd_write_file(&rig, "dir/file", "two");
	drain();
	ck_assert_ptr_nonnull(find("file", LODGE_FS_MODIFIED));
	ck_assert_ptr_nonnull(find("file", LODGE_FS_CLOSED));
	ck_assert_uint_eq(find("file", LODGE_FS_MODIFIED)->child, node);
	ck_assert_uint_eq(find("file", LODGE_FS_MODIFIED)->folder, dir);
	ck_assert_str_eq(find("file", LODGE_FS_MODIFIED)->path, "dir");
	ck_assert_int_eq(chmod(fsd_path(&rig, "dir/file", buffer), 0600), 0);
	ck_assert_int_eq(mkdir(fsd_path(&rig, "dir/sub", buffer), 0755), 0);
	drain();
	ck_assert_ptr_nonnull(find("file", LODGE_FS_ATTRIB));
	ck_assert_uint_eq(find("sub", LODGE_FS_CREATED)->kinds,
			  LODGE_FS_CREATED | LODGE_FS_IS_FOLDER);
	ck_assert_int_eq(rename(fsd_path(&rig, "dir/file", buffer), fsd_path(&rig, "moved", other)),
			 0);
	drain();
	ck_assert_uint_ne(find("file", LODGE_FS_MOVED_FROM)->cookie, 0);
	ck_assert_uint_eq(find("file", LODGE_FS_MOVED_FROM)->cookie,
			  find("moved", LODGE_FS_MOVED_TO)->cookie);
	ck_assert_uint_eq(find("moved", LODGE_FS_MOVED_TO)->child, node);
	ck_assert_uint_eq(find("moved", LODGE_FS_MOVED_TO)->folder, FUSE_ROOT_ID);
	ck_assert_str_eq(find("moved", LODGE_FS_MOVED_TO)->path, "");
	ck_assert_int_eq(unlink(other), 0);
	drain();
	ck_assert_ptr_nonnull(find("moved", LODGE_FS_DELETED));
}
END_TEST

START_TEST(a_folder_that_moved_is_told_by_its_new_path)
{
	char buffer[256], other[256];

	known_folder("dir");
	ck_assert_int_eq(rename(fsd_path(&rig, "dir", buffer), fsd_path(&rig, "elsewhere", other)),
			 0);
	fsd_write_file(&rig, "elsewhere/file", "x");
	drain();
	ck_assert_str_eq(find("file", LODGE_FS_CREATED)->path, "elsewhere");
	/* The root has no folder that would tell of it. */
	ck_assert_int_eq(chmod(rig.folder, 0750), 0);
	drain();
	ck_assert_ptr_nonnull(find("", LODGE_FS_SELF));
}
END_TEST

START_TEST(changes_are_joined)
{
	char buffer[256];
	size_t told = 0;
	int fd;

	fsd_write_file(&rig, "file", "");
	forget_seen();
	fd = open(fsd_path(&rig, "file", buffer), O_WRONLY);
	for (int i = 0; i < 100; i++) {
		ck_assert_int_eq(write(fd, "x", 1), 1);
		ck_assert_int_eq(fchmod(fd, i & 1 ? 0600 : 0644), 0);
	}
	close(fd);
	drain();
	for (size_t i = 0; i < n_seen; i++)
		told += !strcmp(seen[i].name, "file");
	/* They may take longer than one delay. */
	ck_assert_uint_ge(told, 1);
	ck_assert_uint_le(told, 20);
}
END_TEST

/* ---- the guest's own ---- */

static uint64_t guest_create(uint64_t dir, const char *name)
{
	struct fuse_create_in in = { .flags = O_RDWR, .mode = S_IFREG | 0644 };
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} out;

	ck_assert_int_eq(fsd_call(&rig, FUSE_CREATE, dir, &in, sizeof(in), name, strlen(name) + 1,
				  &out, sizeof(out)),
			 sizeof(out));
	return out.entry.nodeid;
}

static int64_t guest_write(uint64_t node, const char *text)
{
	struct fuse_write_in in = { .size = (uint32_t)strlen(text) };
	struct fuse_write_out out;

	return fsd_call(&rig, FUSE_WRITE, node, &in, sizeof(in), text, strlen(text), &out,
			sizeof(out));
}

static int64_t guest_chmod(uint64_t node, uint32_t mode)
{
	struct fuse_setattr_in in = { .valid = FATTR_MODE, .mode = mode };
	struct fuse_attr_out out;

	return fsd_call(&rig, FUSE_SETATTR, node, &in, sizeof(in), NULL, 0, &out, sizeof(out));
}

static int64_t guest_rename(uint64_t dir, const char *from, const char *to)
{
	struct fuse_rename_in in = { .newdir = dir };
	char names[600];
	size_t len = (size_t)sprintf(names, "%s%c%s", from, 0, to) + 1;

	return fsd_call(&rig, FUSE_RENAME, dir, &in, sizeof(in), names, len, NULL, 0);
}

static int64_t guest_name(uint32_t opcode, uint64_t dir, const char *name)
{
	struct fuse_mkdir_in in = { .mode = 0755 };
	struct fuse_entry_out out;
	bool make = opcode == FUSE_MKDIR;

	return fsd_call(&rig, opcode, dir, make ? &in : NULL, make ? sizeof(in) : 0, name,
			strlen(name) + 1, &out, sizeof(out));
}

START_TEST(what_the_guest_does_is_not_told)
{
	struct fuse_entry_out linked;
	struct fuse_link_in link;
	uint64_t node;

	known_folder("dir");
	forget_seen();
	for (int i = 0; i < 50; i++) {
		node = guest_create(FUSE_ROOT_ID, "own");
		link.oldnodeid = node;
		ck_assert_int_ge(guest_write(node, "text"), 0);
		ck_assert_int_ge(guest_chmod(node, 0600), 0);
		ck_assert_int_ge(fsd_call(&rig, FUSE_LINK, FUSE_ROOT_ID, &link, sizeof(link),
					  "own-link", 9, &linked, sizeof(linked)),
				 0);
		ck_assert_int_eq(guest_rename(FUSE_ROOT_ID, "own", "own-2"), 0);
		ck_assert_int_eq(guest_name(FUSE_UNLINK, FUSE_ROOT_ID, "own-2"), 0);
		ck_assert_int_eq(guest_name(FUSE_UNLINK, FUSE_ROOT_ID, "own-link"), 0);
		ck_assert_int_ge(guest_name(FUSE_MKDIR, FUSE_ROOT_ID, "own-dir"), 0);
		ck_assert_int_eq(guest_name(FUSE_RMDIR, FUSE_ROOT_ID, "own-dir"), 0);
	}
	drain();
	for (size_t i = 0; i < n_seen; i++)
		ck_assert_msg(strncmp(seen[i].name, "own", 3) != 0, "%s %x is told", seen[i].name,
			      seen[i].kinds);
}
END_TEST

START_TEST(what_the_host_does_beside_it_is)
{
	char buffer[256], name[32];

	forget_seen();
	for (int i = 0; i < 50; i++) {
		sprintf(name, "own-%d", i);
		guest_create(FUSE_ROOT_ID, name);
		/* What the guest tried in vain hides nothing. */
		ck_assert_int_lt(guest_name(FUSE_UNLINK, FUSE_ROOT_ID, "host"), 0);
		sprintf(name, "host-%d", i);
		ck_assert_int_lt(guest_name(FUSE_UNLINK, FUSE_ROOT_ID, name), 0);
		fsd_write_file(&rig, name, "x");
		ck_assert_int_eq(unlink(fsd_path(&rig, name, buffer)), 0);
	}
	drain();
	for (int i = 0; i < 50; i++) {
		sprintf(name, "host-%d", i);
		ck_assert_ptr_nonnull(find(name, LODGE_FS_CREATED));
		ck_assert_ptr_nonnull(find(name, LODGE_FS_DELETED));
		sprintf(name, "own-%d", i);
		ck_assert_ptr_null(find(name, LODGE_FS_CREATED));
	}
}
END_TEST

static void nap_ms(long ms)
{
	const struct timespec nap = { .tv_nsec = ms * 1000000 };

	nanosleep(&nap, NULL);
}

START_TEST(a_host_edit_behind_the_guests_own_is_told)
{
	uint64_t node = guest_create(FUSE_ROOT_ID, "both");

	ck_assert_int_ge(guest_write(node, "guest"), 0);
	forget_seen();
	/* What time stamps tell apart at least, where the clock ticks 250 times a second; at 100
	 * Hz, too. */
	nap_ms(11);
	fsd_write_file(&rig, "both", "host");
	drain();
	ck_assert_ptr_nonnull(find("both", LODGE_FS_MODIFIED));
}
END_TEST

/* The server closes what a guest wrote a while after, under the name that it has by then. */
START_TEST(a_late_close_of_the_guests_own_is_not_told)
{
	static const char *const names[] = { "own-moved", "own-linked", "own-one" };
	struct fuse_entry_out linked;
	struct fuse_link_in link;
	uint64_t node;

	node = guest_create(FUSE_ROOT_ID, "own-written");
	ck_assert_int_ge(guest_write(node, "text"), 0);
	link.oldnodeid = guest_create(FUSE_ROOT_ID, "own-linked");
	ck_assert_int_ge(guest_write(link.oldnodeid, "text"), 0);
	link.oldnodeid = guest_create(FUSE_ROOT_ID, "own-one");
	ck_assert_int_ge(guest_write(link.oldnodeid, "text"), 0);
	ck_assert_int_ge(fsd_call(&rig, FUSE_LINK, FUSE_ROOT_ID, &link, sizeof(link), "own-two", 8,
				  &linked, sizeof(linked)),
			 0);
	link.oldnodeid = fsd_lookup(&rig, FUSE_ROOT_ID, "own-linked", &(int){ 0 });
	nap_ms(30);
	ck_assert_int_eq(guest_rename(FUSE_ROOT_ID, "own-written", "own-moved"), 0);
	ck_assert_int_ge(fsd_call(&rig, FUSE_LINK, FUSE_ROOT_ID, &link, sizeof(link), "own-link", 9,
				  &linked, sizeof(linked)),
			 0);
	ck_assert_int_eq(guest_name(FUSE_UNLINK, FUSE_ROOT_ID, "own-two"), 0);
	forget_seen();
	data_sweep(rig.fs);
	data_sweep(rig.fs);
	drain();
	for (size_t i = 0; i < 3; i++)
		ck_assert_ptr_null(
			find(names[i], LODGE_FS_CLOSED | LODGE_FS_MODIFIED | LODGE_FS_ATTRIB));
}
END_TEST

/* ---- bounds ---- */

START_TEST(a_listener_that_does_not_read_loses_nothing_unsaid)
{
	char buffer[256], name[256];
	bool lost = false;
	const struct seen *last;

	known_folder("quiet");
	forget_seen();
	for (int i = 0; i < 10000; i++) {
		sprintf(name, "burst-%04d-%0200d", i, 0);
		fsd_write_file(&rig, name, "x");
	}
	for (int i = 0; i < 10000; i++) {
		sprintf(name, "burst-%04d-%0200d", i, 0);
		unlink(fsd_path(&rig, name, buffer));
	}
	settle();
	for (size_t i = 0; i < n_seen; i++)
		lost = lost || seen[i].kinds & LODGE_FS_LOST;
	ck_assert(lost);
	/* And it goes on. */
	n_seen = 0;
	fsd_write_file(&rig, "quiet/after", "x");
	drain();
	last = find("after", LODGE_FS_CREATED);
	ck_assert_ptr_nonnull(last);
	ck_assert_str_eq(last->path, "quiet");
}
END_TEST

START_TEST(nobody_listens_nothing_is_watched)
{
	char buffer[256];
	uint64_t dir = known_folder("dir");
	const struct inode *inode;

	say(LODGE_FS_NOTIFY_OFF);
	await_watches(0);
	inode = slots_get(&rig.fs->inodes, dir);
	ck_assert_uint_eq(inode->watch, 0);
	while (take(0))
		;
	n_seen = 0;
	fsd_write_file(&rig, "dir/unseen", "x");
	say(LODGE_FS_NOTIFY_ON);
	await_watch(dir);
	await_watch(FUSE_ROOT_ID);
	ck_assert_int_eq(chmod(fsd_path(&rig, "dir/unseen", buffer), 0600), 0);
	drain();
	ck_assert_ptr_null(find("unseen", LODGE_FS_CREATED));
	ck_assert_ptr_nonnull(find("unseen", LODGE_FS_ATTRIB));
}
END_TEST

START_TEST(what_the_guest_forgets_is_watched_no_more)
{
	uint64_t dir = known_folder("dir");
	struct {
		struct fuse_in_header head;
		struct fuse_forget_in body;
	} in = { .head = { .len = sizeof(in), .opcode = FUSE_FORGET, .nodeid = dir },
		 .body = { .nlookup = 1 } };
	uint32_t before = rig.fs->watcher->n_watches;
	int error;

	fsd_raw(&rig, 1, &in, sizeof(in), 0);
	await_watches(before - 1);
	forget_seen();
	fsd_write_file(&rig, "dir/unseen", "x");
	drain();
	ck_assert_ptr_null(find("unseen", LODGE_FS_CREATED));
	/* And known again. */
	dir = fsd_lookup(&rig, FUSE_ROOT_ID, "dir", &error);
	await_watch(dir);
	fsd_write_file(&rig, "dir/seen", "x");
	drain();
	ck_assert_ptr_nonnull(find("seen", LODGE_FS_CREATED));
}
END_TEST

START_TEST(the_next_server_says_that_all_may_have_changed)
{
	uint64_t dir = known_folder("dir");

	watcher_destroy(rig.fs->watcher);
	while (take(0))
		;
	n_seen = 0;
	pthread_mutex_lock(&rig.fs->lock);
	for (uint32_t i = 0; slots_next(&rig.fs->inodes, i); i++) {
		struct inode *inode = slots_next(&rig.fs->inodes, i);

		i = inode->slot.index;
		inode->watch = 0; /* as fs_recover() does it */
	}
	pthread_mutex_unlock(&rig.fs->lock);
	fsd_write_file(&rig, "dir/meanwhile", "x");
	ck_assert_int_eq(watcher_create(rig.fs, theirs, true), 0);
	await_watch(dir);
	await_watch(FUSE_ROOT_ID);
	drain();
	ck_assert_uint_eq(seen[0].kinds, LODGE_FS_LOST);
	ck_assert_uint_eq(seen[0].folder, 0);
}
END_TEST

START_TEST(shares_are_part_of_the_path)
{
	const struct fsd_rig_options options = { .synthetic_root = true };
	uint64_t share;
	int error;

	start(&options);
	share = fsd_lookup(&rig, FUSE_ROOT_ID, "share", &error);
	await_watch(share);
	drain();
	ck_assert_str_eq(seen[0].path, "share");
	ck_assert_uint_eq(seen[0].folder, share);
	teardown();
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

START_TEST(at_the_hosts_limit_the_folders_used_last_are_watched)
{
	const struct fsd_rig_options options = { 0 };
	uint64_t dirs[12];
	char name[32];
	int error;

	/* Not every container lets us. */
	if (!limit_watches("4"))
		return;
	start(&options);
	for (int i = 0; i < 12; i++) {
		sprintf(name, "dir-%d", i);
		dirs[i] = known_folder(name);
	}
	await_watches(4);
	/* One that is used again is watched again. */
	ck_assert_uint_eq(fsd_lookup(&rig, FUSE_ROOT_ID, "dir-0", &error), dirs[0]);
	await_watch(dirs[0]);
	await_watches(4);
	ck_assert_uint_eq(fsd_lookup(&rig, FUSE_ROOT_ID, "dir-1", &error), dirs[1]);
	await_watch(dirs[1]);
	n_seen = 0;
	fsd_write_file(&rig, "dir-1/file", "x");
	while (!find("file", LODGE_FS_CREATED))
		ck_assert(take(LAST_MS));
	teardown();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fsd_watch");
	TCase *watch = tcase_create("watch");
	TCase *others = tcase_create("others");
	SRunner *runner;
	int failed;

	tcase_set_timeout(watch, 60);
	tcase_add_checked_fixture(watch, setup, teardown);
	tcase_add_test(watch, every_kind_is_told);
	tcase_add_test(watch, a_folder_that_moved_is_told_by_its_new_path);
	tcase_add_test(watch, changes_are_joined);
	tcase_add_test(watch, what_the_guest_does_is_not_told);
	tcase_add_test(watch, what_the_host_does_beside_it_is);
	tcase_add_test(watch, a_host_edit_behind_the_guests_own_is_told);
	tcase_add_test(watch, a_late_close_of_the_guests_own_is_not_told);
	tcase_add_test(watch, a_listener_that_does_not_read_loses_nothing_unsaid);
	tcase_add_test(watch, nobody_listens_nothing_is_watched);
	tcase_add_test(watch, what_the_guest_forgets_is_watched_no_more);
	tcase_add_test(watch, the_next_server_says_that_all_may_have_changed);
	tcase_add_test(others, shares_are_part_of_the_path);
	tcase_add_test(others, at_the_hosts_limit_the_folders_used_last_are_watched);
	suite_add_tcase(suite, watch);
	suite_add_tcase(suite, others);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
