#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The module lodge_display on a card that misbehaves (lodge_test_gpu): garbage for answers, less than answers, wrong
# ones, none, resets at any time. Loading, changes and unloading come to an end, and the kernel is well.
# TIMEOUT: 240
# NEEDS: lodge
# shellcheck source=tests/vm/lib.sh
. "$LIB"

cat >guest.sh <<'END'
say() { if eval "$2" >/tmp/said 2>&1; then echo "ok - $1"; else echo "not ok - $1"; sed 's/^/# /' /tmp/said; fi; }
modprobe drm_shmem_helper
modprobe drm_kms_helper
insmod $1
dmesg -C
gpu=/sys/module/lodge_test_gpu/parameters
screens=/sys/class/drm/card1-Virtual
for mood in fine garbage corrupt short wrong errors silent mixed; do
	say "$mood: the card comes" "insmod $2 mood=$mood"
	say "$mood: it has 16 screens" "[ \$(ls -d $screens-* | wc -l) = 16 ]"
	for round in 1 2 3; do
		echo 1 >$gpu/change
		cat $screens-*/modes >/tmp/modes
	done
	case $mood in
	fine) say "fine: two are there" "[ \$(grep -lx connected $screens-*/status | wc -l) = 2 ]" ;;
	garbage) say "garbage: none is larger than can be" \
		"! sed 's/i*\$//; s/x/ /' /tmp/modes | awk '\$1 > 16384 || \$2 > 16384' | grep ." ;;
	corrupt)
		# Numbers go on where those of the first card end.
		first=$(ls -d $screens-* | sort -V | head -n 1)
		second=$(ls -d $screens-* | sort -V | sed -n 2p)
		for screen in $first $second; do echo detect >$screen/status; done
		say "corrupt: a sound EDID is taken" "[ \$(cat $first/edid | wc -c) = 128 ]"
		say "corrupt: one with a wrong sum is as none" "[ \$(cat $second/edid | wc -c) = 0 ]"
		say "corrupt: and the size is what the device says" "head -n 1 $second/modes | grep -x '6[4-9][0-9]x480'"
		;;
	mixed) sleep 5 ;;
	esac
	if [ $mood = fine ]; then
		say "fine: it sleeps and does not wake" "echo 1 >$gpu/sleep"
	else
		echo 1 >$gpu/reset
	fi
	say "$mood: the card goes" "rmmod lodge_test_gpu"
	say "$mood: and nothing of it is left" "[ ! -e /sys/class/drm/card1 ]"
done
dmesg | grep -E 'BUG|WARNING|Oops|Call Trace|hung|refcount' -A 20 | sed 's/^/# /'
say "the kernel complains of nothing" "! dmesg | grep -E 'BUG|WARNING|Oops|Call Trace|hung|refcount'"
echo "lines $(dmesg | wc -l)"
say "the true card is well" "kms-check flips | grep -x 'ok - flips, each with its event, count and time'"
say "the module goes" "rmmod lodge_display"
say "and loses no memory" "$3"
END
modules=$BUILD/modules/$guest_version
run lodge run --memory 512M --set display.heads=1 --share "job=$PWD" -- sh /mnt/lodge/job/guest.sh "$modules/lodge_display.ko" \
	"$BUILD/modules/test/lodge_test_gpu.ko" "$TOP/tests/vm/leaks.sh"
relay_checks <<<"$out"
is "$status" 0 "the guest ends"
lines=$(sed -n 's/^lines //p' <<<"$out")
[ "${lines:-10000}" -lt 1500 ] || fail "the log is not flooded" "$lines lines"
