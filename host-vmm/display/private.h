/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The display's parts among themselves. All on its loop.
 *
 * Theory of operation. Sources change state (layers, damage, cursors) as often as the guest likes;
 * that costs a few stores. What costs more, copies, memory for a new mode and messages, is done in
 * turns (pace.c), at most 60 a second for a head, and only for heads that somebody looks at. One
 * timer wakes the loop for the next turn that is due; where nothing is due it is off.
 */
#ifndef LODGE_VMM_DISPLAY_PRIVATE_H
#define LODGE_VMM_DISPLAY_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "host-vmm/display/display.h"
#include "host-vmm/display/region.h"
#include "host-vmm/display/segment.h"
#include "host-vmm/display/viewer.h"
#include "protocol/lib/log.h"

#define DISPLAY_MS	    1000000ll /* in nanoseconds, as all times here */
#define DISPLAY_FRAME_NS    (1000 * DISPLAY_MS / 60)
#define DISPLAY_TELL_NS	    (100 * DISPLAY_MS) /* between two sizes that the guest is told */
#define DISPLAY_OFF_NS	    (50 * DISPLAY_MS) /* a mode set's moment without a picture */
#define DISPLAY_UNPLUG_NS   (2000 * DISPLAY_MS) /* at most, for a guest that takes no notice */
#define DISPLAY_WAITERS_MAX 64
#define DISPLAY_COPIES	    2 /* times [display] memory: while modes change, old and new ones */
#define DISPLAY_NEVER	    INT64_MAX

enum owed {
	OWED_FRAME = 1 << 0,
	OWED_CURSOR = 1 << 1,
	OWED_CURSOR_AT = 1 << 2,
	OWED_DAMAGE = 1 << 3, /* all of the picture */
};

struct display_head {
	struct display_picture layers[DISPLAY_LAYERS];
	bool set[DISPLAY_LAYERS], held[DISPLAY_LAYERS];
	const struct display_picture *top; /* of layers, or NULL: the head is off */
	uint32_t watchers;

	/* What viewers have; only while there are any. */
	struct segment *segment;
	struct display_view view;
	bool mode_changed; /* the view is not that of the top layer */
	struct region damage;
	uint32_t serial; /* of the last damage told */
	bool busy; /* some have not shown it, and until: */
	int64_t busy_until;
	int64_t next_frame; /* earliest */
	int64_t off_until; /* the picture that went stays in view, in case another one comes */

	int64_t last_done; /* of display_when_shown() */

	struct display_cursor cursor;
	uint32_t *cursor_argb;
	uint32_t cursor_x, cursor_y;
	uint8_t cursor_changed; /* OWED_CURSOR, OWED_CURSOR_AT */
	int64_t next_cursor;

	struct display_want want; /* as the guest was told */
	struct display_want asked; /* place and all not yet worked out */
	bool unplugged; /* as far as the guest knows, until: */
	int64_t plug_at;
	uint32_t replug_width, replug_height; /* what it was done for last */

	uint64_t mode_sets, frames, copied_bytes;
	uint32_t last_width, last_height; /* for mode_sets */
};

struct display_waiter {
	unsigned int head;
	uint32_t serial; /* of the damage that is to be shown */
	uint64_t number;
	int64_t deadline;
	void (*done)(void *opaque);
	void *opaque;
};

struct display {
	struct loop *loop;
	unsigned int n_heads;
	uint64_t memory;
	struct display_head heads[LODGE_DISPLAY_HEADS_MAX];
	struct display_viewer *viewers;

	struct display_waiter waiters[DISPLAY_WAITERS_MAX];
	unsigned int n_waiters;
	uint64_t waiter_number;

	bool want_waits; /* asked is not yet want */
	int64_t next_tell;
	void (*changed)(void *opaque);
	void *changed_opaque;

	int timer_fd;
	int64_t timer_at; /* when it goes off; DISPLAY_NEVER: it is off */
	struct loop_source *timer;
	struct log_ratelimit limit;
	uint8_t line[LODGE_DISPLAY_SIDE_MAX * 4]; /* of a format that must be converted */
};

int64_t display_now(void);

/* pace.c */
int display_pace_start(struct display *display);
void display_pace_stop(struct display *display);
/* Something changed: the timer is set for the turn that is due next. */
void display_pace(struct display *display);

/* fetch.c: copies the damaged pixels of the top layer into the head's segment. */
void display_fetch(struct display *display, struct display_head *head);

/* viewers.c */
void display_owe(struct display *display, unsigned int head, uint8_t what);
/* The damage that has just been fetched, to all who can take it. */
void display_tell_damage(struct display *display, unsigned int head);
/* All who look at the head are done with its last damage. */
void display_release(struct display *display, unsigned int head);

/* want.c */
void display_want_start(struct display *display);
/* When the guest is to be told something; DISPLAY_NEVER. */
int64_t display_want_due(const struct display *display);
void display_want_turn(struct display *display, int64_t now);
/* The guest has taken its picture from a head that it takes for unplugged: it may come again. */
void display_want_seen(struct display_head *head, int64_t now);

#endif
