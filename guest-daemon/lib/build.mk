# SPDX-License-Identifier: GPL-2.0-or-later
# What lodged and lodge-toolbox share: the guest's end of the backdoor, and looks at the guest.
libs += guestlib
guestlib_srcs := $(addprefix guest-daemon/lib/, \
	door.c door_framed.c door_ioports.c door_open.c door_streams.c drm.c mounts.c session.c uevents.c vmport.c)
guestlib_pkgs := glib-2.0
