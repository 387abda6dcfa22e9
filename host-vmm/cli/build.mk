# SPDX-License-Identifier: GPL-2.0-or-later
# The `lodge` command. Everything but main() is the library "cli", for tests.
libs += cli
cli_srcs := $(addprefix host-vmm/cli/, \
	check.c cli.c client.c cpio.c create.c delete.c hostcheck.c info.c initramfs.c json.c \
	kernel.c list.c modules.c monitor.c paths.c probe.c run.c run_options.c run_vm.c show.c \
	start.c stop.c tail.c vm.c)
cli_pkgs := glib-2.0 json-glib-1.0

progs += lodge
lodge_srcs := host-vmm/cli/main.c host-vmm/kvm.c host-vmm/memory.c
lodge_libs := cli vmconf proto
