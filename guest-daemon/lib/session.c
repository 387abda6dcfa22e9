// SPDX-License-Identifier: GPL-2.0-or-later
// What users' lodge-sessions say (session.h).
#include "guest-daemon/lib/session.h"

#include <fcntl.h>
#include <glib.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest-daemon/lib/paths.h"
#include "protocol/lib/fd.h"

#define OWNER_KEY  "owner="
#define SERVER_KEY "server="
#define TEXT_BYTES 120

/* The first bytes of @path; false where it is no file of that kind. */
static bool read_text(const char *path, char text[TEXT_BYTES])
{
	/* What a user puts there must not make root wait, or read what is not his. */
	autofd fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct stat about;
	ssize_t got;

	if (fd < 0 || fstat(fd, &about) || !S_ISREG(about.st_mode))
		return false;
	got = read(fd, text, TEXT_BYTES - 1);
	if (got <= 0)
		return false;
	text[got] = '\0';
	return g_str_has_prefix(text, OWNER_KEY);
}

static void make_printable(char *line)
{
	for (char *at = line; *at; at++) {
		if (!g_ascii_isprint(*at) || *at == '"' || *at == '\\')
			*at = '?';
	}
}

void session_each(const char *users, session_fn fn, void *opaque)
{
	g_autoptr(GDir) dir = g_dir_open(users, 0, NULL);
	char text[TEXT_BYTES];
	const char *uid;

	while (dir && (uid = g_dir_read_name(dir))) {
		g_autofree char *path = g_build_filename(users, uid, PATH_SESSION_STATE, NULL);
		g_auto(GStrv) lines = NULL;
		const char *server = "";

		if (!read_text(path, text))
			continue;
		lines = g_strsplit(text, "\n", 3);
		make_printable(lines[0]);
		if (lines[1])
			make_printable(lines[1]);
		if (lines[1] && g_str_has_prefix(lines[1], SERVER_KEY))
			server = lines[1] + strlen(SERVER_KEY);
		fn(opaque, uid, lines[0] + strlen(OWNER_KEY), server);
	}
}
