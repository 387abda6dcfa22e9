// SPDX-License-Identifier: GPL-2.0-or-later
// `lodge screenshot`: what a VM's screen shows now, as a PNG.
#include "host-vmm/cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <png.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "host-vmm/cli/paths.h"
#include "host-vmm/cli/screen.h"
#include "host-vmm/cli/vm.h"
#include "host-vmm/display/convert.h"
#include "protocol/lib/fd.h"

#define PICTURE_S 10

static bool is_known(struct screen *screen, void *opaque)
{
	(void)opaque;
	return screen->framed && (screen->painted || screen->frame.source == LODGE_DISPLAY_NONE);
}

/* A copy of the picture, the cursor in it. */
static uint32_t *copy(const struct screen *screen)
{
	const struct link_frame *frame = &screen->frame;
	struct convert_canvas canvas = { .width = frame->width, .height = frame->height };

	canvas.pixels = g_new(uint32_t, (gsize)frame->width * frame->height);
	for (uint32_t y = 0; y < frame->height; y++)
		memcpy(canvas.pixels + (size_t)y * frame->width,
		       screen->pixels + (size_t)y * (frame->stride / 4),
		       sizeof(uint32_t) * frame->width);
	convert_blend(&canvas, screen->cursor.pixels, screen->cursor.width, screen->cursor.height,
		      screen->cursor_x, screen->cursor_y);
	return canvas.pixels;
}

/* Red, green and blue of each pixel, where the four bytes of it were. */
static guint8 *to_rgb(uint32_t *pixels, size_t n)
{
	guint8 *to = (guint8 *)pixels;

	for (size_t i = 0; i < n; i++) {
		const uint32_t pixel = pixels[i];

		*to++ = (guint8)(pixel >> 16);
		*to++ = (guint8)(pixel >> 8);
		*to++ = (guint8)pixel;
	}
	return (guint8 *)pixels;
}

/* The PNG's bytes, g_free(); NULL: there is no memory for it. */
static guint8 *to_png(const struct screen *screen, size_t *ret_len)
{
	const size_t n = (size_t)screen->frame.width * screen->frame.height;
	png_image image = {
		.version = PNG_IMAGE_VERSION,
		.width = screen->frame.width,
		.height = screen->frame.height,
		.format = PNG_FORMAT_RGB,
		.flags = PNG_IMAGE_FLAG_FAST,
	};
	g_autofree uint32_t *pixels = copy(screen);
	const guint8 *rgb = to_rgb(pixels, n);
	png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
	g_autofree guint8 *bytes = g_malloc(size);

	if (!png_image_write_to_memory(&image, bytes, &size, 0, rgb, 0, NULL))
		return NULL;
	*ret_len = size;
	return g_steal_pointer(&bytes);
}

static int write_into_special(const char *path, const guint8 *bytes, size_t len)
{
	autofd fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	int ret = fd < 0 ? -errno : fd_write_all(fd, bytes, len);

	return ret ? fail(EX_CANTCREAT, "%s: %s; choose another place", path, g_strerror(-ret))
		   : EX_OK;
}

static int write_out(const char *path, const guint8 *bytes, size_t len)
{
	g_autoptr(GError) error = NULL;
	int ret;

	if (!strcmp(path, "-")) {
		ret = fd_write_all(STDOUT_FILENO, bytes, len);
		return ret ? fail(status_of(ret), "screenshot: standard output: %s",
				  g_strerror(-ret))
			   : EX_OK;
	}
	if (paths_is_special(path))
		return write_into_special(path, bytes, len);
	if (!g_file_set_contents(path, (const char *)bytes, (gssize)len, &error))
		return fail(EX_CANTCREAT, "%s; choose another place", error->message);
	return EX_OK;
}

static int shoot(struct screen *screen, const char *path)
{
	const char *name = screen->vm->name;
	g_autofree guint8 *bytes = NULL;
	size_t len;
	int ret = screen_wait(screen, is_known, NULL,
			      g_get_monotonic_time() + PICTURE_S * G_USEC_PER_SEC);

	if (ret == -EPIPE)
		return fail(EX_UNAVAILABLE, "%s: it has just ended", name);
	if (ret < 0)
		return fail(EX_PROTOCOL, "%s: display.sock: %s", name, g_strerror(-ret));
	if (!ret)
		return fail(EX_TEMPFAIL, "%s: its monitor sends no picture; try again", name);
	if (screen->frame.source == LODGE_DISPLAY_NONE)
		return fail(EX_UNAVAILABLE, "%s: screen %u is off; its guest shows nothing there",
			    name, screen->number);
	if (!screen->pixels)
		return fail(EX_PROTOCOL,
			    "%s: screen %u: its memory cannot be mapped, or could shrink; its "
			    "monitor is not to be trusted",
			    name, screen->number);
	bytes = to_png(screen, &len);
	if (!bytes)
		return fail(EX_OSERR, "%s: no memory for the picture; close something", name);
	return write_out(path, bytes, len);
}

int verb_screenshot(int argc, char **argv)
{
	int number = 1;
	const GOptionEntry entries[] = {
		{ "head", 0, 0, G_OPTION_ARG_INT, &number, "which screen; 1 if not given", "N" },
		{ 0 },
	};
	struct screen screen = { 0 };
	struct vm vm = { 0 };
	int status;

	status = parse_options(&argc, &argv, "NAME FILE",
			       "Writes what a VM's screen shows to FILE, as a PNG; - is standard "
			       "output.",
			       NULL, entries);
	if (!status && argc != 3)
		status = fail(EX_USAGE, "screenshot: say NAME and FILE");
	if (!status && (number < 1 || number > (int)LODGE_DISPLAY_HEADS_MAX))
		status = fail(EX_USAGE, "--head: %d will not do; give a number from 1 to 16",
			      number);
	if (!status)
		status = vm_find_running(argv[1], &vm);
	if (!status)
		status = screen_open(&vm, (unsigned int)number, &screen);
	if (!status)
		status = shoot(&screen, argv[2]);
	screen_close(&screen);
	vm_clear(&vm);
	return status;
}
