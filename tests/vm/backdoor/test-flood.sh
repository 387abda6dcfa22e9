#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A guest that floods each door in turn: the monitor's memory and log stay bounded, and it answers its owner
# meanwhile (T34). FLOOD_SECONDS=60 does it for as long as that, by hand.
# TIMEOUT: 300
# shellcheck source=tests/vm/lib.sh disable=SC2016
. "$LIB"

seconds=${FLOOD_SECONDS:-4}

# KiB of the monitor's own memory: the guest's is not anonymous.
own_memory() {
	sed -n 's/^Anonymous: *\([0-9]*\) kB/\1/p' "/proc/$(pgrep -x lodge-vmm)/smaps_rollup"
}

mkdir shared
lodge run --name box --memory 256M --share "w=$PWD/shared" --env "SECONDS_EACH=$seconds" -- sh -c "$end_lodged"'
	w=/mnt/lodge/w
	insmod '"$BUILD"'/modules/$(uname -r)/lodge_backdoor.ko
	for port in /sys/class/virtio-ports/*; do
		grep -qx org.lodge.tools.0 $port/name 2>/dev/null && port=/dev/${port##*/} && break
	done
	# Until the host has asked often enough: on a slow machine it may take longer.
	flood() {
		enough=$w/$1.enough
		touch $w/$1.begins
		shift
		"$@" 2>&1
		until [ -e $enough ]; do
			"$@" 2>&1
		done
	}
	flood virtio backdoor-flood /dev/lodge $SECONDS_EACH >$w/virtio.out
	touch $w/virtio.ends
	flood doorbells backdoor-flood doorbells $SECONDS_EACH >$w/doorbells.out
	touch $w/doorbells.ends
	flood port backdoor-flood $port $SECONDS_EACH >$w/port.out
	touch $w/port.ends
	flood ioports vmports flood $SECONDS_EACH >$w/ioports.out
	touch $w/ioports.ends
	dmesg | grep -c -E "Oops|BUG:|WARNING: CPU|hung" >$w/complaints
	touch $w/done
	sleep 600
' >run.out 2>run.err </dev/null &

# flooded DOOR: while the guest floods it
flooded() {
	local door=$1 before now most=0 asked=0 slowest=0 start took
	before=$(own_memory)
	while [ ! -e "shared/$door.ends" ]; do
		start=$(date +%s%3N)
		timeout 60 lodge info --json box >/dev/null || fail "$door: the monitor answers"
		took=$(($(date +%s%3N) - start))
		asked=$((asked + 1))
		[ "$took" -le "$slowest" ] || slowest=$took
		now=$(own_memory)
		[ "$((now - before))" -le "$most" ] || most=$((now - before))
		[ "$asked" -lt 3 ] || touch "shared/$door.enough"
		sleep 0.2
	done
	echo "# $door: $(tr '\n' ' ' <"shared/$door.out"); $asked times asked, slowest answer $slowest ms"
	ok "$door: it was flooded" grep -q '^[1-9]' "shared/$door.out"
	ok "$door: the monitor's memory grows by less than 8 MiB ($most KiB)" [ "$most" -lt 8192 ]
	ok "$door: it answers meanwhile" [ "$asked" -ge 3 ]
}

for door in virtio doorbells port ioports; do
	ok "$door: the flood begins" wait_for 60 test -e "shared/$door.begins"
	flooded $door
done
ok "the guest is alive" wait_for 60 test -e shared/done
is "$(cat shared/complaints)" 0 "and its kernel complains of nothing"
log=$XDG_RUNTIME_DIR/lodge/box/vmm.log
lines=$(wc -l <"$log")
# Ten lines in five seconds from each of the few places that a guest can make talk.
ok "the log is bounded ($lines lines, $(wc -c <"$log") bytes)" [ "$lines" -gt 10 -a "$lines" -lt $((100 + SECONDS * 10)) ]
ok "kill" lodge kill box
[ "$failures" = 0 ] || tail -n 20 run.err "$log" | sed 's/^/#   /'
