// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Bochs VBE: modes of any size by eleven registers behind an index port.
 *
 * A size that a guest writes counts when it writes VBE_ENABLED, or at once while a mode is on. What
 * cannot be (a size of 0, more than video memory holds) is not taken: the register keeps its value,
 * or the mode stays off, and a log line says so.
 */
#include <errno.h>

#include "host-vmm/devices/vga_private.h"
#include "host-vmm/machine.h"
#include "protocol/lib/log.h"

/* Bochs' bochs-vbe specification (vbe_display_api.txt). */
#define ID_FIRST 0xb0c0u
#define ID_LAST	 0xb0c5u

enum index {
	INDEX_ID = 0,
	INDEX_WIDTH = 1,
	INDEX_HEIGHT = 2,
	INDEX_BPP = 3,
	INDEX_ENABLE = 4,
	INDEX_BANK = 5,
	INDEX_VIRTUAL_WIDTH = 6,
	INDEX_VIRTUAL_HEIGHT = 7,
	INDEX_X = 8,
	INDEX_Y = 9,
	INDEX_MEMORY_64K = 10,
};

#define ENABLE_BITS (VBE_ENABLED | VBE_GETCAPS | VBE_8BIT_DAC | VBE_LFB | VBE_NOCLEAR)
#define BANK_BYTES  0x10000u
#define BPP_MAX	    32u

/* Bytes that @dots of a line take; of four planes together for 4 bits. */
static uint64_t line_bytes(uint16_t bpp, uint64_t dots)
{
	if (bpp == 4)
		return (dots + 7) / 8 * 4;
	return dots * ((bpp + 7u) / 8);
}

static bool bpp_is_known(uint16_t bpp)
{
	return bpp == 4 || bpp == 8 || bpp == 15 || bpp == 16 || bpp == 24 || bpp == 32;
}

static uint64_t first_byte(const struct vga_vbe *vbe)
{
	uint64_t pitch = line_bytes(vbe->bpp, vbe->virtual_width);

	/* Four planes begin at whole bytes. */
	return vbe->y * pitch + (vbe->bpp == 4 ? vbe->x / 8 * 4ull : line_bytes(vbe->bpp, vbe->x));
}

int vga_vbe_check(const struct vga_vbe *vbe, uint64_t size)
{
	uint64_t pitch = line_bytes(vbe->bpp, vbe->virtual_width), end;

	if (!bpp_is_known(vbe->bpp) || !vbe->width || !vbe->height ||
	    vbe->width > LODGE_DISPLAY_SIDE_MAX || vbe->height > LODGE_DISPLAY_SIDE_MAX ||
	    vbe->x + vbe->width > vbe->virtual_width)
		return -EINVAL;
	/* 16-bit factors: no product overflows. */
	end = first_byte(vbe) + (vbe->height - 1u) * pitch + line_bytes(vbe->bpp, vbe->width);
	return end > size ? -EINVAL : 0;
}

static enum display_format format_of(uint16_t bpp)
{
	switch (bpp) {
	case 15:
		return DISPLAY_RGB555;
	case 16:
		return DISPLAY_RGB565;
	case 24:
		return DISPLAY_BGR888;
	default:
		return DISPLAY_BGRX8888;
	}
}

void vga_vbe_geometry(const struct vga_vbe *vbe, uint64_t size, struct vga_geometry *geometry)
{
	*geometry = (struct vga_geometry){
		.kind = vbe->bpp == 4	? VGA_PLANAR
			: vbe->bpp == 8 ? VGA_BYTES
					: VGA_DIRECT,
		.format = format_of(vbe->bpp),
		.width = vbe->width,
		.height = vbe->height,
		.stretch = 1,
		.rescan = 1,
		.scans = 1,
		.cell = 8,
		.pitch = (uint32_t)line_bytes(vbe->bpp, vbe->virtual_width),
		.start = first_byte(vbe),
		.mask = size - 1,
		.split = UINT32_MAX,
	};
}

static void refuse(struct vga *vga, const struct vga_vbe *wanted)
{
	log_ratelimited(
		&vga->machine->guest_log, LOG_LEVEL_WARN,
		"vga: the guest asks for a VBE mode that cannot be: %ux%u at %u,%u of lines of "
		"%u, %u bits, bank %u",
		wanted->width, wanted->height, wanted->x, wanted->y, wanted->virtual_width,
		wanted->bpp, wanted->bank);
}

/* Under lock. */
static void enable(struct vga *vga, uint16_t value)
{
	struct vga_vbe wanted = vga->vbe;
	bool was_on = vga->vbe.enable & VBE_ENABLED;

	wanted.enable = value & ENABLE_BITS;
	if (!(value & VBE_ENABLED)) {
		wanted.bank = 0;
		vga->vbe = wanted;
		vga_touch_all(vga);
		vga_reform(vga);
		return;
	}
	if (!was_on) {
		wanted.virtual_width = wanted.width;
		wanted.x = wanted.y = wanted.bank = 0;
	}
	if (vga_vbe_check(&wanted, vga->size) < 0) {
		refuse(vga, &wanted);
		return;
	}
	vga->vbe = wanted;
	if (!was_on && !(value & VBE_NOCLEAR))
		vga_memory_clear(vga, wanted.height * line_bytes(wanted.bpp, wanted.width));
	vga_touch_all(vga);
	vga_reform(vga);
}

static uint16_t *field(struct vga_vbe *vbe, uint16_t index)
{
	switch (index) {
	case INDEX_ID:
		return &vbe->id;
	case INDEX_WIDTH:
		return &vbe->width;
	case INDEX_HEIGHT:
		return &vbe->height;
	case INDEX_BPP:
		return &vbe->bpp;
	case INDEX_BANK:
		return &vbe->bank;
	case INDEX_VIRTUAL_WIDTH:
		return &vbe->virtual_width;
	case INDEX_X:
		return &vbe->x;
	case INDEX_Y:
		return &vbe->y;
	default:
		return NULL;
	}
}

static bool may_be(const struct vga *vga, const struct vga_vbe *wanted)
{
	uint64_t bank = (uint64_t)wanted->bank * BANK_BYTES;

	if (wanted->id < ID_FIRST || wanted->id > ID_LAST ||
	    wanted->width > LODGE_DISPLAY_SIDE_MAX || wanted->height > LODGE_DISPLAY_SIDE_MAX ||
	    !bpp_is_known(wanted->bpp) || (wanted->bpp == 4 ? 4 * bank : bank) >= vga->size)
		return false;
	return !(wanted->enable & VBE_ENABLED) || vga_vbe_check(wanted, vga->size) == 0;
}

/* Under lock. */
static void put(struct vga *vga, uint16_t index, uint16_t value)
{
	struct vga_vbe wanted = vga->vbe;
	uint16_t *register_ = field(&wanted, index);

	if (index == INDEX_ENABLE) {
		enable(vga, value);
		return;
	}
	if (!register_)
		return;
	/* The first versions said 0 for what was all they had. */
	*register_ = index == INDEX_BPP && value == 0 ? 8 : value;
	/* A wider mode, set while one is on, has lines at least as long. */
	if (index == INDEX_WIDTH && wanted.virtual_width < wanted.width)
		wanted.virtual_width = wanted.width;
	if (!may_be(vga, &wanted)) {
		refuse(vga, &wanted);
		return;
	}
	vga->vbe = wanted;
	if (wanted.enable & VBE_ENABLED && index != INDEX_BANK && index != INDEX_ID)
		vga_reform(vga);
}

/* Under lock. */
static uint16_t get(const struct vga *vga, uint16_t index)
{
	struct vga_vbe vbe = vga->vbe;
	uint64_t pitch = line_bytes(vbe.bpp, vbe.virtual_width), lines;
	const uint16_t *register_ = field(&vbe, index);

	if (vbe.enable & VBE_GETCAPS) {
		if (index == INDEX_WIDTH || index == INDEX_HEIGHT)
			return LODGE_DISPLAY_SIDE_MAX;
		if (index == INDEX_BPP)
			return BPP_MAX;
	}
	switch (index) {
	case INDEX_ENABLE:
		return vbe.enable;
	case INDEX_VIRTUAL_HEIGHT:
		lines = pitch ? vga->size / pitch : 0;
		return lines > UINT16_MAX ? UINT16_MAX : (uint16_t)lines;
	case INDEX_MEMORY_64K:
		return (uint16_t)(vga->size / BANK_BYTES);
	default:
		return register_ ? *register_ : 0;
	}
}

/* The index is at 0, the data at 1 and, for machines that want it aligned, at 2. */
static uint64_t vbe_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct vga *vga = opaque;
	uint16_t value;

	pthread_mutex_lock(&vga->lock);
	value = offset == 0 ? vga->vbe.index : get(vga, vga->vbe.index);
	pthread_mutex_unlock(&vga->lock);
	return offset == 3 || size > 2 ? UINT64_MAX : value;
}

static void vbe_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct vga *vga = opaque;

	if (size > 2 || offset == 3)
		return;
	pthread_mutex_lock(&vga->lock);
	if (offset == 0)
		vga->vbe.index = (uint16_t)value;
	else if (size == 2)
		put(vga, vga->vbe.index, (uint16_t)value);
	pthread_mutex_unlock(&vga->lock);
}

const struct io_ops vga_vbe_ops = { .read = vbe_read, .write = vbe_write };

void vga_vbe_power_on(struct vga_vbe *vbe)
{
	*vbe = (struct vga_vbe){ .id = ID_LAST, .bpp = 8 };
}
