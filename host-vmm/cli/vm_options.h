/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options that say what a VM is made of: one table for `lodge create` and `lodge run`. */
#ifndef LODGE_VMM_CLI_VM_OPTIONS_H
#define LODGE_VMM_CLI_VM_OPTIONS_H

#include <glib.h>

#include "host-vmm/conf/vmconf.h"

/* As they were typed; NULL: not given. */
struct vm_options {
	char *cpus, *memory, *kernel, *initrd, *append;
	char **disks, **shares;
};

#define VM_OPTIONS 7

/* Their rows, to stand before a verb's own; they fill @options. */
void vm_options_entries(struct vm_options *options, GOptionEntry entries[VM_OPTIONS]);
void vm_options_clear(struct vm_options *options);

/* "NAME=PATH[:ro]" and "FILE[:ro][:direct]": -EINVAL and *ret_message where malformed. The fields
 * are g_free()d by the caller. */
int vm_options_parse_share(const char *text, struct vm_share *ret_share, char **ret_message);
int vm_options_parse_disk(const char *text, struct vm_disk *ret_disk, char **ret_message);
/* -EINVAL and *ret_message for what vm.conf cannot hold. */
int vm_options_check_path(const char *path, char **ret_message);

#endif
