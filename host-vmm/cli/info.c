// SPDX-License-Identifier: GPL-2.0-or-later
// `lodge info`: what a running VM has, and the rung that each feature is on.
#include "host-vmm/cli/cli.h"

#include <stdio.h>
#include <sysexits.h>

#include "host-vmm/cli/client.h"
#include "host-vmm/cli/guest_facts.h"
#include "host-vmm/cli/json.h"
#include "host-vmm/cli/vm.h"

static const char *text_of(JsonObject *row, const char *key)
{
	return json_text(row, key, "-");
}

static JsonArray *rows_of(JsonObject *result, const char *key)
{
	JsonNode *node = json_object_get_member(result, key);

	return node && JSON_NODE_HOLDS_ARRAY(node) ? json_node_get_array(node) : NULL;
}

static JsonObject *row_at(JsonArray *rows, guint i)
{
	JsonNode *node = json_array_get_element(rows, i);

	return JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}

static void print_features(JsonArray *rows)
{
	print_shown("%-10s  %4s  %s\n", "FEATURE", "RUNG", "BY");
	for (guint i = 0; i < json_array_get_length(rows); i++) {
		JsonObject *row = row_at(rows, i);
		gint64 rung = row ? json_object_get_int_member_with_default(row, "rung", -1) : -1;

		if (!row)
			continue;
		if (rung < 0)
			print_shown("%-10s  %4s  %s\n", text_of(row, "feature"), "off",
				    text_of(row, "by"));
		else
			print_shown("%-10s  %4d  %s\n", text_of(row, "feature"), (int)rung,
				    text_of(row, "by"));
	}
}

static void print_devices(JsonArray *rows)
{
	print_shown("\n%-20s  %s\n", "DEVICE", "WHAT");
	for (guint i = 0; i < json_array_get_length(rows); i++) {
		JsonObject *row = row_at(rows, i);

		if (row)
			print_shown("%-20s  %s\n", text_of(row, "name"), text_of(row, "help"));
	}
}

static int number_of(JsonObject *row, const char *key)
{
	return (int)json_object_get_int_member_with_default(row, key, 0);
}

static void print_size(int width, int height)
{
	g_autofree char *size = width ? g_strdup_printf("%dx%d", width, height) : g_strdup("off");

	print_shown("  %-11s", size);
}

static void print_screens(JsonArray *rows)
{
	print_shown("\n%-6s  %-11s  %-11s  %-6s  %s\n", "SCREEN", "SHOWS", "SHOULD", "BY",
		    "WINDOWS");
	for (guint i = 0; i < json_array_get_length(rows); i++) {
		JsonObject *row = row_at(rows, i);

		if (!row)
			continue;
		print_shown("%-6d", number_of(row, "screen"));
		print_size(number_of(row, "width"), number_of(row, "height"));
		print_size(number_of(row, "want_width"), number_of(row, "want_height"));
		print_shown("  %-6s  %d\n", text_of(row, "source"), number_of(row, "windows"));
	}
}

static int info(const struct vm *vm, bool json)
{
	g_autofree char *message = NULL;
	JsonObject *result, *tools;
	JsonArray *rows;

	if (client_ask(vm->socket, "info", NULL, &result, &message))
		return fail(EX_UNAVAILABLE, "%s: %s", vm->name, message);
	if (client_ask(vm->socket, "tools", NULL, &tools, &message)) {
		json_object_unref(result);
		return fail(EX_UNAVAILABLE, "%s: %s", vm->name, message);
	}
	if (json) {
		json_object_set_object_member(result, "tools", json_object_ref(tools));
		json_print_object(result);
	} else {
		print_shown("%-12s  %s\n", "uuid", text_of(result, "uuid"));
		print_shown("%-12s  %s\n\n", "state", text_of(result, "state"));
		rows = rows_of(result, "features");
		if (rows)
			print_features(rows);
		rows = rows_of(result, "screens");
		if (rows)
			print_screens(rows);
		rows = rows_of(result, "devices");
		if (rows)
			print_devices(rows);
		guest_facts_print(tools);
	}
	json_object_unref(tools);
	json_object_unref(result);
	return EX_OK;
}

int verb_info(int argc, char **argv)
{
	gboolean json = FALSE;
	const GOptionEntry entries[] = {
		{ "json", 'j', 0, G_OPTION_ARG_NONE, &json, "print JSON", NULL },
		{ 0 },
	};
	struct vm vm = { 0 };
	int status;

	status = parse_options(
		&argc, &argv, "NAME",
		"Shows a running VM's features, devices and tools, and what its guest "
		"tells of itself.",
		"Rung 0 is served by the guest's own drivers, 1 by our daemon in it, 2 "
		"by our modules.",
		entries);
	if (!status)
		status = one_name(argc, argv, "info");
	if (!status)
		status = vm_find_running(argv[1], &vm);
	if (!status)
		status = info(&vm, json);
	vm_clear(&vm);
	return status;
}
