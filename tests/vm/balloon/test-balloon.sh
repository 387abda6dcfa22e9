#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Memory that a stock guest gives back: what it frees by itself (free page reporting), and what it is asked
# for (the balloon), seen in the monitor's resident memory.
# TIMEOUT: 600
# USER: ordinary
# NEEDS: lodge python3
# shellcheck source=tests/vm/lib.sh
. "$LIB"

socket=$XDG_RUNTIME_DIR/lodge/airy/control.sock

cat >ask.py <<'END'
"""ask.py SOCKET REQUEST MEMBER...: prints a member of the answer's result."""
import json, socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
connection.sendall(sys.argv[2].encode() + b"\n")
answer = json.loads(connection.makefile().readline())
value = answer["result"]
for member in sys.argv[3:]:
    value = value[member]
print(value)
END

ask() {
	python3 ask.py "$socket" "$@"
}

info() {
	ask '{"id":1,"method":"info"}' balloon "$1"
}

# Resident shared memory of the monitor, MiB: the guest's.
resident() {
	awk '/^RssShmem:/ { print int($2 / 1024) }' "/proc/$(ask '{"id":1,"method":"status"}' pid)/status"
}

at_least() {
	[ "$(info "$1")" -ge "$2" ]
}

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

lodge run --name airy --memory 384M --share "job=$PWD" -- sh /mnt/lodge/job/job.sh </dev/null >vm.log 2>&1 &
vm=$!
if ! wait_for 300 test -e full; then
	fail "the guest comes up" "$(cat vm.log)"
	exit 1
fi
full=$(resident)
ok "128 MiB in use are resident ($full MiB)" test "$full" -ge 128
rm full
ok "the guest reports 96 MiB of free pages" wait_for 90 at_least reported $((96 << 20))
# What was never touched is reported too, and first, so the count alone says nothing of these.
has_shrunk() {
	[ "$(resident)" -le $((full - 80)) ]
}
ok "and what it used is gone from the host" wait_for 90 has_shrunk

ask '{"id":1,"method":"balloon","params":{"target":134217728}}' >/dev/null
ok "the balloon grows to 128 MiB" wait_for 60 at_least actual $((128 << 20))
ask '{"id":1,"method":"balloon","params":{"target":0}}' >/dev/null
is_empty() {
	[ "$(info actual)" = 0 ]
}
ok "and shrinks to nothing" wait_for 60 is_empty
kill $vm
wait $vm || :
