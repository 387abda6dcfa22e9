// SPDX-License-Identifier: GPL-2.0-or-later
// The legacy window to video memory, 128 KiB at 0xa0000: planes, latches and write modes.
#include "host-vmm/devices/vga_private.h"

/* Sequencer */
#define SEQ_MAP_MASK	 2
#define SEQ_MODE	 4
#define MODE_NO_ODD_EVEN 0x04u
#define MODE_CHAIN4	 0x08u
/* Graphics controller */
#define GFX_SET_RESET	   0
#define GFX_ENABLE_RESET   1
#define GFX_COMPARE	   2
#define GFX_ROTATE	   3
#define GFX_READ_MAP	   4
#define GFX_MODE	   5
#define GFX_MISC	   6
#define GFX_DONT_CARE	   7
#define GFX_BIT_MASK	   8
#define GFX_READ_COMPARES  0x08u
#define MISC_WINDOW_SHIFT  2
#define ROTATE_LOGIC_SHIFT 3

#define BANK 0x10000u

/* Where an access leads: bytes at @base + plane, for the planes of @planes. */
struct target {
	uint64_t base;
	uint8_t planes;
};

/* Where the guest has the window in the 128 KiB: GFX_MISC bits 2 and 3. */
static bool in_window(const struct vga *vga, uint64_t offset, uint64_t *ret_address)
{
	static const struct {
		uint32_t start, size;
	} windows[4] = {
		{ 0x00000, 0x20000 },
		{ 0x00000, 0x10000 },
		{ 0x10000, 0x08000 },
		{ 0x18000, 0x08000 },
	};
	unsigned int which = vga->regs.gfx[GFX_MISC] >> MISC_WINDOW_SHIFT & 3;

	if (vga->vbe.enable & VBE_ENABLED)
		which = 1;
	if (offset < windows[which].start || offset - windows[which].start >= windows[which].size)
		return false;
	*ret_address = offset - windows[which].start;
	return true;
}

static bool find(const struct vga *vga, uint64_t offset, struct target *ret_target)
{
	const struct vga_regs *regs = &vga->regs;
	bool vbe = vga->vbe.enable & VBE_ENABLED;
	uint64_t address, base;
	uint8_t planes = 0xf;

	if (!in_window(vga, offset, &address))
		return false;
	if (vbe)
		address += (uint64_t)vga->vbe.bank * BANK;
	if (vbe ? vga->vbe.bpp > 4 : regs->seq[SEQ_MODE] & MODE_CHAIN4) {
		planes = (uint8_t)(1u << (address & 3));
		base = address & ~3ull;
	} else if (!vbe && !(regs->seq[SEQ_MODE] & MODE_NO_ODD_EVEN)) {
		planes = address & 1 ? 0xa : 0x5;
		base = (address >> 1) * 4;
	} else {
		base = address * 4;
	}
	if (!vbe)
		base &= 4 * VGA_PLANE_BYTES - 1;
	if (base >= vga->size)
		return false;
	*ret_target = (struct target){ base, planes };
	return true;
}

static uint8_t read_compare(const struct vga_regs *regs)
{
	uint8_t differs = 0;

	for (unsigned int plane = 0; plane < 4; plane++) {
		uint8_t wanted = regs->gfx[GFX_COMPARE] >> plane & 1 ? 0xff : 0;

		if (regs->gfx[GFX_DONT_CARE] >> plane & 1)
			differs |= regs->latches[plane] ^ wanted;
	}
	return (uint8_t)~differs;
}

static uint8_t read_byte(struct vga *vga, uint64_t offset)
{
	struct vga_regs *regs = &vga->regs;
	unsigned int plane = regs->gfx[GFX_READ_MAP];
	struct target target;

	if (!find(vga, offset, &target))
		return 0xff;
	for (unsigned int i = 0; i < 4; i++)
		regs->latches[i] = vga->memory[target.base + i];
	if (target.planes == 0x5 || target.planes == 0xa)
		plane = (plane & 2) | (target.planes == 0xa);
	else if (target.planes != 0xf)
		return regs->latches[__builtin_ctz(target.planes)];
	if (regs->gfx[GFX_MODE] & GFX_READ_COMPARES)
		return read_compare(regs);
	return regs->latches[plane];
}

static uint8_t rotate(uint8_t value, unsigned int by)
{
	return (uint8_t)(value >> by | value << (8 - by));
}

static uint8_t combine(unsigned int logic, uint8_t value, uint8_t latch)
{
	switch (logic) {
	case 1:
		return value & latch;
	case 2:
		return value | latch;
	case 3:
		return value ^ latch;
	default:
		return value;
	}
}

/* What @plane gets of a write: IBM's manual, "Write modes". */
static uint8_t plane_value(const struct vga_regs *regs, uint8_t value, unsigned int plane)
{
	unsigned int logic = regs->gfx[GFX_ROTATE] >> ROTATE_LOGIC_SHIFT & 3;
	uint8_t rotated = rotate(value, regs->gfx[GFX_ROTATE] & 7);
	uint8_t set = regs->gfx[GFX_SET_RESET] >> plane & 1 ? 0xff : 0;
	uint8_t mask = regs->gfx[GFX_BIT_MASK], latch = regs->latches[plane];

	switch (regs->gfx[GFX_MODE] & 3) {
	case 0:
		value = regs->gfx[GFX_ENABLE_RESET] >> plane & 1 ? set : rotated;
		break;
	case 1:
		return latch;
	case 2:
		value = value >> plane & 1 ? 0xff : 0;
		break;
	case 3:
		mask &= rotated;
		value = set;
		break;
	}
	value = combine(logic, value, latch);
	return (uint8_t)((value & mask) | (latch & ~mask));
}

static void write_byte(struct vga *vga, uint64_t offset, uint8_t value)
{
	const struct vga_regs *regs = &vga->regs;
	bool linear = vga->vbe.enable & VBE_ENABLED && vga->vbe.bpp > 4;
	struct target target;

	if (!find(vga, offset, &target))
		return;
	if (!linear)
		target.planes &= regs->seq[SEQ_MAP_MASK];
	for (unsigned int plane = 0; plane < 4; plane++) {
		if (!(target.planes >> plane & 1))
			continue;
		vga->memory[target.base + plane] = linear ? value : plane_value(regs, value, plane);
	}
	/* Every character may be of this font. */
	if (vga->geometry.kind == VGA_TEXT && target.planes & 0x4)
		vga_touch_all(vga);
	else if (target.planes)
		vga_touch(vga, target.base, 4);
}

static uint64_t window_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct vga *vga = opaque;
	uint64_t value = 0;

	pthread_mutex_lock(&vga->lock);
	for (unsigned int i = 0; i < size; i++)
		value |= (uint64_t)read_byte(vga, offset + i) << (8 * i);
	pthread_mutex_unlock(&vga->lock);
	return value;
}

static void window_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	struct vga *vga = opaque;

	pthread_mutex_lock(&vga->lock);
	for (unsigned int i = 0; i < size; i++)
		write_byte(vga, offset + i, (uint8_t)(value >> (8 * i)));
	pthread_mutex_unlock(&vga->lock);
}

const struct io_ops vga_window_ops = { .read = window_read, .write = window_write };
