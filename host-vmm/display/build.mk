# SPDX-License-Identifier: GPL-2.0-or-later
# The VM's screens: what stands between the devices that make pictures and the windows.
display_parts_srcs := $(addprefix host-vmm/display/, \
	convert.c display.c fetch.c pace.c region.c segment.c viewers.c want.c)
display_srcs := $(display_parts_srcs) $(addprefix host-vmm/display/, server.c window.c wire.c)
vmm_srcs += $(display_srcs) host-vmm/display/device.c host-vmm/display/replug.c

# Without threads and without time.
display_rig_srcs := tests/unit/display_rig.c $(display_parts_srcs)
display_rig_ldflags := -Wl,--wrap=clock_gettime,--wrap=timerfd_settime

unit_tests += display_frames
display_frames_srcs := tests/unit/display_frames.c $(display_rig_srcs)
display_frames_ldflags := $(display_rig_ldflags)
display_frames_libs := proto
display_frames_pkgs := check

unit_tests += display_want
display_want_srcs := tests/unit/display_want.c $(display_rig_srcs)
display_want_ldflags := $(display_rig_ldflags)
display_want_libs := proto
display_want_pkgs := check

# With threads and sockets. The rows of input come later: "=".
unit_tests += display_server
thread_tests += display_server
display_server_srcs = tests/unit/display_server.c $(display_srcs) $(input_srcs) host-vmm/loop.c
display_server_ldflags := -Wl,--wrap=timerfd_settime
display_server_libs := proto
display_server_pkgs := check

fuzz_targets += display_wire display_core
display_wire_srcs := tests/fuzz/display_wire.c host-vmm/display/wire.c
display_core_srcs := tests/fuzz/display_core.c $(display_rig_srcs)
display_core_ldflags := $(display_rig_ldflags)
display_core_libs := proto
