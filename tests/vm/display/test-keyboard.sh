#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Every key of a 105-key board, from X's keycode in a real window to the guest's event: by PS/2, where the guest has no
# other driver, and by virtio-input; a PS/2 mouse; locks in the title; modifiers when the focus goes.
# TIMEOUT: 180
# NEEDS: lodge lodge-view Xvfb xdotool xwininfo
# shellcheck source=tests/vm/lib.sh
. "$LIB"

# By rows, as <linux/input-event-codes.h> numbers them.
board="1 59 60 61 62 63 64 65 66 67 68 87 88 99 70 119
	41 2 3 4 5 6 7 8 9 10 11 12 13 14 110 102 104 69 98 55 74
	15 16 17 18 19 20 21 22 23 24 25 26 27 28 111 107 109 71 72 73 78
	58 30 31 32 33 34 35 36 37 38 39 40 43 75 76 77
	42 86 44 45 46 47 48 49 50 51 52 53 54 103 79 80 81 96
	29 125 56 57 100 126 127 97 105 108 106 82 83"
space=57

inside() {
	lodge exec box -- "$@" </dev/null
}

# read_device NAME: the events of the guest's device whose name holds that, to $events.
read_device() {
	events=$1.events
	# shellcheck disable=SC2016 # the guest's variables
	lodge exec box -- sh -c 'cd /sys/class/input; for e in event*; do
		grep -q "$0" $e/device/name && exec cat /dev/input/$e; done' "$1" >"$events" </dev/null &
	reader=$!
}

stop_reading() {
	kill $reader
	wait $reader 2>/dev/null
}

# Of whole events: lines "TYPE CODE VALUE".
events_of() {
	head -c $(($(stat -c %s "$events") / 24 * 24)) "$events" | od -An -v -t u2 -w24 |
		awk '{ value = $11 + 65536 * $12; if (value > 2147483647) value -= 4294967296; print $9, $10, value }'
}

# Presses and releases, not repeats.
keys() {
	events_of | awk '$1 == 1 && $3 < 2 { print $2, $3 }'
}

has_keys() {
	[ "$(keys | wc -l)" -ge "$1" ]
}

# X keycodes are 8 more; a single digit would be the name of a key.
press() {
	local code codes=()
	for code in "$@"; do
		[ "$code" = 1 ] && codes+=(Escape) || codes+=($((code + 8)))
	done
	xdotool key --delay 15 "${codes[@]}"
}

# open_view OPTION...: sets $view and $window.
open_view() {
	lodge view "$@" box >view.out 2>&1 &
	view=$!
	wait_for 30 xdotool search --onlyvisible --name '^box.* - Lodge$' || fail "a window opens" "$(cat view.out)"
	window=$(xdotool search --onlyvisible --name '^box.* - Lodge$' | head -n 1)
	xdotool windowfocus --sync "$window"
}

close_view() {
	kill $view
	wait $view 2>/dev/null
}

# check_board NAME: by the guest's device of that name.
check_board() {
	local before code wanted=''

	read_device "$1"
	wait_for 20 sh -c "xdotool key $((space + 8)); sleep 0.2; test -s '$events'" || fail "$1: it is read"
	# The last of those that tried has come when another key has.
	press 28
	wait_for 20 sh -c "tail -c 480 '$events' | od -An -v -t u2 -w24 | grep -q ' 1 *28 *0 '" || fail "$1: keys come"
	before=$(keys | wc -l)
	# shellcheck disable=SC2086 # a list
	press $board
	wait_for 30 has_keys $((before + 210))
	for code in $board; do
		wanted+="$code 1"$'\n'"$code 0"$'\n'
	done
	is "$(keys | tail -n +$((before + 1)))" "${wanted%$'\n'}" "$1: $(wc -w <<<"$board") keys, each once down and once up"
	stop_reading
}

# title_is REGEX: all of it.
title_is() {
	xdotool getwindowname "$window" | grep -qxE "$1"
}

Xvfb -displayfd 5 -screen 0 1600x1200x24 -nolisten tcp 5>x.number 2>/dev/null &
x=$!
wait_for 30 test -s x.number || fail "Xvfb is up"
DISPLAY=:$(cat x.number)
export DISPLAY
cat >job.sh <<'JOB'
modprobe -a virtio_gpu evdev input-leds psmouse
touch /run/job-is-up
exec sleep 1000
JOB
lodge run --name box --memory 384M --set display.heads=1 --set device.legacy=yes --share "job=$PWD" -- sh /mnt/lodge/job/job.sh \
	>guest.out 2>&1 </dev/null &
vm=$!
wait_for 90 inside test -e /run/job-is-up || fail "the guest is up" "$(cat guest.out)"
ok "the guest has its PS/2 mouse" wait_for 30 inside grep -q Mouse /proc/bus/input/devices

# ---- PS/2 ----
open_view --host-key none
check_board 'AT Translated Set 2 keyboard'
# Each was pressed once; Scroll Lock is a console's that somebody reads.
ok "the title tells the guest's locks" wait_for 20 title_is 'box \[Caps Lock.*\] - Lodge'
press 58 70
ok "and that they are off" wait_for 20 title_is 'box - Lodge'
close_view

open_view
read_device Mouse
xdotool mousemove --window "$window" 100 100 click 1
ok "a click gives the pointer to the guest" wait_for 20 title_is 'box: keyboard grabbed, Control_R lets go - Lodge'
# shellcheck disable=SC2016 # the shell's below
ok "its mouse moves" wait_for 20 sh -c 'xdotool mousemove_relative -- 3 3; sleep 0.2; test -s "$0"' "$events"
moves_of() {
	events_of | awk '$1 == 2 && $2 == 0 { x += $3 } $1 == 2 && $2 == 1 { y += $3 } END { print x, y }'
}
xdotool mousemove_relative -- -500 0 mousemove_relative -- 0 -400
moved_far() {
	local dx dy
	read -r dx dy < <(moves_of)
	[ "$dx" -lt -400 ] && [ "$dy" -lt -300 ]
}
ok "by as much as the hand" wait_for 20 moved_far
xdotool click 3 click 4
has_button() {
	[ "$(events_of | grep -cE '^(1 273 1|1 273 0|2 8 1)$')" = 3 ]
}
ok "and has buttons and a wheel" wait_for 20 has_button
is "$(events_of | grep -c '^1 272 ')" 0 "the click that took the pointer is not the guest's"
xdotool key Control_R
ok "the host key lets go" wait_for 20 title_is 'box - Lodge'
stop_reading
close_view

# ---- virtio-input ----
inside modprobe virtio_input
ok "a better keyboard comes" wait_for 30 inside grep -q 'Lodge keyboard' /proc/bus/input/devices
open_view --host-key none
check_board 'Lodge keyboard'
read_device 'Lodge keyboard'
wait_for 20 sh -c "xdotool key $((space + 8)); sleep 0.2; test -s '$events'" || fail "it is read"
root=$(xwininfo -root | sed -n 's/.*Window id: \([^ ]*\) .*/\1/p')
for _ in $(seq 25); do
	xdotool windowfocus --sync "$window" keydown 50 keydown 37 keydown 64 keydown 133
	xdotool windowfocus "$root" keyup 50 keyup 37 keyup 64 keyup 133
done
flips_done() {
	[ "$(keys | grep -cE '^(42|29|56|125) 1$')" = 100 ] && [ "$(keys | grep -cE '^(42|29|56|125) 0$')" = 100 ]
}
ok "25 times the focus goes with four modifiers down: each is released" wait_for 30 flips_done
stop_reading
is "$(grep -E '^(Seccomp|NoNewPrivs):' "/proc/$view/status" | tr -d '\n\t')" "NoNewPrivs:1Seccomp:2" \
	"the window has its sandbox"
close_view

lodge kill box >/dev/null
wait $vm
kill $x
wait
