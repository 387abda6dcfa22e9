/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a VM is made of where vm.conf does not say. */
#ifndef LODGE_VMM_CONF_DEFAULTS_H
#define LODGE_VMM_CONF_DEFAULTS_H

#include "host-vmm/conf/vmconf.h"

/* The VM in folder @dir: vm_config_free(). Its kernel is still NULL. */
struct vm_config *vm_config_default(const char *dir);
/* Adds what every VM has that vm.conf, now read, did not forbid: the port of the guest's tools.
 * -EINVAL with *ret_problem (g_free()) where there is no room. */
int vm_config_complete(struct vm_config *config, char **ret_problem);

#endif
