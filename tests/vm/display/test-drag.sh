#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A hand drags the window's corner, under a window manager, over a guest with Xorg, a window manager of its own and
# lodge-session: after each drag the guest's mode, its xrandr, and every pixel of the host's window. A drag takes a
# quarter of a minute in the lab, so it is done where DRAG_SIZES says how many; DRAG_FROM says which is the first.
# TIMEOUT: 600
# NEEDS: lodge lodge-view lodge-session Xvfb Xorg xrandr openbox xdotool xwininfo
# shellcheck source=tests/vm/lib.sh
. "$LIB"

[ "${DRAG_SIZES:-0}" -gt 0 ] || skip "DRAG_SIZES says how many sizes"
from=${DRAG_FROM:-1}
screen_width=0 screen_height=0 screen_mode_sets=0
last=$((from + DRAG_SIZES - 1))

inside() {
	lodge exec box -- env DISPLAY=:0 XDG_RUNTIME_DIR=/run/user/0 "$@" </dev/null
}

# Sets screen_width, screen_height, want_width, mode_sets and the like to what `lodge info` says of the first screen.
look() {
	eval "$(lodge info --json box | python3 -c 'import json, sys
for key, value in json.load(sys.stdin)["screens"][0].items(): print(f"screen_{key}={value}")')"
}

# Sets X, Y, WIDTH and HEIGHT to where the window's inside is.
measure() {
	eval "$(xwininfo -id "$window" | sed -n 's/^ *Absolute upper-left \([XY]\): */\1=/p
		s/^ *Width: /WIDTH=/p; s/^ *Height: /HEIGHT=/p')"
}

has_size() {
	measure
	[ "${WIDTH}x$HEIGHT" = "$1" ]
}

# drag_to SIZE: by the lower right corner of the frame, in three steps at a hand's pace: the window manager decides
# between a click and a drag by what it sees in between.
drag_to() {
	local x y dx dy
	measure
	x=$((X + WIDTH - 2)) y=$((Y + HEIGHT + 2))
	dx=$((${1%x*} - WIDTH)) dy=$((${1#*x} - HEIGHT))
	xdotool mousemove $x $y mousedown 1 sleep 0.03 mousemove $((x + dx / 3)) $((y + dy / 3)) sleep 0.03 \
		mousemove $((x + dx * 2 / 3)) $((y + dy * 2 / 3)) sleep 0.03 mousemove $((x + dx)) $((y + dy)) \
		sleep 0.03 mouseup 1
}

# A hand that missed the corner tries again.
drags_to() {
	local try
	for try in 1 2 3 4 5; do
		drag_to "$1"
		wait_for 4 has_size "$1" && return
		echo "# try $try for $1 made ${WIDTH}x$HEIGHT"
	done
	return 1
}

guest_has() {
	inside xrandr --current | grep -q "^Virtual-1 connected.* $1+0+0"
}

holds_card() {
	card-x check "$window" >card.out && [ "$(cat card.out)" = "$1" ]
}

Xvfb -displayfd 5 -screen 0 1600x1200x24 -nolisten tcp 5>x.number 2>/dev/null &
x=$!
wait_for 30 test -s x.number || fail "Xvfb is up"
DISPLAY=:$(cat x.number)
export DISPLAY
openbox >/dev/null 2>&1 &
manager=$!
lodge run --name box --memory 512M --set display.heads=1 -- \
	env PATH="$BUILD/bin:$PATH" sh "$TOP/tests/vm/display/session-guest.sh" >guest.out 2>&1 </dev/null &
vm=$!
ok "the session is up" wait_for 150 inside test -e /run/session-is-up
inside "$BUILD/guest/card-x" draw >draw.log 2>&1 &
card=$!
ok "the card is drawn" wait_for 30 grep -q x draw.log
lodge view box >view.out 2>&1 &
view=$!
ok "a window opens" wait_for 20 xdotool search --onlyvisible --name '^box.* - Lodge$'
window=$(xdotool search --onlyvisible --name '^box.* - Lodge$' | head -n 1)
xdotool windowmove "$window" 10 30
ok "with the card" wait_for 30 holds_card 1024x768

look
before=$screen_mode_sets exact=0 wrong=''
for ((i = from; i <= last; i++)); do
	# All differ, odd ones and even ones.
	size=$((320 + i * 337 % 781))x$((200 + i * 211 % 601))
	if drags_to "$size" && wait_for 20 holds_card "$size" && wait_for 10 guest_has "$size" &&
		look && [ "${screen_width}x$screen_height" = "$size" ]; then
		exact=$((exact + 1))
	else
		wrong+=" $size (the window ${WIDTH}x$HEIGHT, the guest ${screen_width}x$screen_height: $(head -n 2 card.out))"
	fi
done
is "$exact$wrong" $((last - from + 1)) "sizes $from to $last: the window, the guest's mode, its xrandr and every pixel"
look
sets=$((screen_mode_sets - before))
echo "# $sets mode sets for $((last - from + 1)) drags"
ok "at most three a drag, two on the way" [ "$sets" -le $((3 * (last - from + 1))) ]
is "$(inside cat /run/user/0/lodge-session.display | head -n 1)" "owner=lodge-session" "lodge-session sets them"

lodge kill box >/dev/null
wait $view
is "$?" 0 "with the VM the window ends"
wait $vm $card 2>/dev/null
kill $manager $x
wait
