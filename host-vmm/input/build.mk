# SPDX-License-Identifier: GPL-2.0-or-later
# Keys and pointers, from windows and commands to devices.
input_srcs := host-vmm/input/input.c
vmm_srcs += $(input_srcs)

unit_tests += input_core
input_core_srcs := tests/unit/input_core.c $(input_srcs)
input_core_pkgs := check
