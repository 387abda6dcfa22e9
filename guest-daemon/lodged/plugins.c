// SPDX-License-Identifier: GPL-2.0-or-later
// The table of plug-ins, and who gets what the host says.
#include <string.h>

#include "guest-daemon/lodged/lodged.h"
#include "guest-daemon/lodged/plugins.h"
#include "protocol/lib/log.h"

/* Started in this order, stopped backward. */
const struct plugin *const plugins[] = {
	&state_plugin,	       &facts_plugin,	&guestinfo_plugin, &power_plugin,
	&exec_plugin,	       &files_plugin,	&procs_plugin,	   &shares_plugin,
	&share_changes_plugin, &display_plugin, &memory_plugin,	   &time_plugin,
};
const size_t n_plugins = G_N_ELEMENTS(plugins);

int plugins_start(struct lodged *lodged)
{
	lodged->states = g_new0(void *, n_plugins);
	for (size_t i = 0; i < n_plugins; i++) {
		int ret = plugins[i]->start(lodged, &lodged->states[i]);

		if (ret) {
			log_error("plug-in %s: %s", plugins[i]->name, g_strerror(-ret));
			return ret;
		}
	}
	return 0;
}

void plugins_stop(struct lodged *lodged)
{
	if (!lodged->states)
		return;
	for (size_t i = n_plugins; i-- > 0;) {
		if (plugins[i]->stop && lodged->states[i])
			plugins[i]->stop(lodged->states[i]);
	}
	g_free(lodged->states);
	lodged->states = NULL;
}

void plugins_command(struct lodged *lodged, struct door_command *command, const char *word,
		     const char *args, size_t len)
{
	for (size_t i = 0; i < n_plugins; i++) {
		const struct plugin_word *row = plugins[i]->words;

		for (; row && row->word; row++) {
			if (!strcmp(row->word, word)) {
				row->run(lodged->states[i], command, args, len);
				return;
			}
		}
	}
	door_command_error(command, "Unknown Command");
}

bool plugins_option(struct lodged *lodged, const char *name, const char *value)
{
	for (size_t i = 0; i < n_plugins; i++) {
		if (plugins[i]->options && g_strv_contains(plugins[i]->options, name))
			return plugins[i]->option(lodged->states[i], name, value);
	}
	return false;
}

#define EACH(callback)                                                   \
	do {                                                             \
		for (size_t i = 0; i < n_plugins; i++) {                 \
			if (plugins[i]->callback && lodged->states)      \
				plugins[i]->callback(lodged->states[i]); \
		}                                                        \
	} while (0)

void plugins_reset(struct lodged *lodged)
{
	EACH(reset);
}

void plugins_capabilities(struct lodged *lodged)
{
	EACH(capabilities);
}

void plugins_reconfigure(struct lodged *lodged)
{
	EACH(reconfigure);
}

void plugins_lost(struct lodged *lodged)
{
	EACH(lost);
}

void plugins_status(struct lodged *lodged, struct fields_builder *out)
{
	for (size_t i = 0; i < n_plugins; i++) {
		if (plugins[i]->status && lodged->states)
			plugins[i]->status(lodged->states[i], out);
	}
}
