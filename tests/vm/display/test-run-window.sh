#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# `lodge run --window`: a screen with the kernel's console, in a window that may go while the VM goes on; and VMs that
# lodge create makes, with a screen and without.
# TIMEOUT: 150
# USER: ordinary
# NEEDS: lodge lodge-view Xvfb xdotool convert
# shellcheck source=tests/vm/lib.sh
. "$LIB"

windows() {
	lodge info --json box | sed -n 's/.*"windows" *: *\([0-9]*\).*/\1/p'
}

looks() {
	[ "$(windows)" = "$1" ]
}

Xvfb -displayfd 5 -screen 0 1600x1200x24 -nolisten tcp 5>x.number 2>/dev/null &
x=$!
ok "Xvfb is up" wait_for 30 test -s x.number
DISPLAY=:$(cat x.number)
export DISPLAY

mkdir job
cat >job/job.sh <<'END'
until [ -e /dev/fb0 ]; do sleep 0.1; done
dmesg -n 1
printf '\033[?25l\033[42m\033[2J' >/dev/tty1
touch /mnt/lodge/job/green
until [ -e /mnt/lodge/job/go ]; do sleep 0.1; done
echo went on
END
lodge run --window --name box --memory 384M --share "job=$PWD/job" -- sh /mnt/lodge/job/job.sh >run.out 2>run.err \
	</dev/null &
vm=$!
ok "the guest has a screen by itself" wait_for 90 test -e job/green
ok "a window looks at it" wait_for 30 looks 1
ok "X has it" wait_for 30 xdotool search --name box
lodge screenshot box green.png
is "$(convert green.png -format '%k %[hex:p{500,400}]' info:)" "1 00AA00" "and the console is on it"
ok "a second window" sh -c 'lodge view box >view.log 2>&1 & echo $! >view.pid'
ok "looks, too" wait_for 30 looks 2
for window in $(xdotool search --name box); do
	xdotool windowkill "$window"
done
ok "both are killed" wait_for 30 looks 0
touch job/go
wait $vm
is "$?/$(cat run.out)" "0/went on" "the VM went on"
kill $x
wait $x 2>/dev/null

# --- lodge create ---
ok "create" lodge create desk
is "$(lodge show desk display.heads)" 1 "has a screen"
ok "create --headless" lodge create --headless server
is "$(lodge show server display.heads)" 0 "has none"
like "$(lodge show desk boot.append)/$(lodge show server boot.append)" '^console=tty0 console=ttyS0/console=ttyS0$' \
	"the kernel's console is on the screen that there is"
