#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A VM under the limits of its control group (T55), which systemd calls TasksMax and MemoryMax: whatever there is too
# little of, its user gets a line that says so, nobody hangs, and nothing of the VM stays.
# TIMEOUT: 240
# NEEDS: lodge
# shellcheck source=tests/vm/lib.sh disable=SC2016
. "$LIB"

all=/sys/fs/cgroup
group=$all/lodge-limits-$$
[ "$(id -u)" = 0 ] || skip "making control groups takes root"
grep -qs memory $all/cgroup.controllers || skip "no control groups of version 2 with memory here"
echo '+memory +pids' >$all/cgroup.subtree_control 2>/dev/null
mkdir $group || skip "no group can be made"
{ [ -e $group/pids.max ] && [ -e $group/memory.max ]; } || { rmdir $group; skip "these groups do not limit"; }

left() {
	cat $group/cgroup.procs
}

empty() {
	[ -z "$(left)" ]
}

end_groups() {
	local code=$?
	for pid in $(left); do kill -KILL "$pid"; done
	wait_for 10 rmdir $group
	end_scenario $code
}
trap end_groups EXIT

# limited COMMAND...: in the group
limited() {
	run timeout 100 bash -c 'echo $$ >"$0" && exec "$@"' $group/cgroup.procs "$@"
}

# ---- processes and threads ----

# With 1 lodge cannot start the monitor; then the monitor's threads, its starter, or the file servers fail; with 13 those
# have no thread left for a queue, which the guest notices first.
for n in 1 2 5 8 11 13; do
	echo "$n" >$group/pids.max
	limited lodge run --memory 128M --cpus 2 -- true
	like "$status:$err" "^[1-9][0-9]*:.*Resource temporarily unavailable" "$n processes are too few, which is said"
	ok "nothing is left of it ($n)" wait_for 10 empty
done
echo max >$group/pids.max

# ---- memory ----

echo 0 >$group/memory.swap.max 2>/dev/null
echo 160M >$group/memory.max
limited lodge run --memory 512M -- sh -c 'head -c 400M /dev/zero | tail -c 400M | wc -c'
like "$status:$err" "^[1-9][0-9]*:.*memory has run out" "a guest that takes more than its group may: its end is explained"
ok "nothing is left of that" wait_for 10 empty
