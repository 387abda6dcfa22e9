// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Address range to handler.
 *
 * Theory of operation: regions stand in an array sorted by base, searched by halves under a
 * read-write lock. The lock covers the search only; the handler runs after it was dropped, while
 * the region's user count says that it is in use. So a handler (configuration space) may claim and
 * release other regions. bus_release() first takes the region out of the array, so that no new user
 * comes, then waits until the count is 0.
 */
#include "host-vmm/bus.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct bus {
	const char *name;
	uint64_t limit; /* first address beyond the bus; 0: 2^64 */
	pthread_rwlock_t lock; /* regions, n_regions, room */
	struct io_region **regions;
	size_t n_regions, room;

	pthread_mutex_t idle_lock;
	pthread_cond_t idle; /* a region's user count fell to 0 while somebody waits */
	unsigned int waiters; /* atomic */
};

int bus_create(const char *name, uint64_t limit, struct bus **ret_bus)
{
	struct bus *bus = calloc(1, sizeof(*bus));
	pthread_rwlockattr_t attributes;

	if (!bus)
		return -ENOMEM;
	bus->name = name;
	bus->limit = limit;
	/* No reader takes it twice, so writers may go first: vCPUs that read without end must not
	 * hold up the one that moves a region. */
	pthread_rwlockattr_init(&attributes);
	pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&bus->lock, &attributes);
	pthread_rwlockattr_destroy(&attributes);
	pthread_mutex_init(&bus->idle_lock, NULL);
	pthread_cond_init(&bus->idle, NULL);
	*ret_bus = bus;
	return 0;
}

void bus_destroy(struct bus *bus)
{
	if (!bus)
		return;
	pthread_cond_destroy(&bus->idle);
	pthread_mutex_destroy(&bus->idle_lock);
	pthread_rwlock_destroy(&bus->lock);
	free(bus->regions);
	free(bus);
}

/* Index of the first region whose base is above @address. */
static size_t upper_bound(const struct bus *bus, uint64_t address)
{
	size_t low = 0, high = bus->n_regions;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (bus->regions[middle]->base > address)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static int insert(struct bus *bus, struct io_region *region, uint64_t base)
{
	size_t at = upper_bound(bus, base);

	if (at > 0) {
		const struct io_region *before = bus->regions[at - 1];

		if (base - before->base < before->size)
			return -EBUSY;
	}
	if (at < bus->n_regions && bus->regions[at]->base - base < region->size)
		return -EBUSY;
	if (bus->n_regions == bus->room) {
		size_t room = bus->room + 16;
		struct io_region **grown = realloc(bus->regions, room * sizeof(struct io_region *));

		if (!grown)
			return -ENOMEM;
		bus->regions = grown;
		bus->room = room;
	}
	memmove(&bus->regions[at + 1], &bus->regions[at],
		(bus->n_regions - at) * sizeof(struct io_region *));
	bus->regions[at] = region;
	bus->n_regions++;
	region->base = base;
	region->claimed = true;
	return 0;
}

int bus_claim(struct bus *bus, struct io_region *region, uint64_t base)
{
	int ret;

	if (region->size == 0 || base + (region->size - 1) < base)
		return -EINVAL;
	if (bus->limit != 0 && base + (region->size - 1) >= bus->limit)
		return -EINVAL;
	pthread_rwlock_wrlock(&bus->lock);
	ret = region->claimed ? -EBUSY : insert(bus, region, base);
	pthread_rwlock_unlock(&bus->lock);
	return ret;
}

static bool in_use(struct io_region *region)
{
	return __atomic_load_n(&region->users, __ATOMIC_SEQ_CST) > 0;
}

void bus_release(struct bus *bus, struct io_region *region)
{
	bool claimed;

	pthread_rwlock_wrlock(&bus->lock);
	claimed = region->claimed;
	if (claimed) {
		size_t at = upper_bound(bus, region->base) - 1;

		bus->n_regions--;
		memmove(&bus->regions[at], &bus->regions[at + 1],
			(bus->n_regions - at) * sizeof(struct io_region *));
		region->claimed = false;
	}
	pthread_rwlock_unlock(&bus->lock);
	if (!claimed)
		return;

	__atomic_add_fetch(&bus->waiters, 1, __ATOMIC_SEQ_CST);
	pthread_mutex_lock(&bus->idle_lock);
	while (in_use(region))
		pthread_cond_wait(&bus->idle, &bus->idle_lock);
	pthread_mutex_unlock(&bus->idle_lock);
	__atomic_sub_fetch(&bus->waiters, 1, __ATOMIC_SEQ_CST);
}

/* The region of @address, counted as in use, or NULL. */
static struct io_region *get(struct bus *bus, uint64_t address)
{
	struct io_region *region = NULL;
	size_t at;

	pthread_rwlock_rdlock(&bus->lock);
	at = upper_bound(bus, address);
	if (at > 0 && address - bus->regions[at - 1]->base < bus->regions[at - 1]->size) {
		region = bus->regions[at - 1];
		__atomic_add_fetch(&region->users, 1, __ATOMIC_SEQ_CST);
	}
	pthread_rwlock_unlock(&bus->lock);
	return region;
}

/* The region may be gone as soon as the count is 0, so only the bus is touched after that. */
static void put(struct bus *bus, struct io_region *region)
{
	if (__atomic_sub_fetch(&region->users, 1, __ATOMIC_SEQ_CST) > 0)
		return;
	if (__atomic_load_n(&bus->waiters, __ATOMIC_SEQ_CST) == 0)
		return;
	pthread_mutex_lock(&bus->idle_lock);
	pthread_cond_broadcast(&bus->idle);
	pthread_mutex_unlock(&bus->idle_lock);
}

static uint64_t all_ones(unsigned int size)
{
	return size >= 8 ? UINT64_MAX : (1ull << (8 * size)) - 1;
}

uint64_t bus_read(struct bus *bus, uint64_t address, unsigned int size)
{
	struct io_region *region = get(bus, address);
	uint64_t value = all_ones(size);

	if (region && size <= region->size - (address - region->base)) {
		value &= region->ops->read(region->opaque, address - region->base, size);
		put(bus, region);
		return value;
	}
	if (region)
		put(bus, region);
	if (size == 1)
		return value;
	/* Straddles an edge, or begins where nobody is: each byte on its own. */
	value = 0;
	for (unsigned int i = 0; i < size; i++)
		value |= bus_read(bus, address + i, 1) << (8 * i);
	return value;
}

void bus_write(struct bus *bus, uint64_t address, uint64_t value, unsigned int size)
{
	struct io_region *region = get(bus, address);

	if (region && size <= region->size - (address - region->base)) {
		region->ops->write(region->opaque, address - region->base, value & all_ones(size),
				   size);
		put(bus, region);
		return;
	}
	if (region)
		put(bus, region);
	if (size == 1)
		return;
	for (unsigned int i = 0; i < size; i++)
		bus_write(bus, address + i, value >> (8 * i) & 0xff, 1);
}
