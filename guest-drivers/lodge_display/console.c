// SPDX-License-Identifier: GPL-2.0-only
/*
 * The console's picture. The kernel makes it once, of the size that the screen has then, and shows
 * modes that it has room for: so it is made larger than that, where memory is no matter, and the
 * console can follow a window that grows.
 */
#include <linux/kernel.h>
#include <linux/mm.h>

#include "lodge_display/lodge_display.h"

/* Part of memory that it may have, with the copy that the kernel's console draws in. */
#define MEMORY_SHARE 32
#define COPIES	     2

static const struct {
	u32 width, height;
} rooms[] = { { 3840, 2160 }, { 2560, 1600 }, { 1920, 1200 }, { 1280, 800 } };

static void make_room(struct drm_fb_helper_surface_size *sizes)
{
	struct sysinfo info;
	unsigned int i;
	u64 bytes;

	si_meminfo(&info);
	bytes = (u64)info.totalram * info.mem_unit / MEMORY_SHARE;
	for (i = 0; i < ARRAY_SIZE(rooms); i++) {
		if ((u64)rooms[i].width * rooms[i].height * sizeof(u32) * COPIES > bytes)
			continue;
		sizes->surface_width = max(sizes->surface_width, rooms[i].width);
		sizes->surface_height = max(sizes->surface_height, rooms[i].height);
		return;
	}
}

int lodge_console_probe(struct drm_fb_helper *helper, struct drm_fb_helper_surface_size *sizes)
{
	struct lodge_display *display = helper->dev->dev_private;

	make_room(sizes);
	return lodge_console_make(display->console_makers, helper, sizes);
}

LODGE_CONSOLE_MAKERS(console_makers, lodge_console_probe);

/* In the middle of the kernel's own making: it has asked for modes, and makes the picture next. */
void lodge_console_asked(struct lodge_display *display)
{
	if (READ_ONCE(display->console_task) == current)
		lodge_console_take_makers(display->drm, &console_makers, &display->console_makers);
}

void lodge_console_create(struct lodge_display *display)
{
	WRITE_ONCE(display->console_task, current);
	lodge_console_setup(display->drm, &console_makers);
	WRITE_ONCE(display->console_task, NULL);
}
