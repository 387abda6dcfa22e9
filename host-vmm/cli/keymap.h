/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which keys of a board make a text, or are meant by names, for the keyboard layout that the guest
 * has. Layouts are those of libxkbcommon, "us" or "de(nodeadkeys)".
 */
#ifndef LODGE_VMM_CLI_KEYMAP_H
#define LODGE_VMM_CLI_KEYMAP_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define KEYMAP_CHORD_MAX 8

/* Keys that are pressed in this order and released in the other one: KEY_ codes of
 * <linux/input-event-codes.h>. */
struct keymap_chord {
	uint16_t codes[KEYMAP_CHORD_MAX];
	unsigned int n_codes;
};

struct keymap;

/* -ENOENT: there is no such layout. */
int keymap_create(const char *layout, struct keymap **ret_keymap);
/* NULL is fine. */
void keymap_free(struct keymap *keymap);

/* The keys for one character; false where the layout has none. */
bool keymap_character(const struct keymap *keymap, gunichar character,
		      struct keymap_chord *ret_chord);
/*
 * The keys of a word such as "ctrl-alt-del", "enter", "shift-f10", "super-l", "XF86AudioMute":
 * names of keys (of X keysyms, too) with '-' between. False where it is no such word: a text.
 */
bool keymap_combination(const struct keymap *keymap, const char *word,
			struct keymap_chord *ret_chord);

#endif
