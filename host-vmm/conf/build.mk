# SPDX-License-Identifier: GPL-2.0-or-later
# vm.conf, for the monitor and for the command.
conf_srcs := \
	host-vmm/conf/file.c \
	host-vmm/conf/locate.c \
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
