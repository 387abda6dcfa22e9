// SPDX-License-Identifier: GPL-2.0-or-later
// The VGA's ports: sequencer, graphics controller, attribute controller, CRTC and palette.
#include <string.h>
#include <time.h>

#include "host-vmm/devices/vga_private.h"

/* Ports, as for a colour monitor; with MISC_COLOUR clear, 0x3dX is at 0x3bX. */
#define PORT_ATTR_WRITE	    0x3c0u
#define PORT_ATTR_READ	    0x3c1u
#define PORT_MISC_WRITE	    0x3c2u /* reads: input status 0 */
#define PORT_SEQ_INDEX	    0x3c4u
#define PORT_SEQ_DATA	    0x3c5u
#define PORT_DAC_MASK	    0x3c6u
#define PORT_DAC_READ_INDEX 0x3c7u /* reads: whether the DAC is being read */
#define PORT_DAC_INDEX	    0x3c8u
#define PORT_DAC_DATA	    0x3c9u
#define PORT_FEATURE_READ   0x3cau
#define PORT_MISC_READ	    0x3ccu
#define PORT_GFX_INDEX	    0x3ceu
#define PORT_GFX_DATA	    0x3cfu
#define PORT_CRTC_INDEX	    0x3d4u
#define PORT_CRTC_DATA	    0x3d5u
#define PORT_STATUS	    0x3dau /* input status 1; writes: feature control */

#define MISC_COLOUR	   0x01u
#define ATTR_PALETTE_SHOWN 0x20u /* of the index */
#define CRTC_PROTECT	   0x80u /* of register 0x11: 0 to 7 are read-only */
#define CRTC_LINE_COMPARE8 0x10u /* of register 7: not protected */
#define STATUS_NO_DISPLAY  0x01u
#define STATUS_RETRACE	   0x08u

/* 720x400 at 70 Hz: 449 lines in all, the retrace two of them, begins at line 412. */
#define LINE_NS	     31777u
#define LINE_SHOWN   25422u
#define FRAME_LINES  449u
#define SHOWN_LINES  400u
#define RETRACE_LINE 412u
#define RETRACE_ENDS 414u

/* Which bits each register has. */
static const uint8_t seq_bits[VGA_N_SEQUENCER] = { 0x03, 0x3d, 0x0f, 0x3f, 0x0e, 0, 0, 0xff };
static const uint8_t gfx_bits[VGA_N_GRAPHICS] = {
	0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff,
};
static const uint8_t attr_bits[VGA_N_ATTRIBUTE] = {
	0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f,
	0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0xef, 0xff, 0x3f, 0x0f, 0x0f,
};

static void put_attr(struct vga *vga, uint8_t value)
{
	struct vga_regs *regs = &vga->regs;
	uint8_t index = regs->attr_index & 0x1f;

	regs->attr_data_next = !regs->attr_data_next;
	if (regs->attr_data_next) {
		uint8_t changed = regs->attr_index ^ value;

		regs->attr_index = value & 0x3f;
		if (changed & ATTR_PALETTE_SHOWN)
			vga_reform(vga);
		return;
	}
	if (index >= VGA_N_ATTRIBUTE || regs->attr[index] == (value & attr_bits[index]))
		return;
	regs->attr[index] = value & attr_bits[index];
	vga_touch_all(vga);
	vga_reform(vga);
}

static void put_seq(struct vga *vga, uint8_t value)
{
	struct vga_regs *regs = &vga->regs;
	uint8_t index = regs->seq_index;

	value &= seq_bits[index];
	if (regs->seq[index] == value)
		return;
	regs->seq[index] = value;
	if (index == 3)
		vga_touch_all(vga);
	if (index == 1)
		vga_reform(vga);
}

static void put_gfx(struct vga *vga, uint8_t value)
{
	struct vga_regs *regs = &vga->regs;
	uint8_t index = regs->gfx_index;

	value &= gfx_bits[index];
	if (regs->gfx[index] == value)
		return;
	regs->gfx[index] = value;
	if (index == 5 || index == 6)
		vga_reform(vga);
}

static uint64_t cursor_byte(const struct vga_regs *regs)
{
	return 4ull * (uint64_t)(regs->crtc[0xe] << 8 | regs->crtc[0xf]);
}

static void put_crtc(struct vga *vga, uint8_t value)
{
	struct vga_regs *regs = &vga->regs;
	uint8_t index = regs->crtc_index, changed;

	if (index >= VGA_N_CRTC)
		return;
	if (index <= 7 && regs->crtc[0x11] & CRTC_PROTECT) {
		if (index != 7)
			return;
		value = (uint8_t)((regs->crtc[7] & ~CRTC_LINE_COMPARE8) |
				  (value & CRTC_LINE_COMPARE8));
	}
	changed = regs->crtc[index] ^ value;
	if (!changed)
		return;
	if (index >= 0xa && index <= 0xf)
		vga_touch(vga, cursor_byte(regs), 4);
	regs->crtc[index] = value;
	if (index == 0xa || index == 0xb || index == 0xe || index == 0xf)
		vga_touch(vga, cursor_byte(regs), 4);
	else
		vga_reform(vga);
}

static void put_dac(struct vga *vga, uint8_t value)
{
	struct vga_regs *regs = &vga->regs;
	uint8_t *entry = &regs->palette[3 * regs->dac_write_index];

	if (!(vga->vbe.enable & VBE_8BIT_DAC))
		value &= 0x3f;
	if (regs->dac_part < 2) {
		regs->dac_written[regs->dac_part++] = value;
		return;
	}
	entry[0] = regs->dac_written[0];
	entry[1] = regs->dac_written[1];
	entry[2] = value;
	regs->dac_part = 0;
	regs->dac_write_index++;
	vga_touch_all(vga);
}

static uint8_t get_dac(struct vga_regs *regs)
{
	uint8_t value = regs->palette[3 * regs->dac_read_index + regs->dac_part];

	if (++regs->dac_part == 3) {
		regs->dac_part = 0;
		regs->dac_read_index++;
	}
	return value;
}

/* By the clock, so that programs which wait for the retrace run at the pace of a monitor. */
static uint8_t status(void)
{
	struct timespec now;
	uint64_t ns, line;
	uint8_t value = 0;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	line = ns / LINE_NS % FRAME_LINES;
	if (line >= SHOWN_LINES || ns % LINE_NS >= LINE_SHOWN)
		value |= STATUS_NO_DISPLAY;
	if (line >= RETRACE_LINE && line < RETRACE_ENDS)
		value |= STATUS_RETRACE;
	return value;
}

/* The number that a port has for a colour monitor; 0: nobody answers it now. */
static uint16_t colour_port(const struct vga_regs *regs, uint16_t port)
{
	bool colour = regs->misc & MISC_COLOUR;

	if (port >= 0x3c0 && port < 0x3d0)
		return port;
	if ((port >= 0x3d0) != colour)
		return 0;
	return colour ? port : port + 0x20;
}

static void put_port(struct vga *vga, uint16_t port, uint8_t value)
{
	struct vga_regs *regs = &vga->regs;

	switch (colour_port(regs, port)) {
	case PORT_ATTR_WRITE:
		put_attr(vga, value);
		break;
	case PORT_MISC_WRITE:
		regs->misc = value & 0xef;
		break;
	case PORT_SEQ_INDEX:
		regs->seq_index = value & 7;
		break;
	case PORT_SEQ_DATA:
		put_seq(vga, value);
		break;
	case PORT_DAC_MASK:
		regs->dac_mask = value;
		vga_touch_all(vga);
		break;
	case PORT_DAC_READ_INDEX:
		regs->dac_read_index = value;
		regs->dac_part = 0;
		regs->dac_reads = 1;
		break;
	case PORT_DAC_INDEX:
		regs->dac_write_index = value;
		regs->dac_part = 0;
		regs->dac_reads = 0;
		break;
	case PORT_DAC_DATA:
		put_dac(vga, value);
		break;
	case PORT_GFX_INDEX:
		regs->gfx_index = value & 0xf;
		break;
	case PORT_GFX_DATA:
		put_gfx(vga, value);
		break;
	case PORT_CRTC_INDEX:
		regs->crtc_index = value;
		break;
	case PORT_CRTC_DATA:
		put_crtc(vga, value);
		break;
	case PORT_STATUS:
		regs->feature = value & 0x10;
		break;
	}
}

static uint8_t get_port(struct vga *vga, uint16_t port)
{
	struct vga_regs *regs = &vga->regs;

	switch (colour_port(regs, port)) {
	case PORT_ATTR_WRITE:
		return regs->attr_data_next ? 0 : regs->attr_index;
	case PORT_ATTR_READ:
		return (regs->attr_index & 0x1f) < VGA_N_ATTRIBUTE
			       ? regs->attr[regs->attr_index & 0x1f]
			       : 0;
	case PORT_MISC_WRITE:
		return 0;
	case PORT_SEQ_INDEX:
		return regs->seq_index;
	case PORT_SEQ_DATA:
		return regs->seq[regs->seq_index];
	case PORT_DAC_MASK:
		return regs->dac_mask;
	case PORT_DAC_READ_INDEX:
		return regs->dac_reads ? 3 : 0;
	case PORT_DAC_INDEX:
		return regs->dac_write_index;
	case PORT_DAC_DATA:
		return get_dac(regs);
	case PORT_FEATURE_READ:
		return regs->feature;
	case PORT_MISC_READ:
		return regs->misc;
	case PORT_GFX_INDEX:
		return regs->gfx_index;
	case PORT_GFX_DATA:
		return regs->gfx[regs->gfx_index];
	case PORT_CRTC_INDEX:
		return regs->crtc_index;
	case PORT_CRTC_DATA:
		return regs->crtc_index < VGA_N_CRTC ? regs->crtc[regs->crtc_index] : 0xff;
	case PORT_STATUS:
		regs->attr_data_next = 0;
		return status();
	default:
		return 0xff;
	}
}

static uint64_t ports_read(void *opaque, uint64_t offset, unsigned int size)
{
	const struct vga_port_part *part = opaque;
	uint64_t value = 0;

	pthread_mutex_lock(&part->vga->lock);
	for (unsigned int i = 0; i < size; i++)
		value |= (uint64_t)get_port(part->vga, (uint16_t)(part->base + offset + i))
			 << (8 * i);
	pthread_mutex_unlock(&part->vga->lock);
	return value;
}

/* An index and its data may come as one word. */
static void ports_write(void *opaque, uint64_t offset, uint64_t value, unsigned int size)
{
	const struct vga_port_part *part = opaque;

	pthread_mutex_lock(&part->vga->lock);
	for (unsigned int i = 0; i < size; i++)
		put_port(part->vga, (uint16_t)(part->base + offset + i),
			 (uint8_t)(value >> (8 * i)));
	pthread_mutex_unlock(&part->vga->lock);
}

const struct io_ops vga_port_ops = { .read = ports_read, .write = ports_write };

void vga_regs_power_on(struct vga_regs *regs)
{
	static const struct vga_regs mode3 = {
		.misc = 0x67,
		.seq = { 0x03, 0x00, 0x03, 0x00, 0x02 },
		.gfx = { 0, 0, 0, 0, 0, 0x10, 0x0e, 0x0f, 0xff },
		.attr_index = ATTR_PALETTE_SHOWN,
		.attr = { 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14, 0x07, 0x38, 0x39, 0x3a,
			  0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x0c, 0x00, 0x0f, 0x08, 0x00 },
		.crtc = { 0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00,
			  0x4f, 0x0d, 0x0e, 0x00, 0x00, 0x00, 0x00, 0x9c, 0x8e,
			  0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff },
		.dac_mask = 0xff,
	};

	*regs = mode3;
	/* The EGA's 64 colours, two bits for each of red, green and blue. */
	for (unsigned int i = 0; i < 64; i++) {
		regs->palette[3 * i] = (uint8_t)((i >> 2 & 1) * 0x2a + (i >> 5 & 1) * 0x15);
		regs->palette[3 * i + 1] = (uint8_t)((i >> 1 & 1) * 0x2a + (i >> 4 & 1) * 0x15);
		regs->palette[3 * i + 2] = (uint8_t)((i & 1) * 0x2a + (i >> 3 & 1) * 0x15);
	}
}
