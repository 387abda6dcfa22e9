// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * When a session must set the resolution itself (follow.h has the rules).
 */
#include "guest-daemon/session/follow.h"

#include <string.h>

static bool same(struct follow_size a, struct follow_size b)
{
	return a.width == b.width && a.height == b.height;
}

static struct follow_memory *remember(struct follower *follower, const struct follow_output *output,
				      uint64_t now_ms)
{
	struct follow_memory *memory;

	for (size_t i = 0; i < follower->n; i++) {
		if (follower->memory[i].id == output->id)
			return &follower->memory[i];
	}
	if (follower->n == FOLLOW_OUTPUTS_MAX)
		return NULL;
	memory = &follower->memory[follower->n++];
	*memory = (struct follow_memory){
		.id = output->id,
		.wanted = output->wanted,
		.now = output->now,
		.since_ms = now_ms,
		.open = !same(output->wanted, output->now),
	};
	return memory;
}

/* The mode changed to something that we did not set. */
static void somebody_set(struct follower *follower, struct follow_memory *memory, uint64_t now_ms)
{
	if (same(memory->now, memory->wanted)) {
		if (memory->open)
			follower->owner = FOLLOW_OTHERS;
	} else if (memory->set_ms && now_ms - memory->set_ms <= FOLLOW_OVERRULED_MS) {
		follower->quarrels++;
		follower->owner = FOLLOW_OTHERS;
	}
	memory->open = false;
	memory->set_ms = 0;
}

static void look_at(struct follower *follower, struct follow_memory *memory,
		    const struct follow_output *output, uint64_t now_ms)
{
	bool wish = !same(memory->wanted, output->wanted);
	bool set = !same(memory->now, output->now);

	memory->seen = true;
	if (wish) {
		memory->wanted = output->wanted;
		memory->since_ms = now_ms;
		memory->open = true;
	}
	memory->now = output->now;
	/* Another mode that comes together with a wish answers the one before. */
	if (set && (!wish || same(memory->now, memory->wanted)))
		somebody_set(follower, memory, now_ms);
	if (same(memory->now, memory->wanted))
		memory->open = false;
}

static void forget_unseen(struct follower *follower)
{
	size_t kept = 0;

	for (size_t i = 0; i < follower->n; i++) {
		if (follower->memory[i].seen)
			follower->memory[kept++] = follower->memory[i];
	}
	follower->n = kept;
}

struct follow_verdict follow_look(struct follower *follower, const struct follow_output *outputs,
				  size_t n, uint64_t now_ms)
{
	struct follow_verdict verdict = { 0 };
	uint64_t patience, waited;

	for (size_t i = 0; i < follower->n; i++)
		follower->memory[i].seen = false;
	for (size_t i = 0; i < n; i++) {
		struct follow_memory *memory = remember(follower, &outputs[i], now_ms);

		if (memory)
			look_at(follower, memory, &outputs[i], now_ms);
	}
	forget_unseen(follower);
	if (follow_gave_up(follower))
		return verdict;

	patience = follower->owner == FOLLOW_OTHERS ? FOLLOW_PATIENCE_MS : FOLLOW_GRACE_MS;
	for (size_t i = 0; i < follower->n; i++) {
		if (!follower->memory[i].open)
			continue;
		waited = now_ms - follower->memory[i].since_ms;
		if (waited >= patience)
			verdict.act = true;
		else if (!verdict.wait_ms || patience - waited < verdict.wait_ms)
			verdict.wait_ms = patience - waited;
	}
	return verdict;
}

bool follow_is_open(const struct follower *follower, uint64_t id)
{
	for (size_t i = 0; i < follower->n; i++) {
		if (follower->memory[i].id == id)
			return follower->memory[i].open;
	}
	return false;
}

void follow_acted(struct follower *follower, bool done, uint64_t now_ms)
{
	for (size_t i = 0; i < follower->n; i++) {
		struct follow_memory *memory = &follower->memory[i];

		if (!memory->open)
			continue;
		memory->open = false;
		if (!done)
			continue;
		memory->now = memory->wanted;
		memory->set_ms = now_ms ? now_ms : 1;
		follower->owner = FOLLOW_US;
	}
}

bool follow_gave_up(const struct follower *follower)
{
	return follower->quarrels >= FOLLOW_QUARRELS;
}
