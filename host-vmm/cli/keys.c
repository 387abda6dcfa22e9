// SPDX-License-Identifier: GPL-2.0-or-later
// `lodge keys`: types into a running VM, as a hand at its keyboard would.
#include "host-vmm/cli/cli.h"

#include <errno.h>
#include <sysexits.h>

#include "host-vmm/cli/client.h"
#include "host-vmm/cli/keymap.h"
#include "host-vmm/cli/vm.h"

#define LAYOUT	 "us"
#define CHORD_US 10000 /* from one to the next: guests read a keyboard in their own time */

struct typing {
	const struct vm *vm;
	struct keymap *keymap;
	const char *layout;
	bool text; /* no word is a combination */
	bool first; /* nothing was typed so far */
};

static int press(struct typing *typing, const struct keymap_chord *chord)
{
	g_autoptr(GString) params = g_string_new("{\"codes\":[");
	g_autofree char *message = NULL;
	JsonObject *result;

	if (!typing->first)
		g_usleep(CHORD_US);
	typing->first = false;
	for (unsigned int i = 0; i < chord->n_codes; i++)
		g_string_append_printf(params, "%s%u", i > 0 ? "," : "", chord->codes[i]);
	g_string_append(params, "]}");
	if (client_ask(typing->vm->socket, "keys", params->str, &result, &message))
		return fail(EX_UNAVAILABLE, "%s: %s", typing->vm->name, message);
	json_object_unref(result);
	return EX_OK;
}

/* With @typed false only looks whether all of it can be typed. */
static int text(struct typing *typing, const char *word, bool typed)
{
	for (const char *at = word; *at; at = g_utf8_next_char(at)) {
		struct keymap_chord chord;
		int status = EX_OK;

		if (!keymap_character(typing->keymap, g_utf8_get_char(at), &chord)) {
			g_autofree char *one = g_strndup(at, (gsize)(g_utf8_next_char(at) - at));

			return fail(EX_DATAERR,
				    "keys: the layout '%s' has no key for '%s'; name another one "
				    "by --layout",
				    typing->layout, one);
		}
		if (typed)
			status = press(typing, &chord);
		if (status)
			return status;
	}
	return EX_OK;
}

static int word(struct typing *typing, const char *word, bool typed)
{
	struct keymap_chord chord;

	if (!g_utf8_validate(word, -1, NULL))
		return fail(EX_DATAERR, "keys: what is to be typed is no UTF-8");
	if (typing->text || !keymap_combination(typing->keymap, word, &chord))
		return text(typing, word, typed);
	return typed ? press(typing, &chord) : EX_OK;
}

/* All is looked at before the first key is pressed: half a command is worse than none. */
static int type(struct typing *typing, char **words)
{
	int status = EX_OK;

	for (char **at = words; *at && !status; at++)
		status = word(typing, *at, false);
	for (char **at = words; *at && !status; at++)
		status = word(typing, *at, true);
	return status;
}

int verb_keys(int argc, char **argv)
{
	g_autofree char *layout = NULL;
	gboolean only_text = FALSE;
	const GOptionEntry entries[] = {
		{ "text", 't', 0, G_OPTION_ARG_NONE, &only_text, "type all words as they stand",
		  NULL },
		{ "layout", 'l', 0, G_OPTION_ARG_STRING, &layout,
		  "the guest's keyboard layout: us if not given", "LAYOUT" },
		{ 0 },
	};
	struct typing typing = { .first = true };
	struct vm vm = { 0 };
	int status;

	status = parse_options(
		&argc, &argv, "NAME WORD...", "Presses keys of a running VM's keyboard.",
		"A word of key names with '-' between them is a combination (ctrl-alt-del, enter,\n"
		"shift-f10, super-l, XF86AudioMute); any other word is typed as text.",
		entries);
	if (!status && argc < 3)
		status = fail(EX_USAGE, "keys: name a VM and what to type; lodge keys --help tells "
					"more");
	typing.layout = layout ? layout : LAYOUT;
	if (!status && keymap_create(typing.layout, &typing.keymap))
		status = fail(EX_USAGE,
			      "keys: there is no keyboard layout '%s'; "
			      "/usr/share/X11/xkb/rules/evdev.lst lists them",
			      typing.layout);
	if (!status)
		status = vm_find_running(argv[1], &vm);
	if (!status) {
		typing.vm = &vm;
		typing.text = only_text;
		status = type(&typing, argv + 2);
	}
	vm_clear(&vm);
	keymap_free(typing.keymap);
	return status;
}
