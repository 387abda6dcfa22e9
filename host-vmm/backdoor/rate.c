// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How much a guest may ask for in a second.
 *
 * Theory of operation: buckets of tokens that time refills. A session of frames has one of its own.
 * All channels of the I/O ports share one, since any process may open another channel; and of that
 * one, each address space of the guest gets a part, so that one process that floods leaves the rest
 * to the others. The address spaces of the last second are remembered; one that has been still for
 * as long has a full bucket again, which is what a newcomer gets.
 */
#include "host-vmm/backdoor/private.h"

#define SPACE_TOKENS (RPC_TOKENS / 4)

static bool has(struct rpc_bucket *bucket, uint64_t rate, uint64_t now_ms, uint32_t cost)
{
	uint64_t passed = now_ms - bucket->at_ms;

	/* Each time: what was not counted while there was enough would come on top of it later. */
	bucket->tokens += passed < 1000 ? passed * (rate / 1000) : rate;
	if (bucket->tokens > rate)
		bucket->tokens = rate;
	bucket->at_ms = now_ms;
	return bucket->tokens >= cost;
}

/* That of @space, or in place of the one that was still for longest. */
static struct rpc_bucket *bucket_of(struct backdoor *backdoor, uint64_t space, uint64_t now_ms)
{
	struct rpc_payer *payer = &backdoor->payers[0];

	for (size_t i = 0; i < RPC_PAYERS; i++) {
		if (backdoor->payers[i].space == space && backdoor->payers[i].used_ms) {
			payer = &backdoor->payers[i];
			break;
		}
		if (backdoor->payers[i].used_ms < payer->used_ms)
			payer = &backdoor->payers[i];
	}
	if (payer->space != space || !payer->used_ms)
		*payer = (struct rpc_payer){ space, 0, { SPACE_TOKENS, now_ms } };
	payer->used_ms = now_ms;
	return &payer->bucket;
}

bool rate_pay(struct rpc_session *session, uint32_t cost)
{
	struct backdoor *backdoor = session->backdoor;
	bool ports = session->door == RPC_DOOR_IOPORTS;
	struct rpc_bucket *bucket = ports ? &backdoor->ports_bucket : &session->bucket;
	uint64_t now_ms = backdoor_now_ms();

	if (ports) {
		struct rpc_bucket *part = bucket_of(backdoor, session->space, now_ms);

		if (!has(part, SPACE_TOKENS, now_ms, cost) ||
		    !has(bucket, RPC_TOKENS, now_ms, cost))
			return false;
		part->tokens -= cost;
	} else if (!has(bucket, RPC_TOKENS, now_ms, cost)) {
		return false;
	}
	bucket->tokens -= cost;
	return true;
}
