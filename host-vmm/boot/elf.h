/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ELF kernels (vmlinux) with a PVH entry; the part of image_load() that is about ELF.
 */
#ifndef LODGE_VMM_BOOT_ELF_H
#define LODGE_VMM_BOOT_ELF_H

#include <stdint.h>

struct image;
struct memory;

/* As image_load(), for a file that begins with ELF's magic. */
int elf_load(const struct memory *memory, int fd, uint64_t size, struct image *ret_image,
	     const char **ret_why);

/* Whether @fd, of @size bytes, is a kernel that has a PVH entry: 0, or as image_load(). */
int elf_check(int fd, uint64_t size, const char **ret_why);

#endif
