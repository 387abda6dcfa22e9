// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The link to the host: the best door that opens, kept in the main loop, found again when it is
 * lost, and left for a better one that comes later.
 *
 * Theory of operation. An attempt walks the kinds of doors from the best on. One that opens is
 * driven until the host has greeted back; if that fails, the walk goes on behind it. When the walk
 * is at its end: where no door of any kind is there, lodged has nothing to do here and ends (at its
 * start) or waits; else it waits and walks again, longer each time. A port whose host end is away
 * counts as open: its door waits by itself, without a timer.
 *
 * Doors are nodes in /dev, and that folder is watched. When a better one may have come and nothing
 * is open at the one in use, the better one is greeted beside it. It takes its place when the host
 * has greeted back; until then, and where that fails, the old one serves.
 */
#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/inotify.h>

#include "guest-daemon/lib/paths.h"
#include "guest-daemon/lodged/lodged.h"
#include "protocol/lib/log.h"

#define RETRY_FIRST_MS	 500
#define RETRY_LONGEST_MS 60000
/* A node gets its owner, and a port its name, after it has come. */
#define LOOK_MS 200
#define LOOKS	10

/* A door in the main loop. */
struct way {
	struct door *door;
	GSource *source;
};

struct link {
	struct lodged *lodged;
	int only; /* enum door_kind, or -1 */
	const char *paths[DOOR_DAEMON]; /* by kind; NULL: their own */
	struct way way; /* in use, or greeted while none is */
	struct way better; /* greeted, to take its place */
	int next; /* kind that the walk tries next */
	bool present; /* of a kind that failed: something is there */
	int why[DOOR_DAEMON]; /* errors of this walk by kind; 0: not tried, or open */
	guint retry;
	guint retry_ms;
	struct watch *watch; /* NULL: one kind alone, or it cannot be watched */
	guint look;
	int looks; /* that are left */
	bool when_idle; /* then it is looked for a better door */
};

struct door_source {
	GSource base;
	struct door *door;
	gpointer tag;
};

static void walk(struct link *link);
static void look_later(struct link *link);
static void better_failed(struct link *link, int error);

struct door *link_door(const struct link *link)
{
	return link->way.door && door_ready(link->way.door) ? link->way.door : NULL;
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

static void close_way(struct way *way)
{
	struct door *door = way->door;

	if (!door)
		return;
	g_source_destroy(way->source);
	g_source_unref(way->source);
	*way = (struct way){ NULL, NULL };
	door_close(door);
}

/* @next, which may be none, becomes the way in use. */
static void replace(struct link *link, struct way next)
{
	int from = next.door ? (int)door_kind(next.door) : DOOR_DAEMON;
	struct way old = link->way;

	if (next.door)
		log_info("leaving the %s door for a better one", door_name(door_kind(old.door)));
	link->way = next;
	memset(link->why + from, 0, (size_t)(DOOR_DAEMON - from) * sizeof(link->why[0]));
	if (old.door && door_ready(old.door))
		plugins_lost(link->lodged);
	close_way(&old);
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

/* The way in use is over, or was never one. */
static void lost(struct link *link, int error)
{
	int kind = (int)door_kind(link->way.door);
	bool was_ready = door_ready(link->way.door);
	struct way better = link->better;

	link->better = (struct way){ NULL, NULL };
	replace(link, better);
	if (better.door) {
		/* The host closes the old session when it greets the new one. */
		link->next = (int)door_kind(better.door) + 1;
	} else if (was_ready) {
		log_warn("the %s door was lost: %s", door_name(kind), strerror(-error));
		walk_later(link);
	} else {
		failed(link, kind, error);
		walk(link);
	}
}

static gboolean source_dispatch(GSource *source, GSourceFunc unused, gpointer opaque)
{
	struct door_source *ours = (struct door_source *)source;
	struct link *link = opaque;
	int ret = door_dispatch(ours->door);

	(void)unused;
	if (ret) {
		if (ours->door == link->better.door)
			better_failed(link, ret);
		else
			lost(link, ret);
		return G_SOURCE_REMOVE;
	}
	if (link->when_idle && door_idle(link->way.door)) {
		link->when_idle = false;
		look_later(link);
	}
	return G_SOURCE_CONTINUE;
}

/* GLib takes the callback's opaque from g_source_set_callback() alone. */
static gboolean no_callback(gpointer opaque)
{
	(void)opaque;
	return G_SOURCE_CONTINUE;
}

static void attach(struct link *link, struct way *way)
{
	static GSourceFuncs funcs = { .prepare = source_prepare,
				      .check = source_check,
				      .dispatch = source_dispatch };
	struct door_source *ours;

	way->source = g_source_new(&funcs, sizeof(struct door_source));
	ours = (struct door_source *)way->source;
	ours->door = way->door;
	ours->tag = door_fd(way->door) < 0
			    ? NULL
			    : g_source_add_unix_fd(way->source, door_fd(way->door), G_IO_IN);
	g_source_set_callback(way->source, no_callback, link, NULL);
	g_source_attach(way->source, NULL);
}

static void move_over(struct link *link)
{
	struct way better = link->better;

	link->better = (struct way){ NULL, NULL };
	replace(link, better);
}

static void ready(void *opaque)
{
	struct link *link = opaque;
	g_autofree char *why = NULL, *status = NULL;
	const char *name;

	if (link->better.door && door_ready(link->better.door))
		move_over(link);
	name = door_name(door_kind(link->way.door));
	why = link_why(link);
	link->retry_ms = 0;
	g_strdelimit(why, "\n", ';');
	log_info("connected to the host through the %s door%s%s", name, *why ? "; not " : "", why);
	status = g_strdup_printf("STATUS=Connected through the %s door", name);
	notify(status);
}

static void command(void *opaque, struct door_command *command, const char *word, const char *args,
		    size_t len)
{
	struct link *link = opaque;

	plugins_command(link->lodged, command, word, args, len);
}

static int open_way(struct link *link, int kind, struct way *ret_way)
{
	static const struct door_ops ops = { ready, command };
	const struct door_config config = { "toolbox", "lodged " LODGE_VERSION, &ops, link,
					    link->paths[kind] };
	int ret = door_open(kind, &config, &ret_way->door);

	if (!ret)
		attach(link, ret_way);
	return ret;
}

/* Stops at the first door that opens. Where the host does not answer there, lost() goes on with the
 * next. */
static void walk(struct link *link)
{
	if (link->next == 0) {
		memset(link->why, 0, sizeof(link->why));
		link->present = false;
	}
	while (link->next < DOOR_DAEMON) {
		int kind = link->next++, ret;

		if (link->only >= 0 && kind != link->only)
			continue;
		ret = open_way(link, kind, &link->way);
		if (!ret)
			return;
		failed(link, kind, ret);
	}
	walk_later(link);
}

/* ---- a better door comes ---- */

/* Greets the best door from kind @from on that is better than the one in use. */
static void try_better(struct link *link, int from)
{
	int end = (int)door_kind(link->way.door);

	if (link->better.door)
		end = MIN(end, (int)door_kind(link->better.door));
	for (int kind = from; kind < end; kind++) {
		struct way way = { NULL, NULL };
		int ret;

		if (!door_present(kind, link->paths[kind]))
			continue;
		ret = open_way(link, kind, &way);
		if (!ret) {
			close_way(&link->better);
			link->better = way;
			return;
		}
		failed(link, kind, ret);
	}
}

static void better_failed(struct link *link, int error)
{
	int kind = (int)door_kind(link->better.door);

	log_info("staying with the %s door: %s", door_name(door_kind(link->way.door)),
		 door_why(kind, error));
	link->why[kind] = error;
	close_way(&link->better);
	try_better(link, kind + 1);
}

static bool better_present(const struct link *link)
{
	for (int kind = 0; kind < (int)door_kind(link->way.door); kind++) {
		if (door_present(kind, link->paths[kind]))
			return true;
	}
	return false;
}

static gboolean on_look(gpointer opaque)
{
	struct link *link = opaque;

	link->look = 0;
	if (link->retry) {
		g_source_remove(link->retry);
		link->retry = 0;
		link->next = 0;
		walk(link);
	} else if (link_door(link) && better_present(link)) {
		link->when_idle = !door_idle(link->way.door);
		if (!link->when_idle)
			try_better(link, 0);
		return G_SOURCE_REMOVE;
	}
	if (--link->looks > 0)
		look_later(link);
	return G_SOURCE_REMOVE;
}

static void look_later(struct link *link)
{
	if (!link->look)
		link->look = g_timeout_add(LOOK_MS, on_look, link);
}

static const char *dev_path(const struct link *link)
{
	return link->paths[DOOR_DEV] ? link->paths[DOOR_DEV] : LODGE_DEV;
}

static bool is_node(void *opaque, const char *name)
{
	g_autofree char *dev = g_path_get_basename(dev_path(opaque));

	return !strcmp(name, dev) || g_str_has_prefix(name, "vport");
}

static void nodes_changed(void *opaque)
{
	struct link *link = opaque;

	link->looks = LOOKS;
	look_later(link);
}

static void start_watch(struct link *link)
{
	g_autofree char *folder = g_path_get_dirname(dev_path(link));
	int ret = watch_new(is_node, nodes_changed, link, &link->watch);

	if (!ret)
		ret = watch_folder(link->watch, folder, IN_CREATE | IN_MOVED_TO);
	if (ret)
		log_debug("%s is not watched: %s", folder, strerror(-ret));
}

int link_start(struct lodged *lodged, int only, const char *const paths[DOOR_DAEMON],
	       struct link **ret_link)
{
	struct link *link = g_new0(struct link, 1);
	g_autofree char *why = NULL;

	link->lodged = lodged;
	link->only = only;
	memcpy(link->paths, paths, sizeof(link->paths));
	/* Before the walk: what comes meanwhile is seen by one of them. */
	if (only < 0)
		start_watch(link);
	walk(link);
	if (link->way.door || link->present) {
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
	watch_free(link->watch);
	if (link->look)
		g_source_remove(link->look);
	close_way(&link->better);
	replace(link, (struct way){ NULL, NULL });
	if (link->retry)
		g_source_remove(link->retry);
	g_free(link);
}
