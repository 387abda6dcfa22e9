/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The DSDT's definition block: what devices there are beside those that PCI tells by itself.
 */
#ifndef LODGE_VMM_BOOT_DSDT_H
#define LODGE_VMM_BOOT_DSDT_H

struct acpi_options;
struct aml;

void dsdt_build(const struct acpi_options *options, struct aml *aml);

#endif
