// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * NIC information of VMware's tools, read from XDR.
 *
 * A reader over bounded bytes whose error sticks: what is read behind it is 0, and loops end. What
 * the facts have no room for is read and dropped, for the rest stands behind it.
 */
#include "host-vmm/backdoor/nicinfo.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/backdoor/private.h"

/* open-vm-tools lib/guestRpc/nicinfo.x */
#define VERSION_2	 2u
#define VERSION_3	 3u
#define IPS_MAX		 2048u
#define MAC_TEXT_MAX	 18u
#define INET_ADDRESS_MAX 255u
#define NAME_MAX_BYTES	 255u
#define DHCP_TEXT_MAX	 16384u
#define V2_TEXT_MAX	 64u
#define NO_METRIC	 UINT32_MAX

/* RFC 4001, InetAddressType; 3 and 4 have a zone of 4 bytes behind the address. */
enum { INET_IPV4 = 1, INET_IPV6 = 2, INET_IPV4Z = 3, INET_IPV6Z = 4 };

struct xdr {
	const uint8_t *at;
	size_t left;
	bool bad;
};

static const uint8_t *take(struct xdr *xdr, size_t len)
{
	const uint8_t *at = xdr->at;

	if (xdr->bad || len > xdr->left) {
		xdr->bad = true;
		return NULL;
	}
	xdr->at += len;
	xdr->left -= len;
	return at;
}

static uint32_t number(struct xdr *xdr)
{
	const uint8_t *at = take(xdr, 4);

	return at ? (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3]
		  : 0;
}

/* A count of at most @max; 0 and an error beyond. */
static uint32_t bounded(struct xdr *xdr, uint32_t max)
{
	uint32_t value = number(xdr);

	if (value <= max)
		return value;
	xdr->bad = true;
	return 0;
}

/* Bytes with their count before them, filled up to a multiple of 4. */
static const uint8_t *opaque(struct xdr *xdr, uint32_t max, uint32_t *ret_len)
{
	*ret_len = bounded(xdr, max);
	return take(xdr, (*ret_len + 3u) & ~3u);
}

static void text(struct xdr *xdr, uint32_t max, char *to, size_t room)
{
	uint32_t len;
	const uint8_t *bytes = opaque(xdr, max, &len);

	if (bytes && to)
		backdoor_clean_text(to, room, (const char *)bytes, len);
}

static bool is_there(struct xdr *xdr)
{
	return bounded(xdr, 1) == 1;
}

/* "" where it is of another kind. */
static void address(struct xdr *xdr, char to[64])
{
	uint32_t type = number(xdr), len;
	const uint8_t *bytes = opaque(xdr, INET_ADDRESS_MAX, &len);

	to[0] = '\0';
	if (!bytes)
		return;
	if ((type == INET_IPV4 && len == 4) || (type == INET_IPV4Z && len == 8))
		(void)inet_ntop(AF_INET, bytes, to, 64);
	else if ((type == INET_IPV6 && len == 16) || (type == INET_IPV6Z && len == 20))
		(void)inet_ntop(AF_INET6, bytes, to, 64);
}

/* RFC 4293, IpAddressOriginTC. */
static const char *origin_name(uint32_t origin)
{
	switch (origin) {
	case 2:
		return "static";
	case 4:
		return "dhcp";
	case 5:
		return "link";
	case 6:
		return "random";
	default:
		return "";
	}
}

static void mac_text(struct facts_nic *nic)
{
	for (char *at = nic->mac; *at; at++)
		if (*at >= 'A' && *at <= 'F')
			*at = (char)(*at - 'A' + 'a');
}

/* ---- version 3 ---- */

static void nic_address(struct xdr *xdr, struct facts_nic *nic)
{
	struct facts_address made = { 0 };
	uint32_t prefix, origin = 0;

	address(xdr, made.text);
	prefix = number(xdr);
	if (is_there(xdr))
		origin = number(xdr);
	if (is_there(xdr))
		(void)number(xdr); /* status */
	made.prefix = prefix <= 128 ? (uint8_t)prefix : 0;
	snprintf(made.origin, sizeof(made.origin), "%s", origin_name(origin));
	if (made.text[0] && nic->n_addresses < FACTS_ADDRESSES_MAX)
		nic->addresses[nic->n_addresses++] = made;
}

static void names(struct xdr *xdr, struct tools_facts *facts)
{
	uint32_t count;

	for (int i = 0; i < 2; i++) /* host name, domain */
		if (is_there(xdr))
			text(xdr, NAME_MAX_BYTES, NULL, 0);
	count = bounded(xdr, FACTS_SERVERS_MAX);
	for (uint32_t i = 0; i < count && !xdr->bad; i++) {
		char server[64];

		address(xdr, server);
		if (server[0] && facts && facts->n_servers < FACTS_SERVERS_MAX)
			memcpy(facts->servers[facts->n_servers++], server, sizeof(server));
	}
	count = bounded(xdr, FACTS_SEARCH_MAX);
	for (uint32_t i = 0; i < count && !xdr->bad; i++) {
		bool room = facts && facts->n_search < FACTS_SEARCH_MAX;

		text(xdr, NAME_MAX_BYTES, room ? facts->search[facts->n_search] : NULL,
		     sizeof(facts->search[0]));
		if (room)
			facts->n_search++;
	}
}

/* What stands behind a NIC, and behind all: name servers, WINS, DHCP twice. */
static void configuration(struct xdr *xdr, struct tools_facts *facts)
{
	char unused[64];

	if (is_there(xdr))
		names(xdr, facts);
	if (is_there(xdr)) {
		address(xdr, unused);
		address(xdr, unused);
	}
	for (int i = 0; i < 2; i++) {
		if (!is_there(xdr))
			continue;
		(void)number(xdr);
		text(xdr, DHCP_TEXT_MAX, NULL, 0);
	}
}

static void route(struct xdr *xdr, struct tools_facts *facts)
{
	struct facts_route made = { 0 };
	uint32_t prefix;

	address(xdr, made.dest);
	prefix = number(xdr);
	if (is_there(xdr))
		address(xdr, made.gateway);
	made.nic = number(xdr);
	(void)number(xdr); /* type */
	made.metric = number(xdr);
	if (made.metric == NO_METRIC)
		made.metric = 0;
	if (made.nic >= facts->n_nics)
		made.nic = FACTS_NICS_MAX;
	made.prefix = prefix <= 128 ? (uint8_t)prefix : 0;
	if (made.dest[0] && prefix <= 128 && facts->n_routes < FACTS_ROUTES_MAX)
		facts->routes[facts->n_routes++] = made;
}

static void version_3(struct xdr *xdr, struct tools_facts *facts)
{
	uint32_t n_nics = bounded(xdr, FACTS_NICS_MAX), count;

	for (uint32_t i = 0; i < n_nics && !xdr->bad; i++) {
		struct facts_nic *nic = &facts->nics[facts->n_nics++];

		text(xdr, MAC_TEXT_MAX, nic->mac, sizeof(nic->mac));
		mac_text(nic);
		nic->up = true;
		count = bounded(xdr, IPS_MAX);
		for (uint32_t k = 0; k < count && !xdr->bad; k++)
			nic_address(xdr, nic);
		configuration(xdr, NULL);
	}
	count = bounded(xdr, FACTS_ROUTES_MAX);
	for (uint32_t i = 0; i < count && !xdr->bad; i++)
		route(xdr, facts);
	configuration(xdr, facts);
}

/* ---- version 2 ---- */

/* An array of char: each takes four bytes. */
static void chars(struct xdr *xdr, size_t count, char *to, size_t room)
{
	const uint8_t *bytes = take(xdr, 4 * count);
	char plain[V2_TEXT_MAX];

	if (!bytes)
		return;
	for (size_t i = 0; i < count; i++)
		plain[i] = (char)bytes[4 * i + 3];
	backdoor_clean_text(to, room, plain, count);
}

/* "24", or "0xffffff00". */
static uint8_t prefix_of(const char *mask)
{
	unsigned long value = strtoul(mask, NULL, 0);

	if (strncmp(mask, "0x", 2) == 0)
		return (uint8_t)__builtin_popcountl(value & 0xffffffff);
	return value <= 128 ? (uint8_t)value : 0;
}

static void version_2(struct xdr *xdr, struct tools_facts *facts)
{
	uint32_t n_nics = bounded(xdr, FACTS_NICS_MAX);

	for (uint32_t i = 0; i < n_nics && !xdr->bad; i++) {
		struct facts_nic *nic = &facts->nics[facts->n_nics++];
		uint32_t count;

		chars(xdr, MAC_TEXT_MAX, nic->mac, sizeof(nic->mac));
		mac_text(nic);
		nic->up = true;
		count = bounded(xdr, IPS_MAX);
		for (uint32_t k = 0; k < count && !xdr->bad; k++) {
			struct facts_address made = { 0 };
			char mask[V2_TEXT_MAX] = "";
			bool dhcp;

			(void)number(xdr); /* family: the text tells */
			dhcp = number(xdr) != 0;
			chars(xdr, V2_TEXT_MAX, made.text, sizeof(made.text));
			chars(xdr, V2_TEXT_MAX, mask, sizeof(mask));
			made.prefix = prefix_of(mask);
			snprintf(made.origin, sizeof(made.origin), "%s", dhcp ? "dhcp" : "");
			if (made.text[0] && nic->n_addresses < FACTS_ADDRESSES_MAX)
				nic->addresses[nic->n_addresses++] = made;
		}
	}
}

int nicinfo_parse(const void *bytes, size_t len, struct tools_facts *facts)
{
	struct xdr xdr = { .at = bytes, .left = len };
	struct tools_facts *made = calloc(1, sizeof(*made));
	uint32_t version = number(&xdr);

	if (!made)
		return -ENOMEM;
	if (version != VERSION_2 && version != VERSION_3)
		xdr.bad = true;
	/* The body is an optional one: nothing is no NIC. */
	if (is_there(&xdr) && version == VERSION_3)
		version_3(&xdr, made);
	else if (!xdr.bad && version == VERSION_2 && xdr.left > 0)
		version_2(&xdr, made);
	if (!xdr.bad) {
		facts->n_nics = made->n_nics;
		facts->n_routes = made->n_routes;
		facts->n_servers = made->n_servers;
		facts->n_search = made->n_search;
		memcpy(facts->nics, made->nics, sizeof(facts->nics));
		memcpy(facts->routes, made->routes, sizeof(facts->routes));
		memcpy(facts->servers, made->servers, sizeof(facts->servers));
		memcpy(facts->search, made->search, sizeof(facts->search));
	}
	free(made);
	return xdr.bad ? -EBADMSG : 0;
}
