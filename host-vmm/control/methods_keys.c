// SPDX-License-Identifier: GPL-2.0-or-later
// Keys that a command presses: a giver of the machine's input, for as long as it takes.
#include <errno.h>
#include <glib.h>

#include "host-vmm/control/keys.h"
#include "host-vmm/input/input.h"
#include "host-vmm/machine.h"

static int explain(struct control_error *error, int ret, const char *message, const char *hint)
{
	error->message = g_strdup(message);
	error->hint = g_strdup(hint);
	return ret;
}

static bool is_key(const json_t *code)
{
	return json_is_integer(code) && json_integer_value(code) >= INPUT_KEY_FIRST &&
	       json_integer_value(code) <= INPUT_KEY_LAST;
}

int control_keys(void *opaque, json_t *params, json_t *result, struct control_error *error)
{
	struct machine *machine = opaque;
	const json_t *codes = json_object_get(params, "codes");
	size_t n = json_array_size(codes);
	struct input_giver *giver;

	(void)result;
	if (n == 0 || n > CONTROL_KEYS_MAX)
		return explain(error, -EINVAL, "codes is a list of 1 to 8 keys",
			       "send {\"codes\":[29,56,111]}");
	for (size_t i = 0; i < n; i++)
		if (!is_key(json_array_get(codes, i)))
			return explain(error, -EINVAL, "a code is no key of the keyboard's",
				       "codes are KEY_ of linux/input-event-codes.h, 1 to 248");
	if (!machine->input)
		return explain(error, -ENODEV, "this VM has no screen, and so no keyboard",
			       "set display.heads=1 and start it anew");
	if (!input_takes_keys(machine->input))
		return explain(error, -EAGAIN, "no driver of the guest listens to a keyboard",
			       "wait until it has booted");
	giver = input_giver_create(machine->input);
	if (!giver)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		(void)input_key(giver, (uint16_t)json_integer_value(json_array_get(codes, i)),
				true);
	for (size_t i = n; i-- > 0;)
		(void)input_key(giver, (uint16_t)json_integer_value(json_array_get(codes, i)),
				false);
	input_giver_destroy(giver);
	return 0;
}
