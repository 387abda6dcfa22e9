// SPDX-License-Identifier: GPL-2.0-or-later
// On the host: compares a screenshot with the test card, pixel by pixel. Says its size, and which
// pixel is the first one that is wrong.
#include <png.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/vm/display/card.h"

int main(int argc, char **argv)
{
	png_image image = { .version = PNG_IMAGE_VERSION };
	unsigned int head = argc > 2 ? (unsigned int)atoi(argv[2]) - 1 : 0;
	uint64_t wrong = 0;
	uint8_t *pixels;

	if (argc < 2 || !png_image_begin_read_from_file(&image, argv[1])) {
		fprintf(stderr, "usage: card-check FILE.png [HEAD]\n");
		return 2;
	}
	image.format = PNG_FORMAT_RGB;
	pixels = malloc(PNG_IMAGE_SIZE(image));
	if (!pixels || !png_image_finish_read(&image, NULL, pixels, 0, NULL))
		return 2;
	printf("%ux%u\n", image.width, image.height);
	for (uint32_t y = 0; y < image.height; y++) {
		for (uint32_t x = 0; x < image.width; x++) {
			const uint8_t *at = pixels + 3 * ((size_t)y * image.width + x);
			const uint32_t is = (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2];

			if (is != card_pixel(head, x, y) && !wrong++)
				printf("%u,%u is %06x and not %06x\n", x, y, is,
				       card_pixel(head, x, y));
		}
	}
	free(pixels);
	return wrong > 0;
}
