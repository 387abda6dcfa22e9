// SPDX-License-Identifier: GPL-2.0-or-later
// The MP table: a header and fixed-size entries by type, and the floating pointer.
#include "host-vmm/boot/mptable.h"

#include <string.h>

#include "host-vmm/irq.h"
#include "host-vmm/layout.h"

#define SPEC_REVISION  4u /* 1.4 */
#define APIC_VERSION   0x14u
#define IOAPIC_VERSION 0x11u
#define ENTRY_ENABLED  1u
#define CPU_BOOT       2u
#define CPU_SIGNATURE  0x600u /* family 6; whoever wants to know asks CPUID */
#define CPU_FEATURES   0x201u /* APIC and FPU */
#define BUS_PCI	       0u
#define BUS_ISA	       1u
#define IOAPIC_ID      0u /* as in the MADT */
#define ISA_IRQS       16u
#define CASCADE	       2u
#define LEVEL_HIGH     0xdu
#define ALL_APICS      0xffu

enum interrupt { INTERRUPT_INT = 0, INTERRUPT_NMI = 1, INTERRUPT_EXTINT = 3 };

struct mp_pointer {
	char signature[4];
	uint32_t table;
	uint8_t length, revision, checksum, features[5]; /* length in units of 16 bytes */
} __attribute__((packed));

struct mp_header {
	char signature[4];
	uint16_t length;
	uint8_t revision, checksum;
	char oem_id[8], product_id[12];
	uint32_t oem_table;
	uint16_t oem_size, n_entries;
	uint32_t lapic;
	uint16_t extended_length;
	uint8_t extended_checksum, reserved;
} __attribute__((packed));

struct mp_cpu {
	uint8_t type, apic_id, apic_version, flags;
	uint32_t signature, features, reserved[2];
} __attribute__((packed));

struct mp_bus {
	uint8_t type, id;
	char name[6];
} __attribute__((packed));

struct mp_ioapic {
	uint8_t type, id, version, flags;
	uint32_t address;
} __attribute__((packed));

/* Type 3: from a bus to a pin of the IOAPIC; type 4: to a pin of local APICs. */
struct mp_interrupt {
	uint8_t type, interrupt;
	uint16_t flags;
	uint8_t bus, irq, apic, pin;
} __attribute__((packed));

_Static_assert(sizeof(struct mp_pointer) == MPTABLE_POINTER_BYTES, "section 4.1");
_Static_assert(sizeof(struct mp_header) == 44, "section 4.2");
_Static_assert(sizeof(struct mp_cpu) == 20, "section 4.3.1");
_Static_assert(sizeof(struct mp_interrupt) == 8, "section 4.3.4");
_Static_assert(sizeof(struct mp_header) + 64 * sizeof(struct mp_cpu) + 2 * sizeof(struct mp_bus) +
			       sizeof(struct mp_ioapic) +
			       (ISA_IRQS + 1) * sizeof(struct mp_interrupt) <=
		       MPTABLE_MAX,
	       "the largest table");

struct writer {
	uint8_t *bytes;
	size_t len;
	unsigned int entries;
};

static uint8_t checksum(const void *bytes, size_t len)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += ((const uint8_t *)bytes)[i];
	return -sum;
}

static void add(struct writer *writer, const void *entry, size_t len)
{
	memcpy(writer->bytes + writer->len, entry, len);
	writer->len += len;
	writer->entries++;
}

static void add_interrupts(struct writer *writer)
{
	const struct mp_interrupt extint = { 4, INTERRUPT_EXTINT, 0, BUS_ISA, 0, 0, 0 };
	const struct mp_interrupt nmi = { 4, INTERRUPT_NMI, 0, BUS_ISA, 0, ALL_APICS, 1 };

	for (unsigned int irq = 0; irq < ISA_IRQS; irq++) {
		const struct mp_interrupt line = {
			3,
			INTERRUPT_INT,
			irq == LAYOUT_IRQ_SCI ? LEVEL_HIGH : 0,
			BUS_ISA,
			irq,
			IOAPIC_ID,
			irq == 0 ? 2 : irq,
		};

		if (irq != CASCADE)
			add(writer, &line, sizeof(line));
	}
	add(writer, &extint, sizeof(extint));
	add(writer, &nmi, sizeof(nmi));
}

size_t mptable_build(unsigned int cpus, uint64_t gpa, uint8_t table[MPTABLE_MAX],
		     uint8_t pointer[MPTABLE_POINTER_BYTES])
{
	struct mp_pointer mp = {
		.signature = { '_', 'M', 'P', '_' },
		.table = (uint32_t)gpa,
		.length = 1,
		.revision = SPEC_REVISION,
	};
	struct mp_header header = {
		.signature = { 'P', 'C', 'M', 'P' },
		.revision = SPEC_REVISION,
		.oem_id = { 'L', 'O', 'D', 'G', 'E', ' ', ' ', ' ' },
		.product_id = { 'L', 'O', 'D', 'G', 'E', 'V', 'M', ' ', ' ', ' ', ' ', ' ' },
		.lapic = LAYOUT_LAPIC,
	};
	const struct mp_bus buses[] = {
		{ 1, BUS_PCI, { 'P', 'C', 'I', ' ', ' ', ' ' } },
		{ 1, BUS_ISA, { 'I', 'S', 'A', ' ', ' ', ' ' } },
	};
	const struct mp_ioapic ioapic = {
		2, IOAPIC_ID, IOAPIC_VERSION, ENTRY_ENABLED, LAYOUT_IOAPIC,
	};
	struct writer writer = { .bytes = table, .len = sizeof(header) };

	for (unsigned int i = 0; i < cpus; i++) {
		const struct mp_cpu cpu = {
			.apic_id = i,
			.apic_version = APIC_VERSION,
			.flags = ENTRY_ENABLED | (i == 0 ? CPU_BOOT : 0),
			.signature = CPU_SIGNATURE,
			.features = CPU_FEATURES,
		};

		add(&writer, &cpu, sizeof(cpu));
	}
	add(&writer, &buses[0], sizeof(buses[0]));
	add(&writer, &buses[1], sizeof(buses[1]));
	add(&writer, &ioapic, sizeof(ioapic));
	add_interrupts(&writer);
	header.length = writer.len;
	header.n_entries = writer.entries;
	memcpy(table, &header, sizeof(header));
	header.checksum = checksum(table, writer.len);
	memcpy(table, &header, sizeof(header));
	mp.checksum = checksum(&mp, sizeof(mp));
	memcpy(pointer, &mp, sizeof(mp));
	return writer.len;
}
