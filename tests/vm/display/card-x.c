// SPDX-License-Identifier: GPL-2.0-or-later
// The test card under X. `card-x draw`: on the root window, again at each of its sizes, which are
// said. `card-x check WINDOW`: whether a window shows the card; says its size, and the first pixel
// that is wrong.
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xcb/xcb.h>

#include "tests/vm/display/card.h"

#define LINES	    63u /* of WIDTH_MAX pixels: a request has below 65,536 words */
#define WIDTH_MAX   1024u
#define COLOURS	    0xffffffu
#define EVENT_TYPES 0x7f

static uint32_t pixels[LINES * WIDTH_MAX];

static void draw_part(xcb_connection_t *x, const xcb_screen_t *screen, xcb_gcontext_t gc,
		      const xcb_rectangle_t *part)
{
	for (uint32_t row = 0; row < part->height; row++)
		for (uint32_t column = 0; column < part->width; column++)
			pixels[row * part->width + column] =
				card_pixel(0, (uint32_t)part->x + column, (uint32_t)part->y + row);
	xcb_put_image(x, XCB_IMAGE_FORMAT_Z_PIXMAP, screen->root, gc, part->width, part->height,
		      part->x, part->y, 0, screen->root_depth, part->width * part->height * 4u,
		      (const uint8_t *)pixels);
}

static void draw(xcb_connection_t *x, const xcb_screen_t *screen, xcb_gcontext_t gc, uint32_t width,
		 uint32_t height)
{
	for (uint32_t top = 0; top < height; top += LINES)
		for (uint32_t left = 0; left < width; left += WIDTH_MAX) {
			const xcb_rectangle_t part = {
				.x = (int16_t)left,
				.y = (int16_t)top,
				.width = (uint16_t)(width - left < WIDTH_MAX ? width - left
									     : WIDTH_MAX),
				.height = (uint16_t)(height - top < LINES ? height - top : LINES),
			};

			draw_part(x, screen, gc, &part);
		}
	free(xcb_get_input_focus_reply(x, xcb_get_input_focus(x), NULL));
	printf("%ux%u\n", width, height);
	fflush(stdout);
}

static int draw_always(xcb_connection_t *x, const xcb_screen_t *screen)
{
	uint32_t width = screen->width_in_pixels, height = screen->height_in_pixels;
	xcb_gcontext_t gc = xcb_generate_id(x);
	xcb_generic_event_t *event;

	xcb_create_gc(x, gc, screen->root, XCB_GC_SUBWINDOW_MODE,
		      &(uint32_t){ XCB_SUBWINDOW_MODE_INCLUDE_INFERIORS });
	xcb_change_window_attributes(
		x, screen->root, XCB_CW_EVENT_MASK,
		&(uint32_t){ XCB_EVENT_MASK_STRUCTURE_NOTIFY | XCB_EVENT_MASK_EXPOSURE });
	do {
		draw(x, screen, gc, width, height);
		event = xcb_wait_for_event(x);
		while (event) {
			const xcb_configure_notify_event_t *change = (const void *)event;

			if ((event->response_type & EVENT_TYPES) == XCB_CONFIGURE_NOTIFY) {
				width = change->width;
				height = change->height;
			}
			free(event);
			event = xcb_poll_for_event(x);
		}
	} while (!xcb_connection_has_error(x));
	return EXIT_FAILURE;
}

static int check(xcb_connection_t *x, xcb_window_t window)
{
	xcb_get_geometry_reply_t *size =
		xcb_get_geometry_reply(x, xcb_get_geometry(x, window), NULL);
	xcb_get_image_reply_t *image =
		size ? xcb_get_image_reply(x,
					   xcb_get_image(x, XCB_IMAGE_FORMAT_Z_PIXMAP, window, 0, 0,
							 size->width, size->height, UINT32_MAX),
					   NULL)
		     : NULL;
	const uint32_t *at = image ? (const uint32_t *)(const void *)xcb_get_image_data(image)
				   : NULL;

	if (!at)
		return EXIT_FAILURE;
	printf("%ux%u\n", size->width, size->height);
	for (uint32_t i = 0; i < (uint32_t)size->width * size->height; i++) {
		const uint32_t wanted = card_pixel(0, i % size->width, i / size->width);

		if ((at[i] & COLOURS) != wanted) {
			printf("%u,%u is %06x and not %06x\n", i % size->width, i / size->width,
			       at[i] & COLOURS, wanted);
			return EXIT_FAILURE;
		}
	}
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	xcb_connection_t *x = xcb_connect(NULL, NULL);

	if (xcb_connection_has_error(x)) {
		fprintf(stderr, "card-x: no X server\n");
		return EXIT_FAILURE;
	}
	if (argc == 3 && strcmp(argv[1], "check") == 0)
		return check(x, (xcb_window_t)strtoul(argv[2], NULL, 0));
	if (argc == 2 && strcmp(argv[1], "draw") == 0)
		return draw_always(x, xcb_setup_roots_iterator(xcb_get_setup(x)).data);
	fprintf(stderr, "usage: card-x draw | card-x check WINDOW\n");
	return 2;
}
