// SPDX-License-Identifier: GPL-2.0-or-later
/* What the guest itself changes is not told, and what the host changes beside it is. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "shared-fs/server/watch.h"
#include "tests/unit/fsd_watch_rig.h"
#include "tests/unit/unit.h"

static uint64_t guest_create(uint64_t dir, const char *name)
{
	struct fuse_create_in in = { .flags = O_RDWR, .mode = S_IFREG | 0644 };
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} out;

	ck_assert_int_eq(fsd_call(&watch_rig, FUSE_CREATE, dir, &in, sizeof(in), name,
				  strlen(name) + 1, &out, sizeof(out)),
			 sizeof(out));
	return out.entry.nodeid;
}

static int64_t guest_write(uint64_t node, const char *text)
{
	struct fuse_write_in in = { .size = (uint32_t)strlen(text) };
	struct fuse_write_out out;

	return fsd_call(&watch_rig, FUSE_WRITE, node, &in, sizeof(in), text, strlen(text), &out,
			sizeof(out));
}

static int64_t guest_chmod(uint64_t node, uint32_t mode)
{
	struct fuse_setattr_in in = { .valid = FATTR_MODE, .mode = mode };
	struct fuse_attr_out out;

	return fsd_call(&watch_rig, FUSE_SETATTR, node, &in, sizeof(in), NULL, 0, &out,
			sizeof(out));
}

static int64_t guest_rename(uint64_t dir, const char *from, const char *to)
{
	struct fuse_rename_in in = { .newdir = dir };
	char names[600];
	size_t len = (size_t)sprintf(names, "%s%c%s", from, 0, to) + 1;

	return fsd_call(&watch_rig, FUSE_RENAME, dir, &in, sizeof(in), names, len, NULL, 0);
}

static int64_t guest_name(uint32_t opcode, uint64_t dir, const char *name)
{
	struct fuse_mkdir_in in = { .mode = 0755 };
	struct fuse_entry_out out;
	bool make = opcode == FUSE_MKDIR;

	return fsd_call(&watch_rig, opcode, dir, make ? &in : NULL, make ? sizeof(in) : 0, name,
			strlen(name) + 1, &out, sizeof(out));
}

START_TEST(what_the_guest_does_is_not_told)
{
	struct fuse_entry_out linked;
	struct fuse_link_in link;
	uint64_t node;

	watch_rig_folder("dir");
	watch_rig_forget();
	for (int i = 0; i < 50; i++) {
		node = guest_create(FUSE_ROOT_ID, "own");
		link.oldnodeid = node;
		ck_assert_int_ge(guest_write(node, "text"), 0);
		ck_assert_int_ge(guest_chmod(node, 0600), 0);
		ck_assert_int_ge(fsd_call(&watch_rig, FUSE_LINK, FUSE_ROOT_ID, &link, sizeof(link),
					  "own-link", 9, &linked, sizeof(linked)),
				 0);
		ck_assert_int_eq(guest_rename(FUSE_ROOT_ID, "own", "own-2"), 0);
		ck_assert_int_eq(guest_name(FUSE_UNLINK, FUSE_ROOT_ID, "own-2"), 0);
		ck_assert_int_eq(guest_name(FUSE_UNLINK, FUSE_ROOT_ID, "own-link"), 0);
		ck_assert_int_ge(guest_name(FUSE_MKDIR, FUSE_ROOT_ID, "own-dir"), 0);
		ck_assert_int_eq(guest_name(FUSE_RMDIR, FUSE_ROOT_ID, "own-dir"), 0);
	}
	watch_rig_drain();
	for (size_t i = 0; i < watch_n_seen; i++)
		ck_assert_msg(strncmp(watch_seen[i].name, "own", 3) != 0, "%s %x is told",
			      watch_seen[i].name, watch_seen[i].kinds);
}
END_TEST

START_TEST(what_the_host_does_beside_it_is)
{
	char buffer[256], name[32];

	watch_rig_forget();
	for (int i = 0; i < 50; i++) {
		sprintf(name, "own-%d", i);
		guest_create(FUSE_ROOT_ID, name);
		/* What the guest tried in vain hides nothing. */
		ck_assert_int_lt(guest_name(FUSE_UNLINK, FUSE_ROOT_ID, "host"), 0);
		sprintf(name, "host-%d", i);
		ck_assert_int_lt(guest_name(FUSE_UNLINK, FUSE_ROOT_ID, name), 0);
		fsd_write_file(&watch_rig, name, "x");
		ck_assert_int_eq(unlink(fsd_path(&watch_rig, name, buffer)), 0);
	}
	watch_rig_drain();
	for (int i = 0; i < 50; i++) {
		sprintf(name, "host-%d", i);
		ck_assert_ptr_nonnull(watch_rig_find(name, LODGE_FS_CREATED));
		ck_assert_ptr_nonnull(watch_rig_find(name, LODGE_FS_DELETED));
		sprintf(name, "own-%d", i);
		ck_assert_ptr_null(watch_rig_find(name, LODGE_FS_CREATED));
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
	watch_rig_forget();
	/* What time stamps tell apart at least, where the clock ticks 250 times a second; at 100
	 * Hz, too. */
	nap_ms(11);
	fsd_write_file(&watch_rig, "both", "host");
	watch_rig_drain();
	ck_assert_ptr_nonnull(watch_rig_find("both", LODGE_FS_MODIFIED));
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
	ck_assert_int_ge(fsd_call(&watch_rig, FUSE_LINK, FUSE_ROOT_ID, &link, sizeof(link),
				  "own-two", 8, &linked, sizeof(linked)),
			 0);
	link.oldnodeid = fsd_lookup(&watch_rig, FUSE_ROOT_ID, "own-linked", &(int){ 0 });
	nap_ms(30);
	ck_assert_int_eq(guest_rename(FUSE_ROOT_ID, "own-written", "own-moved"), 0);
	ck_assert_int_ge(fsd_call(&watch_rig, FUSE_LINK, FUSE_ROOT_ID, &link, sizeof(link),
				  "own-link", 9, &linked, sizeof(linked)),
			 0);
	ck_assert_int_eq(guest_name(FUSE_UNLINK, FUSE_ROOT_ID, "own-two"), 0);
	watch_rig_forget();
	data_sweep(watch_rig.fs);
	data_sweep(watch_rig.fs);
	watch_rig_drain();
	for (size_t i = 0; i < 3; i++)
		ck_assert_ptr_null(watch_rig_find(names[i], LODGE_FS_CLOSED | LODGE_FS_MODIFIED |
								    LODGE_FS_ATTRIB));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fsd_watch_own");
	TCase *tests = tcase_create("own");

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, watch_rig_setup, watch_rig_teardown);
	tcase_add_test(tests, what_the_guest_does_is_not_told);
	tcase_add_test(tests, what_the_host_does_beside_it_is);
	tcase_add_test(tests, a_host_edit_behind_the_guests_own_is_told);
	tcase_add_test(tests, a_late_close_of_the_guests_own_is_not_told);
	suite_add_tcase(suite, tests);
	return unit_run(suite);
}
