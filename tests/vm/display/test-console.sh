#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The text console follows the window, by lodged: smaller and larger, every pixel; a program that is DRM master is left
# alone; who sets the resolution is told. With the in-box driver the console's picture does not grow beyond its first size,
# with lodge_display it does.
# TIMEOUT: 150
# NEEDS: lodge text-check setfont perl
# shellcheck source=tests/vm/lib.sh
. "$LIB"

font=/usr/share/consolefonts/Lat15-VGA16.psf.gz
cat >begin.sh <<END
mount -t debugfs none /sys/kernel/debug
modprobe virtio_gpu
dmesg -n 1
until grep -q virtio_gpu /proc/fb; do sleep 0.1; done
setfont -C /dev/tty1 $font
printf '\033[?25l' >/dev/tty1
touch /run/there
exec sleep 1000
END
# Fills the console of tty1 with all characters in all colours, and says what is on it.
cat >card.sh <<'END'
perl -e '$/ = \1; open V, "/dev/vcsa1"; my $n = ord(<V>) * ord <V>; close V; open V, "+<", "/dev/vcsa1"; sysseek V, 4, 0;
	syswrite V, pack "C*", map { ($_ % 256, $_ * 7 % 256) } 0 .. $n - 1'
cat /dev/vcsa1 >/mnt/lodge/job/card.new && mv /mnt/lodge/job/card.new /mnt/lodge/job/card
END
cat >change.sh <<'END'
theirs=/sys/bus/virtio/drivers/virtio_gpu
dev=$(cd $theirs && echo virtio[0-9]*)
echo $dev >$theirs/unbind
dmesg -C # what that one leaves behind is not ours
insmod $1
until grep -q lodge_display /proc/fb; do sleep 0.1; done
END

lodge run --name box --memory 512M --set display.heads=1 --share "job=$PWD" -- sh /mnt/lodge/job/begin.sh \
	>guest.out 2>&1 </dev/null &
vm=$!
ok "the console is there" wait_for 60 lodge exec box -- test -e /run/there
inside() { lodge exec box -- env PATH="$PATH" "$@"; }
mode_sets() { lodge info --json box | sed -n 's/.*"mode_sets" : \([0-9]*\).*/\1/p' | head -1; }
# fact FIELD: of what the guest tells of its display
fact() { lodge info --json box | perl -MJSON::PP -e 'local $/; print decode_json(<STDIN>)->{tools}{facts}{display}{$ARGV[0]} // "none"' "$1"; }
tells() { [ "$(fact "$1")" = "$2" ]; }
# cells TTY: lines and columns
cells() { inside stty -F "/dev/$1" size; }
has_cells() { [ "$(cells "$1")" = "$2" ]; }

# follows DRIVER SIZE LINES COLUMNS: the console gets SIZE, and all of it is to be seen.
follows() {
	local size=$2 before
	before=$(mode_sets)
	lodge resize --no-wait box "$size"
	ok "$size: the terminal has its lines and columns" wait_for 20 has_cells tty1 "$3 $4"
	inside sh /mnt/lodge/job/card.sh
	lodge screenshot box shot.png
	run text-check shot.png card "$font"
	is "$status $out" "0 $size" "$size: every pixel"
	is $(($(mode_sets) - before)) 1 "$size: by one mode set"
	keep shot.png "console-$1-$size.png"
}

ok "lodged sets the resolution" wait_for 10 tells owner console
is "$(fact driver)" virtio_gpu "of the in-box driver"
follows virtio_gpu 801x599 37 100
ok "terminals in the background have the same size" has_cells tty2 "37 100"
follows virtio_gpu 1024x768 48 128
lodge resize --no-wait box 1200x790
ok "a size beyond the console's picture is told" wait_for 10 sh -c 'lodge info box | grep -q "^resolution .*1024x768 and does not grow"'
like "$(inside lodge-toolbox display)" 'follows up to 1024x768' "and the guest's toolbox tells it"
like "$(lodge info box)" 'display +1 +lodged, on the text console' "the rung is lodged's"

# A program that is DRM master, on a text terminal.
inside card-draw >picture.out 2>&1 </dev/null &
program=$!
ok "a program takes the screen" wait_for 20 grep -q ready picture.out
ok "it is told that it sets the resolution" wait_for 10 tells program card-draw
is "$(fact owner)" program "and nobody else"
before=$(cells tty1)
run lodge resize box 640x480
lodge screenshot box shot.png
run card-check shot.png 1
is "$status $out" "0 640x480" "it follows, every pixel"
is "$(cells tty1)" "$before" "lodged leaves it alone"
inside pkill -x card-draw
wait $program
ok "when it has ended, the console is lodged's again" wait_for 10 tells owner console
ok "and follows" wait_for 10 has_cells tty1 "30 80"

inside sh /mnt/lodge/job/change.sh "$BUILD/modules/$guest_version/lodge_display.ko"
ok "the module lodge_display has the device" wait_for 20 tells driver lodge_display
like "$(lodge info box)" 'display +2 +lodge_display' "the rung is the module's"
inside setfont -C /dev/tty1 "$font"
follows lodge_display 1203x795 49 150
follows lodge_display 333x222 13 41
is "$(inside dmesg | grep -E 'BUG|WARNING: CPU|Oops|lodge_display.*error')" "" "the kernel complains of nothing"

ok "the VM ends" lodge kill box
wait $vm || true
[ "$failures" = 0 ] || sed 's/^/# /' guest.out
