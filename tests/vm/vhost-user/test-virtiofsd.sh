#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Somebody else's file server behind lodge-vmm: the virtiofsd of Debian's qemu-system-common, with 1 and
# 4 processors, killed under load and replaced.
# TIMEOUT: 320
# NEEDS: busybox cpio
# shellcheck source=tests/vm/lib.sh
. "$LIB"
# shellcheck source=tests/vm/vhost-user/guest.sh
. "$TOP/tests/vm/vhost-user/guest.sh"

virtiofsd=/usr/lib/qemu/virtiofsd
[ -x $virtiofsd ] || skip "$virtiofsd is not there"

mkdir share
echo "from the host" >share/hello

start_virtiofsd() {
	rm -f back.sock
	$virtiofsd --socket-path="$WORK/back.sock" -o "source=$WORK/share" -f >>virtiofsd.log 2>&1 &
	back=$!
	wait_for 10 test -S back.sock
}

# shellcheck disable=SC2016 # for the guest
make_guest '
	mount -t virtiofs $tag /mnt && say mounted
	say "$(cat /mnt/hello)"
	dd if=/dev/urandom of=/mnt/data bs=1M count=4 2>/dev/null
	say "sum $(md5sum </mnt/data)"
	if grep -q lives=2 /proc/cmdline; then
		say busy
		errors=0
		until echo x 2>/dev/null >/mnt/x || [ $errors = 3 ]; do errors=$((errors + 1)); done
		while echo x 2>/dev/null >/mnt/x; do :; done
		say "told of the death"
		read -r line </dev/ttyS0
		umount /mnt && mount -t virtiofs $tag /mnt && say "mounted again"
		say "$(cat /mnt/hello)"
	fi
'

start_virtiofsd
make_vm 1 theirs "[fs theirs]
socket=$WORK/back.sock"
start_vm 100
end_vm "a guest with 1 processor ends by itself"
ok "it mounted" said mounted
ok "it reads what the host wrote" said "from the host"
ok "the host has what it wrote" said "sum $(md5sum <share/data)"
wait "$back"

start_virtiofsd
make_vm 4 "theirs lives=2" "[fs theirs]
socket=$WORK/back.sock"
start_vm 200 input
ok "a guest with 4 processors is at work" wait_for 100 said busy
ok "the host has what it wrote" said "sum $(md5sum <share/data)"
kill -9 "$back" "$(deepest "$back")"
ok "its processes get errors, not silence" wait_for 60 said "told of the death"
start_virtiofsd
ok "lodge-vmm finds the next virtiofsd" wait_for 60 grep -q "a back end is there again" vm.log
echo go >&5
end_vm "the guest ends by itself"
ok "it mounted again" said "mounted again"
like "$(console)" "guest: from the host.*guest: from the host" "it reads before and after"
wait "$back"
