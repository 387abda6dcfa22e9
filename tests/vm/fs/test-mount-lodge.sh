#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Shares without the kernel's virtiofs: the module lodge_fs and mount.lodge. File system calls conform, the server may die,
# and so may mount.lodge and the device: errors, and no hang.
# TIMEOUT: 500
# shellcheck source=tests/vm/lib.sh
. "$LIB"
# shellcheck source=tests/vm/fs/servers.sh
. "$TOP/tests/vm/fs/servers.sh"

mkdir work other
echo "from the host" >work/hello
echo "of the other" >other/hello
ln -s /etc other/link
head -c 3000000 /dev/urandom >work/big

cat >lib <<'END'
say() { if eval "$2"; then echo "ok - $1"; else echo "not ok - $1"; fi; }
soon() { n=0; until eval "$1"; do n=$((n + 1)); [ $n -lt $((200 * SLOWNESS)) ] || return 1; sleep 0.1; done; }
. $TOP/tests/vm/fs/device.sh
dmesg -C
insmod $BUILD/modules/$(uname -r)/lodge_fs.ko take=0
say "a kernel with virtiofs keeps the device" "! echo $dev >$ours/bind && [ ! -e /dev/lodge-fs ]" 2>/dev/null
echo 1 >/sys/module/lodge_fs/parameters/take
echo $dev >$ours/bind
say "the device is a file" "[ \$(stat -c %a:%u /dev/lodge-fs/lodge) = 600:0 ]"
node=/dev/lodge-fs/lodge
mkdir -p /mnt/w /mnt/o
free() { ! pidof mount.lodge >/dev/null; }
clean() {
	say "the module loses no memory" $TOP/tests/vm/leaks.sh
	say "the kernel complains of nothing" '! dmesg | grep -E "BUG|WARNING|Oops|Call Trace|hung|refcount" && [ $(($(cat /proc/sys/kernel/tainted) & 640)) = 0 ]'
}
END

cat >calm <<'END'
. ./lib
say "--which" '[ "$(mount.lodge --which)" = lodge_fs ]'
say "an ordinary user may not open it" '! setpriv --reuid 1000 --regid 1000 --clear-groups sh -c ": <$node" 2>/dev/null'
say "it mounts the whole" 'mount.lodge lodge /mnt/w -v -o rw | grep -q "by lodge_fs"'
say "and a share" 'mount.lodge other /mnt/o -o ro'
say "one process serves both" '[ $(pidof mount.lodge | wc -w) = 1 ]'
say "the type is fuse.lodge" 'grep -q " - fuse.lodge lodge " /proc/self/mountinfo'
say "files are there" '[ "$(cat /mnt/w/work/hello)" = "from the host" ] && [ "$(cat /mnt/o/hello)" = "of the other" ]'
say "read-only is" '! touch /mnt/o/x 2>/dev/null && [ ! -e /mnt/w/other/x ]'
say "an ordinary user may look" 'setpriv --reuid 1000 --regid 1000 --clear-groups cat /mnt/w/work/hello >/dev/null'
say "but not at the whole" '! setpriv --reuid 1000 --regid 1000 --clear-groups ls /run/lodge-fs/lodge 2>/dev/null'
say "links are not followed to a mount" '! mount.lodge other/link /mnt 2>/dev/null'
say "a share that is not there" '! mount.lodge none /mnt 2>/tmp/e && grep -q "share list" /tmp/e && [ $(wc -l </tmp/e) = 1 ]'
say "the file is taken" '! (: <$node) 2>/dev/null'
say "so is the module" '! rmmod lodge_fs 2>/dev/null'
say "large data comes whole" 'cmp /mnt/w/work/big /mnt/o/../w/work/big && cp /mnt/w/work/big /mnt/w/other/big'
fs-conform -n 100 /mnt/w/work >/tmp/conform 2>&1
say "file system calls conform" "[ $? = 0 ]"
grep -v ^ok /tmp/conform
echo "calls: $(grep -c ^ok /tmp/conform)"
# Tasks alone: the root of this guest would refuse more.
echo freezer >/sys/power/pm_test
echo 0 >/sys/module/suspend/parameters/pm_test_delay
sleeps() { timeout $((60 * SLOWNESS)) sh -c 'echo freeze >/sys/power/state' 2>/dev/null; }
(until [ -e /tmp/stop ]; do cat /mnt/w/work/big >/dev/null; touch /mnt/w/work/load; rm /mnt/w/work/load; done) &
load=$!
began=$(cut -d. -f1 /proc/uptime)
say "a suspend under load is refused" '! sleeps'
say "before anything was frozen" '[ $(($(cut -d. -f1 /proc/uptime) - began)) -lt 10 ] && ! dmesg | grep -i "freezing"'
say "and it is said why" 'dmesg | grep -q "mounted: this system cannot be suspended"'
touch /tmp/stop
wait $load
say "umount of one leaves the other" 'umount /mnt/o && ls /mnt/w/work >/dev/null'
say "umount of the last" 'umount /mnt/w && soon free'
say "nothing stays mounted" '! grep -q fuse.lodge /proc/self/mountinfo'
say "a suspend is not refused then" 'sleeps'
say "and again" 'mount.lodge work /mnt/w && [ "$(cat /mnt/w/hello)" = "from the host" ] && umount /mnt/w && soon free'
say "rmmod" 'rmmod lodge_fs && [ ! -e $node ]'
say "the kernel's driver has it again" 'echo $dev >$inbox/bind && [ $(mount.lodge --which) = virtiofs ]'
say "mount.lodge uses that" 'mount.lodge other/ /mnt/o -v | grep -q "by virtiofs" && [ "$(cat /mnt/o/hello)" = "of the other" ]'
say "with the read-ahead of shares" '[ "$(cat /sys/class/bdi/$(mountpoint -d /mnt/o)/read_ahead_kb)" = 512 ] && umount /mnt/o'
clean
END

cat >rough <<'END'
. ./lib
mount.lodge lodge /mnt/w
echo "begun"
timeout $((120 * SLOWNESS)) fs-conform -n 100 /mnt/w/work >/tmp/conform 2>&1
status=$?
say "file system calls conform, over a server that dies" "[ $status = 0 ]"
[ $status = 0 ] || { tail -n 3 /tmp/conform; grep virtio /proc/interrupts; cat /proc/$(pidof mount.lodge)/task/*/stack; }
load() { while :; do cat /mnt/w/work/big /mnt/w/work/hello; ls -l /mnt/w/*; touch /mnt/w/work/t$1; rm /mnt/w/work/t$1; [ -e /tmp/stop ] && break; done >/dev/null 2>&1; }
gone() { stat /mnt/w/work/hello 2>&1 | grep -q "not connected"; }
begin() { rm -f /tmp/stop; for i in 1 2 3 4; do load $i & done; sleep 0.5; }
end() { touch /tmp/stop; wait; }
begin
kill -9 $(pidof mount.lodge)
say "mount.lodge killed: errors" 'soon gone'
end
say "and mounted again" 'umount /mnt/w && mount.lodge lodge /mnt/w && [ "$(cat /mnt/w/work/hello)" = "from the host" ]'
begin
echo $dev >$ours/unbind
say "unbound under load: errors" 'soon gone && [ ! -e $node ]'
end
umount /mnt/w
echo $dev >$ours/bind
say "bound again" 'mount.lodge lodge /mnt/w && cmp /mnt/w/work/big /mnt/w/other/big'
begin
umount -f -l /mnt/w
end
say "unmounted under load" 'soon free'
say "rmmod" 'rmmod lodge_fs'
clean
END

# Four processors: everybody at once, and the device, mount.lodge's death and the end of the mount under that.
cat >many <<'END'
. ./lib
say "four processors" '[ $(nproc) = 4 ]'
mount.lodge lodge /mnt/w
one() { mkdir /mnt/w/work/d$1 && for i in 1 2 3 4 5 6 7 8; do echo $1.$i >/mnt/w/work/d$1/$i || return 1; done && cat /mnt/w/work/d$1/* | cmp - /tmp/want.$1; }
for n in 1 2 3 4; do for i in 1 2 3 4 5 6 7 8; do echo $n.$i; done >/tmp/want.$n; done
for n in 1 2 3 4; do { one $n && touch /tmp/good.$n; cmp /mnt/w/work/big /mnt/w/other/big && touch /tmp/same.$n; } & done
wait
say "four programs at once read what they wrote" '[ $(ls /tmp/good.* | wc -l) = 4 ]'
say "and large data whole" '[ $(ls /tmp/same.* | wc -l) = 4 ]'
timeout $((120 * SLOWNESS)) fs-conform -n 20 /mnt/w/work >/tmp/conform 2>&1
say "file system calls conform" "[ $? = 0 ]"
grep -v ^ok /tmp/conform
load() { while [ ! -e /tmp/stop ]; do cat /mnt/w/work/hello; ls -l /mnt/w/work; touch /mnt/w/work/t$1; rm /mnt/w/work/t$1; done >/dev/null 2>&1; }
gone() { stat /mnt/w/work/hello 2>&1 | grep -q "not connected"; }
begin() { rm -f /tmp/stop; for i in 1 2 3 4; do load $i & done; sleep 0.5; }
end() { touch /tmp/stop; wait; }
begin
echo $dev >$ours/unbind
say "unbound under the load of four: errors" 'soon gone'
end
umount /mnt/w
echo $dev >$ours/bind
mount.lodge lodge /mnt/w
begin
kill -9 $(pidof mount.lodge)
say "mount.lodge killed under it: errors" 'soon gone'
end
umount /mnt/w
mount.lodge lodge /mnt/w
begin
umount -f -l /mnt/w
end
say "unmounted under it" 'soon free'
say "rmmod" 'rmmod lodge_fs'
clean
END

# start SCRIPT [CPUS]: a guest that runs it, as $vm
start() {
	timeout $((190 * slowness)) lodge run --memory 512M --cpus "${2:-1}" --share work=work --share other=other -- \
		env BUILD="$BUILD" TOP="$TOP" SLOWNESS="$slowness" PATH="$BUILD/guest:$PATH" sh "./$1" >"$1.out" 2>"$1.err" </dev/null &
	vm=$!
}

# end SCRIPT
end() {
	local status=0
	wait "$vm" || status=$?
	relay_checks <"$1.out"
	is "$status" 0 "the guest ends well"
	[ "$status" = 0 ] || sed 's/^/#   /' "$1.err"
}

start calm
end calm
ok "what the guest copied is whole" cmp work/big other/big

start many 4
end many

start rough
ok "the guest is at work" wait_for 120 grep -q begun rough.out
kills=0
while [ "$kills" -lt 3 ] && kill -0 "$vm"; do
	pid=$(servers share=work)
	[ -n "$pid" ] && kill -9 "$pid" && kills=$((kills + 1))
	sleep 0.7 # the pace
done
end rough
is "$kills" 3 "the server was killed three times"
