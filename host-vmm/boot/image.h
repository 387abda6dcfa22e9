/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Kernel images: Linux bzImage (64-bit entry) and ELF with a PVH note, put into guest memory.
 *
 * Sources: Linux Documentation/arch/x86/boot.rst (setup header, fields at 0x1f1 and on), ELF-64,
 * Xen's PVH boot protocol (note type 18, XEN_ELFNOTE_PHYS32_ENTRY).
 *
 * The file is input from anywhere: every offset and size in it is checked before it is used.
 */
#ifndef LODGE_VMM_BOOT_IMAGE_H
#define LODGE_VMM_BOOT_IMAGE_H

#include <asm/bootparam.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct memory;

enum image_kind {
	IMAGE_BZIMAGE = 1,
	IMAGE_PVH = 2,
};

struct image {
	enum image_kind kind;
	uint64_t entry; /* guest-physical */
	uint64_t end; /* first byte that the kernel leaves free once it runs */
	uint64_t initrd_max; /* last byte that an initrd may take */
	size_t cmdline_max; /* bytes, without the NUL */
	struct setup_header header; /* of a bzImage */
};

/*
 * Loads the kernel that @fd holds (@size bytes). On an error *ret_why is text that follows the
 * file's name in a message and names the remedy: -ENOEXEC for what is no usable kernel, -ENOSPC
 * where memory is too small, or the errno of reading.
 */
int image_load(const struct memory *memory, int fd, uint64_t size, struct image *ret_image,
	       const char **ret_why);

#endif
