// SPDX-License-Identifier: GPL-2.0-or-later
// The display's surroundings, played by hand: a loop without a thread, and a clock to be turned.
#include "tests/unit/display_rig.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "host-vmm/loop.h"

#define NEVER INT64_MAX

static struct {
	int64_t now, due;
	loop_fd_fn turn;
	void *opaque;
} rig = { .now = 1000000000000, .due = NEVER };

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now);
int __wrap_timerfd_settime(int fd, int flags, const struct itimerspec *value,
			   struct itimerspec *old);

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now)
{
	(void)clock;
	*ret_now = (struct timespec){ rig.now / 1000000000, rig.now % 1000000000 };
	return 0;
}

int __wrap_timerfd_settime(int fd, int flags, const struct itimerspec *value,
			   struct itimerspec *old)
{
	(void)fd;
	(void)flags;
	(void)old;
	rig.due = value->it_value.tv_sec * 1000000000 + value->it_value.tv_nsec;
	if (!rig.due)
		rig.due = NEVER;
	return 0;
}

/* ---- host-vmm/loop.h ---- */

struct loop {
	int nothing;
};

struct loop_source {
	int nothing;
};

int loop_create(const char *name, struct loop **ret_loop)
{
	(void)name;
	*ret_loop = calloc(1, sizeof(struct loop));
	return 0;
}

void loop_destroy(struct loop *loop)
{
	free(loop);
}

int loop_add(struct loop *loop, int fd, uint32_t events, loop_fd_fn fn, void *opaque,
	     struct loop_source **ret_source)
{
	(void)loop;
	(void)fd;
	(void)events;
	rig.turn = fn;
	rig.opaque = opaque;
	*ret_source = calloc(1, sizeof(struct loop_source));
	return 0;
}

void loop_remove(struct loop_source *source)
{
	rig.due = NEVER;
	free(source);
}

void loop_call(struct loop *loop, loop_call_fn fn, void *opaque)
{
	(void)loop;
	fn(opaque);
}

void rig_advance(double ms)
{
	const int64_t end = rig.now + (int64_t)(ms * 1e6);

	while (rig.due <= end) {
		if (rig.now < rig.due)
			rig.now = rig.due;
		rig.due = NEVER;
		rig.turn(rig.opaque, 1);
	}
	rig.now = end;
}

bool rig_timer_on(void)
{
	return rig.due != NEVER;
}

struct display *rig_display(unsigned int heads)
{
	struct display *display;

	if (display_create(heads, RIG_MEMORY, &display))
		abort();
	return display;
}

void rig_end(struct display *display)
{
	display_destroy(display);
}

/* ---- a guest ---- */

uint32_t rig_pixel(uint32_t seed, uint32_t x, uint32_t y)
{
	return (seed * 2654435761u ^ x * 40503u ^ y * 9973u) & 0xffffff;
}

static int read_pixels(void *opaque, uint64_t offset, void *to, size_t len)
{
	struct rig_guest *guest = opaque;
	uint32_t *pixels = to;

	if (guest->fails || offset + len > (uint64_t)guest->stride * guest->height)
		return -1;
	guest->read_bytes += len;
	for (size_t i = 0; i < len / 4; i++) {
		const uint64_t at = offset + 4 * i;

		pixels[i] = rig_pixel(guest->seed, (uint32_t)(at % guest->stride / 4),
				      (uint32_t)(at / guest->stride));
	}
	return 0;
}

static void refresh(void *opaque)
{
	struct rig_guest *guest = opaque;

	guest->refreshes++;
	if (guest->on_refresh)
		guest->on_refresh(guest);
}

static const struct display_source_ops plain_ops = { .read = read_pixels };
static const struct display_source_ops refresh_ops = { .read = read_pixels, .refresh = refresh };

int rig_show(struct display *display, unsigned int head, enum display_layer layer,
	     struct rig_guest *guest)
{
	struct display_picture picture = {
		.width = guest->width,
		.height = guest->height,
		.format = DISPLAY_BGRX8888,
		.source = layer == DISPLAY_LAYER_GPU ? LODGE_DISPLAY_GPU : LODGE_DISPLAY_VGA,
		.ops = guest->on_refresh ? &refresh_ops : &plain_ops,
		.opaque = guest,
	};

	if (!guest->stride)
		guest->stride = guest->width * 4;
	picture.stride = guest->stride;
	return display_set_picture(display, head, layer, &picture);
}

/* ---- viewers ---- */

static bool ready(void *opaque)
{
	return !((struct rig_viewer *)opaque)->stuck;
}

static void take_frame(void *opaque, unsigned int head, const struct display_view *view)
{
	struct rig_viewer *viewer = opaque;

	viewer->widths[head] = view->width;
	viewer->heights[head] = view->height;
	if (viewer->view.fd >= 0)
		close(viewer->view.fd);
	viewer->view = *view;
	viewer->view.fd = view->fd < 0 ? -1 : fcntl(view->fd, F_DUPFD_CLOEXEC, 0);
	viewer->frames++;
}

static void take_damage(void *opaque, unsigned int head, uint32_t serial,
			const struct display_rect *rects, unsigned int n_rects)
{
	struct rig_viewer *viewer = opaque;

	viewer->damages++;
	viewer->rects = n_rects;
	viewer->serial = serial;
	viewer->damaged = 0;
	for (unsigned int i = 0; i < n_rects; i++) {
		viewer->damaged += (uint64_t)rects[i].width * rects[i].height;
		if (rects[i].x + rects[i].width > viewer->widths[head] ||
		    rects[i].y + rects[i].height > viewer->heights[head])
			abort();
	}
	if (!viewer->lazy)
		display_shown(viewer->display, &viewer->viewer, head, serial);
}

static void take_cursor(void *opaque, unsigned int head, const struct display_cursor *cursor)
{
	struct rig_viewer *viewer = opaque;

	(void)head;
	viewer->cursor = *cursor;
	viewer->cursors++;
}

static void take_move(void *opaque, unsigned int head, uint32_t x, uint32_t y)
{
	struct rig_viewer *viewer = opaque;

	(void)head;
	viewer->cursor_x = x;
	viewer->cursor_y = y;
	viewer->moves++;
}

static const struct display_viewer_ops viewer_ops = {
	.ready = ready,
	.frame = take_frame,
	.damage = take_damage,
	.cursor = take_cursor,
	.cursor_at = take_move,
};

void rig_look(struct display *display, struct rig_viewer *viewer, uint32_t heads)
{
	viewer->display = display;
	viewer->view.fd = -1;
	viewer->viewer =
		(struct display_viewer){ .ops = &viewer_ops, .opaque = viewer, .heads = heads };
	display_attach(display, &viewer->viewer);
}

void rig_leave(struct display *display, struct rig_viewer *viewer)
{
	display_detach(display, &viewer->viewer);
	if (viewer->view.fd >= 0)
		close(viewer->view.fd);
	viewer->view.fd = -1;
}

bool rig_sees(const struct rig_viewer *viewer, const struct rig_guest *guest)
{
	const struct display_view *view = &viewer->view;
	const size_t size = (size_t)view->stride * view->height;
	const uint8_t *map;
	bool same = view->width == guest->width && view->height == guest->height;

	if (view->fd < 0)
		return false;
	map = mmap(NULL, size, PROT_READ, MAP_SHARED, view->fd, 0);
	if (map == MAP_FAILED)
		return false;
	for (uint32_t y = 0; same && y < view->height; y++) {
		const uint32_t *line = (const void *)(map + (size_t)y * view->stride);

		for (uint32_t x = 0; same && x < view->width; x++)
			same = line[x] == (guest->fails ? 0 : rig_pixel(guest->seed, x, y));
	}
	munmap((void *)map, size);
	return same;
}
