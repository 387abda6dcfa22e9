/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The end of a log file, for people. What a guest wrote is made harmless for a terminal. */
#ifndef LODGE_VMM_CLI_TAIL_H
#define LODGE_VMM_CLI_TAIL_H

#include <stdio.h>

/* Prints the last @lines lines; nothing where the file is missing or empty. */
void tail_print(const char *path, unsigned int lines, FILE *to);
/* What follows the last (or first) @mark, to the line's end; NULL where there is none. g_free(). */
char *tail_find(const char *path, const char *mark);
char *tail_find_first(const char *path, const char *mark);

#endif
