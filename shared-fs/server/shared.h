/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory that outlives the process that serves: it is shared with the keeper (keeper.h), and the
 * next server finds it at the same address.
 */
#ifndef LODGE_FSD_SHARED_H
#define LODGE_FSD_SHARED_H

#include <stddef.h>

/* @size bytes of zeroes, NULL where there are none. Pages that are not touched cost nothing. */
void *shared_alloc(size_t size);
/* NULL is fine. */
void shared_free(void *memory, size_t size);
/* Gives the pages of @memory back; they read as zeroes afterwards, or as before. Both are multiples
 * of a page. */
void shared_empty(void *memory, size_t size);

#endif
