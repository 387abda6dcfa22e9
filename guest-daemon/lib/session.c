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
#define LINE_BYTES 80

/* The first line of @path without its end; false where it is no file of that kind. */
static bool read_line(const char *path, char line[LINE_BYTES])
{
	/* What a user puts there must not make root wait, or read what is not his. */
	autofd fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct stat about;
	ssize_t got;

	if (fd < 0 || fstat(fd, &about) || !S_ISREG(about.st_mode))
		return false;
	got = read(fd, line, LINE_BYTES - 1);
	if (got <= 0)
		return false;
	line[got] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return g_str_has_prefix(line, OWNER_KEY);
}

void session_each(const char *users, session_fn fn, void *opaque)
{
	g_autoptr(GDir) dir = g_dir_open(users, 0, NULL);
	char line[LINE_BYTES];
	const char *uid;

	while (dir && (uid = g_dir_read_name(dir))) {
		g_autofree char *path = g_build_filename(users, uid, PATH_SESSION_STATE, NULL);

		if (!read_line(path, line))
			continue;
		for (char *at = line; *at; at++) {
			if (!g_ascii_isprint(*at) || *at == '"' || *at == '\\')
				*at = '?';
		}
		fn(opaque, uid, line + strlen(OWNER_KEY));
	}
}
