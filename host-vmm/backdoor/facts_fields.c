// SPDX-License-Identifier: GPL-2.0-or-later
// The fields of lodge.facts (protocol/spec/facts.md), read into the facts.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/backdoor/facts_fields.h"
#include "host-vmm/backdoor/private.h"

struct fields {
	const char *bytes;
	size_t len;
};

/* ---- words of a value ---- */

/* The next word, "-" being none; false at the end. Cut where it is too long. */
static bool next_word(const char **at, char *to, size_t room)
{
	size_t len = strcspn(*at, " ");

	if (len == 0)
		return false;
	backdoor_clean_text(to, room, *at, len);
	if (len == 1 && **at == '-')
		to[0] = '\0';
	*at += len + ((*at)[len] == ' ');
	return true;
}

static bool next_number(const char **at, uint64_t max, uint64_t *ret_number)
{
	char text[24], *end;

	if (!next_word(at, text, sizeof(text)) || text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	*ret_number = strtoull(text, &end, 10);
	return !*end && !errno && *ret_number <= max;
}

static void rest(const char *at, char *to, size_t room)
{
	backdoor_clean_text(to, room, at, strlen(at));
	if (strcmp(to, "-") == 0)
		to[0] = '\0';
}

static void take_text(const struct fields *fields, const char *key, char *to, size_t room)
{
	const char *value = fields_get(fields->bytes, fields->len, key);

	to[0] = '\0';
	if (value)
		rest(value, to, room);
}

/* ---- system, load, shares, display, clock ---- */

static void read_system(const struct fields *fields, struct tools_facts *facts)
{
	take_text(fields, "hostname", facts->hostname, sizeof(facts->hostname));
	take_text(fields, "os-id", facts->os_id, sizeof(facts->os_id));
	take_text(fields, "os-name", facts->os_name, sizeof(facts->os_name));
	take_text(fields, "os-version", facts->os_version, sizeof(facts->os_version));
	take_text(fields, "kernel", facts->kernel, sizeof(facts->kernel));
	take_text(fields, "arch", facts->arch, sizeof(facts->arch));
	facts->boot_time = 0;
	(void)fields_number(fields->bytes, fields->len, "boot-time", INT64_MAX, &facts->boot_time);
}

static void read_load(const struct fields *fields, struct tools_facts *facts)
{
	const char *load = fields_get(fields->bytes, fields->len, "load");
	const char *memory = fields_get(fields->bytes, fields->len, "memory");
	uint64_t processes = 0;
	char word[24];

	for (size_t i = 0; i < 3; i++) {
		facts->load[i] = 0;
		if (load && next_word(&load, word, sizeof(word)) &&
		    strspn(word, "0123456789.") == strlen(word))
			facts->load[i] = strtod(word, NULL);
	}
	facts->memory_total = facts->memory_available = 0;
	if (memory && next_number(&memory, INT64_MAX, &facts->memory_total))
		(void)next_number(&memory, INT64_MAX, &facts->memory_available);
	(void)fields_number(fields->bytes, fields->len, "processes", UINT32_MAX, &processes);
	facts->processes = (uint32_t)processes;
}

static void read_shares(const struct fields *fields, struct tools_facts *facts)
{
	take_text(fields, "mount", facts->shares_mount, sizeof(facts->shares_mount));
	take_text(fields, "by", facts->shares_by, sizeof(facts->shares_by));
	take_text(fields, "changes", facts->shares_changes, sizeof(facts->shares_changes));
	take_text(fields, "why", facts->shares_why, sizeof(facts->shares_why));
}

static void read_display(const struct fields *fields, struct tools_facts *facts)
{
	take_text(fields, "driver", facts->display_driver, sizeof(facts->display_driver));
	take_text(fields, "owner", facts->display_owner, sizeof(facts->display_owner));
	take_text(fields, "program", facts->display_program, sizeof(facts->display_program));
	take_text(fields, "display-why", facts->display_why, sizeof(facts->display_why));
}

static void read_clock(const struct fields *fields, struct tools_facts *facts)
{
	uint64_t off = 0, steps = 0;
	bool ahead, behind;

	take_text(fields, "clock-owner", facts->clock_owner, sizeof(facts->clock_owner));
	take_text(fields, "clock-by", facts->clock_by, sizeof(facts->clock_by));
	/* Fields have no signs. */
	behind = !fields_number(fields->bytes, fields->len, "behind", INT64_MAX, &off);
	ahead = !behind && !fields_number(fields->bytes, fields->len, "ahead", INT64_MAX, &off);
	(void)fields_number(fields->bytes, fields->len, "steps", UINT32_MAX, &steps);
	facts->clock_known = ahead || behind;
	facts->clock_offset = ahead ? -(int64_t)off : (int64_t)off;
	facts->clock_steps = steps;
}

/* ---- net ---- */

static uint32_t find_nic(const struct tools_facts *facts, const char *name)
{
	for (size_t i = 0; i < facts->n_nics; i++)
		if (strcmp(facts->nics[i].name, name) == 0)
			return (uint32_t)i;
	return FACTS_NICS_MAX;
}

static void read_nic(const char *value, struct tools_facts *facts)
{
	struct facts_nic *nic = &facts->nics[facts->n_nics];
	char up[8];

	if (facts->n_nics == FACTS_NICS_MAX)
		return;
	memset(nic, 0, sizeof(*nic));
	if (!next_word(&value, nic->name, sizeof(nic->name)) ||
	    !next_word(&value, nic->mac, sizeof(nic->mac)) || !next_word(&value, up, sizeof(up)))
		return;
	nic->up = strcmp(up, "up") == 0;
	facts->n_nics++;
}

static void read_address(const char *value, struct tools_facts *facts)
{
	struct facts_address address = { 0 };
	struct facts_nic *nic;
	char name[32];
	uint64_t prefix;
	uint32_t index;

	if (!next_word(&value, name, sizeof(name)) ||
	    !next_word(&value, address.text, sizeof(address.text)) ||
	    !next_number(&value, 128, &prefix))
		return;
	address.prefix = (uint8_t)prefix;
	(void)next_word(&value, address.origin, sizeof(address.origin));
	index = find_nic(facts, name);
	if (index == FACTS_NICS_MAX || !address.text[0])
		return;
	nic = &facts->nics[index];
	if (nic->n_addresses < FACTS_ADDRESSES_MAX)
		nic->addresses[nic->n_addresses++] = address;
}

static void read_route(const char *value, struct tools_facts *facts)
{
	struct facts_route route = { 0 };
	char name[32];
	uint64_t prefix, metric = 0;

	if (!next_word(&value, name, sizeof(name)) ||
	    !next_word(&value, route.dest, sizeof(route.dest)) ||
	    !next_number(&value, 128, &prefix) ||
	    !next_word(&value, route.gateway, sizeof(route.gateway)))
		return;
	(void)next_number(&value, UINT32_MAX, &metric);
	route.prefix = (uint8_t)prefix;
	route.metric = (uint32_t)metric;
	route.nic = find_nic(facts, name);
	if (facts->n_routes < FACTS_ROUTES_MAX && route.dest[0])
		facts->routes[facts->n_routes++] = route;
}

static void read_server(const char *value, struct tools_facts *facts)
{
	if (facts->n_servers < FACTS_SERVERS_MAX)
		rest(value, facts->servers[facts->n_servers++], sizeof(facts->servers[0]));
}

static void read_search(const char *value, struct tools_facts *facts)
{
	if (facts->n_search < FACTS_SEARCH_MAX)
		rest(value, facts->search[facts->n_search++], sizeof(facts->search[0]));
}

/* ---- disks, users ---- */

static void read_disk(const char *value, struct tools_facts *facts)
{
	struct facts_disk disk = { 0 };

	if (!next_word(&value, disk.device, sizeof(disk.device)) ||
	    !next_word(&value, disk.fstype, sizeof(disk.fstype)) ||
	    !next_number(&value, INT64_MAX, &disk.size) ||
	    !next_number(&value, INT64_MAX, &disk.free))
		return;
	rest(value, disk.mount, sizeof(disk.mount));
	if (facts->n_disks < FACTS_DISKS_MAX)
		facts->disks[facts->n_disks++] = disk;
}

static void read_user(const char *value, struct tools_facts *facts)
{
	struct facts_user user = { 0 };

	if (!next_word(&value, user.name, sizeof(user.name)) ||
	    !next_word(&value, user.tty, sizeof(user.tty)))
		return;
	if (!next_number(&value, INT64_MAX, &user.since))
		user.since = 0;
	rest(value, user.from, sizeof(user.from));
	if (facts->n_users < FACTS_USERS_MAX)
		facts->users[facts->n_users++] = user;
}

/* ---- all ---- */

static const struct {
	const char *key;
	void (*read)(const char *value, struct tools_facts *facts);
	enum facts_part part;
} lists[] = {
	/* NICs first: the next ones name them. */
	{ "nic", read_nic, FACTS_NET },	      { "addr", read_address, FACTS_NET },
	{ "route", read_route, FACTS_NET },   { "server", read_server, FACTS_NET },
	{ "search", read_search, FACTS_NET }, { "disk", read_disk, FACTS_DISKS },
	{ "user", read_user, FACTS_USERS },
};

static void read_part(const struct fields *fields, enum facts_part part, struct tools_facts *facts)
{
	if (part == FACTS_SYSTEM)
		read_system(fields, facts);
	else if (part == FACTS_LOAD)
		read_load(fields, facts);
	else if (part == FACTS_SHARES)
		read_shares(fields, facts);
	else if (part == FACTS_DISPLAY)
		read_display(fields, facts);
	else if (part == FACTS_CLOCK)
		read_clock(fields, facts);
	else if (part == FACTS_NET)
		facts->n_nics = facts->n_routes = facts->n_servers = facts->n_search = 0;
	else if (part == FACTS_DISKS)
		facts->n_disks = 0;
	else if (part == FACTS_USERS)
		facts->n_users = 0;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		const char *value;
		size_t at = 0;

		while (lists[i].part == part &&
		       (value = fields_next(fields->bytes, fields->len, lists[i].key, &at)))
			lists[i].read(value, facts);
	}
}

unsigned int facts_fields_read(const char *bytes, size_t len, struct tools_facts *facts)
{
	const struct fields fields = { bytes, len };
	unsigned int parts = 0;
	const char *name;
	size_t at = 0;

	while ((name = fields_next(bytes, len, "part", &at)))
		for (unsigned int i = 0; i < FACTS_PARTS; i++)
			if (strcmp(name, facts_part_names[i]) == 0)
				parts |= 1u << i;
	for (unsigned int i = 0; i < FACTS_PARTS; i++)
		if (parts & 1u << i)
			read_part(&fields, i, facts);
	return parts;
}
