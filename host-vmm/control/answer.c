// SPDX-License-Identifier: GPL-2.0-or-later
// Turns one request line into one answer line: checks the JSON, finds the method, runs it.
#include "host-vmm/control/control.h"

#include <errno.h>
#include <glib.h>
#include <stdbool.h>
#include <string.h>

#include "host-vmm/control/json.h"

#define DEPTH_MAX  16 /* of nested arrays and objects; no method needs more than 3 */
#define ID_MAX	   64 /* bytes of an id that is a string */
#define METHOD_MAX 64 /* characters of a method's name that an answer repeats */

/* The answer with its id, which is the caller's. */
static json_t *new_answer(json_t *id)
{
	json_t *answer = json_object();

	json_object_set_new(answer, "id", id ? json_incref(id) : json_null());
	return answer;
}

static char *fail(json_t *id, const char *message, const char *hint)
{
	json_t *answer = new_answer(id), *error = json_object();

	json_object_set_new(error, "message", control_string(message));
	if (hint)
		json_object_set_new(error, "hint", control_string(hint));
	json_object_set_new(answer, "error", error);
	return control_line(answer);
}

/* The parser recurses, so the depth must be known before it starts. */
static bool too_deep(const char *line, size_t len)
{
	unsigned int depth = 0;
	bool in_string = false;

	for (size_t i = 0; i < len; i++) {
		if (in_string && line[i] == '\\')
			i++;
		else if (line[i] == '"')
			in_string = !in_string;
		else if (!in_string && (line[i] == '[' || line[i] == '{') && ++depth > DEPTH_MAX)
			return true;
		else if (!in_string && (line[i] == ']' || line[i] == '}') && depth)
			depth--;
	}
	return false;
}

/* An id is a short string, an integer or missing: what it costs to repeat it is bounded. */
static bool id_is_fine(const json_t *id)
{
	if (json_is_string(id))
		return json_string_length(id) <= ID_MAX;
	return !id || json_is_null(id) || json_is_integer(id);
}

static char *run(const struct control_method *method, void *opaque, json_t *id, json_t *params,
		 bool *ret_follows)
{
	json_t *result = json_object(), *answer;
	struct control_error error = { 0 };
	char *text;
	int ret;

	ret = method->run(opaque, params, result, &error);
	if (ret < 0) {
		text = fail(id, error.message ? error.message : g_strerror(-ret), error.hint);
		json_decref(result);
	} else {
		answer = new_answer(id);
		json_object_set_new(answer, "result", result);
		text = control_line(answer);
		*ret_follows = ret == CONTROL_FOLLOWS;
	}
	g_free(error.message);
	g_free(error.hint);
	return text;
}

static char *no_method(json_t *id, const char *method)
{
	g_autofree char *shown =
		g_utf8_substring(method, 0, MIN(g_utf8_strlen(method, -1), METHOD_MAX));
	g_autofree char *message = g_strdup_printf("there is no method '%s'", shown);

	return fail(id, message, "see protocol/spec/control.md for those there are");
}

static char *dispatch(const struct control_method *methods, void *opaque, json_t *request,
		      bool *ret_follows)
{
	json_t *id = json_object_get(request, "id");
	json_t *params = json_object_get(request, "params");
	const char *method = json_string_value(json_object_get(request, "method"));
	json_auto_t *empty = json_object();

	if (!id_is_fine(id))
		return fail(NULL, "id is neither an integer nor a string of at most 64 bytes",
			    "send such an id, or none");
	if (!method)
		return fail(id, "the request has no method", "add \"method\":\"status\"");
	if (params && !json_is_object(params))
		return fail(id, "params is not an object", "send {} or leave it out");
	for (; methods->name; methods++) {
		if (!strcmp(methods->name, method))
			return run(methods, opaque, id, params ? params : empty, ret_follows);
	}
	return no_method(id, method);
}

char *control_answer(const struct control_method *methods, void *opaque, const char *line,
		     size_t len, bool *ret_follows)
{
	json_auto_t *root = too_deep(line, len) ? NULL
						: json_loadb(line, len, JSON_DECODE_ANY, NULL);

	*ret_follows = false;
	if (!root)
		return fail(NULL, "the line is not a request in JSON",
			    "send {\"id\":1,\"method\":\"status\"} and a newline");
	if (!json_is_object(root))
		return fail(NULL, "the request is not a JSON object",
			    "send {\"id\":1,\"method\":\"status\"} and a newline");
	return dispatch(methods, opaque, root, ret_follows);
}
