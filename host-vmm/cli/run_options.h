/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the command line of `lodge run` says, checked. */
#ifndef LODGE_VMM_CLI_RUN_OPTIONS_H
#define LODGE_VMM_CLI_RUN_OPTIONS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "host-vmm/cli/vm_options.h"

struct run_options {
	char *name; /* or NULL: one is made up */
	unsigned int cpus;
	uint64_t memory;
	char *kernel, *initrd, *append; /* or NULL */
	char *root; /* absolute */
	char *user; /* or NULL */
	char **env; /* NAME=VALUE each; or NULL */
	char **settings; /* GROUP.KEY=VALUE each, of vm.conf; or NULL */
	bool console;
	bool window; /* a screen, and lodge-view that shows it */
	GArray *disks; /* struct vm_disk; name and serial are NULL */
	GArray *shares; /* struct vm_share */
	char **command; /* borrowed from argv; NULL-terminated, empty: the shell */
};

/* 0, or a status of sysexits.h with the error printed. Free with run_options_clear() either way. */
int run_options_parse(int argc, char **argv, struct run_options *ret_options);
void run_options_clear(struct run_options *options);

#endif
