/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is told of this guest: collectors, each filling in the fields of one part of
 * protocol/spec/facts.md, "part" included. They read the system anew at each call.
 */
#ifndef LODGE_GUEST_FACTS_H
#define LODGE_GUEST_FACTS_H

#include <glib.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "protocol/lib/fields.h"

void facts_system(struct fields_builder *out);
void facts_load(struct fields_builder *out);
void facts_users(struct fields_builder *out);
/* Asks each file system how full it is, which may hang as long as its server does: for a child. */
void facts_disks(struct fields_builder *out);
void facts_net(struct fields_builder *out);

/* os-release(5)'s value of @key, g_free(); NULL where there is none. */
char *facts_os_release(const char *key);

/* The network as the kernel has it. What is told of it: host-vmm's limits, which are
 * open-vm-tools'. */
#define NET_NICS_TOLD	  16
#define NET_NICS_MAX	  256
#define NET_ADDRESSES_MAX 512
#define NET_ROUTES_MAX	  100

struct net_nic {
	int index;
	char name[16]; /* IFNAMSIZ */
	char mac[18]; /* "52:54:00:12:34:56", or "-" */
	bool up;
};

struct net_address {
	int index; /* of its nic */
	int family; /* AF_INET, AF_INET6 */
	uint8_t bytes[16];
	uint8_t prefix;
	const char *origin; /* "dhcp", "static", "link", "random", "-" */
};

struct net_route {
	int index; /* of its nic */
	int family;
	uint8_t dest[16], gateway[16];
	uint8_t prefix;
	bool has_gateway;
	uint32_t metric;
};

struct net {
	size_t n_nics, n_addresses, n_routes;
	struct net_nic nics[NET_NICS_MAX];
	struct net_address addresses[NET_ADDRESSES_MAX];
	struct net_route routes[NET_ROUTES_MAX];
};

/* Links but loopback, those with hardware first; their addresses, the main table's routes. -errno
 * of the netlink socket. */
int net_read(struct net *ret_net);
const struct net_nic *net_nic(const struct net *net, int index);
/* A socket that is readable when any of it has changed; non-blocking. */
int net_events(void);

#endif
