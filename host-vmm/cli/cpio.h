/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes a cpio archive of the "newc" form, as the kernel's initramfs takes it
 * (Documentation/driver-api/early-userspace/buffer-format.rst).
 *
 * Errors stick: the calls do nothing after the first one, and cpio_finish() tells it. Paths have
 * no leading '/'; folders must come before what is in them. Owner is root, times are 0, so that
 * the same content gives the same bytes.
 */
#ifndef LODGE_VMM_CLI_CPIO_H
#define LODGE_VMM_CLI_CPIO_H

#include <stddef.h>
#include <stdint.h>

struct cpio {
	int fd; /* borrowed; written in order from where it stands */
	uint64_t written;
	uint32_t inode;
	int error;
	char *unread; /* NULL, or the source that cannot be read: then that is the error */
};

void cpio_init(struct cpio *cpio, int fd);
void cpio_add_dir(struct cpio *cpio, const char *path, unsigned int mode);
void cpio_add_bytes(struct cpio *cpio, const char *path, unsigned int mode, const void *bytes,
		    size_t len);
/* Copies the regular file @source, of at most 4 GiB - 1. */
void cpio_add_file(struct cpio *cpio, const char *path, unsigned int mode, const char *source);
/* Writes the trailer: 0 or the first negative errno. ->unread is to be g_free()d then. */
int cpio_finish(struct cpio *cpio);

#endif
