/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where something stands in a key file: GKeyFile parses it but forgets the lines, and errors must
 * name them.
 *
 * Lines count from 1; 0 means not found. @text need not end in NUL or a newline.
 */
#ifndef LODGE_VMM_CONF_LOCATE_H
#define LODGE_VMM_CONF_LOCATE_H

#include <stddef.h>

/* The line of @key in [@group], or of the group's head where @key is NULL. */
unsigned int conf_locate(const char *text, size_t len, const char *group, const char *key);

/*
 * The first line that is not a comment, group or key=value, is not UTF-8, or repeats a group or a
 * key: its number and, in *ret_what, what is wrong with it (g_free()). 0 if there is none.
 */
unsigned int conf_find_fault(const char *text, size_t len, char **ret_what);

/* @text made fit for a one-line message: control characters as '?', cut at 80 bytes. g_free(). */
char *conf_quote(const char *text);

#endif
