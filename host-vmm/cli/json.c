// SPDX-License-Identifier: GPL-2.0-or-later
// Prints JSON for --json.
#include "host-vmm/cli/json.h"

#include <stdio.h>

static void print(JsonNode *node)
{
	g_autofree char *text = json_to_string(node, TRUE);

	printf("%s\n", text);
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
