/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Folders of this host that may be another machine's, which may be silent. */
#ifndef LODGE_LIB_FOLDER_H
#define LODGE_LIB_FOLDER_H

#include <limits.h>
#include <stddef.h>

struct folder {
	char path[PATH_MAX];
	int fd; /* O_PATH; -1: there is an error. The caller's to close. */
	int error; /* 0, the negative errno of open(2), or -ETIMEDOUT */
};

/* With a copy of @path, or -ENAMETOOLONG as its error. Nothing is opened. */
void folder_init(struct folder *folder, const char *path);
/* Waits for as long as it takes. A "struct folder *", for patience_call(). */
void folder_open(void *folder);
/* Closes what was opened too late. */
void folder_close(void *folder);
/*
 * Opens all @n at once, and waits PATIENCE_MS at most: -ETIMEDOUT for those whose machine has not
 * answered. A folder on which something is mounted needs no answer of it, one below that does.
 */
void folders_open(struct folder *folders, size_t n);

/* Of one that is open: its error, where it may not be read. One whose machine has not answered
 * after PATIENCE_MS is left as it is, and may be closed all the same. */
void folder_check(struct folder *folder);

#endif
