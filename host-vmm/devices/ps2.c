// SPDX-License-Identifier: GPL-2.0-or-later
// A PS/2 keyboard and a PS/2 mouse: how they answer commands, and how the mouse tells movement.
#include "host-vmm/devices/ps2.h"

#include <errno.h>
#include <linux/input-event-codes.h>
#include <string.h>

#include "host-vmm/state.h"

#define ACK    0xfau
#define RESEND 0xfeu
#define BAT_OK 0xaau /* basic assurance test passed */
#define ECHO   0xeeu

#define CMD_RESET    0xffu
#define CMD_RESEND   0xfeu
#define CMD_DEFAULTS 0xf6u
#define CMD_DISABLE  0xf5u
#define CMD_ENABLE   0xf4u
#define CMD_RATE     0xf3u
#define CMD_IDENTIFY 0xf2u

#define KBD_SCAN_SET 0xf0u
#define KBD_ECHO     0xeeu
#define KBD_LEDS     0xedu
#define KBD_ID_FIRST 0xabu
#define KBD_ID_LAST  0x83u
#define SCAN_SETS    2u

#define MOUSE_REMOTE	 0xf0u
#define MOUSE_READ	 0xebu
#define MOUSE_STREAM	 0xeau
#define MOUSE_STATUS	 0xe9u
#define MOUSE_RESOLUTION 0xe8u
#define MOUSE_SCALE_2	 0xe7u
#define MOUSE_SCALE_1	 0xe6u
#define MOUSE_WHEEL	 3u
#define MOUSE_BUTTONS	 4u

#define DEFAULT_RATE	   100u /* packets a second */
#define DEFAULT_RESOLUTION 2u /* 4 counts a millimetre */

#define PACKET_MAX 4u
#define MOVE_MAX   255 /* of a packet */
#define WHEEL_MAX  7
#define NOTCH	   120
#define REST_MAX   65536 /* of what waits for a guest that is slow */

void ps2_put(struct ps2 *ps2, uint8_t byte)
{
	if (ps2->len < PS2_QUEUE)
		ps2->queue[(ps2->head + ps2->len++) % PS2_QUEUE] = byte;
}

uint8_t ps2_take(struct ps2 *ps2)
{
	uint8_t byte = ps2->queue[ps2->head];

	ps2->head = (ps2->head + 1) % PS2_QUEUE;
	ps2->len--;
	return byte;
}

void ps2_keyboard_reset(struct ps2 *keyboard)
{
	*keyboard = (struct ps2){ .enabled = true, .scan_set = 2 };
}

static void set_defaults(struct ps2 *mouse)
{
	mouse->rate = DEFAULT_RATE;
	mouse->resolution = DEFAULT_RESOLUTION;
	mouse->scale = mouse->remote = mouse->enabled = false;
}

void ps2_mouse_reset(struct ps2 *mouse)
{
	*mouse = (struct ps2){ 0 };
	set_defaults(mouse);
}

static void keyboard_parameter(struct ps2 *keyboard, uint8_t command, uint8_t byte)
{
	/* Set 3 is one that this keyboard has not. */
	if (command == KBD_SCAN_SET && byte > SCAN_SETS) {
		ps2_put(keyboard, RESEND);
		return;
	}
	ps2_put(keyboard, ACK);
	if (command == KBD_LEDS)
		keyboard->leds = byte & 7;
	else if (command == KBD_SCAN_SET && byte == 0)
		ps2_put(keyboard, keyboard->scan_set);
	else if (command == KBD_SCAN_SET)
		keyboard->scan_set = byte;
}

void ps2_keyboard_write(struct ps2 *keyboard, uint8_t byte)
{
	uint8_t command = keyboard->command;

	keyboard->command = 0;
	if (command != 0 && byte < KBD_LEDS) {
		keyboard_parameter(keyboard, command, byte);
		return;
	}
	switch (byte) {
	case CMD_RESET:
		ps2_keyboard_reset(keyboard);
		ps2_put(keyboard, ACK);
		ps2_put(keyboard, BAT_OK);
		return;
	case CMD_DEFAULTS:
	case CMD_DISABLE:
		ps2_keyboard_reset(keyboard);
		keyboard->enabled = byte == CMD_DEFAULTS;
		break;
	case CMD_ENABLE:
		keyboard->enabled = true;
		break;
	case CMD_RATE:
	case KBD_SCAN_SET:
	case KBD_LEDS:
		keyboard->command = byte;
		break;
	case CMD_IDENTIFY:
		ps2_put(keyboard, ACK);
		ps2_put(keyboard, KBD_ID_FIRST);
		ps2_put(keyboard, KBD_ID_LAST);
		return;
	case KBD_ECHO:
		ps2_put(keyboard, ECHO);
		return;
	case 0xf7: /* typematic, make and break for all keys or one: of scan set 3 */
	case 0xf8:
	case 0xf9:
	case 0xfa:
		break;
	default:
		ps2_put(keyboard, RESEND);
		return;
	}
	ps2_put(keyboard, ACK);
}

/* Rates of 200, 100, 80 in a row ask for the wheel; 200, 200, 80 then for five buttons. */
static void set_rate(struct ps2 *mouse, uint8_t rate)
{
	if (mouse->rates[0] == 200 && mouse->rates[1] == 100 && rate == 80)
		mouse->id = MOUSE_WHEEL;
	if (mouse->rates[0] == 200 && mouse->rates[1] == 200 && rate == 80 &&
	    mouse->id == MOUSE_WHEEL)
		mouse->id = MOUSE_BUTTONS;
	mouse->rates[0] = mouse->rates[1];
	mouse->rates[1] = rate;
	mouse->rate = rate;
}

/* Buttons are the other way round than in packets. */
static void put_status(struct ps2 *mouse)
{
	uint8_t left = mouse->buttons & 1, right = mouse->buttons >> 1 & 1;
	uint8_t middle = mouse->buttons >> 2 & 1;

	ps2_put(mouse, (uint8_t)(mouse->remote << 6 | mouse->enabled << 5 | mouse->scale << 4 |
				 left << 2 | middle << 1 | right));
	ps2_put(mouse, mouse->resolution);
	ps2_put(mouse, mouse->rate);
}

static int32_t clamp(int32_t value, int32_t least, int32_t most)
{
	return value < least ? least : value > most ? most : value;
}

/* What a packet can hold of what moved; y counts up, the wheel down. */
static void put_packet(struct ps2 *mouse)
{
	int32_t dx = clamp(mouse->dx, -MOVE_MAX, MOVE_MAX);
	int32_t dy = clamp(mouse->dy, -MOVE_MAX, MOVE_MAX);
	int32_t notches = clamp(mouse->wheel / NOTCH, -WHEEL_MAX, WHEEL_MAX);

	ps2_put(mouse, (uint8_t)(0x08 | (mouse->buttons & 7) | (dx < 0) << 4 | (dy > 0) << 5));
	ps2_put(mouse, (uint8_t)dx);
	ps2_put(mouse, (uint8_t)-dy);
	if (mouse->id == MOUSE_WHEEL)
		ps2_put(mouse, (uint8_t)-notches);
	else if (mouse->id == MOUSE_BUTTONS)
		ps2_put(mouse, (uint8_t)((-notches & 15) | (mouse->buttons & 0x18) << 1));
	mouse->dx -= dx;
	mouse->dy -= dy;
	mouse->wheel -= notches * NOTCH;
	mouse->told_buttons = mouse->buttons;
}

void ps2_mouse_flush(struct ps2 *mouse)
{
	if (mouse->id == 0)
		mouse->wheel = 0;
	/* A button goes in at once, so that a fast click is not lost; movement adds up. */
	while (mouse->enabled && !mouse->remote &&
	       mouse->len + PACKET_MAX + PS2_ANSWERS <= PS2_QUEUE &&
	       (mouse->buttons != mouse->told_buttons ||
		(mouse->len == 0 &&
		 (mouse->dx != 0 || mouse->dy != 0 || mouse->wheel / NOTCH != 0))))
		put_packet(mouse);
}

void ps2_mouse_move(struct ps2 *mouse, int32_t dx, int32_t dy)
{
	mouse->dx = clamp(mouse->dx, -REST_MAX, REST_MAX) + clamp(dx, -REST_MAX, REST_MAX);
	mouse->dy = clamp(mouse->dy, -REST_MAX, REST_MAX) + clamp(dy, -REST_MAX, REST_MAX);
}

void ps2_mouse_wheel(struct ps2 *mouse, int32_t dy)
{
	mouse->wheel = clamp(mouse->wheel, -REST_MAX, REST_MAX) + clamp(dy, -REST_MAX, REST_MAX);
}

void ps2_mouse_button(struct ps2 *mouse, uint16_t code, bool down)
{
	uint8_t bit = (uint8_t)(1u << (code - BTN_LEFT));

	mouse->buttons = down ? mouse->buttons | bit : mouse->buttons & (uint8_t)~bit;
	ps2_mouse_flush(mouse);
}

void ps2_mouse_write(struct ps2 *mouse, uint8_t byte)
{
	uint8_t command = mouse->command;

	mouse->command = 0;
	if (command != 0) {
		ps2_put(mouse, ACK);
		if (command == CMD_RATE)
			set_rate(mouse, byte);
		else
			mouse->resolution = byte & 3;
		return;
	}
	switch (byte) {
	case CMD_RESET:
		ps2_mouse_reset(mouse);
		ps2_put(mouse, ACK);
		ps2_put(mouse, BAT_OK);
		ps2_put(mouse, 0);
		return;
	case CMD_RATE:
	case MOUSE_RESOLUTION:
		mouse->command = byte;
		break;
	case CMD_DEFAULTS:
		set_defaults(mouse);
		break;
	case CMD_DISABLE:
		mouse->enabled = false;
		break;
	case CMD_ENABLE:
		mouse->enabled = true;
		break;
	case MOUSE_REMOTE:
	case MOUSE_STREAM:
		mouse->remote = byte == MOUSE_REMOTE;
		break;
	case MOUSE_SCALE_1:
	case MOUSE_SCALE_2:
		mouse->scale = byte == MOUSE_SCALE_2;
		break;
	case CMD_IDENTIFY:
		ps2_put(mouse, ACK);
		ps2_put(mouse, mouse->id);
		return;
	case MOUSE_STATUS:
		ps2_put(mouse, ACK);
		put_status(mouse);
		return;
	case MOUSE_READ:
		ps2_put(mouse, ACK);
		put_packet(mouse);
		return;
	default:
		ps2_put(mouse, RESEND);
		return;
	}
	ps2_put(mouse, ACK);
}

void ps2_save(const struct ps2 *ps2, struct state *state)
{
	state_put_u8(state, ps2->len);
	for (unsigned int i = 0; i < ps2->len; i++)
		state_put_u8(state, ps2->queue[(ps2->head + i) % PS2_QUEUE]);
	state_put_u8(state, ps2->command);
	state_put_u8(state, ps2->enabled);
	state_put_u8(state, ps2->scan_set);
	state_put_u8(state, ps2->leds);
	state_put_u8(state, ps2->rate);
	state_put_u8(state, ps2->resolution);
	state_put_u8(state, ps2->id);
	state_put_u8(state, ps2->scale);
	state_put_u8(state, ps2->remote);
	state_put(state, ps2->rates, sizeof(ps2->rates));
	state_put(state, ps2->told, sizeof(ps2->told));
	state_put_u8(state, ps2->told_buttons);
}

int ps2_load(struct ps2 *ps2, struct state *state)
{
	unsigned int len = state_get_u8(state);

	memset(ps2, 0, sizeof(*ps2));
	if (len > PS2_QUEUE)
		return -EBADMSG;
	for (unsigned int i = 0; i < len; i++)
		ps2_put(ps2, state_get_u8(state));
	ps2->command = state_get_u8(state);
	ps2->enabled = state_get_u8(state) != 0;
	ps2->scan_set = state_get_u8(state) == 1 ? 1 : 2;
	ps2->leds = state_get_u8(state);
	ps2->rate = state_get_u8(state);
	ps2->resolution = state_get_u8(state);
	ps2->id = state_get_u8(state);
	ps2->scale = state_get_u8(state) != 0;
	ps2->remote = state_get_u8(state) != 0;
	state_get(state, ps2->rates, sizeof(ps2->rates));
	state_get(state, ps2->told, sizeof(ps2->told));
	for (unsigned int code = 0; code < 8 * PS2_KEY_BITS; code++)
		ps2->n_told += ps2->told[code / 8] >> code % 8 & 1;
	ps2->told_buttons = state_get_u8(state);
	return 0;
}
