// SPDX-License-Identifier: GPL-2.0-or-later
// The font that a VGA's firmware would have: made by vga-font from a package's console fonts.
#include "host-vmm/devices/vga_private.h"

const uint8_t vga_font[256][VGA_FONT_HEIGHT] = {
#include "vga_font.inc"
};
