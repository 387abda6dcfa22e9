#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# lodge_balloon in a guest: what it gives is gone from the host's memory, and comes back on the host's word, before the
# OOM killer, across suspend, and when the module goes, also while it is at work; what the guest kept stays as it was.
# TIMEOUT: 300
# NEEDS: lodge
# shellcheck disable=SC2016 # for the guest
# shellcheck source=tests/vm/lib.sh
. "$LIB"
name=bulky
# shellcheck source=tests/vm/balloon/ask.sh
. "$TOP/tests/vm/balloon/ask.sh"

lodge run --name "$name" --memory 512M --share "job=$PWD" -- sh /mnt/lodge/job/job.sh </dev/null >vm.log 2>&1 &
vm=$!
if ! wait_for 200 test -e up; then
	fail "the guest comes up" "$(cat vm.log)"
	exit 1
fi

# What was used once is the host's to give, until the guest gives it back.
if ! in_guest "modules=$BUILD/modules/\$(uname -r)
	rmmod virtio_balloon
	mkdir /dev/shm/full && mount -t tmpfs -o size=300M full /dev/shm/full
	dd if=/dev/zero of=/dev/shm/full/file bs=1M count=256 2>/dev/null
	rm /dev/shm/full/file
	head -c 16M /dev/urandom >/dev/shm/full/pattern; md5sum /dev/shm/full/pattern >/dev/shm/full/sum
	lsmod | grep -q ^lodge_backdoor || insmod \$modules/lodge_backdoor.ko
	insmod \$modules/lodge_balloon.ko reporting=0"; then
	fail "the modules are loaded" "$said" "$(cat vm.log)"
	exit 1
fi
ok "the module tells how the guest is" wait_for 60 is_driver lodge_balloon
ok "lodge info names the rung" grep -q "memory *2 *lodge_balloon" <(lodge info "$name")
full=$(resident)
ok "256 MiB that were used are resident ($full MiB)" test "$full" -ge 256

# From a tenth to nearly all, and back, with what the guest keeps in its memory.
for _ in 1 2; do
	lodge set "$name" memory=200M
	wait_for 60 is_mib 300 312 actual || break
	lodge set "$name" memory=464M
	wait_for 60 is_mib 48 48 actual || break
done
ok "to 200 MiB and back, twice" is_mib 48 48 actual
in_guest 'md5sum -c --status /dev/shm/full/sum'
is "$?" 0 "what the guest kept is what it was"

ok "lodge set memory=256M" lodge set "$name" memory=256M
ok "the guest gives 256 MiB" wait_for 60 is_mib 256 256 actual
is "$(lodge show "$name" memory.target)" 256M "vm.conf says it, too"
left=$(resident)
ok "which are gone from the host ($full to $left MiB)" test "$left" -le $((full - 128))
like "$(lodge top --once --interval 1)" "bulky .* 256M .* manual" "lodge top shows it"

# More than is left: the guest takes it back by itself.
in_guest 'dmesg -C
	dd if=/dev/zero of=/dev/shm/full/file bs=1M count=280 2>&1; code=$?
	dmesg | grep -i "out of memory\|oom-kill\|invoked oom" && code=1
	rm -f /dev/shm/full/file; exit $code'
is "$?" 0 "what the guest needs it gets, and nobody is killed"
ok "from the balloon" wait_for 5 is_mib 0 255 actual

ok "memory=off" lodge set "$name" memory=off
ok "gives everything back" wait_for 60 is_mib 0 0 actual

# Less than a block, in single pages, which compaction moves: the host has others, and no fewer.
ok "memory=511M" lodge set "$name" memory=511M
ok "the guest gives 256 single pages" wait_for 60 is_mib 1 1 actual
in_guest 'moved() { sed -n "s/^balloon_migrate //p" /proc/vmstat; }
	before=$(moved); for i in 1 2 3; do echo 1 >/proc/sys/vm/compact_memory; done; echo $(($(moved) - before))
	md5sum -c --status /dev/shm/full/sum'
is "$?" 0 "compacted, the guest has what it kept"
ok "the kernel has moved pages of the balloon ($said)" test "$said" -ge 1
ok "and as many are in it" is_mib 1 1 actual
ok "memory=off" lodge set "$name" memory=off
ok "gives back those that were moved" wait_for 60 is_mib 0 0 actual

# What makes no sense is refused, and changes nothing.
like "$(lodge set "$name" memory=1G 2>&1)" "more than the VM's size" "a target above the VM's memory"
like "$(lodge set "$name" memory=-1 2>&1)" "'-1' is not a size" "a negative one"
is "$(lodge show "$name" memory.mode)" off "nothing has changed"

# Unloaded while it is at work, and again and again.
ok "memory=224M" lodge set "$name" memory=224M
in_guest "for i in 1 2 3 4 5; do
		rmmod lodge_balloon && insmod $BUILD/modules/\$(uname -r)/lodge_balloon.ko reporting=0 || exit 1
	done"
is "$?" 0 "the module goes and comes in the midst of it"
ok "and goes on" wait_for 60 is_mib 288 288 actual

# The device is unbound under a full balloon, and bound again.
in_guest 'cd /sys/bus/virtio/drivers/lodge_backdoor; dev=$(echo virtio*)
	echo $dev >unbind; sed -n "s/^MemAvailable: *\([0-9]*\).*/\1/p" /proc/meminfo; echo $dev >bind'
ok "unbound, the guest has its memory ($said KiB)" test "$said" -ge $((350 << 10))
ok "bound, it gives it again" wait_for 60 is_mib 288 288 actual
in_guest 'echo devices >/sys/power/pm_test; echo 0 >/sys/module/suspend/parameters/pm_test_delay
	for round in $(seq '"${SUSPEND_ROUNDS:-1}"'); do
		for state in freeze mem disk; do
			grep -qw $state /sys/power/state && echo $state >/sys/power/state
		done
	done
	echo none >/sys/power/pm_test; md5sum -c --status /dev/shm/full/sum'
is "$?" 0 "suspended three ways under a full balloon, the guest has what it kept"
ok "and gives the rest again" wait_for 60 is_mib 288 288 actual
in_guest 'lodge-toolbox stat balloon'
is "$said" "288 MB" "lodge-toolbox stat balloon"
in_guest 'rmmod lodge_balloon && sed -n "s/^MemAvailable: *\([0-9]*\).*/\1/p" /proc/meminfo'
ok "without the module the guest has its memory ($said KiB)" test "$said" -ge $((350 << 10))
ok "and the host counts none" wait_for 20 is_mib 0 0 actual
in_guest "$TOP/tests/vm/leaks.sh"
is "$?" 0 "the module loses no memory"
[ -z "$said" ] || printf '%s\n' "$said" | sed 's/^/#   /'
in_guest 'dmesg | grep -E "BUG|WARNING|Oops|Call Trace|hung|refuses"'
is "$?" 1 "the kernel complains of nothing"
[ -z "$said" ] || printf '%s\n' "$said" | sed 's/^/#   /'
kill $vm
wait $vm || :
