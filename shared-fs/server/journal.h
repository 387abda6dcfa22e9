/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a thread of the server notes of the request that it runs, in memory that outlives the
 * process (shared.h): enough for the next server to run the request again as if it had been run
 * once.
 *
 * Most requests can be run again as they are. What cannot (making, removing, renaming names,
 * appending) finds out by began and the notes whether it was done already: see redo.h. What a
 * request gave to the guest in a reply that never arrived is taken back first.
 *
 * Locking: one thread at a time.
 */
#ifndef LODGE_FSD_JOURNAL_H
#define LODGE_FSD_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

/* Entries of the largest READDIRPLUS reply: 64 KiB of 160 bytes each, at least. */
#define JOURNAL_GRANTS_MAX 410
#define JOURNAL_NOTES_MAX  2

struct journal {
	uint64_t order; /* of the request's chain, see struct vring_slot; 0: none */
	uint64_t began; /* of a request that changes something: CLOCK_REALTIME_COARSE, ns */
	uint64_t handle; /* open file that was made; 0: none */
	uint64_t notes[JOURNAL_NOTES_MAX];
	bool noted;
	uint32_t n_grants;
	uint64_t grants[JOURNAL_GRANTS_MAX]; /* nodeids: a lookup of each */
};

static inline void journal_begin(struct journal *journal, uint64_t order)
{
	journal->order = 0;
	__atomic_store_n(&journal->n_grants, 0, __ATOMIC_RELEASE);
	journal->handle = 0;
	journal->noted = false;
	__atomic_store_n(&journal->order, order, __ATOMIC_RELEASE);
}

/* After the lookup was counted. @journal may be NULL, here and below. */
static inline void journal_grant(struct journal *journal, uint64_t nodeid)
{
	if (!journal || journal->n_grants >= JOURNAL_GRANTS_MAX)
		return;
	journal->grants[journal->n_grants] = nodeid;
	__atomic_store_n(&journal->n_grants, journal->n_grants + 1, __ATOMIC_RELEASE);
}

/* The last grant is taken back, by the caller. */
static inline void journal_revoke(struct journal *journal)
{
	if (journal && journal->n_grants)
		__atomic_store_n(&journal->n_grants, journal->n_grants - 1, __ATOMIC_RELEASE);
}

static inline void journal_opened(struct journal *journal, uint64_t handle)
{
	if (journal)
		__atomic_store_n(&journal->handle, handle, __ATOMIC_RELEASE);
}

/* Before the call that changes something. */
static inline void journal_note(struct journal *journal, uint64_t first, uint64_t second)
{
	if (!journal)
		return;
	journal->notes[0] = first;
	journal->notes[1] = second;
	__atomic_store_n(&journal->noted, true, __ATOMIC_RELEASE);
}

#endif
