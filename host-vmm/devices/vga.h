/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VGA with Bochs VBE: what firmware, boot loaders, text consoles and old drivers know. It is a
 * part of the display's PCI function, which gives it BAR 0: video memory as it lies.
 *
 * It serves the VGA's ports (0x3b4-0x3df), Bochs VBE's (0x1ce-0x1d1) and the legacy window at
 * LAYOUT_VGA, and puts its picture on head 0 as DISPLAY_LAYER_VGA. At power-on it is in text mode 3
 * with a font, so that a guest that no firmware has prepared can write to its screen.
 *
 * Sources: IBM VGA XGA Technical Reference Manual (1992); Intel's "VGA and Display Engine" register
 * references, which agree with it; Bochs' vbe_dispi specification, whose ids go to 0xb0c5.
 *
 * Locking: its own. Ports and memory come on vCPU threads, pictures are read on the display's loop.
 */
#ifndef LODGE_VMM_VGA_H
#define LODGE_VMM_VGA_H

struct display;
struct machine;
struct pci_bar;
struct state;
struct vga;

/*
 * Video memory of display_memory() bytes. Main thread, before the guest runs; BAR 0 is for
 * pci_register() to place. -EBUSY: ports or window are somebody else's; -ENOMEM; errno of mmap(2),
 * timerfd_create(2).
 */
int vga_create(struct machine *machine, struct display *display, struct vga **ret_vga);
/* The function must have been unregistered before. NULL is fine. */
void vga_destroy(struct vga *vga);
/* Fills BAR 0: 32-bit, prefetchable, a KVM memory slot follows it. */
void vga_bar(struct vga *vga, struct pci_bar *ret_bar);
/* Power-on state: text mode 3, video memory cleared but for the font. vCPUs are stopped. */
void vga_reset(struct vga *vga);

/* vCPUs are stopped. -EBADMSG: not what save() wrote, or of other memory. */
int vga_save(struct vga *vga, struct state *state);
int vga_load(struct vga *vga, struct state *state);

#endif
