// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A share on a file system of another machine that goes stale, hangs up and is there again, and one
 * that its user may not enter any more (T25 of the reliability tests): each request gets the host's
 * error, and another share notices nothing.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared-fs/server/request.h"
#include "tests/unit/fsd_far_machine.h"
#include "tests/unit/fsd_harness.h"
#include "tests/unit/unit.h"

#define SOMEBODY 65534

static const struct owner_map as_it_is;

struct here {
	char top[40];
	struct fs *fs;
	struct scratch *scratch;
	uint64_t far, near; /* shares */
};

static int64_t call(struct here *here, uint32_t opcode, uint64_t node, const void *body, size_t len,
		    void *reply, size_t room)
{
	return fsd_direct(here->fs, here->scratch, opcode, node, body, len, reply, room);
}

/* A nodeid, or 0 and its error. */
static uint64_t look_up(struct here *here, uint64_t dir, const char *name, int64_t *ret_error)
{
	struct fuse_entry_out out = { 0 };
	int64_t ret = call(here, FUSE_LOOKUP, dir, name, strlen(name) + 1, &out, sizeof(out));

	*ret_error = ret < 0 ? ret : 0;
	return ret < 0 ? 0 : out.nodeid;
}

/* A file that is made and open. */
static int64_t create(struct here *here, uint64_t dir, const char *name, uint64_t *ret_node,
		      uint64_t *ret_fh)
{
	struct {
		struct fuse_create_in in;
		char name[8];
	} body = { .in = { .flags = O_RDWR | O_CREAT, .mode = 0644 } };
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} out = { 0 };
	int64_t ret;

	strcpy(body.name, name);
	ret = call(here, FUSE_CREATE, dir, &body, sizeof(body.in) + strlen(name) + 1, &out,
		   sizeof(out));
	*ret_node = out.entry.nodeid;
	*ret_fh = out.open.fh;
	return ret < 0 ? ret : 0;
}

static int64_t put(struct here *here, uint64_t node, uint64_t fh)
{
	struct {
		struct fuse_write_in in;
		char data[8];
	} body = { { .fh = fh, .size = 8 }, "content" };
	struct fuse_write_out out;

	return call(here, FUSE_WRITE, node, &body, sizeof(body), &out, sizeof(out));
}

static int64_t get(struct here *here, uint64_t node, uint64_t fh)
{
	struct fuse_read_in in = { .fh = fh, .size = 8 };
	char data[8];

	return call(here, FUSE_READ, node, &in, sizeof(in), data, sizeof(data));
}

static int64_t attributes(struct here *here, uint64_t node)
{
	struct fuse_getattr_in in = { 0 };
	struct fuse_attr_out out;

	return call(here, FUSE_GETATTR, node, &in, sizeof(in), &out, sizeof(out));
}

static int64_t list(struct here *here, uint64_t dir)
{
	struct fuse_open_in in = { 0 };
	struct fuse_open_out out = { 0 };
	struct fuse_read_in read = { .size = 1024 };
	struct fuse_release_in release = { 0 };
	int64_t ret = call(here, FUSE_OPENDIR, dir, &in, sizeof(in), &out, sizeof(out));
	char names[1024];

	if (ret < 0)
		return ret;
	read.fh = release.fh = out.fh;
	ret = call(here, FUSE_READDIR, dir, &read, sizeof(read), names, sizeof(names));
	call(here, FUSE_RELEASEDIR, dir, &release, sizeof(release), NULL, 0);
	return ret;
}

static uint64_t find_share(struct here *here, const char *name)
{
	int64_t error;
	uint64_t node = look_up(here, FUSE_ROOT_ID, name, &error);

	ck_assert_int_eq(error, 0);
	return node;
}

/* The host's kernel may hold one that is gone for a moment. */
static void add_share(struct here *here, const char *name, const char *folder)
{
	int ret = -ESTALE;

	for (int tries = 0; tries < 50 && ret == -ESTALE; tries++) {
		int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);

		ck_assert(fd >= 0 || errno == ESTALE);
		if (fd >= 0)
			ret = fs_share_add(here->fs, name, fd, false, &as_it_is, false);
		if (ret == -ESTALE)
			usleep(100000); /* the pace */
	}
	ck_assert_int_eq(ret, 0);
}

static void begin_session(struct here *here)
{
	struct fuse_init_in init = { .major = 7, .minor = 38, .flags = INT32_MAX };

	ck_assert_int_gt(call(here, FUSE_INIT, 0, &init, sizeof(init), NULL, 0), 0);
}

/* With the share "near". */
static void start(struct here *here, char near[64])
{
	struct fs_config config = { .fd_limit = 200 };

	*here = (struct here){ .top = "/tmp/lodge-fsd-remote.XXXXXX" };
	ck_assert_ptr_nonnull(mkdtemp(here->top));
	ck_assert_int_eq(chmod(here->top, 0755), 0);
	snprintf(near, 64, "%s/near", here->top);
	ck_assert_int_eq(mkdir(near, 0777) | chmod(near, 0777), 0);
	here->scratch = calloc(1, sizeof(*here->scratch));
	ck_assert_int_eq(fs_create(&config, &here->fs), 0);
	add_share(here, "near", near);
}

/* All that is asked of @far gets @error, soon: the host's kernel keeps attributes for a second. */
static void check_lost(struct here *here, uint64_t node, uint64_t fh, int error)
{
	struct fuse_fsync_in sync = { .fh = fh };
	uint64_t other, other_fh;
	int64_t got = 0;

	for (int tries = 0; tries < 50 && got >= 0; tries++) {
		got = attributes(here, node);
		if (got >= 0)
			usleep(100000); /* the pace */
	}
	ck_assert_int_eq(got, -error);
	ck_assert_int_eq(attributes(here, here->far), -error);
	ck_assert_int_eq(put(here, node, fh), -error);
	ck_assert_int_eq(call(here, FUSE_FSYNC, node, &sync, sizeof(sync), NULL, 0), -error);
	look_up(here, here->far, "new", &got);
	ck_assert_int_eq(got, -error);
	ck_assert_int_eq(create(here, here->far, "new", &other, &other_fh), -error);
	ck_assert_int_eq(list(here, here->far), -error);
	/* And nothing of it is asked for what is here. */
	ck_assert_int_gt(list(here, FUSE_ROOT_ID), 0);
	ck_assert_int_eq(create(here, here->near, "f", &other, &other_fh), 0);
	ck_assert_int_gt(put(here, other, other_fh), 0);
	ck_assert_int_eq(get(here, other, other_fh), 8);
}

/* A session that knew of it at its beginning opens files by requests, another one does not. */
START_TEST(t25_a_remote_share_goes_stale)
{
	struct far_machine machine = { 0 };
	uint64_t node, fh, again;
	struct here here;
	char near[64];
	int64_t error;

	start(&here, near);
	if (geteuid() || !far_machine_start(&machine, here.top)) {
		fsd_direct_end(here.fs, here.scratch, here.top);
		return;
	}
	if (_i)
		begin_session(&here);
	add_share(&here, "far", machine.place);
	if (!_i)
		begin_session(&here);
	here.far = find_share(&here, "far");
	here.near = find_share(&here, "near");
	ck_assert_int_eq(create(&here, here.far, "f", &node, &fh), 0);
	ck_assert_int_eq(!fh, _i);
	ck_assert_int_gt(put(&here, node, fh), 0);
	ck_assert_int_eq(get(&here, node, fh), 8);
	ck_assert_int_gt(list(&here, here.far), 0);

	far_machine_order(&machine, '-');
	check_lost(&here, node, fh, ESTALE);

	/* It is there again, as another file system would be: so is the share, once it is added
	 * anew. */
	far_machine_order(&machine, '+');
	ck_assert_int_eq(fs_share_remove(here.fs, "far"), 0);
	add_share(&here, "far", machine.place);
	here.far = find_share(&here, "far");
	again = look_up(&here, here.far, "f", &error);
	ck_assert_int_eq(error, 0);
	ck_assert_uint_ne(again, node);
	ck_assert_int_eq(attributes(&here, node), -ESTALE);
	ck_assert_int_eq(create(&here, here.far, "g", &node, &fh), 0);
	ck_assert_int_gt(put(&here, node, fh), 0);

	/* The other machine hangs up. */
	far_machine_stop(&machine);
	check_lost(&here, node, fh, ENOTCONN);
	ck_assert_int_eq(fs_share_remove(here.fs, "far"), 0);
	ck_assert_int_eq(attributes(&here, node), -ESTALE);
	far_machine_end(&machine);
	fsd_direct_end(here.fs, here.scratch, here.top);
}
END_TEST

static void *remove_later(void *path)
{
	usleep(100000); /* while a folder is waited for */
	ck_assert_int_eq(unlink(path), 0);
	return NULL;
}

/* The folder "d" of the machine goes: it is removed, or another takes its place. */
static int64_t take_away(struct here *here, bool rename)
{
	struct {
		struct fuse_rename_in in;
		char names[4];
	} body = { { .newdir = here->far }, { 'e', 0, 'd', 0 } };

	return rename ? call(here, FUSE_RENAME, here->far, &body, sizeof(body.in) + 4, NULL, 0)
		      : call(here, FUSE_RMDIR, here->far, "d", 2, NULL, 0);
}

/* NFS keeps a removed file under such a name while we hold it: what the guest forgets after a while
 * is in nobody's way, what it does not forget is, and so is any other file, at once. */
START_TEST(what_nfs_leaves_behind_is_waited_for)
{
	struct far_machine machine = { 0 };
	struct here here;
	char near[64], folder[100], other[100], file[128];
	pthread_t thread;
	double began;

	start(&here, near);
	if (geteuid() || !far_machine_start(&machine, here.top)) {
		fsd_direct_end(here.fs, here.scratch, here.top);
		return;
	}
	add_share(&here, "far", machine.place);
	begin_session(&here);
	here.far = find_share(&here, "far");
	snprintf(folder, sizeof(folder), "%s/d", machine.own);
	snprintf(file, sizeof(file), "%s/.nfs1", folder);
	snprintf(other, sizeof(other), "%s/e", machine.own);
	ck_assert_int_eq(mkdir(folder, 0755) | mknod(file, S_IFREG | 0644, 0), 0);
	ck_assert_int_eq(mkdir(other, 0755), 0);

	began = fsd_seconds();
	ck_assert_int_eq(take_away(&here, _i), -ENOTEMPTY);
	ck_assert_double_gt(fsd_seconds() - began, 0.4);
	pthread_create(&thread, NULL, remove_later, file);
	ck_assert_int_eq(take_away(&here, _i), 0);
	pthread_join(thread, NULL);
	ck_assert_int_eq(rmdir(_i ? folder : other), 0); /* the one that is left */
	ck_assert_int_eq(access(folder, F_OK) & access(other, F_OK), -1);

	snprintf(file, sizeof(file), "%s/nfs1", folder);
	ck_assert_int_eq(mkdir(folder, 0755) | mknod(file, S_IFREG | 0644, 0), 0);
	ck_assert_int_eq(mkdir(other, 0755), 0);
	began = fsd_seconds();
	ck_assert_int_eq(take_away(&here, _i), -ENOTEMPTY);
	ck_assert_double_lt(fsd_seconds() - began, 0.4);

	ck_assert_int_eq(fs_share_remove(here.fs, "far"), 0);
	far_machine_end(&machine);
	fsd_direct_end(here.fs, here.scratch, here.top);
}
END_TEST

/* What an ordinary user's server may not read or enter any more; what is open goes on. */
START_TEST(t25_permission_is_taken_away)
{
	bool root = !geteuid();
	uint64_t node, fh, other, other_fh;
	struct here here;
	char path[80];
	char near[64];
	int64_t error;

	start(&here, near);
	begin_session(&here);
	here.near = find_share(&here, "near");
	if (root) {
		ck_assert_int_eq(chown(near, SOMEBODY, SOMEBODY), 0);
		ck_assert_int_eq(setegid(SOMEBODY) | seteuid(SOMEBODY), 0);
		/* Or its descriptors in /proc would be root's. */
		prctl(PR_SET_DUMPABLE, 1);
	}
	ck_assert_int_eq(create(&here, here.near, "f", &node, &fh), 0);
	ck_assert_int_gt(put(&here, node, fh), 0);

	ck_assert_int_eq(chmod(near, 0), 0);
	look_up(&here, here.near, "f", &error);
	ck_assert_int_eq(error, -EACCES);
	ck_assert_int_eq(create(&here, here.near, "g", &other, &other_fh), -EACCES);
	ck_assert_int_eq(list(&here, here.near), -EACCES);
	ck_assert_int_gt(attributes(&here, here.near), 0);
	ck_assert_int_gt(put(&here, node, fh), 0);
	ck_assert_int_eq(get(&here, node, fh), 8);
	ck_assert_int_eq(chmod(near, 0755), 0);
	ck_assert_int_gt(list(&here, here.near), 0);
	ck_assert_uint_eq(look_up(&here, here.near, "f", &error), node);

	snprintf(path, sizeof(path), "%s/f", near);
	/* Twice a second's end without use: it is not open any more. */
	data_sweep(here.fs);
	data_sweep(here.fs);
	ck_assert_int_eq(chmod(path, 0), 0);
	ck_assert_int_eq(get(&here, node, fh), -EACCES);
	ck_assert_int_eq(chmod(path, 0644), 0);
	ck_assert_int_eq(get(&here, node, fh), 8);
	if (root)
		ck_assert_int_eq(seteuid(0) | setegid(0), 0);
	fsd_direct_end(here.fs, here.scratch, here.top);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fsd_remote");
	TCase *tcase = tcase_create("remote");

	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, t25_a_remote_share_goes_stale, 0, 2);
	tcase_add_loop_test(tcase, what_nfs_leaves_behind_is_waited_for, 0, 2);
	tcase_add_test(tcase, t25_permission_is_taken_away);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
