// SPDX-License-Identifier: GPL-2.0-or-later
// lodge.memory: how long the guest's programs wait for memory; lodge.balloon: how much of it the
// host has (protocol/spec/balloon.md).
#include <errno.h>
#include <inttypes.h>

#include "host-vmm/backdoor/private.h"

/* The daemon tells each second while programs wait, and nothing while none does. */
#define CALM_MS	       3000
#define STALL_PERMILLE 100u

static void memory(struct rpc_session *session, const char *arg, size_t len,
		   struct rpc_reply *reply)
{
	struct backdoor *backdoor = session->backdoor;
	struct fields_builder fields = FIELDS_BUILDER(256);
	uint64_t permille;

	if (fields_check(arg, len) || fields_number(arg, len, "permille", 1000, &permille)) {
		reply_static(reply, "0 malformed");
		return;
	}
	if (permille >= STALL_PERMILLE && backdoor->stall.permille < STALL_PERMILLE) {
		fields_addf(&fields, "permille", "%u", (unsigned int)permille);
		deliver_event(backdoor, "memory-stall", &fields);
	}
	backdoor->stall.permille = (unsigned int)permille;
	backdoor->stall.at_ms = backdoor_now_ms();
	reply_static(reply, REPLY_OK);
}

static void balloon(struct rpc_session *session, const char *arg, size_t len,
		    struct rpc_reply *reply)
{
	struct backdoor *backdoor = session->backdoor;
	struct fields_builder fields = FIELDS_BUILDER(256);
	struct tools_balloon figures;

	(void)arg;
	(void)len;
	if (!backdoor->balloon || backdoor->balloon(backdoor->balloon_opaque, &figures)) {
		reply_static(reply, "0 this VM has no balloon");
		return;
	}
	fields_addf(&fields, "given", "%" PRIu64, figures.given);
	fields_addf(&fields, "target", "%" PRIu64, figures.target);
	fields_addf(&fields, "size", "%" PRIu64, figures.size);
	reply_fields(reply, &fields);
}

const struct rpc_word words_memory[] = {
	{ "lodge.memory", RPC_BY_ROOT, RPC_COST_WRITE, 256, memory },
	{ "lodge.balloon", RPC_BY_ALL, RPC_COST_READ, 0, balloon },
	{ NULL, 0, 0, 0, NULL },
};

int tools_get_stall(struct backdoor *backdoor, unsigned int *ret_permille)
{
	uint64_t age;
	int ret = -ENODATA;

	backdoor_lock(backdoor);
	if (backdoor->tools.up && backdoor->stall.at_ms) {
		age = backdoor_now_ms() - backdoor->stall.at_ms;
		*ret_permille = age > CALM_MS ? 0 : backdoor->stall.permille;
		ret = 0;
	}
	backdoor_unlock(backdoor);
	return ret;
}

void tools_balloon_source(struct backdoor *backdoor, tools_balloon_fn fn, void *opaque)
{
	backdoor_lock(backdoor);
	backdoor->balloon = fn;
	backdoor->balloon_opaque = opaque;
	backdoor_unlock(backdoor);
}
