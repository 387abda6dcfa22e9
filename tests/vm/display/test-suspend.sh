#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A guest with lodge_display, 16 screens and 256 MiB of video memory suspends and resumes, as far as its drivers see, while a
# program shows something: the picture is there again, flips work, and the host's sizes are heard. Shares would refuse the
# suspend (virtiofs cannot), so this guest has an initramfs only.
# TIMEOUT: 120
# NEEDS: lodge busybox cpio
# shellcheck source=tests/vm/lib.sh
. "$LIB"
# shellcheck source=tests/vm/vhost-user/guest.sh
. "$TOP/tests/vm/vhost-user/guest.sh"

mkdir -p tree/{bin,modules}
cp "$BUILD/guest/kms-check" tree/bin/
cp "$BUILD/modules/$kernel/lodge_display.ko" tree/
# shellcheck disable=SC2016 # for the guest
make_guest '
	insmod /lodge_display.ko || say "no module"
	read -r from to rest </sys/class/drm/card0/device/resource
	say "memory $(((to - from + 1) >> 20))"
	say "screens $(cat /sys/class/drm/card0-Virtual-*/status | grep -cx connected)"
	say "monitors $(for edid in /sys/class/drm/card0-Virtual-*/edid; do md5sum <$edid; done | sort -u | wc -l)"
	echo 0 >/sys/module/suspend/parameters/pm_test_delay
	echo devices >/sys/power/pm_test
	soon() { n=0; until eval "$1"; do n=$((n + 1)); [ $n -lt '$((600 * slowness))' ] || return 1; sleep 0.1; done; }
	kms-check tiles >/tmp/ready &
	soon "grep -q ready /tmp/ready" && say "shown"
	for round in 1 2 3; do
		echo freeze >/sys/power/state && say "resumed $round"
	done
	say "waits"
	connector=/sys/class/drm/card0-Virtual-1
	soon "echo detect >$connector/status; head -n 1 $connector/modes | grep -qx 1003x703" && say "hears of sizes"
	kill $!
	wait
	for job in flips vblanks buffers; do kms-check $job | while read -r line; do say "$line"; done; done
	rmmod lodge_display && say "unloaded"
	dmesg | grep -E "BUG|WARNING: CPU|Oops|Call Trace|flip_done|lodge_display.*error" || say "no complaint"
'
# DRM and what the module needs of it; a driver that refuses to suspend does not belong here.
sed -i '/virtiofs/d' tree/modules/list
for word in virtio_dma_buf drm_shmem_helper drm_kms_helper; do add_module $word; done
(cd tree && find . | cpio -o -H newc -R 0:0 --quiet) | gzip -1 >initrd

lodge create --memory 256M --kernel "/boot/vmlinuz-$kernel" --initrd "$PWD/initrd" \
	--append 'console=ttyS0 quiet panic=-1' box
lodge set box display.heads=16 display.memory=256M
sed -i "s,^backend=file:.*,backend=file:$PWD/console," "$HOME/.local/share/lodge/box/vm.conf"
ok "start" lodge start box
ok "it has slept three times" wait_for 60 said waits
ok "it has all video memory" said 'memory 256'
ok "and all screens" said 'screens 16'
ok "and each is another monitor" said 'monitors 16'
is "$(console | grep -c '^guest: resumed')" 3 "and resumed"
lodge screenshot box shot.png
ok "the picture is there again, every pixel" card-check shot.png 1
lodge resize box 1003x703 >/dev/null 2>&1
ok "the host's size is heard" wait_for 30 said "hears of sizes"
ok "unloaded" wait_for 60 said unloaded
ok "the kernel complains of nothing" wait_for 10 said "no complaint"
is "$(console | grep '^guest: not ok')" "" "flips, vblanks and buffers work"
is "$(console | grep -c '^guest: ok')" 9 "all of them"
[ "$failures" = 0 ] || console | tail -n 40 | sed 's/^/#   /'
wait_for 20 sh -c '! lodge info box' || lodge kill box >/dev/null
