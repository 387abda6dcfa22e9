// SPDX-License-Identifier: GPL-2.0-or-later
// What the control socket's methods read and write JSON by.
#include "host-vmm/control/json.h"

#include <glib.h>
#include <stdlib.h>

#include "host-vmm/control/control.h"

#define REAL_DIGITS 6 /* of numbers with a fraction: they are loads */

json_t *control_string(const char *text)
{
	json_t *string = json_string(text);
	g_autofree char *valid = string ? NULL : g_utf8_make_valid(text, -1);

	return string ? string : json_string(valid);
}

json_int_t control_get_int(const json_t *params, const char *key, json_int_t missing)
{
	const json_t *value = json_object_get(params, key);

	return json_is_integer(value) ? json_integer_value(value) : missing;
}

const char *control_need_string(const json_t *params, const char *key, struct control_error *error)
{
	const char *text = json_string_value(json_object_get(params, key));

	if (text)
		return text;
	error->message = g_strdup_printf("the parameter %s is missing, or no string", key);
	error->hint = g_strdup_printf("add \"%s\":\"...\" to params", key);
	return NULL;
}

char *control_line(json_t *object)
{
	char *text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(REAL_DIGITS));
	char *line = g_strconcat(text ? text : "{}", "\n", NULL);

	free(text);
	json_decref(object);
	return line;
}
