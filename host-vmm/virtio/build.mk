# SPDX-License-Identifier: GPL-2.0-or-later
# The PCI bus, virtio on it, and the device models that the monitor serves itself.
pci_srcs := \
	host-vmm/devices/pci.c \
	host-vmm/devices/pci_config.c \
	host-vmm/devices/pci_msix.c
virtio_srcs := \
	host-vmm/virtio/queue.c \
	host-vmm/virtio/virtio_device.c \
	host-vmm/virtio/virtio_model.c \
	host-vmm/virtio/virtio_pci.c
blk_srcs := \
	host-vmm/virtio/blk.c \
	host-vmm/virtio/blk_engine.c \
	host-vmm/virtio/blk_image.c \
	host-vmm/virtio/blk_request.c
console_srcs := \
	host-vmm/virtio/console.c \
	host-vmm/virtio/console_port.c \
	host-vmm/virtio/console_tools.c \
	host-vmm/virtio/run_status.c
virtio_input_device_srcs := \
	host-vmm/virtio/input.c \
	host-vmm/virtio/input_queue.c
gpu_srcs := \
	host-vmm/virtio/gpu.c \
	host-vmm/virtio/gpu_control.c \
	host-vmm/virtio/gpu_cursor.c \
	host-vmm/virtio/gpu_resource.c \
	host-vmm/virtio/gpu_scanout.c \
	host-vmm/virtio/gpu_state.c \
	host-vmm/display/edid.c
vmm_srcs += $(pci_srcs) $(virtio_srcs) $(blk_srcs) $(console_srcs) $(gpu_srcs) \
	$(virtio_input_device_srcs) \
	host-vmm/virtio/balloon.c \
	host-vmm/virtio/rng.c

# Tests bring a machine without KVM: the rig stands in for machine.c.
virtio_rig_srcs := \
	tests/unit/virtio_rig.c \
	host-vmm/bus.c \
	host-vmm/chardev.c \
	host-vmm/chardev_open.c \
	host-vmm/irq.c \
	host-vmm/loop.c \
	host-vmm/memory.c \
	host-vmm/state.c \
	$(pci_srcs) $(virtio_srcs)

unit_tests += virtio_queue
virtio_queue_srcs := tests/unit/virtio_queue.c $(virtio_rig_srcs)
virtio_queue_libs := proto
virtio_queue_pkgs := check

unit_tests += pci_bus
pci_bus_srcs := tests/unit/pci_bus.c $(virtio_rig_srcs)
pci_bus_libs := proto
pci_bus_pkgs := check

unit_tests += virtio_transport
virtio_transport_srcs := tests/unit/virtio_transport.c $(virtio_rig_srcs)
virtio_transport_libs := proto
virtio_transport_pkgs := check

unit_tests += virtio_blk virtio_blk_image
blk_rig_srcs := tests/unit/virtio_blk_rig.c $(blk_srcs) $(virtio_rig_srcs)
virtio_blk_srcs := tests/unit/virtio_blk.c $(blk_rig_srcs)
virtio_blk_libs := proto
virtio_blk_pkgs := check liburing
virtio_blk_image_srcs := tests/unit/virtio_blk_image.c $(blk_rig_srcs)
virtio_blk_image_libs := proto
virtio_blk_image_pkgs := check liburing

unit_tests += virtio_console
virtio_console_srcs := tests/unit/virtio_console.c $(console_srcs) $(backdoor_srcs) \
	$(virtio_rig_srcs)
virtio_console_libs := proto
virtio_console_pkgs := check

unit_tests += virtio_balloon
virtio_balloon_srcs := tests/unit/virtio_balloon.c host-vmm/virtio/balloon.c host-vmm/virtio/rng.c \
	$(virtio_rig_srcs)
virtio_balloon_libs := proto
virtio_balloon_pkgs := check

unit_tests += virtio_input
virtio_input_srcs := tests/unit/virtio_input.c $(virtio_input_device_srcs) $(input_srcs) \
	$(virtio_rig_srcs)
virtio_input_libs := proto
virtio_input_pkgs := check

fuzz_targets += fuzz_virtio_input
fuzz_virtio_input_srcs := tests/fuzz/virtio_input.c $(virtio_input_device_srcs) $(input_srcs) \
	$(virtio_rig_srcs)
fuzz_virtio_input_libs := proto

fuzz_targets += virtqueue
virtqueue_srcs := tests/fuzz/virtqueue.c host-vmm/virtio/queue.c host-vmm/irq.c host-vmm/memory.c \
	host-vmm/state.c
virtqueue_libs := proto

fuzz_targets += virtio_pci
virtio_pci_srcs := tests/fuzz/virtio_pci.c host-vmm/virtio/balloon.c host-vmm/virtio/rng.c \
	$(backdoor_device_srcs) \
	$(console_srcs) $(backdoor_srcs) $(virtio_rig_srcs)
virtio_pci_libs := proto

# The display is a fake that writes down what it is told.
gpu_rig_srcs := tests/unit/virtio_gpu_rig.c $(gpu_srcs) $(virtio_rig_srcs)
unit_tests += virtio_gpu virtio_gpu_hostile
virtio_gpu_srcs := tests/unit/virtio_gpu.c $(gpu_rig_srcs)
virtio_gpu_libs := proto
virtio_gpu_pkgs := check
virtio_gpu_hostile_srcs := tests/unit/virtio_gpu_hostile.c $(gpu_rig_srcs)
virtio_gpu_hostile_libs := proto
virtio_gpu_hostile_pkgs := check

unit_tests += edid
edid_srcs := tests/unit/edid.c host-vmm/display/edid.c
edid_pkgs := check

fuzz_targets += virtio_gpu_commands
virtio_gpu_commands_srcs = tests/fuzz/virtio_gpu.c $(gpu_srcs) $(vga_srcs) $(display_srcs) \
	host-vmm/input/input.c $(virtio_rig_srcs)
virtio_gpu_commands_libs := proto
