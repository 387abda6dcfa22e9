// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who sets the display's resolution (display.h).
 *
 * The one that is DRM master does. The kernel names it to root alone, in debugfs, which a kernel
 * may be locked against; then whoever has the card open, while the terminal in the foreground is
 * one for pictures, is taken for it. The card itself is never opened: that would make a master.
 */
#include <glib.h>
#include <stdio.h>
#include <string.h>

#include "guest-daemon/lib/session.h"
#include "guest-daemon/lodged/display.h"

/* They hold cards for others. */
static const char *const brokers[] = { "systemd-logind", "elogind-daemon", "elogind",
				       "seatd",		 "weston-launch",  NULL };
/* Linux drivers/gpu/drm/drm_debugfs.c */
#define COMMAND_WIDTH 20

static const char *const x_servers[] = { "Xorg", "X", NULL };

/* A row of debugfs' clients: the command, right of 20 columns, pid, device, whether it is master,
 * and more. */
static bool read_master(const char *row, char name[64])
{
	g_autofree char *command = NULL;
	char master = 'n';

	if (strlen(row) <= COMMAND_WIDTH ||
	    sscanf(row + COMMAND_WIDTH, "%*d %*d %c", &master) != 1 || master != 'y')
		return false;
	command = g_strndup(row, COMMAND_WIDTH);
	g_strlcpy(name, g_strstrip(command), 64);
	return true;
}

/* False: the kernel does not say. An empty name: there is none. */
static bool kernel_says(const struct display_system *system, unsigned int card, char name[64])
{
	g_autofree char *path =
		g_strdup_printf("%s/kernel/debug/dri/%u/clients", system->sys, card);
	g_autofree char *text = NULL;
	g_auto(GStrv) rows = NULL;

	name[0] = '\0';
	if (!g_file_get_contents(path, &text, NULL, NULL))
		return false;
	rows = g_strsplit(text, "\n", -1);
	for (char **row = rows; *row; row++) {
		if (read_master(*row, name))
			break;
	}
	return true;
}

static bool has_open(const char *fds, const char *node)
{
	g_autoptr(GDir) dir = g_dir_open(fds, 0, NULL);
	bool found = false;
	const char *name;

	while (dir && !found && (name = g_dir_read_name(dir))) {
		g_autofree char *path = g_build_filename(fds, name, NULL);
		g_autofree char *target = g_file_read_link(path, NULL);

		found = !g_strcmp0(target, node);
	}
	return found;
}

/* Of those that have the card open, the one that was started last. */
static void find_holder(const struct display_system *system, unsigned int card, char name[64])
{
	g_autofree char *node = g_strdup_printf("%s/dri/card%u", system->dev, card);
	g_autoptr(GDir) dir = g_dir_open(system->proc, 0, NULL);
	guint64 pid, last = 0;
	const char *entry;

	name[0] = '\0';
	while (dir && (entry = g_dir_read_name(dir))) {
		g_autofree char *fds = g_build_filename(system->proc, entry, "fd", NULL);
		g_autofree char *path = g_build_filename(system->proc, entry, "comm", NULL);
		g_autofree char *comm = NULL;

		pid = g_ascii_strtoull(entry, NULL, 10);
		if (pid <= last || !has_open(fds, node) ||
		    !g_file_get_contents(path, &comm, NULL, NULL))
			continue;
		g_strchomp(comm);
		if (g_strv_contains(brokers, comm))
			continue;
		g_strlcpy(name, comm, 64);
		last = pid;
	}
}

/*
 * What the sessions' tools say; of several, one that has set a mode counts most. A Wayland
 * compositor that none sets modes of sets its own.
 */
static void hear_session(void *opaque, const char *uid, const char *said, const char *server)
{
	struct display_owner *owner = opaque;
	bool x = g_strv_contains(x_servers, owner->program);

	(void)uid;
	if (x ? *server : strcmp(server, owner->program) != 0)
		return; /* of a session that has not the screen */
	if (!strcmp(said, "lodge-session"))
		owner->owner = "lodge-session";
	else if (!strcmp(said, "another program") && strcmp(owner->owner, "lodge-session") != 0)
		owner->owner = "program";
	else if (!strcmp(said, "nobody") && !strcmp(owner->owner, "unknown"))
		owner->owner = "nobody";
}

void display_find_owner(const struct display_system *system, unsigned int card,
			struct display_owner *ret_owner)
{
	bool text = system->is_text(system->dev), known;

	*ret_owner = (struct display_owner){ .owner = "console" };
	known = kernel_says(system, card, ret_owner->program);
	/* Before Linux 6.8 the kernel names who opened the card. */
	if (known ? g_strv_contains(brokers, ret_owner->program) : !text)
		find_holder(system, card, ret_owner->program);
	if (!ret_owner->program[0]) {
		ret_owner->owner = text ? "console" : "nobody";
		return;
	}
	/* An X server sets what its clients ask for. */
	ret_owner->owner = g_strv_contains(x_servers, ret_owner->program) ? "unknown" : "program";
	session_each(system->users, hear_session, ret_owner);
}
