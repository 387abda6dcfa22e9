// SPDX-License-Identifier: GPL-2.0-or-later
// The file in which lodge-session says who sets the resolution (state.h).
#include "guest-daemon/session/state.h"

#include <glib.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "guest-daemon/lib/paths.h"
#include "protocol/lib/log.h"

static const char *const owners[] = {
	[FOLLOW_NOBODY] = "nobody",
	[FOLLOW_US] = "lodge-session",
	[FOLLOW_OTHERS] = "another program",
};

static char *state_path(void)
{
	const char *folder = g_getenv("XDG_RUNTIME_DIR");

	return folder && *folder ? g_build_filename(folder, PATH_SESSION_STATE, NULL) : NULL;
}

char *state_text(struct desktop *desktop, const struct follower *follower,
		 const struct follow_output *outputs, size_t n)
{
	GString *text = g_string_new(NULL);

	g_string_append_printf(text, "owner=%s\n", owners[follower->owner]);
	if (desktop->server[0])
		g_string_append_printf(text, "server=%s\n", desktop->server);
	for (size_t i = 0; i < n; i++) {
		char *name = desktop->ops->output_name(desktop, outputs[i].id);

		g_string_append_printf(
			text, "output=%s %" PRIu32 "x%" PRIu32 " %" PRIu32 "x%" PRIu32 "\n",
			name ? name : "?", outputs[i].now.width, outputs[i].now.height,
			outputs[i].wanted.width, outputs[i].wanted.height);
		free(name);
	}
	return g_string_free(text, FALSE);
}

void state_write(const char *text)
{
	g_autofree char *path = state_path();
	g_autoptr(GError) error = NULL;

	if (path && !g_file_set_contents(path, text, -1, &error))
		log_debug("%s", error->message);
}

void state_remove(void)
{
	g_autofree char *path = state_path();

	if (path)
		unlink(path);
}
