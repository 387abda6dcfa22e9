/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of the PCI bus share: the bus itself, and MSI-X as configuration space sees it.
 */
#ifndef LODGE_VMM_PCI_PRIVATE_H
#define LODGE_VMM_PCI_PRIVATE_H

#include <pthread.h>

#include "host-vmm/devices/pci.h"

#define PCI_SLOTS 32

struct pci_bus {
	struct machine *machine;
	/*
	 * Guards configuration space of all functions and where BARs are mapped. Taken before the
	 * bus's own lock and before struct pci_msix's; no BAR handler may take it, for releasing a
	 * BAR waits for its handlers.
	 */
	pthread_mutex_t lock;
	struct pci_function *slots[PCI_SLOTS];
	struct pci_function bridge; /* 00:00.0 */
	uint32_t address; /* CONFIG_ADDRESS; atomic */
	struct io_region ports, ecam;
};

/* pci_config.c: the header and its registers. */
void pci_config_init(struct pci_function *function);
int pci_config_check_bars(const struct pci_function *function);
void pci_config_power_on(struct pci_function *function);
void pci_config_set_bar(struct pci_function *function, unsigned int index, uint64_t base);
/* Claims and releases BAR regions until they are where the guest wants them. Mutex held. */
void pci_config_remap(struct pci_bus *bus);

/* pci_msix.c: adds capability, BAR and messages; or nothing without vectors. */
int pci_msix_create(struct pci_function *function);
void pci_msix_destroy(struct pci_function *function);
/* All vectors masked and nothing pending, as after power-on. */
void pci_msix_reset(struct pci_function *function);
/* The control register of the capability was written. Without the mutex. */
void pci_msix_control_written(struct pci_function *function);
/* True if [offset, offset + len) of configuration space holds its control register. */
bool pci_msix_controls(const struct pci_function *function, unsigned int offset, size_t len);
void pci_msix_save(const struct pci_function *function, struct state *state);
void pci_msix_load(struct pci_function *function, struct state *state);

#endif
