#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A VM's life by the verbs: create, start, list, info, stop, kill, delete, as an ordinary user.
# TIMEOUT: 240
# USER: ordinary
# NEEDS: lodge flock
# shellcheck source=tests/vm/lib.sh
. "$LIB"

truncate -s 8M disk.img
ok "create" lodge create --memory 384M --disk "$PWD/disk.img" --append 'console=ttyS0 panic=-1' box
like "$(lodge list)" "box +off +1 +384M" "it is listed as off"
like "$(lodge list --json)" '"state" : "off"' "in JSON, too"
like "$(lodge show box)" "disk.disk0.file=$PWD/disk.img" "its disk is shown"
ok "start" lodge start box
like "$(lodge list)" "box +running" "it is listed as running"
refuses "it cannot be started twice" "runs already" lodge start box
refuses "nor deleted" "box runs" lodge delete --yes box
like "$(lodge info box)" "virtio-blk" "info names its disk"
cp -r "$HOME/.local/share/lodge/box" "$WORK/box"
refuses "another of its name is not taken for it" "$WORK/box is off, and the VM named 'box' that runs" lodge kill ./box
refuses "nor started beside it" "give one of the two folders another name" lodge start ./box
refuses "a throw-away VM does not take its name" "there is a VM named 'box' already" lodge run --name box -- true
run lodge set box memory.size=256M
like "$err" "next start" "a change waits for the next start"
log=$HOME/.local/share/lodge/box/serial.log
ok "its kernel speaks" wait_for 60 grep -q 'Linux version' "$log"
refuses "stop gives up in time" "still runs after 1 s.*lodge kill" lodge stop --timeout 1 box
ok "kill" lodge kill box
like "$(lodge list)" "box +off" "it is off"
ok "by its path, too" lodge start "$HOME/.local/share/lodge/box"
ok "kill by path" lodge kill "$HOME/.local/share/lodge/box"

refuses "what somebody has at run time is not started" "runs already" flock "$XDG_RUNTIME_DIR/lodge/box" lodge start box
refuses "nor deleted" "box runs" flock "$XDG_RUNTIME_DIR/lodge/box" lodge delete --yes box
lodge start box 2>/dev/null &
lodge start box 2>/dev/null
first=$?
wait $!
second=$?
is "$(((first == 0) + (second == 0)))" 1 "of two starts at once one succeeds"
like "$(lodge list)" "box +running" "and its VM runs"
ok "kill that" lodge kill box

ok "delete" lodge delete --yes box
is "$(ls "$HOME/.local/share/lodge")$(left_at_run_time)" "" "leaves nothing"
is "$(stat -c %s disk.img)" 8388608 "but the disk, which lies elsewhere"
