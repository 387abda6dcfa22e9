/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Prints JSON for --json: indented, and a newline. What is not UTF-8 is U+FFFD in it. Reads what a
 * monitor told, whose guest may have taken it over. */
#ifndef LODGE_VMM_CLI_JSON_H
#define LODGE_VMM_CLI_JSON_H

#include <json-glib/json-glib.h>

/* The text @key of @object, borrowed; @otherwise where there is none. */
const char *json_text(JsonObject *object, const char *key, const char *otherwise);
/* A line of JSON without control characters as they are, and in UTF-8. g_free(). */
char *json_sound(const char *text);

void json_print_object(JsonObject *object);
/* On one line. g_free(). */
char *json_object_text(JsonObject *object);
void json_print_array(JsonArray *array);
/* Not indented. */
void json_print_array_line(JsonArray *array);

#endif
