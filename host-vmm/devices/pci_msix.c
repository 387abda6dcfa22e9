// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * MSI-X of a PCI function: capability, table and pending bit array (PCI 3.0 section 6.8.2).
 *
 * The table lies at the start of a BAR of its own, the pending bit array in the BAR's upper half.
 * A vector is open when MSI-X is on and neither the function nor the vector is masked; only then
 * does the message go to the chip. What was raised meanwhile waits in the message's eventfd, which
 * is the pending bit.
 */
#include <endian.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host-vmm/devices/pci_private.h"
#include "host-vmm/irq.h"
#include "host-vmm/machine.h"
#include "host-vmm/state.h"

#define ENTRY_WORDS (PCI_MSIX_ENTRY_SIZE / 4)
#define BAR_MIN	    4096u /* a page, so that the guest can map it alone */

struct msix_vector {
	uint32_t words[ENTRY_WORDS]; /* as in the table: address low, high, data, control */
	bool open; /* what irq_msi_set() was last told */
	struct irq_msi *msi;
};

struct pci_msix {
	struct pci_function *function;
	/* Guards the vectors but for msi, which is constant. Taken behind the bus's mutex. */
	pthread_mutex_t lock;
	unsigned int capability; /* its offset */
	uint16_t control; /* PCI_MSIX_FLAGS_ENABLE and _MASKALL */
	unsigned int n_vectors;
	uint64_t pba; /* offset in the BAR */
	struct msix_vector vectors[];
};

/* Tells the chip about a vector, if anything that it may know has changed. */
static void apply(struct pci_msix *msix, struct msix_vector *vector, bool entry_changed)
{
	bool open = (msix->control & PCI_MSIX_FLAGS_ENABLE) &&
		    !(msix->control & PCI_MSIX_FLAGS_MASKALL) &&
		    !(vector->words[3] & PCI_MSIX_ENTRY_CTRL_MASKBIT);
	uint64_t address = (uint64_t)vector->words[1] << 32 | vector->words[0];

	if (open == vector->open && !(open && entry_changed))
		return;
	/* A message that the chip refuses (rubbish address) is the guest's loss. */
	(void)irq_msi_set(vector->msi, address, vector->words[2], !open);
	vector->open = open;
}

static void changed(struct pci_msix *msix, unsigned int vector)
{
	if (msix->function->msix_changed)
		msix->function->msix_changed(msix->function, vector);
}

/* ---- the BAR ---- */

static uint64_t pending_bits(const struct pci_msix *msix, uint64_t offset)
{
	unsigned int first = (unsigned int)(offset * 8);
	uint64_t bits = 0;

	for (unsigned int i = 0; i < 64 && first + i < msix->n_vectors; i++)
		if (irq_msi_pending(msix->vectors[first + i].msi))
			bits |= 1ull << i;
	return bits;
}

static uint64_t msix_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct pci_msix *msix = opaque;
	uint64_t table_end = (uint64_t)msix->n_vectors * PCI_MSIX_ENTRY_SIZE;
	uint64_t value = 0;

	if (offset % size != 0)
		return 0;
	pthread_mutex_lock(&msix->lock);
	if (offset < table_end) {
		const struct msix_vector *vector = &msix->vectors[offset / PCI_MSIX_ENTRY_SIZE];

		memcpy(&value, (const uint8_t *)vector->words + offset % PCI_MSIX_ENTRY_SIZE, size);
	} else if (offset >= msix->pba && offset - msix->pba < PCI_MSIX_VECTORS / 8) {
		uint64_t bits = pending_bits(msix, (offset - msix->pba) & ~7ull);

		memcpy(&value, (const uint8_t *)&bits + (offset & 7), size);
	}
	pthread_mutex_unlock(&msix->lock);
	return value;
}

static void msix_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct pci_msix *msix = opaque;
	unsigned int index = (unsigned int)(offset / PCI_MSIX_ENTRY_SIZE);
	struct msix_vector *vector;
	bool was_open;

	/* Software must use aligned words of 4 or 8 bytes (section 6.8.2); PBA is read-only. */
	if (index >= msix->n_vectors || size < 4 || offset % size != 0)
		return;
	vector = &msix->vectors[index];
	pthread_mutex_lock(&msix->lock);
	was_open = vector->open;
	memcpy((uint8_t *)vector->words + offset % PCI_MSIX_ENTRY_SIZE, &value, size);
	vector->words[0] &= ~3u;
	vector->words[3] &= PCI_MSIX_ENTRY_CTRL_MASKBIT;
	apply(msix, vector, true);
	was_open = was_open || vector->open;
	pthread_mutex_unlock(&msix->lock);
	if (was_open)
		changed(msix, index);
}

static const struct io_ops msix_ops = { .read = msix_read, .write = msix_write };

/* ---- configuration space ---- */

bool pci_msix_controls(const struct pci_function *function, unsigned int offset, size_t len)
{
	unsigned int flags;

	if (!function->msix)
		return false;
	flags = function->msix->capability + PCI_MSIX_FLAGS;
	return offset < flags + 2 && flags < offset + len;
}

void pci_msix_control_written(struct pci_function *function)
{
	struct pci_msix *msix = function->msix;
	bool toggled[PCI_MSIX_VECTORS] = { false };
	uint16_t control;

	pthread_mutex_lock(&msix->lock);
	/* Read in here: of two writers, the one that comes last sees the last value. */
	memcpy(&control, function->config + msix->capability + PCI_MSIX_FLAGS, sizeof(control));
	msix->control = le16toh(control);
	for (unsigned int i = 0; i < msix->n_vectors; i++) {
		bool was_open = msix->vectors[i].open;

		apply(msix, &msix->vectors[i], false);
		toggled[i] = msix->vectors[i].open != was_open;
	}
	pthread_mutex_unlock(&msix->lock);
	for (unsigned int i = 0; i < msix->n_vectors; i++)
		if (toggled[i])
			changed(msix, i);
}

/* ---- life ---- */

static int add_capability(struct pci_function *function)
{
	struct pci_msix *msix = function->msix;
	struct {
		uint16_t control;
		uint32_t table, pba; /* offset and, in the low three bits, BAR */
	} __attribute__((packed)) body = {
		.control = htole16((uint16_t)(msix->n_vectors - 1)),
		.table = htole32(function->msix_bar),
		.pba = htole32((uint32_t)msix->pba | function->msix_bar),
	};
	int at = pci_add_capability(function, PCI_CAP_ID_MSIX, &body, sizeof(body));

	if (at < 0)
		return at;
	msix->capability = (unsigned int)at;
	function->writable[at + PCI_MSIX_FLAGS + 1] =
		(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL) >> 8;
	return 0;
}

int pci_msix_create(struct pci_function *function)
{
	unsigned int n = function->n_vectors;
	uint64_t size = BAR_MIN;
	struct pci_msix *msix;
	int ret;

	function->msix = NULL;
	if (n == 0)
		return 0;
	if (n > PCI_MSIX_VECTORS || function->msix_bar >= PCI_BARS ||
	    function->bars[function->msix_bar].kind != PCI_BAR_NONE)
		return -EINVAL;
	msix = calloc(1, sizeof(*msix) + n * sizeof(msix->vectors[0]));
	if (!msix)
		return -ENOMEM;
	while (size / 2 < (uint64_t)n * PCI_MSIX_ENTRY_SIZE)
		size *= 2;
	msix->function = function;
	msix->n_vectors = n;
	msix->pba = size / 2;
	pthread_mutex_init(&msix->lock, NULL);
	function->msix = msix;
	for (unsigned int i = 0; i < n; i++) {
		msix->vectors[i].words[3] = PCI_MSIX_ENTRY_CTRL_MASKBIT;
		ret = irq_msi_create(function->bus->machine->irq, &msix->vectors[i].msi);
		if (ret < 0)
			goto fail;
	}
	ret = add_capability(function);
	if (ret < 0)
		goto fail;
	function->bars[function->msix_bar] = (struct pci_bar){
		.kind = PCI_BAR_MEM32,
		.region = { .name = function->name,
			    .size = size,
			    .ops = &msix_ops,
			    .opaque = msix },
	};
	return 0;

fail:
	pci_msix_destroy(function);
	return ret;
}

void pci_msix_destroy(struct pci_function *function)
{
	struct pci_msix *msix = function->msix;

	if (!msix)
		return;
	for (unsigned int i = 0; i < msix->n_vectors; i++)
		irq_msi_destroy(msix->vectors[i].msi);
	function->bars[function->msix_bar].kind = PCI_BAR_NONE;
	pthread_mutex_destroy(&msix->lock);
	free(msix);
	function->msix = NULL;
}

void pci_msix_reset(struct pci_function *function)
{
	struct pci_msix *msix = function->msix;

	if (!msix)
		return;
	pthread_mutex_lock(&msix->lock);
	msix->control = 0;
	for (unsigned int i = 0; i < msix->n_vectors; i++) {
		struct msix_vector *vector = &msix->vectors[i];
		uint64_t raised;

		memset(vector->words, 0, sizeof(vector->words));
		vector->words[3] = PCI_MSIX_ENTRY_CTRL_MASKBIT;
		apply(msix, vector, true);
		(void)!read(irq_msi_fd(vector->msi), &raised, sizeof(raised));
	}
	pthread_mutex_unlock(&msix->lock);
}

struct irq_msi *pci_msix_message(struct pci_function *function, unsigned int vector)
{
	if (!function->msix || vector >= function->msix->n_vectors)
		return NULL;
	return function->msix->vectors[vector].msi;
}

void pci_msix_save(const struct pci_function *function, struct state *state)
{
	struct pci_msix *msix = function->msix;

	if (!msix)
		return;
	pthread_mutex_lock(&msix->lock);
	for (unsigned int i = 0; i < msix->n_vectors; i++) {
		for (unsigned int word = 0; word < ENTRY_WORDS; word++)
			state_put_u32(state, msix->vectors[i].words[word]);
		state_put_u8(state, irq_msi_pending(msix->vectors[i].msi));
	}
	pthread_mutex_unlock(&msix->lock);
}

void pci_msix_load(struct pci_function *function, struct state *state)
{
	struct pci_msix *msix = function->msix;

	if (!msix)
		return;
	pci_msix_reset(function);
	pthread_mutex_lock(&msix->lock);
	for (unsigned int i = 0; i < msix->n_vectors; i++) {
		struct msix_vector *vector = &msix->vectors[i];

		for (unsigned int word = 0; word < ENTRY_WORDS; word++)
			vector->words[word] = state_get_u32(state);
		vector->words[0] &= ~3u;
		vector->words[3] &= PCI_MSIX_ENTRY_CTRL_MASKBIT;
		if (state_get_u8(state))
			irq_msi_fire(vector->msi);
	}
	pthread_mutex_unlock(&msix->lock);
	pci_msix_control_written(function);
}
