/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The MP table: processors and interrupt lines for kernels that do not use ACPI (acpi=off).
 *
 * It is worth its bytes for the others too: Linux looks for it first, and where there is none it
 * maps and unmaps 64 KiB 4,096 times over. Source: Intel MultiProcessor Specification 1.4,
 * chapter 4.
 */
#ifndef LODGE_VMM_BOOT_MPTABLE_H
#define LODGE_VMM_BOOT_MPTABLE_H

#include <stddef.h>
#include <stdint.h>

#define MPTABLE_POINTER_BYTES 16u /* of the structure that is looked for */
#define MPTABLE_MAX	      2048u /* bytes of the table; 64 processors take less */

/*
 * Writes the table for @cpus processors (1 to 64, ids from 0) to @table as it is to lie at @gpa,
 * and to @pointer what points there. The number of bytes of the table. Pure, for tests.
 */
size_t mptable_build(unsigned int cpus, uint64_t gpa, uint8_t table[MPTABLE_MAX],
		     uint8_t pointer[MPTABLE_POINTER_BYTES]);

#endif
