// SPDX-License-Identifier: GPL-2.0-or-later
// What the tools tell of themselves: capabilities, versions, states of power.
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lodge/display.h>
#include <lodge/fs_stream.h>

#include "host-vmm/backdoor/private.h"

/* Known, and nothing depends on it: the guest hears that it was taken. */
static void taken(struct rpc_session *session, const char *arg, size_t len, struct rpc_reply *reply)
{
	(void)session;
	(void)arg;
	(void)len;
	reply_static(reply, REPLY_OK);
}

/* A request of the I/O ports comes by a channel of its own, and is meant for those that are
 * commanded there. */
static void statechange(struct rpc_session *session, const char *arg, size_t len,
			struct rpc_reply *reply)
{
	(void)arg;
	(void)len;
	session->statechange = true;
	if (session->door == RPC_DOOR_IOPORTS)
		for (struct rpc_session *other = session->backdoor->sessions; other;
		     other = other->next)
			if (other->door == RPC_DOOR_IOPORTS && other->commanded &&
			    other->privilege <= session->privilege)
				other->statechange = true;
	reply_static(reply, REPLY_OK);
}

static void statechange_status(struct rpc_session *session, const char *arg, size_t len,
			       struct rpc_reply *reply)
{
	/* Ids of open-vm-tools. */
	static const char *const names[] = {
		NULL, "halt", "reboot", "power-on", "resume", "suspend"
	};
	struct fields_builder fields = FIELDS_BUILDER(128);

	/* "<1|0> <id>": one digit each. */
	while (len > 0 && (arg[len - 1] == '\0' || arg[len - 1] == ' '))
		len--;
	if (len != 3 || (arg[0] != '0' && arg[0] != '1') || arg[1] != ' ' || arg[2] < '1' ||
	    arg[2] > '5') {
		reply_static(reply, "0 malformed");
		return;
	}
	if (!start_may_tell(session)) {
		reply_static(reply, "0 Permission denied");
		return;
	}
	fields_add(&fields, "what", names[arg[2] - '0']);
	fields_add(&fields, "ok", arg[0] == '1' ? "yes" : "no");
	deliver_event(session->backdoor, "power", &fields);
	reply_static(reply, REPLY_OK);
}

/* "synctime OLD NEW", from a user's vmware-toolbox-cmd: of the options this one is the guest's. */
static void set_option(struct rpc_session *session, const char *arg, size_t len,
		       struct rpc_reply *reply)
{
	static const char name[] = "synctime ";
	const size_t name_len = sizeof(name) - 1;

	while (len > 0 && (arg[len - 1] == '\0' || arg[len - 1] == ' '))
		len--;
	if (len != name_len + 3 || memcmp(arg, name, name_len) != 0 || arg[name_len + 1] != ' ' ||
	    (arg[name_len + 2] != '0' && arg[name_len + 2] != '1')) {
		reply_static(reply, "0 Unknown option");
		return;
	}
	if (!start_may_tell(session)) {
		reply_static(reply, "0 Permission denied");
		return;
	}
	session->backdoor->synctime = arg[name_len + 2];
	start_push_option(session->backdoor, "synctime");
	reply_static(reply, REPLY_OK);
}

static void no(struct rpc_session *session, const char *arg, size_t len, struct rpc_reply *reply)
{
	(void)session;
	(void)arg;
	(void)len;
	reply_static(reply, "1 0");
}

/*
 * What VMware's guest SDK and `vmware-toolbox-cmd stat` ask. Source: open-vm-tools
 * lib/include/vmGuestLibInt.h; the list is XDR.
 */
#define GUESTLIB_VERSION 3u /* the only one: statistics as a counted list */

struct guestlib_info {
	uint32_t version; /* little-endian, up to list_size */
	uint64_t session_id;
	uint32_t list_size; /* bytes */
	uint32_t list_count; /* 0: Lodge has no reservations, limits or shares to tell */
} __attribute__((packed));

static void guestlib_info(struct rpc_session *session, const char *arg, size_t len,
			  struct rpc_reply *reply)
{
	const struct guestlib_info info = {
		.version = htole32(GUESTLIB_VERSION),
		.session_id = htole64(session->backdoor->session_id),
		.list_size = htole32(sizeof(info.list_count)),
	};

	while (len > 0 && (arg[len - 1] == '\0' || arg[len - 1] == ' '))
		len--;
	if (len == 1 && arg[0] == '0' + GUESTLIB_VERSION)
		reply_bytes(reply, REPLY_OK, &info, sizeof(info));
	else
		reply_static(reply, "0 3: no such version");
}

/* What another part of the monitor answers: that the tools ask, and at which door. */
static void deliver_wish(struct rpc_session *session, const char *event, struct rpc_reply *reply)
{
	struct fields_builder fields = FIELDS_BUILDER(64);

	fields_add(&fields, "door", rpc_door_name(session->door));
	deliver_event(session->backdoor, event, &fields);
	reply_static(reply, REPLY_OK);
}

/* For a guest without a driver for the shares: what becomes of it is a command (fs-stream.md). */
static void shares_wanted(struct rpc_session *session, const char *arg, size_t len,
			  struct rpc_reply *reply)
{
	(void)arg;
	(void)len;
	deliver_wish(session, "shares-wanted", reply);
}

/* The size that the display asks for was not taken by a program that takes those of new monitors.
 */
static void display_replug(struct rpc_session *session, const char *arg, size_t len,
			   struct rpc_reply *reply)
{
	(void)arg;
	(void)len;
	deliver_wish(session, "display-replug", reply);
}

#define BY_TOOLS (RPC_BY_ROOT | RPC_BY_PORTS)
#define TEXT_MAX 4096

const struct rpc_word words_tools[] = {
	{ "guestlib.info.get", RPC_BY_ALL, RPC_COST_READ, 16, guestlib_info },
	{ "tools.capability.statechange", BY_TOOLS, RPC_COST_WRITE, TEXT_MAX, statechange },
	{ "tools.capability.softpowerop_retry", BY_TOOLS, RPC_COST_READ, TEXT_MAX, taken },
	{ "tools.capability.hgfs_server", BY_TOOLS, RPC_COST_READ, TEXT_MAX, taken },
	{ "tools.capability.features", BY_TOOLS, RPC_COST_READ, TEXT_MAX, taken },
	{ "tools.capability.guest_conf_directory", BY_TOOLS, RPC_COST_READ, TEXT_MAX, taken },
	{ "tools.capability.resolution_set", BY_TOOLS, RPC_COST_READ, TEXT_MAX, taken },
	{ "tools.capability.resolution_server", BY_TOOLS, RPC_COST_READ, TEXT_MAX, taken },
	{ "tools.capability.display_topology_set", BY_TOOLS, RPC_COST_READ, TEXT_MAX, taken },
	{ "tools.capability.display_global_offset", BY_TOOLS, RPC_COST_READ, TEXT_MAX, taken },
	{ LODGE_FS_STREAM_CONNECT, RPC_BY_ROOT, RPC_COST_WRITE, 16, shares_wanted },
	{ LODGE_DISPLAY_REPLUG_WORD, RPC_BY_ROOT, RPC_COST_WRITE, 16, display_replug },
	{ "tools.set.version", BY_TOOLS, RPC_COST_READ, TEXT_MAX, taken },
	{ "tools.set.versiontype", BY_TOOLS, RPC_COST_READ, TEXT_MAX, taken },
	{ "tools.os.statechange.status", BY_TOOLS, RPC_COST_WRITE, TEXT_MAX, statechange_status },
	{ "update.tools.health", BY_TOOLS, RPC_COST_READ, TEXT_MAX, taken },
	{ "vmx.capability.unified_loop", BY_TOOLS, RPC_COST_READ, TEXT_MAX, taken },
	{ "vmx.capability.tools_is_upgradable", RPC_BY_ALL, RPC_COST_READ, TEXT_MAX, no },
	{ "vmx.set_option", BY_TOOLS, RPC_COST_WRITE, TEXT_MAX, set_option },
	{ NULL, 0, 0, 0, NULL },
};
