/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PCI: one root bus behind ECAM and CF8/CFC, functions with BARs, capabilities and MSI-X.
 *
 * A function fills a struct pci_function (ids, BARs), registers it, and serves its BARs by io_ops
 * at offsets. The bus owns configuration space, decides addresses (the VMM assigns BARs before the
 * guest runs, and the guest may move them), claims and releases BAR regions, and runs the MSI-X
 * table and pending bit array.
 *
 * Sources: PCI Local Bus 3.0 chapter 6, PCI Express Base 4.0 section 7.2 (ECAM), PCI Firmware 3.3
 * (MCFG), Intel ICH9 datasheet (reset control register, port 0xCF9, which lies in the middle of the
 * ports of CONFIG_ADDRESS and is therefore served here); constants from <linux/pci_regs.h>.
 *
 * Locking: the bus has one mutex for configuration space; BAR handlers are called without it.
 */
#ifndef LODGE_VMM_PCI_H
#define LODGE_VMM_PCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host-vmm/bus.h"

struct irq_msi;
struct machine;
struct pci_bus;
struct state;

#define PCI_BARS	 6
#define PCI_MSIX_VECTORS 256 /* the most that a function of ours may have */

enum pci_bar_kind {
	PCI_BAR_NONE = 0,
	PCI_BAR_IO = 1,
	PCI_BAR_MEM32 = 2,
	PCI_BAR_MEM64 = 3, /* takes this BAR and the next */
	PCI_BAR_MEM64_PREFETCH = 4, /* the same, prefetchable: memory behind it, not registers */
	PCI_BAR_MEM32_PREFETCH = 5, /* for firmware that knows 32 bits only: a VGA's memory */
};

struct pci_bar {
	enum pci_bar_kind kind;
	struct io_region region; /* size (a power of two), ops, opaque, name: the function's */
	/*
	 * Called when the guest moves or disables the BAR, after it was released (enabled = false,
	 * @base is where it was) or claimed at @base (enabled = true): for ioeventfds and memory
	 * slots that follow it. The mutex of configuration space is held. @opaque is region.opaque.
	 * May be NULL.
	 */
	void (*mapped)(void *opaque, bool enabled, uint64_t base);
};

struct pci_function {
	/* Filled by its device before pci_register(): */
	const char *name;
	uint16_t vendor, device, subsystem_vendor, subsystem;
	uint8_t revision;
	uint32_t class_code; /* 24 bits: class, subclass, programming interface */
	struct pci_bar bars[PCI_BARS];
	unsigned int n_vectors; /* MSI-X vectors; 0: no MSI-X */
	unsigned int
		msix_bar; /* BAR that the bus sets up for table and PBA; must be PCI_BAR_NONE */
	/* Called when a vector is masked or unmasked or MSI-X as a whole goes on or off. May be
	 * NULL. */
	void (*msix_changed)(struct pci_function *function, unsigned int vector);

	/*
	 * A few bytes of configuration space with a life of their own, for
	 * VIRTIO_PCI_CAP_PCI_CFG: refresh runs before the guest reads any of them, written after it
	 * wrote any. Called without the mutex. Either may be NULL; window_len is 0 without any.
	 */
	uint8_t window, window_len;
	void (*window_refresh)(struct pci_function *function);
	void (*window_written)(struct pci_function *function);

	/* The bus's own: */
	struct pci_bus *bus;
	uint8_t slot; /* 0: not registered */
	uint8_t config[256];
	uint8_t writable[256]; /* bits that the guest may change */
	uint8_t next_cap;
	struct pci_msix *msix;
};

int pci_bus_create(struct machine *machine, struct pci_bus **ret_bus);
void pci_bus_destroy(struct pci_bus *bus);
/* Whether any function was registered. A bus without need not be described to the guest. */
bool pci_bus_in_use(const struct pci_bus *bus);
/* After all functions are registered, and at each reset: assigns addresses to all BARs and turns
 * decoding on, as firmware would. */
int pci_bus_assign(struct pci_bus *bus);

/* Takes the next free slot and brings up BARs (unmapped) and MSI-X. -ENOSPC when all 31 slots or
 * all messages are taken, -EINVAL for BARs that make no sense. */
int pci_register(struct pci_bus *bus, struct pci_function *function);
void pci_unregister(struct pci_function *function);
/* Back to power-on state: command register, BARs, MSI-X. */
void pci_function_reset(struct pci_function *function);

/* Appends a capability: its id, the link, and @len bytes of @body behind them, read-only for the
 * guest. Its offset, or -ENOSPC. Registered functions only, before the guest runs. */
int pci_add_capability(struct pci_function *function, uint8_t id, const void *body, size_t len);

/* Bytes of configuration space as they are, whatever the guest may change. Any thread. */
void pci_config_get(struct pci_function *function, unsigned int offset, void *bytes, size_t len);
void pci_config_put(struct pci_function *function, unsigned int offset, const void *bytes,
		    size_t len);

/* The message of @vector, to fire or to hand its eventfd on; NULL if there is no such vector. */
struct irq_msi *pci_msix_message(struct pci_function *function, unsigned int vector);

int pci_function_save(struct pci_function *function, struct state *state);
int pci_function_load(struct pci_function *function, struct state *state);

#endif
