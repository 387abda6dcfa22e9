/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SMBIOS tables: what the guest's DMI tools call the machine, and its UUID.
 *
 * BIOS information (type 0, with the bit for virtual machines), system (1), chassis (3) and the end
 * (127), behind a 64-bit entry point. Source: DMTF DSP0134 3.4, sections 5.2.2 and 7.
 */
#ifndef LODGE_VMM_BOOT_SMBIOS_H
#define LODGE_VMM_BOOT_SMBIOS_H

#include <stddef.h>
#include <stdint.h>

#define SMBIOS_TABLES_MAX 1024u /* bytes, the entry point included */

/*
 * Writes entry point and tables to @bytes as they are to lie at @gpa (a multiple of 16). The number
 * of bytes, or -ENOSPC. @uuid is in the order in which it is written. Pure, for tests.
 */
int smbios_build(const uint8_t uuid[16], uint64_t gpa, uint8_t bytes[SMBIOS_TABLES_MAX]);

#endif
