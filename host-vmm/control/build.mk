# SPDX-License-Identifier: GPL-2.0-or-later
# The control socket: its server stands alone (for tests), its methods are the machine's.
control_srcs := \
	host-vmm/control/answer.c \
	host-vmm/control/server.c
vmm_srcs += $(control_srcs) host-vmm/control/methods.c
libs += control
control_pkgs := glib-2.0 json-glib-1.0

unit_tests += control_server
control_server_srcs := tests/unit/control_server.c
control_server_libs := control proto
control_server_pkgs := check

fuzz_targets += fuzz_control
fuzz_control_srcs := tests/fuzz/control.c
fuzz_control_libs := control proto
