// SPDX-License-Identifier: GPL-2.0-or-later
// How the toolbox gets to the host: a session of its own where the door has many, else lodged's.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest-daemon/toolbox/toolbox.h"

/* The port has one session, which is lodged's while it runs; without it the port is free. */
static const enum door_kind order[] = { DOOR_DEV, DOOR_DAEMON, DOOR_PORT, DOOR_IOPORTS };

static int try_door(const struct toolbox *toolbox, enum door_kind kind, struct door **ret_door)
{
	const struct door_config config = { .app = "cli",
					    .version = "lodge-toolbox " LODGE_VERSION,
					    .path = toolbox->door_path };
	struct door *door;
	int ret = door_open(kind, &config, &door);

	if (ret)
		return ret;
	ret = door_wait_ready(door, ASK_MS);
	if (ret) {
		door_close(door);
		return ret;
	}
	*ret_door = door;
	return 0;
}

int toolbox_open(const struct toolbox *toolbox, struct door **ret_door, char **ret_why)
{
	GString *why = g_string_new(NULL);
	int ret = -ENODEV;

	for (size_t i = 0; i < G_N_ELEMENTS(order) && ret; i++) {
		if (toolbox->only >= 0 && (enum door_kind)toolbox->only != order[i])
			continue;
		ret = try_door(toolbox, order[i], ret_door);
		if (ret)
			g_string_append_printf(why, "%s: %s\n", door_name(order[i]),
					       door_why(order[i], ret));
	}
	if (ret_why)
		*ret_why = g_string_free(why, FALSE);
	else
		g_string_free(why, TRUE);
	return ret ? -ENODEV : 0;
}

int toolbox_ask(const struct toolbox *toolbox, const void *message, size_t len,
		struct door_answer *ret_answer)
{
	struct door *door;
	int ret = toolbox_open(toolbox, &door, NULL);

	if (ret)
		return ret;
	ret = door_ask(door, message, len, ASK_MS, ret_answer);
	door_close(door);
	return ret;
}

int toolbox_no_host(const struct toolbox *toolbox, int error)
{
	g_autofree char *why = NULL;
	struct door *door;

	if (error != -ENODEV)
		return complain(toolbox, EX_TEMPFAIL, "the host does not answer: %s",
				strerror(-error));
	if (!toolbox_open(toolbox, &door, &why)) {
		door_close(door);
		return complain(toolbox, EX_TEMPFAIL, "the host did not answer; try again");
	}
	return complain(toolbox, EX_UNAVAILABLE, "no way to the host:\n%s", g_strchomp(why));
}
