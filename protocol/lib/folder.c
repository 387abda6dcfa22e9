// SPDX-License-Identifier: GPL-2.0-or-later
/* Opening folders, and asking whether they may be read, with patience. */
#include "protocol/lib/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "protocol/lib/fd.h"
#include "protocol/lib/patience.h"

void folder_init(struct folder *folder, const char *path)
{
	size_t len = strlen(path);

	folder->fd = -1;
	folder->error = len < sizeof(folder->path) ? 0 : -ENAMETOOLONG;
	memcpy(folder->path, path, folder->error ? 0 : len + 1);
}

void folder_open(void *item)
{
	struct folder *folder = item;

	if (folder->error)
		return;
	folder->fd = open(folder->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	folder->error = folder->fd < 0 ? -errno : 0;
}

void folder_close(void *item)
{
	struct folder *folder = item;

	fd_close(&folder->fd);
}

void folders_open(struct folder *folders, size_t n)
{
	const struct patience how = { folder_open, folder_close, sizeof(*folders), PATIENCE_MS };
	bool *done = calloc(n ? n : 1, sizeof(*done));

	if (done)
		patience_call(&how, folders, n, done);
	for (size_t i = 0; i < n; i++) {
		if (!done)
			folder_open(&folders[i]);
		else if (!done[i])
			folders[i].error = -ETIMEDOUT;
	}
	free(done);
}

struct check {
	int fd;
	int error;
};

static void check(void *item)
{
	struct check *check = item;

	check->error = faccessat(check->fd, ".", R_OK | X_OK, AT_EACCESS) ? -errno : 0;
}

void folder_check(struct folder *folder)
{
	const struct patience how = { check, NULL, sizeof(struct check), PATIENCE_MS };
	struct check item = { .fd = folder->fd };
	bool done;

	if (folder->fd < 0)
		return;
	patience_call(&how, &item, 1, &done);
	if (done)
		folder->error = item.error;
}
