# SPDX-License-Identifier: GPL-2.0-or-later
# lodge-session, for X11 sessions whose desktop does not follow the window's size.
progs += lodge-session
lodge-session_srcs := $(addprefix guest-daemon/session/, follow.c layout.c main.c screen.c state.c)
lodge-session_libs := proto
lodge-session_pkgs := glib-2.0 x11 xrandr
man_pages += guest-daemon/session/lodge-session.1.scd

unit_tests += session_follow
session_follow_srcs := tests/unit/session_follow.c guest-daemon/session/follow.c
session_follow_pkgs := check
