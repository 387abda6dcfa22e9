# SPDX-License-Identifier: GPL-2.0-or-later
# The VM's screens: what stands between the devices that make pictures and the windows.
display_core_srcs := $(addprefix host-vmm/display/, \
	convert.c display.c fetch.c pace.c region.c segment.c viewers.c want.c)
display_srcs := $(display_core_srcs) $(addprefix host-vmm/display/, server.c window.c wire.c)
vmm_srcs += $(display_srcs) host-vmm/display/device.c

# Without threads and without time.
display_rig_srcs := tests/unit/display_rig.c $(display_core_srcs)
display_rig_ldflags := -Wl,--wrap=clock_gettime,--wrap=timerfd_settime

unit_tests += display_frames
display_frames_srcs := tests/unit/display_frames.c $(display_rig_srcs)
display_frames_ldflags := $(display_rig_ldflags)
display_frames_libs := proto
display_frames_pkgs := check
