// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Plug-in shares: the host's shared folders are at /mnt/lodge as soon as this guest runs.
 *
 * The device is mounted once, with all shares in it; the kernel sees by itself which come and go.
 * What is left to do then are links, and to tell the host how it is. All of it is done by a child,
 * since a file system whose server hangs keeps whoever asks it. Where the kernel has no virtiofs,
 * mount.lodge serves the mount, as another process, which is started again when it has ended.
 */
#include <errno.h>
#include <string.h>

#include <lodge/fs_stream.h>

#include "guest-daemon/lib/mounts.h"
#include "guest-daemon/lodged/jobs.h"
#include "guest-daemon/lodged/lodged.h"
#include "guest-daemon/lodged/plugins.h"
#include "guest-daemon/lodged/share_server.h"
#include "guest-daemon/lodged/shares.h"
#include "protocol/lib/fd.h"
#include "protocol/lib/log.h"

#define FACTS_MAX	 8192
#define PATIENCE_S	 3 /* for a look, before the host is told that it hangs */
#define RETRY_FIRST_MS	 200
#define RETRY_LONGEST_MS 60000
#define NO_ANSWER	 "the file server of the host does not answer"

struct state {
	struct lodged *lodged;
	struct job *job;
	bool again; /* look once more when the job is done */
	guint patience;
	struct share_server *server; /* where the kernel has no virtiofs */
	char *failed; /* why it does not serve; NULL: it does, or has not tried */
	guint retry;
	guint retry_ms;
	char *told; /* what the host knows */
	char *why; /* what the log has, so that it is said once */
};

static void start_look(struct state *state);

static void tell_host(struct state *state, const char *fields, size_t len)
{
	lodged_tell_facts(state->lodged, &state->told, fields, len, NULL, NULL);
}

static void report_failure(struct state *state, const char *why)
{
	struct fields_builder fields = FIELDS_BUILDER(FACTS_MAX);

	lodged_log_once(&state->why, "shares", why);
	fields_add(&fields, "part", "shares");
	fields_add(&fields, "why", why);
	if (!fields_done(&fields))
		tell_host(state, fields.bytes, fields.len);
	fields_free(&fields);
}

static gboolean on_patience(gpointer opaque)
{
	struct state *state = opaque;

	state->patience = 0;
	report_failure(state, NO_ANSWER);
	return G_SOURCE_REMOVE;
}

/* @path, absolute, without empty parts and "."; NULL if it has "..". As mountinfo spells it, and
 * with the GLib of old guests. g_free() */
static char *tidy_path(const char *path)
{
	g_auto(GStrv) parts = g_strsplit(path, "/", -1);
	g_autoptr(GString) tidy = g_string_new(NULL);

	for (char **part = parts; *part; part++) {
		if (!strcmp(*part, ".."))
			return NULL;
		if (**part && strcmp(*part, ".") != 0)
			g_string_append_printf(tidy, "/%s", *part);
	}
	return tidy->len ? g_string_free(g_steal_pointer(&tidy), FALSE) : g_strdup("/");
}

/* shares.mount: a path, or nothing for "not at all". g_free() */
static char *read_place(struct state *state)
{
	g_autofree char *place = conf_string(state->lodged->conf, "shares", "mount");
	char *tidy;

	if (!place)
		return g_strdup(SHARES_PLACE);
	if (!*place)
		return NULL;
	tidy = g_path_is_absolute(place) ? tidy_path(place) : NULL;
	if (tidy)
		return tidy;
	log_warn("tools.conf: shares.mount is a path that begins with / and has no '..', not '%s'",
		 place);
	return g_strdup(SHARES_PLACE);
}

static void tell(struct state *state, const char *bytes, size_t len)
{
	g_clear_pointer(&state->failed, g_free);
	lodged_log_once(&state->why, "shares", fields_get(bytes, len, "why"));
	tell_host(state, bytes, len);
}

static gboolean on_retry(gpointer opaque)
{
	struct state *state = opaque;

	state->retry = 0;
	start_look(state);
	return G_SOURCE_REMOVE;
}

/* ---- where mount.lodge has them mounted ---- */

static void mounted(void *opaque)
{
	struct state *state = opaque;

	state->retry_ms = 0;
	start_look(state);
}

/* Whatever it was: it is tried again, sooner for one that worked. */
static void ended(void *opaque, const char *why)
{
	struct state *state = opaque;

	if (why) {
		g_free(state->failed);
		state->failed = g_strdup(why);
		report_failure(state, why);
	}
	state->retry_ms = CLAMP(state->retry_ms * 2, RETRY_FIRST_MS, RETRY_LONGEST_MS);
	if (!state->retry)
		state->retry = g_timeout_add(state->retry_ms, on_retry, state);
}

static void serve(struct state *state, enum shares_next next)
{
	g_autofree char *place = read_place(state);

	if (place && !share_server_busy(state->server))
		share_server_start(state->server,
				   next == SHARES_BY_LODGE_FS ? SHARE_WAY_LODGE_FS : SHARE_WAY_RPC,
				   place);
}

/* The first byte is what is left to do, the rest are fields. */
static void take(struct state *state, const char *bytes, size_t len)
{
	enum shares_next next = (enum shares_next) * bytes++;

	len--;
	if (next != SHARES_NOTHING) {
		serve(state, next);
		/* What becomes of that is told then. */
		if (!state->failed)
			return;
		report_failure(state, state->failed);
		return;
	}
	share_server_watch(state->server, shares_system.node);
	tell(state, bytes, len);
}

static void done(void *opaque, const char *bytes, size_t len, int error)
{
	struct state *state = opaque;

	state->job = NULL;
	if (state->patience)
		g_source_remove(state->patience);
	state->patience = 0;
	if (error == -ETIMEDOUT)
		report_failure(state, NO_ANSWER);
	else if (error || !len || fields_check(bytes + 1, len - 1))
		report_failure(state, "they could not be looked at");
	else
		take(state, bytes, len);
	if (state->again)
		start_look(state);
}

static int look(void *opaque, int out)
{
	const struct shares_wish *wish = opaque;
	struct fields_builder fields = FIELDS_BUILDER(FACTS_MAX);

	char next;

	/* Where it may not, mounting says so. */
	(void)shares_leave_namespace();
	next = (char)shares_look(&shares_system, wish, &fields);
	return fields_done(&fields) || fd_write_all(out, &next, 1) ||
	       fd_write_all(out, fields.bytes, fields.len);
}

/* No child for nothing. */
static void look_here(struct state *state, const struct shares_wish *wish)
{
	struct fields_builder fields = FIELDS_BUILDER(FACTS_MAX);

	/* Without a device there is nothing to serve. */
	(void)shares_look(&shares_system, wish, &fields);
	if (!fields_done(&fields))
		tell(state, fields.bytes, fields.len);
	fields_free(&fields);
}

static bool wants_link(struct state *state, const char *name)
{
	g_autofree char *text = conf_string(state->lodged->conf, "shares", "links");
	g_auto(GStrv) names = g_strsplit_set(text ? text : "", ",; ", -1);

	return g_strv_contains((const char *const *)names, name);
}

static void start_look(struct state *state)
{
	g_autofree char *place = NULL;
	struct shares_wish wish;

	state->again = state->job;
	if (state->job)
		return;
	place = read_place(state);
	wish = (struct shares_wish){ place, wants_link(state, "hgfs"), wants_link(state, "sf") };
	if (!shares_may_hang(&shares_system)) {
		look_here(state, &wish);
		return;
	}
	state->patience = g_timeout_add_seconds(PATIENCE_S, on_patience, state);
	state->job = job_start(state->lodged->children, look, &wish, FACTS_MAX, done, state);
}

static const struct share_server_events events = { mounted, ended };

static int start(struct lodged *lodged, void **ret_state)
{
	struct state *state = g_new0(struct state, 1);

	state->lodged = lodged;
	state->server = share_server_new(lodged, &events, state);
	*ret_state = state;
	start_look(state);
	return 0;
}

/* The host knows nothing of it, and the guest may have slept. */
static void reset(void *opaque)
{
	struct state *state = opaque;

	g_clear_pointer(&state->told, g_free);
	state->retry_ms = 0;
	start_look(state);
}

static void reconfigure(void *opaque)
{
	start_look(opaque);
}

static void lost(void *opaque)
{
	struct state *state = opaque;

	share_server_lost(state->server);
	g_clear_pointer(&state->told, g_free);
}

/* The host has added shares, or taken some away. */
static void run_shares(void *opaque, struct door_command *command, const char *args, size_t len)
{
	(void)args;
	(void)len;
	start_look(opaque);
	door_command_ok(command);
}

static void run_messages(void *opaque, struct door_command *command, const char *args, size_t len)
{
	struct state *state = opaque;

	share_server_command(state->server, command, args, len);
}

static void stop(void *opaque)
{
	struct state *state = opaque;

	if (state->retry)
		g_source_remove(state->retry);
	share_server_free(state->server);
	g_free(state->failed);
	if (state->patience)
		g_source_remove(state->patience);
	job_cancel(state->job);
	g_free(state->told);
	g_free(state->why);
	g_free(state);
}

static const struct plugin_word words[] = {
	{ "lodge.shares", run_shares },
	{ LODGE_FS_STREAM_WORD, run_messages },
	{ NULL, NULL },
};

const struct plugin shares_plugin = {
	.name = "shares",
	.help = "mounts the host's shared folders",
	.words = words,
	.start = start,
	.reset = reset,
	.reconfigure = reconfigure,
	.lost = lost,
	.stop = stop,
};
