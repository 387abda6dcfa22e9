// SPDX-License-Identifier: GPL-2.0-or-later
// The process that has the shares mounted: started, heard, missed, ended. mount.lodge is a script
// here.
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lodge/fs_stream.h>

#include "guest-daemon/lodged/share_server.h"
#include "tests/unit/lodged_rig.h"
#include "tests/unit/unit.h"

struct seen {
	struct rig rig;
	struct share_server *server;
	char *folder;
	int mounted, ended;
	char *why;
};

static void on_mounted(void *opaque)
{
	((struct seen *)opaque)->mounted++;
}

static void on_ended(void *opaque, const char *why)
{
	struct seen *seen = opaque;

	seen->ended++;
	g_free(seen->why);
	seen->why = g_strdup(why);
}

static const struct share_server_events events = { on_mounted, on_ended };

static char *path_of(const struct seen *seen, const char *name)
{
	return g_build_filename(seen->folder, name, NULL);
}

/* What mount.lodge does; NULL: there is none. */
static void setup(struct seen *seen, const char *script)
{
	g_autofree char *program = NULL;
	g_autofree char *text = NULL;

	*seen = (struct seen){ 0 };
	rig_up(&seen->rig, NULL);
	seen->folder = g_dir_make_tmp("server-XXXXXX", NULL);
	ck_assert_ptr_nonnull(seen->folder);
	seen->rig.lodged.helpers = seen->folder;
	program = path_of(seen, "mount.lodge");
	if (script) {
		text = g_strdup_printf("#!/bin/sh\ncd '%s'\n%s\n", seen->folder, script);
		ck_assert(g_file_set_contents(program, text, -1, NULL));
		ck_assert_int_eq(chmod(program, 0755), 0);
	}
	seen->server = share_server_new(&seen->rig.lodged, &events, seen);
}

static void clear(struct seen *seen)
{
	g_autofree char *command = g_strdup_printf("rm -r '%s'", seen->folder);

	ck_assert_int_eq(system(command), 0);
	g_free(seen->folder);
	g_free(seen->why);
}

static void teardown(struct seen *seen)
{
	share_server_free(seen->server);
	rig_stop(&seen->rig);
	clear(seen);
}

static bool is_mounted(struct rig *rig, void *opaque)
{
	(void)rig;
	return ((struct seen *)opaque)->mounted > 0;
}

static bool has_ended(struct rig *rig, void *opaque)
{
	(void)rig;
	return ((struct seen *)opaque)->ended > 0;
}

static bool is_connected(struct rig *rig, void *opaque)
{
	(void)opaque;
	return lodged_door(&rig->lodged) != NULL;
}

static char *read_file(const struct seen *seen, const char *name)
{
	g_autofree char *path = path_of(seen, name);
	char *text = NULL;

	ck_assert(g_file_get_contents(path, &text, NULL, NULL));
	return text;
}

/* ---- by the module ---- */

START_TEST(it_says_when_it_is_mounted)
{
	g_autofree char *said = NULL;
	struct seen seen;

	setup(&seen, "echo \"$@\" >arguments; exit 0");
	ck_assert(!share_server_busy(seen.server));
	share_server_start(seen.server, SHARE_WAY_LODGE_FS, "/some where");
	ck_assert(share_server_busy(seen.server));
	rig_until(&seen.rig, is_mounted, &seen);
	ck_assert_int_eq(seen.ended, 0);
	ck_assert(!share_server_busy(seen.server));
	said = read_file(&seen, "arguments");
	ck_assert_str_eq(said, "lodge /some where -o nosuid,nodev,way=lodge_fs\n");
	teardown(&seen);
}
END_TEST

START_TEST(one_that_cannot_mount_is_told)
{
	struct seen seen;

	setup(&seen, "exit 32");
	for (int i = 1; i <= 3; i++) {
		seen.ended = 0;
		share_server_start(seen.server, SHARE_WAY_LODGE_FS, "/mnt/lodge");
		rig_until(&seen.rig, has_ended, &seen);
		ck_assert_str_eq(seen.why, "mount.lodge cannot mount them");
	}
	ck_assert_int_eq(seen.mounted, 0);
	teardown(&seen);
}
END_TEST

START_TEST(the_end_of_what_has_the_device_is_told)
{
	g_autofree char *node = NULL;
	struct seen seen;
	int fd;

	setup(&seen, "exit 0");
	node = path_of(&seen, "node");
	/* There is none. */
	share_server_watch(seen.server, node);
	for (int i = 1; i <= 2; i++) {
		fd = open(node, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		ck_assert_int_ge(fd, 0);
		/* As often as it is looked at. */
		share_server_watch(seen.server, node);
		share_server_watch(seen.server, node);
		/* A driver that is unbound has taken its file away before. */
		ck_assert_int_eq(unlink(node), 0);
		close(fd);
		seen.ended = 0;
		rig_until(&seen.rig, has_ended, &seen);
		ck_assert_int_eq(seen.ended, 1);
		ck_assert_ptr_null(seen.why);
	}
	teardown(&seen);
}
END_TEST

static bool is_there(const char *path)
{
	/* It may take longer than one waits. */
	for (int i = 0; i < 20000 && access(path, F_OK); i++)
		usleep(1000);
	return !access(path, F_OK);
}

START_TEST(it_outlives_lodged)
{
	g_autofree char *stop = NULL, *trace = NULL;
	struct seen seen;

	setup(&seen, "(trap '' TERM; until [ -e stop ]; do sleep 0.01; done; touch gone) "
		     "</dev/null >/dev/null 2>&1 & exit 0");
	share_server_start(seen.server, SHARE_WAY_LODGE_FS, "/mnt/lodge");
	rig_until(&seen.rig, is_mounted, &seen);
	stop = path_of(&seen, "stop");
	trace = path_of(&seen, "gone");
	share_server_free(seen.server);
	seen.server = NULL;
	rig_stop(&seen.rig);
	ck_assert(g_file_set_contents(stop, "", 0, NULL));
	ck_assert(is_there(trace));
	clear(&seen);
}
END_TEST

START_TEST(without_the_program_it_says_so)
{
	struct seen seen;

	setup(&seen, NULL);
	if (!access("/usr/sbin/mount.lodge", X_OK) || !access("/sbin/mount.lodge", X_OK)) {
		teardown(&seen);
		return;
	}
	share_server_start(seen.server, SHARE_WAY_LODGE_FS, "/mnt/lodge");
	ck_assert_int_eq(seen.ended, 1);
	ck_assert_str_eq(seen.why, "mount.lodge is not installed");
	teardown(&seen);
}
END_TEST

START_TEST(the_host_is_asked_for_streams)
{
	struct seen seen;

	setup(&seen, "exit 0");
	rig_until(&seen.rig, is_connected, NULL);
	share_server_start(seen.server, SHARE_WAY_RPC, "/mnt/lodge");
	ck_assert(share_server_busy(seen.server));
	ck_assert_str_eq(rig_request(&seen.rig, LODGE_FS_STREAM_CONNECT), LODGE_FS_STREAM_CONNECT);
	/* It goes before it has brought any. */
	share_server_lost(seen.server);
	ck_assert_int_eq(seen.ended, 1);
	ck_assert_str_eq(seen.why, "the host does not answer");
	ck_assert(!share_server_busy(seen.server));
	teardown(&seen);
}
END_TEST

START_TEST(streams_that_nobody_asked_for_are_refused)
{
	struct seen seen;
	char *said;

	setup(&seen, "exit 0");
	said = rig_ask(&seen.rig, LODGE_FS_STREAM_WORD " ");
	ck_assert_str_eq(said, "ERROR nobody asked for that");
	g_free(said);
	teardown(&seen);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lodged_share_server");
	TCase *tcase = tcase_create("case");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, it_says_when_it_is_mounted);
	tcase_add_test(tcase, one_that_cannot_mount_is_told);
	tcase_add_test(tcase, the_end_of_what_has_the_device_is_told);
	tcase_add_test(tcase, it_outlives_lodged);
	tcase_add_test(tcase, without_the_program_it_says_so);
	tcase_add_test(tcase, the_host_is_asked_for_streams);
	tcase_add_test(tcase, streams_that_nobody_asked_for_are_refused);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
