/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Objects behind numbers: what the guest holds for an inode or an open file is never a pointer.
 *
 * An id is the slot's index + 1 in the low SLOT_INDEX_BITS, the table's era in the other low ones,
 * and a generation in the upper 32: a freed id is not valid again for 2^32 lives of the slots
 * around it, and an id of another table with another era never is. The first object of a fresh
 * table of era 0 has id 1.
 *
 * Objects never move, and lie in memory that outlives the process (shared.h): slots_recover() makes
 * the table whole again after a death at any instruction. Slots come in chunks; the lowest chunk
 * with room is used first, and one that is empty gives its memory back.
 *
 * No locking: the caller has a lock.
 */
#ifndef LODGE_FSD_SLOTS_H
#define LODGE_FSD_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLOTS_CHUNK  256
#define SLOTS_CHUNKS 4096 /* at most 1,048,576 objects: the usual fs.nr_open */

#define SLOT_INDEX_BITS 21
#define SLOT_ERAS	(1u << (32 - SLOT_INDEX_BITS))
_Static_assert(SLOTS_CHUNK *SLOTS_CHUNKS < 1u << SLOT_INDEX_BITS, "room for index + 1");

/* First member of every object. */
struct slot {
	uint32_t index;
	uint32_t generation;
	uint32_t next_free; /* number in the chunk + 1 */
	bool used;
	uint16_t era;
};

struct slots_chunk {
	uint32_t generation; /* of the next object */
	uint16_t n_made; /* slots that were made since the chunk was last empty */
	uint16_t n_used;
	uint16_t first_free; /* number in the chunk + 1, 0: none */
	uint16_t reserved;
};

struct slots {
	size_t object_size;
	uint8_t *objects;
	uint32_t n_chunks; /* that were ever used */
	uint32_t n_used;
	uint16_t era; /* below SLOT_ERAS: of the objects that are made from here on */
	uint32_t spare; /* number + 1 of an empty chunk that keeps its memory; 0: none */
	uint64_t full[SLOTS_CHUNKS / 64]; /* a bit for each chunk */
	struct slots_chunk chunks[SLOTS_CHUNKS];
};

/* @slots is zeroed. -ENOMEM. */
int slots_init(struct slots *slots, size_t object_size);
/* A zeroed object (but for its struct slot), NULL where ids are used up. */
void *slots_alloc(struct slots *slots);
/* The same, and the object gets the id @id, of another table perhaps. NULL where it cannot be an id
 * or its place is taken. */
void *slots_place(struct slots *slots, uint64_t id);
void slots_free(struct slots *slots, void *object);
/* NULL where @id is not one that slots_alloc() gave or was freed. */
void *slots_get(const struct slots *slots, uint64_t id);
/* The object at @index, which is in use. */
void *slots_at(const struct slots *slots, uint32_t index);
/* The first object in use at @index or above, NULL: none. For walking over all. */
void *slots_next(const struct slots *slots, uint32_t index);
/* Whether @object, any pointer, is an object in use. */
bool slots_holds(const struct slots *slots, const void *object);
/* After the death of the process that used the table: counts and lists are made anew out of what is
 * marked as used. */
void slots_recover(struct slots *slots);
void slots_fini(struct slots *slots);

static inline uint64_t slot_id(const struct slot *slot)
{
	return (uint64_t)slot->generation << 32 | (uint32_t)slot->era << SLOT_INDEX_BITS |
	       (slot->index + 1);
}

#endif
