// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sets the heads of a Wayland compositor to what they should be.
 *
 * By wlr-output-management: a mode of the compositor's list where that has the size, else a custom
 * one, which wlroots 0.15 makes as wide as the next lower multiple of 8. sway takes custom modes on
 * its own socket alone (through 1.12: what is not in its list becomes the preferred mode that the
 * list has), but there to the pixel.
 */
#include <errno.h>
#include <stdlib.h>

#include "guest-daemon/session/sway.h"
#include "guest-daemon/session/wayland.h"
#include "guest-daemon/session/wlr_output.h"
#include "protocol/lib/fd.h"

/* Widths of CVT modes are multiples of it (VESA CVT 1.2 section 3.4): nearer nobody comes with
 * such. */
#define CELL_WIDTH 8u
/* A configuration is made anew where heads changed meanwhile. */
#define TRIES 3

enum answer {
	ANSWER_NONE = 0,
	ANSWER_SUCCEEDED,
	ANSWER_FAILED,
	ANSWER_CANCELLED,
};

static void on_succeeded(void *data, struct wl_proxy *proxy)
{
	(void)proxy;
	*(enum answer *)data = ANSWER_SUCCEEDED;
}

static void on_failed(void *data, struct wl_proxy *proxy)
{
	(void)proxy;
	*(enum answer *)data = ANSWER_FAILED;
}

static void on_cancelled(void *data, struct wl_proxy *proxy)
{
	(void)proxy;
	*(enum answer *)data = ANSWER_CANCELLED;
}

/* In the order of enum wlr_output_configuration_event. */
static const struct {
	void (*succeeded)(void *data, struct wl_proxy *proxy);
	void (*failed)(void *data, struct wl_proxy *proxy);
	void (*cancelled)(void *data, struct wl_proxy *proxy);
} configuration_events = { on_succeeded, on_failed, on_cancelled };

static bool same(struct follow_size a, struct follow_size b)
{
	return a.width == b.width && a.height == b.height;
}

static bool is_to_change(const struct head *head)
{
	struct follow_size now = head_now(head);

	return head->due && head->ours && head->wanted.width && now.width &&
	       !same(now, head->wanted);
}

static bool any_is_to_change(const struct wayland *wayland)
{
	bool any = false;

	for (guint i = 0; i < wayland->heads->len; i++)
		any |= is_to_change(g_ptr_array_index(wayland->heads, i));
	return any;
}

static struct mode *find_mode(const struct head *head, struct follow_size size)
{
	for (guint i = 0; i < head->modes->len; i++) {
		struct mode *mode = g_ptr_array_index(head->modes, i);

		if (same(mode->size, size))
			return mode;
	}
	return NULL;
}

/* ---- by wlr-output-management ---- */

/* @right: where the one before ends; NULL where heads stay where they are. */
static void configure(struct wl_proxy *configuration, struct head *head, int32_t *right)
{
	struct wl_proxy *set = wl_proxy_marshal_constructor(
		configuration, WLR_OUTPUT_CONFIGURATION_ENABLE_HEAD,
		&wlr_output_configuration_head_interface, NULL, head->proxy);
	struct mode *mode = find_mode(head, head->wanted);

	if (!set)
		return;
	if (is_to_change(head) && mode)
		wl_proxy_marshal(set, WLR_OUTPUT_CONFIGURATION_HEAD_SET_MODE, mode->proxy);
	else if (is_to_change(head))
		wl_proxy_marshal(set, WLR_OUTPUT_CONFIGURATION_HEAD_SET_CUSTOM_MODE,
				 (int32_t)head->wanted.width, (int32_t)head->wanted.height, 0);
	if (right)
		wl_proxy_marshal(set, WLR_OUTPUT_CONFIGURATION_HEAD_SET_POSITION, *right, 0);
	if (right)
		*right += (int32_t)(is_to_change(head) ? head->wanted : head_now(head)).width;
	wl_proxy_destroy(set);
}

static struct head *next_to_the_right(struct wayland *wayland, const struct head *before)
{
	struct head *next = NULL;

	for (guint i = 0; i < wayland->heads->len; i++) {
		struct head *head = g_ptr_array_index(wayland->heads, i);

		if (!head->enabled || (before && (head->x < before->x || (head->x == before->x &&
									  head->id <= before->id))))
			continue;
		if (!next || head->x < next->x)
			next = head;
	}
	return next;
}

/* Heads that stand side by side from the left are to stay so, whatever their sizes. */
static bool are_in_a_row(struct wayland *wayland)
{
	struct head *head = next_to_the_right(wayland, NULL);
	int64_t right = 0;

	for (; head; head = next_to_the_right(wayland, head)) {
		if (head->x != right || head->y || head->transform ||
		    head->scale != wl_fixed_from_int(1))
			return false;
		right += head_now(head).width;
	}
	return true;
}

static enum answer apply(struct wayland *wayland, uint64_t deadline_ms)
{
	struct wl_proxy *configuration = wl_proxy_marshal_constructor(
		wayland->manager, WLR_OUTPUT_MANAGER_CREATE_CONFIGURATION,
		&wlr_output_configuration_interface, NULL, wayland->serial);
	enum answer answer = ANSWER_NONE;
	bool in_a_row = are_in_a_row(wayland);
	struct head *head = NULL;
	int32_t right = 0;

	if (!configuration)
		return ANSWER_FAILED;
	wl_proxy_add_listener(configuration, (void (**)(void))(uintptr_t)&configuration_events,
			      &answer);
	for (guint i = 0; i < wayland->heads->len; i++) {
		const struct head *off = g_ptr_array_index(wayland->heads, i);

		if (!off->enabled)
			wl_proxy_marshal(configuration, WLR_OUTPUT_CONFIGURATION_DISABLE_HEAD,
					 off->proxy);
	}
	while ((head = next_to_the_right(wayland, head)))
		configure(configuration, head, in_a_row ? &right : NULL);
	wl_proxy_marshal(configuration, WLR_OUTPUT_CONFIGURATION_APPLY);
	while (!answer && wayland_now_ms() < deadline_ms) {
		if (wayland_wait(wayland, deadline_ms) == -ENOTCONN)
			break;
	}
	wl_proxy_marshal(configuration, WLR_OUTPUT_CONFIGURATION_DESTROY);
	wl_proxy_destroy(configuration);
	return answer;
}

static int set_by_wlr(struct wayland *wayland, uint64_t deadline_ms)
{
	enum answer answer = ANSWER_CANCELLED;

	for (int i = 0; i < TRIES && answer == ANSWER_CANCELLED; i++) {
		answer = apply(wayland, deadline_ms);
		/* What changed comes with a new serial. */
		if (answer == ANSWER_CANCELLED && wayland_roundtrip(wayland, deadline_ms))
			break;
	}
	return answer == ANSWER_SUCCEEDED ? 0 : -EIO;
}

/* ---- by sway's socket ---- */

static int set_by_sway(struct wayland *wayland, int sway)
{
	int ret = 0;

	for (guint i = 0; i < wayland->heads->len; i++) {
		struct head *head = g_ptr_array_index(wayland->heads, i);

		if (!ret && is_to_change(head))
			ret = sway_set_mode(sway, head->name, head->wanted.width,
					    head->wanted.height);
	}
	return ret;
}

/* ---- what became of it ---- */

static int judge(struct head *head)
{
	struct follow_size now = head_now(head);

	if (!is_to_change(head))
		return 0;
	if (now.height != head->wanted.height || now.width > head->wanted.width ||
	    head->wanted.width - now.width >= CELL_WIDTH)
		return -EDOM;
	head->asked = head->wanted;
	head->got = now;
	return 0;
}

int wayland_follow(struct desktop *desktop, const struct follower *follower)
{
	struct wayland *wayland = (struct wayland *)desktop;
	uint64_t deadline_ms = wayland_now_ms() + WAYLAND_ANSWER_MS;
	autofd sway = -1;
	int ret;

	wayland_look(wayland);
	for (guint i = 0; i < wayland->heads->len; i++) {
		struct head *head = g_ptr_array_index(wayland->heads, i);

		head->due = follow_is_open(follower, head->id);
	}
	if (!any_is_to_change(wayland))
		return 0;
	sway = sway_connect(wayland->pid);
	ret = sway >= 0 ? set_by_sway(wayland, sway) : set_by_wlr(wayland, deadline_ms);
	if (!ret && wayland_roundtrip(wayland, deadline_ms))
		ret = -EIO;
	for (guint i = 0; i < wayland->heads->len; i++) {
		struct head *head = g_ptr_array_index(wayland->heads, i);

		if (!ret)
			ret = judge(head);
	}
	return ret;
}
