#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A guest with lodge_backdoor and lodge_clock suspends and resumes: sessions are reset, new ones work, a module gets another; the
# clock, which programs have open, tells what the clock page does (T31). First as
# far as pm_test goes, which is all that a driver sees; then for good, to idle, until the power button wakes it. Shares
# would refuse it (virtiofs cannot suspend), so this guest has an initramfs only.
# TIMEOUT: 180
# NEEDS: busybox cpio python3
# shellcheck source=tests/vm/lib.sh
. "$LIB"
# shellcheck source=tests/vm/vhost-user/guest.sh
. "$TOP/tests/vm/vhost-user/guest.sh"

mkdir -p tree/bin tree/modules
cp "$BUILD/guest/backdoor-client" "$BUILD/guest/clock-check" tree/bin/
cp "$BUILD/modules/$kernel/lodge_backdoor.ko" "$BUILD/modules/$kernel/lodge_clock.ko" \
	"$BUILD/modules/test/lodge_test_client.ko" tree/
add_module ptp
add_module button
# shellcheck disable=SC2016 # for the guest
make_guest '
	insmod /modules/button.ko
	dmesg -c >/dev/null
	insmod /lodge_backdoor.ko
	insmod /lodge_test_client.ko
	for module in pps_core ptp; do insmod /modules/$module.ko; done
	insmod /lodge_clock.ko
	exec 6</dev/ptp0
	answers() { dmesg | grep -c "is commanded, and answers"; }
	soon() { n=0; until eval "$1"; do n=$((n + 1)); [ $n -lt 900 ] || return 1; sleep 0.1; done; }
	soon "[ \$(answers) -ge 1 ]" && say "module attached"
	echo 0 >/sys/module/suspend/parameters/pm_test_delay
	clock_is_right() { clock-check ptp /dev/ptp0 5 >/tmp/clock && ! grep "^not ok" /tmp/clock; }
	asleep() { cat /sys/power/suspend_stats/success; }
	# pm_test, and what to write to state. A button that comes too early ends the attempt, and there is another.
	sleep_once() {
		echo $1 >/sys/power/pm_test
		slept=$(asleep)
		say "sleeps: $1 $2"
		until [ $(asleep) -gt $slept ]; do
			echo $2 >/sys/power/state
		done 2>/dev/null
	}
	for round in "devices freeze" "platform freeze" "none freeze" "none mem"; do
		backdoor-client wait reset >/tmp/wait &
		soon "grep -q ^waiting /tmp/wait"
		before=$(answers)
		sleep_once $round && say "resumed: $round"
		wait
		while read -r line; do say "$line"; done </tmp/wait
		clock_is_right && say "clock right: $round"
		backdoor-client basic | grep -q "^not ok" || say "works: $round"
		soon "[ \$(answers) -gt $before ]" && say "module attached again: $round"
	done
	say "woken by interrupt $(cat /sys/power/pm_wakeup_irq)"
	dmesg | grep -E "BUG|WARNING|Oops|Call Trace" || say "no complaint"
'

# Until the guest has resumed: one that is not asleep yet takes a press for no more than a key.
press_button() {
	python3 - "$WORK/run/control.sock" <<'END'
import socket, sys
client = socket.socket(socket.AF_UNIX)
client.settimeout(10)
client.connect(sys.argv[1])
client.sendall(b'{"id":1,"method":"stop"}\n')
client.recv(65536)
END
}

# wake STATE
wake() {
	local tries
	ok "the guest goes to sleep ($1)" wait_for 60 said "sleeps: $1"
	for tries in 1 2 3 4 5 6 7 8 9 10 11 12; do
		wait_for 2 said "resumed: $1" && break
		press_button
	done
	echo "# woken by $((tries - 1)) presses"
}

make_vm 1 none ''
start_vm 150
ok "a module has a session" wait_for 60 said "module attached"
wake "none freeze"
wake "none mem"
end_vm "the guest goes down by itself"
for round in "devices freeze" "platform freeze" "none freeze" "none mem"; do
	ok "it suspends and resumes ($round)" said "resumed: $round"
	ok "the clock tells what the page does ($round)" said "clock right: $round"
	ok "a new session works ($round)" said "works: $round"
	ok "the module has a new one ($round)" said "module attached again: $round"
done
ok "it was the power button that woke it" said "woken by interrupt 9"
is "$(console | grep -c '^guest: ok - ')" 24 "who waited was told, four times"
is "$(console | grep '^guest: not ok - ')" "" "and of nothing else"
ok "the kernel complains of nothing" said "no complaint"
[ "$failures" = 0 ] || console | tail -n 40 | sed 's/^/#   /'
