// SPDX-License-Identifier: GPL-2.0-or-later
// Turns one request line into one answer line: checks the JSON, finds the method, runs it.
#include "host-vmm/control/control.h"

#include <errno.h>
#include <glib.h>
#include <stdbool.h>
#include <string.h>

#define DEPTH_MAX  16 /* of nested arrays and objects; no method needs more than 3 */
#define ID_MAX	   64 /* bytes of an id that is a string */
#define METHOD_MAX 64 /* characters of a method's name that an answer repeats */

static char *to_line(JsonObject *answer)
{
	g_autoptr(JsonNode) node = json_node_init_object(json_node_alloc(), answer);
	g_autoptr(JsonGenerator) generator = json_generator_new();
	g_autofree char *text = NULL;

	json_generator_set_root(generator, node);
	text = json_generator_to_data(generator, NULL);
	return g_strconcat(text, "\n", NULL);
}

static char *fail(JsonNode *id, const char *message, const char *hint)
{
	g_autoptr(JsonObject) answer = json_object_new();
	JsonObject *error = json_object_new();

	json_object_set_member(answer, "id",
			       id ? json_node_copy(id) : json_node_new(JSON_NODE_NULL));
	json_object_set_string_member(error, "message", message);
	if (hint)
		json_object_set_string_member(error, "hint", hint);
	json_object_set_object_member(answer, "error", error);
	return to_line(answer);
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
static bool id_is_fine(JsonNode *id)
{
	if (!id || JSON_NODE_HOLDS_NULL(id))
		return true;
	if (!JSON_NODE_HOLDS_VALUE(id))
		return false;
	if (json_node_get_value_type(id) == G_TYPE_STRING)
		return strlen(json_node_get_string(id)) <= ID_MAX;
	return json_node_get_value_type(id) == G_TYPE_INT64;
}

static char *run(const struct control_method *method, void *opaque, JsonNode *id,
		 JsonObject *params, bool *ret_follows)
{
	g_autoptr(JsonObject) answer = NULL;
	g_autoptr(JsonObject) result = json_object_new();
	struct control_error error = { 0 };
	char *text;
	int ret;

	ret = method->run(opaque, params, result, &error);
	if (ret < 0) {
		text = fail(id, error.message ? error.message : g_strerror(-ret), error.hint);
	} else {
		answer = json_object_new();
		json_object_set_member(answer, "id",
				       id ? json_node_copy(id) : json_node_new(JSON_NODE_NULL));
		json_object_set_object_member(answer, "result", g_steal_pointer(&result));
		text = to_line(answer);
		*ret_follows = ret == CONTROL_FOLLOWS;
	}
	g_free(error.message);
	g_free(error.hint);
	return text;
}

static char *dispatch(const struct control_method *methods, void *opaque, JsonObject *request,
		      bool *ret_follows)
{
	JsonNode *id = json_object_get_member(request, "id");
	JsonNode *name = json_object_get_member(request, "method");
	JsonNode *params = json_object_get_member(request, "params");
	g_autoptr(JsonObject) empty = json_object_new();
	g_autofree char *message = NULL;
	g_autofree char *shown = NULL;
	const char *method;

	if (!id_is_fine(id))
		return fail(NULL, "id is neither an integer nor a string of at most 64 bytes",
			    "send such an id, or none");
	if (!name || !JSON_NODE_HOLDS_VALUE(name) ||
	    json_node_get_value_type(name) != G_TYPE_STRING)
		return fail(id, "the request has no method", "add \"method\":\"status\"");
	if (params && !JSON_NODE_HOLDS_OBJECT(params))
		return fail(id, "params is not an object", "send {} or leave it out");
	method = json_node_get_string(name);
	for (; methods->name; methods++) {
		if (!strcmp(methods->name, method))
			return run(methods, opaque, id,
				   params ? json_node_get_object(params) : empty, ret_follows);
	}
	shown = g_utf8_substring(method, 0, MIN(g_utf8_strlen(method, -1), METHOD_MAX));
	message = g_strdup_printf("there is no method '%s'", shown);
	return fail(id, message, "see protocol/spec/control.md for those there are");
}

char *control_answer(const struct control_method *methods, void *opaque, const char *line,
		     size_t len)
{
	bool follows;

	return control_answer_to(methods, opaque, line, len, &follows);
}

char *control_answer_to(const struct control_method *methods, void *opaque, const char *line,
			size_t len, bool *ret_follows)
{
	g_autoptr(JsonParser) parser = NULL;
	JsonNode *root;

	*ret_follows = false;
	if (!g_utf8_validate(line, (gssize)len, NULL) || too_deep(line, len))
		return fail(NULL, "the line is not a request in JSON",
			    "send {\"id\":1,\"method\":\"status\"} and a newline");
	parser = json_parser_new_immutable();
	if (!json_parser_load_from_data(parser, line, (gssize)len, NULL))
		return fail(NULL, "the line is not a request in JSON",
			    "send {\"id\":1,\"method\":\"status\"} and a newline");
	root = json_parser_get_root(parser);
	if (!root || !JSON_NODE_HOLDS_OBJECT(root))
		return fail(NULL, "the request is not a JSON object",
			    "send {\"id\":1,\"method\":\"status\"} and a newline");
	return dispatch(methods, opaque, json_node_get_object(root), ret_follows);
}
