# SPDX-License-Identifier: GPL-2.0-or-later
# The monitor. Everything but main() is the library "vmm", so that tests and fuzzers link it; the
# folders below add their sources to it.
libs += vmm
vmm_srcs += \
	host-vmm/bus.c \
	host-vmm/irq.c \
	host-vmm/loop.c \
	host-vmm/memory.c \
	host-vmm/state.c
vmm_pkgs += glib-2.0 json-glib-1.0 liburing libseccomp
