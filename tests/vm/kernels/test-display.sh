#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The module lodge_display on other kernels than this machine's, such as CentOS 8's: what programs ask of it, pictures
# pixel by pixel, the host's sizes, the text console, loads and unloads, and the in-box driver behind it. GUEST_KERNELS
# as in test-other.sh; kernels that our module is not built for are left out.
# TIMEOUT: 400
# NEEDS: lodge lodged busybox cpio depmod inotifywait modetest modinfo setfont
# shellcheck disable=SC2016 # what the guest expands
# shellcheck source=tests/vm/lib.sh
. "$LIB"
[ -n "${GUEST_KERNELS:-}" ] || skip "no other kernels: GUEST_KERNELS names the folders of some (HACKING.md)"
# shellcheck source=tests/vm/kernels/small-guest.sh
. "$TOP/tests/vm/kernels/small-guest.sh"

mode_sets() { lodge info --json box | sed -n 's/.*"mode_sets" : \([0-9]*\).*/\1/p' | head -n 1; }
complaints() { in_box 'dmesg | grep -A 20 -E "BUG|WARNING|Oops|Call Trace|refcount|hung|flip_done|lodge_display.*(error|ERROR)"'; }

# begin PROGRAM...: a program of the guest's that says when its picture is there, and stays
begin() {
	in_box "rm -f /tmp/ready; $* >/tmp/ready 2>&1 </dev/null &" >/dev/null
	ok "$*: ready" wait_for 30 in_box 'grep ready /tmp/ready'
}

# shown PROGRAM...: its picture
shown() {
	begin "$@"
	lodge screenshot box shot.png
	ok "$*: every pixel is as it was painted" card-check shot.png 1
	in_box "killall ${1##*/}" >/dev/null
}

# follows SIZE: the program that draws has it, by one mode set
follows() {
	local before
	before=$(mode_sets)
	is "$(lodge resize box "$1" 2>&1)" "" "$1: a program follows"
	lodge screenshot box shot.png
	is "$(card-check shot.png 1)" "$1" "$1: every pixel"
	is $(($(mode_sets) - before)) 1 "$1: by one mode set"
}

has_cells() { [ "$(in_box 'stty -F /dev/tty1 size')" = "$1" ]; }

# check_console SIZE CELLS: the text console follows, and all of it is to be seen
check_console() {
	lodge resize --no-wait box "$1"
	ok "$1: the console has its lines and columns" wait_for 30 has_cells "$2"
	in_box 'i=0; while [ $i -lt 3000 ]; do printf "line %s \033[3$((i % 8))mof them\033[m " $i; i=$((i + 1)); done >/dev/tty1'
	in_box 'base64 /dev/vcsa1' | base64 -d >card
	is "$(lodge screenshot box shot.png 2>&1 && text-check shot.png card font.psf)" "$1" "$1: every pixel"
}

check_programs() {
	local job id
	is "$(in_box 'cat /sys/class/drm/card0-Virtual-*/status')" $'connected\nconnected' "two screens"
	for job in refusals buffers flips vblanks; do
		relay_checks < <(in_box "kms-check $job")
	done
	id=$(in_box 'modetest -M lodge_display -c' | awk '$4 == "Virtual-1" { print $1 }')
	is "$(in_box "for mode in 640x480 800x600 1024x768; do
			modetest -M lodge_display -s $id:\$mode </dev/null 2>&1 | grep -v gamma | grep failed
		done")" "" "modetest sets modes"
	shown kms-check tiles
	shown kms-check pitch
	begin card-draw
	follows 1001x701
	follows 321x201
	in_box 'killall card-draw' >/dev/null
}

# Consoles of some kernels hold on to the module, and none to the device.
check_hands() {
	is "$(in_box 'cd /sys/bus/virtio/drivers/lodge_display
		for i in 1 2 3; do
			dev=$(echo virtio[0-9]*); echo $dev >unbind; cd /; rmmod lodge_display
			insmod /ours/lodge_display.ko; cd /sys/bus/virtio/drivers/lodge_display
		done; wc -l </proc/fb')" 1 "unloaded and loaded three times"
	in_box 'kms-check tiles >/tmp/ready 2>&1 </dev/null &' >/dev/null
	ok "a program shows something" wait_for 30 in_box 'grep ready /tmp/ready'
	in_box 'cd /sys/bus/virtio/drivers/lodge_display; echo virtio[0-9]* >/tmp/dev; cat /tmp/dev >unbind; killall kms-check'
	ok "the device goes under it, and the module" wait_for 30 in_box 'rmmod lodge_display; ! grep lodge_display /proc/modules'
	is "$(complaints)" "" "the kernel complains of nothing"
	in_box 'modprobe virtio-gpu'
	ok "the in-box driver has the device" wait_for 30 in_box 'grep -q . /proc/fb && ls -d /sys/bus/virtio/drivers/virtio_gpu/virtio*'
}

check_display() {
	[ -e "$BUILD/modules/$version/lodge_display.ko" ] || { echo "# $version: no lodge_display for it"; return; }
	add_programs "$BUILD"/guest/{kms-check,card-draw} "$(command -v modetest)" "$(command -v setfont)"
	zcat /usr/share/consolefonts/Lat15-VGA16.psf.gz | tee font.psf >tree/font.psf
	(cd tree && find . | cpio -o -H newc -R 0:0 --quiet) | gzip -1 >initrd
	printf '[display]\nheads=2\n' >>vms/lodge/box/vm.conf
	ok "$version: it starts" lodge start box
	ok "with tools" lodge wait --timeout 120 box tools || { tail -n 40 console | sed 's/^/#   /'; return; }
	in_box "for m in $(modinfo -F depends "$BUILD/modules/$version/lodge_display.ko" | tr , ' '); do modprobe \$m; done
		dmesg -n 1; dmesg -c >/dev/null"
	is "$(in_box 'insmod /ours/lodge_display.ko')" "" "the module is loaded"
	ok "and has the console" wait_for 30 in_box 'grep -q . /proc/fb'
	check_programs
	in_box 'setfont -C /dev/tty1 /font.psf; printf "\033[?25l" >/dev/tty1'
	check_console 803x603 "37 100"
	check_console 1024x768 "48 128"
	check_hands
	[ "$failures" = 0 ] || in_box 'dmesg | tail -n 60' | sed 's/^/#   /'
	lodge kill box
	wait_for 20 not_there
}

for folder in $GUEST_KERNELS; do
	[[ $folder = /* ]] || folder=$TOP/$folder
	make_guest "$folder" || continue
	check_display
done
