// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How pixels get into a window.
 *
 * Where frame and window have one size, X copies damaged rectangles from the monitor's memory right
 * into the window (MIT-SHM). Where a frame is scaled, X copies them into a pixmap and draws that
 * part by RENDER, larger or smaller. X tells when it has read the memory.
 *
 * A server that shares no memory is sent pixels over its socket.
 */
#include "host-vmm/view/picture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "protocol/lib/fd.h"

#define PIXEL_BYTES 4u
#define DEPTH	    24
#define FIXED_ONE   65536 /* of xcb_render_fixed_t */

void picture_init(struct picture *picture, struct screen *screen, xcb_window_t window)
{
	*picture = (struct picture){ .screen = screen, .window = window };
	picture->gc = xcb_generate_id(screen->x);
	xcb_create_gc(screen->x, picture->gc, window, XCB_GC_GRAPHICS_EXPOSURES, &(uint32_t){ 0 });
}

static void drop_scaling(struct picture *picture)
{
	xcb_connection_t *x = picture->screen->x;

	if (picture->pixmap) {
		xcb_render_free_picture(x, picture->source);
		xcb_render_free_picture(x, picture->target);
		xcb_free_pixmap(x, picture->pixmap);
	}
	picture->pixmap = 0;
}

static void drop_frame(struct picture *picture)
{
	drop_scaling(picture);
	if (picture->segment)
		xcb_shm_detach(picture->screen->x, picture->segment);
	if (picture->map)
		munmap((void *)picture->map, picture->map_len);
	picture->segment = 0;
	picture->map = NULL;
	/* What X says of that memory from now on is of no interest. */
	picture->n_serials = 0;
	picture->frame = (struct link_frame){ 0 };
}

void picture_finish(struct picture *picture)
{
	drop_frame(picture);
	xcb_free_gc(picture->screen->x, picture->gc);
}

static int attach(struct picture *picture, int fd)
{
	xcb_connection_t *x = picture->screen->x;
	xcb_shm_seg_t segment = xcb_generate_id(x);
	xcb_generic_error_t *error;

	/* The library closes what it sends. */
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	error = xcb_request_check(x, xcb_shm_attach_fd_checked(x, segment, fd, 1));
	if (error) {
		free(error);
		return -EIO;
	}
	picture->segment = segment;
	return 0;
}

/* Memory that may shrink under the map would be the end of this process, and may be that of X. */
static bool may_shrink(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);

	return seals < 0 || !(seals & F_SEAL_SHRINK);
}

static int map(struct picture *picture, const struct link_frame *frame, int fd)
{
	size_t len = (size_t)frame->stride * frame->height;
	void *at = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);

	if (at == MAP_FAILED)
		return -errno;
	picture->map = at;
	picture->map_len = len;
	return 0;
}

int picture_set_frame(struct picture *picture, const struct link_frame *frame, int fd)
{
	autofd memory = fd;
	int ret = 0;

	drop_frame(picture);
	if (frame->source != LODGE_DISPLAY_NONE && may_shrink(memory)) {
		ret = -EPERM;
	} else if (frame->source != LODGE_DISPLAY_NONE) {
		ret = picture->screen->shm ? attach(picture, memory) : -ENOSYS;
		if (ret < 0)
			ret = map(picture, frame, memory);
	}
	if (ret == 0)
		picture->frame = *frame;
	(void)picture_place(picture, picture->width, picture->height, picture->scale);
	return ret;
}

/* ---- where it is ---- */

static void fit(struct picture *picture)
{
	uint64_t width = picture->frame.width, height = picture->frame.height;

	if (width * picture->height >= height * picture->width) {
		picture->shown_width = picture->width;
		picture->shown_height = (uint32_t)(height * picture->width / width);
	} else {
		picture->shown_height = picture->height;
		picture->shown_width = (uint32_t)(width * picture->height / height);
	}
	if (picture->shown_width == 0)
		picture->shown_width = 1;
	if (picture->shown_height == 0)
		picture->shown_height = 1;
	picture->x = (int32_t)(picture->width - picture->shown_width) / 2;
	picture->y = (int32_t)(picture->height - picture->shown_height) / 2;
}

static void make_scaling(struct picture *picture)
{
	xcb_connection_t *x = picture->screen->x;
	const struct link_frame *frame = &picture->frame;
	bool whole = picture->shown_width % frame->width == 0 &&
		     picture->shown_height % frame->height == 0;
	const char *filter = whole ? "nearest" : "bilinear";
	const xcb_render_transform_t transform = {
		.matrix11 = (int32_t)((uint64_t)frame->width * FIXED_ONE / picture->shown_width),
		.matrix22 = (int32_t)((uint64_t)frame->height * FIXED_ONE / picture->shown_height),
		.matrix33 = FIXED_ONE,
	};

	picture->pixmap = xcb_generate_id(x);
	xcb_create_pixmap(x, DEPTH, picture->pixmap, picture->window, (uint16_t)frame->width,
			  (uint16_t)frame->height);
	picture->source = xcb_generate_id(x);
	xcb_render_create_picture(x, picture->source, picture->pixmap, picture->screen->format,
				  XCB_RENDER_CP_REPEAT, &(uint32_t){ XCB_RENDER_REPEAT_PAD });
	xcb_render_set_picture_transform(x, picture->source, transform);
	xcb_render_set_picture_filter(x, picture->source, (uint16_t)strlen(filter), filter, 0,
				      NULL);
	picture->target = xcb_generate_id(x);
	xcb_render_create_picture(x, picture->target, picture->window, picture->screen->format, 0,
				  NULL);
}

bool picture_place(struct picture *picture, uint32_t width, uint32_t height, bool scale)
{
	const struct link_frame *frame = &picture->frame;
	const int32_t x = picture->x, y = picture->y;
	const uint32_t shown_width = picture->shown_width, shown_height = picture->shown_height;

	drop_scaling(picture);
	picture->width = width;
	picture->height = height;
	picture->scale = scale;
	picture->x = picture->y = 0;
	picture->shown_width = frame->width;
	picture->shown_height = frame->height;
	if (frame->source == LODGE_DISPLAY_NONE || width == 0 || height == 0)
		return false;
	if (scale && picture->screen->render)
		fit(picture);
	if (picture->shown_width != frame->width || picture->shown_height != frame->height)
		make_scaling(picture);
	/* A new pixmap has nothing in it. */
	return picture->pixmap || x != picture->x || y != picture->y ||
	       shown_width != picture->shown_width || shown_height != picture->shown_height;
}

/* ---- drawing ---- */

struct box {
	uint32_t x, y, width, height; /* inside the frame, not empty */
};

static bool clip(const struct picture *picture, const struct link_rect *rect, struct box *ret_box)
{
	const struct link_frame *frame = &picture->frame;

	if (rect->x >= frame->width || rect->y >= frame->height || rect->width == 0 ||
	    rect->height == 0)
		return false;
	*ret_box =
		(struct box){ rect->x, rect->y, frame->width - rect->x, frame->height - rect->y };
	if (rect->width < ret_box->width)
		ret_box->width = rect->width;
	if (rect->height < ret_box->height)
		ret_box->height = rect->height;
	return true;
}

static void put_shared(struct picture *picture, xcb_drawable_t to, int32_t x, int32_t y,
		       const struct box *box, bool tell)
{
	const struct link_frame *frame = &picture->frame;

	xcb_shm_put_image(picture->screen->x, to, picture->gc,
			  (uint16_t)(frame->stride / PIXEL_BYTES), (uint16_t)frame->height,
			  (uint16_t)box->x, (uint16_t)box->y, (uint16_t)box->width,
			  (uint16_t)box->height, (int16_t)(x + (int32_t)box->x),
			  (int16_t)(y + (int32_t)box->y), DEPTH, XCB_IMAGE_FORMAT_Z_PIXMAP, tell,
			  picture->segment, 0);
}

/* Over the socket, by as many lines as one request may hold. */
static void put_sent(struct picture *picture, xcb_drawable_t to, int32_t x, int32_t y,
		     const struct box *box)
{
	const struct link_frame *frame = &picture->frame;
	size_t line = (size_t)box->width * PIXEL_BYTES;
	size_t room = ((size_t)xcb_get_maximum_request_length(picture->screen->x) - 8) * 4;
	uint32_t lines = room < 1u << 20 ? (uint32_t)(room / line) : (uint32_t)((1u << 20) / line);
	uint8_t *pixels;

	if (lines == 0)
		lines = 1;
	pixels = malloc(line * lines);
	for (uint32_t done = 0; pixels && done < box->height; done += lines) {
		uint32_t now = box->height - done < lines ? box->height - done : lines;

		for (uint32_t i = 0; i < now; i++)
			memcpy(pixels + i * line,
			       picture->map + (size_t)(box->y + done + i) * frame->stride +
				       (size_t)box->x * PIXEL_BYTES,
			       line);
		xcb_put_image(picture->screen->x, XCB_IMAGE_FORMAT_Z_PIXMAP, to, picture->gc,
			      (uint16_t)box->width, (uint16_t)now, (int16_t)(x + (int32_t)box->x),
			      (int16_t)(y + (int32_t)(box->y + done)), 0, DEPTH,
			      (uint32_t)(line * now), pixels);
	}
	free(pixels);
}

/* One pixel more on each side, which a filter takes into account. */
static void draw_scaled(struct picture *picture, const struct box *box)
{
	const struct link_frame *frame = &picture->frame;
	uint64_t left = (uint64_t)(box->x > 0 ? box->x - 1 : 0) * picture->shown_width;
	uint64_t top = (uint64_t)(box->y > 0 ? box->y - 1 : 0) * picture->shown_height;
	uint64_t right = ((uint64_t)box->x + box->width + 1) * picture->shown_width;
	uint64_t bottom = ((uint64_t)box->y + box->height + 1) * picture->shown_height;

	left /= frame->width;
	top /= frame->height;
	right = right / frame->width + 1;
	bottom = bottom / frame->height + 1;
	if (right > picture->shown_width)
		right = picture->shown_width;
	if (bottom > picture->shown_height)
		bottom = picture->shown_height;
	xcb_render_composite(picture->screen->x, XCB_RENDER_PICT_OP_SRC, picture->source, XCB_NONE,
			     picture->target, (int16_t)left, (int16_t)top, 0, 0,
			     (int16_t)(picture->x + (int32_t)left),
			     (int16_t)(picture->y + (int32_t)top), (uint16_t)(right - left),
			     (uint16_t)(bottom - top));
}

static void draw(struct picture *picture, const struct box *box, bool tell)
{
	xcb_drawable_t to = picture->pixmap ? picture->pixmap : picture->window;
	int32_t x = picture->pixmap ? 0 : picture->x, y = picture->pixmap ? 0 : picture->y;

	if (picture->segment)
		put_shared(picture, to, x, y, box, tell);
	else
		put_sent(picture, to, x, y, box);
	if (picture->pixmap)
		draw_scaled(picture, box);
}

bool picture_damage(struct picture *picture, uint32_t serial, const struct link_rect *rects,
		    unsigned int n_rects)
{
	struct box box, boxes[LODGE_DISPLAY_RECTS_MAX];
	unsigned int n_boxes = 0;

	for (unsigned int i = 0; i < n_rects; i++)
		if (clip(picture, &rects[i], &box))
			boxes[n_boxes++] = box;
	for (unsigned int i = 0; i < n_boxes; i++)
		draw(picture, &boxes[i], i + 1 == n_boxes);
	if (n_boxes == 0 || !picture->segment || picture->n_serials == PICTURE_SERIALS)
		return true;
	picture->serials[picture->n_serials++] = serial;
	return false;
}

bool picture_completed(struct picture *picture, uint32_t *ret_serial)
{
	if (picture->n_serials == 0)
		return false;
	*ret_serial = picture->serials[0];
	picture->n_serials--;
	memmove(picture->serials, picture->serials + 1,
		picture->n_serials * sizeof(picture->serials[0]));
	return true;
}

void picture_clear_around(struct picture *picture)
{
	int32_t right = picture->x + (int32_t)picture->shown_width;
	int32_t bottom = picture->y + (int32_t)picture->shown_height;
	const int32_t bars[4][4] = {
		{ 0, 0, picture->x, (int32_t)picture->height },
		{ right, 0, (int32_t)picture->width - right, (int32_t)picture->height },
		{ 0, 0, (int32_t)picture->width, picture->y },
		{ 0, bottom, (int32_t)picture->width, (int32_t)picture->height - bottom },
	};

	for (int i = 0; i < 4; i++)
		if (bars[i][2] > 0 && bars[i][3] > 0)
			xcb_clear_area(picture->screen->x, 0, picture->window, (int16_t)bars[i][0],
				       (int16_t)bars[i][1], (uint16_t)bars[i][2],
				       (uint16_t)bars[i][3]);
}

void picture_draw(struct picture *picture)
{
	const struct link_frame *frame = &picture->frame;

	if (picture->width == 0 || picture->height == 0)
		return;
	picture_clear_around(picture);
	if (frame->source != LODGE_DISPLAY_NONE)
		draw(picture, &(struct box){ 0, 0, frame->width, frame->height }, false);
}

/* The part of [@at, @at + @len) from @start on, counted from there. False: nothing of it. */
static bool part_from(int32_t start, int32_t at, uint32_t len, uint32_t *ret_at, uint32_t *ret_len)
{
	const int64_t end = (int64_t)at + len - start;

	if (end <= 0)
		return false;
	*ret_at = at > start ? (uint32_t)(at - start) : 0;
	*ret_len = (uint32_t)(end - *ret_at);
	return true;
}

void picture_expose(struct picture *picture, int32_t x, int32_t y, uint32_t width, uint32_t height)
{
	struct link_rect rect;
	struct box box;

	if (picture->pixmap) {
		picture_draw(picture);
		return;
	}
	/* Around the frame X has drawn the background. */
	if (part_from(picture->x, x, width, &rect.x, &rect.width) &&
	    part_from(picture->y, y, height, &rect.y, &rect.height) && clip(picture, &rect, &box))
		draw(picture, &box, false);
}

static uint32_t locate(int32_t at, int32_t start, uint32_t shown, uint32_t pixels)
{
	if (at <= start)
		return 0;
	at -= start;
	if ((uint32_t)at >= shown)
		return pixels - 1;
	return (uint32_t)((uint64_t)at * pixels / shown);
}

bool picture_locate(const struct picture *picture, int32_t x, int32_t y, uint32_t *ret_x,
		    uint32_t *ret_y)
{
	if (picture->frame.source == LODGE_DISPLAY_NONE)
		return false;
	*ret_x = locate(x, picture->x, picture->shown_width, picture->frame.width);
	*ret_y = locate(y, picture->y, picture->shown_height, picture->frame.height);
	return true;
}
