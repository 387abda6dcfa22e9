/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Jansson's values as the control socket's methods need them. Any thread. */
#ifndef LODGE_VMM_CONTROL_JSON_H
#define LODGE_VMM_CONTROL_JSON_H

#include <jansson.h>

struct control_error;

/*
 * What is a string of JSON for @text of any bytes: what is not UTF-8 becomes U+FFFD. For a member's
 * value; NULL without memory, which json_object_set_new() takes for no value.
 */
json_t *control_string(const char *text);
/* The member @key of @params, an integer; @missing where there is none. */
json_int_t control_get_int(const json_t *params, const char *key, json_int_t missing);
/* The member @key, a string; NULL with the error said where it is missing. */
const char *control_need_string(const json_t *params, const char *key, struct control_error *error);
/* @object on one line with a newline. Takes @object over. g_free(). */
char *control_line(json_t *object);

#endif
