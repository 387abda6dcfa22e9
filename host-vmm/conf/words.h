/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Words of vm.conf that its reader and the command share; see vmconf.h for the grammar. */
#ifndef LODGE_VMM_CONF_WORDS_H
#define LODGE_VMM_CONF_WORDS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* The shortest text that vm_parse_size() reads back as @bytes: "1536M". g_free(). */
char *vm_format_size(uint64_t bytes);

/* Which of @words, of which NULL is the end, @text is. -EINVAL for none of them. */
int vm_find_word(const char *text, const char *const *words);

/* yes, true, on, 1 and their opposites. -EINVAL for anything else. */
int vm_parse_flag(const char *text, bool *ret_flag);

/* Checks a BACKEND and makes its path absolute, from @dir. -EINVAL if it is none. g_free(). */
int vm_normalise_backend(const char *dir, const char *text, char **ret_backend);

/* A key's value, without white space at the end of its line, but for what is written as \s there.
 * NULL where a \ stands before something else. g_free(). */
char *vm_get_text(GKeyFile *file, const char *group, const char *key);
/* Sets a key so that vm_get_text() gives back @value as it is, blanks at its end too. */
void vm_set_text(GKeyFile *file, const char *group, const char *key, const char *value);

#endif
