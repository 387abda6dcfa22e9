# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: GPL-2.0-or-later
# What scenarios of lodge_backdoor share. Source it behind lib.sh.

# in_guest CPUS TEXT: a shell script, with the module loaded. $dev is the device, $bus the driver's folder.
in_guest() {
	guest --memory 256M --cpus "$1" -- sh -c "
		say() { if eval \"\$2\"; then echo \"ok - \$1\"; else echo \"not ok - \$1\"; fi; }
		soon() { n=0; until eval \"\$1\"; do n=\$((n + 1)); [ \$n -lt $((300 * slowness)) ] || return 1; sleep 0.1; done; }
		modules=$BUILD/modules/\$(uname -r)
		bus=/sys/bus/virtio/drivers/lodge_backdoor
		dev=
		# An instant VM has its daemon at work, which would open the file, too.
		for pid in \$(pidof lodged); do kill \$pid; done
		while pidof lodged >/dev/null; do sleep 0.1; done
		insmod \$modules/lodge_backdoor.ko || exit 9
		dmesg -C
		for d in \$bus/virtio*; do dev=\${d##*/}; done
		$2
		say 'the modules lose no memory' $TOP/tests/vm/leaks.sh
		say 'the kernel complains of nothing' '! dmesg | grep -E \"BUG|WARNING|Oops|Call Trace|hung\" && [ \$((\$(cat /proc/sys/kernel/tainted) & 640)) = 0 ]'
	"
	relay_checks <<<"$out"
	is "$status" 0 "the guest ends well"
	[ "$status" = 0 ] || printf '%s\n' "$out" "$err" | sed 's/^/#   /'
}
