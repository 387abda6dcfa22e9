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
vmm_srcs += $(pci_srcs) $(virtio_srcs) \
	host-vmm/virtio/console.c \
	host-vmm/virtio/console_port.c \
	host-vmm/virtio/rng.c \
	host-vmm/virtio/run_status.c
