/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the VGA's sources share: its registers, its memory, and the form of its picture.
 *
 * Theory of operation. Video memory is one stretch of bytes that three views look at. For the
 * planes, byte 4 * offset + plane is byte @offset of @plane; so chain-4 modes and Bochs VBE's
 * modes are linear in it, the latches are one word, and BAR 0 shows it as it lies. Text modes
 * address it in odd/even pairs: character n is in plane 0, its attribute in plane 1, at offset n.
 *
 * Registers say at any time what the picture is: vga_geometry_of(). When that changes in size or
 * kind, a timer on the display's loop publishes it once it has settled. Pixels are not kept
 * anywhere: who fetches them reads lines, which are drawn from video memory and registers as they
 * are then (vga_render.c).
 *
 * Damage is a bit for each VGA_GRANULE bytes of video memory. Trapped writes set them; for writes
 * through BAR 0, KVM's dirty log does, while somebody looks.
 */
#ifndef LODGE_VMM_VGA_PRIVATE_H
#define LODGE_VMM_VGA_PRIVATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "host-vmm/bus.h"
#include "host-vmm/devices/vga.h"
#include "host-vmm/display/display.h"

struct loop_source;

#define VGA_PLANE_BYTES 0x10000u /* of each of the four planes */
#define VGA_GRANULE	256u
#define VGA_PAGE	4096u

#define VGA_N_SEQUENCER	 8
#define VGA_N_GRAPHICS	 16
#define VGA_N_ATTRIBUTE	 21
#define VGA_N_CRTC	 25
#define VGA_N_PALETTE	 768
#define VGA_N_PORT_PARTS 6

/* All that ports and window change: saved as these bytes. */
struct vga_regs {
	uint8_t misc, feature;
	uint8_t seq_index, seq[VGA_N_SEQUENCER];
	uint8_t gfx_index, gfx[VGA_N_GRAPHICS];
	uint8_t attr_index, attr[VGA_N_ATTRIBUTE], attr_data_next;
	uint8_t crtc_index, crtc[VGA_N_CRTC];
	uint8_t dac_mask, dac_reads, dac_read_index, dac_write_index, dac_part, dac_written[2];
	uint8_t palette[VGA_N_PALETTE]; /* red, green, blue; 6 bits each, or 8 */
	uint8_t latches[4];
};

/* Bochs VBE's registers that keep a value. */
struct vga_vbe {
	uint16_t index, id, enable, bank;
	uint16_t width, height, bpp, virtual_width, x, y;
};

enum vga_kind {
	VGA_TEXT = 0,
	VGA_PLANAR = 1, /* a bit in each of four planes */
	VGA_PAIRS = 2, /* two bits in turn in planes 0 and 1: CGA's four colours */
	VGA_BYTES = 3, /* a byte each, through the palette */
	VGA_DIRECT = 4, /* Bochs VBE, 15 bits and more: colours as they are */
};

/* The form of the picture. Bytes are of video memory. */
struct vga_geometry {
	enum vga_kind kind;
	enum display_format format; /* of VGA_DIRECT */
	uint32_t width, height; /* dots that a monitor would show */
	uint32_t stretch; /* dots for each pixel of a line */
	uint32_t rescan; /* lines for each scan of a row */
	uint32_t scans; /* of a row: a character's height */
	uint32_t cell; /* dots of a character, before @stretch: 8 or 9 */
	uint32_t pitch; /* bytes from row to row */
	uint64_t start; /* of the first row */
	uint64_t mask; /* of addresses: 256 KiB wrap around, all memory in VBE modes */
	uint32_t split; /* lines from this one on begin at byte 0 */
	uint32_t bank_bit; /* of an address that the scan's lowest bit replaces, or 0 */
	bool blank;
};

struct vga {
	struct machine *machine;
	struct display *display;
	struct io_region port_regions[VGA_N_PORT_PARTS];
	struct vga_port_part {
		struct vga *vga;
		uint16_t base;
	} port_parts[VGA_N_PORT_PARTS];
	struct io_region window_region;
	uint8_t *memory;
	uint64_t size;
	int settle_fd, idle_fd; /* timers on the display's loop */
	struct loop_source *settle_source, *idle_source;

	pthread_mutex_t lock; /* what follows */
	struct vga_regs regs;
	struct vga_vbe vbe;
	struct vga_geometry geometry; /* of the registers */
	uint64_t *damage; /* a bit for each granule */
	bool damaged; /* any of them, or: */
	bool all_damaged;
	uint32_t colours[256]; /* of the palette, as 0x00RRGGBB */
	bool colours_stale;
	bool settling; /* the timer is armed */
	uint64_t forming_ms; /* since when the form has been changing; 0: it has settled */

	/* The loop's. */
	struct vga_geometry shown; /* what the display was told */
	bool has_shown, shown_vbe;
	uint64_t refreshed_ms; /* CLOCK_MONOTONIC */

	pthread_mutex_t slot_lock; /* what follows; taken before the other */
	bool placed, logged;
	uint64_t gpa;
	uint64_t *dirty; /* KVM's answer, a bit for each page */
};

/* ---- vga.c: all under lock ---- */

/* [offset, offset + len) has new bytes; it may reach beyond the memory's end. */
void vga_touch(struct vga *vga, uint64_t offset, uint64_t len);
/* All of the picture changes: colours, fonts, addresses. */
void vga_touch_all(struct vga *vga);
/* Registers changed that may give another form. */
void vga_reform(struct vga *vga);

/* ---- vga_regs.c ---- */

extern const struct io_ops vga_port_ops;
/* Mode 3 as IBM's BIOS sets it, with the palette. */
void vga_regs_power_on(struct vga_regs *regs);

/* ---- vga_window.c ---- */

extern const struct io_ops vga_window_ops;

/* ---- vga_vbe.c ---- */

extern const struct io_ops vga_vbe_ops;
#define VGA_VBE_PORT  0x1ceu
#define VGA_VBE_PORTS 4u
#define VBE_ENABLED   0x01u
#define VBE_GETCAPS   0x02u
#define VBE_8BIT_DAC  0x20u
#define VBE_LFB	      0x40u
#define VBE_NOCLEAR   0x80u
void vga_vbe_power_on(struct vga_vbe *vbe);
/* -EINVAL: no such mode, or more than @size bytes. */
int vga_vbe_check(const struct vga_vbe *vbe, uint64_t size);
/* The form of an enabled mode that was checked. */
void vga_vbe_geometry(const struct vga_vbe *vbe, uint64_t size, struct vga_geometry *geometry);

/* ---- vga_geometry.c ---- */

void vga_geometry_of(const struct vga *vga, struct vga_geometry *ret_geometry);
bool vga_geometry_equals(const struct vga_geometry *a, const struct vga_geometry *b);
/* Whether the display must be told of another picture. */
bool vga_geometry_differs(const struct vga_geometry *a, const struct vga_geometry *b);
/* Whether that is so for its place in memory at most: the size stays. */
bool vga_geometry_is_flip(const struct vga_geometry *a, const struct vga_geometry *b);
/* The bytes that line @y is made of: up to two stretches are one here. */
uint64_t vga_geometry_row(const struct vga_geometry *geometry, uint32_t y, uint32_t *ret_scan);
/* How many bytes each row has. */
uint64_t vga_geometry_row_bytes(const struct vga_geometry *geometry);

/* ---- vga_render.c: under lock ---- */

/* @count dots of line @y from dot @x on, as 0x00RRGGBB; not for VGA_DIRECT. */
void vga_render(struct vga *vga, uint32_t y, uint32_t x, uint32_t count, uint32_t *dots);

/* ---- vga_memory.c ---- */

int vga_memory_create(struct vga *vga);
void vga_memory_destroy(struct vga *vga);
/* Zeroes [0, len), which also gives whole pages back to the host. */
void vga_memory_clear(struct vga *vga, uint64_t len);
/* Turns KVM's log of what is written through BAR 0 on or off. True: it was off, so that all may
 * have changed. */
bool vga_memory_log(struct vga *vga, bool on);
/* Sets the damage bits of what KVM noted since the last call. */
void vga_memory_note_writes(struct vga *vga);
int vga_memory_save(struct vga *vga, struct state *state);
int vga_memory_load(struct vga *vga, struct state *state);

/* ---- vga_font.c ---- */

#define VGA_FONT_HEIGHT 16
extern const uint8_t vga_font[256][VGA_FONT_HEIGHT]; /* code page 437 */

#endif
