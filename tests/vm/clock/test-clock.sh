#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The clock page and lodge_clock in a guest beside the host's own clock; the module under readers that it is unloaded
# from (T30; 10 times, or CLOCK_ROUNDS); pause and resume; clocks that jump on either side, and lodged that has the
# guest's right again.
# TIMEOUT: 300
# shellcheck source=tests/vm/lib.sh
. "$LIB"

modules=$BUILD/modules/$guest_version
[ -e "$modules/lodge_clock.ko" ] || skip "no lodge_clock for this kernel: make modules"

rounds=${CLOCK_ROUNDS:-10}

# With the guest's PATH as this one.
in_box() {
	run timeout -s KILL $((60 * slowness)) lodge exec -n box -- env PATH="$PATH" "$@"
}

# Seconds from the host's clock to the guest's, either way.
apart() {
	local there
	there=$(timeout -s KILL $((60 * slowness)) lodge exec -n box -- date +%s 2>/dev/null) || return 1
	there=$((there - $(date +%s)))
	echo "${there#-}"
}

# The exec itself takes a while on a busy machine.
together() {
	[ "$(apart)" -le 5 ]
}

state() {
	lodge list | awk '$1 == "box" { print $2 }'
}

clock-check host $((1000 * slowness)) >host.txt &
watcher=$!
lodge run --name box --memory 384M -- sh -c "echo up; exec sleep $(((1000 + 3 * rounds) * slowness))" >box.out 2>box.err </dev/null &
box=$!
ok "the guest runs" wait_for 60 grep -q up box.out
ok "its tools are there" lodge wait --timeout 60 box tools

# A monitor of root's can read the host's clock, and not set it: no thread has more than three capabilities.
for task in "/proc/$(pgrep -x lodge-vmm)"/task/*; do
	echo $((0x$(sed -n 's/^CapPrm:[ \t]*//p' "$task/status") & ~(1 << 1 | 1 << 3 | 1 << 14)))
done | sort -u >capabilities
is "$(cat capabilities)" 0 "capabilities that are not needed are gone"

# The page, by the guest's counter and the host's.
offset=$(cat /sys/kernel/debug/kvm/*/vcpu0/tsc-offset 2>/dev/null | head -n 1)
in_box clock-check page 400
is "$status" 0 "the guest has a clock page"
printf '%s\n' "$out" >page.txt
if [ -n "$offset" ]; then
	sleep 0.2 # the host's next look, by which what was read last is between two
	read -r n median p99 most <<<"$({ cat host.txt; echo -; cat page.txt; } | clock-check compare "$offset")"
	echo "# offset of $n readings: median $median ns, 99th percentile $p99 ns, most $most ns"
	ok "nearly all readings lie between two looks of the host's" [ "$n" -ge 350 ]
	ok "the page is the host's clock" [ "$median" -lt 10000 -a "$p99" -lt 100000 ]
fi
kill $watcher

# The module, on both clock sources.
in_box sh -c "modprobe ptp; insmod $modules/lodge_clock.ko && cat /sys/class/ptp/*/clock_name"
like "$out" lodge "lodge_clock has a PTP clock"
for source in kvm-clock tsc; do
	in_box sh -c "cd /sys/devices/system/clocksource/clocksource0; echo $source >current_clocksource
		echo \"# \$(cat current_clocksource)\"; clock-check ptp /dev/ptp0 100; clock-check rate /dev/ptp0"
	relay_checks <<<"$out"
	is "$status" 0 "readings with $source"
done
in_box sh -c "modprobe ptp_kvm && clock-check rate /dev/ptp1"
echo "# ptp_kvm: $out"

# Nobody may open a clock while it is registered: Linux (6.1) then lacks a reference when that is closed. Hence the gate.
# shellcheck disable=SC2016 # for the guest
lodge exec -n box -- env PATH="$PATH" sh -c '
	dmesg -C
	: >/run/gate
	device() { for clock in /sys/class/ptp/*; do grep -qs lodge $clock/clock_name && echo /dev/${clock##*/}; done; }
	there() { until [ -e "$(device)" ]; do sleep 0.05; done; }
	reader() { while :; do (flock -s 9; clock-check rate "$(device)") 9</run/gate || sleep 0.1; done; }
	for i in 1 2 3; do reader >/dev/null 2>&1 & readers="$readers $!"; done
	for i in $(seq '"$rounds"'); do
		there
		exec 5<"$(device)"
		rmmod lodge_clock || echo "not ok - rmmod $i"
		exec 5<&-
		(flock -x 9; insmod '"$modules"'/lodge_clock.ko) 9</run/gate || echo "not ok - insmod $i"
		echo "round $i"
	done
	kill $readers
	'"$TOP"'/tests/vm/leaks.sh || echo "not ok - the module loses memory"
	dmesg | grep -A 30 -E "BUG|WARNING|Oops|hung" && echo "not ok - the kernel complains"
	echo "round end"' >rounds.out 2>&1 </dev/null &
exec=$!
for round in $(seq "$rounds") end; do
	wait_for 30 grep -qx "round $round" rounds.out || break
done
is "$round" end "the module goes and comes $rounds times under readers"
kill $exec 2>/dev/null
wait $exec
relay_checks < <(grep -v '^round ' rounds.out)

# A pause.
in_box sh -c 'mkfifo /tmp/end; (clock-check watch </tmp/end >/tmp/watched; echo >>/tmp/watched) >/dev/null 2>&1 & sleep '$((1000 * slowness))' >/tmp/end 2>/dev/null </dev/null & echo $! >/tmp/holder'
is "$(state)" running "it is listed as running"
ok "pause" lodge pause box
is "$(state)" paused "it is listed as paused"
ok "pausing twice is fine" lodge pause box
like "$(lodge info box)" 'state +paused' "info tells it"
run timeout -s KILL 3 lodge exec -n box -- true
ok "nothing runs meanwhile" [ "$status" != 0 ]
ok "resume" lodge resume box
is "$(state)" running "and it runs"
ok "its time is the host's" wait_for 60 together
# shellcheck disable=SC2016 # for the guest
in_box sh -c 'kill $(cat /tmp/holder); until grep -q . /tmp/watched; do sleep 0.1; done; cat /tmp/watched'
like "$out" 'back 0 gap [0-9]{4,}' "its monotonic clock stood and never went back: $out"

# Clocks that jump.
in_box date -s '-5 hours'
ok "a guest that sets its clock wrong has it right again" wait_for 60 together
for jump in '+1 hour' '-1 hour'; do
	date -s "$jump" >/dev/null
	ok "the host's clock jumps by $jump, and the guest's follows" wait_for 60 together
done
in_box dmesg
ok "no watchdog barks" [ "$(grep -c -E 'soft lockup|rcu.*stall' <<<"$out")" = 0 ]

# Who keeps it.
like "$(lodge info box)" 'clock +kept by lodged' "info tells who keeps the clock"
in_box lodge-toolbox timesync status
like "$status $out" '^0 Enabled.*kept by +lodged.*set +[1-9]' "so does lodge-toolbox, and how often it was set"
in_box lodge-toolbox stat hosttime
is "$status" 0 "stat hosttime"
# The host's time zone, by option, where this system has one by name.
zone=$(readlink /etc/localtime) zone=${zone#*/zoneinfo/}
if [ -f "/usr/share/zoneinfo/$zone" ]; then
	in_box ln -sfn /nowhere /etc/localtime
	in_box lodge-toolbox config set time zone host
	# shellcheck disable=SC2016 # for the guest
	in_box timeout $((50 * slowness)) sh -c 'until [ "$(readlink /etc/localtime)" = "$1" ]; do sleep 0.1; done' - "/usr/share/zoneinfo/$zone"
	is "$status" 0 "the time zone is the host's, where tools.conf wants that"
fi
# The toolbox finds lodged's tools.conf, which an instant VM has elsewhere, and lodged looks at it again by itself.
in_box lodge-toolbox timesync disable
in_box sh -c 'until lodge-toolbox timesync status | grep -q Disabled; do sleep 0.1; done'
is "$status" 0 "timesync disable"
lodge kill box
wait $box || true
