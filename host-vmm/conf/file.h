/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A VM's vm.conf as a file: read whole within its limit, and replaced at once or not at all. */
#ifndef LODGE_VMM_CONF_FILE_H
#define LODGE_VMM_CONF_FILE_H

#include <stddef.h>

/* Waits for all others that change the vm.conf in the folder @dir: for reading, changing and
 * writing it as one step. A descriptor whose close ends it (flock(2)), or a negative errno. */
int conf_file_lock(const char *dir, char **ret_message);
/* All set *ret_message to one line (g_free()) on an error. *ret_text ends in NUL. */
int conf_file_read(const char *path, char **ret_text, size_t *ret_len, char **ret_message);
int conf_file_write(const char *path, const char *text, size_t len, char **ret_message);

#endif
