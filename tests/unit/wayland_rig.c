// SPDX-License-Identifier: GPL-2.0-or-later
// A Wayland compositor of a test's (wayland_rig.h).
#include "tests/unit/wayland_rig.h"

#include <check.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <lodge/display.h>

#include "guest-daemon/session/wlr_output.h"
#include "protocol/lib/fd.h"
#include "tests/unit/lodged_rig.h"

struct fake *fake(void)
{
	static struct fake fake;

	return &fake;
}

/* ---- the compositor, in its thread ---- */

static void tell_mode(struct fake_head *head, struct follow_size size)
{
	struct wl_resource *mode = wl_resource_create(wl_resource_get_client(head->resource),
						      &wlr_output_mode_interface, 1, 0);

	ck_assert_uint_lt(head->n_modes, FAKE_MODES);
	wl_resource_post_event(head->resource, WLR_OUTPUT_HEAD_MODE, mode);
	wl_resource_post_event(mode, WLR_OUTPUT_MODE_SIZE, size.width, size.height);
	wl_resource_post_event(mode, WLR_OUTPUT_MODE_REFRESH, 60000);
	head->modes[head->n_modes] = mode;
	head->sizes[head->n_modes++] = size;
}

void fake_tell_done(void)
{
	wl_resource_post_event(fake()->manager, WLR_OUTPUT_MANAGER_DONE, ++fake()->serial);
}

void fake_show(struct fake_head *head, struct follow_size size)
{
	size_t i;

	for (i = 0; i < head->n_modes; i++) {
		if (head->sizes[i].width == size.width && head->sizes[i].height == size.height)
			break;
	}
	if (i == head->n_modes)
		tell_mode(head, size);
	head->current = i;
	wl_resource_post_event(head->resource, WLR_OUTPUT_HEAD_CURRENT_MODE, head->modes[i]);
}

void fake_tell_head(struct fake_head *head)
{
	static const struct follow_size sizes[] = { { 1024, 768 }, { 800, 600 } };

	head->resource = wl_resource_create(fake()->client, &wlr_output_head_interface, 1, 0);
	wl_resource_post_event(fake()->manager, WLR_OUTPUT_MANAGER_HEAD, head->resource);
	wl_resource_post_event(head->resource, WLR_OUTPUT_HEAD_NAME, head->name);
	wl_resource_post_event(head->resource, WLR_OUTPUT_HEAD_DESCRIPTION, "a head");
	wl_resource_post_event(head->resource, WLR_OUTPUT_HEAD_PHYSICAL_SIZE, 270, 203);
	for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++)
		tell_mode(head, sizes[i]);
	wl_resource_post_event(head->modes[0], WLR_OUTPUT_MODE_PREFERRED);
	wl_resource_post_event(head->resource, WLR_OUTPUT_HEAD_ENABLED, !head->off);
	if (head->off)
		return;
	fake_show(head, sizes[0]);
	wl_resource_post_event(head->resource, WLR_OUTPUT_HEAD_POSITION, head->x, head->y);
	wl_resource_post_event(head->resource, WLR_OUTPUT_HEAD_TRANSFORM, 0);
	wl_resource_post_event(head->resource, WLR_OUTPUT_HEAD_SCALE, wl_fixed_from_int(1));
}

static struct fake_head *head_of(struct wl_resource *resource)
{
	for (size_t i = 0; i < fake()->n_heads; i++) {
		if (fake()->heads[i].resource == resource)
			return &fake()->heads[i];
	}
	ck_abort_msg("no head of the compositor's");
}

static void set_mode(struct wl_client *client, struct wl_resource *resource,
		     struct wl_resource *mode)
{
	struct fake_head *head = wl_resource_get_user_data(resource);

	(void)client;
	for (size_t i = 0; i < head->n_modes; i++) {
		if (head->modes[i] == mode)
			head->asked = head->sizes[i];
	}
	head->asked_custom = false;
}

static void set_custom_mode(struct wl_client *client, struct wl_resource *resource, int32_t width,
			    int32_t height, int32_t refresh)
{
	struct fake_head *head = wl_resource_get_user_data(resource);

	(void)client;
	ck_assert_int_eq(refresh, 0);
	head->asked = (struct follow_size){ (uint32_t)width, (uint32_t)height };
	head->asked_custom = true;
}

static void set_position(struct wl_client *client, struct wl_resource *resource, int32_t x,
			 int32_t y)
{
	(void)client;
	ck_assert_int_eq(y, 0);
	((struct fake_head *)wl_resource_get_user_data(resource))->x = x;
}

/* In the order of enum wlr_output_configuration_head_request; nobody asks for more. */
static const struct {
	void (*set_mode)(struct wl_client *client, struct wl_resource *resource,
			 struct wl_resource *mode);
	void (*set_custom_mode)(struct wl_client *client, struct wl_resource *resource,
				int32_t width, int32_t height, int32_t refresh);
	void (*set_position)(struct wl_client *client, struct wl_resource *resource, int32_t x,
			     int32_t y);
	void *none[2];
} configuration_head_requests = { set_mode, set_custom_mode, set_position, { 0 } };

static void enable_head(struct wl_client *client, struct wl_resource *resource, uint32_t id,
			struct wl_resource *head)
{
	struct wl_resource *set =
		wl_resource_create(client, &wlr_output_configuration_head_interface, 1, id);

	(void)resource;
	wl_resource_set_implementation(set, &configuration_head_requests, head_of(head), NULL);
}

static void disable_head(struct wl_client *client, struct wl_resource *resource,
			 struct wl_resource *head)
{
	(void)client;
	(void)resource;
	ck_assert(head_of(head)->off);
}

static void show_what_was_asked(void)
{
	for (size_t i = 0; i < fake()->n_heads; i++) {
		struct fake_head *head = &fake()->heads[i];
		struct follow_size size = head->asked;

		if (!size.width)
			continue;
		if (fake()->manner == ROUNDS && head->asked_custom)
			size.width -= size.width % 8;
		if (fake()->manner == TAKES_ANOTHER)
			size = (struct follow_size){ 640, 480 };
		fake_show(head, size);
	}
}

static void apply(struct wl_client *client, struct wl_resource *resource)
{
	fake()->applied++;
	switch (fake()->manner) {
	case KEEPS_SILENT:
		return;
	case GOES_AWAY:
		wl_client_destroy(client);
		fake()->client = NULL;
		return;
	case REFUSES:
		wl_resource_post_event(resource, WLR_OUTPUT_CONFIGURATION_FAILED);
		return;
	case CANCELS_ONCE:
		fake()->manner = OBEYS;
		wl_resource_post_event(resource, WLR_OUTPUT_CONFIGURATION_CANCELLED);
		fake_tell_done();
		return;
	default:
		wl_resource_post_event(resource, WLR_OUTPUT_CONFIGURATION_SUCCEEDED);
		show_what_was_asked();
		fake_tell_done();
	}
}

static void destroy(struct wl_client *client, struct wl_resource *resource)
{
	(void)client;
	wl_resource_destroy(resource);
}

/* In the order of enum wlr_output_configuration_request. */
static const struct {
	void (*enable_head)(struct wl_client *client, struct wl_resource *resource, uint32_t id,
			    struct wl_resource *head);
	void (*disable_head)(struct wl_client *client, struct wl_resource *resource,
			     struct wl_resource *head);
	void (*apply)(struct wl_client *client, struct wl_resource *resource);
	void (*test)(struct wl_client *client, struct wl_resource *resource);
	void (*destroy)(struct wl_client *client, struct wl_resource *resource);
} configuration_requests = { enable_head, disable_head, apply, NULL, destroy };

static void create_configuration(struct wl_client *client, struct wl_resource *resource,
				 uint32_t id, uint32_t serial)
{
	struct wl_resource *made =
		wl_resource_create(client, &wlr_output_configuration_interface, 1, id);

	(void)resource;
	ck_assert_uint_eq(serial, fake()->serial);
	for (size_t i = 0; i < fake()->n_heads; i++)
		fake()->heads[i].asked = (struct follow_size){ 0 };
	wl_resource_set_implementation(made, &configuration_requests, NULL, NULL);
}

static const struct {
	void (*create_configuration)(struct wl_client *client, struct wl_resource *resource,
				     uint32_t id, uint32_t serial);
	void (*stop)(struct wl_client *client, struct wl_resource *resource);
} manager_requests = { create_configuration, NULL };

static void on_bind(struct wl_client *client, void *data, uint32_t version, uint32_t id)
{
	(void)data;
	fake()->manager =
		wl_resource_create(client, &wlr_output_manager_interface, (int)version, id);
	wl_resource_set_implementation(fake()->manager, &manager_requests, NULL, NULL);
	for (size_t i = 0; i < fake()->n_heads; i++)
		fake_tell_head(&fake()->heads[i]);
	fake_tell_done();
}

static int on_call(int fd, uint32_t mask, void *data)
{
	void (*call)(void);

	(void)mask;
	(void)data;
	ck_assert_int_eq(fd_read_all(fd, &call, sizeof(call)), sizeof(call));
	call();
	wl_display_flush_clients(fake()->display);
	sem_post(&fake()->done);
	return 0;
}

static void *compositor(void *opaque)
{
	(void)opaque;
	wl_display_run(fake()->display);
	return NULL;
}

/* ---- the test's side ---- */

/* Runs it in the compositor's thread. */
void fake_call(void (*call)(void))
{
	ck_assert_int_eq(fd_write_all(fake()->calls[1], &call, sizeof(call)), 0);
	sem_wait(&fake()->done);
}

static void put(const char *path, const char *bytes, gssize len)
{
	g_autofree char *whole = g_build_filename(fake()->sys, path, NULL);
	g_autofree char *parent = g_path_get_dirname(whole);

	ck_assert_int_eq(g_mkdir_with_parents(parent, 0755), 0);
	ck_assert(g_file_set_contents(whole, bytes, len, NULL));
}

void fake_put_connector(const char *name, const char *modes, bool ours)
{
	const char edid[16] = { [8] = ours ? (char)LODGE_DISPLAY_EDID_MAKER_0 : 'x',
				[9] = (char)LODGE_DISPLAY_EDID_MAKER_1 };
	g_autofree char *status_path = g_strdup_printf("class/drm/card0-%s/status", name);
	g_autofree char *modes_path = g_strdup_printf("class/drm/card0-%s/modes", name);
	g_autofree char *edid_path = g_strdup_printf("class/drm/card0-%s/edid", name);

	put(status_path, *modes ? "connected\n" : "disconnected\n", -1);
	put(modes_path, modes, -1);
	put(edid_path, edid, sizeof(edid));
}

static void start_compositor(void)
{
	struct wl_event_loop *loop;
	int ends[2];
	char text[16];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	ck_assert_int_eq(pipe(fake()->calls), 0);
	sem_init(&fake()->done, 0, 0);
	fake()->display = wl_display_create();
	loop = wl_display_get_event_loop(fake()->display);
	if (!fake()->no_manager)
		wl_global_create(fake()->display, &wlr_output_manager_interface, 1, NULL, on_bind);
	fake()->client = wl_client_create(fake()->display, ends[0]);
	fake()->source =
		wl_event_loop_add_fd(loop, fake()->calls[0], WL_EVENT_READABLE, on_call, NULL);
	snprintf(text, sizeof(text), "%d", ends[1]);
	setenv("WAYLAND_SOCKET", text, 1);
	ck_assert_int_eq(pthread_create(&fake()->thread, NULL, compositor, NULL), 0);
}

void fake_setup(void)
{
	struct fake *f = fake();

	*f = (struct fake){ .n_heads = 1, .heads = { { .name = "Virtual-1" } } };
	f->folder = g_dir_make_tmp("session-XXXXXX", NULL);
	ck_assert_ptr_nonnull(f->folder);
	f->sys = g_build_filename(f->folder, "sys", NULL);
	setenv("XDG_RUNTIME_DIR", f->folder, 1);
	unsetenv("SWAYSOCK");
	put("class/drm/card0/device/modalias", "virtio:d00000010v00001AF4\n", -1);
	fake_put_connector("Virtual-1", "1024x768\n800x600\n", true);
}

int fake_open(void)
{
	start_compositor();
	return wayland_open(fake()->sys, false, &fake()->desktop);
}

static void stop(void)
{
	wl_display_terminate(fake()->display);
}

void fake_teardown(void)
{
	struct fake *f = fake();

	if (f->desktop)
		f->desktop->ops->close(f->desktop);
	fake_call(stop);
	pthread_join(f->thread, NULL);
	wl_event_source_remove(f->source);
	wl_display_destroy_clients(f->display);
	wl_display_destroy(f->display);
	close(f->calls[0]);
	close(f->calls[1]);
	rig_remove(f->folder);
	g_free(f->folder);
	g_free(f->sys);
}
