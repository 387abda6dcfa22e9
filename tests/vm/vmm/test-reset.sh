#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A guest that is reset in the middle of its disk's and its share's work (T29), by each way that a PC has and from
# outside: the next start finds the machine as new, and the host's data whole.
# TIMEOUT: 600
# USER: ordinary
# NEEDS: lodge lodged fio sha256sum
# shellcheck source=tests/vm/lib.sh
. "$LIB"

# What runs while the reset comes: reads of what the host sealed, writes beside it, and both in the share.
cat >storm.sh <<'END'
modprobe virtio_blk
fio --name=r --filename=/dev/vda --size=8M --rw=randread --bs=4k --iodepth=64 --ioengine=libaio --direct=1 \
	--time_based --runtime=60 --name=w --filename=/dev/vda --offset=8M --size=8M --rw=randwrite --bs=16k \
	--iodepth=64 --ioengine=libaio --direct=1 --time_based --runtime=60 >/dev/null 2>&1 &
while :; do dd if=/mnt/lodge/data/sealed of=/dev/null bs=64k iflag=direct; done >/dev/null 2>&1 &
while :; do dd if=/dev/zero of=/mnt/lodge/data/written bs=64k count=64 conv=fsync; done >/dev/null 2>&1 &
for i in $(seq 300); do
	[ "$(awk '$3 == "vda" { print ($4 > 200 && $8 > 50) }' /proc/diskstats)" = 1 ] &&
		[ -s /mnt/lodge/data/written ] && break
	sleep 0.1
done
echo busy
END

cat >look.sh <<'END'
modprobe virtio_blk
echo "disk $(dd if=/dev/vda bs=1M count=8 iflag=direct 2>/dev/null | sha256sum)"
echo "share $(sha256sum </mnt/lodge/data/sealed)"
echo "complaints $(dmesg | grep -c -E 'Oops|BUG:|WARNING: CPU|I/O error|corrupt')"
END

make_vm() {
	mkdir data
	head -c 16777216 /dev/urandom >disk.img
	head -c 4194304 /dev/urandom >data/sealed
	create_host_vm box --cpus 2 --disk "$PWD/disk.img" --share "data=$PWD/data"
	ok "start" lodge start box
	ok "its tools report" lodge wait --timeout 90 box tools
}

boot_id() {
	lodge exec -n box cat /proc/sys/kernel/random/boot_id 2>/dev/null
}

other_start() {
	local now
	now=$(boot_id) && [ -n "$now" ] && [ "$now" != "$1" ]
}

check_data() {
	run lodge exec -n box sh "$PWD/look.sh"
	like "$out" "disk $sealed_disk" "$1: the disk's data is whole"
	like "$out" "share $sealed_share" "$1: so is the share's"
	like "$out" "complaints 0" "$1: and the kernel has nothing to complain of"
}

# reset_by HOW: sysrq's reset, by what Linux calls HOW
reset_by() {
	local before
	before=$(boot_id)
	like "$(timeout 60 lodge exec -n box sh "$PWD/storm.sh")" busy "$1: the guest is at work"
	timeout -s KILL 5 lodge exec -n box sh -c "echo $1 >/sys/kernel/reboot/type; echo b >/proc/sysrq-trigger" \
		>/dev/null 2>&1
	ok "$1: it comes again" wait_for 90 other_start "$before"
	check_data "$1"
}

# The machine's own unit tests, on a KVM that is one: emulations without time-stamp offsets pass more.
if [ -x "$BUILD/unit/vmm_machine" ]; then
	CK_TIMEOUT_MULTIPLIER=8 ok "guests of a few instructions" "$BUILD/unit/vmm_machine"
fi
make_vm
[ $failures = 0 ] || exit 1
sealed_disk=$(head -c 8388608 disk.img | sha256sum | cut -d' ' -f1)
sealed_share=$(sha256sum <data/sealed | cut -d' ' -f1)
check_data "the first start"
for how in triple acpi; do
	reset_by $how
done
like "$(timeout 60 lodge exec -n box sh "$PWD/storm.sh")" busy "at work once more"
ok "killed in the middle of it" lodge kill box
is "$(head -c 8388608 disk.img | sha256sum | cut -d' ' -f1)" "$sealed_disk" "what was only read is as it was"
ok "start" lodge start box
ok "its tools report" lodge wait --timeout 90 box tools
check_data "after the kill"
ok "shutdown" lodge shutdown --timeout 60 box
