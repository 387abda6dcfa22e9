#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# lodge-vmm and a stock kernel, with nothing between: both boot protocols, one and four processors, reboot,
# power button, signals, private memory, and files that are no kernels.
# TIMEOUT: 240
# NEEDS: busybox cpio python3
# shellcheck source=tests/vm/lib.sh
. "$LIB"

kernel=$(for k in /boot/vmlinuz-*; do [ -d "/lib/modules/${k#/boot/vmlinuz-}" ] && echo "$k"; done |
	sort -V | tail -n 1)
[ -n "$kernel" ] || skip "no kernel with its modules in /boot"
modules=/lib/modules/${kernel#/boot/vmlinuz-}

# What the guest runs: says that it is there, then does what the command line asks for. The clock's
# memory lives through a reboot.
make_initrd() {
	mkdir -p root/bin root/m
	cp "$(command -v busybox)" root/bin/busybox
	find "$modules" \( -name 'button.ko' -o -name 'evdev.ko' \) -exec cp {} root/m/ \;
	cat >root/init <<'END'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mkdir -p /proc /sys /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
echo "INIT cpus=$(nproc) clock=$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
nvram=/sys/bus/nvmem/devices/cmos_nvram0/nvmem
case $(cat /proc/cmdline) in
*act=off*) poweroff -f ;;
*act=wait*) echo WAITING; while :; do sleep 1000; done ;;
*act=button*)
	[ -e $nvram ] || echo "NO NVRAM, $(date +%s)"
	if [ -e $nvram ] && [ "$(dd if=$nvram bs=1 skip=60 count=1 2>/dev/null)" != R ]; then
		printf R | dd of=$nvram bs=1 seek=60 2>/dev/null
		echo REBOOTING
		reboot -f
	fi
	insmod /m/evdev.ko
	insmod /m/button.ko
	event=$(dirname "$(dirname "$(grep -l 'Power Button' /sys/class/input/event*/device/name)")")
	echo READY
	head -c 24 "/dev/input/${event##*/}" >/dev/null
	echo PRESSED
	poweroff -f ;;
esac
END
	chmod +x root/init
	(cd root && find . | cpio -o -H newc --quiet) >initrd
}

# conf DIR CPUS KERNEL COMMAND-LINE
conf() {
	mkdir -p "$1"
	cat >"$1/vm.conf" <<END
[cpu]
count=$2
[memory]
size=256M
[boot]
kernel=$3
initrd=$WORK/initrd
append=console=ttyS0 quiet panic=-1 $4
[serial]
backend=file:$WORK/$1.log
END
}

# control DIR REQUEST
control() {
	python3 - "$WORK/run/$1/control.sock" "$2" <<'END'
import socket, sys
client = socket.socket(socket.AF_UNIX)
client.settimeout(10)
client.connect(sys.argv[1])
client.sendall(sys.argv[2].encode() + b"\n")
print(client.recv(65536).decode(), end="")
END
}

start() {
	lodge-vmm --vm "$1" --runtime "run/$1" --notify-fd 3 3>"$1.events" 2>"$1.err" &
	pid=$!
}

finish() {
	status=0
	wait "$pid" || status=$?
}

make_initrd

conf bz 1 "$kernel" act=off
start bz
finish
is "$status" 0 "a guest that powers off ends the monitor with 0"
like "$(cat bz.log)" 'INIT cpus=1' "a bzImage boots"
is "$(tr '\n' ' ' <bz.events)" '{"event":"started"} {"event":"exit","reason":"poweroff"} ' \
	"the parent is told of start and end"
ok "nothing is left in the run-time folder" rmdir run/bz

ok "a vmlinux is unpacked" "$TOP/tests/lab/extract-vmlinux" "$kernel" vmlinux
conf pvh 4 "$WORK/vmlinux" act=wait
start pvh
ok "a vmlinux boots" wait_for 90 grep -q WAITING pvh.log
like "$(cat pvh.log)" 'INIT cpus=4' "with four processors"
dirty=$(awk '/^Size:/ { ram = $2 >= 65536 } !ram && /^Private_Dirty/ { sum += $2 }
	END { print sum }' "/proc/$pid/smaps")
ok "the monitor's private memory ($dirty KiB) is below 3 MiB" [ "$dirty" -lt 3072 ]
kill "$pid"
finish
is "$status" 0 "SIGTERM ends it"
like "$(cat pvh.events)" '"reason":"kill"' "and that is said"
ok "nothing is left in the run-time folder" rmdir run/pvh

conf again 2 "$kernel" act=button
start again
ok "a guest that reboots comes again" wait_for 120 grep -q READY again.log
like "$(cat again.log)" 'INIT cpus=2.*REBOOTING.*INIT cpus=2' "as it was"
like "$(control again '{"id":1,"method":"stop"}')" '"result"' "the power button can be pressed"
wait_for 40 grep -q PRESSED again.log || kill "$pid"
finish
is "$status" 0 "and powers the guest off"
like "$(cat again.log)" PRESSED "by its own driver"

conf lean 1 "$kernel" act=button
printf '[device]\nlegacy=no\n' >>lean/vm.conf
start lean
ok "a guest without legacy hardware comes up" wait_for 90 grep -q READY lean.log
told=$(sed -n 's/^NO NVRAM, \([0-9]*\).*/\1/p' lean.log)
ok "with the time of day ($told)" [ "$(($(date +%s) - ${told:-0}))" -lt 100 ]
like "$(control lean '{"id":1,"method":"stop"}')" '"result"' "its power button can be pressed"
wait_for 40 grep -q PRESSED lean.log || kill "$pid"
finish
is "$status" 0 "and powers it off"
like "$(cat lean.log)" PRESSED "by its own driver"

: >empty
head -c 100000 "$kernel" >short
conf bad 1 "$WORK/empty" ''
refuses "an empty kernel" "empty.*is empty" lodge-vmm --vm bad --runtime run/bad
conf bad 1 "$WORK/short" ''
refuses "a truncated kernel" "short.*truncated" lodge-vmm --vm bad --runtime run/bad
conf bad 1 /bin/sh ''
refuses "a program" "/bin/sh.*CONFIG_PVH|/bin/sh.*kernel" lodge-vmm --vm bad --runtime run/bad
conf bad 1 "$WORK/none" ''
refuses "a missing kernel" "none.*No such file" lodge-vmm --vm bad --runtime run/bad
