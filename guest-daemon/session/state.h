/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What lodge-session tells lodge-toolbox: a file in the user's run-time folder.
 *
 * Fields of one line each: "owner=lodge-session|another program|nobody", in Wayland sessions
 * "server=COMMAND" of the compositor, then for each output "output=NAME WIDTHxHEIGHT WIDTHxHEIGHT":
 * what it shows, and what the display asks for.
 */
#ifndef LODGE_SESSION_STATE_H
#define LODGE_SESSION_STATE_H

#include <stddef.h>

#include "guest-daemon/session/desktop.h"

/* g_free(). */
char *state_text(struct desktop *desktop, const struct follower *follower,
		 const struct follow_output *outputs, size_t n);
/* Without a run-time folder, nothing. */
void state_write(const char *text);
void state_remove(void);

#endif
