// SPDX-License-Identifier: GPL-2.0-or-later
// Dots of the VGA's picture, a stretch of a line at a time, from video memory and registers.
#include <string.h>

#include "host-vmm/devices/vga_private.h"

#define ATTR_MODE	   0x10
#define MODE_LINE_GRAPHICS 0x04u
#define MODE_BLINK	   0x08u
#define MODE_PALETTE_BITS  0x80u
#define ATTR_PLANES	   0x12
#define ATTR_SELECT	   0x14
#define SEQ_FONTS	   3
#define CRTC_UNDERLINE	   0x14
#define CURSOR_OFF	   0x20u
#define FONT_BYTES	   0x2000u /* of each of the eight fonts in plane 2 */
#define GLYPH_BYTES	   32u

/* What is the same for all dots of a line. */
struct line {
	const struct vga *vga;
	const struct vga_geometry *geometry;
	uint64_t row; /* first byte */
	uint32_t scan;
	uint32_t colours[16];
};

static uint32_t dac(const struct vga *vga, unsigned int index)
{
	const uint8_t *entry = &vga->regs.palette[3 * (index & vga->regs.dac_mask)];
	uint32_t red = entry[0], green = entry[1], blue = entry[2];

	if (!(vga->vbe.enable & VBE_8BIT_DAC)) {
		red = (red & 0x3f) << 2 | (red >> 4 & 3);
		green = (green & 0x3f) << 2 | (green >> 4 & 3);
		blue = (blue & 0x3f) << 2 | (blue >> 4 & 3);
	}
	return red << 16 | green << 8 | blue;
}

static void work_out_colours(struct vga *vga)
{
	for (unsigned int i = 0; i < 256; i++)
		vga->colours[i] = dac(vga, i);
	vga->colours_stale = false;
}

/* What the attribute controller makes of 4 bits. */
static uint32_t colour_of(const struct vga *vga, unsigned int value)
{
	const uint8_t *attr = vga->regs.attr;
	uint8_t index = attr[value & attr[ATTR_PLANES] & 0xf];

	if (attr[ATTR_MODE] & MODE_PALETTE_BITS)
		index = (uint8_t)((index & 0x0f) | (attr[ATTR_SELECT] & 0x0f) << 4);
	else
		index = (uint8_t)((index & 0x3f) | (attr[ATTR_SELECT] & 0x0c) << 4);
	return vga->colours[index];
}

static const uint8_t *bytes_at(const struct line *line, uint64_t offset)
{
	return line->vga->memory + ((line->row + offset) & line->geometry->mask & ~3ull);
}

/* ---- text ---- */

static bool has_cursor(const struct line *line, uint64_t offset)
{
	const uint8_t *crtc = line->vga->regs.crtc;
	uint64_t at = 4ull * (uint64_t)(crtc[0xe] << 8 | crtc[0xf]);

	return !(crtc[0xa] & CURSOR_OFF) && line->scan >= (crtc[0xa] & 0x1f) &&
	       line->scan <= (crtc[0xb] & 0x1f) &&
	       ((line->row + offset) & line->geometry->mask) == (at & line->geometry->mask);
}

/* Attribute bit 3 chooses between two fonts, where they are two. */
static uint8_t glyph_scan(const struct line *line, uint8_t character, uint8_t attribute)
{
	uint8_t fonts = line->vga->regs.seq[SEQ_FONTS];
	unsigned int font = (fonts & 3) << 1 | (fonts >> 4 & 1);
	uint64_t at;

	if (attribute & 8)
		font = (fonts >> 2 & 3) << 1 | (fonts >> 5 & 1);
	at = font * FONT_BYTES + character * GLYPH_BYTES + line->scan;
	return line->vga->memory[4 * (at & (VGA_PLANE_BYTES - 1)) + 2];
}

/* The dots of one character, the leftmost in the highest of 9 bits, and its two colours. */
static unsigned int text_cell(const struct line *line, uint64_t offset, uint32_t *ret_ink,
			      uint32_t *ret_paper)
{
	const struct vga *vga = line->vga;
	const uint8_t *cell = bytes_at(line, offset);
	uint8_t mode = vga->regs.attr[ATTR_MODE];
	unsigned int bits = (unsigned int)glyph_scan(line, cell[0], cell[1]) << 1;

	/* Lines and blocks go on into the ninth dot. */
	if (mode & MODE_LINE_GRAPHICS && (cell[0] & 0xe0) == 0xc0)
		bits |= bits >> 1 & 1;
	*ret_ink = line->colours[cell[1] & 0xf];
	/* What would blink is shown steadily. */
	*ret_paper = line->colours[cell[1] >> 4 & (mode & MODE_BLINK ? 0x7 : 0xf)];
	/* Where it is beyond the last scan, as in colour modes, there is none. */
	if ((cell[1] & 0x77) == 0x01 && line->scan == (vga->regs.crtc[CRTC_UNDERLINE] & 0x1f))
		bits = 0x1ff;
	return has_cursor(line, offset) ? 0x1ff : bits;
}

static void render_text(const struct line *line, uint32_t x, uint32_t count, uint32_t *dots)
{
	const struct vga_geometry *geometry = line->geometry;
	uint32_t cell = geometry->cell * geometry->stretch, ink, paper;

	while (count > 0) {
		uint32_t at = x % cell, n = cell - at < count ? cell - at : count;
		unsigned int bits = text_cell(line, x / cell * 4ull, &ink, &paper);

		for (uint32_t i = at; i < at + n; i++)
			*dots++ = bits >> (8 - i / geometry->stretch) & 1 ? ink : paper;
		x += n;
		count -= n;
	}
}

/* ---- graphics ---- */

static unsigned int planar_dot(const struct line *line, uint32_t x)
{
	const uint8_t *planes = bytes_at(line, x / 8 * 4ull);
	unsigned int shift = 7 - x % 8;

	return (planes[0] >> shift & 1) | (planes[1] >> shift & 1) << 1 |
	       (planes[2] >> shift & 1) << 2 | (planes[3] >> shift & 1) << 3;
}

/* Four dots in plane 0 and the next four in plane 1; planes 2 and 3 give higher bits. */
static unsigned int pairs_dot(const struct line *line, uint32_t x)
{
	const uint8_t *planes = bytes_at(line, x / 8 * 4ull);
	unsigned int odd = x / 4 % 2, shift = 6 - x % 4 * 2;

	return (planes[odd] >> shift & 3) | (planes[odd + 2] >> shift & 3) << 2;
}

static void render_dots(const struct line *line, uint32_t x, uint32_t count, uint32_t *dots)
{
	const struct vga_geometry *geometry = line->geometry;
	const struct vga *vga = line->vga;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t dot = (x + i) / geometry->stretch;

		if (geometry->kind == VGA_BYTES)
			dots[i] = vga->colours[vga->memory[(line->row + dot) & geometry->mask]];
		else if (geometry->kind == VGA_PAIRS)
			dots[i] = line->colours[pairs_dot(line, dot)];
		else
			dots[i] = line->colours[planar_dot(line, dot)];
	}
}

void vga_render(struct vga *vga, uint32_t y, uint32_t x, uint32_t count, uint32_t *dots)
{
	struct line line = { .vga = vga, .geometry = &vga->geometry };

	if (vga->geometry.blank) {
		memset(dots, 0, count * sizeof(*dots));
		return;
	}
	if (vga->colours_stale)
		work_out_colours(vga);
	line.row = vga_geometry_row(line.geometry, y, &line.scan);
	for (unsigned int i = 0; i < 16; i++)
		line.colours[i] = colour_of(vga, i);
	if (vga->geometry.kind == VGA_TEXT)
		render_text(&line, x, count, dots);
	else
		render_dots(&line, x, count, dots);
}
