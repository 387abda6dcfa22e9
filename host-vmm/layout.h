/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where things lie in the guest's physical memory and I/O space: the one list of addresses.
 *
 * The machine is like a Q35: RAM from 0, a hole for devices below 4 GiB, more RAM above it. RAM
 * holes, e820, ACPI's tables, PCI windows and devices all take their numbers from here.
 */
#ifndef LODGE_VMM_LAYOUT_H
#define LODGE_VMM_LAYOUT_H

#include <stdint.h>

/* RAM: [0, LAYOUT_LOW_RAM_END), and what is more from LAYOUT_HIGH_RAM on. */
#define LAYOUT_LOW_RAM_END 0xc0000000ull
#define LAYOUT_HIGH_RAM	   0x100000000ull

/* The first MiB, as PCs have it (e820 leaves out what is not RAM). */
#define LAYOUT_EBDA	 0x9fc00ull
#define LAYOUT_VGA	 0xa0000ull
#define LAYOUT_VGA_SIZE	 0x20000ull
#define LAYOUT_ACPI	 0xe0000ull /* RSDP and all tables, in the BIOS area, reserved in e820 */
#define LAYOUT_ACPI_SIZE 0x20000ull
#define LAYOUT_MPTABLE	 0xe8000ull /* within the former; the EBDA begins with what points there */
#define LAYOUT_SMBIOS	 0xf0000ull /* within the former: guests look for it from here on */
#define LAYOUT_HIMEM	 0x100000ull

/* What direct boot puts into low memory; free for the kernel once it has read it. */
#define LAYOUT_BOOT_GDT	    0x1000ull
#define LAYOUT_BOOT_PAGES   0x2000ull /* PML4, PDPT, 4 page directories: 24 KiB */
#define LAYOUT_BOOT_STACK   0x9000ull /* top */
#define LAYOUT_BOOT_PARAMS  0x10000ull /* the zero page */
#define LAYOUT_PVH_START    0x11000ull /* hvm_start_info, its module list, its memory map */
#define LAYOUT_BOOT_CMDLINE 0x20000ull
#define LAYOUT_CMDLINE_MAX  0x10000ull /* bytes, the ending NUL included */

/* PCI. The backdoor's ports (0x5658, 0x5659, 0x5670) lie below the port window on purpose. */
#define LAYOUT_PCI_IO	       0x6000u
#define LAYOUT_PCI_IO_SIZE     0xa000u
#define LAYOUT_PCI_MMIO32      0xc0000000ull
#define LAYOUT_PCI_MMIO32_SIZE 0x20000000ull
#define LAYOUT_ECAM	       0xe0000000ull
/* One bus: there are no bridges, and Linux scans each bus that it is told of, at the price of 64
 * exits for each. The addresses up to 0xefffffff stay free for more. */
#define LAYOUT_ECAM_BUS	 0x100000ull /* bytes for each bus */
#define LAYOUT_ECAM_SIZE LAYOUT_ECAM_BUS

/* Chips at their architectural addresses. */
#define LAYOUT_IOAPIC	    0xfec00000ull
#define LAYOUT_LAPIC	    0xfee00000ull
#define LAYOUT_CLOCK	    0xfeffb000ull /* one page, host-vmm/clock; no architecture's */
#define LAYOUT_IDENTITY_MAP 0xfeffc000ull /* one page, for Intel's real mode */
#define LAYOUT_TSS	    0xfeffd000ull /* three pages, likewise */

/* Ports outside of PCI. */
#define LAYOUT_PORT_RTC	     0x70u
#define LAYOUT_PORT_I8042    0x60u /* data; 0x64 is command and status */
#define LAYOUT_PORT_VGA	     0x3b0u /* some of what follows; devices/vga.c */
#define LAYOUT_PORT_VGA_SIZE 0x30u
#define LAYOUT_PORT_SERIAL   0x3f8u /* COM1 */
#define LAYOUT_PORT_PM	     0x600u /* PM1a event and control, PM timer, GPE0 */
#define LAYOUT_PORT_RESET    0xcf9u /* between PCI's address and data ports, one byte */

/* Interrupt lines. */
#define LAYOUT_IRQ_KEYBOARD 1u
#define LAYOUT_IRQ_SERIAL   4u
#define LAYOUT_IRQ_RTC	    8u
#define LAYOUT_IRQ_SCI	    9u
#define LAYOUT_IRQ_MOUSE    12u

/* The most RAM: what lies below the 64-bit window of a host with 39 address bits or more. */
#define LAYOUT_RAM_MAX (0x6000000000ull - (LAYOUT_HIGH_RAM - LAYOUT_LOW_RAM_END))

/*
 * The 64-bit PCI window, where DAX windows and other large BARs go: below 2^39 (the least of what
 * processors since 2013 have), or below 2^36 on older ones, whose RAM then ends at 48 GiB.
 */
static inline uint64_t layout_pci_mmio64(unsigned int address_bits, uint64_t *ret_size)
{
	if (address_bits >= 39) {
		*ret_size = 0x2000000000ull;
		return 0x6000000000ull;
	}
	*ret_size = 0x400000000ull;
	return 0xc00000000ull;
}

#endif
