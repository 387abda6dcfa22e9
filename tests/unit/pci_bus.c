// SPDX-License-Identifier: GPL-2.0-or-later
// The PCI bus: sizing and moving BARs, capabilities, MSI-X, and every access that makes no sense.
#include <check.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/bus.h"
#include "host-vmm/devices/pci.h"
#include "host-vmm/irq.h"
#include "host-vmm/layout.h"
#include "host-vmm/state.h"
#include "tests/unit/virtio_rig.h"
#include "tests/unit/unit.h"

#define ADDRESS_PORT 0xcf8
#define DATA_PORT    0xcfc
#define BAR(i)	     (PCI_BASE_ADDRESS_0 + 4 * (i))

static struct rig rig;
static struct pci_function function;
static unsigned int mapped_calls;
static bool mapped_on;
static uint64_t mapped_base;

static uint64_t answer(void *opaque, uint64_t offset, unsigned int size)
{
	(void)size;
	return (uint64_t)(uintptr_t)opaque + offset;
}

static void swallow(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	(void)opaque;
	(void)offset;
	(void)value;
	(void)size;
}

static const struct io_ops ops = { .read = answer, .write = swallow };

static void mapped(void *opaque, bool enabled, uint64_t base)
{
	(void)opaque;
	mapped_calls++;
	mapped_on = enabled;
	mapped_base = base;
}

static struct pci_bar make_bar(enum pci_bar_kind kind, uint64_t size, uintptr_t id)
{
	return (struct pci_bar){
		.kind = kind,
		.region = { .name = "bar", .size = size, .ops = &ops, .opaque = (void *)id },
	};
}

static void setup(void)
{
	rig = (struct rig){ 0 };
	rig_create(&rig);
	function = (struct pci_function){
		.name = "test", .vendor = 0x1234, .device = 0x5678, .class_code = 0x010203,
		.n_vectors = 3, .msix_bar = 1,
		.bars = {
			[0] = make_bar(PCI_BAR_IO, 64, 0x10),
			[2] = make_bar(PCI_BAR_MEM32, 0x1000, 0x20),
			[4] = make_bar(PCI_BAR_MEM64_PREFETCH, 1ull << 33, 0x30),
		},
	};
	function.bars[2].mapped = mapped;
	mapped_calls = 0;
	ck_assert_int_eq(pci_register(rig.machine.pci, &function), 0);
	ck_assert_int_eq(pci_bus_assign(rig.machine.pci), 0);
}

static void teardown(void)
{
	pci_unregister(&function);
	rig_destroy(&rig);
}

static uint32_t get(unsigned int offset, unsigned int size)
{
	return rig_config_read(&rig, 1, offset, size);
}

static void put(unsigned int offset, uint32_t value, unsigned int size)
{
	rig_config_write(&rig, 1, offset, value, size);
}

START_TEST(header_by_both_doors)
{
	ck_assert_uint_eq(rig_config_read(&rig, 0, 0, 4), 0x29c08086);
	ck_assert_uint_eq(rig_config_read(&rig, 0, PCI_CLASS_REVISION, 4), 0x06000000);
	ck_assert_uint_eq(get(0, 4), 0x56781234);
	ck_assert_uint_eq(get(PCI_CLASS_REVISION, 4), 0x01020300);
	ck_assert_uint_eq(get(PCI_INTERRUPT_PIN, 1), 0);
	ck_assert_uint_eq(get(PCI_HEADER_TYPE, 1), 0);
	bus_write(rig.machine.ports, ADDRESS_PORT, 0x80000800, 4);
	ck_assert_uint_eq(bus_read(rig.machine.ports, ADDRESS_PORT, 4), 0x80000800);
	ck_assert_uint_eq(bus_read(rig.machine.ports, DATA_PORT, 4), 0x56781234);
	ck_assert_uint_eq(bus_read(rig.machine.ports, DATA_PORT + 2, 2), 0x5678);
	ck_assert_uint_eq(bus_read(rig.machine.ports, DATA_PORT + 3, 1), 0x56);
	/* Nobody there: other slots, functions and buses; door shut. */
	ck_assert_uint_eq(rig_config_read(&rig, 2, 0, 4), 0xffffffff);
	ck_assert_uint_eq(bus_read(rig.machine.mmio, LAYOUT_ECAM + (1 << 15) + (1 << 12), 4),
			  0xffffffff);
	ck_assert_uint_eq(bus_read(rig.machine.mmio, LAYOUT_ECAM + (1 << 20), 2), 0xffff);
	bus_write(rig.machine.ports, ADDRESS_PORT, 0x00000800, 4);
	ck_assert_uint_eq(bus_read(rig.machine.ports, DATA_PORT, 4), 0xffffffff);
	/* No extended capabilities. */
	ck_assert_uint_eq(get(0x100, 4), 0);
	ck_assert_uint_eq(get(0xffc, 4), 0);
}
END_TEST

START_TEST(reset_port)
{
	rig.requested = 0;
	bus_write(rig.machine.ports, LAYOUT_PORT_RESET, 0x02, 1);
	ck_assert_int_eq(rig.requested, 0);
	bus_write(rig.machine.ports, LAYOUT_PORT_RESET, 0x06, 1);
	ck_assert_int_eq(rig.requested, MACHINE_RESET);
}
END_TEST

START_TEST(bars_are_sized)
{
	put(PCI_COMMAND, 0, 2);
	for (unsigned int i = 0; i < PCI_BARS; i++)
		put(BAR(i), 0xffffffff, 4);
	ck_assert_uint_eq(get(BAR(0), 4), 0xffffffc1);
	ck_assert_uint_eq(get(BAR(1), 4), 0xfffff000); /* MSI-X */
	ck_assert_uint_eq(get(BAR(2), 4), 0xfffff000);
	ck_assert_uint_eq(get(BAR(3), 4), 0);
	ck_assert_uint_eq(get(BAR(4), 4), 0x0000000c);
	ck_assert_uint_eq(get(BAR(5), 4), 0xfffffffe);
	ck_assert_uint_eq(get(PCI_ROM_ADDRESS, 4), 0);
}
END_TEST

START_TEST(bars_follow_their_registers)
{
	uint32_t old = get(BAR(2), 4);

	ck_assert_uint_ge(old, LAYOUT_PCI_MMIO32);
	ck_assert_uint_eq(bus_read(rig.machine.mmio, old + 4, 4), 0x24);
	ck_assert(mapped_on);
	ck_assert_uint_eq(mapped_base, old);
	put(BAR(2), 0xd0000000, 4);
	ck_assert_uint_eq(bus_read(rig.machine.mmio, old + 4, 4), 0xffffffff);
	ck_assert_uint_eq(bus_read(rig.machine.mmio, 0xd0000008, 4), 0x28);
	ck_assert_uint_eq(mapped_base, 0xd0000000);
	/* Decoding off and on. */
	put(PCI_COMMAND, PCI_COMMAND_IO, 2);
	ck_assert(!mapped_on);
	ck_assert_uint_eq(bus_read(rig.machine.mmio, 0xd0000008, 4), 0xffffffff);
	ck_assert_uint_eq(bus_read(rig.machine.ports, get(BAR(0), 4) & ~3u, 1), 0x10);
	put(PCI_COMMAND, PCI_COMMAND_MEMORY, 1);
	ck_assert_uint_eq(bus_read(rig.machine.mmio, 0xd0000008, 4), 0x28);
	ck_assert_uint_eq(bus_read(rig.machine.ports, get(BAR(0), 4) & ~3u, 1), 0xff);
	/* The 64-bit one, byte by byte. */
	put(BAR(5), 0x70, 1);
	put(BAR(5) + 1, 0, 1);
	put(BAR(4) + 3, 0, 1);
	ck_assert_uint_eq(bus_read(rig.machine.mmio, 0x7000000000, 8), 0x30);
	/* Power-on state: nothing is decoded; then as firmware leaves it. */
	pci_function_reset(&function);
	ck_assert_uint_eq(get(PCI_COMMAND, 2), 0);
	ck_assert_uint_eq(get(BAR(2), 4), 0);
	ck_assert(!mapped_on);
	ck_assert_int_eq(pci_bus_assign(rig.machine.pci), 0);
	ck_assert_uint_eq(bus_read(rig.machine.mmio, get(BAR(2), 4), 4), 0x20);
}
END_TEST

START_TEST(bars_in_each_others_way)
{
	uint32_t msix = get(BAR(1), 4), own = get(BAR(2), 4);

	/* Onto another BAR, ECAM, beyond the ports: not mapped, nothing else harmed. */
	put(BAR(2), msix, 4);
	ck_assert(!mapped_on);
	ck_assert_uint_eq(bus_read(rig.machine.mmio, msix + 12, 4), 1);
	put(BAR(2), LAYOUT_ECAM + 0x8000, 4);
	ck_assert(!mapped_on);
	ck_assert_uint_eq(get(0, 4), 0x56781234);
	put(BAR(0), 0x12340, 4);
	put(BAR(0), ADDRESS_PORT & ~63u, 4);
	ck_assert_uint_eq(bus_read(rig.machine.ports, ADDRESS_PORT, 4), 0);
	/* They change places, by way of one on top of the other. */
	put(BAR(2), msix, 4);
	put(BAR(1), own, 4);
	ck_assert(mapped_on);
	ck_assert_uint_eq(bus_read(rig.machine.mmio, msix, 4), 0x20);
	ck_assert_uint_eq(bus_read(rig.machine.mmio, own + 12, 4), 1);
	/* Onto RAM's address: KVM never exits there, so it does no harm. */
	put(BAR(2), 0x100000, 4);
	put(BAR(5), 0xffffffff, 4);
	put(BAR(4), 0, 4);
}
END_TEST

START_TEST(read_only_stays)
{
	uint8_t before[256], after[256];

	pci_config_get(&function, 0, before, sizeof(before));
	for (unsigned int i = 0; i < 256; i++)
		put(i, 0xff, 1);
	for (unsigned int i = 0; i < 256; i++)
		put(i, 0, 1);
	pci_config_get(&function, 0, after, sizeof(after));
	ck_assert_mem_eq(before, after, PCI_COMMAND);
	ck_assert_mem_eq(before + PCI_STATUS, after + PCI_STATUS, PCI_CACHE_LINE_SIZE - PCI_STATUS);
	ck_assert_mem_eq(before + PCI_CARDBUS_CIS, after + PCI_CARDBUS_CIS, 0x14);
	ck_assert_mem_eq(before + 0x40, after + 0x40, 256 - 0x40);
}
END_TEST

START_TEST(capabilities)
{
	static const uint8_t body[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	int at = pci_add_capability(&function, PCI_CAP_ID_VNDR, body, 5), last = at;

	ck_assert_int_eq(at % 4, 0);
	ck_assert_uint_eq(get(PCI_STATUS, 2) & PCI_STATUS_CAP_LIST, PCI_STATUS_CAP_LIST);
	ck_assert_uint_eq(get(PCI_CAPABILITY_LIST, 1), 0x40);
	ck_assert_uint_eq(get(0x40, 1), PCI_CAP_ID_MSIX);
	ck_assert_uint_eq(get(0x41, 1), (unsigned int)at);
	ck_assert_uint_eq(get((unsigned int)at + 2, 4), 0x04030201);
	while (at >= 0) {
		last = at;
		at = pci_add_capability(&function, PCI_CAP_ID_VNDR, body, sizeof(body));
	}
	ck_assert_int_eq(at, -ENOSPC);
	ck_assert_uint_eq(get((unsigned int)last + 1, 1), 0);
}
END_TEST

static void entry(unsigned int vector, unsigned int word, uint32_t value)
{
	bus_write(rig.machine.mmio, get(BAR(1), 4) + 16 * vector + 4 * word, value, 4);
}

static uint32_t entry_get(unsigned int vector, unsigned int word)
{
	return (uint32_t)bus_read(rig.machine.mmio, get(BAR(1), 4) + 16 * vector + 4 * word, 4);
}

START_TEST(msix_table)
{
	uint64_t pba = get(BAR(1), 4) + (get(0x48, 4) & ~7u);
	struct irq_msi *msi = pci_msix_message(&function, 1);

	ck_assert_uint_eq(get(0x42, 2), 2); /* three vectors */
	ck_assert_uint_eq(get(0x44, 4), 1); /* table: BAR 1, offset 0 */
	ck_assert_ptr_null(pci_msix_message(&function, 3));
	ck_assert_ptr_nonnull(msi);
	for (unsigned int i = 0; i < 3; i++)
		ck_assert_uint_eq(entry_get(i, 3), 1);
	entry(1, 0, 0xfee00007);
	entry(1, 1, 0xffffffff);
	entry(1, 2, 0x4041);
	entry(1, 3, 0xfffffffe);
	ck_assert_uint_eq(entry_get(1, 0), 0xfee00004);
	ck_assert_uint_eq(entry_get(1, 3), 0);
	irq_msi_fire(msi);
	ck_assert_uint_eq(bus_read(rig.machine.mmio, pba, 8), 2);
	ck_assert_uint_eq(bus_read(rig.machine.mmio, pba, 1), 2);
	ck_assert_uint_eq(bus_read(rig.machine.mmio, pba + 1, 1), 0);
	bus_write(rig.machine.mmio, pba, 0, 4); /* read-only */
	ck_assert_uint_eq(bus_read(rig.machine.mmio, pba, 4), 2);
	/* Garbage address, whole function masked and opened: no harm. */
	put(0x42, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL, 2);
	ck_assert_uint_eq(get(0x42, 2), PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL | 2);
	put(0x43, PCI_MSIX_FLAGS_ENABLE >> 8, 1);
	put(0x42, 0, 2);
	pci_function_reset(&function);
	ck_assert_int_eq(pci_bus_assign(rig.machine.pci), 0);
	ck_assert_uint_eq(entry_get(1, 3), 1);
	ck_assert_uint_eq(entry_get(1, 0), 0);
	ck_assert_uint_eq(bus_read(rig.machine.mmio, pba, 8), 0);
}
END_TEST

START_TEST(every_offset_and_width)
{
	static const unsigned int sizes[] = { 1, 2, 4, 8 };
	uint64_t msix = get(BAR(1), 4);

	for (unsigned int s = 0; s < 4; s++) {
		for (unsigned int offset = 0; offset < 4096; offset++) {
			(void)bus_read(rig.machine.mmio, msix + offset, sizes[s]);
			bus_write(rig.machine.mmio, msix + offset, 0xa5a5a5a5a5a5a5a5, sizes[s]);
		}
		for (unsigned int offset = 0; offset < 4096; offset++) {
			uint64_t at = LAYOUT_ECAM + (1 << 15) + offset;

			(void)bus_read(rig.machine.mmio, at, sizes[s]);
			bus_write(rig.machine.mmio, at, 0x5a5a5a5a5a5a5a5a, sizes[s]);
			bus_write(rig.machine.mmio, at, ~0ull, sizes[s]);
		}
		for (unsigned int port = ADDRESS_PORT - 4; port < DATA_PORT + 8; port++) {
			(void)bus_read(rig.machine.ports, port, sizes[s]);
			bus_write(rig.machine.ports, port, 0x80000800u + port, sizes[s]);
		}
	}
	ck_assert_uint_eq(get(0, 4), 0x56781234);
}
END_TEST

START_TEST(slots_run_out)
{
	struct pci_function *many = calloc(31, sizeof(*many));

	for (unsigned int i = 0; i < 30; i++) {
		many[i] = (struct pci_function){ .name = "many", .vendor = 1, .device = 2 };
		ck_assert_int_eq(pci_register(rig.machine.pci, &many[i]), 0);
	}
	many[30].name = "one too many";
	ck_assert_int_eq(pci_register(rig.machine.pci, &many[30]), -ENOSPC);
	for (unsigned int i = 0; i < 30; i++)
		pci_unregister(&many[i]);
	many[0] = (struct pci_function){ .name = "bad" };
	many[0].bars[0] = make_bar(PCI_BAR_MEM32, 0x1800, 0);
	ck_assert_int_eq(pci_register(rig.machine.pci, &many[0]), -EINVAL);
	many[0].bars[0] = make_bar(PCI_BAR_NONE, 0, 0);
	many[0].bars[5] = make_bar(PCI_BAR_MEM64, 0x1000, 0);
	ck_assert_int_eq(pci_register(rig.machine.pci, &many[0]), -EINVAL);
	free(many);
}
END_TEST

START_TEST(saved_and_loaded)
{
	struct state saved = { 0 }, reader;

	put(BAR(2), 0xd1230000, 4);
	entry(2, 0, 0xfee01000);
	put(0x42, PCI_MSIX_FLAGS_ENABLE, 2);
	irq_msi_fire(pci_msix_message(&function, 0));
	ck_assert_int_eq(pci_function_save(&function, &saved), 0);
	pci_function_reset(&function);
	state_read_from(&reader, saved.bytes, saved.len);
	ck_assert_int_eq(pci_function_load(&function, &reader), 0);
	ck_assert_uint_eq(bus_read(rig.machine.mmio, 0xd1230000, 4), 0x20);
	ck_assert_uint_eq(entry_get(2, 0), 0xfee01000);
	ck_assert(irq_msi_pending(pci_msix_message(&function, 0)));
	for (size_t len = 0; len < saved.len; len++) {
		state_read_from(&reader, saved.bytes, len);
		ck_assert_int_lt(pci_function_load(&function, &reader), 0);
	}
	state_finish(&saved);
}
END_TEST

START_TEST(memory_for_firmware_lies_below_4_gib)
{
	struct pci_function screen = {
		.name = "screen",
		.vendor = 0x1234,
		.device = 0x1111,
		.class_code = 0x030000,
		.bars[0] = make_bar(PCI_BAR_MEM32_PREFETCH, 256 << 20, 0x40),
	};

	ck_assert_int_eq(pci_register(rig.machine.pci, &screen), 0);
	ck_assert_int_eq(pci_bus_assign(rig.machine.pci), 0);
	ck_assert_uint_eq(rig_config_read(&rig, 2, PCI_BASE_ADDRESS_0, 4),
			  LAYOUT_PCI_MMIO32 | PCI_BASE_ADDRESS_MEM_PREFETCH);
	rig_config_write(&rig, 2, PCI_BASE_ADDRESS_0, 0xffffffff, 4);
	ck_assert_uint_eq(rig_config_read(&rig, 2, PCI_BASE_ADDRESS_0, 4),
			  0xf0000000 | PCI_BASE_ADDRESS_MEM_PREFETCH);
	pci_unregister(&screen);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pci_bus");
	TCase *tcase = tcase_create("pci");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, header_by_both_doors);
	tcase_add_test(tcase, reset_port);
	tcase_add_test(tcase, bars_are_sized);
	tcase_add_test(tcase, bars_follow_their_registers);
	tcase_add_test(tcase, bars_in_each_others_way);
	tcase_add_test(tcase, memory_for_firmware_lies_below_4_gib);
	tcase_add_test(tcase, read_only_stays);
	tcase_add_test(tcase, capabilities);
	tcase_add_test(tcase, msix_table);
	tcase_add_test(tcase, every_offset_and_width);
	tcase_add_test(tcase, slots_run_out);
	tcase_add_test(tcase, saved_and_loaded);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
