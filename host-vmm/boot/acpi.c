// SPDX-License-Identifier: GPL-2.0-or-later
// ACPI tables: packed structs filled from layout.h and laid out one behind the other.
#include "host-vmm/boot/acpi.h"

#include <errno.h>
#include <string.h>

#include "host-vmm/boot/aml.h"
#include "host-vmm/boot/dsdt.h"
#include "host-vmm/devices/pm.h"
#include "host-vmm/irq.h"
#include "host-vmm/layout.h"

#define TABLE_ALIGN 64u /* the FACS's, and good enough for all */

#define FADT_WBINVD	  (1u << 0)
#define FADT_PROC_C1	  (1u << 2)
#define FADT_SLP_BUTTON	  (1u << 5) /* set: there is no fixed one */
#define FADT_FIX_RTC	  (1u << 6) /* set: no fixed RTC wake status */
#define FADT_TMR_VAL_EXT  (1u << 8)
#define FADT_RESET_REG	  (1u << 10)
#define FADT_HW_REDUCED	  (1u << 20)
#define BOOT_ARCH_8042	  (1u << 1)
#define BOOT_ARCH_NO_VGA  (1u << 2)
#define BOOT_ARCH_NO_ASPM (1u << 4)
#define BOOT_ARCH_NO_RTC  (1u << 5)
#define MADT_PCAT_COMPAT  1u
#define MADT_ENABLED	  1u
#define GAS_IO		  1u
#define LATENCY_NO_C2	  101u /* above 100 us: the state does not exist */
#define LATENCY_NO_C3	  1001u
#define CMOS_CENTURY	  0x32u
#define RESET_VALUE	  0x06u /* full reset, by a rising edge of bit 2 */

struct acpi_header {
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem_id[6], oem_table_id[8];
	uint32_t oem_revision;
	char creator_id[4];
	uint32_t creator_revision;
} __attribute__((packed));

struct acpi_rsdp {
	char signature[8];
	uint8_t checksum;
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt, length;
	uint64_t xsdt;
	uint8_t extended_checksum, reserved[3];
} __attribute__((packed));

struct acpi_address {
	uint8_t space, width, offset, access;
	uint64_t address;
} __attribute__((packed));

struct acpi_fadt {
	struct acpi_header header;
	uint32_t facs, dsdt;
	uint8_t reserved0, profile;
	uint16_t sci;
	uint32_t smi_command;
	uint8_t acpi_enable, acpi_disable, s4_bios, pstate_control;
	uint32_t pm1a_event, pm1b_event, pm1a_control, pm1b_control, pm2_control, pm_timer, gpe0,
		gpe1;
	uint8_t pm1_event_len, pm1_control_len, pm2_control_len, pm_timer_len, gpe0_len, gpe1_len,
		gpe1_base, cst_control;
	uint16_t c2_latency, c3_latency, flush_size, flush_stride;
	uint8_t duty_offset, duty_width, day_alarm, month_alarm, century;
	uint16_t boot_arch;
	uint8_t reserved1;
	uint32_t flags;
	struct acpi_address reset;
	uint8_t reset_value;
	uint16_t arm_boot_arch;
	uint8_t minor_revision;
	uint64_t x_facs, x_dsdt;
	struct acpi_address x_pm1a_event, x_pm1b_event, x_pm1a_control, x_pm1b_control,
		x_pm2_control, x_pm_timer, x_gpe0, x_gpe1, sleep_control, sleep_status;
	uint64_t hypervisor;
} __attribute__((packed));

struct acpi_facs {
	char signature[4];
	uint32_t length, hardware_signature, waking_vector, global_lock, flags;
	uint64_t x_waking_vector;
	uint8_t version, reserved[31];
} __attribute__((packed));

struct acpi_madt {
	struct acpi_header header;
	uint32_t lapic, flags;
} __attribute__((packed));

struct madt_lapic {
	uint8_t type, length, processor, id;
	uint32_t flags;
} __attribute__((packed));

struct madt_ioapic {
	uint8_t type, length, id, reserved;
	uint32_t address, gsi_base;
} __attribute__((packed));

struct madt_override {
	uint8_t type, length, bus, source;
	uint32_t gsi;
	uint16_t flags;
} __attribute__((packed));

struct madt_nmi {
	uint8_t type, length, processor;
	uint16_t flags;
	uint8_t lint;
} __attribute__((packed));

struct acpi_mcfg {
	struct acpi_header header;
	uint64_t reserved0, base;
	uint16_t segment;
	uint8_t first_bus, last_bus;
	uint32_t reserved1;
} __attribute__((packed));

_Static_assert(sizeof(struct acpi_header) == 36, "ACPI 6.4 table 5.4");
_Static_assert(sizeof(struct acpi_rsdp) == 36, "ACPI 6.4 table 5.3");
_Static_assert(sizeof(struct acpi_fadt) == 276, "ACPI 6.4 table 5.9");
_Static_assert(sizeof(struct acpi_facs) == 64, "ACPI 6.4 table 5.13");
_Static_assert(sizeof(struct acpi_mcfg) == 60, "PCI Firmware 3.3 table 4-2");

/* Where tables go, one behind the other. Errors stick. */
struct writer {
	uint8_t *bytes;
	uint64_t gpa;
	size_t len;
	int error;
};

static uint8_t checksum(const void *bytes, size_t len)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += ((const uint8_t *)bytes)[i];
	return -sum;
}

/* Copies a table in and returns its address. */
static uint64_t place(struct writer *writer, const void *table, size_t len)
{
	size_t at = (writer->len + TABLE_ALIGN - 1) & ~(size_t)(TABLE_ALIGN - 1);

	if (writer->error < 0 || len > ACPI_TABLES_MAX || at > ACPI_TABLES_MAX - len) {
		writer->error = -ENOSPC;
		return 0;
	}
	memcpy(writer->bytes + at, table, len);
	writer->len = at + len;
	return writer->gpa + at;
}

static void set_header(struct acpi_header *header, const char *signature, uint8_t revision,
		       size_t len)
{
	*header = (struct acpi_header){
		.length = len,
		.revision = revision,
		.oem_id = "LODGE ",
		.oem_table_id = "LODGEVM ",
		.oem_revision = 1,
		.creator_id = "LODG",
		.creator_revision = 1,
	};
	memcpy(header->signature, signature, 4);
}

/* @table begins with its header, whose length is final. */
static uint64_t place_table(struct writer *writer, void *table)
{
	struct acpi_header *header = table;

	header->checksum = 0;
	header->checksum = checksum(table, header->length);
	return place(writer, table, header->length);
}

static uint64_t place_dsdt(const struct acpi_options *options, struct writer *writer)
{
	struct {
		struct acpi_header header;
		uint8_t body[2048];
	} dsdt = { 0 };
	struct aml aml;

	aml_init(&aml, dsdt.body, sizeof(dsdt.body));
	dsdt_build(options, &aml);
	if (aml_error(&aml) < 0)
		writer->error = aml_error(&aml);
	set_header(&dsdt.header, "DSDT", 2, sizeof(dsdt.header) + aml.len);
	return place_table(writer, &dsdt);
}

static uint64_t place_facs(struct writer *writer)
{
	struct acpi_facs facs = {
		.signature = "FACS",
		.length = sizeof(facs),
		.version = 2,
	};

	return place(writer, &facs, sizeof(facs));
}

static struct acpi_address io_address(unsigned int port, unsigned int bytes)
{
	return (struct acpi_address){
		.space = GAS_IO,
		.width = 8 * bytes,
		.access = bytes == 1   ? 1
			  : bytes == 2 ? 2
				       : 3,
		.address = port,
	};
}

/* Registers that reduced hardware has not. */
static void set_fixed_hardware(struct acpi_fadt *fadt)
{
	fadt->sci = LAYOUT_IRQ_SCI;
	fadt->pm1a_event = LAYOUT_PORT_PM + PM_EVENT;
	fadt->pm1a_control = LAYOUT_PORT_PM + PM_CONTROL;
	fadt->pm_timer = LAYOUT_PORT_PM + PM_TIMER;
	fadt->gpe0 = LAYOUT_PORT_PM + PM_GPE0;
	fadt->pm1_event_len = PM_EVENT_BYTES;
	fadt->pm1_control_len = PM_CONTROL_BYTES;
	fadt->pm_timer_len = PM_TIMER_BYTES;
	fadt->gpe0_len = PM_GPE0_BYTES;
	fadt->x_pm1a_event = io_address(LAYOUT_PORT_PM + PM_EVENT, PM_EVENT_BYTES);
	fadt->x_pm1a_control = io_address(LAYOUT_PORT_PM + PM_CONTROL, PM_CONTROL_BYTES);
	fadt->x_pm_timer = io_address(LAYOUT_PORT_PM + PM_TIMER, PM_TIMER_BYTES);
	fadt->x_gpe0 = io_address(LAYOUT_PORT_PM + PM_GPE0, PM_GPE0_BYTES);
}

static void set_reduced_hardware(struct acpi_fadt *fadt)
{
	fadt->flags |= FADT_HW_REDUCED;
	fadt->sleep_control = io_address(LAYOUT_PORT_PM + PM_SLEEP_CONTROL, 1);
	fadt->sleep_status = io_address(LAYOUT_PORT_PM + PM_SLEEP_STATUS, 1);
}

static uint64_t place_fadt(const struct acpi_options *options, struct writer *writer, uint64_t facs,
			   uint64_t dsdt)
{
	struct acpi_fadt fadt = {
		.facs = (uint32_t)facs,
		.dsdt = (uint32_t)dsdt,
		.profile = 1, /* desktop */
		.c2_latency = LATENCY_NO_C2,
		.c3_latency = LATENCY_NO_C3,
		.century = options->has_rtc ? CMOS_CENTURY : 0,
		.boot_arch = BOOT_ARCH_NO_ASPM | (options->has_vga ? 0 : BOOT_ARCH_NO_VGA) |
			     (options->has_i8042 ? BOOT_ARCH_8042 : 0) |
			     (options->has_rtc ? 0 : BOOT_ARCH_NO_RTC),
		.flags = FADT_WBINVD | FADT_PROC_C1 | FADT_SLP_BUTTON | FADT_FIX_RTC |
			 FADT_TMR_VAL_EXT | FADT_RESET_REG,
		.reset = io_address(LAYOUT_PORT_RESET, 1),
		.reset_value = RESET_VALUE,
		.minor_revision = 4,
		.x_dsdt = dsdt,
	};

	if (options->reduced)
		set_reduced_hardware(&fadt);
	else
		set_fixed_hardware(&fadt);
	set_header(&fadt.header, "FACP", 6, sizeof(fadt));
	return place_table(writer, &fadt);
}

static void append(struct acpi_header *header, size_t room, const void *entry, size_t len)
{
	if (header->length + len > room)
		return;
	memcpy((uint8_t *)header + header->length, entry, len);
	header->length += len;
}

static uint64_t place_madt(const struct acpi_options *options, struct writer *writer)
{
	struct {
		struct acpi_madt madt;
		uint8_t entries[64 * sizeof(struct madt_lapic) + 64];
	} table = { .madt = { .lapic = LAYOUT_LAPIC } };
	const struct madt_ioapic ioapic = { 1, sizeof(ioapic), 0, 0, LAYOUT_IOAPIC, 0 };
	const struct madt_override timer = { 2, sizeof(timer), 0, 0, 2, 0 };
	/* Level-triggered, active high. */
	const struct madt_override sci = { 2, sizeof(sci), 0, LAYOUT_IRQ_SCI, LAYOUT_IRQ_SCI, 0xd };
	const struct madt_nmi nmi = { 4, sizeof(nmi), 0xff, 0, 1 };
	struct acpi_header *header = &table.madt.header;

	table.madt.flags = options->reduced ? 0 : MADT_PCAT_COMPAT;
	set_header(header, "APIC", 5, sizeof(table.madt));
	for (unsigned int i = 0; i < options->cpus; i++) {
		const struct madt_lapic lapic = { 0, sizeof(lapic), i, i, MADT_ENABLED };

		append(header, sizeof(table), &lapic, sizeof(lapic));
	}
	append(header, sizeof(table), &ioapic, sizeof(ioapic));
	if (!options->reduced) {
		append(header, sizeof(table), &timer, sizeof(timer));
		append(header, sizeof(table), &sci, sizeof(sci));
	}
	append(header, sizeof(table), &nmi, sizeof(nmi));
	return place_table(writer, &table);
}

static uint64_t place_mcfg(struct writer *writer)
{
	struct acpi_mcfg mcfg = {
		.base = LAYOUT_ECAM,
		.last_bus = LAYOUT_ECAM_SIZE / LAYOUT_ECAM_BUS - 1,
	};

	set_header(&mcfg.header, "MCFG", 1, sizeof(mcfg));
	return place_table(writer, &mcfg);
}

static uint64_t place_xsdt(struct writer *writer, const uint64_t *tables, size_t n_tables)
{
	struct {
		struct acpi_header header;
		uint64_t tables[4];
	} __attribute__((packed)) xsdt = { 0 };

	set_header(&xsdt.header, "XSDT", 1, sizeof(xsdt.header) + n_tables * sizeof(tables[0]));
	memcpy(xsdt.tables, tables, n_tables * sizeof(tables[0]));
	return place_table(writer, &xsdt);
}

int acpi_build(const struct acpi_options *options, uint64_t gpa, uint8_t bytes[ACPI_TABLES_MAX])
{
	struct writer writer = { .bytes = bytes, .gpa = gpa, .len = sizeof(struct acpi_rsdp) };
	struct acpi_rsdp rsdp = {
		.signature = "RSD PTR ",
		.oem_id = "LODGE ",
		.revision = 2,
		.length = sizeof(rsdp),
	};
	uint64_t tables[3], facs, dsdt;
	size_t n = 0;

	facs = place_facs(&writer);
	dsdt = place_dsdt(options, &writer);
	tables[n++] = place_fadt(options, &writer, facs, dsdt);
	tables[n++] = place_madt(options, &writer);
	if (options->has_pci)
		tables[n++] = place_mcfg(&writer);
	rsdp.xsdt = place_xsdt(&writer, tables, n);
	if (writer.error < 0)
		return writer.error;
	rsdp.checksum = checksum(&rsdp, 20); /* the part that ACPI 1.0 knew */
	rsdp.extended_checksum = checksum(&rsdp, sizeof(rsdp));
	memcpy(bytes, &rsdp, sizeof(rsdp));
	return writer.len;
}
