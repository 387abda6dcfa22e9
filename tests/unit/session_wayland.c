// SPDX-License-Identifier: GPL-2.0-or-later
// lodge-session as a client of a Wayland compositor that has its heads set by others: what it finds
// and sets, what it leaves alone, and compositors that are hostile.
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest-daemon/session/wlr_output.h"
#include "protocol/lib/fd.h"
#include "tests/unit/unit.h"
#include "tests/unit/wayland_rig.h"

static int outputs(struct follow_output found[FAKE_HEADS])
{
	return fake()->desktop->ops->outputs(fake()->desktop, found, FAKE_HEADS);
}

/* What a follower that knows nothing so far does. */
static int follow(void)
{
	struct follow_output found[FAKE_HEADS];
	struct follower follower = { 0 };
	int n = outputs(found);

	ck_assert_int_ge(n, 1);
	(void)follow_look(&follower, found, (size_t)n, 0);
	return fake()->desktop->ops->follow(fake()->desktop, &follower);
}

/* Waits until the desktop has something, and takes it. */
static int drain(void)
{
	struct pollfd poller = { .fd = fake()->desktop->ops->fd(fake()->desktop),
				 .events = POLLIN };

	ck_assert_int_eq(poll(&poller, 1, 20000), 1);
	return fake()->desktop->ops->drain(fake()->desktop);
}

static void shows(uint32_t width, uint32_t height)
{
	struct follow_output found[FAKE_HEADS];

	ck_assert_int_ge(outputs(found), 1);
	ck_assert_uint_eq(found[0].now.width, width);
	ck_assert_uint_eq(found[0].now.height, height);
}

static void somebody_sets(void)
{
	fake_show(&fake()->heads[0], (struct follow_size){ 640, 480 });
	fake_tell_done();
}

START_TEST(heads_are_found)
{
	struct follow_output found[FAKE_HEADS];
	char *name;

	ck_assert_int_eq(fake_open(), 0);
	ck_assert_int_eq(outputs(found), 1);
	ck_assert_uint_eq(found[0].wanted.width, 1024);
	ck_assert_uint_eq(found[0].now.width, 1024);
	fake_put_connector("Virtual-1", "1001x701\n1024x768\n", true);
	ck_assert_int_eq(outputs(found), 1);
	ck_assert_uint_eq(found[0].wanted.width, 1001);
	ck_assert_uint_eq(found[0].wanted.height, 701);
	ck_assert_uint_eq(found[0].now.width, 1024);
	name = fake()->desktop->ops->output_name(fake()->desktop, found[0].id);
	ck_assert_str_eq(name, "Virtual-1");
	free(name);
	ck_assert_ptr_null(fake()->desktop->ops->output_name(fake()->desktop, found[0].id + 1));
	/* What asks for nothing is left as it is. */
	fake_put_connector("Virtual-1", "", true);
	ck_assert_int_eq(outputs(found), 1);
	ck_assert_uint_eq(found[0].wanted.width, 1024);
	ck_assert_str_ne(fake()->desktop->server, "");
}
END_TEST

START_TEST(heads_of_others_are_left_alone)
{
	struct follow_output found[FAKE_HEADS];

	fake()->n_heads = 2;
	fake()->heads[1] = (struct fake_head){ .name = "DP-1", .x = 1024 };
	ck_assert_int_eq(fake_open(), 0);
	ck_assert_int_eq(outputs(found), -EMEDIUMTYPE);
	fake_put_connector("DP-1", "800x600\n", false);
	ck_assert_int_eq(outputs(found), -EMEDIUMTYPE);
	fake_put_connector("DP-1", "800x600\n", true);
	ck_assert_int_eq(outputs(found), 2);
}
END_TEST

START_TEST(a_head_that_is_off_stays_off)
{
	struct follow_output found[FAKE_HEADS];

	fake()->n_heads = 2;
	fake()->heads[1] = (struct fake_head){ .name = "DP-1", .off = true };
	ck_assert_int_eq(fake_open(), 0);
	ck_assert_int_eq(outputs(found), 1);
	fake_put_connector("Virtual-1", "801x603\n", true);
	fake_put_connector("DP-1", "800x600\n", true);
	ck_assert_int_eq(outputs(found), 2);
	ck_assert_uint_eq(found[1].now.width, found[1].wanted.width);
	ck_assert_int_eq(follow(), 0);
	shows(801, 603);
}
END_TEST

START_TEST(a_size_is_set)
{
	ck_assert_int_eq(fake_open(), 0);
	fake_put_connector("Virtual-1", "1001x701\n", true);
	ck_assert_int_eq(follow(), 0);
	shows(1001, 701);
	ck_assert(fake()->heads[0].asked_custom);
	ck_assert_int_eq(fake()->desktop->ops->drain(fake()->desktop), 1);
	/* A mode of the compositor's list is taken from there. */
	fake_put_connector("Virtual-1", "800x600\n", true);
	ck_assert_int_eq(follow(), 0);
	shows(800, 600);
	ck_assert(!fake()->heads[0].asked_custom);
	ck_assert_uint_eq(fake()->applied, 2);
}
END_TEST

/* One head's size that changes is no reason to set another one's. */
START_TEST(what_somebody_chose_stays)
{
	struct follow_output found[FAKE_HEADS];
	struct follower follower = { 0 };

	fake()->n_heads = 2;
	fake()->heads[1] = (struct fake_head){ .name = "Virtual-2", .x = 1024 };
	fake_put_connector("Virtual-2", "1024x768\n", true);
	ck_assert_int_eq(fake_open(), 0);
	ck_assert_int_eq(outputs(found), 2);
	(void)follow_look(&follower, found, 2, 0);
	fake_call(somebody_sets);
	ck_assert_int_eq(drain(), 1);
	ck_assert_int_eq(outputs(found), 2);
	(void)follow_look(&follower, found, 2, 0);
	fake_put_connector("Virtual-2", "801x603\n", true);
	ck_assert_int_eq(outputs(found), 2);
	(void)follow_look(&follower, found, 2, 0);
	ck_assert(follow_look(&follower, found, 2, FOLLOW_GRACE_MS).act);
	ck_assert_int_eq(fake()->desktop->ops->follow(fake()->desktop, &follower), 0);
	shows(640, 480);
	ck_assert_int_eq(outputs(found), 2);
	ck_assert_uint_eq(found[1].now.width, 801);
	ck_assert_int_eq(fake()->heads[1].x, 1024);
}
END_TEST

START_TEST(heads_stay_beside_each_other)
{
	/* The left one grows. One below the other, or the same place for both, is a person's. */
	static const struct {
		int x, y, becomes;
	} rows[] = { { 1024, 0, 1203 }, { 0, 768, 0 }, { 0, 0, 0 }, { 2000, 0, 2000 } };

	fake()->n_heads = 2;
	fake()->heads[0].x = rows[_i].x;
	fake()->heads[0].y = rows[_i].y;
	fake()->heads[1] = (struct fake_head){ .name = "Virtual-2" };
	fake_put_connector("Virtual-2", "1203x977\n", true);
	ck_assert_int_eq(fake_open(), 0);
	ck_assert_int_eq(follow(), 0);
	ck_assert_int_eq(fake()->heads[1].x, 0);
	ck_assert_int_eq(fake()->heads[0].x, rows[_i].becomes);
	ck_assert_uint_eq(fake()->heads[0].asked.width, 0);
}
END_TEST

START_TEST(a_rounded_size_is_as_good_as_it_gets)
{
	struct follow_output found[FAKE_HEADS];

	fake()->manner = ROUNDS;
	ck_assert_int_eq(fake_open(), 0);
	fake_put_connector("Virtual-1", "1001x701\n", true);
	ck_assert_int_eq(follow(), 0);
	shows(1001, 701); /* so that it is not tried again */
	fake_put_connector("Virtual-1", "1002x701\n", true);
	ck_assert_int_eq(outputs(found), 1);
	ck_assert_uint_eq(found[0].now.width, 1000);
}
END_TEST

START_TEST(answers)
{
	static const struct {
		enum manner manner;
		int ret;
		uint32_t width;
	} rows[] = {
		{ CANCELS_ONCE, 0, 1001 },     { REFUSES, -EIO, 1024 },
		{ TAKES_ANOTHER, -EDOM, 640 }, { KEEPS_SILENT, -EIO, 1024 },
		{ GOES_AWAY, -EIO, 0 },
	};

	fake()->manner = rows[_i].manner;
	ck_assert_int_eq(fake_open(), 0);
	fake_put_connector("Virtual-1", "1001x701\n", true);
	ck_assert_int_eq(follow(), rows[_i].ret);
	if (rows[_i].width)
		shows(rows[_i].width, rows[_i].width == 1001 ? 701 : rows[_i].width * 3 / 4);
	else
		ck_assert_int_eq(drain(), -ENOTCONN);
}
END_TEST

static void plug(void)
{
	struct fake_head *head = &fake()->heads[fake()->n_heads++];

	head->name = "Virtual-2";
	fake_tell_head(head);
	fake_tell_done();
}

static void unplug(void)
{
	struct fake_head *head = &fake()->heads[--fake()->n_heads];

	for (size_t i = 0; i < head->n_modes; i++)
		wl_resource_post_event(head->modes[i], WLR_OUTPUT_MODE_FINISHED);
	wl_resource_post_event(head->resource, WLR_OUTPUT_HEAD_FINISHED);
	fake_tell_done();
}

static void finish(void)
{
	wl_resource_post_event(fake()->manager, WLR_OUTPUT_MANAGER_FINISHED);
}

START_TEST(changes_are_heard_of)
{
	struct follow_output found[FAKE_HEADS];

	fake_put_connector("Virtual-2", "1024x768\n", true);
	ck_assert_int_eq(fake_open(), 0);
	fake_call(somebody_sets);
	ck_assert_int_eq(drain(), 1);
	shows(640, 480);
	fake_call(plug);
	ck_assert_int_eq(drain(), 1);
	ck_assert_int_eq(outputs(found), 2);
	fake_call(unplug);
	ck_assert_int_eq(drain(), 1);
	ck_assert_int_eq(outputs(found), 1);
	fake_call(finish);
	ck_assert_int_eq(drain(), -ENOTCONN);
}
END_TEST

/* ---- sway ---- */

struct sway {
	int listener;
	char text[256];
	bool silent;
};

static void *be_sway(void *opaque)
{
	static const char reply[] = "[ { \"success\": true } ]";
	struct {
		char magic[6];
		uint32_t len, type;
	} __attribute__((packed)) header;
	struct sway *sway = opaque;
	autofd peer = accept(sway->listener, NULL, NULL);

	ck_assert_int_eq(fd_read_all(peer, &header, sizeof(header)), sizeof(header));
	ck_assert_mem_eq(header.magic, "i3-ipc", 6);
	ck_assert_uint_eq(header.type, 0);
	ck_assert_uint_lt(header.len, sizeof(sway->text));
	ck_assert_int_eq(fd_read_all(peer, sway->text, header.len), header.len);
	if (sway->silent) {
		(void)fd_write_all(peer, "i3", 2);
		return NULL;
	}
	fake_call(somebody_sets);
	header.len = sizeof(reply) - 1;
	(void)fd_write_all(peer, &header, sizeof(header));
	(void)fd_write_all(peer, reply, header.len);
	return NULL;
}

static int follow_sway(struct sway *sway)
{
	g_autofree char *path = g_strdup_printf("%s/sway-ipc.%u.%d.sock", fake()->folder,
						(unsigned int)getuid(), (int)getpid());
	pthread_t thread;
	int ret;

	sway->listener = unix_listen(path, 1);
	ck_assert_int_ge(sway->listener, 0);
	ck_assert_int_eq(fake_open(), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, be_sway, sway), 0);
	ret = follow();
	pthread_join(thread, NULL);
	close(sway->listener);
	return ret;
}

START_TEST(sway_is_told_on_its_own_socket)
{
	struct sway sway = { 0 };

	fake_put_connector("Virtual-1", "640x480\n", true);
	ck_assert_int_eq(follow_sway(&sway), 0);
	ck_assert_str_eq(sway.text, "output Virtual-1 modeline 24.768 640 688 720 800 480 483 489 "
				    "516 +hsync +vsync");
	shows(640, 480);
	ck_assert_uint_eq(fake()->applied, 0);
}
END_TEST

START_TEST(a_sway_that_breaks_off)
{
	struct sway sway = { .silent = true };

	fake_put_connector("Virtual-1", "640x480\n", true);
	ck_assert_int_eq(follow_sway(&sway), -EIO);
}
END_TEST

/* ---- who cannot be served, and who is hostile ---- */

START_TEST(a_compositor_without_a_manager)
{
	fake()->no_manager = true;
	ck_assert_int_eq(fake_open(), -EOPNOTSUPP);
}
END_TEST

START_TEST(one_serves_a_user)
{
	g_autofree char *path =
		g_build_filename(fake()->folder, "lodge-session.wayland.lock", NULL);
	autofd other = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	ck_assert_int_eq(flock(other, LOCK_EX), 0);
	ck_assert_int_eq(fake_open(), -EALREADY);
}
END_TEST

START_TEST(rubbish_names)
{
	static const char *const names[] = {
		"",
		"..",
		"../card0-Virtual-1",
		"Virtual-1/",
		"Virtual 1",
		"Virtual-1\n",
		"Virtual-11111111111111111111111111111111111111111111111111111111111111111111111",
	};
	struct follow_output found[FAKE_HEADS];

	fake()->heads[0].name = names[_i];
	ck_assert_int_eq(fake_open(), 0);
	ck_assert_int_eq(outputs(found), -EMEDIUMTYPE);
}
END_TEST

static void many_heads(void)
{
	for (int i = 0; i < 100; i++) {
		struct fake_head head = { .name = "Virtual-1" };

		fake_tell_head(&head);
	}
	fake_tell_done();
}

/* More at once than sockets hold would be the compositor's own end. */
static void many_modes(void)
{
	for (int i = 0; i < 1000; i++) {
		struct wl_resource *mode =
			wl_resource_create(fake()->client, &wlr_output_mode_interface, 1, 0);

		wl_resource_post_event(fake()->heads[0].resource, WLR_OUTPUT_HEAD_MODE, mode);
	}
}

static void foreign_mode(void)
{
	wl_resource_post_event(fake()->heads[0].resource, WLR_OUTPUT_HEAD_CURRENT_MODE,
			       fake()->heads[1].modes[0]);
	wl_resource_post_event(fake()->heads[1].modes[0], WLR_OUTPUT_MODE_SIZE, -1, INT32_MIN);
	fake_tell_done();
}

static void wrong_object(void)
{
	wl_resource_post_event(fake()->heads[0].resource, WLR_OUTPUT_HEAD_CURRENT_MODE,
			       fake()->heads[0].resource);
}

/* An event that registries have not. */
static void rubbish(void)
{
	const uint32_t bytes[] = { 2, 8 << 16 | 77 };

	ck_assert_int_eq(fd_write_all(wl_client_get_fd(fake()->client), bytes, sizeof(bytes)), 0);
}

static void finish_all(void)
{
	unplug();
	unplug();
}

START_TEST(hostile_compositors)
{
	static const struct {
		void (*call)(void);
		int times, drained, found;
	} rows[] = {
		{ many_heads, 1, -ENOTCONN, 0 }, { many_modes, 9, -ENOTCONN, 0 },
		{ foreign_mode, 1, 1, 2 },	 { wrong_object, 1, -ENOTCONN, 0 },
		{ rubbish, 1, -ENOTCONN, 0 },	 { finish_all, 1, 1, 0 },
	};
	struct follow_output found[FAKE_HEADS];
	int ret = 0;

	fake()->n_heads = 2;
	fake()->heads[1] = (struct fake_head){ .name = "Virtual-2", .x = 1024 };
	fake_put_connector("Virtual-2", "1024x768\n", true);
	ck_assert_int_eq(fake_open(), 0);
	ck_assert_int_eq(fake()->desktop->ops->drain(fake()->desktop), 1);
	for (int i = 0; i < rows[_i].times; i++) {
		fake_call(rows[_i].call);
		ret = drain();
	}
	while (!ret)
		ret = drain();
	ck_assert_int_eq(ret, rows[_i].drained);
	if (ret < 0)
		return;
	while (fake()->desktop->ops->drain(fake()->desktop) > 0)
		;
	ck_assert_int_eq(outputs(found), rows[_i].found);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("session_wayland");
	TCase *tcase = tcase_create("wayland");

	tcase_add_checked_fixture(tcase, fake_setup, fake_teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, heads_are_found);
	tcase_add_test(tcase, heads_of_others_are_left_alone);
	tcase_add_test(tcase, a_head_that_is_off_stays_off);
	tcase_add_test(tcase, what_somebody_chose_stays);
	tcase_add_test(tcase, a_size_is_set);
	tcase_add_loop_test(tcase, heads_stay_beside_each_other, 0, 4);
	tcase_add_test(tcase, a_rounded_size_is_as_good_as_it_gets);
	tcase_add_loop_test(tcase, answers, 0, 5);
	tcase_add_test(tcase, changes_are_heard_of);
	tcase_add_test(tcase, sway_is_told_on_its_own_socket);
	tcase_add_test(tcase, a_sway_that_breaks_off);
	tcase_add_test(tcase, a_compositor_without_a_manager);
	tcase_add_test(tcase, one_serves_a_user);
	tcase_add_loop_test(tcase, rubbish_names, 0, 7);
	tcase_add_loop_test(tcase, hostile_compositors, 0, 6);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
