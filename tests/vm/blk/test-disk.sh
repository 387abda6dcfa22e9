#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Disks in a stock guest, with one processor and with four: data both ways by checksum, discards that free
# space on the host, what the guest is told, random numbers, and a disk that another VM has.
# TIMEOUT: 600
# USER: ordinary
# NEEDS: lodge sha256sum
# shellcheck source=tests/vm/lib.sh
. "$LIB"

cat >job.sh <<'END'
modprobe virtio_blk
for i in $(seq 100); do [ -b /dev/vda ] && break; sleep 0.1; done
echo "queues $(ls /sys/block/vda/mq | wc -l) sectors $(cat /sys/block/vda/size)"
echo "in $(sha256sum </dev/vda)"
# Two writers at once, then what they wrote is read past the page cache.
dd if=/dev/urandom of=/dev/shm/a bs=1M count=1 2>/dev/null
dd if=/dev/urandom of=/dev/shm/b bs=1M count=1 2>/dev/null
dd if=/dev/shm/a of=/dev/vda bs=4k seek=0 oflag=direct conv=notrunc 2>/dev/null &
dd if=/dev/shm/b of=/dev/vda bs=64k seek=32 oflag=direct conv=notrunc 2>/dev/null
wait
echo "a $(sha256sum </dev/shm/a)"
echo "b $(sha256sum </dev/shm/b)"
echo "back $(dd if=/dev/vda bs=1M count=1 iflag=direct 2>/dev/null | sha256sum)"
blkdiscard -o 3145728 -l 1048576 /dev/vda && echo discarded
echo "zeroes $(dd if=/dev/vda bs=1M skip=3 count=1 iflag=direct 2>/dev/null | tr -d '\0' | wc -c)"
blkdiscard -z -o 1048576 -l 524288 /dev/vda && echo zeroed
modprobe virtio_rng 2>/dev/null
echo "rng $(head -c 64 /dev/hwrng | wc -c)"
sync
END

first_word() {
	printf '%s\n' "$out" | sed -n "s/^$1 \([^ ]*\).*/\1/p"
}

part() {
	dd if=disk.img bs=1M skip="$1" count="$2" 2>/dev/null | sha256sum | cut -d' ' -f1
}

for cpus in 1 4; do
	head -c 4194304 /dev/urandom >disk.img
	before=$(sha256sum <disk.img | cut -d' ' -f1)
	guest --cpus $cpus --disk disk.img --share "job=$PWD" -- sh /mnt/lodge/job/job.sh
	is "$status" 0 "$cpus processors: the job ends well"
	like "$out" "queues $cpus sectors 8192" "a queue for each processor, and the size"
	is "$(first_word in)" "$before" "the guest reads what the host wrote"
	is "$(part 0 1)" "$(first_word a)" "the host reads what one writer wrote"
	is "$(part 2 1)" "$(first_word b)" "and what another wrote at the same time"
	is "$(first_word back)" "$(first_word a)" "the guest reads it back"
	like "$out" "discarded" "discard"
	is "$(first_word zeroes)" 0 "discarded sectors read as zeroes"
	like "$out" "zeroed" "write zeroes"
	is "$(dd if=disk.img bs=512k skip=2 count=1 2>/dev/null | tr -d '\0' | wc -c)" 0 "which the host sees"
	is "$(first_word rng)" 64 "random numbers"
done

# A second VM with the same disk.
lodge run --name holder --memory 384M --disk disk.img -- sleep 300 </dev/null >holder.log 2>&1 &
holder=$!
if wait_for 120 fuser -s disk.img; then
	refuses "a disk that another VM has" "disk.img is in use by process [0-9]+ \(lodge-vmm\)" \
		lodge run --memory 384M --disk disk.img -- true
else
	fail "the first VM opens its disk" "$(cat holder.log)"
fi
kill $holder
wait $holder || :
