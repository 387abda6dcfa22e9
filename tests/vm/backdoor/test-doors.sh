#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The monitor behind its doors: what a guest costs it that floods, sends nonsense or does not read; tools that come
# by a better door; a guest that starts anew under its host's commands; doors that are turned off.
# TIMEOUT: 300
# shellcheck source=tests/vm/lib.sh
. "$LIB"

# KiB of the monitor's own memory: the guest's is not anonymous.
own_memory() {
	sed -n 's/^Anonymous: *\([0-9]*\) kB/\1/p' "/proc/$(pgrep -x lodge-vmm)/smaps_rollup"
}

# grew_less_than KIB DESCRIPTION: since $before, once what was under way is over
grew_less_than() {
	local now end=$((SECONDS + 20))
	now=$(own_memory)
	while [ $((now - before)) -ge "$1" ] && [ $SECONDS -lt $end ]; do
		sleep 0.2
		now=$(own_memory)
	done
	if [ $((now - before)) -lt "$1" ]; then
		pass "$2 ($((now - before)) KiB)"
	else
		fail "$2" "KiB before and now: $before $now"
	fi
}

in_guest() {
	timeout 60 lodge exec -n box -- "$@"
}

has_door() {
	lodge info --json box | grep -q "\"door\"[ :]*\"$1\""
}

lodge run --name box --memory 320M --set tools.heartbeat=2 -- sh -c "
	mkdir -p /tmp/run
	printf '[guest-ops]\nallow-exec=root\n' >/tmp/tools.conf
	until [ -e /tmp/go ]; do sleep 0.1; done
	pkill -x lodged
	insmod $BUILD/modules/\$(uname -r)/lodge_backdoor.ko
	while :; do
		lodged --conf=/tmp/tools.conf --run-folder=/tmp/run
		sleep 0.2
	done
" >"$WORK/run.out" 2>"$WORK/run.err" </dev/null &
ok "tools come" wait_for 60 lodge wait --timeout 1 box tools
ok "by the port, in a guest without our module" wait_for 60 has_door port
lodge events box >"$WORK/events" &
in_guest touch /tmp/go
ok "by the device, with it" wait_for 60 has_door virtio
ok "commands reach them" wait_for 60 in_guest true

in_guest "$BUILD/guest/backdoor-client" flood >/dev/null # what grows for the first time stays
before=$(own_memory)
for group in basic flood hostile; do
	in_guest "$BUILD/guest/backdoor-client" $group >"$WORK/client" 2>&1
	is "$? $(grep -c '^not ok' "$WORK/client")" "0 0" "the guest's $group"
done
grew_less_than 2048 "floods and nonsense cost no memory"

is "$(in_guest head -c 100000000 /dev/zero | wc -c)" 100000000 "100 MB of output arrive"
grew_less_than 2048 "and cost none"
in_guest cat /dev/zero | { sleep 3; head -c 1000 >/dev/null; }
grew_less_than 4096 "nor does a program whose output nobody reads"
head -c 20000000 /dev/zero | lodge exec box -- sh -c 'sleep 3; cat' | wc -c >"$WORK/echoed"
is "$(cat "$WORK/echoed")" 20000000 "nor loses one that reads late anything"
grew_less_than 4096 "nor does that cost"
lodge exec -n box -- sleep 1000 2>"$WORK/sleep.err" &
sleeper=$!
ok "a program runs" wait_for 60 sh -c "lodge ps box | grep -q 'sleep 1000'"
in_guest sh -c 'echo b >/proc/sysrq-trigger' 2>/dev/null
code=0
wait $sleeper || code=$?
ok "the guest is reset under it, and it ends" [ "$code" != 0 ]
wait

lodge run --name none --memory 256M --set backdoor.device=no --set backdoor.port=no --set backdoor.ports=off \
	-- sh -c 'ls /dev/vport*; sleep 100' >"$WORK/none.out" 2>"$WORK/none.err" </dev/null &
ok "a guest without doors starts" wait_for 60 lodge info none
run lodge exec -n none -- true
is "$status" 125 "and has no tools"
run lodge wait --timeout 2 none tools
ok "and never will" [ "$status" != 0 ]
lodge kill none
wait
[ "$failures" = 0 ] || tail -n 20 "$WORK"/*.err "$WORK/client" | sed 's/^/#   /'
