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

#define THREADS 8
#define ROUNDS	1500
#define NAMES	4

struct racer {
	struct fs *fs;
	pthread_t thread;
	unsigned int seed;
	uint64_t nodes[NAMES]; /* that this thread has one lookup of; 0: none */
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

	ck_assert_uint_le(room, sizeof(out.payload));
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

static void forget(struct racer *racer, struct scratch *scratch, int i)
{
	struct fuse_forget_in in = { .nlookup = 1 };

	if (racer->nodes[i])
		call(racer, scratch, FUSE_FORGET, racer->nodes[i], &in, sizeof(in), NULL, 0);
	racer->nodes[i] = 0;
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
		ck_assert_msg(ret == -ENOENT || ret == -EEXIST, "%s: %lld",
			      create ? "create" : "lookup", (long long)ret);
}

static void move(struct racer *racer, struct scratch *scratch, int i, int j)
{
	struct {
		struct fuse_rename_in in;
		char names[6];
	} body = { { ROOT_NODEID }, { 'f', (char)('0' + i), 0, 'f', (char)('0' + j), 0 } };
	int64_t ret =
		call(racer, scratch, FUSE_RENAME, ROOT_NODEID, &body, sizeof(body.in) + 6, NULL, 0);

	ck_assert(!ret || ret == -ENOENT);
}

static void use_data(struct racer *racer, struct scratch *scratch, int i)
{
	struct fuse_read_in read_in = { .size = 64 };
	struct {
		struct fuse_write_in in;
		char data[8];
	} write_in = { { .size = 8 }, "content" };
	struct fuse_getattr_in getattr = { 0 };
	struct fuse_flush_in flush = { 0 };

	if (!racer->nodes[i])
		return;
	ck_assert_int_eq(call(racer, scratch, FUSE_WRITE, racer->nodes[i], &write_in,
			      sizeof(write_in), NULL, 8),
			 8);
	ck_assert_int_eq(call(racer, scratch, FUSE_READ, racer->nodes[i], &read_in, sizeof(read_in),
			      NULL, 64),
			 8);
	ck_assert_int_eq(
		call(racer, scratch, FUSE_FLUSH, racer->nodes[i], &flush, sizeof(flush), NULL, 0),
		0);
	ck_assert_int_gt(call(racer, scratch, FUSE_GETATTR, racer->nodes[i], &getattr,
			      sizeof(getattr), NULL, 200),
			 0);
	racer->ok++;
}

static void *race(void *arg)
{
	struct racer *racer = arg;
	struct scratch *scratch = calloc(1, sizeof(*scratch));
	struct fuse_read_in list = { .size = 400 };

	for (int round = 0; round < ROUNDS; round++) {
		int i = rand_r(&racer->seed) % NAMES;
		int j = rand_r(&racer->seed) % NAMES;
		char name[3] = { 'f', (char)('0' + j), 0 };

		find(racer, scratch, i, round % 3 == 0);
		use_data(racer, scratch, i);
		switch (rand_r(&racer->seed) % 4) {
		case 0:
			move(racer, scratch, i, j);
			break;
		case 1:
			call(racer, scratch, FUSE_UNLINK, ROOT_NODEID, name, 3, NULL, 0);
			break;
		case 2:
			ck_assert_int_gt(call(racer, scratch, FUSE_READDIR, ROOT_NODEID, &list,
					      sizeof(list), NULL, 400),
					 0);
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

START_TEST(many_threads_few_names)
{
	static const struct owner_map nobody;
	struct fs_config config = { .fd_limit = 1000 };
	struct fuse_init_in init = { .major = 7, .minor = 38, .flags = INT32_MAX };
	struct scratch *scratch = calloc(1, sizeof(*scratch));
	char folder[] = "/tmp/lodge-fsd-race.XXXXXX";
	struct racer racers[THREADS] = { 0 };
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
		ck_assert_int_eq(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
	}
	for (size_t i = 0; i < THREADS; i++) {
		pthread_join(racers[i].thread, NULL);
		ck_assert_int_gt(racers[i].ok, 0);
	}
	data_close_all(fs);
	ck_assert_uint_eq(fs->n_fds, 0);
	ck_assert_uint_eq(fs->inodes.n_used, 1);
	ck_assert_uint_eq(fs->handles.n_used, 0);
	fs_destroy(fs);
	free(scratch);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	ck_assert_int_eq(system(command), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fsd_race");
	TCase *tcase = tcase_create("race");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, many_threads_few_names);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
