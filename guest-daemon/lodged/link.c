// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The link to the host: the best door that opens, kept in the main loop, found again when it is
 * lost.
 *
 * Theory of operation. An attempt walks the kinds of doors from the best on. One that opens is
 * driven until the host has greeted back; if that fails, the walk goes on behind it. When the walk
 * is at its end: where no door of any kind is there, lodged has nothing to do here and ends (at its
 * start) or waits; else it waits and walks again, longer each time. A port whose host end is away
 * counts as open: its door waits by itself, without a timer.
 */
#include <errno.h>
#include <glib-unix.h>
#include <string.h>

#include "guest-daemon/lodged/lodged.h"
#include "protocol/lib/log.h"

#define RETRY_FIRST_MS	 500
#define RETRY_LONGEST_MS 60000

struct link {
	struct lodged *lodged;
	int only; /* enum door_kind, or -1 */
	const char *path;
	struct door *door;
	GSource *source; /* of door */
	int next; /* kind that the walk tries next */
	bool present; /* of a kind that failed: something is there */
	int why[DOOR_DAEMON]; /* errors of this walk by kind; 0: not tried, or open */
	guint retry;
	guint retry_ms;
};

struct door_source {
	GSource base;
	struct door *door;
	gpointer tag;
};

static void walk(struct link *link);

struct door *link_door(const struct link *link)
{
	return link->door && door_ready(link->door) ? link->door : NULL;
}

char *link_why(const struct link *link)
{
	GString *text = g_string_new(NULL);

	for (int kind = 0; kind < DOOR_DAEMON; kind++) {
		if (link->why[kind])
			g_string_append_printf(text, "%s: %s\n", door_name(kind),
					       door_why(kind, link->why[kind]));
	}
	return g_string_free(text, FALSE);
}

static void drop(struct link *link)
{
	struct door *door = link->door;

	if (link->source) {
		g_source_destroy(link->source);
		g_source_unref(link->source);
		link->source = NULL;
	}
	link->door = NULL;
	if (!door)
		return;
	if (door_ready(door))
		plugins_lost(link->lodged);
	door_close(door);
}

static gboolean on_retry(gpointer opaque)
{
	struct link *link = opaque;

	link->retry = 0;
	walk(link);
	return G_SOURCE_REMOVE;
}

static void walk_later(struct link *link)
{
	g_autofree char *why = link_why(link);

	/* Once for each time that the door is away, not at each try. */
	if (!link->retry_ms && *why && (link->present || link->lodged->link)) {
		g_strdelimit(why, "\n", ';');
		log_info("no door to the host now; looking again (%s)", why);
	}
	link->next = 0;
	link->retry_ms = CLAMP(link->retry_ms * 2, RETRY_FIRST_MS, RETRY_LONGEST_MS);
	if (!link->retry)
		link->retry = g_timeout_add(link->retry_ms, on_retry, link);
}

static void failed(struct link *link, int kind, int error)
{
	link->why[kind] = error;
	if (error != -ENOENT && error != -ENODEV && error != -ENXIO)
		link->present = true;
	log_debug("%s: %s (%s)", door_name(kind), door_why(kind, error), strerror(-error));
}

static gboolean source_prepare(GSource *source, gint *timeout)
{
	*timeout = door_timeout(((struct door_source *)source)->door);
	return *timeout == 0;
}

static gboolean source_check(GSource *source)
{
	struct door_source *ours = (struct door_source *)source;

	return (ours->tag && g_source_query_unix_fd(source, ours->tag)) ||
	       door_timeout(ours->door) == 0;
}

static gboolean source_dispatch(GSource *source, GSourceFunc unused, gpointer opaque)
{
	struct door_source *ours = (struct door_source *)source;
	struct link *link = opaque;
	int kind = (int)door_kind(ours->door), ret = door_dispatch(ours->door);

	(void)unused;
	if (!ret)
		return G_SOURCE_CONTINUE;
	if (door_ready(ours->door)) {
		log_warn("the %s door was lost: %s", door_name(kind), strerror(-ret));
		drop(link);
		walk_later(link);
	} else {
		drop(link);
		failed(link, kind, ret);
		walk(link);
	}
	return G_SOURCE_REMOVE;
}

/* GLib takes the callback's opaque from g_source_set_callback() alone. */
static gboolean no_callback(gpointer opaque)
{
	(void)opaque;
	return G_SOURCE_CONTINUE;
}

static void attach(struct link *link)
{
	static GSourceFuncs funcs = { .prepare = source_prepare,
				      .check = source_check,
				      .dispatch = source_dispatch };
	struct door_source *ours;

	link->source = g_source_new(&funcs, sizeof(struct door_source));
	ours = (struct door_source *)link->source;
	ours->door = link->door;
	ours->tag = door_fd(link->door) < 0
			    ? NULL
			    : g_source_add_unix_fd(link->source, door_fd(link->door), G_IO_IN);
	g_source_set_callback(link->source, no_callback, link, NULL);
	g_source_attach(link->source, NULL);
}

static void ready(void *opaque)
{
	struct link *link = opaque;
	g_autofree char *why = link_why(link);
	g_autofree char *status = NULL;

	link->retry_ms = 0;
	g_strdelimit(why, "\n", ';');
	log_info("connected to the host through the %s door%s%s", door_name(door_kind(link->door)),
		 *why ? "; not " : "", why);
	status = g_strdup_printf("STATUS=Connected through the %s door",
				 door_name(door_kind(link->door)));
	notify(status);
}

static void command(void *opaque, struct door_command *command, const char *word, const char *args,
		    size_t len)
{
	struct link *link = opaque;

	plugins_command(link->lodged, command, word, args, len);
}

/* Stops at the first door that opens. Where the host does not answer there, source_dispatch() goes
 * on with the next. */
static void walk(struct link *link)
{
	static const struct door_ops ops = { ready, command };
	const struct door_config config = { "toolbox", "lodged " LODGE_VERSION, &ops, link,
					    link->path };

	if (link->next == 0) {
		memset(link->why, 0, sizeof(link->why));
		link->present = false;
	}
	while (link->next < DOOR_DAEMON) {
		int kind = link->next++, ret;

		if (link->only >= 0 && kind != link->only)
			continue;
		ret = door_open(kind, &config, &link->door);
		if (!ret) {
			attach(link);
			return;
		}
		failed(link, kind, ret);
	}
	walk_later(link);
}

int link_start(struct lodged *lodged, int only, const char *path, struct link **ret_link)
{
	struct link *link = g_new0(struct link, 1);
	g_autofree char *why = NULL;

	link->lodged = lodged;
	link->only = only;
	link->path = path;
	walk(link);
	if (link->door || link->present) {
		*ret_link = link;
		return 0;
	}
	why = link_why(link);
	g_strdelimit(why, "\n", ';');
	log_info("nothing to do: neither Lodge nor VMware is under this system (%s)", why);
	notify("STATUS=Neither Lodge nor VMware is under this system");
	link_stop(link);
	return -ENODEV;
}

void link_stop(struct link *link)
{
	if (!link)
		return;
	drop(link);
	if (link->retry)
		g_source_remove(link->retry);
	g_free(link);
}
