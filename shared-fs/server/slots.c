// SPDX-License-Identifier: GPL-2.0-or-later
/* Slots in chunks, with a free list. */
#include "shared-fs/server/slots.h"

#include <stdlib.h>
#include <string.h>

void *slots_at(const struct slots *slots, uint32_t index)
{
	return (char *)slots->chunks[index / SLOTS_CHUNK] +
	       index % SLOTS_CHUNK * slots->object_size;
}

static struct slot *take_fresh(struct slots *slots)
{
	uint32_t index = slots->n_made;
	uint32_t chunk = index / SLOTS_CHUNK;
	struct slot *slot;

	if (chunk == SLOTS_CHUNKS)
		return NULL;
	if (!slots->chunks[chunk])
		slots->chunks[chunk] = calloc(SLOTS_CHUNK, slots->object_size);
	if (!slots->chunks[chunk])
		return NULL;
	slots->n_made++;
	slot = slots_at(slots, index);
	slot->index = index;
	return slot;
}

void *slots_alloc(struct slots *slots)
{
	struct slot *slot;

	if (slots->first_free) {
		slot = slots_at(slots, slots->first_free - 1);
		slots->first_free = slot->next_free;
		memset(slot + 1, 0, slots->object_size - sizeof(*slot));
	} else {
		slot = take_fresh(slots);
		if (!slot)
			return NULL;
	}
	slot->next_free = 0;
	slot->used = true;
	slots->n_used++;
	return slot;
}

void slots_free(struct slots *slots, void *object)
{
	struct slot *slot = object;

	slot->used = false;
	slot->generation++;
	slot->next_free = slots->first_free;
	slots->first_free = slot->index + 1;
	slots->n_used--;
}

void *slots_get(const struct slots *slots, uint64_t id)
{
	uint32_t index = (uint32_t)id - 1;
	struct slot *slot;

	if (index >= slots->n_made)
		return NULL;
	slot = slots_at(slots, index);
	return slot->used && slot->generation == id >> 32 ? slot : NULL;
}

void slots_fini(struct slots *slots)
{
	for (size_t i = 0; i < SLOTS_CHUNKS && slots->chunks[i]; i++)
		free(slots->chunks[i]);
	memset(slots->chunks, 0, sizeof(slots->chunks));
	slots->n_made = 0;
	slots->n_used = 0;
	slots->first_free = 0;
}
