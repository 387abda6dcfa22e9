// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sets every output of ours to what it wants, in one step for those who watch.
 *
 * X keeps all outputs within the screen at any time. So the screen first becomes as large as both
 * what is and what shall be, then the outputs change, then the screen shrinks.
 */
#include <errno.h>
#include <string.h>

#include "guest-daemon/session/screen.h"

#define DPI	    96.0 /* where no output says how large it is */
#define MM_PER_INCH 25.4

static int max(int a, int b)
{
	return a > b ? a : b;
}

/* Where each output goes: *ret_width and *ret_height hold all of them. */
static void place(struct output *outputs, size_t n, int *ret_width, int *ret_height)
{
	bool placed = true;
	int right = 0;

	for (size_t i = 0; i < n; i++) {
		if (outputs[i].wanted.width &&
		    (!outputs[i].placed || outputs[i].x < 0 || outputs[i].y < 0))
			placed = false;
	}
	*ret_width = *ret_height = 0;
	for (size_t i = 0; i < n; i++) {
		struct output *output = &outputs[i];

		if (!output->wanted.width)
			continue;
		if (!placed) {
			output->x = right;
			output->y = 0;
		}
		right = max(right, output->x + (int)output->wanted.width);
		*ret_width = right;
		*ret_height = max(*ret_height, output->y + (int)output->wanted.height);
	}
}

/* One of its own that no other output has. */
static RRCrtc choose_crtc(const struct output *outputs, size_t n, const struct output *output)
{
	for (size_t i = 0; i < output->n_crtcs; i++) {
		bool taken = false;

		for (size_t k = 0; k < n; k++)
			taken |= outputs[k].crtc == output->crtcs[i];
		if (!taken)
			return output->crtcs[i];
	}
	return None;
}

static bool settled(const struct output *output)
{
	return output->now_mode == output->wanted_mode &&
	       (!output->now_mode || (output->now_x == output->x && output->now_y == output->y));
}

static bool set_output(struct screen *screen, XRRScreenResources *resources, struct output *outputs,
		       size_t n, struct output *output)
{
	RRCrtc crtc = output->crtc;
	Status status;

	if (!output->wanted_mode) {
		status = XRRSetCrtcConfig(screen->display, resources, crtc, CurrentTime, 0, 0, None,
					  RR_Rotate_0, NULL, 0);
		output->crtc = None;
		return status == RRSetConfigSuccess;
	}
	if (!crtc)
		crtc = choose_crtc(outputs, n, output);
	if (!crtc)
		return false;
	output->crtc = crtc;
	status = XRRSetCrtcConfig(screen->display, resources, crtc, CurrentTime, output->x,
				  output->y, output->wanted_mode, output->rotation, &output->id, 1);
	return status == RRSetConfigSuccess;
}

static void set_screen(struct screen *screen, int width, int height, const struct output *outputs,
		       size_t n)
{
	double dpi = DPI;

	for (size_t i = 0; i < n; i++) {
		if (outputs[i].wanted.width && outputs[i].width_mm) {
			dpi = outputs[i].wanted.width * MM_PER_INCH / (double)outputs[i].width_mm;
			break;
		}
	}
	XRRSetScreenSize(screen->display, screen->root, width, height,
			 (int)(width * MM_PER_INCH / dpi + 0.5),
			 (int)(height * MM_PER_INCH / dpi + 0.5));
}

/* What somebody chose for an output stays, but where it has to lie: the device's places are for the
 * sizes that it wants. */
static void keep_choice(struct output *output, const struct follower *follower)
{
	if (!output->connected || follow_is_open(follower, output->id))
		return;
	if (output->now.width != output->wanted.width ||
	    output->now.height != output->wanted.height)
		output->placed = false;
	output->wanted = output->now;
	output->wanted_mode = output->now_mode;
	output->rotation = output->now_rotation;
}

/* Leaves out what is not ours: none of it is on. */
static size_t keep_ours(struct output *outputs, size_t n, const struct follower *follower)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		if (!outputs[i].ours && outputs[i].connected)
			continue;
		outputs[kept] = outputs[i];
		keep_choice(&outputs[kept++], follower);
	}
	return kept;
}

int screen_follow(struct desktop *desktop, const struct follower *follower)
{
	struct screen *screen = (struct screen *)desktop;
	int width, height, low, least_height, high, most_height, ret = 0;
	struct output outputs[FOLLOW_OUTPUTS_MAX];
	XRRScreenResources *resources;
	XWindowAttributes root;
	int read;
	size_t n;

	/* What is read is still so when it is set. */
	XGrabServer(screen->display);
	read = screen_read(screen, &resources, outputs, FOLLOW_OUTPUTS_MAX);
	if (read < 0) {
		ret = read;
		goto ungrab;
	}
	n = keep_ours(outputs, (size_t)read, follower);
	place(outputs, n, &width, &height);
	if (!width) { /* Nothing is connected: the screen stays as it is. */
		ret = -ENODATA;
		goto free_resources;
	}
	if (!XRRGetScreenSizeRange(screen->display, screen->root, &low, &least_height, &high,
				   &most_height) ||
	    width > high || height > most_height) {
		ret = -ERANGE;
		goto free_resources;
	}
	width = max(width, low);
	height = max(height, least_height);
	if (!XGetWindowAttributes(screen->display, screen->root, &root)) {
		ret = -EIO;
		goto free_resources;
	}
	if (width > root.width || height > root.height)
		set_screen(screen, max(width, root.width), max(height, root.height), outputs, n);
	for (size_t i = 0; i < n; i++) {
		if (!settled(&outputs[i]) &&
		    !set_output(screen, resources, outputs, n, &outputs[i]))
			ret = -EIO;
	}
	if (ret == 0 && (width < root.width || height < root.height))
		set_screen(screen, width, height, outputs, n);

free_resources:
	XRRFreeScreenResources(resources);
ungrab:
	XUngrabServer(screen->display);
	XSync(screen->display, False);
	return ret;
}
