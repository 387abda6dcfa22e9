/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the keys of [memory] say of each other. */
#ifndef LODGE_VMM_CONF_MEMORY_H
#define LODGE_VMM_CONF_MEMORY_H

struct vm_config;

/* -EINVAL where they do not fit: which key is wrong, and why with the remedy (g_free()). */
int vm_config_check_memory(const struct vm_config *config, const char **ret_key,
			   char **ret_problem);

#endif
