# SPDX-License-Identifier: GPL-2.0-or-later
# The monitor. Everything but main() is the library "vmm", so that tests and fuzzers link it; the
# folders below add their sources to it.
libs += vmm
vmm_srcs += \
	host-vmm/boot/acpi.c \
	host-vmm/boot/aml.c \
	host-vmm/boot/boot.c \
	host-vmm/boot/dsdt.c \
	host-vmm/boot/elf.c \
	host-vmm/boot/image.c \
	host-vmm/boot/mptable.c \
	host-vmm/boot/smbios.c \
	host-vmm/bus.c \
	host-vmm/chardev.c \
	host-vmm/chardev_open.c \
	host-vmm/clock/device.c \
	host-vmm/clock/leap.c \
	host-vmm/clock/model.c \
	host-vmm/cpuid.c \
	host-vmm/devices/i8042.c \
	host-vmm/devices/pm.c \
	host-vmm/devices/ps2.c \
	host-vmm/devices/ps2_keys.c \
	host-vmm/devices/registry.c \
	host-vmm/devices/rtc.c \
	host-vmm/devices/serial.c \
	host-vmm/guest_linear.c \
	host-vmm/hugepages.c \
	host-vmm/irq.c \
	host-vmm/kvm.c \
	host-vmm/loop.c \
	host-vmm/machine.c \
	host-vmm/machine_pause.c \
	host-vmm/memory.c \
	host-vmm/state.c \
	host-vmm/tsc.c \
	host-vmm/vcpu.c \
	host-vmm/vcpu_faults.c \
	host-vmm/vcpu_state.c
vmm_pkgs += glib-2.0 jansson liburing

progs += lodge-vmm
lodge-vmm_srcs := host-vmm/main.c
lodge-vmm_libs := vmm proto

unit_tests += vmm_machine
vmm_machine_srcs := tests/unit/vmm_machine.c tests/unit/tiny_kernel.c
vmm_machine_libs := vmm proto
vmm_machine_pkgs := check

unit_tests += clock_model
clock_model_srcs := tests/unit/clock_model.c host-vmm/clock/host.c host-vmm/clock/leap.c host-vmm/clock/model.c
clock_model_pkgs := check

fuzz_targets += clock_line
clock_line_srcs := tests/fuzz/clock_line.c host-vmm/clock/model.c

unit_tests += vmm_scarce
vmm_scarce_srcs := tests/unit/vmm_scarce.c tests/unit/tiny_kernel.c
vmm_scarce_libs := vmm proto
vmm_scarce_pkgs := check

# The legacy devices, on a machine without KVM: the rig stands in for machine.c and irq.c.
vmm_rig_srcs := \
	tests/unit/vmm_rig.c \
	host-vmm/bus.c \
	host-vmm/chardev.c \
	host-vmm/chardev_open.c \
	host-vmm/devices/i8042.c \
	host-vmm/devices/pm.c \
	host-vmm/devices/ps2.c \
	host-vmm/devices/ps2_keys.c \
	host-vmm/devices/rtc.c \
	host-vmm/devices/serial.c \
	host-vmm/input/input.c \
	host-vmm/loop.c \
	host-vmm/state.c

unit_tests += vmm_legacy
vmm_legacy_srcs := tests/unit/vmm_legacy.c $(vmm_rig_srcs)
vmm_legacy_libs := proto
vmm_legacy_pkgs := check

unit_tests += vmm_ps2
vmm_ps2_srcs := tests/unit/vmm_ps2.c $(vmm_rig_srcs)
vmm_ps2_libs := proto
vmm_ps2_pkgs := check

unit_tests += vmm_memory vmm_bus vmm_loop
vmm_memory_srcs := tests/unit/vmm_memory.c host-vmm/memory.c
vmm_memory_libs := proto
vmm_memory_pkgs := check
vmm_bus_srcs := tests/unit/vmm_bus.c host-vmm/bus.c
vmm_bus_pkgs := check
vmm_loop_srcs := tests/unit/vmm_loop.c host-vmm/chardev.c host-vmm/chardev_open.c \
	host-vmm/loop.c host-vmm/state.c
vmm_loop_libs := proto
vmm_loop_pkgs := check

image_srcs := \
	host-vmm/boot/elf.c \
	host-vmm/boot/image.c \
	host-vmm/memory.c

unit_tests += vmm_mptable
vmm_mptable_srcs := tests/unit/vmm_mptable.c host-vmm/boot/mptable.c
vmm_mptable_pkgs := check

unit_tests += vmm_boot
vmm_boot_srcs := tests/unit/vmm_boot.c tests/unit/tiny_kernel.c $(image_srcs) \
	host-vmm/boot/acpi.c \
	host-vmm/boot/aml.c \
	host-vmm/boot/boot.c \
	host-vmm/boot/dsdt.c
vmm_boot_libs := proto
vmm_boot_pkgs := check

unit_tests += vmm_identity
vmm_identity_srcs := tests/unit/vmm_identity.c host-vmm/boot/smbios.c host-vmm/conf/uuid.c \
	host-vmm/cpuid.c
vmm_identity_pkgs := check glib-2.0

fuzz_targets += boot_image pio_mmio
boot_image_srcs := tests/fuzz/boot_image.c $(image_srcs)
boot_image_libs := proto
pio_mmio_srcs := tests/fuzz/pio_mmio.c $(vmm_rig_srcs)
pio_mmio_libs := proto

# VMware's I/O ports; tests bring the exits, and stand in for the RPC service.
vmw_door_srcs := \
	$(addprefix host-vmm/backdoor/, guestmsg.c guestmsg_call.c guestmsg_hb.c vmw_caller.c vmw_commands.c \
	vmw_ports.c)
vmm_srcs += $(vmw_door_srcs)
vmw_rig_srcs := tests/unit/vmw_rig.c $(vmw_door_srcs) host-vmm/guest_linear.c host-vmm/memory.c \
	host-vmm/state.c

unit_tests += vmw_ports vmw_channels
vmw_ports_srcs := tests/unit/vmw_ports.c tests/unit/vmw_guest.c $(vmw_rig_srcs)
vmw_ports_ldflags := -Wl,--wrap=clock_gettime
vmw_ports_libs := proto
vmw_ports_pkgs := check
vmw_channels_srcs := tests/unit/vmw_channels.c tests/unit/vmw_guest.c $(vmw_rig_srcs)
vmw_channels_ldflags := -Wl,--wrap=clock_gettime
vmw_channels_libs := proto
vmw_channels_pkgs := check

fuzz_targets += guestmsg
guestmsg_srcs := tests/fuzz/guestmsg.c $(vmw_rig_srcs)
guestmsg_ldflags := -Wl,--wrap=clock_gettime
guestmsg_libs := proto
