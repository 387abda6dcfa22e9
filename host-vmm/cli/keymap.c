// SPDX-License-Identifier: GPL-2.0-or-later
// Keys for texts and names, by a layout of libxkbcommon.
#include "host-vmm/cli/keymap.h"

#include <errno.h>
#include <linux/input-event-codes.h>
#include <string.h>
#include <xkbcommon/xkbcommon.h>

#define XKB_OFFSET 8 /* of the rules "evdev": XKB's code = KEY_ + 8 */

struct keymap {
	struct xkb_context *context;
	struct xkb_keymap *xkb;
};

static const struct {
	const char *name;
	uint16_t code;
} names[] = {
	{ "ctrl", KEY_LEFTCTRL },
	{ "alt", KEY_LEFTALT },
	{ "shift", KEY_LEFTSHIFT },
	{ "super", KEY_LEFTMETA },
	{ "altgr", KEY_RIGHTALT },
	{ "rightctrl", KEY_RIGHTCTRL },
	{ "enter", KEY_ENTER },
	{ "esc", KEY_ESC },
	{ "tab", KEY_TAB },
	{ "space", KEY_SPACE },
	{ "backspace", KEY_BACKSPACE },
	{ "ins", KEY_INSERT },
	{ "del", KEY_DELETE },
	{ "home", KEY_HOME },
	{ "end", KEY_END },
	{ "pgup", KEY_PAGEUP },
	{ "pgdn", KEY_PAGEDOWN },
	{ "up", KEY_UP },
	{ "down", KEY_DOWN },
	{ "left", KEY_LEFT },
	{ "right", KEY_RIGHT },
	{ "print", KEY_SYSRQ },
	{ "sysrq", KEY_SYSRQ },
	{ "pause", KEY_PAUSE },
	{ "menu", KEY_COMPOSE },
	{ "capslock", KEY_CAPSLOCK },
	{ "numlock", KEY_NUMLOCK },
	{ "scrolllock", KEY_SCROLLLOCK },
	{ "f1", KEY_F1 },
	{ "f2", KEY_F2 },
	{ "f3", KEY_F3 },
	{ "f4", KEY_F4 },
	{ "f5", KEY_F5 },
	{ "f6", KEY_F6 },
	{ "f7", KEY_F7 },
	{ "f8", KEY_F8 },
	{ "f9", KEY_F9 },
	{ "f10", KEY_F10 },
	{ "f11", KEY_F11 },
	{ "f12", KEY_F12 },
};

/* What a level of a key takes, by names that all of libxkbcommon's layouts use. */
static const struct {
	const char *name;
	uint16_t code;
} modifiers[] = {
	{ XKB_MOD_NAME_SHIFT, KEY_LEFTSHIFT },
	{ "Mod5", KEY_RIGHTALT }, /* ISO_Level3_Shift: AltGr */
};

int keymap_create(const char *layout, struct keymap **ret_keymap)
{
	g_autofree char *name = g_strdup(layout);
	char *variant = strchr(name, '(');
	struct xkb_rule_names rules = { .rules = "evdev", .model = "pc105", .layout = name };
	struct keymap *keymap;

	if (variant) {
		*variant++ = 0;
		variant[strcspn(variant, ")")] = 0;
		rules.variant = variant;
	}
	keymap = g_new0(struct keymap, 1);
	keymap->context = xkb_context_new(XKB_CONTEXT_NO_ENVIRONMENT_NAMES);
	if (keymap->context) {
		xkb_context_set_log_level(keymap->context, XKB_LOG_LEVEL_CRITICAL);
		keymap->xkb = xkb_keymap_new_from_names(keymap->context, &rules,
							XKB_KEYMAP_COMPILE_NO_FLAGS);
	}
	if (!keymap->xkb) {
		keymap_free(keymap);
		return -ENOENT;
	}
	*ret_keymap = keymap;
	return 0;
}

void keymap_free(struct keymap *keymap)
{
	if (!keymap)
		return;
	xkb_keymap_unref(keymap->xkb);
	xkb_context_unref(keymap->context);
	g_free(keymap);
}

static bool add_code(struct keymap_chord *chord, uint16_t code)
{
	if (chord->n_codes == KEYMAP_CHORD_MAX)
		return false;
	chord->codes[chord->n_codes++] = code;
	return true;
}

/* The keys that bring a key to a level, and no others: false where one is none that we know. */
static bool add_modifiers(const struct keymap *keymap, xkb_keycode_t key, xkb_level_index_t level,
			  struct keymap_chord *chord)
{
	xkb_mod_mask_t masks[8];
	size_t n = xkb_keymap_key_get_mods_for_level(keymap->xkb, key, 0, level, masks,
						     G_N_ELEMENTS(masks));

	for (size_t i = 0; i < n; i++) {
		xkb_mod_mask_t left = masks[i];

		chord->n_codes = 0;
		for (size_t j = 0; j < G_N_ELEMENTS(modifiers); j++) {
			xkb_mod_index_t index =
				xkb_keymap_mod_get_index(keymap->xkb, modifiers[j].name);

			if (index != XKB_MOD_INVALID && left >> index & 1) {
				left &= ~((xkb_mod_mask_t)1 << index);
				(void)add_code(chord, modifiers[j].code);
			}
		}
		if (left == 0)
			return true;
	}
	return false;
}

/* The lowest level of the first key that makes it. */
static bool find_keysym(const struct keymap *keymap, xkb_keysym_t wanted,
			struct keymap_chord *ret_chord)
{
	xkb_keycode_t last = xkb_keymap_max_keycode(keymap->xkb);

	for (xkb_level_index_t level = 0; level < 4; level++) {
		for (xkb_keycode_t key = xkb_keymap_min_keycode(keymap->xkb); key <= last; key++) {
			struct keymap_chord chord = { .n_codes = 0 };
			const xkb_keysym_t *keysyms;

			if (key <= XKB_OFFSET || key > XKB_OFFSET + KEY_MICMUTE ||
			    level >= xkb_keymap_num_levels_for_key(keymap->xkb, key, 0) ||
			    xkb_keymap_key_get_syms_by_level(keymap->xkb, key, 0, level,
							     &keysyms) != 1 ||
			    keysyms[0] != wanted || !add_modifiers(keymap, key, level, &chord))
				continue;
			(void)add_code(&chord, (uint16_t)(key - XKB_OFFSET));
			*ret_chord = chord;
			return true;
		}
	}
	return false;
}

bool keymap_character(const struct keymap *keymap, gunichar character,
		      struct keymap_chord *ret_chord)
{
	uint16_t code = character == '\n' ? KEY_ENTER : character == '\t' ? KEY_TAB : 0;

	if (code != 0) {
		*ret_chord = (struct keymap_chord){ .codes = { code }, .n_codes = 1 };
		return true;
	}
	return find_keysym(keymap, xkb_utf32_to_keysym(character), ret_chord);
}

static bool add_name(const struct keymap *keymap, const char *name, struct keymap_chord *chord)
{
	struct keymap_chord found;
	xkb_keysym_t keysym;

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
		if (!g_ascii_strcasecmp(names[i].name, name))
			return add_code(chord, names[i].code);
	keysym = xkb_keysym_from_name(name, XKB_KEYSYM_NO_FLAGS);
	if (keysym == XKB_KEY_NoSymbol || !find_keysym(keymap, keysym, &found))
		return false;
	for (unsigned int i = 0; i < found.n_codes; i++)
		if (!add_code(chord, found.codes[i]))
			return false;
	return true;
}

bool keymap_combination(const struct keymap *keymap, const char *word,
			struct keymap_chord *ret_chord)
{
	g_auto(GStrv) parts = g_strsplit(word, "-", -1);
	struct keymap_chord chord = { .n_codes = 0 };

	/* A character alone is a text. */
	if (g_strv_length(parts) < 2 && g_utf8_strlen(word, -1) < 2)
		return false;
	for (char **part = parts; *part; part++)
		if (!add_name(keymap, *part, &chord))
			return false;
	if (chord.n_codes == 0)
		return false;
	*ret_chord = chord;
	return true;
}
