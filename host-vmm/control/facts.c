// SPDX-License-Identifier: GPL-2.0-or-later
// What a guest told of itself, and what happened to it, in JSON.
#include <string.h>

#include "host-vmm/backdoor/facts.h"
#include "host-vmm/backdoor/tools.h"
#include "host-vmm/control/tools.h"

static void set_text(JsonObject *object, const char *key, const char *text)
{
	if (*text)
		json_object_set_string_member(object, key, text);
}

static JsonObject *system_json(const struct tools_facts *facts)
{
	JsonObject *object = json_object_new();

	set_text(object, "hostname", facts->hostname);
	set_text(object, "os_id", facts->os_id);
	set_text(object, "os_name", facts->os_name);
	set_text(object, "os_version", facts->os_version);
	set_text(object, "kernel", facts->kernel);
	set_text(object, "arch", facts->arch);
	if (facts->boot_time)
		json_object_set_int_member(object, "boot_time", (gint64)facts->boot_time);
	return object;
}

static JsonObject *nic_json(const struct facts_nic *nic)
{
	JsonObject *object = json_object_new();
	JsonArray *addresses = json_array_new();

	set_text(object, "name", nic->name);
	set_text(object, "mac", nic->mac);
	json_object_set_boolean_member(object, "up", nic->up);
	if (nic->own >= 0)
		json_object_set_int_member(object, "own", nic->own);
	for (size_t i = 0; i < nic->n_addresses; i++) {
		const struct facts_address *address = &nic->addresses[i];
		JsonObject *row = json_object_new();

		json_object_set_string_member(row, "address", address->text);
		json_object_set_int_member(row, "prefix", address->prefix);
		set_text(row, "origin", address->origin);
		json_array_add_object_element(addresses, row);
	}
	json_object_set_array_member(object, "addresses", addresses);
	return object;
}

static JsonObject *net_json(const struct tools_facts *facts)
{
	JsonObject *object = json_object_new();
	JsonArray *nics = json_array_new();
	JsonArray *routes = json_array_new();
	JsonArray *servers = json_array_new();
	const char *best = facts_best_address(facts);

	if (best)
		json_object_set_string_member(object, "address", best);
	for (size_t i = 0; i < facts->n_nics; i++)
		json_array_add_object_element(nics, nic_json(&facts->nics[i]));
	for (size_t i = 0; i < facts->n_routes; i++) {
		const struct facts_route *route = &facts->routes[i];
		JsonObject *row = json_object_new();

		json_object_set_string_member(row, "destination", route->dest);
		json_object_set_int_member(row, "prefix", route->prefix);
		set_text(row, "gateway", route->gateway);
		if (route->nic < facts->n_nics)
			json_object_set_string_member(row, "nic", facts->nics[route->nic].name);
		json_object_set_int_member(row, "metric", route->metric);
		json_array_add_object_element(routes, row);
	}
	for (size_t i = 0; i < facts->n_servers; i++)
		json_array_add_string_element(servers, facts->servers[i]);
	json_object_set_array_member(object, "nics", nics);
	json_object_set_array_member(object, "routes", routes);
	json_object_set_array_member(object, "dns", servers);
	return object;
}

static JsonArray *disks_json(const struct tools_facts *facts)
{
	JsonArray *rows = json_array_new();

	for (size_t i = 0; i < facts->n_disks; i++) {
		const struct facts_disk *disk = &facts->disks[i];
		JsonObject *row = json_object_new();

		json_object_set_string_member(row, "path", disk->mount);
		set_text(row, "device", disk->device);
		set_text(row, "type", disk->fstype);
		json_object_set_int_member(row, "size", (gint64)disk->size);
		json_object_set_int_member(row, "free", (gint64)disk->free);
		json_array_add_object_element(rows, row);
	}
	return rows;
}

static JsonObject *load_json(const struct tools_facts *facts)
{
	JsonObject *object = json_object_new();
	JsonArray *load = json_array_new();

	for (size_t i = 0; i < G_N_ELEMENTS(facts->load); i++)
		json_array_add_double_element(load, facts->load[i]);
	json_object_set_array_member(object, "load", load);
	json_object_set_int_member(object, "memory_total", (gint64)facts->memory_total);
	json_object_set_int_member(object, "memory_available", (gint64)facts->memory_available);
	json_object_set_int_member(object, "processes", facts->processes);
	return object;
}

static JsonArray *users_json(const struct tools_facts *facts)
{
	JsonArray *rows = json_array_new();

	for (size_t i = 0; i < facts->n_users; i++) {
		const struct facts_user *user = &facts->users[i];
		JsonObject *row = json_object_new();

		json_object_set_string_member(row, "name", user->name);
		set_text(row, "tty", user->tty);
		set_text(row, "from", user->from);
		json_object_set_int_member(row, "since", (gint64)user->since);
		json_array_add_object_element(rows, row);
	}
	return rows;
}

JsonObject *control_facts_json(const struct tools_facts *facts)
{
	JsonObject *object = json_object_new();

	if (facts->told[FACTS_SYSTEM])
		json_object_set_object_member(object, "system", system_json(facts));
	if (facts->told[FACTS_NET])
		json_object_set_object_member(object, "net", net_json(facts));
	if (facts->told[FACTS_DISKS])
		json_object_set_array_member(object, "disks", disks_json(facts));
	if (facts->told[FACTS_LOAD])
		json_object_set_object_member(object, "load", load_json(facts));
	if (facts->told[FACTS_USERS])
		json_object_set_array_member(object, "users", users_json(facts));
	return object;
}

/* Fields whose values are numbers; "ok" is a truth, and all else is text. */
static const char *const numbers[] = { "seconds", "count" };

static void set_value(JsonObject *object, const char *key, const char *value)
{
	g_autofree char *text = NULL;

	for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++) {
		if (strcmp(numbers[i], key) != 0)
			continue;
		json_object_set_int_member(object, key, g_ascii_strtoll(value, NULL, 10));
		return;
	}
	if (!strcmp(key, "ok")) {
		json_object_set_boolean_member(object, key, !strcmp(value, "yes"));
		return;
	}
	/* A guest chose some of them. */
	text = g_utf8_make_valid(value, -1);
	json_object_set_string_member(object, key, text);
}

char *control_event_line(const struct tools_event *event)
{
	g_autoptr(JsonObject) object = json_object_new();
	g_autoptr(JsonNode) node = json_node_new(JSON_NODE_OBJECT);
	g_autofree char *text = NULL;
	const char *at = event->fields, *end = at + event->fields_len;

	json_object_set_string_member(object, "event", event->name);
	json_object_set_int_member(object, "time_ms", (gint64)event->time_ms);
	for (; at < end; at += strlen(at) + 1) {
		const char *equals = strchr(at, '=');
		g_autofree char *key = equals ? g_strndup(at, (gsize)(equals - at)) : NULL;

		if (key)
			set_value(object, key, equals + 1);
	}
	json_node_set_object(node, object);
	text = json_to_string(node, FALSE);
	return g_strconcat(text, "\n", NULL);
}
