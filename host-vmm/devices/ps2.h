/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is plugged into the i8042: a keyboard and a mouse. Sources: IBM PS/2 Hardware Interface
 * Technical Reference (keyboard, auxiliary device); Microsoft, Keyboard Scan Code
 * Specification 1.3a (keys that came later); the wheel and five buttons as the IntelliMouse has
 * them.
 *
 * Locking: none; the i8042 calls them under its own.
 */
#ifndef LODGE_VMM_PS2_H
#define LODGE_VMM_PS2_H

#include <stdbool.h>
#include <stdint.h>

struct state;

#define PS2_QUEUE    255u /* bytes on their way to the guest; more are dropped */
#define PS2_ANSWERS  16u /* of them, which keys and movement leave to what commands answer */
#define PS2_KEY_BITS 32u /* bytes: KEY_ codes below 256 */

struct ps2 {
	uint8_t queue[PS2_QUEUE];
	uint8_t head, len;
	uint8_t command; /* whose parameter comes next, or 0 */
	bool enabled; /* may send by itself */
	uint8_t scan_set, leds; /* keyboard; bits of its command: scroll, num, caps */
	uint8_t told[PS2_KEY_BITS]; /* keys whose make went into the queue */
	unsigned int n_told;
	uint8_t rate, resolution, id; /* mouse: id 0, 3 (wheel) or 4 (five buttons) */
	bool scale, remote;
	uint8_t rates[2]; /* the two before the last: a sequence of three switches the id */
	uint8_t buttons, told_buttons; /* left, right, middle, side, extra from bit 0 on */
	int32_t dx, dy, wheel; /* that no packet told; right, down and 1/120 of a notch up */
};

void ps2_keyboard_reset(struct ps2 *keyboard);
void ps2_mouse_reset(struct ps2 *mouse);
/* A byte from the guest; answers go to the queue. */
void ps2_keyboard_write(struct ps2 *keyboard, uint8_t byte);
void ps2_mouse_write(struct ps2 *mouse, uint8_t byte);
/* Takes the next byte to the guest; only when len is not 0. */
uint8_t ps2_take(struct ps2 *ps2);

/*
 * A key's make or break in the keyboard's scan set; keys without a code have none. Where the queue
 * is full a make is dropped; a break always has room.
 */
void ps2_keyboard_key(struct ps2 *keyboard, uint16_t code, bool down);
/* Breaks of all keys that are down. */
void ps2_keyboard_release(struct ps2 *keyboard);
/* A byte from the keyboard as the i8042 translates it to set 1: its break prefix, PS2_BREAK, sets
 * the highest bit of the byte behind it. */
uint8_t ps2_translate(uint8_t byte);
#define PS2_BREAK 0xf0u

void ps2_mouse_move(struct ps2 *mouse, int32_t dx, int32_t dy);
void ps2_mouse_wheel(struct ps2 *mouse, int32_t dy);
/* @code: BTN_ of <linux/input-event-codes.h>. */
void ps2_mouse_button(struct ps2 *mouse, uint16_t code, bool down);
/* Makes packets of what moved, as far as the guest has taken those before. */
void ps2_mouse_flush(struct ps2 *mouse);

/* Appends a byte to the guest. */
void ps2_put(struct ps2 *ps2, uint8_t byte);

void ps2_save(const struct ps2 *ps2, struct state *state);
/* Leaves checking of state_error() to the caller; -EBADMSG where a value cannot be. */
int ps2_load(struct ps2 *ps2, struct state *state);

#endif
