// SPDX-License-Identifier: GPL-2.0-or-later
// The bitmap of pages that are in a guest's balloon.
#include "host-vmm/virtio/balloon_pages.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/memory.h"
#include "host-vmm/state.h"

#define PAGE	  4096ull
#define WORD_BITS 64u

struct balloon_pages {
	const struct memory *memory;
	uint64_t n_words;
	uint64_t n_in; /* pages; atomic */
	uint64_t bits[];
};

int balloon_pages_create(const struct memory *memory, struct balloon_pages **ret_pages)
{
	uint64_t n_words = memory_size(memory) / PAGE / WORD_BITS + 1;
	struct balloon_pages *pages = calloc(1, sizeof(*pages) + n_words * sizeof(pages->bits[0]));

	if (!pages)
		return -ENOMEM;
	pages->memory = memory;
	pages->n_words = n_words;
	*ret_pages = pages;
	return 0;
}

void balloon_pages_destroy(struct balloon_pages *pages)
{
	free(pages);
}

/* Pages are numbered without the hole below 4 GiB. */
static int find(const struct balloon_pages *pages, uint64_t gpa, uint64_t len, uint64_t *ret_first)
{
	const struct memory_region *regions;
	size_t count;

	if (len == 0 || (gpa | len) % PAGE != 0 || gpa + len < gpa)
		return -EINVAL;
	regions = memory_regions(pages->memory, &count);
	for (size_t i = 0; i < count; i++) {
		uint64_t offset = gpa - regions[i].gpa;

		if (gpa < regions[i].gpa || offset >= regions[i].size)
			continue;
		if (len > regions[i].size - offset)
			return -EFAULT;
		*ret_first = (regions[i].file_offset + offset) / PAGE;
		return 0;
	}
	return -EFAULT;
}

/* The bits of word @word that belong to [first, end). */
static uint64_t mask_of(uint64_t word, uint64_t first, uint64_t end)
{
	uint64_t mask = UINT64_MAX;

	if (word == first / WORD_BITS)
		mask &= UINT64_MAX << first % WORD_BITS;
	if (word == end / WORD_BITS)
		mask &= ~(UINT64_MAX << end % WORD_BITS);
	return mask;
}

static bool all_are(const struct balloon_pages *pages, uint64_t first, uint64_t end, bool in)
{
	for (uint64_t word = first / WORD_BITS; word * WORD_BITS < end; word++) {
		uint64_t bits = in ? ~pages->bits[word] : pages->bits[word];

		if (bits & mask_of(word, first, end))
			return false;
	}
	return true;
}

static int change(struct balloon_pages *pages, uint64_t gpa, uint64_t len, bool in)
{
	uint64_t first = 0, end;
	int ret = find(pages, gpa, len, &first);

	if (ret < 0)
		return ret;
	end = first + len / PAGE;
	if (!all_are(pages, first, end, !in))
		return in ? -EEXIST : -ENOENT;
	for (uint64_t word = first / WORD_BITS; word * WORD_BITS < end; word++) {
		if (in)
			pages->bits[word] |= mask_of(word, first, end);
		else
			pages->bits[word] &= ~mask_of(word, first, end);
	}
	if (in)
		__atomic_add_fetch(&pages->n_in, len / PAGE, __ATOMIC_RELAXED);
	else
		__atomic_sub_fetch(&pages->n_in, len / PAGE, __ATOMIC_RELAXED);
	return 0;
}

int balloon_pages_put(struct balloon_pages *pages, uint64_t gpa, uint64_t len)
{
	return change(pages, gpa, len, true);
}

int balloon_pages_take(struct balloon_pages *pages, uint64_t gpa, uint64_t len)
{
	return change(pages, gpa, len, false);
}

int balloon_pages_check(const struct balloon_pages *pages, uint64_t gpa, uint64_t len)
{
	uint64_t first = 0;
	int ret = find(pages, gpa, len, &first);

	if (ret < 0)
		return ret;
	return all_are(pages, first, first + len / PAGE, false) ? 0 : -EEXIST;
}

uint64_t balloon_pages_bytes(const struct balloon_pages *pages)
{
	return __atomic_load_n(&pages->n_in, __ATOMIC_RELAXED) * PAGE;
}

void balloon_pages_clear(struct balloon_pages *pages)
{
	if (balloon_pages_bytes(pages) == 0)
		return;
	memset(pages->bits, 0, pages->n_words * sizeof(pages->bits[0]));
	__atomic_store_n(&pages->n_in, 0, __ATOMIC_RELAXED);
}

int balloon_pages_save(const struct balloon_pages *pages, struct state *state)
{
	state_put_u64(state, pages->n_words);
	for (uint64_t i = 0; i < pages->n_words; i++)
		state_put_u64(state, pages->bits[i]);
	return state_error(state);
}

int balloon_pages_load(struct balloon_pages *pages, struct state *state)
{
	uint64_t last = memory_size(pages->memory) / PAGE, n_in = 0;

	if (state_get_u64(state) != pages->n_words)
		return -EBADMSG;
	for (uint64_t i = 0; i < pages->n_words; i++) {
		pages->bits[i] = state_get_u64(state);
		n_in += (uint64_t)__builtin_popcountll(pages->bits[i]);
	}
	/* No page behind the last one is in. */
	if (pages->bits[last / WORD_BITS] >> last % WORD_BITS) {
		memset(pages->bits, 0, pages->n_words * sizeof(pages->bits[0]));
		n_in = 0;
		__atomic_store_n(&pages->n_in, n_in, __ATOMIC_RELAXED);
		return -EBADMSG;
	}
	__atomic_store_n(&pages->n_in, n_in, __ATOMIC_RELAXED);
	return state_error(state);
}
