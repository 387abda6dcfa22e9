// SPDX-License-Identifier: GPL-2.0-or-later
/* Several queues at once on the same few names (T17 of the reliability tests): threads look up,
 * make, rename, remove, read, write, list and forget; nothing may crash, leak or go wrong. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared-fs/server/request.h"
#include "tests/unit/unit.h"

#define THREADS 8
#define NAMES	4

struct racer {
	struct fs *fs;
	bool classic; /* files are opened by OPEN, and locked */
	pthread_t thread;
	unsigned int seed;
	uint64_t nodes[NAMES]; /* that this thread has one lookup of; 0: none */
	long rounds;
	bool evicted; /* it saw nodes without a descriptor */
	long ok;
};

static int64_t call(struct racer *racer, struct scratch *scratch, uint32_t opcode, uint64_t node,
		    const void *body, size_t len, void *reply, size_t room)
{
	struct fuse_in_header in = { .len = (uint32_t)(sizeof(in) + len),
				     .opcode = opcode,
				     .unique = 1,
				     .nodeid = node,
				     .uid = geteuid(),
				     .gid = getegid() };
	struct {
		struct fuse_out_header head;
		uint8_t payload[4096];
	} out = { 0 };
	struct iovec iov[] = { { &in, sizeof(in) },
			       { (void *)body, len },
			       { &out, sizeof(out.head) + room } };
	struct request req;
	uint32_t written;

	if (room > sizeof(out.payload))
		abort(); /* not an assertion for each request: libcheck locks, which hides races */
	fs_request(&req, racer->fs, scratch, iov, 2, sizeof(in) + len, 1, sizeof(out.head) + room,
		   true, &written);
	if (written < sizeof(out.head))
		return 0;
	if (out.head.error)
		return out.head.error;
	if (reply)
		memcpy(reply, out.payload, written - sizeof(out.head));
	return (int64_t)written - (int64_t)sizeof(out.head);
}

/* @ret is not an error that the others' doings do not account for: a name or inode that went away,
 * or what the host's file system has not. */
static bool fine(int64_t ret)
{
	return ret >= 0 || ret == -ENOENT || ret == -ESTALE || ret == -ENODATA || ret == -EEXIST ||
	       ret == -EOPNOTSUPP || ret == -EAGAIN || ret == -ENFILE;
}

static void forget(struct racer *racer, struct scratch *scratch, int i)
{
	struct fuse_forget_in in = { .nlookup = 1 };

	if (racer->nodes[i])
		call(racer, scratch, FUSE_FORGET, racer->nodes[i], &in, sizeof(in), NULL, 0);
	racer->nodes[i] = 0;
}

static void release(struct racer *racer, struct scratch *scratch, uint64_t node, uint64_t fh)
{
	struct fuse_release_in in = { .fh = fh };

	call(racer, scratch, FUSE_RELEASE, node, &in, sizeof(in), NULL, 0);
}

static void find(struct racer *racer, struct scratch *scratch, int i, bool create)
{
	struct {
		struct fuse_create_in in;
		char name[4];
	} body = { { .flags = O_RDWR | O_CREAT, .mode = 0644 }, { 'f', (char)('0' + i), 0 } };
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} out = { 0 };
	int64_t ret;

	forget(racer, scratch, i);
	if (create)
		ret = call(racer, scratch, FUSE_CREATE, ROOT_NODEID, &body, sizeof(body.in) + 3,
			   &out, sizeof(out));
	else
		ret = call(racer, scratch, FUSE_LOOKUP, ROOT_NODEID, body.name, 3, &out,
			   sizeof(out));
	if (ret > 0)
		racer->nodes[i] = out.entry.nodeid;
	else
		ck_assert_msg(fine(ret), "%s: %lld", create ? "create" : "lookup", (long long)ret);
	if (create && ret > 0 && racer->classic)
		release(racer, scratch, out.entry.nodeid, out.open.fh);
}

static void move(struct racer *racer, struct scratch *scratch, int i, int j)
{
	struct {
		struct fuse_rename_in in;
		char names[6];
	} body = { { ROOT_NODEID }, { 'f', (char)('0' + i), 0, 'f', (char)('0' + j), 0 } };
	int64_t ret =
		call(racer, scratch, FUSE_RENAME, ROOT_NODEID, &body, sizeof(body.in) + 6, NULL, 0);

	ck_assert_msg(fine(ret), "rename: %lld", (long long)ret);
}

static uint64_t open_file(struct racer *racer, struct scratch *scratch, uint64_t node)
{
	struct fuse_open_in in = { .flags = O_RDWR };
	struct fuse_open_out out = { 0 };

	return call(racer, scratch, FUSE_OPEN, node, &in, sizeof(in), &out, sizeof(out)) > 0
		       ? out.fh
		       : 0;
}

static void use_data(struct racer *racer, struct scratch *scratch, int i)
{
	struct fuse_read_in read_in = { .size = 64 };
	struct {
		struct fuse_write_in in;
		char data[8];
	} write_in = { { .size = 8 }, "content" };
	struct fuse_flush_in flush = { .lock_owner = racer->seed };
	struct fuse_lk_in lock = { .owner = racer->seed, .lk = { .end = 7, .type = F_RDLCK } };
	uint64_t node = racer->nodes[i];

	if (!node)
		return;
	if (racer->classic) {
		write_in.in.fh = read_in.fh = flush.fh = lock.fh = open_file(racer, scratch, node);
		if (!flush.fh)
			return;
	}
	if (call(racer, scratch, FUSE_WRITE, node, &write_in, sizeof(write_in), NULL, 8) == 8 &&
	    call(racer, scratch, FUSE_READ, node, &read_in, sizeof(read_in), NULL, 64) == 8)
		racer->ok++;
	if (racer->classic) {
		ck_assert(
			fine(call(racer, scratch, FUSE_SETLK, node, &lock, sizeof(lock), NULL, 0)));
		lock.lk.type = F_UNLCK;
		call(racer, scratch, FUSE_SETLK, node, &lock, sizeof(lock), NULL, 0);
	}
	call(racer, scratch, FUSE_FLUSH, node, &flush, sizeof(flush), NULL, 0);
	if (racer->classic)
		release(racer, scratch, node, flush.fh);
}

static void use_attributes(struct racer *racer, struct scratch *scratch, int i)
{
	struct fuse_getattr_in get = { 0 };
	struct fuse_setattr_in set = { .valid = FATTR_MODE | FATTR_MTIME | FATTR_MTIME_NOW,
				       .mode = 0600 + (racer->seed & 077) };
	struct {
		struct fuse_setxattr_in in;
		char more[8];
	} xattr = { { .size = 1 }, "user.a\0v" };
	struct {
		struct fuse_getxattr_in in;
		char name[8];
	} value = { { .size = 64 }, "user.a" };
	size_t xattr_len = racer->fs->features & FUSE_SETXATTR_EXT ? sizeof(xattr.in)
								   : FUSE_COMPAT_SETXATTR_IN_SIZE;
	uint64_t node = racer->nodes[i];

	if (!node)
		return;
	memmove((char *)&xattr + xattr_len, "user.a\0v", 8);
	ck_assert(fine(call(racer, scratch, FUSE_GETATTR, node, &get, sizeof(get), NULL, 200)));
	ck_assert(fine(call(racer, scratch, FUSE_SETATTR, node, &set, sizeof(set), NULL, 200)));
	ck_assert(fine(call(racer, scratch, FUSE_SETXATTR, node, &xattr, xattr_len + 8, NULL, 0)));
	ck_assert(fine(
		call(racer, scratch, FUSE_GETXATTR, node, &value, sizeof(value.in) + 7, NULL, 64)));
}

static void list_names(struct racer *racer, struct scratch *scratch, bool plus)
{
	struct fuse_open_in open_in = { 0 };
	struct fuse_open_out open_out = { 0 };
	struct fuse_release_in release = { 0 };
	struct fuse_read_in list = { 0 };
	struct fuse_forget_in once = { .nlookup = 1 };
	union {
		struct fuse_direntplus first;
		uint8_t bytes[400];
	} reply = { 0 };
	int64_t ret;

	ret = call(racer, scratch, FUSE_OPENDIR, ROOT_NODEID, &open_in, sizeof(open_in), &open_out,
		   sizeof(open_out));
	if (ret == -ENFILE) /* others hold all that there are */
		return;
	ck_assert_int_eq(ret, sizeof(open_out));
	list.fh = open_out.fh;
	list.size = plus ? 200 : 400; /* one entry, or some */
	ret = call(racer, scratch, plus ? FUSE_READDIRPLUS : FUSE_READDIR, ROOT_NODEID, &list,
		   sizeof(list), &reply, list.size);
	ck_assert_msg(fine(ret), "%lld", (long long)ret);
	if (plus && ret > 0 && reply.first.entry_out.nodeid)
		call(racer, scratch, FUSE_FORGET, reply.first.entry_out.nodeid, &once, sizeof(once),
		     NULL, 0);
	release.fh = open_out.fh;
	ck_assert_int_eq(call(racer, scratch, FUSE_RELEASEDIR, ROOT_NODEID, &release,
			      sizeof(release), NULL, 0),
			 0);
}

/* Names of folders and second names of files, that come and go. */
static void use_names(struct racer *racer, struct scratch *scratch, int i, int j)
{
	struct {
		struct fuse_mkdir_in in;
		char name[4];
	} dir = { { .mode = 0755, .umask = 022 }, { 'd', (char)('0' + j), 0 } };
	struct {
		struct fuse_link_in in;
		char name[4];
	} link = { { racer->nodes[i] }, { 'l', (char)('0' + j), 0 } };
	struct fuse_entry_out out = { 0 };
	struct fuse_forget_in once = { .nlookup = 1 };

	if (call(racer, scratch, FUSE_MKDIR, ROOT_NODEID, &dir, sizeof(dir.in) + 3, &out,
		 sizeof(out)) > 0)
		call(racer, scratch, FUSE_FORGET, out.nodeid, &once, sizeof(once), NULL, 0);
	call(racer, scratch, FUSE_RMDIR, ROOT_NODEID, dir.name, 3, NULL, 0);
	if (racer->nodes[i] && call(racer, scratch, FUSE_LINK, ROOT_NODEID, &link,
				    sizeof(link.in) + 3, &out, sizeof(out)) > 0)
		call(racer, scratch, FUSE_FORGET, out.nodeid, &once, sizeof(once), NULL, 0);
	call(racer, scratch, FUSE_UNLINK, ROOT_NODEID, link.name, 3, NULL, 0);
}

static void *race(void *arg)
{
	struct racer *racer = arg;
	struct scratch *scratch = calloc(1, sizeof(*scratch));

	for (long round = 0; round < racer->rounds; round++) {
		int i = rand_r(&racer->seed) % NAMES;
		int j = rand_r(&racer->seed) % NAMES;
		char name[3] = { 'f', (char)('0' + j), 0 };

		find(racer, scratch, i, round % 3 == 0);
		use_data(racer, scratch, i);
		switch (rand_r(&racer->seed) % 6) {
		case 0:
			move(racer, scratch, i, j);
			break;
		case 1:
			call(racer, scratch, FUSE_UNLINK, ROOT_NODEID, name, 3, NULL, 0);
			break;
		case 2:
			list_names(racer, scratch, round % 2);
			break;
		case 3:
			use_attributes(racer, scratch, i);
			break;
		case 4:
			use_names(racer, scratch, i, j);
			break;
		default:
			data_sweep(racer->fs);
			break;
		}
	}
	for (int i = 0; i < NAMES; i++)
		forget(racer, scratch, i);
	free(scratch);
	return NULL;
}

/* Also what moving one into another may say. */
static bool fine_for_folders(int64_t ret)
{
	return fine(ret) || ret == -ENOTEMPTY || ret == -EINVAL || ret == -EISDIR ||
	       ret == -ENOTDIR || ret == -ELOOP;
}

static uint64_t known(const struct racer *racer, int i)
{
	return racer->nodes[i] ? racer->nodes[i] : ROOT_NODEID;
}

/* Makes (or only looks up) the folder of that name below node @i, which becomes node @j. */
static void enter(struct racer *racer, struct scratch *scratch, int i, int j, bool make)
{
	struct {
		struct fuse_mkdir_in in;
		char name[4];
	} dir = { { .mode = 0755 }, { 'd', (char)('0' + j), 0 } };
	struct fuse_entry_out out = { 0 };
	uint64_t below = known(racer, i);
	int64_t ret;

	if (make)
		ret = call(racer, scratch, FUSE_MKDIR, below, &dir, sizeof(dir.in) + 3, &out,
			   sizeof(out));
	else
		ret = call(racer, scratch, FUSE_LOOKUP, below, dir.name, 3, &out, sizeof(out));
	ck_assert_msg(fine_for_folders(ret), "%lld", (long long)ret);
	forget(racer, scratch, j);
	if (ret > 0) {
		racer->nodes[j] = out.nodeid;
		racer->ok++;
	}
}

static void move_folder(struct racer *racer, struct scratch *scratch, int i, int j, int k)
{
	struct {
		struct fuse_rename_in in;
		char names[6];
	} body = { { known(racer, k) }, { 'd', (char)('0' + i), 0, 'd', (char)('0' + j), 0 } };
	int64_t ret = call(racer, scratch, FUSE_RENAME, known(racer, i), &body, sizeof(body.in) + 6,
			   NULL, 0);

	ck_assert_msg(fine_for_folders(ret), "%lld", (long long)ret);
}

static void make_file(struct racer *racer, struct scratch *scratch, int i)
{
	struct {
		struct fuse_mknod_in in;
		char name[4];
	} file = { { .mode = S_IFREG | 0644 }, "f" };
	struct fuse_forget_in once = { .nlookup = 1 };
	struct fuse_entry_out out = { 0 };
	int64_t ret = call(racer, scratch, FUSE_MKNOD, known(racer, i), &file, sizeof(file.in) + 2,
			   &out, sizeof(out));

	ck_assert_msg(fine_for_folders(ret), "%lld", (long long)ret);
	if (ret > 0)
		call(racer, scratch, FUSE_FORGET, out.nodeid, &once, sizeof(once), NULL, 0);
	call(racer, scratch, FUSE_UNLINK, known(racer, i), file.name, 2, NULL, 0);
}

static void *race_in_folders(void *arg)
{
	struct racer *racer = arg;
	struct scratch *scratch = calloc(1, sizeof(*scratch));

	for (long round = 0; round < racer->rounds; round++) {
		struct fuse_getattr_in in = { 0 };
		int i = rand_r(&racer->seed) % NAMES;
		int j = rand_r(&racer->seed) % NAMES;
		char name[3] = { 'd', (char)('0' + j), 0 };

		enter(racer, scratch, i, j, round & 1);
		racer->evicted |= __atomic_load_n(&racer->fs->n_evicted, __ATOMIC_RELAXED) > 0;
		ck_assert(fine(call(racer, scratch, FUSE_GETATTR, known(racer, i), &in, sizeof(in),
				    NULL, 200)));
		switch (rand_r(&racer->seed) % 4) {
		case 0:
			move_folder(racer, scratch, i, j, rand_r(&racer->seed) % NAMES);
			break;
		case 1:
			call(racer, scratch, FUSE_RMDIR, known(racer, i), name, 3, NULL, 0);
			break;
		case 2:
			make_file(racer, scratch, i);
			break;
		default:
			forget(racer, scratch, j);
			break;
		}
	}
	for (int i = 0; i < NAMES; i++)
		forget(racer, scratch, i);
	free(scratch);
	return NULL;
}

/* Ways in which the server is used. */
static const struct way {
	uint32_t fd_limit;
	bool classic, evicts;
} ways[] = { { .fd_limit = 1000 }, { .fd_limit = 1000, .classic = true }, { .fd_limit = 12 } };

/* All of them at once, and nothing is left behind. */
static void run_racers(const struct way *way, void *(*run)(void *racer))
{
	static const struct owner_map nobody;
	struct fs_config config = { .fd_limit = way->fd_limit, .host_locks = way->classic };
	struct fuse_init_in init = { .major = 7, .minor = 38, .flags = INT32_MAX };
	struct scratch *scratch = calloc(1, sizeof(*scratch));
	char folder[] = "/tmp/lodge-fsd-race.XXXXXX";
	struct racer racers[THREADS] = { 0 };
	bool evicted = false;
	char command[64];
	struct fs *fs;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(fs_create(&config, &fs), 0);
	ck_assert_int_eq(
		fs_share_add(fs, "share", open(folder, O_PATH | O_CLOEXEC), false, &nobody, true),
		0);
	racers[0].fs = fs;
	ck_assert_int_gt(call(&racers[0], scratch, FUSE_INIT, 0, &init, sizeof(init), NULL, 64), 0);
	for (unsigned int i = 0; i < THREADS; i++) {
		racers[i].fs = fs;
		racers[i].seed = i + 1;
		racers[i].rounds = unit_rounds(1500);
		racers[i].classic = way->classic;
		ck_assert_int_eq(pthread_create(&racers[i].thread, NULL, run, &racers[i]), 0);
	}
	for (size_t i = 0; i < THREADS; i++) {
		pthread_join(racers[i].thread, NULL);
		ck_assert_int_gt(racers[i].ok, 0);
		evicted |= racers[i].evicted;
	}
	ck_assert(evicted || !way->evicts);
	data_close_all(fs);
	ck_assert_uint_eq(fs->n_fds, 0);
	ck_assert_uint_eq(fs->inodes.n_used, 1);
	ck_assert_uint_eq(fs->handles.n_used, 0);
	fs_destroy(fs);
	free(scratch);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	ck_assert_int_eq(system(command), 0);
}

START_TEST(many_threads_few_names)
{
	run_racers(&ways[_i], race);
}
END_TEST

/* Most of what the threads know has no descriptor. */
START_TEST(many_threads_few_folders)
{
	static const struct way way = { .fd_limit = 16, .evicts = true };

	run_racers(&way, race_in_folders);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fsd_race");
	TCase *tcase = tcase_create("race");

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, many_threads_few_folders);
	tcase_add_loop_test(tcase, many_threads_few_names, 0, sizeof(ways) / sizeof(ways[0]));
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
