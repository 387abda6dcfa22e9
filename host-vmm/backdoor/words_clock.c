// SPDX-License-Identifier: GPL-2.0-or-later
// lodge.clock: the host's time, for tools of guests that have no clock page or cannot read it.
#include <inttypes.h>
#include <time.h>

#include "host-vmm/backdoor/private.h"

#define NS_PER_S INT64_C(1000000000)

static void lodge_clock(struct rpc_session *session, const char *arg, size_t len,
			struct rpc_reply *reply)
{
	struct fields_builder fields = FIELDS_BUILDER(256);
	struct host_clock clock;

	(void)arg;
	(void)len;
	if (host_clock_read(1, &clock) < 0) {
		reply_static(reply, "0 the host's clock cannot be read");
		return;
	}
	fields_addf(&fields, "seconds", "%" PRId64, clock.realtime / NS_PER_S);
	fields_addf(&fields, "nanoseconds", "%" PRId64, clock.realtime % NS_PER_S);
	if (clock.synchronized)
		fields_addf(&fields, "maxerror", "%" PRId64, clock.maxerror);
	if (*session->backdoor->zone)
		fields_add(&fields, "zone", session->backdoor->zone);
	reply_fields(reply, &fields);
}

const struct rpc_word words_clock[] = {
	{ "lodge.clock", RPC_BY_ALL, RPC_COST_READ, 0, lodge_clock },
	{ NULL, 0, 0, 0, NULL },
};
