# SPDX-License-Identifier: GPL-2.0-or-later
# The window: a client of display.sock and of an X server, and of nothing else. Everything but main()
# stands in a unit test, too.
view_srcs := $(addprefix host-vmm/view/, \
	confine.c keyboard.c link.c picture.c pointer.c screen.c shot.c view.c window.c)
view_pkgs := xcb xcb-randr xcb-render xcb-shm xcb-xinput xcb-xkb

progs += lodge-view
lodge-view_srcs := host-vmm/view/main.c $(view_srcs)
lodge-view_libs := proto
lodge-view_pkgs := $(view_pkgs)

unit_tests += view_window
view_window_srcs := tests/unit/view_window.c tests/unit/view_rig.c host-vmm/loop.c $(view_srcs) \
	$(display_srcs) $(input_srcs)
view_window_libs := proto
view_window_pkgs := check xcb-xfixes xcb-xtest $(view_pkgs)

unit_tests += view_desktop
view_desktop_srcs := tests/unit/view_desktop.c $(filter-out tests/unit/view_window.c,$(view_window_srcs))
view_desktop_libs := proto
view_desktop_pkgs := $(view_window_pkgs)

man_pages += host-vmm/view/lodge-view.1.scd

fuzz_targets += view_link
view_link_srcs := tests/fuzz/view_link.c host-vmm/view/link.c
view_link_libs := proto
