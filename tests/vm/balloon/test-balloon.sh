#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Memory that a stock guest gives back: what it frees by itself (free page reporting), and what it is asked
# for (the balloon), seen in the monitor's resident memory.
# TIMEOUT: 600
# USER: ordinary
# NEEDS: lodge
# shellcheck source=tests/vm/lib.sh
. "$LIB"

name=airy
# shellcheck source=tests/vm/balloon/ask.sh
. "$TOP/tests/vm/balloon/ask.sh"

cat >job.sh <<'END'
modprobe virtio_balloon
mkdir /dev/shm/full
mount -t tmpfs -o size=200M full /dev/shm/full
dd if=/dev/zero of=/dev/shm/full/file bs=1M count=128 2>/dev/null
touch /mnt/lodge/job/full
while [ -e /mnt/lodge/job/full ]; do sleep 0.2; done
rm /dev/shm/full/file
sleep 300
END

lodge run --name "$name" --memory 384M --share "job=$PWD" -- sh /mnt/lodge/job/job.sh </dev/null >vm.log 2>&1 &
vm=$!
if ! wait_for 300 test -e full; then
	fail "the guest comes up" "$(cat vm.log)"
	exit 1
fi
full=$(resident)
ok "128 MiB in use are resident ($full MiB)" test "$full" -ge 128
rm full
ok "the guest reports 96 MiB of free pages" wait_for 90 is_mib 96 $((1 << 20)) reported
# What was never touched is reported too, and first, so the count alone says nothing of these.
has_shrunk() {
	[ "$(resident)" -le $((full - 80)) ]
}
ok "and what it used is gone from the host" wait_for 90 has_shrunk

ok "lodge set memory=256M" lodge set "$name" memory=256M
ok "the balloon grows to 128 MiB" wait_for 60 is_mib 128 128 actual
like "$(lodge info "$name")" 'memory +[01] +virtio-balloon' "lodge info names driver and rung"
like "$(lodge info --json "$name")" '"driver" *: *"virtio-balloon"|"by" *: *"virtio-balloon' "and so does --json"
like "$(lodge top --once --interval 1 --json)" '"driver" *: *"virtio-balloon"' "lodge top --json, too"
ok "lodge set memory=off" lodge set "$name" memory=off
ok "and shrinks to nothing" wait_for 60 is_mib 0 0 actual
kill $vm
wait $vm || :
