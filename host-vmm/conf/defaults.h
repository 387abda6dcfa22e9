/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a VM is made of where vm.conf does not say. */
#ifndef LODGE_VMM_CONF_DEFAULTS_H
#define LODGE_VMM_CONF_DEFAULTS_H

#include "host-vmm/conf/vmconf.h"

/* The VM in folder @dir: vm_config_free(). Its kernel is still NULL. */
struct vm_config *vm_config_default(const char *dir);

#endif
