// SPDX-License-Identifier: GPL-2.0-or-later
// The control socket's lines: any bytes get one answer of one line, which is JSON.
#include <errno.h>
#include <glib.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/control/control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int echo(void *opaque, json_t *params, json_t *result, struct control_error *error)
{
	(void)opaque;
	(void)error;
	json_object_set_new(result, "n", json_integer((json_int_t)(json_object_size(params))));
	return 0;
}

static int refuse(void *opaque, json_t *params, json_t *result, struct control_error *error)
{
	const char *name = json_string_value(json_object_get(params, "name"));

	(void)opaque;
	(void)result;
	error->message = g_strdup(name ? name : "nameless");
	return -EINVAL;
}

static const struct control_method methods[] = {
	{ "echo", echo },
	{ "refuse", refuse },
	{ NULL, NULL },
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *answer, *newline;
	json_t *parsed;
	bool follows;

	if (size > CONTROL_LINE_MAX)
		return 0;
	answer = control_answer(methods, NULL, (const char *)data, size, &follows);
	newline = strchr(answer, '\n');
	if (!newline || newline[1])
		abort();
	parsed = json_loads(answer, 0, NULL);
	if (!json_is_object(parsed))
		abort();
	json_decref(parsed);
	g_free(answer);
	return 0;
}
