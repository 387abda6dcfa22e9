# SPDX-License-Identifier: GPL-2.0-or-later
# lodge-init, process 1 of instant VMs.
guest_progs += lodge-init
lodge-init_srcs := $(addprefix guest-daemon/init/, \
	child.c conf.c main.c modules.c mounts.c ports.c power.c pump.c users.c)
