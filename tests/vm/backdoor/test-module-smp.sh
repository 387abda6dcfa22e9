#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# lodge_backdoor on four processors: programs and a module that open, ask and close without end while its device is
# unbound, reset and suspended, and the module removed.
# TIMEOUT: 200
# shellcheck source=tests/vm/lib.sh
. "$LIB"
# shellcheck source=tests/vm/backdoor/module.sh
. "$TOP/tests/vm/backdoor/module.sh"

# shellcheck disable=SC2016 # for the guest
in_guest 4 '
	say "four processors" "[ $(nproc) = 4 ]"
	began() { soon "grep -q begun /tmp/load"; }

	backdoor-client load 14 8 >/tmp/load &
	began
	backdoor-client wait unbind >/tmp/wait &
	soon "grep -q ^waiting /tmp/wait"
	for round in 1 2 3; do
		echo $dev >$bus/unbind
		sleep 0.1
		echo $dev >$bus/bind
		sleep 0.3
	done
	insmod $modules/../test/lodge_test_client.ko
	say "a module has a session beside them" "soon \"dmesg | grep -q answers\""
	echo 1 >/sys/module/lodge_test_client/parameters/break_ring
	say "the device has itself reset" "soon \"dmesg | grep -q resetting\""
	ended() { dmesg | grep -c "a module: is told of the end"; }
	begun() { dmesg | grep -c "a module: sets a variable"; }
	say "the module is told of it" "soon \"[ \\\$(ended) -ge 1 ]\""
	say "and has a session again" "soon \"[ \\\$(begun) -ge 2 ]\""
	# The root of this guest refuses to be suspended; what was suspended before it is resumed.
	echo devices >/sys/power/pm_test
	echo 0 >/sys/module/suspend/parameters/pm_test_delay
	echo freeze >/sys/power/state 2>/dev/null
	say "the same at suspend and resume" "soon \"[ \\\$(ended) -ge 2 ] && [ \\\$(begun) -ge 3 ]\""
	rmmod lodge_test_client
	say "no session of a module that was removed is used" "[ $(ended) = $(begun) ]"
	wait
	cat /tmp/wait /tmp/load
	say "nothing that a module saw was wrong" "! dmesg | grep \"lodge_test: not ok\""

	backdoor-client load 4 8 >/tmp/load &
	load=$!
	began
	removed=0
	while kill -0 $load 2>/dev/null; do
		rmmod lodge_backdoor 2>/dev/null || continue
		removed=$((removed + 1))
		insmod $modules/lodge_backdoor.ko
	done
	cat /tmp/load
	say "removed under load, between two sessions: $removed times" "[ $removed -gt 0 ]"
	for group in many midclose; do backdoor-client $group; done
	say "rmmod" "rmmod lodge_backdoor"
'
