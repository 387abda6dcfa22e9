// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Interrupts: lines of the in-kernel chips, and messages through irqfd.
 *
 * Theory of operation: KVM knows one table from GSI to target, which is replaced as a whole, at the
 * price of a grace period in the kernel. So a route is changed only when an unmasked message's
 * address or data differs from what the table has; masking merely detaches the eventfd.
 */
#include "host-vmm/irq.h"

#include <errno.h>
#include <linux/kvm.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "protocol/lib/fd.h"

#define PIC_PINS 8

struct irq_msi {
	struct irq *irq;
	unsigned int gsi;
	int fd;
	bool routed; /* the table holds address and data */
	bool attached; /* irqfd is with KVM */
	uint64_t address;
	uint32_t data;
};

struct irq {
	int vm_fd;
	pthread_mutex_t lock; /* msis and all their fields but fd */
	struct irq_msi *msis[IRQ_MSI_MAX];
};

static void add_line_routes(struct kvm_irq_routing *table)
{
	for (unsigned int gsi = 0; gsi < IRQ_LINES; gsi++) {
		if (gsi < 2 * PIC_PINS && gsi != 2)
			table->entries[table->nr++] = (struct kvm_irq_routing_entry){
				.gsi = gsi,
				.type = KVM_IRQ_ROUTING_IRQCHIP,
				.u.irqchip.irqchip = gsi < PIC_PINS ? KVM_IRQCHIP_PIC_MASTER
								    : KVM_IRQCHIP_PIC_SLAVE,
				.u.irqchip.pin = gsi % PIC_PINS,
			};
		/* The timer's line is the IOAPIC's pin 2 (an override in the MADT says so). */
		if (gsi != 2)
			table->entries[table->nr++] = (struct kvm_irq_routing_entry){
				.gsi = gsi,
				.type = KVM_IRQ_ROUTING_IRQCHIP,
				.u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC,
				.u.irqchip.pin = gsi == 0 ? 2 : gsi,
			};
	}
}

/* Under lock. */
static int set_routes(struct irq *irq)
{
	struct kvm_irq_routing *table;
	size_t n = IRQ_LINES + 2 * PIC_PINS;
	int ret = 0;

	for (unsigned int i = 0; i < IRQ_MSI_MAX; i++)
		n += irq->msis[i] && irq->msis[i]->routed;
	table = calloc(1, sizeof(*table) + n * sizeof(table->entries[0]));
	if (!table)
		return -ENOMEM;
	add_line_routes(table);
	for (unsigned int i = 0; i < IRQ_MSI_MAX; i++) {
		const struct irq_msi *msi = irq->msis[i];

		if (!msi || !msi->routed)
			continue;
		table->entries[table->nr++] = (struct kvm_irq_routing_entry){
			.gsi = msi->gsi,
			.type = KVM_IRQ_ROUTING_MSI,
			.u.msi.address_lo = (uint32_t)msi->address,
			.u.msi.address_hi = msi->address >> 32,
			.u.msi.data = msi->data,
		};
	}
	if (ioctl(irq->vm_fd, KVM_SET_GSI_ROUTING, table) < 0)
		ret = -errno;
	free(table);
	return ret;
}

int irq_create(int vm_fd, struct irq **ret_irq)
{
	struct irq *irq = calloc(1, sizeof(*irq));

	if (!irq)
		return -ENOMEM;
	irq->vm_fd = vm_fd;
	pthread_mutex_init(&irq->lock, NULL);
	/* KVM's own table of a new chip has the same lines, so nothing is set before the first
	 * message. */
	*ret_irq = irq;
	return 0;
}

void irq_destroy(struct irq *irq)
{
	if (!irq)
		return;
	pthread_mutex_destroy(&irq->lock);
	free(irq);
}

void irq_set_line(struct irq *irq, unsigned int gsi, bool high)
{
	struct kvm_irq_level level = { .irq = gsi, .level = high };

	if (gsi < IRQ_LINES)
		(void)ioctl(irq->vm_fd, KVM_IRQ_LINE, &level);
}

int irq_msi_create(struct irq *irq, struct irq_msi **ret_msi)
{
	struct irq_msi *msi = calloc(1, sizeof(*msi));
	unsigned int i;
	int ret;

	if (!msi)
		return -ENOMEM;
	msi->irq = irq;
	msi->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (msi->fd < 0) {
		ret = -errno;
		free(msi);
		return ret;
	}
	pthread_mutex_lock(&irq->lock);
	for (i = 0; i < IRQ_MSI_MAX && irq->msis[i]; i++)
		continue;
	if (i < IRQ_MSI_MAX) {
		msi->gsi = IRQ_LINES + i;
		irq->msis[i] = msi;
	}
	pthread_mutex_unlock(&irq->lock);
	if (i == IRQ_MSI_MAX) {
		close(msi->fd);
		free(msi);
		return -ENOSPC;
	}
	*ret_msi = msi;
	return 0;
}

/* Under lock. KVM injects at once if the eventfd has collected while it was detached. */
static int attach(struct irq_msi *msi, bool on)
{
	struct kvm_irqfd irqfd = {
		.fd = msi->fd,
		.gsi = msi->gsi,
		.flags = on ? 0 : KVM_IRQFD_FLAG_DEASSIGN,
	};

	if (msi->attached == on)
		return 0;
	if (ioctl(msi->irq->vm_fd, KVM_IRQFD, &irqfd) < 0)
		return -errno;
	msi->attached = on;
	return 0;
}

int irq_msi_set(struct irq_msi *msi, uint64_t address, uint32_t data, bool masked)
{
	struct irq *irq = msi->irq;
	int ret;

	pthread_mutex_lock(&irq->lock);
	if (masked) {
		ret = attach(msi, false);
		goto out;
	}
	if (!msi->routed || msi->address != address || msi->data != data) {
		msi->routed = true;
		msi->address = address;
		msi->data = data;
		ret = set_routes(irq);
		if (ret < 0) {
			msi->routed = false;
			goto out;
		}
	}
	ret = attach(msi, true);
out:
	pthread_mutex_unlock(&irq->lock);
	return ret;
}

/* A route that nobody fires any more is left in KVM's table until the next change. */
void irq_msi_destroy(struct irq_msi *msi)
{
	struct irq *irq;

	if (!msi)
		return;
	irq = msi->irq;
	pthread_mutex_lock(&irq->lock);
	(void)attach(msi, false);
	irq->msis[msi->gsi - IRQ_LINES] = NULL;
	pthread_mutex_unlock(&irq->lock);
	close(msi->fd);
	free(msi);
}

int irq_msi_fd(const struct irq_msi *msi)
{
	return msi->fd;
}

void irq_msi_fire(struct irq_msi *msi)
{
	uint64_t one = 1;

	(void)!write(msi->fd, &one, sizeof(one));
}

bool irq_msi_pending(const struct irq_msi *msi)
{
	struct pollfd poll_fd = { .fd = msi->fd, .events = POLLIN };
	bool pending;

	pthread_mutex_lock(&msi->irq->lock);
	pending = !msi->attached && poll(&poll_fd, 1, 0) == 1;
	pthread_mutex_unlock(&msi->irq->lock);
	return pending;
}
