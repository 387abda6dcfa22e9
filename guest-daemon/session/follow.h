/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When a desktop session must set the resolution itself, and when somebody else does.
 *
 * The display device says what each head should be: the preferred mode of the output. Desktops
 * follow that by themselves; plain window managers do not. Who follows is found out by waiting: if
 * nobody has set the wanted mode some time after it changed, the follower does, once. A mode that
 * somebody sets instead of the wanted one is that one's decision, and stays until the next
 * change of the wanted mode. Somebody who overrules the follower twice is left alone for good.
 *
 * No clocks, no X: the caller gives times and facts. One thread.
 */
#ifndef LODGE_SESSION_FOLLOW_H
#define LODGE_SESSION_FOLLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FOLLOW_OUTPUTS_MAX  16u
#define FOLLOW_GRACE_MS	    400u /* for others to act, where none has been seen to */
#define FOLLOW_PATIENCE_MS  3000u /* the same where one has */
#define FOLLOW_OVERRULED_MS 2000u /* an answer to our mode within this is a quarrel */
#define FOLLOW_QUARRELS	    2u

struct follow_size {
	uint32_t width, height; /* pixels; 0 x 0: off */
};

/* An output as it is now; its id stays the same for its life. */
struct follow_output {
	uint64_t id;
	struct follow_size wanted; /* the preferred mode; 0 x 0: nothing is connected */
	struct follow_size now;
};

struct follow_memory {
	uint64_t id;
	struct follow_size wanted, now;
	uint64_t since_ms; /* when wanted became this */
	uint64_t set_ms; /* when we set it; 0: we did not */
	bool open; /* nobody has answered this wish */
	bool seen; /* in the call before */
};

enum follow_owner {
	FOLLOW_NOBODY = 0, /* no wish has been answered */
	FOLLOW_US = 1,
	FOLLOW_OTHERS = 2,
};

struct follower {
	struct follow_memory memory[FOLLOW_OUTPUTS_MAX];
	size_t n;
	enum follow_owner owner; /* who answered the last wish */
	unsigned int quarrels;
};

struct follow_verdict {
	bool act; /* set every output that is open to what it wants, then call follow_acted() */
	uint64_t wait_ms; /* else: look again in so long; 0: when something changes */
};

/* Outputs beyond FOLLOW_OUTPUTS_MAX are not looked at. */
struct follow_verdict follow_look(struct follower *follower, const struct follow_output *outputs,
				  size_t n, uint64_t now_ms);
/* Whether nobody has answered what this output wants: the others keep the mode that they have. */
bool follow_is_open(const struct follower *follower, uint64_t id);
/* The modes were set, or could not be (@done is false): it is not tried again for this wish. */
void follow_acted(struct follower *follower, bool done, uint64_t now_ms);
/* Whether somebody else has overruled us so often that we set nothing any more. */
bool follow_gave_up(const struct follower *follower);

#endif
