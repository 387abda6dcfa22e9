# SPDX-License-Identifier: GPL-2.0-or-later
# The VM's screens: what stands between the devices that make pictures and the windows.
display_srcs := $(addprefix host-vmm/display/, \
	convert.c display.c fetch.c pace.c region.c segment.c server.c viewers.c want.c window.c wire.c)
vmm_srcs += $(display_srcs) host-vmm/display/device.c
