// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The outputs of a Wayland compositor that has them set by others (desktop.h): sway and all that
 * are made with wlroots, by wlr-output-management.
 *
 * What a head should be is the kernel's word, not the compositor's, whose list of modes may be that
 * of its start. The kernel's is as old as the last probe of the connector, which compositors make
 * when they hear of a hot-plug, as this does: so the files are read a few times behind each.
 */
#include "guest-daemon/session/wayland.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <wayland-client-protocol.h>

#include <lodge/display.h>

#include "guest-daemon/lib/uevents.h"
#include "guest-daemon/session/wlr_output.h"
#include "protocol/lib/fd.h"

#define LOCK_NAME "lodge-session.wayland.lock"
/* The first answers wait for a compositor that is about to start, for minutes where the machine is
 * busy or emulated; XDG autostart tries but once. */
#define OPEN_MS 300000
/* A look behind a hot-plug: the first one, and until when each comes after half the time that has
 * passed. */
#define LOOK_FIRST_MS 50
#define LOOK_LAST_MS  8000
/* Messages that one drain() takes. */
#define DRAIN_MAX 64

static struct wayland *wayland_of(struct desktop *desktop)
{
	return (struct wayland *)desktop;
}

uint64_t wayland_now_ms(void)
{
	return (uint64_t)g_get_monotonic_time() / 1000;
}

static void on_global(void *data, struct wl_registry *registry, uint32_t name,
		      const char *interface, uint32_t version)
{
	struct wayland *wayland = data;

	(void)version;
	if (wayland->manager || strcmp(interface, wlr_output_manager_interface.name) != 0)
		return;
	wayland->manager = wl_registry_bind(registry, name, &wlr_output_manager_interface, 1);
	if (wayland->manager)
		heads_listen(wayland);
}

static void on_global_remove(void *data, struct wl_registry *registry, uint32_t name)
{
	(void)data;
	(void)registry;
	(void)name;
}

static const struct wl_registry_listener registry_events = { on_global, on_global_remove };

/* ---- the connection ---- */

int wayland_wait(struct wayland *wayland, uint64_t deadline_ms)
{
	struct pollfd poller = { .fd = wl_display_get_fd(wayland->display), .events = POLLIN };
	uint64_t now_ms = wayland_now_ms();
	int ready;

	while (wl_display_prepare_read(wayland->display)) {
		if (wl_display_dispatch_pending(wayland->display) < 0)
			return -ENOTCONN;
	}
	if (wl_display_flush(wayland->display) < 0 && errno == EAGAIN)
		poller.events |= POLLOUT;
	ready = poll(&poller, 1, deadline_ms > now_ms ? (int)(deadline_ms - now_ms) : 0);
	if (ready <= 0 || !(poller.revents & ~POLLOUT)) {
		wl_display_cancel_read(wayland->display);
		return ready ? 0 : -ETIMEDOUT;
	}
	if (wl_display_read_events(wayland->display) < 0 ||
	    wl_display_dispatch_pending(wayland->display) < 0)
		return -ENOTCONN;
	return wayland->finished ? -ENOTCONN : 0;
}

static void on_synced(void *data, struct wl_callback *callback, uint32_t number)
{
	(void)callback;
	(void)number;
	*(bool *)data = true;
}

int wayland_roundtrip(struct wayland *wayland, uint64_t deadline_ms)
{
	static const struct wl_callback_listener events = { on_synced };
	struct wl_callback *callback = wl_display_sync(wayland->display);
	bool synced = false;
	int ret = 0;

	if (!callback)
		return -ENOTCONN;
	wl_callback_add_listener(callback, &events, &synced);
	while (!ret && !synced)
		ret = wayland_now_ms() < deadline_ms ? wayland_wait(wayland, deadline_ms)
						     : -ETIMEDOUT;
	wl_callback_destroy(callback);
	return ret;
}

static void set_timer(struct wayland *wayland, uint64_t ms)
{
	const struct itimerspec when = {
		.it_value = { .tv_sec = (time_t)(ms / 1000),
			      .tv_nsec = (long)(ms % 1000) * 1000000 },
	};

	(void)timerfd_settime(wayland->timer, 0, &when, NULL);
}

/* Whether it is time for a look behind a hot-plug. */
static bool look_is_due(struct wayland *wayland)
{
	uint64_t expired, passed, now_ms = wayland_now_ms();

	if (uevents_take(wayland->uevents)) {
		wayland->uevent_ms = now_ms;
		set_timer(wayland, LOOK_FIRST_MS);
		return false;
	}
	if (read(wayland->timer, &expired, sizeof(expired)) != sizeof(expired))
		return false;
	passed = now_ms - wayland->uevent_ms;
	if (passed < LOOK_LAST_MS)
		set_timer(wayland, passed < 2 * LOOK_FIRST_MS ? LOOK_FIRST_MS : passed / 2);
	return true;
}

static int wayland_drain(struct desktop *desktop)
{
	struct wayland *wayland = wayland_of(desktop);
	bool changed;
	int ret = 0;

	if (look_is_due(wayland))
		wayland->changed = true;
	for (int i = 0; !ret && i < DRAIN_MAX; i++)
		ret = wayland_wait(wayland, 0);
	if (ret == -ENOTCONN)
		return ret;
	changed = wayland->changed;
	wayland->changed = false;
	return changed;
}

static int wayland_fd(const struct desktop *desktop)
{
	return ((const struct wayland *)desktop)->events;
}

/* ---- what heads are and should be ---- */

static bool made_by_lodge(const struct drm_connector *connector)
{
	static const char maker[] = { (char)LODGE_DISPLAY_EDID_MAKER_0,
				      (char)LODGE_DISPLAY_EDID_MAKER_1 };

	return !memcmp(connector->maker, maker, sizeof(maker));
}

void wayland_look(struct wayland *wayland)
{
	bool found;
	unsigned int card;
	char driver[32];

	found = !drm_find(wayland->sys, &card, driver);
	for (guint i = 0; i < wayland->heads->len; i++) {
		struct head *head = g_ptr_array_index(wayland->heads, i);

		struct drm_connector connector;

		head->ours = found && !drm_connector(wayland->sys, card, head->name, &connector) &&
			     (wayland->any || made_by_lodge(&connector));
		head->wanted = head->ours
				       ? (struct follow_size){ connector.width, connector.height }
				       : (struct follow_size){ 0 };
	}
}

static bool same(struct follow_size a, struct follow_size b)
{
	return a.width == b.width && a.height == b.height;
}

static struct follow_output look_at(const struct head *head)
{
	struct follow_output output = {
		.id = head->id,
		.wanted = head->wanted,
		.now = head_now(head),
	};

	/* One that somebody switched off, or whose size is not known, is left as it is. */
	if (!output.now.width)
		output.now = output.wanted;
	else if (!output.wanted.width)
		output.wanted = output.now;
	if (same(output.wanted, head->asked) && same(output.now, head->got))
		output.now = output.wanted;
	return output;
}

static int wayland_outputs(struct desktop *desktop, struct follow_output *outputs, size_t max)
{
	struct wayland *wayland = wayland_of(desktop);
	int count = 0;

	wayland_look(wayland);
	for (guint i = 0; i < wayland->heads->len; i++) {
		struct head *head = g_ptr_array_index(wayland->heads, i);

		if (!head->ours && head->enabled)
			return -EMEDIUMTYPE;
		if (head->ours && (size_t)count < max)
			outputs[count++] = look_at(head);
	}
	return count;
}

static char *wayland_output_name(struct desktop *desktop, uint64_t id)
{
	const struct wayland *wayland = wayland_of(desktop);

	for (guint i = 0; i < wayland->heads->len; i++) {
		const struct head *head = g_ptr_array_index(wayland->heads, i);

		if (head->id == id)
			return strdup(head->name);
	}
	return NULL;
}

/* ---- opening ---- */

static void wayland_close(struct desktop *desktop)
{
	struct wayland *wayland = wayland_of(desktop);

	while (wayland->heads->len)
		head_free(g_ptr_array_index(wayland->heads, wayland->heads->len - 1));
	g_ptr_array_unref(wayland->heads);
	if (wayland->manager)
		wl_proxy_destroy(wayland->manager);
	if (wayland->registry)
		wl_proxy_destroy(wayland->registry);
	if (wayland->display)
		wl_display_disconnect(wayland->display);
	fd_close(&wayland->lock);
	fd_close(&wayland->events);
	fd_close(&wayland->uevents);
	fd_close(&wayland->timer);
	free(wayland);
}

/* One serves a user's compositor. */
static int take_lock(struct wayland *wayland)
{
	const char *folder = g_getenv("XDG_RUNTIME_DIR");
	g_autofree char *path = NULL;

	if (!folder || !*folder)
		return -ENOTCONN;
	path = g_build_filename(folder, LOCK_NAME, NULL);
	wayland->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (wayland->lock < 0)
		return -errno;
	return flock(wayland->lock, LOCK_EX | LOCK_NB) ? -EALREADY : 0;
}

static void name_server(struct wayland *wayland)
{
	struct ucred peer = { 0 };
	socklen_t len = sizeof(peer);
	g_autofree char *path = NULL;
	g_autofree char *comm = NULL;

	if (!getsockopt(wl_display_get_fd(wayland->display), SOL_SOCKET, SO_PEERCRED, &peer, &len))
		wayland->pid = peer.pid;
	path = g_strdup_printf("/proc/%d/comm", (int)wayland->pid);
	if (g_file_get_contents(path, &comm, NULL, NULL))
		g_strlcpy(wayland->desktop.server, g_strchomp(comm),
			  sizeof(wayland->desktop.server));
	if (!wayland->desktop.server[0])
		g_strlcpy(wayland->desktop.server, "?", sizeof(wayland->desktop.server));
}

static int poll_all(struct wayland *wayland)
{
	const int fds[] = { wl_display_get_fd(wayland->display), wayland->uevents, wayland->timer };

	for (size_t i = 0; i < G_N_ELEMENTS(fds); i++) {
		struct epoll_event event = { .events = EPOLLIN };

		if (epoll_ctl(wayland->events, EPOLL_CTL_ADD, fds[i], &event))
			return -errno;
	}
	return 0;
}

static int connect_to(struct wayland *wayland)
{
	uint64_t deadline_ms = wayland_now_ms() + OPEN_MS;
	struct wl_registry *registry;
	int ret;

	wayland->display = wl_display_connect(NULL);
	if (!wayland->display)
		return -ENOTCONN;
	registry = wl_display_get_registry(wayland->display);
	if (!registry)
		return -ENOMEM;
	wayland->registry = (struct wl_proxy *)registry;
	wl_registry_add_listener(registry, &registry_events, wayland);
	ret = wayland_roundtrip(wayland, deadline_ms);
	if (!ret && !wayland->manager)
		ret = -EOPNOTSUPP;
	/* The first one brings the manager, the second what it says. */
	if (!ret)
		ret = wayland_roundtrip(wayland, deadline_ms);
	return ret;
}

static const struct desktop_ops wayland_ops = {
	.close = wayland_close,
	.fd = wayland_fd,
	.drain = wayland_drain,
	.outputs = wayland_outputs,
	.follow = wayland_follow,
	.output_name = wayland_output_name,
};

int wayland_open(const char *sys, bool any, struct desktop **ret_desktop)
{
	struct wayland *wayland = calloc(1, sizeof(*wayland));
	int ret;

	if (!wayland)
		return -ENOMEM;
	wayland->desktop.ops = &wayland_ops;
	wayland->sys = sys;
	wayland->any = any;
	wayland->heads = g_ptr_array_new();
	wayland->lock = -1;
	wayland->events = epoll_create1(EPOLL_CLOEXEC);
	wayland->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	wayland->uevents = uevents_open();
	ret = wayland->events < 0 || wayland->timer < 0 || wayland->uevents < 0 ? -EMFILE : 0;
	if (!ret)
		ret = connect_to(wayland);
	if (!ret)
		ret = take_lock(wayland);
	if (!ret)
		ret = poll_all(wayland);
	if (ret) {
		wayland_close(&wayland->desktop);
		return ret;
	}
	name_server(wayland);
	*ret_desktop = &wayland->desktop;
	return 0;
}
