# SPDX-License-Identifier: GPL-2.0-or-later
# The guest's end of the backdoor, for lodged and lodge-toolbox.
libs += guestlib
guestlib_srcs := $(addprefix guest-daemon/lib/, \
	door.c door_framed.c door_ioports.c door_open.c door_streams.c mounts.c vmport.c)
guestlib_pkgs := glib-2.0
