/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which virtio-fs devices a configuration wants, and who serves them: see fs.h. Main thread. */
#ifndef LODGE_VMM_FS_CHOICE_H
#define LODGE_VMM_FS_CHOICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fs_backend;
struct fs_late;
struct vm_config;

struct fs_choice {
	const char *tag; /* the configuration's, or static */
	struct fs_backend *backend; /* owned by whoever asked, as is: */
	struct fs_late *late; /* shares that may still come; to be destroyed first; or NULL */
	bool idle; /* there is nothing to serve: a back end is made when the driver comes */
	uint64_t window; /* bytes, of a back end of ours into which files are mapped */
	bool wants_window; /* files may be mapped into the guest */
};

/* Whether it wants the device for shares: it is the first then. */
bool fs_shares_device(const struct vm_config *config);
size_t fs_devices(const struct vm_config *config);
/* The device number @index of them; errors are logged, what *ret_choice owns is to be destroyed
 * also then. */
int fs_choose(const struct vm_config *config, size_t index, struct fs_choice *ret_choice);

#endif
