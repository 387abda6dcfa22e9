#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# lodge_backdoor in a guest: sessions over /dev/lodge, alone and together, wrong frames, pointers and ioctls,
# floods, the device unbound, reset and suspended under those who wait, and a module's session.
# TIMEOUT: 300
# shellcheck source=tests/vm/lib.sh
. "$LIB"

# What the guest prints as "ok - ..." and "not ok - ..." are checks of this scenario.
relay_checks() {
	local line
	while IFS= read -r line; do
		case $line in
		'ok - '*) pass "${line#ok - }" ;;
		'not ok - '*) fail "${line#not ok - }" ;;
		*) echo "# $line" ;;
		esac
	done <<<"$out"
}

# in_guest TEXT: a shell script, with the module loaded
in_guest() {
	guest --memory 256M -- sh -c "
		say() { if eval \"\$2\"; then echo \"ok - \$1\"; else echo \"not ok - \$1\"; fi; }
		modules=$BUILD/modules/\$(uname -r)
		dev=
		# An instant VM has its daemon at work, which would open the file, too.
		for pid in \$(pidof lodged); do kill \$pid; done
		while pidof lodged >/dev/null; do sleep 0.1; done
		insmod \$modules/lodge_backdoor.ko || exit 9
		dmesg -C
		for d in /sys/bus/virtio/drivers/lodge_backdoor/virtio*; do dev=\${d##*/}; done
		$1
		say 'the kernel complains of nothing' '! dmesg | grep -E \"BUG|WARNING|Oops|Call Trace|hung\" && [ \$((\$(cat /proc/sys/kernel/tainted) & 640)) = 0 ]'
	"
	relay_checks
	is "$status" 0 "the guest ends well"
	[ "$status" = 0 ] || printf '%s\n' "$out" "$err" | sed 's/^/#   /'
}

# shellcheck disable=SC2016 # for the guest
in_guest '
	say "every user may open /dev/lodge" "[ \$(stat -c %a /dev/lodge) = 666 ]"
	for group in basic many user hostile midclose flood toolbox speed; do
		backdoor-client $group
	done
	exec 3<>/dev/lodge
	say "rmmod with an open file is refused" "! rmmod lodge_backdoor 2>/dev/null"
	exec 3>&-
	say "rmmod without one" "rmmod lodge_backdoor"
'

# shellcheck disable=SC2016 # for the guest
in_guest '
	bus=/sys/bus/virtio/drivers/lodge_backdoor
	soon() { n=0; until eval "$1"; do n=$((n + 1)); [ $n -lt 300 ] || return 1; sleep 0.1; done; }
	begin_wait() {
		backdoor-client wait $1 >/tmp/wait &
		soon "grep -q ^waiting /tmp/wait"
	}
	end_wait() { wait; cat /tmp/wait; }

	begin_wait unbind
	exec 3<>/dev/lodge
	echo $dev >$bus/unbind
	end_wait
	say "unbound: no /dev/lodge" "[ ! -e /dev/lodge ]"
	echo $dev >$bus/bind
	say "bound again, with an old file open" "backdoor-client basic >/tmp/basic"
	exec 3>&-
	say "and when that is closed" "backdoor-client basic >/tmp/basic"
	while :; do backdoor-client many; backdoor-client midclose; done >/dev/null 2>&1 &
	load=$!
	for round in 1 2 3 4 5 6 7 8 9 10; do
		echo $dev >$bus/unbind
		echo $dev >$bus/bind
	done
	kill $load
	wait
	say "after ten times under load" "backdoor-client basic >/tmp/basic"

	attached() { dmesg | grep -c "ok - a module: sets a variable"; }
	insmod $modules/../test/lodge_test_client.ko
	soon "dmesg | grep -q answers"
	echo $dev >$bus/unbind
	echo $dev >$bus/bind
	attached_twice() { [ $(attached) -ge 2 ]; }
	say "a module has a session again after unbinding" "soon attached_twice"
	# The host closes the session of a daemon that has taken all its first commands: soon.
	before=$(attached)
	attached_again() { backdoor-client toolbox >/dev/null; [ $(attached) -gt $before ]; }
	say "and after the host has closed it" "soon attached_again"

	begin_wait reset
	echo 1 >/sys/module/lodge_test_client/parameters/break_ring
	end_wait
	say "after a reset that the device asked for" "soon \"backdoor-client basic >/tmp/basic\""

	echo devices >/sys/power/pm_test
	echo 0 >/sys/module/suspend/parameters/pm_test_delay
	begin_wait reset
	echo freeze >/sys/power/state
	end_wait
	say "after suspend and resume" "backdoor-client basic >/tmp/basic"
	rmmod lodge_test_client
	dmesg | sed -n "s/.*lodge_test: //p" | sort | uniq -c | sort -rn | sed "s/^ *[0-9]* //"
	say "rmmod" "rmmod lodge_backdoor"
	cat /tmp/basic | grep ^not
'

# The real device makes room for a host that misbehaves.
# shellcheck disable=SC2016 # for the guest
in_guest '
	bus=/sys/bus/virtio/drivers/lodge_backdoor
	echo $dev >$bus/unbind
	unreclaimed() { sed -n "s/^SUnreclaim: *\([0-9]*\).*/\1/p" /proc/meminfo; }
	insmod $modules/../test/lodge_test_host.ko
	before=$(unreclaimed)
	for i in 1 2 3; do backdoor-client fuzz >/tmp/fuzz.$i & done
	wait
	cat /tmp/fuzz.*
	say "the kernel keeps less than 8 MiB of it" "[ $(($(unreclaimed) - before)) -lt 8192 ]"
	say "the host goes" "rmmod lodge_test_host"
	dmesg | grep -c "lodge\|virtio" | sed "s/^/lines in the log: /"
	say "the log is limited" "[ $(dmesg | wc -l) -lt 400 ]"
	echo $dev >$bus/bind
	say "and the real one is served" "backdoor-client basic >/tmp/basic"
'
