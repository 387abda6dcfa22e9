// SPDX-License-Identifier: GPL-2.0-or-later
// Plug-in share-changes: what the host changes in shares is seen at once.
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "guest-daemon/lodged/jobs.h"
#include "guest-daemon/lodged/lodged.h"
#include "guest-daemon/lodged/plugins.h"
#include "guest-daemon/lodged/share_changes.h"
#include "protocol/lib/fs_change.h"
#include "protocol/lib/log.h"

struct changes {
	struct lodged *lodged;
	enum share_changes rung; /* of the last batch; 0: none came */
	struct job *job; /* NULL: none runs */
	struct door_command *command; /* that it answers */
	const char *batch; /* for the child alone */
	size_t len;
	struct log_ratelimit limit;
};

static int start(struct lodged *lodged, void **ret_state)
{
	struct changes *changes = g_new0(struct changes, 1);

	changes->lodged = lodged;
	*ret_state = changes;
	return 0;
}

/* In the child. */
static int apply(void *opaque, int out)
{
	const struct changes *changes = opaque;
	char rung = (char)share_changes_apply(changes->batch, changes->len, "/proc/self/mountinfo",
					      LODGE_FS_EVENTS_PATH);

	return write(out, &rung, 1) == 1 ? 0 : 1;
}

static void tell_rung(struct changes *changes, enum share_changes rung)
{
	if (rung == changes->rung)
		return;
	changes->rung = rung;
	if (rung == SHARE_CHANGES_ASKED)
		log_info("changes of shares by the host are seen at once; inotify does not tell "
			 "of them without the module lodge_fs");
	else if (rung == SHARE_CHANGES_RAISED)
		log_info("changes of shares by the host are seen at once, also by inotify");
}

static void applied(void *opaque, const char *bytes, size_t len, int error)
{
	struct changes *changes = opaque;
	struct door_command *command = changes->command;

	changes->job = NULL;
	changes->command = NULL;
	if (error)
		log_ratelimited(&changes->limit, LOG_LEVEL_WARN,
				"changes of shares by the host could not be applied: %s",
				g_strerror(-error));
	else if (len == 1)
		tell_rung(changes, (enum share_changes)bytes[0]);
	door_command_ok(command);
}

static void give_up(struct changes *changes)
{
	struct door_command *command = changes->command;

	job_cancel(changes->job);
	changes->job = NULL;
	changes->command = NULL;
	if (command)
		door_command_ok(command);
}

static void run_changed(void *opaque, struct door_command *command, const char *args, size_t len)
{
	struct changes *changes = opaque;

	if (fs_change_check(args, len)) {
		log_ratelimited(&changes->limit, LOG_LEVEL_WARN,
				"the host tells of changes in a way that makes no sense");
		door_command_ok(command);
		return;
	}
	/* The host waits for the result of one before it sends the next. */
	give_up(changes);
	changes->command = command;
	changes->batch = args;
	changes->len = len;
	changes->job = job_start(changes->lodged->children, apply, changes, 1, applied, changes);
}

static void lost(void *opaque)
{
	give_up(opaque);
}

static void stop(void *opaque)
{
	give_up(opaque);
	g_free(opaque);
}

static const struct plugin_word words[] = {
	{ LODGE_FS_NOTIFY_WORD, run_changed },
	{ NULL, NULL },
};

const struct plugin share_changes_plugin = {
	.name = "share-changes",
	.help = "what the host changes in shares is seen at once",
	.words = words,
	.start = start,
	.lost = lost,
	.stop = stop,
};
