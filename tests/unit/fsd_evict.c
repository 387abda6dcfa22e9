// SPDX-License-Identifier: GPL-2.0-or-later
/* More inodes than descriptors: which are closed is nothing that the guest could see. And memory:
 * what the guest forgets is given back. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/fd_limit.h"
#include "tests/unit/fsd_harness.h"
#include "tests/unit/unit.h"

#define FILES 500

static struct fsd_rig rig;
static uint64_t dir;
static uint64_t nodes[FILES];

static const char *name_of(int i, char name[300])
{
	/* Every tenth is long. */
	sprintf(name, "file-%d%0*d", i, i % 10 ? 1 : 200, 0);
	return name;
}

static const char *path_of(int i, char path[600])
{
	char name[300];

	snprintf(path, 600, "%s/dir/%s", rig.folder, name_of(i, name));
	return path;
}

static void write_host(int i, const char *text)
{
	char path[600];
	FILE *file = fopen(path_of(i, path), "we");

	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
}

/* All files are known to the guest; 40 descriptors are all that there is for them. */
static void setup(void)
{
	struct fsd_rig_options options = { .config.fd_limit = 40 };
	char buffer[256];
	int error;

	fsd_rig_start(&rig, &options);
	ck_assert_int_eq(mkdir(fsd_path(&rig, "dir", buffer), 0755), 0);
	dir = fsd_lookup(&rig, FUSE_ROOT_ID, "dir", &error);
	for (int i = 0; i < FILES; i++) {
		char name[300];

		sprintf(buffer, "%d", i);
		write_host(i, buffer);
		nodes[i] = fsd_lookup(&rig, dir, name_of(i, name), &error);
		ck_assert_int_eq(error, 0);
	}
	ck_assert_uint_gt(rig.fs->n_evicted, FILES - 41);
}

static void teardown(void)
{
	fsd_rig_stop(&rig);
}

static int64_t read_node(uint64_t node, char text[64])
{
	struct fuse_read_in in = { .size = 63 };
	int64_t ret = fsd_call(&rig, FUSE_READ, node, &in, sizeof(in), NULL, 0, text, 63);

	text[ret < 0 ? 0 : ret] = 0;
	return ret;
}

static void check_reads(int i)
{
	char wanted[16];
	char text[64];

	sprintf(wanted, "%d", i);
	ck_assert_int_eq(read_node(nodes[i], text), (int64_t)strlen(wanted));
	ck_assert_str_eq(text, wanted);
}

START_TEST(all_of_them_can_be_used)
{
	char name[300];
	int error;

	for (int i = 0; i < FILES; i++)
		check_reads(i);
	/* By name they are who they were. */
	for (int i = 0; i < FILES; i += 7)
		ck_assert_uint_eq(fsd_lookup(&rig, dir, name_of(i, name), &error), nodes[i]);
	ck_assert_uint_le(rig.fs->n_fds, 40);
}
END_TEST

START_TEST(what_is_forgotten_leaves_nothing)
{
	for (int i = 0; i < FILES; i++)
		fsd_forget(&rig, 1, nodes[i], 1);
	ck_assert_uint_eq(rig.fs->n_evicted, 0);
	ck_assert_uint_eq(rig.fs->places[0].n_used + rig.fs->places[1].n_used, 0);
	ck_assert_uint_eq(rig.fs->inodes.n_used, 2);
	ck_assert_uint_eq(rig.fs->n_fds, 1);
}
END_TEST

static int64_t move(uint64_t from_dir, const char *from, uint64_t to_dir, const char *to)
{
	struct fuse_rename_in in = { .newdir = to_dir };
	char names[600];
	int len = sprintf(names, "%s%c%s", from, 0, to) + 1;

	return fsd_call(&rig, FUSE_RENAME, from_dir, &in, sizeof(in), names, (size_t)len, NULL, 0);
}

START_TEST(the_guest_moves_them)
{
	char name[300];

	for (int i = 0; i < FILES; i += 5) {
		char new_name[32];

		sprintf(new_name, "moved-%d", i);
		ck_assert_int_eq(move(dir, name_of(i, name), dir, new_name), 0);
	}
	ck_assert_int_eq(move(FUSE_ROOT_ID, "dir", FUSE_ROOT_ID, "other"), 0);
	for (int i = 0; i < FILES; i++) {
		if (i % 5)
			check_reads(i);
	}
	/* The ones with a new name were opened over it; then others took their descriptors. */
	ck_assert_int_eq(move(FUSE_ROOT_ID, "other", FUSE_ROOT_ID, "dir"), 0);
}
END_TEST

/* As git makes its objects: what has no name any more by which it was known can be opened by the
 * other. */
START_TEST(another_name_will_do)
{
	char name[300];
	char text[64];

	for (int i = 0; i < FILES; i++) {
		struct fuse_link_in in = { .oldnodeid = nodes[i] };
		struct fuse_entry_out out;
		char other[24];

		sprintf(other, "other-%d", i);
		ck_assert_int_eq(fsd_call(&rig, FUSE_LINK, dir, &in, sizeof(in), other,
					  strlen(other) + 1, &out, sizeof(out)),
				 sizeof(out));
		ck_assert_uint_eq(out.nodeid, nodes[i]);
		name_of(i, name);
		ck_assert_int_eq(
			fsd_call(&rig, FUSE_UNLINK, dir, name, strlen(name) + 1, NULL, 0, NULL, 0),
			0);
	}
	for (int i = 0; i < FILES; i++)
		ck_assert_int_gt(read_node(nodes[i], text), 0);
}
END_TEST

START_TEST(one_that_was_moved_is_found)
{
	char name[300];
	int error;

	ck_assert_int_eq(move(dir, name_of(3, name), dir, "moved"), 0);
	check_reads(3);
	ck_assert_uint_eq(fsd_lookup(&rig, dir, "moved", &error), nodes[3]);
	for (int i = 4; i < FILES; i++)
		check_reads(i);
	check_reads(3);
}
END_TEST

/* The guest may have it open: it opens without a message. */
START_TEST(one_without_a_name_stays)
{
	char name[300];

	for (int i = 0; i < 20; i++) {
		name_of(i, name);
		ck_assert_int_eq(
			fsd_call(&rig, FUSE_UNLINK, dir, NULL, 0, name, strlen(name) + 1, NULL, 0),
			0);
	}
	/* Another takes a name, and with it the last of the one that had it. */
	ck_assert_int_eq(move(dir, name_of(30, name), dir, "x"), 0);
	for (int i = 20; i < FILES; i++)
		check_reads(i);
	for (int i = 0; i < 20; i++)
		check_reads(i);
}
END_TEST

START_TEST(the_host_takes_one_away)
{
	char path[600];
	char text[64];
	char name[300];
	uint64_t node;
	int error;

	ck_assert_int_eq(unlink(path_of(0, path)), 0);
	ck_assert_int_eq(read_node(nodes[0], text), -ESTALE);
	write_host(0, "new");
	node = fsd_lookup(&rig, dir, name_of(0, name), &error);
	ck_assert_int_eq(error, 0);
	ck_assert_uint_ne(node, nodes[0]);
	ck_assert_int_eq(read_node(node, text), 3);
	ck_assert_int_eq(read_node(nodes[0], text), -ESTALE);
	fsd_forget(&rig, 1, nodes[0], 1);
	ck_assert_int_eq(read_node(node, text), 3);
}
END_TEST

START_TEST(a_new_server_knows_where_they_are)
{
	struct fs_recovered found;

	fsd_rig_stop_queues(&rig);
	free(rig.fs->buckets); /* as another process, which never had it */
	ck_assert_int_eq(fs_recover(rig.fs, &found), 0);
	ck_assert_uint_eq(found.inodes, FILES + 2);
	ck_assert_uint_gt(rig.fs->n_evicted, FILES - 41);
	fsd_rig_start_queues(&rig);
	for (int i = 0; i < FILES; i++)
		check_reads(i);
	what_is_forgotten_leaves_nothing_fn(0);
}
END_TEST

/* ---- memory ---- */

/* The tables alone. @reply: a struct fuse_entry_out, or NULL. */
static int64_t direct(struct fs *fs, struct scratch *scratch, uint32_t opcode, uint64_t nodeid,
		      const void *body, size_t len, void *reply)
{
	int64_t ret = fsd_direct(fs, scratch, opcode, nodeid, body, len, reply,
				 sizeof(struct fuse_entry_out));

	return ret < 0 ? ret : 0;
}

#define PEAK 10000

START_TEST(a_million_lookups_cost_no_memory)
{
	struct fs_config config = { .fd_limit = fd_limit(PEAK + 100, 100) };
	const int peak = (int)config.fd_limit - 100, names = peak < 100 ? peak : 100;
	struct fuse_init_in init = { .major = 7, .minor = 38 };
	struct fuse_forget_in in = { .nlookup = 1 };
	struct scratch *scratch = calloc(1, sizeof(*scratch));
	static uint64_t ids[PEAK];
	struct fuse_entry_out entry = { 0 };
	char folder[] = "/tmp/lodge-fsd-test.XXXXXX";
	char text[64];
	struct fs *fs;
	long before;
	int fd;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	fd = open(folder, O_PATH | O_CLOEXEC);
	ck_assert_int_eq(fs_create(&config, &fs), 0);
	ck_assert_int_eq(fs_share_add(fs, "s", fd, false, &(struct owner_map){ 0 }, true), 0);
	ck_assert_int_eq(direct(fs, scratch, FUSE_INIT, 0, &init, sizeof(init), NULL), 0);
	before = harness_shared_kib();
	for (int i = 0; i < peak; i++) {
		struct {
			struct fuse_mknod_in in;
			char name[16];
		} mknod = { .in.mode = S_IFREG | 0644 };

		sprintf(mknod.name, "%d", i);
		ck_assert_int_eq(direct(fs, scratch, FUSE_MKNOD, FUSE_ROOT_ID, &mknod,
					sizeof(mknod.in) + strlen(mknod.name) + 1, &entry),
				 0);
		ids[i] = entry.nodeid;
	}
	ck_assert_int_gt(harness_shared_kib(), before + peak / 20);
	for (int i = 0; i < peak; i++)
		direct(fs, scratch, FUSE_FORGET, ids[i], &in, sizeof(in), NULL);
	ck_assert_int_lt(harness_shared_kib(), before + 300);
	for (int i = 0; i < 1000000; i++) {
		int len = sprintf(text, "%d", i % names) + 1;

		/* Not an assertion each: libcheck writes a mark for every one. */
		if (direct(fs, scratch, FUSE_LOOKUP, FUSE_ROOT_ID, text, (size_t)len, &entry))
			ck_abort_msg("lookup %d failed", i);
		direct(fs, scratch, FUSE_FORGET, entry.nodeid, &in, sizeof(in), NULL);
	}
	ck_assert_int_lt(harness_shared_kib(), before + 300);
	ck_assert_uint_eq(fs->inodes.n_used, 1);
	fs_destroy(fs);
	free(scratch);
	snprintf(text, sizeof(text), "rm -rf %s", folder);
	ck_assert_int_eq(system(text), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fsd_evict");
	TCase *evict = tcase_create("evict");
	TCase *memory = tcase_create("memory");

	tcase_add_checked_fixture(evict, setup, teardown);
	tcase_set_timeout(evict, 60);
	tcase_add_test(evict, all_of_them_can_be_used);
	tcase_add_test(evict, what_is_forgotten_leaves_nothing);
	tcase_add_test(evict, the_guest_moves_them);
	tcase_add_test(evict, another_name_will_do);
	tcase_add_test(evict, one_that_was_moved_is_found);
	tcase_add_test(evict, one_without_a_name_stays);
	tcase_add_test(evict, the_host_takes_one_away);
	tcase_add_test(evict, a_new_server_knows_where_they_are);
	suite_add_tcase(suite, evict);
	tcase_set_timeout(memory, 120);
	tcase_add_test(memory, a_million_lookups_cost_no_memory);
	suite_add_tcase(suite, memory);
	return unit_run(suite);
}
