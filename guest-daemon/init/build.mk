# SPDX-License-Identifier: GPL-2.0-or-later
# lodge-init, process 1 of instant VMs.
guest_progs += lodge-init
lodge-init_srcs := $(addprefix guest-daemon/init/, \
	child.c conf.c main.c modules.c mounts.c ports.c power.c pump.c \
	tools.c users.c) protocol/lib/read_ahead.c

unit_tests += init_conf
init_conf_srcs := tests/unit/init_conf.c guest-daemon/init/conf.c $(addprefix host-vmm/cli/, \
	cpio.c initramfs.c kernel.c modules.c paths.c)
init_conf_libs := vmconf proto
init_conf_pkgs := check glib-2.0
