/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Builds the initramfs of an instant VM: lodge-init, kernel modules, run.conf. */
#ifndef LODGE_VMM_CLI_INITRAMFS_H
#define LODGE_VMM_CLI_INITRAMFS_H

#include <glib.h>
#include <stdbool.h>

#include "host-vmm/cli/kernel.h"

/* Appends a record of protocol/spec/run-conf.md. */
void run_conf_add(GByteArray *conf, const char *key, const char *value);

struct initramfs_parts {
	bool hello; /* only lodge-init and the records */
	bool disks, screens; /* modules for them */
};

/* Writes the archive to @path. @conf has the records but for the modules', which are added. A
 * negative errno and *ret_message else. */
int initramfs_build(const char *path, const struct kernel *kernel,
		    const struct initramfs_parts *parts, GByteArray *conf, char **ret_message);

#endif
