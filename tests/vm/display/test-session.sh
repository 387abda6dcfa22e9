#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# An X11 session with a window manager that knows nothing of outputs: lodge-session sets what the host asks for,
# and leaves it to others where they do. On the in-box driver, and on lodge_display; two screens there.
# TIMEOUT: 400
# NEEDS: lodge lodge-session Xorg xrandr xev openbox convert
# shellcheck source=tests/vm/lib.sh
. "$LIB"

inside() {
	lodge exec box -- env DISPLAY=:0 XDG_RUNTIME_DIR=/run/user/0 "$@"
}

shows() {
	inside xrandr --current | grep -q "^Virtual-1 connected.* $1+0+0"
}

second_shows() {
	inside xrandr --current | grep -q "^Virtual-2 $1"
}

mode_sets() {
	lodge info --json box | sed -n 's/.*"mode_sets" : \([0-9]*\).*/\1/p' | head -1
}

lodge run --name box --memory 512M --set display.heads=2 --share "job=$PWD" -- \
	env PATH="$BUILD/bin:$PATH" sh "$TOP/tests/vm/display/session-guest.sh" /mnt/lodge/job/is-up >guest.out 2>&1 </dev/null &
vm=$!
ok "the session is up" wait_for 150 test -e is-up

ok "the second screen is switched off" lodge resize box off@2
ok "and X has it off" wait_for 10 second_shows 'disconnected ('
for size in 1001x701 800x600 1283x977 640x480; do
	before=$(mode_sets)
	run lodge resize box "$size"
	is "$status" 0 "$size: the guest follows"
	ok "$size: X shows it" wait_for 10 shows "$size"
	is $(($(mode_sets) - before)) 1 "$size: by one mode set"
	lodge screenshot box shot.png
	is "$(identify -format '%wx%h' shot.png)" "$size" "$size: and so does the picture"
	is "$(convert shot.png -gravity southeast -crop 1x1+0+0 txt:- | grep -o '#[0-9A-F]\{6\}' | head -1)" '#336699' \
		"$size: to its last corner"
done
keep shot.png session-virtio_gpu.png
is "$(inside cat /run/user/0/lodge-session.display | head -1)" "owner=lodge-session" "it says that it sets the mode"
like "$(inside "$BUILD/bin/lodge-toolbox" display)" 'user 0 the resolution is set by lodge-session' "and the toolbox says it"

# What somebody sets by hand stays.
inside xrandr --output Virtual-1 --mode 1024x768
ok "a mode that a person sets" wait_for 10 shows 1024x768
sleep 1 # longer than lodge-session waits for others
ok "stays" shows 1024x768
run lodge resize box 901x651
is "$status" 0 "until the window changes"

# Another program that follows, as desktops do.
# shellcheck disable=SC2016 # the guest's variables
inside sh -c 'xev -root -event randr | while read -r line; do
	case $line in *XRROutputChangeNotifyEvent*) xrandr --output Virtual-1 --auto ;; esac; done >/run/other.log 2>&1' &
other=$!
ok "another follower runs" wait_for 10 inside pgrep -x xev
owner() {
	inside head -n 1 /run/user/0/lodge-session.display
}
# On a busy machine the other one may be too slow for lodge-session's grace at first.
for size in 905x655 1111x777 733x555 907x657 1113x779 735x557 909x659; do
	before=$(mode_sets)
	run lodge resize box "$size"
	is "$status" 0 "$size: the other one follows"
	is $(($(mode_sets) - before)) 1 "$size: and nobody sets it twice"
	[ "$size" = 905x655 ] || [ "$(owner)" != "owner=another program" ] || break
done
is "$(owner)" "owner=another program" "who it is, is found out"
inside pkill -x xev
wait $other || true
like "$(lodge info box)" 'resolution +set by Xorg, driver virtio_gpu' "and the host is told"

# The same session on our module.
inside pkill -x Xorg
ok "the X server ends" wait_for 20 sh -c '! lodge exec box -- pidof Xorg'
lodge exec box -- env PATH="$BUILD/bin:$PATH" sh "$TOP/tests/vm/display/session-guest.sh" \
	/mnt/lodge/job/is-up-again "$BUILD/modules/$guest_version/lodge_display.ko" >module.out 2>&1 </dev/null &
session=$!
ok "the session is up on lodge_display" wait_for 100 test -e is-up-again
before=$(mode_sets)
run lodge resize box 1003x703
is "$status" 0 "the guest follows"
ok "X shows it" wait_for 10 shows 1003x703
is $(($(mode_sets) - before)) 1 "by one mode set"
lodge screenshot box shot.png
is "$(convert shot.png -gravity southeast -crop 1x1+0+0 txt:- | grep -o '#[0-9A-F]\{6\}' | head -1)" '#336699' \
	"to its last corner"
keep shot.png session-lodge_display.png
host_knows() { lodge info box | grep -Eq 'resolution +set by lodge-session \(Xorg has the screen\), driver lodge_display'; }
ok "the host is told that lodge-session sets it" wait_for 10 host_knows
# What a person chose for one screen stays when the other one's window changes.
run lodge resize box 640x480@2
is "$status" 0 "the second screen is switched on"
ok "X shows it beside the first one" wait_for 10 second_shows 'connected 640x480+1003+0'
inside xrandr --output Virtual-2 --mode 800x600 --rotate left
ok "a person sets its mode, and turns it" wait_for 10 second_shows 'connected 600x800+1003+0 left'
run lodge resize box 905x655
is "$status" 0 "the first one follows its window"
ok "the second one stays, and beside it" wait_for 10 second_shows 'connected 600x800+905+0 left'
run lodge resize box 701x501@2
is "$status" 0 "until its own window changes"
run lodge resize box 1003x703
is "$status" 0 "and the first one again"
run inside rmmod lodge_display
like "$status $err" '^1 .*in use' "the module is not unloaded under the X server"
ok "which hurts nobody" shows 1003x703
is "$(inside dmesg | grep -E 'BUG|WARNING: CPU|Oops|Call Trace|lodge_display.*error')" "" "the kernel complains of nothing"

ok "the VM ends" lodge kill box
wait $vm $session || true
