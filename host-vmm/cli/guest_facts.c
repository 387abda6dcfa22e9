// SPDX-License-Identifier: GPL-2.0-or-later
// Prints the state of a guest's tools, and what the guest told of itself.
#include "host-vmm/cli/guest_facts.h"

#include <stdbool.h>
#include <stdlib.h>

#include "host-vmm/cli/cli.h"
#include "host-vmm/cli/json.h"

static const char *text_of(JsonObject *object, const char *key)
{
	return json_text(object, key, "");
}

static gint64 number_of(JsonObject *object, const char *key)
{
	return json_object_get_int_member_with_default(object, key, 0);
}

static bool flag_of(JsonObject *object, const char *key)
{
	return json_object_get_boolean_member_with_default(object, key, FALSE);
}

static JsonObject *object_of(JsonObject *object, const char *key)
{
	JsonNode *node = object ? json_object_get_member(object, key) : NULL;

	return node && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}

static JsonArray *rows_of(JsonObject *object, const char *key)
{
	JsonNode *node = object ? json_object_get_member(object, key) : NULL;

	return node && JSON_NODE_HOLDS_ARRAY(node) ? json_node_get_array(node) : NULL;
}

/* The @i-th row, NULL behind the last. */
static JsonObject *row_at(JsonArray *rows, guint i)
{
	JsonNode *node;

	if (!rows || i >= json_array_get_length(rows))
		return NULL;
	node = json_array_get_element(rows, i);
	return JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}

static char *local_time(gint64 seconds)
{
	g_autoptr(GDateTime) time = g_date_time_new_from_unix_local(seconds);

	return time ? g_date_time_format(time, "%Y-%m-%d %H:%M:%S") : g_strdup("-");
}

static void print_line(const char *word, const char *text)
{
	if (*text)
		print_shown("%-12s  %s\n", word, text);
}

static void print_heartbeat(JsonObject *heartbeat)
{
	int every = heartbeat ? (int)number_of(heartbeat, "every") : 0;
	int age = heartbeat ? (int)number_of(heartbeat, "age") : 0;

	if (!every)
		print_shown("%-12s  off ([tools] heartbeat of vm.conf)\n", "heartbeat");
	else if (flag_of(heartbeat, "missed"))
		print_shown("%-12s  missed: no answer for %d s\n", "heartbeat", age);
	else
		print_shown("%-12s  well: the last answer %d s ago, asked every %d s\n",
			    "heartbeat", age, every);
}

static void print_tools(JsonObject *tools)
{
	g_autofree char *since = local_time(number_of(tools, "up_since"));
	const char *door = text_of(tools, "door");

	if (!flag_of(tools, "up")) {
		print_shown("%-12s  none: %s\n", "TOOLS", text_of(tools, "why"));
		return;
	}
	print_shown("%-12s  %s, since %s\n", "TOOLS",
		    *text_of(tools, "version") ? text_of(tools, "version") : text_of(tools, "app"),
		    since);
	print_shown("%-12s  %s\n", "door",
		    *door == 'v'   ? "virtio device"
		    : *door == 'p' ? "virtio-serial port: the guest has no lodge_backdoor"
		    : !strcmp(text_of(tools, "privilege"), "owner")
			    ? "VMware's I/O ports, which the guest's root gave them"
			    : "VMware's I/O ports: unprivileged, like any process of the guest's");
	print_heartbeat(object_of(tools, "heartbeat"));
	print_shown("%-12s  %s%s\n", "they can",
		    flag_of(tools, "guest_ops") ? "exec, cp, ps" : "no exec, no cp, no ps",
		    flag_of(tools, "power") ? ", shutdown, reboot" : "");
}

static void print_system(JsonObject *system)
{
	g_autofree char *boot = local_time(number_of(system, "boot_time"));
	g_autofree char *kernel =
		g_strdup_printf("%s %s", text_of(system, "kernel"), text_of(system, "arch"));

	print_line("host name", text_of(system, "hostname"));
	print_line("system", *text_of(system, "os_name") ? text_of(system, "os_name")
							 : text_of(system, "os_id"));
	print_line("kernel", g_strstrip(kernel));
	if (number_of(system, "boot_time"))
		print_line("up since", boot);
}

static void print_net(JsonObject *net)
{
	JsonArray *nics = rows_of(net, "nics");
	JsonObject *nic, *row;

	print_line("address", text_of(net, "address"));
	for (guint i = 0; (nic = row_at(nics, i)); i++) {
		GString *line = g_string_new(text_of(nic, "name"));

		g_string_append_printf(line, "%s%s%s", line->len ? " " : "", text_of(nic, "mac"),
				       flag_of(nic, "up") ? "" : " (down)");
		for (guint j = 0; (row = row_at(rows_of(nic, "addresses"), j)); j++)
			g_string_append_printf(line, " %s/%d", text_of(row, "address"),
					       (int)number_of(row, "prefix"));
		print_line("nic", line->str);
		g_string_free(line, TRUE);
	}
}

static void print_disks(JsonArray *disks)
{
	JsonObject *disk;

	for (guint i = 0; (disk = row_at(disks, i)); i++) {
		g_autofree char *size = g_format_size_full((guint64)number_of(disk, "size"),
							   G_FORMAT_SIZE_IEC_UNITS);
		g_autofree char *left = g_format_size_full((guint64)number_of(disk, "free"),
							   G_FORMAT_SIZE_IEC_UNITS);
		g_autofree char *line = g_strdup_printf("%s %s, %s of %s free",
							text_of(disk, "path"),
							text_of(disk, "type"), left, size);

		print_line("disk", line);
	}
}

static void print_load(JsonObject *load)
{
	JsonArray *three = rows_of(load, "load");
	g_autofree char *memory = g_format_size_full((guint64)number_of(load, "memory_available"),
						     G_FORMAT_SIZE_IEC_UNITS);

	if (three && json_array_get_length(three) == 3)
		print_shown("%-12s  %.2f %.2f %.2f, %d processes, %s of memory available\n", "load",
			    json_array_get_double_element(three, 0),
			    json_array_get_double_element(three, 1),
			    json_array_get_double_element(three, 2),
			    (int)number_of(load, "processes"), memory);
}

static void print_users(JsonArray *users)
{
	JsonObject *user;

	for (guint i = 0; (user = row_at(users, i)); i++) {
		g_autofree char *since = local_time(number_of(user, "since"));
		g_autofree char *line = g_strdup_printf("%s %s since %s", text_of(user, "name"),
							text_of(user, "tty"), since);

		print_line("user", line);
	}
}

/* The rungs of the ways to shares, and what would lift them. */
static const struct {
	const char *by, *lift;
	int rung;
} share_ways[] = {
	{ "virtiofs", "", 1 },
	{ "lodge_fs", "", 2 },
	{ "rpc", ": the module lodge_fs, or a kernel with virtiofs, makes it faster", 1 },
};

static const struct {
	const char *changes, *text;
} change_rungs[] = {
	{ "asked", "at once, rung 1: the module lodge_fs makes inotify tell of them" },
	{ "raised", "at once and to inotify, rung 2" },
};

static void print_changes(JsonObject *shares)
{
	for (size_t i = 0; i < G_N_ELEMENTS(change_rungs); i++) {
		if (!strcmp(text_of(shares, "changes"), change_rungs[i].changes))
			print_line("host changes", change_rungs[i].text);
	}
}

static void print_shares(JsonObject *shares)
{
	const char *mount = text_of(shares, "mount"), *why = text_of(shares, "why");
	GString *line = g_string_new(NULL);

	if (*mount)
		g_string_append_printf(line, "%s by %s", mount, text_of(shares, "by"));
	else
		g_string_append(line, "not mounted");
	for (size_t i = 0; *mount && i < G_N_ELEMENTS(share_ways); i++) {
		if (!strcmp(text_of(shares, "by"), share_ways[i].by))
			g_string_append_printf(line, ", rung %d%s", share_ways[i].rung,
					       share_ways[i].lift);
	}
	if (*why)
		g_string_append_printf(line, "%s%s", *mount ? "; " : ": ", why);
	print_line("shares", line->str);
	g_string_free(line, TRUE);
	if (*mount)
		print_changes(shares);
}

/* Who sets the resolution, for people. */
static const struct {
	const char *owner, *text;
} display_owners[] = {
	{ "console", "set by lodged on the text console" },
	{ "lodge-session", "set by lodge-session" },
	{ "program", "set by" },
	{ "nobody", "set by nobody" },
	{ "unknown", "set by whom is not known" },
};

static void print_display(JsonObject *display)
{
	const char *driver = text_of(display, "driver"), *program = text_of(display, "program");
	const char *owner = text_of(display, "owner"), *why = text_of(display, "why");
	bool named = !strcmp(owner, "program");
	GString *line = g_string_new(NULL);

	for (size_t i = 0; i < G_N_ELEMENTS(display_owners); i++) {
		if (strcmp(owner, display_owners[i].owner) != 0)
			continue;
		g_string_append(line, display_owners[i].text);
		if (*program)
			g_string_append_printf(line, named ? " %s" : " (%s has the screen)",
					       program);
	}
	if (*driver)
		g_string_append_printf(line, "%sdriver %s", line->len ? ", " : "", driver);
	if (*why)
		g_string_append_printf(line, "%s%s", line->len ? "; " : "", why);
	print_line("resolution", line->str);
	g_string_free(line, TRUE);
}

static void print_clock(JsonObject *clock)
{
	const char *owner = text_of(clock, "owner"), *by = text_of(clock, "by");
	gint64 off = json_object_get_int_member_with_default(clock, "offset_ns", 0);
	gint64 steps = json_object_get_int_member_with_default(clock, "steps", 0);
	GString *line = g_string_new(NULL);

	g_string_append_printf(line, "kept by %s", *owner ? owner : "nobody");
	if (json_object_has_member(clock, "offset_ns"))
		g_string_append_printf(line, ", %.6f s %s the host's", (double)llabs(off) / 1e9,
				       off < 0 ? "ahead of" : "behind");
	if (*by)
		g_string_append_printf(line, ", seen by %s", by);
	if (steps)
		g_string_append_printf(line, ", set %" G_GINT64_FORMAT " times", steps);
	print_line("clock", line->str);
	g_string_free(line, TRUE);
}

void guest_facts_print(JsonObject *tools)
{
	JsonObject *facts = object_of(tools, "facts");

	print_shown("\n");
	print_tools(tools);
	if (object_of(facts, "system"))
		print_system(object_of(facts, "system"));
	if (object_of(facts, "net"))
		print_net(object_of(facts, "net"));
	print_disks(rows_of(facts, "disks"));
	if (object_of(facts, "load"))
		print_load(object_of(facts, "load"));
	print_users(rows_of(facts, "users"));
	if (object_of(facts, "shares"))
		print_shares(object_of(facts, "shares"));
	if (object_of(facts, "display"))
		print_display(object_of(facts, "display"));
	if (object_of(facts, "clock"))
		print_clock(object_of(facts, "clock"));
}
