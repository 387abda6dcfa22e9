// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Configuration space of a PCI function: header, capabilities, and BARs that follow their
 * registers.
 */
#include <endian.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "host-vmm/devices/pci_private.h"
#include "host-vmm/machine.h"
#include "protocol/lib/log.h"

#define BAR_OFFSET(i) (PCI_BASE_ADDRESS_0 + 4 * (i))

static void put16(uint8_t *bytes, uint16_t value)
{
	value = htole16(value);
	memcpy(bytes, &value, sizeof(value));
}

static void put32(uint8_t *bytes, uint32_t value)
{
	value = htole32(value);
	memcpy(bytes, &value, sizeof(value));
}

static uint32_t get32(const uint8_t *bytes)
{
	uint32_t value;

	memcpy(&value, bytes, sizeof(value));
	return le32toh(value);
}

static bool bar_is_64(const struct pci_bar *bar)
{
	return bar->kind == PCI_BAR_MEM64 || bar->kind == PCI_BAR_MEM64_PREFETCH;
}

static uint32_t bar_type_bits(const struct pci_bar *bar)
{
	switch (bar->kind) {
	case PCI_BAR_IO:
		return PCI_BASE_ADDRESS_SPACE_IO;
	case PCI_BAR_MEM64:
		return PCI_BASE_ADDRESS_MEM_TYPE_64;
	case PCI_BAR_MEM64_PREFETCH:
		return PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH;
	case PCI_BAR_MEM32_PREFETCH:
		return PCI_BASE_ADDRESS_MEM_PREFETCH;
	case PCI_BAR_MEM32:
	case PCI_BAR_NONE:
		break;
	}
	return 0;
}

int pci_config_check_bars(const struct pci_function *function)
{
	for (unsigned int i = 0; i < PCI_BARS; i++) {
		const struct pci_bar *bar = &function->bars[i];
		uint64_t size = bar->region.size;

		if (bar->kind == PCI_BAR_NONE)
			continue;
		if (size < (bar->kind == PCI_BAR_IO ? 4 : 16) || (size & (size - 1)) != 0)
			return -EINVAL;
		if (bar->kind == PCI_BAR_IO && size > 256)
			return -EINVAL;
		if (!bar_is_64(bar) && size > UINT32_MAX / 2)
			return -EINVAL;
		if (bar_is_64(bar) &&
		    (i + 1 == PCI_BARS || function->bars[i + 1].kind != PCI_BAR_NONE))
			return -EINVAL;
	}
	return 0;
}

void pci_config_init(struct pci_function *function)
{
	uint8_t *config = function->config;
	uint8_t *writable = function->writable;

	put16(config + PCI_VENDOR_ID, function->vendor);
	put16(config + PCI_DEVICE_ID, function->device);
	config[PCI_REVISION_ID] = function->revision;
	config[PCI_CLASS_PROG] = (uint8_t)function->class_code;
	put16(config + PCI_CLASS_DEVICE, (uint16_t)(function->class_code >> 8));
	put16(config + PCI_SUBSYSTEM_VENDOR_ID, function->subsystem_vendor);
	put16(config + PCI_SUBSYSTEM_ID, function->subsystem);
	put16(writable + PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
					      PCI_COMMAND_PARITY | PCI_COMMAND_SERR |
					      PCI_COMMAND_INTX_DISABLE);
	writable[PCI_CACHE_LINE_SIZE] = 0xff;
	writable[PCI_INTERRUPT_LINE] = 0xff;
	for (unsigned int i = 0; i < PCI_BARS; i++) {
		const struct pci_bar *bar = &function->bars[i];
		uint64_t mask = ~(bar->region.size - 1);

		if (bar->kind == PCI_BAR_NONE)
			continue;
		put32(config + BAR_OFFSET(i), bar_type_bits(bar));
		put32(writable + BAR_OFFSET(i), (uint32_t)mask);
		if (bar_is_64(bar))
			put32(writable + BAR_OFFSET(i + 1), (uint32_t)(mask >> 32));
	}
}

void pci_config_power_on(struct pci_function *function)
{
	for (size_t i = 0; i < sizeof(function->config); i++)
		function->config[i] &= (uint8_t)~function->writable[i];
}

void pci_config_set_bar(struct pci_function *function, unsigned int index, uint64_t base)
{
	const struct pci_bar *bar = &function->bars[index];

	put32(function->config + BAR_OFFSET(index), (uint32_t)base | bar_type_bits(bar));
	if (bar_is_64(bar))
		put32(function->config + BAR_OFFSET(index + 1), (uint32_t)(base >> 32));
}

/* Where the guest wants the BAR: false for nowhere. */
static bool wanted_bar(const struct pci_function *function, unsigned int index, uint64_t *ret_base)
{
	const struct pci_bar *bar = &function->bars[index];
	uint8_t decode = bar->kind == PCI_BAR_IO ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
	uint64_t mask = ~(bar->region.size - 1), limit = UINT32_MAX;
	uint64_t base;

	if (bar->kind == PCI_BAR_NONE || !(function->config[PCI_COMMAND] & decode))
		return false;
	base = get32(function->config + BAR_OFFSET(index));
	if (bar_is_64(bar)) {
		base |= (uint64_t)get32(function->config + BAR_OFFSET(index + 1)) << 32;
		limit = UINT64_MAX;
	}
	base &= mask;
	/* 0 is what power-on leaves, all ones what a driver writes to learn the size. */
	if (base == 0 || base == (mask & limit))
		return false;
	*ret_base = base;
	return true;
}

static struct bus *bar_bus(const struct pci_bus *bus, const struct pci_bar *bar)
{
	return bar->kind == PCI_BAR_IO ? bus->machine->ports : bus->machine->mmio;
}

static void release_moved(struct pci_bus *bus, struct pci_function *function, unsigned int index)
{
	struct pci_bar *bar = &function->bars[index];
	uint64_t base = bar->region.base, wanted;

	if (!bar->region.claimed)
		return;
	if (wanted_bar(function, index, &wanted) && wanted == base)
		return;
	bus_release(bar_bus(bus, bar), &bar->region);
	if (bar->mapped)
		bar->mapped(bar->region.opaque, false, base);
}

static void claim_wanted(struct pci_bus *bus, struct pci_function *function, unsigned int index)
{
	struct pci_bar *bar = &function->bars[index];
	uint64_t wanted;
	int ret;

	if (bar->region.claimed || !wanted_bar(function, index, &wanted))
		return;
	ret = bus_claim(bar_bus(bus, bar), &bar->region, wanted);
	if (ret < 0) {
		/* The guest's doing and its loss; tried again when any BAR moves. */
		log_debug("%s: bar %u cannot be at 0x%llx: %s", function->name, index,
			  (unsigned long long)wanted, strerror(-ret));
		return;
	}
	if (bar->mapped)
		bar->mapped(bar->region.opaque, true, wanted);
}

void pci_config_remap(struct pci_bus *bus)
{
	/* All releases first, so that two BARs can change places. */
	for (unsigned int slot = 0; slot < PCI_SLOTS; slot++)
		for (unsigned int i = 0; bus->slots[slot] && i < PCI_BARS; i++)
			release_moved(bus, bus->slots[slot], i);
	for (unsigned int slot = 0; slot < PCI_SLOTS; slot++)
		for (unsigned int i = 0; bus->slots[slot] && i < PCI_BARS; i++)
			claim_wanted(bus, bus->slots[slot], i);
}

int pci_add_capability(struct pci_function *function, uint8_t id, const void *body, size_t len)
{
	/* Capabilities lie on 4-byte boundaries (PCI 3.0 section 6.7). */
	size_t at = function->next_cap, room = (2 + len + 3) & ~(size_t)3;
	uint8_t *link = &function->config[PCI_CAPABILITY_LIST];

	if (at + room > sizeof(function->config) || at + room > UINT8_MAX)
		return -ENOSPC;
	while (*link != 0)
		link = &function->config[*link + PCI_CAP_LIST_NEXT];
	*link = (uint8_t)at;
	function->config[at + PCI_CAP_LIST_ID] = id;
	memcpy(function->config + at + PCI_CAP_FLAGS, body, len);
	function->config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	function->next_cap = (uint8_t)(at + room);
	return (int)at;
}
