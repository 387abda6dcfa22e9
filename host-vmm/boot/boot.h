/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Direct boot: kernel, initrds, command line, memory map and ACPI tables into guest memory, and the
 * first processor's entry, for the Linux 64-bit protocol and for PVH.
 *
 * Sources: Linux Documentation/arch/x86/boot.rst and zero-page.rst, <asm/bootparam.h>, Xen's
 * public/arch-x86/hvm/start_info.h.
 */
#ifndef LODGE_VMM_BOOT_H
#define LODGE_VMM_BOOT_H

#include <stddef.h>
#include <stdint.h>

#include "host-vmm/vcpu.h"

struct memory;
struct vm_config;

/* Entries of the memory map: type 1 is RAM, 2 is reserved (ACPI's E820 types). */
struct boot_range {
	uint64_t start, size;
	uint32_t type;
};

#define BOOT_RANGES_MAX 16
#define BOOT_RAM	1u
#define BOOT_RESERVED	2u

/* The map of @memory: how many entries were written. Ascending, no overlaps. */
size_t boot_map(const struct memory *memory, struct boot_range ranges[BOOT_RANGES_MAX]);

/*
 * Kernel and initrds, opened once: a guest that restarts gets the same files though others were
 * installed under their names meanwhile, and needs no right to open any.
 */
struct boot_files {
	int kernel;
	int *initrds;
	size_t n_initrds;
};

/* On an error it has logged one line that names the file and the remedy. */
int boot_open(const struct vm_config *config, struct boot_files *ret_files);
void boot_close(struct boot_files *files);

/* Loads all. ACPI's tables must be at LAYOUT_ACPI already. On an error it has logged one line that
 * names the file and the remedy. */
int boot_load(const struct memory *memory, const struct vm_config *config,
	      const struct boot_files *files, struct boot_entry *ret_entry);

#endif
