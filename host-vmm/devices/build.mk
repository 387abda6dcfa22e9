# SPDX-License-Identifier: GPL-2.0-or-later
# The VGA. Its font is made from the distribution's console fonts: the first has Greek letters and
# all of the line graphics, the second the accents that it lacks.
vga_srcs := \
	host-vmm/devices/vga.c \
	host-vmm/devices/vga_font.c \
	host-vmm/devices/vga_geometry.c \
	host-vmm/devices/vga_memory.c \
	host-vmm/devices/vga_regs.c \
	host-vmm/devices/vga_render.c \
	host-vmm/devices/vga_vbe.c \
	host-vmm/devices/vga_window.c
vmm_srcs += $(vga_srcs)

vga_fonts := $(addprefix /usr/share/consolefonts/, FullGreek-VGA16.psf.gz Lat15-VGA16.psf.gz)
vga_font_inc := $(BUILD)/gen/vga_font.inc
common_cflags += -I$(BUILD)/gen

$(vga_font_inc): host-vmm/devices/vga-font $(vga_fonts)
	@mkdir -p $(@D)
	$(say) FONT $@
	$(Q)$< $(vga_fonts) >$@.tmp && mv $@.tmp $@

$(foreach v,obj san threadobj fuzzobj,$(BUILD)/$(v)/host-vmm/devices/vga_font.o): $(vga_font_inc)
lint: $(vga_font_inc)

vga_rig_srcs = tests/unit/vga_rig.c $(vga_srcs) $(display_srcs) host-vmm/input/input.c $(virtio_rig_srcs)

unit_tests += vga_text vga_graphics vga_vbe
thread_tests += vga_text
vga_text_srcs = tests/unit/vga_text.c $(vga_rig_srcs)
vga_text_libs := proto
vga_text_pkgs := check
vga_graphics_srcs = tests/unit/vga_graphics.c $(vga_rig_srcs)
vga_graphics_libs := proto
vga_graphics_pkgs := check
vga_vbe_srcs = tests/unit/vga_vbe.c $(vga_rig_srcs)
vga_vbe_libs := proto
vga_vbe_pkgs := check

unit_tests += vga_machine
vga_machine_srcs := tests/unit/vga_machine.c tests/unit/vga_machine_rig.c tests/unit/tiny_kernel.c
vga_machine_libs := vmm proto
vga_machine_pkgs := check

unit_tests += vga_firmware
vga_firmware_srcs := tests/unit/vga_firmware.c tests/unit/vga_machine_rig.c tests/unit/tiny_kernel.c
vga_firmware_libs := vmm proto
vga_firmware_pkgs := check

fuzz_targets += vga_guest
vga_guest_srcs = tests/fuzz/vga_guest.c $(vga_rig_srcs)
vga_guest_libs := proto

# A screenshot of a text console against /dev/vcsa, in that font.
guest_progs += text-check
text-check_srcs := tests/vm/display/text-check.c
text-check_ldflags := -lpng -lz -lm
$(BUILD)/obj/tests/vm/display/text-check.o: $(vga_font_inc)
