// SPDX-License-Identifier: GPL-2.0-or-later
// Input events on their way to a guest: groups, and how things stand when some were dropped.
#include "host-vmm/virtio/input_queue.h"

#include <string.h>

#include "host-vmm/state.h"

#define NOTCH	     120 /* REL_WHEEL_HI_RES: Linux' event-codes.rst */
#define POINT_EVENTS 3u /* x, y and the sync */
#define WHEEL_MAX    (1 << 20) /* more in one event is no wheel */

static bool bit_of(const uint8_t *bits, unsigned int code)
{
	return bits[code / 8] >> code % 8 & 1;
}

static void set_bit_of(uint8_t *bits, unsigned int code, bool value)
{
	if (value)
		bits[code / 8] |= (uint8_t)(1u << code % 8);
	else
		bits[code / 8] &= (uint8_t) ~(1u << code % 8);
}

void input_queue_clear(struct input_queue *queue)
{
	memset(queue, 0, sizeof(*queue));
}

static void add(struct input_queue *queue, uint16_t type, uint16_t code, int32_t value)
{
	/* One event is left for the sync. */
	if (queue->lost || queue->len + queue->open + 1 >= INPUT_QUEUE_EVENTS)
		queue->dropped = true;
	if (queue->dropped)
		return;
	queue->events[(queue->head + queue->len + queue->open++) % INPUT_QUEUE_EVENTS] =
		(struct input_queue_event){ type, code, value };
	queue->open_is_point = false;
}

void input_queue_key(struct input_queue *queue, uint16_t code, bool down)
{
	if (bit_of(queue->wanted, code) == down)
		return;
	set_bit_of(queue->wanted, code, down);
	add(queue, EV_KEY, code, down);
}

void input_queue_point(struct input_queue *queue, uint16_t x, uint16_t y)
{
	bool alone = queue->open == 0;

	queue->wanted_place[0] = x;
	queue->wanted_place[1] = y;
	add(queue, EV_ABS, ABS_X, x);
	add(queue, EV_ABS, ABS_Y, y);
	queue->open_is_point = alone;
}

static void turn(struct input_queue *queue, int axis, int32_t by, uint16_t notches, uint16_t fine)
{
	int32_t *rest = &queue->wheel_rest[axis];

	if (by == 0 || by > WHEEL_MAX || by < -WHEEL_MAX)
		return;
	/* A turn back begins with a notch of its own. */
	if ((*rest > 0) != (by > 0))
		*rest = 0;
	*rest += by;
	add(queue, EV_REL, fine, by);
	if (*rest / NOTCH != 0)
		add(queue, EV_REL, notches, *rest / NOTCH);
	*rest %= NOTCH;
}

void input_queue_wheel(struct input_queue *queue, int32_t dx, int32_t dy)
{
	turn(queue, 0, dx, REL_HWHEEL, REL_HWHEEL_HI_RES);
	turn(queue, 1, dy, REL_WHEEL, REL_WHEEL_HI_RES);
}

/* The open group is put in place of the last one that waits. */
static void replace_last(struct input_queue *queue)
{
	unsigned int from = queue->head + queue->len, to = from - POINT_EVENTS;

	for (unsigned int i = 0; i < queue->open; i++)
		queue->events[(to + i) % INPUT_QUEUE_EVENTS] =
			queue->events[(from + i) % INPUT_QUEUE_EVENTS];
}

void input_queue_sync(struct input_queue *queue)
{
	bool point = queue->open_is_point;

	if (queue->dropped) {
		queue->lost = true;
	} else if (queue->open > 0 && point && queue->last_is_point && queue->len >= POINT_EVENTS) {
		replace_last(queue);
	} else if (queue->open > 0) {
		add(queue, EV_SYN, SYN_REPORT, 0);
		queue->len += queue->open;
		queue->last_is_point = point;
	}
	queue->open = 0;
	queue->dropped = queue->open_is_point = false;
}

/* The queue is empty, so that all of it fits. */
static void tell_how_things_stand(struct input_queue *queue)
{
	queue->lost = queue->dropped = false;
	queue->open = 0;
	for (unsigned int code = 0; code < INPUT_N_CODES; code++)
		if (bit_of(queue->wanted, code) != bit_of(queue->told, code))
			add(queue, EV_KEY, (uint16_t)code, bit_of(queue->wanted, code));
	for (unsigned int axis = 0; axis < 2; axis++)
		if (queue->wanted_place[axis] != queue->told_place[axis])
			add(queue, EV_ABS, axis == 0 ? ABS_X : ABS_Y, queue->wanted_place[axis]);
	input_queue_sync(queue);
}

bool input_queue_waits(const struct input_queue *queue)
{
	return queue->len > 0 || queue->lost;
}

bool input_queue_take(struct input_queue *queue, struct input_queue_event *ret_event)
{
	if (queue->len == 0 && queue->lost)
		tell_how_things_stand(queue);
	if (queue->len == 0)
		return false;
	*ret_event = queue->events[queue->head];
	queue->head = (queue->head + 1) % INPUT_QUEUE_EVENTS;
	queue->len--;
	if (ret_event->type == EV_KEY)
		set_bit_of(queue->told, ret_event->code, ret_event->value != 0);
	else if (ret_event->type == EV_ABS)
		queue->told_place[ret_event->code == ABS_Y] = ret_event->value;
	return true;
}

void input_queue_save(const struct input_queue *queue, struct state *state)
{
	state_put(state, queue->told, sizeof(queue->told));
	for (unsigned int axis = 0; axis < 2; axis++)
		state_put_u32(state, (uint32_t)queue->told_place[axis]);
}

void input_queue_load(struct input_queue *queue, struct state *state)
{
	input_queue_clear(queue);
	state_get(state, queue->told, sizeof(queue->told));
	for (unsigned int axis = 0; axis < 2; axis++) {
		queue->told_place[axis] = (int32_t)state_get_u32(state);
		queue->wanted_place[axis] = queue->told_place[axis];
	}
	queue->lost = true;
}
