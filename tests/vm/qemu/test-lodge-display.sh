#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The module lodge_display on somebody else's device: QEMU's virtio-vga, which has no blobs and no pace of its own. It takes
# the firmware's frame buffer over. Modes, buffers, lifetimes, flips and vblanks, and a picture that the guest tells of tile
# by tile, pixel by pixel.
# TIMEOUT: 180
# NEEDS: qemu-system-x86_64 busybox cpio
# shellcheck source=tests/vm/lib.sh
. "$LIB"
# shellcheck source=tests/vm/vhost-user/guest.sh
. "$TOP/tests/vm/vhost-user/guest.sh"

mkdir -p tree/{bin,modules}
cp "$BUILD"/guest/kms-{check,lifetimes} tree/bin/
cp "$BUILD/modules/$kernel/lodge_display.ko" tree/
# shellcheck disable=SC2016 # for the guest
make_guest '
	say "had $(cat /proc/fb)"
	insmod /lodge_display.ko || say "no module"
	say "has $(cat /proc/fb)"
	for job in modes refusals buffers flips turns vblanks; do
		kms-check $job | while read -r line; do say "$line"; done
	done
	kms-lifetimes | while read -r line; do say "$line"; done
	rmmod lodge_display && insmod /lodge_display.ko && say "loaded again"
	dmesg | grep -E "BUG|WARNING: CPU|Oops|Call Trace|flip_done|lodge_display.*(error|ERROR)" || say "no complaint"
	kms-check tiles >/tmp/ready &
	until grep -q . /tmp/ready; do sleep 0.1; done
	say "$(cat /tmp/ready)"
	sleep 1000
'
sed -i '/virtiofs/d' tree/modules/list
for word in virtio_dma_buf drm_shmem_helper drm_kms_helper; do add_module $word; done
(cd tree && find . | cpio -o -H newc -R 0:0 --quiet) | gzip -1 >initrd

mkfifo monitor
timeout 170 qemu-system-x86_64 -enable-kvm -cpu host -M q35 -m 256 -nodefaults -no-user-config -display none -no-reboot \
	-serial "file:$WORK/console" -device virtio-vga -monitor stdio -kernel "/boot/vmlinuz-$kernel" -initrd initrd \
	-append 'console=ttyS0 quiet panic=-1 vga=0x318' <monitor >monitor.out 2>&1 &
qemu=$!
exec 5>monitor
ok "a program shows something" wait_for 140 said ready
relay_checks < <(console | sed -n 's/^guest: \(\(not \)\?ok - \)/\1/p')
ok "the firmware left a frame buffer" said 'had 0 VESA VGA'
ok "which is taken over" said 'has 0 lodge_display.*'
ok "unloaded and loaded" said "loaded again"
ok "the kernel complains of nothing" said "no complaint"
echo "screendump shot.png -f png" >&5
run_card() { card-check shot.png 1; }
ok "every pixel is as it was painted" wait_for 20 run_card
[ ! -e shot.png ] || keep shot.png lodge_display-qemu.png
echo quit >&5
wait $qemu
is "$?" 0 "QEMU ends"
[ "$failures" = 0 ] || { console; cat monitor.out; } | tail -n 40 | sed 's/^/#   /'
