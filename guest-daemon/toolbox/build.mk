# SPDX-License-Identifier: GPL-2.0-or-later
# lodge-toolbox, the user's command in guests; also vmware-toolbox-cmd and vmware-rpctool.
progs += lodge-toolbox
lodge-toolbox_srcs := $(addprefix guest-daemon/toolbox/, \
	conf.c connection.c device.c display.c json.c main.c rpc.c service.c share.c stat.c status.c time.c)
lodge-toolbox_libs := guestlib proto
man_pages += guest-daemon/toolbox/lodge-toolbox.1.scd

unit_tests += toolbox
toolbox_srcs := tests/unit/toolbox.c tests/unit/lodged_rig.c
toolbox_libs := lodgedcore guestlib proto
toolbox_pkgs := check
$(BUILD)/unit/toolbox: | $(BUILD)/bin/lodge-toolbox
