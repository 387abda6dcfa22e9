/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pumps between a stream of the door and a descriptor of a child: as many bytes on the way as the
 * stream's credit, and no more.
 */
#ifndef LODGE_GUEST_PUMP_H
#define LODGE_GUEST_PUMP_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "guest-daemon/lib/door.h"

struct pump {
	enum door_direction direction;
	struct door_stream *stream; /* NULL: over */
	int fd; /* ours; -1: over */
	guint source;
	uint64_t bytes; /* that went through */
	int64_t left; /* OUT: bytes until the end; -1: until end of file */
	GByteArray *held; /* IN: bytes that the descriptor did not take yet */
	bool at_end; /* IN: the stream's last bytes are held; OUT: so is the end of the stream */
	bool hold_end; /* OUT: the stream ends by pump_release() */
	bool keep_fd; /* IN: the end of the stream leaves the descriptor open (terminals) */
	bool reset; /* by the host, or the door was lost */
	/* When it is over, or was reset. Not from inside pump_start() or pump_stop(). */
	void (*over)(void *opaque, struct pump *pump);
	void *opaque;
};

/* An idle pump: stream NULL, fd -1. */
void pump_init(struct pump *pump, enum door_direction direction,
	       void (*over)(void *opaque, struct pump *pump), void *opaque);
/* Takes @number, a stream of @door. As door_stream_open(). */
int pump_open(struct pump *pump, struct door *door, uint32_t number);
/* Takes @fd, which becomes non-blocking, and moves what can move. */
void pump_start(struct pump *pump, int fd);
/* OUT: what is in the pipe now is the last. */
void pump_finish(struct pump *pump);
/* OUT, with hold_end: ends the stream, or resets it for @reason where that is not NULL. */
void pump_release(struct pump *pump, const char *reason);
bool pump_is_over(const struct pump *pump);
/* The stream, if it is still open, is reset with @reason. */
void pump_stop(struct pump *pump, const char *reason);

#endif
