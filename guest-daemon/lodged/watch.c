// SPDX-License-Identifier: GPL-2.0-or-later
// Folders and files that are watched by inotify(7), in the main loop.
#include <errno.h>
#include <glib-unix.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "guest-daemon/lodged/lodged.h"

struct watch {
	bool (*concerns)(void *opaque, const char *name);
	void (*changed)(void *opaque);
	void *opaque;
	int inotify;
	guint source;
};

/* Whether one of the events is about what is looked for: others are made beside it. */
static bool concerned(const struct watch *watch, const char *events, size_t len)
{
	const struct inotify_event *event;
	bool found = false;

	for (size_t at = 0; at + sizeof(*event) <= len; at += sizeof(*event) + event->len) {
		event = (const struct inotify_event *)(events + at);
		if (event->mask & IN_Q_OVERFLOW ||
		    watch->concerns(watch->opaque, event->len ? event->name : ""))
			found = true;
	}
	return found;
}

static gboolean on_events(gint fd, GIOCondition condition, gpointer opaque)
{
	struct watch *watch = opaque;
	char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t got = read(fd, events, sizeof(events));

	(void)condition;
	if (got > 0 && concerned(watch, events, (size_t)got))
		watch->changed(watch->opaque);
	return G_SOURCE_CONTINUE;
}

int watch_new(bool (*concerns)(void *opaque, const char *name), void (*changed)(void *opaque),
	      void *opaque, struct watch **ret_watch)
{
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	struct watch *watch;

	if (fd < 0)
		return -errno;
	watch = g_new0(struct watch, 1);
	watch->concerns = concerns;
	watch->changed = changed;
	watch->opaque = opaque;
	watch->inotify = fd;
	watch->source = g_unix_fd_add(fd, G_IO_IN, on_events, watch);
	*ret_watch = watch;
	return 0;
}

int watch_folder(struct watch *watch, const char *folder, uint32_t events)
{
	return inotify_add_watch(watch->inotify, folder, events | IN_ONLYDIR) < 0 ? -errno : 0;
}

int watch_file(struct watch *watch, const char *path, uint32_t events)
{
	return inotify_add_watch(watch->inotify, path, events) < 0 ? -errno : 0;
}

void watch_free(struct watch *watch)
{
	if (!watch)
		return;
	g_source_remove(watch->source);
	close(watch->inotify);
	g_free(watch);
}
