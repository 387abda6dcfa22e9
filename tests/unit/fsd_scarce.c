// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the host runs out of, or takes away (T14, T19, T21, T25 and T55 of the reliability tests):
 * memory, mappings, descriptors, threads, room on the disk, mounts, the shared folder itself.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/fd_limit.h"
#include "tests/unit/fsd_harness.h"
#include "tests/unit/unit.h"

/* ---- the n-th call fails ---- */

static long countdown; /* calls until one fails; 0: none does */
static bool armed; /* in the server, not in the test */

static bool fails(void)
{
	return armed && countdown > 0 && !--countdown;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__real_mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
	if (!fails())
		return __real_mmap(at, len, prot, flags, fd, offset);
	errno = ENOMEM;
	return MAP_FAILED;
}

int __real_openat(int dir, const char *path, int flags, mode_t mode);
int __wrap_openat(int dir, const char *path, int flags, ...);
int __wrap_openat(int dir, const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = va_arg(args, mode_t);
	va_end(args);
	if (!fails())
		return __real_openat(dir, path, flags, mode);
	errno = EMFILE;
	return -1;
}

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
			  void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
			  void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
			  void *arg)
{
	return fails() ? EAGAIN : __real_pthread_create(thread, attr, run, arg);
}

/* ---- a session on the file system alone, where everything may fail ---- */

struct session {
	struct fs *fs;
	struct scratch *scratch;
	int first_error;
};

static int64_t call(struct session *session, uint32_t opcode, uint64_t nodeid, const void *body,
		    size_t len, const char *name, void *reply)
{
	struct fuse_in_header in = {
		.opcode = opcode, .nodeid = nodeid, .uid = geteuid(), .gid = getegid()
	};
	struct {
		struct fuse_out_header head;
		uint8_t payload[8192];
	} out = { 0 };
	struct iovec iov[] = { { &in, sizeof(in) },
			       { (void *)body, len },
			       { (void *)name, name ? strlen(name) + 1 : 0 },
			       { &out, sizeof(out) } };
	struct request req;
	uint32_t written;

	in.len = (uint32_t)(iov[0].iov_len + iov[1].iov_len + iov[2].iov_len);
	armed = true;
	fs_request(&req, session->fs, session->scratch, iov, 3, in.len, 1, sizeof(out), true,
		   &written);
	armed = false;
	if (opcode == FUSE_FORGET)
		return 0;
	ck_assert_uint_ge(written, sizeof(out.head));
	if (out.head.error && !session->first_error)
		session->first_error = out.head.error;
	if (reply && !out.head.error)
		memcpy(reply, out.payload, written - sizeof(out.head));
	return out.head.error ? out.head.error : (int64_t)(written - sizeof(out.head));
}

/* Every way in which the server gets memory, descriptors and threads. */
static void use_all(struct session *session)
{
	struct fuse_init_in init = { .major = 7, .minor = 38, .flags = FUSE_DO_READDIRPLUS };
	struct fuse_create_in create = { .flags = O_RDWR | O_CREAT, .mode = S_IFREG | 0600 };
	struct fuse_open_in open_in = { .flags = O_RDONLY };
	struct fuse_read_in read_in = { .size = 4096 };
	struct fuse_forget_in forget = { .nlookup = 1 };
	struct fuse_lk_in lock = { .lk = { .type = F_WRLCK, .end = 9 } };
	struct fuse_release_in release;
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} out = { 0 };
	struct fuse_open_out folder = { 0 };

	if (call(session, FUSE_INIT, 0, &init, sizeof(init), NULL, NULL) < 0)
		return;
	if (call(session, FUSE_CREATE, 1, &create, sizeof(create), "file", &out) > 0) {
		lock.fh = out.open.fh;
		call(session, FUSE_SETLK, out.entry.nodeid, &lock, sizeof(lock), NULL, NULL);
		release = (struct fuse_release_in){ .fh = out.open.fh };
		call(session, FUSE_RELEASE, out.entry.nodeid, &release, sizeof(release), NULL,
		     NULL);
		call(session, FUSE_FORGET, out.entry.nodeid, &forget, sizeof(forget), NULL, NULL);
	}
	if (call(session, FUSE_OPENDIR, 1, &open_in, sizeof(open_in), NULL, &folder) > 0) {
		read_in.fh = folder.fh;
		call(session, FUSE_READDIRPLUS, 1, &read_in, sizeof(read_in), NULL, NULL);
		release = (struct fuse_release_in){ .fh = folder.fh };
		call(session, FUSE_RELEASEDIR, 1, &release, sizeof(release), NULL, NULL);
	}
	call(session, FUSE_LOOKUP, 1, NULL, 0, "file", NULL);
	call(session, FUSE_UNLINK, 1, NULL, 0, "file", NULL);
}

/* True if nothing failed. */
static bool try_all(const char *folder, long nth)
{
	struct fs_config config = { .fd_limit = 100, .host_locks = true };
	struct session session = { .scratch = calloc(1, sizeof(struct scratch)) };
	struct backend *backend = NULL;
	int fd = open(folder, O_PATH | O_CLOEXEC);
	bool all;
	int ret;

	ck_assert_ptr_nonnull(session.scratch);
	countdown = nth;
	armed = true;
	ret = fs_create(&config, &session.fs);
	if (!ret) {
		ret = fs_share_add(session.fs, "s", fd, false, &(struct owner_map){ 0 }, true);
		fd = -1;
	}
	if (!ret)
		ret = backend_create(session.fs, "tag", &backend);
	armed = false;
	if (!ret)
		use_all(&session);
	all = countdown > 0;
	countdown = 0;
	/* One that failed is clean, and the next works. */
	ck_assert_msg(!ret || ret == -ENOMEM || ret == -EMFILE, "%ld: %d", nth, ret);
	ret = session.first_error;
	ck_assert_msg(!ret || ret == -ENOMEM || ret == -EMFILE || ret == -ENFILE || ret == -ENOLCK,
		      "%ld: %d", nth, ret);
	if (!all && backend) {
		session.first_error = 0;
		use_all(&session);
		ck_assert_int_eq(session.first_error, 0);
	}
	if (backend)
		ck_assert_uint_eq(session.fs->n_fds, 1); /* of the last LOOKUP */
	backend_destroy(backend);
	fs_destroy(session.fs);
	free(session.scratch);
	if (fd >= 0)
		close(fd);
	return all;
}

START_TEST(t55_any_call_may_fail)
{
	char folder[] = "/tmp/lodge-fsd-test.XXXXXX";
	long n = 1;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	while (!try_all(folder, n))
		n++;
	ck_assert_int_gt(n, 15);
	rmdir(folder);
}
END_TEST

/* ---- mounts of our own ---- */

static struct fsd_rig rig;

static bool write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	if (!file)
		return false;
	fputs(text, file);
	return !fclose(file);
}

static bool map_id(const char *path, unsigned int id)
{
	char text[32];

	sprintf(text, "%u %u 1", id, id);
	return write_text(path, text);
}

/* A mount namespace: as an ordinary user, in a user namespace. False where there are none. */
static bool own_mounts(void)
{
	unsigned int uid = geteuid();
	unsigned int gid = getegid();

	if (unshare(CLONE_NEWNS) &&
	    (unshare(CLONE_NEWUSER | CLONE_NEWNS) || !write_text("/proc/self/setgroups", "deny") ||
	     !map_id("/proc/self/uid_map", uid) || !map_id("/proc/self/gid_map", gid)))
		return false;
	return !mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

static void mount_small(const char *path, const char *options)
{
	ck_assert_int_eq(mount("small", path, "tmpfs", 0, options), 0);
}

static int64_t make(uint64_t dir, const char *name, struct fuse_entry_out *entry)
{
	struct fuse_mknod_in in = { .mode = S_IFREG | 0600 };

	return fsd_call(&rig, FUSE_MKNOD, dir, &in, sizeof(in), name, strlen(name) + 1, entry,
			sizeof(*entry));
}

static int64_t write_zeroes(uint64_t node, uint64_t offset, uint32_t len)
{
	static const char zeroes[65536];
	struct fuse_write_in in = { .offset = offset, .size = len };
	struct fuse_write_out out;
	int64_t ret =
		fsd_call(&rig, FUSE_WRITE, node, &in, sizeof(in), zeroes, len, &out, sizeof(out));

	return ret < 0 ? ret : out.size;
}

/* What a mapping of the first piece of a file says: nobody is there to make it. */
static int64_t map(uint64_t node, uint64_t flags)
{
	struct fuse_setupmapping_in in = { .fh = UINT64_MAX, .len = 2 << 20, .flags = flags };

	return fsd_call(&rig, FUSE_SETUPMAPPING, node, &in, sizeof(in), NULL, 0, NULL, 0);
}

START_TEST(t19_the_disk_is_full)
{
	struct fsd_rig_options options = { .config.dax_size = 8 << 20 };
	struct fuse_fallocate_in room = { .length = 64 << 20 };
	struct fuse_setattr_in sparse = { .valid = FATTR_SIZE, .size = 2 << 20 };
	struct fuse_entry_out dir;
	struct fuse_entry_out file;
	char path[256];
	uint64_t first;
	int64_t got;
	int error;

	if (!own_mounts())
		return;
	fsd_rig_start(&rig, &options);
	mkdir(fsd_path(&rig, "small", path), 0755);
	mount_small(path, "size=1m,nr_inodes=8");
	dir.nodeid = fsd_lookup(&rig, FUSE_ROOT_ID, "small", &error);
	ck_assert_int_gt(make(dir.nodeid, "f", &file), 0);
	for (uint64_t at = 0;; at += 65536) {
		got = write_zeroes(file.nodeid, at, 65536);
		if (got < 0)
			break;
		ck_assert_uint_lt(at, 2 << 20);
	}
	ck_assert_int_eq(got, -ENOSPC);
	ck_assert_int_eq(
		fsd_call(&rig, FUSE_FALLOCATE, file.nodeid, &room, sizeof(room), NULL, 0, NULL, 0),
		-ENOSPC);
	/* Stores into what the disk has no room for. */
	ck_assert_int_gt(fsd_call(&rig, FUSE_SETATTR, file.nodeid, &sparse, sizeof(sparse), NULL, 0,
				  NULL, sizeof(struct fuse_attr_out)),
			 0);
	ck_assert_int_eq(map(file.nodeid, FUSE_SETUPMAPPING_FLAG_WRITE), -ENOSPC);
	ck_assert_int_eq(map(file.nodeid, FUSE_SETUPMAPPING_FLAG_READ), -EIO);
	for (int i = 0; i < 20 && got == -ENOSPC; i++) {
		char name[16];

		sprintf(name, "i%d", i);
		got = make(dir.nodeid, name, &file) < 0 ? 0 : got;
	}
	ck_assert_int_eq(make(dir.nodeid, "more", &file), -ENOSPC);
	/* Taking things away makes room. */
	first = fsd_lookup(&rig, dir.nodeid, "i0", &error);
	ck_assert_int_eq(fsd_call(&rig, FUSE_UNLINK, dir.nodeid, NULL, 0, "i0", 3, NULL, 0), 0);
	fsd_forget(&rig, 1, first, 2);
	ck_assert_int_gt(make(dir.nodeid, "more", &file), 0);
	umount2(path, MNT_DETACH);
	fsd_rig_stop(&rig);
}
END_TEST

/* The kernel may know quotas of tmpfs (Linux 6.6), and a superuser may set them. */
START_TEST(t21_the_quota_is_used_up)
{
	struct fsd_rig_options options = { 0 };
	struct fuse_entry_out file;
	char path[256];
	uint64_t dir;
	int64_t got = 0;
	int error;

	if (geteuid() || !own_mounts())
		return;
	fsd_rig_start(&rig, &options);
	mkdir(fsd_path(&rig, "small", path), 0755);
	if (!mount("small", path, "tmpfs", 0, "size=8m,usrquota,usrquota_block_hardlimit=1m")) {
		dir = fsd_lookup(&rig, FUSE_ROOT_ID, "small", &error);
		ck_assert_int_gt(make(dir, "f", &file), 0);
		/* Root is above quotas. */
		ck_assert_int_eq(fchownat(AT_FDCWD, strcat(path, "/f"), 1000, 1000, 0), 0);
		for (uint64_t at = 0; got >= 0 && at < 4 << 20; at += 65536)
			got = write_zeroes(file.nodeid, at, 65536);
		ck_assert_msg(got == -EDQUOT || got > 0, "%lld", (long long)got);
		path[strlen(path) - 2] = 0;
		umount2(path, MNT_DETACH);
	}
	fsd_rig_stop(&rig);
}
END_TEST

/* The limit of the process for a file's size is an error, and no signal that ends the server. */
START_TEST(t55_files_may_not_grow)
{
	const struct rlimit limit = { 1 << 20, RLIM_INFINITY };
	struct fsd_rig_options options = { .program = true };
	struct fuse_setattr_in longer = { .valid = FATTR_SIZE, .size = 2 << 20 };
	struct fuse_fallocate_in more = { .length = 2 << 20 };
	struct fuse_entry_out file;
	pid_t server;

	fsd_rig_start(&rig, &options);
	ck_assert_int_gt(make(FUSE_ROOT_ID, "f", &file), 0);
	server = fsd_server(&rig);
	ck_assert_int_eq(prlimit(server, RLIMIT_FSIZE, &limit, NULL), 0);
	ck_assert_int_eq(write_zeroes(file.nodeid, 1 << 20, 4096), -EFBIG);
	ck_assert_int_eq(fsd_call(&rig, FUSE_SETATTR, file.nodeid, &longer, sizeof(longer), NULL, 0,
				  NULL, sizeof(struct fuse_attr_out)),
			 -EFBIG);
	ck_assert_int_eq(
		fsd_call(&rig, FUSE_FALLOCATE, file.nodeid, &more, sizeof(more), NULL, 0, NULL, 0),
		-EFBIG);
	/* What there is room for is written. */
	ck_assert_int_eq(write_zeroes(file.nodeid, (1 << 20) - 4096, 8192), 4096);
	ck_assert_int_eq(fsd_server(&rig), server);
	fsd_rig_stop(&rig);
}
END_TEST

struct mounter {
	char path[256];
	bool stop;
};

static void *mount_and_unmount(void *arg)
{
	struct mounter *mounter = arg;

	while (!__atomic_load_n(&mounter->stop, __ATOMIC_ACQUIRE)) {
		mount_small(mounter->path, "size=1m");
		ck_assert_int_eq(umount2(mounter->path, MNT_DETACH), 0);
	}
	return NULL;
}

/* Each request finds the one or the other, and what the guest holds of one that went away stays
 * what it was. */
START_TEST(t14_a_mount_comes_and_goes)
{
	struct fsd_rig_options options = { .config.fd_limit = fd_limit(1000, 100) };
	struct mounter mounter = { 0 };
	struct fuse_entry_out file;
	long rounds = unit_rounds(1000);
	pthread_t thread;
	long made = 0;
	int error;

	if (!own_mounts())
		return;
	fsd_rig_start(&rig, &options);
	fsd_path(&rig, "sub", mounter.path);
	mkdir(mounter.path, 0755);
	ck_assert_int_eq(pthread_create(&thread, NULL, mount_and_unmount, &mounter), 0);
	for (long i = 0; i < rounds; i++) {
		uint64_t dir = fsd_lookup(&rig, FUSE_ROOT_ID, "sub", &error);
		char name[32];

		ck_assert_int_eq(error, 0);
		sprintf(name, "f%ld", i);
		if (make(dir, name, &file) < 0)
			continue;
		made++;
		ck_assert_int_eq(write_zeroes(file.nodeid, 0, 100), 100);
	}
	__atomic_store_n(&mounter.stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	ck_assert_int_gt(made, rounds / 2);
	fsd_rig_stop(&rig);
}
END_TEST

START_TEST(t25_a_mount_in_use_is_taken_away)
{
	struct fsd_rig_options options = { 0 };
	struct fuse_entry_out file;
	char path[256];
	uint64_t again;
	uint64_t dir;
	int error;

	if (!own_mounts())
		return;
	fsd_rig_start(&rig, &options);
	mkdir(fsd_path(&rig, "sub", path), 0755);
	mount_small(path, "size=1m");
	dir = fsd_lookup(&rig, FUSE_ROOT_ID, "sub", &error);
	ck_assert_int_gt(make(dir, "f", &file), 0);
	ck_assert_int_eq(umount2(path, 0), -1); /* the guest has it in use */
	ck_assert_int_eq(umount2(path, MNT_DETACH), 0);
	ck_assert_int_eq(write_zeroes(file.nodeid, 0, 100), 100);
	again = fsd_lookup(&rig, FUSE_ROOT_ID, "sub", &error);
	ck_assert_int_eq(error, 0);
	ck_assert_uint_ne(again, dir);
	fsd_lookup(&rig, again, "f", &error);
	ck_assert_int_eq(error, -ENOENT);
	fsd_rig_stop(&rig);
}
END_TEST

START_TEST(t25_the_folder_itself_goes)
{
	struct fsd_rig_options options = { 0 };
	struct fuse_getattr_in in = { 0 };
	struct fuse_attr_out attr;
	struct fuse_entry_out file;
	int error;

	fsd_rig_start(&rig, &options);
	ck_assert_int_eq(rmdir(rig.folder), 0);
	ck_assert_int_eq(mkdir(rig.folder, 0755), 0);
	/* The share is the folder that it was, not what has its name now. */
	ck_assert_int_gt(fsd_call(&rig, FUSE_GETATTR, FUSE_ROOT_ID, &in, sizeof(in), NULL, 0, &attr,
				  sizeof(attr)),
			 0);
	ck_assert_uint_eq(attr.attr.nlink, 0);
	ck_assert_int_eq(make(FUSE_ROOT_ID, "f", &file), -ENOENT);
	fsd_lookup(&rig, FUSE_ROOT_ID, "f", &error);
	ck_assert_int_eq(error, -ENOENT);
	fsd_rig_stop(&rig);
}
END_TEST

/* Somebody puts a link where it was: the share is the folder still. */
START_TEST(t25_a_link_takes_its_place)
{
	struct fsd_rig_options options = { 0 };
	struct fuse_entry_out file;
	char moved[256];
	struct stat st;
	int error;

	fsd_rig_start(&rig, &options);
	snprintf(moved, sizeof(moved), "%s.moved", rig.folder);
	ck_assert_int_eq(rename(rig.folder, moved), 0);
	ck_assert_int_eq(symlink("/etc", rig.folder), 0);
	fsd_lookup(&rig, FUSE_ROOT_ID, "passwd", &error);
	ck_assert_int_eq(error, -ENOENT);
	ck_assert_int_gt(make(FUSE_ROOT_ID, "f", &file), 0);
	ck_assert_int_eq(write_zeroes(file.nodeid, 0, 100), 100);
	ck_assert_int_eq(unlink(rig.folder), 0);
	ck_assert_int_eq(rename(moved, rig.folder), 0);
	ck_assert_int_eq(stat(fsd_path(&rig, "f", moved), &st), 0);
	fsd_rig_stop(&rig);
}
END_TEST

/* A file that the guest does not use is not held open for writing: the host may remount. */
START_TEST(t22_the_host_makes_it_read_only)
{
	struct fsd_rig_options options = { 0 };
	struct fuse_setattr_in mode = { .valid = FATTR_MODE, .mode = 0640 };
	struct fuse_read_in in = { .size = 4096 };
	struct fuse_entry_out file;
	struct fuse_entry_out other;
	uint8_t data[4096];
	char path[256];
	uint64_t dir;
	int error;

	if (!own_mounts())
		return;
	fsd_rig_start(&rig, &options);
	mkdir(fsd_path(&rig, "sub", path), 0755);
	mount_small(path, "size=1m");
	dir = fsd_lookup(&rig, FUSE_ROOT_ID, "sub", &error);
	ck_assert_int_gt(make(dir, "f", &file), 0);
	ck_assert_int_eq(write_zeroes(file.nodeid, 0, 100), 100);
	/* Twice a second's end without use. */
	data_sweep(rig.fs);
	data_sweep(rig.fs);
	ck_assert_int_eq(mount(NULL, path, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	ck_assert_int_eq(write_zeroes(file.nodeid, 0, 100), -EROFS);
	ck_assert_int_eq(make(dir, "g", &other), -EROFS);
	ck_assert_int_eq(fsd_call(&rig, FUSE_UNLINK, dir, "f", 2, NULL, 0, NULL, 0), -EROFS);
	ck_assert_int_eq(
		fsd_call(&rig, FUSE_SETATTR, file.nodeid, &mode, sizeof(mode), NULL, 0, NULL, 0),
		-EROFS);
	ck_assert_int_eq(fsd_call(&rig, FUSE_READ, file.nodeid, &in, sizeof(in), NULL, 0, data,
				  sizeof(data)),
			 100);
	ck_assert_int_eq(mount(NULL, path, NULL, MS_REMOUNT, NULL), 0);
	ck_assert_int_eq(write_zeroes(file.nodeid, 0, 100), 100);
	ck_assert_int_eq(umount2(path, MNT_DETACH), 0);
	fsd_rig_stop(&rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fsd_scarce");
	TCase *tcase = tcase_create("scarce");

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, t55_any_call_may_fail);
	tcase_add_test(tcase, t19_the_disk_is_full);
	tcase_add_test(tcase, t21_the_quota_is_used_up);
	tcase_add_test(tcase, t55_files_may_not_grow);
	tcase_add_test(tcase, t14_a_mount_comes_and_goes);
	tcase_add_test(tcase, t25_a_mount_in_use_is_taken_away);
	tcase_add_test(tcase, t25_the_folder_itself_goes);
	tcase_add_test(tcase, t25_a_link_takes_its_place);
	tcase_add_test(tcase, t22_the_host_makes_it_read_only);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
