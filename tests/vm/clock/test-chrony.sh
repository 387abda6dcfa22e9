#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Debian's chrony in a guest, with the line for lodge_clock's PTP clock that the tools bring: it keeps the clock, lodged does
# not touch it but when time has moved under the guest, and the module goes and comes back while chrony has it open.
# TIMEOUT: 300
# NEEDS: chronyd chronyc
# shellcheck source=tests/vm/lib.sh
. "$LIB"

modules=$BUILD/modules/$guest_version
[ -e "$modules/lodge_clock.ko" ] || skip "no lodge_clock for this kernel: make modules"
[ "$(hostname)" = lodge-lab ] || skip "it sets the host's clock, which only the lab has for that"

in_box() {
	run timeout -s KILL 60 lodge exec -n box -- env PATH="$PATH" "$@"
}

# Seconds that the guest's clock is off the host's, either way; the exec itself takes a while.
together() {
	local there
	there=$(timeout -s KILL 60 lodge exec -n box -- date +%s 2>/dev/null) || return 1
	there=$((there - $(date +%s)))
	[ "${there#-}" -le 5 ]
}

# How often lodged has set the guest's clock.
sets() {
	timeout -s KILL 60 lodge exec -n box -- env PATH="$PATH" lodge-toolbox timesync status | sed -n 's/^set *\([0-9]*\).*/\1/p'
}

# ask_chrony WORD...: a line of numbers, as chronyc -c prints them
ask_chrony() {
	timeout -s KILL 60 lodge exec -n box -- env PATH="$PATH" chronyc -h /run/chrony/chronyd.sock -c "$@"
}

# The source that chrony has chosen is the PTP clock.
chosen() {
	ask_chrony sources | grep -q '^#,\*,LDGE,'
}

# And the clock is within a millisecond of it, by chrony's own account.
close_to_it() {
	chosen && ask_chrony tracking | awk -F, '{ exit !($5 < 0.001 && $5 > -0.001) }'
}

# lodged asks who keeps the clock once a minute, and when it reads its configuration again.
kept_by() {
	timeout -s KILL 60 lodge exec -n box -- pkill -HUP -x lodged
	lodge info box | grep -q "clock *kept by $1"
}

# As Debian's, but for the servers: there is no network. A step that is far too large is for makestep.
{
	sed -n 's/^#refclock/refclock/p' "$TOP/packaging/chrony/lodge.conf"
	printf 'makestep 0.5 -1\nbindcmdaddress /run/chrony/chronyd.sock\ncmdport 0\npidfile /run/chrony/pid\ndriftfile /run/chrony/drift\n'
} >chrony.conf
lodge run --name box --memory 384M -- sh -c "echo up; exec sleep 1000" >box.out 2>box.err </dev/null &
box=$!
ok "the guest runs" wait_for 60 grep -q up box.out
ok "its tools are there" lodge wait --timeout 60 box tools
ok "lodged keeps its clock" wait_for 60 kept_by lodged
in_box sh -c "modprobe ptp && insmod $modules/lodge_clock.ko && ln -s ptp0 /dev/ptp_lodge && mkdir -m 700 /run/chrony && date -s '-20 minutes' && chronyd -u root -f $PWD/chrony.conf"
is "$status" 0 "chronyd starts${err:+: $err}"
ok "lodged sees who keeps it" wait_for 90 kept_by chrony
ok "chrony follows the PTP clock" wait_for 90 close_to_it
ok "its time is the host's" wait_for 60 together

# What lodged has no part in: a guest that sets its own clock.
before=$(sets)
in_box date -s '-20 minutes'
ok "a clock that was set wrong is mended by chrony" wait_for 90 together
is "$(sets)" "$before" "not by lodged"
# What chrony cannot know of.
date -s '+1 hour' >/dev/null
ok "the host's clock jumps, and the guest's follows" wait_for 60 together
ok "by lodged" [ "$(sets)" -gt "${before:-0}" ]
ok "chrony goes on by the PTP clock" wait_for 90 close_to_it
like "$(lodge info box)" 'kept by chrony' "and still keeps it"

# T30: the module goes while chrony has its clock open.
in_box sh -c "dmesg -C; for i in 1 2 3 4 5; do rmmod lodge_clock && insmod $modules/lodge_clock.ko || exit 1; done"
is "$status" 0 "the module goes and comes back five times"
in_box sh -c "ln -sfn \$(basename \$(dirname \$(grep -l lodge /sys/class/ptp/*/clock_name))) /dev/ptp_lodge; pkill -x chronyd; while pidof chronyd; do sleep 0.1; done >/dev/null; chronyd -u root -f $PWD/chrony.conf"
ok "a chronyd that is started again follows the new clock" wait_for 90 close_to_it
in_box dmesg
is "$(grep -E 'BUG|WARNING|Oops|Call Trace' <<<"$out")" "" "the kernel has nothing to complain of"
in_box sh -c 'pkill -x chronyd; while pidof chronyd; do sleep 0.1; done >/dev/null'
ok "without chrony it is lodged again" wait_for 90 kept_by lodged
lodge kill box
wait $box || true
date -s '-1 hour' >/dev/null
