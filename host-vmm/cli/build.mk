# SPDX-License-Identifier: GPL-2.0-or-later
# The `lodge` command. Everything but main() is the library "cli", for tests.
libs += cli
cli_srcs := $(addprefix host-vmm/cli/, \
	check.c cli.c client.c copy.c copy_get.c copy_put.c cp.c cpio.c create.c delete.c events.c exec.c follow.c guest_exec.c \
	guest_facts.c guest_link.c guest_open.c hostcheck.c info.c initramfs.c json.c kernel.c list.c \
	memory.c modules.c monitor.c outlet.c paths.c pause.c power.c probe.c probe_tiny.c ps.c run.c run_options.c \
	run_vm.c share.c show.c start.c stop.c tail.c terminal.c throwaway.c top.c top_usage.c var.c vm.c vm_options.c \
	wait.c)
cli_pkgs := glib-2.0 json-glib-1.0 libarchive

progs += lodge
lodge_srcs := host-vmm/cli/main.c host-vmm/kvm.c host-vmm/memory.c host-vmm/memory-policy/policy.c
lodge_libs := cli vmconf pack proto

unit_tests += cli_copy cli_cpio cli_guest cli_kernel cli_put cli_words
cli_copy_srcs := tests/unit/cli_copy.c $(addprefix host-vmm/cli/, \
	cli.c copy.c copy_get.c copy_put.c guest_link.c outlet.c)
cli_copy_libs := pack proto
cli_copy_pkgs := check glib-2.0 libarchive
cli_put_srcs := tests/unit/cli_put.c $(addprefix host-vmm/cli/, \
	cli.c copy.c copy_put.c guest_link.c outlet.c)
cli_put_libs := pack proto
cli_put_pkgs := check glib-2.0 libarchive
cli_guest_srcs := tests/unit/cli_guest.c $(addprefix host-vmm/cli/, \
	cli.c guest_exec.c guest_link.c outlet.c terminal.c)
cli_guest_libs := proto
cli_guest_pkgs := check glib-2.0
cli_cpio_srcs := tests/unit/cli_cpio.c host-vmm/cli/cpio.c
cli_cpio_libs := proto
cli_cpio_pkgs := check glib-2.0
cli_kernel_srcs := tests/unit/cli_kernel.c host-vmm/cli/kernel.c host-vmm/cli/modules.c
cli_kernel_libs := proto
cli_kernel_pkgs := check glib-2.0
cli_words_srcs := tests/unit/cli_words.c $(addprefix host-vmm/cli/, \
	cli.c monitor.c paths.c run_options.c tail.c vm_options.c)
cli_words_libs := vmconf proto
cli_words_pkgs := check glib-2.0 json-glib-1.0

# Verbs as a whole, with a monitor that a test plays.
unit_tests += cli_verbs cli_cp cli_main cli_throwaway
verbs_srcs := tests/unit/verbs_rig.c $(addprefix host-vmm/, boot/elf.c kvm.c memory.c memory-policy/policy.c)
cli_verbs_srcs := tests/unit/cli_verbs.c $(verbs_srcs)
cli_verbs_libs := cli vmconf pack proto
cli_verbs_pkgs := check glib-2.0 json-glib-1.0
cli_cp_srcs := tests/unit/cli_cp.c $(verbs_srcs)
cli_main_srcs := tests/unit/cli_main.c $(verbs_srcs)
cli_main_libs := cli vmconf pack proto
cli_main_pkgs := check glib-2.0 json-glib-1.0
$(BUILD)/unit/cli_main: | $(BUILD)/bin/lodge
cli_throwaway_srcs := tests/unit/cli_throwaway.c $(verbs_srcs)
cli_throwaway_libs := cli vmconf pack proto
cli_throwaway_pkgs := check glib-2.0 json-glib-1.0
cli_cp_libs := cli vmconf pack proto
cli_cp_pkgs := check glib-2.0 json-glib-1.0

# How much memory guests have, and what VMs use.
unit_tests += cli_memory
cli_memory_srcs := tests/unit/cli_memory.c $(addprefix host-vmm/, cli/cli.c cli/client.c cli/json.c cli/memory.c \
	cli/top_usage.c memory-policy/policy.c)
cli_memory_libs := vmconf proto
cli_memory_pkgs := check glib-2.0 json-glib-1.0

# Kernels that are unpacked once.
cli_srcs += host-vmm/cli/kernel_cache.c host-vmm/cli/unpack.c
lodge_srcs += host-vmm/boot/elf.c
unit_tests += cli_kernel_cache
cli_kernel_cache_srcs := tests/unit/cli_kernel_cache.c tests/unit/tiny_kernel.c \
	$(addprefix host-vmm/, boot/elf.c cli/kernel_cache.c cli/unpack.c memory.c)
cli_kernel_cache_libs := proto
cli_kernel_cache_pkgs := check glib-2.0 libarchive

# A VM's screens, as a window sees them.
cli_srcs += $(addprefix host-vmm/, cli/resize.c cli/screen.c cli/screenshot.c cli/view.c \
	display/convert.c view/link.c)
cli_pkgs += libpng

# Keys for texts.
cli_srcs += host-vmm/cli/keymap.c host-vmm/cli/keys.c
cli_pkgs += xkbcommon
unit_tests += cli_keymap
cli_keymap_srcs := tests/unit/cli_keymap.c host-vmm/cli/keymap.c
cli_keymap_pkgs := check glib-2.0 xkbcommon

man_pages += host-vmm/cli/lodge.1.scd host-vmm/cli/lodge-exec.1.scd
