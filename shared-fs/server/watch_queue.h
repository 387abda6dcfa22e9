/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events that wait to become records. Changes of what a name leads to are joined with the name's
 * last record; what happens to names themselves stays in order. A queue that is full drops the
 * records of the folder that an event comes for, or all, and keeps one that says so.
 *
 * One thread.
 */
#ifndef LODGE_FSD_WATCH_QUEUE_H
#define LODGE_FSD_WATCH_QUEUE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#define WATCH_QUEUE_MAX	 1024 /* records */
#define WATCH_QUEUE_MAPS 2048 /* a power of two */

struct watch_event {
	uint64_t folder; /* nodeid; 0: all is lost */
	uint32_t kinds; /* LODGE_FS_*; 0: dropped */
	uint32_t cookie;
	char name[NAME_MAX + 1]; /* "": SELF and LOST */
};

struct watch_queue {
	uint32_t n;
	struct watch_event events[WATCH_QUEUE_MAX];
	/* Index + 1 of the last event with such a hash: a guess. */
	uint16_t last[WATCH_QUEUE_MAPS];
};

/* @name may be "". */
void watch_queue_add(struct watch_queue *queue, uint64_t folder, const char *name, uint32_t kinds,
		     uint32_t cookie);
/* Anything may have changed: the one event that is left. */
void watch_queue_lose_all(struct watch_queue *queue);
/* The first @n are sent. */
void watch_queue_remove(struct watch_queue *queue, uint32_t n);
void watch_queue_clear(struct watch_queue *queue);

#endif
