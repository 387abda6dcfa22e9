// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Plug-in display: the text console follows the VM's display, and the host hears who sets the
 * resolution (display.h).
 *
 * Nothing is polled. The kernel says when the display asks for another size (uevents) and which
 * terminal is in the foreground; folders say who opens or closes a card, and what users' sessions
 * tell. A burst of that is one look, which a child takes: drivers may keep it waiting.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <lodge/display.h>

#include "guest-daemon/lib/paths.h"
#include "guest-daemon/lib/uevents.h"
#include "guest-daemon/lodged/display.h"
#include "guest-daemon/lodged/jobs.h"
#include "guest-daemon/lodged/lodged.h"
#include "guest-daemon/lodged/plugins.h"
#include "protocol/lib/fd.h"
#include "protocol/lib/log.h"

#define FACTS_MAX  4096
#define PAUSE_MS   100
#define REPLUG_MS  1500 /* behind the last hot-plug, for who follows after all */
#define RETRY_MS   1000 /* of a look that came to nothing: no other event may come for long */
#define CARDS	   "/dev/dri"
#define FOREGROUND "/sys/class/tty/tty0/active"

struct state {
	struct lodged *lodged;
	struct job *job;
	bool again; /* something happened during the job */
	guint pause, replug;
	bool plugged; /* there was a hot-plug since the last look */
	int uevents, foreground;
	guint sources[2];
	struct watch *watch; /* of cards and sessions; NULL: there could be none */
	char *told; /* what the host has */
	char *why; /* what the log has, so that it is said once */
};

static void mark(struct state *state);

/* Compositors that take a size when a monitor is plugged in, and leave one that changes as it is.
 * Nobody else can set a mode of theirs. */
static const char *const take_new_monitors[] = { "weston", NULL };

/* ---- heads that are to be plugged in anew ---- */

/* Where they have the size that they should, the host does nothing. */
static gboolean on_replug(gpointer opaque)
{
	struct state *state = opaque;

	state->replug = 0;
	lodged_ask(state->lodged, NULL, NULL, LODGE_DISPLAY_REPLUG_WORD);
	return G_SOURCE_REMOVE;
}

static void hear_owner(struct state *state, const char *owner, const char *program)
{
	bool plugged = state->plugged;

	state->plugged = false;
	if (!plugged || g_strcmp0(owner, "program") != 0 || !program ||
	    !g_strv_contains(take_new_monitors, program))
		return;
	if (state->replug)
		g_source_remove(state->replug);
	state->replug = g_timeout_add(REPLUG_MS, on_replug, state);
}

/* ---- a look ---- */

static int look(void *opaque, int out)
{
	struct fields_builder fields = FIELDS_BUILDER(FACTS_MAX);

	display_look(((const struct state *)opaque)->lodged->display, &fields);
	return fields_done(&fields) ? 1 : fd_write_all(out, fields.bytes, fields.len) != 0;
}

static gboolean on_pause(gpointer opaque);

static void done(void *opaque, const char *bytes, size_t len, int error)
{
	struct state *state = opaque;
	bool failed = error || fields_check(bytes, len);

	state->job = NULL;
	if (failed) {
		lodged_log_once(&state->why, "display",
				error == -ETIMEDOUT ? "the display's driver does not answer"
						    : "the display could not be looked at");
	} else {
		lodged_log_once(&state->why, "display", fields_get(bytes, len, "display-why"));
		lodged_tell_facts(state->lodged, &state->told, bytes, len, NULL, NULL);
		hear_owner(state, fields_get(bytes, len, "owner"),
			   fields_get(bytes, len, "program"));
	}
	if (state->again)
		mark(state);
	else if (failed && !state->pause)
		state->pause = g_timeout_add(RETRY_MS, on_pause, state);
}

static gboolean on_pause(gpointer opaque)
{
	struct state *state = opaque;

	state->pause = 0;
	state->again = state->job != NULL;
	if (!state->job)
		state->job =
			job_start(state->lodged->children, look, state, FACTS_MAX, done, state);
	return G_SOURCE_REMOVE;
}

static void mark(struct state *state)
{
	if (!state->pause && state->lodged->display)
		state->pause = g_timeout_add(PAUSE_MS, on_pause, state);
}

/* ---- what makes one ---- */

static bool concerns(void *opaque, const char *name)
{
	(void)opaque;
	return g_str_has_prefix(name, "card") || !strcmp(name, PATH_SESSION_STATE) ||
	       g_ascii_isdigit(*name) || !*name;
}

/* Folders come and go, and are watched once whatever is asked. */
static void watch_folders(struct state *state)
{
	const char *folders = state->lodged->display->users;
	g_autoptr(GDir) users = g_dir_open(folders, 0, NULL);
	const char *uid;

	if (!state->watch)
		return;
	(void)watch_folder(state->watch, CARDS,
			   IN_OPEN | IN_CLOSE | IN_CREATE | IN_DELETE | IN_DELETE_SELF);
	(void)watch_folder(state->watch, folders, IN_CREATE | IN_DELETE);
	while (users && (uid = g_dir_read_name(users))) {
		g_autofree char *folder = g_build_filename(folders, uid, NULL);

		(void)watch_folder(state->watch, folder, IN_MOVED_TO | IN_DELETE);
	}
}

static void on_folders(void *opaque)
{
	watch_folders(opaque);
	mark(opaque);
}

static gboolean on_uevents(gint fd, GIOCondition condition, gpointer opaque)
{
	struct state *state = opaque;

	(void)condition;
	if (uevents_take(fd)) {
		watch_folders(state);
		state->plugged = true;
		mark(state);
	}
	return G_SOURCE_CONTINUE;
}

static gboolean on_foreground(gint fd, GIOCondition condition, gpointer opaque)
{
	char dropped[64];

	(void)condition;
	/* Reading it is what makes sysfs tell of the next change. */
	if (pread(fd, dropped, sizeof(dropped), 0) >= 0)
		mark(opaque);
	return G_SOURCE_CONTINUE;
}

/* ---- the plug-in ---- */

static void listen_all(struct state *state)
{
	char dropped[64];

	state->uevents = uevents_open();
	if (state->uevents >= 0)
		state->sources[0] = g_unix_fd_add(state->uevents, G_IO_IN, on_uevents, state);
	state->foreground = open(FOREGROUND, O_RDONLY | O_CLOEXEC);
	if (state->foreground >= 0 && read(state->foreground, dropped, sizeof(dropped)) >= 0)
		state->sources[1] =
			g_unix_fd_add(state->foreground, G_IO_PRI, on_foreground, state);
	if (watch_new(concerns, on_folders, state, &state->watch))
		state->watch = NULL;
	watch_folders(state);
	mark(state);
}

static int start(struct lodged *lodged, void **ret_state)
{
	struct state *state = g_new0(struct state, 1);

	state->lodged = lodged;
	state->uevents = -1;
	state->foreground = -1;
	if (lodged->display)
		listen_all(state);
	*ret_state = state;
	return 0;
}

static void lost(void *opaque)
{
	struct state *state = opaque;

	g_clear_pointer(&state->told, g_free);
}

static void reset(void *opaque)
{
	struct state *state = opaque;

	lost(state);
	/* It may have missed what was before. */
	state->plugged = true;
	mark(state);
}

static void stop(void *opaque)
{
	struct state *state = opaque;

	for (size_t i = 0; i < G_N_ELEMENTS(state->sources); i++) {
		if (state->sources[i])
			g_source_remove(state->sources[i]);
	}
	fd_close(&state->uevents);
	fd_close(&state->foreground);
	watch_free(state->watch);
	if (state->pause)
		g_source_remove(state->pause);
	if (state->replug)
		g_source_remove(state->replug);
	job_cancel(state->job);
	g_free(state->told);
	g_free(state->why);
	g_free(state);
}

const struct plugin display_plugin = {
	.name = "display",
	.help = "has the text console follow the display, and tells who sets the resolution",
	.start = start,
	.reset = reset,
	.lost = lost,
	.stop = stop,
};
