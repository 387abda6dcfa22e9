# SPDX-License-Identifier: GPL-2.0-or-later
# The sockets of a running VM: control.sock, whose server stands alone (for tests) and whose methods
# are the machine's; tools.sock's relay, in the unit rig.
control_srcs := \
	host-vmm/control/answer.c \
	host-vmm/control/json.c \
	host-vmm/control/server.c
relay_srcs_only := $(addprefix host-vmm/backdoor/, relay.c relay_call.c)
vmm_srcs += $(control_srcs) $(relay_srcs_only) $(addprefix host-vmm/control/, \
	display.c facts.c feed.c memory.c methods.c methods_clock.c methods_keys.c methods_shares.c \
	methods_tools.c sockets.c)
libs += control
control_pkgs := glib-2.0 jansson

unit_tests += control_server
control_server_srcs := tests/unit/control_server.c
control_server_libs := control proto
control_server_pkgs := check

fuzz_targets += fuzz_control
fuzz_control_srcs := tests/fuzz/control.c
fuzz_control_libs := control proto

unit_tests += control_tools
# The rig's rows come later: "=".
control_tools_srcs = tests/unit/control_tools.c $(addprefix host-vmm/control/, facts.c json.c) \
	$(backdoor_srcs) $(virtio_rig_srcs)
control_tools_libs := proto
control_tools_pkgs := check glib-2.0 jansson

relay_rig_srcs := tests/unit/relay_rig.c $(relay_srcs_only)
unit_tests += backdoor_relay
backdoor_relay_srcs := tests/unit/backdoor_relay.c $(relay_rig_srcs)
backdoor_relay_libs := proto
backdoor_relay_pkgs := check

fuzz_targets += relay
relay_srcs := tests/fuzz/relay.c $(relay_rig_srcs)
relay_libs := proto

unit_tests += control_keys
control_keys_srcs := tests/unit/control_keys.c host-vmm/control/methods_keys.c \
	host-vmm/input/input.c
control_keys_libs := control proto
control_keys_pkgs := check
