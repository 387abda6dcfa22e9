/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Objects behind numbers: what the guest holds for an inode or an open file is never a pointer.
 *
 * An id is the slot's index + 1 in the low 32 bits and the slot's generation above: a freed id is
 * not valid again for 2^32 reuses of its slot. The first object of a fresh table has id 1.
 *
 * Objects never move. No locking: the caller has a lock.
 */
#ifndef LODGE_FSD_SLOTS_H
#define LODGE_FSD_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLOTS_CHUNK  256
#define SLOTS_CHUNKS 4096 /* at most 1,048,576 objects: the usual fs.nr_open */

/* First member of every object. */
struct slot {
	uint32_t index;
	uint32_t generation;
	uint32_t next_free; /* index + 1 */
	bool used;
};

struct slots {
	size_t object_size;
	uint32_t n_made; /* slots that were ever made */
	uint32_t n_used;
	uint32_t first_free; /* index + 1, 0: none */
	void *chunks[SLOTS_CHUNKS];
};

/* A zeroed object (but for its struct slot), NULL where memory or ids are used up. */
void *slots_alloc(struct slots *slots);
void slots_free(struct slots *slots, void *object);
/* NULL where @id is not one that slots_alloc() gave or was freed. */
void *slots_get(const struct slots *slots, uint64_t id);
/* The object in the slot, in use or not: for walking over all, 0 <= @index < n_made. */
void *slots_at(const struct slots *slots, uint32_t index);
void slots_fini(struct slots *slots);

static inline uint64_t slot_id(const struct slot *slot)
{
	return (uint64_t)slot->generation << 32 | (slot->index + 1);
}

#endif
