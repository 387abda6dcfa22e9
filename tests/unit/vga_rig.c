// SPDX-License-Identifier: GPL-2.0-or-later
// A VGA without KVM, for its unit tests and its fuzzer.
#include "tests/unit/vga_rig.h"

#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "host-vmm/bus.h"

const uint32_t vga_rig_colours[16] = {
	0x000000, 0x0000aa, 0x00aa00, 0x00aaaa, 0xaa0000, 0xaa00aa, 0xaa5500, 0xaaaaaa,
	0x555555, 0x5555ff, 0x55ff55, 0x55ffff, 0xff5555, 0xff55ff, 0xffff55, 0xffffff,
};

/* From the table of parameters in IBM's VGA BIOS. */
const struct vga_rig_mode vga_rig_mode4 = {
	.misc = 0x63,
	.seq = { 0x03, 0x09, 0x03, 0x00, 0x02 },
	.crtc = { 0x2d, 0x27, 0x28, 0x90, 0x2b, 0x80, 0xbf, 0x1f, 0x00, 0xc1, 0x00, 0x00, 0x00,
		  0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x14, 0x00, 0x96, 0xb9, 0xa2, 0xff },
	.attr = { 0x00, 0x13, 0x15, 0x17, 0x02, 0x04, 0x06, 0x07, 0x10, 0x11,
		  0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x01, 0x00, 0x03, 0x00 },
	.gfx = { 0x00, 0x00, 0x00, 0x00, 0x00, 0x30, 0x0f, 0x0f, 0xff },
};
const struct vga_rig_mode vga_rig_mode6 = {
	.misc = 0x63,
	.seq = { 0x03, 0x01, 0x01, 0x00, 0x06 },
	.crtc = { 0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0x00, 0xc1, 0x00, 0x00, 0x00,
		  0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x00, 0x96, 0xb9, 0xc2, 0xff },
	.attr = { 0x00, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17,
		  0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x01, 0x00, 0x01, 0x00 },
	.gfx = { 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x0d, 0x0f, 0xff },
};
const struct vga_rig_mode vga_rig_mode12 = {
	.misc = 0xe3,
	.seq = { 0x03, 0x01, 0x0f, 0x00, 0x06 },
	.crtc = { 0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0x0b, 0x3e, 0x00, 0x40, 0x00, 0x00, 0x00,
		  0x00, 0x00, 0x00, 0xea, 0x8c, 0xdf, 0x28, 0x00, 0xe7, 0x04, 0xe3, 0xff },
	.attr = { 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14, 0x07, 0x38, 0x39,
		  0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x01, 0x00, 0x0f, 0x00 },
	.gfx = { 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x0f, 0xff },
};
const struct vga_rig_mode vga_rig_mode13 = {
	.misc = 0x63,
	.seq = { 0x03, 0x01, 0x0f, 0x00, 0x0e },
	.crtc = { 0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0x00, 0x41, 0x00, 0x00, 0x00,
		  0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x40, 0x96, 0xb9, 0xa3, 0xff },
	.attr = { 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09,
		  0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x41, 0x00, 0x0f, 0x00 },
	.gfx = { 0x00, 0x00, 0x00, 0x00, 0x00, 0x40, 0x05, 0x0f, 0xff },
};

static void must(int ret, const char *what)
{
	if (ret >= 0)
		return;
	fprintf(stderr, "vga_rig: %s: %d\n", what, ret);
	abort();
}

void vga_rig_create(struct vga_rig *rig)
{
	struct machine *machine = &rig->rig.machine;

	*rig = (struct vga_rig){ 0 };
	rig_create(&rig->rig);
	must(display_create(1, VGA_RIG_MEMORY, &machine->display), "display");
	must(vga_create(machine, machine->display, &rig->vga), "vga");
	rig->function = (struct pci_function){
		.name = "vga", .vendor = 0x1234, .device = 0x1111, .class_code = 0x030000
	};
	vga_bar(rig->vga, &rig->function.bars[0]);
	must(pci_register(machine->pci, &rig->function), "function");
	must(pci_bus_assign(machine->pci), "BARs");
	rig->lfb = rig_config_read(&rig->rig, 1, PCI_BASE_ADDRESS_0, 4) & ~15u;
}

void vga_rig_destroy(struct vga_rig *rig)
{
	pci_unregister(&rig->function);
	vga_destroy(rig->vga);
	display_destroy(rig->rig.machine.display);
	rig_destroy(&rig->rig);
}

void vga_rig_out(struct vga_rig *rig, uint16_t port, uint32_t value, unsigned int size)
{
	bus_write(rig->rig.machine.ports, port, value, size);
}

uint32_t vga_rig_in(struct vga_rig *rig, uint16_t port, unsigned int size)
{
	return (uint32_t)bus_read(rig->rig.machine.ports, port, size);
}

void vga_rig_put(struct vga_rig *rig, uint64_t address, uint64_t value, unsigned int size)
{
	bus_write(rig->rig.machine.mmio, address, value, size);
}

uint64_t vga_rig_get(struct vga_rig *rig, uint64_t address, unsigned int size)
{
	return bus_read(rig->rig.machine.mmio, address, size);
}

void vga_rig_set(struct vga_rig *rig, uint16_t port, uint8_t index, uint8_t value)
{
	vga_rig_out(rig, port, index | (uint32_t)value << 8, 2);
}

uint8_t vga_rig_reg(struct vga_rig *rig, uint16_t port, uint8_t index)
{
	vga_rig_out(rig, port, index, 1);
	return (uint8_t)vga_rig_in(rig, port + 1, 1);
}

/* With the palette shown. */
void vga_rig_attr(struct vga_rig *rig, uint8_t index, uint8_t value)
{
	(void)vga_rig_in(rig, 0x3da, 1);
	vga_rig_out(rig, 0x3c0, index | 0x20, 1);
	vga_rig_out(rig, 0x3c0, value, 1);
}

void vga_rig_colour(struct vga_rig *rig, uint8_t index, uint8_t red, uint8_t green, uint8_t blue)
{
	vga_rig_out(rig, 0x3c8, index, 1);
	vga_rig_out(rig, 0x3c9, red, 1);
	vga_rig_out(rig, 0x3c9, green, 1);
	vga_rig_out(rig, 0x3c9, blue, 1);
}

void vga_rig_vbe(struct vga_rig *rig, uint16_t index, uint16_t value)
{
	vga_rig_out(rig, 0x1ce, index, 2);
	vga_rig_out(rig, 0x1cf, value, 2);
}

uint16_t vga_rig_vbe_reg(struct vga_rig *rig, uint16_t index)
{
	vga_rig_out(rig, 0x1ce, index, 2);
	return (uint16_t)vga_rig_in(rig, 0x1cf, 2);
}

void vga_rig_set_mode(struct vga_rig *rig, const struct vga_rig_mode *mode)
{
	vga_rig_out(rig, 0x3c2, mode->misc, 1);
	for (size_t i = 0; i < sizeof(mode->seq); i++)
		vga_rig_set(rig, 0x3c4, (uint8_t)i, mode->seq[i]);
	vga_rig_set(rig, 0x3d4, 0x11, 0);
	for (size_t i = 0; i < sizeof(mode->crtc); i++)
		vga_rig_set(rig, 0x3d4, (uint8_t)i, mode->crtc[i]);
	for (size_t i = 0; i < sizeof(mode->attr); i++)
		vga_rig_attr(rig, (uint8_t)i, mode->attr[i]);
	for (size_t i = 0; i < sizeof(mode->gfx); i++)
		vga_rig_set(rig, 0x3ce, (uint8_t)i, mode->gfx[i]);
}

struct display_shot vga_rig_shoot(struct vga_rig *rig, uint32_t width, uint32_t height)
{
	const struct timespec moment = { .tv_nsec = 1000000 };
	struct display *display = rig->rig.machine.display;
	struct display_head_state state = { 0 };
	struct display_shot shot;

	for (int i = 0; i < 5000; i++) {
		must(display_state(display, 0, &state), "state");
		if (state.width == width && state.height == height)
			break;
		nanosleep(&moment, NULL);
	}
	must(display_shoot(display, 0, &shot), "shot");
	if (shot.width != width || shot.height != height) {
		fprintf(stderr, "vga_rig: %ux%u, wanted %ux%u\n", shot.width, shot.height, width,
			height);
		abort();
	}
	return shot;
}
