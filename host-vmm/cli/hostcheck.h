/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checks a VM's settings against this host, before anything is started for it. */
#ifndef LODGE_VMM_CLI_HOSTCHECK_H
#define LODGE_VMM_CLI_HOSTCHECK_H

#include "host-vmm/conf/vmconf.h"

/*
 * 0, or a negative errno and *ret_message: one line that names the file or figure and the remedy.
 * What passes can still fail later; this is for the words, not for safety.
 */
int host_check(const struct vm_config *config, char **ret_message);

/* Bytes of the host's memory. */
uint64_t host_memory(void);

#endif
