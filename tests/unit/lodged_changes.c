// SPDX-License-Identifier: GPL-2.0-or-later
// Changes of shares by the host: lodged answers each batch, and applies it where shares are
// mounted.
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest-daemon/lodged/share_changes.h"
#include "protocol/lib/fs_change.h"
#include "tests/unit/lodged_rig.h"
#include "tests/unit/unit.h"

#define WORD LODGE_FS_NOTIFY_WORD " "

static char message[4096];
static size_t batch_len;

static const char *make_batch(void)
{
	static const struct fs_change changes[] = {
		{ .kinds = LODGE_FS_LOST },
		{ .kinds = LODGE_FS_CREATED | LODGE_FS_MODIFIED,
		  .folder = 1,
		  .folder_ino = 1,
		  .path = "self",
		  .path_len = 4,
		  .name = "stat",
		  .name_len = 4 },
		{ .kinds = LODGE_FS_DELETED,
		  .folder = 1,
		  .folder_ino = 1,
		  .name = "gone",
		  .name_len = 4 },
		{ .kinds = LODGE_FS_SELF | LODGE_FS_ATTRIB, .folder = 1, .folder_ino = 1 },
	};
	char *batch = message + strlen(WORD);

	strcpy(message, WORD);
	batch_len = 0;
	for (size_t i = 0; i < G_N_ELEMENTS(changes); i++)
		batch_len += fs_change_put(&changes[i], batch + batch_len,
					   sizeof(message) - strlen(WORD) - batch_len);
	ck_assert_int_eq(fs_change_check(batch, batch_len), 0);
	return batch;
}

static void assert_answered(struct rig *rig)
{
	g_autofree char *said =
		rig_result(rig, rig_command(rig, message, strlen(WORD) + batch_len));

	ck_assert_str_eq(said, "OK ");
}

START_TEST(each_batch_is_answered)
{
	struct rig rig;

	rig_up(&rig, NULL);
	make_batch();
	for (int i = 0; i < 3; i++)
		assert_answered(&rig);
	/* Nonsense is not used, and costs nothing but itself. */
	message[strlen(WORD)] ^= 1;
	assert_answered(&rig);
	batch_len = 0;
	assert_answered(&rig);
	make_batch();
	assert_answered(&rig);
	rig_stop(&rig);
}
END_TEST

START_TEST(a_host_that_goes_meanwhile_is_not_answered)
{
	struct rig rig;

	rig_up(&rig, NULL);
	make_batch();
	rig_command(&rig, message, strlen(WORD) + batch_len);
	close(rig.host);
	rig_accept(&rig);
	rig_greet(&rig);
	assert_answered(&rig);
	rig_stop(&rig);
}
END_TEST

static enum share_changes apply_to(const char *mounts, const char *events)
{
	char name[] = "/tmp/mounts-XXXXXX";
	int fd = mkstemp(name);
	const char *batch = make_batch();
	enum share_changes done;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, mounts, strlen(mounts)), (ssize_t)strlen(mounts));
	close(fd);
	done = share_changes_apply(batch, batch_len, name, events);
	unlink(name);
	return done;
}

START_TEST(shares_are_found_by_their_mounts)
{
	ck_assert_int_eq(apply_to("", "/nonexistent"), SHARE_CHANGES_NO_MOUNT);
	ck_assert_int_eq(apply_to("22 1 0:21 / /proc rw - proc proc rw\n", "/nonexistent"),
			 SHARE_CHANGES_NO_MOUNT);
	ck_assert_int_eq(apply_to("22 1 0:21 / /proc rw - virtiofs root rw\n", "/nonexistent"),
			 SHARE_CHANGES_NO_MOUNT);
	ck_assert_int_eq(apply_to("22 1 0:21 / /nonexistent rw - virtiofs lodge rw\nnonsense\n\n"
				  "1 - virtiofs lodge rw\n",
				  "/nonexistent"),
			 SHARE_CHANGES_NO_MOUNT);
	ck_assert_int_eq(
		apply_to("22 1 0:21 / /proc rw,x shared:1 - virtiofs lodge rw\n", "/nonexistent"),
		SHARE_CHANGES_ASKED);
	ck_assert_int_eq(apply_to("22 1 0:21 /self /proc/self rw - fuse.lodge lodge rw\n"
				  "23 1 0:21 /a\\040b /proc rw - virtiofs lodge rw\n",
				  "/dev/null"),
			 SHARE_CHANGES_ASKED);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lodged_changes");
	TCase *tcase = tcase_create("changes");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, each_batch_is_answered);
	tcase_add_test(tcase, a_host_that_goes_meanwhile_is_not_answered);
	tcase_add_test(tcase, shares_are_found_by_their_mounts);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
