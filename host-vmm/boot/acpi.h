/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ACPI tables: RSDP, XSDT, FADT, FACS, DSDT, MADT, MCFG.
 *
 * Fixed hardware: PM1a blocks, PM timer and GPE0 of devices/pm.c, SCI 9, a fixed power button, S5,
 * reset through port 0xCF9. Or the reduced kind: S5 by a sleep register, a power button that is a
 * device of its own, and no PIC, PIT or RTC. Source: ACPI 6.4 chapters 4.8 and 5.2, PCI
 * Firmware 3.3 (MCFG).
 */
#ifndef LODGE_VMM_BOOT_ACPI_H
#define LODGE_VMM_BOOT_ACPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct acpi_options {
	unsigned int cpus;
	bool has_serial, has_i8042, has_rtc, has_pci, has_vga, has_clock;
	bool reduced; /* hardware */
	uint64_t pci_mmio64, pci_mmio64_size; /* 0: no 64-bit window */
};

#define ACPI_TABLES_MAX 8192u /* bytes of all tables together */

/* SLP_TYP of S5, as the DSDT tells the guest and devices/pm.c checks. */
#define ACPI_S5_SLP_TYP 5u

/*
 * Writes all tables to @bytes as they are to lie at @gpa (a multiple of 64), RSDP first. The number
 * of bytes, or -ENOSPC. Pure, for tests.
 */
int acpi_build(const struct acpi_options *options, uint64_t gpa, uint8_t bytes[ACPI_TABLES_MAX]);

#endif
