/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a guest's tools have told of it: protocol/spec/facts.md, and SetGuestInfo of VMware's tools.
 *
 * One flat struct with limits, so that a copy is a memcpy and nothing in it can dangle. All text is
 * UTF-8 without control characters, cut where it was too long, NUL-terminated; "" and 0 are "not
 * told".
 */
#ifndef LODGE_VMM_FACTS_H
#define LODGE_VMM_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Limits: the first two from open-vm-tools' NIC information (16 NICs, 100 routes). */
#define FACTS_NICS_MAX	    16
#define FACTS_ROUTES_MAX    100
#define FACTS_ADDRESSES_MAX 32 /* of a NIC */
#define FACTS_SERVERS_MAX   16
#define FACTS_SEARCH_MAX    10
#define FACTS_DISKS_MAX	    64
#define FACTS_USERS_MAX	    64

enum facts_part {
	FACTS_SYSTEM = 0,
	FACTS_NET = 1,
	FACTS_DISKS = 2,
	FACTS_LOAD = 3,
	FACTS_USERS = 4,
	FACTS_SHARES = 5,
	FACTS_DISPLAY = 6,
	FACTS_CLOCK = 7,
	FACTS_PARTS = 8,
};

/* "system", "net", ... */
extern const char *const facts_part_names[FACTS_PARTS];

struct facts_address {
	char text[64]; /* "10.0.2.15", "fe80::1%eth0" */
	uint8_t prefix; /* bits */
	char origin[12]; /* "dhcp", "static", "link", "random", "" */
};

struct facts_nic {
	char name[32]; /* of the guest's; VMware's tools do not tell it */
	char mac[18]; /* "52:54:00:12:34:56", lower case, or "" */
	bool up;
	size_t n_addresses;
	struct facts_address addresses[FACTS_ADDRESSES_MAX]; /* IPv4 first */
};

struct facts_route {
	char dest[64]; /* "0.0.0.0", "::" is the default */
	uint8_t prefix;
	char gateway[64]; /* or "" */
	uint32_t nic; /* index of nics; FACTS_NICS_MAX: of none there */
	uint32_t metric;
};

struct facts_disk {
	char mount[256]; /* "/", "/home" */
	char device[128];
	char fstype[32];
	uint64_t size, free; /* bytes */
};

struct facts_user {
	char name[64];
	char tty[32];
	char from[64];
	uint64_t since; /* seconds since 1970 */
};

struct tools_facts {
	uint64_t told[FACTS_PARTS]; /* seconds since 1970; 0: not told */

	/* system */
	char hostname[256];
	char os_id[64]; /* "debian"; VMware's short name from its tools */
	char os_name[256]; /* "Debian GNU/Linux 12 (bookworm)" */
	char os_version[64];
	char kernel[128]; /* release: "6.1.0-28-amd64" */
	char arch[32];
	uint64_t boot_time; /* seconds since 1970 */

	/* net: NICs with a default route first, by its metric */
	size_t n_nics, n_routes, n_servers, n_search;
	struct facts_nic nics[FACTS_NICS_MAX];
	struct facts_route routes[FACTS_ROUTES_MAX];
	char servers[FACTS_SERVERS_MAX][64]; /* of names */
	char search[FACTS_SEARCH_MAX][256];

	size_t n_disks;
	struct facts_disk disks[FACTS_DISKS_MAX];

	/* load */
	double load[3]; /* 1, 5, 15 minutes */
	uint64_t memory_total, memory_available; /* bytes */
	uint32_t processes;

	size_t n_users;
	struct facts_user users[FACTS_USERS_MAX];

	/* shares */
	char shares_mount[256]; /* where they are; "": nowhere */
	char shares_by[32]; /* "virtiofs", "lodge_fs", "rpc" */
	char shares_changes[16]; /* "asked", "raised"; "" where they are not told of */
	char shares_why[256]; /* what is wrong, or "" */

	/* display */
	char display_driver[32]; /* "virtio_gpu", "lodge_display"; "": none */
	char display_owner[32]; /* who sets the resolution: "console", "lodge-session", "program",
				   "nobody", "unknown" */
	char display_program[64]; /* which program it is, or has the screen; "" */
	char display_why[256]; /* what is not as asked, or "" */

	/* clock */
	char clock_owner[32]; /* who keeps the guest's: "lodged", "chrony", ..., "nobody" */
	char clock_by[32]; /* what lodged knows the host's time by: "lodge_clock", "rpc"; "" */
	bool clock_known; /* the next ones are */
	int64_t clock_offset; /* ns that the host's clock was ahead when it was last looked at */
	uint64_t clock_steps; /* that lodged made */
};

/* The address to reach the guest by: the first IPv4 one that is neither loopback nor link-local of
 * the first NIC that has one, else IPv6 alike. NULL: none. */
const char *facts_best_address(const struct tools_facts *facts);

#endif
