#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# In the guest of test-session.sh and test-drag.sh: an X11 session with a plain window manager, and lodge-session in
# it, on the in-box driver; or on the module that is named, which takes the device over. $1 is made when it is there.
set -eu
up=$1
if ! pidof systemd-udevd >/dev/null; then
	modprobe virtio-gpu
	/lib/systemd/systemd-udevd --daemon
	udevadm trigger --action=add
	udevadm settle
fi
if [ $# = 2 ]; then
	dev=$(cd /sys/bus/virtio/drivers/virtio_gpu && echo virtio[0-9]*)
	echo "$dev" >/sys/bus/virtio/drivers/virtio_gpu/unbind
	dmesg -C # what that one leaves behind is not ours
	insmod "$2"
fi
udevadm settle
export XDG_RUNTIME_DIR=/run/user/0 DISPLAY=:0
mkdir -p /run/user/0
# No OpenGL: a program that makes programs, on a processor that is emulated.
cat >/run/xorg.conf <<'END'
Section "Device"
	Identifier "display"
	Driver "modesetting"
	Option "AccelMethod" "none"
EndSection
END
Xorg :0 -config /run/xorg.conf -noreset -nolisten tcp -logfile /run/xorg.log vt1 >/run/xorg.out 2>&1 &
until xrandr >/dev/null 2>&1; do sleep 0.2; done
xsetroot -solid '#336699'
openbox >/run/openbox.log 2>&1 &
lodge-session >/run/session.log 2>&1 &
touch "$up"
exec sleep 100000
