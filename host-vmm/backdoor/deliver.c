// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Callbacks of tools.h: they wait in one queue, and the machine's loop runs them with no lock held.
 *
 * The queue is bounded by what may be open: results by commands, bytes by the credits that their
 * receivers gave (small pieces are joined, for an item costs more than a byte), events by
 * EVENTS_MAX. The loop takes one item at a time, so that a callback may close what the next item is
 * for.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "host-vmm/backdoor/private.h"
#include "host-vmm/loop.h"
#include "protocol/lib/fd.h"

#define BATCH 64u /* items until the loop's other sources have their turn */

struct tools_sink {
	struct backdoor *backdoor;
	struct tools_sink *next;
	tools_event_fn fn;
	void *opaque;
	bool removed; /* while the loop walks; freed behind it */
};

static void wake(struct backdoor *backdoor)
{
	uint64_t one = 1;

	(void)!write(backdoor->deliver.wake_fd, &one, sizeof(one));
}

void deliver_post(struct backdoor *backdoor, struct host_item *item)
{
	struct deliver *deliver = &backdoor->deliver;

	if (item->queued)
		return;
	item->queued = true;
	item->next = NULL;
	if (!deliver->first)
		wake(backdoor);
	*deliver->end = item;
	deliver->end = &item->next;
}

/* It waits no more. */
static void unqueued(struct host_item *item)
{
	struct tools_stream *stream = item->target;

	item->queued = false;
	if (item->kind == ITEM_DATA && stream->data_item == item)
		stream->data_item = NULL;
}

static void drop(struct host_item *item)
{
	free(item->bytes);
	item->bytes = NULL;
	if (item->allocated)
		free(item);
}

void deliver_forget(struct backdoor *backdoor, const void *target)
{
	struct deliver *deliver = &backdoor->deliver;
	struct host_item **at = &deliver->first;

	while (*at) {
		struct host_item *item = *at;

		if (item->target != target) {
			at = &item->next;
			continue;
		}
		*at = item->next;
		unqueued(item);
		drop(item);
	}
	deliver->end = at;
}

static struct host_item *new_item(enum item_kind kind, const void *bytes, size_t len)
{
	struct host_item *item = calloc(1, sizeof(*item));

	if (!item)
		return NULL;
	item->bytes = malloc(len + 1);
	if (!item->bytes) {
		free(item);
		return NULL;
	}
	if (len > 0)
		memcpy(item->bytes, bytes, len);
	item->bytes[len] = '\0';
	item->len = len;
	item->room = len + 1;
	item->kind = kind;
	item->allocated = true;
	return item;
}

/* Whether @item has taken them, too: there is room in one DATA frame, and in memory. */
static bool join(struct host_item *item, const void *bytes, size_t len, bool end)
{
	size_t need = item->len + len + 1, room = item->room;
	char *grown;

	if (item->len + len > LODGE_RPC_DATA_MAX)
		return false;
	while (room < need)
		room *= 2;
	if (room > item->room) {
		grown = realloc(item->bytes, room);
		if (!grown)
			return false;
		item->bytes = grown;
		item->room = room;
	}
	if (len > 0)
		memcpy(item->bytes + item->len, bytes, len);
	item->len += len;
	item->bytes[item->len] = '\0';
	item->end = end;
	return true;
}

int deliver_data(struct tools_stream *stream, const void *bytes, size_t len, bool end)
{
	struct host_item *item = stream->data_item;

	if (item && join(item, bytes, len, end))
		return 0;
	item = new_item(ITEM_DATA, bytes, len);
	if (!item)
		return -ENOMEM;
	item->end = end;
	item->target = stream;
	stream->data_item = item;
	deliver_post(stream->backdoor, item);
	return 0;
}

static void post_event(struct backdoor *backdoor, const char *name, const char *fields, size_t len)
{
	struct deliver *deliver = &backdoor->deliver;
	size_t name_len = strlen(name) + 1;
	struct host_item *item;

	if (!deliver->sinks)
		return;
	item = deliver->n_events < EVENTS_MAX ? new_item(ITEM_EVENT, NULL, 0) : NULL;
	if (item) {
		char *bytes = realloc(item->bytes, name_len + len + 1);

		if (!bytes) {
			drop(item);
			item = NULL;
		} else {
			item->bytes = bytes;
		}
	}
	if (!item) {
		deliver->lost++;
		return;
	}
	memcpy(item->bytes, name, name_len);
	if (len > 0)
		memcpy(item->bytes + name_len, fields, len);
	item->bytes[name_len + len] = '\0';
	item->len = name_len + len;
	item->time_ms = backdoor_time_ms();
	deliver->n_events++;
	deliver_post(backdoor, item);
}

void deliver_event(struct backdoor *backdoor, const char *name, struct fields_builder *fields)
{
	if (fields_done(fields) == 0)
		post_event(backdoor, name, fields->bytes, fields->len);
	else
		backdoor->deliver.lost++;
	fields_free(fields);
}

/* ---- on the loop ---- */

static struct host_item *take(struct backdoor *backdoor)
{
	struct deliver *deliver = &backdoor->deliver;
	struct host_item *item = deliver->first;

	if (!item)
		return NULL;
	deliver->first = item->next;
	if (!deliver->first)
		deliver->end = &deliver->first;
	unqueued(item);
	return item;
}

static void free_removed(struct deliver *deliver)
{
	struct tools_sink **at = &deliver->sinks;

	while (*at) {
		struct tools_sink *sink = *at;

		if (!sink->removed) {
			at = &sink->next;
			continue;
		}
		*at = sink->next;
		free(sink);
	}
}

/* Sinks are taken away on this thread alone, and added at the head. */
static void walk_sinks(struct backdoor *backdoor, const struct tools_event *event)
{
	struct deliver *deliver = &backdoor->deliver;
	struct tools_sink *sink;

	backdoor_lock(backdoor);
	deliver->walking = true;
	sink = deliver->sinks;
	backdoor_unlock(backdoor);
	for (; sink; sink = sink->next)
		if (!sink->removed)
			sink->fn(sink->opaque, event);
	backdoor_lock(backdoor);
	deliver->walking = false;
	free_removed(deliver);
	backdoor_unlock(backdoor);
}

static void run_event(struct backdoor *backdoor, const struct host_item *item)
{
	size_t name_len = strlen(item->bytes) + 1;
	const struct tools_event event = {
		.name = item->bytes,
		.fields = item->bytes + name_len,
		.fields_len = item->len - name_len,
		.time_ms = item->time_ms,
	};

	walk_sinks(backdoor, &event);
}

static void run_lost(struct backdoor *backdoor, unsigned int lost)
{
	struct fields_builder fields = FIELDS_BUILDER(64);
	struct tools_event event = { .name = "lost", .time_ms = backdoor_time_ms() };

	fields_addf(&fields, "count", "%u", lost);
	event.fields = fields.bytes;
	event.fields_len = fields.len;
	if (fields_done(&fields) == 0)
		walk_sinks(backdoor, &event);
	fields_free(&fields);
}

/* Without the lock. What is a member of its target may be gone when the callback returns. */
static void run(struct backdoor *backdoor, struct host_item *item)
{
	struct tools_stream *stream = item->target;
	struct tools_call *call = item->target;
	char *bytes = item->bytes;

	item->bytes = NULL;
	switch (item->kind) {
	case ITEM_START: /* rang() has done it */
		break;
	case ITEM_DONE:
		call->done(call->opaque, item->error, bytes ? bytes : "", item->len);
		command_free(call);
		break;
	case ITEM_DATA:
		if (stream->events->data)
			stream->events->data(stream->opaque, bytes, item->len, item->end);
		break;
	case ITEM_WRITABLE:
		if (stream->events->writable)
			stream->events->writable(stream->opaque);
		break;
	case ITEM_RESET:
		if (stream->events->reset)
			stream->events->reset(stream->opaque, bytes ? bytes : "",
					      bytes ? item->len : 0);
		break;
	case ITEM_EVENT:
		item->bytes = bytes;
		bytes = NULL;
		run_event(backdoor, item);
		break;
	}
	free(bytes);
}

static void rang(void *opaque, uint32_t epoll_events)
{
	struct backdoor *backdoor = opaque;
	struct deliver *deliver = &backdoor->deliver;
	uint64_t count;

	(void)epoll_events;
	(void)!read(deliver->wake_fd, &count, sizeof(count));
	for (unsigned int i = 0; i < BATCH; i++) {
		struct host_item *item;
		unsigned int lost;
		bool allocated;

		backdoor_lock(backdoor);
		item = take(backdoor);
		lost = item ? 0 : deliver->lost;
		deliver->lost -= lost;
		if (item && item->kind == ITEM_EVENT)
			deliver->n_events--;
		/* A session may be closed by another thread while its start is on the way. */
		if (item && item->kind == ITEM_START) {
			start_session(item->target);
			backdoor_unlock(backdoor);
			continue;
		}
		backdoor_unlock(backdoor);
		if (lost)
			run_lost(backdoor, lost);
		if (!item)
			return;
		allocated = item->allocated;
		run(backdoor, item);
		if (allocated)
			drop(item);
	}
	wake(backdoor);
}

/* ---- sinks ---- */

int tools_events_add(struct backdoor *backdoor, tools_event_fn fn, void *opaque,
		     struct tools_sink **ret_sink)
{
	struct tools_sink *sink = calloc(1, sizeof(*sink));

	if (!sink)
		return -ENOMEM;
	sink->backdoor = backdoor;
	sink->fn = fn;
	sink->opaque = opaque;
	backdoor_lock(backdoor);
	sink->next = backdoor->deliver.sinks;
	backdoor->deliver.sinks = sink;
	backdoor_unlock(backdoor);
	*ret_sink = sink;
	return 0;
}

void tools_events_remove(struct tools_sink *sink)
{
	struct backdoor *backdoor;

	if (!sink)
		return;
	backdoor = sink->backdoor;
	backdoor_lock(backdoor);
	sink->removed = true;
	if (!backdoor->deliver.walking)
		free_removed(&backdoor->deliver);
	backdoor_unlock(backdoor);
}

/* ---- life ---- */

int deliver_create(struct backdoor *backdoor)
{
	struct deliver *deliver = &backdoor->deliver;

	deliver->end = &deliver->first;
	deliver->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (deliver->wake_fd < 0)
		return -errno;
	return loop_add(backdoor->loop, deliver->wake_fd, EPOLLIN, rang, backdoor,
			&deliver->source);
}

void deliver_destroy(struct backdoor *backdoor)
{
	struct deliver *deliver = &backdoor->deliver;

	loop_remove(deliver->source);
	while (deliver->first)
		drop(take(backdoor));
	for (struct tools_sink *sink = deliver->sinks; sink; sink = sink->next)
		sink->removed = true;
	free_removed(deliver);
	fd_close(&deliver->wake_fd);
}
