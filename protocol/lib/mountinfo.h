/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is mounted where, as /proc/self/mountinfo has it (proc(5)). */
#ifndef LODGE_LIB_MOUNTINFO_H
#define LODGE_LIB_MOUNTINFO_H

#include <limits.h>
#include <stdbool.h>

struct mount_line {
	char device[24]; /* "MAJOR:MINOR" */
	char root[PATH_MAX]; /* the folder of the file system that is seen */
	char point[PATH_MAX];
	char type[64];
	char source[256]; /* what fits of it; may be empty */
};

/* The next line of @at, which moves behind it; lines that are cut off or have too long words are
 * left out. False at the end. */
bool mountinfo_next(const char **at, struct mount_line *ret_line);

#endif
