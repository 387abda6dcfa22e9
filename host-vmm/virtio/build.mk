# SPDX-License-Identifier: GPL-2.0-or-later
# The PCI bus, virtio on it, and the device models that the monitor serves itself.
vmm_srcs += \
	host-vmm/devices/pci.c \
	host-vmm/devices/pci_config.c \
	host-vmm/devices/pci_msix.c \
	host-vmm/virtio/queue.c
