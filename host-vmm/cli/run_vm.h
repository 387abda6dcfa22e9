/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Makes the folder of an instant VM: its initramfs and its vm.conf. */
#ifndef LODGE_VMM_CLI_RUN_VM_H
#define LODGE_VMM_CLI_RUN_VM_H

#include <stdbool.h>

#include "host-vmm/cli/run_options.h"

/* What the monitor's descriptors are, in an instant VM without a terminal. 0 and 1 are the terminal
 * in one that has it. */
#define RUN_FD_STDIN   3
#define RUN_FD_STDOUT  4
#define RUN_FD_STDERR  5
#define RUN_FD_CONSOLE 6 /* the kernel's messages, with --console */

/*
 * Fills @dir, which exists and is empty; the kernel's messages will go to @kernel_log. Prints
 * errors: 0 or a status of sysexits.h.
 */
int run_vm_make(const struct run_options *options, const char *dir, const char *kernel_log,
		bool terminal);

#endif
