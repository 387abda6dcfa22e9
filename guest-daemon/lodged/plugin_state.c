// SPDX-License-Identifier: GPL-2.0-or-later
// Plug-in state: reset, ping, what these tools can do, and the options that the host sets.
#include <errno.h>
#include <string.h>

#include "guest-daemon/lodged/lodged.h"
#include "guest-daemon/lodged/plugins.h"
#include "protocol/lib/log.h"

#define APP "toolbox"
/* tools.set.versiontype: a version that the host leaves alone, and open-vm-tools' type 3 for what a
 * distribution packages. */
#define VERSION_UNMANAGED "2147483647"
#define TYPE_PACKAGED	  "3"

struct state {
	struct lodged *lodged;
	struct log_ratelimit limit;
};

static int start(struct lodged *lodged, void **ret_state)
{
	struct state *state = g_new0(struct state, 1);

	state->lodged = lodged;
	*ret_state = state;
	return 0;
}

static void run_reset(void *opaque, struct door_command *command, const char *args, size_t len)
{
	static const char atr[] = "OK ATR " APP;
	struct state *state = opaque;

	(void)args;
	(void)len;
	/* The requests below are queued, so that they follow the result. */
	door_command_result(command, atr, sizeof(atr) - 1);
	lodged_ask(state->lodged, NULL, NULL, "vmx.capability.unified_loop " APP);
	lodged_ask(state->lodged, NULL, NULL, "log " APP ": Version: lodged %s", LODGE_VERSION);
	plugins_reset(state->lodged);
}

static void run_ping(void *opaque, struct door_command *command, const char *args, size_t len)
{
	(void)opaque;
	(void)args;
	(void)len;
	door_command_ok(command);
}

static void run_capabilities(void *opaque, struct door_command *command, const char *args,
			     size_t len)
{
	struct state *state = opaque;

	(void)args;
	(void)len;
	plugins_capabilities(state->lodged);
	lodged_ask(state->lodged, NULL, NULL,
		   "tools.set.versiontype " VERSION_UNMANAGED " " TYPE_PACKAGED);
	door_command_ok(command);
}

static void run_set_option(void *opaque, struct door_command *command, const char *args, size_t len)
{
	struct state *state = opaque;
	g_auto(GStrv) words = g_strsplit(args, " ", 2);

	if (memchr(args, '\0', len) || !words[0] || !words[1] ||
	    !plugins_option(state->lodged, words[0], words[1])) {
		log_ratelimited(&state->limit, LOG_LEVEL_DEBUG,
				"the host sets an option that is not known here: %.100s", args);
		door_command_error(command, "Unknown or invalid option");
		return;
	}
	log_debug("option %s", args);
	door_command_ok(command);
}

static const struct plugin_word words[] = {
	{ "reset", run_reset },
	{ "ping", run_ping },
	{ "Capabilities_Register", run_capabilities },
	{ "Set_Option", run_set_option },
	{ NULL, NULL },
};

const struct plugin state_plugin = {
	.name = "state",
	.help = "tells the host that the tools run",
	.words = words,
	.start = start,
	.stop = g_free,
};
