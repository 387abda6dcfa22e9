#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The module lodge_display on our device, two heads: what programs ask of it, pictures pixel by pixel, the host's sizes
# with one event and one mode set each, the device handed between it and the in-box driver, loads and unloads.
# TIMEOUT: 240
# NEEDS: lodge modetest proptest vbltest drm_info edid-decode
# shellcheck source=tests/vm/lib.sh
. "$LIB"

cat >begin.sh <<'END'
modprobe drm_shmem_helper
modprobe drm_kms_helper
dmesg -C
insmod $1 || exit 1
modprobe vgem
touch /run/there
exec sleep 1000
END
cat >programs.sh <<'END'
say() { if eval "$2" >/tmp/said 2>&1; then echo "ok - $1"; else echo "not ok - $1"; sed 's/^/# /' /tmp/said; fi; }
id=$(modetest -M lodge_display -c 2>/dev/null | awk '$4 == "Virtual-1" { print $1 }')
plane() { modetest -M lodge_display -p | sed -n '/^Planes/,$p' | awk '$1 ~ /^[0-9]+$/ && NF > 6 { print $1 "@" "'"$crtc"'"; exit }'; }
crtc=$(modetest -M lodge_display -p | sed -n '/^CRTCs/,$p' | awk '$1 ~ /^[0-9]+$/ { print $1; exit }')
drm_info /dev/dri/card0 >/tmp/info 2>&1
say "each head has its plane and cursor" \
	"[ \$(grep -c 'Cursor} = Primary' /tmp/info) = 2 ] && [ \$(grep -c 'Cursor} = Cursor' /tmp/info) = 2 ]"
say "it is one card, the VGA" "grep 0x030000 /sys/class/drm/card0/device/class"
say "it has the console" "grep lodge_display /proc/fb"
say "no render node" "! ls /sys/class/drm/card0/device/drm | grep render"
for head in 1 2; do
	say "head $head is connected" "grep -x connected /sys/class/drm/card0-Virtual-$head/status"
	say "head $head has an EDID" "edid-decode --check /sys/class/drm/card0-Virtual-$head/edid"
done
say "places are suggested" "modetest -M lodge_display -c | grep -c 'suggested [XY]' | grep -x 4"
say "damage is taken" "modetest -M lodge_display -a -p | grep FB_DAMAGE_CLIPS"
say "legacy" "! modetest -M lodge_display -s $id:640x480 </dev/null 2>&1 | grep -v 'set gamma' | grep failed"
say "atomic" "! modetest -M lodge_display -a -P $(plane):1024x768 -s $id:1024x768 </dev/null 2>&1 | grep -v gamma | grep failed"
# Either works while its standard input is open, and tells a rate after 60 of them; the first has the mode set meanwhile.
mkfifo /tmp/open
told() { until grep -q ^freq $1 || ! kill -0 $2; do sleep 0.1; done; }
timeout 60 modetest -M lodge_display -s $id:800x600 -v -C </tmp/open >/tmp/flips 2>&1 &
exec 4>/tmp/open
told /tmp/flips $!
timeout 60 vbltest -M lodge_display </tmp/open >/tmp/vblanks 2>&1 4>&- &
told /tmp/vblanks $!
exec 4>&-
wait
# By atomic commits it goes on until it is killed.
timeout 60 modetest -M lodge_display -a -v -P $(plane):1024x768 -s $id:1024x768 </dev/null >/tmp/commits 2>&1 &
told /tmp/commits $!
kill $!
wait
say "the flips have a cursor that moves" "! grep -v gamma /tmp/flips | grep -i 'failed\|error'"
proptest -M lodge_display >/tmp/properties 2>&1
say "proptest reads the connector" "grep 'Connector $id' /tmp/properties"
dpms=$(sed -n "/^Connector $id/,\$s/^\t\([0-9]*\) DPMS:/\1/p" /tmp/properties | head -n 1)
say "and switches it off and on" "proptest -M lodge_display $id connector $dpms 3 && proptest -M lodge_display $id connector $dpms 0"
for of in flips vblanks commits; do echo "$of $(sed -n 's/^freq: \([0-9]*\)\..*/\1/p' /tmp/$of | tr '\n' ' ')"; done
for job in modes refusals buffers flips turns vblanks; do kms-check $job; done
kms-lifetimes
END
cat >hands.sh <<'END'
say() { if eval "$2" >/tmp/said 2>&1; then echo "ok - $1"; else echo "not ok - $1"; sed 's/^/# /' /tmp/said; fi; }
ours=/sys/bus/virtio/drivers/lodge_display theirs=/sys/bus/virtio/drivers/virtio_gpu
dev=$(cd $ours && echo virtio[0-9]*)
say "the in-box driver finds the device taken" "modprobe virtio_gpu && [ ! -e $theirs/$dev ]"
complaints() { dmesg | grep -E 'BUG|WARNING|Oops|Call Trace|hung|lodge_display.*(error|ERROR)|flip_done'; }
say "ours gives the device up" "echo $dev >$ours/unbind && ! complaints"
say "the in-box driver gets it" "echo $dev >$theirs/bind && grep virtio_gpu /proc/fb"
echo $dev >$theirs/unbind
# What that one leaves behind is not ours.
complaints | sed 's/^/# the in-box driver: /'
dmesg -C
say "and gives it back" "echo $dev >$ours/bind && grep lodge_display /proc/fb"
for what in 'kms-check tiles' 'kms-lifetimes busy'; do
	$what >/tmp/ready &
	until grep -q . /tmp/ready; do sleep 0.1; done
	say "the device goes under a program that shows something ($what)" "echo $dev >$ours/unbind && grep ready /tmp/ready"
	say "the program goes on with its memory" "sleep 0.3 && grep '^State:.[RSD]' /proc/$!/status && kill $!"
	wait
	say "and the device is there again" "echo $dev >$ours/bind && grep lodge_display /proc/fb"
done
bad=0
for round in 1 2 3; do rmmod lodge_display && insmod $1 || bad=1; done
say "unloaded and loaded three times" "[ $bad = 0 ] && grep lodge_display /proc/fb"
# What is installed with it prefers it, whoever asks for the in-box driver.
rmmod lodge_display
rmmod virtio_gpu
modules=/run/prefer/lib/modules/$(uname -r)
mkdir -p $modules
for word in drm drm_kms_helper drm_shmem_helper virtio_dma_buf virtio-gpu; do cp $(modinfo -n $word) $modules/; done
cp $1 $modules/
depmod -b /run/prefer 2>/dev/null
say "the in-box driver is asked for" "modprobe -d /run/prefer -C $3 virtio-gpu && grep '^virtio_gpu' /proc/modules"
say "and ours has the device" "[ -e $ours/$dev ] && grep lodge_display /proc/fb"
rmmod lodge_display
say "the module loses no memory" "$2"
say "the kernel complains of nothing" "! complaints"
END
module=$BUILD/modules/$guest_version/lodge_display.ko

lodge run --name box --memory 512M --set display.heads=2 --share "job=$PWD" -- sh /mnt/lodge/job/begin.sh "$module" \
	>guest.out 2>&1 </dev/null &
vm=$!
ok "the module has the device" wait_for 60 lodge exec box -- test -e /run/there
[ "$failures" = 0 ] || {
	sed 's/^/# /' guest.out
	lodge kill box
	exit
}
inside() { lodge exec box -- env PATH="$PATH" "$@"; }
mode_sets() { lodge info --json box | sed -n 's/.*"mode_sets" : \([0-9]*\).*/\1/p' | head -1; }
run inside sh /mnt/lodge/job/programs.sh
is "$status" 0 "the programs come to their end"
relay_checks <<<"$out"
# Of 60 Hz, which a guest on an emulated processor may not come to: faster would be wrong, slower is told.
for of in flips vblanks commits; do
	rates=$(sed -n "s/^$of //p" <<<"$out")
	like "$rates" '^[1-9]' "$of tell their rates"
	# Commits of modetest show one picture again and again: nobody waits for that.
	[ $of != commits ] || rates=''
	for rate in $rates; do
		[ "$rate" -le 62 ] || fail "$of: none faster than a window shows it" "$rate a second"
	done
done

# shown SECONDS PROGRAM...: a program of the guest's that says when its picture is there, and its picture
shown() {
	rm -f picture.out
	inside "$@" >picture.out 2>&1 </dev/null &
	local program=$!
	ok "$*: ready" wait_for 20 grep -q ready picture.out
	lodge screenshot box shot.png
	ok "$*: every pixel is as it was painted" card-check shot.png 1
	keep shot.png "lodge_display-$2.png"
	inside pkill -x "${1##*/}"
	wait $program
}
shown kms-check tiles
shown kms-check pitch
shown kms-check import /dev/dri/card1

inside udevadm monitor --kernel --subsystem-match=drm >events.out 2>&1 </dev/null &
monitor=$!
ok "events are looked for" wait_for 20 grep -q ^KERNEL events.out
rm -f picture.out
inside card-draw >picture.out 2>&1 </dev/null &
program=$!
ok "a program that follows" wait_for 20 grep -q ready picture.out
for size in 1001x701 321x201; do
	before=$(mode_sets)
	run lodge resize box "$size"
	is "$status" 0 "$size: the guest follows"
	lodge screenshot box shot.png
	run card-check shot.png 1
	is "$status $out" "0 $size" "$size: every pixel"
	is $(($(mode_sets) - before)) 1 "$size: by one mode set"
done
events() { grep -c 'change.*drm/card0' events.out; }
two_came() { [ "$(events)" -ge 2 ]; }
wait_for 20 two_came
is "$(events)" 2 "one event for each"
inside pkill -x card-draw
inside pkill -x udevadm
wait $program $monitor

run inside sh /mnt/lodge/job/hands.sh "$module" "$TOP/tests/vm/leaks.sh" "$TOP/packaging/modprobe/lodge.conf"
is "$status" 0 "the hands come to their end"
relay_checks <<<"$out"
[ "$failures" = 0 ] || inside dmesg | tail -n 40 | sed 's/^/# /'
lodge kill box >/dev/null
wait $vm
is "$(grep -c 'refused' guest.out)" 0 "the monitor refused nothing"
sed 's/^/# /' guest.out
