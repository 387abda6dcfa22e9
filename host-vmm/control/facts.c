// SPDX-License-Identifier: GPL-2.0-or-later
// What a guest told of itself, and what happened to it, in JSON.
#include "host-vmm/control/tools.h"

#include <glib.h>
#include <string.h>

#include "host-vmm/backdoor/facts.h"
#include "host-vmm/backdoor/tools.h"
#include "host-vmm/control/json.h"

static void set_text(json_t *object, const char *key, const char *text)
{
	if (*text)
		json_object_set_new(object, key, control_string(text));
}

static json_t *system_json(const struct tools_facts *facts)
{
	json_t *object = json_object();

	set_text(object, "hostname", facts->hostname);
	set_text(object, "os_id", facts->os_id);
	set_text(object, "os_name", facts->os_name);
	set_text(object, "os_version", facts->os_version);
	set_text(object, "kernel", facts->kernel);
	set_text(object, "arch", facts->arch);
	if (facts->boot_time)
		json_object_set_new(object, "boot_time",
				    json_integer((json_int_t)facts->boot_time));
	return object;
}

static json_t *nic_json(const struct facts_nic *nic)
{
	json_t *object = json_object();
	json_t *addresses = json_array();

	set_text(object, "name", nic->name);
	set_text(object, "mac", nic->mac);
	json_object_set_new(object, "up", json_boolean(nic->up));
	for (size_t i = 0; i < nic->n_addresses; i++) {
		const struct facts_address *address = &nic->addresses[i];
		json_t *row = json_object();

		json_object_set_new(row, "address", control_string(address->text));
		json_object_set_new(row, "prefix", json_integer((json_int_t)address->prefix));
		set_text(row, "origin", address->origin);
		json_array_append_new(addresses, row);
	}
	json_object_set_new(object, "addresses", addresses);
	return object;
}

static json_t *net_json(const struct tools_facts *facts)
{
	json_t *object = json_object();
	json_t *nics = json_array();
	json_t *routes = json_array();
	json_t *servers = json_array();
	const char *best = facts_best_address(facts);

	if (best)
		json_object_set_new(object, "address", control_string(best));
	for (size_t i = 0; i < facts->n_nics; i++)
		json_array_append_new(nics, nic_json(&facts->nics[i]));
	for (size_t i = 0; i < facts->n_routes; i++) {
		const struct facts_route *route = &facts->routes[i];
		json_t *row = json_object();

		json_object_set_new(row, "destination", control_string(route->dest));
		json_object_set_new(row, "prefix", json_integer((json_int_t)route->prefix));
		set_text(row, "gateway", route->gateway);
		if (route->nic < facts->n_nics)
			json_object_set_new(row, "nic",
					    control_string(facts->nics[route->nic].name));
		json_object_set_new(row, "metric", json_integer((json_int_t)route->metric));
		json_array_append_new(routes, row);
	}
	for (size_t i = 0; i < facts->n_servers; i++)
		json_array_append_new(servers, control_string(facts->servers[i]));
	json_object_set_new(object, "nics", nics);
	json_object_set_new(object, "routes", routes);
	json_object_set_new(object, "dns", servers);
	return object;
}

static json_t *disks_json(const struct tools_facts *facts)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < facts->n_disks; i++) {
		const struct facts_disk *disk = &facts->disks[i];
		json_t *row = json_object();

		json_object_set_new(row, "path", control_string(disk->mount));
		set_text(row, "device", disk->device);
		set_text(row, "type", disk->fstype);
		json_object_set_new(row, "size", json_integer((json_int_t)disk->size));
		json_object_set_new(row, "free", json_integer((json_int_t)disk->free));
		json_array_append_new(rows, row);
	}
	return rows;
}

static json_t *load_json(const struct tools_facts *facts)
{
	json_t *object = json_object();
	json_t *load = json_array();

	for (size_t i = 0; i < G_N_ELEMENTS(facts->load); i++)
		json_array_append_new(load, json_real(facts->load[i]));
	json_object_set_new(object, "load", load);
	json_object_set_new(object, "memory_total", json_integer((json_int_t)facts->memory_total));
	json_object_set_new(object, "memory_available",
			    json_integer((json_int_t)facts->memory_available));
	json_object_set_new(object, "processes", json_integer((json_int_t)facts->processes));
	return object;
}

static json_t *shares_json(const struct tools_facts *facts)
{
	json_t *object = json_object();

	set_text(object, "mount", facts->shares_mount);
	set_text(object, "by", facts->shares_by);
	set_text(object, "changes", facts->shares_changes);
	set_text(object, "why", facts->shares_why);
	return object;
}

static json_t *display_json(const struct tools_facts *facts)
{
	json_t *object = json_object();

	set_text(object, "driver", facts->display_driver);
	set_text(object, "owner", facts->display_owner);
	set_text(object, "program", facts->display_program);
	set_text(object, "why", facts->display_why);
	return object;
}

static json_t *clock_json(const struct tools_facts *facts)
{
	json_t *object = json_object();

	set_text(object, "owner", facts->clock_owner);
	set_text(object, "by", facts->clock_by);
	if (facts->clock_known)
		json_object_set_new(object, "offset_ns",
				    json_integer((json_int_t)facts->clock_offset));
	json_object_set_new(object, "steps", json_integer((json_int_t)facts->clock_steps));
	return object;
}

static json_t *users_json(const struct tools_facts *facts)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < facts->n_users; i++) {
		const struct facts_user *user = &facts->users[i];
		json_t *row = json_object();

		json_object_set_new(row, "name", control_string(user->name));
		set_text(row, "tty", user->tty);
		set_text(row, "from", user->from);
		json_object_set_new(row, "since", json_integer((json_int_t)user->since));
		json_array_append_new(rows, row);
	}
	return rows;
}

json_t *control_facts_json(const struct tools_facts *facts)
{
	json_t *object = json_object();

	if (facts->told[FACTS_SYSTEM])
		json_object_set_new(object, "system", system_json(facts));
	if (facts->told[FACTS_NET])
		json_object_set_new(object, "net", net_json(facts));
	if (facts->told[FACTS_DISKS])
		json_object_set_new(object, "disks", disks_json(facts));
	if (facts->told[FACTS_LOAD])
		json_object_set_new(object, "load", load_json(facts));
	if (facts->told[FACTS_USERS])
		json_object_set_new(object, "users", users_json(facts));
	if (facts->told[FACTS_SHARES])
		json_object_set_new(object, "shares", shares_json(facts));
	if (facts->told[FACTS_DISPLAY])
		json_object_set_new(object, "display", display_json(facts));
	if (facts->told[FACTS_CLOCK])
		json_object_set_new(object, "clock", clock_json(facts));
	return object;
}

/* Fields whose values are numbers; "ok" is a truth, and all else is text. */
static const char *const numbers[] = { "seconds", "count" };

static void set_value(json_t *object, const char *key, const char *value)
{
	for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++) {
		if (strcmp(numbers[i], key) != 0)
			continue;
		json_object_set_new(object, key,
				    json_integer((json_int_t)(g_ascii_strtoll(value, NULL, 10))));
		return;
	}
	if (!strcmp(key, "ok")) {
		json_object_set_new(object, key, json_boolean(!strcmp(value, "yes")));
		return;
	}
	/* A guest chose some of them. */
	json_object_set_new(object, key, control_string(value));
}

char *control_event_line(const struct tools_event *event)
{
	const char *at = event->fields, *end = at + event->fields_len;
	json_t *object = json_object();

	json_object_set_new(object, "event", control_string(event->name));
	json_object_set_new(object, "time_ms", json_integer((json_int_t)event->time_ms));
	for (; at < end; at += strlen(at) + 1) {
		const char *equals = strchr(at, '=');
		g_autofree char *key = equals ? g_strndup(at, (gsize)(equals - at)) : NULL;

		if (key)
			set_value(object, key, equals + 1);
	}
	return control_line(object);
}
