#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# In the guest of test-drag.sh: a text console on the in-box driver, or on the module that is named. $1 is made when
# it is there.
set -eu
mount -t debugfs none /sys/kernel/debug
dmesg -n 1
if [ $# = 1 ]; then
	driver=virtio_gpu
	modprobe virtio_gpu
else
	driver=lodge_display
	modprobe drm_shmem_helper
	modprobe drm_kms_helper
	insmod "$2"
fi
until grep -q "$driver" /proc/fb; do sleep 0.1; done
touch "$1"
exec sleep 100000
