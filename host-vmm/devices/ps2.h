/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is plugged into the i8042: a keyboard and a mouse, as they answer commands. Source: IBM PS/2
 * Hardware Interface Technical Reference (keyboard, auxiliary device).
 *
 * Locking: none; the i8042 calls them under its own.
 */
#ifndef LODGE_VMM_PS2_H
#define LODGE_VMM_PS2_H

#include <stdbool.h>
#include <stdint.h>

struct state;

#define PS2_QUEUE 32u /* bytes on their way to the guest; more are dropped */

struct ps2 {
	uint8_t queue[PS2_QUEUE];
	uint8_t head, len;
	uint8_t command; /* whose parameter comes next, or 0 */
	bool enabled; /* may send by itself */
	uint8_t scan_set, leds; /* keyboard */
	uint8_t rate, resolution, id; /* mouse: id 0, 3 (wheel) or 4 (five buttons) */
	bool scale, remote;
	uint8_t rates[2]; /* the two before the last: a sequence of three switches the id */
};

void ps2_keyboard_reset(struct ps2 *keyboard);
void ps2_mouse_reset(struct ps2 *mouse);
/* A byte from the guest; answers go to the queue. */
void ps2_keyboard_write(struct ps2 *keyboard, uint8_t byte);
void ps2_mouse_write(struct ps2 *mouse, uint8_t byte);
/* Takes the next byte to the guest; only when len is not 0. */
uint8_t ps2_take(struct ps2 *ps2);

void ps2_save(const struct ps2 *ps2, struct state *state);
/* Leaves checking of state_error() to the caller; -EBADMSG where a value cannot be. */
int ps2_load(struct ps2 *ps2, struct state *state);

#endif
