// SPDX-License-Identifier: GPL-2.0-or-later
// The text console's size, and the facts of the display (display.h).
#include "guest-daemon/lodged/display.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <inttypes.h>
#include <linux/fb.h>
#include <linux/kd.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "guest-daemon/lib/drm.h"
#include "protocol/lib/fd.h"

#define VIDEO "video="

struct size {
	uint32_t width, height;
};

static bool fits(struct size size, struct size most)
{
	return size.width <= most.width && size.height <= most.height;
}

/* ---- what the kernel shows on its console ---- */

/*
 * @text: a connector's modes, as sysfs has them: the preferred one first. The kernel's console
 * takes the first that its picture has room for. What there is none of stays as it is.
 */
static void choose_mode(const char *text, struct size most, struct size *ret_asked,
			struct size *ret_shown)
{
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	struct size size;

	for (char **line = lines; *line; line++) {
		if (sscanf(*line, "%" SCNu32 "x%" SCNu32, &size.width, &size.height) != 2)
			continue;
		if (line == lines)
			*ret_asked = size;
		if (!fits(size, most))
			continue;
		*ret_shown = size;
		break;
	}
}

struct heads {
	struct size most; /* of the console's picture */
	struct size console; /* what all heads have room for; 0 x 0: none is on */
	bool short_of; /* a head asks for more */
};

static void look_at_head(const struct display_system *system, const char *connector,
			 struct heads *heads)
{
	g_autofree char *status_path = g_build_filename(connector, "status", NULL);
	g_autofree char *modes_path = g_build_filename(connector, "modes", NULL);
	struct size asked = { 0 }, shown = { 0 };
	g_autofree char *status = NULL;
	g_autofree char *modes = NULL;

	/* It may be about to do that itself. */
	system->probe(connector);
	if (!g_file_get_contents(status_path, &status, NULL, NULL) ||
	    strcmp(g_strchomp(status), "connected") != 0 ||
	    !g_file_get_contents(modes_path, &modes, NULL, NULL))
		return;
	choose_mode(modes, heads->most, &asked, &shown);
	heads->short_of |= !fits(asked, heads->most);
	if (!shown.width)
		return;
	/* All heads show the same picture from its upper left corner. */
	if (!heads->console.width || shown.width < heads->console.width)
		heads->console.width = shown.width;
	if (!heads->console.height || shown.height < heads->console.height)
		heads->console.height = shown.height;
}

static void look_at_heads(const struct display_system *system, unsigned int card,
			  struct heads *heads)
{
	g_autofree char *folder = g_build_filename(system->sys, "class/drm", NULL);
	g_autofree char *prefix = g_strdup_printf("card%u-", card);
	g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir))) {
		g_autofree char *connector = g_build_filename(folder, name, NULL);

		if (g_str_has_prefix(name, prefix))
			look_at_head(system, connector, heads);
	}
}

/*
 * Whether this word of the kernel's command line has a size for the card: "video=800x600", or
 * "video=Virtual-1:800x600" (Linux Documentation/fb/modedb.rst). Others by that name are other
 * drivers', "video=efifb:off", or have no size, "video=Virtual-1:e".
 */
static bool fixes_size(const struct display_system *system, unsigned int card, const char *word)
{
	g_autofree char *connector = NULL;
	struct drm_connector found;
	const char *value, *colon;

	if (!g_str_has_prefix(word, VIDEO))
		return false;
	value = word + strlen(VIDEO);
	colon = strchr(value, ':');
	if (!colon)
		return g_ascii_isdigit(*value);
	connector = g_strndup(value, (gsize)(colon - value));
	return g_ascii_isdigit(colon[1]) && !drm_connector(system->sys, card, connector, &found);
}

/* A mode on the kernel's command line is the console's, whatever the display asks for. */
static bool is_fixed(const struct display_system *system, unsigned int card)
{
	g_autofree char *path = g_build_filename(system->proc, "cmdline", NULL);
	g_autofree char *text = NULL;
	g_auto(GStrv) words = NULL;
	bool fixed = false;

	if (!g_file_get_contents(path, &text, NULL, NULL))
		return false;
	words = g_strsplit_set(text, " \n", -1);
	for (char **word = words; *word; word++)
		fixed |= fixes_size(system, card, *word);
	return fixed;
}

static int set_size_once(const struct display_system *system, const char *node, struct size size)
{
	struct size now;
	int ret = system->get_size(node, &now.width, &now.height);

	if (ret || (now.width == size.width && now.height == size.height))
		return ret;
	return system->set_size(node, size.width, size.height);
}

/* Why the console is not as large as asked, g_free(); NULL: it is. */
static char *size_console(const struct display_system *system, unsigned int card)
{
	g_autofree char *node = NULL;
	struct heads heads = { 0 };
	unsigned int fb;
	int ret = 0;

	if (drm_console(system->sys, card, &fb, &heads.most.width, &heads.most.height))
		return g_strdup("the kernel has no console on it");
	if (is_fixed(system, card))
		return g_strdup("video= of the kernel's command line fixes it");
	look_at_heads(system, card, &heads);
	node = g_strdup_printf("%s/fb%u", system->dev, fb);
	if (heads.console.width)
		ret = set_size_once(system, node, heads.console);
	if (ret)
		return g_strdup_printf("%s: %s", node, g_strerror(-ret));
	if (!heads.short_of)
		return NULL;
	return g_strdup_printf("the console's picture is %" PRIu32 "x%" PRIu32
			       " and does not grow: that of its driver's start",
			       heads.most.width, heads.most.height);
}

/* ---- the part's fields ---- */

void display_look(const struct display_system *system, struct fields_builder *fields)
{
	struct display_owner owner;
	g_autofree char *why = NULL;
	unsigned int card;
	char driver[32];
	int ret = drm_find(system->sys, &card, driver);

	fields_add(fields, "part", "display");
	if (ret == -ENXIO)
		fields_add(fields, "display-why", "no driver has the display: modprobe virtio-gpu");
	if (ret)
		return;
	display_find_owner(system, card, &owner);
	if (!strcmp(owner.owner, "console"))
		why = size_console(system, card);
	fields_add(fields, "driver", driver);
	fields_add(fields, "owner", owner.owner);
	if (owner.program[0])
		fields_add(fields, "program", owner.program);
	if (why)
		fields_add(fields, "display-why", why);
}

/* ---- the system ---- */

static bool is_text(const char *dev)
{
	g_autofree char *path = g_build_filename(dev, "tty0", NULL);
	autofd fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY);
	int mode;

	return fd >= 0 && !ioctl(fd, KDGETMODE, &mode) && mode == KD_TEXT;
}

static void probe(const char *connector)
{
	g_autofree char *path = g_build_filename(connector, "status", NULL);
	autofd fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd >= 0)
		(void)fd_write_all(fd, "detect", strlen("detect"));
}

static int get_size(const char *node, uint32_t *ret_width, uint32_t *ret_height)
{
	autofd fd = open(node, O_RDWR | O_CLOEXEC);
	struct fb_var_screeninfo var;

	if (fd < 0 || ioctl(fd, FBIOGET_VSCREENINFO, &var))
		return -errno;
	*ret_width = var.xres;
	*ret_height = var.yres;
	return 0;
}

static int set_size(const char *node, uint32_t width, uint32_t height)
{
	autofd fd = open(node, O_RDWR | O_CLOEXEC);
	struct fb_var_screeninfo var;

	if (fd < 0 || ioctl(fd, FBIOGET_VSCREENINFO, &var))
		return -errno;
	var.xres = width;
	var.yres = height;
	var.xoffset = var.yoffset = 0;
	/* Of all terminals, not of the one in the foreground alone. */
	var.activate = FB_ACTIVATE_NOW | FB_ACTIVATE_ALL;
	return ioctl(fd, FBIOPUT_VSCREENINFO, &var) ? -errno : 0;
}

const struct display_system display_system = {
	.sys = "/sys",
	.dev = "/dev",
	.proc = "/proc",
	.users = "/run/user",
	.is_text = is_text,
	.probe = probe,
	.get_size = get_size,
	.set_size = set_size,
};
