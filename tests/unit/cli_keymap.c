// SPDX-License-Identifier: GPL-2.0-or-later
// Which keys make a text, and which words are keys.
#include <check.h>
#include <errno.h>
#include <linux/input-event-codes.h>
#include <stdarg.h>
#include <stdlib.h>

#include "host-vmm/cli/keymap.h"
#include "tests/unit/unit.h"

static struct keymap *us, *german;

static void setup(void)
{
	ck_assert_int_eq(keymap_create("us", &us), 0);
	ck_assert_int_eq(keymap_create("de(nodeadkeys)", &german), 0);
}

static void teardown(void)
{
	keymap_free(us);
	keymap_free(german);
}

static void expect(const struct keymap_chord *chord, unsigned int n, ...)
{
	va_list codes;

	va_start(codes, n);
	ck_assert_uint_eq(chord->n_codes, n);
	for (unsigned int i = 0; i < n; i++)
		ck_assert_int_eq(chord->codes[i], va_arg(codes, int));
	va_end(codes);
}

START_TEST(characters)
{
	struct keymap_chord chord;

	ck_assert(keymap_character(us, 'a', &chord));
	expect(&chord, 1, KEY_A);
	ck_assert(keymap_character(us, 'A', &chord));
	expect(&chord, 2, KEY_LEFTSHIFT, KEY_A);
	ck_assert(keymap_character(us, '|', &chord));
	expect(&chord, 2, KEY_LEFTSHIFT, KEY_BACKSLASH);
	ck_assert(keymap_character(us, '\n', &chord));
	expect(&chord, 1, KEY_ENTER);
	ck_assert(!keymap_character(us, 0xe9, &chord));
	ck_assert(!keymap_character(us, 0x1f600, &chord));
	ck_assert(keymap_character(german, 'z', &chord));
	expect(&chord, 1, KEY_Y);
	ck_assert(keymap_character(german, '@', &chord));
	expect(&chord, 2, KEY_RIGHTALT, KEY_Q);
	ck_assert(keymap_character(german, 0xdf, &chord));
	expect(&chord, 1, KEY_MINUS);
	for (gunichar c = ' '; c <= '~'; c++) {
		ck_assert(keymap_character(us, c, &chord));
		ck_assert(keymap_character(german, c, &chord));
		ck_assert_uint_le(chord.n_codes, 3);
	}
}
END_TEST

START_TEST(combinations)
{
	static const char *const texts[] = { "a",   "-",     "well-known",     "ctrl-",
					     "",    "hello", "ctrl-alt-nokey", "--text",
					     "a--b" };
	struct keymap_chord chord;

	ck_assert(keymap_combination(us, "ctrl-alt-del", &chord));
	expect(&chord, 3, KEY_LEFTCTRL, KEY_LEFTALT, KEY_DELETE);
	ck_assert(keymap_combination(us, "Enter", &chord));
	expect(&chord, 1, KEY_ENTER);
	ck_assert(keymap_combination(us, "alt-sysrq-b", &chord));
	expect(&chord, 3, KEY_LEFTALT, KEY_SYSRQ, KEY_B);
	ck_assert(keymap_combination(german, "ctrl-z", &chord));
	expect(&chord, 2, KEY_LEFTCTRL, KEY_Y);
	ck_assert(keymap_combination(us, "XF86AudioMute", &chord));
	expect(&chord, 1, KEY_MUTE);
	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
		ck_assert_msg(!keymap_combination(us, texts[i], &chord), "'%s' is a text",
			      texts[i]);
	ck_assert(!keymap_combination(us, "ctrl-ctrl-ctrl-ctrl-ctrl-ctrl-ctrl-ctrl-ctrl", &chord));
}
END_TEST

START_TEST(layouts)
{
	struct keymap *keymap = NULL;

	ck_assert_int_eq(keymap_create("nowhere", &keymap), -ENOENT);
	ck_assert_int_eq(keymap_create("", &keymap), 0);
	keymap_free(keymap);
	keymap_free(NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cli_keymap");
	TCase *tcase = tcase_create("keymap");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, characters);
	tcase_add_test(tcase, combinations);
	tcase_add_test(tcase, layouts);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
