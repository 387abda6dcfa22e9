/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VGA on a PCI function of its own, without KVM, and what its tests ask of it again and again.
 */
#ifndef LODGE_TESTS_VGA_RIG_H
#define LODGE_TESTS_VGA_RIG_H

#include <stdint.h>

#include "host-vmm/devices/pci.h"
#include "host-vmm/devices/vga.h"
#include "host-vmm/display/display.h"
#include "tests/unit/virtio_rig.h"

#define VGA_RIG_MEMORY (16ull << 20)

struct vga_rig {
	struct rig rig;
	struct pci_function function;
	struct vga *vga;
	uint64_t lfb; /* where BAR 0 is */
};

/* Aborts where it fails. */
void vga_rig_create(struct vga_rig *rig);
void vga_rig_destroy(struct vga_rig *rig);

/* Ports and memory, as a vCPU gets at them. */
void vga_rig_out(struct vga_rig *rig, uint16_t port, uint32_t value, unsigned int size);
uint32_t vga_rig_in(struct vga_rig *rig, uint16_t port, unsigned int size);
void vga_rig_put(struct vga_rig *rig, uint64_t address, uint64_t value, unsigned int size);
uint64_t vga_rig_get(struct vga_rig *rig, uint64_t address, unsigned int size);
/* Register @index behind the index port @port, whose data is the next port. */
void vga_rig_set(struct vga_rig *rig, uint16_t port, uint8_t index, uint8_t value);
uint8_t vga_rig_reg(struct vga_rig *rig, uint16_t port, uint8_t index);
void vga_rig_attr(struct vga_rig *rig, uint8_t index, uint8_t value);
void vga_rig_colour(struct vga_rig *rig, uint8_t index, uint8_t red, uint8_t green, uint8_t blue);
void vga_rig_vbe(struct vga_rig *rig, uint16_t index, uint16_t value);
uint16_t vga_rig_vbe_reg(struct vga_rig *rig, uint16_t index);

/* What BIOSes write for a mode: misc, 5 sequencer, 25 CRTC, 20 attribute, 9 graphics registers. */
struct vga_rig_mode {
	uint8_t misc, seq[5], crtc[25], attr[20], gfx[9];
};
extern const struct vga_rig_mode vga_rig_mode4, vga_rig_mode6, vga_rig_mode12, vga_rig_mode13;
void vga_rig_set_mode(struct vga_rig *rig, const struct vga_rig_mode *mode);

/* Waits (5 s at most) until head 0 has this size, and shoots it; the test frees the pixels. */
struct display_shot vga_rig_shoot(struct vga_rig *rig, uint32_t width, uint32_t height);

/* The 16 colours of text modes, from the manual's table. */
extern const uint32_t vga_rig_colours[16];

#endif
