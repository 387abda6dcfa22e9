#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The in-box virtio-gpu driver on our device, two heads: what it finds, the EDID that it hands on, every mode, odd
# and very wide ones that the host asks for, page flips with events at the pace of a window, the cursor's plane, vblanks.
# TIMEOUT: 240
# USER: ordinary
# NEEDS: lodge modetest proptest vbltest edid-decode drm_info
# shellcheck source=tests/vm/lib.sh
. "$LIB"

cat >job.sh <<'END'
try() {
	if "$@" >/tmp/said 2>&1; then echo "ok - $name"; else
		echo "not ok - $name"
		sed 's/^/# /' /tmp/said
	fi
}
# What modetest refuses it says, and ends well all the same.
set_mode() {
	timeout 20 modetest -M virtio_gpu "$@" </dev/null >/tmp/mode 2>&1 || { cat /tmp/mode; return 1; }
	if grep -v 'set gamma' /tmp/mode | grep -i 'failed\|error\|invalid'; then return 1; fi
}
name="the driver takes the device" try modprobe virtio_gpu
for i in $(seq 100); do [ -e /dev/dri/card0 ] && break; sleep 0.1; done
name="features" try sh -c "dmesg | grep 'features: -virgl +edid +resource_blob'"
name="it is the VGA" try sh -c "cat /sys/class/drm/card0/device/class | grep 0x030000"
for head in 1 2; do
	connector=/sys/class/drm/card0-Virtual-$head
	name="head $head: status" try grep -x connected $connector/status
	name="head $head: the EDID is without fault" try edid-decode --check $connector/edid
	name="head $head: of the size that it should have" try sh -c "edid-decode $connector/edid | grep 'DTD 1: *1024x768 '"
done
id=$(modetest -M virtio_gpu -c 2>/dev/null | awk '$4 == "Virtual-1" { print $1 }')
other=$(modetest -M virtio_gpu -c 2>/dev/null | awk '$4 == "Virtual-2" { print $1 }')
for mode in $(sort -u /sys/class/drm/card0-Virtual-1/modes); do
	name="mode $mode" try set_mode -s $id:$mode
done
name="two heads at once" try set_mode -s $id:800x600 -s $other:640x480
proptest -M virtio_gpu >/tmp/properties 2>&1
name="proptest reads the connector" try grep "Connector $id" /tmp/properties
drm_info /dev/dri/card0 >/tmp/info 2>&1
name="drm_info: two heads, each with its plane and cursor" try sh -c '
	for kind in Primary Cursor; do [ "$(grep -c "Cursor} = $kind" /tmp/info)" = 2 ] || { cat /tmp/info; exit 1; }; done'
# Asking for the modes makes the driver look: /sys has what fits on the console's buffer.
preferred() {
	modetest -M virtio_gpu -c 2>/dev/null | awk '$4 == "Virtual-1" { here = 1 } here && $1 == "#0" { print $2; exit }'
}
for size in 1001x701 4099x1001 8191x203; do
	touch /mnt/lodge/job/want-$size
	for i in $(seq 60); do
		[ "$(preferred)" = $size ] && break
		sleep 0.5
	done
	name="$size is what the driver prefers" try [ "$(preferred)" = $size ]
	name="$size: the EDID is without fault" try edid-decode --check /sys/class/drm/card0-Virtual-1/edid
	name="$size is set" try set_mode -s $id:$size
done
sleep 4 | timeout 20 modetest -M virtio_gpu -s $id:1024x768 -v >/tmp/flips 2>&1
echo "flips $(sed -n 's/^freq: \([0-9]*\)\..*/\1/p' /tmp/flips | sort -n | tr '\n' ' ')"
# With the console's mode set. vbltest goes on until its standard input ends.
sleep 4 | timeout 20 vbltest -M virtio_gpu >/tmp/vblanks 2>&1
sed 's/^/vbltest: /' /tmp/vblanks
sleep 2 | timeout 20 modetest -M virtio_gpu -s $id:800x600 -C >/tmp/cursor 2>&1
name="cursor" try sh -c "! grep -v 'set gamma' /tmp/cursor | grep -i 'failed\|error'"
dmesg | grep -i 'virtio_gpu\|\[drm' | sed 's/^/# /' | tail -40
name="no complaint in the log" try sh -c "! dmesg | grep 'virtio_gpu.*ERROR\|response 0x12'"
END

# The window's part: sizes, as the guest is ready for them.
for size in 1001x701 4099x1001 8191x203; do
	wait_for 120 test -e want-$size
	lodge resize --no-wait gpu $size
done >resize.log 2>&1 &
resizes=$!
guest --name gpu --set display.heads=2 --share "job=$PWD" -- sh /mnt/lodge/job/job.sh
kill $resizes 2>/dev/null
is "$status" 0 "the job ends well"
is "$(cat resize.log)" '' "the host's resizes are taken"
relay_checks <<<"$out"
rates=$(sed -n 's/^flips //p' <<<"$out")
like "$rates" '[0-9]' "page flips tell their events"
# By the guest's clock, which is not this host's.
for rate in $rates; do
	[ "$rate" -le 70 ] || fail "flips no faster than a window shows them" "$rate a second"
done
# The in-box driver of Linux 6.1 has flips' events alone and no vblanks to wait for: that is its answer. Newer ones count by a timer.
like "$out" 'vbltest: (drmWaitVBlank \(relative\) failed|.*freq: )' "vbltest hears of vblanks, or that the driver has none"
rates=$(sed -n 's/^vbltest: freq: \([0-9]*\)\..*/\1/p' <<<"$out")
for rate in $rates; do
	[ "$rate" -le 70 ] || fail "vblanks no faster than a window shows them" "$rate a second"
done
is "$(grep -c 'refused' <<<"$err")" 0 "nothing is refused"
printf '%s\n' "$err" | sed 's/^/# /'
