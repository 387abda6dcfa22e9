#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A VM that is reset and that dies while two windows look at it: they stay as long as it does, its picture comes back
# into them at the size that they have, and they end with a word.
# TIMEOUT: 180
# NEEDS: lodge lodge-view lodged Xvfb xdotool
# shellcheck source=tests/vm/lib.sh
. "$LIB"

holds_card() {
	card-x check "$1" >card.out && [ "$(cat card.out)" = "$2" ]
}

# The n-th start of the guest.
starts() {
	[ "$(wc -l <job/starts)" = "$1" ]
}

windows() {
	xdotool search --onlyvisible --name '^box.* - Lodge$' >windows.now
	[ "$(wc -l <windows.now)" = "$1" ]
}

# reset_by HOW NUMBER: by what Linux calls HOW; the guest starts for that time.
reset_by() {
	ok "$1: the tools answer" wait_for 60 lodge exec -n box true
	timeout -s KILL 5 lodge exec -n box sh -c "echo $1 >/sys/kernel/reboot/type; echo b >/proc/sysrq-trigger" \
		>/dev/null 2>&1
	ok "$1: the guest starts again" wait_for 60 starts "$2"
	ok "$1: the window stays and has the picture, at its size" wait_for 60 holds_card "$first" 801x601
	ok "$1: so does the other one" wait_for 20 holds_card "$second" 801x601
}

# ends NUMBER PID: the window goes well, and says why.
ends() {
	wait "$2"
	is "$?/$(cat "view$1.out")" "0/box has ended" "the monitor is killed: window $1 ends, and says so"
}

Xvfb -displayfd 5 -screen 0 1700x1200x24 -nolisten tcp 5>x.number 2>/dev/null &
x=$!
wait_for 30 test -s x.number || fail "Xvfb is up"
DISPLAY=:$(cat x.number)
export DISPLAY
mkdir job
cat >job/job.sh <<'JOB'
modprobe virtio_gpu
echo again >>/mnt/lodge/job/starts
exec card-draw
JOB
: >job/starts
lodge run --name box --memory 384M --set display.heads=1 --set boot.on-reset=restart --share "job=$PWD/job" -- \
	env PATH="$BUILD/guest:$PATH" sh /mnt/lodge/job/job.sh >guest.out 2>&1 </dev/null &
vm=$!
wait_for 90 starts 1 || fail "the guest is up" "$(cat guest.out)"

lodge view box >view1.out 2>&1 &
view1=$!
ok "a window opens" wait_for 30 windows 1
windows 1
first=$(cat windows.now)
xdotool windowmove "$first" 0 0 windowsize "$first" 801 601
ok "it has the card" wait_for 30 holds_card "$first" 801x601
lodge view box >view2.out 2>&1 &
view2=$!
ok "another one" wait_for 30 windows 2
windows 2
second=$(grep -vx "$first" windows.now)
xdotool windowmove "$second" 850 0
ok "has it, too" wait_for 20 holds_card "$second" 801x601
ok "and so has the first one" wait_for 20 holds_card "$first" 801x601

reset_by triple 2
reset_by acpi 3

kill -9 "$(lodge list --json | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["pid"])')"
ends 1 "$view1"
ends 2 "$view2"
wait $vm
kill $x
wait
