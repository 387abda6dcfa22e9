#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The kernel's own driver of the clock page, ptp_vmclock (Linux 6.13), finds it by ACPI and has a PTP clock that tells
# what the page does. GUEST_KERNELS names folders that kernel packages were unpacked in, as for kernels/other.
# TIMEOUT: 180
# NEEDS: lodge-vmm busybox cpio python3
# shellcheck source=tests/vm/lib.sh
. "$LIB"
# shellcheck source=tests/vm/vhost-user/guest.sh
. "$TOP/tests/vm/vhost-user/guest.sh"

[ -n "${GUEST_KERNELS:-}" ] || skip "no other kernels: GUEST_KERNELS names the folders of some (HACKING.md)"
[ "$(hostname)" = lodge-lab ] || skip "it tells the host of TAI, which only the lab has for that"

# modules_of FOLDER: lib/modules/VERSION of a kernel that has the driver
modules_of() {
	find "$1" -path '*/kernel/drivers/ptp/ptp_vmclock.ko*' | head -n 1 | sed 's|/kernel/drivers/ptp/.*||'
}

# image_of FOLDER: packages have it in one place or the other
image_of() {
	find "$1" -name 'vmlinuz*' -type f | head -n 1
}

# take_module NAME: and what it needs
take_module() {
	local file
	while read -r file; do
		case $file in
		*.xz) xz -dc "$file" ;;
		*.zst) zstd -qdc "$file" ;;
		*) cat "$file" ;;
		esac >"tree/modules/$(basename "$file" | sed 's/\.ko.*//').ko"
		echo "$(basename "$file" | sed 's/\.ko.*//').ko" >>tree/modules/list
	done < <(modprobe -d root -S "$version" --show-depends "$1" | awk '$1 == "insmod" { print $2 }')
}

# The folder's modules where modprobe looks for them.
make_root() {
	rm -rf root tree
	mkdir -p root/lib/modules tree/{bin,proc,sys,dev,modules}
	cp -r "$1" root/lib/modules/
	depmod -b root "$version"
	: >tree/modules/list
	cp "$(command -v busybox)" "$BUILD/guest/clock-check" tree/bin/
	take_module ptp_vmclock
	cat >tree/init <<-'END'
		#!/bin/busybox sh
		/bin/busybox --install -s /bin
		export PATH=/bin
		mount -t proc proc /proc
		mount -t sysfs sys /sys
		mount -t devtmpfs dev /dev
		say() { echo "guest: $*"; }
		while read -r module; do insmod /modules/$module || say "not ok - insmod $module"; done </modules/list
		for clock in /sys/class/ptp/*; do
			grep -q vmclock $clock/clock_name || continue
			say "ok - there is $(cat $clock/clock_name)"
			for source in kvm-clock tsc; do
				echo $source >/sys/devices/system/clocksource/clocksource0/current_clocksource
				say "clock source $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
				clock-check ptp /dev/${clock##*/} 50 tai | while read -r line; do say "$line"; done
				say "$(clock-check rate /dev/${clock##*/})"
			done
		done
		dmesg | grep -i vmclock | while read -r line; do say "$line"; done
		say "the end"
		poweroff -f
	END
	chmod +x tree/init
	(cd tree && find . | cpio -o -H newc -R 0:0 --quiet) >initrd
}

# The driver tells TAI, or what it takes for that, and makes a clock where the host says how far that is from UTC, as NTP
# clients have told it.
python3 - <<'END'
import ctypes, struct
timex = bytearray(208)
struct.pack_into("=I4xqqqqi4xq", timex, 0, 0x80, 0, 0, 0, 0, 0, 37)  # ADJ_TAI
ctypes.CDLL(None).adjtimex((ctypes.c_char * len(timex)).from_buffer(timex))
END
tried=0
for folder in $GUEST_KERNELS; do
	modules=$(modules_of "$folder")
	[ -n "$modules" ] || continue
	tried=$((tried + 1))
	version=$(basename "$modules")
	make_root "$modules"
	kernel=$version
	make_vm 1 none ''
	# What a driver has, /dev/mem does not show without being asked twice.
	sed -i "s|^kernel=.*|kernel=$(image_of "$folder")|; s|^append=.*|& iomem=relaxed|" vm/vm.conf
	start_vm 150
	end_vm "$version: a guest of $(du -k initrd | cut -f1) KiB runs to its end"
	relay_checks < <(sed -n 's/^guest: //p' console | tr -d '\r')
	ok "$version: ptp_vmclock has a clock" grep -q 'guest: ok - there is' console
	ok "$version: to the end" grep -q 'guest: the end' console
	[ "$failures" = 0 ] || tail -n 40 console vm.log | sed 's/^/#   /'
done
[ "$tried" -gt 0 ] || skip "none of them has ptp_vmclock"
