// SPDX-License-Identifier: GPL-2.0-or-later
// `lodge resize`: says what size a VM's screen should be, and waits until the guest follows.
#include "host-vmm/cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>

#include "host-vmm/cli/screen.h"
#include "host-vmm/cli/vm.h"

#define TIMEOUT_S     10
#define TIMEOUT_MAX_S 86400

struct size {
	uint32_t width, height; /* both 0: off */
	unsigned int screen;
};

static int parse_side(const char *text, uint32_t *ret_side)
{
	guint64 side;

	if (!g_ascii_string_to_unsigned(text, 10, 1, LODGE_DISPLAY_SIDE_MAX, &side, NULL))
		return -EINVAL;
	*ret_side = (uint32_t)side;
	return 0;
}

static int parse_size(const char *text, struct size *ret_size)
{
	g_auto(GStrv) places = g_strsplit(text, "@", 2);
	g_auto(GStrv) sides = g_strsplit(places[0] ? places[0] : "", "x", 2);
	struct size size = { .screen = 1 };

	if (places[0] && places[1] && screen_parse_number(places[1], &size.screen))
		return fail(EX_USAGE, "resize: there is no screen '%s'; give a number from 1 to 16",
			    places[1]);
	if (sides[0] && !strcmp(sides[0], "off")) {
		if (size.screen == 1)
			return fail(EX_USAGE, "resize: the first screen is always on");
		*ret_size = size;
		return 0;
	}
	if (!sides[0] || !sides[1] || parse_side(sides[0], &size.width) ||
	    parse_side(sides[1], &size.height))
		return fail(EX_USAGE,
			    "resize: '%s' is no size; write WIDTHxHEIGHT[@SCREEN], 16384 at most, "
			    "or off@SCREEN",
			    text);
	if (size.width < LODGE_DISPLAY_WIDTH_MIN || size.height < LODGE_DISPLAY_HEIGHT_MIN)
		return fail(EX_USAGE, "resize: %s is too small; %ux%u is the least", text,
			    LODGE_DISPLAY_WIDTH_MIN, LODGE_DISPLAY_HEIGHT_MIN);
	*ret_size = size;
	return 0;
}

static bool follows(struct screen *screen, void *opaque)
{
	const struct size *size = opaque;

	return screen->framed && screen->frame.width == size->width &&
	       screen->frame.height == size->height;
}

static bool never(struct screen *screen, void *opaque)
{
	(void)screen;
	(void)opaque;
	return false;
}

/* The monitor closes once it has read all that was said. */
static int wait_until_heard(struct screen *screen, gint64 end)
{
	int ret;

	screen->silent = true;
	shutdown(link_fd(screen->link), SHUT_WR);
	ret = screen_wait(screen, never, NULL, end);
	return ret == -EPIPE ? 1 : ret;
}

/* Who did not do its part, and what helps. */
static int explain(const struct screen *screen)
{
	const struct link_frame *frame = &screen->frame;
	const char *name = screen->vm->name;

	switch (screen->framed ? frame->source : LODGE_DISPLAY_NONE) {
	case LODGE_DISPLAY_TEXT:
	case LODGE_DISPLAY_VGA:
		return fail(
			EX_TEMPFAIL,
			"%s: its guest uses the VGA, at %ux%u; sizes follow once its kernel has "
			"a driver for virtio-gpu",
			name, frame->width, frame->height);
	case LODGE_DISPLAY_GPU:
		return fail(EX_TEMPFAIL,
			    "%s: its guest stays at %ux%u: its driver knows the new size, and no "
			    "desktop or tool there sets it; install the tools",
			    name, frame->width, frame->height);
	default:
		return fail(EX_TEMPFAIL, "%s: screen %u is off; its guest shows nothing there",
			    name, screen->number);
	}
}

/* @timeout_s: below 0, the guest is not waited for. */
static int resize(struct screen *screen, struct size *size, int timeout_s)
{
	const uint64_t bytes = (uint64_t)size->width * size->height * 4;
	gint64 end = g_get_monotonic_time() + timeout_s * (gint64)G_USEC_PER_SEC;
	int ret;

	if (timeout_s < 0)
		end = g_get_monotonic_time() + TIMEOUT_S * (gint64)G_USEC_PER_SEC;
	if (bytes > screen->hello.memory_max)
		return fail(EX_USAGE,
			    "%s: %ux%u needs %" G_GUINT64_FORMAT " MiB and [display] memory is "
			    "%" G_GUINT64_FORMAT "; lodge set %s display.memory=...",
			    screen->vm->name, size->width, size->height, (bytes >> 20) + 1,
			    screen->hello.memory_max >> 20, screen->vm->name);
	screen_resize(screen, size->width, size->height);
	if (timeout_s < 0)
		ret = wait_until_heard(screen, end);
	else
		ret = screen_wait(screen, follows, size, end);
	if (ret < 0)
		return fail(EX_UNAVAILABLE, "%s: it has just ended", screen->vm->name);
	return ret ? EX_OK : explain(screen);
}

int verb_resize(int argc, char **argv)
{
	int timeout_s = TIMEOUT_S;
	gboolean no_wait = FALSE;
	const GOptionEntry entries[] = {
		{ "timeout", 't', 0, G_OPTION_ARG_INT, &timeout_s, "10 if not given", "SECONDS" },
		{ "no-wait", 0, 0, G_OPTION_ARG_NONE, &no_wait, "do not wait for the guest", NULL },
		{ 0 },
	};
	struct screen screen = { 0 };
	struct vm vm = { 0 };
	struct size size = { 0 };
	int status;

	status = parse_options(&argc, &argv, "NAME WIDTHxHEIGHT[@SCREEN]",
			       "Says what size a VM's screen should be, and waits until its guest "
			       "has it.",
			       "Screens count from 1 on. off@SCREEN turns one off.", entries);
	if (!status && argc != 3)
		status = fail(EX_USAGE, "resize: say NAME and WIDTHxHEIGHT");
	if (!status && (timeout_s < 1 || timeout_s > TIMEOUT_MAX_S))
		status = fail(EX_USAGE, "--timeout: %d will not do; give 1 to %d seconds",
			      timeout_s, TIMEOUT_MAX_S);
	if (!status)
		status = parse_size(argv[2], &size);
	if (!status)
		status = vm_find_running(argv[1], &vm);
	if (!status)
		status = screen_open(&vm, size.screen, &screen);
	if (!status)
		status = resize(&screen, &size, no_wait ? -1 : timeout_s);
	screen_close(&screen);
	vm_clear(&vm);
	return status;
}
