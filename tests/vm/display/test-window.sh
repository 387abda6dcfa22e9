#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# lodge-view under an X server and a window manager: it is given sizes, the guest follows, and what the window shows
# is the guest's test card, pixel by pixel; keyboard and pointer arrive in the guest.
# TIMEOUT: 240
# NEEDS: lodge lodge-view Xvfb openbox xdotool import
# shellcheck source=tests/vm/lib.sh
. "$LIB"

inside() {
	lodge exec box -- "$@" </dev/null
}

head_now() {
	lodge info --json box | tr -d ' "' | tr ',{' '\n' | sed -n "s/^$1://p" | head -n 1
}

shows() {
	[ "$(head_now width)x$(head_now height)" = "$1" ]
}

# What the window holds is the card, of that size.
holds_card() {
	import -silent -window "$window" shot.png
	card-check shot.png >card.out && [ "$(head -n 1 card.out)" = "$1" ]
}

fits() {
	local size
	size=$(xdotool getwindowgeometry --shell "$window" | grep -E '^(WIDTH|HEIGHT)=' | tr '\n' ' ')
	[ "$size" = "WIDTH=$(head_now width) HEIGHT=$(head_now height) " ]
}

Xvfb -displayfd 5 -screen 0 1600x1200x24 -nolisten tcp 5>x.number 2>/dev/null &
x=$!
ok "Xvfb is up" wait_for 60 test -s x.number
DISPLAY=:$(cat x.number)
export DISPLAY
openbox >/dev/null 2>&1 &
manager=$!

cat >job.sh <<'JOB'
modprobe virtio_gpu
modprobe virtio_input
modprobe evdev
setsid sh -i </dev/tty1 >/dev/tty1 2>&1 &
touch /run/job-is-up
exec sleep 1000
JOB
lodge run --name box --memory 384M --set display.heads=1 --share "job=$PWD" -- \
	env PATH="$BUILD/guest:$PATH" sh /mnt/lodge/job/job.sh >guest.out 2>&1 </dev/null &
vm=$!
wait_for 90 inside test -e /run/job-is-up || { cat guest.out; exit 1; }
pass "the guest is up"

lodge view box >view.out 2>&1 &
view=$!
wait_for 20 xdotool search --onlyvisible --name '^box.* - Lodge$' || { cat view.out; xwininfo -root -tree; exit 1; }
pass "a window opens"
window=$(xdotool search --onlyvisible --name '^box.* - Lodge$' | head -n 1)
ok "of the size that the guest shows" wait_for 10 fits

# ---- hands ----
ok "the guest listens to its keyboard" wait_for 20 lodge keys box enter
run lodge keys box 'echo "Typed {|}~" >/run/typed' enter
is "$status" 0 "keys are typed"
ok "and a shell on the console reads them" wait_for 20 inside grep -qx 'Typed {|}~' /run/typed
xdotool windowactivate --sync "$window"
xdotool type --delay 20 'echo By-Hand >/run/by-hand'
xdotool key Return
ok "so are those that the window gets" wait_for 20 inside grep -qx By-Hand /run/by-hand
run lodge keys --layout nowhere box a
is "$status" 64 "a layout that is none is said"
run lodge keys box 'naïve'
is "$status" 65 "and a character that has no key"

# shellcheck disable=SC2016 # the guest's variables
inside sh -c 'cd /sys/class/input; for e in event*; do
	grep -q "Lodge tablet" $e/device/name && exec head -c 72 /dev/input/$e; done' >pointer.events &
reader=$!
eval "$(xdotool getwindowgeometry --shell "$window" | grep -E '^(WIDTH|HEIGHT)=')"
# Each step is another place, until the reader is there and has its fill.
for step in $(seq 100); do
	xdotool mousemove --window "$window" $((50 + step)) $((50 + step))
	kill -0 $reader 2>/dev/null || break
	sleep 0.1
done
kill $reader 2>/dev/null
wait $reader
od -An -v -t u2 -w24 pointer.events >pointer.text
at=$(awk '$9 == 3 && $10 == 0 { print $11; exit }' pointer.text)
like "$at" '^[0-9]+$' "the tablet tells places"
# The middle of a pixel that the pointer was on.
pixel=$((at * WIDTH / 32768))
is "$at" $(((2 * pixel + 1) * 32768 / (2 * WIDTH))) "which are pixels of the window"
ok "those that the pointer was on" [ "$pixel" -gt 50 ]

# ---- sizes ----
inside "$BUILD/guest/card-draw" >card.log 2>&1 &
card=$!
ok "the test card is drawn" wait_for 30 grep -q ready card.log
xdotool windowmove "$window" 10 30
before=$(head_now mode_sets)
sizes='641x483 1001x701 320x200 500x901 1280x800'
for size in $sizes; do
	# On the way there, as a hand that drags.
	drag=()
	for step in 5 4 3 2 1 0; do
		drag+=(windowsize "$window" $((${size%x*} + 13 * step)) $((${size#*x} + 7 * step)))
	done
	xdotool "${drag[@]}"
	ok "$size: the guest follows" wait_for 15 shows "$size"
	ok "$size: the window has the card, exactly" wait_for 15 holds_card "$size"
done
sets=$(($(head_now mode_sets) - before))
echo "# $sets mode sets for $(wc -w <<<"$sizes") sizes"
ok "few for each, the drags' own ways among them" [ "$sets" -le $((4 * $(wc -w <<<"$sizes"))) ]

# ---- coming and going ----
kill -9 $view
wait $view 2>/dev/null
ok "a window that is killed stops nothing" inside true
env -u DISPLAY lodge view --display "$DISPLAY" --host-key F12 box >view.out 2>&1 &
view=$!
ok "another one opens, on a named X server" wait_for 20 xdotool search --onlyvisible --name '^box.* - Lodge$'
window=$(xdotool search --onlyvisible --name '^box.* - Lodge$' | head -n 1)
ok "with the same card" wait_for 15 holds_card 1280x800
xdotool windowactivate --sync "$window"
xdotool keydown F12 key f keyup F12
ok "the whole screen is the guest's" wait_for 30 shows 1600x1200
ok "exactly" wait_for 20 holds_card 1600x1200
xdotool keydown F12 key f keyup F12
ok "and the window's again" wait_for 30 shows 1280x800
ok "exactly, too" wait_for 20 holds_card 1280x800
xdotool keydown F12 key s keyup F12
# shellcheck disable=SC2016 # the shell's below
ok "a key shoots into the home folder" wait_for 30 sh -c 'test -s "$HOME"/lodge-box-*.png'
is "$(card-check "$HOME"/lodge-box-*.png)" 1280x800 "and the picture is the card"
is "$(grep -E '^(Seccomp|NoNewPrivs):' "/proc/$view/status" | tr -d '\n\t')" "NoNewPrivs:1Seccomp:2" \
	"the window has its sandbox all the while"
lodge kill box >/dev/null
status=0
wait $view || status=$?
is "$status" 0 "with the VM the window ends, well"
is "$(tail -n 1 view.out)" "box has ended" "and says so"
wait $vm $card 2>/dev/null
run env DISPLAY=:9876 lodge-view nothing.sock
is "$status" 69 "without an X server there is no window"
like "$err" "the X server ':9876' cannot be reached" "and a word why"
kill $manager $x
wait
