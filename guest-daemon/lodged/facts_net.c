// SPDX-License-Identifier: GPL-2.0-or-later
// The guest's network by rtnetlink(7): links, addresses and routes, and word of their changes.
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest-daemon/lodged/facts.h"
#include "protocol/lib/fd.h"

#define RESOLV_CONF   "/etc/resolv.conf"
#define SERVERS_MAX   16
#define SEARCH_MAX    10
#define REPLY_SECONDS 2 /* the kernel answers at once or never */

static const struct rtattr *find(const struct rtattr *attr, int len, unsigned short type)
{
	for (; RTA_OK(attr, len); attr = RTA_NEXT(attr, len)) {
		if ((attr->rta_type & NLA_TYPE_MASK) == type)
			return attr;
	}
	return NULL;
}

static size_t address_len(int family)
{
	return family == AF_INET ? 4 : 16;
}

/* Copies an address; false where the attribute is missing or has another length. */
static bool take_address(const struct rtattr *attr, int family, uint8_t bytes[16])
{
	if (!attr || RTA_PAYLOAD(attr) != address_len(family))
		return false;
	memcpy(bytes, RTA_DATA(attr), address_len(family));
	return true;
}

static void take_link(struct net *net, const struct nlmsghdr *message)
{
	const struct ifinfomsg *info = NLMSG_DATA(message);
	int len = (int)IFLA_PAYLOAD(message);
	const struct rtattr *name = find(IFLA_RTA(info), len, IFLA_IFNAME);
	const struct rtattr *mac = find(IFLA_RTA(info), len, IFLA_ADDRESS);
	struct net_nic *nic = &net->nics[net->n_nics];

	if (net->n_nics == NET_NICS_MAX || info->ifi_flags & IFF_LOOPBACK || !name)
		return;
	nic->index = info->ifi_index;
	snprintf(nic->name, sizeof(nic->name), "%.*s", (int)RTA_PAYLOAD(name),
		 (const char *)RTA_DATA(name));
	strcpy(nic->mac, "-");
	if (mac && RTA_PAYLOAD(mac) == 6 && info->ifi_type == ARPHRD_ETHER) {
		const unsigned char *b = RTA_DATA(mac);

		snprintf(nic->mac, sizeof(nic->mac), "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1],
			 b[2], b[3], b[4], b[5]);
	}
	nic->up = (info->ifi_flags & (IFF_UP | IFF_RUNNING)) == (IFF_UP | IFF_RUNNING);
	net->n_nics++;
}

static const char *origin_of(const struct ifaddrmsg *info, const uint8_t *bytes)
{
	if (info->ifa_family == AF_INET6 && bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80)
		return "link";
	if (info->ifa_flags & IFA_F_PERMANENT)
		return "static";
	if (info->ifa_family == AF_INET)
		return "dhcp";
	return info->ifa_flags & IFA_F_TEMPORARY ? "random" : "-";
}

static void take_addr(struct net *net, const struct nlmsghdr *message)
{
	const struct ifaddrmsg *info = NLMSG_DATA(message);
	int len = (int)IFA_PAYLOAD(message);
	struct net_address *address = &net->addresses[net->n_addresses];
	/* On point-to-point links IFA_ADDRESS is the peer's. */
	const struct rtattr *attr = find(IFA_RTA(info), len, IFA_LOCAL);

	if (!attr)
		attr = find(IFA_RTA(info), len, IFA_ADDRESS);
	if (net->n_addresses == NET_ADDRESSES_MAX ||
	    (info->ifa_family != AF_INET && info->ifa_family != AF_INET6) ||
	    !take_address(attr, info->ifa_family, address->bytes))
		return;
	address->index = (int)info->ifa_index;
	address->family = info->ifa_family;
	address->prefix = info->ifa_prefixlen;
	address->origin = origin_of(info, address->bytes);
	net->n_addresses++;
}

static uint32_t number(const struct rtattr *attr)
{
	uint32_t value = 0;

	if (attr && RTA_PAYLOAD(attr) == sizeof(value))
		memcpy(&value, RTA_DATA(attr), sizeof(value));
	return value;
}

static void take_route(struct net *net, const struct nlmsghdr *message)
{
	const struct rtmsg *info = NLMSG_DATA(message);
	int len = (int)RTM_PAYLOAD(message);
	const struct rtattr *first = RTM_RTA(info);
	const struct rtattr *table = find(first, len, RTA_TABLE);
	struct net_route *route = &net->routes[net->n_routes];

	if (net->n_routes == NET_ROUTES_MAX || info->rtm_type != RTN_UNICAST ||
	    (info->rtm_family != AF_INET && info->rtm_family != AF_INET6) ||
	    (table ? number(table) : info->rtm_table) != RT_TABLE_MAIN)
		return;
	memset(route, 0, sizeof(*route));
	if (info->rtm_dst_len &&
	    !take_address(find(first, len, RTA_DST), info->rtm_family, route->dest))
		return;
	route->family = info->rtm_family;
	route->prefix = info->rtm_dst_len;
	route->index = (int)number(find(first, len, RTA_OIF));
	route->metric = number(find(first, len, RTA_PRIORITY));
	route->has_gateway =
		take_address(find(first, len, RTA_GATEWAY), info->rtm_family, route->gateway);
	net->n_routes++;
}

static void take_message(struct net *net, const struct nlmsghdr *message)
{
	switch (message->nlmsg_type) {
	case RTM_NEWLINK:
		if (message->nlmsg_len >= NLMSG_LENGTH(sizeof(struct ifinfomsg)))
			take_link(net, message);
		break;
	case RTM_NEWADDR:
		if (message->nlmsg_len >= NLMSG_LENGTH(sizeof(struct ifaddrmsg)))
			take_addr(net, message);
		break;
	case RTM_NEWROUTE:
		if (message->nlmsg_len >= NLMSG_LENGTH(sizeof(struct rtmsg)))
			take_route(net, message);
		break;
	default:
		break;
	}
}

static int dump(int fd, uint16_t type, struct net *net)
{
	struct {
		struct nlmsghdr head;
		struct rtgenmsg body;
	} ask = { { NLMSG_LENGTH(sizeof(struct rtgenmsg)), type, NLM_F_REQUEST | NLM_F_DUMP, type,
		    0 },
		  { AF_UNSPEC } };
	g_autofree char *buffer = g_malloc(32768); /* what iproute2 uses: the kernel fills pages */

	if (send(fd, &ask, ask.head.nlmsg_len, 0) < 0)
		return -errno;
	for (;;) {
		ssize_t got = recv(fd, buffer, 32768, 0);
		const struct nlmsghdr *message = (const struct nlmsghdr *)buffer;
		unsigned int left;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		for (left = (unsigned int)got; NLMSG_OK(message, left);
		     message = NLMSG_NEXT(message, left)) {
			if (message->nlmsg_type == NLMSG_DONE)
				return 0;
			if (message->nlmsg_type == NLMSG_ERROR)
				return -EIO;
			take_message(net, message);
		}
	}
}

static int open_netlink(uint32_t groups, int flags)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = groups };
	autofd fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags, NETLINK_ROUTE);

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)))
		return -errno;
	return fd_steal(&fd);
}

int net_events(void)
{
	return open_netlink(RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
				    RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE,
			    SOCK_NONBLOCK);
}

/* Those with hardware behind them: a host has use for the first few, and a guest with containers
 * has hundreds of others. */
static void hardware_first(struct net *net)
{
	size_t first = 0;

	for (size_t i = 0; i < net->n_nics; i++) {
		g_autofree char *path =
			g_strdup_printf("/sys/class/net/%s/device", net->nics[i].name);
		struct net_nic nic = net->nics[i];

		if (access(path, F_OK))
			continue;
		memmove(&net->nics[first + 1], &net->nics[first],
			(i - first) * sizeof(net->nics[0]));
		net->nics[first++] = nic;
	}
}

int net_read(struct net *ret_net)
{
	const struct timeval limit = { REPLY_SECONDS, 0 };
	autofd fd = open_netlink(0, 0);
	int ret;

	memset(ret_net, 0, sizeof(*ret_net));
	if (fd < 0)
		return fd;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	ret = dump(fd, RTM_GETLINK, ret_net);
	if (!ret)
		ret = dump(fd, RTM_GETADDR, ret_net);
	if (!ret)
		ret = dump(fd, RTM_GETROUTE, ret_net);
	hardware_first(ret_net);
	return ret;
}

const struct net_nic *net_nic(const struct net *net, int index)
{
	for (size_t i = 0; i < net->n_nics; i++) {
		if (net->nics[i].index == index)
			return &net->nics[i];
	}
	return NULL;
}

static void add_names(struct fields_builder *out)
{
	g_autofree char *text = NULL;
	g_auto(GStrv) lines = NULL;
	int servers = 0, searches = 0;

	if (!g_file_get_contents(RESOLV_CONF, &text, NULL, NULL))
		return;
	lines = g_strsplit(text, "\n", 256);
	for (char **line = lines; *line; line++) {
		g_auto(GStrv) words = g_strsplit_set(g_strstrip(*line), " \t", SEARCH_MAX + 1);

		if (!g_strcmp0(words[0], "nameserver") && words[1] && servers++ < SERVERS_MAX)
			fields_add(out, "server", words[1]);
		if (g_strcmp0(words[0], "search") && g_strcmp0(words[0], "domain"))
			continue;
		for (char **word = words + 1; *word && searches < SEARCH_MAX; word++) {
			if (**word && !strchr(*word, ' ')) {
				fields_add(out, "search", *word);
				searches++;
			}
		}
	}
}

static void add_address(struct fields_builder *out, const struct net *net,
			const struct net_address *address)
{
	const struct net_nic *nic = net_nic(net, address->index);
	char text[INET6_ADDRSTRLEN] = "";

	if (!nic)
		return;
	(void)inet_ntop(address->family, address->bytes, text, sizeof(text));
	fields_addf(out, "addr", "%s %s %u %s", nic->name, text, address->prefix, address->origin);
}

static void add_route(struct fields_builder *out, const struct net *net,
		      const struct net_route *route)
{
	const struct net_nic *nic = net_nic(net, route->index);
	char dest[INET6_ADDRSTRLEN] = "", gateway[INET6_ADDRSTRLEN] = "-";

	if (!nic)
		return;
	(void)inet_ntop(route->family, route->dest, dest, sizeof(dest));
	if (route->has_gateway)
		(void)inet_ntop(route->family, route->gateway, gateway, sizeof(gateway));
	fields_addf(out, "route", "%s %s %u %s %u", nic->name, dest, route->prefix, gateway,
		    route->metric);
}

void facts_net(struct fields_builder *out)
{
	g_autofree struct net *net = g_new(struct net, 1);

	fields_add(out, "part", "net");
	if (net_read(net))
		return;
	net->n_nics = MIN(net->n_nics, NET_NICS_TOLD);
	for (size_t i = 0; i < net->n_nics; i++)
		fields_addf(out, "nic", "%s %s %s", net->nics[i].name, net->nics[i].mac,
			    net->nics[i].up ? "up" : "down");
	for (size_t i = 0; i < net->n_addresses; i++)
		add_address(out, net, &net->addresses[i]);
	for (size_t i = 0; i < net->n_routes; i++)
		add_route(out, net, &net->routes[i]);
	add_names(out);
}
