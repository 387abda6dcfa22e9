/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Prints JSON for --json: indented, and a newline. */
#ifndef LODGE_VMM_CLI_JSON_H
#define LODGE_VMM_CLI_JSON_H

#include <json-glib/json-glib.h>

void json_print_object(JsonObject *object);
/* On one line. g_free(). */
char *json_object_text(JsonObject *object);
void json_print_array(JsonArray *array);

#endif
