// SPDX-License-Identifier: GPL-2.0-or-later
// The test card under X. `card-x draw`: on the root window, again at each of its sizes, which are
// said. `card-x check WINDOW`: whether a window shows the card; says its size, and the first pixel
// that is wrong. `card-x await WINDOW WIDTHxHEIGHT`: waits for the card of that size; status 3
// where the window does not take the size. `card-x place WINDOW`: where it lies, for a shell to
// evaluate. `card-x shoot WINDOW FILE.png`.
#include <png.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xcb/xcb.h>

#include "tests/vm/display/card.h"

#define LINES	    63u /* of WIDTH_MAX pixels: a request has below 65,536 words */
#define WIDTH_MAX   1024u
#define COLOURS	    0xffffffu
#define EVENT_TYPES 0x7f
#define STEP_MS	    50
#define SIZE_MS	    4000 /* for a window to take a size */
#define CARD_MS	    30000 /* for the guest to draw it */

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

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

/* What a window shows, as 32 bits a pixel; the caller frees. */
static xcb_get_image_reply_t *look(xcb_connection_t *x, xcb_window_t window, uint32_t *ret_width,
				   uint32_t *ret_height)
{
	xcb_get_geometry_reply_t *size =
		xcb_get_geometry_reply(x, xcb_get_geometry(x, window), NULL);
	xcb_get_image_reply_t *image =
		size ? xcb_get_image_reply(x,
					   xcb_get_image(x, XCB_IMAGE_FORMAT_Z_PIXMAP, window, 0, 0,
							 size->width, size->height, UINT32_MAX),
					   NULL)
		     : NULL;

	if (image) {
		*ret_width = size->width;
		*ret_height = size->height;
	}
	free(size);
	return image;
}

/* Whether the window shows the card; its size and what is wrong go to said. */
static bool check(xcb_connection_t *x, xcb_window_t window, char *said, size_t room)
{
	uint32_t width = 0, height = 0;
	xcb_get_image_reply_t *image = look(x, window, &width, &height);
	const uint32_t *at = image ? (const uint32_t *)(const void *)xcb_get_image_data(image)
				   : NULL;
	uint32_t i = 0;

	snprintf(said, room, "%ux%u\n", width, height);
	while (at && i < width * height && (at[i] & COLOURS) == card_pixel(0, i % width, i / width))
		i++;
	if (at && i < width * height)
		snprintf(said, room, "%ux%u\n%u,%u is %06x and not %06x\n", width, height,
			 i % width, i / width, at[i] & COLOURS,
			 card_pixel(0, i % width, i / width));
	free(image);
	return at && i == width * height;
}

static bool has_size(xcb_connection_t *x, xcb_window_t window, const char *wanted)
{
	xcb_get_geometry_reply_t *size =
		xcb_get_geometry_reply(x, xcb_get_geometry(x, window), NULL);
	char text[32] = "";

	if (size)
		snprintf(text, sizeof(text), "%ux%u", size->width, size->height);
	free(size);
	return strcmp(text, wanted) == 0;
}

static int await(xcb_connection_t *x, xcb_window_t window, const char *wanted)
{
	const struct timespec step = { .tv_nsec = STEP_MS * 1000000l };
	const uint64_t start = now_ms();
	char said[128] = "";

	while (!has_size(x, window, wanted)) {
		if (now_ms() - start > SIZE_MS)
			return 3;
		nanosleep(&step, NULL);
	}
	while (!check(x, window, said, sizeof(said)) || !has_size(x, window, wanted)) {
		if (now_ms() - start > CARD_MS) {
			fputs(said, stdout);
			return EXIT_FAILURE;
		}
		nanosleep(&step, NULL);
	}
	return EXIT_SUCCESS;
}

static int place(xcb_connection_t *x, xcb_window_t window)
{
	xcb_get_geometry_reply_t *size =
		xcb_get_geometry_reply(x, xcb_get_geometry(x, window), NULL);
	xcb_translate_coordinates_reply_t *at =
		size ? xcb_translate_coordinates_reply(
			       x, xcb_translate_coordinates(x, window, size->root, 0, 0), NULL)
		     : NULL;

	if (!at)
		return EXIT_FAILURE;
	printf("X=%d Y=%d WIDTH=%u HEIGHT=%u\n", at->dst_x, at->dst_y, size->width, size->height);
	return EXIT_SUCCESS;
}

static int shoot(xcb_connection_t *x, xcb_window_t window, const char *path)
{
	png_image png = { .version = PNG_IMAGE_VERSION,
			  .format = PNG_FORMAT_RGB,
			  .flags = PNG_IMAGE_FLAG_FAST };
	xcb_get_image_reply_t *image = look(x, window, &png.width, &png.height);
	const uint32_t *at = image ? (const uint32_t *)(const void *)xcb_get_image_data(image)
				   : NULL;
	uint8_t *bytes = at ? malloc(PNG_IMAGE_SIZE(png)) : NULL;

	if (!bytes)
		return EXIT_FAILURE;
	for (size_t i = 0; i < (size_t)png.width * png.height; i++) {
		bytes[3 * i] = (uint8_t)(at[i] >> 16);
		bytes[3 * i + 1] = (uint8_t)(at[i] >> 8);
		bytes[3 * i + 2] = (uint8_t)at[i];
	}
	return png_image_write_to_file(&png, path, 0, bytes, 0, NULL) ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int look_at(xcb_connection_t *x, int argc, char **argv)
{
	const xcb_window_t window = (xcb_window_t)strtoul(argv[2], NULL, 0);
	char said[128];
	bool is_card;

	if (argc == 4 && strcmp(argv[1], "await") == 0)
		return await(x, window, argv[3]);
	if (argc == 4 && strcmp(argv[1], "shoot") == 0)
		return shoot(x, window, argv[3]);
	if (argc == 3 && strcmp(argv[1], "place") == 0)
		return place(x, window);
	if (argc != 3 || strcmp(argv[1], "check") != 0)
		return 2;
	is_card = check(x, window, said, sizeof(said));
	fputs(said, stdout);
	return is_card ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	xcb_connection_t *x = xcb_connect(NULL, NULL);
	int ret = 2;

	if (xcb_connection_has_error(x)) {
		fprintf(stderr, "card-x: no X server\n");
		return EXIT_FAILURE;
	}
	if (argc == 2 && strcmp(argv[1], "draw") == 0)
		return draw_always(x, xcb_setup_roots_iterator(xcb_get_setup(x)).data);
	if (argc >= 3)
		ret = look_at(x, argc, argv);
	if (ret == 2)
		fprintf(stderr,
			"usage: card-x draw | card-x await WINDOW SIZE | card-x check WINDOW | "
			"card-x place WINDOW | card-x shoot WINDOW FILE.png\n");
	return ret;
}
