// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The PCI root bus: its functions, and the two doors to configuration space, ECAM and ports.
 *
 * Every access, whatever its width and alignment, is taken as a run of bytes within one function's
 * 4 KiB, so that no offset is special; only what the written bytes belong to (command and BARs,
 * MSI-X control, the window) decides what happens behind them.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/devices/pci_private.h"
#include "host-vmm/layout.h"
#include "host-vmm/machine.h"
#include "host-vmm/state.h"

/* PCI 3.0 section 3.2.2.3.2 */
#define PORT_ADDRESS	      0xcf8u
#define PORT_DATA_OFFSET      4u /* of 0xcfc, within the region that begins at 0xcf8 */
#define CONFIG_ADDRESS_ENABLE 0x80000000u
#define CONFIG_ADDRESS_MASK   0x80fffffcu

/* ICH9 datasheet, section 13.7.5: a write with RST_CPU set resets the machine. */
#define RESET_CONTROL_OFFSET 1u
#define RESET_CONTROL_CPU    0x04u

/* Q35's memory controller hub: firmware and chipset drivers know the machine by it. */
#define BRIDGE_VENDOR	 0x8086
#define BRIDGE_DEVICE	 0x29c0
#define BRIDGE_CLASS	 0x060000 /* host bridge */
#define BRIDGE_PCIEXBAR	 0x60 /* where ECAM lies; ours stays where it is */
#define PCIEXBAR_ENABLED 0x1

#define LOW_CONFIG 256u /* bytes; beyond are extended capabilities, and we have none */

static bool overlaps(unsigned int offset, size_t len, unsigned int start, size_t size)
{
	return offset < start + size && start < offset + len;
}

/* ---- one function's configuration space ---- */

void pci_config_get(struct pci_function *function, unsigned int offset, void *bytes, size_t len)
{
	pthread_mutex_lock(&function->bus->lock);
	memcpy(bytes, function->config + offset, len);
	pthread_mutex_unlock(&function->bus->lock);
}

void pci_config_put(struct pci_function *function, unsigned int offset, const void *bytes,
		    size_t len)
{
	pthread_mutex_lock(&function->bus->lock);
	memcpy(function->config + offset, bytes, len);
	pthread_mutex_unlock(&function->bus->lock);
}

static uint32_t function_read(struct pci_function *function, unsigned int offset, unsigned int size)
{
	uint32_t value = 0;

	if (function->window_len != 0 && function->window_refresh &&
	    overlaps(offset, size, function->window, function->window_len))
		function->window_refresh(function);
	pthread_mutex_lock(&function->bus->lock);
	for (unsigned int i = 0; i < size && offset + i < LOW_CONFIG; i++)
		value |= (uint32_t)function->config[offset + i] << (8 * i);
	pthread_mutex_unlock(&function->bus->lock);
	return value;
}

static void function_write(struct pci_function *function, unsigned int offset, uint32_t value,
			   unsigned int size)
{
	struct pci_bus *bus = function->bus;

	pthread_mutex_lock(&bus->lock);
	for (unsigned int i = 0; i < size && offset + i < LOW_CONFIG; i++) {
		uint8_t writable = function->writable[offset + i];
		uint8_t byte = (uint8_t)(value >> (8 * i));
		uint8_t old = function->config[offset + i];

		function->config[offset + i] = (uint8_t)((old & ~writable) | (byte & writable));
	}
	if (overlaps(offset, size, PCI_COMMAND, 2) ||
	    overlaps(offset, size, PCI_BASE_ADDRESS_0, 4 * PCI_BARS))
		pci_config_remap(bus);
	pthread_mutex_unlock(&bus->lock);

	if (pci_msix_controls(function, offset, size))
		pci_msix_control_written(function);
	if (function->window_len != 0 && function->window_written &&
	    overlaps(offset, size, function->window, function->window_len))
		function->window_written(function);
}

/* ---- the doors ---- */

/* Only function 0 of bus 0's devices is there. Slots are filled before the guest runs. */
static struct pci_function *find_function(struct pci_bus *bus, unsigned int bus_number,
					  unsigned int devfn)
{
	if (bus_number != 0 || (devfn & 7) != 0)
		return NULL;
	return bus->slots[devfn >> 3];
}

static uint64_t all_ones(unsigned int size)
{
	return size >= 8 ? UINT64_MAX : (1ull << (8 * size)) - 1;
}

static uint64_t ecam_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct pci_function *function =
		find_function(opaque, (unsigned int)(offset >> 20), (offset >> 12) & 0xff);
	unsigned int at = offset & 0xfff;
	uint64_t value;

	if (!function)
		return all_ones(size);
	value = function_read(function, at, size > 4 ? 4 : size);
	if (size > 4)
		value |= (uint64_t)function_read(function, at + 4, size - 4) << 32;
	return value;
}

static void ecam_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct pci_function *function =
		find_function(opaque, (unsigned int)(offset >> 20), (offset >> 12) & 0xff);
	unsigned int at = offset & 0xfff;

	if (!function)
		return;
	function_write(function, at, (uint32_t)value, size > 4 ? 4 : size);
	if (size > 4)
		function_write(function, at + 4, (uint32_t)(value >> 32), size - 4);
}

static const struct io_ops ecam_ops = { .read = ecam_read, .write = ecam_write };

static struct pci_function *addressed(struct pci_bus *bus, uint64_t port_offset,
				      unsigned int *ret_at)
{
	uint32_t address = __atomic_load_n(&bus->address, __ATOMIC_RELAXED);

	if (!(address & CONFIG_ADDRESS_ENABLE))
		return NULL;
	*ret_at = (address & 0xfc) + (unsigned int)(port_offset & 3);
	return find_function(bus, address >> 16 & 0xff, address >> 8 & 0xff);
}

static uint64_t ports_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct pci_bus *bus = opaque;
	struct pci_function *function;
	unsigned int at;

	if (offset == 0 && size == 4)
		return __atomic_load_n(&bus->address, __ATOMIC_RELAXED);
	if (offset == RESET_CONTROL_OFFSET && size == 1)
		return 0;
	if (offset < PORT_DATA_OFFSET)
		return all_ones(size);
	function = addressed(bus, offset, &at);
	return function ? function_read(function, at, size) : all_ones(size);
}

static void ports_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct pci_bus *bus = opaque;
	struct pci_function *function;
	unsigned int at;

	if (offset == 0 && size == 4) {
		__atomic_store_n(&bus->address, (uint32_t)value & CONFIG_ADDRESS_MASK,
				 __ATOMIC_RELAXED);
	} else if (offset == RESET_CONTROL_OFFSET && size == 1) {
		if (value & RESET_CONTROL_CPU)
			machine_request(bus->machine, MACHINE_RESET);
	} else if (offset >= PORT_DATA_OFFSET) {
		function = addressed(bus, offset, &at);
		if (function)
			function_write(function, at, (uint32_t)value, size);
	}
}

static const struct io_ops port_ops = { .read = ports_read, .write = ports_write };

/* ---- functions ---- */

static int register_at(struct pci_bus *bus, struct pci_function *function, unsigned int slot)
{
	int ret;

	memset(function->config, 0, sizeof(function->config));
	memset(function->writable, 0, sizeof(function->writable));
	function->bus = bus;
	function->slot = (uint8_t)slot;
	function->next_cap = PCI_STD_HEADER_SIZEOF;
	ret = pci_msix_create(function);
	if (ret < 0)
		return ret;
	ret = pci_config_check_bars(function);
	if (ret < 0) {
		pci_msix_destroy(function);
		return ret;
	}
	pci_config_init(function);
	pthread_mutex_lock(&bus->lock);
	bus->slots[slot] = function;
	pthread_mutex_unlock(&bus->lock);
	return 0;
}

int pci_register(struct pci_bus *bus, struct pci_function *function)
{
	for (unsigned int slot = 1; slot < PCI_SLOTS; slot++)
		if (!bus->slots[slot])
			return register_at(bus, function, slot);
	return -ENOSPC;
}

bool pci_bus_in_use(const struct pci_bus *bus)
{
	for (unsigned int slot = 1; slot < PCI_SLOTS; slot++)
		if (bus->slots[slot])
			return true;
	return false;
}

static void power_on(struct pci_function *function)
{
	struct pci_bus *bus = function->bus;

	pthread_mutex_lock(&bus->lock);
	pci_config_power_on(function);
	pci_config_remap(bus);
	pthread_mutex_unlock(&bus->lock);
	pci_msix_reset(function);
}

void pci_unregister(struct pci_function *function)
{
	struct pci_bus *bus = function->bus;

	if (!bus)
		return;
	power_on(function);
	pthread_mutex_lock(&bus->lock);
	bus->slots[function->slot] = NULL;
	pthread_mutex_unlock(&bus->lock);
	pci_msix_destroy(function);
	function->bus = NULL;
}

void pci_function_reset(struct pci_function *function)
{
	power_on(function);
}

int pci_function_save(struct pci_function *function, struct state *state)
{
	state_put_u16(state, function->vendor);
	state_put_u16(state, function->device);
	pthread_mutex_lock(&function->bus->lock);
	state_put(state, function->config, sizeof(function->config));
	pthread_mutex_unlock(&function->bus->lock);
	pci_msix_save(function, state);
	return state_error(state);
}

int pci_function_load(struct pci_function *function, struct state *state)
{
	struct pci_bus *bus = function->bus;
	uint8_t config[sizeof(function->config)];
	uint16_t vendor = state_get_u16(state), device = state_get_u16(state);

	state_get(state, config, sizeof(config));
	if (state_error(state) < 0 || vendor != function->vendor || device != function->device)
		return -EBADMSG;
	pthread_mutex_lock(&bus->lock);
	for (size_t i = 0; i < sizeof(config); i++) {
		uint8_t writable = function->writable[i];

		function->config[i] =
			(uint8_t)((function->config[i] & ~writable) | (config[i] & writable));
	}
	pci_config_remap(bus);
	pthread_mutex_unlock(&bus->lock);
	pci_msix_load(function, state);
	return state_error(state);
}

/* ---- the bus ---- */

int pci_bus_create(struct machine *machine, struct pci_bus **ret_bus)
{
	struct pci_bus *bus = calloc(1, sizeof(*bus));
	uint64_t pciexbar = LAYOUT_ECAM | PCIEXBAR_ENABLED;
	int ret;

	if (!bus)
		return -ENOMEM;
	bus->machine = machine;
	pthread_mutex_init(&bus->lock, NULL);
	bus->bridge = (struct pci_function){
		.name = "pci-host-bridge",
		.vendor = BRIDGE_VENDOR,
		.device = BRIDGE_DEVICE,
		.class_code = BRIDGE_CLASS,
	};
	bus->ports = (struct io_region){
		.name = "pci-config", .size = 8, .ops = &port_ops, .opaque = bus
	};
	bus->ecam = (struct io_region){
		.name = "pci-ecam", .size = LAYOUT_ECAM_SIZE, .ops = &ecam_ops, .opaque = bus
	};
	ret = register_at(bus, &bus->bridge, 0);
	if (ret < 0)
		goto fail;
	pci_config_put(&bus->bridge, BRIDGE_PCIEXBAR, &pciexbar, sizeof(pciexbar));
	ret = bus_claim(machine->ports, &bus->ports, PORT_ADDRESS);
	if (ret < 0)
		goto fail;
	ret = bus_claim(machine->mmio, &bus->ecam, LAYOUT_ECAM);
	if (ret < 0)
		goto fail;
	*ret_bus = bus;
	return 0;

fail:
	pci_bus_destroy(bus);
	return ret;
}

void pci_bus_destroy(struct pci_bus *bus)
{
	if (!bus)
		return;
	bus_release(bus->machine->mmio, &bus->ecam);
	bus_release(bus->machine->ports, &bus->ports);
	pci_unregister(&bus->bridge);
	pthread_mutex_destroy(&bus->lock);
	free(bus);
}

struct window {
	uint64_t next, end;
};

/* Windows are used up by falling size, so that natural alignment wastes nothing. */
static int assign_bar(struct pci_function *function, unsigned int index, struct window *window)
{
	uint64_t size = function->bars[index].region.size;
	uint64_t base = (window->next + size - 1) & ~(size - 1);

	if (base < window->next || base + size > window->end)
		return -ENOSPC;
	pci_config_set_bar(function, index, base);
	window->next = base + size;
	return 0;
}

static struct window *bar_window(struct window windows[3], const struct pci_bar *bar)
{
	switch (bar->kind) {
	case PCI_BAR_IO:
		return &windows[0];
	case PCI_BAR_MEM32:
	case PCI_BAR_MEM32_PREFETCH:
		return &windows[1];
	case PCI_BAR_MEM64:
	case PCI_BAR_MEM64_PREFETCH:
		return &windows[2];
	case PCI_BAR_NONE:
		break;
	}
	return NULL;
}

static int assign_size(struct pci_bus *bus, struct window windows[3], uint64_t size)
{
	for (unsigned int slot = 0; slot < PCI_SLOTS; slot++) {
		struct pci_function *function = bus->slots[slot];

		for (unsigned int i = 0; function && i < PCI_BARS; i++) {
			struct window *window = bar_window(windows, &function->bars[i]);
			int ret;

			if (!window || function->bars[i].region.size != size)
				continue;
			ret = assign_bar(function, i, window);
			if (ret < 0)
				return ret;
			function->config[PCI_COMMAND] |= function->bars[i].kind == PCI_BAR_IO
								 ? PCI_COMMAND_IO
								 : PCI_COMMAND_MEMORY;
		}
	}
	return 0;
}

int pci_bus_assign(struct pci_bus *bus)
{
	const struct machine *machine = bus->machine;
	struct window windows[3] = {
		{ LAYOUT_PCI_IO, LAYOUT_PCI_IO + LAYOUT_PCI_IO_SIZE },
		{ LAYOUT_PCI_MMIO32, LAYOUT_PCI_MMIO32 + LAYOUT_PCI_MMIO32_SIZE },
		{ machine->pci_mmio64, machine->pci_mmio64 + machine->pci_mmio64_size },
	};
	int ret = 0;

	pthread_mutex_lock(&bus->lock);
	__atomic_store_n(&bus->address, 0, __ATOMIC_RELAXED);
	for (int order = 63; order >= 2 && ret == 0; order--)
		ret = assign_size(bus, windows, 1ull << order);
	pci_config_remap(bus);
	pthread_mutex_unlock(&bus->lock);
	return ret;
}
