/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Address range to handler, for ports and for memory-mapped I/O alike: one struct bus for each.
 *
 * A device answers at an offset and never knows its address; claiming a range that overlaps a
 * claimed one fails. Reads of what nobody claims give all ones, writes are dropped.
 *
 * Locking: all functions may be called by any thread. Handlers run with no lock of the bus held,
 * may run on several vCPU threads at once and do their own locking. A handler may claim and release
 * other regions, on this bus too (a BAR that the guest moves), but never its own. bus_release()
 * waits for handlers of that region that still run, so its caller must hold no lock that they take.
 */
#ifndef LODGE_VMM_BUS_H
#define LODGE_VMM_BUS_H

#include <stdbool.h>
#include <stdint.h>

struct bus;

/* @size is 1, 2, 4 or 8 bytes and [offset, offset + size) lies within the region. Values are in
 * host order, in the low bytes. */
struct io_ops {
	uint64_t (*read)(void *opaque, uint64_t offset, unsigned int size);
	void (*write)(void *opaque, uint64_t offset, uint64_t value, unsigned int size);
};

/* Owned by the device that claims it; must stay valid until released. */
struct io_region {
	const char *name; /* for messages: "serial", "virtio-blk.0 bar 4" */
	uint64_t size; /* bytes, not 0 */
	const struct io_ops *ops;
	void *opaque;
	/* The bus's own: */
	uint64_t base;
	bool claimed;
	unsigned int users; /* handlers running now; atomic */
};

int bus_create(const char *name, uint64_t limit, struct bus **ret_bus);
void bus_destroy(struct bus *bus);

/* -EBUSY where it overlaps another region, -EINVAL where it wraps or passes the bus's limit. */
int bus_claim(struct bus *bus, struct io_region *region, uint64_t base);
/* No handler of @region runs any more once this returns. Releasing what is not claimed is fine. */
void bus_release(struct bus *bus, struct io_region *region);

/* What a vCPU does for an exit. An access that straddles a region's end is split into bytes. */
uint64_t bus_read(struct bus *bus, uint64_t address, unsigned int size);
void bus_write(struct bus *bus, uint64_t address, uint64_t value, unsigned int size);

#endif
