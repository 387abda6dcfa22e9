// SPDX-License-Identifier: GPL-2.0-or-later
// lodge.facts, SetGuestInfo, SetGuestDiskInfo: what the tools tell of their guest.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host-vmm/backdoor/diskinfo.h"
#include "host-vmm/backdoor/facts_fields.h"
#include "host-vmm/backdoor/nicinfo.h"
#include "host-vmm/backdoor/private.h"

/* Beside the tools nobody with less privilege tells anything. */
static struct tools_facts *begin(struct rpc_session *session, struct rpc_reply *reply)
{
	struct tools_facts *facts;

	if (!start_may_tell(session)) {
		reply_static(reply, "0 Permission denied");
		return NULL;
	}
	facts = facts_begin(session->backdoor);
	if (!facts)
		reply_static(reply, "0 the host is out of memory");
	return facts;
}

static void lodge_facts(struct rpc_session *session, const char *arg, size_t len,
			struct rpc_reply *reply)
{
	struct tools_facts *facts;
	unsigned int parts;

	if (fields_check(arg, len) < 0) {
		reply_static(reply, "0 malformed fields");
		return;
	}
	facts = begin(session, reply);
	if (!facts)
		return;
	parts = facts_fields_read(arg, len, facts);
	for (unsigned int i = 0; i < FACTS_PARTS; i++)
		if (parts & 1u << i)
			facts_told(session->backdoor, i);
	reply_static(reply, parts ? REPLY_OK : "0 no part named");
}

/* ---- SetGuestInfo ---- */

/* open-vm-tools services/plugins/guestInfo/guestInfoInt.h, lib/include/guestInfo.h. */
enum {
	INFO_DNS_NAME = 1,
	INFO_BUILD_NUMBER = 4,
	INFO_OS_NAME_FULL = 5,
	INFO_OS_NAME = 6,
	INFO_UPTIME = 7,
	INFO_MEMORY = 8,
	INFO_IPADDRESS_V2 = 9,
	INFO_IPADDRESS_V3 = 10,
	INFO_OS_DETAILED = 11,
};

/* lib/include/hostinfo.h: a version, and room for the short and the full name. */
#define DETAILED_HEAD (4u + 129u + 513u)

static bool set_text(char *to, size_t room, const char *value, size_t len)
{
	backdoor_clean_text(to, room, value, len);
	return true;
}

/* Hundredths of a second since the guest started. */
static bool set_uptime(struct tools_facts *facts, const char *value, size_t len)
{
	uint64_t ticks = 0, now = backdoor_time_ms() / 1000;

	for (size_t i = 0; i < len && value[i] >= '0' && value[i] <= '9' && i < 15; i++)
		ticks = ticks * 10 + (uint64_t)(value[i] - '0');
	facts->boot_time = ticks / 100 < now ? now - ticks / 100 : 0;
	return true;
}

/* key='value' of the text behind two fixed names. */
static void set_detail(const char *details, size_t len, const char *key, char *to, size_t room)
{
	size_t key_len = strlen(key);

	for (size_t i = 0; i + key_len + 2 < len; i++) {
		const char *value, *end;

		if ((i > 0 && details[i - 1] != ' ') || memcmp(details + i, key, key_len) != 0 ||
		    details[i + key_len] != '=' || details[i + key_len + 1] != '\'')
			continue;
		value = details + i + key_len + 2;
		end = memchr(value, '\'', (size_t)(details + len - value));
		if (end)
			backdoor_clean_text(to, room, value, (size_t)(end - value));
		return;
	}
}

static bool set_details(struct tools_facts *facts, const char *value, size_t len)
{
	const char *details = value + DETAILED_HEAD;

	if (len < DETAILED_HEAD)
		return false;
	len -= DETAILED_HEAD;
	/* The compiler's padding of the guest. */
	for (; len > 0 && *details == '\0'; len--)
		details++;
	set_detail(details, len, "prettyName", facts->os_name, sizeof(facts->os_name));
	set_detail(details, len, "distroVersion", facts->os_version, sizeof(facts->os_version));
	set_detail(details, len, "kernelVersion", facts->kernel, sizeof(facts->kernel));
	set_detail(details, len, "architecture", facts->arch, sizeof(facts->arch));
	return true;
}

/* Whether the value could be taken; *ret_part is what it changed. */
static bool set_info(struct tools_facts *facts, unsigned int type, const char *value, size_t len,
		     enum facts_part *ret_part)
{
	*ret_part = FACTS_SYSTEM;
	switch (type) {
	case INFO_DNS_NAME:
		return set_text(facts->hostname, sizeof(facts->hostname), value, len);
	case INFO_OS_NAME_FULL:
		return set_text(facts->os_name, sizeof(facts->os_name), value, len);
	case INFO_OS_NAME:
		return set_text(facts->os_id, sizeof(facts->os_id), value, len);
	case INFO_UPTIME:
		return set_uptime(facts, value, len);
	case INFO_OS_DETAILED:
		return set_details(facts, value, len);
	case INFO_IPADDRESS_V2:
	case INFO_IPADDRESS_V3:
		*ret_part = FACTS_NET;
		return nicinfo_parse(value, len, facts) == 0;
	case INFO_BUILD_NUMBER:
	case INFO_MEMORY:
		*ret_part = FACTS_PARTS; /* taken, and of no use yet */
		return true;
	default:
		return false;
	}
}

/* "  TYPE VALUE": two blanks behind the word, of which one is left here. */
static void set_guest_info(struct rpc_session *session, const char *arg, size_t len,
			   struct rpc_reply *reply)
{
	struct tools_facts *facts;
	enum facts_part part;
	unsigned int type = 0;
	size_t at = 0;

	while (at < len && arg[at] == ' ')
		at++;
	for (size_t digits = 0; at < len && arg[at] >= '0' && arg[at] <= '9' && digits < 3;
	     at++, digits++)
		type = type * 10 + (unsigned int)(arg[at] - '0');
	if (at == len || arg[at] != ' ') {
		reply_static(reply, "0 malformed");
		return;
	}
	at++;
	facts = begin(session, reply);
	if (!facts)
		return;
	if (!set_info(facts, type, arg + at, len - at, &part)) {
		reply_static(reply, "0 not taken");
		return;
	}
	if (part != FACTS_PARTS)
		facts_told(session->backdoor, part);
	/* The guest takes anything but an empty payload for a failure. */
	reply_static(reply, REPLY_OK);
}

static void set_guest_disk_info(struct rpc_session *session, const char *arg, size_t len,
				struct rpc_reply *reply)
{
	struct tools_facts *facts = begin(session, reply);

	if (!facts)
		return;
	if (diskinfo_parse(arg, len, facts) < 0) {
		reply_static(reply, "0 malformed");
		return;
	}
	facts_told(session->backdoor, FACTS_DISKS);
	reply_static(reply, REPLY_OK);
}

#define BY_TOOLS (RPC_BY_ROOT | RPC_BY_PORTS)
#define INFO_MAX (256u << 10)

const struct rpc_word words_guest[] = {
	{ "lodge.facts", BY_TOOLS, RPC_COST_WRITE, 64u << 10, lodge_facts },
	{ "SetGuestInfo", BY_TOOLS, RPC_COST_WRITE, INFO_MAX, set_guest_info },
	{ "SetGuestDiskInfo", BY_TOOLS, RPC_COST_WRITE, INFO_MAX, set_guest_disk_info },
	{ NULL, 0, 0, 0, NULL },
};
