/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lodge-files: one transfer between the guest's file system and a pipe, as the user that lodged has
 * made of this process.
 *
 * Each function returns 0, or fills in the report and returns -1. Errors of
 * protocol/spec/guest-ops.md.
 */
#ifndef LODGE_GUEST_FILES_H
#define LODGE_GUEST_FILES_H

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

#include "guest-daemon/lib/report.h"

struct put_options {
	mode_t mode; /* of a new file */
	bool has_mtime;
	struct timespec mtime;
};

int file_get(const char *path, int out, struct report *report);
/* Writes a file beside @path and gives it that name when @in has ended. */
int file_put(const char *path, const struct put_options *options, int in, struct report *report);
int tar_get(const char *path, int out, struct report *report);
/* Unpacks below the folder @path; nothing is written elsewhere. @owners: the archive says whose the
 * files are, as far as this user may give them away. */
int tar_put(const char *path, bool owners, int in, struct report *report);

/* Fills in @report with errno and "@what: its text", and returns -1. */
int failed(struct report *report, const char *what);

/* ---- input.c: standard input of a put ---- */

struct input {
	int fd;
	int signals; /* signalfd(2) of SIGHUP and SIGTERM, which lodged sends to end it early */
};

/* Blocks the signals. To be closed, also when it failed. */
int input_open(struct input *input, int fd);
void input_close(struct input *input);
/* As read(2), but a negative errno; -ECANCELED: given up. 0 is the true end alone. */
ssize_t input_read(struct input *input, void *bytes, size_t len);

/* ---- below.c: names below a folder, never through a link ---- */

/*
 * The folder that @name's last part is in, made where it is missing; *ret_last points into @name. A
 * descriptor, or a negative errno: -EPERM for "..", an absolute name, or one through a link.
 */
int below_parent(int root, char *name, const char **ret_last);

/* ---- jail.c ---- */

/* From here on: open descriptors, files of this user, and nothing else. */
int jail_enter(void);

#endif
