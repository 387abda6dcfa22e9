// SPDX-License-Identifier: GPL-2.0-or-later
/* Shares that are taken away under a guest that uses them, and locks that are waited for: what is
 * held for the guest is let go of, and nobody waits for ever. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared-fs/server/ops.h"
#include "tests/unit/fsd_harness.h"
#include "tests/unit/unit.h"

#define FD_LIMIT 50
#define ROUNDS	 300
#define WAITERS	 3

static char folder[64];
static struct fs *fs;

/* One of several threads that ask at once. */
struct caller_thread {
	pthread_t thread;
	pthread_barrier_t *barrier;
	struct scratch *scratch;
	uint64_t unique;
	uint64_t nodeid;
	bool late; /* taken before the last pause, and run after it */
	struct fuse_lk_in lock;
	int64_t result;
};

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
	fsd_direct_end(fs, scratch, folder);
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

/* A guest that has used its descriptors up in one share can look at all of another, and its host
 * adds and removes shares. */
START_TEST(t18_others_go_on)
{
	struct fuse_getattr_in get = { 0 };
	struct fuse_read_in read = { .size = 4 };
	struct fuse_attr_out attr;
	struct fuse_statfs_out space;
	uint64_t file = lookup(lookup(FUSE_ROOT_ID, "share"), "f");
	uint64_t other;
	char data[4];

	while (open_as(FUSE_OPEN, file) > 0)
		;
	add_share("other");
	other = lookup(FUSE_ROOT_ID, "other");
	file = lookup(other, "f");
	ck_assert_int_gt(call(FUSE_GETATTR, file, &get, sizeof(get), &attr, sizeof(attr)), 0);
	ck_assert_int_gt(call(FUSE_STATFS, other, NULL, 0, &space, sizeof(space)), 0);
	/* A file that is not open. */
	ck_assert_int_eq(call(FUSE_READ, file, &read, sizeof(read), data, sizeof(data)), -EBADF);
	ck_assert_int_eq(open_as(FUSE_OPEN, file), -ENFILE);
	ck_assert_uint_le(fs->n_fds, FD_LIMIT);
	ck_assert_int_eq(fs_share_remove(fs, "share"), 0);
	ck_assert_int_gt(open_as(FUSE_OPEN, file), 0);
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
	before = unit_count_entries("/proc/self/fd");
	add_share("share");
	share = lookup(FUSE_ROOT_ID, "share");
	file = lookup(share, "f");
	ck_assert_int_gt(open_as(FUSE_OPEN, file), 0);
	ck_assert_int_gt(open_as(FUSE_OPENDIR, share), 0);
	ck_assert_int_eq(call(FUSE_SETLK, file, &lock, sizeof(lock), NULL, 0), 0);
	ck_assert_int_eq(fs_share_remove(fs, "share"), 0);
	ck_assert_int_eq(call(FUSE_RELEASE, file, &release, sizeof(release), NULL, 0), -ESTALE);
	ck_assert_int_eq(unit_count_entries("/proc/self/fd"), before);
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

static void *wait_for_lock(void *arg)
{
	struct caller_thread *caller = arg;
	struct fuse_in_header in = { .len = (uint32_t)(sizeof(in) + sizeof(caller->lock)),
				     .opcode = FUSE_SETLKW,
				     .unique = caller->unique,
				     .nodeid = caller->nodeid };
	struct fuse_out_header out;
	struct iovec iov[] = { { &in, sizeof(in) },
			       { &caller->lock, sizeof(caller->lock) },
			       { &out, sizeof(out) } };
	const struct request_mode mode = { .may_block = true,
					   .epoch = fs->epoch - (caller->late ? 1 : 0) };
	struct request req;
	uint32_t written;

	if (caller->barrier)
		pthread_barrier_wait(caller->barrier);
	fs_request_in_mode(&req, fs, caller->scratch, iov, 2, in.len, 1, sizeof(out), &mode,
			   &written);
	caller->result = written ? out.error : 1;
	return NULL;
}

static void start(struct caller_thread *callers, int n, uint64_t file, pthread_barrier_t *barrier)
{
	for (int i = 0; i < n; i++) {
		callers[i].barrier = barrier;
		callers[i].nodeid = file;
		callers[i].scratch = new_scratch();
		ck_assert_int_eq(
			pthread_create(&callers[i].thread, NULL, wait_for_lock, &callers[i]), 0);
	}
}

static void join(struct caller_thread *callers, int n)
{
	for (int i = 0; i < n; i++) {
		pthread_join(callers[i].thread, NULL);
		free(callers[i].scratch);
	}
}

/* A program of the host has the file locked. */
static int lock_on_host(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[80];
	int fd;

	snprintf(path, sizeof(path), "%s/f", folder);
	fd = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
	return fd;
}

static void wait_until_they_wait(int n)
{
	while (__atomic_load_n(&fs->n_lock_waits, __ATOMIC_RELAXED) != (uint32_t)n)
		usleep(1000);
}

static void interrupt(uint64_t unique)
{
	struct fuse_interrupt_in in = { .unique = unique };

	call(FUSE_INTERRUPT, 0, &in, sizeof(in), NULL, 0);
}

/* Ctrl-C goes to each process of a group. */
START_TEST(all_who_wait_are_interrupted)
{
	struct caller_thread callers[WAITERS] = { 0 };
	uint64_t file = lookup(lookup(FUSE_ROOT_ID, "share"), "f");
	int fd = lock_on_host();

	for (int i = 0; i < WAITERS; i++) {
		callers[i].unique = 100 + (uint64_t)i;
		callers[i].lock = (struct fuse_lk_in){ .owner = (uint64_t)i + 1,
						       .lk = { .type = F_WRLCK, .end = 9 } };
	}
	/* Nor need it have begun to wait. */
	interrupt(callers[0].unique);
	start(callers, WAITERS, file, NULL);
	wait_until_they_wait(WAITERS - 1);
	for (int i = 1; i < WAITERS; i++)
		interrupt(callers[i].unique);
	join(callers, WAITERS);
	for (int i = 0; i < WAITERS; i++)
		ck_assert_int_eq(callers[i].result, -EINTR);
	close(fd);
}
END_TEST

START_TEST(a_wait_ends_with_its_share)
{
	struct caller_thread caller = { .unique = 1,
					.lock = { .owner = 1, .lk = { .type = F_WRLCK } } };
	uint64_t file = lookup(lookup(FUSE_ROOT_ID, "share"), "f");
	int fd = lock_on_host();

	start(&caller, 1, file, NULL);
	wait_until_they_wait(1);
	ck_assert_int_eq(fs_share_remove(fs, "share"), 0);
	join(&caller, 1);
	ck_assert_int_eq(caller.result, -ESTALE);
	close(fd);
}
END_TEST

/* Whoever pauses the queues waits for what the workers were given before. */
START_TEST(no_wait_begins_after_a_pause)
{
	struct caller_thread caller = { .unique = 1,
					.late = true,
					.lock = { .owner = 1, .lk = { .type = F_WRLCK } } };
	uint64_t file = lookup(lookup(FUSE_ROOT_ID, "share"), "f");
	int fd = lock_on_host();

	start(&caller, 1, file, NULL);
	join(&caller, 1);
	ck_assert_int_eq(caller.result, -EINTR);
	close(fd);
}
END_TEST

/* Threads of one program that lock at once are one owner, whose locks all go together. */
START_TEST(threads_are_one_owner)
{
	uint64_t file = lookup(lookup(FUSE_ROOT_ID, "share"), "f");
	struct caller_thread callers[2];
	struct inode *inode;
	pthread_barrier_t barrier;

	ck_assert_int_eq(pthread_barrier_init(&barrier, NULL, 2), 0);
	ck_assert_int_eq(inode_get(fs, file, &inode), 0);
	for (int round = 0; round < ROUNDS; round++) {
		memset(callers, 0, sizeof(callers));
		for (uint64_t i = 0; i < 2; i++) {
			callers[i].unique = i + 1;
			callers[i].lock = (struct fuse_lk_in){
				.owner = 5, .lk = { .type = F_WRLCK, .start = i, .end = i }
			};
		}
		start(callers, 2, file, &barrier);
		join(callers, 2);
		ck_assert_int_eq(callers[0].result, 0);
		ck_assert_int_eq(callers[1].result, 0);
		ck_assert_uint_eq(fs->lock_owners.n_used, 1);
		ck_assert_int_eq(lock_owner_drop(fs, inode, 5), 0);
		ck_assert_uint_eq(fs->lock_owners.n_used, 0);
	}
	ck_assert_uint_eq(fs->n_fds, 2); /* the share's and the file's own */
	inode_put(fs, inode);
	pthread_barrier_destroy(&barrier);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fsd_shares");
	TCase *tcase = tcase_create("shares");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, looking_at_a_share_is_no_gain);
	tcase_add_test(tcase, t18_others_go_on);
	tcase_add_test(tcase, a_share_that_goes_is_closed);
	tcase_add_test(tcase, a_request_outlives_its_share);
	tcase_add_test(tcase, all_who_wait_are_interrupted);
	tcase_add_test(tcase, a_wait_ends_with_its_share);
	tcase_add_test(tcase, no_wait_begins_after_a_pause);
	tcase_add_test(tcase, threads_are_one_owner);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
