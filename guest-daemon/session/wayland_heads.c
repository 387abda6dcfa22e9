// SPDX-License-Identifier: GPL-2.0-or-later
// What a compositor tells of its heads and their modes, by wlr-output-management (wlr_output.h).
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "guest-daemon/session/wayland.h"
#include "guest-daemon/session/wlr_output.h"

/*
 * Of a head. Compositors keep each size that a window ever had. What they tell of cannot be
 * forgotten alone, as they may name it again: one that tells of more, or of more than
 * FOLLOW_OUTPUTS_MAX heads, is left.
 */
#define MODES_MAX 8192u
#define SIDE_MAX  65535 /* no DRM mode is larger */

/* ---- modes ---- */

static void mode_free(struct mode *mode)
{
	if (mode->head->current == mode)
		mode->head->current = NULL;
	wl_proxy_destroy(mode->proxy);
	g_ptr_array_remove(mode->head->modes, mode);
	g_free(mode);
}

static void on_mode_size(void *data, struct wl_proxy *proxy, int32_t width, int32_t height)
{
	struct mode *mode = data;

	(void)proxy;
	if (width > 0 && height > 0 && width <= SIDE_MAX && height <= SIDE_MAX)
		mode->size = (struct follow_size){ (uint32_t)width, (uint32_t)height };
}

static void ignore_number(void *data, struct wl_proxy *proxy, int32_t number)
{
	(void)data;
	(void)proxy;
	(void)number;
}

static void ignore(void *data, struct wl_proxy *proxy)
{
	(void)data;
	(void)proxy;
}

static void on_mode_finished(void *data, struct wl_proxy *proxy)
{
	(void)proxy;
	mode_free(data);
}

/* In the order of enum wlr_output_mode_event. */
static const struct {
	void (*size)(void *data, struct wl_proxy *proxy, int32_t width, int32_t height);
	void (*refresh)(void *data, struct wl_proxy *proxy, int32_t mhz);
	void (*preferred)(void *data, struct wl_proxy *proxy);
	void (*finished)(void *data, struct wl_proxy *proxy);
} mode_events = { on_mode_size, ignore_number, ignore, on_mode_finished };

/* ---- heads ---- */

struct follow_size head_now(const struct head *head)
{
	return head->enabled && head->current ? head->current->size : (struct follow_size){ 0 };
}

void head_free(struct head *head)
{
	while (head->modes->len)
		mode_free(g_ptr_array_index(head->modes, head->modes->len - 1));
	g_ptr_array_unref(head->modes);
	wl_proxy_destroy(head->proxy);
	g_ptr_array_remove(head->wayland->heads, head);
	g_free(head);
}

static void on_head_name(void *data, struct wl_proxy *proxy, const char *name)
{
	struct head *head = data;

	(void)proxy;
	head->name[0] = '\0';
	if (name && strlen(name) < sizeof(head->name))
		g_strlcpy(head->name, name, sizeof(head->name));
}

static void ignore_text(void *data, struct wl_proxy *proxy, const char *text)
{
	(void)data;
	(void)proxy;
	(void)text;
}

static void ignore_pair(void *data, struct wl_proxy *proxy, int32_t one, int32_t other)
{
	(void)data;
	(void)proxy;
	(void)one;
	(void)other;
}

static void on_head_mode(void *data, struct wl_proxy *proxy, struct wl_proxy *mode_proxy)
{
	struct mode *mode = g_new0(struct mode, 1);
	struct head *head = data;

	(void)proxy;
	mode->head = head;
	mode->proxy = mode_proxy;
	g_ptr_array_add(head->modes, mode);
	if (head->modes->len > MODES_MAX)
		head->wayland->finished = true;
	wl_proxy_add_listener(mode_proxy, (void (**)(void))(uintptr_t)&mode_events, mode);
}

static void on_head_enabled(void *data, struct wl_proxy *proxy, int32_t enabled)
{
	(void)proxy;
	((struct head *)data)->enabled = enabled != 0;
}

/* One of another head: a compositor that is wrong. */
static void on_head_current(void *data, struct wl_proxy *proxy, struct wl_proxy *mode_proxy)
{
	struct mode *mode = mode_proxy ? wl_proxy_get_user_data(mode_proxy) : NULL;
	struct head *head = data;

	(void)proxy;
	head->current = mode && mode->head == head ? mode : NULL;
}

static void on_head_position(void *data, struct wl_proxy *proxy, int32_t x, int32_t y)
{
	struct head *head = data;

	(void)proxy;
	head->x = x;
	head->y = y;
}

static void on_head_transform(void *data, struct wl_proxy *proxy, int32_t transform)
{
	(void)proxy;
	((struct head *)data)->transform = transform;
}

static void on_head_scale(void *data, struct wl_proxy *proxy, wl_fixed_t scale)
{
	(void)proxy;
	((struct head *)data)->scale = scale;
}

static void on_head_finished(void *data, struct wl_proxy *proxy)
{
	(void)proxy;
	head_free(data);
}

/* In the order of enum wlr_output_head_event. */
static const struct {
	void (*name)(void *data, struct wl_proxy *proxy, const char *name);
	void (*description)(void *data, struct wl_proxy *proxy, const char *text);
	void (*physical_size)(void *data, struct wl_proxy *proxy, int32_t width, int32_t height);
	void (*mode)(void *data, struct wl_proxy *proxy, struct wl_proxy *mode);
	void (*enabled)(void *data, struct wl_proxy *proxy, int32_t enabled);
	void (*current_mode)(void *data, struct wl_proxy *proxy, struct wl_proxy *mode);
	void (*position)(void *data, struct wl_proxy *proxy, int32_t x, int32_t y);
	void (*transform)(void *data, struct wl_proxy *proxy, int32_t transform);
	void (*scale)(void *data, struct wl_proxy *proxy, wl_fixed_t scale);
	void (*finished)(void *data, struct wl_proxy *proxy);
} head_events = {
	on_head_name,	 ignore_text,	   ignore_pair,	      on_head_mode,  on_head_enabled,
	on_head_current, on_head_position, on_head_transform, on_head_scale, on_head_finished,
};

/* ---- the manager ---- */

static void on_head(void *data, struct wl_proxy *proxy, struct wl_proxy *head_proxy)
{
	struct wayland *wayland = data;
	struct head *head = g_new0(struct head, 1);

	(void)proxy;
	head->wayland = wayland;
	head->proxy = head_proxy;
	head->id = ++wayland->last_id;
	head->modes = g_ptr_array_new();
	g_ptr_array_add(wayland->heads, head);
	if (wayland->heads->len > FOLLOW_OUTPUTS_MAX)
		wayland->finished = true;
	wl_proxy_add_listener(head_proxy, (void (**)(void))(uintptr_t)&head_events, head);
}

static void on_done(void *data, struct wl_proxy *proxy, uint32_t serial)
{
	struct wayland *wayland = data;

	(void)proxy;
	wayland->serial = serial;
	wayland->changed = true;
}

static void on_finished(void *data, struct wl_proxy *proxy)
{
	(void)proxy;
	((struct wayland *)data)->finished = true;
}

/* In the order of enum wlr_output_manager_event. */
static const struct {
	void (*head)(void *data, struct wl_proxy *proxy, struct wl_proxy *head);
	void (*done)(void *data, struct wl_proxy *proxy, uint32_t serial);
	void (*finished)(void *data, struct wl_proxy *proxy);
} manager_events = { on_head, on_done, on_finished };

void heads_listen(struct wayland *wayland)
{
	wl_proxy_add_listener(wayland->manager, (void (**)(void))(uintptr_t)&manager_events,
			      wayland);
}
