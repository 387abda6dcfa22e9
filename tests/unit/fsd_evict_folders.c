// SPDX-License-Identifier: GPL-2.0-or-later
/* More folders than descriptors: a folder is closed and opened again as a file is, with what lies
 * in it, whoever renames, forgets or dies meanwhile. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/fsd_harness.h"
#include "tests/unit/unit.h"

#define FDS	40
#define FOLDERS 1000
#define DEPTH	1200 /* names of one byte: PATH_MAX has room for them */

static struct fs *fs;
static struct scratch *scratch;
static char top[64];
static uint64_t folders[FOLDERS];
static uint64_t files[FOLDERS]; /* one in each */

static int64_t call(uint32_t opcode, uint64_t nodeid, const void *body, size_t len, void *reply,
		    size_t room)
{
	return fsd_direct(fs, scratch, opcode, nodeid, body, len, reply, room);
}

/* The nodeid, or a negative errno. */
static int64_t look_up(uint64_t dir, const char *name)
{
	struct fuse_entry_out entry;
	int64_t ret = call(FUSE_LOOKUP, dir, name, strlen(name) + 1, &entry, sizeof(entry));

	return ret < 0 ? ret : (int64_t)entry.nodeid;
}

static int64_t make_folder(uint64_t dir, const char *name)
{
	struct {
		struct fuse_mkdir_in in;
		char name[256];
	} mkdir = { .in.mode = 0755 };
	struct fuse_entry_out entry;
	int64_t ret;

	strcpy(mkdir.name, name);
	ret = call(FUSE_MKDIR, dir, &mkdir, sizeof(mkdir.in) + strlen(name) + 1, &entry,
		   sizeof(entry));
	return ret < 0 ? ret : (int64_t)entry.nodeid;
}

static int64_t move(uint64_t dir, const char *name, uint64_t to, const char *new_name)
{
	struct {
		struct fuse_rename_in in;
		char names[512];
	} body = { .in.newdir = to };
	int len = sprintf(body.names, "%s%c%s", name, 0, new_name) + 1;

	return call(FUSE_RENAME, dir, &body, sizeof(body.in) + (size_t)len, NULL, 0);
}

static int64_t read_file(uint64_t node, char text[64])
{
	struct fuse_read_in in = { .size = 63 };
	int64_t ret = call(FUSE_READ, node, &in, sizeof(in), text, 63);

	text[ret < 0 ? 0 : ret] = 0;
	return ret;
}

static void forget(uint64_t node, uint64_t n)
{
	struct fuse_forget_in in = { .nlookup = n };

	call(FUSE_FORGET, node, &in, sizeof(in), NULL, 0);
}

/* Not an assertion for each request: libcheck writes a mark for every one. */
static void must(bool good, const char *what, int i)
{
	if (!good)
		ck_abort_msg("%s %d", what, i);
}

/* In the share's folder; $last is the number of the last one. */
static void host(const char *command)
{
	char text[400];

	snprintf(text, sizeof(text), "cd %s && last=%d && { %s; }", top, FOLDERS - 1, command);
	ck_assert_int_eq(system(text), 0);
}

static void begin(void)
{
	struct fs_config config = { .fd_limit = FDS };
	struct fuse_init_in init = { .major = FUSE_KERNEL_VERSION,
				     .minor = FUSE_KERNEL_MINOR_VERSION,
				     .flags = INT32_MAX };
	struct fuse_init_out out;

	strcpy(top, "/tmp/lodge-fsd-test.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
	scratch = calloc(1, sizeof(*scratch));
	ck_assert_ptr_nonnull(scratch);
	ck_assert_int_eq(fs_create(&config, &fs), 0);
	ck_assert_int_eq(fs_share_add(fs, "share", open(top, O_PATH | O_CLOEXEC), false,
				      &(struct owner_map){ 0 }, true),
			 0);
	ck_assert_int_eq(call(FUSE_INIT, 0, &init, sizeof(init), &out, sizeof(out)), sizeof(out));
}

/* FOLDERS of them, with a file in each, all known to the guest. */
static void fill(void)
{
	char name[32];

	host("for i in $(seq 0 $last); do mkdir d-$i; echo $i >d-$i/file; done");
	for (int i = 0; i < FOLDERS; i++) {
		sprintf(name, "d-%d", i);
		folders[i] = (uint64_t)look_up(FUSE_ROOT_ID, name);
		must((int64_t)folders[i] > 0, "look up", i);
		files[i] = (uint64_t)look_up(folders[i], "file");
		must((int64_t)files[i] > 0, "look up a file in", i);
	}
	ck_assert_uint_gt(fs->n_evicted, 2 * FOLDERS - FDS);
	ck_assert_uint_le(fs->n_fds, FDS);
}

static void end(void)
{
	char text[128];

	fs_destroy(fs);
	free(scratch);
	snprintf(text, sizeof(text), "rm -rf %s", top);
	ck_assert_int_eq(system(text), 0);
}

static void check_file(int i)
{
	char wanted[16], text[64];

	sprintf(wanted, "%d\n", i);
	must(read_file(files[i], text) == (int64_t)strlen(wanted) && !strcmp(text, wanted), "read",
	     i);
}

/* Everything else is used, so that nothing of what was used before has a descriptor. */
static void use_others(int from)
{
	for (int i = from; i < from + 200; i++)
		check_file(i);
}

static void forget_all(void)
{
	/* From above, which no kernel does. */
	for (int i = 0; i < FOLDERS; i++)
		forget(folders[i], 100);
	for (int i = 0; i < FOLDERS; i++)
		forget(files[i], 100);
	ck_assert_uint_eq(fs->inodes.n_used, 1);
	ck_assert_uint_eq(fs->n_evicted, 0);
	ck_assert_uint_eq(fs->places[0].n_used + fs->places[1].n_used, 0);
	ck_assert_uint_eq(fs->n_fds, 0);
}

START_TEST(all_of_them_can_be_used)
{
	char name[32];

	fill();
	for (int i = 0; i < FOLDERS; i += 3)
		check_file(i);
	for (int i = FOLDERS; i-- > 0;) {
		sprintf(name, "d-%d", i);
		must(look_up(folders[i], "file") == (int64_t)files[i], "another file in", i);
		must(look_up(FUSE_ROOT_ID, name) == (int64_t)folders[i], "another folder", i);
		must(make_folder(folders[i], "new") > 0, "make in", i);
	}
	ck_assert_uint_le(fs->n_fds, FDS);
}
END_TEST

START_TEST(what_is_forgotten_leaves_nothing)
{
	fill();
	forget_all();
}
END_TEST

START_TEST(a_new_server_knows_where_they_are)
{
	struct fs_recovered found;

	fill();
	free(fs->buckets); /* as another process, which never had it */
	ck_assert_int_eq(fs_recover(fs, &found), 0);
	ck_assert_uint_eq(found.inodes, 2 * FOLDERS + 1);
	for (int i = 0; i < FOLDERS; i++)
		check_file(i);
	forget_all();
}
END_TEST

START_TEST(the_guest_moves_them)
{
	char name[32];

	fill();
	/* Each into the next, which all of those before are then in. */
	for (int i = 0; i + 1 < FOLDERS; i += 2) {
		sprintf(name, "d-%d", i);
		must(!move(FUSE_ROOT_ID, name, folders[i + 1], "in"), "move", i);
	}
	for (int i = 0; i < FOLDERS; i++)
		check_file(i);
	for (int i = 0; i + 1 < FOLDERS; i += 2)
		must(!move(folders[i + 1], "in", folders[i + 1], "still"), "move again", i);
	for (int i = 0; i < FOLDERS; i++)
		check_file(i);
	host("for i in $(seq 1 2 $last); do [ -d d-$i/still ] || exit; done");
}
END_TEST

START_TEST(the_host_moves_one)
{
	char text[64];

	fill();
	use_others(500);
	host("mv d-3 moved");
	ck_assert_int_eq(read_file(files[3], text), -ESTALE);
	ck_assert_int_eq(look_up(folders[3], "file"), -ESTALE);
	ck_assert_int_eq(look_up(FUSE_ROOT_ID, "d-3"), -ENOENT);
	/* It is the same one. */
	ck_assert_int_eq(look_up(FUSE_ROOT_ID, "moved"), (int64_t)folders[3]);
	check_file(3);
	/* Another one in its place is not. */
	use_others(500);
	host("rm -r moved; mkdir moved; echo other >moved/file");
	ck_assert_int_eq(read_file(files[3], text), -ESTALE);
	ck_assert_int_ne(look_up(FUSE_ROOT_ID, "moved"), (int64_t)folders[3]);
	ck_assert_int_eq(look_up(folders[3], "file"), -ESTALE);
}
END_TEST

START_TEST(a_link_takes_the_place_of_one)
{
	char text[64];

	fill();
	use_others(500);
	host("mv d-3 elsewhere; ln -s /etc d-3");
	ck_assert_int_eq(read_file(files[3], text), -ESTALE);
	ck_assert_int_eq(look_up(folders[3], "passwd"), -ESTALE);
}
END_TEST

START_TEST(a_removed_one_stays)
{
	char gone[] = "gone";
	struct fuse_getattr_in in = { 0 };
	struct fuse_attr_out out;
	int64_t node;

	fill();
	node = make_folder(FUSE_ROOT_ID, gone);
	ck_assert_int_gt(node, 0);
	use_others(0);
	ck_assert_int_eq(call(FUSE_RMDIR, FUSE_ROOT_ID, gone, sizeof(gone), NULL, 0), 0);
	use_others(200);
	ck_assert_int_eq(call(FUSE_GETATTR, (uint64_t)node, &in, sizeof(in), &out, sizeof(out)),
			 sizeof(out));
	ck_assert_uint_eq(out.attr.nlink, 0);
	ck_assert_int_eq(look_up((uint64_t)node, "file"), -ENOENT);
}
END_TEST

START_TEST(far_below)
{
	static uint64_t nodes[DEPTH];
	uint64_t dir = FUSE_ROOT_ID;

	fill();
	for (int i = 0; i < DEPTH; i++) {
		dir = nodes[i] = (uint64_t)make_folder(dir, "d");
		must((int64_t)dir > 0, "make", i);
	}
	use_others(0);
	ck_assert_int_gt(make_folder(nodes[DEPTH - 1], "bottom"), 0);
	use_others(200);
	ck_assert_int_eq(move(nodes[DEPTH / 2], "d", nodes[9], "x"), 0);
	use_others(0);
	ck_assert_int_gt(look_up(nodes[DEPTH - 1], "bottom"), 0);
	ck_assert_int_eq(look_up(nodes[9], "x"), (int64_t)nodes[DEPTH / 2 + 1]);
	ck_assert_uint_le(fs->n_fds, FDS);
	forget((uint64_t)look_up(nodes[DEPTH - 1], "bottom"), 100);
	for (int i = 0; i < DEPTH; i++)
		forget(nodes[i], 100);
	forget_all();
}
END_TEST

/* Each is known to have been found in the other: they must not keep each other. */
START_TEST(the_host_turns_two_around)
{
	int64_t a, b;

	fill();
	host("mkdir -p a/b");
	a = look_up(FUSE_ROOT_ID, "a");
	b = look_up((uint64_t)a, "b");
	host("mv a/b . && mv a b/a");
	ck_assert_int_eq(look_up((uint64_t)b, "a"), a);
	host("mv b/a . && mv b a/b");
	ck_assert_int_eq(look_up((uint64_t)a, "b"), b);
	for (int i = 0; i < FOLDERS; i++) {
		check_file(i);
		(void)look_up((uint64_t)a, "none"); /* stays open, and b does not */
	}
	host("mv a/b . && mv a b/a");
	use_others(0);
	use_others(300);
	ck_assert_int_eq(look_up((uint64_t)a, "b"), -ENOENT);
	forget((uint64_t)a, 100);
	forget((uint64_t)b, 100);
	forget_all();
}
END_TEST

START_TEST(t18_a_million_lookups_that_are_not_forgotten)
{
	char name[32];
	long before;

	fill();
	before = harness_shared_kib();
	for (int i = 0; i < 1000000; i++) {
		/* Some are open, some are not. */
		int at = i % 20 ? i % 10 : i % FOLDERS;

		sprintf(name, "d-%d", at);
		if (i & 1)
			must(look_up(FUSE_ROOT_ID, name) == (int64_t)folders[at], "look up", i);
		else
			must(look_up(folders[at], "file") == (int64_t)files[at], "look up", i);
	}
	ck_assert_uint_le(fs->n_fds, FDS);
	ck_assert_int_le(harness_shared_kib(), before + 64);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fsd_evict_folders");
	TCase *tests = tcase_create("folders");

	tcase_add_checked_fixture(tests, begin, end);
	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, all_of_them_can_be_used);
	tcase_add_test(tests, what_is_forgotten_leaves_nothing);
	tcase_add_test(tests, a_new_server_knows_where_they_are);
	tcase_add_test(tests, the_guest_moves_them);
	tcase_add_test(tests, the_host_moves_one);
	tcase_add_test(tests, a_link_takes_the_place_of_one);
	tcase_add_test(tests, a_removed_one_stays);
	tcase_add_test(tests, far_below);
	tcase_add_test(tests, the_host_turns_two_around);
	tcase_add_test(tests, t18_a_million_lookups_that_are_not_forgotten);
	suite_add_tcase(suite, tests);
	return unit_run(suite);
}
