// SPDX-License-Identifier: GPL-2.0-or-later
// `lodge var`: guestinfo variables, which a running VM and its host both read and write.
#include "host-vmm/cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "host-vmm/cli/client.h"
#include "host-vmm/cli/json.h"
#include "host-vmm/cli/var.h"
#include "host-vmm/cli/vm.h"
#include "protocol/lib/fd.h"

#define PREFIX	  "guestinfo."
#define VALUE_MAX (64 << 10) /* TOOLS_VAR_VALUE_MAX of the monitor */

/* "guestinfo.WORD", where it is not that already. g_free(). */
static char *var_name(const char *word)
{
	return g_str_has_prefix(word, PREFIX) ? g_strdup(word) : g_strconcat(PREFIX, word, NULL);
}

char *var_params(const char *word, const char *value, gsize len)
{
	g_autoptr(JsonObject) params = json_object_new();
	g_autoptr(JsonNode) node = json_node_new(JSON_NODE_OBJECT);
	g_autofree char *name = var_name(word);
	g_autofree char *valid = g_utf8_make_valid(name, -1);
	g_autofree char *coded = NULL;

	json_object_set_string_member(params, "name", valid);
	if (value) {
		coded = g_base64_encode((const guchar *)value, len);
		json_object_set_string_member(params, "base64", coded);
	}
	json_node_set_object(node, params);
	return json_to_string(node, FALSE);
}

guchar *var_value(JsonObject *row, gsize *ret_len)
{
	const char *text = json_text(row, "value", NULL);
	const char *coded = json_text(row, "base64", "");

	if (!text)
		return g_base64_decode(coded, ret_len);
	*ret_len = strlen(text);
	return (guchar *)g_strdup(text);
}

/* A terminal gets no control characters of the guest's choice; what else reads gets the bytes. */
static void print_value(const guchar *value, gsize len)
{
	g_autofree char *shown = NULL;

	if (isatty(STDOUT_FILENO)) {
		shown = shown_text((const char *)value, (gssize)len, "\n\t");
		fputs(shown, stdout);
	} else {
		fwrite(value, 1, len, stdout);
	}
	putchar('\n');
}

static int get(const struct vm *vm, const char *word, bool json)
{
	g_autofree char *params = var_params(word, NULL, 0);
	g_autofree char *message = NULL;
	g_autofree guchar *value = NULL;
	JsonObject *result;
	gsize len;

	if (client_ask(vm->socket, "var-get", params, &result, &message))
		return fail(EX_UNAVAILABLE, "%s: %s", vm->name, message);
	value = var_value(result, &len);
	if (json)
		json_print_object(result);
	else
		print_value(value, len);
	json_object_unref(result);
	return EX_OK;
}

static int tell(const struct vm *vm, const char *params)
{
	g_autofree char *message = NULL;
	JsonObject *result;

	if (client_ask(vm->socket, "var-set", params, &result, &message))
		return fail(EX_UNAVAILABLE, "%s: %s", vm->name, message);
	json_object_unref(result);
	return EX_OK;
}

static int set(const struct vm *vm, const char *word)
{
	const char *equals = strchr(word, '=');
	g_autofree char *params = NULL;
	g_autofree char *key = NULL;
	g_autofree char *bytes = NULL;
	ssize_t len;

	if (!equals)
		return fail(EX_USAGE,
			    "var set: '%s' will not do; write KEY=VALUE, KEY=- to read the value "
			    "from standard input, KEY= to remove it",
			    word);
	key = g_strndup(word, (gsize)(equals - word));
	if (strcmp(equals, "=-") != 0) {
		params = var_params(key, equals[1] ? equals + 1 : NULL, strlen(equals + 1));
		return tell(vm, params);
	}
	bytes = g_malloc(VALUE_MAX + 1);
	len = fd_read_all(STDIN_FILENO, bytes, VALUE_MAX + 1);
	if (len < 0)
		return fail(EX_NOINPUT, "var set: standard input: %s", g_strerror((int)-len));
	if (len > VALUE_MAX)
		return fail(EX_DATAERR,
			    "var set: standard input has more than %d bytes; shorten it",
			    VALUE_MAX);
	params = var_params(key, bytes, (gsize)len);
	return tell(vm, params);
}

static int list(const struct vm *vm, bool json)
{
	g_autofree char *message = NULL;
	JsonObject *result;
	JsonArray *rows;
	JsonNode *node;

	if (client_ask(vm->socket, "var-list", NULL, &result, &message))
		return fail(EX_UNAVAILABLE, "%s: %s", vm->name, message);
	node = json_object_get_member(result, "vars");
	if (!node || !JSON_NODE_HOLDS_ARRAY(node)) {
		json_object_unref(result);
		return fail(EX_PROTOCOL, "%s: its monitor told no variables", vm->name);
	}
	rows = json_node_get_array(node);
	for (guint i = 0; !json && i < json_array_get_length(rows); i++) {
		JsonNode *element = json_array_get_element(rows, i);
		g_autofree guchar *value = NULL;
		JsonObject *row;
		gsize len;

		if (!JSON_NODE_HOLDS_OBJECT(element))
			continue;
		row = json_node_get_object(element);

		value = var_value(row, &len);
		print_shown("%s=", json_text(row, "name", "-"));
		print_value(value, len);
	}
	if (json)
		json_print_array(rows);
	json_object_unref(result);
	return EX_OK;
}

static int act(int argc, char **argv, const struct vm *vm, bool json)
{
	bool lists = !strcmp(argv[1], "list");

	if (argc > 4 || (lists && argc > 3))
		return fail(EX_USAGE, "var: '%s' is one word too many; see lodge var --help",
			    argv[argc - 1]);
	if (lists)
		return list(vm, json);
	if (argc < 4)
		return fail(EX_USAGE,
			    "var %s: which variable? say its KEY; lodge var list %s "
			    "shows them",
			    argv[1], argv[2]);
	return !strcmp(argv[1], "get") ? get(vm, argv[3], json) : set(vm, argv[3]);
}

int verb_var(int argc, char **argv)
{
	static const char *const words[] = { "get", "set", "list", NULL };
	gboolean json = FALSE;
	const GOptionEntry entries[] = {
		{ "json", 'j', 0, G_OPTION_ARG_NONE, &json, "print JSON", NULL },
		{ 0 },
	};
	struct vm vm = { 0 };
	int status;

	status = parse_options(
		&argc, &argv, "get NAME KEY | set NAME KEY=VALUE | list NAME",
		"Reads and writes a running VM's guestinfo variables.",
		"KEY is guestinfo.WORD, or WORD alone. KEY=- takes the value from standard input,\n"
		"KEY= removes the variable. The guest reads and writes them, too.",
		entries);
	if (!status && (argc < 2 || !g_strv_contains(words, argv[1])))
		status = fail(EX_USAGE, "var: say get, set or list, then the VM's NAME");
	if (!status && argc < 3)
		status = fail(EX_USAGE, "var %s: which VM? say its NAME; lodge list shows them",
			      argv[1]);
	if (!status)
		status = vm_find_running(argv[2], &vm);
	if (!status)
		status = act(argc, argv, &vm, json);
	vm_clear(&vm);
	return status;
}
