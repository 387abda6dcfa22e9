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

static int echo(void *opaque, JsonObject *params, JsonObject *result, struct control_error *error)
{
	(void)opaque;
	(void)error;
	json_object_set_int_member(result, "n", json_object_get_size(params));
	return 0;
}

static int refuse(void *opaque, JsonObject *params, JsonObject *result, struct control_error *error)
{
	(void)opaque;
	(void)result;
	error->message =
		g_strdup(json_object_get_string_member_with_default(params, "name", "nameless"));
	return -EINVAL;
}

static const struct control_method methods[] = {
	{ "echo", echo },
	{ "refuse", refuse },
	{ NULL, NULL },
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(JsonParser) parser = NULL;
	char *answer, *newline;

	if (size > CONTROL_LINE_MAX)
		return 0;
	answer = control_answer(methods, NULL, (const char *)data, size);
	newline = strchr(answer, '\n');
	if (!newline || newline[1])
		abort();
	parser = json_parser_new();
	if (!json_parser_load_from_data(parser, answer, newline - answer, NULL) ||
	    !JSON_NODE_HOLDS_OBJECT(json_parser_get_root(parser)))
		abort();
	g_free(answer);
	return 0;
}
