// SPDX-License-Identifier: GPL-2.0-or-later
// Power changes: order of answer, script and status; scripts that fail, hang or are not root's; and
// options and tools.conf that change meanwhile.
#include <check.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/lodged_rig.h"
#include "tests/unit/unit.h"

static char *make_folder(void)
{
	char *folder = g_dir_make_tmp("power-XXXXXX", NULL);

	ck_assert_ptr_nonnull(folder);
	return folder;
}

static void remove_folder(const char *folder)
{
	static const char *const names[] = { "mark", "script" };

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autofree char *path = g_build_filename(folder, names[i], NULL);

		(void)unlink(path);
	}
	ck_assert_int_eq(rmdir(folder), 0);
}

static char *conf_with_script(const char *folder, const char *key, const char *text)
{
	g_autofree char *script = g_build_filename(folder, "script", NULL);

	ck_assert(g_file_set_contents(script, text, -1, NULL));
	ck_assert_int_eq(chmod(script, 0755), 0);
	return g_strdup_printf("[powerops]\nscript-timeout=1\n%s=%s\n", key, script);
}

static void assert_ok(struct rig *rig, const char *text)
{
	g_autofree char *said = rig_ask(rig, text);

	ck_assert_str_eq(said, "OK ");
}

static bool has_ended(struct rig *rig, void *opaque)
{
	(void)rig;
	return rig_ended(*(enum shutdown *)opaque) > 0;
}

/* Lets the rig answer requests meanwhile. */
static void until_ended(struct rig *rig, enum shutdown what)
{
	while (!rig_ended(what))
		assert_ok(rig, "ping");
	rig_until(rig, has_ended, &what);
}

START_TEST(a_halt_runs_its_script_first)
{
	g_autofree char *folder = make_folder();
	g_autofree char *mark = g_build_filename(folder, "mark", NULL);
	g_autofree char *text = g_strdup_printf("#!/bin/sh\necho $1 >%s\n", mark);
	g_autofree char *conf = conf_with_script(folder, "poweroff-script", text);
	g_autofree char *said = NULL;
	struct rig rig;

	rig_up(&rig, conf);
	assert_ok(&rig, "OS_Halt");
	ck_assert_int_eq(rig_ended(SHUTDOWN_HALT), 0);
	rig_request(&rig, "tools.os.statechange.status 1 1");
	ck_assert(g_file_get_contents(mark, &said, NULL, NULL));
	ck_assert_str_eq(said, "halt\n");
	until_ended(&rig, SHUTDOWN_HALT);
	rig_stop(&rig);
	remove_folder(folder);
}
END_TEST

START_TEST(a_failed_script_holds_a_reboot_up_once)
{
	g_autofree char *folder = make_folder();
	g_autofree char *conf = conf_with_script(folder, "poweroff-script", "#!/bin/sh\nexit 1\n");
	struct rig rig;

	rig_up(&rig, conf);
	assert_ok(&rig, "OS_Reboot");
	rig_request(&rig, "tools.os.statechange.status 0 2");
	ck_assert_int_eq(rig_ended(SHUTDOWN_REBOOT), 0);
	assert_ok(&rig, "OS_Reboot");
	rig_request(&rig, "tools.os.statechange.status 1 2");
	until_ended(&rig, SHUTDOWN_REBOOT);
	rig_stop(&rig);
	remove_folder(folder);
}
END_TEST

START_TEST(a_script_that_hangs_is_ended)
{
	g_autofree char *folder = make_folder();
	g_autofree char *conf = conf_with_script(folder, "suspend-script", "#!/bin/sh\nsleep 99\n");
	g_autofree char *busy = NULL;
	struct rig rig;

	rig_up(&rig, conf);
	assert_ok(&rig, "OS_Suspend");
	busy = rig_ask(&rig, "OS_Halt");
	ck_assert_str_eq(busy, "ERROR State change already in progress");
	rig_request(&rig, "tools.os.statechange.status 0 5");
	ck_assert_int_eq(rig_ended(SHUTDOWN_HALT), 0);
	rig_stop(&rig);
	remove_folder(folder);
}
END_TEST

START_TEST(without_a_script_the_status_comes_first)
{
	static const char *const rows[][2] = {
		{ "OS_PowerOn", "tools.os.statechange.status 1 3" },
		{ "OS_Resume", "tools.os.statechange.status 1 4" },
		{ "OS_Suspend", "tools.os.statechange.status 1 5" },
	};
	struct rig rig;

	rig_up(&rig, "[powerops]\npoweron-script=\nresume-script=\nsuspend-script=\n");
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct rig_frame first;

		(void)rig_command(&rig, rows[i][0], strlen(rows[i][0]));
		first = rig_next(&rig, true);
		ck_assert_int_eq(first.frame.type, LODGE_RPC_REQUEST);
		ck_assert_str_eq((char *)first.payload, rows[i][1]);
		rig_send(&rig, LODGE_RPC_REPLY, 0, first.frame.tag, "1 ", 2);
		g_free(first.payload);
		first = rig_next(&rig, false);
		ck_assert_str_eq((char *)first.payload, "OK ");
		g_free(first.payload);
	}
	rig_stop(&rig);
}
END_TEST

START_TEST(a_script_that_others_can_write_is_not_run)
{
	g_autofree char *folder = make_folder();
	g_autofree char *mark = g_build_filename(folder, "mark", NULL);
	g_autofree char *text = g_strdup_printf("#!/bin/sh\ntouch %s\n", mark);
	g_autofree char *conf = conf_with_script(folder, "resume-script", text);
	g_autofree char *script = g_build_filename(folder, "script", NULL);
	struct rig rig;

	ck_assert_int_eq(chmod(script, 0777), 0);
	rig_up(&rig, conf);
	assert_ok(&rig, "OS_Resume");
	rig_request(&rig, "tools.os.statechange.status 1 4");
	ck_assert_int_ne(access(mark, F_OK), 0);
	rig_stop(&rig);
	remove_folder(folder);
}
END_TEST

START_TEST(options_switch_scripts)
{
	g_autofree char *folder = make_folder();
	g_autofree char *conf = conf_with_script(folder, "resume-script", "#!/bin/sh\nexit 1\n");
	static const char *const bad[] = { "Set_Option", "Set_Option nonsense 1",
					   "Set_Option toolScripts.afterResume 2",
					   "Set_Option toolScripts.afterResume" };
	struct rig rig;

	rig_up(&rig, conf);
	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autofree char *said = rig_ask(&rig, bad[i]);

		ck_assert_str_eq(said, "ERROR Unknown or invalid option");
	}
	assert_ok(&rig, "Set_Option toolScripts.afterResume 0");
	assert_ok(&rig, "OS_Resume");
	rig_request(&rig, "tools.os.statechange.status 1 4");
	assert_ok(&rig, "Set_Option toolScripts.afterResume 1");
	assert_ok(&rig, "OS_Resume");
	rig_request(&rig, "tools.os.statechange.status 0 4");
	rig_stop(&rig);
	remove_folder(folder);
}
END_TEST

/* tools.conf as editors change it, by a new file with the old name. */
START_TEST(the_configuration_is_read_again)
{
	struct rig rig;
	g_autofree char *first = NULL, *then = NULL;
	gint64 deadline = g_get_monotonic_time() + (gint64)RIG_SECONDS * G_USEC_PER_SEC;

	rig_up(&rig, NULL);
	first = rig_result(&rig, rig_fields(&rig, "lodge.exec", "arg", "true", NULL));
	ck_assert(g_str_has_prefix(first, "ERROR 125 switched off"));
	ck_assert(g_file_set_contents(rig.conf, "[guest-ops]\nallow-exec=sometimes\n", -1, NULL));
	do {
		g_free(then);
		then = rig_result(&rig, rig_fields(&rig, "lodge.exec", "arg", "true", NULL));
		ck_assert_int_lt(g_get_monotonic_time(), deadline);
	} while (!strcmp(then, first));
	ck_assert_str_eq(then,
			 "ERROR 125 allow-exec of this guest's tools.conf is neither off, user "
			 "nor root");
	/* What cannot be read changes nothing. */
	ck_assert(g_file_set_contents(rig.conf, "[guest-ops\nallow-exec=root\n", -1, NULL));
	assert_ok(&rig, "ping");
	rig_stop(&rig);
}
END_TEST

/* The folder of tools.conf comes later than lodged. */
START_TEST(a_first_configuration_is_noticed)
{
	struct rig rig;
	g_autofree char *folder = NULL, *conf = NULL, *said = NULL;
	gint64 deadline = g_get_monotonic_time() + (gint64)RIG_SECONDS * G_USEC_PER_SEC;

	rig_up(&rig, RIG_NO_FOLDER);
	folder = g_path_get_dirname(rig.conf);
	ck_assert_int_eq(mkdir(folder, 0755), 0);
	ck_assert(g_file_set_contents(rig.conf, "[guest-ops]\nallow-exec=wrong\n", -1, NULL));
	do {
		g_free(said);
		said = rig_result(&rig, rig_fields(&rig, "lodge.exec", "arg", "true", NULL));
		ck_assert_int_lt(g_get_monotonic_time(), deadline);
	} while (!strstr(said, "neither off"));
	rig_stop(&rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lodged_power");
	TCase *tests = tcase_create("power");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, a_halt_runs_its_script_first);
	tcase_add_test(tests, a_failed_script_holds_a_reboot_up_once);
	tcase_add_test(tests, a_script_that_hangs_is_ended);
	tcase_add_test(tests, without_a_script_the_status_comes_first);
	tcase_add_test(tests, a_script_that_others_can_write_is_not_run);
	tcase_add_test(tests, options_switch_scripts);
	tcase_add_test(tests, the_configuration_is_read_again);
	tcase_add_test(tests, a_first_configuration_is_noticed);
	suite_add_tcase(suite, tests);
	return unit_run(suite);
}
