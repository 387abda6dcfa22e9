#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# lodge_backdoor in a guest: sessions over /dev/lodge, alone and together, wrong frames, pointers and ioctls,
# floods, the device unbound, reset and suspended under those who wait, and a module's session.
# TIMEOUT: 300
# shellcheck source=tests/vm/lib.sh
. "$LIB"

# shellcheck source=tests/vm/backdoor/module.sh
. "$TOP/tests/vm/backdoor/module.sh"

# shellcheck disable=SC2016 # for the guest
in_guest 1 '
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
in_guest 1 '
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
	# What the killed shell had begun.
	soon "! pidof backdoor-client >/dev/null"
	backdoor-client hold >/tmp/hold &
	holder=$!
	say "programs have all sessions" "soon \"grep -q \\\"^holding 64:.*busy\\\" /tmp/hold\""
	insmod $modules/../test/lodge_test_client.ko
	say "a module finds none free" "soon \"dmesg | grep -q has.no.session,.error.-16\" && [ \$(attached) = 0 ]"
	kill $holder
	say "it has one when there is one" "soon \"dmesg | grep -q answers\""
	rmmod lodge_test_client
	dmesg -C
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
in_guest 1 '
	echo $dev >$bus/unbind
	unreclaimed() { sed -n "s/^SUnreclaim: *\([0-9]*\).*/\1/p" /proc/meminfo; }
	insmod $modules/../test/lodge_test_host.ko
	before=$(unreclaimed)
	for i in 1 2 3; do backdoor-client fuzz >/tmp/fuzz.$i & done
	# Its hello is lost or damaged more often than not.
	while pidof backdoor-client >/dev/null; do
		insmod $modules/../test/lodge_test_client.ko linger=200
		sleep 0.3
		rmmod lodge_test_client
	done
	wait
	cat /tmp/fuzz.*
	say "a module is told of the end of its sessions" "dmesg | grep -q \"a module: is told of the end\""
	say "and commanded no more then" "! dmesg | grep \"is commanded behind its end\""
	say "the kernel keeps less than 8 MiB of it" "[ $(($(unreclaimed) - before)) -lt 8192 ]"
	say "the host goes" "rmmod lodge_test_host"
	dmesg | grep -c "lodge\|virtio" | sed "s/^/lines in the log: /"
	say "the log is limited" "[ $(dmesg | grep -vc lodge_test:) -lt 400 ]"
	echo $dev >$bus/bind
	say "and the real one is served" "backdoor-client basic >/tmp/basic"
'
