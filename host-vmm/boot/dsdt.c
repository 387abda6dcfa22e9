// SPDX-License-Identifier: GPL-2.0-or-later
// The DSDT's definition block: PCI's root with its windows, the legacy devices, S5.
#include "host-vmm/boot/dsdt.h"

#include <lodge/vmclock.h>

#include "host-vmm/boot/acpi.h"
#include "host-vmm/boot/aml.h"
#include "host-vmm/layout.h"

#define PM_PORTS       0x20u
#define NOTIFY_PRESSED 0x80u

static void named_eisaid(struct aml *aml, const char *name, const char *id)
{
	aml_name(aml, name);
	aml_eisaid(aml, id);
}

static void named_integer(struct aml *aml, const char *name, uint64_t value)
{
	aml_name(aml, name);
	aml_integer(aml, value);
}

static void begin_resources(struct aml *aml)
{
	aml_name(aml, "_CRS");
	aml_resources(aml);
}

/* Functions use messages only, so there is no _PRT. */
static void pci_root(const struct acpi_options *options, struct aml *aml)
{
	aml_device(aml, "PCI0");
	named_eisaid(aml, "_HID", "PNP0A08");
	named_eisaid(aml, "_CID", "PNP0A03");
	named_integer(aml, "_UID", 0);
	named_integer(aml, "_SEG", 0);
	named_integer(aml, "_BBN", 0);
	begin_resources(aml);
	aml_bus_window(aml, 0, LAYOUT_ECAM_SIZE / LAYOUT_ECAM_BUS - 1);
	aml_io(aml, 0xcf8, 8);
	aml_io_window(aml, LAYOUT_PCI_IO, LAYOUT_PCI_IO_SIZE);
	if (options->has_vga) {
		aml_io_window(aml, LAYOUT_PORT_VGA, LAYOUT_PORT_VGA_SIZE);
		aml_memory_window(aml, LAYOUT_VGA, LAYOUT_VGA_SIZE);
	}
	aml_memory_window(aml, LAYOUT_PCI_MMIO32, LAYOUT_PCI_MMIO32_SIZE);
	if (options->pci_mmio64_size > 0)
		aml_memory_window(aml, options->pci_mmio64, options->pci_mmio64_size);
	aml_resources_end(aml);
	aml_end(aml);
}

/* Without this reservation Linux does not believe the MCFG. */
static void motherboard(const struct acpi_options *options, struct aml *aml)
{
	aml_device(aml, "MBRD");
	named_eisaid(aml, "_HID", "PNP0C02");
	named_integer(aml, "_UID", 0);
	begin_resources(aml);
	if (options->has_pci)
		aml_fixed_memory(aml, LAYOUT_ECAM, LAYOUT_ECAM_SIZE);
	aml_io(aml, LAYOUT_PORT_PM, PM_PORTS);
	aml_resources_end(aml);
	aml_end(aml);
}

static void legacy(struct aml *aml, const char *name, const char *id, unsigned int uid)
{
	aml_device(aml, name);
	named_eisaid(aml, "_HID", id);
	named_integer(aml, "_UID", uid);
	begin_resources(aml);
}

static void legacy_end(struct aml *aml, unsigned int irq)
{
	aml_irq(aml, irq);
	aml_resources_end(aml);
	aml_end(aml);
}

/* Reduced hardware: a device for the button, and one that tells by an interrupt when it was pressed
 * (ACPI 6.4 sections 4.8.2.2.1.2 and 5.6.9). */
static void power_button(struct aml *aml)
{
	aml_device(aml, "PWRB");
	named_eisaid(aml, "_HID", "PNP0C0C");
	named_integer(aml, "_UID", 0);
	aml_end(aml);
	aml_device(aml, "GED0");
	aml_name(aml, "_HID");
	aml_string(aml, "ACPI0013");
	named_integer(aml, "_UID", 0);
	begin_resources(aml);
	aml_edge_interrupt(aml, LAYOUT_IRQ_SCI);
	aml_resources_end(aml);
	aml_method(aml, "_EVT", 1);
	aml_notify(aml, "PWRB", NOTIFY_PRESSED);
	aml_end(aml);
	aml_end(aml);
}

/* What Linux's ptp_vmclock looks for, and where vmclock-abi.h says that the page is told. */
static void clock_page(struct aml *aml)
{
	aml_device(aml, "VCLK");
	aml_name(aml, "_HID");
	aml_string(aml, "AMZNC10C");
	aml_name(aml, "_CID");
	aml_string(aml, "VMCLOCK");
	aml_name(aml, "_DDN");
	aml_string(aml, "VMCLOCK");
	named_integer(aml, "_UID", 0);
	begin_resources(aml);
	aml_fixed_memory(aml, LAYOUT_CLOCK, LODGE_VMCLOCK_SIZE);
	aml_resources_end(aml);
	aml_end(aml);
}

void dsdt_build(const struct acpi_options *options, struct aml *aml)
{
	aml_scope(aml, "_SB_");
	if (options->has_pci)
		pci_root(options, aml);
	motherboard(options, aml);
	if (options->reduced)
		power_button(aml);
	if (options->has_clock)
		clock_page(aml);
	if (options->has_rtc) {
		legacy(aml, "RTC0", "PNP0B00", 0);
		aml_io(aml, LAYOUT_PORT_RTC, 2);
		legacy_end(aml, LAYOUT_IRQ_RTC);
	}
	if (options->has_serial) {
		legacy(aml, "COM1", "PNP0501", 1);
		aml_io(aml, LAYOUT_PORT_SERIAL, 8);
		legacy_end(aml, LAYOUT_IRQ_SERIAL);
	}
	if (options->has_i8042) {
		legacy(aml, "KBD0", "PNP0303", 0);
		aml_io(aml, LAYOUT_PORT_I8042, 1);
		aml_io(aml, LAYOUT_PORT_I8042 + 4, 1);
		legacy_end(aml, LAYOUT_IRQ_KEYBOARD);
		legacy(aml, "MOU0", "PNP0F13", 0);
		legacy_end(aml, LAYOUT_IRQ_MOUSE);
	}
	aml_end(aml);

	aml_name(aml, "_S5_");
	aml_package(aml);
	aml_integer(aml, ACPI_S5_SLP_TYP);
	aml_integer(aml, 0);
	aml_integer(aml, 0);
	aml_integer(aml, 0);
	aml_end(aml);
}
