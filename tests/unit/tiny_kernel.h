/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Kernels of a few instructions, as files that boot_load() takes: what the monitor is tested with
 * where no Linux is needed.
 */
#ifndef LODGE_TESTS_TINY_KERNEL_H
#define LODGE_TESTS_TINY_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#define TINY_KERNEL_ADDRESS 0x100000u /* where the code lies and begins */

/* One stretch of machine code. */
struct tiny_code {
	const uint8_t *start, *end;
};

/* An ELF file with a PVH note; the code begins in 32-bit protected mode. Replaces @path. */
void tiny_kernel_write_elf(const char *path, struct tiny_code code);
/* A bzImage; the code begins in 64-bit mode. */
void tiny_kernel_write_bzimage(const char *path, struct tiny_code code);

/* Defines struct tiny_code NAME from lines of assembler; @bits is 32 or 64. */
#define TINY_CODE(NAME, bits, text)                                                         \
	__asm__(".pushsection .rodata\n"                                                    \
		".code" #bits "\n"                                                          \
		".globl " #NAME "_start, " #NAME "_end\n" #NAME "_start:\n" text "\n" #NAME \
		"_end:\n"                                                                   \
		".code64\n"                                                                 \
		".popsection\n");                                                           \
	extern const uint8_t NAME##_start[], NAME##_end[];                                  \
	static const struct tiny_code NAME = { NAME##_start, NAME##_end }

#endif
