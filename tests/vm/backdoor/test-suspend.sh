#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A guest with lodge_backdoor suspends its devices and resumes them: sessions are reset, new ones work, a module
# gets another. pm_test stops short of the processors: everything a driver sees happens. Shares would
# refuse it (virtiofs cannot suspend), so this guest has an initramfs only.
# TIMEOUT: 120
# NEEDS: busybox cpio
# shellcheck source=tests/vm/lib.sh
. "$LIB"
# shellcheck source=tests/vm/vhost-user/guest.sh
. "$TOP/tests/vm/vhost-user/guest.sh"

mkdir -p tree/bin
cp "$BUILD/guest/backdoor-client" tree/bin/
cp "$BUILD/modules/$kernel/lodge_backdoor.ko" "$BUILD/modules/test/lodge_test_client.ko" tree/
# shellcheck disable=SC2016 # for the guest
make_guest '
	dmesg -c >/dev/null
	insmod /lodge_backdoor.ko
	insmod /lodge_test_client.ko
	answers() { dmesg | grep -c "is commanded, and answers"; }
	soon() { n=0; until eval "$1"; do n=$((n + 1)); [ $n -lt 900 ] || return 1; sleep 0.1; done; }
	soon "[ \$(answers) -ge 1 ]" && say "module attached"
	echo devices >/sys/power/pm_test
	echo 0 >/sys/module/suspend/parameters/pm_test_delay
	for round in 1 2 3; do
		backdoor-client wait reset >/tmp/wait &
		soon "grep -q ^waiting /tmp/wait"
		before=$(answers)
		echo freeze >/sys/power/state && say "resumed $round"
		wait
		while read -r line; do say "$line"; done </tmp/wait
		backdoor-client basic | grep -q "^not ok" || say "works $round"
		soon "[ \$(answers) -gt $before ]" && say "module attached again $round"
	done
	dmesg | grep -E "BUG|WARNING|Oops|Call Trace" || say "no complaint"
'
make_vm 1 none ''
start_vm 100
end_vm "the guest goes down by itself"
ok "a module has a session" said "module attached"
for round in 1 2 3; do
	ok "devices suspend and resume ($round)" said "resumed $round"
	ok "a new session works ($round)" said "works $round"
	ok "the module has a new one ($round)" said "module attached again $round"
done
is "$(console | grep -c '^guest: ok - ')" 18 "who waited was told, three times"
is "$(console | grep '^guest: not ok - ')" "" "and of nothing else"
ok "the kernel complains of nothing" said "no complaint"
[ "$failures" = 0 ] || console | tail -n 40 | sed 's/^/#   /'
