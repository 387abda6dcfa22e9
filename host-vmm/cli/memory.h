/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `lodge set` of how much memory a guest has: its short words, and the VM that runs. */
#ifndef LODGE_VMM_CLI_MEMORY_H
#define LODGE_VMM_CLI_MEMORY_H

#include <stdbool.h>

struct vm;

/*
 * @changes (NULL-terminated) with memory=off|auto|SIZE in full: memory.mode=..., and
 * memory.target=... for a size. g_strfreev().
 */
char **memory_expand(char **changes);
/* Whether a VM that runs can have @change at once. */
bool memory_is_live(const char *change);
/* Tells the VM that runs what its vm.conf, whose text this is, says. Prints the error: 0 or a
 * status. */
int memory_apply(const struct vm *vm, const char *text, unsigned long len);

#endif
