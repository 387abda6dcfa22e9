// SPDX-License-Identifier: GPL-2.0-or-later
// A window without a window: looks at one screen of a running VM.
#include "host-vmm/cli/screen.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sysexits.h>

#include "host-vmm/cli/cli.h"
#include "host-vmm/cli/vm.h"
#include "protocol/lib/fd.h"

#define HELLO_S 10

static void unmap(struct screen *screen)
{
	if (screen->pixels)
		munmap((void *)screen->pixels, screen->mapped);
	screen->pixels = NULL;
}

static void take_hello(void *opaque, const struct link_hello *hello)
{
	struct screen *screen = opaque;

	screen->hello = *hello;
	screen->greeted = true;
}

/* A monitor that its guest has taken over could shrink it while it is read: the end of this
 * command, by SIGBUS. */
static bool may_shrink(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);

	return seals < 0 || !(seals & F_SEAL_SHRINK);
}

static void take_frame(void *opaque, unsigned int head, const struct link_frame *frame, int fd)
{
	struct screen *screen = opaque;
	autofd owned = fd;
	void *map;

	(void)head;
	unmap(screen);
	screen->frame = *frame;
	screen->framed = true;
	screen->painted = false;
	if (owned < 0 || may_shrink(owned))
		return;
	screen->mapped = (size_t)frame->stride * frame->height;
	map = mmap(NULL, screen->mapped, PROT_READ, MAP_SHARED, owned, 0);
	screen->pixels = map == MAP_FAILED ? NULL : map;
}

static void take_damage(void *opaque, unsigned int head, uint32_t serial,
			const struct link_rect *rects, unsigned int n_rects)
{
	struct screen *screen = opaque;
	const struct lodge_display_shown shown = { .serial = htole32(serial) };

	(void)rects;
	(void)n_rects;
	screen->painted = true;
	if (screen->silent)
		return;
	link_send(screen->link, LODGE_DISPLAY_SHOWN, head, &shown, sizeof(shown));
}

static void take_cursor(void *opaque, unsigned int head, const struct link_cursor *cursor)
{
	struct screen *screen = opaque;

	(void)head;
	screen->cursor = *cursor;
	g_free(screen->cursor_pixels);
	screen->cursor_pixels =
		g_memdup2(cursor->pixels, sizeof(uint32_t) * cursor->width * cursor->height);
	screen->cursor.pixels = screen->cursor_pixels;
}

static void take_cursor_at(void *opaque, unsigned int head, int32_t x, int32_t y)
{
	struct screen *screen = opaque;

	(void)head;
	screen->cursor_x = x;
	screen->cursor_y = y;
}

static void take_input(void *opaque, bool absolute, uint32_t leds)
{
	(void)opaque;
	(void)absolute;
	(void)leds;
}

static const struct link_ops ops = {
	.hello = take_hello,
	.frame = take_frame,
	.damage = take_damage,
	.cursor = take_cursor,
	.cursor_at = take_cursor_at,
	.input = take_input,
};

int screen_wait(struct screen *screen, bool (*done)(struct screen *screen, void *opaque),
		void *opaque, gint64 end)
{
	while (!done(screen, opaque)) {
		const gint64 left = end - g_get_monotonic_time();
		struct pollfd pfd = { link_fd(screen->link), POLLIN, 0 };
		int ret = link_flush(screen->link);

		if (ret > 0)
			pfd.events |= POLLOUT;
		if (ret < 0)
			return ret;
		if (left <= 0)
			return 0;
		if (poll(&pfd, 1, (int)MIN((left + 999) / 1000, G_MAXINT)) < 0 && errno != EINTR)
			return -errno;
		if (pfd.revents & ~POLLOUT)
			ret = link_read(screen->link);
		if (ret < 0)
			return ret;
	}
	return 1;
}

static bool is_greeted(struct screen *screen, void *opaque)
{
	(void)opaque;
	return screen->greeted;
}

static int say_who_is_wrong(const struct screen *screen, int ret)
{
	const char *name = screen->vm->name;

	if (ret == -EPIPE)
		return fail(EX_UNAVAILABLE,
			    "%s: it takes no more windows, or has just ended; close one", name);
	if (ret < 0)
		return fail(status_of(ret), "%s: display.sock: %s", name, g_strerror(-ret));
	return fail(EX_TEMPFAIL, "%s: its monitor does not answer; try again", name);
}

int screen_open(const struct vm *vm, unsigned int number, struct screen *ret_screen)
{
	g_autofree char *path = g_build_filename(vm->runtime, "display.sock", NULL);
	struct lodge_display_attach attach = { .version = htole32(LODGE_DISPLAY_VERSION) };
	struct screen *screen = ret_screen;
	int ret;

	*screen = (struct screen){ .vm = vm, .number = number };
	ret = link_open(path, &ops, screen, &screen->link);
	if (ret == -ENOENT)
		return fail(EX_UNAVAILABLE,
			    "%s has no screen; lodge set %s display.heads=1, and start it anew",
			    vm->name, vm->name);
	if (ret < 0)
		return fail(status_of(ret), "%s: %s: %s", vm->name, path, g_strerror(-ret));
	ret = screen_wait(screen, is_greeted, NULL,
			  g_get_monotonic_time() + HELLO_S * G_USEC_PER_SEC);
	if (ret <= 0)
		return say_who_is_wrong(screen, ret);
	if (number > screen->hello.heads)
		return fail(EX_USAGE, "%s has no screen %u; it has %u ([display] heads)", vm->name,
			    number, screen->hello.heads);
	attach.heads = htole32(1u << (number - 1));
	link_send(screen->link, LODGE_DISPLAY_ATTACH, 0, &attach, sizeof(attach));
	return 0;
}

void screen_close(struct screen *screen)
{
	unmap(screen);
	link_close(screen->link);
	g_free(screen->cursor_pixels);
}

void screen_resize(struct screen *screen, uint32_t width, uint32_t height)
{
	const struct lodge_display_resize resize = {
		.width = htole32(width),
		.height = htole32(height),
	};

	link_send(screen->link, LODGE_DISPLAY_RESIZE, screen->number - 1, &resize, sizeof(resize));
}

int screen_parse_number(const char *text, unsigned int *ret_number)
{
	guint64 number;

	if (!g_ascii_string_to_unsigned(text, 10, 1, LODGE_DISPLAY_HEADS_MAX, &number, NULL))
		return -EINVAL;
	*ret_number = (unsigned int)number;
	return 0;
}
