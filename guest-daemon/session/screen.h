/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What screen.c, which reads outputs, and layout.c, which sets them, share. */
#ifndef LODGE_SESSION_SCREEN_H
#define LODGE_SESSION_SCREEN_H

#include <X11/Xlib.h>
#include <X11/extensions/Xrandr.h>

#include "guest-daemon/session/desktop.h"

struct screen {
	struct desktop desktop;
	Display *display;
	Window root;
	int events; /* RandR's first */
	bool any;
	Atom edid, suggested_x, suggested_y;
};

struct output {
	RROutput id;
	RRCrtc crtc; /* 0: off */
	RRCrtc crtcs[FOLLOW_OUTPUTS_MAX]; /* that could serve it */
	size_t n_crtcs;
	bool connected, ours;
	struct follow_size now, wanted;
	RRMode now_mode, wanted_mode;
	int now_x, now_y;
	Rotation now_rotation, rotation; /* the second: how it is set */
	bool placed; /* x and y are the device's */
	int x, y;
	unsigned long width_mm, height_mm; /* 0: not known */
};

/* desktop.h's follow(): places from "suggested X" and "suggested Y" where all have such, else side
 * by side. */
int screen_follow(struct desktop *desktop, const struct follower *follower);
/* How many were read; *ret_resources XRRFreeScreenResources(). */
int screen_read(struct screen *screen, XRRScreenResources **ret_resources, struct output *outputs,
		size_t max);

#endif
