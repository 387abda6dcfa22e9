// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Keys of a PS/2 keyboard, in scan sets 1 and 2.
 *
 * The table has set 1. The i8042's translation from set 2 to set 1 gives set 2, read the other way
 * round: so what is translated on its way is what the table says.
 */
#include <linux/input-event-codes.h>

#include "host-vmm/devices/ps2.h"

#define EXTENDED     0xe0u
#define EXTENDED_1   0xe1u /* Pause alone */
#define BREAK_1	     0x80u /* in set 1, a bit */
#define FAKE_SHIFT   0x2au /* before Print Screen, which was a shifted key once */
#define SEQUENCE_MAX 8u /* bytes of a key */

/* [KEY_]: set 1's code, 0xe0 in the upper byte where that is before it. The first 83 are their own
 * codes: KEY_ESC to KEY_KPDOT. */
static const uint16_t others[256] = {
	[KEY_ZENKAKUHANKAKU] = 0x76,
	[KEY_102ND] = 0x56,
	[KEY_F11] = 0x57,
	[KEY_F12] = 0x58,
	[KEY_RO] = 0x73,
	[KEY_KATAKANA] = 0x78,
	[KEY_HIRAGANA] = 0x77,
	[KEY_HENKAN] = 0x79,
	[KEY_KATAKANAHIRAGANA] = 0x70,
	[KEY_MUHENKAN] = 0x7b,
	[KEY_KPENTER] = 0xe01c,
	[KEY_RIGHTCTRL] = 0xe01d,
	[KEY_KPSLASH] = 0xe035,
	[KEY_SYSRQ] = 0xe037,
	[KEY_RIGHTALT] = 0xe038,
	[KEY_HOME] = 0xe047,
	[KEY_UP] = 0xe048,
	[KEY_PAGEUP] = 0xe049,
	[KEY_LEFT] = 0xe04b,
	[KEY_RIGHT] = 0xe04d,
	[KEY_END] = 0xe04f,
	[KEY_DOWN] = 0xe050,
	[KEY_PAGEDOWN] = 0xe051,
	[KEY_INSERT] = 0xe052,
	[KEY_DELETE] = 0xe053,
	[KEY_MUTE] = 0xe020,
	[KEY_VOLUMEDOWN] = 0xe02e,
	[KEY_VOLUMEUP] = 0xe030,
	[KEY_POWER] = 0xe05e,
	[KEY_KPEQUAL] = 0x59,
	[KEY_PAUSE] = 0xe046,
	[KEY_KPCOMMA] = 0x7e,
	[KEY_YEN] = 0x7d,
	[KEY_LEFTMETA] = 0xe05b,
	[KEY_RIGHTMETA] = 0xe05c,
	[KEY_COMPOSE] = 0xe05d,
	[KEY_STOP] = 0xe068,
	[KEY_CALC] = 0xe021,
	[KEY_SLEEP] = 0xe05f,
	[KEY_WAKEUP] = 0xe063,
	[KEY_MAIL] = 0xe06c,
	[KEY_BOOKMARKS] = 0xe066,
	[KEY_COMPUTER] = 0xe06b,
	[KEY_BACK] = 0xe06a,
	[KEY_FORWARD] = 0xe069,
	[KEY_NEXTSONG] = 0xe019,
	[KEY_PLAYPAUSE] = 0xe022,
	[KEY_PREVIOUSSONG] = 0xe010,
	[KEY_STOPCD] = 0xe024,
	[KEY_HOMEPAGE] = 0xe032,
	[KEY_REFRESH] = 0xe067,
	[KEY_SEARCH] = 0xe065,
	[KEY_MEDIA] = 0xe06d,
};

/* [set 2's code]: set 1's. */
static const uint8_t to_set1[] = {
	0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29,
	0x59, 0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11,
	0x03, 0x5b, 0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14,
	0x13, 0x06, 0x5d, 0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24,
	0x16, 0x08, 0x09, 0x5f, 0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35,
	0x26, 0x27, 0x19, 0x0c, 0x61, 0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36,
	0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76, 0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c,
	0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f, 0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45,
	0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54, 0x80, 0x81, 0x82, 0x41, 0x54,
};

uint8_t ps2_translate(uint8_t byte)
{
	return byte < sizeof(to_set1) ? to_set1[byte] : byte;
}

/* From the end: F7 and SysRq have two codes in set 2 of which keyboards send the last. */
static uint8_t from_set1(uint8_t code)
{
	unsigned int i = sizeof(to_set1);

	while (i-- > 0)
		if (to_set1[i] == code)
			return (uint8_t)i;
	return 0;
}

static bool is_down(const struct ps2 *keyboard, uint16_t code)
{
	return keyboard->told[code / 8] >> code % 8 & 1;
}

static bool either(const struct ps2 *keyboard, uint16_t left, uint16_t right)
{
	return is_down(keyboard, left) || is_down(keyboard, right);
}

static void put_code(struct ps2 *keyboard, uint16_t code, bool down)
{
	bool set1 = keyboard->scan_set == 1;
	uint8_t low = (uint8_t)code;

	if (code >> 8)
		ps2_put(keyboard, EXTENDED);
	if (!set1 && !down)
		ps2_put(keyboard, PS2_BREAK);
	if (set1)
		ps2_put(keyboard, down ? low : low | BREAK_1);
	else
		ps2_put(keyboard, from_set1(low));
}

/* All of it on the make; the key has no break. */
static void put_pause(struct ps2 *keyboard)
{
	const uint8_t codes[] = { 0x1d, 0x45 };
	bool set1 = keyboard->scan_set == 1;

	for (unsigned int down = 2; down-- > 0;) {
		ps2_put(keyboard, EXTENDED_1);
		for (unsigned int i = 0; i < sizeof(codes); i++) {
			if (!set1 && !down)
				ps2_put(keyboard, PS2_BREAK);
			ps2_put(keyboard, !set1	 ? from_set1(codes[i])
					  : down ? codes[i]
						 : codes[i] | BREAK_1);
		}
	}
}

static void put_key(struct ps2 *keyboard, uint16_t key, uint16_t code, bool down)
{
	const uint16_t shift = EXTENDED << 8 | FAKE_SHIFT;

	if (key == KEY_PAUSE && !either(keyboard, KEY_LEFTCTRL, KEY_RIGHTCTRL)) {
		if (down)
			put_pause(keyboard);
		return;
	}
	if (key == KEY_SYSRQ && either(keyboard, KEY_LEFTALT, KEY_RIGHTALT)) {
		put_code(keyboard, 0x54, down);
		return;
	}
	if (key == KEY_SYSRQ && down)
		put_code(keyboard, shift, true);
	put_code(keyboard, code, down);
	if (key == KEY_SYSRQ && !down)
		put_code(keyboard, shift, false);
}

void ps2_keyboard_key(struct ps2 *keyboard, uint16_t key, bool down)
{
	uint16_t code = key <= KEY_KPDOT ? key : key < 256 ? others[key] : 0;
	uint8_t bit = (uint8_t)(1u << key % 8);

	if (code == 0 || !keyboard->enabled || is_down(keyboard, key) == down)
		return;
	/* Each key that is down keeps room for its break. */
	if (down && keyboard->len + SEQUENCE_MAX * (keyboard->n_told + 2) + PS2_ANSWERS > PS2_QUEUE)
		return;
	put_key(keyboard, key, code, down);
	if (down) {
		keyboard->told[key / 8] |= bit;
		keyboard->n_told++;
	} else {
		keyboard->told[key / 8] &= (uint8_t)~bit;
		keyboard->n_told--;
	}
}

void ps2_keyboard_release(struct ps2 *keyboard)
{
	for (uint16_t key = 0; key < 8 * PS2_KEY_BITS; key++)
		if (is_down(keyboard, key))
			ps2_keyboard_key(keyboard, key, false);
}
