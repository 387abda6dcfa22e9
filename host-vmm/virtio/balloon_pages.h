/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pages that a guest has given to its balloon: a bit for each 4 KiB of its RAM, so that what it
 * says of them can be checked, and is counted by us. Ranges are guest-physical.
 *
 * One thread at a time, but for balloon_pages_bytes().
 */
#ifndef LODGE_VMM_BALLOON_PAGES_H
#define LODGE_VMM_BALLOON_PAGES_H

#include <stdint.h>

struct balloon_pages;
struct memory;
struct state;

/* -ENOMEM. 32 KiB for a GiB of RAM, of which only what is used is memory. */
int balloon_pages_create(const struct memory *memory, struct balloon_pages **ret_pages);
/* NULL is fine. */
void balloon_pages_destroy(struct balloon_pages *pages);

/*
 * Puts a range in, or takes it out: all of it or nothing. -EINVAL: it is empty, not of whole pages,
 * or wraps; -EFAULT: not all of it is one stretch of RAM; -EEXIST: a page of it is in already;
 * -ENOENT: a page of it is not in. Discards nothing.
 */
int balloon_pages_put(struct balloon_pages *pages, uint64_t gpa, uint64_t len);
int balloon_pages_take(struct balloon_pages *pages, uint64_t gpa, uint64_t len);
/* Whether [gpa, gpa + len) is RAM of which nothing is in the balloon: as put, and changes nothing.
 */
int balloon_pages_check(const struct balloon_pages *pages, uint64_t gpa, uint64_t len);
/* What is in. Any thread. */
uint64_t balloon_pages_bytes(const struct balloon_pages *pages);
/* Nothing is in. */
void balloon_pages_clear(struct balloon_pages *pages);

int balloon_pages_save(const struct balloon_pages *pages, struct state *state);
int balloon_pages_load(struct balloon_pages *pages, struct state *state);

#endif
