/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The server of a desktop session, as far as lodge-session deals with it: what its outputs show and
 * should show, and setting them. An X server (screen.c) or a Wayland compositor (wayland.c).
 *
 * Only outputs that Lodge's display device made are touched: their EDID says so. One thread, that
 * which opened the desktop.
 */
#ifndef LODGE_SESSION_DESKTOP_H
#define LODGE_SESSION_DESKTOP_H

#include <stdbool.h>
#include <stddef.h>

#include "guest-daemon/session/follow.h"

struct desktop;

struct desktop_ops {
	void (*close)(struct desktop *desktop);
	/* To be polled for reading; then drain(). */
	int (*fd)(const struct desktop *desktop);
	/* Takes what came; whether outputs may have changed. -ENOTCONN: the server is gone, or will
	 * not have its outputs set any more. */
	int (*drain)(struct desktop *desktop);
	/* The outputs, at most @max: how many there are, or a negative errno. -EMEDIUMTYPE: an
	 * output that is not ours is on, so that the layout is another's to make. */
	int (*outputs)(struct desktop *desktop, struct follow_output *outputs, size_t max);
	/* Gives each output that is open with @follower what it wants; the others keep their modes.
	 * -EIO where the server refused a mode or does not answer, -ERANGE where its screen cannot
	 * be so large, -ENODATA where nothing is connected, -EDOM where it set another size. */
	int (*follow)(struct desktop *desktop, const struct follower *follower);
	/* "Virtual-1", of the output's id, as the server names it; malloc()ed; NULL where it is
	 * gone. */
	char *(*output_name)(struct desktop *desktop, uint64_t id);
};

/* The first member of what implements it. */
struct desktop {
	const struct desktop_ops *ops;
	char server[16]; /* the Wayland compositor's command, as the kernel has it; "": X */
};

/*
 * -ENOTCONN: no X server answers there. -EOPNOTSUPP: it has no RandR 1.3, or it is XWayland, whose
 * modes are the Wayland compositor's. -EALREADY: another lodge-session serves it. @any: outputs of
 * other makers, too.
 */
int x11_open(const char *display, bool any, struct desktop **ret_desktop);
/*
 * The compositor of $WAYLAND_DISPLAY. @sys is "/sys" but in tests. -ENOTCONN: none is named, or it
 * does not answer. -EOPNOTSUPP: it does not have its outputs set by others. -EALREADY as above.
 */
int wayland_open(const char *sys, bool any, struct desktop **ret_desktop);

#endif
