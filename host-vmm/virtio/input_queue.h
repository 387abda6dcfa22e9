/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Input events on their way to a guest that may be slow.
 *
 * Events come in groups that end with a sync (Linux' SYN_REPORT) and are taken one by one. A
 * pointer that moves on before its last place was taken only moves that place. When there is no
 * room, whole groups are dropped, and once the guest has taken what waits, one group says how keys
 * and pointer stand: presses may be lost, a release is not.
 *
 * Locking: none, the device's.
 */
#ifndef LODGE_VMM_VIRTIO_INPUT_QUEUE_H
#define LODGE_VMM_VIRTIO_INPUT_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "host-vmm/input/input.h"

struct state;

/* Holds a group that says how every key stands, and what many minutes of typing leave behind. */
#define INPUT_QUEUE_EVENTS 1024u
#define INPUT_QUEUE_BITS   ((INPUT_N_CODES + 7) / 8)

/* As <linux/input.h> has them. */
struct input_queue_event {
	uint16_t type, code;
	int32_t value;
};

struct input_queue {
	struct input_queue_event events[INPUT_QUEUE_EVENTS];
	unsigned int head, len; /* of whole groups */
	unsigned int open; /* events of the group that has no end so far, behind them */
	bool dropped; /* of the open group, something did not fit */
	bool lost; /* groups were dropped: how things stand has to be told */
	bool last_is_point; /* the last group that waits */
	bool open_is_point;
	uint8_t wanted[INPUT_QUEUE_BITS]; /* keys that are down */
	uint8_t told[INPUT_QUEUE_BITS]; /* keys that are down as far as the guest took events */
	int32_t wanted_place[2], told_place[2]; /* x and y */
	int32_t wheel_rest[2]; /* 1/120 of a notch that make no notch yet */
};

void input_queue_clear(struct input_queue *queue);
/* Nothing where the key is in that state. */
void input_queue_key(struct input_queue *queue, uint16_t code, bool down);
void input_queue_point(struct input_queue *queue, uint16_t x, uint16_t y);
/* 1/120 of a notch; right and up are positive. */
void input_queue_wheel(struct input_queue *queue, int32_t dx, int32_t dy);
/* Ends a group; one without events is none. */
void input_queue_sync(struct input_queue *queue);

/* Whether input_queue_take() may have something. */
bool input_queue_waits(const struct input_queue *queue);
bool input_queue_take(struct input_queue *queue, struct input_queue_event *ret_event);

/* What the guest took, not what waits. After a load no key is held, and the guest will be told. */
void input_queue_save(const struct input_queue *queue, struct state *state);
void input_queue_load(struct input_queue *queue, struct state *state);

#endif
