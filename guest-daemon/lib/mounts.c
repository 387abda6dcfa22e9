// SPDX-License-Identifier: GPL-2.0-or-later
// Where the host's shares are among this guest's mounts.
#include "guest-daemon/lib/mounts.h"

#include <stdlib.h>
#include <string.h>

static bool find(const char *text, const char *point, struct mount_line *ret_line)
{
	struct mount_line *line = malloc(sizeof(*line));
	bool found = false;

	while (line && mountinfo_next(&text, line)) {
		if (point ? strcmp(line->point, point) != 0
			  : !mounts_is_share(line) || strcmp(line->root, "/") != 0 ||
				    !strncmp(line->point, SHARES_WHOLE, strlen(SHARES_WHOLE)))
			continue;
		*ret_line = *line;
		found = true;
	}
	free(line);
	return found;
}

bool mounts_is_share(const struct mount_line *line)
{
	return !strcmp(line->source, SHARES_TAG) && mounts_transport(line->type);
}

bool mounts_find_shares(const char *text, struct mount_line *ret_line)
{
	return find(text, NULL, ret_line);
}

bool mounts_find_point(const char *text, const char *point, struct mount_line *ret_line)
{
	return find(text, point, ret_line);
}

const struct share_transport *mounts_transport(const char *type)
{
	static const struct share_transport transports[] = {
		{ "virtiofs", "virtiofs", 1, "virtiofs, all shares at one place; see: share", "" },
		{ "fuse.lodge", "lodge_fs", 2,
		  "mount.lodge and the module lodge_fs, all shares at one place; see: share", "" },
		{ "fuse.lodge-rpc", "rpc", 1,
		  "mount.lodge and messages over the door above, slow; see: share",
		  "the module lodge_fs, or a kernel with virtiofs" },
	};

	for (size_t i = 0; i < sizeof(transports) / sizeof(transports[0]); i++) {
		if (!strcmp(type, transports[i].type))
			return &transports[i];
	}
	return NULL;
}
