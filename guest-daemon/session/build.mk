# SPDX-License-Identifier: GPL-2.0-or-later
# lodge-session, for X11 and Wayland sessions whose desktop does not follow the window's size.
lodge-session_wayland := $(addprefix guest-daemon/session/, sway.c wayland.c wayland_heads.c wayland_set.c wlr_output.c)
progs += lodge-session
lodge-session_srcs := $(addprefix guest-daemon/session/, follow.c layout.c main.c screen.c state.c) $(lodge-session_wayland) \
	guest-daemon/lib/drm.c guest-daemon/lib/uevents.c
lodge-session_libs := proto
lodge-session_pkgs := glib-2.0 wayland-client x11 xrandr
man_pages += guest-daemon/session/lodge-session.1.scd

unit_tests += session_follow
session_follow_srcs := tests/unit/session_follow.c guest-daemon/session/follow.c
session_follow_pkgs := check

unit_tests += session_wayland
session_wayland_srcs := tests/unit/session_wayland.c tests/unit/wayland_rig.c tests/unit/lodged_rig.c \
	guest-daemon/session/follow.c $(lodge-session_wayland)
session_wayland_libs := lodgedcore guestlib proto
session_wayland_pkgs := check wayland-client wayland-server
