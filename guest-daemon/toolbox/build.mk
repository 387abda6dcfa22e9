# SPDX-License-Identifier: GPL-2.0-or-later
# lodge-toolbox, the user's command in guests; also vmware-toolbox-cmd and vmware-rpctool.
progs += lodge-toolbox
lodge-toolbox_srcs := $(addprefix guest-daemon/toolbox/, \
	conf.c connection.c device.c main.c rpc.c service.c stat.c status.c)
lodge-toolbox_libs := guestlib proto
man_pages += guest-daemon/toolbox/lodge-toolbox.1.scd
