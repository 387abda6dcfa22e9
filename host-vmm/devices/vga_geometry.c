// SPDX-License-Identifier: GPL-2.0-or-later
// What the registers say of the picture's form: what a monitor would show of it, dot by dot.
#include <string.h>

#include "host-vmm/devices/vga_private.h"

#define SEQ_CLOCKING	  1
#define CLOCKING_8_DOTS	  0x01u
#define CLOCKING_HALF	  0x08u
#define CLOCKING_OFF	  0x20u
#define GFX_MODE	  5
#define MODE_BYTES	  0x40u
#define MODE_PAIRS	  0x20u
#define GFX_MISC	  6
#define MISC_GRAPHICS	  0x01u
#define ATTR_SHOWN	  0x20u /* of the index */
#define CRTC_OVERFLOW	  7
#define CRTC_MAX_SCAN	  9
#define MAX_SCAN_TWICE	  0x80u
#define MAX_SCAN_COMPARE9 0x40u
#define CRTC_SHOWN_END	  0x12
#define CRTC_PITCH	  0x13
#define CRTC_MODE	  0x17
#define CRTC_MODE_BYTE	  0x40u
#define CRTC_MODE_BANK13  0x01u /* clear: address bit 13 is the row scan's bit 0 */
#define CRTC_COMPARE	  0x18

static void kind_of(const struct vga_regs *regs, struct vga_geometry *geometry)
{
	if (!(regs->gfx[GFX_MISC] & MISC_GRAPHICS))
		geometry->kind = VGA_TEXT;
	else if (regs->gfx[GFX_MODE] & MODE_BYTES)
		geometry->kind = VGA_BYTES;
	else if (regs->gfx[GFX_MODE] & MODE_PAIRS)
		geometry->kind = VGA_PAIRS;
	else
		geometry->kind = VGA_PLANAR;
}

static void horizontal(const struct vga_regs *regs, struct vga_geometry *geometry)
{
	bool half = regs->seq[SEQ_CLOCKING] & CLOCKING_HALF;

	geometry->cell = 8;
	if (geometry->kind == VGA_TEXT && !(regs->seq[SEQ_CLOCKING] & CLOCKING_8_DOTS))
		geometry->cell = 9;
	geometry->stretch = half ? 2 : 1;
	geometry->width = (regs->crtc[1] + 1u) * geometry->cell * geometry->stretch;
	/* A byte's colour takes two clocks. */
	if (geometry->kind == VGA_BYTES)
		geometry->stretch *= 2;
	geometry->pitch = regs->crtc[CRTC_PITCH] * 8u;
	geometry->start = 4ull * (uint64_t)(regs->crtc[0xc] << 8 | regs->crtc[0xd]);
}

static void vertical(const struct vga_regs *regs, struct vga_geometry *geometry)
{
	unsigned int over = regs->crtc[CRTC_OVERFLOW], most = regs->crtc[CRTC_MAX_SCAN];

	geometry->height =
		1u + (regs->crtc[CRTC_SHOWN_END] | (over >> 1 & 1) << 8 | (over >> 6 & 1) << 9);
	geometry->split = 1u + (regs->crtc[CRTC_COMPARE] | (over >> 4 & 1) << 8 |
				(most & MAX_SCAN_COMPARE9 ? 1u << 9 : 0));
	geometry->scans = (most & 0x1f) + 1;
	geometry->rescan = most & MAX_SCAN_TWICE ? 2 : 1;
	if (geometry->kind == VGA_TEXT || regs->crtc[CRTC_MODE] & CRTC_MODE_BANK13)
		return;
	/* In odd/even pairs, as CGA's modes address memory, a plane's offset is half the address.
	 */
	geometry->bank_bit = regs->crtc[CRTC_MODE] & CRTC_MODE_BYTE ? 1u << 15 : 1u << 14;
}

void vga_geometry_of(const struct vga *vga, struct vga_geometry *ret_geometry)
{
	const struct vga_regs *regs = &vga->regs;
	bool off = !(regs->attr_index & ATTR_SHOWN) || regs->seq[SEQ_CLOCKING] & CLOCKING_OFF;
	struct vga_geometry geometry = { .mask = 4 * VGA_PLANE_BYTES - 1 };

	if (vga->vbe.enable & VBE_ENABLED) {
		vga_vbe_geometry(&vga->vbe, vga->size, &geometry);
	} else {
		kind_of(regs, &geometry);
		horizontal(regs, &geometry);
		vertical(regs, &geometry);
	}
	geometry.blank = off;
	*ret_geometry = geometry;
}

bool vga_geometry_equals(const struct vga_geometry *a, const struct vga_geometry *b)
{
	return !vga_geometry_differs(a, b) && a->kind == b->kind && a->stretch == b->stretch &&
	       a->rescan == b->rescan && a->scans == b->scans && a->cell == b->cell &&
	       a->pitch == b->pitch && a->start == b->start && a->mask == b->mask &&
	       a->split == b->split && a->bank_bit == b->bank_bit && a->blank == b->blank;
}

bool vga_geometry_is_flip(const struct vga_geometry *a, const struct vga_geometry *b)
{
	return a->width == b->width && a->height == b->height &&
	       (a->kind == VGA_TEXT) == (b->kind == VGA_TEXT) &&
	       (a->kind == VGA_DIRECT) == (b->kind == VGA_DIRECT) && a->format == b->format;
}

bool vga_geometry_differs(const struct vga_geometry *a, const struct vga_geometry *b)
{
	/* What lies where is the display's matter in direct modes alone. */
	return !vga_geometry_is_flip(a, b) ||
	       (a->kind == VGA_DIRECT && (a->pitch != b->pitch || a->start != b->start));
}

uint64_t vga_geometry_row(const struct vga_geometry *geometry, uint32_t y, uint32_t *ret_scan)
{
	uint64_t address = geometry->start, bank = geometry->bank_bit;

	if (y >= geometry->split) {
		y -= geometry->split;
		address = 0;
	}
	y /= geometry->rescan;
	*ret_scan = y % geometry->scans;
	/* Graphics modes with rows of several scans show the same bytes again, or their bank. */
	address += (uint64_t)(y / geometry->scans) * geometry->pitch;
	if (bank)
		address = (address & ~bank) | (*ret_scan & 1 ? bank : 0);
	return address & geometry->mask;
}

uint64_t vga_geometry_row_bytes(const struct vga_geometry *geometry)
{
	uint64_t dots = geometry->width / geometry->stretch;

	switch (geometry->kind) {
	case VGA_TEXT:
		return dots / geometry->cell * 4;
	case VGA_PLANAR:
	case VGA_PAIRS:
		return (dots + 7) / 8 * 4;
	case VGA_BYTES:
		return dots;
	case VGA_DIRECT:
		break;
	}
	return dots * display_format_bytes(geometry->format);
}
