// SPDX-License-Identifier: GPL-2.0-or-later
// Prints JSON for --json.
#include "host-vmm/cli/json.h"

#include <stdio.h>

/*
 * The library leaves bytes as they are: names of files need not be UTF-8, which JSON is. It escapes
 * most control characters of ASCII, and ends its own lines by newlines; those of C1 steer
 * terminals, too.
 */
char *json_sound(const char *text)
{
	g_autofree char *valid = g_utf8_make_valid(text, -1);
	GString *escaped = g_string_new(NULL);

	for (const char *at = valid; *at; at = g_utf8_next_char(at)) {
		gunichar c = g_utf8_get_char(at);

		if (c != '\n' && g_unichar_iscntrl(c))
			g_string_append_printf(escaped, "\\u%04x", c);
		else
			g_string_append_unichar(escaped, c);
	}
	return g_string_free(escaped, FALSE);
}

/* Takes @node over. */
static char *text_of(JsonNode *node, gboolean pretty)
{
	g_autofree char *text = json_to_string(node, pretty);

	json_node_unref(node);
	return json_sound(text);
}

static JsonNode *object_node(JsonObject *object)
{
	return json_node_init_object(json_node_alloc(), object);
}

static JsonNode *array_node(JsonArray *array)
{
	return json_node_init_array(json_node_alloc(), array);
}

static void print(JsonNode *node, gboolean pretty)
{
	g_autofree char *text = text_of(node, pretty);

	printf("%s\n", text);
}

const char *json_text(JsonObject *object, const char *key, const char *otherwise)
{
	/* Of a wrong type the library says so, or gives back NULL. */
	JsonNode *node = json_object_get_member(object, key);

	return node && json_node_get_value_type(node) == G_TYPE_STRING ? json_node_get_string(node)
								       : otherwise;
}

void json_print_object(JsonObject *object)
{
	print(object_node(object), TRUE);
}

char *json_object_text(JsonObject *object)
{
	return text_of(object_node(object), FALSE);
}

void json_print_array(JsonArray *array)
{
	print(array_node(array), TRUE);
}

void json_print_array_line(JsonArray *array)
{
	print(array_node(array), FALSE);
}
