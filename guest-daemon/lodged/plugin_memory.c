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
#include "protocol/lib/fd.h"
#include "protocol/lib/pressure.h"

#define PRESSURE  "/proc/pressure/memory"
#define TRIGGER	  "some 100000 1000000" /* microseconds: of the stall, and of the window */
#define LEAST	  100u /* thousandths: what the trigger says at least */
#define PERIOD_MS 1000

struct memory {
	struct lodged *lodged;
	int fd; /* -1: no triggers */
	guint source, timer;
	guint64 stalled_us;
	gint64 at_us; /* of that; monotonic */
};

static int read_stall(const struct memory *memory, guint64 *ret_us)
{
	struct pressure pressure;
	char text[256];
	ssize_t n = pread(memory->fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return -ENODATA;
	text[n] = 0;
	if (pressure_parse(text, &pressure))
		return -EBADMSG;
	*ret_us = pressure.some_us;
	return 0;
}

/* Thousandths of the time since the last call. */
static guint measure(struct memory *memory)
{
	gint64 now = g_get_monotonic_time(), elapsed = now - memory->at_us;
	guint64 stalled_us, permille = 0;

	if (read_stall(memory, &stalled_us))
		return 0;
	if (elapsed > 0 && stalled_us > memory->stalled_us)
		permille = (stalled_us - memory->stalled_us) * 1000 / (guint64)elapsed;
	memory->stalled_us = stalled_us;
	memory->at_us = now;
	return (guint)MIN(permille, 1000);
}

static void tell(const struct memory *memory, guint permille)
{
	char message[64];
	int n = g_snprintf(message, sizeof(message), "lodge.memory permille=%u", permille);

	/* The field ends in a NUL. */
	if (lodged_door(memory->lodged))
		lodged_ask_bytes(memory->lodged, NULL, NULL, message, (size_t)n + 1);
}

static gboolean on_period(gpointer opaque)
{
	struct memory *memory = opaque;
	guint permille = measure(memory);

	tell(memory, permille);
	if (permille > 0)
		return G_SOURCE_CONTINUE;
	memory->timer = 0;
	return G_SOURCE_REMOVE;
}

static gboolean on_trigger(gint fd, GIOCondition condition, gpointer opaque)
{
	struct memory *memory = opaque;

	(void)fd;
	if (condition & (G_IO_ERR | G_IO_HUP | G_IO_NVAL)) {
		memory->source = 0;
		return G_SOURCE_REMOVE;
	}
	if (!memory->timer) {
		(void)measure(memory);
		tell(memory, LEAST);
		memory->timer = g_timeout_add(PERIOD_MS, on_period, memory);
	}
	return G_SOURCE_CONTINUE;
}

static int start(struct lodged *lodged, void **ret_state)
{
	struct memory *memory = g_new0(struct memory, 1);

	memory->lodged = lodged;
	memory->fd = open(PRESSURE, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	/* Its NUL belongs to it. */
	if (memory->fd >= 0 && write(memory->fd, TRIGGER, sizeof(TRIGGER)) < 0)
		fd_close(&memory->fd);
	if (memory->fd >= 0)
		memory->source = g_unix_fd_add(memory->fd, G_IO_PRI, on_trigger, memory);
	*ret_state = memory;
	return 0;
}

/* The host tells this one from a guest that cannot. */
static void capabilities(void *state)
{
	const struct memory *memory = state;

	if (memory->fd >= 0)
		tell(memory, 0);
}

static void stop(void *state)
{
	struct memory *memory = state;

	if (memory->source)
		g_source_remove(memory->source);
	if (memory->timer)
		g_source_remove(memory->timer);
	fd_close(&memory->fd);
	g_free(memory);
}

const struct plugin memory_plugin = {
	.name = "memory",
	.help = "tells the host when programs wait for memory",
	.start = start,
	.capabilities = capabilities,
	.stop = stop,
};
