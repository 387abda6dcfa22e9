/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keyboard and pointer of the VM: from windows and commands to the device that the guest listens
 * to.
 *
 * Devices offer themselves as sinks; for each kind of event the best sink that the guest's driver
 * has taken gets it: virtio-input before PS/2. Who holds what is known for each giver (a window),
 * so that all is released when the giver says so, or goes.
 *
 * Any thread; one lock. Sinks are called with it held and must not call back.
 */
#ifndef LODGE_VMM_INPUT_H
#define LODGE_VMM_INPUT_H

#include <linux/input-event-codes.h>
#include <stdbool.h>
#include <stdint.h>

struct input;

/* The keys and buttons that there are: all keys before the first button, and a mouse's five. */
#define INPUT_KEY_FIRST	   KEY_ESC
#define INPUT_KEY_LAST	   KEY_MICMUTE
#define INPUT_BUTTON_FIRST BTN_LEFT
#define INPUT_BUTTON_LAST  BTN_EXTRA
#define INPUT_N_CODES	   (INPUT_BUTTON_LAST + 1)

/* Of a sink, lowest first: the highest that is ready gets the event. */
enum input_rank {
	INPUT_RANK_PS2 = 0,
	INPUT_RANK_VIRTIO = 1,
};

/* Each may be NULL: the sink takes no such event. */
struct input_sink_ops {
	/* Whether the guest listens: its driver runs. */
	bool (*ready)(void *opaque);
	/* @code: KEY_ or BTN_ of <linux/input-event-codes.h>. */
	void (*key)(void *opaque, uint16_t code, bool down);
	void (*button)(void *opaque, uint16_t code, bool down);
	/* 0 to INPUT_POINT_MAX each, across all heads. */
	void (*point)(void *opaque, uint16_t x, uint16_t y);
	void (*move)(void *opaque, int32_t dx, int32_t dy);
	/* 1/120 of a notch; right and up are positive. */
	void (*wheel)(void *opaque, int32_t dx, int32_t dy);
	/* The events since the last call are one. */
	void (*sync)(void *opaque);
};
#define INPUT_POINT_MAX 0x7fff

struct input_sink {
	enum input_rank rank;
	const struct input_sink_ops *ops;
	void *opaque;

	/* The core's: */
	struct input_sink *next;
	uint32_t leds; /* bit N: LED_ N is on */
};

/* Of those who give events. */
struct input_giver;

int input_create(struct input **ret_input);
void input_destroy(struct input *input);

/* The sink is the caller's and stays until it is removed. */
void input_add_sink(struct input *input, struct input_sink *sink);
void input_remove_sink(struct input *input, struct input_sink *sink);
/* A sink's word: its ready() or its LEDs changed. Not from within a sink's call. */
void input_sink_changed(struct input *input, struct input_sink *sink, uint32_t leds);

struct input_giver *input_giver_create(struct input *input);
/* Releases what it holds. NULL is fine. */
void input_giver_destroy(struct input_giver *giver);
/* -EINVAL for codes that no device of ours has. A key that the giver does not hold is not released
 * twice. */
int input_key(struct input_giver *giver, uint16_t code, bool down);
int input_button(struct input_giver *giver, uint16_t code, bool down);
/* @x of @width and @y of @height, pixels of all heads together. */
void input_point(struct input_giver *giver, uint32_t x, uint32_t y, uint32_t width,
		 uint32_t height);
void input_move(struct input_giver *giver, int32_t dx, int32_t dy);
void input_wheel(struct input_giver *giver, int32_t dx, int32_t dy);
void input_release(struct input_giver *giver);

/* Whether a pointer's place, not its movement, is what the guest takes now; LEDs that are on (bit
 * N: LED_ N). */
bool input_is_absolute(struct input *input);
uint32_t input_leds(struct input *input);
/* Whether any keyboard has a driver that listens. */
bool input_takes_keys(struct input *input);
/* Called when either changed, from any thread, with the lock held. One listener. */
void input_listen(struct input *input, void (*changed)(void *opaque), void *opaque);

#endif
