/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interrupts: the in-kernel chip's lines, and messages (MSI, MSI-X) through irqfd.
 *
 * A message owns an eventfd for its whole life: whoever holds it (our threads, a vhost-user back
 * end) writes to it, and KVM injects with no help of ours. While a message is masked, the eventfd
 * is detached from KVM and collects; unmasking it injects once if anything was collected.
 *
 * Locking: every function may be called by any thread.
 */
#ifndef LODGE_VMM_IRQ_H
#define LODGE_VMM_IRQ_H

#include <stdbool.h>
#include <stdint.h>

struct irq;
struct irq_msi;

/* GSIs 0 to 23 are the IOAPIC's pins. Messages get higher ones, at most IRQ_MSI_MAX of them. */
#define IRQ_LINES   24
#define IRQ_MSI_MAX 1000

int irq_create(int vm_fd, struct irq **ret_irq);
void irq_destroy(struct irq *irq);

/* Sets the level of an IOAPIC pin (and of the PIC's line below 16). */
void irq_set_line(struct irq *irq, unsigned int gsi, bool high);

/* A message, masked at first. -ENOSPC when IRQ_MSI_MAX are in use. */
int irq_msi_create(struct irq *irq, struct irq_msi **ret_msi);
void irq_msi_destroy(struct irq_msi *msi);
/* Gives it its address and data as the guest wrote them to its table, and its mask. */
int irq_msi_set(struct irq_msi *msi, uint64_t address, uint32_t data, bool masked);
/* The eventfd, owned by @msi. */
int irq_msi_fd(const struct irq_msi *msi);
/* Raises it: one write(2) to the eventfd. */
void irq_msi_fire(struct irq_msi *msi);
/* True if raised while masked: the bit in the pending bit array. */
bool irq_msi_pending(const struct irq_msi *msi);

#endif
