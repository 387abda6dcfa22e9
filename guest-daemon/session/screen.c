// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The outputs of an X server, by RandR 1.3 or newer (desktop.h).
 *
 * Sources: the RandR protocol 1.5 (randrproto.txt), "Properties" for EDID, "suggested X" and
 * "suggested Y" as Linux's DRM connectors have them; VESA E-EDID 1.4 section 3.4 for the maker's
 * id.
 */
#include <X11/Xatom.h>
#include <X11/Xlib.h>
#include <X11/extensions/Xrandr.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <lodge/display.h>

#include "guest-daemon/session/screen.h"

/* An error of the server's must not end the session's program: what matters is asked for again. */
static int note_error(Display *display, XErrorEvent *event)
{
	(void)display;
	(void)event;
	return 0;
}

static bool is_xwayland(Display *display)
{
	int opcode, event, error;

	return XQueryExtension(display, "XWAYLAND", &opcode, &event, &error);
}

/* Another instance holds the selection; or it is ours from now on. */
static bool is_served(struct screen *screen)
{
	Atom selection = XInternAtom(screen->display, "_LODGE_SESSION", False);
	Window window;

	if (XGetSelectionOwner(screen->display, selection) != None)
		return true;
	window = XCreateSimpleWindow(screen->display, screen->root, -1, -1, 1, 1, 0, 0, 0);
	XSetSelectionOwner(screen->display, selection, window, CurrentTime);
	return XGetSelectionOwner(screen->display, selection) != window;
}

static struct screen *screen_of(struct desktop *desktop)
{
	return (struct screen *)desktop;
}

static void screen_close(struct desktop *desktop)
{
	XCloseDisplay(screen_of(desktop)->display);
	free(desktop);
}

static int screen_fd(const struct desktop *desktop)
{
	return ConnectionNumber(((const struct screen *)desktop)->display);
}

static int screen_drain(struct desktop *desktop)
{
	struct screen *screen = screen_of(desktop);
	bool outputs = false;
	XEvent event;

	while (XPending(screen->display)) {
		XNextEvent(screen->display, &event);
		XRRUpdateConfiguration(&event);
		if (event.type == screen->events + RRScreenChangeNotify ||
		    event.type == screen->events + RRNotify)
			outputs = true;
	}
	return outputs;
}

/* ---- what an output is like ---- */

static bool made_by_lodge(struct screen *screen, RROutput output)
{
	static const unsigned char maker[] = { LODGE_DISPLAY_EDID_MAKER_0,
					       LODGE_DISPLAY_EDID_MAKER_1 };
	unsigned char *bytes = NULL;
	unsigned long count, rest;
	bool ours = false;
	int format;
	Atom type;

	if (XRRGetOutputProperty(screen->display, output, screen->edid, 0, 32, False, False,
				 AnyPropertyType, &type, &format, &count, &rest,
				 &bytes) == Success &&
	    format == 8 && count >= 10)
		ours = !memcmp(bytes + 8, maker, sizeof(maker));
	if (bytes)
		XFree(bytes);
	return ours;
}

static bool get_number(struct screen *screen, RROutput output, Atom name, int *ret_number)
{
	unsigned char *bytes = NULL;
	unsigned long count, rest;
	bool found = false;
	int format;
	Atom type;

	/* Asking for what it has not would be an error of the server's, which is as good as none.
	 */
	if (XRRGetOutputProperty(screen->display, output, name, 0, 1, False, False, XA_INTEGER,
				 &type, &format, &count, &rest, &bytes) == Success &&
	    type == XA_INTEGER && format == 32 && count == 1) {
		long number;

		memcpy(&number, bytes, sizeof(number)); /* Xlib's 32-bit items are longs */
		*ret_number = (int)number;
		found = true;
	}
	if (bytes)
		XFree(bytes);
	return found;
}

static const XRRModeInfo *find_mode(const XRRScreenResources *resources, RRMode mode)
{
	for (int i = 0; i < resources->nmode; i++) {
		if (resources->modes[i].id == mode)
			return &resources->modes[i];
	}
	return NULL;
}

static void read_now(struct screen *screen, XRRScreenResources *resources, struct output *output)
{
	XRRCrtcInfo *crtc = output->crtc ? XRRGetCrtcInfo(screen->display, resources, output->crtc)
					 : NULL;

	if (!crtc)
		return;
	if (crtc->mode) {
		output->now = (struct follow_size){ crtc->width, crtc->height };
		output->now_mode = crtc->mode;
		output->now_x = crtc->x;
		output->now_y = crtc->y;
		output->now_rotation = crtc->rotation;
	}
	XRRFreeCrtcInfo(crtc);
}

static void read_output(struct screen *screen, XRRScreenResources *resources, RROutput id,
			const XRROutputInfo *info, struct output *output)
{
	const XRRModeInfo *mode;

	*output = (struct output){ .id = id, .crtc = info->crtc, .rotation = RR_Rotate_0 };
	output->ours = screen->any || made_by_lodge(screen, id);
	output->n_crtcs = info->ncrtc < (int)FOLLOW_OUTPUTS_MAX ? (size_t)info->ncrtc
								: FOLLOW_OUTPUTS_MAX;
	if (output->n_crtcs)
		memcpy(output->crtcs, info->crtcs, output->n_crtcs * sizeof(*output->crtcs));
	read_now(screen, resources, output);
	/* One that went off has no EDID: whoever made it, its place is free. */
	if (info->connection == RR_Disconnected)
		return;
	output->connected = true;
	mode = info->npreferred > 0 && info->nmode > 0 ? find_mode(resources, info->modes[0])
						       : NULL;
	if (!mode) { /* It asks for nothing. */
		output->wanted = output->now;
		output->wanted_mode = output->now_mode;
		return;
	}
	output->wanted = (struct follow_size){ mode->width, mode->height };
	output->wanted_mode = mode->id;
	output->width_mm = info->mm_width;
	output->height_mm = info->mm_height;
	output->placed = get_number(screen, id, screen->suggested_x, &output->x) &&
			 get_number(screen, id, screen->suggested_y, &output->y);
}

int screen_read(struct screen *screen, XRRScreenResources **ret_resources, struct output *outputs,
		size_t max)
{
	XRRScreenResources *resources = XRRGetScreenResourcesCurrent(screen->display, screen->root);
	size_t n = 0;

	if (!resources)
		return -EIO;
	for (int i = 0; i < resources->noutput && n < max; i++) {
		RROutput id = resources->outputs[i];
		XRROutputInfo *info = XRRGetOutputInfo(screen->display, resources, id);

		if (!info)
			continue;
		read_output(screen, resources, id, info, &outputs[n]);
		XRRFreeOutputInfo(info);
		n++;
	}
	*ret_resources = resources;
	return (int)n;
}

static int screen_outputs(struct desktop *desktop, struct follow_output *outputs, size_t max)
{
	struct screen *screen = screen_of(desktop);
	struct output read[FOLLOW_OUTPUTS_MAX];
	XRRScreenResources *resources;
	int n = screen_read(screen, &resources, read, FOLLOW_OUTPUTS_MAX);
	size_t count = 0;

	if (n < 0)
		return n;
	XRRFreeScreenResources(resources);
	for (int i = 0; i < n; i++) {
		bool foreign = read[i].connected && !read[i].ours;

		if (foreign && read[i].now_mode)
			return -EMEDIUMTYPE;
		if (foreign || count == max)
			continue;
		outputs[count++] = (struct follow_output){
			.id = read[i].id,
			.wanted = read[i].wanted,
			.now = read[i].now,
		};
	}
	return (int)count;
}

static char *screen_output_name(struct desktop *desktop, uint64_t id)
{
	struct screen *screen = screen_of(desktop);
	XRRScreenResources *resources = XRRGetScreenResourcesCurrent(screen->display, screen->root);
	XRROutputInfo *info = NULL;
	char *name = NULL;

	if (!resources)
		return NULL;
	for (int i = 0; i < resources->noutput && !info; i++) {
		if (resources->outputs[i] == id)
			info = XRRGetOutputInfo(screen->display, resources, resources->outputs[i]);
	}
	if (info) {
		name = strdup(info->name);
		XRRFreeOutputInfo(info);
	}
	XRRFreeScreenResources(resources);
	return name;
}

static const struct desktop_ops x11_ops = {
	.close = screen_close,
	.fd = screen_fd,
	.drain = screen_drain,
	.outputs = screen_outputs,
	.follow = screen_follow,
	.output_name = screen_output_name,
};

int x11_open(const char *display, bool any, struct desktop **ret_desktop)
{
	struct screen *screen = calloc(1, sizeof(*screen));
	int event, error, major = 0, minor = 0, ret = -EOPNOTSUPP;

	if (!screen)
		return -ENOMEM;
	screen->any = any;
	screen->display = XOpenDisplay(display);
	if (!screen->display) {
		free(screen);
		return -ENOTCONN;
	}
	XSetErrorHandler(note_error);
	screen->root = DefaultRootWindow(screen->display);
	if (is_xwayland(screen->display) || !XRRQueryExtension(screen->display, &event, &error) ||
	    !XRRQueryVersion(screen->display, &major, &minor) || (major == 1 && minor < 3))
		goto fail;
	ret = -EALREADY;
	if (is_served(screen))
		goto fail;
	screen->events = event;
	screen->edid = XInternAtom(screen->display, "EDID", False);
	screen->suggested_x = XInternAtom(screen->display, "suggested X", False);
	screen->suggested_y = XInternAtom(screen->display, "suggested Y", False);
	XRRSelectInput(screen->display, screen->root,
		       RRScreenChangeNotifyMask | RRCrtcChangeNotifyMask |
			       RROutputChangeNotifyMask);
	XFlush(screen->display);
	screen->desktop.ops = &x11_ops;
	*ret_desktop = &screen->desktop;
	return 0;

fail:
	screen_close(&screen->desktop);
	return ret;
}
