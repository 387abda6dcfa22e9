// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Slots in chunks, with a free list each.
 *
 * The one thing that counts after a death is slot.used, with the index and the number of slots made
 * that were written before it.
 */
#include "shared-fs/server/slots.h"

#include <errno.h>
#include <string.h>

#include "shared-fs/server/shared.h"

static size_t chunk_bytes(const struct slots *slots)
{
	return SLOTS_CHUNK * slots->object_size;
}

static size_t table_bytes(const struct slots *slots)
{
	return SLOTS_CHUNKS * chunk_bytes(slots);
}

int slots_init(struct slots *slots, size_t object_size)
{
	/* A chunk is a number of whole pages: 256 times 16 bytes are one. */
	slots->object_size = (object_size + 15) & ~(size_t)15;
	slots->objects = shared_alloc(table_bytes(slots));
	return slots->objects ? 0 : -ENOMEM;
}

void *slots_at(const struct slots *slots, uint32_t index)
{
	return slots->objects + index * slots->object_size;
}

static void mark_full(struct slots *slots, uint32_t chunk, bool full)
{
	uint64_t bit = 1ULL << (chunk & 63);

	if (full)
		slots->full[chunk / 64] |= bit;
	else
		slots->full[chunk / 64] &= ~bit;
}

/* The lowest chunk that is not full, SLOTS_CHUNKS: none. */
static uint32_t find_chunk(const struct slots *slots)
{
	for (uint32_t i = 0; i < SLOTS_CHUNKS / 64; i++) {
		if (~slots->full[i])
			return i * 64 + (uint32_t)__builtin_ctzll(~slots->full[i]);
	}
	return SLOTS_CHUNKS;
}

static struct slot *take(struct slots *slots, uint32_t number)
{
	struct slots_chunk *chunk = &slots->chunks[number];
	uint32_t base = number * SLOTS_CHUNK;
	struct slot *slot;

	if (chunk->first_free) {
		slot = slots_at(slots, base + chunk->first_free - 1);
		chunk->first_free = (uint16_t)slot->next_free;
	} else {
		slot = slots_at(slots, base + chunk->n_made);
		slot->index = base + chunk->n_made;
		slot->used = false;
		chunk->n_made++;
	}
	chunk->n_used++;
	if (chunk->n_used == SLOTS_CHUNK)
		mark_full(slots, number, true);
	return slot;
}

static void use_chunk(struct slots *slots, uint32_t number)
{
	if (number >= slots->n_chunks)
		slots->n_chunks = number + 1;
	if (slots->spare == number + 1)
		slots->spare = 0;
}

static void *make_object(struct slots *slots, struct slot *slot, uint32_t generation, uint16_t era)
{
	memset(slot + 1, 0, slots->object_size - sizeof(*slot));
	slot->generation = generation;
	slot->era = era;
	slot->next_free = 0;
	slots->n_used++;
	__atomic_store_n(&slot->used, true, __ATOMIC_RELEASE);
	return slot;
}

void *slots_alloc(struct slots *slots)
{
	uint32_t number = find_chunk(slots);
	struct slot *slot;

	if (number == SLOTS_CHUNKS)
		return NULL;
	use_chunk(slots, number);
	slot = take(slots, number);
	return make_object(slots, slot, slots->chunks[number].generation++, slots->era);
}

/* Takes slot @n, which is free, out of the chunk's list. */
static void take_from_list(struct slots *slots, uint32_t number, uint32_t n)
{
	struct slots_chunk *chunk = &slots->chunks[number];
	uint32_t base = number * SLOTS_CHUNK;
	const struct slot *slot = slots_at(slots, base + n);
	struct slot *before = NULL;

	for (uint32_t at = chunk->first_free; at && at != n + 1; at = before->next_free)
		before = slots_at(slots, base + at - 1);
	if (before)
		before->next_free = slot->next_free;
	else
		chunk->first_free = (uint16_t)slot->next_free;
}

void *slots_place(struct slots *slots, uint64_t id)
{
	uint32_t index = ((uint32_t)id & ((1u << SLOT_INDEX_BITS) - 1)) - 1;
	uint32_t number = index / SLOTS_CHUNK;
	uint32_t n = index % SLOTS_CHUNK;
	struct slots_chunk *chunk;
	struct slot *slot;

	if (number >= SLOTS_CHUNKS)
		return NULL;
	chunk = &slots->chunks[number];
	slot = slots_at(slots, index);
	if (n < chunk->n_made && slot->used)
		return NULL;
	use_chunk(slots, number);
	/* Those before it are made and free. */
	while (chunk->n_made <= n) {
		struct slot *made = slots_at(slots, number * SLOTS_CHUNK + chunk->n_made);

		made->index = number * SLOTS_CHUNK + chunk->n_made;
		made->used = false;
		made->next_free = chunk->first_free;
		__atomic_store_n(&chunk->n_made, chunk->n_made + 1, __ATOMIC_RELEASE);
		chunk->first_free = chunk->n_made;
	}
	take_from_list(slots, number, n);
	chunk->n_used++;
	mark_full(slots, number, chunk->n_used == SLOTS_CHUNK);
	return make_object(slots, slot, (uint32_t)(id >> 32),
			   (uint16_t)((uint32_t)id >> SLOT_INDEX_BITS));
}

/* An empty chunk stays for the next object: a guest at a chunk's border is not to pay each time. */
static void chunk_emptied(struct slots *slots, uint32_t number)
{
	struct slots_chunk *chunk = &slots->chunks[number];

	if (!slots->spare) {
		slots->spare = number + 1;
		return;
	}
	__atomic_store_n(&chunk->n_made, 0, __ATOMIC_RELEASE);
	chunk->first_free = 0;
	shared_empty(slots_at(slots, number * SLOTS_CHUNK), chunk_bytes(slots));
}

void slots_free(struct slots *slots, void *object)
{
	struct slot *slot = object;
	uint32_t number = slot->index / SLOTS_CHUNK;
	struct slots_chunk *chunk = &slots->chunks[number];

	__atomic_store_n(&slot->used, false, __ATOMIC_RELEASE);
	slot->next_free = chunk->first_free;
	chunk->first_free = (uint16_t)(slot->index % SLOTS_CHUNK + 1);
	chunk->n_used--;
	slots->n_used--;
	mark_full(slots, number, false);
	if (!chunk->n_used)
		chunk_emptied(slots, number);
}

void *slots_get(const struct slots *slots, uint64_t id)
{
	uint32_t index = ((uint32_t)id & ((1u << SLOT_INDEX_BITS) - 1)) - 1;
	struct slot *slot;

	if (index / SLOTS_CHUNK >= slots->n_chunks ||
	    index % SLOTS_CHUNK >= slots->chunks[index / SLOTS_CHUNK].n_made)
		return NULL;
	slot = slots_at(slots, index);
	return slot->used && slot_id(slot) == id ? slot : NULL;
}

void *slots_next(const struct slots *slots, uint32_t index)
{
	for (; index / SLOTS_CHUNK < slots->n_chunks; index++) {
		struct slot *slot;

		if (index % SLOTS_CHUNK >= slots->chunks[index / SLOTS_CHUNK].n_made) {
			index |= SLOTS_CHUNK - 1;
			continue;
		}
		slot = slots_at(slots, index);
		if (slot->used)
			return slot;
	}
	return NULL;
}

bool slots_holds(const struct slots *slots, const void *object)
{
	size_t offset = (uintptr_t)object - (uintptr_t)slots->objects;
	uint32_t index;

	if (offset >= table_bytes(slots) || offset % slots->object_size)
		return false;
	index = (uint32_t)(offset / slots->object_size);
	return index % SLOTS_CHUNK < slots->chunks[index / SLOTS_CHUNK].n_made &&
	       ((const struct slot *)object)->used;
}

static void recover_chunk(struct slots *slots, uint32_t number)
{
	struct slots_chunk *chunk = &slots->chunks[number];

	if (chunk->n_made > SLOTS_CHUNK)
		chunk->n_made = SLOTS_CHUNK;
	chunk->n_used = 0;
	chunk->first_free = 0;
	for (uint16_t i = chunk->n_made; i > 0; i--) {
		struct slot *slot = slots_at(slots, number * SLOTS_CHUNK + i - 1u);

		if (slot->used) {
			chunk->n_used++;
			continue;
		}
		slot->index = number * SLOTS_CHUNK + i - 1u;
		slot->next_free = chunk->first_free;
		chunk->first_free = i;
	}
	slots->n_used += chunk->n_used;
	mark_full(slots, number, chunk->n_used == SLOTS_CHUNK);
	if (chunk->n_made && !chunk->n_used)
		chunk_emptied(slots, number);
}

void slots_recover(struct slots *slots)
{
	slots->n_used = 0;
	slots->spare = 0;
	if (slots->n_chunks > SLOTS_CHUNKS)
		slots->n_chunks = SLOTS_CHUNKS;
	for (uint32_t i = 0; i < slots->n_chunks; i++)
		recover_chunk(slots, i);
}

void slots_fini(struct slots *slots)
{
	shared_free(slots->objects, table_bytes(slots));
	slots->objects = NULL;
	slots->n_chunks = 0;
	slots->n_used = 0;
}
