// SPDX-License-Identifier: GPL-2.0-or-later
// What is known of the guest: one struct, cleaned text, and the order of its NICs.
#include "host-vmm/backdoor/facts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/backdoor/private.h"

const char *const facts_part_names[FACTS_PARTS] = {
	[FACTS_SYSTEM] = "system",   [FACTS_NET] = "net",     [FACTS_DISKS] = "disks",
	[FACTS_LOAD] = "load",	     [FACTS_USERS] = "users", [FACTS_SHARES] = "shares",
	[FACTS_DISPLAY] = "display", [FACTS_CLOCK] = "clock",
};

/* ---- text ---- */

/* Bytes of the UTF-8 character at @text (RFC 3629), 0 where there is none. */
static size_t utf8_length(const unsigned char *text, size_t len)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t code;
	size_t size;

	if (text[0] < 0x80)
		return 1;
	size = text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : 2;
	if (text[0] < 0xc2 || text[0] > 0xf4 || size > len)
		return 0;
	code = text[0] & (0xffu >> (size + 1));
	for (size_t i = 1; i < size; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (text[i] & 0x3f);
	}
	if (code < least[size] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	/* C1 control characters steer terminals, too. */
	return code >= 0x80 && code < 0xa0 ? 0 : size;
}

void backdoor_clean_text(char *to, size_t room, const char *text, size_t len)
{
	size_t at = 0;

	for (size_t i = 0; i < len && text[i] != '\0';) {
		size_t size = utf8_length((const unsigned char *)text + i, len - i);

		if (size == 0 || (unsigned char)text[i] < ' ' || text[i] == 0x7f) {
			i++;
			continue;
		}
		if (at + size >= room)
			break;
		memcpy(to + at, text + i, size);
		at += size;
		i += size;
	}
	to[at] = '\0';
}

/* ---- addresses ---- */

static bool is_loopback(const char *text)
{
	return strncmp(text, "127.", 4) == 0 || strcmp(text, "::1") == 0;
}

/* RFC 3927, RFC 4291 section 2.4. */
static bool is_link_local(const char *text)
{
	return strncmp(text, "169.254.", 8) == 0 || strncasecmp(text, "fe80:", 5) == 0;
}

static const char *find_address(const struct tools_facts *facts, bool v6)
{
	for (size_t i = 0; i < facts->n_nics; i++) {
		const struct facts_nic *nic = &facts->nics[i];

		for (size_t k = 0; k < nic->n_addresses; k++) {
			const char *text = nic->addresses[k].text;

			if (!!strchr(text, ':') == v6 && !is_loopback(text) && !is_link_local(text))
				return text;
		}
	}
	return NULL;
}

const char *facts_best_address(const struct tools_facts *facts)
{
	const char *text = find_address(facts, false);

	return text ? text : find_address(facts, true);
}

/* ---- ranking ---- */

static bool has_default_route(const struct tools_facts *facts, size_t nic, uint32_t *ret_metric)
{
	bool found = false;

	for (size_t i = 0; i < facts->n_routes; i++) {
		const struct facts_route *route = &facts->routes[i];

		if (route->nic != nic || route->prefix != 0)
			continue;
		if (!found || route->metric < *ret_metric)
			*ret_metric = route->metric;
		found = true;
	}
	return found;
}

/* Less is first: default routes by metric, then the rest. */
static uint64_t rank_of(const struct tools_facts *facts, size_t nic)
{
	uint32_t metric = 0;

	if (has_default_route(facts, nic, &metric))
		return metric;
	return 1ull << 32;
}

static void swap_nics(struct tools_facts *facts, size_t a, size_t b)
{
	struct facts_nic *nics = facts->nics;
	unsigned char *x = (unsigned char *)&nics[a], *y = (unsigned char *)&nics[b];

	for (size_t i = 0; i < sizeof(nics[0]); i++) {
		unsigned char byte = x[i];

		x[i] = y[i];
		y[i] = byte;
	}
	for (size_t i = 0; i < facts->n_routes; i++) {
		if (facts->routes[i].nic == a)
			facts->routes[i].nic = (uint32_t)b;
		else if (facts->routes[i].nic == b)
			facts->routes[i].nic = (uint32_t)a;
	}
}

static void sort_addresses(struct facts_nic *nic)
{
	size_t v4 = 0;

	for (size_t i = 0; i < nic->n_addresses; i++) {
		struct facts_address address = nic->addresses[i];

		if (strchr(address.text, ':'))
			continue;
		memmove(&nic->addresses[v4 + 1], &nic->addresses[v4],
			(i - v4) * sizeof(nic->addresses[0]));
		nic->addresses[v4++] = address;
	}
}

/* Stable: of equals, the guest's order stays. */
static void rank_nics(struct tools_facts *facts)
{
	for (size_t i = 0; i < facts->n_nics; i++)
		sort_addresses(&facts->nics[i]);
	for (size_t i = 1; i < facts->n_nics; i++)
		for (size_t k = i; k > 0 && rank_of(facts, k) < rank_of(facts, k - 1); k--)
			swap_nics(facts, k, k - 1);
}

/* ---- the backdoor's ---- */

struct tools_facts *facts_begin(struct backdoor *backdoor)
{
	if (!backdoor->facts)
		backdoor->facts = calloc(1, sizeof(*backdoor->facts));
	return backdoor->facts;
}

void facts_told(struct backdoor *backdoor, enum facts_part part)
{
	struct fields_builder fields = FIELDS_BUILDER(64);

	if (part == FACTS_NET)
		rank_nics(backdoor->facts);
	backdoor->facts->told[part] = backdoor_time_ms() / 1000;
	fields_add(&fields, "part", facts_part_names[part]);
	deliver_event(backdoor, "facts-changed", &fields);
}

void facts_forget(struct backdoor *backdoor)
{
	free(backdoor->facts);
	backdoor->facts = NULL;
}

int tools_get_facts(struct backdoor *backdoor, struct tools_facts **ret_facts)
{
	struct tools_facts *copy = malloc(sizeof(*copy));
	int ret = -ENODATA;

	if (!copy)
		return -ENOMEM;
	backdoor_lock(backdoor);
	if (backdoor->facts) {
		*copy = *backdoor->facts;
		ret = 0;
	}
	backdoor_unlock(backdoor);
	if (ret < 0)
		free(copy);
	else
		*ret_facts = copy;
	return ret;
}
