// SPDX-License-Identifier: GPL-2.0-or-later
// Facts in the words of open-vm-tools: text, XDR (RFC 4506) for the network, JSON for disks.
#include "guest-daemon/lodged/vmware_facts.h"

#include <endian.h>
#include <string.h>
#include <sys/socket.h>

#include "guest-daemon/lodged/facts.h"
#include "guest-daemon/lodged/lodged.h"

/* Types of SetGuestInfo. */
enum { DNS_NAME = 1, OS_FULL = 5, OS_SHORT = 6, NIC_INFO_V3 = 10 };

#define NIC_INFO_VERSION 3
#define ROUTE_REMOTE	 4 /* of an IP-MIB inetCidrRouteType */

static void set_text(struct lodged *lodged, int type, const char *value)
{
	if (value && *value)
		lodged_ask(lodged, NULL, NULL, "SetGuestInfo  %d %s", type, value);
}

static void put(GByteArray *xdr, uint32_t value)
{
	uint32_t wire = htobe32(value);

	g_byte_array_append(xdr, (const guint8 *)&wire, sizeof(wire));
}

static void put_bytes(GByteArray *xdr, const void *bytes, size_t len)
{
	static const guint8 zeros[3];

	put(xdr, (uint32_t)len);
	g_byte_array_append(xdr, bytes, (guint)len);
	g_byte_array_append(xdr, zeros, -len & 3);
}

static void put_address(GByteArray *xdr, int family, const uint8_t *bytes)
{
	put(xdr, family == AF_INET ? 1 : 2);
	put_bytes(xdr, bytes, family == AF_INET ? 4 : 16);
}

static uint32_t origin_number(const char *origin)
{
	static const struct {
		const char *name;
		uint32_t number;
	} origins[] = { { "static", 2 }, { "dhcp", 4 }, { "link", 5 }, { "random", 6 } };

	for (size_t i = 0; i < G_N_ELEMENTS(origins); i++) {
		if (!strcmp(origins[i].name, origin))
			return origins[i].number;
	}
	return 1;
}

static void put_nic(GByteArray *xdr, const struct net *net, const struct net_nic *nic)
{
	uint32_t addresses = 0;

	for (size_t i = 0; i < net->n_addresses; i++)
		addresses += net->addresses[i].index == nic->index;
	put_bytes(xdr, nic->mac, strlen(nic->mac));
	put(xdr, addresses);
	for (size_t i = 0; i < net->n_addresses; i++) {
		const struct net_address *address = &net->addresses[i];

		if (address->index != nic->index)
			continue;
		put_address(xdr, address->family, address->bytes);
		put(xdr, address->prefix);
		put(xdr, 1);
		put(xdr, origin_number(address->origin));
		put(xdr, 1);
		put(xdr, 1); /* preferred */
	}
	for (int optional = 0; optional < 4; optional++)
		put(xdr, 0); /* no DNS, WINS, DHCPv4, DHCPv6 of its own */
}

/* The place of a nic among those that are told; its own index means nothing to the host. */
static uint32_t nic_place(const struct net *net, int index)
{
	const struct net_nic *nic = net_nic(net, index);

	return nic ? (uint32_t)(nic - net->nics) : UINT32_MAX;
}

static bool tellable(const struct net_nic *nic)
{
	return strcmp(nic->mac, "-") != 0;
}

static void put_routes(GByteArray *xdr, const struct net *net)
{
	uint32_t routes = 0;

	for (size_t i = 0; i < net->n_routes; i++)
		routes += nic_place(net, net->routes[i].index) != UINT32_MAX;
	put(xdr, routes);
	for (size_t i = 0; i < net->n_routes; i++) {
		const struct net_route *route = &net->routes[i];

		if (nic_place(net, route->index) == UINT32_MAX)
			continue;
		put_address(xdr, route->family, route->dest);
		put(xdr, route->prefix);
		put(xdr, route->has_gateway);
		if (route->has_gateway)
			put_address(xdr, route->family, route->gateway);
		put(xdr, nic_place(net, route->index));
		put(xdr, ROUTE_REMOTE);
		put(xdr, route->metric);
	}
}

/* The host knows nics by their MAC: those without one are not told. */
static void drop_untellable(struct net *net)
{
	size_t kept = 0;

	for (size_t i = 0; i < net->n_nics; i++) {
		if (tellable(&net->nics[i]))
			net->nics[kept++] = net->nics[i];
	}
	net->n_nics = MIN(kept, NET_NICS_TOLD);
}

static void send_net(struct lodged *lodged)
{
	g_autofree struct net *net = g_new(struct net, 1);
	g_autoptr(GByteArray) message = g_byte_array_new();
	g_autofree char *head = g_strdup_printf("SetGuestInfo  %d ", NIC_INFO_V3);

	if (net_read(net))
		return;
	drop_untellable(net);
	g_byte_array_append(message, (const guint8 *)head, (guint)strlen(head));
	put(message, NIC_INFO_VERSION);
	put(message, 1);
	put(message, (uint32_t)net->n_nics);
	for (size_t i = 0; i < net->n_nics; i++)
		put_nic(message, net, &net->nics[i]);
	put_routes(message, net);
	for (int optional = 0; optional < 4; optional++)
		put(message, 0); /* no global DNS, WINS, DHCPv4, DHCPv6 */
	lodged_ask_bytes(lodged, NULL, NULL, message->data, message->len);
}

static void send_disks(struct lodged *lodged, const char *fields, size_t len)
{
	GString *json = g_string_new("SetGuestDiskInfo {\"version\":\"1\",\"disks\":[");
	const char *disk, *separator = "";
	size_t at = 0;

	while ((disk = fields_next(fields, len, "disk", &at))) {
		g_auto(GStrv) words = g_strsplit(disk, " ", 5);
		g_autofree char *name = NULL;

		/* Both are what some user gave to fusermount(1), perhaps. */
		if (g_strv_length(words) != 5 || strpbrk(words[0], "\"\\") ||
		    strpbrk(words[1], "\"\\"))
			continue;
		name = g_base64_encode((const guchar *)words[4], strlen(words[4]));
		g_string_append_printf(json,
				       "%s{\"name\":\"%s\",\"free\":\"%s\",\"size\":\"%s\","
				       "\"fstype\":\"%s\",\"devices\":[\"%s\"]}",
				       separator, name, words[3], words[2], words[1], words[0]);
		separator = ",";
	}
	g_string_append(json, "]}");
	lodged_ask_bytes(lodged, NULL, NULL, json->str, json->len);
	g_string_free(json, TRUE);
}

void vmware_facts_send(struct lodged *lodged, const char *part, const char *fields, size_t len)
{
	if (!strcmp(part, "system")) {
		set_text(lodged, DNS_NAME, fields_get(fields, len, "hostname"));
		set_text(lodged, OS_FULL, fields_get(fields, len, "os-name"));
		set_text(lodged, OS_SHORT, fields_get(fields, len, "os-id"));
	} else if (!strcmp(part, "net")) {
		send_net(lodged);
	} else if (!strcmp(part, "disks")) {
		send_disks(lodged, fields, len);
	}
}
