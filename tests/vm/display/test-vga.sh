#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A Linux guest on the VGA's text console, which nobody but its kernel has set up: there from the kernel's first
# line on, and on screenshots what /dev/vcsa says, pixel by pixel.
# TIMEOUT: 150
# USER: ordinary
# NEEDS: lodge text-check setfont perl identify
# shellcheck source=tests/vm/lib.sh
. "$LIB"

mkdir job
font=/usr/share/consolefonts/Lat15-VGA8.psf.gz
cat >job/job.sh <<'EOF'
cd /mnt/lodge/job
# Nobody writes to the console from here on but this job.
dmesg -n 1
printf '\033[?25l' >/dev/tty1
stage() {
	cat /dev/vcsa1 >$1.new && mv $1.new $1.vcsa
	until [ -e $1.done ]; do sleep 0.1; done
}
dmesg >dmesg
# Where the VGA's memory lies, and what the kernel has scrolled out of sight.
dd if=/dev/mem of=memory bs=4096 skip=184 count=8 2>/dev/null
stage boot
# All characters in all colours.
perl -e 'print pack "C4", 25, 80, 0, 0; print pack "CC", $_ % 256, $_ * 7 % 256 for 0 .. 1999' >card
cat card >/dev/vcsa1
stage card
setfont -C /dev/tty1 FONT 2>&1 | sed 's/^/# /'
perl -e '$/ = \1; open V, "/dev/vcsa1"; printf "lines %d columns %d\n", ord <V>, ord <V>'
perl -e 'print pack "CC", $_ * 3 % 256, $_ * 5 % 256 for 0 .. 3999' | dd of=/dev/vcsa1 bs=4 seek=1 2>/dev/null
stage font
# Plain text that scrolls, by the kernel's own means.
seq 100000 100200 >/dev/tty1
stage scrolled
# Blanked, and back.
printf '\033[14;0]\033[1;33;44m\033[2J\033[Hlodge\n' >/dev/tty1
stage colours
EOF
sed -i "s,FONT,$font," job/job.sh

lodge run --name vga --memory 384M --set display.heads=1 --append 'console=tty0 loglevel=6' --share "job=$PWD/job" -- \
	sh /mnt/lodge/job/job.sh >run.out 2>run.err &
vm=$!

# check STAGE SIZE [FONT]: the guest has come to it; what it says is on its screen is what the screenshot shows.
check() {
	local name=$1 size=$2 said
	shift 2
	wait_for 90 test -e "job/$name.vcsa" || fail "the guest comes to '$name'" "$(cat run.err)"
	# The display is told when a mode has settled.
	wait_for 5 shows "$size" || fail "$name: $size" "$(lodge info vga)"
	lodge screenshot vga "$name.png"
	said=$(text-check "$name.png" "job/$name.vcsa" "$@" 2>&1)
	is "$?/$said" "0/$size" "$name: every pixel"
	keep "$name.png" "vga-$name.png"
	touch "job/$name.done"
}

shows() {
	lodge screenshot vga shot.png && identify shot.png | grep -q " $1 "
}

check boot 720x400
like "$(tail -c +5 job/boot.vcsa | tr -d '\0')" '[a-z]' "the console has text"
like "$(perl -0777 -ne 'print join "", /(.)./gs' job/memory | tr -d '\0')" 'Linux version 6' \
	"the kernel's first line was written to the VGA's memory"
like "$(cat job/dmesg)" 'Console: colour VGA\+ 80x25' "the kernel's console is the VGA's"
check card 720x400
check font 720x400 "$font"
check scrolled 720x400 "$font"
check colours 720x400 "$font"
wait $vm
is $? 0 "the job ends well"
sed 's/^/# /' run.out run.err
