// SPDX-License-Identifier: GPL-2.0-or-later
/* Events that wait to become records. */
#include "shared-fs/server/watch_queue.h"

#include <string.h>

#include <lodge/fs_notify.h>

/* Below so many left a full queue is not worth keeping. */
#define KEPT_MAX (WATCH_QUEUE_MAX / 4 * 3)

static uint32_t hash_of(uint64_t folder, const char *name)
{
	uint32_t hash = 2166136261u ^ (uint32_t)folder ^ (uint32_t)(folder >> 32) * 31;

	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * 16777619u; /* FNV-1a */
	return (hash ^ hash >> 15) & (WATCH_QUEUE_MAPS - 1);
}

static struct watch_event *find_last(struct watch_queue *queue, uint64_t folder, const char *name)
{
	uint16_t at = queue->last[hash_of(folder, name)];
	struct watch_event *event = at ? &queue->events[at - 1] : NULL;

	return event && event->folder == folder && event->kinds && !strcmp(event->name, name)
		       ? event
		       : NULL;
}

static void append(struct watch_queue *queue, uint64_t folder, const char *name, uint32_t kinds,
		   uint32_t cookie)
{
	struct watch_event *event = &queue->events[queue->n++];

	event->folder = folder;
	event->kinds = kinds;
	event->cookie = cookie;
	strcpy(event->name, name);
	queue->last[hash_of(folder, name)] = (uint16_t)queue->n;
}

/* Takes out what was dropped. */
static void compact(struct watch_queue *queue)
{
	uint32_t n = 0;

	memset(queue->last, 0, sizeof(queue->last));
	for (uint32_t i = 0; i < queue->n; i++) {
		struct watch_event *event = &queue->events[i];

		if (!event->kinds)
			continue;
		if (i != n)
			queue->events[n] = *event;
		event = &queue->events[n++];
		queue->last[hash_of(event->folder, event->name)] = (uint16_t)n;
	}
	queue->n = n;
}

static void lose_folder(struct watch_queue *queue, uint64_t folder)
{
	for (uint32_t i = 0; i < queue->n; i++) {
		if (queue->events[i].folder == folder)
			queue->events[i].kinds = 0;
	}
	compact(queue);
	if (queue->n > KEPT_MAX)
		watch_queue_lose_all(queue);
	else
		append(queue, folder, "", LODGE_FS_LOST, 0);
}

/* Whether a later change of what @event's name leads to may be told by it. */
static bool joins(const struct watch_event *event, uint32_t kinds)
{
	if (event->kinds & LODGE_FS_LOST)
		return true;
	return !(kinds & LODGE_FS_NAME_KINDS) &&
	       !(event->kinds & (LODGE_FS_DELETED | LODGE_FS_MOVED_FROM));
}

void watch_queue_add(struct watch_queue *queue, uint64_t folder, const char *name, uint32_t kinds,
		     uint32_t cookie)
{
	struct watch_event *event;

	if (queue->n && !queue->events[0].folder)
		return;
	event = find_last(queue, folder, "");
	if (event && event->kinds & LODGE_FS_LOST)
		return;
	event = find_last(queue, folder, name);
	if (event && joins(event, kinds)) {
		event->kinds |= kinds;
		return;
	}
	if (queue->n == WATCH_QUEUE_MAX)
		lose_folder(queue, folder);
	else
		append(queue, folder, name, kinds, cookie);
}

void watch_queue_lose_all(struct watch_queue *queue)
{
	watch_queue_clear(queue);
	append(queue, 0, "", LODGE_FS_LOST, 0);
}

void watch_queue_remove(struct watch_queue *queue, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		queue->events[i].kinds = 0;
	compact(queue);
}

void watch_queue_clear(struct watch_queue *queue)
{
	queue->n = 0;
	memset(queue->last, 0, sizeof(queue->last));
}
