/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What wayland.c, which hears of heads, and wayland_set.c, which sets them, share. */
#ifndef LODGE_SESSION_WAYLAND_H
#define LODGE_SESSION_WAYLAND_H

#include <glib.h>
#include <stdint.h>
#include <sys/types.h>
#include <wayland-client-core.h>

#include "guest-daemon/lib/drm.h"
#include "guest-daemon/session/desktop.h"

/* A compositor answers within it, or is taken for one that does not. */
#define WAYLAND_ANSWER_MS 5000

struct mode {
	struct head *head;
	struct wl_proxy *proxy;
	struct follow_size size;
};

struct head {
	struct wayland *wayland;
	struct wl_proxy *proxy;
	uint64_t id;
	char name[32]; /* the connector's; "" if that is no such name */
	bool enabled;
	struct mode *current; /* NULL: not known */
	GPtrArray *modes;
	int32_t x, y, transform; /* where it lies, in the compositor's own units */
	wl_fixed_t scale;
	/* What the last look found: whether it is ours to set, and to what. */
	bool ours;
	struct follow_size wanted;
	bool due; /* to be set by what is done now */
	/* Of @asked the compositor made @got, which is as near as it comes. */
	struct follow_size asked, got;
};

struct wayland {
	struct desktop desktop;
	bool any;
	const char *sys;
	pid_t pid; /* the compositor's; 0: not known */
	struct wl_display *display;
	struct wl_proxy *registry, *manager;
	uint32_t serial; /* of the last "done" */
	GPtrArray *heads;
	uint64_t last_id;
	bool changed;
	bool finished; /* nothing more is wanted of the compositor */
	int lock, events, uevents, timer; /* @events: an epoll of all that is polled */
	uint64_t uevent_ms;
};

/* Has the manager's heads kept up in @wayland. */
void heads_listen(struct wayland *wayland);
void head_free(struct head *head);
struct follow_size head_now(const struct head *head);

/* One wait for the compositor's messages, at most until @deadline_ms, which takes what came.
 * -ETIMEDOUT, -ENOTCONN. */
int wayland_wait(struct wayland *wayland, uint64_t deadline_ms);
/* Until the compositor has answered everything that was sent. -ETIMEDOUT, -ENOTCONN. */
int wayland_roundtrip(struct wayland *wayland, uint64_t deadline_ms);
/* Sets @ours and @wanted of each head. */
void wayland_look(struct wayland *wayland);
uint64_t wayland_now_ms(void);

/* desktop.h's follow() */
int wayland_follow(struct desktop *desktop, const struct follower *follower);

#endif
