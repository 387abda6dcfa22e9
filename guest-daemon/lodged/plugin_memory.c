// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Plug-in memory: tells the host when programs of this guest wait for memory
 * (protocol/spec/balloon.md).
 *
 * Nothing is polled: the kernel says when some task waited for 100 ms of a second (psi(5)'s
 * triggers). The host is then told each second how much of it they waited, until they wait no
 * more. Kernels without such triggers tell nothing, and the host guesses.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <unistd.h>

#include "guest-daemon/lodged/lodged.h"
#include "guest-daemon/lodged/plugins.h"
#include "guest-daemon/lodged/stalls.h"
#include "protocol/lib/fd.h"
#include "protocol/lib/pressure.h"

#define PRESSURE  "/proc/pressure/memory"
#define TRIGGER	  "some 100000 1000000" /* microseconds: of the stall, and of the window */
#define LEAST	  100u /* thousandths: what the trigger says at least */
#define PERIOD_MS 1000

struct stall_watch {
	struct lodged *lodged;
	const struct stalls *stalls;
	int fd; /* -1: no triggers */
	guint source, timer;
	guint64 stalled_us;
	gint64 at_us; /* of that; monotonic */
};

static int open_trigger(void)
{
	int fd = open(PRESSURE, O_RDWR | O_CLOEXEC | O_NONBLOCK);

	/* Its NUL belongs to it. */
	if (fd >= 0 && write(fd, TRIGGER, sizeof(TRIGGER)) < 0)
		fd_close(&fd);
	return fd;
}

static int read_total(int fd, uint64_t *ret_us)
{
	struct pressure pressure;
	char text[256];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return -ENODATA;
	text[n] = 0;
	if (pressure_parse(text, &pressure))
		return -EBADMSG;
	*ret_us = pressure.some_us;
	return 0;
}

const struct stalls stalls_system = { open_trigger, read_total };

/* Thousandths of the time since the last call. */
static guint measure(struct stall_watch *watch)
{
	gint64 now = g_get_monotonic_time(), elapsed = now - watch->at_us;
	uint64_t stalled_us, permille = 0;

	if (watch->stalls->read(watch->fd, &stalled_us))
		return 0;
	if (elapsed > 0 && stalled_us > watch->stalled_us)
		permille = (stalled_us - watch->stalled_us) * 1000 / (guint64)elapsed;
	watch->stalled_us = stalled_us;
	watch->at_us = now;
	return (guint)MIN(permille, 1000);
}

static void tell(const struct stall_watch *watch, guint permille)
{
	char message[64];
	int n = g_snprintf(message, sizeof(message), "lodge.memory permille=%u", permille);

	/* The field ends in a NUL. */
	if (lodged_door(watch->lodged))
		lodged_ask_bytes(watch->lodged, NULL, NULL, message, (size_t)n + 1);
}

static gboolean on_period(gpointer opaque)
{
	struct stall_watch *watch = opaque;
	guint permille = measure(watch);

	tell(watch, permille);
	if (permille > 0)
		return G_SOURCE_CONTINUE;
	watch->timer = 0;
	return G_SOURCE_REMOVE;
}

static gboolean on_trigger(gint fd, GIOCondition condition, gpointer opaque)
{
	struct stall_watch *watch = opaque;

	(void)fd;
	if (condition & (G_IO_ERR | G_IO_HUP | G_IO_NVAL)) {
		watch->source = 0;
		return G_SOURCE_REMOVE;
	}
	if (!watch->timer) {
		(void)measure(watch);
		tell(watch, LEAST);
		watch->timer = g_timeout_add(PERIOD_MS, on_period, watch);
	}
	return G_SOURCE_CONTINUE;
}

struct stall_watch *stall_watch_start(struct lodged *lodged, const struct stalls *stalls)
{
	struct stall_watch *watch = g_new0(struct stall_watch, 1);

	watch->lodged = lodged;
	watch->stalls = stalls;
	watch->fd = stalls->open();
	if (watch->fd >= 0)
		watch->source = g_unix_fd_add(watch->fd, G_IO_PRI, on_trigger, watch);
	return watch;
}

void stall_watch_stop(struct stall_watch *watch)
{
	if (watch->source)
		g_source_remove(watch->source);
	if (watch->timer)
		g_source_remove(watch->timer);
	fd_close(&watch->fd);
	g_free(watch);
}

static int start(struct lodged *lodged, void **ret_state)
{
	*ret_state = stall_watch_start(lodged, &stalls_system);
	return 0;
}

/* The host tells this one from a guest that cannot. */
static void capabilities(void *state)
{
	const struct stall_watch *watch = state;

	if (watch->fd >= 0)
		tell(watch, 0);
}

static void stop(void *state)
{
	stall_watch_stop(state);
}

const struct plugin memory_plugin = {
	.name = "memory",
	.help = "tells the host when programs wait for memory",
	.start = start,
	.capabilities = capabilities,
	.stop = stop,
};
