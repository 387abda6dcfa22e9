# SPDX-License-Identifier: GPL-2.0-or-later
# vm.conf, for the monitor and for the command.
conf_srcs := \
	host-vmm/conf/claim.c \
	host-vmm/conf/defaults.c \
	host-vmm/conf/file.c \
	host-vmm/conf/groups.c \
	host-vmm/conf/locate.c \
	host-vmm/conf/memory.c \
	host-vmm/conf/shares.c \
	host-vmm/conf/uuid.c \
	host-vmm/conf/vmconf.c \
	host-vmm/conf/words.c
vmm_srcs += $(conf_srcs)
libs += vmconf
vmconf_srcs := $(conf_srcs)
vmconf_pkgs := glib-2.0

unit_tests += vmconf_reader
vmconf_reader_srcs := tests/unit/vmconf_reader.c
vmconf_reader_libs := vmconf proto
vmconf_reader_pkgs := check

unit_tests += vmconf_shares
vmconf_shares_srcs := tests/unit/vmconf_shares.c
vmconf_shares_libs := vmconf proto
vmconf_shares_pkgs := check

man_pages += host-vmm/conf/lodge-vmm.8.scd host-vmm/conf/vm.conf.5.scd

fuzz_targets += fuzz_vmconf
fuzz_vmconf_srcs := tests/fuzz/vmconf.c
fuzz_vmconf_libs := vmconf proto
