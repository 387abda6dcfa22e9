/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Groups of vm.conf with a name: each function checks the name and appends an element to @config,
 * which it returns. NULL where the name will not do or there are too many; then *ret_problem says
 * what is wrong and what helps, g_free().
 */
#ifndef LODGE_VMM_CONF_GROUPS_H
#define LODGE_VMM_CONF_GROUPS_H

struct vm_config;

void *group_add_disk(struct vm_config *config, const char *name, char **ret_problem);
void *group_add_share(struct vm_config *config, const char *name, char **ret_problem);
void *group_add_fs(struct vm_config *config, const char *tag, char **ret_problem);
void *group_add_port(struct vm_config *config, const char *name, char **ret_problem);

#endif
