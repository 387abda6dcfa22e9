/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The outputs of an X server, by RandR 1.3 or newer, and setting their modes.
 *
 * Only outputs that Lodge's display device made are touched: their EDID says so. One thread, that
 * which opened the display.
 */
#ifndef LODGE_SESSION_SCREEN_H
#define LODGE_SESSION_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

#include "guest-daemon/session/follow.h"

struct screen;

/*
 * -ENOTCONN: no X server answers there. -EOPNOTSUPP: it has no RandR 1.3, or it is XWayland, whose
 * modes are the Wayland compositor's. -EALREADY: another lodge-session serves it. @any: outputs of
 * other makers, too.
 */
int screen_open(const char *display, bool any, struct screen **ret_screen);
void screen_close(struct screen *screen);
/* To be polled for reading; then screen_drain(). */
int screen_fd(const struct screen *screen);
/* Takes all events; whether one told of outputs. -ENOTCONN: the server is gone. */
int screen_drain(struct screen *screen);

/* The outputs, at most @max: how many there are, or a negative errno. -EMEDIUMTYPE: an output that
 * is not ours is on, so that the layout is another's to make. */
int screen_outputs(struct screen *screen, struct follow_output *outputs, size_t max);
/* Gives each output what it wants: places from "suggested X" and "suggested Y" where all have such,
 * else side by side. -EIO where the server refused a mode, -ERANGE where its
 * screen cannot be so large, -ENODATA where nothing is connected. */
int screen_follow(struct screen *screen);
/* "Virtual-1", of the output's id, as RandR names it; malloc()ed; NULL where it is gone. */
char *screen_output_name(struct screen *screen, uint64_t id);

#endif
