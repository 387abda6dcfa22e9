/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel that a bzImage carries packed, unpacked by the host instead of by each guest. */
#ifndef LODGE_VMM_CLI_UNPACK_H
#define LODGE_VMM_CLI_UNPACK_H

#include <stdint.h>

#define UNPACK_MAX (1ull << 30) /* bytes of an unpacked kernel; Linux has some 60 MiB */

/* How many bytes the bzImage @image says that its kernel has. -ENOEXEC where it is none, or says
 * something impossible; -EIO where it cannot be read. */
int unpack_size(int image, uint64_t *ret_size);

/*
 * Writes the kernel of the bzImage @image to the empty file @out, with holes where it is zero.
 * -ENOEXEC where it is no bzImage, is packed in a way that this host's libarchive does not know,
 * is not as long as it says, or is no ELF file with a PVH entry; else the errno of a write.
 */
int unpack_kernel(int image, int out);

#endif
