// SPDX-License-Identifier: GPL-2.0-or-later
// On the host: compares a screenshot of a text console, pixel by pixel, with what the guest's
// /dev/vcsa says is on it, drawn with the VGA's font or another one: in the VGA's cells of 9 dots,
// or a frame buffer's of 8, which may leave black margins. Says its size, and which pixel is the
// first one that is wrong.
#include <png.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define CELLS_MAX (255 * 255)
#define GLYPHS	  256
#define ROWS_MAX  32

/* The power-on font, of 16 rows, or 256 glyphs of a PSF file of version 1. */
struct font {
	unsigned int rows;
	uint8_t glyphs[GLYPHS][ROWS_MAX];
};

static const uint8_t own[GLYPHS][16] = {
#include "vga_font.inc"
};

struct screen {
	uint8_t lines, columns, x, y; /* as /dev/vcsa has it */
	uint8_t cells[CELLS_MAX][2];
};

static bool load_font(const char *path, struct font *font)
{
	uint8_t head[4] = { 0 };
	gzFile file = gzopen(path, "rb");
	bool ok = file && gzread(file, head, 4) == 4 && head[0] == 0x36 && head[1] == 0x04 &&
		  head[3] <= ROWS_MAX;

	font->rows = head[3];
	for (unsigned int i = 0; ok && i < GLYPHS; i++)
		ok = gzread(file, font->glyphs[i], font->rows) == (int)font->rows;
	if (file)
		gzclose(file);
	return ok;
}

static bool load_screen(const char *path, struct screen *screen)
{
	FILE *file = fopen(path, "rb");
	size_t n = file ? fread(screen, 1, sizeof(*screen), file) : 0;

	if (file)
		fclose(file);
	return n == 4u + 2u * screen->lines * screen->columns;
}

static uint32_t colour(unsigned int value)
{
	uint32_t light = value & 8 ? 0x55 : 0, red = value >> 2 & 1, green = value >> 1 & 1;

	/* Dark yellow is brown. */
	return (red * 0xaa + light) << 16 | (green * (value == 6 ? 0x55 : 0xaa) + light) << 8 |
	       ((value & 1) * 0xaa + light);
}

static uint32_t expected(const struct screen *screen, const struct font *font, unsigned int dots,
			 unsigned int x, unsigned int y)
{
	const uint8_t *cell;
	uint8_t bits;
	bool ink;

	if (x / dots >= screen->columns || y / font->rows >= screen->lines)
		return 0;
	cell = screen->cells[y / font->rows * screen->columns + x / dots];
	bits = font->glyphs[cell[0]][y % font->rows];
	ink = x % dots < 8 ? bits & 0x80 >> x % dots : (cell[0] & 0xe0) == 0xc0 && bits & 1;
	/* The highest bit is the VGA's blinking, and brightness on frame buffers. */
	return colour(ink ? cell[1] & 0xf : cell[1] >> 4 & (dots == 8 ? 15 : 7));
}

static int compare(const struct screen *screen, const struct font *font, unsigned int dots,
		   const png_image *image, const uint8_t *pixels)
{
	uint64_t wrong = 0;

	for (unsigned int y = 0; y < image->height; y++)
		for (unsigned int x = 0; x < image->width; x++) {
			const uint8_t *at = pixels + 3 * ((size_t)y * image->width + x);
			uint32_t is = (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2];
			uint32_t wanted = expected(screen, font, dots, x, y);

			if (is != wanted && !wrong++)
				printf("%u,%u is %06x and not %06x\n", x, y, is, wanted);
		}
	return wrong > 0;
}

int main(int argc, char **argv)
{
	static struct screen screen;
	static struct font font = { .rows = 16 };
	png_image image = { .version = PNG_IMAGE_VERSION };
	unsigned int dots = 9;
	uint8_t *pixels;
	int ret;

	for (unsigned int i = 0; i < GLYPHS; i++)
		memcpy(font.glyphs[i], own[i], sizeof(own[i]));
	if (argc < 3 || !png_image_begin_read_from_file(&image, argv[1]) ||
	    !load_screen(argv[2], &screen) || (argc > 3 && !load_font(argv[3], &font))) {
		fprintf(stderr, "usage: text-check SHOT.png VCSA [FONT.psf.gz]\n");
		return 2;
	}
	image.format = PNG_FORMAT_RGB;
	pixels = malloc(PNG_IMAGE_SIZE(image));
	if (!pixels || !png_image_finish_read(&image, NULL, pixels, 0, NULL))
		return 2;
	printf("%ux%u\n", image.width, image.height);
	if (image.width / 8 == screen.columns)
		dots = 8;
	ret = image.width / dots != screen.columns || image.height / font.rows != screen.lines ||
	      compare(&screen, &font, dots, &image, pixels);
	free(pixels);
	return ret;
}
