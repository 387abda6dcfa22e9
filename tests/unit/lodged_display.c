// SPDX-License-Identifier: GPL-2.0-or-later
// The display as a guest has it: what size the text console gets, when lodged leaves it alone, and
// who is told to set the resolution.
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lodge/display.h>

#include "guest-daemon/lib/paths.h"
#include "guest-daemon/lodged/display.h"
#include "tests/unit/lodged_rig.h"
#include "tests/unit/unit.h"

#define VIRTIO_GPU "virtio:d00000010v00001AF4\n"

/* A system in a folder, and its frame buffer's size. */
struct fake {
	char *folder, *sys, *dev, *proc, *users;
	struct display_system system;
	bool text;
	uint32_t width, height;
	unsigned int sets;
	int set_error;
	struct fields_builder fields;
};

/* What the callbacks see of it, which have no argument for it. */
static struct fake *fake(void)
{
	static struct fake fake;

	return &fake;
}

static bool fake_is_text(const char *dev)
{
	ck_assert_str_eq(dev, fake()->dev);
	return fake()->text;
}

static void fake_probe(const char *connector)
{
	ck_assert_ptr_nonnull(strstr(connector, "/card0-"));
}

static int fake_get_size(const char *node, uint32_t *ret_width, uint32_t *ret_height)
{
	ck_assert(g_str_has_suffix(node, "/fb1"));
	*ret_width = fake()->width;
	*ret_height = fake()->height;
	return 0;
}

static int fake_set_size(const char *node, uint32_t width, uint32_t height)
{
	ck_assert(g_str_has_suffix(node, "/fb1"));
	fake()->sets++;
	if (fake()->set_error)
		return fake()->set_error;
	fake()->width = width;
	fake()->height = height;
	return 0;
}

/* A file below the folder, with the folders that it needs. */
static void put(const char *path, const char *text)
{
	g_autofree char *whole = g_build_filename(fake()->folder, path, NULL);
	g_autofree char *parent = g_path_get_dirname(whole);

	ck_assert_int_eq(g_mkdir_with_parents(parent, 0755), 0);
	ck_assert(g_file_set_contents(whole, text, -1, NULL));
}

static void link_to(const char *target, const char *path)
{
	g_autofree char *whole = g_build_filename(fake()->folder, path, NULL);
	g_autofree char *parent = g_path_get_dirname(whole);
	g_autofree char *from = g_build_filename(fake()->folder, target, NULL);

	ck_assert_int_eq(g_mkdir_with_parents(parent, 0755), 0);
	ck_assert_int_eq(symlink(from, whole), 0);
}

static void take_away(const char *path)
{
	g_autofree char *whole = g_build_filename(fake()->folder, path, NULL);

	ck_assert_int_eq(unlink(whole), 0);
}

static void put_head(const char *name, const char *status, const char *modes)
{
	g_autofree char *status_path = g_strdup_printf("sys/class/drm/%s/status", name);
	g_autofree char *modes_path = g_strdup_printf("sys/class/drm/%s/modes", name);

	put(status_path, status);
	put(modes_path, modes);
}

static void put_program(const char *pid, const char *comm)
{
	g_autofree char *comm_path = g_strdup_printf("proc/%s/comm", pid);
	g_autofree char *fd_path = g_strdup_printf("proc/%s/fd/7", pid);

	put(comm_path, comm);
	link_to("dev/dri/card0", fd_path);
}

static void setup(void)
{
	struct fake *f = fake();

	*f = (struct fake){ .text = true, .width = 1024, .height = 768 };
	f->folder = g_dir_make_tmp("display-XXXXXX", NULL);
	ck_assert_ptr_nonnull(f->folder);
	f->sys = g_build_filename(f->folder, "sys", NULL);
	f->dev = g_build_filename(f->folder, "dev", NULL);
	f->proc = g_build_filename(f->folder, "proc", NULL);
	f->users = g_build_filename(f->folder, "users", NULL);
	put("sys/devices/gpu/modalias", VIRTIO_GPU);
	put("sys/devices/other/modalias", "pci:v00001234d00001111");
	/* The card hangs below its PCI function. */
	link_to("sys/drivers/virtio-pci", "sys/devices/gpu/driver");
	link_to("sys/drivers/virtio_gpu", "sys/devices/gpu/virtio5/driver");
	link_to("sys/devices/gpu", "sys/class/drm/card0/device");
	/* A frame buffer that is not the card's comes first. */
	link_to("sys/devices/other", "sys/class/graphics/fb0/device");
	put("sys/class/graphics/fb0/virtual_size", "640,480\n");
	link_to("sys/devices/gpu", "sys/class/graphics/fb1/device");
	put("sys/class/graphics/fb1/virtual_size", "1024,768\n");
	put("proc/cmdline", "root=/dev/vda1 quiet\n");
	put_head("card0-Virtual-1", "connected\n", "1024x768\n800x600\n");
	f->system = (struct display_system){
		.sys = f->sys,
		.dev = f->dev,
		.proc = f->proc,
		.users = f->users,
		.is_text = fake_is_text,
		.probe = fake_probe,
		.get_size = fake_get_size,
		.set_size = fake_set_size,
	};
}

static void teardown(void)
{
	struct fake *f = fake();

	rig_remove(f->folder);
	fields_free(&f->fields);
	g_free(f->folder);
	g_free(f->sys);
	g_free(f->dev);
	g_free(f->proc);
	g_free(f->users);
}

/* The field of a look, until the next one. */
static const char *look(const char *key)
{
	struct fake *f = fake();

	fields_free(&f->fields);
	f->fields = FIELDS_BUILDER(4096);
	display_look(&f->system, &f->fields);
	ck_assert_int_eq(fields_done(&f->fields), 0);
	ck_assert_int_eq(fields_check(f->fields.bytes, f->fields.len), 0);
	ck_assert_str_eq(fields_get(f->fields.bytes, f->fields.len, "part"), "display");
	return fields_get(f->fields.bytes, f->fields.len, key);
}

static void console_is(uint32_t width, uint32_t height)
{
	ck_assert_uint_eq(fake()->width, width);
	ck_assert_uint_eq(fake()->height, height);
}

/* ---- the console ---- */

START_TEST(the_console_follows)
{
	ck_assert_str_eq(look("owner"), "console");
	ck_assert_ptr_null(look("display-why"));
	ck_assert_str_eq(look("driver"), "virtio_gpu");
	ck_assert_uint_eq(fake()->sets, 0);
	take_away("sys/devices/gpu/virtio5/driver");
	link_to("sys/drivers/lodge_display", "sys/devices/gpu/virtio5/driver");
	ck_assert_str_eq(look("driver"), "lodge_display");

	put_head("card0-Virtual-1", "connected\n", "801x599\n800x600\n640x480\n");
	ck_assert_ptr_null(look("display-why"));
	console_is(801, 599);
	put_head("card0-Virtual-1", "connected\n", "1024x768\n800x600\n");
	look("owner");
	console_is(1024, 768);
	ck_assert_uint_eq(fake()->sets, 2);
}
END_TEST

/* The kernel shows the first mode that its picture has room for. */
START_TEST(the_console_is_bounded)
{
	put_head("card0-Virtual-1", "connected\n", "1920x1080\n1280x700\n1000x768\n800x600\n");
	ck_assert_str_eq(look("display-why"),
			 "the console's picture is 1024x768 and does not grow: that of its "
			 "driver's start");
	console_is(1000, 768);
	/* Of which nothing fits, the kernel decides. */
	put_head("card0-Virtual-1", "connected\n", "1920x1080\n");
	ck_assert_ptr_nonnull(look("display-why"));
	console_is(1000, 768);
	put_head("card0-Virtual-1", "connected\n", "\nrubbish\n-1x7\n99999999999999999999x1\n");
	look("owner");
	console_is(1000, 768);
}
END_TEST

START_TEST(heads_share_the_console)
{
	put_head("card0-Virtual-2", "connected\n", "640x700\n640x480\n");
	put_head("card0-Virtual-3", "disconnected\n", "");
	put_head("card1-Virtual-1", "connected\n", "320x200\n");
	look("owner");
	console_is(640, 700);
	put_head("card0-Virtual-2", "disconnected\n", "");
	look("owner");
	console_is(1024, 768);
	put_head("card0-Virtual-1", "disconnected\n", "");
	look("owner");
	console_is(1024, 768);
}
END_TEST

START_TEST(a_size_of_the_command_line_stays)
{
	static const struct {
		const char *words;
		bool fixed;
	} rows[] = {
		{ "quiet video=Virtual-1:800x600", true },
		{ "video=800x600-32@60 quiet", true },
		{ "video=Virtual-1:e video=Virtual-1:640x480e", true },
		/* On, off, of another card's, or of what is no DRM driver: no size of ours. */
		{ "video=Virtual-1:e", false },
		{ "video=efifb:off", false },
		{ "video=hyperv_fb:800x600", false },
		{ "video=DP-1:800x600", false },
		{ "video=../card0-Virtual-1:800x600", false },
		{ "video= novideo=800x600 x-video=800x600", false },
	};

	put_head("card0-Virtual-1", "connected\n", "801x599\n");
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *line = g_strconcat(rows[i].words, "\n", NULL);
		const char *why;

		put("proc/cmdline", line);
		fake()->width = 1024;
		fake()->sets = 0;
		why = look("display-why");
		ck_assert_msg(fake()->sets == !rows[i].fixed, "%s", line);
		if (rows[i].fixed)
			ck_assert_str_eq(why, "video= of the kernel's command line fixes it");
		else
			ck_assert_ptr_null(why);
	}
}
END_TEST

START_TEST(what_the_kernel_refuses_is_told)
{
	put_head("card0-Virtual-1", "connected\n", "801x599\n");
	fake()->set_error = -EINVAL;
	ck_assert(g_str_has_suffix(look("display-why"), "/fb1: Invalid argument"));
}
END_TEST

START_TEST(no_console)
{
	put("sys/class/graphics/fb1/virtual_size", "rubbish\n");
	ck_assert_str_eq(look("display-why"), "the kernel has no console on it");
}
END_TEST

/* ---- the owner ---- */

START_TEST(a_compositor_is_left_alone)
{
	fake()->text = false;
	put_head("card0-Virtual-1", "connected\n", "801x599\n");
	put_program("77", "weston\n");
	put_program("300", "systemd-logind\n");
	ck_assert_str_eq(look("owner"), "program");
	ck_assert_str_eq(look("program"), "weston");
	put_program("200", "sway\n");
	ck_assert_str_eq(look("program"), "sway");
	ck_assert_uint_eq(fake()->sets, 0);
}
END_TEST

/* The kernel's word counts where it is to be had: who has the card open may be no master. */
START_TEST(the_kernel_knows_the_master)
{
	static const char head[] = "             command   pid dev master a   uid      magic\n"
				   "                Xorg   210   0   n    y  1000          0\n";
	g_autofree char *text = g_strconcat(
		head, "       kwin wayland   300   0   y    y  1000          0\n", NULL);

	fake()->text = false;
	put_program("210", "Xorg\n");
	put("sys/kernel/debug/dri/0/clients", text);
	ck_assert_str_eq(look("program"), "kwin wayland");
	ck_assert_str_eq(look("owner"), "program");
	/* Who opened it for somebody else. */
	put("sys/kernel/debug/dri/0/clients",
	    "\n      systemd-logind   120   0   y    y     0          0\n");
	ck_assert_str_eq(look("program"), "Xorg");
	/* Another terminal is in the foreground. */
	fake()->text = true;
	put("sys/kernel/debug/dri/0/clients", head);
	ck_assert_str_eq(look("owner"), "console");
	/* One that shows something on a text terminal. */
	put("sys/kernel/debug/dri/0/clients", text);
	put_head("card0-Virtual-1", "connected\n", "801x599\n");
	ck_assert_str_eq(look("owner"), "program");
	ck_assert_uint_eq(fake()->sets, 0);
	put("sys/kernel/debug/dri/0/clients", "\n\n          y\n                             y\n");
	ck_assert_str_eq(look("owner"), "console");
}
END_TEST

START_TEST(sessions_speak_for_x)
{
	static const struct {
		const char *text, *owner;
	} rows[] = {
		{ "owner=nobody\n", "nobody" },
		{ "owner=another program\noutput=x\n", "program" },
		{ "owner=lodge-session\noutput=Virtual-1 1x1 1x1\n", "lodge-session" },
		{ "owner=", "unknown" },
		{ "rubbish\n", "unknown" },
		{ "", "unknown" },
	};

	fake()->text = false;
	put_program("210", "Xorg\n");
	ck_assert_str_eq(look("owner"), "unknown");
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		put("users/1000/" PATH_SESSION_STATE, rows[i].text);
		ck_assert_str_eq(look("owner"), rows[i].owner);
		ck_assert_str_eq(look("program"), "Xorg");
	}
	put("users/1001/" PATH_SESSION_STATE, "owner=lodge-session\n");
	put("users/1000/" PATH_SESSION_STATE, "owner=another program\n");
	ck_assert_str_eq(look("owner"), "lodge-session");
}
END_TEST

/* A compositor sets its own modes, where its session's tool does not say otherwise. */
START_TEST(sessions_speak_for_their_compositor)
{
	static const struct {
		const char *text, *owner;
	} rows[] = {
		{ "owner=lodge-session\nserver=sway\noutput=Virtual-1 1x1 1x1\n", "lodge-session" },
		{ "owner=another program\nserver=sway\n", "program" },
		{ "owner=nobody\nserver=sway\n", "program" },
		/* Of other sessions, which have not the screen. */
		{ "owner=lodge-session\nserver=labwc\n", "program" },
		{ "owner=lodge-session\noutput=Virtual-1 1x1 1x1\n", "program" },
		{ "owner=lodge-session\nserver=\n", "program" },
		{ "owner=lodge-session", "program" },
	};

	fake()->text = false;
	put_program("210", "sway\n");
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		put("users/1000/" PATH_SESSION_STATE, rows[i].text);
		ck_assert_str_eq(look("owner"), rows[i].owner);
		ck_assert_str_eq(look("program"), "sway");
	}
	/* What sway's session says is nothing about an X server. */
	put("users/1000/" PATH_SESSION_STATE, rows[0].text);
	take_away("proc/210/comm");
	put("proc/210/comm", "Xorg\n");
	ck_assert_str_eq(look("owner"), "unknown");
}
END_TEST

/* A session's file is its user's: what is none of it keeps nobody waiting, and is not followed. */
START_TEST(hostile_sessions)
{
	g_autofree char *fifo = g_build_filename(fake()->users, "7", PATH_SESSION_STATE, NULL);
	g_autofree char *elsewhere = g_build_filename(fake()->users, "8", PATH_SESSION_STATE, NULL);

	fake()->text = false;
	put_program("210", "X\n");
	put("secret", "owner=lodge-session\n");
	put("users/7/x", "");
	put("users/8/x", "");
	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	link_to("secret", "users/8/" PATH_SESSION_STATE);
	put("users/9/" PATH_SESSION_STATE "/folder", "");
	ck_assert_str_eq(look("owner"), "unknown");
}
END_TEST

START_TEST(nobody_has_the_screen)
{
	fake()->text = false;
	ck_assert_str_eq(look("owner"), "nobody");
	ck_assert_ptr_null(look("program"));
}
END_TEST

START_TEST(no_driver)
{
	take_away("sys/class/drm/card0/device");
	ck_assert_ptr_null(look("owner"));
	ck_assert_ptr_null(look("display-why"));
	put("sys/bus/virtio/devices/virtio3/modalias", VIRTIO_GPU);
	ck_assert_str_eq(look("display-why"), "no driver has the display: modprobe virtio-gpu");
	ck_assert_ptr_null(look("driver"));
}
END_TEST

START_TEST(the_host_is_told)
{
	struct display_system nothing = display_system;
	struct rig rig;

	nothing.sys = nothing.dev = nothing.proc = nothing.users = "/nonexistent";
	rig_display(&nothing);
	rig_up(&rig, NULL);
	g_free(rig_ask(&rig, "reset"));
	rig_request(&rig, "lodge.facts part=display");
	rig_stop(&rig);
	rig_display(NULL);
}
END_TEST

/* weston takes the size of a monitor that is plugged in, and nobody else sets its modes. */
START_TEST(a_program_that_takes_new_monitors)
{
	struct rig rig;

	fake()->text = false;
	put_program("77", "weston\n");
	rig_display(&fake()->system);
	rig_up(&rig, NULL);
	g_free(rig_ask(&rig, "reset"));
	ck_assert_str_eq(rig_request(&rig, "lodge.display"), LODGE_DISPLAY_REPLUG_WORD);
	rig_stop(&rig);
	rig_display(NULL);
}
END_TEST

/* In the look's child. */
static bool dies_once(const char *dev)
{
	g_autofree char *mark = g_build_filename(fake()->folder, "died", NULL);

	(void)dev;
	if (!access(mark, F_OK))
		return true;
	put("died", "");
	raise(SIGKILL);
	return true;
}

/* A look that comes to nothing is taken again: nothing else may happen for long. */
START_TEST(a_look_that_fails_is_not_the_last)
{
	struct rig rig;

	fake()->system.is_text = dies_once;
	rig_display(&fake()->system);
	rig_up(&rig, NULL);
	g_free(rig_ask(&rig, "reset"));
	rig_request(&rig, "lodge.facts part=display");
	rig_stop(&rig);
	rig_display(NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lodged_display");
	TCase *looks = tcase_create("looks"), *host = tcase_create("host"),
	      *again = tcase_create("again");

	tcase_add_checked_fixture(looks, setup, teardown);
	tcase_add_test(looks, the_console_follows);
	tcase_add_test(looks, the_console_is_bounded);
	tcase_add_test(looks, heads_share_the_console);
	tcase_add_test(looks, a_size_of_the_command_line_stays);
	tcase_add_test(looks, what_the_kernel_refuses_is_told);
	tcase_add_test(looks, no_console);
	tcase_add_test(looks, a_compositor_is_left_alone);
	tcase_add_test(looks, the_kernel_knows_the_master);
	tcase_add_test(looks, sessions_speak_for_x);
	tcase_add_test(looks, sessions_speak_for_their_compositor);
	tcase_add_test(looks, hostile_sessions);
	tcase_add_test(looks, nobody_has_the_screen);
	tcase_add_test(looks, no_driver);
	tcase_add_test(host, the_host_is_told);
	tcase_add_checked_fixture(again, setup, teardown);
	tcase_add_test(again, a_look_that_fails_is_not_the_last);
	tcase_add_test(again, a_program_that_takes_new_monitors);
	tcase_set_timeout(again, 60);
	tcase_set_timeout(host, 60);
	suite_add_tcase(suite, looks);
	suite_add_tcase(suite, host);
	suite_add_tcase(suite, again);
	return unit_run(suite);
}
