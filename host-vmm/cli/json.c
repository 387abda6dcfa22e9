// SPDX-License-Identifier: GPL-2.0-or-later
// Prints JSON for --json.
#include "host-vmm/cli/json.h"

#include <stdio.h>

/* The library escapes control characters of ASCII; those of C1 steer terminals, too. */
static char *without_c1(const char *text)
{
	GString *escaped = g_string_new(NULL);

	for (const char *at = text; *at; at = g_utf8_next_char(at)) {
		gunichar c = g_utf8_get_char(at);

		if (c >= 0x80 && g_unichar_iscntrl(c))
			g_string_append_printf(escaped, "\\u%04x", c);
		else
			g_string_append_unichar(escaped, c);
	}
	return g_string_free(escaped, FALSE);
}

static void print(JsonNode *node)
{
	g_autofree char *text = json_to_string(node, TRUE);
	g_autofree char *escaped = without_c1(text);

	printf("%s\n", escaped);
	json_node_unref(node);
}

void json_print_object(JsonObject *object)
{
	print(json_node_init_object(json_node_alloc(), object));
}

char *json_object_text(JsonObject *object)
{
	JsonNode *node = json_node_init_object(json_node_alloc(), object);
	char *text = json_to_string(node, FALSE);

	json_node_unref(node);
	return text;
}

void json_print_array(JsonArray *array)
{
	print(json_node_init_array(json_node_alloc(), array));
}
