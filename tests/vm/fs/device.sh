# shellcheck shell=sh disable=SC2034
# SPDX-License-Identifier: GPL-2.0-or-later
# For a guest's shell, to be sourced: ends lodged, and takes the shares' device ($dev) from the kernel's driver ($inbox),
# which has it first among the two: the other is the root's. $ours is the driver of lodge_fs.
for pid in $(pidof lodged); do kill "$pid"; done
while pidof lodged >/dev/null; do sleep 0.1; done
PATH=$BUILD/bin:$PATH
awk '$5 ~ "^/mnt/lodge" { print $5 }' /proc/self/mountinfo | sort -r | xargs -r -n 1 umount
modprobe fuse
inbox=/sys/bus/virtio/drivers/virtiofs
ours=/sys/bus/virtio/drivers/lodge_fs
for dev in "$inbox"/virtio*; do dev=${dev##*/}; break; done
echo "$dev" >$inbox/unbind
